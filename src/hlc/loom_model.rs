//! The word and its reserve under loom, which runs interleavings that the memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p epsilon-clock --lib loom_`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::error::HlcError;
use super::reserve::{Reserve, Used};
use crate::clock::Word;

/// Runs every interleaving with at most `preemptions` involuntary switches; see the latch's model.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

struct World {
    word: Word,
    reserve: Reserve,
    /// What the callback stored last.
    stored: Arc<AtomicU64>,
}

impl World {
    /// A clock without a reserve.
    fn free() -> Arc<Self> {
        Arc::new(Self {
            word: Word::new(100),
            reserve: Reserve::none(),
            stored: Arc::new(AtomicU64::new(u64::MAX)),
        })
    }

    /// A clock whose every second stamp needs a new bound, stored in an atomic that lends no order of
    /// its own: whoever issues a stamp must find the bound stored through the reserve's order alone.
    fn reserved(span: u64) -> Arc<Self> {
        let stored = Arc::new(AtomicU64::new(100));
        let disk = Arc::clone(&stored);
        let store = move |record: super::ReserveRecord| {
            let bound = record.bound().to_bits();
            let before = disk.load(Ordering::Relaxed);
            assert!(bound > before, "the bounds must grow");
            disk.store(bound, Ordering::Relaxed);
            Ok(())
        };
        Arc::new(Self {
            word: Word::new(100),
            reserve: Reserve::new(100, span, Box::new(store)),
            stored,
        })
    }

    fn used(&self) -> Used {
        Used {
            last: self.word.last(),
            kept: None,
        }
    }

    fn issue(&self, floor: u64) -> u64 {
        let issued: Result<u64, HlcError> = {
            let admit = |next| self.reserve.admit(next, || self.used());
            let issued = self.word.issue_if(self.word.last(), floor, |_| true, admit);
            issued.map(|stamp| stamp.expect("the word is alone"))
        };
        let stamp = issued.unwrap();
        let bound = self.stored.load(Ordering::Relaxed);
        assert!(stamp <= bound, "{stamp} was issued with {bound} stored");
        stamp
    }
}

/// H8, and H1 within a process: stamps are unique, those of one thread grow, and whoever learned of a
/// stamp gets a larger one.
#[test]
fn loom_stamps_are_unique_and_follow_what_was_learned() {
    model(3, || {
        let world = World::free();
        let others: Vec<_> = [100, 103]
            .into_iter()
            .map(|floor| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let first = world.issue(floor);
                    let second = world.issue(floor);
                    assert!(first < second && floor <= first);
                    [first, second]
                })
            })
            .collect();
        let mine = world.issue(102);
        assert!(mine >= 102);
        let mut all = vec![mine];
        for other in others {
            let stamps = other.join().unwrap();
            let next = world.issue(0);
            assert!(
                next > stamps[1],
                "learned of {stamps:?}, then issued {next}"
            );
            all.extend(stamps);
            all.push(next);
        }
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    });
}

/// H9: no stamp is issued before the bound above it is stored, whoever stores it and whoever waits.
#[test]
fn loom_no_stamp_is_issued_beyond_what_is_stored() {
    model(3, || {
        let world = World::reserved(2);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || [world.issue(0), world.issue(0)])
        };
        let mine = [world.issue(0), world.issue(0)];
        let theirs = other.join().unwrap();
        assert!(mine.iter().all(|stamp| !theirs.contains(stamp)));
    });
}

/// The same where both jump ahead of the reserve at once.
#[test]
fn loom_two_threads_beyond_the_reserve_wait_for_one_bound_each() {
    model(3, || {
        let world = World::reserved(4);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.issue(200))
        };
        let mine = world.issue(150);
        let theirs = other.join().unwrap();
        assert!(mine >= 150 && theirs >= 200 && mine != theirs);
        let _ = world.issue(0);
    });
}
