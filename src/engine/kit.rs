//! A mock clock, and a kit that tries mock clocks out (feature `test-util`).

use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::ClockError;
use crate::commit::{CommitWaitError, IntervalClock};
use crate::machine::Disturbance;
use crate::time::{Interval, Timestamp};

/// A clock whose interval a test sets by hand, or withholds.
///
/// ```
/// use epsilon_clock::engine::kit::MockClock;
/// use epsilon_clock::{Interval, Lease, Timestamp};
///
/// let at = |ms| Timestamp::from_unix_millis(ms).map(Interval::point);
/// let clock = MockClock::new(at(1_000)?);
/// let lease = Lease::until(Timestamp::from_unix_millis(1_001)?);
/// assert!(lease.held(&clock)?);
/// clock.set(at(1_002)?);
/// assert!(lease.surely_expired(&clock)?);
/// clock.refuse();
/// assert!(lease.held(&clock).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MockClock {
    now: Mutex<Option<Interval>>,
    changed: Condvar,
}

const REFUSAL: ClockError = ClockError::Disturbed {
    cause: Disturbance::Interrupted,
};

impl MockClock {
    /// Creates a clock that says `now` until it is set.
    #[must_use]
    pub const fn new(now: Interval) -> Self {
        Self {
            now: Mutex::new(Some(now)),
            changed: Condvar::new(),
        }
    }

    /// Sets the interval, and wakes those who wait.
    pub fn set(&self, now: Interval) {
        *self.lock() = Some(now);
        self.changed.notify_all();
    }

    /// Makes every reading an error, and every wait end with it, until the clock is set again.
    pub fn refuse(&self) {
        *self.lock() = None;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Interval>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IntervalClock for MockClock {
    fn interval(&self) -> Result<Interval, ClockError> {
        self.lock().ok_or(REFUSAL)
    }

    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        if timestamp == Timestamp::MAX {
            return Err(CommitWaitError::NeverPast { timestamp });
        }
        let mut now = self.lock();
        loop {
            match *now {
                None => return Err(CommitWaitError::Clock(REFUSAL)),
                Some(interval) if interval.after(timestamp) => return Ok(()),
                Some(_) => {}
            }
            now = self
                .changed
                .wait(now)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tries out what [`IntervalClock`] promises, by readings against a truth that the caller knows.
///
/// `truth` returns true time, and `disturb` does to the mock's world what its clock cannot see through (a
/// suspend); a clock whose world has none passes a closure that does nothing and returns false.
///
/// # Errors
///
/// A line about the first promise that was broken.
///
/// ```
/// use epsilon_clock::engine::kit;
/// use epsilon_clock::testing::ScriptedMachine;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = ScriptedMachine::default();
/// machine.write_maxerror(1_003);
/// let clock = machine.clock()?;
/// kit::check(&clock, || machine.true_time(), || {
///     machine.suspend(Duration::from_secs(60));
///     true
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn check(
    clock: &dyn IntervalClock,
    truth: impl Fn() -> Timestamp,
    disturb: impl FnOnce() -> bool,
) -> Result<(), String> {
    for _ in 0..100 {
        contained(clock, &truth)?;
        let read = clock.interval().map_err(|error| error.to_string())?;
        let end = read.latest().saturating_add(Duration::from_micros(10));
        clock
            .wait_until_past(end)
            .map_err(|error| format!("a wait for {end}: {error}"))?;
        if truth() <= end {
            return Err(format!(
                "a wait for {end} ended at {}, before it was past",
                truth()
            ));
        }
        let later = clock.interval().map_err(|error| error.to_string())?;
        // Both contain a true instant, and the later one's is later.
        if later.definitely_before(&read) {
            return Err(format!("{later} was read after {read} and lies before it"));
        }
    }
    if disturb() {
        if let Ok(interval) = clock.interval() {
            return Err(format!(
                "{interval} was vouched for right after a disturbance"
            ));
        }
    }
    Ok(())
}

fn contained(clock: &dyn IntervalClock, truth: &impl Fn() -> Timestamp) -> Result<(), String> {
    let before = truth();
    let interval = clock.interval().map_err(|error| error.to_string())?;
    let after = truth();
    if interval.after(after) || interval.before(before) {
        return Err(format!(
            "{interval} contains no instant from {before} to {after}, in which it was read"
        ));
    }
    Ok(())
}
