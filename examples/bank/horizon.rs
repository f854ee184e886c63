//! Up to which timestamp nothing new can be committed any more on this node.
//!
//! A read at `t` must find every commit up to `t` that there will ever be: else a second read at `t`
//! would find more. Two things together make sure of it, in this order:
//!
//! 1. The node's clock has said that `t` is past. A timestamp that is drawn after that is at least
//!    the `latest` of a later reading, so beyond `t`: by the clock's promise alone (T1), and therefore
//!    also if the node crashes in between and its next clock is wrong the other way.
//! 2. No commit up to `t` is in flight: has its timestamp, and is not on disk. They are drawn under
//!    the lock under which the reader looks, so there is none that it could miss.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use epsilon_clock::Timestamp;

#[derive(Default)]
pub(crate) struct Horizon {
    /// The first timestamp of the batch that is in flight.
    in_flight: Mutex<Option<Timestamp>>,
    landed: Condvar,
}

impl Horizon {
    /// Draws a timestamp for a commit that is now in flight.
    pub(crate) fn draw<E>(
        &self,
        draw: impl FnOnce() -> Result<Timestamp, E>,
    ) -> Result<Timestamp, E> {
        let mut first = self.lock();
        let timestamp = draw()?;
        first.get_or_insert(timestamp);
        Ok(timestamp)
    }

    /// All that was in flight is on disk.
    pub(crate) fn land(&self) {
        *self.lock() = None;
        self.landed.notify_all();
    }

    /// Waits until nothing up to `read`, which has to be past, is in flight.
    pub(crate) fn settle(&self, read: Timestamp) {
        let in_the_way = |first: &mut Option<Timestamp>| first.is_some_and(|first| first <= read);
        drop(self.landed.wait_while(self.lock(), in_the_way));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
