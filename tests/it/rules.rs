//! Each rule of the clock, one test or more, on a machine whose true time is known.
//!
//! None of them reads a real clock, sleeps or needs a time daemon.

use std::time::Duration;

use epsilon_clock::source::{Finding, SyncClaim};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, ClockState, Interval, TimeDelta, Timestamp};

mod assumed;
mod claims;
mod contradictions;
mod counter;
mod disturbances;
mod errors;
mod exits;
mod helpers;
mod leaps;
mod learning;
mod liars;
mod lookers;
mod policies;
mod replies;
mod waiting;
mod writes;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

const fn delta_millis(n: i64) -> TimeDelta {
    TimeDelta::from_nanos(n * 1_000_000)
}

/// The longest that a setting may be: where a test is about truth, not about limits.
const NO_LIMIT: Duration = Duration::from_secs(366 * 86_400);

/// A machine whose daemon has just written a bound of about a millisecond, and a clock that saw it.
fn synchronized() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    machine.advance(millis(300));
    write_honestly(&machine, 1_003);
    machine.advance(millis(300));
    assert!(clock.now().is_ok());
    assert_eq!(clock.status().state, ClockState::Synchronized);
    (machine, clock)
}

/// What an honest daemon writes: no less than the true error, plus `slack_us`.
fn write_honestly(machine: &ScriptedMachine, slack_us: i64) {
    let error = machine.real_time().abs_diff(machine.true_time());
    let error_us = i64::try_from(error.as_nanos().div_ceil(1_000)).unwrap();
    let mut maxerror = error_us + slack_us;
    // One in 500 honest writes looks like a liar's; that is another test's subject.
    if maxerror % 500 == 0 {
        maxerror += 1;
    }
    machine.write_maxerror(maxerror);
}

/// T1 of one reading: some true instant between call and return lies in the interval. Errors pass.
#[track_caller]
fn read_truly(machine: &ScriptedMachine, clock: &Clock) -> Result<Interval, ClockError> {
    let before = machine.true_time();
    let now = clock.now();
    let after = machine.true_time();
    if let Ok(now) = &now {
        assert!(
            now.earliest() <= after && before <= now.latest(),
            "false interval: [{}, {}] misses true time {before} to {after}; {:?}",
            now.earliest(),
            now.latest(),
            clock.status(),
        );
    }
    now
}

/// T1 for a while, read every `every`; how many readings were intervals.
#[track_caller]
fn run_truly(machine: &ScriptedMachine, clock: &Clock, span: Duration, every: Duration) -> u32 {
    let mut left = span;
    let mut intervals = 0;
    let mut reached = Timestamp::MIN;
    let mut contradictions = clock.status().counters.contradictions;
    while !left.is_zero() {
        let step = left.min(every);
        machine.advance(step);
        left -= step;
        if let Ok(now) = read_truly(machine, clock) {
            intervals += 1;
            // T3: what was past stays past, while nothing contradicts it.
            let so_far = clock.status().counters.contradictions;
            if so_far == contradictions {
                assert!(
                    now.earliest() >= reached,
                    "{} is no longer surely past; now {}",
                    reached,
                    now.earliest()
                );
            }
            contradictions = so_far;
            reached = now.earliest();
        }
    }
    intervals
}

/// A write of a source that claims the truth shifted by `by_ms`, give or take `epsilon_ms`.
fn claim(machine: &ScriptedMachine, by_ms: i64, epsilon_ms: u64) -> Finding {
    Finding::Write(sync_claim(machine, by_ms, epsilon_ms))
}

fn sync_claim(machine: &ScriptedMachine, by_ms: i64, epsilon_ms: u64) -> SyncClaim {
    let mut sync = machine.truth(millis(epsilon_ms));
    let middle = machine
        .true_time()
        .checked_add_delta(delta_millis(by_ms))
        .unwrap();
    let interval = Interval::around(middle, millis(epsilon_ms)).unwrap();
    sync.claim = epsilon_clock::time::Claim::new(sync.claim.raw(), interval, sync.claim.rate());
    sync
}
