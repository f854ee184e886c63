//! What an engine builds on, rule by rule: leases in a log, safe time, elapsed time, observed records.

use std::time::Duration;

use epsilon_clock::{Interval, Timestamp};

mod elapsed;
mod log_lease;
mod readings;
mod safe_time;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Milliseconds after some morning.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_153_800_000 + millis).unwrap()
}

/// What a clock says that is within `epsilon` ms and off by `offset` ms, at a true instant.
fn reading(truth: i64, offset: i64, epsilon: u64) -> Interval {
    Interval::around(at(truth + offset), millis(epsilon)).unwrap()
}
