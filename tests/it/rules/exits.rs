//! Every refusal ends: what was found from outside, and L1, liveness, over any history of faults.

use std::time::Duration;

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::machine::{Identity, NtpStatus};
use epsilon_clock::source::{Finding, KernelSource};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::LeapKind;
use epsilon_clock::{Clock, ClockError, Disturbance, TimeDelta, Timestamp};
use proptest::prelude::*;

use super::{claim, delta_millis, micros, millis, read_truly, run_truly, secs};

/// Brings real time back to UTC, as an operator does.
fn set_right(machine: &ScriptedMachine) {
    let off = machine.true_time().unix_nanos() - machine.real_time().unix_nanos();
    machine.set_date(TimeDelta::from_nanos(off));
}

fn eve_of_2017(before: Duration) -> ScriptedMachine {
    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    ScriptedMachine::new(midnight.checked_sub(before).unwrap())
}

/// chronyd with `leapsecmode step` tells the kernel nothing: it steps by a second just after midnight and
/// writes at its next update. Until then nothing says whether that was a leap second.
#[test]
fn a_leap_second_that_the_daemon_steps_itself() {
    for (kind, by) in [(LeapKind::Inserted, -1_000), (LeapKind::Deleted, 1_000)] {
        let machine = eve_of_2017(secs(120));
        machine.write_maxerror(1_163);
        let clock = machine.clock().unwrap();
        run_truly(&machine, &clock, secs(100), millis(125));
        machine.write_maxerror(1_091);
        machine.schedule_leap(kind);
        // A deleted second is the last one of the day.
        let until = if kind == LeapKind::Inserted { 20 } else { 19 };
        run_truly(&machine, &clock, secs(until - 1), millis(125));
        machine.advance(secs(1) + micros(86));
        machine.set_date(delta_millis(by));
        assert_eq!(run_truly(&machine, &clock, secs(51), millis(125)), 0);
        let cause = Disturbance::UnexplainedSecond;
        assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
        machine.write_maxerror(1_207);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert!(run_truly(&machine, &clock, secs(60), millis(125)) > 400);
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

/// A clock that is set wrong by a second near midnight, with no leap second about: the daemon puts it
/// right, and its write agrees with the scale without one.
#[test]
fn a_second_at_midnight_that_was_no_leap_second() {
    for by in [-1_000, 1_000] {
        let machine = eve_of_2017(secs(60));
        machine.write_maxerror(1_163);
        let clock = machine.clock().unwrap();
        run_truly(&machine, &clock, secs(60), millis(125));
        machine.set_date(delta_millis(by));
        assert_eq!(run_truly(&machine, &clock, secs(30), millis(125)), 0);
        set_right(&machine);
        machine.write_maxerror(1_207);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
    }
}

/// After a step by another program chronyd's first bounds fall short of the truth, and the deviation that
/// it writes beside them says so: on a clock that was there before, and on one that is built afterwards.
#[test]
fn bounds_that_fall_short_after_a_step_by_another_program() {
    // What chronyd 4.3 wrote at polls of 16 s, and how it slewed: 171 ms beside 87 for 400, and so on.
    let writes = [
        (171_341, 87_000, -940_000),
        (222_836, 90_000, -6_572_000),
        (262_923, 61_000, -16_000_000),
    ];
    for built_after in [false, true] {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_163);
        let before = (!built_after).then(|| machine.clock().unwrap());
        if let Some(clock) = &before {
            run_truly(&machine, clock, secs(600), millis(125));
        }
        machine.set_date(delta_millis(400));
        let clock = before.unwrap_or_else(|| machine.clock().unwrap());
        assert_eq!(run_truly(&machine, &clock, secs(30), millis(125)), 0);
        for (maxerror, esterror, slew) in writes {
            machine.write_bound(maxerror, esterror);
            machine.set_slew_ppb(slew);
            run_truly(&machine, &clock, secs(16), millis(125));
        }
    }
}

/// A step that ends outside of the interval, and a daemon that then says what the stepper said: with four
/// updates over two minutes that agree among themselves it counts, whatever was known before.
#[test]
fn updates_that_agree_among_themselves_begin_anew() {
    let (machine, source) = (ScriptedMachine::default(), ScriptedSource::new("oracle"));
    let clock = machine
        .builder()
        .source(KernelSource::new())
        .source(source.clone())
        .build()
        .unwrap();
    // The clock had believed a liar.
    machine.step(delta_millis(3_000));
    machine.write_maxerror(1_163);
    machine.advance(millis(300));
    clock.now().unwrap();
    set_right(&machine);
    let mut polls = 0;
    loop {
        machine.advance(secs(40));
        machine.write_maxerror(1_001 + polls);
        machine.advance(millis(300));
        polls += 1;
        if clock.now().is_ok() {
            break;
        }
        assert!(polls < 8, "{:?}", clock.now());
    }
    assert_eq!(polls, 4);
    read_truly(&machine, &clock).unwrap();
    assert!(run_truly(&machine, &clock, secs(600), millis(900)) > 600);
}

/// Where only the caller vouches, only the caller can end a contradiction, and does.
#[test]
fn a_contradiction_of_an_assumed_clock_ends_with_the_callers_word() {
    let machine = ScriptedMachine::default();
    let clock = machine.builder().assume_error(millis(1)).build().unwrap();
    clock.now().unwrap();
    machine.set_slew_ppb(-80_000_000);
    machine.advance(millis(300));
    let error = clock.now().unwrap_err();
    assert!(
        matches!(
            error,
            ClockError::Contradicted {
                from: "assumed",
                ..
            }
        ),
        "{error:?}"
    );
    machine.set_slew_ppb(0);
    set_right(&machine);
    assert_eq!(run_truly(&machine, &clock, secs(60), millis(250)), 0);
    clock.vouch().unwrap();
    read_truly(&machine, &clock).unwrap();
}

/// A daemon contradicts itself, and one without a bound takes its place: the caller's word counts again.
#[test]
fn a_contradiction_that_no_source_is_left_to_end_is_ended_by_the_caller() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.builder().assume_error(millis(50)).build().unwrap();
    run_truly(&machine, &clock, secs(2), millis(250));
    machine.set_slew_ppb(20_000_000);
    run_truly(&machine, &clock, secs(1), millis(250));
    machine.set_slew_ppb(0);
    run_truly(&machine, &clock, secs(2), millis(250));
    machine.write_maxerror(733);
    machine.advance(millis(300));
    assert!(matches!(clock.now(), Err(ClockError::Contradicted { .. })));
    set_right(&machine);
    machine.edit_status(|status| {
        (status.maxerror, status.esterror, status.status) = (0, 0, NtpStatus::STA_PLL);
    });
    assert_eq!(run_truly(&machine, &clock, secs(10), millis(250)), 0);
    clock.vouch().unwrap();
    read_truly(&machine, &clock).unwrap();
}

