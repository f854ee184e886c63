//! Elapsed time for waiters and for holders, and takeover by observation.

use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::lease::{Candidate, ElapsedInstant, GrantorClock, NotBounded, Observation};
use epsilon_clock::machine::Machine;
use epsilon_clock::testing::ScriptedMachine;
use proptest::prelude::*;

use super::millis;
use crate::clocks::synchronized;

/// A machine whose raw time is off by so many ppb, and a clock that charges 200 ppm.
fn drifting(ppb: i32) -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_drift_ppb(ppb);
    let clock = machine.builder().max_drift_ppb(200_000).build().unwrap();
    (machine, clock)
}

proptest! {
    #[test]
    fn e1_a_waiter_never_counts_too_much_and_a_holder_never_too_little(
        drift in -200_000..=200_000_i32,
        spans in proptest::collection::vec(0..4_000_000_000_u64, 1..5),
        slew in -100_000_000..=100_000_000_i32,
    ) {
        let (machine, clock) = drifting(drift);
        let began = machine.true_time();
        let start = ElapsedInstant::now(&clock);
        machine.set_slew_ppb(slew); // raw time is not slewed
        for span in spans {
            machine.advance(Duration::from_nanos(span));
        }
        let inner = machine.true_time();
        let now = ElapsedInstant::now(&clock);
        let ended = machine.true_time();
        prop_assert!(now.at_least_since(start) <= ended.abs_diff(began));
        // A holder counts from before: what its reading took is charged as well.
        let at_most = now.at_most_since(start).unwrap();
        prop_assert!(at_most + Duration::from_micros(10) >= inner.abs_diff(began));
        prop_assert!(at_most >= now.at_least_since(start));
        prop_assert_eq!(now - start, now.at_least_since(start));
    }

    #[test]
    fn e3_a_sum_is_reached_only_once_so_much_true_time_went_by(
        drift in -200_000..=200_000_i32,
        wait in 0..2_000_000_000_u64,
        span in 0..2_000_000_000_u64,
    ) {
        let (machine, clock) = drifting(drift);
        let wait = Duration::from_nanos(wait);
        let began = machine.true_time();
        let start = ElapsedInstant::now(&clock);
        let due = start + wait;
        prop_assert_eq!(due - wait, start);
        prop_assert!(due.at_least_since(start) >= wait);
        machine.advance(Duration::from_nanos(span));
        let now = ElapsedInstant::now(&clock);
        if now >= due {
            prop_assert!(machine.true_time().abs_diff(began) >= wait);
            prop_assert!(now.at_least_since(start) >= wait);
        }
        // The holder's share ends before, whichever way both rates are off.
        let held = ElapsedInstant::longest_hold(wait, 200_000);
        let fastest = held + held * 200_000 / 1_000_000_000;
        let slowest = wait - wait * 200_000 / 1_000_000_000;
        prop_assert!(held.is_zero() || fastest < slowest);
    }
}

#[test]
fn e2_sleep_ends_what_is_held_and_shortens_no_wait() {
    let (machine, clock) = synchronized();
    let start = ElapsedInstant::now(&clock);
    machine.suspend(Duration::from_secs(3_600));
    let now = ElapsedInstant::now(&clock);
    assert_eq!(now.at_most_since(start), Err(NotBounded::Slept));
    assert!(now.at_least_since(start) < millis(1));
    assert!(now >= start);
}

#[test]
fn e2_a_preemption_between_two_readings_is_no_sleep() {
    let (machine, clock) = synchronized();
    let start = ElapsedInstant::now(&clock);
    for read in 1..=12 {
        machine.before_read(read, |machine| machine.advance(millis(10)));
    }
    let began = machine.true_time();
    let now = ElapsedInstant::now(&clock);
    assert!(now.at_least_since(start) <= machine.true_time().abs_diff(began) + millis(1));
    assert_ne!(now.at_most_since(start), Err(NotBounded::Slept));
}

#[test]
fn e4_a_sum_that_does_not_fit_is_no_instant() {
    let (_machine, clock) = synchronized();
    let now = ElapsedInstant::now(&clock);
    assert_eq!(now.checked_add(Duration::MAX), None);
    assert_eq!(now.checked_add(Duration::from_nanos(u64::MAX / 2)), None);
    assert_eq!(now.checked_sub(Duration::MAX), None);
    let sum = std::panic::catch_unwind(|| now + Duration::MAX);
    match sum {
        Err(_) if cfg!(debug_assertions) => {}
        Err(_) => panic!("a release build panics"),
        Ok(sum) => {
            assert!(sum > now && sum.at_least_since(now).is_zero());
            assert_eq!(sum.at_most_since(now), Err(NotBounded::OutOfRange));
        }
    }
    assert_eq!(now.at_least_since(now + millis(1)), Duration::ZERO);
    assert_eq!(
        now.at_most_since(now + millis(1)),
        Err(NotBounded::OutOfRange)
    );
}

