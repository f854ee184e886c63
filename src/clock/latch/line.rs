//! The claim in force as the hot path reads it: seven words, and two multiplications.

use super::anchor::{Anchor, FRACTION};
use crate::clock::status::ClockState;
use crate::time::{Claim, Interval, Timestamp};
use product::{moved_down, moved_up};

pub(super) mod point;
mod product;

const BILLION: u128 = 1_000_000_000;

/// The most that the elapsed time can be: 4.5 years of nanoseconds.
const LONGEST: i64 = (1 << FRACTION) - 1;

/// The low bits of the last word. Above them stands the span, which is whole in units of so many.
const LOW: i64 = 0xff;

/// Which of them is set for a line through counts.
const COUNTS: i64 = 0x80;

/// Which of them tell the state.
const STATE: i64 = 0x0f;

/// How much of its width a line through counts may owe to that, in ns: 0.2 µs of epsilon.
const COUNTER_WIDTH: i64 = 2 * COUNTER_LIMIT;

/// The most that reading the counter instead of raw time may add to epsilon, in ns.
pub(crate) const COUNTER_LIMIT: i64 = 200;

/// What a product of the uncertainty with the rate, rounded, may add to half of it.
const COUNTER_ROUNDING: i64 = 3;

/// A claim reduced to what the plain case needs: no leap second near, not expired, no overflow.
///
/// Contains what [`Claim::carry`] gives, and exceeds it by 1 ns where the rate's last bit matters. So all
/// who read under a line answer from it, as long as it answers: of two that did not, the second could find
/// an earlier earliest end than the first (T3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The raw instant, or the count, that the ends are about.
    base: i64,
    earliest: i64,
    latest: i64,
    /// What the ends move by in one unit of the elapsed time, in 2⁻⁵⁷ ns: rounded down, and up.
    slow: u64,
    fast: u64,
    floor: i64,
    /// For how long from `base` on the line answers (0 for a line that never does), and in the low bits
    /// whether `base` is a count, and how well founded it is ([`ClockState::to_word`]).
    span_and_state: i64,
}

impl Line {
    pub(crate) const WORDS: usize = 7;

    /// A line that answers nothing.
    pub(crate) const NOTHING: Self = Self {
        base: 0,
        earliest: 0,
        latest: 0,
        slow: 0,
        fast: 0,
        floor: i64::MIN,
        span_and_state: ClockState::Unavailable.to_word(),
    };

    /// Draws the line of a claim with an earliest end of at least `floor`, for `span` ns or less: it
    /// ends before an intermediate result could overflow.
    pub(crate) fn new(
        claim: &Claim,
        floor: Option<Timestamp>,
        span: i64,
        state: ClockState,
    ) -> Self {
        const ONE: u64 = 1 << FRACTION;
        let ends = Ends {
            origin: claim.raw(),
            earliest: claim.interval().earliest().unix_nanos(),
            latest: claim.interval().latest().unix_nanos(),
        };
        Self::through(&ends, [ONE; 2], claim, floor, span, state)
    }

    /// Draws the claim's line through counts, from the anchor's first count on.
    ///
    /// `end` is the raw instant at which it has to end, and `silent` the one from which on its source counts
    /// as silent. It ends, too, before the counter leaves open more than [`COUNTER_LIMIT`]. It contains what
    /// the claim says of every raw time that may be read at a count.
    pub(crate) fn counting(
        claim: &Claim,
        anchor: &Anchor,
        floor: Option<Timestamp>,
        end: i64,
        state: ClockState,
    ) -> Self {
        // One nanosecond less: the bound is rounded down at each count, and the line as a whole.
        let first = [anchor.raw_least(0).saturating_sub(1), anchor.raw_most(0)];
        let (Ok(earliest), Ok(latest)) = (claim.earliest_at(first[0]), claim.latest_at(first[1]))
        else {
            return Self::NOTHING.through_counts();
        };
        let ends = Ends {
            origin: anchor.count(),
            earliest: earliest.unix_nanos(),
            latest: latest.unix_nanos(),
        };
        let age = first[0].saturating_sub(claim.raw());
        let founded_on = state.after_silence(age);
        // Told once for the whole line, so it ends where that changes.
        let can_fall_silent = state.after_silence(i64::MAX) != state;
        let silent = if can_fall_silent && founded_on == state {
            claim.raw().saturating_add(ClockState::silent_after())
        } else {
            i64::MAX
        };
        let steepest = claim
            .rate()
            .lo_ppb()
            .unsigned_abs()
            .max(claim.rate().hi_ppb().unsigned_abs());
        let width = i128::from(COUNTER_WIDTH - 2 * COUNTER_ROUNDING - 1) * 1_000_000_000
            / (1_000_000_000 + i128::from(steepest));
        let sharp = anchor.sharp_for(i64::try_from(width).unwrap_or(0));
        let span = anchor.counts_until(end.min(silent)).min(sharp);
        Self::through(&ends, anchor.ratio(), claim, floor, span, founded_on).through_counts()
    }

