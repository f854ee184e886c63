//! The claim in force as the hot path reads it: seven words, and integer arithmetic on them.

use crate::clock::status::ClockState;
use crate::time::{Claim, Interval, Timestamp};

const BILLION: i64 = 1_000_000_000;

/// Added to a product of 63 bits, this many billions make it positive whatever it was. A division
/// without a sign is what is cheap, and it rounds down.
const LIFT: u64 = 9_223_372_037;
const LIFT_BILLIONS: u64 = LIFT * 1_000_000_000;

/// Set beside the state where [`Line::middle`] answers; the state itself takes the bits below.
const PACED: i64 = 8;

/// The bits that the pace of the middle starts at, above the state and the flag.
const PACE_SHIFT: u32 = 8;

/// A pace is in units of 2⁻⁴⁰, applied to an elapsed time of which 8 bits are dropped first. So long
/// an elapsed time (73 minutes) and so fast a pace (488 ppm) leave room in the product, and half a
/// unit makes an error of 2 ns.
const PACED_SPAN: i64 = 1 << 42;
const PACE_LIMIT: i64 = 1 << 29;

/// A claim reduced to what the plain case needs: no leap second near, not expired, no overflow.
///
/// Gives exactly what [`Claim::carry`] gives, with the earliest end held up by the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    raw: i64,
    earliest: i64,
    latest: i64,
    /// The slowest and the fastest rate in ppb, 32 bits each.
    rates: i64,
    floor: i64,
    /// For how long from `raw` on, in ns, the plain arithmetic answers; 0 for a line that never does.
    span: i64,
    /// How well founded it is ([`ClockState::to_word`]), whether the middle can be told quickly, and
    /// at what pace it moves away from raw time.
    foundation: i64,
}

impl Line {
    pub(crate) const WORDS: usize = 7;

    /// A line that answers nothing.
    pub(crate) const NOTHING: Self = Self {
        raw: 0,
        earliest: 0,
        latest: 0,
        rates: 0,
        floor: i64::MIN,
        span: 0,
        foundation: ClockState::Unavailable.to_word(),
    };

    /// Draws the line of a claim with an earliest end of at least `floor`, for `span` ns or less: it
    /// ends before an intermediate result could overflow.
    pub(crate) fn new(
        claim: &Claim,
        floor: Option<Timestamp>,
        span: i64,
        state: ClockState,
    ) -> Self {
        let (lo, hi) = (claim.rate().lo_ppb(), claim.rate().hi_ppb());
        let steepest = i64::from(lo.unsigned_abs().max(hi.unsigned_abs())).max(1);
        let earliest = claim.interval().earliest().unix_nanos();
        let latest = claim.interval().latest().unix_nanos();
        // The product must fit, and with it what is added to round it up and to lift it. And
        // latest + dt + drift ≤ latest + 4 dt, earliest + dt + drift ≥ earliest − 4 dt, as |rate| is
        // less than 2.2 billion.
        let product = (i64::MAX - 2 * BILLION) / steepest;
        let room_above = (i64::MAX.saturating_sub(latest.max(0))) / 4;
        let room_below = (earliest.min(0).saturating_sub(i64::MIN)) / 4;
        let span = span.min(product).min(room_above).min(room_below).max(0);
        Self {
            raw: claim.raw(),
            earliest,
            latest,
            rates: (i64::from(lo) << 32) | (i64::from(hi) & 0xffff_ffff),
            floor: floor.map_or(i64::MIN, Timestamp::unix_nanos),
            span,
            foundation: state.to_word() | paced(lo, hi, span),
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
        if (elapsed as u64) < self.span as u64 {
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
        reason = "lifted products are positive, and dropped again by as much"
    )]
    pub(crate) fn at(&self, elapsed: i64) -> Option<Interval> {
        let slow = elapsed.wrapping_mul(self.rates >> 32) as u64;
        let fast = elapsed.wrapping_mul((self.rates << 32) >> 32) as u64;
        let down = slow.wrapping_add(LIFT_BILLIONS) / BILLION as u64;
        let up = fast.wrapping_add(LIFT_BILLIONS + BILLION as u64 - 1) / BILLION as u64;
        let earliest = self.earliest + elapsed + (down as i64 - LIFT as i64);
        let latest = self.latest + elapsed + (up as i64 - LIFT as i64);
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

    /// The middle of [`at`](Self::at), to 4 ns, where that takes no division.
    ///
    /// While no floor holds up the earliest end, the middle moves at the mean of both ends' rates: a
    /// product and a shift away from raw time, and to the nanosecond with it where nothing was
    /// learned of the rate. No rate up to a quarter lets the earliest end fall behind by more than a
    /// quarter of the time.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        reason = "half of a width, which is never negative, fits an i64"
    )]
    pub(crate) const fn middle(&self, elapsed: i64) -> Option<Timestamp> {
        let least = self.earliest + elapsed - (elapsed >> 2) - 1;
        if self.foundation & PACED != 0 && least > self.floor {
            let half = (self.latest.wrapping_sub(self.earliest) as u64 >> 1) as i64;
            let gained = ((elapsed >> 8) * (self.foundation >> PACE_SHIFT)) >> 32;
            Some(Timestamp::from_unix_nanos(
                self.earliest + half + elapsed + gained,
            ))
        } else {
            None
        }
    }

    /// Returns how well founded it is, `elapsed` ns after the claim's instant.
    pub(crate) fn state(&self, elapsed: i64) -> Option<ClockState> {
        Some(ClockState::from_word(self.foundation & (PACED - 1))?.after_silence(elapsed))
    }

