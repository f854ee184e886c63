//! The learned bound on the oscillator's rate: what pairs of claims prove about it.
//!
//! If UTC was in `[e1, l1]` at raw instant r1 and in `[e2, l2]` at r2, then true time ran against
//! raw time, on average over that stretch, by one plus a rate in
//! `[(e2 − l1) / (r2 − r1) − 1, (l2 − e1) / (r2 − r1) − 1]`. That is proof, as far as the claims
//! are true; it says nothing yet of the rate at any one moment.
//!
//! # From averages to moments
//!
//! Assumption A1 has a second half: over the learning window and until `max_age` after it the rate
//! stays within one band `[c, c + W]`, where W is `max_wander`. Where the band lies is unknown, but
//! the average over any stretch in the window lies in it too. A pair that proves an average in
//! `[a, b]` hence proves `c <= b` and `c + W >= a`. With A the largest `a` and B the smallest `b` of
//! all pairs, `c` is in `[A − W, B]`, and whatever the rate does within its band, it is in
//! `[A − W, B + W]`. So the allowance is charged *whole, on both sides*: the window may have been
//! spent at one edge of the band, and the next hour at the other.
//!
//! Two findings exclude any such band, and each is evidence that the assumption (or a claim) is
//! false: `A − W > B`, and A or B beyond ±`max_drift`.

use core::time::Duration;

use super::claim::{Claim, LeapKind, RateBounds};
use super::interval::Interval;
use super::timestamp::Timestamp;
use crate::words::words_struct;

const BILLION: i128 = 1_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// How far back claims are remembered: two of the longest polls (1024 s) that chrony and ntpd make
/// by default fit in, almost. Longer windows ask more of A1's second half, and what a claim of a
/// millisecond leaves open over this long is one part in a million already.
pub(crate) const WINDOW: i64 = 2_000 * SECOND;

/// How far apart two claims must be at least: over less, what their widths leave open exceeds what
/// is to be learned.
const PAIR_SPAN: i64 = 60 * SECOND;

/// Of the claims in one stretch of this length one is kept: fifteen stretches make the window.
const STRETCH: i64 = WINDOW / 15;

/// How many claims are kept: one for each stretch that the window touches, except where it touches a seventeenth.
const CAPACITY: usize = 16;

/// Wider claims teach nothing: it may not be clear on which side of a leap second they lie.
const WIDEST: Duration = Duration::from_secs(1);

/// What the rate is assumed to keep to (A1), in ppb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimits {
    /// How far it ever is from zero, either way.
    pub(crate) max_drift_ppb: u32,
    /// How wide the band is that it stays in.
    pub(crate) max_wander_ppb: u32,
}

/// What a clock has learned of its oscillator's rate: see
/// [`DriftLearning`](crate::clock::DriftLearning).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LearnedRate {
    /// What is left of ±`max_drift`, the allowance for wander included.
    pub bounds: RateBounds,
    /// The span from the oldest to the newest claim used, at most 2000 s.
    pub window: Duration,
    /// How many claims it rests on.
    pub claims: usize,
}

/// Claims that prove together that A1 (or one of them) is false: how far they miss each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disproof {
    pub(crate) by: Duration,
}

/// A window's claims, thinned out, and what they have taught.
///
/// Fixed in size. Dropping a claim loses sharpness, never truth: every pair holds by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateHistory {
    /// In the order of their raw instants, the first `len` of them.
    claims: [Claim; CAPACITY],
    len: usize,
    /// The bounds as of the last claim that was learned from.
    bounds: Option<RateBounds>,
    /// How often everything was forgotten.
    resets: u64,
}

words_struct!(RateHistory {
    claims,
    len,
    bounds,
    resets
});

/// What a set of pairs proves about average rates, in ppb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Averages {
    /// The largest lower end.
    lo: i128,
    /// The smallest upper end.
    hi: i128,
    /// The longest of the pairs, in ns.
    span: i128,
}

impl RateHistory {
    pub(crate) const EMPTY: Self = Self {
        claims: [Claim::new(
            0,
            Interval::point(Timestamp::UNIX_EPOCH),
            RateBounds::symmetric(0),
        ); CAPACITY],
        len: 0,
        bounds: None,
        resets: 0,
    };

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn kept(&self) -> &[Claim] {
        self.claims.get(..self.len).unwrap_or(&[])
    }

