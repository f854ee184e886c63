//! What counts as a write of the time daemon, and what a claim made of one is worth.

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{ClockError, ClockState, TimeDelta};

use super::{NO_LIMIT, micros, millis, read_truly, run_truly, secs, synchronized, write_honestly};

#[test]
fn a_first_look_inherits_the_running_bound_and_charges_for_what_it_did_not_see() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    machine.step(TimeDelta::from_nanos(1_003_000));
    let clock = machine.clock().unwrap();
    read_truly(&machine, &clock).unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Inherited);
    let bound = status.bound.unwrap();
    assert_eq!(bound.reported_ns, 1_003_000);
    assert_eq!(bound.rounding_ns, 1_000);
    assert_eq!(bound.margin_ns, 200_000);
    assert_eq!(bound.unseen_ns, 550_000);
    // RAW is read inside the sandwich of two monotonic times, five readings of 20 ns end to end.
    assert_eq!(bound.bracket_ns, 80 + 12);
}

#[test]
fn the_bracket_of_a_look_that_was_interrupted_is_charged_whole() {
    // The reading before the look's own real time, and each one after it up to the last.
    for n in 0..60 {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(503);
        machine.step(TimeDelta::from_nanos(503_000));
        machine.before_read(n, |machine| machine.advance(millis(50)));
        let clock = machine.builder().max_drift_ppb(1).build().unwrap();
        read_truly(&machine, &clock).unwrap();
        let machine = ScriptedMachine::default();
        machine.write_maxerror(503);
        machine.step(TimeDelta::from_nanos(-503_000));
        machine.before_read(n, |machine| machine.advance(millis(50)));
        let clock = machine.builder().max_drift_ppb(1).build().unwrap();
        read_truly(&machine, &clock).unwrap();
    }
}

#[test]
fn growth_is_no_write_wherever_in_the_second_a_look_falls() {
    for lateness in [0, 1, 5, 19] {
        for interval in [7, 250, 999, 1_000, 3_700] {
            let machine = ScriptedMachine::default();
            machine.set_lateness(millis(lateness));
            machine.write_maxerror(1_003);
            let clock = machine.builder().look_interval(millis(7)).build().unwrap();
            run_truly(&machine, &clock, secs(20), millis(interval));
            assert_eq!(clock.status().counters.writes, 0, "{lateness} {interval}");
        }
    }
}

#[test]
fn growth_that_is_overdue_is_no_write() {
    let (machine, clock) = synchronized();
    machine.starve_timekeeper();
    // `maxerror` stands still for seconds, which would be a write if real time alone were asked.
    run_truly(&machine, &clock, secs(7), millis(300));
    machine.feed_timekeeper();
    assert_eq!(run_truly(&machine, &clock, secs(7), millis(300)), 24);
    assert_eq!(clock.status().counters.writes, 1);
}

#[test]
fn a_departure_from_the_growth_is_a_write_of_the_time_since_the_last_look() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    machine.advance(millis(300));
    machine.write_maxerror(904);
    clock.now().unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Synchronized);
    assert_eq!(status.counters.writes, 1);
    let bound = status.bound.unwrap();
    assert_eq!(bound.reported_ns, 904_000);
    // 200 ppm of the 300 ms since the last look, and of the few readings of 20 ns in between. The
    // slew measured across two sandwiches 80 ns wide adds less than 1 ppm.
    assert!((60_000..60_500).contains(&bound.unseen_ns), "{bound:?}");
}

#[test]
fn between_writes_only_the_oscillator_widens_the_interval() {
    let (machine, clock) = synchronized();
    let before = clock.look().unwrap();
    let raw = machine.raw_time();
    machine.advance(secs(100));
    let after = clock.look().unwrap();
    let grown = after.epsilon() - before.epsilon();
    let drift = micros(200) * 100;
    assert!(grown >= drift && grown < drift + micros(1), "{grown:?}");
    assert!(machine.raw_time() > raw);
    // The kernel's own figure grew by 50 ms.
    assert!(machine.status().maxerror > 50_000);
}

