//! The log as lines of a file that a killed process leaves behind.
//!
//! Nothing is synced to disk: what is killed here are processes, not machines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use example_cluster::log::{Content, Log, Storage};
use openraft::storage::IOFlushed;
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use serde::{Deserialize, Serialize};

use crate::types::Types;

#[derive(Serialize, Deserialize)]
enum Line {
    Vote(VoteOf<Types>),
    Committed(Option<LogIdOf<Types>>),
    Entry(EntryOf<Types>),
    /// Removes the entries from the index on.
    Truncated(u64),
    Purged(LogIdOf<Types>),
}

fn replay(line: Line, content: &mut Content<Types>) {
    match line {
        Line::Vote(vote) => content.vote = Some(vote),
        Line::Committed(committed) => content.committed = committed,
        Line::Entry(entry) => {
            content.entries.insert(entry.log_id.index, entry);
        }
        Line::Truncated(from) => content.truncate(from),
        Line::Purged(last) => content.purge(last),
    }
}

#[derive(Clone)]
pub struct Lines {
    file: Arc<Mutex<File>>,
}

pub fn open(path: &Path) -> io::Result<Log<Types, Lines>> {
    let mut content = Content::default();
    if let Ok(file) = File::open(path) {
        for line in BufReader::new(file).lines() {
            // A line that was cut off when the process was killed was acknowledged to no node.
            match serde_json::from_str(&line?) {
                Ok(line) => replay(line, &mut content),
                Err(_) => break,
            }
        }
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let file = Arc::new(Mutex::new(file));
    Ok(Log::new(content, Lines { file }))
}

impl Lines {
    fn write(&self, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file.lock().expect("no panic").write_all(&text)
    }
}

impl Storage<Types> for Lines {
    async fn save_vote(&self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.write(&[Line::Vote(*vote)])
    }

    fn save_committed(&self, committed: Option<&LogIdOf<Types>>) -> io::Result<()> {
        self.write(&[Line::Committed(committed.copied())])
    }

    fn append(&self, entries: &[EntryOf<Types>], stored: IOFlushed<Types>) -> io::Result<()> {
        let lines: Vec<Line> = entries.iter().cloned().map(Line::Entry).collect();
        stored.io_completed(self.write(&lines));
        Ok(())
    }

    async fn truncate(&self, from: u64) -> io::Result<()> {
        self.write(&[Line::Truncated(from)])
    }

    fn purge(&self, last: &LogIdOf<Types>) -> io::Result<()> {
        self.write(&[Line::Purged(*last)])
    }
}