    /// Returns true if the plain arithmetic answers at no instant.
    #[inline]
    pub(crate) const fn never_answers(&self) -> bool {
        self.span == 0
    }

    /// Returns true if `raw` lies before the claim's instant, as it never should.
    pub(crate) const fn begins_after(&self, raw: i64) -> bool {
        raw < self.raw
    }

    pub(crate) const fn to_words(self) -> [i64; Self::WORDS] {
        [
            self.raw,
            self.earliest,
            self.latest,
            self.rates,
            self.floor,
            self.span,
            self.foundation,
        ]
    }

    #[inline]
    pub(crate) const fn from_words(words: [i64; Self::WORDS]) -> Self {
        let [raw, earliest, latest, rates, floor, span, foundation] = words;
        Self {
            raw,
            earliest,
            latest,
            rates,
            floor,
            span,
            foundation,
        }
    }
}

/// The pace of the middle between two rates in ppb, flagged, or nothing where the plain arithmetic
/// of [`Line::middle`] would not do for as long as the line answers.
fn paced(lo_ppb: i32, hi_ppb: i32, span: i64) -> i64 {
    const QUARTER_PPB: u32 = 250_000_000;
    if lo_ppb.unsigned_abs().max(hi_ppb.unsigned_abs()) > QUARTER_PPB {
        return 0;
    }
    // Twice the mean rate, so the billion is doubled too; another one rounds to the nearest.
    let sum = i64::from(lo_ppb) + i64::from(hi_ppb);
    let (twice, half) = (2 * i128::from(BILLION), i128::from(BILLION));
    let pace = ((i128::from(sum) << 40) + half).div_euclid(twice);
    let pace = i64::try_from(pace).unwrap_or(PACE_LIMIT);
    let small = span <= PACED_SPAN && pace.unsigned_abs() < PACE_LIMIT.unsigned_abs();
    if sum == 0 || small {
        (pace << PACE_SHIFT) | PACED
    } else {
        0
    }
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
        /// T10 and T8 for the hot path: wherever the line answers, it answers what the claim does.
        #[test]
        fn t10_the_line_is_the_claim_wherever_it_answers(
            claim in any_claim(),
            span in any::<i64>(),
            part in 0.0..1.0_f64,
        ) {
            let line = Line::new(&claim, None, span, ClockState::Assumed);
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a sample")]
            let inside = ((line.span as f64) * part) as i64;
            for elapsed in [0, 1, inside, line.span - 1] {
                let raw = claim.raw().wrapping_add(elapsed);
                if let Some(elapsed) = line.elapsed(raw) {
                    // Raw time that wraps lies outside what a machine can have, and what `carry` can say.
                    if raw >= claim.raw() {
                        if let Some(middle) = line.middle(elapsed) {
                            let exact = line.at(elapsed).unwrap().midpoint();
                            prop_assert!(middle.abs_diff(exact).as_nanos() <= 4);
                        }
                        prop_assert_eq!(line.at(elapsed), claim.carry(raw).ok());
                    }
                }
            }
        }

        /// The middle without a multiplication is the middle, and is there where it matters.
        #[test]
        fn the_middle_is_that_of_both_ends(
            ppb in 1..300_000_000_u32,
            width in 0..1_000_000_000_i64,
            held in -10_000..10_000_i64,
            elapsed in 0..10_000_000_000_i64,
        ) {
            let start = 1_795_153_800_000_000_000;
            let at = Timestamp::from_unix_nanos;
            let ends = Interval::new(at(start), at(start + width)).unwrap();
            let claim = Claim::new(0, ends, RateBounds::symmetric(ppb));
            let floor = at(start + held.min(width));
            let line = Line::new(&claim, Some(floor), i64::MAX, ClockState::Synchronized);
            let middle = line.middle(elapsed);
            if let Some(middle) = middle {
                prop_assert_eq!(Some(middle), line.at(elapsed).map(|at| at.midpoint()));
            }
            let settled = ppb <= 250_000_000 && elapsed > 20_000;
            prop_assert!(middle.is_some() || !settled);
        }

        /// With a learned rate, too, the middle is told quickly for as long as a claim is used by
        /// default, and to 4 ns.
        #[test]
        fn the_middle_follows_a_learned_rate(
            lo in -200_000..200_000_i32,
            band in 0..200_000_i32,
            width in 0..1_000_000_000_i64,
            part in 0.0..1.0_f64,
        ) {
            let start = 1_795_153_800_000_000_000;
            let at = Timestamp::from_unix_nanos;
            let ends = Interval::new(at(start), at(start + width)).unwrap();
            let rate = RateBounds::new(lo, (lo + band).min(200_000)).unwrap();
            let claim = Claim::new(0, ends, rate);
            let hour = 3_600_000_000_000_i64;
            let line = Line::new(&claim, None, hour, ClockState::Synchronized);
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a sample")]
            let elapsed = ((hour as f64) * part) as i64;
            let exact = claim.carry(elapsed).unwrap().midpoint();
            let middle = line.middle(elapsed).unwrap();
            prop_assert!(middle.abs_diff(exact).as_nanos() <= 4, "{middle} for {exact}");
            prop_assert_eq!(line.state(0), Some(ClockState::Synchronized));
        }

        /// A floor holds up the earliest end, and does nothing else.
        #[test]
        fn t3_a_floor_holds_up_the_earliest_end(claim in any_claim(), floor in any::<i64>()) {
            let floor = Timestamp::from_unix_nanos(floor);
            let line = Line::new(&claim, Some(floor), 1, ClockState::Assumed);
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
            assert_eq!(Line::new(&claim, None, 9, state).state(0), Some(state));
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
