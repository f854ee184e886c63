//! Leases rule by rule, on a machine whose clocks are set by hand.

use std::time::Duration;

use epsilon_clock::lease::{GrantorClock, LeaseError, NotHeld, PauseDetector, Tenure, TermLease};
use epsilon_clock::machine::NtpStatusError;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::{DecodeError, LeapKind};
use epsilon_clock::{Clock, ClockError, Interval, Lease, TimeDelta, Timestamp};
use proptest::prelude::*;

use crate::clocks::synchronized;

const TEN: Duration = Duration::from_secs(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn term_lease(clock: &Clock, term: Duration) -> TermLease {
    let request = clock.request_lease().unwrap();
    request.granted(term, GrantorClock::RawTime).unwrap()
}

/// The daemon writes, and the clock sees it.
fn write_again(machine: &ScriptedMachine, clock: &Clock) {
    let _ = clock.look();
    machine.advance(millis(300));
    machine.write_maxerror(5_007);
    machine.advance(millis(300));
    clock.now().unwrap();
}

// --- what is held, and what is over --------------------------------------------------------------

#[test]
fn a_lease_is_held_before_its_margin_and_over_after_its_expiry_and_neither_in_between() {
    let at = |nanos| Timestamp::from_unix_nanos(nanos);
    let span = |a, b| Interval::new(at(a), at(b)).unwrap();
    let lease = Lease::until(at(1_000)).with_margin(Duration::from_nanos(100));
    assert!(lease.held_at(&span(0, 899)));
    assert!(!lease.held_at(&span(0, 900)));
    assert!(!lease.surely_expired_at(&span(1_000, 1_000)));
    assert!(!lease.surely_expired_at(&span(900, 5_000)));
    assert!(lease.surely_expired_at(&span(1_001, 5_000)));
    assert!(!lease.held_at(&span(1_001, 5_000)));
}

#[test]
fn a_margin_that_leaves_the_range_is_never_over_and_never_held() {
    let lease = Lease::until(Timestamp::MIN).with_margin(secs(1));
    assert!(!lease.held_at(&Interval::point(Timestamp::MIN)));
    let lease = Lease::until(Timestamp::UNIX_EPOCH).with_margin(Duration::MAX);
    assert!(!lease.held_at(&Interval::point(Timestamp::MIN)));
    assert_eq!(lease.margin(), Duration::MAX);
}

#[test]
fn t10_a_term_past_the_end_of_time_is_an_error() {
    let now = Interval::point(Timestamp::MAX);
    let error = Lease::grant(&now, Duration::from_nanos(1)).unwrap_err();
    assert!(matches!(error, LeaseError::OutOfRange { .. }));
    assert!(Lease::grant(&now, Duration::MAX).is_err());
    let (_machine, clock) = synchronized();
    let request = clock.request_lease().unwrap();
    assert!(
        request
            .granted(Duration::MAX, GrantorClock::RawTime)
            .is_err()
    );
    // More drift than there is term: never held.
    let request = clock.request_lease().unwrap();
    let lease = request
        .granted(TEN, GrantorClock::Within(u32::MAX))
        .unwrap();
    assert_eq!(lease.held(), Ok(false));
}

#[test]
fn a_clock_without_an_interval_neither_holds_nor_takes_over() {
    let (machine, clock) = synchronized();
    let lease = Lease::grant(&clock.now().unwrap(), TEN).unwrap();
    let over = Lease::until(machine.true_time().saturating_sub(secs(5)));
    let term = term_lease(&clock, TEN);
    assert_eq!(
        (lease.held(&clock), over.surely_expired(&clock)),
        (Ok(true), Ok(true))
    );
    // A short sleep: the clock does not know how long it was, until the daemon writes again.
    machine.suspend(millis(50));
    for answer in [lease.held(&clock), over.surely_expired(&clock), term.held()] {
        assert!(
            matches!(answer, Err(ClockError::Disturbed { .. })),
            "{answer:?}"
        );
        assert!(!answer.unwrap_or(false));
    }
    assert!(matches!(lease.check(&clock), Err(NotHeld::Clock(_))));
    assert!(clock.request_lease().is_err());
    assert!(lease.remaining(&clock).is_err() && term.remaining().is_err());
}

#[test]
fn a_loss_of_sync_makes_nothing_held_and_nothing_over() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.builder().max_age(secs(30)).build().unwrap();
    let lease = Lease::grant(&clock.now().unwrap(), TEN).unwrap();
    let term = term_lease(&clock, secs(1_000));
    machine.refuse(NtpStatusError::Refused { errno: 1 });
    machine.advance(secs(5));
    assert_eq!(lease.held(&clock), Ok(true)); // holdover
    machine.advance(secs(26));
    assert!(lease.held(&clock).is_err() && lease.surely_expired(&clock).is_err());
    assert!(term.held().is_err());
}

