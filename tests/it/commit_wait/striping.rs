//! Commit timestamps without a shared word: on the real machine by hand-overs, and by script.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use epsilon_clock::Timestamp;
use epsilon_clock::clock::Striping;

use super::*;
use crate::counting_script::Scripted;
use crate::handovers::{Load, Shares, counting, stress, while_looking};
use crate::random::Random;

/// As many bits as a unit has at least and at most.
const UNIT: RangeInclusive<u32> = 2..=6;

/// A number that sorts as the timestamps of today do.
fn number(timestamp: Timestamp) -> u64 {
    timestamp.unix_nanos() as u64
}

/// Draws in each of the ways there are; none is below real time, which their clock's claims contain (T5), nor at its floor.
fn draw(clock: &Clock, known: u64, random: &mut Random) -> Option<u64> {
    let chance = random.below(1_000);
    // Seldom, or there would be no contention.
    let began = (chance < 100).then(|| Timestamp::try_from(SystemTime::now()).unwrap());
    let commit = match chance {
        // A floor that time has not come to yet, as another shard may have prepared with.
        0 => {
            let floor = clock.now().ok()?.latest();
            let floor =
                floor.saturating_add(Duration::from_nanos(random.below(300).unsigned_abs()));
            let commit = clock.begin_commit_after(floor).ok()?;
            assert!(commit.timestamp() > floor, "{floor}, then {commit:?}");
            commit
        }
        // One that it has come to, most likely.
        1..50 => {
            let floor = Timestamp::from_unix_nanos(known as i64);
            let commit = clock.begin_commit_after(floor).ok()?;
            assert!(commit.timestamp() > floor, "{floor}, then {commit:?}");
            commit
        }
        _ => clock.begin_commit().ok()?,
    };
    if let Some(began) = began {
        assert!(commit.timestamp() >= began, "T5: {began}, then {commit:?}");
    }
    Some(number(commit.timestamp()))
}

/// T5: threads on processors of their own, and more than there are, on stripes and the word.
#[test]
fn commits_without_a_word_are_unique_and_follow_what_was_handed_over() {
    let shares = Shares::of_unit(UNIT);
    let load = Load::of_two();
    for striping in [Striping::Always, Striping::OnContention] {
        let Some(clock) = counting(|builder| builder.striping(striping)) else {
            return;
        };
        let draw = |known: u64, random: &mut Random| draw(&clock, known, random);
        let run = |load| stress(&draw, &shares, load);
        let (two, crowded) = while_looking(&clock, || (run(load), run(load.crowded())));
        assert!(crowded.largest > two.largest);
        assert!(
            clock
                .begin_commit()
                .is_ok_and(|commit| number(commit.timestamp()) > crowded.largest)
        );
        two.assert_done("commits", striping, &load);
    }
}

/// How much later than `latest` a timestamp may be: two units of 64 ns, as a clock on a scripted machine has them.
const LATER: Duration = Duration::from_nanos(128);

fn is_stripe(timestamp: Timestamp) -> bool {
    number(timestamp) % 64 < 56
}

fn scripted() -> Scripted {
    Scripted::new(|builder| builder.striping(Striping::Always))
}

#[test]
fn t5_stripes_are_latest_to_two_units() {
    let scripted = scripted();
    let mut last = Timestamp::MIN;
    for _ in 0..100 {
        scripted.machine.advance(Duration::from_nanos(700));
        let before = scripted.clock.now().unwrap();
        let commit = scripted.clock.begin_commit().unwrap();
        let after = scripted.clock.now().unwrap();
        let timestamp = commit.timestamp();
        assert!(is_stripe(timestamp), "{timestamp} is the word's");
        assert!(timestamp > last && timestamp >= before.latest());
        assert!(timestamp <= after.latest().saturating_add(LATER));
        last = timestamp;
    }
}

#[test]
fn t5_timestamps_grow_across_lines_that_lie_lower_and_none_is_below_latest() {
    let scripted = scripted();
    let mut last = scripted.clock.begin_commit().unwrap().timestamp();
    let mut stripes = 0;
    for beside in [900, -900, 300, -40_000, 20, 0] {
        scripted.claim(beside);
        for _ in 0..40 {
            scripted.machine.advance(micros(50));
            let before = scripted.clock.now().unwrap();
            let timestamp = scripted.clock.begin_commit().unwrap().timestamp();
            assert!(timestamp > last, "{last}, then {timestamp}");
            assert!(timestamp >= before.latest(), "{before}, then {timestamp}");
            stripes += u32::from(is_stripe(timestamp));
            last = timestamp;
        }
    }
    assert!(stripes > 40, "only {stripes}");
}

#[test]
fn a_floor_that_time_has_passed_needs_no_word_and_one_that_it_has_not_does() {
    let scripted = scripted();
    let drawn = scripted.clock.begin_commit().unwrap().timestamp();
    scripted.machine.advance(micros(1));
    let next = scripted
        .clock
        .begin_commit_after(drawn)
        .unwrap()
        .timestamp();
    assert!(next > drawn && is_stripe(next));
    let ahead = next.saturating_add(millis(2));
    let above = scripted
        .clock
        .begin_commit_after(ahead)
        .unwrap()
        .timestamp();
    assert!(above > ahead && !is_stripe(above));
    // Behind which all others are then, until time comes to it.
    let behind = scripted.clock.begin_commit().unwrap().timestamp();
    assert!(behind > above && !is_stripe(behind));
    scripted.machine.advance(millis(3));
    // The first one finds that the counter is due to be checked, and leaves it to the word.
    let _ = scripted.clock.begin_commit().unwrap();
    let past = scripted.clock.begin_commit().unwrap().timestamp();
    assert!(past > behind && is_stripe(past));
}

/// What was drawn is not forgotten while there is no line at all.
#[test]
fn timestamps_grow_through_a_void() {
    let scripted = scripted();
    scripted.claim(50_000);
    let before = scripted.clock.begin_commit().unwrap().timestamp();
    assert!(is_stripe(before));
    scripted.machine.suspend(secs(30));
    assert!(scripted.clock.begin_commit().is_err());
    scripted.claim(0);
    scripted.machine.advance(millis(1));
    for _ in 0..3 {
        let after = scripted.clock.begin_commit().unwrap().timestamp();
        assert!(after > before, "{before}, then {after}");
    }
}

/// A counter that stands still is waited for once, and then no more on its line.
#[test]
fn a_counter_that_stands_still_leaves_commits_to_the_word() {
    let scripted = scripted();
    let mut last = scripted.clock.begin_commit().unwrap().timestamp();
    scripted.machine.freeze_counter();
    for _ in 0..10 {
        let timestamp = scripted.clock.begin_commit().unwrap().timestamp();
        assert!(timestamp > last, "{last}, then {timestamp}");
        last = timestamp;
    }
}
