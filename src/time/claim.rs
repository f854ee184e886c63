//! Claims: what was known of UTC at one raw instant, and what that says about any other.

use super::interval::Interval;
use super::timestamp::{RangeError, Timestamp};
use crate::words::{WordReader, WordWriter, Words, words_enum, words_struct};

/// Default of `max_drift_ppb`: 200 ppm. It covers an undisciplined oscillator of ±100 ppm on raw
/// time, stays under the 500 ppm by which the kernel's own bound grows, and is what Spanner applies.
pub(crate) const DEFAULT_MAX_DRIFT_PPB: u32 = 200_000;

/// A billion: rates are parts per billion, instants nanoseconds.
const BILLION: i128 = 1_000_000_000;

/// One second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// How fast true time may run against raw time: one plus a rate in `[lo, hi]` parts per billion.
///
/// True seconds per raw second, that way round, so that `elapsed raw time × rate` is exact.
///
/// ```
/// use epsilon_clock::time::RateBounds;
///
/// let guess = RateBounds::symmetric(200_000); // ±200 ppm
/// assert_eq!((guess.lo_ppb(), guess.hi_ppb()), (-200_000, 200_000));
/// assert!(RateBounds::new(5, -5).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateBounds {
    lo_ppb: i32,
    hi_ppb: i32,
}

impl Words for RateBounds {
    const WORDS: usize = <(i32, i32)>::WORDS;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.lo_ppb);
        to.put(&self.hi_ppb);
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        // Words of another type must not make bounds that no constructor would.
        Self::new(from.take()?, from.take()?)
    }
}

impl RateBounds {
    /// Creates bounds from the slowest to the fastest rate in ppb.
    ///
    /// `None` if they are the wrong way round.
    #[must_use]
    pub const fn new(lo_ppb: i32, hi_ppb: i32) -> Option<Self> {
        if lo_ppb <= hi_ppb {
            Some(Self { lo_ppb, hi_ppb })
        } else {
            None
        }
    }

    /// Creates bounds of ±`max_drift_ppb`.
    ///
    /// Beyond `i32::MAX` ppb, which is more than 200 %, they stay there.
    #[must_use]
    pub const fn symmetric(max_drift_ppb: u32) -> Self {
        #[allow(clippy::cast_possible_wrap, reason = "what would wrap was cut off")]
        let hi_ppb = if max_drift_ppb > i32::MAX.unsigned_abs() {
            i32::MAX
        } else {
            max_drift_ppb as i32
        };
        Self {
            lo_ppb: -hi_ppb,
            hi_ppb,
        }
    }

    /// Returns the rates that both bounds allow, or `None`.
    ///
    /// ```
    /// use epsilon_clock::time::RateBounds;
    ///
    /// let learned = RateBounds::new(-12_000, 91_000).unwrap();
    /// let narrowed = RateBounds::symmetric(50_000).intersect(learned);
    /// assert_eq!(narrowed, RateBounds::new(-12_000, 50_000));
    /// ```
    #[must_use]
    pub const fn intersect(self, other: Self) -> Option<Self> {
        let lo = if self.lo_ppb > other.lo_ppb {
            self.lo_ppb
        } else {
            other.lo_ppb
        };
        let hi = if self.hi_ppb < other.hi_ppb {
            self.hi_ppb
        } else {
            other.hi_ppb
        };
        Self::new(lo, hi)
    }

    /// Returns the narrowest bounds that contain both.
    #[must_use]
    pub const fn hull(self, other: Self) -> Self {
        Self {
            lo_ppb: if self.lo_ppb < other.lo_ppb {
                self.lo_ppb
            } else {
                other.lo_ppb
            },
            hi_ppb: if self.hi_ppb > other.hi_ppb {
                self.hi_ppb
            } else {
                other.hi_ppb
            },
        }
    }

    /// Returns the slowest rate of true time against raw time, in ppb.
    #[must_use]
    pub const fn lo_ppb(self) -> i32 {
        self.lo_ppb
    }

    /// Returns the fastest rate of true time against raw time, in ppb.
    #[must_use]
    pub const fn hi_ppb(self) -> i32 {
        self.hi_ppb
    }
}

/// Which way a leap second goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeapKind {
    /// A second is inserted before the boundary: Unix time stands still there for a second.
    Inserted,
    /// The last second before the boundary is left out: Unix time jumps over it.
    Deleted,
}

words_enum!(LeapKind { Inserted = 0, Deleted = 1 });

/// A leap second and the UTC midnight it belongs to.
///
/// The axis of every [`Timestamp`] is Unix time made monotone: it stands still at the boundary
/// during an inserted second and jumps over a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeapSecond {
    /// The midnight that ends the day with the leap second.
    pub boundary: Timestamp,
    /// Whether a second is inserted or deleted.
    pub kind: LeapKind,
}

