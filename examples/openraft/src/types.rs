//! What travels: commands of the log, requests to a node, and its answers.

use std::fmt;

use example_cluster::peer;
use serde::{Deserialize, Serialize};

/// An entry of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Sets a register. A client repeats a request under its number until it is answered.
    Write { key: u8, value: u64, request: u64 },
    /// A lease, as `LeaseEntry::to_be_bytes` has it.
    Lease(Vec<u8>),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

openraft::declare_raft_types!(
    pub Types:
        D = Command,
        R = (),
);

pub type Raft = openraft::Raft<Types, crate::machine::Machine>;

/// A way to read. A cluster has one, for all its reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    LeaseRead,
    ReadIndex,
    Ours,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::LeaseRead, Self::ReadIndex, Self::Ours];

    pub const fn name(self) -> &'static str {
        match self {
            Self::LeaseRead => "LeaseRead",
            Self::ReadIndex => "ReadIndex",
            Self::Ours => "lease in log",
        }
    }
}

/// A rule that a node breaks on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Break {
    /// L2: the book keeps the last lease, not the largest.
    Last,
    /// L5: a write that passed the gate is appended in whatever term comes.
    Unbound,
    /// L7: a repeated request is answered from the state before the own lease is applied.
    Limbo,
    /// L1: the snapshot carries no book.
    Book,
    /// L4: the own noop is not awaited.
    Noop,
    /// L3: a lease counts once it is proposed.
    Appended,
    /// L6: a verdict is kept for a while.
    Cached,
    /// L6: the state is read before the check.
    Snapshot,
    /// A clock is taken for exact that is off by up to 300 ms.
    Epsilon,
    /// L4: a restarted node does not wait.
    Restart,
}

impl Break {
    pub const ALL: [(&'static str, Self); 10] = [
        ("last", Self::Last),
        ("unbound", Self::Unbound),
        ("limbo", Self::Limbo),
        ("book", Self::Book),
        ("noop", Self::Noop),
        ("appended", Self::Appended),
        ("cached", Self::Cached),
        ("snapshot", Self::Snapshot),
        ("epsilon", Self::Epsilon),
        ("restart", Self::Restart),
    ];
}

/// A place in the program where a request can be made to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stop {
    /// A write, between the gate and the append.
    AfterGate,
    /// A read, between the state and the check that comes too late.
    BeforeCheck,
    /// The state machine, before it applies.
    BeforeApply,
    /// The timer that keeps a verdict, before it looks again.
    BeforeVerdict,
}

/// How much of the network a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    Up,
    /// It sends, and hears no answer.
    Deaf,
    Cut,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    Peer(peer::Request<Types>),
    Read {
        key: u8,
    },
    Write {
        key: u8,
        value: u64,
        request: u64,
    },
    Initialize(Vec<(u64, String)>),
    SetLink(Link),
    /// The next requests that come to the place stop there for so many ms; 0 lets all go on.
    Arm(Stop, u64),
    /// Campaigns at once, if a majority would have it.
    Elect,
    /// Hands the leadership to that node.
    HandOver(u64),
    /// Holds the clocks of these nodes against each other from now on.
    Watch(Vec<(u64, String)>),
    Status,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Peer(peer::Answer<Types>),
    /// The value, and how many ns the check and the state took, and the state alone.
    Value {
        value: u64,
        took: u64,
        state: u64,
    },
    Done,
    Refused(String),
    Status {
        leads: bool,
        term: u64,
        gate: bool,
        acked_ms_ago: Option<u64>,
        verdict: String,
        /// Whether this node's own clock was found false, and what the fleet said last.
        named: bool,
        clocks: String,
    },
}

/// A message with its sender, which is 0 for clients.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    pub from: u64,
    pub body: Request,
}
