//! What happened: as the clients saw it, and as the nodes have it on disk.

use std::fmt;
use std::time::Duration;

use epsilon_clock::Timestamp;

/// How many nodes there are.
pub(crate) const NODES: usize = 3;

/// How many accounts each node keeps; they are numbered through, node by node.
pub(crate) const ACCOUNTS: i64 = 16;
pub(crate) const ALL_ACCOUNTS: i64 = ACCOUNTS * NODES as i64;

/// What is in each account at first.
pub(crate) const OPENING: i64 = 1_000;

/// A transfer between two accounts of one node. Its number is the client's own, and stays the same
/// however often it has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) id: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) amount: i64,
}

impl Transfer {
    /// What it does to which account.
    pub(crate) fn changes(&self) -> [(i64, i64); 2] {
        [(self.from, -self.amount), (self.to, self.amount)]
    }
}

/// A transfer with the timestamp that it was committed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) timestamp: Timestamp,
    pub(crate) transfer: Transfer,
}

/// Something that a client did, in true time: all clients live in one process, and this is its
/// monotonic clock. The nodes' clocks have no part in it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) client: u32,
    /// Before the first message of it was sent.
    pub(crate) sent: Duration,
    /// After the last answer to it was received.
    pub(crate) done: Duration,
    pub(crate) deed: Deed,
}

#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A transfer was acknowledged.
    Transferred { node: usize, commit: Commit },
    /// All accounts of all nodes were read as they were at one timestamp.
    Audited {
        at: Timestamp,
        /// By account.
        balances: Vec<i64>,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.client;
        match &self.deed {
            Deed::Transferred { node, commit } => {
                write!(
                    f,
                    "client {client} committed {} at node {node}",
                    commit.timestamp
                )
            }
            Deed::Audited { at, .. } => write!(f, "client {client} audited as of {at}"),
        }
    }
}
