//! An error that the caller assumes, where nobody reports one.

use epsilon_clock::machine::NtpStatusError;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::LeapKind;
use epsilon_clock::{ClockError, ClockState, Disturbance, Timestamp};

use super::{delta_millis, micros, millis, read_truly, run_truly, secs, write_honestly};

fn assumed() -> (ScriptedMachine, epsilon_clock::Clock) {
    let machine = ScriptedMachine::default();
    let clock = machine.builder().assume_error(millis(50)).build().unwrap();
    assert_eq!(clock.read().state, ClockState::Assumed);
    (machine, clock)
}

#[test]
fn an_assumed_error_serves_where_no_source_reports_one() {
    let (machine, clock) = assumed();
    machine.set_slew_ppb(5_000);
    assert!(clock.now().unwrap().epsilon() >= millis(50));
    assert_eq!(clock.status().bound.unwrap().assumed_ns, 50_000_000);
    // It does not age: each look assumes anew, about the real time of then.
    assert_eq!(run_truly(&machine, &clock, secs(8_000), secs(10)), 800);
    assert!(clock.now().unwrap().epsilon() < millis(51));
    // Without looks it is carried like any claim.
    assert_eq!(clock.status().state, ClockState::Assumed);
}

#[test]
fn date_s_breaks_the_assumption_until_the_caller_vouches_again() {
    let (machine, clock) = assumed();
    machine.set_date(delta_millis(2_000));
    let cause = Disturbance::Stepped;
    assert_eq!(clock.now(), Err(ClockError::AssumptionBroken { cause }));
    assert_eq!(run_truly(&machine, &clock, secs(20), millis(100)), 0);
    assert_eq!(clock.now(), Err(ClockError::AssumptionBroken { cause }));
    // Somebody sets it right, which is a step too, and vouches.
    machine.set_date(delta_millis(-2_000));
    assert!(clock.now().is_err());
    clock.vouch().unwrap();
    assert_eq!(run_truly(&machine, &clock, secs(20), millis(100)), 200);
    assert_eq!(clock.read().state, ClockState::Assumed);
}

#[test]
fn a_suspend_breaks_the_assumption_until_the_caller_vouches_again() {
    let (machine, clock) = assumed();
    machine.suspend(secs(10));
    let cause = Disturbance::Suspended;
    assert_eq!(clock.now(), Err(ClockError::AssumptionBroken { cause }));
    assert_eq!(run_truly(&machine, &clock, secs(5), millis(100)), 0);
    clock.vouch().unwrap();
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_step_in_holdover_is_remembered_when_it_comes_to_assuming() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine
        .builder()
        .assume_error(millis(50))
        .max_age(secs(60))
        .build()
        .unwrap();
    machine.advance(secs(1));
    read_truly(&machine, &clock).unwrap();
    // The clock is set wrong while the last claim still serves: one of the two is wrong.
    machine.set_date(delta_millis(600_000));
    assert_eq!(run_truly(&machine, &clock, secs(50), millis(100)), 0);
    // And it must not be believed when that claim has run out.
    assert_eq!(run_truly(&machine, &clock, secs(50), millis(100)), 0);
    let cause = Disturbance::Stepped;
    assert_eq!(clock.now(), Err(ClockError::AssumptionBroken { cause }));
    machine.set_date(delta_millis(-600_000));
    clock.vouch().unwrap();
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn an_assumption_never_narrows_an_honest_bound() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(100_003);
    let clock = machine.builder().assume_error(millis(1)).build().unwrap();
    assert!(clock.now().unwrap().epsilon() > millis(100));
    assert_eq!(clock.read().state, ClockState::Inherited);
    machine.advance(millis(300));
    machine.write_maxerror(100_004);
    machine.advance(millis(300));
    clock.now().unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Synchronized);
    assert_eq!(status.bound.unwrap().assumed_ns, 0);
}

#[test]
fn an_assumption_never_takes_the_place_of_a_claim_that_is_carried_on() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(20_003);
    let clock = machine
        .builder()
        .assume_error(millis(1))
        .max_age(secs(60))
        .build()
        .unwrap();
    machine.edit_status(|status| *status = epsilon_clock::machine::NtpStatus::default());
    machine.advance(secs(30));
    clock.now().unwrap();
    assert_eq!(clock.read().state, ClockState::Holdover);
    assert!(clock.now().unwrap().epsilon() > millis(20));
    machine.advance(secs(31));
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.read().state, ClockState::Assumed);
    assert_eq!(clock.status().source, None);
}

