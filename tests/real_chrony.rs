//! Against a real chronyd that disciplines a real kernel, for a minute or so each.
//!
//! It runs in a User-Mode Linux, whose clock it may discipline. Its server is not a second chronyd
//! on the same clock: then the server would serve the very clock that the client corrects, and
//! containment would be all but a tautology. It is one of the test's own, which knows a truth that
//! the guest's clock is 15 ms and 40 ppm off; every reading is held against that truth.
//!
//! Over a network that keeps assumption A2 no reading may be false. Two more strain it: a path that
//! is slower one way recovers, and a server goes off, saying so, and recovers. There chronyd's own
//! bounds may fall short, which is scored; no reading may be false that does not rest on such a one.
//!
//! And the clock is set behind chronyd's back: by another program, 0.4 s off, on a running clock and for
//! one that is built afterwards; and by chronyd itself at the end of 2016 (`leapsecmode step`), of which
//! the kernel says nothing. No reading may be false, and there is an interval again within what the rules say.
//! The scenarios are in `tests/guest`.
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

#[path = "support/boot.rs"]
mod boot;
#[path = "support/fields.rs"]
mod fields;
#[path = "support/host.rs"]
mod host;

/// They sleep most of the time, some 70 s.
const AT_MOST: Duration = Duration::from_secs(300);

const CHRONYD: &str = "chrony/usr/sbin/chronyd";

/// What chronyd's `leapsectz` reads.
const LEAP_SECONDS: &str = "tzdata/usr/share/zoneinfo/right/UTC";

#[test]
fn chronyd_disciplines_is_killed_and_comes_back() {
    boot::daemon("chrony", CHRONYD, AT_MOST);
}

#[test]
fn chronyd_over_a_path_that_recovers() {
    boot::daemon("chrony_path_recovers", CHRONYD, AT_MOST);
}

#[test]
fn chronyd_with_a_server_that_recovers() {
    boot::daemon("chrony_server_recovers", CHRONYD, AT_MOST);
}

#[test]
fn chronyd_whose_clock_another_program_steps() {
    boot::daemon("chrony_foreign_step", CHRONYD, AT_MOST);
}

#[test]
fn chronyd_that_steps_a_leap_second_itself() {
    boot::daemon_with("chrony_leap_step", &[CHRONYD, LEAP_SECONDS], AT_MOST);
}

#[test]
fn chronyd_without_rtcsync_needs_the_switch() {
    boot::daemon("chrony_without_rtcsync", CHRONYD, AT_MOST);
}