words_struct!(LeapSecond { boundary, kind });

impl LeapSecond {
    const fn map(self, counted: i128) -> i128 {
        let boundary = self.boundary.unix_nanos() as i128;
        let second = SECOND as i128;
        match self.kind {
            LeapKind::Inserted if counted < boundary => counted,
            // During the inserted second the axis stands still at midnight.
            LeapKind::Inserted if counted < boundary + second => boundary,
            LeapKind::Inserted => counted - second,
            LeapKind::Deleted if counted < boundary - second => counted,
            LeapKind::Deleted => counted + second,
        }
    }
}

impl LeapSecond {
    /// Returns the first count of seconds from before the leap that maps to `unix` or later.
    const fn first_at(self, unix: i128) -> i128 {
        let boundary = self.boundary.unix_nanos() as i128;
        let second = SECOND as i128;
        match self.kind {
            LeapKind::Inserted if unix <= boundary => unix,
            LeapKind::Inserted => unix + second,
            LeapKind::Deleted if unix < boundary - second => unix,
            LeapKind::Deleted if unix < boundary => boundary - second,
            LeapKind::Deleted => unix - second,
        }
    }
}

/// A statement: at raw instant `raw`, UTC was in `interval`.
///
/// With it go bounds on how fast true time may run against raw time, since then and before.
///
/// A claim can be carried to any other raw instant: the interval moves along with raw time and
/// widens on both sides by what the rate leaves open. Rounding always goes outward.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::time::{Claim, RateBounds};
///
/// let at_sync = Interval::new(
///     Timestamp::from_unix_nanos(1_000_000),
///     Timestamp::from_unix_nanos(3_000_000),
/// )?;
/// let claim = Claim::new(0, at_sync, RateBounds::symmetric(200_000));
/// // A second later: a second further on, and 200 µs wider on each side.
/// let later = claim.carry(1_000_000_000)?;
/// assert_eq!(later.earliest().unix_nanos(), 1_000_800_000);
/// assert_eq!(later.latest().unix_nanos(), 1_003_200_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    raw: i64,
    interval: Interval,
    rate: RateBounds,
    leap: Option<LeapSecond>,
}

words_struct!(Claim {
    raw,
    interval,
    rate,
    leap
});

impl Claim {
    /// Creates the claim that UTC was in `interval` at raw instant `raw` (ns).
    #[must_use]
    pub const fn new(raw: i64, interval: Interval, rate: RateBounds) -> Self {
        Self {
            raw,
            interval,
            rate,
            leap: None,
        }
    }

    /// Replaces the leap second on the claim's scale, or removes it.
    #[must_use]
    pub const fn with_leap(self, leap: Option<LeapSecond>) -> Self {
        Self { leap, ..self }
    }

    /// Replaces the bounds on the rate of true time against raw time.
    #[must_use]
    pub const fn with_rate(self, rate: RateBounds) -> Self {
        Self { rate, ..self }
    }

    /// Returns the raw instant that the claim is about, in ns.
    #[must_use]
    pub const fn raw(&self) -> i64 {
        self.raw
    }

    /// Returns the interval that UTC was in at that instant.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Returns the bounds on the rate of true time against raw time.
    #[must_use]
    pub const fn rate(&self) -> RateBounds {
        self.rate
    }

    /// Returns the leap second on the claim's scale, if one is near.
    #[must_use]
    pub const fn leap(&self) -> Option<LeapSecond> {
        self.leap
    }

    /// Carries the claim to raw instant `raw` (ns), earlier or later.
    ///
    /// # Errors
    ///
    /// [`RangeError::Timestamp`] if an end leaves the range of [`Timestamp`]: it is never wrapped or clamped.
    pub fn carry(&self, raw: i64) -> Result<Interval, RangeError> {
        let (earliest, latest) = (self.earliest_at(raw)?, self.latest_at(raw)?);
        // The ends cannot cross: the rate bounds are in order and the leap mapping is monotone.
        Interval::new(earliest, latest).map_err(|_| RangeError::Timestamp {
            unix_nanos: latest.unix_nanos().into(),
        })
    }

    /// Returns the earliest that UTC can be at raw instant `raw`.
    pub(crate) fn earliest_at(&self, raw: i64) -> Result<Timestamp, RangeError> {
        // In 128 bits: the product of any span and any rate fits, so nothing can wrap (T10).
        let dt = i128::from(raw) - i128::from(self.raw);
        // Back in time a fast rate takes the earliest end farthest back; forward in time a slow one
        // does.
        let rate = if dt < 0 {
            self.rate.hi_ppb
        } else {
            self.rate.lo_ppb
        };
        // Rounded down, whichever sign it has: the interval may only get wider.
        let drift = (dt * i128::from(rate)).div_euclid(BILLION);
        self.on_scale(i128::from(self.interval.earliest().unix_nanos()) + dt + drift)
    }

