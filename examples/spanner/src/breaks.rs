//! The rules that a node breaks on purpose, and the points at which it can be made to die.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Break {
    /// T-1: a timestamp is drawn now and appended a while later; T-2 lets it through.
    Draw,
    /// T-5: safe time takes no account of prepared transactions.
    Prepared,
    /// T-6: a new leader does not take the locks of what is prepared.
    Rebuilt,
    /// T-6: a participant aborts by itself when it hears nothing.
    Silence,
    /// T-8: a leader answers at a timestamp beyond its lease.
    Beyond,
    /// T-5: a follower takes what its leader closed for what it has applied itself.
    Ahead,
    /// T-7: a promise does not raise the floor.
    Promise,
    /// T-4: a commit of another shard's timestamp does not raise the floor.
    Floor,
    /// T-9: an answer leaves before its versions are surely past.
    Answer,
    /// C-4: a repeated request is answered without another wait.
    Again,
    /// L1: a restarted node has forgotten the leases.
    Book,
}

impl Break {
    pub const ALL: [(&'static str, Self); 11] = [
        ("draw", Self::Draw),
        ("prepared", Self::Prepared),
        ("rebuilt", Self::Rebuilt),
        ("silence", Self::Silence),
        ("beyond", Self::Beyond),
        ("ahead", Self::Ahead),
        ("promise", Self::Promise),
        ("floor", Self::Floor),
        ("answer", Self::Answer),
        ("again", Self::Again),
        ("book", Self::Book),
    ];

    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, rule)| *rule)
    }
}

/// A place in the program where all three nodes are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Point {
    /// An entry is written, and nothing is synced.
    Append,
    /// The file is synced, and the engine does not know it yet.
    Sync,
    /// The outcome is in the log, and its commit-wait is not over.
    Wait,
    /// An entry is committed, and not applied.
    Apply,
}

impl Point {
    pub const ALL: [Self; 4] = [Self::Append, Self::Sync, Self::Wait, Self::Apply];
}
