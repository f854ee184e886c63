//! What time it is, for sure: `cargo run --release --example now`.
//!
//! The command `epsilon now` (in `crates/epsilon-clock-cli`) tells more of the same.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

mod support;

const USAGE: &str = "\
Prints an interval that contains UTC.

Usage: now [--assume-error=SPAN]   vouch for the machine's clock where no daemon does: 50ms, 1s";

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let clock = support::clock(options)?;

        // For logs and people: never fails, and says ±? where nothing is certain.
        writeln!(out, "it is {}", clock.read())?;

        // For decisions: an interval, or an error that says what would end it.
        match clock.now() {
            Ok(now) => {
                writeln!(out, "UTC is not before {}", now.earliest())?;
                writeln!(out, "    and not after {}", now.latest())?;
            }
            Err(why) => writeln!(out, "no interval: {why}")?,
        }

        // Instants are compared with what is certain, and nothing else.
        if let Ok(now) = clock.now() {
            let soon = now.latest().saturating_add(Duration::from_secs(1));
            writeln!(
                out,
                "a second from now is surely past: {}",
                clock.after(soon)?
            )?;
        }
        Ok(true)
    })
}
