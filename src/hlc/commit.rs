//! A commit stamp, and the wait until it is surely past.

use super::timestamp::HlcTimestamp;
use crate::clock::{Clock, ClockError};
use crate::commit::{CommitWait, CommitWaitError};

/// A commit stamp, and the wait until it is surely past.
///
/// Made by [`HybridClock::begin_commit`](super::HybridClock::begin_commit). Do the work, then
/// [`wait`](Self::wait), then acknowledge: a node that begins a commit after that, on any node with an
/// honest clock, gets a larger stamp (invariant H11), with or without a message from here.
///
/// ```
/// use epsilon_clock::{Clock, HybridClock};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn replicate(_: epsilon_clock::HlcTimestamp) {}
/// let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let hlc = HybridClock::new(clock);
///
/// let commit = hlc.begin_commit()?;
/// replicate(commit.timestamp());
/// commit.wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a commit may be acknowledged only after `wait`"]
pub struct HlcCommit {
    clock: Clock,
    timestamp: HlcTimestamp,
}

impl HlcCommit {
    pub(super) const fn new(clock: Clock, timestamp: HlcTimestamp) -> Self {
        Self { clock, timestamp }
    }

    /// Returns the stamp to commit with.
    #[must_use]
    pub const fn timestamp(&self) -> HlcTimestamp {
        self.timestamp
    }

    /// Returns true if the stamp is past, so `wait` returns at once.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    pub fn is_past(&self) -> Result<bool, ClockError> {
        self.commit_wait().is_past()
    }

    /// Waits until the stamp is surely past.
    ///
    /// Until [`Clock::after`] has said so of its physical part, that is.
    ///
    /// That was rounded up to the microsecond. Rounded down, (100, 0) issued elsewhere could follow
    /// a released (100, 5).
    ///
    /// # Errors
    ///
    /// As [`CommitWait::wait`]. The commit must not be acknowledged then; the wait can be taken up
    /// again.
    pub fn wait(&self) -> Result<(), CommitWaitError> {
        self.commit_wait().wait()
    }

    /// Returns the wait as one of the clock's own.
    ///
    /// For a timeout, another strategy, or a [`CommitGroup`](crate::CommitGroup) of many.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let hlc = HybridClock::new(clock);
    /// let commit = hlc.begin_commit()?;
    /// println!("{:?} left to wait", commit.commit_wait().remaining()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn commit_wait(&self) -> CommitWait<'_> {
        self.clock.until_past(self.timestamp.physical())
    }
}
