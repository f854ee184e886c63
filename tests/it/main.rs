//! The tests of the library, a module for each subject.
//!
//! A part that cannot be run on this machine says so on standard error, in a line with `skipped:`.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that meets the unexpected has to fail, and its numbers are small"
)]

#[path = "../support/random.rs"]
mod random;
#[path = "../support/skip.rs"]
mod skip;

mod agreement;
mod architecture;
mod bank;
mod chrony;
mod claims;
mod clocks;
mod commit_group;
mod commit_wait;
mod commit_wait_example;
mod counting_script;
mod dates;
mod edges;
mod engine;
mod fence;
mod figures;
mod fleet;
mod handovers;
mod hlc;
mod hlc_text;
mod hlc_vectors;
mod interval;
mod kernel_edges;
mod labels;
mod lease;
mod log;
mod never_suspended;
mod ordering;
mod phc;
mod programs;
mod readme;
mod rules;
mod state_wait;
mod strange_machines;
mod suspends;
mod threads;
mod timestamp;
#[cfg(target_os = "linux")]
mod vmclock;
mod wire;