#[test]
fn steps_move_no_lease() {
    for by in [-300_000, 300_000_i64] {
        let (machine, clock) = synchronized();
        let lease = Lease::grant(&clock.now().unwrap(), TEN).unwrap();
        let term = term_lease(&clock, TEN);
        machine.step(TimeDelta::from_nanos(by));
        machine.advance(secs(9));
        assert_eq!((lease.held(&clock), term.held()), (Ok(true), Ok(true)));
        assert_eq!(lease.surely_expired(&clock), Ok(false));
        machine.step(TimeDelta::from_nanos(by));
        machine.advance(millis(1_050));
        assert_eq!((lease.held(&clock), term.held()), (Ok(false), Ok(false)));
        assert_eq!(lease.surely_expired(&clock), Ok(true));
    }
}

/// While it is not settled whether the stepper is wrong or the interval, no lease is held, and none expired.
#[test]
fn a_step_out_of_the_interval_leaves_nothing_held_and_nothing_expired() {
    for by in [-3_600_000_000_000, 3_600_000_000_000_i64] {
        let (machine, clock) = synchronized();
        let lease = Lease::grant(&clock.now().unwrap(), TEN).unwrap();
        let term = term_lease(&clock, TEN);
        machine.step(TimeDelta::from_nanos(by));
        machine.advance(secs(20));
        assert!(lease.held(&clock).is_err() && lease.surely_expired(&clock).is_err());
        assert!(term.held().is_err());
    }
}

#[test]
fn a_renewal_never_names_an_earlier_expiry() {
    let (machine, clock) = synchronized();
    let wide = Interval::around(machine.true_time(), secs(1)).unwrap();
    let lease = Lease::grant(&wide, TEN).unwrap().with_margin(millis(7));
    // The clock has become sharper since: latest fell back by a second.
    let renewed = lease.renewed(&clock.now().unwrap(), TEN).unwrap();
    assert_eq!(
        (renewed.expiry(), renewed.margin()),
        (lease.expiry(), lease.margin())
    );
    machine.advance(secs(2));
    let renewed = lease.renewed(&clock.now().unwrap(), TEN).unwrap();
    assert!(renewed.expiry() > lease.expiry());
}

// --- leases for a duration -----------------------------------------------------------------------

#[test]
fn a_term_is_counted_from_before_the_request() {
    let (machine, clock) = synchronized();
    let request = clock.request_lease().unwrap();
    machine.advance(secs(7)); // the answer takes its time
    let lease = request.granted(TEN, GrantorClock::RawTime).unwrap();
    assert_eq!(lease.held(), Ok(true));
    machine.advance(millis(2_990));
    assert_eq!(lease.held(), Ok(true));
    machine.advance(millis(10));
    assert_eq!(lease.held(), Ok(false));
    assert!(matches!(lease.check(), Err(NotHeld::TermOver { .. })));
}

