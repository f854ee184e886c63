//! Why a leader may not yet lead, and what makes an entry of the log unreadable.

use core::fmt;
use core::time::Duration;

use thiserror::Error;

use super::Holder;
use crate::clock::ClockError;
use crate::lease::error::{LeaseError, NotHeld};
use crate::lease::expiry::ImplausibleExpiry;
use crate::time::{DecodeError, Timestamp};

/// A lease too short to be of use under such clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a lease of {delta:?} is too short for clocks within ±{epsilon:?} and commits of {commit:?}: take \
     {least:?} or more, or sharper clocks"
)]
#[non_exhaustive]
pub struct DeltaTooShort {
    /// What was asked for.
    pub delta: Duration,
    /// What would do.
    pub least: Duration,
    /// The largest epsilon of any clock of the group.
    pub epsilon: Duration,
    /// How long a commit takes.
    pub commit: Duration,
}

/// Why a node may not propose or read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GateClosed {
    /// It does not lead.
    #[error("this node does not lead: ask the leader")]
    NotLeader,
    /// It gives the leadership up.
    #[error("this node gives its lease up in this term: ask the next leader")]
    Stopped,
    /// Its own term's noop is not applied, so its book may lack a lease.
    #[error("the first entry of this term is not applied yet: ask again once it is")]
    NoopNotApplied,
    /// An earlier leader may still read under its lease.
    #[error(
        "the lease of {} until {expiry} is not surely over, for at least {at_least:?}: ask again then",
        Named(*.holder)
    )]
    OldLease {
        /// The book's largest expiry.
        expiry: Timestamp,
        /// Whose it is, if that is known.
        holder: Option<Holder>,
        /// How long it takes at least until it surely is past.
        at_least: Duration,
    },
    /// The book's expiry is one that no honest leader named.
    #[error(
        "{0}; if that leader's clock was ahead, kill it, and write into the log that the lease is to be \
         forgotten"
    )]
    Implausible(ImplausibleExpiry),
    /// The lease of this term was not applied yet.
    #[error("the lease of this term is not applied yet: ask again once it is")]
    LeaseNotApplied,
    /// The lease of this term may be over.
    #[error(transparent)]
    NotHeld(NotHeld),
    /// No lease of such a length can be named.
    #[error(transparent)]
    Lease(LeaseError),
    /// The clock gives no interval; hand the leadership over.
    #[error("{0}; a leader without an interval hands the leadership over")]
    Clock(ClockError),
}

/// Bytes that are no lease entry, or no book: the replica must stop, not skip them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnknownEntry {
    /// Some value does not decode.
    #[error("{0}; stop applying: a replica that skips a lease does not wait for it")]
    Decode(DecodeError),
    /// They name another format.
    #[error(
        "the bytes begin with {found:#04x}, not {expected:#04x}: another version wrote them; upgrade this \
         node before it applies them"
    )]
    Version {
        /// What they begin with.
        found: u8,
        /// What this version writes.
        expected: u8,
    },
}

/// A holder, or that none is known.
struct Named(Option<Holder>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => holder.fmt(f),
            None => f.write_str("an earlier leader"),
        }
    }
}
