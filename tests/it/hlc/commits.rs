//! H11 and H10 by hand: commit stamps are rounded up, and released only when surely past.

use epsilon_clock::hlc::HlcError;

use super::*;

#[test]
fn h11_a_commit_stamp_is_latest_rounded_up_to_the_microsecond() {
    for nanos in [0, 1, 400, 999, 1_000] {
        let (machine, clock) = right(millis(1));
        machine.advance(Duration::from_nanos(nanos));
        let hlc = HybridClock::new(clock.clone());
        let latest = clock.now().unwrap().latest();
        let commit = hlc.begin_commit().unwrap();
        let physical = commit.timestamp().physical();
        assert!(physical >= latest);
        assert!(physical.abs_diff(latest) < Duration::from_micros(1));
        assert_eq!(commit.timestamp().logical(), 0);
        assert_eq!(commit.commit_wait().timestamp(), physical);
    }
}

#[test]
fn h11_commits_within_a_microsecond_differ_and_wait_for_their_own() {
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock.clone());
    let first = hlc.begin_commit().unwrap();
    let second = hlc.begin_commit().unwrap();
    assert_eq!(
        second.timestamp().to_bits(),
        first.timestamp().to_bits() + 1
    );
    assert!(!first.is_past().unwrap());
    second.wait().unwrap();
    assert!(clock.after(second.timestamp().physical()).unwrap());
    assert!(machine.true_time() > second.timestamp().physical());
    // Whoever begins now, anywhere, is above: rounded down, (100, 0) could follow (100, 1).
    let later = HybridClock::new(
        machine
            .builder()
            .source(source_of(&machine))
            .build()
            .unwrap(),
    );
    assert!(later.begin_commit().unwrap().timestamp() > second.timestamp());
}

fn source_of(machine: &ScriptedMachine) -> ScriptedSource {
    let source = ScriptedSource::new("another");
    source.push(Finding::Write(machine.truth(Duration::ZERO)));
    source
}

#[test]
fn h11_a_wait_that_the_clock_does_not_survive_is_an_error() {
    let (machine, clock) = right(millis(100));
    let hlc = HybridClock::new(clock);
    let commit = hlc.begin_commit().unwrap();
    machine.suspend(HOUR);
    assert!(commit.wait().is_err());
    assert!(commit.is_past().is_err());
}

#[test]
fn h11_an_hour_of_commits_ahead_still_waits() {
    // A remote stamp within the limit, far ahead of latest: the commit is above it, and waits so long.
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock);
    let ahead = machine.true_time().saturating_add(millis(900));
    let received = hlc.observe(remote(ahead)).unwrap();
    let commit = hlc.begin_commit().unwrap();
    assert!(commit.timestamp() > received);
    commit.wait().unwrap();
    assert!(machine.true_time() > ahead);
}

#[test]
fn h10_the_interval_reaches_the_stamp_that_ran_ahead() {
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock.clone());
    let ahead = machine.true_time().saturating_add(millis(500));
    hlc.observe(remote(ahead)).unwrap();
    let stamped = hlc.tick_with_interval().unwrap();
    let now = clock.now().unwrap();
    assert_eq!(stamped.interval.earliest(), now.earliest());
    assert_eq!(stamped.interval.latest(), stamped.timestamp.physical());
    assert!(stamped.interval.contains(machine.true_time()));
    machine.advance(secs(1));
    let stamped = hlc.tick_with_interval().unwrap();
    assert_eq!(stamped.interval, clock.now().unwrap());
}

#[test]
fn without_an_interval_there_is_no_interval_and_no_commit() {
    let (_machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    let before = hlc.tick().unwrap();
    assert!(matches!(
        hlc.tick_with_interval(),
        Err(epsilon_clock::hlc::HlcError::Clock(_))
    ));
    assert!(matches!(
        hlc.begin_commit(),
        Err(epsilon_clock::hlc::HlcError::Clock(_))
    ));
    assert_eq!(hlc.last(), before);
}

// --- far ahead ----------------------------------------------------------------------------------

/// What was Ok once, with a wait of ten days.
#[test]
fn h11_a_stored_floor_ten_days_ahead_is_an_error_with_the_wait() {
    let (machine, clock) = right(millis(1));
    let days = 240 * HOUR;
    let floor = stamp(machine.true_time().saturating_add(days), 0);
    let hlc = HybridClock::builder(clock.clone())
        .resume_from(floor)
        .build()
        .unwrap();
    for _ in 0..2 {
        let Err(HlcError::CommitTooFarAhead {
            timestamp,
            ahead,
            limit,
            wait,
            ..
        }) = hlc.begin_commit()
        else {
            panic!("a commit ten days ahead");
        };
        assert_eq!(timestamp.to_bits(), floor.to_bits() + 1);
        assert_eq!(hlc.last(), floor, "H6");
        // Twice max_error, and the interval's width.
        assert_eq!(limit, millis(1_002));
        assert!(ahead.abs_diff(days) < millis(2), "{ahead:?}");
        // True time may run 200 ppm slower than raw time.
        assert!(wait > days && wait < days + secs(180), "{wait:?}");
    }
    // Ticks need no wait, and go on.
    assert!(hlc.tick().unwrap() > floor);
    let told = hlc.begin_commit().unwrap_err().to_string();
    assert!(
        told.contains("commit_limit") && told.contains("commits begin again in 86"),
        "{told}"
    );
    // A caller that wants to wait can.
    let patient = HybridClock::builder(clock)
        .resume_from(floor)
        .commit_limit(Duration::MAX)
        .build()
        .unwrap();
    assert!(patient.begin_commit().unwrap().timestamp() > floor);
}

#[test]
fn h11_commits_begin_again_once_true_time_has_come_near() {
    let (machine, clock) = right(millis(1));
    let floor = stamp(machine.true_time().saturating_add(secs(60)), 0);
    let hlc = HybridClock::builder(clock)
        .resume_from(floor)
        .build()
        .unwrap();
    assert!(hlc.begin_commit().is_err());
    machine.advance(secs(57));
    assert!(hlc.begin_commit().is_err());
    machine.advance(secs(2));
    hlc.begin_commit().unwrap().wait().unwrap();
}

/// What an honest peer or a restart can have led the stamps to is no error: the default knows both.
#[test]
fn h11_a_restart_within_its_reserve_and_peers_within_the_tolerance_commit_at_once() {
    use epsilon_clock::hlc::RemoteLimit;

    let (machine, clock) = right(millis(1));
    let begin = |ahead: Duration| {
        HybridClock::builder(clock.clone())
            .reserve(secs(3), |_| Ok(()))
            .resume_from(stamp(machine.true_time().saturating_add(ahead), 0))
            .build()
            .unwrap()
            .begin_commit()
    };
    assert!(begin(millis(3_999)).is_ok());
    assert!(begin(millis(4_010)).is_err());
    let tolerant = HybridClock::builder(clock.clone())
        .remote_limit(RemoteLimit::Fixed(secs(5)))
        .build()
        .unwrap();
    let ahead = machine.true_time().saturating_add(millis(4_999));
    tolerant.observe(remote(ahead)).unwrap();
    assert!(tolerant.begin_commit().is_ok());
    // A clock that takes over anything is not made to wait for anything.
    let open = HybridClock::builder(clock)
        .remote_limit(RemoteLimit::Unchecked)
        .build()
        .unwrap();
    open.observe(remote(ahead)).unwrap();
    assert!(matches!(
        open.begin_commit(),
        Err(HlcError::CommitTooFarAhead { .. })
    ));
}
