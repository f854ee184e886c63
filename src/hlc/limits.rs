//! How far ahead a remote stamp, or the local clock, may take the stamps.

use core::time::Duration;

use super::error::HlcError;
use super::remote::RemoteTimestamp;
use crate::time::{Interval, Timestamp};

/// A microsecond: commit stamps are rounded up to whole ones.
const UNIT: Duration = Duration::from_micros(1);

/// How far ahead the physical part of a remote stamp may lie. Old ones are never rejected.
///
/// ```
/// use epsilon_clock::{Clock, HybridClock};
/// use epsilon_clock::hlc::RemoteLimit;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hlc = HybridClock::builder(Clock::system()?)
///     .remote_limit(RemoteLimit::Fixed(Duration::from_millis(250)))
///     .build()?;
/// # drop(hlc);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemoteLimit {
    /// Up to `tolerance` beyond the latest instant that it can be: a stamp beyond that is not
    /// explained by our own error, whatever it is at the time.
    ///
    /// # The default tolerance
    ///
    /// It is twice the clock's [`max_error`](crate::ClockBuilder::max_error), a second by default,
    /// and covers every honest peer that works under the same `max_error`:
    ///
    /// ```text
    /// the peer's epsilon                          ε  ≤ max_error
    /// its interval contains UTC, so its latest       ≤ UTC + 2 ε
    /// its stamps: the middle of the interval         ≤ UTC + ε
    ///             a commit stamp, its latest         ≤ UTC + 2 ε, rounded up to the µs
    /// UTC when its message arrives                   ≤ our latest
    /// so its stamps                                  ≤ our latest + 2 max_error, rounded up
    /// ```
    ///
    /// Rounding up is allowed for. Stamps that a peer took over from a third node are bound by the
    /// same sum. What is not in it is a counter that carried, a microsecond for 4096 stamps within
    /// one, and a peer that resumed from a [reserve](super::HybridClockBuilder::reserve) longer than
    /// its restart took; add those to the tolerance where they matter.
    Interval {
        /// How far beyond our latest a stamp may lie.
        tolerance: Duration,
    },
    /// Up to this far beyond the best estimate, whatever our own error is. Zero means just that: no
    /// stamp from the future is accepted.
    Fixed(Duration),
    /// Nothing is checked: one broken peer leads all stamps to wherever it is, and a stamp near the
    /// end of the range leaves none to issue.
    Unchecked,
}

/// How far the local clock may jump and take the stamps along.
///
/// A jump is what the clock gained beyond the time that passed, told by the machine's raw and boot
/// time, which cannot be set: an hour without stamps is no jump, and neither is a suspend. A machine
/// whose clock was never right, and is set by a time daemon after the hybrid clock was built, does
/// jump: wait for it ([`wait_until_synchronized`](crate::Clock::wait_until_synchronized)) first, or
/// [accept](super::HybridClock::accept_jump) what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardLimit {
    /// Up to so much at a time; further, and stamps are refused with
    /// [`HlcError::ForwardJump`](super::HlcError::ForwardJump).
    Jump(Duration),
    /// Wherever the local clock goes, the stamps follow.
    Unchecked,
}

impl ForwardLimit {
    pub(super) const fn limit(self) -> Option<Duration> {
        match self {
            Self::Jump(limit) => Some(limit),
            Self::Unchecked => None,
        }
    }
}

/// The remote check, with what it takes where there is no interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteCheck {
    pub(super) limit: RemoteLimit,
    pub(super) offset_when_unknown: Duration,
}

impl RemoteCheck {
    /// Checks that a remote stamp may be taken over at this reading.
    #[inline]
    pub(super) fn check(
        &self,
        remote: RemoteTimestamp,
        best: Timestamp,
        interval: Option<&Interval>,
    ) -> Result<(), HlcError> {
        let bound = match (self.limit, interval) {
            (RemoteLimit::Interval { tolerance }, Some(interval)) => {
                // A bound past the end of all stamps: there, stopping at the edge changes nothing.
                interval.latest().saturating_add(tolerance)
            }
            (RemoteLimit::Interval { .. }, None) => best.saturating_add(self.offset_when_unknown),
            (RemoteLimit::Fixed(offset), _) => best.saturating_add(offset),
            (RemoteLimit::Unchecked, _) => return Ok(()),
        };
        // Beyond the bound rounded up to the unit.
        if remote.physical().saturating_sub(UNIT) < bound {
            return Ok(());
        }
        Err(too_far(remote, bound))
    }
}

#[cold]
fn too_far(remote: RemoteTimestamp, bound: Timestamp) -> HlcError {
    HlcError::TooFarAhead {
        remote,
        bound,
        by: remote.physical().abs_diff(bound),
    }
}
