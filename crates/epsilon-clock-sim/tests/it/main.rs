//! The simulated world, and what is tried in it; a module for each subject.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that meets the unexpected has to fail, and its numbers are small"
)]

use std::time::Duration;

use epsilon_clock::{Interval, Timestamp};

#[allow(dead_code, reason = "some of it is for the tests of the library")]
#[path = "../../../../tests/support/random.rs"]
mod random;

mod commit_wait;
mod engine_sim;
mod faults;
mod fleet;
mod lease_sim;
mod ntp_beside_chrony;
mod ntp_widths;
mod peer_faults;
mod sim;
mod sim_broken;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How much more than usual is to be tried.
fn scale() -> u64 {
    let long = std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1");
    if long { 50 } else { 1 }
}

/// How far an interval misses an instant; zero if it contains it.
fn missed(interval: &Interval, truth: Timestamp) -> Duration {
    Interval::point(truth).gap(interval).unwrap_or_default()
}
