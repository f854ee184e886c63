//! Limits, met exactly: what is just within one counts, and the next value does not.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use epsilon_clock::hlc::RemoteLimit;
use epsilon_clock::lease::{ElapsedInstant, Fence, FencingToken, GrantorClock};
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{
    Clock, ClockError, Disturbance, Fleet, HlcTimestamp, HybridClock, Lease, Timestamp,
};

use crate::clocks::synchronized_at_no_cost;

const MICRO: i64 = 1_000;

/// How short a sleep is told from clocks that were read at slightly different instants, in ns.
const SHORTEST_SLEEP: u64 = 1_000;

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
    let (machine, clock) = synchronized_at_no_cost();
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
    let (machine, clock) = synchronized_at_no_cost();
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
        let (machine, clock) = synchronized_at_no_cost();
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

#[test]
fn tokens_fences_and_terms_are_written_out_with_their_numbers() {
    let token = FencingToken::new(77).unwrap();
    let fence = Fence::OPEN.admit(token).unwrap();
    for text in [
        token.to_string(),
        format!("{token:?}"),
        fence.to_string(),
        format!("{fence:?}"),
    ] {
        assert!(text.contains("77"), "{text}");
    }
    let (_machine, clock) = synchronized_at_no_cost();
    let request = clock.request_lease().unwrap();
    let term = request
        .granted(Duration::from_secs(10), GrantorClock::RawTime)
        .unwrap();
    assert!(format!("{term:?}").contains("TermLease"));
}

#[test]
fn the_first_expiry_there_can_be_is_one_and_the_one_before_it_is_not() {
    let lease = |nanos| Lease::until(Timestamp::from_unix_nanos(nanos)).to_be_bytes();
    let first = 1_000_000_000_000_000_000;
    assert!(Lease::from_be_bytes(lease(first)).is_ok());
    assert!(Lease::from_be_bytes(lease(first - 1)).is_err());
    assert!(Lease::from_be_bytes(lease(i64::MAX)).is_err());
}

#[test]
fn elapsed_time_is_bounded_to_the_nanosecond() {
    let (machine, clock) = synchronized_at_no_cost();
    let began = ElapsedInstant::now(&clock);
    assert_eq!(began.at_most_since(began), Ok(Duration::ZERO));
    assert_eq!(began.at_least_since(began), Duration::ZERO);
    machine.advance(Duration::from_secs(1));
    let ended = ElapsedInstant::now(&clock);
    // 200 ppm either way.
    assert_eq!(
        ended.at_most_since(began),
        Ok(Duration::from_nanos(1_000_200_000))
    );
    assert_eq!(
        ended.at_least_since(began),
        Duration::from_nanos(999_800_000)
    );
    assert!(began.at_most_since(ended).is_err());
    assert!(began != ended && began < ended);
    let state = BuildHasherDefault::<DefaultHasher>::default();
    assert_ne!(state.hash_one(began), state.hash_one(ended));
    let held = ElapsedInstant::longest_hold(Duration::from_secs(4), 200_000);
    assert_eq!(held, Duration::from_nanos(3_998_398_319));
}

#[test]
fn half_of_the_clocks_are_no_majority() {
    for (nodes, majority) in [(1, true), (2, false), (3, false)] {
        let (_machine, clock) = synchronized_at_no_cost();
        let fleet: Fleet<&str> = Fleet::new(clock, nodes).unwrap();
        assert_eq!(
            fleet.verdict().unwrap().is_by_majority(),
            majority,
            "{nodes}"
        );
    }
}
