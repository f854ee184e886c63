//! One replica of one shard: what its log made of it, and what is known of leases and safe time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use epsilon_clock::Timestamp;
use epsilon_clock::engine::{self, SafeTime};
use epsilon_clock::lease::{LeaderTerm, LeaseBook, LeaseEntry, LogLease};
use example_cluster::frames::{decode, encode};
use example_cluster::peer::term_of;
use openraft::Snapshot;
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::breaks::Break;
use crate::store::{Change, Loaded};
use crate::types::{
    Applied, Command, Key, Nanos, Outcome, Seen, Shard, Term, Transaction, TxnId, Types, Value,
};

pub fn stamp(nanos: Nanos) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

/// A transaction's part that waits for its outcome. It holds the locks of what it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    pub at: Nanos,
    pub part: Transaction,
    pub coordinator: Shard,
    pub term: Term,
}

/// What is replicated.
#[derive(Default)]
pub struct State {
    pub applied: Option<LogIdOf<Types>>,
    pub membership: StoredMembershipOf<Types>,
    pub book: LeaseBook,
    pub versions: BTreeMap<Key, BTreeMap<Nanos, Value>>,
    pub prepared: BTreeMap<TxnId, Prepared>,
    /// Kept for good: a run is short, and a client may repeat a transaction however late.
    pub outcomes: BTreeMap<TxnId, Outcome>,
    /// When each prepared transaction was first seen by this process.
    pub since: BTreeMap<TxnId, Instant>,
}

/// What the file keeps in one row, and changes with what it was made of in one transaction.
#[derive(Serialize, Deserialize)]
struct Kept {
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    /// As `LeaseBook::to_be_bytes`.
    book: Vec<u8>,
    closed: Nanos,
    floor: Nanos,
}

#[derive(Serialize, Deserialize)]
struct Whole {
    kept: Kept,
    versions: Vec<(Key, Nanos, Value)>,
    prepared: Vec<(TxnId, Prepared)>,
    outcomes: Vec<(TxnId, Outcome)>,
}

impl State {
    /// What a read at a timestamp sees.
    pub fn read_at(&self, keys: &[Key], at: Nanos) -> Vec<Seen> {
        keys.iter()
            .map(|key| {
                let newest = self
                    .versions
                    .get(key)
                    .and_then(|versions| versions.range(..=at).next_back());
                let (version, value) = newest.map_or((0, 0), |(at, value)| (*at, *value));
                Seen {
                    key: *key,
                    value,
                    version,
                }
            })
            .collect()
    }

    fn write(&mut self, part: &Transaction, at: Nanos, changes: &mut Vec<Change>) {
        for (key, value) in &part.writes {
            self.versions.entry(*key).or_default().insert(at, *value);
            changes.push(Change::Version(*key, at, *value));
        }
    }

    fn settle(
        &mut self,
        txn: TxnId,
        outcome: Outcome,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        changes.push(Change::Outcome(txn, encode(&outcome)?));
        self.outcomes.insert(txn, outcome);
        Ok(())
    }
}

