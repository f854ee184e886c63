//! A point on the UTC axis: arithmetic that never wraps, text that sorts, conversions that say when they cannot.

use std::fmt::{self, Write as _};
use std::str::{Chars, FromStr};
use std::time::{Duration, SystemTime};

use crate::words::words_struct;

const NANOS_PER_SEC: i64 = 1_000_000_000;
const SECS_PER_DAY: i64 = 86_400;

/// Turned over in the first byte, it adds 2^63: then bytes sort as signed numbers do.
const SIGN: u8 = 0x80;

/// An instant on the UTC axis: a count of nanoseconds since 1970-01-01T00:00:00Z, in an `i64`.
///
/// The range is [`Timestamp::MIN`] (1677-09-21T00:12:43.145224192Z) to [`Timestamp::MAX`]
/// (2262-04-11T23:47:16.854775807Z); every count in it is a valid instant.
///
/// There is no `Default`: the epoch is a real instant that lies safely in the past, and a forgotten field
/// that compares as "long over" is how a lease gets taken twice.
///
/// ```
/// use epsilon_clock::Timestamp;
///
/// let t: Timestamp = "2026-11-20T05:50:00.123456789Z".parse()?;
/// assert_eq!(t.unix_nanos(), 1_795_153_800_123_456_789);
/// assert_eq!(t.to_string(), "2026-11-20T05:50:00.123456789Z");
/// # Ok::<(), epsilon_clock::time::ParseTimestampError>(())
/// ```
///
/// # Comparisons
///
/// Timestamps are totally ordered, by their count. That says which *number* is larger, not which event came
/// first: a reading of a clock is an [`Interval`](crate::Interval), and two of those may be in neither order.
///
/// The text has a fixed width and years of four digits over the whole range, so it sorts as time does:
///
/// ```
/// use epsilon_clock::Timestamp;
///
/// let (a, b) = (Timestamp::from_unix_nanos(-1), Timestamp::UNIX_EPOCH);
/// assert!(a < b);
/// assert!(a.to_string() < b.to_string());
/// ```
///
/// # Arithmetic
///
/// There are no operators, because an operator can only panic or wrap at the edge of the range. The
/// `checked_` methods return `None` there; the `saturating_` ones stop at the edge, and their name says so.
/// Spans forward or back are [`Duration`]s; the difference of two timestamps is a [`TimeDelta`].
///
/// ```
/// use epsilon_clock::{TimeDelta, Timestamp};
/// use std::time::Duration;
///
/// let start = Timestamp::from_unix_secs(1_795_153_800)?;
/// let end = start.checked_add(Duration::from_millis(5)).ok_or("past the year 2262")?;
/// assert_eq!(end.checked_since(start), Some(TimeDelta::from_nanos(5_000_000)));
///
/// assert_eq!(Timestamp::MAX.checked_add(Duration::from_nanos(1)), None);
/// assert_eq!(Timestamp::MAX.saturating_add(Duration::from_nanos(1)), Timestamp::MAX);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Leap seconds
///
/// The axis is Unix time made monotone: it stands still during an inserted second and jumps over a deleted
/// one. Every day on it has 86 400 seconds, so a difference of two timestamps leaves out the leap seconds
/// between them, and `23:59:60` has no timestamp: during that second the axis stays at the midnight that
/// ends it, the same number as the first instant of the next day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    nanos: i64,
}

words_struct!(Timestamp { nanos });

impl Timestamp {
    /// The earliest timestamp, `i64::MIN` ns: 1677-09-21T00:12:43.145224192Z.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::Timestamp::MIN.to_string(), "1677-09-21T00:12:43.145224192Z");
    /// ```
    pub const MIN: Timestamp = Timestamp::from_unix_nanos(i64::MIN);

    /// The latest timestamp, `i64::MAX` ns: 2262-04-11T23:47:16.854775807Z.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::Timestamp::MAX.to_string(), "2262-04-11T23:47:16.854775807Z");
    /// ```
    pub const MAX: Timestamp = Timestamp::from_unix_nanos(i64::MAX);

    /// The Unix epoch, where the count is zero: 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::Timestamp::UNIX_EPOCH.unix_nanos(), 0);
    /// ```
    pub const UNIX_EPOCH: Timestamp = Timestamp::from_unix_nanos(0);

    /// Creates a timestamp from nanoseconds since the Unix epoch.
    ///
    /// Every `i64` is one.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_unix_nanos(1).to_string(), "1970-01-01T00:00:00.000000001Z");
    /// ```
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Timestamp {
        Timestamp { nanos }
    }

    /// Creates a timestamp from microseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`RangeError::Timestamp`] outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_unix_micros(-5)?.unix_nanos(), -5_000);
    /// assert!(Timestamp::from_unix_micros(i64::MAX).is_err());
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    pub const fn from_unix_micros(micros: i64) -> Result<Timestamp, RangeError> {
        Timestamp::from_units(micros, 1_000)
    }

