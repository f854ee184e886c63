//! H8 on a real machine: four threads on one clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use epsilon_clock::clock::RefreshPolicy;

use super::*;

const THREADS: usize = 4;
const EACH: usize = 200_000;

/// Four threads that tick and observe; every stamp is unique, and each thread's grow.
fn four_threads(hlc: &HybridClock) {
    let together = Arc::new(Barrier::new(THREADS));
    // What any thread issued last: who reads it learned of it.
    let word = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let (hlc, together, word) = (hlc.clone(), Arc::clone(&together), Arc::clone(&word));
            thread::spawn(move || {
                together.wait();
                let mut stamps = Vec::with_capacity(EACH);
                for n in 0..EACH {
                    let learned = RemoteTimestamp::from_bits(word.load(Ordering::Acquire));
                    let stamp = if (n + index) % 3 == 0 {
                        hlc.observe(learned).unwrap()
                    } else {
                        hlc.tick().unwrap()
                    };
                    assert!(
                        stamp > learned,
                        "H1: learned of {learned}, then issued {stamp}"
                    );
                    word.store(stamp.to_bits(), Ordering::Release);
                    stamps.push(stamp);
                }
                stamps
            })
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        let stamps = thread.join().unwrap();
        assert!(
            stamps.is_sorted_by(|a, b| a < b),
            "H8: a thread's stamps do not grow"
        );
        all.extend(stamps);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), THREADS * EACH, "H8: a stamp was issued twice");
    // An upper bound, once stamps were drawn without the word.
    assert!(*all.last().unwrap() <= hlc.last());
}

#[test]
fn h8_stamps_are_unique_under_four_threads() {
    let clock = Clock::builder().assume_error(millis(5)).build().unwrap();
    four_threads(&HybridClock::new(clock));
}

/// The same on a clock that stands still, where every stamp is a counter.
#[test]
fn h8_stamps_of_a_stopped_clock_are_unique_under_four_threads() {
    let (_machine, clock) = right(millis(1));
    four_threads(&HybridClock::new(clock));
}

/// The same with a reserve so small that all threads have to wait for it again and again.
#[test]
fn h8_stamps_within_a_reserve_are_unique_under_four_threads() {
    let machine = ScriptedMachine::default(); // a reading takes 20 ns of its time
    let clock = machine
        .builder()
        .refresh_policy(RefreshPolicy::Manual)
        .build()
        .unwrap();
    let stored = Arc::new(AtomicU64::new(0));
    let disk = Arc::clone(&stored);
    let hlc = HybridClock::builder(clock)
        .reserve(millis(1), move |record| {
            let bound = record.bound();
            let before = disk.swap(bound.to_bits(), Ordering::Relaxed);
            assert!(before < bound.to_bits(), "two threads stored at once");
            thread::yield_now();
            Ok(())
        })
        .build()
        .unwrap();
    four_threads(&hlc);
    assert!(hlc.last().to_bits() <= stored.load(Ordering::Relaxed));
}