#[test]
fn any_suspend_ends_a_term_for_good() {
    for span in [millis(50), secs(20)] {
        let (machine, clock) = synchronized();
        let lease = term_lease(&clock, secs(10));
        machine.advance(secs(1));
        assert_eq!(lease.held(), Ok(true));
        machine.suspend(span);
        assert!(!lease.held().unwrap_or(false));
        // The clock is back: a new claim answers, and says nothing of the suspend.
        write_again(&machine, &clock);
        assert_eq!(lease.held(), Ok(false), "{span:?}");
        assert_eq!(lease.check(), Err(NotHeld::Disturbed));
        assert_eq!(lease.remaining(), Ok(Duration::ZERO));
        // Another request begins anew.
        assert_eq!(term_lease(&clock, secs(10)).held(), Ok(true));
    }
}

#[test]
fn a_suspend_that_nobody_asked_about_in_between_ends_a_term_too() {
    let (machine, clock) = synchronized();
    let lease = term_lease(&clock, secs(1_000));
    machine.suspend(secs(1));
    assert!(clock.now().is_err());
    write_again(&machine, &clock);
    // Far from over by the interval and by raw time.
    assert_eq!(lease.held(), Ok(false));
}

#[test]
fn a_suspend_between_any_two_readings_is_noticed() {
    for read in 1..40 {
        let (machine, clock) = synchronized();
        let lease = term_lease(&clock, secs(3));
        // So that there is a comparison to be made.
        write_again(&machine, &clock);
        let before = machine.true_time();
        machine.before_read(read, |machine| machine.suspend(secs(3_600)));
        for _ in 0..12 {
            let called = machine.true_time();
            let held = lease.held();
            let elapsed = called.checked_since(before).unwrap();
            assert!(
                elapsed.nanos() < 1_000_000_000 || held != Ok(true),
                "read {read}"
            );
            machine.advance(millis(5));
        }
        machine.forget_hooks();
    }
}

#[test]
fn raw_time_that_runs_backwards_ends_a_term() {
    let (machine, clock) = synchronized();
    machine.advance(secs(100));
    clock.now().unwrap();
    let lease = term_lease(&clock, secs(10));
    machine.jump_raw(TimeDelta::from_nanos(-50_000_000_000));
    assert!(!lease.held().unwrap_or(false));
    write_again(&machine, &clock);
    assert_eq!(lease.held(), Ok(false));
}

/// During an inserted second UTC stands still, and the grantor's term does not.
#[test]
fn an_inserted_leap_second_makes_no_term_longer() {
    let midnight: Timestamp = "2027-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(midnight.checked_sub(secs(60)).unwrap());
    machine.write_maxerror(1_003);
    machine.schedule_leap(LeapKind::Inserted);
    machine.announce_leap(LeapKind::Inserted);
    let clock = machine.clock().unwrap();
    clock.now().unwrap();
    for _ in 0..11 {
        machine.advance(secs(5));
        clock.now().unwrap();
    }
    let lease = term_lease(&clock, secs(10));
    machine.advance(millis(9_900));
    assert_eq!(lease.held(), Ok(true));
    machine.advance(millis(110));
    assert!(clock.before(lease.expires_no_earlier()).unwrap()); // the interval alone would say so
    assert_eq!(lease.held(), Ok(false));
}

/// Each of the two readings ends a term by itself, on the path that every check takes too.
#[test]
fn whichever_is_over_first_ends_a_term() {
    // An interval so wide that raw time still leaves some.
    let machine = ScriptedMachine::default();
    machine.write_maxerror(100_003);
    let clock = machine.clock().unwrap();
    clock.now().unwrap();
    let lease = term_lease(&clock, TEN);
    for (span, held) in [(9_700, true), (1, true), (150, false), (1, false)] {
        machine.advance(millis(span));
        assert_eq!(lease.held(), Ok(held));
    }
    assert!(matches!(lease.check(), Err(NotHeld::TooLate { .. })));

    // UTC that runs slow against raw time, as far as A1 lets it, and as a smeared leap second makes it.
    let (machine, clock) = synchronized();
    machine.set_drift_ppb(-200_000);
    machine.set_slew_ppb(-200_000); // by which the daemon keeps real time right
    let lease = term_lease(&clock, secs(1_000));
    machine.advance(secs(998));
    write_again(&machine, &clock);
    for (span, held) in [(1, true), (1, true), (1_000, false), (1, false)] {
        machine.advance(millis(span));
        assert_eq!(lease.held(), Ok(held), "{span} {:?}", lease.check());
    }
    assert!(clock.before(lease.expires_no_earlier()).unwrap());
    assert!(matches!(lease.check(), Err(NotHeld::TermOver { .. })));
}