    /// Creates a timestamp from milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`RangeError::Timestamp`] outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_unix_millis(1_500)?.unix_nanos(), 1_500_000_000);
    /// assert!(Timestamp::from_unix_millis(i64::MIN).is_err());
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    pub const fn from_unix_millis(millis: i64) -> Result<Timestamp, RangeError> {
        Timestamp::from_units(millis, 1_000_000)
    }

    /// Creates a timestamp from seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`RangeError::Timestamp`] outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// let t = Timestamp::from_unix_secs(1_795_153_800)?;
    /// assert_eq!(t.to_string(), "2026-11-20T05:50:00.000000000Z");
    ///
    /// // Milliseconds handed over as seconds do not pass for a date.
    /// assert!(Timestamp::from_unix_secs(1_795_153_800_000).is_err());
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    pub const fn from_unix_secs(secs: i64) -> Result<Timestamp, RangeError> {
        Timestamp::from_units(secs, NANOS_PER_SEC)
    }

    /// Returns the nanoseconds since the Unix epoch, negative before it.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_unix_nanos(-7).unix_nanos(), -7);
    /// ```
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.nanos
    }

    /// Encodes the instant in eight bytes that sort as instants do.
    ///
    /// They hold the nanoseconds since the Unix epoch plus 2^63, most significant byte first, so that
    /// instants before 1970 sort before those after. As a part of a key:
    /// [`guide::formats`](crate::guide::formats#the-key-of-an-mvcc-store).
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// let (before, after) = (Timestamp::from_unix_nanos(-1), Timestamp::UNIX_EPOCH);
    /// assert_eq!(after.to_be_bytes(), [0x80, 0, 0, 0, 0, 0, 0, 0]);
    /// assert!(before.to_be_bytes() < after.to_be_bytes());
    /// assert_eq!(Timestamp::from_be_bytes(before.to_be_bytes()), before);
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        // Without the turn, instants before 1970 would sort after all others.
        let [a, b, c, d, e, f, g, h] = self.nanos.to_be_bytes();
        [a ^ SIGN, b, c, d, e, f, g, h]
    }

    /// Decodes an instant from eight bytes; every eight are one.
    ///
    /// Of a slice, use `Timestamp::try_from(bytes)`. Bytes that were never written come out as
    /// [`Timestamp::MIN`].
    ///
    /// ```
    /// # use epsilon_clock::Timestamp;
    /// assert_eq!(Timestamp::from_be_bytes([0; 8]), Timestamp::MIN);
    /// assert_eq!(Timestamp::from_be_bytes([0xff; 8]), Timestamp::MAX);
    /// ```
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Timestamp {
        let [a, b, c, d, e, f, g, h] = bytes;
        Timestamp::from_unix_nanos(i64::from_be_bytes([a ^ SIGN, b, c, d, e, f, g, h]))
    }

    /// Moves the instant forward by `span`; `None` past [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// // A span may be wider than an i64 of nanoseconds, as long as the sum is in range.
    /// let whole_range = Duration::from_nanos(u64::MAX);
    /// assert_eq!(Timestamp::MIN.checked_add(whole_range), Some(Timestamp::MAX));
    /// assert_eq!(Timestamp::UNIX_EPOCH.checked_add(whole_range), None);
    /// ```
    #[must_use]
    pub const fn checked_add(self, span: Duration) -> Option<Timestamp> {
        match whole_nanos(span) {
            Some(nanos) => from_checked(self.nanos.checked_add_unsigned(nanos)),
            None => None,
        }
    }

    /// Moves the instant back by `span`; `None` before [`Timestamp::MIN`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// let t = Timestamp::UNIX_EPOCH.checked_sub(Duration::from_nanos(3));
    /// assert_eq!(t, Some(Timestamp::from_unix_nanos(-3)));
    /// assert_eq!(Timestamp::MIN.checked_sub(Duration::from_nanos(1)), None);
    /// ```
    #[must_use]
    pub const fn checked_sub(self, span: Duration) -> Option<Timestamp> {
        match whole_nanos(span) {
            Some(nanos) => from_checked(self.nanos.checked_sub_unsigned(nanos)),
            None => None,
        }
    }

    /// Moves the instant by a signed span.
    ///
    /// `None` outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::{TimeDelta, Timestamp};
    ///
    /// let back = TimeDelta::from_nanos(-3);
    /// assert_eq!(Timestamp::UNIX_EPOCH.checked_add_delta(back), Some(Timestamp::from_unix_nanos(-3)));
    /// assert_eq!(Timestamp::MIN.checked_add_delta(back), None);
    /// ```
    #[must_use]
    pub const fn checked_add_delta(self, delta: TimeDelta) -> Option<Timestamp> {
        from_checked(self.nanos.checked_add(delta.nanos))
    }

    /// Moves the instant forward by `span`, at most to [`Timestamp::MAX`].
    ///
    /// Right for a deadline ("no later than"); wrong for a bound on time, which it would make too early.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp::UNIX_EPOCH.saturating_add(Duration::MAX), Timestamp::MAX);
    /// ```
    #[must_use]
    pub const fn saturating_add(self, span: Duration) -> Timestamp {
        match self.checked_add(span) {
            Some(later) => later,
            None => Timestamp::MAX,
        }
    }

    /// Moves the instant back by `span`, at most to [`Timestamp::MIN`].
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp::UNIX_EPOCH.saturating_sub(Duration::MAX), Timestamp::MIN);
    /// ```
    #[must_use]
    pub const fn saturating_sub(self, span: Duration) -> Timestamp {
        match self.checked_sub(span) {
            Some(earlier) => earlier,
            None => Timestamp::MIN,
        }
    }

    /// Moves the instant by a signed span, within the range.
    ///
    /// It stops at [`Timestamp::MIN`] or [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::{TimeDelta, Timestamp};
    ///
    /// assert_eq!(Timestamp::MIN.saturating_add_delta(TimeDelta::from_nanos(-1)), Timestamp::MIN);
    /// assert_eq!(Timestamp::MAX.saturating_add_delta(TimeDelta::from_nanos(1)), Timestamp::MAX);
    /// ```
    #[must_use]
    pub const fn saturating_add_delta(self, delta: TimeDelta) -> Timestamp {
        Timestamp::from_unix_nanos(self.nanos.saturating_add(delta.nanos))
    }

    /// Returns the signed span from `origin` to this instant.
    ///
    /// `None` where the difference exceeds an `i64` of nanoseconds (some 292 years).
    ///
    /// [`Timestamp::abs_diff`] is exact over the whole range.
    ///
    /// ```
    /// use epsilon_clock::{TimeDelta, Timestamp};
    ///
    /// let (a, b) = (Timestamp::from_unix_nanos(10), Timestamp::from_unix_nanos(15));
    /// assert_eq!(a.checked_since(b), Some(TimeDelta::from_nanos(-5)));
    /// assert_eq!(Timestamp::MAX.checked_since(Timestamp::MIN), None);
    /// ```
    #[must_use]
    pub const fn checked_since(self, origin: Timestamp) -> Option<TimeDelta> {
        match self.nanos.checked_sub(origin.nanos) {
            Some(nanos) => Some(TimeDelta { nanos }),
            None => None,
        }
    }

    /// Returns the signed span from `origin`, within [`TimeDelta`]'s range.
    ///
    /// It stops at [`TimeDelta::MIN`] or [`TimeDelta::MAX`].
    ///
    /// ```
    /// use epsilon_clock::{TimeDelta, Timestamp};
    ///
    /// assert_eq!(Timestamp::MAX.saturating_since(Timestamp::MIN), TimeDelta::MAX);
    /// assert_eq!(Timestamp::MIN.saturating_since(Timestamp::MAX), TimeDelta::MIN);
    /// ```
    #[must_use]
    pub const fn saturating_since(self, origin: Timestamp) -> TimeDelta {
        TimeDelta::from_nanos(self.nanos.saturating_sub(origin.nanos))
    }

    /// Returns the distance between two instants, in either order.
    ///
    /// Exact over the whole range.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp::MIN.abs_diff(Timestamp::MAX), Duration::from_nanos(u64::MAX));
    /// ```
    #[must_use]
    pub const fn abs_diff(self, other: Timestamp) -> Duration {
        Duration::from_nanos(self.nanos.abs_diff(other.nanos))
    }

    /// Returns true if this day, counted from 1970-01-01, begins a month.
    pub(crate) fn day_begins_a_month(unix_days: i64) -> bool {
        Date::from_unix_days(unix_days).day == 1
    }

    /// Whether this day, counted from 1970-01-01, is a 1 January or a 1 July: the days before are
    /// those that leap seconds have always been put at the end of.
    pub(crate) fn day_begins_a_half_year(unix_days: i64) -> bool {
        let date = Date::from_unix_days(unix_days);
        date.day == 1 && matches!(date.month, 1 | 7)
    }

    const fn from_units(count: i64, nanos_per_unit: i64) -> Result<Timestamp, RangeError> {
        match count.checked_mul(nanos_per_unit) {
            Some(nanos) => Ok(Timestamp { nanos }),
            // In 128 bits the exact figure still fits, and it tells which unit was mistaken for
            // which.
            None => Err(RangeError::Timestamp {
                unix_nanos: count as i128 * nanos_per_unit as i128,
            }),
        }
    }

    /// Creates a timestamp from seconds plus nanoseconds, however many.
    ///
    /// In 128 bits, because the second that [`Timestamp::MIN`] lies in begins before it.
    pub(crate) fn from_parts(secs: i128, nanos: i128) -> Result<Timestamp, RangeError> {
        // In 128 bits, because the second that the least timestamp lies in begins before it.
        let unix_nanos = secs * i128::from(NANOS_PER_SEC) + nanos;
        i64::try_from(unix_nanos)
            .map(Timestamp::from_unix_nanos)
            .map_err(|_| RangeError::Timestamp { unix_nanos })
    }
}

