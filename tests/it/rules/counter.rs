//! The counter: read where it is sound, left where it is not, and never believed against raw time.

use epsilon_clock::clock::{ReadPath, RefreshPolicy};
use epsilon_clock::machine::{Identity, Machine, NoCounter};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockBuilder, ClockError, Disturbance, TimeDelta};
use proptest::prelude::*;
use std::time::Duration;

use super::{delta_millis, micros, millis, secs, write_honestly};

/// A millisecond of the counter.
const MILLI: i64 = 2_500_000;

/// A machine whose counter may be read, and a clock that reads it.
fn counting_with(
    prepare: impl FnOnce(&ScriptedMachine),
    settings: impl FnOnce(ClockBuilder) -> ClockBuilder,
) -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_counter(Ok(()));
    prepare(&machine);
    let clock = settings(machine.builder()).build().unwrap();
    machine.advance(millis(300));
    write_honestly(&machine, 1_003);
    for _ in 0..6 {
        machine.advance(millis(300));
        let _ = clock.now();
    }
    (machine, clock)
}

fn counting() -> (ScriptedMachine, Clock) {
    let (machine, clock) = counting_with(|_| {}, |builder| builder);
    assert_eq!(clock.status().path, ReadPath::CounterAndCoarse);
    (machine, clock)
}

fn alone() -> (ScriptedMachine, Clock) {
    let (machine, clock) = counting_with(|machine| machine.set_never_suspends(true), |b| b);
    assert_eq!(clock.status().path, ReadPath::Counter);
    (machine, clock)
}

fn because(clock: &Clock) -> Option<NoCounter> {
    match clock.status().path {
        ReadPath::Vdso { because } => Some(because),
        _ => None,
    }
}

fn cause(clock: &Clock) -> Option<Disturbance> {
    match clock.now() {
        Err(ClockError::Disturbed { cause }) => Some(cause),
        _ => None,
    }
}

/// Readings a few milliseconds apart are true; returns whether all of them were intervals.
fn stays_true(machine: &ScriptedMachine, clock: &Clock, readings: u32) -> bool {
    (0..readings).fold(true, |all, _| {
        machine.advance(micros(2_300));
        let before = machine.true_time();
        let Ok(now) = clock.now() else { return false };
        assert!(now.latest() >= before && now.earliest() <= machine.true_time());
        all
    })
}

#[test]
fn a_reading_costs_one_read_of_the_counter_or_two_with_coarse_time() {
    let (machine, clock) = alone();
    // Past the check that a millisecond asks for.
    clock.now().unwrap();
    let before = machine.reads();
    clock.now().unwrap();
    assert_eq!(machine.reads() - before, 1);
    assert!(clock.read().interval.is_ok());
    assert_eq!(machine.reads() - before, 2);
    let (machine, clock) = counting();
    clock.now().unwrap();
    let before = machine.reads();
    clock.now().unwrap();
    // The scripted machine reads raw time along with coarse time.
    assert_eq!(machine.reads() - before, 3);
}

#[test]
fn the_status_names_the_instructions_only_where_the_counter_is_read() {
    for (machine, clock) in [alone(), counting()] {
        assert_eq!(clock.status().counter_instructions, Some("scripted"));
        machine.set_counter(Err(NoCounter::OtherClocksource));
        clock.look().unwrap();
        assert_eq!(because(&clock), Some(NoCounter::OtherClocksource));
        assert_eq!(clock.status().counter_instructions, None);
    }
}

#[test]
fn the_counter_waits_for_a_second_of_comparison() {
    let machine = ScriptedMachine::default();
    machine.set_counter(Ok(()));
    write_honestly(&machine, 1_003);
    let clock = machine.clock().unwrap();
    machine.advance(millis(900));
    clock.look().unwrap();
    assert_eq!(because(&clock), Some(NoCounter::Uncompared));
    machine.advance(millis(200));
    clock.look().unwrap();
    assert_eq!(because(&clock), None);
}

