//! One redb file for all shards of a node, written by one thread: what waits together is synced together.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::breaks::Point;
use crate::death::Death;
use crate::file::Forgetful;
use crate::types::{Key, Nanos, Shard, TxnId, Value};

const LOG: TableDefinition<'_, (Shard, u64), &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, (Shard, &str), &[u8]> = TableDefinition::new("meta");
const VERSIONS: TableDefinition<'_, (Shard, Key, Nanos), Value> = TableDefinition::new("versions");
const PREPARED: TableDefinition<'_, (Shard, TxnId), &[u8]> = TableDefinition::new("prepared");
const OUTCOMES: TableDefinition<'_, (Shard, TxnId), &[u8]> = TableDefinition::new("outcomes");

/// How long what no node waits for may stay unsynced.
const LAZY: Duration = Duration::from_millis(20);

/// A change of one shard's tables.
#[derive(Debug)]
pub enum Change {
    Entry(u64, Vec<u8>),
    /// Removes the entries from this index on.
    Cut(u64),
    /// Removes the entries up to this index.
    Purge(u64),
    Meta(&'static str, Vec<u8>),
    Version(Key, Nanos, Value),
    Prepared(TxnId, Option<Vec<u8>>),
    Outcome(TxnId, Vec<u8>),
    /// Removes all but the log and the votes, before a snapshot takes its place.
    Clear,
}

type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

struct Job {
    shard: Shard,
    changes: Vec<Change>,
    /// Told once it is synced; without it there is no hurry.
    done: Option<Done>,
}

#[derive(Clone)]
pub struct Store {
    jobs: Sender<Job>,
    database: Arc<Database>,
    /// Why the writing thread ended.
    failed: Arc<Mutex<Option<String>>>,
}

/// What a shard's tables held when the process started.
#[derive(Debug, Default)]
pub struct Loaded {
    pub entries: BTreeMap<u64, Vec<u8>>,
    pub meta: BTreeMap<String, Vec<u8>>,
    pub versions: Vec<(Key, Nanos, Value)>,
    pub prepared: Vec<(TxnId, Vec<u8>)>,
    pub outcomes: Vec<(TxnId, Vec<u8>)>,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Store {
    pub fn open(path: &Path, fdatasync: bool, death: Arc<Death>) -> io::Result<Self> {
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let backend = Forgetful::open(file, fdatasync)?;
        let database = Database::builder().create_with_backend(backend);
        let database = Arc::new(database.map_err(other)?);
        let (jobs, inbox) = channel();
        let failed = Arc::new(Mutex::new(None));
        let (writer, why) = (Arc::clone(&database), Arc::clone(&failed));
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                if let Err(error) = serve(&writer, &inbox, &death) {
                    *why.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                }
            })?;
        let store = Self {
            jobs,
            database,
            failed,
        };
        // The tables exist from here on.
        let (sender, receiver) = channel();
        store.put(0, Vec::new(), move |done| drop(sender.send(done)))?;
        receiver.recv().map_err(other)??;
        Ok(store)
    }

    fn send(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| {
            let why = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            io::Error::other(why.clone().unwrap_or("the store is closed".into()))
        })
    }

    /// Writes, and tells once it is synced.
    pub fn put(
        &self,
        shard: Shard,
        changes: Vec<Change>,
        done: impl FnOnce(io::Result<()>) + Send + 'static,
    ) -> io::Result<()> {
        let done: Done = Box::new(done);
        self.send(Job {
            shard,
            changes,
            done: Some(done),
        })
    }

    /// Writes after all that was put before, some time soon.
    pub fn later(&self, shard: Shard, changes: Vec<Change>) -> io::Result<()> {
        self.send(Job {
            shard,
            changes,
            done: None,
        })
    }

    /// Writes, and returns once it is synced.
    pub async fn synced(&self, shard: Shard, changes: Vec<Change>) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.put(shard, changes, |done| drop(sender.send(done)))?;
        receiver.await.map_err(other)?
    }

    pub fn load(&self, shard: Shard) -> io::Result<Loaded> {
        let read = self.database.begin_read().map_err(other)?;
        let mut loaded = Loaded::default();
        let ids = (shard, u64::MIN)..=(shard, u64::MAX);
        for row in rows(&read, LOG)?.range(ids.clone()).map_err(other)? {
            let (key, value) = row.map_err(other)?;
            loaded.entries.insert(key.value().1, value.value().to_vec());
        }
        for row in rows(&read, META)?
            .range((shard, "")..(shard + 1, ""))
            .map_err(other)?
        {
            let (key, value) = row.map_err(other)?;
            loaded
                .meta
                .insert(key.value().1.to_owned(), value.value().to_vec());
        }
        let versions = (shard, Key::MIN, Nanos::MIN)..=(shard, Key::MAX, Nanos::MAX);
        for row in rows(&read, VERSIONS)?.range(versions).map_err(other)? {
            let (key, value) = row.map_err(other)?;
            let (_, name, at) = key.value();
            loaded.versions.push((name, at, value.value()));
        }
        for row in rows(&read, PREPARED)?.range(ids.clone()).map_err(other)? {
            let (key, value) = row.map_err(other)?;
            loaded
                .prepared
                .push((key.value().1, value.value().to_vec()));
        }
        for row in rows(&read, OUTCOMES)?.range(ids).map_err(other)? {
            let (key, value) = row.map_err(other)?;
            loaded
                .outcomes
                .push((key.value().1, value.value().to_vec()));
        }
        Ok(loaded)
    }
}

