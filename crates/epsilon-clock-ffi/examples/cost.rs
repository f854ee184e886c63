//! What `ec_now` costs beside the `Clock::now` that it calls: medians of interleaved rounds.

#![allow(unsafe_code, reason = "calls the C interface as C does")]
#![allow(clippy::print_stdout, reason = "a program")]

use std::hint::black_box;
use std::process::ExitCode;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::source::KernelSource;
use epsilon_clock_ffi::{ec_clock, ec_error, ec_interval, ec_now, ec_open, ec_options_init};

const ROUNDS: usize = 301;
const CALLS: u32 = 20_000;

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

fn main() -> ExitCode {
    let error = Duration::from_millis(50);
    let (mut handle, mut now) = (null_mut(), std::mem::MaybeUninit::<ec_interval>::uninit());
    let mut options = std::mem::MaybeUninit::uninit();
    // SAFETY: it fills in what it is given, of the type that it asks for.
    let initialised = unsafe { ec_options_init(options.as_mut_ptr()) };
    // SAFETY: it said that it did; see below.
    let mut options = unsafe { options.assume_init() };
    options.assume_error_ns = 50_000_000;
    // SAFETY: both pointers are of this function's variables.
    let opened = unsafe { ec_open(&raw const options, &raw mut handle) };
    let built = Clock::builder()
        .source(KernelSource::new())
        .assume_error(error)
        .build();
    let (ec_error::EC_OK, ec_error::EC_OK, Ok(clock)) = (initialised, opened, built) else {
        println!("no clock can be opened here");
        return ExitCode::FAILURE;
    };
    // Through a pointer that the compiler cannot see through, as from C.
    let ec_now: unsafe extern "C" fn(*const ec_clock, *mut ec_interval) -> ec_error =
        black_box(ec_now);
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rust.push(ns_per_call(|| {
            let _ = black_box(black_box(&clock).now());
        }));
        c.push(ns_per_call(|| {
            // SAFETY: an open handle and a variable of this function's.
            let _ = black_box(unsafe { ec_now(black_box(handle), now.as_mut_ptr()) });
            black_box(&mut now);
        }));
    }
    let (rust, c) = (median(&mut rust), median(&mut c));
    println!(
        "Clock::now {rust:.1} ns, ec_now {c:.1} ns: {:+.1} ns",
        c - rust
    );
    ExitCode::SUCCESS
}