    /// Returns what reading the counter adds to epsilon so many counts after the anchor's first, in ns.
    pub(crate) fn counter_term(claim: &Claim, anchor: &Anchor, elapsed: i64) -> u64 {
        let rate = claim.rate();
        let steepest = rate
            .lo_ppb()
            .unsigned_abs()
            .max(rate.hi_ppb().unsigned_abs());
        // The line begins one nanosecond before the least that raw time can be.
        let open = u128::from(anchor.uncertainty(elapsed)) + 1;
        let width = (open * (BILLION + u128::from(steepest))).div_ceil(BILLION);
        let half = u64::try_from(width.div_ceil(2)).unwrap_or(u64::MAX);
        half.saturating_add(COUNTER_ROUNDING.unsigned_abs() - 1)
    }

    const fn through_counts(self) -> Self {
        Self {
            span_and_state: self.span_and_state | COUNTS,
            ..self
        }
    }

    /// Returns true if it is a line through counts.
    #[inline]
    pub(crate) const fn counts(&self) -> bool {
        self.span_and_state & COUNTS != 0
    }

    /// Returns what a gate holds that closes it here: a raw instant, or how many counts after the first.
    pub(crate) fn mark(&self, position: i64) -> i64 {
        let mark = if self.counts() {
            position.wrapping_sub(self.base)
        } else {
            position
        };
        // Neither is negative, unless the clock could not be read or ran back: then the end is held where
        // it began.
        mark.max(0)
    }

    /// Returns how long after its base a gate was closed.
    pub(crate) const fn elapsed_at(&self, mark: i64) -> i64 {
        if self.counts() {
            mark
        } else {
            mark.saturating_sub(self.base)
        }
    }

