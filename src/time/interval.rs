//! A stretch of the UTC axis that true time lies in, and what two of them say about order.

use super::timestamp::{Line, RangeError, Timestamp};
use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::words::{WordReader, WordWriter, Words};

/// A closed stretch of the UTC axis, `[earliest, latest]`: true time is one of the instants in it.
///
/// Both ends belong to it, `earliest <= latest` always holds, and a single instant is the shortest.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use std::time::Duration;
///
/// let t: Timestamp = "2026-11-20T05:50:00.123456789Z".parse()?;
/// let now = Interval::around(t, Duration::from_micros(1_204))?;
/// assert!(now.contains(t));
/// assert_eq!(now.to_string(), "2026-11-20T05:50:00.123456789Z ±1.204ms");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Comparisons
///
/// Two events whose intervals share an instant may have happened in either order, so there is no `Ord` and
/// no `PartialOrd`: ask [`Interval::order`], which can answer [`IntervalOrder::Concurrent`].
///
/// ```
/// use epsilon_clock::{Interval, IntervalOrder, Timestamp};
///
/// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
/// let (a, b) = (at(1), at(2));
/// assert_eq!(a.order(&b), IntervalOrder::Before);
/// ```
///
/// The operators do not compile, for intervals known to be in order no less than for others:
///
/// ```compile_fail,E0369
/// use epsilon_clock::{Interval, IntervalOrder, Timestamp};
///
/// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
/// let (a, b) = (at(1), at(2));
/// assert!(a < b);
/// ```
///
/// [`Interval::definitely_before`] is a strict partial order, and an interval order: of two ordered pairs,
/// the first of one comes before the second of the other. That *concurrent* is not transitive is the nature
/// of the thing: a long interval may overlap two that are in order.
///
/// `==` asks whether two intervals have the same ends, not whether two events were simultaneous.
///
/// # Arithmetic
///
/// [`Interval::widen`] and [`Interval::around`] refuse to pass the edge of the range. Only
/// [`Interval::saturating_widen`] stops there, and says when that is honest.
///
/// # Leap seconds
///
/// The ends are on the axis of [`Timestamp`]: Unix time made monotone, which stands still during an inserted
/// second and jumps over a deleted one. An interval that holds the end of an inserted second holds all of
/// that second, and its width leaves the second out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    earliest: Timestamp,
    latest: Timestamp,
}

impl Words for Interval {
    const WORDS: usize = <(Timestamp, Timestamp)>::WORDS;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.earliest);
        to.put(&self.latest);
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        // Words of another type must not make an interval that no constructor would.
        Self::new(from.take()?, from.take()?).ok()
    }
}

impl Interval {
    /// Creates the interval between two instants, both included.
    ///
    /// # Errors
    ///
    /// [`IntervalError::Reversed`] where `latest` lies before `earliest`. The ends are not swapped: readings
    /// that came out the wrong way round are evidence of a fault.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let (a, b) = (Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7));
    /// assert_eq!(Interval::new(a, b)?.earliest(), a);
    /// assert!(Interval::new(b, a).is_err());
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    pub const fn new(earliest: Timestamp, latest: Timestamp) -> Result<Interval, IntervalError> {
        if earliest.unix_nanos() <= latest.unix_nanos() {
            Ok(Interval { earliest, latest })
        } else {
            Err(IntervalError::Reversed { earliest, latest })
        }
    }

    /// Creates the interval of a single instant; its width is zero.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let epoch = Interval::point(Timestamp::UNIX_EPOCH);
    /// assert_eq!(epoch.earliest(), epoch.latest());
    /// ```
    #[must_use]
    pub const fn point(instant: Timestamp) -> Interval {
        Interval {
            earliest: instant,
            latest: instant,
        }
    }

    /// Creates the interval from `half_width` before `middle` to `half_width` after.
    ///
    /// # Errors
    ///
    /// [`IntervalError::BeyondRange`] where either end lies outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let i = Interval::around(Timestamp::UNIX_EPOCH, Duration::from_nanos(5))?;
    /// assert_eq!((i.earliest().unix_nanos(), i.latest().unix_nanos()), (-5, 5));
    /// assert!(Interval::around(Timestamp::MAX, Duration::from_nanos(1)).is_err());
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    pub const fn around(
        middle: Timestamp,
        half_width: Duration,
    ) -> Result<Interval, IntervalError> {
        match (
            middle.checked_sub(half_width),
            middle.checked_add(half_width),
        ) {
            (Some(earliest), Some(latest)) => Ok(Interval { earliest, latest }),
            // Not clamped: a bound cut off at the edge would be a claim that was never made.
            _ => Err(IntervalError::BeyondRange { middle, half_width }),
        }
    }

