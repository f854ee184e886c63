//! Limits, met exactly: what is just within one counts, and the next value does not.

use std::time::Duration;

use epsilon_clock::hlc::RemoteLimit;
use epsilon_clock::lease::GrantorClock;
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, Disturbance, HlcTimestamp, HybridClock, Lease, Timestamp};

const MICRO: i64 = 1_000;

/// How short a sleep is told from clocks that were read at slightly different instants, in ns.
const SHORTEST_SLEEP: u64 = 1_000;

fn synchronised() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    clock.now().unwrap();
    (machine, clock)
}

fn best(clock: &Clock) -> i64 {
    clock.now().unwrap().midpoint().unix_nanos()
}

/// Until the best estimate is a whole microsecond.
fn align(machine: &ScriptedMachine, clock: &Clock) {
    for _ in 0..2 * MICRO {
        if best(clock) % MICRO == 0 {
            return;
        }
        machine.advance(Duration::from_nanos(1));
    }
    panic!("the best estimate is never a whole microsecond");
}

#[test]
fn a_stamp_never_lags_a_microsecond_behind_the_best_estimate() {
    let (machine, clock) = synchronised();
    let hlc = HybridClock::new(clock.clone());
    for _ in 0..4 * MICRO {
        machine.advance(Duration::from_nanos(1));
        let whole = best(&clock) / MICRO * MICRO;
        let stamp = hlc.tick().unwrap();
        assert!(stamp.physical().unix_nanos() >= whole, "{stamp}");
    }
    // And where time goes on by exactly the unit.
    align(&machine, &clock);
    for _ in 0..10 {
        hlc.tick().unwrap();
        machine.advance(Duration::from_nanos(1_000));
        let whole = best(&clock) / MICRO * MICRO;
        let stamp = hlc.tick().unwrap();
        assert!(stamp.physical().unix_nanos() >= whole, "{stamp}");
    }
}

#[test]
fn a_remote_stamp_at_the_limit_counts_and_the_next_one_does_not() {
    let (machine, clock) = synchronised();
    let offset = Duration::from_millis(5);
    let hlc = HybridClock::builder(clock.clone())
        .remote_limit(RemoteLimit::Fixed(offset))
        .build()
        .unwrap();
    align(&machine, &clock);
    let limit = best(&clock) + 5_000 * MICRO;
    let stamp = |nanos| HlcTimestamp::new(Timestamp::from_unix_nanos(nanos), 0).unwrap();
    assert!(hlc.observe(stamp(limit + MICRO)).is_err());
    assert!(hlc.observe(stamp(limit)).is_ok());
}

#[test]
fn a_sleep_is_one_from_its_shortest_on() {
    for (nanos, slept) in [(SHORTEST_SLEEP, false), (SHORTEST_SLEEP + 1, true)] {
        let (machine, clock) = synchronised();
        let request = clock.request_lease().unwrap();
        let lease = request
            .granted(Duration::from_secs(10), GrantorClock::RawTime)
            .unwrap();
        machine.suspend(Duration::from_nanos(nanos));
        let disturbed = ClockError::Disturbed {
            cause: Disturbance::Suspended,
        };
        assert_eq!(clock.look() == Err(disturbed), slept, "{nanos}");
        // Another write, so that the clock vouches again: the lease remembers the sleep.
        machine.advance(Duration::from_millis(300));
        machine.write_maxerror(5_007);
        machine.advance(Duration::from_millis(300));
        clock.now().unwrap();
        assert_eq!(lease.held(), Ok(!slept), "{nanos}");
    }
}

#[test]
fn a_bound_is_inherited_under_the_fastest_slew_that_its_growth_covers() {
    // 500 ppm of growth, less 200 of drift; `freq` counts 2^-16 ppm.
    for (freq, inherited) in [
        (300 << 16, true),
        ((300 << 16) + 1, false),
        (-(300 << 16), true),
    ] {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        machine.edit_status(|status: &mut NtpStatus| status.freq = freq);
        let clock = machine.clock().unwrap();
        assert_eq!(clock.now().is_ok(), inherited, "{freq}");
    }
}

#[test]
fn a_lease_is_written_out_with_its_expiry_and_its_margin() {
    let expiry: Timestamp = "2026-11-20T05:50:10.003000000Z".parse().unwrap();
    let lease = Lease::until(expiry).with_margin(Duration::from_millis(200));
    let text = "lease until 2026-11-20T05:50:10.003000000Z, margin 200ms";
    assert_eq!(lease.to_string(), text);
    let debug = format!("{lease:?}");
    assert!(
        debug.starts_with("Lease") && debug.contains("200ms"),
        "{debug}"
    );
}
