//! The counters behind [`Counters`]: shared, and only ever added to.

use core::sync::atomic::{AtomicU64, Ordering};

use super::status::Counters;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Looks,
    LooksDropped,
    Writes,
    Steps,
    Suspends,
    Contradictions,
    RateResets,
    /// Also how many there are, which is why it stays the last.
    Refusals,
}

const COUNTS: usize = Count::Refusals as usize + 1;

/// How often each of them happened in one change of a clock's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events([u64; COUNTS]);

impl Events {
    pub(crate) fn of(count: Count) -> Self {
        let mut events = Self::default();
        events.note(count);
        events
    }

    pub(crate) fn note(&mut self, count: Count) {
        if let Some(counted) = self.0.get_mut(count as usize) {
            *counted += 1;
        }
    }

    pub(crate) fn and(mut self, more: &Self) -> Self {
        for (counted, more) in self.0.iter_mut().zip(&more.0) {
            *counted += more;
        }
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct CounterCells([AtomicU64; COUNTS]);

impl CounterCells {
    pub(super) fn add(&self, events: &Events) {
        for (cell, more) in self.0.iter().zip(events.0) {
            // Most of them are zero, and a cache line that is not written is not fought over.
            if more > 0 {
                cell.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn totals(&self) -> Counters {
        let total = |count: Count| {
            let cell = self.0.get(count as usize);
            cell.map_or(0, |cell| cell.load(Ordering::Relaxed))
        };
        Counters {
            looks: total(Count::Looks),
            looks_dropped: total(Count::LooksDropped),
            writes: total(Count::Writes),
            steps: total(Count::Steps),
            suspends: total(Count::Suspends),
            contradictions: total(Count::Contradictions),
            rate_resets: total(Count::RateResets),
            refusals: total(Count::Refusals),
        }
    }
}