/// A daemon that died long ago does not hold up a source that is alive.
#[test]
fn a_claim_past_max_age_vetoes_nothing() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let other = ScriptedSource::new("other");
    let clock = machine
        .builder()
        .source(KernelSource::new())
        .source(other.clone())
        .max_age(secs(600))
        .build()
        .unwrap();
    let says = |span: Duration| {
        machine.advance(span);
        other.push(Finding::Write(machine.truth(micros(100))));
        clock.look()
    };
    says(secs(1)).unwrap();
    machine.set_slew_ppb(20_000_000);
    for _ in 0..4 {
        let _ = says(millis(250));
    }
    machine.set_slew_ppb(0);
    machine.write_maxerror(733);
    says(millis(250)).unwrap_err();
    let mut waited = 0;
    while says(secs(20)).is_err() {
        waited += 20;
        assert!(waited <= 640, "{:?}", clock.now());
    }
    read_truly(&machine, &clock).unwrap();
}

/// A card that counts TAI was believed, and its operator put it right: two writes that agree end the
/// contradiction, however short the polls.
#[test]
fn two_writes_that_agree_end_a_contradiction_at_any_poll() {
    for poll in [4, 16, 64] {
        let source = ScriptedSource::new("oracle");
        let machine = ScriptedMachine::default();
        let clock = machine.builder().source(source.clone()).build().unwrap();
        let write = |off_ms: i64| {
            machine.advance(secs(poll));
            source.push(claim(&machine, off_ms, 1));
            clock.look()
        };
        for _ in 0..40 {
            write(37_000).unwrap();
        }
        let mut writes = 1;
        while write(0).is_err() {
            writes += 1;
            assert!(writes <= 3, "polls of {poll} s: {:?}", clock.now());
        }
        read_truly(&machine, &clock).unwrap();
    }
}