#[test]
fn what_the_grantor_counts_by_is_not_used() {
    let (_machine, clock) = synchronized();
    let used = |counted| {
        let request = clock.request_lease().unwrap();
        request.granted(TEN, counted).unwrap().remaining().unwrap()
    };
    let [raw, monotonic, loose] = [
        GrantorClock::RawTime,
        GrantorClock::MonotonicTime,
        GrantorClock::Within(300_000_000),
    ]
    .map(used);
    assert!(raw < secs(10) && raw > millis(9_980), "{raw:?}");
    // 1 / 1.125 of it is what a grantor leaves whose clock is slewed as fast as can be.
    assert!(
        monotonic < millis(8_888) && monotonic > millis(8_700),
        "{monotonic:?}"
    );
    assert!(loose < secs(7) && loose > millis(6_980), "{loose:?}");
}

#[test]
fn a_check_reads_the_clock_once() {
    let (machine, clock) = synchronized();
    let lease = Lease::grant(&clock.now().unwrap(), TEN).unwrap();
    let term = term_lease(&clock, TEN);
    assert!(term.held().unwrap());
    for _ in 0..5 {
        let before = machine.reads();
        assert!(lease.held(&clock).unwrap());
        assert_eq!(machine.reads() - before, 2); // coarse and raw time
        assert!(term.held().unwrap());
        assert_eq!(machine.reads() - before, 4);
    }
}

// --- work under a lease --------------------------------------------------------------------------

#[test]
fn a_guard_tells_whether_the_lease_lasted() {
    let begin = || {
        let (machine, clock) = synchronized();
        let now = clock.now().unwrap();
        let lease = Lease::grant(&now, TEN).unwrap().with_margin(secs(1));
        (machine, clock, lease)
    };
    // The margin is there for work to end in.
    let (machine, clock, lease) = begin();
    let guard = lease.guard(&clock).unwrap();
    machine.advance(millis(9_500));
    assert_eq!(lease.held(&clock), Ok(false));
    assert_eq!(guard.finish(), Tenure::Throughout);

    let (machine, clock, lease) = begin();
    let guard = lease.guard(&clock).unwrap();
    machine.advance(secs(10));
    assert!(matches!(
        guard.finish(),
        Tenure::CannotTell(NotHeld::TooLate { .. })
    ));

    let (machine, clock, lease) = begin();
    let guard = lease.guard(&clock).unwrap();
    machine.advance(secs(15));
    let Tenure::SurelyNot { by } = guard.finish() else {
        panic!("not for sure");
    };
    assert!(by < secs(5) && by > millis(4_980), "{by:?}");
    assert!(matches!(lease.guard(&clock), Err(NotHeld::Expired { .. })));

    let (machine, clock, lease) = begin();
    let guard = lease.guard(&clock).unwrap();
    machine.suspend(millis(20));
    assert!(matches!(
        guard.finish(),
        Tenure::CannotTell(NotHeld::Clock(_))
    ));
}