#[test]
fn an_abandoned_slew_at_490_ppm_moves_no_interval() {
    let (machine, clock) = synchronized();
    machine.set_drift_ppb(-150_000);
    machine.set_slew_ppb(490_000);
    // Real time departs at 640 ppm, the kernel's bound grows at 500.
    let intervals = run_truly(&machine, &clock, secs(600), millis(100));
    assert_eq!(intervals, 6_000);
    let kernel = std::time::Duration::from_micros(machine.status().maxerror.unsigned_abs());
    assert!(machine.real_time().abs_diff(machine.true_time()) > kernel);
}

#[test]
fn a_first_look_during_a_slew_faster_than_the_growth_awaits_a_write() {
    for (slew_ppb, inherits) in [
        (299_999, true),
        (-299_999, true),
        (300_002, false),
        (-490_000, false),
    ] {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        machine.set_slew_ppb(slew_ppb);
        let clock = machine.clock().unwrap();
        let now = clock.now();
        if inherits {
            assert_eq!(clock.status().state, ClockState::Inherited);
            continue;
        }
        let Err(ClockError::Unvouched(Refusal::AwaitingWrite {
            because: Awaiting::Slewing { rate_ppb },
        })) = now
        else {
            panic!("{slew_ppb}: {now:?}");
        };
        assert!(rate_ppb.abs_diff(slew_ppb.abs().into()) <= 1);
        // It stays so while only the growth goes on, and ends with a write.
        assert_eq!(run_truly(&machine, &clock, secs(3), millis(100)), 0);
        write_honestly(&machine, 1_003);
        machine.advance(millis(260));
        read_truly(&machine, &clock).unwrap();
    }
}

/// A daemon writes honestly and is killed with a slew left running; nobody reads for a minute.
fn seen_late(slew: impl Fn(&ScriptedMachine), written_after: u64, read_after: u64) {
    for sign in [1, -1] {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        let clock = machine
            .builder()
            .max_error(NO_LIMIT)
            .daemon_margin(micros(0))
            .build()
            .unwrap();
        machine.advance(secs(written_after));
        machine.set_drift_ppb(sign * 199_000);
        slew(&machine);
        machine.write_maxerror(204);
        machine.step(TimeDelta::from_nanos(i64::from(-sign) * 204_000));
        machine.advance(secs(read_after));
        // The step is found first; the write itself was with it, so there must be another.
        read_truly(&machine, &clock).unwrap();
        write_honestly(&machine, 305);
        machine.advance(secs(read_after));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().counters.writes, 1);
        run_truly(&machine, &clock, secs(2), millis(100));
    }
}

#[test]
fn a_write_seen_60_s_late_with_a_slew_left_running() {
    for ppb in [83_333_000, -83_333_000, 490_000, -490_000, 0] {
        seen_late(|machine| machine.set_slew_ppb(ppb), 1, 60);
        seen_late(|machine| machine.set_slew_ppb(ppb), 30, 3);
    }
}

#[test]
fn a_write_seen_60_s_late_with_a_slew_that_no_field_shows() {
    for ppb in [83_333_000, -83_333_000, 490_000, -490_000] {
        seen_late(|machine| machine.set_hidden_slew_ppb(ppb), 1, 60);
        seen_late(|machine| machine.set_hidden_slew_ppb(ppb), 30, 3);
    }
}

#[test]
fn a_write_seen_late_after_a_slew_that_is_over() {
    // A daemon writes, slews, freezes and so overshoots, wakes and stops the slew: an idle process
    // finds nothing of it but where monotonic time has got to.
    for ppb in [83_333_000, -83_333_000] {
        for idle in [10, 60, 1_700] {
            for frequency in [0, 25_000, -25_000] {
                let (machine, clock) = synchronized();
                machine.set_drift_ppb(frequency);
                machine.set_slew_ppb(frequency);
                clock.look().unwrap();
                machine.advance(secs(idle));
                write_honestly(&machine, 303);
                machine.set_slew_ppb(ppb);
                machine.advance(secs(2));
                machine.set_slew_ppb(frequency);
                machine.advance(secs(3));
                read_truly(&machine, &clock).unwrap();
                assert_eq!(clock.status().counters.writes, 2);
            }
        }
    }
}