    /// Learns from the claim of a write: the bounds on the rate since, as far as any pair is there.
    ///
    /// The claim must be one that its source made at that instant: one that was inherited or carried
    /// proves nothing about the rate that it was carried with.
    pub(crate) fn learn(
        &mut self,
        claim: Claim,
        limits: &RateLimits,
    ) -> Result<Option<RateBounds>, Disproof> {
        self.forget_before(claim.raw().saturating_sub(WINDOW));
        // The window moves on all the same: what is too old is forgotten by age, not by what
        // replaces it.
        if claim.interval().width() > WIDEST {
            return Ok(None);
        }
        // Held against what is kept before it is kept itself: a claim that disproves the assumption
        // must not stay as evidence for it.
        let learned = self
            .averages(&claim)
            .map(|averages| averages.bounds(limits))
            .transpose();
        match learned {
            Ok(bounds) => {
                self.keep(claim);
                self.bounds = bounds;
                Ok(bounds)
            }
            Err(disproof) => {
                // One of the claims is false, or the rate left its band. Which one it was cannot be
                // told, so none of them may teach any more.
                self.reset();
                Err(disproof)
            }
        }
    }

    /// Forgets everything.
    pub(crate) const fn reset(&mut self) {
        // The claims stay behind the end: a signal handler's stack has no room for a blank history.
        self.len = 0;
        self.bounds = None;
        self.resets = self.resets.wrapping_add(1);
    }

    /// Returns how often everything was forgotten: what was carried with bounds of before is not covered
    /// by those of after.
    pub(crate) const fn resets(&self) -> u64 {
        self.resets
    }

    /// Returns the bounds that are assumed at this raw instant: until so long after the last claim that
    /// they rest on (A1).
    pub(crate) fn bounds_at(&self, raw: i64, max_age: Duration) -> Option<RateBounds> {
        let last = self.kept().last()?.raw();
        let age = Duration::from_nanos(raw.saturating_sub(last).max(0).unsigned_abs());
        self.bounds.filter(|_| age <= max_age)
    }

    /// Changes the claims' scale, for a leap second.
    pub(crate) fn revise(&mut self, revise: impl Fn(Claim) -> Claim) {
        for claim in self.claims.iter_mut().take(self.len) {
            *claim = revise(*claim);
        }
    }

    /// Returns what was learned last.
    pub(crate) fn learned(&self) -> Option<LearnedRate> {
        let kept = self.kept();
        let (first, last) = (kept.first()?, kept.last()?);
        Some(LearnedRate {
            bounds: self.bounds?,
            window: Duration::from_nanos(last.raw().abs_diff(first.raw())),
            claims: self.len,
        })
    }

    fn forget_before(&mut self, raw: i64) {
        // Ordered by their raw instants, so what is stale comes first.
        let stale = self.kept().iter().take_while(|c| c.raw() < raw).count();
        self.claims.rotate_left(stale);
        self.len -= stale;
    }

    fn keep(&mut self, claim: Claim) {
        let newest = self
            .len
            .checked_sub(1)
            .and_then(|last| self.claims.get_mut(last));
        if let Some(newest) = newest {
            // Of each stretch the first claim stays, unless a later one is less than half as wide:
            // age sharpens a pair as much as narrow ends do.
            let stretch = |c: &Claim| c.raw().div_euclid(STRETCH);
            if stretch(newest) >= stretch(&claim) {
                let later = claim.raw() >= newest.raw();
                if later && claim.interval().width().saturating_mul(2) < newest.interval().width() {
                    *newest = claim;
                }
                return;
            }
        }
        // Fifteen stretches are 5 ns shorter than the window, so that it touches a seventeenth now and then.
        if self.len == CAPACITY {
            self.claims.rotate_left(1);
            self.len -= 1;
        }
        if let Some(place) = self.claims.get_mut(self.len) {
            *place = claim;
            self.len += 1;
        }
    }

