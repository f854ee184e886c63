//! Claims: what was known of UTC at one raw instant, and what that says about any other.
#![forbid(unsafe_code)]

use thiserror::Error;

use crate::interval::Interval;
use crate::timestamp::Timestamp;

/// A billion: rates are parts per billion, instants nanoseconds.
const BILLION: i128 = 1_000_000_000;

/// One second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// How fast true time may run against raw time: one plus a rate in `[lo, hi]` parts per billion.
///
/// True seconds per raw second, that way round, so that `elapsed raw time × rate` is exact.
///
/// ```
/// use epsilon_clock::RateBounds;
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

impl RateBounds {
    /// Bounds from the slowest to the fastest rate in ppb; `None` if they are the wrong way round.
    #[must_use]
    pub const fn new(lo_ppb: i32, hi_ppb: i32) -> Option<Self> {
        if lo_ppb <= hi_ppb {
            Some(Self { lo_ppb, hi_ppb })
        } else {
            None
        }
    }

    /// Bounds of ±`max_drift_ppb`; beyond `i32::MAX` ppb, which is more than 200 %, they stay there.
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

    /// The slowest that true time may run against raw time, in ppb.
    #[must_use]
    pub const fn lo_ppb(self) -> i32 {
        self.lo_ppb
    }

    /// The fastest that true time may run against raw time, in ppb.
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

impl LeapSecond {
    /// Unix time of an instant that the count of seconds from before the leap calls `counted`.
    const fn map(self, counted: i128) -> i128 {
        let boundary = self.boundary.unix_nanos() as i128;
        let second = SECOND as i128;
        match self.kind {
            LeapKind::Inserted if counted < boundary => counted,
            LeapKind::Inserted if counted < boundary + second => boundary,
            LeapKind::Inserted => counted - second,
            LeapKind::Deleted if counted < boundary - second => counted,
            LeapKind::Deleted => counted + second,
        }
    }
}

/// "At raw instant `raw`, UTC was in `interval`", and how fast true time may run since and before.
///
/// A claim can be carried to any other raw instant: the interval moves along with raw time and
/// widens on both sides by what the rate leaves open. Rounding always goes outward.
///
/// ```
/// use epsilon_clock::{Claim, Interval, RateBounds, Timestamp};
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

impl Claim {
    /// The claim that UTC was in `interval` at raw instant `raw` (ns).
    #[must_use]
    pub const fn new(raw: i64, interval: Interval, rate: RateBounds) -> Self {
        Self {
            raw,
            interval,
            rate,
            leap: None,
        }
    }

    /// The same claim on a scale that has this leap second in it, or none.
    #[must_use]
    pub const fn with_leap(self, leap: Option<LeapSecond>) -> Self {
        Self { leap, ..self }
    }

    /// The raw instant that the claim is about, in ns.
    #[must_use]
    pub const fn raw(&self) -> i64 {
        self.raw
    }

    /// Where UTC was at that instant.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// How fast true time may run against raw time.
    #[must_use]
    pub const fn rate(&self) -> RateBounds {
        self.rate
    }

    /// The leap second on the claim's scale, if one is near.
    #[must_use]
    pub const fn leap(&self) -> Option<LeapSecond> {
        self.leap
    }

    /// Where UTC is at raw instant `raw` (ns), before or after the claim's own.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if an end leaves the range of [`Timestamp`]: it is never wrapped or clamped.
    pub fn carry(&self, raw: i64) -> Result<Interval, OutOfRange> {
        let interval = Interval::new(self.earliest_at(raw)?, self.latest_at(raw)?);
        // The ends cannot cross: the rate bounds are in order and the leap mapping is monotone.
        interval.map_err(|_| OutOfRange)
    }

    /// The earliest that UTC can be at raw instant `raw`.
    pub(crate) fn earliest_at(&self, raw: i64) -> Result<Timestamp, OutOfRange> {
        let dt = i128::from(raw) - i128::from(self.raw);
        let rate = if dt < 0 {
            self.rate.hi_ppb
        } else {
            self.rate.lo_ppb
        };
        let drift = (dt * i128::from(rate)).div_euclid(BILLION);
        self.on_scale(i128::from(self.interval.earliest().unix_nanos()) + dt + drift)
    }

    /// The latest that UTC can be at raw instant `raw`.
    pub(crate) fn latest_at(&self, raw: i64) -> Result<Timestamp, OutOfRange> {
        let dt = i128::from(raw) - i128::from(self.raw);
        let rate = if dt < 0 {
            self.rate.lo_ppb
        } else {
            self.rate.hi_ppb
        };
        let drift = -(-(dt * i128::from(rate))).div_euclid(BILLION);
        self.on_scale(i128::from(self.interval.latest().unix_nanos()) + dt + drift)
    }

    fn on_scale(&self, counted: i128) -> Result<Timestamp, OutOfRange> {
        let mapped = self.leap.map_or(counted, |leap| leap.map(counted));
        i64::try_from(mapped)
            .map(Timestamp::from_unix_nanos)
            .map_err(|_| OutOfRange)
    }

    /// How far this claim, carried to the other's instant, misses the other's interval; `None`
    /// where they agree (or where this one cannot be carried so far and proves nothing).
    ///
    /// Two claims that miss each other cannot both be true: either one of them was false, or true
    /// time did not run within the rate bounds between them.
    #[must_use]
    pub fn contradiction(&self, other: &Self) -> Option<core::time::Duration> {
        let carried = self.carry(other.raw).ok()?;
        carried.gap(&other.interval)
    }
}

/// A result does not fit the range of [`Timestamp`], 1677 to 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error(
    "the interval leaves the range of timestamps, years 1677 to 2262; check the machine's clock"
)]
pub struct OutOfRange;