#[test]
fn a_write_seen_late_under_a_steady_frequency_costs_no_more_than_the_drift() {
    let (machine, clock) = synchronized();
    machine.set_drift_ppb(25_000);
    machine.set_slew_ppb(25_000);
    clock.look().unwrap();
    machine.advance(secs(1_000));
    write_honestly(&machine, 303);
    machine.advance(millis(10));
    read_truly(&machine, &clock).unwrap();
    // 225 ppm of 1.1 s, as ever.
    let unseen = clock.status().bound.unwrap().unseen_ns;
    assert!((247_000..249_000).contains(&unseen), "{unseen}");
}

#[test]
fn a_write_seen_late_by_less_than_the_growth_takes_to_come() {
    // Just after a second boundary was counted, the kernel owes a second's growth for 1 s.
    for late in [10, 400, 990, 1_090] {
        let machine = ScriptedMachine::default();
        let clock = machine.builder().daemon_margin(micros(0)).build().unwrap();
        machine.advance(millis(6));
        clock.look().unwrap_err();
        machine.set_drift_ppb(-200_000);
        machine.set_slew_ppb(400_000);
        machine.write_maxerror(1);
        machine.advance(millis(late));
        clock.look().unwrap();
        read_truly(&machine, &clock).unwrap();
    }
}

#[test]
fn a_write_delayed_after_a_failover_slew() {
    // 72 ms to slew at chrony's fastest; the daemon freezes in the middle of it for 2 s.
    for every in [millis(20), secs(10)] {
        let (machine, clock) = synchronized();
        machine.set_slew_ppb(83_333_000);
        machine.after(millis(864 + 2_000), |machine| {
            machine.set_slew_ppb(0);
            write_honestly(machine, 303);
        });
        let writes = clock.status().counters.writes;
        let intervals = run_truly(&machine, &clock, secs(10), every);
        assert_eq!(
            u128::from(intervals),
            secs(10).as_nanos() / every.as_nanos()
        );
        assert_eq!(clock.status().counters.writes, writes + 1);
        assert!(machine.real_time().abs_diff(machine.true_time()) > millis(230));
    }
}

#[test]
fn a_write_seen_late_by_a_second_of_many_since_the_last_look() {
    // The growth of a minute does not make up for what a write of just now has yet to be charged.
    for sign in [1, -1] {
        let machine = ScriptedMachine::default();
        machine.set_drift_ppb(sign * -199_000);
        machine.set_slew_ppb(sign * 295_000);
        let clock = machine.builder().daemon_margin(micros(0)).build().unwrap();
        machine.advance(millis(30));
        clock.look().unwrap_err();
        machine.advance(secs(60));
        write_honestly(&machine, 1);
        // Not yet at the next second, which real time reaches up to 18 ms early or late.
        machine.advance(millis(940));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().counters.writes, 1);
    }
}

#[test]
fn the_pending_phase_counts_in_the_unit_that_the_same_reply_names() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let write = |flags: i32, offset: i64, constant: i64, maxerror: i64| {
        machine.advance(millis(300));
        machine.edit_status(|status| {
            status.status = flags;
            status.offset = offset;
            status.constant = constant;
            status.maxerror = maxerror;
            status.esterror = 1;
        });
        clock.look().unwrap();
        clock.status().bound.unwrap().reported_ns
    };
    let (pll, nano) = (NtpStatus::STA_PLL, NtpStatus::STA_NANO);
    // Also where a second daemon has cleared the PLL's flag: the kernel works it off all the same.
    assert_eq!(write(0, 30, 0, 101), 101_000 + 40_000);
    assert_eq!(write(nano, 30_000, 0, 202), 202_000 + 40_000);
    // In µs mode the kernel divides a negative offset as unsigned: −30 µs reads as 2³² ns less that.
    assert_eq!(write(0, 4_294_937, 0, 404), 404_000 + 40_395);
    // 1 + 1/(2^(2 + constant) − 1): a third more at constant 0, a seventh at 1.
    assert_eq!(write(pll | nano, 30_000, 0, 303), 303_000 + 40_000);
    assert_eq!(write(pll, 30, 0, 404), 404_000 + 40_000);
    assert_eq!(write(pll, -21, 1, 303), 303_000 + 24_000);
    assert_eq!(write(pll | nano, -30_000, -7, 202), 202_000 + 40_000);
    assert_eq!(
        write(pll | nano, 30_000, i64::MAX, 101),
        101_000 + 30_000 + 8
    );
}