    /// Returns the first instant that true time can be.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let i = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert_eq!(i.earliest().unix_nanos(), 3);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn earliest(&self) -> Timestamp {
        self.earliest
    }

    /// Returns the last instant that true time can be.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let i = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert_eq!(i.latest().unix_nanos(), 7);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Returns the instant halfway between the ends.
    ///
    /// Rounded toward [`Interval::earliest`]; never overflows.
    ///
    /// A best guess for a log; no decision about order may rest on it.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let i = Interval::new(Timestamp::from_unix_nanos(-4), Timestamp::from_unix_nanos(-1))?;
    /// assert_eq!(i.midpoint().unix_nanos(), -3);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn midpoint(&self) -> Timestamp {
        // Half the width from the earliest end stays short of the latest one: this never saturates.
        let half = self.width_nanos() / 2;
        Timestamp::from_unix_nanos(self.earliest.unix_nanos().saturating_add_unsigned(half))
    }

    /// Returns half the width, rounded up to the nanosecond.
    ///
    /// So [`Interval::midpoint`] ± epsilon reaches both ends.
    ///
    /// Where the width is odd, midpoint − epsilon is 1 ns before [`Interval::earliest`].
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let i = Interval::new(Timestamp::from_unix_nanos(-4), Timestamp::from_unix_nanos(-1))?;
    /// assert_eq!(i.epsilon(), Duration::from_nanos(2));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn epsilon(&self) -> Duration {
        // Up: truncated, the midpoint ± epsilon would leave out the latest end of every odd width,
        // and with it perhaps true time.
        Duration::from_nanos(self.width_nanos().div_ceil(2))
    }

    /// Returns the time from earliest to latest, exact over the whole range.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let all = Interval::new(Timestamp::MIN, Timestamp::MAX)?;
    /// assert_eq!(all.width(), Duration::from_nanos(u64::MAX));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn width(&self) -> Duration {
        Duration::from_nanos(self.width_nanos())
    }

    /// Returns true if true time is within `limit` of [`Interval::midpoint`].
    ///
    /// That is, if epsilon is at most `limit`.
    ///
    /// Of the interval of a line in a log it answers whether that line's clock was within so much of UTC:
    /// 100 µs, where the European Union's rules on trading ask for the finest (Regulation 2017/574).
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let line = Interval::around(Timestamp::UNIX_EPOCH, Duration::from_micros(100))?;
    /// assert!(line.within(Duration::from_micros(100)));
    /// assert!(!line.within(Duration::from_nanos(99_999)));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn within(&self, limit: Duration) -> bool {
        self.epsilon() <= limit
    }

    /// Returns true if `instant` is surely past: TrueTime's `TT.after`.
    ///
    /// It is, if it lies before [`Interval::earliest`].
    ///
    /// False does not mean that it is still to come; [`Interval::before`] says that.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let now = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert!(now.after(Timestamp::from_unix_nanos(2)));
    /// assert!(!now.after(Timestamp::from_unix_nanos(3)));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> bool {
        // Strictly: at the earliest end itself true time may be that instant.
        instant < self.earliest
    }

    /// Returns true if `instant` is surely to come: TrueTime's `TT.before`.
    ///
    /// It is, if it lies after [`Interval::latest`].
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let now = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert!(now.before(Timestamp::from_unix_nanos(8)));
    /// assert!(!now.before(Timestamp::from_unix_nanos(7)));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn before(&self, instant: Timestamp) -> bool {
        instant > self.latest
    }

    /// Returns true if true time can be `instant`; both ends count.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let now = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert!(now.contains(now.earliest()) && now.contains(now.latest()));
    /// assert!(!now.contains(Timestamp::from_unix_nanos(8)));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.earliest <= instant && instant <= self.latest
    }

    /// Returns true if every instant of `other` is in this interval.
    ///
    /// An interval contains itself.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let now = Interval::new(Timestamp::from_unix_nanos(3), Timestamp::from_unix_nanos(7))?;
    /// assert!(now.contains_interval(&now));
    /// assert!(now.contains_interval(&Interval::point(now.midpoint())));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn contains_interval(&self, other: &Interval) -> bool {
        self.earliest <= other.earliest && other.latest <= self.latest
    }

    /// Tells which of two events came first, as far as possible.
    ///
    /// ```
    /// use epsilon_clock::{Interval, IntervalOrder, Timestamp};
    /// use std::time::Duration;
    ///
    /// let at = |secs| {
    ///     Interval::around(Timestamp::from_unix_secs(secs)?, Duration::from_millis(600))
    ///         .map_err(Box::<dyn std::error::Error>::from)
    /// };
    /// assert_eq!(at(1)?.order(&at(3)?), IntervalOrder::Before);
    /// assert_eq!(at(3)?.order(&at(1)?), IntervalOrder::After);
    /// assert_eq!(at(1)?.order(&at(2)?), IntervalOrder::Concurrent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn order(&self, other: &Interval) -> IntervalOrder {
        // A third answer instead of a guess: where they overlap either may have come first.
        if self.definitely_before(other) {
            IntervalOrder::Before
        } else if self.definitely_after(other) {
            IntervalOrder::After
        } else {
            IntervalOrder::Concurrent
        }
    }

    /// Returns true if this interval ends before `other` begins.
    ///
    /// Intervals that share an end do not: both events may have happened at that instant.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
    /// assert!(at(1).definitely_before(&at(2)));
    /// assert!(!at(1).definitely_before(&at(1)));
    /// ```
    #[must_use]
    pub fn definitely_before(&self, other: &Interval) -> bool {
        // Strictly: two events that share an instant may have happened at once (T4).
        self.latest < other.earliest
    }

    /// Returns true if this interval begins after `other` ends.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
    /// assert!(at(2).definitely_after(&at(1)));
    /// assert!(!at(1).definitely_after(&at(1)));
    /// ```
    #[must_use]
    pub fn definitely_after(&self, other: &Interval) -> bool {
        other.definitely_before(self)
    }

    /// Returns true if the two share an instant, be it an end.
    ///
    /// Honest readings of one instant always do.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    /// assert!(span(1, 3)?.overlaps(&span(3, 5)?));
    /// assert!(!span(1, 3)?.overlaps(&span(4, 5)?));
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.order(other) == IntervalOrder::Concurrent
    }

    /// Returns the instants that both hold, or `None`.
    ///
    /// Where there are none, [`Interval::gap`] says by how much they miss each other.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    /// assert_eq!(span(1, 5)?.intersection(&span(3, 9)?), Some(span(3, 5)?));
    /// assert_eq!(span(1, 2)?.intersection(&span(3, 9)?), None);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn intersection(&self, other: &Interval) -> Option<Interval> {
        Interval::new(
            self.earliest.max(other.earliest),
            self.latest.min(other.latest),
        )
        .ok()
    }

    /// Returns the shortest interval that holds both, and what lies between.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    ///
    /// let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    /// assert_eq!(span(1, 2)?.hull(&span(5, 9)?), span(1, 9)?);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn hull(&self, other: &Interval) -> Interval {
        Interval {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.max(other.latest),
        }
    }

    /// Returns the time between two intervals that do not overlap.
    ///
    /// It runs from the end of the earlier one to the start of the later, at least 1 ns; `None`
    /// where they overlap.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    /// assert_eq!(span(1, 2)?.gap(&span(5, 9)?), Some(Duration::from_nanos(3)));
    /// assert_eq!(span(1, 5)?.gap(&span(5, 9)?), None);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub fn gap(&self, other: &Interval) -> Option<Duration> {
        match self.order(other) {
            IntervalOrder::Before => Some(self.latest.abs_diff(other.earliest)),
            IntervalOrder::After => Some(other.latest.abs_diff(self.earliest)),
            IntervalOrder::Concurrent => None,
        }
    }

    /// Moves both ends outward by `margin`; `None` where either leaves the range.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let i = Interval::point(Timestamp::UNIX_EPOCH).widen(Duration::from_nanos(5));
    /// assert_eq!(i, Some(Interval::around(Timestamp::UNIX_EPOCH, Duration::from_nanos(5))?));
    /// assert_eq!(Interval::point(Timestamp::MAX).widen(Duration::from_nanos(1)), None);
    /// # Ok::<(), epsilon_clock::time::IntervalError>(())
    /// ```
    #[must_use]
    pub const fn widen(&self, margin: Duration) -> Option<Interval> {
        match (
            self.earliest.checked_sub(margin),
            self.latest.checked_add(margin),
        ) {
            (Some(earliest), Some(latest)) => Some(Interval { earliest, latest }),
            _ => None,
        }
    }

    /// Moves both ends outward by `margin`, no farther than the range.
    ///
    /// Honest for questions about *timestamps* ([`Interval::contains`], [`Interval::after`],
    /// [`Interval::before`], [`Interval::order`]): no timestamp lies beyond the edge, so none is left out. Not
    /// honest for [`Interval::width`], [`Interval::epsilon`] and [`Interval::midpoint`], which then tell of
    /// less uncertainty than there is; use [`Interval::widen`] where they matter.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let i = Interval::point(Timestamp::MAX).saturating_widen(Duration::from_nanos(5));
    /// assert_eq!((i.earliest().unix_nanos(), i.latest()), (i64::MAX - 5, Timestamp::MAX));
    /// ```
    #[must_use]
    pub const fn saturating_widen(&self, margin: Duration) -> Interval {
        Interval {
            earliest: self.earliest.saturating_sub(margin),
            latest: self.latest.saturating_add(margin),
        }
    }

    const fn width_nanos(&self) -> u64 {
        self.latest
            .unix_nanos()
            .abs_diff(self.earliest.unix_nanos())
    }
}

