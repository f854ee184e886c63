//! What leases and safe time need of a clock, for engines that put a clock of their own in its place.

use std::sync::Arc;

use super::CommitWaitError;
use crate::clock::{Clock, ClockError};
use crate::time::{Interval, Timestamp};

/// A clock whose readings are intervals, or a mock of one.
///
/// [`Clock`] is one on whatever machine, simulated ones included; an engine that mocks time
/// implements it for its mock. Object-safe: `&dyn IntervalClock` will do.
///
/// # What an implementation promises
///
/// - *Containment*: between the call and the return of [`interval`](Self::interval) some true instant lies
///   in the interval. True time is one for all clocks of a system, and never runs backwards.
/// - *Refusal*: where that cannot be promised, after a suspend for one, it is an error.
/// - *Past*: [`wait_until_past`](Self::wait_until_past) returns `Ok` only once an interval that was read
///   lies after the timestamp.
///
/// Leases on a mock that breaks one of these prove nothing. `engine::kit::check` (feature `test-util`)
/// tries a mock out.
///
/// ```
/// use epsilon_clock::commit::IntervalClock;
/// use epsilon_clock::{Clock, Lease};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let any: &dyn IntervalClock = &clock;
/// let lease = Lease::grant(&any.interval()?, Duration::from_secs(1))?;
/// assert!(lease.held(any)?);
/// # Ok(())
/// # }
/// ```
pub trait IntervalClock: Send + Sync {
    /// Returns where UTC is now, as [`Clock::now`] does.
    ///
    /// # Errors
    ///
    /// [`ClockError`] where no interval can be vouched for.
    fn interval(&self) -> Result<Interval, ClockError>;

    /// Waits until `timestamp` is surely past, as [`Clock::wait_until_past`] does.
    ///
    /// # Errors
    ///
    /// [`CommitWaitError`] if it ends without that having been observed.
    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError>;
}

impl IntervalClock for Clock {
    #[inline]
    fn interval(&self) -> Result<Interval, ClockError> {
        self.now()
    }

    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        self.until_past(timestamp).wait()
    }
}

impl<C: IntervalClock + ?Sized> IntervalClock for &C {
    #[inline]
    fn interval(&self) -> Result<Interval, ClockError> {
        (**self).interval()
    }

    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        (**self).wait_until_past(timestamp)
    }
}

impl<C: IntervalClock + ?Sized> IntervalClock for Arc<C> {
    #[inline]
    fn interval(&self) -> Result<Interval, ClockError> {
        (**self).interval()
    }

    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        (**self).wait_until_past(timestamp)
    }
}