    /// Returns about how long so many units take, in ns.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "half of a product of words is a word"
    )]
    pub(crate) fn lasting(&self, units: i64) -> i64 {
        let lasts = (u128::from(units.max(0).unsigned_abs()) * u128::from(self.slow)) >> FRACTION;
        i64::try_from(lasts).unwrap_or(i64::MAX)
    }

    /// Draws a line through two ends at an origin, in units of which one takes so many 2⁻⁵⁷ ns of raw time
    /// at least and at most.
    fn through(
        ends: &Ends,
        raw_per_unit: [u64; 2],
        claim: &Claim,
        floor: Option<Timestamp>,
        span: i64,
        state: ClockState,
    ) -> Self {
        let [least, most] = raw_per_unit;
        let true_per_raw = |ppb: i32| u128::try_from(1_000_000_000 + i64::from(ppb)).ok();
        let slow = true_per_raw(claim.rate().lo_ppb())
            .and_then(|rate| u64::try_from(u128::from(least) * rate / BILLION).ok());
        let fast = true_per_raw(claim.rate().hi_ppb())
            .and_then(|rate| u64::try_from((u128::from(most) * rate).div_ceil(BILLION)).ok());
        // A time that may run backwards, or so fast, is no machine's; the careful path knows better.
        let (Some(slow), Some(fast)) = (slow, fast) else {
            return Self::NOTHING;
        };
        // The latest end must not pass the last instant there is; the earliest stays behind it.
        let room = u128::from(i64::MAX.abs_diff(ends.latest).min(i64::MAX.unsigned_abs()));
        let room = (room.saturating_sub(1) << FRACTION) / u128::from(fast.max(1));
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let span = span.min(room).clamp(0, LONGEST);
        Self {
            base: ends.origin,
            earliest: ends.earliest,
            latest: ends.latest,
            slow,
            fast,
            floor: floor.map_or(i64::MIN, Timestamp::unix_nanos),
            span_and_state: (span & !LOW) | state.to_word(),
        }
    }

    /// Returns the raw instant, or the count, that it begins at.
    #[inline]
    pub(crate) const fn base(&self) -> i64 {
        self.base
    }

    /// How long after its base this raw instant, or count, is, if the line answers there.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "a negative span wraps to a huge one, as it should"
    )]
    pub(crate) const fn elapsed(&self, position: i64) -> Option<i64> {
        let elapsed = position.wrapping_sub(self.base);
        // One comparison for both ends: what lies before the base wraps to a huge number.
        if (elapsed as u64) < (self.span_and_state & !LOW) as u64 {
            Some(elapsed)
        } else {
            None
        }
    }

    /// Returns the last place at which it answers, so long after its base; negative if there is none.
    #[inline]
    pub(crate) const fn last(&self) -> i64 {
        (self.span_and_state & !LOW) - 1
    }

    /// The interval so long after its base; `elapsed` comes from [`elapsed`](Self::elapsed).
    ///
    /// `None` cannot happen: a floor above the latest end is a contradiction, and not published.
    #[inline]
    pub(crate) fn at(&self, elapsed: i64) -> Option<Interval> {
        let earliest = self
            .earliest
            .wrapping_add_unsigned(moved_down(elapsed, self.slow));
        let latest = self
            .latest
            .wrapping_add_unsigned(moved_up(elapsed, self.fast));
        let earliest = if earliest > self.floor {
            earliest
        } else {
            self.floor
        };
        Interval::new(
            Timestamp::from_unix_nanos(earliest),
            Timestamp::from_unix_nanos(latest),
        )
        .ok()
    }

    /// Returns how well founded it is, so long after its base.
    #[inline]
    pub(crate) fn state(&self, elapsed: i64) -> Option<ClockState> {
        let state = ClockState::from_word(self.span_and_state & STATE)?;
        Some(if self.counts() {
            state
        } else {
            state.after_silence(elapsed)
        })
    }

    /// Returns true if the plain arithmetic answers at no instant.
    #[inline]
    pub(crate) const fn never_answers(&self) -> bool {
        Self::is_without_span(self.span_and_state)
    }

    /// Returns true if a line whose last word this is [never answers](Self::never_answers).
    #[inline]
    pub(crate) const fn is_without_span(span_and_state: i64) -> bool {
        span_and_state & !LOW == 0
    }

    /// Returns true if this raw instant, or count, lies before its base, as it never should.
    pub(crate) const fn begins_after(&self, position: i64) -> bool {
        position < self.base
    }

    #[allow(clippy::cast_possible_wrap, reason = "words, whatever they mean")]
    pub(crate) const fn to_words(self) -> [i64; Self::WORDS] {
        [
            self.base,
            self.earliest,
            self.latest,
            self.slow as i64,
            self.fast as i64,
            self.floor,
            self.span_and_state,
        ]
    }

    #[inline]
    #[allow(clippy::cast_sign_loss, reason = "words, whatever they mean")]
    pub(crate) const fn from_words(words: [i64; Self::WORDS]) -> Self {
        let [base, earliest, latest, slow, fast, floor, span_and_state] = words;
        Self {
            base,
            earliest,
            latest,
            slow: slow as u64,
            fast: fast as u64,
            floor,
            span_and_state,
        }
    }
}

/// Where UTC is at the origin of a line.
struct Ends {
    origin: i64,
    earliest: i64,
    latest: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::latch::Pair;
    use crate::machine::{Counted, Sample};
    use crate::time::RateBounds;

    /// Raw time by a counter of so many mHz, as it is read at this count.
    fn raw_of(millihertz: u64, count: i64) -> i64 {
        let raw = (i128::from(count) * 1_000_000_000_000).div_euclid(millihertz.into());
        i64::try_from(raw).unwrap()
    }

    /// Raw time as it is read so many counts into a pair of readings of the counter.
    fn pair_of(millihertz: u64, before: i64, into: i64, width: i64) -> Pair {
        let raw = raw_of(millihertz, before + into.min(width));
        Pair::from(Counted {
            before,
            sample: Sample { coarse: 0, raw },
            after: before + width,
        })
    }

