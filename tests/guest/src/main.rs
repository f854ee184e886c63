//! The init of a User-Mode Linux: runs one scenario on a clock that it may treat as it likes.
//!
//! The scenario is named by the first argument. The last line that it prints is its verdict; then
//! the guest powers off. See CONTRIBUTING.md for how to run it by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and what it prints is its result"
)]
#![allow(
    unsafe_code,
    reason = "mounts, the clock and the network are reached through libc alone"
)]

use std::io::Write;

#[path = "../../support/host.rs"]
mod host;

mod chrony;
mod daemon;
mod kernel;
mod leaps;
mod liars;
mod ntp_server;
mod readers;
mod reports;
mod slews;
mod starved;
mod steps;
mod system;
mod truth;

/// What can be run, by name.
const SCENARIOS: [(&str, fn()); 21] = [
    ("step_settimeofday", steps::settimeofday),
    ("step_setoffset", steps::setoffset),
    ("step_and_write_at_once", steps::step_and_write_at_once),
    ("step_under_an_assumption", steps::under_an_assumption),
    ("cleared_state", steps::cleared_state),
    ("leap_inserted", leaps::inserted),
    ("leap_deleted", leaps::deleted),
    ("leap_inserted_unsync", leaps::inserted_unsync),
    ("slew_pll", slews::pll),
    ("slew_tick", slews::tick),
    ("slew_abandoned", slews::abandoned),
    ("chrony", chrony::disciplines),
    ("chrony_path_recovers", chrony::path_recovers),
    ("chrony_server_recovers", chrony::server_recovers),
    ("chrony_foreign_step", chrony::foreign_step),
    ("chrony_leap_step", chrony::leap_step),
    ("chrony_without_rtcsync", chrony::without_rtcsync),
    ("chrony_report", reports::narrows),
    ("timesyncd", liars::timesyncd),
    ("ntpsec", liars::ntpsec),
    ("openntpd", liars::openntpd),
];

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    if std::process::id() != 1 {
        println!("this is the init of a User-Mode Linux; it is booted by `cargo test --test uml`");
        return;
    }
    let scenario = SCENARIOS.iter().find(|(known, _)| *known == name);
    println!("init: here");
    let ended = std::panic::catch_unwind(|| {
        system::prepare();
        let (_, run) = scenario.unwrap_or_else(|| panic!("there is no scenario {name:?}"));
        run();
    });
    println!("verdict: {}", starved::verdict(&ended));
    let _ = std::io::stdout().flush();
    system::power_off();
}
