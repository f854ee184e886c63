//! By how much two statements about one instant exclude each other, and which way.

use core::fmt;
use core::time::Duration;

use super::interval::{Interval, IntervalOrder};

/// On which side of true time a clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It says that it is later than it is.
    Ahead,
    /// It says that it is earlier than it is.
    Behind,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
        })
    }
}

/// By how much a clock misses its reference, and which way.
///
/// At least by so much.
///
/// If what it is held against is right, the clock's interval misses true time by that much or more:
/// whatever delay, drift or rounding may have added has been taken off.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::fleet::{Contradiction, Direction};
/// use std::time::Duration;
///
/// let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
/// let found = Contradiction::between(&span(20, 30)?, &span(5, 12)?);
/// let by = Duration::from_nanos(8);
/// assert_eq!(found, Some(Contradiction { by, direction: Direction::Ahead }));
/// assert_eq!(Contradiction::between(&span(12, 30)?, &span(5, 12)?), None); // a shared end will do
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contradiction {
    /// By how much at least; never zero.
    pub by: Duration,
    /// Which way.
    pub direction: Direction,
}

impl Contradiction {
    /// Returns how far `suspect` misses `reference`, or `None`.
    ///
    /// `None` where they share an instant.
    #[must_use]
    pub fn between(suspect: &Interval, reference: &Interval) -> Option<Self> {
        let direction = match suspect.order(reference) {
            IntervalOrder::Before => Direction::Behind,
            IntervalOrder::After => Direction::Ahead,
            IntervalOrder::Concurrent => return None,
        };
        // The gap is the least that either of the two must be wrong by.
        let by = suspect.gap(reference)?;
        Some(Self { by, direction })
    }
}

/// `at least 75.2ms ahead`
impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at least {:?} {}", self.by, self.direction)
    }
}