    fn any_claim() -> impl Strategy<Value = Claim> {
        let end = prop_oneof![any::<i64>(), -1_000_000_i64..2_000_000_000_000_000_000];
        let rate = prop_oneof![any::<i32>(), -300_000..300_000_i32];
        (any::<i64>(), end.clone(), end, rate.clone(), rate).prop_map(|(raw, a, b, c, d)| {
            let ends = Interval::new(
                Timestamp::from_unix_nanos(a.min(b)),
                Timestamp::from_unix_nanos(a.max(b)),
            );
            let rate = RateBounds::new(c.min(d), c.max(d)).unwrap();
            Claim::new(raw, ends.unwrap(), rate)
        })
    }

    proptest! {
        /// T10 and T8 for the hot path: wherever the line answers it contains what the claim says, and
        /// exceeds it by no more than a billionth of a billionth of what has elapsed, rounded outward.
        #[test]
        fn t10_the_line_contains_the_claim_wherever_it_answers(
            claim in any_claim(),
            span in any::<i64>(),
            part in 0.0..1.0_f64,
        ) {
            let line = Line::new(&claim, None, span, ClockState::Assumed);
            let span = line.span_and_state & !LOW;
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a sample")]
            let inside = ((span as f64) * part) as i64;
            for elapsed in [0, 1, inside, span - 1] {
                let raw = claim.raw().wrapping_add(elapsed);
                let Some(elapsed) = line.elapsed(raw) else { continue };
                // Raw time that wraps lies outside what a machine can have, and what `carry` can say.
                if raw < claim.raw() {
                    continue;
                }
                let (drawn, exact) = (line.at(elapsed).unwrap(), claim.carry(raw).unwrap());
                prop_assert!(drawn.earliest() <= exact.earliest(), "{drawn} for {exact}");
                prop_assert!(drawn.latest() >= exact.latest(), "{drawn} for {exact}");
                let more = drawn.width() - exact.width();
                let allowed = 2 * (1 + (elapsed >> FRACTION));
                prop_assert!(more.as_nanos() <= allowed.unsigned_abs().into(), "{drawn} for {exact}");
            }
        }

        /// Nothing but a rate that no machine has, or the end of all time, keeps a line from answering
        /// for as long as it is asked to.
        #[test]
        fn a_line_answers_for_as_long_as_it_is_asked_to(
            raw in any::<i64>(),
            earliest in -4_000_000_000_000_000_000..4_000_000_000_000_000_000_i64,
            ppb in 0..=100_000_000_u32,
            span in 0..=LONGEST,
        ) {
            let ends = Interval::point(Timestamp::from_unix_nanos(earliest));
            let claim = Claim::new(raw, ends, RateBounds::symmetric(ppb));
            let line = Line::new(&claim, None, span, ClockState::Assumed);
            prop_assert_eq!(line.span_and_state & !LOW, span & !LOW);
        }

        /// A later reading has no earlier end than one before it.
        #[test]
        fn t3_the_ends_never_fall_back(
            claim in any_claim(),
            one in 0..=LONGEST,
            other in 0..=LONGEST,
        ) {
            let line = Line::new(&claim, None, LONGEST, ClockState::Assumed);
            let at = |elapsed: i64| {
                let elapsed = line.elapsed(line.base.wrapping_add(elapsed))?;
                line.at(elapsed)
            };
            if let (Some(first), Some(second)) = (at(one.min(other)), at(one.max(other))) {
                prop_assert!(first.earliest() <= second.earliest());
                prop_assert!(first.latest() <= second.latest());
            }
        }

        /// T10 for the other axis: at every count the line contains what the claim says of raw time as it
        /// would be read there, from 16 MHz to 5 GHz and wherever the claim lies, and exceeds it by no more
        /// than the term says, which is 0.2 µs at most.
        #[test]
        fn the_line_through_counts_contains_the_claim_at_every_count(
            millihertz in 16_000_000_000..5_000_000_000_000_u64,
            (earliest, width) in (any::<i64>(), prop_oneof![0..1_000_i64, any::<i64>()]),
            (lo, hi) in prop_oneof![
                (-200_000..200_000_i32, -200_000..200_000_i32),
                (-1_000_000_000..i32::MAX, -1_000_000_000..i32::MAX),
            ],
            age in 1..3_600_000_000_000_i64,
            apart in 2_000_000_000..2_000_000_000_000_i64,
            (first, last) in ((0..60_i64, 0..60_i64), (0..60_i64, 0..60_i64)),
            part in 0.0..1.0_f64,
        ) {
            let counts = |raw: i64| {
                i64::try_from(i128::from(raw) * i128::from(millihertz) / 1_000_000_000_000).unwrap()
            };
            let begin = counts(4_000_000_000_000);
            let second = begin + counts(apart);
            let pair = pair_of(millihertz, second, last.0, last.1);
            let anchor = Anchor::between(&pair_of(millihertz, begin, first.0, first.1), &pair).unwrap();
            let at = Timestamp::from_unix_nanos;
            let ends = Interval::new(at(earliest), at(earliest.saturating_add(width.max(0)))).unwrap();
            let rate = RateBounds::new(lo.min(hi), lo.max(hi)).unwrap();
            let claim = Claim::new(pair.raw() - age, ends, rate);
            let line = Line::counting(&claim, &anchor, None, i64::MAX, ClockState::Assumed);
            prop_assert!(line.counts());
            let span = line.span_and_state & !LOW;
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a sample")]
            let inside = ((span as f64) * part) as i64;
            for elapsed in [0, 1, inside, span - 1] {
                let Some(elapsed) = line.elapsed(anchor.count().saturating_add(elapsed)) else { continue };
                let drawn = line.at(elapsed).unwrap();
                let raw = raw_of(millihertz, anchor.count() + elapsed);
                let exact = claim.carry(raw).unwrap();
                prop_assert!(drawn.earliest() <= exact.earliest(), "{drawn} for {exact}");
                prop_assert!(drawn.latest() >= exact.latest(), "{drawn} for {exact}");
                // What a line is closed at is no later than its reader said (T3), nor than it was.
                let closed = anchor.raw_least(elapsed);
                prop_assert!(closed <= raw && raw <= anchor.raw_most(elapsed));
                prop_assert!(claim.earliest_at(closed).unwrap() >= drawn.earliest());
                let term = Line::counter_term(&claim, &anchor, elapsed);
                prop_assert!(term <= COUNTER_LIMIT.unsigned_abs(), "{term}");
                let more = drawn.epsilon().saturating_sub(exact.epsilon());
                prop_assert!(more.as_nanos() <= term.into(), "{drawn} for {exact}, {term}");
            }
        }

        /// A floor holds up the earliest end, and does nothing else.
        #[test]
        fn t3_a_floor_holds_up_the_earliest_end(claim in any_claim(), floor in any::<i64>()) {
            let floor = Timestamp::from_unix_nanos(floor);
            let line = Line::new(&claim, Some(floor), 1 << 10, ClockState::Assumed);
            let Some(elapsed) = line.elapsed(claim.raw()) else { return Ok(()) };
            let ends = claim.interval();
            let expected = Interval::new(ends.earliest().max(floor), ends.latest()).ok();
            prop_assert_eq!(line.at(elapsed), expected);
        }
    }

