//! Conversions between the crate's times and those of `chrono`, both ways.

use chrono::{DateTime, TimeZone, Utc};

use crate::time::{Interval, IntervalError, RangeError, TimeDelta, Timestamp};

/// A second that `chrono` holds to be a leap one has this many nanoseconds and more.
const NANOS_PER_SEC: u32 = 1_000_000_000;

/// Exact for every timestamp. Needs the feature `chrono`.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use epsilon_clock::Timestamp;
///
/// let date = DateTime::<Utc>::from(Timestamp::from_unix_secs(1_795_153_800)?);
/// assert_eq!(date.to_string(), "2026-11-20 05:50:00 UTC");
/// # Ok::<(), epsilon_clock::time::RangeError>(())
/// ```
impl From<Timestamp> for DateTime<Utc> {
    fn from(timestamp: Timestamp) -> Self {
        // Takes any `i64`, as a timestamp does.
        DateTime::from_timestamp_nanos(timestamp.unix_nanos())
    }
}

/// Exact within the range, whatever the time zone, except inside a leap second, where the axis stands
/// still. Needs the feature `chrono`.
///
/// chrono writes an inserted second as nanoseconds from 1 000 000 000 up on the second before it. All of
/// them become the instant at which that second ends, the first of the next minute, so the conversion never
/// puts a later date before an earlier one. chrono has no table of leap seconds, and neither does this: a
/// date that claims to lie in one is believed.
///
/// ```
/// use chrono::{DateTime, FixedOffset, Utc};
/// use epsilon_clock::Timestamp;
///
/// // Half way through the leap second at the end of 2016.
/// let leap = DateTime::<Utc>::from_timestamp(1_483_228_799, 1_500_000_000).ok_or("no such date")?;
/// assert_eq!(leap.to_string(), "2016-12-31 23:59:60.500 UTC");
/// assert_eq!(Timestamp::try_from(leap)?.to_string(), "2017-01-01T00:00:00.000000000Z");
///
/// // An offset changes how an instant is written, not which one it is.
/// let berlin = FixedOffset::east_opt(3600).ok_or("no such offset")?;
/// let dawn = DateTime::<Utc>::from(Timestamp::from_unix_secs(1_795_153_800)?).with_timezone(&berlin);
/// assert_eq!(dawn.to_string(), "2026-11-20 06:50:00 +01:00");
/// assert_eq!(Timestamp::try_from(dawn)?, Timestamp::from_unix_secs(1_795_153_800)?);
///
/// assert!(Timestamp::try_from(DateTime::<Utc>::MAX_UTC).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<Z: TimeZone> TryFrom<DateTime<Z>> for Timestamp {
    type Error = RangeError;

    fn try_from(date: DateTime<Z>) -> Result<Timestamp, RangeError> {
        // Within a leap second chrono counts on past a billion; the axis stands still there, at its
        // end.
        let nanos = date.timestamp_subsec_nanos().min(NANOS_PER_SEC);
        Timestamp::from_parts(i128::from(date.timestamp()), i128::from(nanos))
    }
}

/// Exact for every span. Needs the feature `chrono`.
///
/// ```
/// use epsilon_clock::TimeDelta;
///
/// let back = chrono::TimeDelta::from(TimeDelta::from_nanos(-1_500));
/// assert_eq!(back.num_nanoseconds(), Some(-1_500));
/// ```
impl From<TimeDelta> for chrono::TimeDelta {
    fn from(delta: TimeDelta) -> Self {
        chrono::TimeDelta::nanoseconds(delta.nanos())
    }
}

/// Exact within [`TimeDelta::MIN`] to [`TimeDelta::MAX`]. Needs the feature `chrono`.
///
/// ```
/// use epsilon_clock::TimeDelta;
///
/// let span = TimeDelta::try_from(chrono::TimeDelta::milliseconds(-2))?;
/// assert_eq!(span, TimeDelta::from_nanos(-2_000_000));
/// assert!(TimeDelta::try_from(chrono::TimeDelta::MAX).is_err());
/// # Ok::<(), epsilon_clock::time::RangeError>(())
/// ```
impl TryFrom<chrono::TimeDelta> for TimeDelta {
    type Error = RangeError;

    fn try_from(delta: chrono::TimeDelta) -> Result<TimeDelta, RangeError> {
        let out_of_range = || RangeError::TimeDelta {
            nanos: i128::from(delta.num_seconds()) * i128::from(NANOS_PER_SEC)
                + i128::from(delta.subsec_nanos()),
        };
        // chrono counts milliseconds in an `i64`, so its spans reach a million times as far.
        let nanos = delta.num_nanoseconds().ok_or_else(out_of_range)?;
        Ok(TimeDelta::from_nanos(nanos))
    }
}

/// Both ends, earliest first; exact. Needs the feature `chrono`.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use epsilon_clock::{Interval, Timestamp};
///
/// let interval = Interval::point(Timestamp::UNIX_EPOCH);
/// let (earliest, latest): (DateTime<Utc>, DateTime<Utc>) = interval.into();
/// assert_eq!((earliest, latest), (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH));
/// ```
impl From<Interval> for (DateTime<Utc>, DateTime<Utc>) {
    fn from(interval: Interval) -> Self {
        (interval.earliest().into(), interval.latest().into())
    }
}

/// The interval between two dates, both included, in whatever time zone they are written. Needs the
/// feature `chrono`.
///
/// # Errors
///
/// [`IntervalError::Reversed`] where the second lies before the first, and [`IntervalError::End`] where one
/// is no timestamp.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use epsilon_clock::{Interval, Timestamp};
///
/// let (a, b) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::from_timestamp_nanos(7));
/// let interval = Interval::try_from((a, b))?;
/// assert_eq!(interval.latest(), Timestamp::from_unix_nanos(7));
/// assert!(Interval::try_from((b, a)).is_err());
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
impl<Z: TimeZone> TryFrom<(DateTime<Z>, DateTime<Z>)> for Interval {
    type Error = IntervalError;

    fn try_from((earliest, latest): (DateTime<Z>, DateTime<Z>)) -> Result<Interval, IntervalError> {
        Interval::new(earliest.try_into()?, latest.try_into()?)
    }
}
