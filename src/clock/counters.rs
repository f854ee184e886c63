//! The counters behind [`Counters`]: shared, and only ever added to.

use core::sync::atomic::{AtomicU64, Ordering};

use super::state::Events;
use super::status::Counters;

#[derive(Debug, Default)]
pub(super) struct CounterCells {
    looks: AtomicU64,
    looks_dropped: AtomicU64,
    writes: AtomicU64,
    steps: AtomicU64,
    suspends: AtomicU64,
    contradictions: AtomicU64,
    rate_resets: AtomicU64,
    refusals: AtomicU64,
}

impl CounterCells {
    pub(super) fn looked(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn look_dropped(&self) {
        self.looks_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, events: &Events) {
        for (cell, more) in [
            (&self.writes, events.writes),
            (&self.steps, events.steps),
            (&self.suspends, events.voids),
            (&self.contradictions, events.contradictions),
            (&self.rate_resets, events.rate_resets),
            (&self.refusals, events.refusals),
        ] {
            if more > 0 {
                cell.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn totals(&self) -> Counters {
        let total = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counters {
            looks: total(&self.looks),
            looks_dropped: total(&self.looks_dropped),
            writes: total(&self.writes),
            steps: total(&self.steps),
            suspends: total(&self.suspends),
            contradictions: total(&self.contradictions),
            rate_resets: total(&self.rate_resets),
            refusals: total(&self.refusals),
        }
    }
}
