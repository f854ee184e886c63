//! Why a hybrid clock issues no stamp.

use core::error::Error as StdError;
use core::time::Duration;
use std::sync::Arc;

use thiserror::Error;

use super::remote::RemoteTimestamp;
use super::timestamp::HlcTimestamp;
use crate::clock::ClockError;
use crate::clock::Exhausted;
use crate::time::Timestamp;

/// Why a hybrid clock issued no stamp. It is then as it was before the call.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum HlcError {
    /// A remote stamp lies further ahead than an honest peer's can.
    #[error(
        "the remote stamp {remote} is {by:?} beyond {bound}, the most that an honest peer can have \
         issued: its clock is wrong, or the limit too narrow"
    )]
    #[non_exhaustive]
    TooFarAhead {
        /// The stamp.
        remote: RemoteTimestamp,
        /// The latest instant that its physical part may have.
        bound: Timestamp,
        /// How far beyond it lies.
        by: Duration,
    },
    /// The local clock jumped forward, and would take all stamps with it.
    #[error(
        "the local clock jumped ahead by {by:?}, which is beyond the limit of {limit:?}: no stamp is \
         issued until it is back, or until `HybridClock::accept_jump` is called because it is right"
    )]
    #[non_exhaustive]
    ForwardJump {
        /// How far it would push the stamps ahead, beyond the time that passed.
        by: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The stamps are so far ahead that a commit would wait for longer than it may.
    #[error(
        "a commit stamp would be {timestamp}, {ahead:?} ahead of the latest that it can be now, \
         beyond the limit ({limit:?}): a restored floor, a remote stamp or this clock was ahead; \
         commits begin again in {wait:?}, or at once under a longer `commit_limit`, for that wait"
    )]
    #[non_exhaustive]
    CommitTooFarAhead {
        /// What would have been issued.
        timestamp: HlcTimestamp,
        /// How far its physical part is ahead of the `latest` end of a reading.
        ahead: Duration,
        /// How far it may be: the limit and the interval's width.
        limit: Duration,
        /// How long the commit would wait, by the claim in force.
        wait: Duration,
    },
    /// There is no larger stamp: the clock has reached the year 2112, or was led there.
    #[error("stamps end at {}: there is none left to issue", HlcTimestamp::MAX)]
    EndOfRange,
    /// The reserve is used up, and storing a new bound failed.
    #[error(
        "the reserve of stamps up to {used_up} is used up, and the next bound could not be stored: {cause}"
    )]
    #[non_exhaustive]
    Reserve {
        /// The bound that was stored last.
        used_up: HlcTimestamp,
        /// What storing the next one failed with.
        #[source]
        cause: Arc<dyn StdError + Send + Sync>,
    },
    /// The clock gives no interval, and this call needs one.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl From<Exhausted> for HlcError {
    fn from(_: Exhausted) -> Self {
        Self::EndOfRange
    }
}
