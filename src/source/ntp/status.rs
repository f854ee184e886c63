//! What is known of each server, for reports.

use core::time::Duration;
use std::net::SocketAddr;

use super::refusal::NtpRefusal;
use crate::time::Contradiction;

/// One server's standing, as of the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NtpServerStatus {
    /// Its name or address, as it was given.
    pub name: String,
    /// The address that is asked; `None` until the name is resolved.
    pub address: Option<SocketAddr>,
    /// Whether it counts, and why not if it does not.
    pub state: NtpServerState,
    /// The round trip of the exchange that represents it, or of its last one.
    pub round_trip: Option<Duration>,
    /// How far the server may have been off in that exchange, all margins included.
    pub root_distance: Option<Duration>,
    /// How far from a reference clock it is.
    pub stratum: Option<u8>,
    /// Where it has its time from; servers of stratum 2 and more that name one and the same are
    /// one fault.
    pub reference_id: Option<u32>,
    /// How long ago that exchange was, in raw time.
    pub age: Option<Duration>,
    /// How often it is asked at present.
    pub interval: Duration,
    /// Requests in a row without a reply.
    pub losses: u32,
}

/// Whether a server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NtpServerState {
    /// It has not been heard of yet, or nothing of what it said counts any more.
    Waiting,
    /// It has a part in what the servers agree on.
    Agreeing,
    /// It is surely false, if no more servers are than was allowed for.
    Falseticker(Contradiction),
    /// It has said something that counts, but the servers do not agree.
    Undecided,
    /// Its address, or its operator, is an earlier server's as well: they have one vote.
    Duplicate {
        /// The place of that server among those that were named.
        of: usize,
    },
    /// It is not believed.
    Refused(NtpRefusal),
}
