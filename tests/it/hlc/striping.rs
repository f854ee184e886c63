//! Stamps without a shared word: H1 and H8 by hand-overs on the real machine, the rest by script.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use epsilon_clock::clock::Striping;
use epsilon_clock::hlc::{ForwardLimit, HlcError, HybridClockBuilder};

use super::*;
use crate::counting_script::Scripted;
use crate::handovers::{Load, Shares, counting, stress, while_looking};
use crate::random::Random;

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// Draws in each of the ways there are, mostly by a tick.
fn draw(hlc: &HybridClock, known: u64, random: &mut Random) -> Option<u64> {
    let stamp = match random.below(20_000) {
        0 => hlc.begin_commit().map(|commit| commit.timestamp()),
        // A peer that is a little ahead.
        1 => {
            let ahead = RemoteTimestamp::from_bits(known + (random.below(20).unsigned_abs() << 12));
            let stamp = hlc.observe(ahead);
            assert!(
                stamp.as_ref().is_ok_and(|stamp| *stamp > ahead),
                "H1: {ahead} {stamp:?}"
            );
            stamp
        }
        2..1_500 => hlc.observe(RemoteTimestamp::from_bits(known)),
        _ => hlc.tick(),
    };
    // Without an interval there is no commit.
    Some(stamp.ok()?.to_bits())
}

/// H1, H8 and H9: threads on processors of their own, and more than there are, on stripes and the word.
#[test]
fn h8_stamps_without_a_word_are_unique_and_follow_what_was_handed_over() {
    let Some(clock) = counting(|builder| builder) else {
        return;
    };
    let shares = Shares::of_unit(4..=9);
    let stored = Arc::new(AtomicU64::new(0));
    let disk = Arc::clone(&stored);
    let hlc = HybridClock::builder(clock.clone())
        .striping(Striping::Always)
        .reserve(millis(50), move |record| {
            disk.fetch_max(record.bound().to_bits(), Ordering::AcqRel);
            Ok(())
        })
        .build()
        .unwrap();
    let load = Load::of_two();
    let run = |hlc: &HybridClock, load| {
        let draw = |known: u64, random: &mut Random| draw(hlc, known, random);
        let outcome = stress(&draw, &shares, load);
        assert!(
            hlc.last().to_bits() >= outcome.largest,
            "a stamp is above the last one"
        );
        outcome
    };
    while_looking(&clock, || {
        let two = run(&hlc, load);
        two.assert_done("stamps", Striping::Always, &load);
        // With more threads than processors, and then on a clock that turns to stripes by itself.
        let largest = run(&hlc, load.crowded()).largest;
        assert!(largest > two.largest);
        assert!(largest <= stored.load(Ordering::Acquire), "H9");
        let kept = hlc.into_record().unwrap();
        assert!(kept.bound().to_bits() >= largest, "H9: {kept:?}");
        let turning = HybridClock::builder(clock.clone())
            .striping(Striping::OnContention)
            .resume_from_reserve(kept)
            .build()
            .unwrap();
        assert!(turning.tick().unwrap().to_bits() > largest, "H9");
        let turned = run(&turning, load);
        turned.assert_done("stamps", Striping::OnContention, &load);
    });
}

fn hybrid(
    scripted: &Scripted,
    settings: fn(HybridClockBuilder) -> HybridClockBuilder,
) -> HybridClock {
    let builder = HybridClock::builder(scripted.clock.clone()).striping(Striping::Always);
    settings(builder).build().unwrap()
}

fn best(scripted: &Scripted) -> Timestamp {
    scripted.clock.now().unwrap().midpoint()
}

/// The number within a unit: below 56 of stripes, which a clock on a scripted machine draws by threads.
fn within_unit(stamp: HlcTimestamp) -> u64 {
    stamp.to_bits() % 64
}

#[test]
fn h2_stripes_are_the_best_estimate_to_the_unit() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |builder| builder);
    let mut last = HlcTimestamp::MIN;
    for _ in 0..100 {
        scripted.machine.advance(Duration::from_nanos(700));
        let before = best(&scripted);
        let stamp = hlc.tick().unwrap();
        let after = best(&scripted);
        assert!(within_unit(stamp) < 56, "{stamp} is the word's");
        assert!(stamp > last && hlc.last() >= stamp);
        assert!(stamp.physical().unix_nanos() > before.unix_nanos() - 1_000);
        assert!(stamp.physical() <= after);
        last = stamp;
    }
}