const fn from_checked(nanos: Option<i64>) -> Option<Timestamp> {
    match nanos {
        Some(nanos) => Some(Timestamp { nanos }),
        None => None,
    }
}

const fn whole_nanos(span: Duration) -> Option<u64> {
    match span.as_secs().checked_mul(1_000_000_000) {
        // No longer span than this joins two timestamps, so what does not fit is out of range
        // anyway.
        Some(nanos) => nanos.checked_add(span.subsec_nanos() as u64),
        None => None,
    }
}

/// A signed span of time in `i64` nanoseconds: what lies between two [`Timestamp`]s.
///
/// Prints exactly, with its sign and in the largest unit that leaves a whole part: `+1.5ms`, `-35s`, `+0ns`.
///
/// ```
/// use epsilon_clock::{TimeDelta, Timestamp};
///
/// let offset = Timestamp::from_unix_nanos(1_000).saturating_since(Timestamp::from_unix_nanos(2_500));
/// assert_eq!(offset, TimeDelta::from_nanos(-1_500));
/// assert_eq!(offset.to_string(), "-1.5µs");
/// ```
///
/// # Comparisons
///
/// Spans are ordered by their signed count: a negative one is less than [`TimeDelta::ZERO`]. Compare
/// [`TimeDelta::unsigned_abs`] to ask which is longer.
///
/// # Arithmetic
///
/// Added to a timestamp by [`Timestamp::checked_add_delta`] and [`Timestamp::saturating_add_delta`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeDelta {
    nanos: i64,
}