/// The midpoint and the half-width: `2026-11-20T05:50:00.123456789Z ±1.204ms`.
///
/// The half-width is rounded up to what is printed, so the text never claims more than the interval does. It
/// has the largest of the units ns, µs, ms and s that leaves a whole part, no decimals for ns, and exactly
/// three for the others, trailing zeros too, so that columns of a log stay steady. Width and alignment are
/// honoured as for a `str`; nothing is allocated.
///
/// This text is for people. A machine that needs an interval wants both ends as integers,
/// `earliest().unix_nanos()` and `latest().unix_nanos()`: they are not to be had from the text.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use std::time::Duration;
///
/// let epsilon = |nanos| Interval::around(Timestamp::UNIX_EPOCH, Duration::from_nanos(nanos));
/// assert_eq!(epsilon(812)?.to_string(), "1970-01-01T00:00:00.000000000Z ±812ns");
/// assert_eq!(epsilon(5_100)?.to_string(), "1970-01-01T00:00:00.000000000Z ±5.100µs");
/// assert_eq!(epsilon(1_203_001)?.to_string(), "1970-01-01T00:00:00.000000000Z ±1.204ms");
/// assert_eq!(epsilon(999_999_001)?.to_string(), "1970-01-01T00:00:00.000000000Z ±1.000s");
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new();
        write!(line, "{} ±{}", self.midpoint(), RoundedUp(self.epsilon()))?;
        line.pad(f)
    }
}