#[test]
fn h1_stamps_grow_across_lines_that_lie_lower() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |builder| builder);
    let mut last = hlc.tick().unwrap();
    let mut stripes = 0;
    for beside in [900, -900, 300, -40_000, 20, 0] {
        scripted.claim(beside);
        for _ in 0..40 {
            scripted.machine.advance(micros(50));
            let stamp = hlc.tick().unwrap();
            assert!(stamp > last, "H1: {last}, then {stamp}");
            stripes += u32::from(within_unit(stamp) < 56);
            last = stamp;
        }
    }
    assert!(stripes > 40, "only {stripes}");
}

/// What was drawn is not forgotten while there is no line at all.
#[test]
fn h1_stamps_grow_through_a_void() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |builder| builder);
    scripted.claim(50_000);
    let before = hlc.tick().unwrap();
    assert!(within_unit(before) < 56);
    scripted.machine.suspend(secs(30));
    assert!(scripted.clock.now().is_err());
    let during = hlc.tick().unwrap();
    assert!(during > before, "H1: {before}, then {during}");
    assert!(hlc.last() >= during);
    let observed = hlc.observe(before).unwrap();
    assert!(observed > during);
}

/// A counter that stands still is waited for once, and then no more on its line.
#[test]
fn a_counter_that_stands_still_leaves_it_to_the_word() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |builder| builder);
    let before = hlc.tick().unwrap();
    scripted.machine.freeze_counter();
    let mut last = before;
    for _ in 0..10 {
        let stamp = hlc.tick().unwrap();
        assert!(stamp > last, "{last}, then {stamp}");
        last = stamp;
    }
}

/// The guard refuses a line that jumped, and what it refused leads no stamp ahead afterwards.
#[test]
fn a_line_that_jumped_ahead_is_refused_and_leads_no_stamp_ahead() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |b| {
        b.forward_limit(ForwardLimit::Jump(millis(10)))
    });
    let mut before = hlc.tick().unwrap();
    for _ in 0..3 {
        scripted.claim(40_000);
        for _ in 0..3 {
            scripted.machine.advance(micros(300));
            let refused = hlc.tick();
            assert!(
                matches!(refused, Err(HlcError::ForwardJump { .. })),
                "{refused:?}"
            );
        }
        scripted.claim(0);
        // Until the earliest end that was promised (T3) no longer holds the middle up.
        scripted.machine.advance(millis(50));
        let stamp = hlc.tick().unwrap();
        assert!(stamp > before);
        assert!(stamp.physical() <= best(&scripted), "{stamp} is ahead");
        before = stamp;
    }
    // Accepted, it is followed, by stripes too.
    scripted.claim(40_000);
    assert!(hlc.tick().is_err());
    hlc.accept_jump();
    scripted.machine.advance(millis(1));
    // The first one finds that the counter is due to be checked, and leaves it to the word.
    let _ = hlc.tick().unwrap();
    let stamp = hlc.tick().unwrap();
    assert!(within_unit(stamp) < 56);
    assert!(stamp.physical().unix_nanos() > best(&scripted).unix_nanos() - 2_000);
}

/// A counter that jumped ahead, by an hour, says nothing of how far stripes were drawn: raw time does.
#[test]
fn a_counter_that_jumped_leads_no_stamp_ahead() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = hybrid(&scripted, |builder| builder);
    let before = hlc.tick().unwrap();
    assert!(within_unit(before) < 56);
    scripted.machine.jump_counter(3_600_000 * 2_500_000);
    for _ in 0..5 {
        scripted.machine.advance(micros(100));
        let stamp = hlc.tick().unwrap();
        assert!(stamp > before);
        let real = scripted.machine.true_time().unix_nanos();
        let ahead = stamp.physical().unix_nanos() - real;
        assert!(ahead < 110_000_000, "{ahead} ns ahead");
    }
}

/// By default nothing changes: the word takes every number, one after the other.
#[test]
fn one_thread_stays_with_the_word() {
    let scripted = Scripted::new(|builder| builder);
    let hlc = HybridClock::new(scripted.clock.clone());
    scripted.machine.set_read_cost(Duration::ZERO);
    let first = hlc.tick().unwrap();
    let second = hlc.tick().unwrap();
    assert_eq!(second.to_bits(), first.to_bits() + 1);
    assert_eq!(hlc.last(), second);
}