impl TimeDelta {
    /// No time at all.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::TimeDelta::ZERO.nanos(), 0);
    /// ```
    pub const ZERO: TimeDelta = TimeDelta::from_nanos(0);

    /// The longest span back, `i64::MIN` ns, some −292 years.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::TimeDelta::MIN.nanos(), i64::MIN);
    /// ```
    pub const MIN: TimeDelta = TimeDelta::from_nanos(i64::MIN);

    /// The longest span forward, `i64::MAX` ns, some 292 years.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::TimeDelta::MAX.nanos(), i64::MAX);
    /// ```
    pub const MAX: TimeDelta = TimeDelta::from_nanos(i64::MAX);

    /// Creates a span from nanoseconds; every `i64` is one.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::TimeDelta::from_nanos(-8).to_string(), "-8ns");
    /// ```
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> TimeDelta {
        TimeDelta { nanos }
    }

    /// Creates a span forward; `None` where longer than [`TimeDelta::MAX`].
    ///
    /// ```
    /// use epsilon_clock::TimeDelta;
    /// use std::time::Duration;
    ///
    /// let delta = TimeDelta::from_duration(Duration::from_micros(3));
    /// assert_eq!(delta, Some(TimeDelta::from_nanos(3_000)));
    /// assert_eq!(TimeDelta::from_duration(Duration::MAX), None);
    /// ```
    #[must_use]
    pub const fn from_duration(span: Duration) -> Option<TimeDelta> {
        match whole_nanos(span) {
            // From zero, so that a span past `i64::MAX` is refused and not wrapped.
            Some(nanos) => match 0_i64.checked_add_unsigned(nanos) {
                Some(nanos) => Some(TimeDelta { nanos }),
                None => None,
            },
            None => None,
        }
    }

    /// Returns the span in nanoseconds, negative for a span back.
    ///
    /// ```
    /// assert_eq!(epsilon_clock::TimeDelta::from_nanos(-8).nanos(), -8);
    /// ```
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// Returns the length without its sign, exact even for [`TimeDelta::MIN`].
    ///
    /// ```
    /// use epsilon_clock::TimeDelta;
    /// use std::time::Duration;
    ///
    /// assert_eq!(TimeDelta::from_nanos(-8).unsigned_abs(), Duration::from_nanos(8));
    /// assert_eq!(TimeDelta::MIN.unsigned_abs(), Duration::from_nanos(1 << 63));
    /// ```
    #[must_use]
    pub const fn unsigned_abs(self) -> Duration {
        Duration::from_nanos(self.nanos.unsigned_abs())
    }

    /// Returns true for a span back, false for [`TimeDelta::ZERO`].
    ///
    /// ```
    /// use epsilon_clock::TimeDelta;
    ///
    /// assert!(TimeDelta::from_nanos(-1).is_negative());
    /// assert!(!TimeDelta::ZERO.is_negative());
    /// ```
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.nanos.is_negative()
    }
}

