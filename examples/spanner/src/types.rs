//! What travels: entries of the logs, requests between nodes and of clients, and their answers.

use std::collections::BTreeSet;
use std::fmt;

use epsilon_clock::lease::LeaderTerm;
use example_cluster::peer;
use serde::{Deserialize, Serialize};

use crate::breaks::Point;

pub type Shard = u8;
pub type Key = u16;
pub type Value = u64;
/// Names a transaction for good: a client repeats it until its outcome is known.
pub type TxnId = u64;
/// A timestamp, in ns since 1970.
pub type Nanos = i64;

pub const SHARDS: Shard = 3;
pub const KEYS: Key = 12;
pub const NODES: u64 = 3;

pub fn shard_of(key: Key) -> Shard {
    u8::try_from(key % Key::from(SHARDS)).unwrap_or(0)
}

/// Reads and writes that take place at one instant, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TxnId,
    pub reads: Vec<Key>,
    pub writes: Vec<(Key, Value)>,
}

impl Transaction {
    pub fn shards(&self) -> BTreeSet<Shard> {
        let written = self.writes.iter().map(|(key, _)| shard_of(*key));
        written
            .chain(self.reads.iter().map(|key| shard_of(*key)))
            .collect()
    }

    /// The shard whose log decides.
    pub fn coordinator(&self) -> Shard {
        self.shards().first().copied().unwrap_or(0)
    }

    pub fn part(&self, shard: Shard) -> Self {
        Self {
            id: self.id,
            reads: self
                .reads
                .iter()
                .copied()
                .filter(|key| shard_of(*key) == shard)
                .collect(),
            writes: self
                .writes
                .iter()
                .copied()
                .filter(|(key, _)| shard_of(*key) == shard)
                .collect(),
        }
    }

    pub fn touches(&self, other: &Self) -> bool {
        let writes = |txn: &Self, key: Key| txn.writes.iter().any(|(written, _)| *written == key);
        let uses = |txn: &Self, key: Key| txn.reads.contains(&key) || writes(txn, key);
        self.writes.iter().any(|(key, _)| uses(other, *key))
            || other.writes.iter().any(|(key, _)| uses(self, *key))
    }
}

/// A value that was read, with the timestamp of its version; 0 for a key that was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub key: Key,
    pub value: Value,
    pub version: Nanos,
}

/// A leadership, as it stands in an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Term(pub u64, pub u64);

impl From<LeaderTerm> for Term {
    fn from(term: LeaderTerm) -> Self {
        Self(term.term, term.leader)
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Committed { at: Nanos, read: Vec<Seen> },
    Aborted,
}

/// An entry of a shard's log. `at` was drawn by the shard's sequencer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// As `LeaseEntry::to_be_bytes` has it.
    Lease(Vec<u8>),
    /// Writes nothing: followers may be read up to it.
    Promise { term: Term, at: Nanos },
    /// A transaction's outcome, in its coordinator's log, with what it wrote there.
    Commit {
        term: Term,
        at: Nanos,
        part: Transaction,
        read: Vec<Seen>,
    },
    Prepare {
        term: Term,
        at: Nanos,
        part: Transaction,
        coordinator: Shard,
    },
    /// In the coordinator's log, before any node says that the transaction was aborted.
    Abort { txn: TxnId },
    /// The outcome, in a participant's log: the coordinator's timestamp, or none.
    Resolve { txn: TxnId, at: Option<Nanos> },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What applying an entry came to, on every replica alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    Done,
    Refused(String),
}

openraft::declare_raft_types!(
    pub Types:
        D = Command,
        R = Applied,
);

pub type Raft = openraft::Raft<Types, crate::machine::Machine>;

/// A request of one node to another, about one shard.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    Peer(peer::Request<Types>),
    Prepare(Transaction, Shard),
    Resolve(TxnId, Option<Nanos>),
    /// What became of a transaction, asked of its coordinator's shard.
    Ask(TxnId),
    /// Wants the shard closed up to a timestamp.
    Close(Nanos),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Peer(peer::Answer<Types>),
    Prepared(Nanos, Vec<Seen>),
    /// The timestamp of a commit, none for an abort.
    Outcome(Option<Nanos>),
    /// The transaction is under way.
    Pending,
    Done,
    Refused(String),
}

/// How a read is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// At a timestamp that the client names, if the replica is closed up to it.
    Snapshot(Nanos),
    /// At `latest`, on any replica.
    Strong,
    /// At `latest` and so many ms ahead of it, by the leader's lease, of one shard.
    Lease(u32),
}

/// A request of a client, or of the test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    Transact(Transaction),
    Read(Vec<Key>, How),
    Initialize(Vec<(u64, String)>),
    /// Drops all that is sent to that peer from now on, or no more.
    Block(u64, bool),
    /// Puts the clock so many µs off, at once.
    Step(i64),
    /// Likewise, at 500 ppm.
    Slew(i64),
    /// Dies at that point the next time it is come to.
    DieAt(Point),
    /// Hands the leadership of a shard to a node.
    HandOver(Shard, u64),
    Status,
}

/// Where a commit's time went, in µs since its request arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The locks were taken, and all participants had prepared.
    pub prepared: u64,
    /// The timestamp was drawn.
    pub drawn: u64,
    /// The outcome was applied.
    pub applied: u64,
    /// The timestamp was surely past.
    pub past: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    Committed {
        at: Nanos,
        read: Vec<Seen>,
        /// None where an earlier attempt had committed it.
        phases: Option<Phases>,
    },
    Aborted,
    Values {
        at: Nanos,
        seen: Vec<Seen>,
        /// What the read cost: messages to peers, locks, and µs.
        messages: u64,
        locks: u64,
        took: u64,
    },
    Done,
    /// Nothing is known of the outcome; the node that may know more.
    Refused(String, Option<u64>),
    Status {
        serves: bool,
        named: bool,
        clocks: String,
        /// Of each shard: whether this node leads it, with an open gate; and how many are prepared.
        leads: Vec<bool>,
        prepared: Vec<usize>,
        safe: Vec<Nanos>,
        messages: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Hello {
    Peer(u64),
    Client,
}
