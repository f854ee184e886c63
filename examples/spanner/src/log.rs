//! The log of one shard: in memory for reading, in the node's file for good.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use example_cluster::frames::{decode, encode};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{LogState, OptionalSend, RaftLogReader};
use serde::de::DeserializeOwned;

use crate::store::{Change, Loaded, Store};
use crate::types::{Shard, Types};

#[derive(Default)]
struct State {
    vote: Option<VoteOf<Types>>,
    committed: Option<LogIdOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    entries: BTreeMap<u64, EntryOf<Types>>,
}

#[derive(Clone)]
pub struct Log {
    shard: Shard,
    store: Store,
    state: Arc<Mutex<State>>,
}

fn meta<T: DeserializeOwned>(loaded: &Loaded, name: &str) -> io::Result<Option<T>> {
    loaded.meta.get(name).map(|bytes| decode(bytes)).transpose()
}

impl Log {
    pub fn open(shard: Shard, store: Store, loaded: &Loaded) -> io::Result<Self> {
        let mut state = State {
            vote: meta(loaded, "vote")?,
            committed: meta::<Option<_>>(loaded, "committed")?.flatten(),
            purged: meta(loaded, "purged")?,
            entries: BTreeMap::new(),
        };
        for (index, bytes) in &loaded.entries {
            state.entries.insert(*index, decode(bytes)?);
        }
        Ok(Self {
            shard,
            store,
            state: Arc::new(Mutex::new(state)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn last_index(&self) -> u64 {
        let state = self.state();
        let last = state.entries.keys().next_back().copied();
        last.or(state.purged.map(|purged| purged.index))
            .unwrap_or(0)
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<Types>>> {
        let state = self.state();
        Ok(state
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.state().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.state();
        let last = state.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState {
            last_purged_log_id: state.purged,
            last_log_id: last.or(state.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.state().vote = Some(*vote);
        let change = Change::Meta("vote", encode(vote)?);
        self.store.synced(self.shard, vec![change]).await
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.state().committed = committed;
        let change = Change::Meta("committed", encode(&committed)?);
        self.store.later(self.shard, vec![change])
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<Types>>> {
        Ok(self.state().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut changes = Vec::new();
        for entry in entries {
            changes.push(Change::Entry(entry.log_id.index, encode(&entry)?));
            self.state().entries.insert(entry.log_id.index, entry);
        }
        // Readable at once; told as written only once it is synced.
        self.store
            .put(self.shard, changes, |done| callback.io_completed(done))
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        drop(self.state().entries.split_off(&from));
        self.store.synced(self.shard, vec![Change::Cut(from)]).await
    }

    async fn purge(&mut self, last: LogIdOf<Types>) -> io::Result<()> {
        {
            let mut state = self.state();
            state.entries = state.entries.split_off(&(last.index + 1));
            state.purged = Some(last);
        }
        // Behind what was applied, which is in the same queue: it is not lost with the entries.
        let purged = Change::Meta("purged", encode(&last)?);
        self.store
            .later(self.shard, vec![purged, Change::Purge(last.index)])
    }
}