/// Exact, with `+` or `-` always there (zero is `+0ns`) and no trailing zeros after the point.
impl fmt::Display for TimeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Unsigned, as `i64::MIN` has no positive counterpart.
        let length = self.nanos.unsigned_abs();
        let (per_unit, mut places, unit) = match length {
            0..1_000 => (1, 0_usize, "ns"),
            1_000..1_000_000 => (1_000, 3, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
            _ => (1_000_000_000, 9, "s"),
        };
        let (whole, mut part) = (length / per_unit, length % per_unit);
        // Exact, and no digits that say nothing: `+1.5ms`, never `+1.500000ms`.
        while places > 0 && part % 10 == 0 {
            part /= 10;
            places -= 1;
        }
        let sign = if self.is_negative() { '-' } else { '+' };
        let mut line = Line::new();
        write!(line, "{sign}{whole}")?;
        if places > 0 {
            write!(line, ".{part:0places$}")?;
        }
        line.write_str(unit)?;
        line.pad(f)
    }
}

/// A value that the type asked for cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The instant lies before [`Timestamp::MIN`] or after [`Timestamp::MAX`].
    #[error(
        "{unix_nanos} ns since the Unix epoch lies outside {min} to {max}, all that a timestamp holds; \
         check that the number is in the unit it was handed over as",
        min = Timestamp::MIN,
        max = Timestamp::MAX
    )]
    #[non_exhaustive]
    Timestamp {
        /// The instant asked for, in nanoseconds since the Unix epoch.
        unix_nanos: i128,
    },
    /// The span is longer than a [`TimeDelta`] holds, some 292 years either way.
    #[error(
        "a span of {nanos} ns lies outside what a time delta holds, {min} to {max} ns; \
         check that the number is in the unit it was handed over as",
        min = i64::MIN,
        max = i64::MAX
    )]
    #[non_exhaustive]
    TimeDelta {
        /// The span asked for, in nanoseconds.
        nanos: i128,
    },
    /// The platform's [`SystemTime`] does not reach this instant.
    #[error(
        "{timestamp} lies outside what SystemTime holds on this platform; \
         keep the timestamp, or hand over its nanoseconds"
    )]
    #[non_exhaustive]
    SystemTime {
        /// The instant that was to be converted.
        timestamp: Timestamp,
    },
    /// The instant lies outside what the physical part of a stamp holds.
    #[error("{instant} lies outside {least} to {most}, all that a stamp of eight bytes holds")]
    #[non_exhaustive]
    Physical {
        /// The instant asked for.
        instant: Timestamp,
        /// The first instant that a stamp can have.
        least: Timestamp,
        /// The last instant that a stamp can have.
        most: Timestamp,
    },
    /// The instant is not a whole number of microseconds.
    #[error("{instant} is not a whole number of microseconds: round it to the side that is safe")]
    #[non_exhaustive]
    Fraction {
        /// The instant asked for.
        instant: Timestamp,
    },
    /// The counter is larger than the stamp has room for.
    #[error("the counter {logical} is larger than {most}: it would spill into the physical part")]
    #[non_exhaustive]
    Counter {
        /// The counter asked for.
        logical: u64,
        /// The largest counter of such a stamp.
        most: u64,
    },
    /// The node id is larger than a UUID has room for.
    #[error(
        "the node id {node:#x} is larger than {most:#x}, all that a UUID of version 7 has room for"
    )]
    #[non_exhaustive]
    Node {
        /// The node id.
        node: u64,
        /// The largest that there is room for.
        most: u64,
    },
}

/// Takes the time of the system's clock as it stands, with no word on how wrong it may be.
///
/// ```
/// use epsilon_clock::Timestamp;
/// use std::time::{Duration, SystemTime};
///
/// let t = Timestamp::try_from(SystemTime::UNIX_EPOCH + Duration::from_secs(1))?;
/// assert_eq!(t.unix_nanos(), 1_000_000_000);
/// # Ok::<(), epsilon_clock::time::RangeError>(())
/// ```
impl TryFrom<SystemTime> for Timestamp {
    type Error = RangeError;

    fn try_from(time: SystemTime) -> Result<Timestamp, RangeError> {
        // `duration_since` fails before the epoch and hands over how long before: an answer as good
        // as the other.
        let (sign, span) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (1, after),
            Err(before) => (-1, before.duration()),
        };
        Timestamp::from_parts(
            sign * i128::from(span.as_secs()),
            sign * i128::from(span.subsec_nanos()),
        )
    }
}

/// Exact wherever [`SystemTime`] counts nanoseconds, as on Linux; where it is coarser (100 ns on Windows)
/// the standard library rounds.
///
/// ```
/// use epsilon_clock::Timestamp;
/// use std::time::{Duration, SystemTime};
///
/// let time = SystemTime::try_from(Timestamp::from_unix_secs(-1)?)?;
/// assert_eq!(time, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
/// # Ok::<(), epsilon_clock::time::RangeError>(())
/// ```
impl TryFrom<Timestamp> for SystemTime {
    type Error = RangeError;