    /// Returns what all pairs of the window prove, those with `newest` included.
    fn averages(&self, newest: &Claim) -> Option<Averages> {
        let kept = self.kept();
        // At most 136 pairs of 17 claims, worked out at a write and never on a reading. Nothing is
        // cached between writes, as a claim that leaves takes its pairs along.
        let among = kept.iter().enumerate().flat_map(|(at, earlier)| {
            let later = kept.iter().skip(at + 1);
            later.map(move |later| (earlier, later))
        });
        let with_newest = kept.iter().map(|earlier| (earlier, newest));
        among
            .chain(with_newest)
            .filter_map(|(earlier, later)| Averages::of(earlier, later))
            .reduce(Averages::and)
    }
}

impl Averages {
    fn of(earlier: &Claim, later: &Claim) -> Option<Self> {
        let span = i128::from(later.raw()) - i128::from(earlier.raw());
        if span < i128::from(PAIR_SPAN) {
            return None;
        }
        // A leap second between the two is no drift: without it a second in 60 would look like 16
        // 666 ppm.
        let shift = leap_between(earlier, later);
        let ends = |claim: &Claim| {
            let ends = claim.interval();
            (
                i128::from(ends.earliest().unix_nanos()),
                i128::from(ends.latest().unix_nanos()),
            )
        };
        let ((e1, l1), (e2, l2)) = (ends(earlier), ends(later));
        // From the latest that it can have been to the earliest that it can be, and the other way
        // round: the least and the most that true time can have gained.
        let least = (e2 - (l1 + shift) - span) * BILLION;
        let most = (l2 - (e1 + shift) - span) * BILLION;
        Some(Self {
            // Rounded outward, so that the averages contain the true one.
            lo: least.div_euclid(span),
            hi: -(-most).div_euclid(span),
            span,
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            // Both hold, so their intersection does.
            lo: self.lo.max(other.lo),
            hi: self.hi.min(other.hi),
            span: self.span.max(other.span),
        }
    }

    fn bounds(self, limits: &RateLimits) -> Result<RateBounds, Disproof> {
        let drift = i128::from(limits.max_drift_ppb);
        let wander = i128::from(limits.max_wander_ppb);
        // By how much the averages leave ±`max_drift`, or contradict each other even with the whole
        // allowance for wander between them. Positive means disproof.
        let excess = (self.lo - drift)
            .max(-drift - self.hi)
            .max(self.lo - wander - self.hi);
        let bounds = (excess <= 0)
            .then(|| {
                // The whole allowance on both sides: the window may have been spent at one edge of
                // the band and the next hour at the other.
                let lo = i32::try_from((self.lo - wander).max(-drift)).ok()?;
                let hi = i32::try_from((self.hi + wander).min(drift)).ok()?;
                RateBounds::new(lo, hi)
            })
            .flatten();
        bounds.ok_or_else(|| {
            // As a time, which an operator can judge: by so much the claims miss each other over
            // the longest pair.
            let missed = (excess.max(1) * self.span) / BILLION;
            Disproof {
                by: Duration::from_nanos(u64::try_from(missed).unwrap_or(u64::MAX).max(1)),
            }
        })
    }
}

/// Returns how far the later claim's scale is ahead, in ns, by a leap second in between.
fn leap_between(earlier: &Claim, later: &Claim) -> i128 {
    match earlier.leap() {
        Some(leap)
            if earlier.interval().latest() < leap.boundary
                && later.interval().earliest() >= leap.boundary =>
        {
            match leap.kind {
                LeapKind::Inserted => i128::from(-SECOND),
                LeapKind::Deleted => i128::from(SECOND),
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::LeapSecond;

    const DRIFT: i32 = 200_000;
    const WANDER: i32 = 50_000;
    const LIMITS: RateLimits = RateLimits {
        max_drift_ppb: DRIFT.unsigned_abs(),
        max_wander_ppb: WANDER.unsigned_abs(),
    };
    const START: i64 = 1_795_153_800 * SECOND;
    const MAX_AGE: i64 = 3_600 * SECOND;

    /// True time as a function of raw time: rates that change from stretch to stretch.
    #[derive(Clone, Debug)]
    struct Path {
        /// How long each stretch is, in raw ns, and the rate in it, in ppb.
        stretches: Vec<(i64, i32)>,
    }

    impl Path {
        /// What true time has gained on raw time by `raw`, in ns, rounded down.
        fn true_time(&self, raw: i64) -> i64 {
            let mut gained = 0_i128;
            let mut left = raw;
            for (length, rate) in &self.stretches {
                let here = left.min(*length);
                gained += i128::from(here) * i128::from(*rate);
                left -= here;
            }
            START + raw + i64::try_from(gained.div_euclid(BILLION)).unwrap()
        }

        fn rates(&self, from: i64, to: i64) -> impl Iterator<Item = i32> + '_ {
            let mut begin = 0;
            self.stretches.iter().filter_map(move |(length, rate)| {
                let (first, end) = (begin, begin + length);
                begin = end;
                (first < to && end > from).then_some(*rate)
            })
        }
    }

    /// Rates that jump about in a band of the allowed width, wherever that lies: edges are likely.
    fn paths() -> impl Strategy<Value = Path> {
        (-DRIFT..=DRIFT - WANDER).prop_flat_map(|lowest| {
            let rate = prop_oneof![
                Just(lowest),
                Just(lowest + WANDER),
                lowest..=lowest + WANDER
            ];
            let stretch = (SECOND..1_500 * SECOND, rate);
            proptest::collection::vec(stretch, 8..24).prop_map(move |mut stretches| {
                // The last one has no end.
                stretches.push((i64::MAX / 4, lowest));
                Path { stretches }
            })
        })
    }

    /// When the daemon writes, and by how much each end of its claim exceeds the truth.
    fn writes() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
        let pause = prop_oneof![
            SECOND / 10..20 * SECOND,
            Just(64 * SECOND),
            50 * SECOND..1_100 * SECOND
        ];
        let slack = prop_oneof![Just(0), 0..2_000_000_i64, 0..80_000_000_i64];
        proptest::collection::vec((pause, slack.clone(), slack), 2..80)
    }

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    fn claim(raw: i64, earliest: i64, latest: i64) -> Claim {
        let ends = Interval::new(at(earliest), at(latest)).unwrap();
        Claim::new(raw, ends, RateBounds::symmetric(LIMITS.max_drift_ppb))
    }

    proptest! {
        /// D1: whatever the rate does within a band of `max_wander`, it is within what was learned,
        /// and UTC within the claim that is carried with it, until `max_age` later.
        #[test]
        fn d1_the_true_rate_lies_in_the_learned_bound_and_utc_in_the_carried_claim(
            path in paths(),
            writes in writes(),
            later in proptest::collection::vec(0..MAX_AGE, 4),
        ) {
            let mut history = RateHistory::EMPTY;
            let mut raw = 0;
            for (pause, below, above) in writes {
                raw += pause;
                let truth = path.true_time(raw);
                // Rounded down, so it is up to a nanosecond later.
                let write = claim(raw, truth - below, truth + 1 + above);
                let learned = history.learn(write, &LIMITS);
                let learned = learned.map_err(|d| TestCaseError::fail(format!("{d:?} at {raw}")))?;
                let Some(bounds) = learned else { continue };
                for rate in path.rates(raw - WINDOW, raw + MAX_AGE) {
                    prop_assert!(bounds.lo_ppb() <= rate && rate <= bounds.hi_ppb(),
                        "{rate} is outside {bounds:?}");
                }
                for later in &later {
                    let carried = write.with_rate(bounds).carry(raw + later).unwrap();
                    let truth = path.true_time(raw + later);
                    prop_assert!(carried.earliest() <= at(truth + 1));
                    prop_assert!(carried.latest() >= at(truth));
                }
            }
        }

        /// T10: over the whole range of inputs the averages are rounded outward, and nothing panics.
        #[test]
        fn t10_averages_never_narrow_by_rounding(
            raws in any::<[i64; 2]>(),
            ends in any::<[[i64; 2]; 2]>(),
            limits in any::<[u32; 2]>(),
        ) {
            let claims = [0, 1].map(|i| {
                let [a, b]: [i64; 2] = ends[i];
                claim(raws[i], a.min(b), a.max(b))
            });
            let limits = RateLimits { max_drift_ppb: limits[0], max_wander_ppb: limits[1] };
            let mut history = RateHistory::EMPTY;
            for claim in claims {
                let _ = history.learn(claim, &limits);
            }
            let Some(averages) = Averages::of(&claims[0], &claims[1]) else { return Ok(()) };
            let end = |t: Timestamp| i128::from(t.unix_nanos());
            let [(e1, l1), (e2, l2)] = claims
                .map(|c| (end(c.interval().earliest()), end(c.interval().latest())));
            let span = i128::from(raws[1]) - i128::from(raws[0]);
            // Multiplied out, where nothing has to be rounded.
            prop_assert!(averages.lo * span <= (e2 - l1 - span) * BILLION);
            prop_assert!((averages.lo + 1) * span > (e2 - l1 - span) * BILLION);
            prop_assert!(averages.hi * span >= (l2 - e1 - span) * BILLION);
            prop_assert!((averages.hi - 1) * span < (l2 - e1 - span) * BILLION);
            if let Ok(bounds) = averages.bounds(&limits) {
                let most = i128::from(limits.max_drift_ppb);
                prop_assert!(i128::from(bounds.lo_ppb()) >= -most);
                prop_assert!(i128::from(bounds.hi_ppb()) <= most);
            }
        }

        /// However many claims there are, so many are kept, in order, and none beyond the window.
        #[test]
        fn the_history_is_bounded(pauses in proptest::collection::vec(1..200 * SECOND, 1..200)) {
            let mut history = RateHistory::EMPTY;
            let mut raw = 0;
            for pause in pauses {
                raw += pause;
                history.learn(claim(raw, START + raw, START + raw), &LIMITS).unwrap();
                let kept = history.kept();
                prop_assert!(!kept.is_empty() && kept.len() <= CAPACITY);
                prop_assert!(kept.is_sorted_by_key(Claim::raw));
                prop_assert!(kept.iter().all(|kept| raw - kept.raw() <= WINDOW));
            }
        }
    }

    fn learn_all(claims: &[Claim]) -> Result<Option<RateBounds>, Disproof> {
        let mut history = RateHistory::EMPTY;
        claims
            .iter()
            .try_fold(None, |_, claim| history.learn(*claim, &LIMITS))
    }

    /// A claim of ±1 ms after so many seconds of an oscillator that is so many ppb off.
    fn exact(secs: i64, ppb: i64) -> Claim {
        let truth = START + secs * SECOND + secs * ppb;
        claim(secs * SECOND, truth - 1_000_000, truth + 1_000_000)
    }

    #[test]
    fn neighbours_of_less_than_a_minute_teach_nothing() {
        assert_eq!(learn_all(&[exact(0, 30_000), exact(59, 30_000)]), Ok(None));
        assert!(
            learn_all(&[exact(0, 30_000), exact(60, 30_000)])
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_window_of_claims_leaves_the_wander_and_a_few_ppm() {
        let claims: Vec<Claim> = (0..=30).map(|poll| exact(poll * 64, 30_000)).collect();
        let learned = learn_all(&claims).unwrap().unwrap();
        // 2 ms over 1920 s are 1042 ppb, either way, and up to 5 % more as old claims make way.
        assert!(
            (-21_100..=-21_000).contains(&learned.lo_ppb()),
            "{learned:?}"
        );
        assert!((81_000..=81_100).contains(&learned.hi_ppb()), "{learned:?}");
    }

    #[test]
    fn a_rate_beyond_max_drift_is_disproof_and_forgotten() {
        let mut history = RateHistory::EMPTY;
        history.learn(exact(0, 0), &LIMITS).unwrap();
        // 300 ppm over 600 s are 180 ms; 200 ppm and the ends cover 122 of them.
        let disproof = history.learn(exact(600, 300_000), &LIMITS).unwrap_err();
        assert_eq!(
            disproof.by,
            Duration::from_micros(57_999) + Duration::from_nanos(600)
        );
        assert!(history.is_empty());
        assert_eq!(history.learned(), None);
    }

    #[test]
    fn wander_beyond_the_band_is_disproof() {
        // 10 ppm for a quarter of an hour, then 80: each within ±max_drift, 70 apart.
        let [first, second] = [exact(0, 10_000), exact(900, 10_000)];
        let jump = claim(1_800 * SECOND, 0, 0);
        let truth = second.interval().midpoint().unix_nanos() + 900 * SECOND + 900 * 80_000;
        let jump = claim(jump.raw(), truth - 1_000_000, truth + 1_000_000);
        assert!(learn_all(&[first, second, jump]).is_err());
        // 55 ppm instead, which the ends of three claims leave room for.
        let truth = second.interval().midpoint().unix_nanos() + 900 * SECOND + 900 * 55_000;
        let jump = claim(jump.raw(), truth - 1_000_000, truth + 1_000_000);
        assert!(learn_all(&[first, second, jump]).is_ok());
    }

    #[test]
    fn a_leap_second_between_two_claims_is_taken_out() {
        for kind in [LeapKind::Inserted, LeapKind::Deleted] {
            let boundary = at(START + 500 * SECOND);
            let leap = LeapSecond { boundary, kind };
            let before = exact(0, 10_000).with_leap(Some(leap));
            let after = exact(1_000, 10_000);
            let shift = match kind {
                LeapKind::Inserted => -SECOND,
                LeapKind::Deleted => SECOND,
            };
            let ends = after.interval();
            let after = claim(
                after.raw(),
                ends.earliest().unix_nanos() + shift,
                ends.latest().unix_nanos() + shift,
            );
            let plain = learn_all(&[exact(0, 10_000), exact(1_000, 10_000)]);
            assert_eq!(learn_all(&[before, after]), plain);
            // Without it the second is a second.
            assert!(learn_all(&[exact(0, 10_000), after]).is_err());
        }
    }

    #[test]
    fn a_claim_far_narrower_than_the_first_of_its_stretch_takes_its_place() {
        let mut history = RateHistory::EMPTY;
        let wide = claim(0, START - 40_000_000, START + 40_000_000);
        for each in [wide, exact(10, 0), exact(20, 0)] {
            history.learn(each, &LIMITS).unwrap();
        }
        assert_eq!(history.kept(), [exact(10, 0)]);
    }

    #[test]
    fn of_a_stretch_only_a_claim_less_than_half_as_wide_replaces_the_first() {
        let wide = claim(0, START - 40_000_000, START + 40_000_000);
        for (width, replaced) in [(40_000_000, false), (39_999_999, true)] {
            let mut history = RateHistory::EMPTY;
            let narrower = claim(10 * SECOND, START, START + width);
            history.keep(wide);
            history.keep(narrower);
            let kept = if replaced { narrower } else { wide };
            assert_eq!(history.kept(), [kept], "{width}");
        }
    }

    #[test]
    fn a_claim_as_old_as_the_window_is_long_is_the_oldest_that_teaches() {
        for (later, window) in [
            (WINDOW, Duration::from_secs(2_000)),
            (WINDOW + 1, Duration::ZERO),
        ] {
            let mut history = RateHistory::EMPTY;
            let first = claim(0, START, START);
            let second = claim(later, START + later, START + later);
            let bounds = [first, second].map(|each| history.learn(each, &LIMITS).unwrap());
            assert_eq!(bounds[1].is_some(), window > Duration::ZERO);
            assert_eq!(
                history.kept().len(),
                if bounds[1].is_some() { 2 } else { 1 }
            );
            let learned = history.learned().map(|learned| learned.window);
            assert_eq!(learned, bounds[1].map(|_| window));
        }
    }

    #[test]
    fn a_claim_of_a_second_teaches_and_a_wider_one_does_not() {
        for (width, teaches) in [(SECOND, true), (SECOND + 1, false)] {
            let mut history = RateHistory::EMPTY;
            history
                .learn(claim(0, START, START + width), &LIMITS)
                .unwrap();
            assert_eq!(!history.is_empty(), teaches, "{width}");
        }
    }

    /// The window is 5 ns longer than fifteen stretches, so that it may touch a seventeenth.
    #[test]
    fn where_the_window_touches_a_stretch_too_many_its_oldest_claim_goes() {
        let count = i64::try_from(CAPACITY).unwrap();
        let at_raw = |raw| claim(raw, START + raw, START + raw);
        // The last instant of the first stretch, then one in each, then the window's end.
        let raws: Vec<i64> = (0..count)
            .map(|stretch| (stretch * STRETCH).max(STRETCH - 1))
            .chain([STRETCH - 1 + WINDOW])
            .collect();
        let mut history = RateHistory::EMPTY;
        for raw in &raws {
            history.learn(at_raw(*raw), &LIMITS).unwrap();
        }
        let kept: Vec<i64> = history.kept().iter().map(Claim::raw).collect();
        assert_eq!(kept, raws[raws.len() - CAPACITY..]);
    }

    #[test]
    fn what_was_learned_holds_for_max_age_after_the_last_claim() {
        let mut history = RateHistory::EMPTY;
        let max_age = Duration::from_secs(3_600);
        assert_eq!(history.bounds_at(0, max_age), None);
        history.learn(exact(0, 30_000), &LIMITS).unwrap();
        let bounds = history.learn(exact(600, 30_000), &LIMITS).unwrap();
        assert!(bounds.is_some());
        let last = 600 * SECOND + MAX_AGE;
        for raw in [0, 600 * SECOND, last] {
            assert_eq!(history.bounds_at(raw, max_age), bounds, "{raw}");
        }
        assert_eq!(history.bounds_at(last + 1, max_age), None);
    }

    #[test]
    fn each_time_that_everything_is_forgotten_counts() {
        let mut history = RateHistory::EMPTY;
        for resets in 0..3 {
            assert_eq!(history.resets(), resets);
            history.learn(exact(0, 0), &LIMITS).unwrap();
            assert_eq!(history.resets(), resets);
            history.learn(exact(600, 300_000), &LIMITS).unwrap_err();
        }
    }

    #[test]
    fn a_leap_second_announced_after_a_claim_is_taken_out_of_what_that_one_teaches() {
        let leap = LeapSecond {
            boundary: at(START + 500 * SECOND),
            kind: LeapKind::Inserted,
        };
        let truth = START + 999 * SECOND;
        let after = claim(1_000 * SECOND, truth, truth);
        let mut history = RateHistory::EMPTY;
        history.learn(claim(0, START, START), &LIMITS).unwrap();
        history.revise(|claim| claim.with_leap(Some(leap)));
        let learned = history.learn(after, &LIMITS).unwrap().unwrap();
        assert_eq!(learned, RateBounds::symmetric(50_000));
    }

    #[test]
    fn a_claim_at_the_boundary_lies_behind_the_leap_second() {
        let boundary = START + 500 * SECOND;
        let leap = LeapSecond {
            boundary: at(boundary),
            kind: LeapKind::Inserted,
        };
        let first = claim(0, boundary, boundary).with_leap(Some(leap));
        let later = boundary + 100 * SECOND;
        let learned = learn_all(&[first, claim(100 * SECOND, later, later)]);
        assert_eq!(learned, Ok(Some(RateBounds::symmetric(50_000))));
    }

    /// A claim of ±4 s made 3 s after a leap second, true at its very edge.
    #[test]
    fn a_claim_that_may_lie_on_either_side_of_a_leap_second_teaches_nothing() {
        let boundary = at(START + 500 * SECOND);
        let leap = LeapSecond {
            boundary,
            kind: LeapKind::Inserted,
        };
        let before = exact(0, 0).with_leap(Some(leap));
        // 503 s later UTC counts 502, two seconds past the boundary; real time is 3.9 s behind.
        let truth = START + 503_500_000_000 - SECOND;
        let wide = claim(503_500_000_000, truth - 8 * SECOND, truth);
        let mut history = RateHistory::EMPTY;
        history.learn(before, &LIMITS).unwrap();
        let learned = history.learn(wide, &LIMITS);
        let contains = learned.map(|b| b.is_none_or(|b| b.hi_ppb() >= 0));
        assert_eq!(contains, Ok(true), "{learned:?}");
    }
}
