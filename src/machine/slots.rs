//! A number for each thread, where no instruction tells the processor along with the count.

use core::sync::atomic::{AtomicU64, Ordering};

/// How many threads have a number at a time; the others have none.
pub(super) const SLOTS: u32 = 56;

/// Which numbers are taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A number that a thread keeps until it ends.
struct Slot(Option<u32>);

impl Slot {
    fn take() -> Self {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones();
            if free >= SLOTS {
                return Self(None);
            }
            // Acquire, and release where it is given back: what the last owner counted, it counted before.
            let with = taken | 1 << free;
            match TAKEN.compare_exchange_weak(taken, with, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Self(Some(free)),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            TAKEN.fetch_and(!(1 << slot), Ordering::AcqRel);
        }
    }
}

/// Returns the calling thread's number, below [`SLOTS`], which no other thread has while it runs.
pub(super) fn of_thread() -> Option<u32> {
    thread_local! {
        static SLOT: Slot = Slot::take();
    }
    // A thread that is ending has given its number back.
    SLOT.try_with(|slot| slot.0).ok().flatten()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn threads_have_different_numbers_and_give_them_back() {
        const THREADS: usize = 20;
        let mine = of_thread().unwrap();
        assert_eq!(of_thread(), Some(mine));
        for _ in 0..10 {
            let barrier = Barrier::new(THREADS);
            let mut numbers: Vec<u32> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|_| {
                        scope.spawn(|| {
                            let number = of_thread().unwrap();
                            barrier.wait();
                            number
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            numbers.push(mine);
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), THREADS + 1);
            assert!(numbers.iter().all(|number| *number < SLOTS));
        }
    }
}