    fn try_from(timestamp: Timestamp) -> Result<SystemTime, RangeError> {
        let span = timestamp.abs_diff(Timestamp::UNIX_EPOCH);
        if timestamp < Timestamp::UNIX_EPOCH {
            SystemTime::UNIX_EPOCH.checked_sub(span)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(span)
        }
        .ok_or(RangeError::SystemTime { timestamp })
    }
}

/// RFC 3339 in UTC with nine digits and `Z`, always 30 bytes: `2026-11-20T05:50:00.123456789Z`.
///
/// Width, fill and alignment are honoured, and a precision cuts the text off, all as for a `str`. Nothing is
/// allocated.
///
/// ```
/// use epsilon_clock::Timestamp;
///
/// assert_eq!(Timestamp::UNIX_EPOCH.to_string(), "1970-01-01T00:00:00.000000000Z");
/// assert_eq!(format!("{:>32}", Timestamp::UNIX_EPOCH), "  1970-01-01T00:00:00.000000000Z");
/// ```
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (
            // Euclidean, so that instants before 1970 count down to their second and up within it.
            self.nanos.div_euclid(NANOS_PER_SEC),
            self.nanos.rem_euclid(NANOS_PER_SEC),
        );
        let (days, second_of_day) = (secs.div_euclid(SECS_PER_DAY), secs.rem_euclid(SECS_PER_DAY));
        let Date { year, month, day } = Date::from_unix_days(days);
        let (minute_of_day, second) = (second_of_day / 60, second_of_day % 60);
        let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
        let mut line = Line::new();
        // By hand: seven numbers through the formatting machinery took 40 ns more, of a line's 300.
        for (number, width, after) in [
            (year, 4, "-"),
            (month, 2, "-"),
            (day, 2, "T"),
            (hour, 2, ":"),
            (minute, 2, ":"),
            (second, 2, "."),
            (nanos, 9, "Z"),
        ] {
            line.write_digits(number.unsigned_abs(), width)?;
            line.write_str(after)?;
        }
        line.pad(f)
    }
}

/// The text of [`Display`](fmt::Display) in brackets: a date says more in a failed test than 19 digits.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

/// Reads exactly what [`Display`](fmt::Display) prints: `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ` and nothing else.
///
/// RFC 3339 allows a lower-case `t` or `z`, other offsets and any number of digits; this does not, so that
/// equal instants have equal texts and the text can be a key. A second `60` is refused, because Unix time
/// has no such instant: it is for the writer to say which neighbour was meant.
///
/// ```
/// use epsilon_clock::Timestamp;
///
/// assert!("2026-11-20T05:50:00.123456789Z".parse::<Timestamp>().is_ok());
/// assert!("2026-11-20T05:50:00.123Z".parse::<Timestamp>().is_err());
/// assert!("2026-11-20 05:50:00.123456789Z".parse::<Timestamp>().is_err());
/// assert!("2016-12-31T23:59:60.000000000Z".parse::<Timestamp>().is_err());
///
/// let error = "2026-02-29T00:00:00.000000000Z".parse::<Timestamp>().unwrap_err();
/// assert_eq!(error.to_string(), "day 29 at byte 8 is not within 1 to 28; write a date of the calendar");
/// ```
impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Timestamp, ParseTimestampError> {
        let mut reader = Reader::new(text);
        let year = reader.number(4)?;
        reader.literal('-', "`-`")?;
        let month = reader.field("month", 1, 12)?;
        reader.literal('-', "`-`")?;
        let day = reader.field("day", 1, days_in_month(year, month))?;
        reader.literal('T', "`T`")?;
        let hour = reader.field("hour", 0, 23)?;
        reader.literal(':', "`:`")?;
        let minute = reader.field("minute", 0, 59)?;
        reader.literal(':', "`:`")?;
        let second = reader.second()?;
        reader.literal('.', "`.`")?;
        let nanos = reader.number(9)?;
        reader.literal('Z', "`Z`")?;
        reader.end()?;

        // Years up to 9999 overflow only at the conversion, which is checked.
        let days = Date { year, month, day }.unix_days();
        let secs = days * SECS_PER_DAY + hour * 3_600 + minute * 60 + second;
        Ok(Timestamp::from_parts(i128::from(secs), i128::from(nanos))?)
    }
}

