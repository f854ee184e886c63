//! A store of versions on redb, whose commits are awaited on tokio.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use epsilon_clock::{Clock, CommitGroup, Timestamp};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, TableDefinition};

type Fault = Box<dyn Error + Send + Sync>;

/// A row's name, a zero and the timestamp of its commit, to the value from then on.
const VERSIONS: TableDefinition<'_, &[u8], &str> = TableDefinition::new("versions");

struct Store {
    database: Database,
    clock: Clock,
    group: CommitGroup,
}

/// Names are text without a zero byte, so that no name's versions lie among another's.
fn key(row: &str, committed: Timestamp) -> Vec<u8> {
    [row.as_bytes(), &[0], &committed.to_be_bytes()].concat()
}

impl Store {
    fn open(clock: Clock) -> Result<Self, Fault> {
        let database = Database::builder().create_with_backend(InMemoryBackend::new())?;
        let begun = database.begin_write()?;
        begun.open_table(VERSIONS)?;
        begun.commit()?;
        let group = CommitGroup::start(&clock)?;
        Ok(Self {
            database,
            clock,
            group,
        })
    }

    /// Returns once the commit may be acknowledged.
    async fn put(&self, row: &str, value: &str) -> Result<Timestamp, Fault> {
        let released = {
            let locked = self.database.begin_write()?; // one writer at a time: the lock
            let commit = self.clock.begin_commit()?;
            let key = key(row, commit.timestamp());
            locked.open_table(VERSIONS)?.insert(key.as_slice(), value)?;
            locked.commit()?;
            self.group.released(&commit)
        };
        let committed = released.timestamp();
        released.await?;
        Ok(committed)
    }

    /// What a read at `at` finds, which has to be past.
    async fn get(&self, row: &str, at: Timestamp) -> Result<Option<String>, Fault> {
        self.group.until_past(at).await?;
        let versions = self.database.begin_read()?.open_table(VERSIONS)?;
        let (first, last) = (key(row, Timestamp::MIN), key(row, at));
        let newest = versions
            .range(first.as_slice()..=last.as_slice())?
            .next_back();
        Ok(newest
            .transpose()?
            .map(|(_, value)| value.value().to_owned()))
    }
}

#[test]
fn a_store_of_versions_on_redb_and_tokio() -> Result<(), Fault> {
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(1))
        .build()?;
    let store = Arc::new(Store::open(clock.clone())?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let before = clock.now()?.earliest();
        let first = store.put("a", "first").await?;
        let second = store.put("a", "second").await?;
        assert!(first < second && clock.after(second)?);
        assert_eq!(store.get("a", before).await?, None);
        assert_eq!(store.get("a", first).await?.as_deref(), Some("first"));
        assert_eq!(store.get("a", second).await?.as_deref(), Some("second"));
        assert_eq!(store.get("a\u{1}", second).await?, None);

        // Many in flight, which one sleeper serves.
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.put(&format!("row {n}"), "x").await })
            })
            .collect();
        let mut commits = vec![second];
        for task in tasks {
            commits.push(task.await??);
        }
        // Unique among the clones of one clock.
        commits.sort_unstable();
        commits.dedup();
        assert_eq!(commits.len(), 51);
        assert!(commits.last() < Some(&store.put("a", "third").await?));
        Ok(())
    })
}
