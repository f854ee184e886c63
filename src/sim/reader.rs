//! Whatever can be read as a clock that bounds its error, so that the campaign can try it.
#![forbid(unsafe_code)]

use crate::clock::{Clock, Status};
use crate::error::ClockError;
use crate::interval::Interval;

/// A clock to be tried: the crate's own, or yours.
pub trait Reader: Send + Sync {
    /// Where UTC is now.
    ///
    /// # Errors
    ///
    /// [`ClockError`] whenever nobody vouches for an interval.
    fn now(&self) -> Result<Interval, ClockError>;

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

    fn disturb(&self) {
        // Whatever it says is said again by the reading that follows.
        let _repeated = self.look();
    }

    fn status(&self) -> Option<Status> {
        Some(Self::status(self))
    }
}
