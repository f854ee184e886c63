//! chronyd's own report against a real chronyd, in a User-Mode Linux whose clock it disciplines.
//!
//! For a minute what a clock makes of the report is held against what `chronyc tracking` prints, and
//! for another one against the kernel's figure at the same instants; every reading in between against
//! the truth that the server knows. Then chronyd is stopped, resumed, ended and started again.
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

#[test]
fn chronyds_report_narrows_what_the_kernel_says() {
    boot::daemon(
        "chrony_report",
        "chrony/usr/sbin/chronyd",
        Duration::from_secs(360),
    );
}
