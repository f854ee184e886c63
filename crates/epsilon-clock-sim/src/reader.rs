//! Whatever can be read as a clock that bounds its error, so that the campaign can try it.

use core::time::Duration;

use epsilon_clock::clock::{Clock, ClockError, Status};
use epsilon_clock::commit::CommitError;
use epsilon_clock::hlc::HybridClock;
use epsilon_clock::time::{Interval, Timestamp};

/// A clock to be tried: the crate's own, or yours.
pub trait Reader: Send + Sync {
    /// Where UTC is now.
    ///
    /// # Errors
    ///
    /// [`ClockError`] whenever nobody vouches for an interval.
    fn now(&self) -> Result<Interval, ClockError>;

    /// A commit timestamp: surely not in the past, and above `last`, the one before on this clock.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    fn begin_commit(&self, last: Option<Timestamp>) -> Result<Timestamp, ClockError> {
        let latest = self.now()?.latest();
        let above = last.map(|last| last.saturating_add(Duration::from_nanos(1)));
        Ok(above.map_or(latest, |above| above.max(latest)))
    }

    /// A hybrid logical clock over it, if it can carry one.
    fn hybrid(&self) -> Option<HybridClock> {
        None
    }

    /// What the clock's own thread does once a second: lets the sources ask; by default nothing.
    fn refresh(&self) {}

    /// What another thread does with it while a reading is interrupted, beside a reading of its own.
    fn disturb(&self) {}

    /// What the clock says about itself, if it can.
    fn status(&self) -> Option<Status> {
        None
    }
}

impl Reader for Clock {
    fn now(&self) -> Result<Interval, ClockError> {
        Self::now(self)
    }

    fn begin_commit(&self, _last: Option<Timestamp>) -> Result<Timestamp, ClockError> {
        match Self::begin_commit(self) {
            Ok(commit) => Ok(commit.timestamp()),
            Err(CommitError::Clock(error)) => Err(error),
            Err(_) => Err(ClockError::OutOfRange),
        }
    }

    fn hybrid(&self) -> Option<HybridClock> {
        Some(HybridClock::new(self.clone()))
    }

    fn refresh(&self) {
        self.refresh_sources();
    }

    fn disturb(&self) {
        // Whatever it says is said again by the reading that follows.
        let _repeated = self.look();
    }

    fn status(&self) -> Option<Status> {
        Some(Self::status(self))
    }
}
