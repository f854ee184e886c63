//! A log in memory, and as lines of a file that a killed process leaves behind.
//!
//! Nothing is synced to disk: what is killed here are processes, not machines.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{LogState, OptionalSend, RaftLogReader};
use serde::{Deserialize, Serialize};

use crate::types::Types;

#[derive(Serialize, Deserialize)]
enum Line {
    Vote(VoteOf<Types>),
    Committed(Option<LogIdOf<Types>>),
    Entry(EntryOf<Types>),
    /// Removes what comes after the index.
    After(Option<u64>),
    Purged(LogIdOf<Types>),
}

#[derive(Default)]
struct State {
    vote: Option<VoteOf<Types>>,
    committed: Option<LogIdOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    entries: BTreeMap<u64, EntryOf<Types>>,
}

impl State {
    fn apply(&mut self, line: Line) {
        match line {
            Line::Vote(vote) => self.vote = Some(vote),
            Line::Committed(committed) => self.committed = committed,
            Line::Entry(entry) => {
                self.entries.insert(entry.log_id.index, entry);
            }
            Line::After(last) => {
                drop(self.entries.split_off(&last.map_or(0, |last| last + 1)));
            }
            Line::Purged(last) => {
                self.entries = self.entries.split_off(&(last.index + 1));
                self.purged = Some(last);
            }
        }
    }
}

#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<(State, File)>>,
}

impl Log {
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut state = State::default();
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines() {
                // A line that was cut off when the process was killed was acknowledged to no node.
                match serde_json::from_str(&line?) {
                    Ok(line) => state.apply(line),
                    Err(_) => break,
                }
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            inner: Arc::new(Mutex::new((state, file))),
        })
    }

    fn write(&self, lines: Vec<Line>) -> io::Result<()> {
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let mut inner = self.inner.lock().expect("no panic");
        inner.1.write_all(&text)?;
        for line in lines {
            inner.0.apply(line);
        }
        Ok(())
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<Types>>> {
        let inner = self.inner.lock().expect("no panic");
        Ok(inner
            .0
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.inner.lock().expect("no panic").0.vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let inner = self.inner.lock().expect("no panic");
        let last = inner
            .0
            .entries
            .values()
            .next_back()
            .map(|entry| entry.log_id);
        Ok(LogState {
            last_purged_log_id: inner.0.purged,
            last_log_id: last.or(inner.0.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.write(vec![Line::Vote(*vote)])
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.write(vec![Line::Committed(committed)])
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<Types>>> {
        Ok(self.inner.lock().expect("no panic").0.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let written = self.write(entries.into_iter().map(Line::Entry).collect());
        callback.io_completed(written);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.write(vec![Line::After(last.map(|last| last.index))])
    }

    async fn purge(&mut self, last: LogIdOf<Types>) -> io::Result<()> {
        self.write(vec![Line::Purged(last)])
    }
}
