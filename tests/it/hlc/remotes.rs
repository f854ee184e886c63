//! The remote check: what `observe` takes over, and what it refuses without a trace.

use super::*;
use epsilon_clock::hlc::{HlcError, RemoteLimit};

/// Asserts that the stamp is refused by so much, without a trace.
#[track_caller]
fn assert_refused(hlc: &HybridClock, remote: RemoteTimestamp) -> Duration {
    let before = hlc.last();
    let result = hlc.observe(remote);
    assert_eq!(hlc.last(), before, "H6: refused, and taken over");
    match result {
        Err(HlcError::TooFarAhead {
            remote: named,
            bound,
            by,
            ..
        }) => {
            assert_eq!(named, remote);
            assert_eq!(bound.checked_add(by), Some(remote.physical()));
            by
        }
        other => panic!("{remote} was not refused: {other:?}"),
    }
}

#[test]
fn h6_a_remote_an_hour_ahead_is_refused_and_changes_nothing() {
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock);
    let ticked = hlc.tick().unwrap();
    let ahead = remote(machine.true_time().saturating_add(HOUR));
    let by = assert_refused(&hlc, ahead);
    // Beyond latest, 1 ms ahead, and the tolerance, a second.
    assert!(by.abs_diff(HOUR - millis(1_001)) < millis(1), "{by:?}");
    let message = hlc.observe(ahead).unwrap_err().to_string();
    assert!(message.contains("3598.99"), "by how much: {message}");
    assert_eq!(hlc.tick().unwrap().to_bits(), ticked.to_bits() + 1);
}

#[test]
fn h6_the_largest_number_from_the_wire_is_refused() {
    for limit in [
        RemoteLimit::Interval {
            tolerance: Duration::MAX,
        },
        RemoteLimit::Interval { tolerance: secs(1) },
        RemoteLimit::Fixed(secs(1)),
    ] {
        for (_machine, clock) in [right(millis(1)), unvouched()] {
            let hlc = HybridClock::builder(clock)
                .remote_limit(limit)
                .build()
                .unwrap();
            let before = hlc.tick().unwrap();
            let result = hlc.observe(RemoteTimestamp::from_be_bytes([0xff; 8]));
            assert!(result.is_err(), "{limit:?}: {result:?}");
            assert_eq!(hlc.last(), before);
            assert!(hlc.tick().unwrap() > before);
        }
    }
}

/// Asked for no check at all, it still does not wrap, and fails without a trace.
#[test]
fn h6_the_largest_number_fails_unchecked_too() {
    let (_machine, clock) = right(millis(1));
    let hlc = HybridClock::builder(clock)
        .remote_limit(RemoteLimit::Unchecked)
        .build()
        .unwrap();
    let before = hlc.tick().unwrap();
    let result = hlc.observe(RemoteTimestamp::from_bits(u64::MAX));
    assert!(matches!(result, Err(HlcError::EndOfRange)));
    assert_eq!(hlc.last(), before);
    let last = RemoteTimestamp::from_bits(u64::MAX - 1);
    assert_eq!(hlc.observe(last).unwrap(), HlcTimestamp::MAX);
    assert!(matches!(hlc.tick(), Err(HlcError::EndOfRange)));
}

/// The fault of a peer: a check of the distance refuses old stamps as well.
#[test]
fn old_stamps_are_never_refused() {
    for limit in [
        RemoteLimit::Interval {
            tolerance: Duration::ZERO,
        },
        RemoteLimit::Fixed(Duration::ZERO),
        RemoteLimit::Unchecked,
    ] {
        for (machine, clock) in [right(millis(1)), unvouched()] {
            let hlc = HybridClock::builder(clock)
                .remote_limit(limit)
                .build()
                .unwrap();
            let mut last = hlc.tick().unwrap();
            for old in [
                RemoteTimestamp::from_bits(0),
                "1999-12-31T23:59:59.999999Z_4095".parse().unwrap(),
                remote(machine.true_time().saturating_sub(HOUR)),
                last.into(),
            ] {
                let next = hlc.observe(old).unwrap();
                assert!(next > last && next > old);
                last = next;
            }
        }
    }
}

/// The fault of a peer: a remote (100, 5) made it issue (100, 0).
#[test]
fn h1_a_remote_of_the_same_microsecond_keeps_its_counter() {
    let (_machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock.clone());
    let now = clock.now().unwrap().midpoint();
    let ahead: RemoteTimestamp = stamp(now, 5).into();
    assert_eq!(hlc.observe(ahead).unwrap(), stamp(now, 6));
    let behind: RemoteTimestamp = stamp(now, 2).into();
    assert_eq!(hlc.observe(behind).unwrap(), stamp(now, 7));
    let full: RemoteTimestamp = stamp(now, 4095).into();
    let carried = stamp(now.saturating_add(Duration::from_micros(1)), 0);
    assert_eq!(hlc.observe(full).unwrap(), carried);
}

