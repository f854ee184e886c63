//! What `ec_now` costs beside the `Clock::now` that it calls: medians of interleaved rounds.

#![allow(unsafe_code, reason = "calls the C interface as C does")]
#![allow(clippy::print_stdout, reason = "a program")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::source::KernelSource;
use epsilon_clock_testing::epsilon_clock_ffi::internals::open_existing;
use epsilon_clock_testing::epsilon_clock_ffi::{ec_clock, ec_error, ec_interval, ec_now};

// Short rounds, so that most of them see no interruption.
const ROUNDS: usize = 4_001;
const CALLS: u32 = 1_000;

fn ns_per_call(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
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

fn main() -> ExitCode {
    let built = Clock::builder()
        .source(KernelSource::new())
        .assume_error(Duration::from_millis(50))
        .build();
    // One clock for both, as where it lies in memory makes a difference as well.
    let opened = built.map(|clock| (clock.clone(), open_existing(clock)));
    let Ok((clock, Ok(handle))) = opened else {
        println!("no clock can be opened here");
        return ExitCode::FAILURE;
    };
    let mut now = std::mem::MaybeUninit::<ec_interval>::uninit();
    // Through a pointer that the compiler cannot see through, as from C.
    let ec_now: unsafe extern "C" fn(*const ec_clock, *mut ec_interval) -> ec_error =
        black_box(ec_now);
    let called: extern "C" fn(&Clock, &mut [i64; 2]) -> i32 = black_box(called);
    let mut ends = [0; 2];
    let (mut rust, mut c, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rust.push(ns_per_call(|| {
            // As in a program, which does not keep the clock's inside in a register from call to
            // call.
            let _ = black_box(black_box(&clock).now());
        }));
        c.push(ns_per_call(|| {
            // SAFETY: an open handle and a variable of this function's.
            black_box(unsafe { ec_now(black_box(handle), now.as_mut_ptr()) });
        }));
        calls.push(ns_per_call(|| {
            black_box(called(black_box(&clock), &mut ends));
        }));
    }
    let calls = median(&mut calls);
    let (rust, c) = (median(&mut rust), median(&mut c));
    println!(
        "Clock::now {rust:.1} ns, ec_now {c:.1} ns: {:+.1} ns, of which a call across the boundary \
         takes {:+.1} ns",
        c - rust,
        calls - rust
    );
    ExitCode::SUCCESS
}
