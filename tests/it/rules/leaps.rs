//! Leap seconds, inserted and deleted, seen coming or not.

use std::time::Duration;

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::LeapKind;
use epsilon_clock::{Clock, ClockError, TimeDelta};

use super::{delta_millis, millis, read_truly, run_truly, secs, write_honestly};

const KINDS: [LeapKind; 2] = [LeapKind::Inserted, LeapKind::Deleted];

/// A machine so long before a midnight at which UTC leaps and the kernel was told of it.
fn before_midnight(kind: LeapKind, span: Duration) -> ScriptedMachine {
    let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(midnight.checked_sub(span + secs(2)).unwrap());
    machine.schedule_leap(kind);
    machine.announce_leap(kind);
    machine.advance(secs(2));
    machine
}

/// The same with a clock whose claim is a write of 1.003 ms.
fn synchronized_before(kind: LeapKind, span: Duration) -> (ScriptedMachine, Clock) {
    let machine = before_midnight(kind, span + secs(1));
    let clock = machine.clock().unwrap();
    machine.advance(millis(700));
    write_honestly(&machine, 1_003);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    (machine, clock)
}

#[test]
fn a_leap_second_in_holdover() {
    for kind in KINDS {
        for lateness in [0, 1, 5, 20] {
            // Within the interval: out of it there would be none.
            for step_micros in [-700, 0, 700] {
                let (machine, clock) = synchronized_before(kind, secs(60));
                machine.step(TimeDelta::from_nanos(step_micros * 1_000));
                machine.set_lateness(millis(lateness));
                machine.advance(millis(400));
                read_truly(&machine, &clock).unwrap();
                machine.refuse(NtpStatusError::Refused { errno: 1 });
                let intervals = run_truly(&machine, &clock, secs(58), millis(500))
                    + run_truly(&machine, &clock, secs(6), millis(7));
                assert_eq!(
                    intervals,
                    116 + 6_000_u32.div_ceil(7),
                    "{kind:?} {lateness} {step_micros}"
                );
                let counters = clock.status().counters;
                assert_eq!(counters.contradictions, 0);
                // The leap itself is no step.
                assert_eq!(counters.steps, u64::from(step_micros != 0));
            }
        }
    }
}