/// Prints a span as [`Interval`] prints its half-width, without the sign: `812ns`, `1.204ms`, rounded up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedUp(pub(crate) Duration);

impl fmt::Display for RoundedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let mut line = Line::new();
        if nanos < 1_000 {
            write!(line, "{nanos}ns")?;
            return line.pad(f);
        }
        // Rounded before the unit is chosen: 999.9995 ms rounds up to 1.000 s, never to 1000.000 ms.
        let (thousandths, unit) = [(1, "µs"), (1_000, "ms")]
            .into_iter()
            .map(|(per_thousandth, unit)| (nanos.div_ceil(per_thousandth), unit))
            .find(|&(thousandths, _)| thousandths < 1_000_000)
            .unwrap_or((nanos.div_ceil(1_000_000), "s"));
        write!(
            line,
            "{}.{:03}{unit}",
            thousandths / 1_000,
            thousandths % 1_000
        )?;
        line.pad(f)
    }
}

/// Both ends, earliest first.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
///
/// let (earliest, latest) = Interval::point(Timestamp::UNIX_EPOCH).into();
/// assert_eq!((earliest, latest), (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
/// ```
impl From<Interval> for (Timestamp, Timestamp) {
    fn from(interval: Interval) -> Self {
        (interval.earliest, interval.latest)
    }
}

