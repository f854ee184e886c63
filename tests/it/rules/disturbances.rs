//! Suspends, steps, preemptions and moves, wherever they strike.

use epsilon_clock::machine::Identity;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, ClockState, Disturbance, TimeDelta};

use super::{
    delta_millis, micros, millis, read_truly, run_truly, secs, synchronized, write_honestly,
};

fn disturbed(cause: Disturbance) -> ClockError {
    ClockError::Disturbed { cause }
}

/// Something happens, and a name for it.
type Strike = (&'static str, fn(&ScriptedMachine));

const STRIKES: [Strike; 10] = [
    ("short preemption", |machine| machine.advance(micros(700))),
    ("long preemption", |machine| machine.advance(secs(3))),
    ("step forward", |machine| machine.step(delta_millis(100))),
    ("step back", |machine| machine.step(delta_millis(-100))),
    ("date -s", |machine| machine.set_date(delta_millis(77))),
    ("write", |machine| write_honestly(machine, 407)),
    ("step and write", |machine| {
        machine.step(delta_millis(-70));
        write_honestly(machine, 407);
    }),
    ("short suspend", |machine| machine.suspend(millis(25))),
    ("suspend to a wrong time", |machine| {
        machine.suspend(secs(3_600));
        machine.step(delta_millis(-90));
    }),
    ("suspend, preemption and write", |machine| {
        machine.suspend(secs(60));
        machine.advance(millis(300));
        write_honestly(machine, 407);
        machine.advance(millis(300));
    }),
];

/// Strikes before the n-th reading from a moment on, in every way, and checks T1 and T3 after it.
fn strike_everywhere(prepare: impl Fn() -> (ScriptedMachine, Clock), act: impl Fn(&Clock)) {
    let (machine, clock) = prepare();
    let reads = machine.reads();
    act(&clock);
    let reads = machine.reads() - reads;
    for (name, strike) in STRIKES {
        for n in 0..=reads + 2 {
            let (machine, clock) = prepare();
            let settled = read_truly(&machine, &clock).map(|now| now.earliest());
            machine.before_read(n, strike);
            act(&clock);
            let next = read_truly(&machine, &clock);
            if let (Ok(settled), Ok(next)) = (settled, next) {
                assert!(next.earliest() >= settled, "{name} before reading {n}");
            }
            run_truly(&machine, &clock, secs(3), millis(90));
            write_honestly(&machine, 509);
            machine.advance(millis(300));
            assert!(
                read_truly(&machine, &clock).is_ok(),
                "{name} before reading {n}: {:?}",
                clock.status()
            );
            run_truly(&machine, &clock, secs(3), millis(90));
        }
    }
}

#[test]
fn preemption_at_every_point_of_a_look() {
    strike_everywhere(synchronized, |clock| {
        let _ = clock.look();
    });
}

#[test]
fn preemption_at_every_point_of_a_look_that_sees_a_write() {
    let prepare = || {
        let (machine, clock) = synchronized();
        machine.step(TimeDelta::from_nanos(900_000));
        machine.advance(millis(50));
        let _ = clock.look();
        write_honestly(&machine, 3);
        (machine, clock)
    };
    strike_everywhere(prepare, |clock| {
        let _ = clock.look();
    });
}

#[test]
fn preemption_at_every_point_of_a_reading_that_is_due_for_everything() {
    let prepare = || {
        let (machine, clock) = synchronized();
        machine.advance(secs(1));
        (machine, clock)
    };
    strike_everywhere(prepare, |clock| {
        let _ = clock.now();
    });
}

#[test]
fn preemption_at_every_point_of_a_plain_reading() {
    // T1 of the very reading that is struck.
    for (name, strike) in STRIKES {
        for due in [micros(100), millis(20), millis(400)] {
            for n in 0..50 {
                let (machine, clock) = synchronized();
                machine.advance(due);
                machine.before_read(n, strike);
                let struck = read_truly(&machine, &clock);
                machine.forget_hooks();
                let next = read_truly(&machine, &clock);
                if let (Ok(struck), Ok(next)) = (struck, next) {
                    assert!(next.earliest() >= struck.earliest(), "{name} before {n}");
                }
            }
        }
    }
}

#[test]
fn preemption_at_every_point_of_the_first_look() {
    for (name, strike) in STRIKES {
        // A bare step leaves the bound where it was, which no kernel does; and a suspend before the
        // very first comparison of the clocks leaves no trace.
        if name.starts_with("step ") && name != "step and write" {
            continue;
        }
        for n in 5..40 {
            let machine = ScriptedMachine::default();
            machine.write_maxerror(1_003);
            machine.before_read(n, strike);
            let clock = machine.clock().unwrap();
            let _ = read_truly(&machine, &clock);
            run_truly(&machine, &clock, secs(3), millis(90));
            write_honestly(&machine, 509);
            machine.advance(millis(300));
            assert!(read_truly(&machine, &clock).is_ok(), "{name} before {n}");
        }
    }
}

#[test]
fn a_suspend_is_not_mistaken_for_a_write() {
    for idle in [millis(1), secs(5)] {
        let (machine, clock) = synchronized();
        machine.advance(idle);
        // The machine wakes with its old maxerror, and real time from a clock of whole seconds.
        machine.suspend(secs(3_600));
        machine.step(delta_millis(-70));
        assert_eq!(clock.now(), Err(disturbed(Disturbance::Suspended)));
        assert_eq!(run_truly(&machine, &clock, secs(30), millis(100)), 0);
        assert_eq!(clock.now(), Err(disturbed(Disturbance::Suspended)));
        let counters = clock.status().counters;
        assert_eq!((counters.writes, counters.suspends), (1, 1));
        // Only a later write counts; the void claim is not compared with it.
        write_honestly(&machine, 303);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        let status = clock.status();
        assert_eq!(status.state, ClockState::Synchronized);
        assert_eq!(status.counters.contradictions, 0);
    }
}

#[test]
fn a_step_is_not_mistaken_for_a_write() {
    for seconds in [1, -1, 7, -7, 3_600, -3_600] {
        let (machine, clock) = synchronized();
        machine.step(delta_millis(seconds * 1_000));
        // It ends outside of the interval, and no write has said yet which of the two is wrong.
        assert_eq!(run_truly(&machine, &clock, secs(5), millis(100)), 0);
        let status = clock.status();
        assert_eq!(status.counters.writes, 1);
        assert_eq!(status.counters.steps, 1);
        assert_eq!(status.counters.contradictions, 0);
    }
}

#[test]
fn a_step_and_a_write_in_one_call_are_weighed_against_the_claim_from_before() {
    let (machine, clock) = synchronized();
    machine.step(delta_millis(-90));
    // It lies: a hurried administrator, say.
    machine.write_maxerror(12);
    machine.advance(millis(300));
    let error = clock.now().unwrap_err();
    assert!(
        matches!(
            error,
            ClockError::Disturbed {
                cause: Disturbance::SteppedAway { .. }
            }
        ),
        "{error}"
    );
    // An honest write agrees with what was known before, and settles it.
    write_honestly(&machine, 13);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().counters.contradictions, 0);
}