#[test]
fn a_leap_second_under_a_daemon_that_goes_on_writing() {
    for kind in KINDS {
        let (machine, clock) = synchronized_before(kind, secs(30));
        for _ in 0..20 {
            assert!(run_truly(&machine, &clock, secs(4), millis(11)) > 360);
            write_honestly(&machine, 1_007);
        }
        let status = clock.status();
        assert_eq!(status.counters.contradictions, 0);
        assert_eq!(status.counters.steps, 0);
        assert!(status.age.unwrap() < secs(5));
        // The daemon clears the flag an hour later.
        machine.withdraw_leap();
        run_truly(&machine, &clock, secs(10), millis(100));
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

#[test]
fn an_idle_process_that_wakes_after_a_leap_second_it_saw_coming() {
    for kind in KINDS {
        for wake_ms in (58_900..63_500).step_by(190).chain([90_000, 2_000_000]) {
            let (machine, clock) = synchronized_before(kind, secs(60));
            machine.advance(millis(wake_ms));
            read_truly(&machine, &clock).unwrap();
            run_truly(&machine, &clock, secs(5), millis(50));
            write_honestly(&machine, 1_013);
            run_truly(&machine, &clock, secs(5), millis(50));
            let counters = clock.status().counters;
            assert_eq!(counters.contradictions, 0, "{kind:?} {wake_ms}");
            assert_eq!(counters.steps, 0, "{kind:?} {wake_ms}");
        }
    }
}

#[test]
fn an_idle_process_that_wakes_after_a_leap_second_it_never_heard_of() {
    for kind in KINDS {
        for wake_ms in [2_200, 2_900, 3_500, 10_000, 600_000] {
            let midnight: epsilon_clock::Timestamp =
                "2017-01-01T00:00:00.000000000Z".parse().unwrap();
            let machine = ScriptedMachine::new(midnight.checked_sub(secs(600)).unwrap());
            machine.write_maxerror(1_003);
            let clock = machine.clock().unwrap();
            read_truly(&machine, &clock).unwrap();
            // The flag comes after its last look.
            machine.schedule_leap(kind);
            machine.announce_leap(kind);
            machine.advance(secs(600) + millis(wake_ms));
            let woken = read_truly(&machine, &clock);
            assert!(woken.is_ok(), "{kind:?} {wake_ms} {woken:?}");
            run_truly(&machine, &clock, secs(5), millis(50));
            write_honestly(&machine, 1_013);
            run_truly(&machine, &clock, secs(5), millis(50));
            assert_eq!(clock.status().counters.contradictions, 0);
        }
    }
}

#[test]
fn a_process_that_first_looks_around_a_leap_second() {
    for kind in KINDS {
        for since_ms in (0..6_000).step_by(150).chain(2_990..3_030) {
            let machine = before_midnight(kind, secs(3));
            machine.write_maxerror(1_003);
            machine.advance(millis(since_ms));
            let clock = machine.clock().unwrap();
            if let Err(error) = read_truly(&machine, &clock) {
                let because = Awaiting::LeapSecond;
                let near = ClockError::Unvouched(Refusal::AwaitingWrite { because });
                assert_eq!(error, near, "{kind:?} {since_ms}");
            }
            run_truly(&machine, &clock, secs(8), millis(50));
            assert!(read_truly(&machine, &clock).is_ok(), "{kind:?} {since_ms}");
        }
    }
}

#[test]
fn a_process_that_first_looks_in_time_wait() {
    for kind in KINDS {
        let machine = before_midnight(kind, secs(1));
        machine.advance(secs(4));
        machine.write_maxerror(1_003);
        assert_eq!(machine.status().state, NtpStatus::TIME_WAIT);
        let clock = machine.builder().accept_unsync_flag().build().unwrap();
        // The flag stays set till the end of the next day, under ret 5 as well, and means nothing.
        machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
        for _ in 0..290 {
            machine.advance(secs(299));
            write_honestly(&machine, 1_003);
            machine.advance(millis(300));
            machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
            read_truly(&machine, &clock).unwrap();
        }
        assert_eq!(run_truly(&machine, &clock, secs(5), millis(50)), 100);
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

#[test]
fn a_stale_flag_under_time_error_announces_nothing() {
    for kind in KINDS {
        let (machine, _) = synchronized_before(kind, secs(60));
        let clock = machine.builder().accept_unsync_flag().build().unwrap();
        run_truly(&machine, &clock, secs(80), millis(500));
        // From here on the kernel's reply hides its leap state.
        machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
        for _ in 0..287 {
            machine.advance(secs(299));
            machine.edit_status(|status| {
                status.maxerror = 1_003;
                status.status |= NtpStatus::STA_UNSYNC;
            });
            machine.advance(millis(250));
            read_truly(&machine, &clock).unwrap();
        }
        run_truly(&machine, &clock, secs(900), secs(1));
        assert_eq!(clock.status().counters.contradictions, 0);
        assert_eq!(clock.status().counters.steps, 0);
    }
}

#[test]
fn a_flag_under_time_error_announces_a_leap_second() {
    for kind in KINDS {
        let machine = before_midnight(kind, secs(60));
        let clock = machine.builder().accept_unsync_flag().build().unwrap();
        machine.advance(millis(300));
        machine.edit_status(|status| {
            status.maxerror = 1_003;
            status.esterror = 9;
        });
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(machine.status().state, NtpStatus::TIME_ERROR);
        assert_eq!(run_truly(&machine, &clock, secs(90), millis(10)), 9_000);
        // The flag stays set, and the state hidden: by the next midnight it means nothing.
        for _ in 0..287 {
            machine.advance(secs(299));
            machine.edit_status(|status| {
                status.maxerror = 1_003;
                status.status |= NtpStatus::STA_UNSYNC;
            });
            machine.advance(millis(250));
            read_truly(&machine, &clock).unwrap();
        }
        assert_eq!(run_truly(&machine, &clock, secs(900), secs(1)), 900);
        assert_eq!(clock.status().counters.contradictions, 0);
    }
}

#[test]
fn a_leap_second_that_is_called_off() {
    for kind in KINDS {
        let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
        let machine = ScriptedMachine::new(midnight.checked_sub(secs(60)).unwrap());
        machine.write_maxerror(1_003);
        machine.announce_leap(kind);
        let clock = machine.clock().unwrap();
        run_truly(&machine, &clock, secs(30), millis(100));
        machine.withdraw_leap();
        assert_eq!(run_truly(&machine, &clock, secs(60), millis(10)), 6_000);
        assert_eq!(clock.status().counters.steps, 0);
    }
}

#[test]
fn a_leap_second_that_the_kernel_takes_ten_seconds_off() {
    // Another program set the clock wrong, out of the interval: no leap of such a clock settles that, and nothing
    // is false meanwhile. What settles it is a write.
    for kind in KINDS {
        for off_ms in [-10_000, 10_000, -2_600, 2_600] {
            let (machine, clock) = synchronized_before(kind, secs(120));
            machine.step(delta_millis(off_ms));
            let intervals = run_truly(&machine, &clock, secs(170), millis(20));
            assert_eq!(intervals, 0, "{kind:?} {off_ms}");
            let back = machine.true_time().unix_nanos() - machine.real_time().unix_nanos();
            machine.set_date(TimeDelta::from_nanos(back));
            machine.write_maxerror(1_013);
            machine.advance(millis(300));
            read_truly(&machine, &clock).unwrap();
        }
    }
}

#[test]
fn a_leap_second_under_an_assumed_error() {
    for kind in KINDS {
        let machine = before_midnight(kind, secs(60));
        let clock = machine.builder().assume_error(millis(50)).build().unwrap();
        let intervals = run_truly(&machine, &clock, secs(90), millis(10));
        assert_eq!(intervals, 9_000, "{kind:?} {:?}", clock.now());
    }
}

#[test]
fn a_suspend_and_a_void_around_a_leap_second() {
    for kind in KINDS {
        for asleep_at in (0..8_000).step_by(700) {
            for span in [millis(30), secs(1), secs(3), secs(20)] {
                let (machine, clock) = synchronized_before(kind, secs(4));
                machine.advance(millis(asleep_at));
                machine.suspend(span);
                run_truly(&machine, &clock, secs(10), millis(50));
                // The daemon sets the clock right, by a second or so, and says so.
                let off = machine
                    .true_time()
                    .checked_since(machine.real_time())
                    .unwrap();
                machine.step(TimeDelta::from_nanos(off.nanos()));
                machine.advance(secs(1));
                let _ = read_truly(&machine, &clock);
                write_honestly(&machine, 1_003);
                run_truly(&machine, &clock, secs(3), millis(50));
                assert!(read_truly(&machine, &clock).is_ok());
            }
        }
    }
}

/// Woken within the inserted second itself, never having heard of it.
#[test]
fn an_idle_process_that_wakes_within_a_leap_second_it_never_heard_of() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        for wake_ms in [
            -1_500_i64, -990, -500, -10, 3, 10, 100, 500, 900, 990, 1_010, 1_500, 2_000,
        ] {
            let midnight: epsilon_clock::Timestamp =
                "2017-01-01T00:00:00.000000000Z".parse().unwrap();
            let machine = ScriptedMachine::new(midnight.checked_sub(secs(610)).unwrap());
            machine.write_maxerror(1_003);
            let clock = machine.clock().unwrap();
            machine.advance(secs(10));
            write_honestly(&machine, 1_003);
            machine.advance(millis(300));
            read_truly(&machine, &clock).unwrap();
            // The flag comes after its last look.
            machine.schedule_leap(kind);
            machine.announce_leap(kind);
            machine.advance(Duration::from_millis((600_000 - 300 + wake_ms) as u64));
            for after in [0, 40, 300] {
                machine.advance(millis(after));
                let before = machine.true_time();
                if let Ok(now) = clock.now()
                    && !(now.earliest() <= machine.true_time() && before <= now.latest())
                {
                    wrong.push((
                        kind,
                        wake_ms,
                        after,
                        now.epsilon(),
                        now.midpoint().abs_diff(before),
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Announced, seen, and called off while the process sleeps (or within the last two seconds).
#[test]
fn a_leap_second_that_is_called_off_while_nobody_looks() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        for (off_ms, wake_ms) in [
            (50_000_i64, 10_000_i64),
            (50_000, 2_500),
            (1_500, 5_000),
            (1_500, 0),
        ] {
            let midnight: epsilon_clock::Timestamp =
                "2017-01-01T00:00:00.000000000Z".parse().unwrap();
            // UTC does not leap: nothing is scheduled.
            let machine = ScriptedMachine::new(midnight.checked_sub(secs(70)).unwrap());
            machine.announce_leap(kind);
            machine.advance(secs(2));
            machine.write_maxerror(1_003);
            let clock = machine.clock().unwrap();
            machine.advance(secs(5));
            write_honestly(&machine, 1_003);
            machine.advance(millis(300));
            read_truly(&machine, &clock).unwrap();
            let left = midnight.abs_diff(machine.true_time());
            machine.advance(left - millis(off_ms as u64));
            machine.withdraw_leap();
            machine.advance(millis((off_ms + wake_ms) as u64));
            for after in [0, 100, 1_000, 2_500, 10_000, 100_000] {
                machine.advance(millis(after));
                let before = machine.true_time();
                if let Ok(now) = clock.now()
                    && !(now.earliest() <= machine.true_time() && before <= now.latest())
                {
                    wrong.push((
                        kind,
                        off_ms,
                        wake_ms,
                        after,
                        now.epsilon(),
                        now.midpoint().abs_diff(before),
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The flag of yesterday's leap second, still set, under ret 5, first seen by a clock that is
/// built only now.
#[test]
fn a_flag_left_set_under_ret_5_since_before_the_first_look() {
    let machine = before_midnight(LeapKind::Inserted, secs(1));
    machine.advance(secs(4));
    machine.write_maxerror(1_003);
    machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
    let clock = machine.builder().accept_unsync_flag().build().unwrap();
    for _ in 0..288 {
        machine.advance(secs(299));
        write_honestly(&machine, 1_003);
        machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
        machine.advance(millis(300));
        let _ = read_truly(&machine, &clock);
    }
    run_truly(&machine, &clock, secs(600), millis(500));
}

/// Woken in the tick between midnight and the kernel's leap, the flag set after the last look.
#[test]
fn woken_in_the_tick_before_the_kernel_leaps() {
    let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(midnight.checked_sub(secs(20)).unwrap());
    machine.set_lateness(millis(9));
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    machine.advance(secs(15));
    write_honestly(&machine, 1_003);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    machine.schedule_leap(LeapKind::Inserted);
    machine.announce_leap(LeapKind::Inserted);
    machine.advance(midnight.abs_diff(machine.true_time()) + millis(8));
    assert!(machine.real_time() > midnight);
    let _ = read_truly(&machine, &clock);
}
