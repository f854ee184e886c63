//! Clocks that stand in for one, and readings that cannot fail.

use std::time::Duration;

use epsilon_clock::commit::{CommitWaitError, IntervalClock};
use epsilon_clock::engine::Guesses;
use epsilon_clock::engine::kit::{self, MockClock};
use epsilon_clock::{ClockError, Interval, Lease, Timestamp};

use super::{at, millis, reading};
use crate::clocks::synchronized;

#[test]
fn i1_the_kit_accepts_an_honest_clock_and_finds_each_broken_promise() {
    let (machine, clock) = synchronized();
    let suspend = || {
        machine.suspend(Duration::from_secs(60));
        true
    };
    kit::check(&clock, || machine.true_time(), suspend).unwrap();

    let broken = |clock: &dyn IntervalClock, expected: &str| {
        let found = kit::check(clock, || at(0), || true).unwrap_err();
        assert!(found.contains(expected), "{found}");
    };
    // Off by more than it says.
    broken(&MockClock::new(reading(50, 0, 5)), "contains no instant");
    /// A clock whose waits end at once.
    struct Hasty(MockClock);
    impl IntervalClock for Hasty {
        fn interval(&self) -> Result<Interval, ClockError> {
            self.0.interval()
        }
        fn wait_until_past(&self, _: Timestamp) -> Result<(), CommitWaitError> {
            Ok(())
        }
    }
    broken(
        &Hasty(MockClock::new(reading(0, 0, 5))),
        "before it was past",
    );
}

#[test]
fn i1_leases_take_any_clock_and_waits_end_only_once_it_is_past() {
    let clock = MockClock::new(reading(0, 0, 5));
    let dynamic: &dyn IntervalClock = &clock;
    let lease = Lease::grant(&dynamic.interval().unwrap(), millis(100)).unwrap();
    assert!(lease.held(dynamic).unwrap() && !lease.surely_expired(&clock).unwrap());
    assert!(lease.check(&&clock).is_ok() && lease.guard(&clock).is_ok());
    assert_eq!(lease.remaining(dynamic), Ok(millis(100)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lease.wait_until_expired(dynamic));
        clock.set(reading(105, 0, 5));
        std::thread::sleep(millis(5));
        assert!(!waiter.is_finished());
        clock.set(reading(111, 0, 5));
        assert_eq!(waiter.join().unwrap(), Ok(()));
        let waiter = scope.spawn(|| dynamic.wait_until_past(at(500)));
        clock.refuse();
        assert!(matches!(
            waiter.join().unwrap(),
            Err(CommitWaitError::Clock(_))
        ));
    });
    let never = clock.wait_until_past(Timestamp::MAX);
    assert!(matches!(never, Err(CommitWaitError::NeverPast { .. })));
}

#[test]
fn i2_a_guess_is_flagged_and_spans_what_may_be() {
    let (machine, clock) = synchronized();
    let guesses = Guesses::new(&clock, millis(500));
    let sure = guesses.now();
    assert!(sure.vouched && sure.interval.contains(machine.true_time()));
    machine.suspend(Duration::from_secs(60));
    let guess = guesses.clone().now();
    assert!(!guess.vouched);
    assert!(guess.interval.contains(machine.true_time()));
    // From the last good interval, which a sleep left behind, to the machine's real time.
    assert!(guess.interval.width() >= Duration::from_secs(60));
    let (blind, _) = (epsilon_clock::testing::ScriptedMachine::default(), ());
    let never = Guesses::new(&blind.clock().unwrap(), millis(500)).now();
    assert!(!never.vouched && never.interval.contains(blind.true_time()));
}
