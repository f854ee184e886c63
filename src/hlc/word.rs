//! The one word that a hybrid clock is: the latest stamp issued or seen.

use super::error::HlcError;
use super::reserve::Reserve;
use crate::primitive::{AtomicU64, Ordering, step_aside};

/// Alone on its cache line, and on the one that is fetched along with it: everybody writes it.
///
/// Relaxed order is enough for uniqueness and for what follows it: all changes of one atomic have one
/// order, every change makes the word larger, and whoever learned of a stamp finds its change made.
/// What the word says about the persisted bound is the reserve's business.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Word(AtomicU64);

impl Word {
    pub(super) fn new(floor: u64) -> Self {
        Self(AtomicU64::new(floor))
    }

    pub(super) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Issues the least stamp that is above everything issued or seen so far, and not below `floor`.
    #[inline]
    pub(super) fn issue(&self, floor: u64, reserve: &Reserve) -> Result<u64, HlcError> {
        self.issue_after(self.last(), floor, reserve)
    }

    /// The same, where `last` is what the word was a moment ago.
    ///
    /// One more than the last stamp carries from the counter into the physical part by itself.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(super) fn issue_after(
        &self,
        mut last: u64,
        floor: u64,
        reserve: &Reserve,
    ) -> Result<u64, HlcError> {
        loop {
            let Some(above) = last.checked_add(1) else {
                return Err(HlcError::EndOfRange);
            };
            let next = above.max(floor);
            if !reserve.covers(next) {
                reserve.make_room(next, self)?;
            }
            match self
                .0
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(next),
                Err(_) => {
                    step_aside();
                    last = self.last();
                }
            }
        }
    }

    /// The same for who must not wait for the reserve: `None` where it is used up, and at the end of
    /// the range.
    #[cfg(feature = "tracing")]
    pub(super) fn issue_permitted(&self, floor: u64, reserve: &Reserve) -> Option<u64> {
        let mut last = self.last();
        loop {
            let next = last.checked_add(1)?.max(floor);
            if !reserve.permits(next) {
                return None;
            }
            match self
                .0
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(next),
                Err(_) => {
                    step_aside();
                    last = self.last();
                }
            }
        }
    }
}
