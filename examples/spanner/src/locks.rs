//! The locks of one shard's leader: in memory until an entry is applied, and from then on what is prepared.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::breaks::Break;
use crate::costs::Costs;
use crate::replica::Replica;
use crate::types::{Term, Transaction};

#[derive(Default)]
pub struct Locks {
    held: Mutex<(u64, BTreeMap<u64, Transaction>)>,
}

/// Locks that are let go when it is dropped.
pub struct Held {
    locks: Arc<Locks>,
    replica: Arc<Replica>,
    ticket: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.held().1.remove(&self.ticket);
        self.replica.changed.notify_waiters();
    }
}

impl Locks {
    fn held(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Transaction>)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all locks of a part at once, or none; shards are gone through in one order, so none waits for ever.
    pub async fn take(
        self: &Arc<Self>,
        replica: &Arc<Replica>,
        part: &Transaction,
        term: Term,
        patience: Duration,
    ) -> Option<Held> {
        Costs::lock();
        let deadline = Instant::now() + patience;
        loop {
            let mut changed = pin!(replica.changed.notified());
            // Told of whatever happens from here on.
            changed.as_mut().enable();
            {
                let mut held = self.held();
                if !conflicts(&held.1, replica, part, term) {
                    held.0 += 1;
                    let ticket = held.0;
                    held.1.insert(ticket, part.clone());
                    return Some(Held {
                        locks: Arc::clone(self),
                        replica: Arc::clone(replica),
                        ticket,
                    });
                }
            }
            timeout_at(deadline, changed).await.ok()?;
        }
    }
}

fn conflicts(
    held: &BTreeMap<u64, Transaction>,
    replica: &Replica,
    part: &Transaction,
    term: Term,
) -> bool {
    // Two attempts of one transaction exclude each other too.
    if held
        .values()
        .any(|other| other.touches(part) || other.id == part.id)
    {
        return true;
    }
    let own = |prepared: Term| replica.broken != Some(Break::Rebuilt) || prepared == term;
    replica.state().prepared.values().any(|prepared| {
        own(prepared.term) && prepared.part.id != part.id && prepared.part.touches(part)
    })
}
