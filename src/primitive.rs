//! What the latch and the hybrid clock are built of: the real atomics, or loom's, which try every
//! interleaving.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use core::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// How long a thread steps aside that found another one at a word they both change.
const PAUSES: u32 = 32;

/// Leaves a contended word to the other thread for a moment, about 0.7 µs. It then changes the word
/// several times in a row in its own cache; taking turns change by change, both would wait for the
/// cache line each time.
#[cold]
pub(crate) fn step_aside() {
    for _ in 0..PAUSES {
        spin_loop();
    }
}
