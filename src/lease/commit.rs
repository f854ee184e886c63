//! Commit timestamps that never lie beyond the lease they are given out under.

use thiserror::Error;

use super::Lease;
use super::error::NotHeld;
use crate::clock::Clock;
use crate::commit::{CommitError, CommitWait};
use crate::time::Timestamp;

/// Why no commit could begin within a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotWithin {
    /// The lease is not held, or the clock cannot tell.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// The timestamp that was drawn is not before the lease's end; it is never used.
    #[error(
        "the timestamp {timestamp} is not before the end of the lease, {expiry}: renew it, and begin \
         again once the renewal is applied"
    )]
    Beyond {
        /// What was drawn.
        timestamp: Timestamp,
        /// Where the lease ends.
        expiry: Timestamp,
    },
    /// No timestamp could be drawn.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Clock {
    /// Takes a commit timestamp above all `floors` and before the lease's end.
    ///
    /// The lease is the leader's own, of this term, and *applied*. It is judged after the timestamp was
    /// drawn, and a timestamp that lies beyond it is refused, never shortened to fit. A successor draws
    /// above its own `latest`, which is beyond the expiry by then: so whatever a leader answered below
    /// its lease's end, no later commit comes to lie under it.
    ///
    /// That timestamps grow across leaders does not come from here, but from the floor that the
    /// successor finds in its state machine.
    ///
    /// # Errors
    ///
    /// [`NotWithin`]; what was drawn is not used by any later commit.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use epsilon_clock::lease::NotWithin;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::from_millis(100))?;
    /// let commit = clock.begin_commit_within(&lease, [])?;
    /// assert!(commit.timestamp() < lease.expiry());
    ///
    /// let beyond = lease.expiry();
    /// let refused = clock.begin_commit_within(&lease, [beyond]);
    /// assert!(matches!(refused, Err(NotWithin::Beyond { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_commit_within(
        &self,
        lease: &Lease,
        floors: impl IntoIterator<Item = Timestamp>,
    ) -> Result<CommitWait<'_>, NotWithin> {
        let commit = self.begin_commit_after_all(floors)?;
        // After the draw: a lease that was held before it may be over by the time of the timestamp.
        lease.check(self)?;
        let (timestamp, expiry) = (commit.timestamp(), lease.expiry());
        if timestamp >= expiry {
            return Err(NotWithin::Beyond { timestamp, expiry });
        }
        Ok(commit)
    }
}