    #[test]
    fn a_line_tells_every_state() {
        let claim = Claim::new(
            0,
            Interval::point(Timestamp::UNIX_EPOCH),
            RateBounds::symmetric(1),
        );
        for state in [
            ClockState::Synchronized,
            ClockState::Inherited,
            ClockState::Holdover,
            ClockState::Assumed,
            ClockState::Unavailable,
        ] {
            assert_eq!(
                Line::new(&claim, None, 1 << 10, state).state(0),
                Some(state)
            );
        }
        assert_eq!(ClockState::from_word(5), None);
    }

    /// A claim of no width at this raw instant, by an oscillator that is exact.
    fn exact_claim(raw: i64) -> Claim {
        Claim::new(
            raw,
            Interval::point(Timestamp::UNIX_EPOCH),
            RateBounds::symmetric(0),
        )
    }

    /// An anchor at count 500 and raw time 2000 s: one count takes a nanosecond, or 2⁻²⁰ of it less.
    fn anchor_of(slack: i64, blurred: bool) -> Anchor {
        let one = 1_i64 << FRACTION;
        let least = one - (i64::from(blurred) << (FRACTION - 20));
        Anchor::from_words([500, 2_000_000_000_000, slack, least, one])
    }

    #[test]
    fn a_line_through_counts_ends_where_its_source_falls_silent() {
        use ClockState::{Assumed, Holdover, Inherited, Synchronized};
        let anchor = anchor_of(0, false);
        let end = 9_000_000_000_000;
        let silence = ClockState::silent_after();
        for (claimed_at, state, told, ends_at) in [
            (
                1_999_000_000_000,
                Synchronized,
                Synchronized,
                1_999_000_000_000 + silence,
            ),
            (
                1_999_000_000_000,
                Inherited,
                Inherited,
                1_999_000_000_000 + silence,
            ),
            (1_999_000_000_000, Holdover, Holdover, end),
            (1_999_000_000_000, Assumed, Assumed, end),
            // Silent before the first count: nothing changes any more.
            (1_999_000_000_000 - silence, Synchronized, Holdover, end),
        ] {
            let line = Line::counting(&exact_claim(claimed_at), &anchor, None, end, state);
            assert_eq!(line.state(0), Some(told), "{state}");
            assert_eq!(
                line.last(),
                ((ends_at - 2_000_000_000_000) & !LOW) - 1,
                "{state}"
            );
        }
    }