fn rows<K: redb::Key + 'static, V: redb::Value + 'static>(
    read: &redb::ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> io::Result<redb::ReadOnlyTable<K, V>> {
    read.open_table(table).map_err(other)
}

fn serve(database: &Database, inbox: &Receiver<Job>, death: &Death) -> io::Result<()> {
    let mut jobs: Vec<Job> = Vec::new();
    loop {
        let next = if jobs.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(LAZY)
        };
        let arrived = next.is_ok();
        match next {
            Ok(job) => jobs.push(job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        jobs.extend(inbox.try_iter());
        let lazy = jobs.iter().all(|job| job.done.is_none());
        // What no node waits for may wait for more.
        if lazy && arrived && jobs.len() < 256 {
            continue;
        }
        let written = write(database, &mut jobs, death);
        death.come_to_if(Point::Sync, !lazy);
        let failed = written.as_ref().err().map(ToString::to_string);
        for job in jobs.drain(..) {
            if let Some(done) = job.done {
                done(
                    failed
                        .clone()
                        .map_or(Ok(()), |why| Err(io::Error::other(why))),
                );
            }
        }
        written?;
    }
}

fn write(database: &Database, jobs: &mut [Job], death: &Death) -> io::Result<()> {
    let transaction = database.begin_write().map_err(other)?;
    {
        let mut log = transaction.open_table(LOG).map_err(other)?;
        let mut meta = transaction.open_table(META).map_err(other)?;
        let mut versions = transaction.open_table(VERSIONS).map_err(other)?;
        let mut prepared = transaction.open_table(PREPARED).map_err(other)?;
        let mut outcomes = transaction.open_table(OUTCOMES).map_err(other)?;
        for Job { shard, changes, .. } in jobs.iter_mut() {
            let shard = *shard;
            for change in changes.drain(..) {
                match change {
                    Change::Entry(index, bytes) => {
                        log.insert((shard, index), &bytes[..]).map_err(other)?;
                    }
                    Change::Cut(from) => log
                        .retain_in((shard, from)..=(shard, u64::MAX), |_, _| false)
                        .map_err(other)?,
                    Change::Purge(upto) => log
                        .retain_in((shard, 0)..=(shard, upto), |_, _| false)
                        .map_err(other)?,
                    Change::Meta(name, bytes) => {
                        meta.insert((shard, name), &bytes[..]).map_err(other)?;
                    }
                    Change::Version(key, at, value) => {
                        versions.insert((shard, key, at), value).map_err(other)?;
                    }
                    Change::Prepared(txn, Some(bytes)) => {
                        prepared.insert((shard, txn), &bytes[..]).map_err(other)?;
                    }
                    Change::Prepared(txn, None) => {
                        prepared.remove((shard, txn)).map_err(other)?;
                    }
                    Change::Outcome(txn, bytes) => {
                        outcomes.insert((shard, txn), &bytes[..]).map_err(other)?;
                    }
                    Change::Clear => {
                        let ids = (shard, u64::MIN)..=(shard, u64::MAX);
                        let all = (shard, Key::MIN, Nanos::MIN)..=(shard, Key::MAX, Nanos::MAX);
                        versions.retain_in(all, |_, _| false).map_err(other)?;
                        prepared
                            .retain_in(ids.clone(), |_, _| false)
                            .map_err(other)?;
                        outcomes.retain_in(ids, |_, _| false).map_err(other)?;
                    }
                }
            }
        }
    }
    death.come_to_if(Point::Append, jobs.iter().any(|job| job.done.is_some()));
    transaction.commit().map_err(other)
}