    /// Returns the latest that UTC can be at raw instant `raw`.
    pub(crate) fn latest_at(&self, raw: i64) -> Result<Timestamp, RangeError> {
        let dt = i128::from(raw) - i128::from(self.raw);
        let rate = if dt < 0 {
            self.rate.lo_ppb
        } else {
            self.rate.hi_ppb
        };
        // Rounded up, as the other end is rounded down.
        let drift = -(-(dt * i128::from(rate))).div_euclid(BILLION);
        self.on_scale(i128::from(self.interval.latest().unix_nanos()) + dt + drift)
    }

    /// Returns the first raw instant at which `instant` is surely past.
    ///
    /// Never before the claim's own instant; `None` if it lies beyond what raw time can count.
    pub(crate) fn past_at(&self, instant: Timestamp) -> Option<i64> {
        // Past is strictly less than the earliest end, so that has to reach the next nanosecond.
        let next = instant.unix_nanos().checked_add(1)?;
        // Raw time counts an inserted second which the axis leaves out, so the span is measured on
        // the count.
        let counted = self
            .leap
            .map_or(i128::from(next), |leap| leap.first_at(next.into()));
        let span = counted - i128::from(self.interval.earliest().unix_nanos());
        let rate = BILLION + i128::from(self.rate.lo_ppb);
        if span <= 0 {
            return Some(self.raw);
        }
        // True time might stand still against raw time: it never gets there.
        if rate <= 0 {
            return None;
        }
        // floor(dt * rate / 10⁹) reaches the span exactly when dt * rate reaches 10⁹ times it.
        let dt = -(-(span * BILLION)).div_euclid(rate);
        i64::try_from(i128::from(self.raw) + dt).ok()
    }

    fn on_scale(&self, counted: i128) -> Result<Timestamp, RangeError> {
        // Mapped last, end by end: the mapping is monotone, so it keeps the ends in order.
        let mapped = self.leap.map_or(counted, |leap| leap.map(counted));
        i64::try_from(mapped)
            .map(Timestamp::from_unix_nanos)
            .map_err(|_| RangeError::Timestamp { unix_nanos: mapped })
    }

    /// Returns how far this claim, carried along, misses the other's interval.
    ///
    /// `None` where they agree, or where this one cannot be carried so far and proves nothing.
    ///
    /// Two claims that miss each other cannot both be true: either one of them was false, or true
    /// time did not run within the rate bounds between them.
    #[must_use]
    pub fn contradiction(&self, other: &Self) -> Option<core::time::Duration> {
        // What cannot be carried so far proves nothing.
        let carried = self.carry(other.raw).ok()?;
        carried.gap(&other.interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_leap() -> impl Strategy<Value = Option<LeapSecond>> {
        prop_oneof![
            Just(None),
            Just(Some(LeapKind::Inserted)),
            Just(Some(LeapKind::Deleted))
        ]
        .prop_map(|kind| {
            kind.map(|kind| LeapSecond {
                boundary: Timestamp::from_unix_nanos(5_000_000_000),
                kind,
            })
        })
    }

    proptest! {
        /// T6: what a wait plans for is the very first instant at which it can end, on either side
        /// of a leap second too.
        #[test]
        fn t6_an_instant_is_past_at_the_planned_raw_instant_and_not_before(
            leap in any_leap(),
            earliest in 0_i64..8_000_000_000,
            ahead in -1_000_i64..8_000_000_000,
            lo in -300_000_i32..300_000,
        ) {
            let ends = Interval::point(Timestamp::from_unix_nanos(earliest));
            let rate = RateBounds::new(lo, 300_000).unwrap();
            let claim = Claim::new(77, ends, rate).with_leap(leap);
            let instant = Timestamp::from_unix_nanos(earliest + ahead);
            let planned = claim.past_at(instant).unwrap();
            prop_assert!(planned >= 77);
            prop_assert!(claim.earliest_at(planned).unwrap() > instant);
            if planned > 77 {
                prop_assert!(claim.earliest_at(planned - 1).unwrap() <= instant);
            }
        }
    }

    #[test]
    fn t10_the_last_instant_is_never_past() {
        let claim = Claim::new(
            0,
            Interval::point(Timestamp::UNIX_EPOCH),
            RateBounds::symmetric(200_000),
        );
        assert_eq!(claim.past_at(Timestamp::MAX), None);
        // Raw time, the slower one for all anybody knows, runs out first.
        let before = Timestamp::from_unix_nanos(i64::MAX - 1);
        assert_eq!(claim.past_at(before), None);
    }
}