#[test]
fn what_is_not_eligible_is_not_read_and_says_why() {
    type Settings = fn(ClockBuilder) -> ClockBuilder;
    let cases: [(Settings, NoCounter); 3] = [
        (ClockBuilder::without_counter, NoCounter::Forbidden),
        (
            |b| b.refresh_policy(RefreshPolicy::Manual),
            NoCounter::Manual,
        ),
        (|b| b.look_interval(millis(501)), NoCounter::RareLooks),
    ];
    for (settings, why) in cases {
        let (_, clock) = counting_with(|_| {}, settings);
        let _ = clock.look();
        assert_eq!(because(&clock), Some(why));
    }
    for why in [NoCounter::Xen, NoCounter::OtherClocksource] {
        let (_, clock) = counting_with(|machine| machine.set_counter(Err(why)), |b| b);
        assert_eq!(because(&clock), Some(why));
    }
    // And where nothing is said of a counter there is none.
    let machine = ScriptedMachine::default();
    assert_eq!(machine.counter(), Err(NoCounter::Unsupported));
}

#[test]
fn where_coarse_time_is_not_read_the_caller_or_the_kernel_vouches() {
    let (_, clock) = counting_with(|_| {}, ClockBuilder::never_suspends);
    assert_eq!(clock.status().path, ReadPath::Counter);
}

#[test]
fn the_counter_is_itemised_and_adds_no_more_than_a_fifth_of_a_microsecond() {
    let (machine, clock) = alone();
    for _ in 0..40 {
        machine.advance(millis(333));
        clock.now().unwrap();
        let status = clock.status();
        assert_eq!(status.path, ReadPath::Counter);
        let (bound, interval) = (status.bound.unwrap(), status.interval.unwrap());
        assert!((1..=200).contains(&bound.counter_ns), "{bound}");
        assert!(
            bound.total() >= interval.epsilon(),
            "{bound} for {interval}"
        );
    }
}

#[test]
fn another_clocksource_leaves_the_claim_and_the_counter() {
    let (machine, clock) = alone();
    machine.set_counter(Err(NoCounter::OtherClocksource));
    machine.set_clocksource(2);
    machine.advance(millis(300));
    assert!(clock.now().is_ok());
    assert_eq!(because(&clock), Some(NoCounter::OtherClocksource));
    assert!(stays_true(&machine, &clock, 50));
    // And back again, once it was compared anew for a second.
    machine.set_counter(Ok(()));
    machine.set_clocksource(1);
    for _ in 0..6 {
        machine.advance(millis(300));
        clock.now().unwrap();
    }
    assert_eq!(because(&clock), None);
}

/// Raw time by another counter drifts off before a look names it: the claim goes on.
#[test]
fn raw_time_that_departs_by_another_clocksource_voids_nothing() {
    let (machine, clock) = alone();
    machine.set_counter(Err(NoCounter::OtherClocksource));
    machine.jump_raw(TimeDelta::from_nanos(700));
    machine.advance(millis(2));
    assert!(clock.now().is_ok());
    assert_eq!(because(&clock), Some(NoCounter::OtherClocksource));
    assert!(stays_true(&machine, &clock, 20));
}

#[test]
fn raw_time_that_departs_from_its_own_counter_voids_what_was_claimed_and_ends_the_counter() {
    for by in [-900_000, -700, 700, 900_000] {
        let (machine, clock) = alone();
        machine.jump_raw(TimeDelta::from_nanos(by));
        machine.advance(millis(2));
        assert_eq!(cause(&clock), Some(Disturbance::CounterDeparted), "{by}");
        assert_eq!(because(&clock), Some(NoCounter::Departed));
        // A write vouches anew, and the counter is left alone for good.
        machine.advance(secs(1));
        write_honestly(&machine, 1_503);
        for _ in 0..8 {
            machine.advance(millis(300));
            let _ = clock.now();
        }
        assert!(clock.now().is_ok());
        assert_eq!(because(&clock), Some(NoCounter::Departed));
    }
}

