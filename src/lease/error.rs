//! Why a lease cannot be granted, or is not held.

use core::time::Duration;

use thiserror::Error;

use crate::clock::ClockError;
use crate::time::Timestamp;

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The expiry leaves the range of timestamps.
    #[error("a term of {term:?} from {from} ends past the year 2262; ask for a shorter one")]
    OutOfRange {
        /// Where the term was to begin.
        from: Timestamp,
        /// The term.
        term: Duration,
    },
    /// The clock gives no interval to count from.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

/// Why the caller must not act on a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotHeld {
    /// It surely is over, and another node may be acting.
    #[error("the lease expired at {expiry}, at least {by:?} ago; obtain another one")]
    Expired {
        /// Its expiry.
        expiry: Timestamp,
        /// How long ago that surely is, at least.
        by: Duration,
    },
    /// It may be over by the time of acting, or is already.
    #[error(
        "it may be {latest} already: too late for a lease until {expiry} with a margin of \
         {margin:?}; renew earlier"
    )]
    TooLate {
        /// Its expiry.
        expiry: Timestamp,
        /// The holder's margin.
        margin: Duration,
        /// The latest instant that it can be now.
        latest: Timestamp,
    },
    /// The term is over by the elapsed time of this machine, whatever the clock says of UTC.
    #[error(
        "{elapsed:?} went by since the lease was asked for, which was to be used for {usable:?} of \
         its term of {term:?}; renew earlier"
    )]
    TermOver {
        /// How much raw time went by since the request.
        elapsed: Duration,
        /// How much of it the holder may use: the term less both drifts and the margin.
        usable: Duration,
        /// The term that was granted.
        term: Duration,
    },
    /// The machine slept since the lease was asked for, or its clocks were disturbed as much.
    #[error(
        "the machine was suspended, or its raw time disturbed, since the lease was asked for; obtain \
         another one"
    )]
    Disturbed,
    /// The clock gives no interval.
    #[error(transparent)]
    Clock(#[from] ClockError),
}