pub struct Replica {
    state: Mutex<State>,
    pub safe: SafeTime<TxnId>,
    /// The same one, but in a node that breaks a rule of the floor.
    pub sequencer: SafeTime<TxnId>,
    /// What was drawn here and neither applied nor surely truncated.
    pub drawn: Mutex<BTreeMap<Nanos, LeaderTerm>>,
    pub lease: Mutex<LogLease>,
    pub changed: Notify,
    pub broken: Option<Break>,
    /// Up to this index a node without a book knows no leases.
    forgotten: u64,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Replica {
    pub fn open(
        loaded: &Loaded,
        lease: LogLease,
        broken: Option<Break>,
        last: u64,
    ) -> io::Result<Self> {
        let mut state = State::default();
        let mut safe = engine::Replica::default();
        if let Some(bytes) = loaded.meta.get("applied") {
            let kept: Kept = decode(bytes)?;
            state.applied = kept.applied;
            state.membership = kept.membership;
            // A state without a book is refused: it is not "no lease".
            state.book = LeaseBook::try_from(&kept.book[..]).map_err(other)?;
            safe.closed = stamp(kept.closed);
            safe.floor = stamp(kept.floor);
        }
        let forgets = broken == Some(Break::Book);
        if forgets {
            state.book = LeaseBook::default();
        }
        for (key, at, value) in &loaded.versions {
            state.versions.entry(*key).or_default().insert(*at, *value);
        }
        for (txn, bytes) in &loaded.prepared {
            let prepared: Prepared = decode(bytes)?;
            safe.prepared.insert(*txn, stamp(prepared.at));
            state.since.insert(*txn, Instant::now());
            state.prepared.insert(*txn, prepared);
        }
        for (txn, bytes) in &loaded.outcomes {
            state.outcomes.insert(*txn, decode(bytes)?);
        }
        let sequencer = safe.clone();
        let safe = SafeTime::restore(safe);
        let sequencer = match broken {
            Some(Break::Promise | Break::Floor) => SafeTime::restore(sequencer),
            _ => safe.clone(),
        };
        Ok(Self {
            state: Mutex::new(state),
            safe,
            sequencer,
            drawn: Mutex::default(),
            lease: Mutex::new(lease),
            changed: Notify::new(),
            broken,
            forgotten: if forgets { last } else { 0 },
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lease(&self) -> MutexGuard<'_, LogLease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn drawn(&self) -> MutexGuard<'_, BTreeMap<Nanos, LeaderTerm>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaks(&self, rule: Break) -> bool {
        self.broken == Some(rule)
    }

    fn kept(&self, state: &State) -> Kept {
        let replica = self.safe.replica();
        Kept {
            applied: state.applied,
            membership: state.membership.clone(),
            book: state.book.to_be_bytes().to_vec(),
            closed: replica.closed.unix_nanos(),
            floor: replica.floor.unix_nanos(),
        }
    }

    /// The row that goes with the changes before it.
    pub fn keep(&self, changes: &mut Vec<Change>) -> io::Result<()> {
        let state = self.state();
        changes.push(Change::Meta("applied", encode(&self.kept(&state))?));
        Ok(())
    }

    /// Everything, as of what was applied last.
    pub fn snapshot(&self) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
        let state = self.state();
        let versions = state
            .versions
            .iter()
            .flat_map(|(key, versions)| versions.iter().map(|(at, value)| (*key, *at, *value)));
        let whole = Whole {
            kept: self.kept(&state),
            versions: versions.collect(),
            prepared: state.prepared.clone().into_iter().collect(),
            outcomes: state.outcomes.clone().into_iter().collect(),
        };
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
        };
        Ok(Snapshot {
            meta,
            snapshot: encode(&whole)?,
        })
    }

    /// Takes another replica's state in place of its own, and returns what the file has to be told.
    pub fn install(&self, bytes: &[u8]) -> io::Result<Vec<Change>> {
        let whole: Whole = decode(bytes)?;
        let mut changes = vec![Change::Clear];
        let mut state = self.state();
        let mut book = LeaseBook::try_from(&whole.kept.book[..]).map_err(other)?;
        if self.breaks(Break::Book) {
            book = state.book;
        }
        *state = State {
            applied: whole.kept.applied,
            membership: whole.kept.membership.clone(),
            book,
            ..State::default()
        };
        for (key, at, value) in whole.versions {
            state.versions.entry(key).or_default().insert(at, value);
            changes.push(Change::Version(key, at, value));
        }
        let mut prepared = whole.prepared;
        prepared.sort_by_key(|(_, prepared)| prepared.at);
        for safe in [&self.safe, &self.sequencer] {
            let before = safe.replica().prepared;
            for txn in before.keys() {
                if prepared.iter().all(|(still, _)| still != txn) {
                    safe.apply_abort(txn);
                }
            }
            for (txn, prepared) in &prepared {
                // One that was not seen here is above all that is closed here, as in the log.
                if !before.contains_key(txn) {
                    let applied = safe.apply_prepare(*txn, stamp(prepared.at));
                    if self.broken.is_none() {
                        applied.map_err(other)?;
                    }
                }
            }
        }
        for (txn, prepared) in prepared {
            changes.push(Change::Prepared(txn, Some(encode(&prepared)?)));
            state.since.insert(txn, Instant::now());
            state.prepared.insert(txn, prepared);
        }
        for (txn, outcome) in whole.outcomes {
            changes.push(Change::Outcome(txn, encode(&outcome)?));
            state.outcomes.insert(txn, outcome);
        }
        for safe in [&self.safe, &self.sequencer] {
            let _ = safe.apply_drawn(stamp(whole.kept.closed));
            safe.apply_commit(&TxnId::MAX, stamp(whole.kept.floor));
        }
        changes.push(Change::Meta("applied", encode(&self.kept(&state))?));
        drop(state);
        self.changed.notify_waiters();
        Ok(changes)
    }

    /// Applies an entry; what it comes to is the same on every replica.
    pub fn apply(
        &self,
        id: LogIdOf<Types>,
        command: Option<Command>,
        changes: &mut Vec<Change>,
    ) -> io::Result<Applied> {
        let term = term_of(&id.leader_id);
        // State and safe time change under one lock, so that readers see both at one index.
        let mut state = self.state();
        state.applied = Some(id);
        let applied = match command {
            None => Applied::Done,
            Some(Command::Lease(bytes)) => {
                let entry = LeaseEntry::try_from(&bytes[..]).map_err(other)?;
                if id.index > self.forgotten {
                    state.book.apply(&entry, term);
                }
                self.lease().applied(&entry, term);
                Applied::Done
            }
            Some(Command::Abort { txn }) => {
                if !state.outcomes.contains_key(&txn) {
                    state.settle(txn, Outcome::Aborted, changes)?;
                }
                Applied::Done
            }
            Some(Command::Resolve { txn, at }) => {
                self.resolve(&mut state, txn, at, changes)?;
                Applied::Done
            }
            Some(drawn) => {
                let mut in_flight = self.drawn();
                let (Command::Promise { term: own, at }
                | Command::Commit { term: own, at, .. }
                | Command::Prepare { term: own, at, .. }) = drawn
                else {
                    return Err(other("an entry of a kind that is not drawn"));
                };
                in_flight.remove(&at);
                drop(in_flight);
                if own == Term::from(term) {
                    self.apply_drawn(&mut state, drawn, at, changes)?
                } else {
                    self.sequencer.truncated(stamp(at));
                    Applied::Refused("drawn in another term".into())
                }
            }
        };
        drop(state);
        // Any entry of the own term stands behind its noop.
        self.lease().noop_applied(term);
        self.changed.notify_waiters();
        Ok(applied)
    }

    fn apply_drawn(
        &self,
        state: &mut State,
        command: Command,
        at: Nanos,
        changes: &mut Vec<Change>,
    ) -> io::Result<Applied> {
        let promises = matches!(command, Command::Promise { .. });
        if self.breaks(Break::Floor) || (self.breaks(Break::Promise) && !promises) {
            let _ = self.sequencer.apply_drawn(stamp(at));
        }
        // Where T-1 or T-7 is broken, what T-2 would refuse goes through.
        let lenient = matches!(self.broken, Some(Break::Draw | Break::Promise));
        let refused = |error: engine::OutOfOrder| Ok(Applied::Refused(error.to_string()));
        match command {
            Command::Prepare {
                part,
                coordinator,
                term,
                ..
            } => {
                let txn = part.id;
                let known = state.prepared.contains_key(&txn) || state.outcomes.contains_key(&txn);
                let closed = if known {
                    self.safe.apply_drawn(stamp(at))
                } else {
                    self.safe.apply_prepare(txn, stamp(at))
                };
                if let (Err(error), false) = (closed, lenient) {
                    return refused(error);
                }
                if !known {
                    let prepared = Prepared {
                        at,
                        part,
                        coordinator,
                        term,
                    };
                    changes.push(Change::Prepared(txn, Some(encode(&prepared)?)));
                    state.since.insert(txn, Instant::now());
                    state.prepared.insert(txn, prepared);
                }
            }
            Command::Commit { part, read, .. } => {
                if let (Err(error), false) = (self.safe.apply_drawn(stamp(at)), lenient) {
                    return refused(error);
                }
                // What was decided first stays so.
                if let Some(before) = state.outcomes.get(&part.id) {
                    return Ok(Applied::Refused(format!("it is decided: {before:?}")));
                }
                state.write(&part, at, changes);
                state.settle(part.id, Outcome::Committed { at, read }, changes)?;
            }
            _ => {
                if let (Err(error), false) = (self.safe.apply_drawn(stamp(at)), lenient) {
                    return refused(error);
                }
            }
        }
        Ok(Applied::Done)
    }

    fn resolve(
        &self,
        state: &mut State,
        txn: TxnId,
        at: Option<Nanos>,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        let Some(prepared) = state.prepared.remove(&txn) else {
            return Ok(());
        };
        state.since.remove(&txn);
        changes.push(Change::Prepared(txn, None));
        let outcome = match at {
            Some(at) => {
                state.write(&prepared.part, at, changes);
                self.safe.apply_commit(&txn, stamp(at));
                if self.breaks(Break::Promise) {
                    self.sequencer.apply_commit(&txn, stamp(at));
                }
                Outcome::Committed {
                    at,
                    read: Vec::new(),
                }
            }
            None => {
                self.safe.apply_abort(&txn);
                Outcome::Aborted
            }
        };
        state.settle(txn, outcome, changes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use epsilon_clock::lease::{Delta, Holder};
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;

    const TERM: Term = Term(1, 1);

    fn replica() -> Replica {
        let ms = Duration::from_millis;
        let delta = Delta::new(ms(1_000), ms(1), ms(10)).expect("long enough");
        let holder = Holder {
            node: 1,
            incarnation: 1,
        };
        let lease = LogLease::new(holder, delta);
        Replica::open(&Loaded::default(), lease, None, 0).expect("an empty file")
    }

    /// Applies entries of the first term, from an index on.
    fn apply(replica: &Replica, first: u64, commands: Vec<Command>) -> Vec<Applied> {
        let leader_id = LeaderId {
            term: 1,
            node_id: 1,
        };
        let entries = (first..).zip(commands);
        entries
            .map(|(index, command)| {
                let id = LogIdOf::<Types>::new(leader_id, index);
                let applied = replica.apply(id, Some(command), &mut Vec::new());
                applied.expect("an entry that is known")
            })
            .collect()
    }

    fn promise(at: Nanos) -> Command {
        Command::Promise { term: TERM, at }
    }

    fn part(id: TxnId) -> Transaction {
        Transaction {
            id,
            reads: Vec::new(),
            writes: vec![(0, id)],
        }
    }

    fn prepare(id: TxnId, at: Nanos) -> Command {
        Command::Prepare {
            term: TERM,
            at,
            part: part(id),
            coordinator: 1,
        }
    }

    fn commit(id: TxnId, at: Nanos, term: Term) -> Command {
        Command::Commit {
            term,
            at,
            part: part(id),
            read: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_keeps_what_is_prepared() {
        let ahead = replica();
        apply(&ahead, 1, vec![promise(10), prepare(7, 20), promise(30)]);
        let snapshot = ahead.snapshot().expect("a snapshot").snapshot;
        let (fresh, behind) = (replica(), replica());
        apply(&behind, 1, vec![promise(10), prepare(7, 20)]);
        for replica in [fresh, behind] {
            replica.install(&snapshot).expect("a snapshot");
            assert_eq!(replica.safe.safe(), stamp(19));
            apply(&replica, 4, vec![Command::Resolve { txn: 7, at: None }]);
            assert_eq!(replica.safe.safe(), stamp(30));
        }
    }

    #[test]
    fn what_is_decided_first_stays() {
        let replica = replica();
        let applied = apply(
            &replica,
            1,
            vec![Command::Abort { txn: 7 }, commit(7, 10, TERM), promise(20)],
        );
        assert!(matches!(applied[1], Applied::Refused(_)));
        let state = replica.state();
        assert_eq!(state.outcomes.get(&7), Some(&Outcome::Aborted));
        assert_eq!(state.read_at(&[0], 20)[0].value, 0);
    }

    #[test]
    fn an_entry_of_another_term_or_below_what_is_closed_changes_nothing() {
        let replica = replica();
        let late = commit(7, 15, TERM);
        let foreign = commit(8, 30, Term(0, 1));
        let applied = apply(&replica, 1, vec![promise(20), late, foreign]);
        assert!(matches!(
            applied[1..],
            [Applied::Refused(_), Applied::Refused(_)]
        ));
        let state = replica.state();
        assert!(state.outcomes.is_empty() && state.versions.is_empty());
        assert_eq!(replica.safe.safe(), stamp(20));
    }
}