#[test]
fn a_source_that_vouches_takes_over_and_owes_nothing_to_what_was_assumed() {
    let (machine, clock) = assumed();
    // The assumption was false all along.
    machine.set_date(delta_millis(5_000));
    clock.vouch().unwrap();
    let wrong = clock.now().unwrap();
    // A daemon slews by hours? No: it is honest about it.
    machine.set_date(delta_millis(-5_000));
    clock.now().unwrap_err();
    write_honestly(&machine, 303);
    machine.advance(millis(300));
    let right = read_truly(&machine, &clock).unwrap();
    assert!(right.latest() < wrong.earliest());
    let status = clock.status();
    assert_eq!(status.state, ClockState::Synchronized);
    assert_eq!(status.counters.contradictions, 0);
}

#[test]
fn what_a_false_assumption_promised_does_not_narrow_an_honest_claim() {
    // Assumed to be within 1 ms, it was 60 ms ahead.
    for broken in [false, true] {
        let machine = ScriptedMachine::default();
        machine.step(delta_millis(60));
        let clock = machine.builder().assume_error(millis(1)).build().unwrap();
        clock.now().unwrap();
        if broken {
            machine.set_date(delta_millis(5));
            machine.advance(millis(11));
            clock.now().unwrap_err();
        }
        write_honestly(&machine, 90_003);
        let now = clock.look().unwrap();
        assert!(
            now.contains(machine.true_time()),
            "{now} {}",
            machine.true_time()
        );
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

#[test]
fn a_caller_may_vouch_for_a_step_that_no_reading_has_noticed() {
    let (machine, clock) = assumed();
    machine.set_date(delta_millis(-20));
    clock.vouch().unwrap();
    assert_eq!(run_truly(&machine, &clock, secs(2), millis(100)), 20);
}

#[test]
fn what_was_promised_under_an_assumption_holds_under_the_assumption() {
    let (machine, clock) = assumed();
    machine.set_slew_ppb(-80_000_000);
    let mut promised = clock.now().unwrap().earliest();
    for _ in 0..200 {
        machine.advance(millis(10));
        let now = clock.now().unwrap();
        assert!(now.earliest() >= promised);
        promised = now.earliest();
    }
    assert!(clock.now().unwrap().epsilon() <= millis(50) + micros(100));
}

#[test]
fn nothing_is_assumed_while_a_write_is_awaited() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    machine.set_slew_ppb(400_000);
    let clock = machine.builder().assume_error(millis(1)).build().unwrap();
    assert!(matches!(
        clock.now(),
        Err(ClockError::Unvouched(
            epsilon_clock::source::Refusal::AwaitingWrite { .. }
        ))
    ));
}

/// A second that is taken back half an hour after a leap second is a step, not that leap second.
#[test]
fn a_step_of_a_second_after_a_leap_second_breaks_the_assumption() {
    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(
        midnight
            .checked_sub(std::time::Duration::from_secs(62))
            .unwrap(),
    );
    machine.schedule_leap(LeapKind::Inserted);
    machine.announce_leap(LeapKind::Inserted);
    machine.advance(secs(2));
    let clock = machine.builder().assume_error(millis(20)).build().unwrap();
    machine.advance(millis(700));
    write_honestly(&machine, 1_003);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    // The daemon dies, and adjtimex with it; the claim is carried over the leap second.
    machine.refuse(NtpStatusError::Refused { errno: 1 });
    run_truly(&machine, &clock, secs(120), millis(500));
    machine.advance(secs(1_200));
    read_truly(&machine, &clock).unwrap();
    // Another program sets the clock back by a second, out of the interval.
    machine.step(delta_millis(-1_000));
    read_truly(&machine, &clock).unwrap_err();
    machine.advance(secs(3_600));
    // The source's claim is too old by now, and only the caller's word is left.
    let now = read_truly(&machine, &clock);
    assert!(now.is_err(), "{now:?}");
    assert_eq!(clock.status().counters.steps, 1);
}