#[test]
fn a_guard_of_a_term_tells_whether_it_lasted() {
    let begin = || {
        let (machine, clock) = synchronized();
        let lease = term_lease(&clock, TEN).with_margin(secs(1));
        (machine, clock, lease)
    };
    let (machine, _clock, lease) = begin();
    let guard = lease.guard().unwrap();
    machine.advance(millis(9_500));
    assert_eq!(lease.held(), Ok(false));
    assert_eq!(guard.finish(), Tenure::Throughout);

    let (machine, _clock, lease) = begin();
    let guard = lease.guard().unwrap();
    machine.advance(millis(10_500)); // a second may have been a leap second
    assert!(matches!(
        guard.finish(),
        Tenure::CannotTell(NotHeld::TermOver { .. })
    ));

    let (machine, _clock, lease) = begin();
    let guard = lease.guard().unwrap();
    machine.advance(secs(12));
    let Tenure::SurelyNot { by } = guard.finish() else {
        panic!("not for sure");
    };
    assert!(by < secs(1), "{by:?}");

    // It slept: how long, nobody knows to a second, even once the clock is back.
    let (machine, clock, lease) = begin();
    let guard = lease.guard().unwrap();
    machine.suspend(millis(20));
    assert!(clock.now().is_err());
    write_again(&machine, &clock);
    assert_eq!(guard.finish(), Tenure::CannotTell(NotHeld::Disturbed));
    assert!(matches!(lease.guard(), Err(NotHeld::Disturbed)));
}

// --- pauses --------------------------------------------------------------------------------------

#[test]
fn a_process_that_was_stopped_learns_for_how_long_and_whether_the_machine_slept() {
    let (machine, clock) = synchronized();
    let mut detector = PauseDetector::new(&clock, millis(100));
    machine.advance(millis(99));
    assert_eq!(detector.beat(), None);
    machine.step(TimeDelta::from_nanos(3_600_000_000_000));
    assert_eq!(detector.beat(), None); // the clock was set, and nobody stopped

    machine.advance(secs(15));
    let pause = detector.beat().unwrap();
    let most = millis(14_900);
    assert!(
        pause.at_least() <= most && pause.at_least() > most - millis(5),
        "{pause}"
    );
    assert!(!pause.slept() && pause.asleep().is_zero());

    machine.suspend(secs(60));
    let pause = detector.beat().unwrap();
    assert!(pause.slept() && pause.ran_late().is_zero());
    assert!(
        pause.at_least() <= secs(59) && pause.at_least() > millis(58_990),
        "{pause}"
    );

    // Stopped and asleep.
    machine.advance(secs(1));
    machine.suspend(millis(30));
    let pause = detector.beat().unwrap();
    assert!(pause.slept() && pause.ran_late() > millis(890), "{pause}");
    assert_eq!(detector.beat(), None);
}

#[test]
fn a_pause_is_never_said_to_be_longer_than_it_was() {
    for drift in [-200_000, 200_000] {
        let (machine, clock) = synchronized();
        machine.set_drift_ppb(drift);
        let mut detector = PauseDetector::new(&clock, millis(1));
        let before = machine.true_time();
        machine.advance(secs(1_000));
        let pause = detector.beat().unwrap();
        assert!(pause.at_least() <= machine.true_time().abs_diff(before));
        assert!(pause.at_least() > secs(999));
    }
}

// --- bytes ---------------------------------------------------------------------------------------

fn expiries() -> impl Strategy<Value = Timestamp> {
    (1_000_000_000_000_000_000..i64::MAX).prop_map(Timestamp::from_unix_nanos)
}

fn intervals() -> impl Strategy<Value = Interval> {
    let near = 1_795_153_800_000_000_000_i64..1_795_153_800_000_010_000;
    prop_oneof![(near.clone(), near), (any::<i64>(), any::<i64>()),].prop_map(|(a, b)| {
        let at = Timestamp::from_unix_nanos;
        Interval::new(at(a.min(b)), at(a.max(b))).unwrap()
    })
}