/// A counter that moves by more than the window is found out at the very next reading, whichever way and
/// wherever it lands.
#[test]
fn a_counter_that_jumps_by_two_milliseconds_makes_no_reading_false() {
    let jumps: [fn(&ScriptedMachine); 6] = [
        |m| m.jump_counter(2 * MILLI),
        |m| m.jump_counter(-2 * MILLI),
        |m| m.reset_counter(0),
        |m| m.reset_counter(i64::MAX / 2),
        |m| m.run_counter(secs(3_600)),
        |m| m.jump_counter(-MILLI / 100),
    ];
    for (index, jump) in jumps.into_iter().enumerate() {
        for (machine, clock) in [alone(), counting()] {
            clock.now().unwrap();
            jump(&machine);
            assert_eq!(cause(&clock), Some(Disturbance::CounterDeparted), "{index}");
        }
    }
}

/// What lands within the window is believed until the window is over, and no longer (A6).
#[test]
fn a_counter_that_jumps_within_the_window_is_found_out_a_millisecond_later() {
    let (machine, clock) = alone();
    clock.now().unwrap();
    machine.jump_counter(MILLI * 9 / 10);
    assert!(clock.now().is_ok());
    machine.advance(micros(200));
    assert_eq!(cause(&clock), Some(Disturbance::CounterDeparted));
    let (machine, clock) = alone();
    clock.now().unwrap();
    machine.advance(micros(950));
    machine.jump_counter(-MILLI * 9 / 10);
    assert!(clock.now().is_ok());
    machine.advance(micros(1_000));
    assert_eq!(cause(&clock), Some(Disturbance::CounterDeparted));
}

/// Coarse time shows a counter that stands still, and a suspend that it did not count.
#[test]
fn coarse_time_shows_what_the_counter_does_not() {
    let (machine, clock) = counting();
    clock.now().unwrap();
    machine.freeze_counter();
    machine.advance(millis(20));
    assert_eq!(cause(&clock), Some(Disturbance::CounterDeparted));
    let (machine, clock) = counting();
    clock.now().unwrap();
    machine.suspend(millis(30));
    assert_eq!(cause(&clock), Some(Disturbance::Suspended));
}

#[test]
fn a_suspend_is_told_as_one_whatever_became_of_the_counter() {
    let fates: [fn(&ScriptedMachine); 4] = [
        |_| {},
        |m| m.run_counter(secs(60)),
        |m| m.reset_counter(0),
        |m| m.jump_counter(-MILLI / 2),
    ];
    for fate in fates {
        let (machine, clock) = counting();
        clock.now().unwrap();
        machine.suspend(secs(60));
        fate(&machine);
        assert_eq!(cause(&clock), Some(Disturbance::Suspended));
        // It is no reason to leave the counter for good.
        machine.advance(secs(1));
        write_honestly(&machine, 1_503);
        for _ in 0..8 {
            machine.advance(millis(300));
            let _ = clock.now();
        }
        assert_eq!(because(&clock), None);
        assert!(stays_true(&machine, &clock, 20));
    }
}

/// Who reads the clocks comes first: a time namespace shifts raw time and not the counter.
#[test]
fn another_time_namespace_is_told_as_one() {
    let (machine, clock) = alone();
    clock.now().unwrap();
    machine.jump_uptime(delta_millis(60_000));
    machine.set_identity(Identity {
        pid: 2,
        time_namespace: 2,
    });
    machine.advance(millis(2));
    assert_eq!(cause(&clock), Some(Disturbance::Moved));
    machine.advance(secs(1));
    write_honestly(&machine, 1_503);
    for _ in 0..8 {
        machine.advance(millis(300));
        let _ = clock.now();
    }
    assert_eq!(because(&clock), None);
}

