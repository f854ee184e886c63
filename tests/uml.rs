//! Against a real kernel whose clock may be treated as it pleases: steps, slews and leap seconds.
//!
//! True time is raw time there, run off by 60 ppm from an instant that the guest has set. Two
//! threads read the clock all the time; whatever they read that is not true (T1), or goes back on
//! what they had read (T3), or is an error of another kind than the scenario expects, fails.
//! The scenarios themselves are in `tests/guest`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

use std::time::Duration;

#[path = "support/boot.rs"]
mod boot;
#[path = "support/fields.rs"]
mod fields;
#[path = "support/host.rs"]
mod host;

/// The longest of them takes some 20 s.
const AT_MOST: Duration = Duration::from_secs(120);

fn kept(name: &str) {
    boot::scenario(name, AT_MOST);
}

#[test]
fn steps_by_settimeofday() {
    kept("step_settimeofday");
}

#[test]
fn steps_by_adj_setoffset() {
    kept("step_setoffset");
}

#[test]
fn a_step_and_a_write_in_one_call() {
    kept("step_and_write_at_once");
}

#[test]
fn a_step_ends_what_the_caller_vouched_for() {
    kept("step_under_an_assumption");
}

#[test]
fn an_ntp_state_that_is_cleared() {
    kept("cleared_state");
}

#[test]
fn a_leap_second_inserted() {
    kept("leap_inserted");
}

#[test]
fn a_leap_second_inserted_that_only_the_flag_announces() {
    kept("leap_inserted_unsync");
}

#[test]
fn a_leap_second_deleted() {
    kept("leap_deleted");
}

#[test]
fn a_slew_by_the_pll() {
    kept("slew_pll");
}

#[test]
fn a_slew_by_the_tick() {
    kept("slew_tick");
}

#[test]
fn a_slew_that_a_killed_daemon_left_behind() {
    kept("slew_abandoned");
}
