//! Against a real chronyd that disciplines a real kernel, for a minute and a half.
//!
//! It runs in a User-Mode Linux, whose clock it may discipline. Its server is not a second chronyd
//! on the same clock: then the server would serve the very clock that the client corrects, and
//! containment would be all but a tautology. It is one of the test's own, which knows a truth that
//! the guest's clock is 15 ms and 40 ppm off, and which becomes a worse but honest server for half a
//! minute; every reading is held against that truth. The scenarios are in `tests/guest`.
//!
//! Takes minutes, so only when asked to by `EPSILON_CLOCK_DAEMON_TESTS=1`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

use std::time::Duration;

mod boot;
mod fields;
mod host;

const CHRONYD: &str = "chrony/usr/sbin/chronyd";

#[test]
fn chronyd_disciplines_is_killed_and_comes_back() {
    boot::daemon("chrony", CHRONYD, Duration::from_secs(240));
}

#[test]
fn chronyd_without_rtcsync_needs_the_switch() {
    boot::daemon("chrony_without_rtcsync", CHRONYD, Duration::from_secs(120));
}
