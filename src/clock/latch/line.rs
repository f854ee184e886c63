//! The claim in force as the hot path reads it: seven words, and two multiplications.

use crate::clock::status::ClockState;
use crate::time::{Claim, Interval, Timestamp};

const BILLION: u128 = 1_000_000_000;

/// Fractional bits of a line's rates. Seven more bits of the elapsed time make 64, so that the upper half
/// of a product is in whole nanoseconds; and a rate of less than 2⁷ ns a unit fits a word.
const FRACTION: u32 = 57;
const LIFT: u32 = u64::BITS - FRACTION;

/// The most that the elapsed time can be: 4.5 years of nanoseconds.
const LONGEST: i64 = (1 << FRACTION) - 1;

/// The low bits of the last word: the state. Above them stands the span, whole in units of so many.
const STATE: i64 = 0xff;

/// A claim reduced to what the plain case needs: no leap second near, not expired, no overflow.
///
/// Contains what [`Claim::carry`] gives, and exceeds it by 1 ns where the rate's last bit matters. So all
/// who read under a line answer from it, as long as it answers: of two that did not, the second could find
/// an earlier earliest end than the first (T3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    raw: i64,
    earliest: i64,
    latest: i64,
    /// What the ends move by in one unit of the elapsed time, in 2⁻⁵⁷ ns: rounded down, and up.
    slow: u64,
    fast: u64,
    floor: i64,
    /// For how long from `raw` on, in ns, the line answers (0 for a line that never does), and in the low
    /// bits how well founded it is ([`ClockState::to_word`]).
    span_and_state: i64,
}

impl Line {
    pub(crate) const WORDS: usize = 7;

    /// A line that answers nothing.
    pub(crate) const NOTHING: Self = Self {
        raw: 0,
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
            raw: ends.origin,
            earliest: ends.earliest,
            latest: ends.latest,
            slow,
            fast,
            floor: floor.map_or(i64::MIN, Timestamp::unix_nanos),
            span_and_state: (span & !STATE) | state.to_word(),
        }
    }

    /// Returns the raw instant that lies `elapsed` ns after the claim's.
    #[inline]
    pub(crate) const fn raw_at(&self, elapsed: i64) -> i64 {
        self.raw.wrapping_add(elapsed)
    }

    /// Returns the raw instant of the claim itself.
    #[inline]
    pub(crate) const fn raw(&self) -> i64 {
        self.raw
    }

    /// How long after the claim's instant this is, in ns, if the plain arithmetic answers there.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "a negative span wraps to a huge one, as it should"
    )]
    pub(crate) const fn elapsed(&self, raw: i64) -> Option<i64> {
        let elapsed = raw.wrapping_sub(self.raw);
        // One comparison for both ends: a raw time before the claim wraps to a huge number.
        if (elapsed as u64) < (self.span_and_state & !STATE) as u64 {
            Some(elapsed)
        } else {
            None
        }
    }

    /// The interval so long after the claim's instant; `elapsed` comes from [`elapsed`](Self::elapsed).
    ///
    /// `None` cannot happen: a floor above the latest end is a contradiction, and not published.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        clippy::cast_possible_truncation,
        reason = "what has elapsed is never negative, and no longer than there is room for"
    )]
    pub(crate) fn at(&self, elapsed: i64) -> Option<Interval> {
        let lifted = u128::from((elapsed as u64) << LIFT);
        let (slow, fast) = (
            lifted * u128::from(self.slow),
            lifted * u128::from(self.fast),
        );
        let down = (slow >> u64::BITS) as i64;
        let up = (fast >> u64::BITS) as i64 + i64::from(fast as u64 != 0);
        let earliest = self.earliest.wrapping_add(down);
        let latest = self.latest.wrapping_add(up);
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

    /// Returns how well founded it is, `elapsed` ns after the claim's instant.
    pub(crate) fn state(&self, elapsed: i64) -> Option<ClockState> {
        Some(ClockState::from_word(self.span_and_state & STATE)?.after_silence(elapsed))
    }

    /// Returns true if the plain arithmetic answers at no instant.
    #[inline]
    pub(crate) const fn never_answers(&self) -> bool {
        self.span_and_state & !STATE == 0
    }

    /// Returns true if `raw` lies before the claim's instant, as it never should.
    pub(crate) const fn begins_after(&self, raw: i64) -> bool {
        raw < self.raw
    }

    #[allow(clippy::cast_possible_wrap, reason = "words, whatever they mean")]
    pub(crate) const fn to_words(self) -> [i64; Self::WORDS] {
        [
            self.raw,
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
        let [raw, earliest, latest, slow, fast, floor, span_and_state] = words;
        Self {
            raw,
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
    use crate::time::RateBounds;

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
            let span = line.span_and_state & !STATE;
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
            prop_assert_eq!(line.span_and_state & !STATE, span & !STATE);
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
                let elapsed = line.elapsed(line.raw.wrapping_add(elapsed))?;
                line.at(elapsed)
            };
            if let (Some(first), Some(second)) = (at(one.min(other)), at(one.max(other))) {
                prop_assert!(first.earliest() <= second.earliest());
                prop_assert!(first.latest() <= second.latest());
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