/// A forked child lives on with the clock that it inherited, through its first step and leap second.
#[test]
fn a_forked_child_goes_on_over_a_step_and_a_leap_second() {
    let child = Identity {
        pid: 2,
        time_namespace: 1,
    };
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    machine.set_identity(child);
    machine.set_date(TimeDelta::from_nanos(300_000));
    machine.advance(millis(20));
    read_truly(&machine, &clock).unwrap();

    let machine = eve_of_2017(secs(62));
    machine.schedule_leap(LeapKind::Inserted);
    machine.announce_leap(LeapKind::Inserted);
    machine.advance(secs(1));
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    run_truly(&machine, &clock, secs(3), millis(100));
    machine.set_identity(child);
    let readings = run_truly(&machine, &clock, secs(120), millis(100));
    assert_eq!(readings, 1_200);

    // Where the namespace cannot be read, nothing says that the clocks are the same.
    let machine = ScriptedMachine::default();
    machine.set_identity(Identity {
        pid: 1,
        time_namespace: 0,
    });
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    machine.set_identity(Identity {
        pid: 2,
        time_namespace: 0,
    });
    machine.step(TimeDelta::from_nanos(300_000));
    machine.advance(millis(20));
    let cause = Disturbance::Moved;
    assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
}

/// A keeper that steps by a tenth of a millisecond each minute keeps within 50 ms.
#[test]
fn an_assumed_error_holds_through_steps_of_up_to_twice_its_size() {
    let machine = ScriptedMachine::default();
    let clock = machine.builder().assume_error(millis(50)).build().unwrap();
    for n in 0..60 {
        machine.advance(secs(60));
        machine.set_date(TimeDelta::from_nanos(if n % 2 == 0 {
            100_000
        } else {
            -100_000
        }));
        read_truly(&machine, &clock).unwrap();
    }
    // From one edge to the other, and no further.
    machine.set_date(delta_millis(49));
    read_truly(&machine, &clock).unwrap();
    machine.set_date(delta_millis(-98));
    read_truly(&machine, &clock).unwrap();
    machine.set_date(delta_millis(49));
    machine.set_date(delta_millis(150));
    let cause = Disturbance::Stepped;
    assert_eq!(clock.now(), Err(ClockError::AssumptionBroken { cause }));
}

// --- L1 -----------------------------------------------------------------------------------------

fn histories() -> u32 {
    match std::env::var("EPSILON_CLOCK_LONG") {
        Ok(_) => 100_000,
        Err(_) => 1_000,
    }
}

/// One fault: its kind, the reading that it strikes before, and two figures.
type Fault = (u8, u64, u64, i32);