#[test]
fn a_step_within_the_interval_voids_nothing() {
    let (machine, clock) = synchronized();
    let before = clock.now().unwrap();
    machine.set_date(TimeDelta::from_nanos(300_000));
    let after = read_truly(&machine, &clock).unwrap();
    assert!(after.latest().abs_diff(before.latest()) < micros(100));
}

#[test]
fn coarse_time_shows_a_short_suspend_before_any_check_is_due() {
    for strike in [millis(25), secs(1), secs(86_400)] {
        let (machine, clock) = synchronized();
        machine.advance(millis(11));
        clock.now().unwrap();
        machine.suspend(strike);
        assert_eq!(clock.now(), Err(disturbed(Disturbance::Suspended)));
    }
}

#[test]
fn a_preemption_between_coarse_and_raw_time_is_no_suspend() {
    for n in 0..12 {
        for span in [millis(30), secs(2), secs(50)] {
            let (machine, clock) = synchronized();
            machine.advance(millis(1));
            machine.before_read(n, move |machine| machine.advance(span));
            assert!(read_truly(&machine, &clock).is_ok());
            assert!(read_truly(&machine, &clock).is_ok());
            assert_eq!(clock.status().counters.suspends, 0);
        }
    }
}

#[test]
fn a_machine_too_busy_to_compare_its_clocks_gives_no_interval() {
    let (machine, clock) = synchronized();
    machine.set_read_cost(millis(2));
    machine.advance(secs(1));
    assert_eq!(clock.now(), Err(disturbed(Disturbance::Interrupted)));
    machine.set_read_cost(std::time::Duration::ZERO);
    read_truly(&machine, &clock).unwrap();
}

