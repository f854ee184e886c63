//! Where states are worked on: room made once, when the clock is built.
//!
//! A state takes kilobytes, more than a signal handler's stack may have left, and a reading allocates
//! nothing.

use std::sync::{Mutex, MutexGuard, TryLockError};

use super::state::{MAX_SOURCES, SLOT_WORDS, State};
use crate::source::{Finding, Look, SourceMemory};

/// How many there are. Each looker that was stopped keeps one, and so does one that a fork copied in the
/// middle; more than one is in use at a time only where a handler interrupts a looker, or readers find
/// the clocks disturbed at once.
const SCRATCHES: usize = 4;

/// One looker's room.
#[derive(Debug)]
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
pub(super) struct Scratches(Box<[Mutex<Scratch>]>);

impl Scratches {
    pub(super) fn new(state: &State) -> Self {
        let scratch = || {
            Mutex::new(Scratch {
                words: [0; SLOT_WORDS],
                before: *state,
                next: *state,
                looks: [Look::new(Finding::Unsettled); MAX_SOURCES],
                memories: [SourceMemory::EMPTY; MAX_SOURCES],
            })
        };
        Self(core::iter::repeat_with(scratch).take(SCRATCHES).collect())
    }

    /// Takes one that is free, whatever it holds; `None` if none is. Never waits.
    pub(super) fn take(&self) -> Option<MutexGuard<'_, Scratch>> {
        self.0.iter().find_map(|scratch| match scratch.try_lock() {
            Ok(scratch) => Some(scratch),
            // A source panicked in it. Whoever takes it next fills it anew.
            Err(TryLockError::Poisoned(scratch)) => Some(scratch.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}