/// A look is due when the clock was not read for a while, and it sees to the counter before any reading.
#[test]
fn after_a_pause_the_first_reading_looks_and_goes_on() {
    let (machine, clock) = alone();
    machine.advance(secs(30));
    assert!(clock.now().is_ok());
    assert_eq!(because(&clock), None);
    assert!(stays_true(&machine, &clock, 20));
}

/// Where no look comes for a second, the kernel may have left the counter unseen.
#[test]
fn without_a_look_for_a_second_raw_time_is_read() {
    let (machine, clock) = counting_with(|_| {}, |b| b);
    // A look that another thread took and is stopped in: it began, and does not end.
    machine.advance(millis(240));
    clock.now().unwrap();
    let other = clock.clone();
    machine.advance(millis(100));
    machine.before_read(12, move |machine| {
        machine.advance(millis(1_240));
        // The look that is due is this thread's; the next one is not due yet.
        for _ in 0..3 {
            let now = other.now().unwrap();
            assert!(now.latest() >= machine.true_time());
            machine.advance(millis(1));
        }
    });
    assert!(clock.now().is_ok());
    assert!(stays_true(&machine, &clock, 20));
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Read,
    Look,
    Wait(u32),
    Write,
    Leave,
    Return,
    Step(i32),
    Suspend(u32, bool),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => Just(Move::Read),
        2 => Just(Move::Look),
        8 => prop_oneof![1..3_000_u32, 100_000..400_000_u32, 900_000..3_000_000_u32].prop_map(Move::Wait),
        2 => Just(Move::Write),
        1 => Just(Move::Leave),
        1 => Just(Move::Return),
        1 => (-400..400_i32).prop_map(Move::Step),
        1 => (20_000..90_000_000_u32, any::<bool>()).prop_map(|(span, runs)| Move::Suspend(span, runs)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// T1 and T3 through every change of axis, anchor and claim: each interval holds true time, and no
    /// earliest end falls behind one that was shown, until a contradiction releases it.
    #[test]
    fn t1_and_t3_hold_through_every_change_of_axis(
        script in proptest::collection::vec(moves(), 20..160),
        drift in -150_000..150_000_i32,
        never_suspends in any::<bool>(),
    ) {
        let machine = ScriptedMachine::default();
        machine.set_counter(Ok(()));
        machine.set_never_suspends(never_suspends);
        machine.set_drift_ppb(drift);
        let clock = machine.clock().unwrap();
        write_honestly(&machine, 603);
        let mut shown = None;
        let mut contradictions = 0;
        for step in script {
            match step {
                Move::Read | Move::Look => {}
                Move::Wait(micros) => machine.advance(Duration::from_micros(micros.into())),
                Move::Write => write_honestly(&machine, 603),
                Move::Leave => machine.set_counter(Err(NoCounter::OtherClocksource)),
                Move::Return => machine.set_counter(Ok(())),
                Move::Step(micros) => {
                    machine.set_date(TimeDelta::from_nanos(i64::from(micros) * 1_000));
                }
                // A machine without sleep does not sleep.
                Move::Suspend(..) if never_suspends => {}
                Move::Suspend(micros, runs) => {
                    let span = Duration::from_micros(micros.into());
                    machine.suspend(span);
                    if runs {
                        machine.run_counter(span);
                    }
                }
            }
            let before = machine.true_time();
            let answer = if matches!(step, Move::Look) { clock.look() } else { clock.now() };
            let told = clock.status().counters.contradictions;
            if told > contradictions {
                contradictions = told;
                shown = None;
            }
            let Ok(now) = answer else { continue };
            prop_assert!(now.latest() >= before, "{now} at {before} after {step:?}");
            prop_assert!(now.earliest() <= machine.true_time(), "{now} after {step:?}");
            prop_assert!(shown <= Some(now.earliest()), "{shown:?}, then {now} after {step:?}");
            shown = Some(now.earliest());
        }
    }
}
