//! Against real daemons that report no bound, or none to begin with: timesyncd, ntpsec, openntpd.
//!
//! Each is named and refused; a clock that was built with `assume_error` goes on being true all the
//! while. They run in a User-Mode Linux, whose clock is theirs; the scenarios are in `tests/guest`.
//! What cannot be told from an honest writer is ntpd-rs in steady state: see the docs of
//! `KernelSource`.
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

/// Some tell the kernel what they know minutes after they have started.
const AT_MOST: Duration = Duration::from_secs(720);

#[test]
fn timesyncd_is_named_and_refused() {
    let program = "systemd-timesyncd/lib/systemd/systemd-timesyncd";
    boot::daemon("timesyncd", program, AT_MOST);
}

#[test]
fn openntpd_is_named_and_refused() {
    boot::daemon("openntpd", "openntpd/usr/sbin/ntpd", AT_MOST);
}

#[test]
fn ntpsec_is_refused_until_it_knows() {
    boot::daemon("ntpsec", "ntpsec/usr/sbin/ntpd", AT_MOST);
}
