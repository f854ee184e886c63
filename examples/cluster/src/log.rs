//! The engine's log: in memory for reading, and in a storage for good.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{LogState, OptionalSend, RaftLogReader, RaftTypeConfig};

/// What a log holds.
#[derive(Debug, Default)]
pub struct Content<C: RaftTypeConfig> {
    pub vote: Option<VoteOf<C>>,
    pub committed: Option<LogIdOf<C>>,
    pub purged: Option<LogIdOf<C>>,
    pub entries: BTreeMap<u64, EntryOf<C>>,
}

impl<C: RaftTypeConfig> Content<C> {
    /// Removes the entries from an index on.
    pub fn truncate(&mut self, from: u64) {
        drop(self.entries.split_off(&from));
    }

    /// Removes the entries up to one.
    pub fn purge(&mut self, last: LogIdOf<C>) {
        self.entries = self.entries.split_off(&(last.index + 1));
        self.purged = Some(last);
    }

    fn last(&self) -> Option<LogIdOf<C>> {
        let last = self.entries.values().next_back().map(RaftEntry::log_id);
        last.or_else(|| self.purged.clone())
    }
}

/// Where a log outlives its process.
pub trait Storage<C: RaftTypeConfig>: Clone + Send + Sync + 'static {
    fn save_vote(&self, vote: &VoteOf<C>) -> impl Future<Output = io::Result<()>> + Send;

    fn save_committed(&self, committed: Option<&LogIdOf<C>>) -> io::Result<()>;

    /// Stores entries, and tells the engine once they are stored.
    fn append(&self, entries: &[EntryOf<C>], stored: IOFlushed<C>) -> io::Result<()>;

    fn truncate(&self, from: u64) -> impl Future<Output = io::Result<()>> + Send;

    fn purge(&self, last: &LogIdOf<C>) -> io::Result<()>;
}

#[derive(Clone)]
pub struct Log<C: RaftTypeConfig, S> {
    content: Arc<Mutex<Content<C>>>,
    storage: S,
}

impl<C: RaftTypeConfig, S> Log<C, S> {
    /// Opens a log with what its storage holds.
    pub fn new(content: Content<C>, storage: S) -> Self {
        Self {
            content: Arc::new(Mutex::new(content)),
            storage,
        }
    }

    fn content(&self) -> MutexGuard<'_, Content<C>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn last_index(&self) -> u64 {
        self.content().last().map_or(0, |last| last.index)
    }
}

impl<C: RaftTypeConfig<Entry: Clone>, S: Storage<C>> RaftLogReader<C> for Log<C, S> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<C>>> {
        let content = self.content();
        let entries = content.entries.range(range);
        Ok(entries.map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<C>>> {
        Ok(self.content().vote.clone())
    }
}

impl<C: RaftTypeConfig<Entry: Clone>, S: Storage<C>> RaftLogStorage<C> for Log<C, S> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        let content = self.content();
        Ok(LogState {
            last_purged_log_id: content.purged.clone(),
            last_log_id: content.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<C>) -> io::Result<()> {
        self.content().vote = Some(vote.clone());
        self.storage.save_vote(vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<C>>) -> io::Result<()> {
        self.storage.save_committed(committed.as_ref())?;
        self.content().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<C>>> {
        Ok(self.content().committed.clone())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<C>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        // Under the lock, so that no reader is told of an entry before it can read it.
        let mut content = self.content();
        self.storage.append(&entries, callback)?;
        let entries = entries.into_iter().map(|entry| (entry.index(), entry));
        content.entries.extend(entries);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<C>>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.content().truncate(from);
        self.storage.truncate(from).await
    }

    async fn purge(&mut self, last: LogIdOf<C>) -> io::Result<()> {
        self.storage.purge(&last)?;
        self.content().purge(last);
        Ok(())
    }
}
