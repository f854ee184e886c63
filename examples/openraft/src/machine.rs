//! The state machine: registers, the requests that were carried out, and the book of leases.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use epsilon_clock::Clock;
use epsilon_clock::lease::{LeaseBook, LeaseEntry, LogLease};
use example_cluster::peer::term_of;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot};
use serde::{Deserialize, Serialize};

use crate::node::Stops;
use crate::types::{Break, Command, Stop, Types};

/// What is replicated.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct State {
    pub applied: Option<LogIdOf<Types>>,
    pub membership: StoredMembershipOf<Types>,
    pub registers: BTreeMap<u8, u64>,
    /// The last request of each register's only writer.
    pub done: BTreeMap<u8, u64>,
    /// As `LeaseBook::to_be_bytes`.
    pub book: Vec<u8>,
}

/// What a request needs, on any thread.
pub struct Shared {
    pub state: Mutex<State>,
    pub book: Mutex<LeaseBook>,
    pub lease: Mutex<LogLease>,
    pub clock: Clock,
    pub broken: Option<Break>,
    pub stops: Stops,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn book(&self) -> MutexGuard<'_, LeaseBook> {
        self.book.lock().expect("no panic")
    }

    pub fn lease(&self) -> MutexGuard<'_, LogLease> {
        self.lease.lock().expect("no panic")
    }
}

#[derive(Clone)]
pub struct Machine {
    shared: Arc<Shared>,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    meta: SnapshotMetaOf<Types>,
    state: Vec<u8>,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Machine {
    pub fn open(shared: Arc<Shared>, path: PathBuf) -> io::Result<Self> {
        let machine = Self { shared, path };
        if let Some(stored) = machine.stored()? {
            machine.restore(&stored.state)?;
        }
        Ok(machine)
    }

    fn stored(&self) -> io::Result<Option<Stored>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn restore(&self, bytes: &[u8]) -> io::Result<()> {
        let state: State = serde_json::from_slice(bytes)?;
        // A snapshot without a book is refused: it is not "no lease".
        *self.shared.book() = LeaseBook::try_from(&state.book[..]).map_err(other)?;
        *self.shared.state() = state;
        Ok(())
    }

    /// In one step for a reader: a crash leaves the old one or the new one.
    fn store(&self, stored: &Stored) -> io::Result<()> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(stored)?)?;
        std::fs::rename(new, &self.path)
    }

    fn apply_one(
        &self,
        id: &LogIdOf<Types>,
        payload: EntryPayload<Command, u64, openraft::BasicNode>,
    ) -> io::Result<()> {
        let term = term_of(&id.leader_id);
        match payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => {
                self.shared.state().membership =
                    openraft::StoredMembership::new(Some(*id), membership);
            }
            EntryPayload::Normal(Command::Write {
                key,
                value,
                request,
            }) => {
                let mut state = self.shared.state();
                state.applied = Some(*id);
                let done = state.done.entry(key).or_default();
                // Carried out once, however often it was repeated.
                if request > *done {
                    *done = request;
                    state.registers.insert(key, value);
                }
            }
            EntryPayload::Normal(Command::Lease(bytes)) => {
                let entry = LeaseEntry::try_from(&bytes[..]).map_err(other)?;
                let mut book = self.shared.book();
                if self.shared.broken == Some(Break::Last) {
                    *book = LeaseBook::default();
                }
                book.apply(&entry, term);
                drop(book);
                self.shared.lease().applied(&entry, term);
            }
        }
        self.shared.state().applied = Some(*id);
        // Any entry of the own term stands behind its noop.
        self.shared.lease().noop_applied(term);
        Ok(())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        let state = self.shared.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: futures_util::Stream<Item = Result<EntryResponder<Types>, io::Error>>
            + Unpin
            + OptionalSend,
    {
        use futures_util::StreamExt;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.shared.stops.come_to(Stop::BeforeApply).await;
            self.apply_one(&entry.log_id, entry.payload)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        snapshot: Vec<u8>,
    ) -> io::Result<()> {
        self.restore(&snapshot)?;
        self.store(&Stored {
            meta: meta.clone(),
            state: snapshot,
        })
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Vec<u8>>>> {
        let stored = self.stored()?;
        Ok(stored.map(|stored| Snapshot {
            meta: stored.meta,
            snapshot: stored.state,
        }))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
        let mut state = {
            // The state first: a book that is newer than the state only makes a leader wait longer.
            let mut state = self.shared.state().clone();
            let book = *self.shared.book();
            let book = match self.shared.broken {
                Some(Break::Book) => LeaseBook::default(),
                _ => book,
            };
            state.book = book.to_be_bytes().to_vec();
            state
        };
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: state.applied,
            last_membership: std::mem::take(&mut state.membership),
        };
        state.membership = meta.last_membership.clone();
        let stored = Stored {
            meta: meta.clone(),
            state: serde_json::to_vec(&state)?,
        };
        self.store(&stored)?;
        Ok(Snapshot {
            meta,
            snapshot: stored.state,
        })
    }
}