fn strike(machine: &ScriptedMachine, (kind, _, span, figure): Fault) {
    let delta = TimeDelta::from_nanos(i64::from(figure) * 10_000);
    let sign = if figure < 0 { -1 } else { 1 };
    match kind {
        0 => machine.advance(millis(span)),
        1 => machine.set_date(delta),
        2 => machine.step(delta),
        3 => machine.suspend(millis(span + 20)),
        4 => machine.set_slew_ppb(figure * 400),
        5 => machine.set_hidden_slew_ppb(figure * 100),
        // A write that may be false.
        6 => machine.write_bound(i64::from(figure.unsigned_abs() % 20_000) + 1, 7),
        7 => machine.refuse(epsilon_clock::machine::NtpStatusError::Refused { errno: 1 }),
        8 => machine.allow(),
        9 => machine.set_date(delta_millis(1_000 * sign)),
        10 => machine.announce_leap(if figure < 0 {
            LeapKind::Deleted
        } else {
            LeapKind::Inserted
        }),
        11 => machine.withdraw_leap(),
        12 => machine.set_identity(Identity {
            pid: u32::try_from(span).unwrap_or(1),
            time_namespace: 1 + u64::from(figure % 5 == 0),
        }),
        13 => machine.edit_status(|status| {
            (status.maxerror, status.esterror, status.status) = (0, 0, NtpStatus::STA_PLL);
        }),
        _ => machine.jump_uptime(TimeDelta::from_nanos(i64::from(figure.abs()) * 1_000_000)),
    }
}

/// The faults stop: rates are ordinary, every call is allowed, and real time is right.
fn faults_stop(machine: &ScriptedMachine) {
    machine.forget_hooks();
    machine.allow();
    machine.withdraw_leap();
    machine.set_slew_ppb(0);
    machine.set_hidden_slew_ppb(0);
    machine.set_drift_ppb(0);
    set_right(machine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories()))]

    /// L1: whatever happened, once the faults stop and an honest daemon writes each 64 s, there is an
    /// interval within 8 writes.
    #[test]
    fn l1_an_honest_daemon_ends_every_refusal(
        faults in prop::collection::vec((0_u8..15, 0_u64..30, 0_u64..4_000, -200_000_i32..200_000), 0..40),
        near_midnight in any::<bool>(),
        assume in any::<bool>(),
    ) {
        let machine = if near_midnight { eve_of_2017(secs(20)) } else { ScriptedMachine::default() };
        machine.write_maxerror(1_003);
        let builder = machine.builder();
        let clock = if assume { builder.assume_error(millis(50)) } else { builder }.build().unwrap();
        torment(&machine, &clock, &faults);
        faults_stop(&machine);
        let mut writes = 0;
        let answer = loop {
            machine.advance(secs(63));
            machine.write_bound(1_011 + writes, 9);
            machine.advance(millis(300));
            writes += 1;
            let answer = clock.now();
            if answer.is_ok() || writes == 8 {
                break answer;
            }
        };
        prop_assert!(answer.is_ok(), "after {} writes: {:?}", writes, answer);
    }

    /// L1 where only the caller vouches: one `vouch()` is enough.
    #[test]
    fn l1_the_callers_word_ends_every_refusal_where_no_source_reports_a_bound(
        faults in prop::collection::vec((0_u8..15, 0_u64..30, 0_u64..4_000, -200_000_i32..200_000), 0..40),
        manual in any::<bool>(),
    ) {
        let machine = ScriptedMachine::default();
        let builder = machine.builder().assume_error(millis(50));
        let builder = if manual { builder.refresh_policy(RefreshPolicy::Manual) } else { builder };
        let clock = builder.build().unwrap();
        torment(&machine, &clock, &faults);
        faults_stop(&machine);
        // No daemon reports a bound any more.
        machine.set_date(TimeDelta::ZERO);
        machine.advance(secs(3));
        let answer = clock.vouch();
        prop_assert!(answer.is_ok(), "{:?}", answer);
    }
}

fn torment(machine: &ScriptedMachine, clock: &Clock, faults: &[Fault]) {
    for fault in faults.iter().copied() {
        machine.before_read(fault.1, move |machine| strike(machine, fault));
        for _ in 0..4 {
            machine.advance(millis(117));
            let _ = clock.now();
        }
    }
}
