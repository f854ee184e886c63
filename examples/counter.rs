//! Holds raw time against the counter on this machine, look for look, and tells the widest term.
//!
//! `cargo run --release --example counter -- 600` watches for ten minutes: at each reading the clock finds
//! raw time inside its line between two counts, or it voids what it claimed and says so. Ends with 1 if that
//! ever happened, and with 0 where the counter may not be read, naming why.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use epsilon_clock::clock::ReadPath;
use epsilon_clock::{Clock, ClockError, Disturbance};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let seconds = match std::env::args().nth(1) {
        Some(seconds) => seconds.parse()?,
        None => 5,
    };
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()?;
    let began = Instant::now();
    let (mut readings, mut by_counter, mut widest_ns) = (0_u64, 0_u64, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        // Longer than a millisecond apart: each of them is checked against raw time.
        thread::sleep(Duration::from_millis(2));
        readings += 1;
        if let Err(ClockError::Disturbed {
            cause: Disturbance::CounterDeparted,
        }) = clock.now()
        {
            println!("raw time departed from the counter after {readings} readings");
            return Ok(ExitCode::FAILURE);
        }
        let status = clock.status();
        if matches!(status.path, ReadPath::Vdso { .. }) {
            continue;
        }
        by_counter += 1;
        widest_ns = widest_ns.max(status.bound.map_or(0, |bound| bound.counter_ns));
    }
    println!("readings read {}", clock.status().path);
    println!("{by_counter} of {readings} checks by the counter, its widest term {widest_ns} ns");
    Ok(ExitCode::SUCCESS)
}