/// Why a text is not a timestamp, and at which byte.
///
/// ```
/// use epsilon_clock::Timestamp;
/// use epsilon_clock::time::ParseTimestampError;
///
/// let error = "2026-11-20t05:50:00.123456789Z".parse::<Timestamp>().unwrap_err();
/// assert!(matches!(error, ParseTimestampError::Unexpected { found: 't', .. }));
/// assert_eq!(error.at(), 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTimestampError {
    /// The text ends too early.
    #[error(
        "text ends at byte {at}, before {expected}; write it as YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ"
    )]
    #[non_exhaustive]
    Incomplete {
        /// The length of the text in bytes.
        at: usize,
        /// What should have followed.
        expected: &'static str,
    },
    /// A character is not the one that belongs in its place.
    #[error(
        "{found:?} at byte {at} should be {expected}; write it as YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ"
    )]
    #[non_exhaustive]
    Unexpected {
        /// The byte at which the character starts.
        at: usize,
        /// The character there.
        found: char,
        /// What belongs there.
        expected: &'static str,
    },
    /// Something follows the `Z`.
    #[error("text goes on at byte {at}, after the `Z`; remove what follows it")]
    #[non_exhaustive]
    Trailing {
        /// The byte after the `Z`.
        at: usize,
    },
    /// A number that the calendar or the day does not have, such as February 29 in a common year.
    #[error(
        "{field} {value} at byte {at} is not within {least} to {most}; write a date of the calendar"
    )]
    #[non_exhaustive]
    Field {
        /// The byte at which the field starts.
        at: usize,
        /// The field: `month`, `day`, `hour`, `minute` or `second`.
        field: &'static str,
        /// The number found.
        value: i64,
        /// The least number allowed there.
        least: i64,
        /// The largest number allowed there.
        most: i64,
    },
    /// A second `60`: Unix time has no such instant.
    #[error(
        "second 60 at byte {at} names no instant of Unix time; write :59 or the minute that follows"
    )]
    #[non_exhaustive]
    LeapSecond {
        /// The byte at which the seconds start.
        at: usize,
    },
    /// A real date and time, but before [`Timestamp::MIN`] or after [`Timestamp::MAX`].
    #[error(transparent)]
    Range(#[from] RangeError),
}

impl ParseTimestampError {
    /// Returns the byte at which the fault shows, counted from 0.
    ///
    /// It is 0 where the whole date is out of range.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    ///
    /// let error = "2026-13-01T00:00:00.000000000Z".parse::<Timestamp>().unwrap_err();
    /// assert_eq!(error.at(), 5);
    /// ```
    #[must_use]
    pub fn at(&self) -> usize {
        match *self {
            ParseTimestampError::Incomplete { at, .. }
            | ParseTimestampError::Unexpected { at, .. }
            | ParseTimestampError::Trailing { at }
            | ParseTimestampError::Field { at, .. }
            | ParseTimestampError::LeapSecond { at } => at,
            ParseTimestampError::Range(_) => 0,
        }
    }
}

/// Walks a text once, from the left; every character it accepts is one byte long.
struct Reader<'t> {
    rest: Chars<'t>,
    at: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Reader<'t> {
        Reader {
            rest: text.chars(),
            at: 0,
        }
    }

    fn next<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(char) -> Option<T>,
    ) -> Result<T, ParseTimestampError> {
        let at = self.at;
        let found = self
            .rest
            .next()
            .ok_or(ParseTimestampError::Incomplete { at, expected })?;
        let value = read(found).ok_or(ParseTimestampError::Unexpected {
            at,
            found,
            expected,
        })?;
        self.at += 1;
        Ok(value)
    }

    fn literal(&mut self, wanted: char, expected: &'static str) -> Result<(), ParseTimestampError> {
        self.next(expected, |found| (found == wanted).then_some(()))
    }

    fn number(&mut self, digits: usize) -> Result<i64, ParseTimestampError> {
        let mut value = 0;
        for _ in 0..digits {
            // `to_digit` knows ASCII alone: the digits of other scripts are refused here.
            value = value * 10 + self.next("a digit", |found| found.to_digit(10).map(i64::from))?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        field: &'static str,
        least: i64,
        most: i64,
    ) -> Result<i64, ParseTimestampError> {
        let at = self.at;
        let value = self.number(2)?;
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(ParseTimestampError::Field {
                at,
                field,
                value,
                least,
                most,
            })
        }
    }

    fn second(&mut self) -> Result<i64, ParseTimestampError> {
        let at = self.at;
        // A 60 gets an error of its own: the text may be right, and it is Unix time that has no
        // such instant.
        match self.field("second", 0, 59) {
            Err(ParseTimestampError::Field { value: 60, .. }) => {
                Err(ParseTimestampError::LeapSecond { at })
            }
            other => other,
        }
    }

    fn end(mut self) -> Result<(), ParseTimestampError> {
        match self.rest.next() {
            Some(_) => Err(ParseTimestampError::Trailing { at: self.at }),
            None => Ok(()),
        }
    }
}

/// A day of the Gregorian calendar, carried back before its adoption as RFC 3339 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// The calendar repeats after 400 years of this many days in all.
const DAYS_PER_CYCLE: i64 = 400 * 365 + 97;

impl Date {
    fn unix_days(self) -> i64 {
        let months: i64 = (1..self.month)
            .map(|month| days_in_month(self.year, month))
            .sum();
        days_before_year(self.year) - days_before_year(1970) + months + self.day - 1
    }