    #[test]
    fn a_line_through_counts_ends_where_the_counter_could_add_a_fifth_of_a_microsecond() {
        // Both ends may be off by 400 ns in all, of which 7 are for the rounding of the line's two products,
        // 2 for that of the anchor's, and 1 is the anchor's slack. One more is open every 2²⁰ counts.
        let anchor = anchor_of(1, true);
        let claim = exact_claim(1_999_000_000_000);
        let line = Line::counting(&claim, &anchor, None, i64::MAX, ClockState::Assumed);
        assert_eq!(line.last(), (390 << 20) - 1);
        assert_eq!(Line::counter_term(&claim, &anchor, line.last()), 198);
    }

    #[test]
    fn the_counter_adds_half_of_what_it_leaves_open_and_three_for_rounding() {
        let claim = exact_claim(0);
        for (slack, elapsed, term) in [(0, 0, 3), (1, 0, 3), (2, 0, 4), (2, 100 << 20, 54)] {
            let anchor = anchor_of(slack, true);
            let told = Line::counter_term(&claim, &anchor, elapsed);
            assert_eq!(told, term, "{slack} after {elapsed}");
        }
    }

    #[test]
    fn a_gate_tells_how_long_after_the_base_it_was_closed() {
        let plain = Line::new(&exact_claim(1_000), None, 1 << 20, ClockState::Assumed);
        let anchor = anchor_of(0, false);
        let counting = Line::counting(
            &exact_claim(0),
            &anchor,
            None,
            i64::MAX,
            ClockState::Assumed,
        );
        for (line, position, mark, elapsed) in [
            (plain, 1_300, 1_300, 300),
            (plain, 1_000, 1_000, 0),
            (counting, 800, 300, 300),
            (counting, 500, 0, 0),
            // A count of before the first: held where the line begins.
            (counting, 400, 0, 0),
        ] {
            assert_eq!(line.mark(position), mark, "{position}");
            assert_eq!(line.elapsed_at(mark), elapsed, "{position}");
        }
    }

    #[test]
    fn so_many_counts_last_so_many_nanoseconds() {
        // Two counts a nanosecond.
        let half = 1 << (FRACTION - 1);
        let anchor = Anchor::from_words([0, 1, 0, half, half]);
        let line = Line::counting(
            &exact_claim(-5),
            &anchor,
            None,
            i64::MAX,
            ClockState::Assumed,
        );
        for (counts, nanos) in [(0, 0), (1, 0), (2, 1), (2_001, 1_000), (-2, 0)] {
            assert_eq!(line.lasting(counts), nanos, "{counts}");
        }
    }

    #[test]
    fn a_raw_time_before_the_claim_is_not_answered() {
        let claim = Claim::new(
            1_000,
            Interval::point(Timestamp::UNIX_EPOCH),
            RateBounds::symmetric(0),
        );
        let line = Line::new(&claim, None, i64::MAX, ClockState::Assumed);
        assert_eq!(line.elapsed(999), None);
        assert_eq!(line.elapsed(1_000), Some(0));
        assert_eq!(Line::NOTHING.elapsed(0), None);
    }
}