proptest! {
    #[test]
    fn encoded_expiries_come_back_and_sort(a in expiries(), b in expiries()) {
        let [left, right] = [a, b].map(|expiry| Lease::until(expiry).to_be_bytes());
        prop_assert_eq!(left.cmp(&right), a.cmp(&b));
        prop_assert_eq!(Lease::try_from(&left[..]), Ok(Lease::until(a)));
    }

    #[test]
    fn any_bytes_are_a_lease_or_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        match Lease::try_from(&bytes[..]) {
            Ok(lease) => prop_assert_eq!(&lease.to_be_bytes()[..], &bytes[..]),
            Err(DecodeError::Length { found, .. }) => prop_assert!(found != 8 && found == bytes.len()),
            Err(DecodeError::Instant { found: expiry, .. }) => {
                let nanos = expiry.unix_nanos();
                prop_assert!(nanos < 1_000_000_000_000_000_000 || nanos == i64::MAX);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    /// T7, of single readings: whoever acts does so before the expiry, whoever takes over after it.
    #[test]
    fn t7_of_two_honest_readings_the_holders_was_before_the_claimants(
        holder in intervals(),
        claimant in intervals(),
        places in (0.0..=1.0_f64, 0.0..=1.0_f64),
        expiry in prop_oneof![any::<i64>(), 1_795_153_800_000_000_000_i64..1_795_153_800_000_010_000],
        margin in 0..5_000_u64,
    ) {
        let lease = Lease::until(Timestamp::from_unix_nanos(expiry))
            .with_margin(Duration::from_nanos(margin));
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss,
                reason = "a sample")]
        let truth = |interval: &Interval, place: f64| {
            let width = interval.width().as_nanos() as f64 * place;
            let into = interval.earliest().saturating_add(Duration::from_nanos(width as u64));
            into.min(interval.latest())
        };
        let instants = (truth(&holder, places.0), truth(&claimant, places.1));
        if lease.held_at(&holder) && lease.surely_expired_at(&claimant) {
            prop_assert!(instants.0 < instants.1);
        }
        prop_assert!(!(lease.held_at(&holder) && lease.surely_expired_at(&holder)));
    }

    /// The rules of leases that a log grants by itself, in arithmetic that cannot overflow.
    #[test]
    fn an_entry_is_younger_or_older_or_neither(
        entry in intervals(),
        now in intervals(),
        delta in prop_oneof![0..20_000_u64, any::<u64>()],
    ) {
        let span = Duration::from_nanos(delta);
        let wide = |at: Timestamp| i128::from(at.unix_nanos());
        let (older, younger) = (entry.older_than(span, &now), entry.younger_than(span, &now));
        prop_assert_eq!(older, wide(entry.latest()) + i128::from(delta) < wide(now.earliest()));
        let to_come = now.latest() < entry.earliest();
        let before = wide(now.latest()) < wide(entry.earliest()) + i128::from(delta);
        prop_assert_eq!(younger, before && !to_come);
        prop_assert!(!(older && younger));
    }

    /// Two readers of one entry never hold at one true instant: the one that says "older" is later.
    #[test]
    fn t7_who_finds_an_entry_older_reads_later_than_who_finds_it_younger(
        entry in intervals(),
        leader in intervals(),
        successor in intervals(),
        delta in 0..20_000_u64,
    ) {
        let span = Duration::from_nanos(delta);
        if entry.younger_than(span, &leader) && entry.older_than(span, &successor) {
            prop_assert!(leader.definitely_before(&successor));
        }
    }
}

#[test]
fn an_entry_of_exactly_that_age_is_neither_younger_nor_older() {
    let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
    let delta = Duration::from_nanos(100);
    for (now, younger, older) in [(99, true, false), (100, false, false), (101, false, true)] {
        assert_eq!(at(0).younger_than(delta, &at(now)), younger);
        assert_eq!(at(0).older_than(delta, &at(now)), older);
    }
}