/// The sum of the documentation, met exactly: a commit stamp of a peer as uncertain as may be, which
/// is as far ahead as may be, and read at once by a node whose latest is UTC itself.
#[test]
fn the_default_tolerance_covers_the_commit_of_the_worst_honest_peer_and_no_more() {
    let max_error = millis(500); // the default
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    let utc = machine.true_time();
    let clock = |earliest: Timestamp, latest: Timestamp| {
        let mut sync = machine.truth(Duration::ZERO);
        let interval = Interval::new(earliest, latest).unwrap();
        assert!(interval.contains(utc));
        sync.claim = epsilon_clock::time::Claim::new(sync.claim.raw(), interval, sync.claim.rate());
        let source = ScriptedSource::new("oracle");
        source.push(Finding::Write(sync));
        machine.builder().source(source).build().unwrap()
    };
    // Off the grid of whole microseconds, so that rounding up counts.
    let latest = utc.saturating_add(2 * max_error - Duration::from_nanos(1));
    let peer = HybridClock::new(clock(utc, latest));
    let commit = peer.begin_commit().unwrap().timestamp();
    assert!(commit.physical() >= latest);
    let hlc = HybridClock::new(clock(utc.saturating_sub(2 * max_error), utc));
    assert!(hlc.observe(commit).unwrap() > commit);
    // Two microseconds beyond is nobody's honest stamp.
    let beyond = stamp(
        commit.physical().saturating_add(Duration::from_micros(2)),
        0,
    );
    let fresh = HybridClock::new(hlc.clock().clone());
    assert_refused(&fresh, beyond.into());
}

#[test]
fn the_limit_counts_from_latest_with_an_interval_and_from_the_estimate_without() {
    let beyond = |hlc: &HybridClock, from: Timestamp, offset: Duration| {
        let just = from.saturating_add(offset);
        assert!(hlc.observe(remote(just)).is_ok());
        assert_refused(hlc, remote(just.saturating_add(Duration::from_micros(2))));
    };
    let (_machine, clock) = right(millis(100));
    let latest = clock.now().unwrap().latest();
    let build = |limit| {
        HybridClock::builder(clock.clone())
            .remote_limit(limit)
            .build()
            .unwrap()
    };
    beyond(
        &build(RemoteLimit::Interval {
            tolerance: millis(30),
        }),
        latest,
        millis(30),
    );
    let best = clock.now().unwrap().midpoint();
    beyond(&build(RemoteLimit::Fixed(millis(30))), best, millis(30));

    let (machine, clock) = unvouched();
    let best = machine.real_time();
    let build = |limit| HybridClock::builder(clock.clone()).remote_limit(limit);
    let interval = RemoteLimit::Interval {
        tolerance: millis(30),
    };
    // By default the tolerance and `max_error`.
    beyond(&build(interval).build().unwrap(), best, millis(530));
    let configured = build(interval)
        .offset_when_unknown(millis(7))
        .build()
        .unwrap();
    beyond(&configured, best, millis(7));
    beyond(
        &build(RemoteLimit::Fixed(millis(9))).build().unwrap(),
        best,
        millis(9),
    );
}

#[test]
fn a_limit_of_zero_is_no_limit_switched_off() {
    let (machine, clock) = right(Duration::ZERO);
    let hlc = HybridClock::builder(clock)
        .remote_limit(RemoteLimit::Fixed(Duration::ZERO))
        .build()
        .unwrap();
    assert_refused(&hlc, remote(machine.true_time().saturating_add(millis(1))));
}

#[test]
fn a_remote_stamp_is_ones_own_only_once_a_stamp_above_it_was_issued() {
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock);
    let ahead = remote(machine.true_time().saturating_add(millis(10)));
    let before = hlc.tick().unwrap();
    assert_eq!(ahead.seen_by(before), None);
    let received = hlc.observe(ahead).unwrap();
    assert_eq!(ahead.seen_by(received), Some(ahead.trust()));
    // Equal is not above.
    assert_eq!(RemoteTimestamp::from(received).seen_by(received), None);
    assert!(ahead < received);
    assert!(received > ahead);
    assert_eq!(ahead, ahead.trust());
}
