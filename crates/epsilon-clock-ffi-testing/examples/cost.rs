//! What `ec_now` costs beside the `Clock::now` that it calls: interleaved rounds.
//!
//! It tells, and does not judge: a nanosecond is four instructions or two, by how fast the processor runs today.

#![allow(unsafe_code, reason = "calls the C interface as C does")]
#![allow(clippy::print_stdout, reason = "a program")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::source::KernelSource;
use epsilon_clock_testing::epsilon_clock_ffi::internals::open_existing;
use epsilon_clock_testing::epsilon_clock_ffi::{ec_clock, ec_error, ec_interval, ec_now};

// Short rounds, so that most of them see no interruption.
const ROUNDS: usize = 2_001;
const CALLS: u32 = 1_000;

fn ns_per_call(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// The median of what the second took longer than the first, round by round: what slows the machine
/// slows both.
fn median_of_differences(first: &[f64], second: &[f64]) -> f64 {
    let mut more: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
    median(&mut more)
}

fn median(rounds: &mut [f64]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What any function of this signature costs, with nothing checked.
extern "C" fn called(clock: &Clock, ends: &mut [i64; 2]) -> i32 {
    match clock.now() {
        Ok(now) => {
            *ends = [now.earliest().unix_nanos(), now.latest().unix_nanos()];
            0
        }
        Err(_) => 1,
    }
}

/// How many clocks, those opened first, are found without a table.
const QUICK: usize = 4;

fn main() {
    let built = Clock::builder()
        .source(KernelSource::new())
        .assume_error(Duration::from_millis(50))
        .build();
    // One clock for all, as where it lies in memory makes a difference as well.
    let opened = built.ok().and_then(|clock| {
        let handles: Result<Vec<_>, _> =
            (0..=QUICK).map(|_| open_existing(clock.clone())).collect();
        Some((clock, handles.ok()?))
    });
    let Some((clock, handles)) = opened else {
        println!("no clock can be opened here");
        return;
    };
    compare(&clock, &handles);
}

/// Tells how much longer `ec_now` takes with each of the clocks.
fn compare(clock: &Clock, handles: &[*mut ec_clock]) {
    let mut now = std::mem::MaybeUninit::<ec_interval>::uninit();
    // Through pointers that the compiler cannot see through, as from C.
    let ec_now: unsafe extern "C" fn(*const ec_clock, *mut ec_interval) -> ec_error =
        black_box(ec_now);
    let called: extern "C" fn(&Clock, &mut [i64; 2]) -> i32 = black_box(called);
    let mut ends = [0; 2];
    let [mut rust, mut calls] = [const { Vec::new() }; 2];
    let mut by_handle = vec![Vec::new(); handles.len()];
    for _ in 0..ROUNDS {
        rust.push(ns_per_call(|| {
            // As in a program, which does not keep the clock's inside in a register from call to
            // call.
            let _ = black_box(black_box(clock).now());
        }));
        calls.push(ns_per_call(|| {
            black_box(called(black_box(clock), &mut ends));
        }));
        for (rounds, handle) in by_handle.iter_mut().zip(handles) {
            rounds.push(ns_per_call(|| {
                // SAFETY: an open handle and a variable of this function's.
                black_box(unsafe { ec_now(black_box(*handle), now.as_mut_ptr()) });
            }));
        }
    }
    let call = median_of_differences(&rust, &calls);
    let more: Vec<f64> = by_handle
        .iter()
        .map(|rounds| median_of_differences(&rust, rounds))
        .collect();
    let shown: Vec<String> = more.iter().map(|ns| format!("{ns:+.2}")).collect();
    println!(
        "Clock::now {:.1} ns; ec_now {} ns with clocks in the order in which they were opened, the last one \
         found by its handle alone; any call with these arguments takes {call:+.2} ns",
        median(&mut rust),
        shown.join(", ")
    );
}