    /// The date of a day counted from 1970-01-01.
    ///
    /// The mean year of a cycle is 365.2425 days. A real year starts less than one day after the multiple of
    /// it that it stands for, and less than two days before: its leap days are 97/400 of the years gone by,
    /// in whole days. So dividing by the mean year never names a year too late, and at worst the year before
    /// the right one, in that one's last days; one look at where the next year starts settles it. The months
    /// are walked: at most eleven steps, and none of the usual shifting of the year's start to March.
    fn from_unix_days(unix_days: i64) -> Date {
        let days = unix_days + days_before_year(1970);
        let guess = (days * 400).div_euclid(DAYS_PER_CYCLE) + 1;
        let year = if days < days_before_year(guess + 1) {
            guess
        } else {
            guess + 1
        };
        let mut day = days - days_before_year(year) + 1;
        let mut month = 1;
        while day > days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        Date { year, month, day }
    }
}

const fn days_before_year(year: i64) -> i64 {
    let gone = year - 1;
    gone * 365 + gone.div_euclid(4) - gone.div_euclid(100) + gone.div_euclid(400)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// A line of text on the stack.
///
/// With it `Display` can pad what it composed without allocating.
pub(crate) struct Line {
    bytes: [u8; Line::CAPACITY],
    length: usize,
}

impl Line {
    /// More than the longest line, an interval of the whole range: 30 bytes of date, 3 of ` ±`, 15 of seconds.
    const CAPACITY: usize = 64;

    pub(crate) const fn new() -> Line {
        Line {
            bytes: [0; Line::CAPACITY],
            length: 0,
        }
    }

    fn write_digits(&mut self, mut number: u64, width: usize) -> fmt::Result {
        // A line too long is an error to the formatter; nothing is cut.
        let end = self.length.checked_add(width).ok_or(fmt::Error)?;
        let free = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        for place in free.iter_mut().rev() {
            let [digit, ..] = (number % 10).to_le_bytes();
            *place = b'0' + digit;
            number /= 10;
        }
        self.length = end;
        Ok(())
    }

    pub(crate) fn pad(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.bytes.get(..self.length).ok_or(fmt::Error)?;
        f.pad(std::str::from_utf8(written).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        let free = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every day of the range by the rules of the calendar alone, both ways.
    #[test]
    fn every_day_of_the_range_has_its_date() {
        let mut date = Date {
            year: 1677,
            month: 9,
            day: 21,
        };
        let first = i64::MIN.div_euclid(NANOS_PER_SEC * SECS_PER_DAY);
        let last = i64::MAX.div_euclid(NANOS_PER_SEC * SECS_PER_DAY);
        for days in first..=last {
            assert_eq!(Date::from_unix_days(days), date);
            assert_eq!(date.unix_days(), days);
            date = day_after(date);
        }
        assert_eq!(
            date,
            Date {
                year: 2262,
                month: 4,
                day: 12
            }
        );
    }

    /// Written apart from the code under test: a leap year is one whose February has a 29th.
    fn day_after(Date { year, month, day }: Date) -> Date {
        let leap = match (year % 4, year % 100, year % 400) {
            (_, _, 0) => true,
            (_, 0, _) => false,
            (0, _, _) => true,
            _ => false,
        };
        let lengths = [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        let length = lengths
            .iter()
            .zip(1..)
            .find(|&(_, number)| number == month)
            .map(|(&length, _)| length);
        if Some(day) != length {
            Date {
                year,
                month,
                day: day + 1,
            }
        } else if month < 12 {
            Date {
                year,
                month: month + 1,
                day: 1,
            }
        } else {
            Date {
                year: year + 1,
                month: 1,
                day: 1,
            }
        }
    }

    #[test]
    fn years_outside_the_range_still_have_true_day_numbers() {
        // The parser meets these on its way to a range error, and must not take one for a date in range.
        assert_eq!(
            Date {
                year: 0,
                month: 1,
                day: 1
            }
            .unix_days(),
            -719_528
        );
        assert_eq!(
            Date {
                year: 1,
                month: 1,
                day: 1
            }
            .unix_days(),
            -719_162
        );
        assert_eq!(
            Date {
                year: 9999,
                month: 12,
                day: 31
            }
            .unix_days(),
            2_932_896
        );
        for days in -719_528..-719_528 + 800 * 366 {
            assert_eq!(Date::from_unix_days(days).unix_days(), days);
        }
    }

    #[test]
    fn a_line_refuses_what_does_not_fit_and_keeps_the_rest() {
        let mut line = Line::new();
        assert!(line.write_str(&"x".repeat(Line::CAPACITY)).is_ok());
        assert!(line.write_str("x").is_err());
        assert_eq!(line.length, Line::CAPACITY);
    }

    #[test]
    fn whole_nanos_ends_where_u64_does() {
        assert_eq!(whole_nanos(Duration::from_nanos(u64::MAX)), Some(u64::MAX));
        assert_eq!(
            whole_nanos(Duration::from_nanos(u64::MAX) + Duration::from_nanos(1)),
            None
        );
        assert_eq!(whole_nanos(Duration::MAX), None);
    }
}