#[test]
fn expiries_that_nobody_can_have_meant_are_refused() {
    let encoded = |nanos| Lease::until(Timestamp::from_unix_nanos(nanos)).to_be_bytes();
    // Never written, erased, and the year 2026 in seconds, milliseconds and microseconds.
    let now = 1_795_153_800_i64;
    for bytes in [
        [0; 8],
        [0xff; 8],
        encoded(0),
        encoded(now),
        encoded(now * 1_000),
        encoded(now * 1_000_000),
    ] {
        let refused = Lease::from_be_bytes(bytes);
        assert!(
            matches!(refused, Err(DecodeError::Instant { .. })),
            "{bytes:?}"
        );
    }
    // Without the 2^63, it lies before 1970.
    assert!(Lease::from_be_bytes((now * 1_000_000_000).to_be_bytes()).is_err());
    let (_machine, clock) = synchronized();
    let now = clock.now().unwrap();
    let lease = Lease::grant(&now, TEN).unwrap();
    assert_eq!(lease.plausible_at(&now, TEN), Ok(lease));
    let shorter = TEN - Duration::from_nanos(1);
    assert_eq!(lease.plausible_at(&now, shorter).unwrap_err().ahead, TEN);
    // What is over is plausible.
    let past = Lease::until(now.earliest().saturating_sub(secs(1_000_000)));
    assert!(past.plausible_at(&now, Duration::ZERO).is_ok());
}