/// The estimated error that the daemon writes beside its bound counts three times (A2).
#[test]
fn three_deviations_of_the_daemons_estimate_are_charged() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    for (maxerror, esterror) in [(1_003, 0), (1_707, 1), (171_341, 87_000)] {
        machine.advance(millis(300));
        machine.write_bound(maxerror, esterror);
        clock.look().unwrap();
        let bound = clock.status().bound.unwrap();
        assert_eq!(bound.deviation_ns, esterror.unsigned_abs() * 3_000);
    }
}

/// An `adjtime` slew moves the clock by what is left of it, which no daemon's bound holds.
#[test]
fn what_adjtime_has_yet_to_slew_is_charged() {
    for left in [-30, 30] {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        machine.set_adjtime_remaining(left);
        let clock = machine.clock().unwrap();
        clock.now().unwrap();
        assert_eq!(
            clock.status().bound.unwrap().reported_ns,
            1_003_000 + 30_000
        );
    }
}

#[test]
fn a_bound_at_or_beyond_the_cap_or_below_zero_is_none() {
    for maxerror_us in [-1, i64::MIN, 16_000_000, i64::MAX] {
        let machine = ScriptedMachine::default();
        machine.stop_growth();
        machine.write_maxerror(maxerror_us);
        let clock = machine.clock().unwrap();
        assert_eq!(
            clock.now(),
            Err(ClockError::Unvouched(Refusal::Unsynchronized {
                maxerror_us
            }))
        );
        // And TIME_OK over it changes nothing.
        assert_eq!(machine.status().state, NtpStatus::TIME_OK);
    }
    let machine = ScriptedMachine::default();
    machine.write_maxerror(15_999_999);
    let clock = machine.builder().max_error(NO_LIMIT).build().unwrap();
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_good_bound_under_the_unsync_flag_is_the_callers_choice() {
    let machine = ScriptedMachine::default();
    let careful = machine.clock().unwrap();
    let trusting = machine.builder().accept_unsync_flag().build().unwrap();
    machine.advance(millis(300));
    machine.edit_status(|status| {
        status.maxerror = 1_003;
        status.esterror = 12;
    });
    assert_eq!(machine.status().state, NtpStatus::TIME_ERROR);
    assert_eq!(
        careful.now(),
        Err(ClockError::Unvouched(Refusal::UnsyncFlag {
            maxerror_us: 1_003
        }))
    );
    read_truly(&machine, &trusting).unwrap();
    // The flag is cleared, but nobody has written a bound since: an old one does not become new.
    machine.edit_status(|status| status.status &= !NtpStatus::STA_UNSYNC);
    assert_eq!(run_truly(&machine, &careful, secs(2), millis(100)), 0);
    write_honestly(&machine, 1_003);
    machine.advance(millis(300));
    read_truly(&machine, &careful).unwrap();
}

#[test]
fn a_source_that_stops_vouching_is_carried_in_holdover_and_comes_back() {
    let (machine, clock) = synchronized();
    machine.refuse(NtpStatusError::Refused { errno: 1 });
    assert_eq!(run_truly(&machine, &clock, secs(10), millis(100)), 100);
    let status = clock.status();
    assert_eq!(status.state, ClockState::Holdover);
    assert!(matches!(
        status.refusal,
        Some(Refusal::Status(NtpStatusError::Refused { errno: 1 }))
    ));
    // A slew and a write that nobody saw: on return they are charged for.
    machine.set_slew_ppb(20_000_000);
    write_honestly(&machine, 104);
    machine.advance(secs(7));
    machine.allow();
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Synchronized);
    assert!(status.bound.unwrap().unseen_ns > 130_000_000);
}

