//! Where states are worked on: room made once, when the clock is built.
//!
//! A state takes kilobytes, more than a signal handler's stack may have left, and a reading allocates
//! nothing.

use std::sync::{Mutex, MutexGuard, TryLockError};

use super::latch::SLOTS;
use super::state::{MAX_SOURCES, SLOT_WORDS, State};
use crate::source::{Finding, Look, SourceMemory};

/// How many there are: as many as the latch has slots, so that lookers that were stopped, each with a slot
/// in hand, leave the others room here as well.
const SCRATCHES: usize = SLOTS;

/// One looker's room.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// A slot's words, on their way in or out.
    pub(super) words: [i64; SLOT_WORDS],
    /// What the looker found.
    pub(super) before: State,
    /// What is to take its place.
    pub(super) next: State,
    /// What the sources said, and what they want to remember of it.
    pub(super) looks: [Look; MAX_SOURCES],
    pub(super) memories: [SourceMemory; MAX_SOURCES],
}

/// All of a clock's.
///
/// Real mutexes under loom too, since its model has no look in it.
#[derive(Debug)]
pub(super) struct Scratches {
    each: Box<[Mutex<Scratch>]>,
    blank: Box<Scratch>,
    /// The process that built the clock.
    process: u32,
}

impl Scratches {
    pub(super) fn new(state: &State) -> Self {
        let blank = Box::new(Scratch {
            words: [0; SLOT_WORDS],
            before: *state,
            next: *state,
            looks: [Look::new(Finding::Unsettled); MAX_SOURCES],
            memories: [SourceMemory::EMPTY; MAX_SOURCES],
        });
        let each = || Mutex::new((*blank).clone());
        Self {
            each: core::iter::repeat_with(each).take(SCRATCHES).collect(),
            blank,
            process: std::process::id(),
        }
    }

    /// Works in one that is free, whatever it holds; `None` if none is. Never waits.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> Option<T> {
        match self.take() {
            Some(mut scratch) => Some(work(&mut scratch)),
            // What a fork copied of other threads' lookers is never given back in the child. Once it has
            // copied that many, over generations, the child's stack has to do.
            None if std::process::id() != self.process => Some(self.on_the_stack(work)),
            None => None,
        }
    }

    fn take(&self) -> Option<MutexGuard<'_, Scratch>> {
        self.each
            .iter()
            .find_map(|scratch| match scratch.try_lock() {
                Ok(scratch) => Some(scratch),
                // A source panicked in it. The next thread that takes it fills it anew.
                Err(TryLockError::Poisoned(scratch)) => Some(scratch.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            })
    }

    #[cold]
    #[inline(never)]
    fn on_the_stack<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        work(&mut (*self.blank).clone())
    }
}
