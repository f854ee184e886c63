//! Holds raw time against the counter on this machine, look for look, and tells the widest term.
//!
//! `cargo run --release --example counter -- --for 600s` watches for ten minutes: at each reading the clock
//! finds raw time inside its line between two counts, or it voids what it claimed and says so.

use epsilon_clock::clock::ReadPath;
use epsilon_clock::{Clock, ClockError, Disturbance};
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

mod support;

const USAGE: &str = "\
Holds raw time against the counter that it is counted by.

Usage: counter [--for=SPAN]

  --for=SPAN  for how long, 5s by default

Exit codes: 0 if raw time was where the counter said, or the counter may not be read here; 1 otherwise.";

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let span = options.span("for")?.unwrap_or(Duration::from_secs(5));
        let clock = Clock::builder()
            .assume_error(Duration::from_millis(5))
            .build()?;
        let began = Instant::now();
        let (mut readings, mut by_counter, mut widest_ns) = (0_u64, 0_u64, 0);
        while began.elapsed() < span {
            // Longer than a millisecond apart: each of them is checked against raw time.
            thread::sleep(Duration::from_millis(2));
            readings += 1;
            let departed = ClockError::Disturbed {
                cause: Disturbance::CounterDeparted,
            };
            if clock.now() == Err(departed) {
                writeln!(
                    out,
                    "raw time departed from the counter after {readings} readings"
                )?;
                return Ok(false);
            }
            let status = clock.status();
            if matches!(status.path, ReadPath::Vdso { .. }) {
                continue;
            }
            by_counter += 1;
            widest_ns = widest_ns.max(status.bound.map_or(0, |bound| bound.counter_ns));
        }
        writeln!(out, "readings read {}", clock.status().path)?;
        writeln!(
            out,
            "{by_counter} of {readings} checks by the counter, its widest term {widest_ns} ns"
        )?;
        Ok(true)
    })
}