#[test]
fn an_unsynchronised_kernel_leaves_the_claim_in_holdover() {
    let (machine, clock) = synchronized();
    machine.set_date(TimeDelta::from_nanos(-86_400_000_000_000));
    assert_eq!(run_truly(&machine, &clock, secs(10), millis(100)), 100);
    let status = clock.status();
    assert_eq!(status.state, ClockState::Holdover);
    assert_eq!(status.counters.steps, 1);
}

#[test]
fn a_refusal_at_first_does_not_spoil_the_first_look() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    machine.refuse(NtpStatusError::Refused { errno: 38 });
    let clock = machine.clock().unwrap();
    assert_eq!(
        clock.now(),
        Err(ClockError::Unvouched(Refusal::Status(
            NtpStatusError::Refused { errno: 38 }
        )))
    );
    machine.allow();
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().state, ClockState::Inherited);
}

#[test]
fn a_source_that_is_silent_for_long_is_in_holdover() {
    let (machine, clock) = synchronized();
    machine.advance(secs(2_099));
    assert_eq!(clock.read().state, ClockState::Synchronized);
    machine.advance(secs(2));
    assert_eq!(clock.read().state, ClockState::Holdover);
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_claim_expires_by_age_and_by_width_to_the_nanosecond() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.builder().max_error(NO_LIMIT).build().unwrap();
    machine.set_read_cost(std::time::Duration::ZERO);
    let left = clock.status().refuses_in.unwrap();
    // What is left rounds down.
    machine.advance(left);
    let at_limit = clock.now();
    machine.advance(micros(1));
    let Err(ClockError::TooOld { age, max_age }) = clock.now() else {
        panic!("{:?} after {at_limit:?}", clock.now());
    };
    assert!(at_limit.is_ok());
    assert_eq!(max_age, secs(3_600));
    assert!(age > max_age && age <= max_age + micros(2));

    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.builder().max_error(millis(5)).build().unwrap();
    machine.set_read_cost(std::time::Duration::ZERO);
    let left = clock.status().refuses_in.unwrap();
    machine.advance(left);
    assert!(clock.now().is_ok());
    machine.advance(millis(1));
    let Err(ClockError::TooWide { epsilon, max_error }) = clock.now() else {
        panic!("{:?}", clock.now());
    };
    assert!(epsilon > max_error && epsilon < max_error + micros(1));
    // A write ends it.
    write_honestly(&machine, 1_004);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_daemon_that_wrote_between_the_two_replies_makes_the_look_start_anew() {
    // Before each reading of a look the daemon writes; whatever pair of replies is used agrees.
    for n in 0..40 {
        let (machine, clock) = synchronized();
        machine.stop_growth();
        machine.advance(millis(300));
        machine.before_read(n, |machine| {
            write_honestly(machine, 77);
        });
        read_truly(&machine, &clock).unwrap();
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().counters.writes, 2, "before reading {n}");
        assert_eq!(clock.status().bound.unwrap().reported_ns, 77_000);
    }
}

#[test]
fn a_status_that_never_settles_is_no_look() {
    let machine = ScriptedMachine::default();
    for n in 0..2_000 {
        machine.before_read(n, move |machine| {
            machine.write_maxerror(1_000_003 + i64::try_from(n).unwrap());
        });
    }
    let clock = machine.clock().unwrap();
    assert_eq!(
        clock.now(),
        Err(ClockError::Unvouched(Refusal::AwaitingWrite {
            because: Awaiting::Unsettled
        }))
    );
    machine.forget_hooks();
    machine.write_maxerror(1_003);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
}