/// Readings of 5 ms leave 21 ms of doubt about boot time, but not about real time.
#[test]
fn a_suspend_that_a_blurred_comparison_took_for_a_step_is_told_by_the_next_sharp_one() {
    let machine = ScriptedMachine::default();
    machine.step(delta_millis(-9));
    // Wide enough for real time to stay in the interval through the suspend.
    machine.write_maxerror(21_003);
    let clock = machine.clock().unwrap();
    read_truly(&machine, &clock).unwrap();
    machine.set_read_cost(micros(5_243));
    machine.suspend(micros(15_250));
    assert_eq!(clock.now(), Err(disturbed(Disturbance::Interrupted)));
    machine.set_read_cost(std::time::Duration::from_nanos(20));
    assert_eq!(
        read_truly(&machine, &clock),
        Err(disturbed(Disturbance::Suspended))
    );
}

#[test]
fn raw_time_that_runs_backwards_voids() {
    for back in [delta_millis(-1), delta_millis(-400_000)] {
        let (machine, clock) = synchronized();
        machine.advance(micros(10));
        clock.look().unwrap();
        machine.jump_raw(back);
        assert_eq!(clock.now(), Err(disturbed(Disturbance::RawBackwards)));
        write_honestly(&machine, 303);
        machine.advance(secs(1));
        read_truly(&machine, &clock).unwrap();
    }
}

#[test]
fn a_write_found_together_with_a_void_is_not_taken_for_one() {
    let (machine, clock) = synchronized();
    clock.look().unwrap();
    machine.jump_raw(delta_millis(-60_000));
    write_honestly(&machine, 303);
    machine.set_slew_ppb(83_333_000);
    machine.advance(secs(5));
    // Nobody knows how long ago it was: raw time tells nothing across the jump.
    let cause = Disturbance::RawBackwards;
    assert_eq!(read_truly(&machine, &clock), Err(disturbed(cause)));
    assert_eq!(run_truly(&machine, &clock, secs(5), millis(100)), 0);
}

#[test]
fn another_time_namespace_voids() {
    for by in [delta_millis(50), delta_millis(86_400_000)] {
        for pid in [1, 2] {
            let (machine, clock) = synchronized();
            machine.jump_uptime(by);
            machine.set_identity(Identity {
                pid,
                time_namespace: 2,
            });
            assert_eq!(clock.now(), Err(disturbed(Disturbance::Moved)));
            assert_eq!(run_truly(&machine, &clock, secs(3), millis(100)), 0);
            write_honestly(&machine, 303);
            machine.advance(millis(300));
            read_truly(&machine, &clock).unwrap();
        }
    }
}

#[test]
fn a_fork_within_a_time_namespace_voids_nothing() {
    let (machine, clock) = synchronized();
    machine.set_identity(Identity {
        pid: 2,
        time_namespace: 1,
    });
    assert_eq!(run_truly(&machine, &clock, secs(3), millis(100)), 30);
    assert_eq!(clock.status().counters.suspends, 0);
}

#[test]
fn a_promise_holds_across_a_void() {
    let (machine, clock) = synchronized();
    let promised = clock.now().unwrap().earliest();
    machine.suspend(millis(25));
    clock.now().unwrap_err();
    // A wide claim comes after it.
    write_honestly(&machine, 90_001);
    machine.advance(millis(260));
    let now = read_truly(&machine, &clock).unwrap();
    assert!(now.earliest() >= promised);
}

#[test]
fn a_move_to_another_time_namespace_leaves_no_promise_from_there() {
    // Uptime there is 5 ms ahead: the void claim, carried on that, would promise 5 ms too much.
    for by in [5, 50, 86_400_000] {
        let (machine, clock) = synchronized();
        clock.look().unwrap();
        machine.jump_uptime(delta_millis(by));
        machine.set_identity(Identity {
            pid: 2,
            time_namespace: 2,
        });
        clock.now().unwrap_err();
        write_honestly(&machine, 10_001);
        let now = clock.look().unwrap();
        assert!(now.contains(machine.true_time()), "{by} {now}");
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

#[test]
fn a_promise_that_the_first_claim_after_a_void_denies_is_a_contradiction() {
    let (machine, clock) = synchronized();
    let promised = clock.now().unwrap().earliest();
    machine.suspend(millis(25));
    clock.now().unwrap_err();
    // A liar: 5 s behind, and sure of it.
    machine.step(delta_millis(-5_000));
    clock.look().unwrap_err();
    machine.write_maxerror(303);
    machine.advance(millis(260));
    let now = clock.now();
    assert!(
        matches!(now, Err(ClockError::Contradicted { .. })),
        "{promised} was past, and now {now:?}"
    );
}
