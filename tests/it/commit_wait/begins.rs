//! Taking a timestamp: what it is above, and when there is none.

use std::collections::HashSet;
use std::time::Duration;

use epsilon_clock::commit::CommitError;
use epsilon_clock::source::Finding;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, Interval, Timestamp};

use super::{millis, synchronized};

#[test]
fn t5_a_timestamp_is_not_below_latest() {
    let (machine, clock) = synchronized();
    let before = machine.true_time();
    let known = clock.now().unwrap();
    let commit = clock.begin_commit().unwrap();
    assert!(commit.timestamp() >= known.latest());
    assert!(commit.timestamp() >= before);
    assert!(!commit.is_past().unwrap());
}

#[test]
fn t5_timestamps_increase_while_the_interval_jumps_back() {
    let (machine, clock) = synchronized();
    let wide = clock.begin_commit().unwrap().timestamp();
    // A much better bound: the next latest is far below.
    machine.write_maxerror(7);
    machine.advance(millis(300));
    assert!(clock.now().unwrap().latest() < wide.saturating_add(millis(300)));
    let mut last = wide;
    for _ in 0..1_000 {
        let next = clock.clone().begin_commit().unwrap().timestamp();
        assert!(next > last);
        last = next;
    }
}

#[test]
fn t5_threads_and_clones_never_share_a_timestamp_nor_step_back() {
    let clock = Clock::builder().assume_error(millis(1)).build().unwrap();
    let by_thread: Vec<Vec<Timestamp>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let clock = clock.clone();
                scope.spawn(move || {
                    let draw = |_| clock.begin_commit().unwrap().timestamp();
                    (0..20_000).map(draw).collect()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut seen = HashSet::new();
    for timestamps in &by_thread {
        assert!(timestamps.is_sorted_by(|a, b| a < b));
        for timestamp in timestamps {
            assert!(seen.insert(*timestamp), "{timestamp} was given out twice");
        }
    }
}

/// One hands its timestamp to the other, which begins then: larger, to and fro.
#[test]
fn t5_a_timestamp_that_was_heard_of_is_exceeded() {
    use std::sync::mpsc::channel;

    let clock = Clock::builder().assume_error(millis(1)).build().unwrap();
    let (there, here) = channel::<Timestamp>();
    let (back, answers) = channel::<Timestamp>();
    std::thread::scope(|scope| {
        let other = clock.clone();
        scope.spawn(move || {
            for heard in here {
                let mine = other.begin_commit().unwrap().timestamp();
                assert!(mine > heard);
                back.send(mine).unwrap();
            }
        });
        for _ in 0..5_000 {
            let mine = clock.begin_commit().unwrap().timestamp();
            there.send(mine).unwrap();
            let heard = answers.recv().unwrap();
            assert!(clock.begin_commit().unwrap().timestamp() > heard);
        }
        drop(there);
    });
}

#[test]
fn a_floor_is_exceeded() {
    let (machine, clock) = synchronized();
    let latest = clock.now().unwrap().latest();
    let ahead = latest.saturating_add(millis(400));
    let commit = clock.begin_commit_after(ahead).unwrap();
    assert_eq!(
        commit.timestamp(),
        ahead.saturating_add(Duration::from_nanos(1))
    );
    // And by whoever comes next, floor or not.
    assert!(clock.begin_commit().unwrap().timestamp() > commit.timestamp());
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
    // One that lies behind changes nothing.
    let past = clock.begin_commit_after(Timestamp::MIN).unwrap();
    assert!(past.timestamp() >= latest);
}

#[test]
fn a_floor_too_far_ahead_is_refused_and_moves_nothing() {
    let (machine, clock) = synchronized();
    machine.set_read_cost(Duration::ZERO);
    let latest = clock.now().unwrap().latest();
    let corrupt: Timestamp = "2200-01-01T00:00:00.000000000Z".parse().unwrap();
    let just_beyond = latest.saturating_add(Clock::MAX_FLOOR_AHEAD + Duration::from_nanos(1));
    for floor in [corrupt, Timestamp::MAX, just_beyond] {
        let Err(CommitError::FloorTooFarAhead {
            floor: named,
            ahead,
            limit,
        }) = clock.begin_commit_after(floor)
        else {
            panic!("{floor} was accepted");
        };
        assert_eq!((named, limit), (floor, Clock::MAX_FLOOR_AHEAD));
        assert_eq!(ahead, floor.abs_diff(latest));
    }
    // Nothing moved: the next commit is where it would have been.
    assert_eq!(clock.begin_commit().unwrap().timestamp(), latest);
    let limit = latest.saturating_add(Clock::MAX_FLOOR_AHEAD);
    assert!(clock.begin_commit_after(limit).is_ok());
    let told = clock.begin_commit_after(corrupt).unwrap_err().to_string();
    assert!(told.contains("2200-01-01") && told.contains("1s"), "{told}");
}

#[test]
fn the_limit_on_floors_can_be_set() {
    let (_machine, clock) = synchronized();
    let latest = clock.now().unwrap().latest();
    let near = latest.saturating_add(millis(100));
    assert!(clock.begin_commit_after_within(near, millis(10)).is_err());
    let far = latest.saturating_add(Duration::from_secs(3_600));
    let commit = clock.begin_commit_after_within(far, Duration::MAX);
    assert!(commit.unwrap().timestamp() > far);
}

#[test]
fn t10_at_the_end_of_the_range_there_is_an_error() {
    let last = Timestamp::MAX.saturating_sub(Duration::from_secs(2));
    let machine = ScriptedMachine::new(last);
    let source = epsilon_clock::testing::ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(1))));
    let clock = machine.builder().source(source).build().unwrap();
    let _ = clock.begin_commit().unwrap();
    // Up to the last instant but one, which alone can ever be past.
    let end = Timestamp::MAX.saturating_sub(Duration::from_nanos(2));
    let limit = Duration::from_secs(10);
    let commit = clock.begin_commit_after_within(end, limit).unwrap();
    assert_eq!(
        commit.timestamp(),
        end.saturating_add(Duration::from_nanos(1))
    );
    for _ in 0..3 {
        let error = clock.begin_commit().unwrap_err();
        assert_eq!(error, CommitError::RangeExhausted);
        for floor in [end, Timestamp::MAX] {
            let error = clock.begin_commit_after_within(floor, limit).unwrap_err();
            assert_eq!(error, CommitError::RangeExhausted);
        }
    }
    assert!(CommitError::RangeExhausted.to_string().contains("2262"));
}

#[test]
fn without_an_interval_no_commit_begins() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let error = clock.begin_commit().unwrap_err();
    assert!(matches!(
        error,
        CommitError::Clock(ClockError::Unvouched(_))
    ));
    assert!(clock.begin_commit_after(Timestamp::MIN).is_err());
    assert!(error.to_string().contains("chronyd"), "{error}");
    // And none was given out: the first one is the latest end of its reading.
    machine.advance(millis(300));
    machine.write_maxerror(1_003);
    machine.advance(millis(300));
    machine.set_read_cost(Duration::ZERO);
    let latest = clock.now().map(|now: Interval| now.latest()).unwrap();
    assert_eq!(clock.begin_commit().unwrap().timestamp(), latest);
}
