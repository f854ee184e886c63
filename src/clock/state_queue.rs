//! The futures that wait for a clock to be in some state.

use core::fmt;
use core::task::Waker;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sleeper::Sleeper;
use super::status::{ClockState, Reading};

/// What a waiter is woken for.
#[derive(Clone, Copy)]
pub(super) enum Awaits {
    Within(Duration),
    StateOtherThan(ClockState),
}

impl Awaits {
    pub(super) fn is_met(self, reading: &Reading) -> bool {
        match self {
            Self::Within(epsilon) => reading.vouched_within(epsilon).is_ok(),
            Self::StateOtherThan(state) => reading.state != state,
        }
    }
}

/// The futures that wait for a state of one clock.
#[derive(Default)]
pub(super) struct StateWaits {
    queue: Mutex<Queue>,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: BTreeMap<u64, Waiter>,
    /// The number of the last ticket.
    pub(super) last: u64,
    /// The raw instant at which the sleeper comes at the latest.
    pub(super) visit: Option<i64>,
    /// The sleeper that serves the queue, and its process.
    pub(super) served: Option<(u32, Arc<Sleeper>)>,
}

pub(super) struct Waiter {
    pub(super) awaits: Awaits,
    /// The raw instant at which it is woken in any case.
    pub(super) until: Option<i64>,
    pub(super) waker: Waker,
}

impl StateWaits {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StateWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateWaits").finish_non_exhaustive()
    }
}
