//! Hybrid logical clocks side by side, all threads on one clock each.
//!
//! * `uhlc` keeps its last stamp under a mutex and adds the node's name to each stamp; `hlc-gen` keeps
//!   it in an atomic word, in milliseconds, and gives none once its counter is full. Neither checks
//!   anything but a guessed distance, and both take the time from the operating system as it is.
//! * `Mutex<(i64, u32)>` is what one would write oneself: nanoseconds and a counter under a lock.
//! * `REALTIME and one shared word` reads a clock and adds one to a word, which makes no clock at all:
//!   the least that any clock can cost that all threads share.

use epsilon_clock::clock::Striping;
use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::{Case, Effort, measure, print_table, realtime, row, thread_counts};

const TICK: &str = "epsilon-clock tick()";
const STRIPED: &str = "epsilon-clock tick(), striped";
const OBSERVE: &str = "epsilon-clock observe(), old";
const OBSERVE_STRIPED: &str = "epsilon-clock observe(), old, striped";
const TICKS: [&str; 3] = [
    "uhlc 0.9.0 new_timestamp()",
    "hlc-gen 2.0.0 next_timestamp()",
    "Mutex<(i64, u32)> tick",
];
const OBSERVES: [&str; 2] = [
    "uhlc 0.9.0 update_with_timestamp(), old",
    "hlc-gen 2.0.0 update(), old",
];

/// Alone on its cache lines, as the clocks' own words are.
#[derive(Default)]
#[repr(align(128))]
struct Word(AtomicU64);

pub(crate) fn compare(effort: Effort, clock: &Clock) {
    let mut rows = Vec::new();
    for threads in thread_counts() {
        rows.extend(measure(effort, threads, &cases(clock), || {}));
    }
    print_table(&rows);
    println!();
    for threads in thread_counts() {
        for (ours, peers) in [
            (TICK, &TICKS[..]),
            (STRIPED, &TICKS[..]),
            (OBSERVE, &OBSERVES[..]),
            (OBSERVE_STRIPED, &OBSERVES[..]),
        ] {
            let mine = row(&rows, ours, threads).ns;
            for peer in peers {
                let ratio = mine / row(&rows, peer, threads).ns;
                println!("{ours} / {peer}, {threads} thread(s): {ratio:.2}");
            }
        }
    }
}

fn cases(clock: &Clock) -> Vec<Case<'static>> {
    let hlc = HybridClock::new(clock.clone());
    let observer = HybridClock::new(clock.clone());
    let striped = HybridClock::builder(clock.clone())
        .striping(Striping::Always)
        .build()
        .expect("no reserve has to be stored");
    let striped_observer = striped.clone();
    let word = Arc::new(Word::default());
    let uhlc = Arc::new(uhlc::HLC::default());
    let uhlc_observer = Arc::new(uhlc::HLC::default());
    let uhlc_old = uhlc_observer.new_timestamp();
    // A second of drift, in its milliseconds: 0 would mean that nothing is checked.
    let generator = Arc::new(hlc_gen::HlcGenerator::new(1_000));
    let generator_observer = Arc::new(hlc_gen::HlcGenerator::new(1_000));
    let generator_old = generator_observer.timestamp();
    let pair = Arc::new(Mutex::new((0_i64, 0_u32)));
    vec![
        Case::new("REALTIME", || realtime),
        Case::new("REALTIME and one shared word", move || {
            let word = Arc::clone(&word);
            move || {
                black_box(realtime());
                word.0.fetch_add(1, Ordering::Relaxed)
            }
        }),
        Case::new(TICK, move || {
            let hlc = hlc.clone();
            move || hlc.tick().expect("a stamp")
        }),
        Case::new(STRIPED, move || {
            let hlc = striped.clone();
            move || hlc.tick().expect("a stamp")
        }),
        Case::new(TICKS[0], move || {
            let hlc = Arc::clone(&uhlc);
            move || hlc.new_timestamp()
        }),
        Case::new(TICKS[1], move || {
            let hlc = Arc::clone(&generator);
            move || hlc.next_timestamp()
        }),
        Case::new(TICKS[2], move || {
            let pair = Arc::clone(&pair);
            move || {
                let now = realtime();
                let mut last = pair.lock().expect("nobody panics");
                *last = if now > last.0 {
                    (now, 0)
                } else {
                    (last.0, last.1 + 1)
                };
                *last
            }
        }),
        Case::new(OBSERVE, move || {
            let hlc = observer.clone();
            move || {
                let old = RemoteTimestamp::from_bits(black_box(1));
                hlc.observe(old).expect("a stamp")
            }
        }),
        Case::new(OBSERVE_STRIPED, move || {
            let hlc = striped_observer.clone();
            move || {
                let old = RemoteTimestamp::from_bits(black_box(1));
                hlc.observe(old).expect("a stamp")
            }
        }),
        Case::new(OBSERVES[0], move || {
            let hlc = Arc::clone(&uhlc_observer);
            move || hlc.update_with_timestamp(black_box(&uhlc_old)).is_ok()
        }),
        Case::new(OBSERVES[1], move || {
            let hlc = Arc::clone(&generator_observer);
            move || hlc.update(black_box(&generator_old)).is_ok()
        }),
    ]
}