// --- observed records ------------------------------------------------------------------------------

fn mono_of(machine: &ScriptedMachine) -> i64 {
    machine.sandwich().mono_after
}

/// A store with compare-and-set, of one record.
struct Store {
    version: u64,
    term: Duration,
}

proptest! {
    /// O-1 to O-4: two machines with rates of their own; the holder renews, is cut off, and comes back.
    #[test]
    fn o1_to_o4_the_holder_and_a_candidate_that_took_over_never_both_hold(
        drifts in (-200_000..=200_000_i32, -200_000..=200_000_i32),
        slew in -100_000_000..=100_000_000_i32,
        monotonic in any::<bool>(),
        steps in proptest::collection::vec((0..5_u8, 1..600_u64), 1..40),
    ) {
        let term = millis(1_000);
        let machine = ScriptedMachine::default();
        machine.set_drift_ppb(drifts.0);
        let candidate_machine = ScriptedMachine::default();
        candidate_machine.set_drift_ppb(drifts.1);
        machine.write_maxerror(1_003);
        let clock = machine.clock().unwrap();
        clock.now().unwrap();
        let candidate_clock = candidate_machine.clock().unwrap();
        let mut store = Store { version: 1, term };
        // A holder that is not ours counts monotonic time, which is slewed.
        if monotonic {
            machine.set_slew_ppb(slew);
        }
        let counted = if monotonic { GrantorClock::MonotonicTime } else { GrantorClock::RawTime };
        let mut candidate = Candidate::new(&candidate_clock, counted);
        let monotonic_since = |began: i64| (mono_of(&machine) - began).unsigned_abs();
        let mut own = clock.request_lease().unwrap().granted(term, GrantorClock::RawTime).unwrap();
        let mut began = mono_of(&machine);
        for (what, span) in steps {
            machine.advance(millis(span));
            candidate_machine.advance(millis(span));
            match what {
                0 => {
                    // Renews: the request, the store's execution, the answer that may be lost.
                    let request = clock.request_lease();
                    let mono = mono_of(&machine);
                    let held = if monotonic { monotonic_since(began) < term.as_nanos() as u64 } else { own.held() == Ok(true) };
                    if held {
                        store.version += 1;
                        if let Ok(request) = request {
                            own = request.granted(store.term, GrantorClock::RawTime).unwrap();
                            began = mono;
                        }
                    }
                }
                1 => candidate_machine.suspend(millis(span)),
                _ => {
                    // Asks; the store reads; the answer takes its time.
                    let seen = (store.version, store.term);
                    machine.advance(millis(span / 10));
                    candidate_machine.advance(millis(span / 10));
                    if let Observation::TakeOver { version } = candidate.observed(seen.0, seen.1) {
                        if version == store.version {
                            let holds = if monotonic {
                                monotonic_since(began) < term.as_nanos() as u64
                            } else {
                                own.held() == Ok(true)
                            };
                            prop_assert!(!holds);
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn o1_the_wait_begins_with_the_answer_and_anew_with_every_version() {
    let (machine, clock) = synchronized();
    let mut candidate = Candidate::new(&clock, GrantorClock::RawTime);
    let term = millis(100);
    assert!(
        matches!(candidate.observed(1, term), Observation::Wait { at_least } if at_least >= term)
    );
    machine.advance(millis(99));
    assert!(matches!(
        candidate.observed(1, term),
        Observation::Wait { .. }
    ));
    machine.advance(millis(2));
    assert_eq!(
        candidate.observed(1, term),
        Observation::TakeOver { version: 1 }
    );
    assert!(matches!(
        candidate.observed(2, term),
        Observation::Wait { .. }
    ));
    machine.advance(millis(101));
    // A longer term under one version is waited for; a shorter one changes nothing.
    assert!(matches!(
        candidate.observed(2, millis(200)),
        Observation::Wait { .. }
    ));
    machine.advance(millis(101));
    assert!(matches!(
        candidate.observed(2, term),
        Observation::Wait { .. }
    ));
}

#[test]
fn o4_a_holder_whose_clock_may_run_slow_is_waited_for_longer() {
    let (machine, clock) = synchronized();
    let mut candidate = Candidate::new(&clock, GrantorClock::MonotonicTime);
    let _ = candidate.observed(1, millis(1_000));
    machine.advance(millis(1_140));
    assert!(matches!(
        candidate.observed(1, millis(1_000)),
        Observation::Wait { .. }
    ));
    machine.advance(millis(5));
    assert!(matches!(
        candidate.observed(1, millis(1_000)),
        Observation::TakeOver { .. }
    ));
    let mut for_ever = Candidate::new(&clock, GrantorClock::RawTime);
    assert!(matches!(
        for_ever.observed(1, Duration::MAX),
        Observation::Wait { .. }
    ));
}