/// The same instants as a range, to look up in an ordered map what may be happening now.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use std::collections::BTreeMap;
/// use std::ops::RangeInclusive;
///
/// let at = Timestamp::from_unix_nanos;
/// let due = BTreeMap::from([(at(1), "backup"), (at(5), "compaction"), (at(9), "report")]);
/// let now = Interval::new(at(4), at(9))?;
/// assert_eq!(due.range(RangeInclusive::from(now)).count(), 2);
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
impl From<Interval> for RangeInclusive<Timestamp> {
    fn from(interval: Interval) -> Self {
        interval.earliest..=interval.latest
    }
}

/// What two intervals say about which of two events came first.
///
/// Not itself ordered, and complete: there is no fourth answer.
///
/// ```
/// use epsilon_clock::{Interval, IntervalOrder, Timestamp};
///
/// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
/// let told = match at(1).order(&at(2)) {
///     IntervalOrder::Before => "the first event came first",
///     IntervalOrder::After => "the second event came first",
///     IntervalOrder::Concurrent => "the clocks cannot tell; order them some other way",
/// };
/// assert_eq!(told, "the first event came first");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntervalOrder {
    /// The first interval ends before the other begins: its event came first.
    Before,
    /// The first interval begins after the other ends: its event came second.
    After,
    /// They share an instant: either event may have come first, or both at once.
    Concurrent,
}

/// Ends that do not make an [`Interval`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntervalError {
    /// The latest end lies before the earliest.
    #[error(
        "latest end {latest} lies before earliest end {earliest}; \
         check which is which, and that both come from one clock"
    )]
    #[non_exhaustive]
    Reversed {
        /// The end given as the earliest.
        earliest: Timestamp,
        /// The end given as the latest, which lies before it.
        latest: Timestamp,
    },
    /// An end that was to be converted is no [`Timestamp`].
    #[error(transparent)]
    End(#[from] RangeError),
    /// An end would lie before [`Timestamp::MIN`] or after [`Timestamp::MAX`].
    #[error(
        "{middle} ±{half_width:?} reaches outside {min} to {max}, all that a timestamp holds; \
         use a smaller half-width",
        min = Timestamp::MIN,
        max = Timestamp::MAX
    )]
    #[non_exhaustive]
    BeyondRange {
        /// The middle asked for.
        middle: Timestamp,
        /// The half-width asked for.
        half_width: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(nanos: u64) -> String {
        RoundedUp(Duration::from_nanos(nanos)).to_string()
    }

    #[test]
    fn rounded_up_changes_unit_where_rounding_reaches_it() {
        assert_eq!(text(0), "0ns");
        assert_eq!(text(1), "1ns");
        assert_eq!(text(999), "999ns");
        assert_eq!(text(1_000), "1.000µs");
        assert_eq!(text(999_999), "999.999µs");
        assert_eq!(text(1_000_000), "1.000ms");
        assert_eq!(text(1_000_001), "1.001ms");
        assert_eq!(text(999_999_000), "999.999ms");
        assert_eq!(text(999_999_001), "1.000s");
        assert_eq!(text(1_000_000_001), "1.001s");
        assert_eq!(text(u64::MAX), "18446744073.710s");
    }

    #[test]
    fn rounded_up_prints_the_longest_span() {
        assert_eq!(
            RoundedUp(Duration::MAX).to_string(),
            "18446744073709551616.000s"
        );
    }

    #[test]
    fn the_longest_interval_fits_its_line() {
        let all = Interval {
            earliest: Timestamp::MIN,
            latest: Timestamp::MAX,
        };
        assert_eq!(
            all.to_string(),
            "1969-12-31T23:59:59.999999999Z ±9223372036.855s"
        );
    }

    #[test]
    fn midpoint_of_the_whole_range_is_rounded_down() {
        let all = Interval {
            earliest: Timestamp::MIN,
            latest: Timestamp::MAX,
        };
        assert_eq!(all.midpoint().unix_nanos(), -1);
        assert_eq!(all.epsilon(), Duration::from_nanos(1 << 63));
    }
}