#[test]
fn leases_are_send_and_sync() {
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<(
        Lease,
        TermLease,
        epsilon_clock::lease::LeaseRequest,
        PauseDetector,
    )>();
    assert_send_sync::<(epsilon_clock::lease::WorkGuard<'_>, NotHeld, LeaseError)>();
}

/// A pause that only the hypervisor tells of stops raw time as a suspend does. Over an inserted
/// leap second UTC loses a second too, and neither of the two counts what the grantor counts.
#[test]
fn t7_a_term_lease_does_not_survive_a_disruption() {
    use epsilon_clock::lease::GrantorClock;
    use epsilon_clock::testing::ScriptedMachine;
    use epsilon_clock::time::LeapKind;
    use epsilon_clock::{TimeDelta, Timestamp};
    use std::time::Duration;
    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(midnight.checked_sub(Duration::from_secs(10)).unwrap());
    machine.schedule_leap(LeapKind::Inserted);
    machine.announce_leap(LeapKind::Inserted);
    machine.advance(Duration::from_secs(2));
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    clock.now().unwrap();
    machine.advance(Duration::from_secs(4));
    // Asked for 4 s before midnight, granted at once, for 10 s of true time.
    let request = clock.request_lease().unwrap();
    let lease = request
        .granted(Duration::from_secs(10), GrantorClock::RawTime)
        .unwrap();
    assert!(lease.held().unwrap());
    machine.advance(Duration::from_millis(7_300));
    assert!(lease.held().unwrap());
    // The virtual machine is paused for 2 s; its daemon finds out, and makes up for it.
    machine.pause(Duration::from_secs(2));
    assert!(lease.held().is_err());
    machine.step(TimeDelta::from_nanos(2_000_000_000));
    machine.advance(Duration::from_millis(300));
    let _ = clock.now();
    machine.write_maxerror(1_007);
    machine.advance(Duration::from_millis(300));
    assert!(clock.now().unwrap().contains(machine.true_time()));
    // 9.9 s of true time went by, and now 10.4 s.
    machine.advance(Duration::from_millis(500));
    let held = lease.held();
    assert!(
        !matches!(held, Ok(true)),
        "held 0.4 s after the grantor's term was over"
    );
}

// --- handles that share a lease -----------------------------------------------------------------

#[test]
fn a_renewing_task_and_readers_share_a_term_lease() {
    let (machine, clock) = synchronized();
    let lease = term_lease(&clock, TEN).with_margin(secs(1));
    let reader = lease.clone();
    for _ in 0..20 {
        machine.advance(secs(6));
        assert!(reader.held().unwrap());
        lease.renew(&term_lease(&clock, TEN));
        assert!(reader.held().unwrap());
        assert_eq!((reader.term(), reader.margin()), (TEN, secs(1)));
        assert_eq!(reader.expires_no_earlier(), lease.expires_no_earlier());
        assert!(reader.remaining().unwrap() > millis(8_900));
        if clock.now().unwrap().epsilon() > millis(10) {
            write_again(&machine, &clock);
        }
    }
    // A shorter one takes its place all the same: the grantor counts by it alone.
    lease.renew(&term_lease(&clock, secs(2)));
    machine.advance(millis(1_500));
    assert_eq!(reader.held(), Ok(false));
}

#[test]
fn t7_work_goes_on_across_a_renewal_and_not_across_a_gap() {
    let (machine, clock) = synchronized();
    let lease = term_lease(&clock, TEN);
    let renewer = lease.clone();
    // Renewed in time: held throughout, longer than either term.
    let guard = lease.guard().unwrap();
    machine.advance(secs(8));
    renewer.renew(&term_lease(&clock, TEN));
    machine.advance(secs(8));
    assert_eq!(guard.finish(), Tenure::Throughout);
    // Renewed too late: another node may have held it in between.
    let guard = lease.guard().unwrap();
    machine.advance(secs(8));
    write_again(&machine, &clock);
    renewer.renew(&term_lease(&clock, TEN));
    assert!(lease.held().unwrap());
    assert_ne!(guard.finish(), Tenure::Throughout);
    // Renewed while it is unknown whether it still stood.
    let guard = lease.guard().unwrap();
    let next = term_lease(&clock, TEN);
    machine.suspend(secs(1));
    assert!(clock.now().is_err());
    renewer.renew(&next);
    machine.advance(secs(2));
    write_again(&machine, &clock);
    renewer.renew(&term_lease(&clock, TEN));
    assert!(lease.held().unwrap());
    assert_ne!(guard.finish(), Tenure::Throughout);
}

/// A suspend ends the grant that it fell into, and no later one.
#[test]
fn t7_a_renewal_after_a_suspend_is_held() {
    let (machine, clock) = synchronized();
    let lease = term_lease(&clock, TEN);
    machine.suspend(millis(500));
    write_again(&machine, &clock);
    assert_eq!(lease.held(), Ok(false));
    lease.renew(&term_lease(&clock, TEN));
    assert_eq!(lease.held(), Ok(true));
}

#[test]
fn answers_read_as_words() {
    use epsilon_clock::IntervalOrder;
    use epsilon_clock::order::{Visibility, WriteOrder};

    assert_eq!(Tenure::Throughout.to_string(), "throughout");
    let by = millis(1_500);
    let over = Tenure::SurelyNot { by }.to_string();
    assert_eq!(over, "surely not, over for 1.5s at the end");
    let why = Tenure::CannotTell(NotHeld::Disturbed).to_string();
    assert_eq!(why, format!("cannot tell: {}", NotHeld::Disturbed));
    let orders = [
        IntervalOrder::Before,
        IntervalOrder::After,
        IntervalOrder::Concurrent,
    ];
    assert_eq!(
        orders.map(|o| o.to_string()),
        ["before", "after", "concurrent"]
    );
    assert_eq!(format!("{:>7}|", IntervalOrder::After), "  after|");
    let writes = [WriteOrder::Newer, WriteOrder::Older, WriteOrder::Concurrent];
    assert_eq!(
        writes.map(|w| w.to_string()),
        ["newer", "older", "concurrent"]
    );
    let until = Timestamp::UNIX_EPOCH;
    let seen = [
        Visibility::Visible,
        Visibility::Invisible,
        Visibility::Uncertain { until },
    ];
    let uncertain = "uncertain until 1970-01-01T00:00:00.000000000Z";
    assert_eq!(
        seen.map(|v| v.to_string()),
        ["visible", "invisible", uncertain]
    );
}

/// Work that began under a grant which a suspend ended finds that out, late as it may be.
#[test]
fn t7_what_ended_a_grant_does_not_end_the_one_that_took_its_place() {
    let (machine, clock) = synchronized();
    let lease = term_lease(&clock, TEN);
    let guard = lease.guard().unwrap();
    machine.suspend(millis(500));
    write_again(&machine, &clock);
    lease.renew(&term_lease(&clock, TEN));
    assert_eq!(guard.finish(), Tenure::CannotTell(NotHeld::Disturbed));
    assert_eq!(lease.held(), Ok(true));
}
