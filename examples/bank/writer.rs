//! The one thread of a node that writes: whatever has queued up meanwhile goes to disk together.
//!
//! One writer is also what isolates transactions: each takes its timestamp while it has the store to
//! itself, so the order of timestamps is the order in which they saw each other's effects.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use epsilon_clock::commit::CommitError;
use epsilon_clock::{Clock, Timestamp};

use crate::Fault;
use crate::history::{Commit, Transfer};
use crate::horizon::Horizon;
use crate::store::{Batch, Store};
use crate::wire::Phases;

/// The most transfers in a batch.
const MOST: usize = 64;

/// A transfer to be committed, and where to say so.
pub(crate) struct Job {
    pub(crate) transfer: Transfer,
    pub(crate) arrived: Instant,
    pub(crate) on_disk: SyncSender<Result<OnDisk, CommitError>>,
}

/// A commit that is on disk, and not to be acknowledged before its timestamp is past.
#[derive(Clone, Copy)]
pub(crate) struct OnDisk {
    pub(crate) timestamp: Timestamp,
    /// None if it was on disk before.
    pub(crate) phases: Option<Phases>,
}

pub(crate) struct Writer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a Clock,
    pub(crate) horizon: &'a Horizon,
    /// What was on disk when the node started: no timestamp up to it is given out again.
    pub(crate) floor: Timestamp,
}

impl Writer<'_> {
    pub(crate) fn run(&self, jobs: &Receiver<Job>) -> Result<(), Fault> {
        while let Ok(first) = jobs.recv() {
            let batch = self.store.begin()?;
            let mut commits = Vec::new();
            for job in [first].into_iter().chain(jobs.try_iter().take(MOST - 1)) {
                let drawn = Instant::now();
                let commit = self.commit(&batch, &job)?;
                commits.push((job.on_disk, commit, drawn));
            }
            batch.commit()?;
            self.horizon.land();
            for (on_disk, commit, drawn) in commits {
                let work = drawn.elapsed();
                let commit = commit.map(|OnDisk { timestamp, phases }| OnDisk {
                    timestamp,
                    phases: phases.map(|phases| Phases { work, ..phases }),
                });
                // A client that is gone asks again.
                let _ = on_disk.send(commit);
            }
        }
        Ok(())
    }

    /// Takes the timestamp and makes the versions. A clock that refuses refuses this one transfer.
    fn commit(&self, batch: &Batch, job: &Job) -> Result<Result<OnDisk, CommitError>, Fault> {
        if let Some(timestamp) = batch.find(job.transfer.id)? {
            let phases = None;
            return Ok(Ok(OnDisk { timestamp, phases }));
        }
        let queued = job.arrived.elapsed();
        let draw = || Ok(self.clock.begin_commit_after(self.floor)?.timestamp());
        let timestamp = match self.horizon.draw(draw) {
            Ok(timestamp) => timestamp,
            Err(refused) => return Ok(Err(refused)),
        };
        let transfer = job.transfer;
        batch.apply(&Commit {
            timestamp,
            transfer,
        })?;
        let needed = self
            .clock
            .until_past(timestamp)
            .remaining()
            .unwrap_or_default();
        let phases = Some(Phases {
            queued,
            needed,
            ..Phases::default()
        });
        Ok(Ok(OnDisk { timestamp, phases }))
    }
}
