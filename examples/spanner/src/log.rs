//! The log of one shard, in the node's file.

use std::io;

use example_cluster::frames::{decode, encode};
use example_cluster::log::{Content, Log, Storage};
use openraft::storage::IOFlushed;
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use serde::de::DeserializeOwned;

use crate::store::{Change, Loaded, Store};
use crate::types::{Shard, Types};

#[derive(Clone)]
pub struct Shelf {
    shard: Shard,
    store: Store,
}

fn meta<T: DeserializeOwned>(loaded: &Loaded, name: &str) -> io::Result<Option<T>> {
    loaded.meta.get(name).map(|bytes| decode(bytes)).transpose()
}

pub fn open(shard: Shard, store: Store, loaded: &Loaded) -> io::Result<Log<Types, Shelf>> {
    let mut content = Content {
        vote: meta(loaded, "vote")?,
        committed: meta::<Option<_>>(loaded, "committed")?.flatten(),
        purged: meta(loaded, "purged")?,
        ..Content::default()
    };
    for (index, bytes) in &loaded.entries {
        content.entries.insert(*index, decode(bytes)?);
    }
    Ok(Log::new(content, Shelf { shard, store }))
}

impl Storage<Types> for Shelf {
    async fn save_vote(&self, vote: &VoteOf<Types>) -> io::Result<()> {
        let change = Change::Meta("vote", encode(vote)?);
        self.store.synced(self.shard, vec![change]).await
    }

    fn save_committed(&self, committed: Option<&LogIdOf<Types>>) -> io::Result<()> {
        let change = Change::Meta("committed", encode(&committed)?);
        self.store.later(self.shard, vec![change])
    }

    fn append(&self, entries: &[EntryOf<Types>], stored: IOFlushed<Types>) -> io::Result<()> {
        let mut changes = Vec::new();
        for entry in entries {
            changes.push(Change::Entry(entry.log_id.index, encode(entry)?));
        }
        // Readable at once; told as written only once it is synced.
        self.store
            .put(self.shard, changes, |done| stored.io_completed(done))
    }

    async fn truncate(&self, from: u64) -> io::Result<()> {
        self.store.synced(self.shard, vec![Change::Cut(from)]).await
    }

    fn purge(&self, last: &LogIdOf<Types>) -> io::Result<()> {
        // Behind what was applied, which is in the same queue: it is not lost with the entries.
        let purged = Change::Meta("purged", encode(last)?);
        self.store
            .later(self.shard, vec![purged, Change::Purge(last.index)])
    }
}
