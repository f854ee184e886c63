//! The store of one node: balances in versions, each with the timestamp of the commit that made it.
//!
//! Nothing is overwritten. A commit adds versions; a read at a timestamp takes the newest version
//! of each account up to it.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use epsilon_clock::Timestamp;
use epsilon_clock::order::{ReadWindow, Visibility};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::Fault;
use crate::history::{ACCOUNTS, Commit, OPENING, Transfer};

/// (account, timestamp) to the balance from then on.
const VERSIONS: TableDefinition<'_, (i64, i64), i64> = TableDefinition::new("versions");

/// Number of a transfer to its timestamp and itself.
const TRANSFERS: TableDefinition<'_, i64, (i64, [i64; 4])> = TableDefinition::new("transfers");

/// The largest timestamp of all.
const LAST: TableDefinition<'_, (), i64> = TableDefinition::new("last");

/// What a read finds.
pub(crate) enum Found {
    Balances(Vec<i64>),
    /// The newest version of which it cannot be told whether the read has to see it.
    Uncertain {
        until: Timestamp,
    },
}

pub(crate) struct Store {
    database: Database,
    accounts: Range<i64>,
}

impl Store {
    /// Opens the file, or begins it. After a crash it holds the batches that were committed.
    pub(crate) fn open(path: &Path, first: i64) -> Result<Self, Fault> {
        let accounts = first..first + ACCOUNTS;
        let database = Database::create(path)?;
        let begin = database.begin_write()?;
        {
            let mut versions = begin.open_table(VERSIONS)?;
            for account in accounts.clone() {
                versions.insert((account, i64::MIN), OPENING)?;
            }
            begin.open_table(TRANSFERS)?;
            begin.open_table(LAST)?;
        }
        begin.commit()?;
        Ok(Self { database, accounts })
    }

    /// The largest timestamp on disk.
    pub(crate) fn last(&self) -> Result<Timestamp, Fault> {
        let last = self.database.begin_read()?.open_table(LAST)?.get(())?;
        Ok(last.map_or(Timestamp::MIN, |last| {
            Timestamp::from_unix_nanos(last.value())
        }))
    }

    /// Takes the store for writing: one batch at a time.
    pub(crate) fn begin(&self) -> Result<Batch, Fault> {
        Ok(Batch(self.database.begin_write()?))
    }

    /// The balances as they were at the timestamp of the read, if that is certain.
    ///
    /// That no commit up to that timestamp is still to come is for the caller to know.
    pub(crate) fn read(&self, window: &ReadWindow) -> Result<Found, Fault> {
        let versions = self.database.begin_read()?.open_table(VERSIONS)?;
        let mut balances = Vec::new();
        let mut uncertain = None;
        for account in self.accounts.clone() {
            // From the newest version back to the one that is visible.
            for version in versions.range(all_of(account))?.rev() {
                let (key, balance) = version?;
                match window.of(Timestamp::from_unix_nanos(key.value().1)) {
                    Visibility::Invisible => {}
                    Visibility::Uncertain { until } => uncertain = uncertain.max(Some(until)),
                    Visibility::Visible => {
                        balances.push(balance.value());
                        break;
                    }
                }
            }
        }
        Ok(match uncertain {
            Some(until) => Found::Uncertain { until },
            None => Found::Balances(balances),
        })
    }

    /// All commits there are.
    pub(crate) fn log(&self) -> Result<Vec<Commit>, Fault> {
        let transfers = self.database.begin_read()?.open_table(TRANSFERS)?;
        let mut log = Vec::new();
        for entry in transfers.iter()? {
            let (timestamp, transfer) = entry?.1.value();
            log.push(Commit {
                timestamp: Timestamp::from_unix_nanos(timestamp),
                transfer: Transfer::from_words(transfer),
            });
        }
        Ok(log)
    }
}

/// Transfers that come to disk together, or not at all.
pub(crate) struct Batch(WriteTransaction);

impl Batch {
    /// The timestamp of a transfer that was committed before.
    pub(crate) fn find(&self, id: i64) -> Result<Option<Timestamp>, Fault> {
        let transfers = self.0.open_table(TRANSFERS)?;
        let found = transfers.get(id)?;
        Ok(found.map(|entry| Timestamp::from_unix_nanos(entry.value().0)))
    }

    /// Adds the versions that a transfer makes. Timestamps have to come in ascending order.
    pub(crate) fn apply(&self, commit: &Commit) -> Result<(), Fault> {
        let Commit {
            timestamp,
            transfer,
        } = commit;
        let nanos = timestamp.unix_nanos();
        let mut versions = self.0.open_table(VERSIONS)?;
        for (account, change) in transfer.changes() {
            let newest = versions.range(all_of(account))?.next_back().transpose()?;
            let balance = newest.map(|(_, balance)| balance.value());
            let balance = balance.ok_or("an account that is kept elsewhere")? + change;
            versions.insert((account, nanos), balance)?;
        }
        let entry = (nanos, transfer.to_words());
        self.0.open_table(TRANSFERS)?.insert(transfer.id, entry)?;
        self.0.open_table(LAST)?.insert((), nanos)?;
        Ok(())
    }

    /// Returns when all of it is on disk.
    pub(crate) fn commit(self) -> Result<(), Fault> {
        Ok(self.0.commit()?)
    }
}

/// The keys of all versions of an account.
fn all_of(account: i64) -> RangeInclusive<(i64, i64)> {
    (account, i64::MIN)..=(account, i64::MAX)
}
