//! Lookers and readers that are stopped half-way while others go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use epsilon_clock::source::{Finding, Look};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::RateBounds;
use epsilon_clock::{Clock, ClockError, Disturbance, Interval};

use super::{claim, millis, read_truly, secs, synchronized, write_honestly};

/// How many readings a look and the reading after it take.
fn readings_of_a_look() -> u64 {
    let (machine, clock) = synchronized();
    let before = machine.reads();
    clock.look().unwrap();
    machine.reads() - before
}

#[test]
fn the_loser_of_the_look_after_a_suspend_does_not_answer_from_before() {
    for n in 0..=readings_of_a_look() {
        let (machine, clock) = synchronized();
        machine.advance(millis(300));
        let other = clock.clone();
        machine.before_read(n, move |machine| {
            machine.suspend(secs(3_600));
            // Another thread finds the suspend, looks, and knows.
            let found = other.now();
            assert!(
                matches!(found, Err(ClockError::Disturbed { .. })),
                "before reading {n}: {found:?}"
            );
        });
        let _ = read_truly(&machine, &clock);
        machine.forget_hooks();
        // Whatever the loser made of it, whoever asks from now on is told.
        let suspended = Disturbance::Suspended;
        assert_eq!(
            clock.now(),
            Err(ClockError::Disturbed { cause: suspended }),
            "before reading {n}"
        );
        let counters = clock.status().counters;
        assert_eq!((counters.suspends, counters.writes), (1, 1));
    }
}

#[test]
fn a_looker_that_outlives_its_right_and_wakes_up_changes_nothing() {
    let mut dropped = 0;
    for n in 0..readings_of_a_look() {
        let (machine, clock) = synchronized();
        let other = clock.clone();
        let meanwhile = Arc::new(Mutex::new(None));
        let status = Arc::clone(&meanwhile);
        machine.before_read(n, move |machine| {
            for round in 0..20 {
                machine.advance(millis(300));
                write_honestly(machine, 703 + round);
                machine.advance(millis(300));
                read_truly(machine, &other).unwrap();
            }
            *status.lock().unwrap() = Some(other.status());
        });
        let before = clock.status().counters;
        clock.look().unwrap();
        machine.forget_hooks();
        let meanwhile = meanwhile.lock().unwrap().unwrap();
        let after = clock.status();
        assert_eq!(
            after.counters.writes,
            before.writes + 20,
            "before reading {n}"
        );
        // The claim in force is still the one of the last write.
        assert_eq!(
            after.bound.unwrap().reported_ns,
            722_000,
            "before reading {n}"
        );
        assert!(after.age.unwrap() < meanwhile.age.unwrap() + millis(10));
        dropped += after.counters.looks_dropped - before.looks_dropped;
        read_truly(&machine, &clock).unwrap();
        // And what it believed it saw does not pass for a write later.
        machine.advance(secs(2));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().counters.writes, before.writes + 20);
    }
    assert!(dropped > 5, "{dropped}");
}

#[test]
fn lookers_that_never_come_back_leave_the_others_room() {
    // Seven slots are taken by lookers that stopped inside their look, one after the other, each in
    // a thread of its own; the clock goes on looking, or at least answering.
    let (machine, clock) = synchronized();
    let gate = Arc::new(Barrier::new(8));
    let arrived = Arc::new(Barrier::new(2));
    let mut threads = Vec::new();
    for _ in 0..7 {
        let (held, here) = (Arc::clone(&gate), Arc::clone(&arrived));
        machine.advance(millis(300));
        write_honestly(&machine, 1_009);
        // The last reading of a look is the one by which it closes the old claim, slot in hand.
        let closing = readings_of_a_look() - 3;
        machine.before_read(closing, move |_| {
            here.wait();
            held.wait();
        });
        let looker = clock.clone();
        threads.push(std::thread::spawn(move || looker.look()));
        arrived.wait();
        machine.advance(millis(300));
        write_honestly(&machine, 1_103);
        read_truly(&machine, &clock).unwrap();
    }
    for _ in 0..10 {
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
    }
    gate.wait();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    read_truly(&machine, &clock).unwrap();
    machine.advance(millis(300));
    write_honestly(&machine, 1_205);
    machine.advance(millis(300));
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().bound.unwrap().reported_ns, 1_205_000);
}

/// A clock with a scripted source that claims ±1 ms at first.
fn scripted() -> (ScriptedMachine, ScriptedSource, Clock) {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(claim(&machine, 0, 1));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    (machine, source, clock)
}

#[test]
fn a_reader_preempted_across_a_replacement_promises_nothing_that_is_denied_later() {
    for n in 0..16 {
        for pause in [millis(0), millis(100)] {
            let (machine, source, clock) = scripted();
            machine.advance(millis(20));
            let other = clock.clone();
            let seen = Arc::new(Mutex::new(Vec::<Interval>::new()));
            let readings = Arc::clone(&seen);
            machine.before_read(n, move |machine| {
                readings.lock().unwrap().push(other.now().unwrap());
                // A claim ten times as wide replaces the old one under the reader.
                source.push(claim(machine, 0, 10));
                readings.lock().unwrap().push(other.look().unwrap());
                machine.advance(pause);
                readings.lock().unwrap().push(other.now().unwrap());
            });
            let preempted = read_truly(&machine, &clock).unwrap();
            machine.forget_hooks();
            let next = read_truly(&machine, &clock).unwrap();
            assert!(
                next.earliest() >= preempted.earliest(),
                "before reading {n}: {} was past, and now is {}",
                preempted.earliest(),
                next.earliest()
            );
            for pair in seen.lock().unwrap().windows(2) {
                assert!(pair[1].earliest() >= pair[0].earliest());
            }
        }
    }
}

#[test]
fn a_reader_that_meets_a_replacement_half_done_is_held_and_not_kept_waiting() {
    // The looker is stopped at each of its readings; the reader that comes meanwhile learns
    // something, and the looker must not publish less than that.
    for n in 0..40 {
        let (machine, source, clock) = scripted();
        machine.advance(millis(20));
        source.push_with(|context| {
            let _ = context;
            epsilon_clock::source::Look::new(Finding::Nothing)
        });
        clock.look().unwrap();
        source.push(claim(&machine, 0, 10));
        let other = clock.clone();
        let learned = Arc::new(Mutex::new(None));
        let learning = Arc::clone(&learned);
        machine.before_read(n, move |machine| {
            machine.advance(millis(100));
            let first = read_truly(machine, &other).unwrap();
            machine.advance(millis(100));
            let second = read_truly(machine, &other).unwrap();
            assert!(second.earliest() >= first.earliest());
            *learning.lock().unwrap() = Some(second);
        });
        clock.look().unwrap();
        machine.forget_hooks();
        let next = read_truly(&machine, &clock).unwrap();
        if let Some(learned) = *learned.lock().unwrap() {
            assert!(next.earliest() >= learned.earliest(), "before reading {n}");
        }
    }
}

/// A looker is stopped before its reading `n`, and others read the clock twice, so far apart: whether the second
/// reading's earliest end is held where the first one's was, and whether it looks itself.
fn beside_a_stopped_looker(counts: bool, n: u64, apart: Duration) -> (bool, bool) {
    let machine = ScriptedMachine::default();
    if counts {
        machine.set_counter(Ok(()));
    }
    let source = ScriptedSource::new("oracle");
    let exact = || {
        let mut sync = machine.truth(millis(1));
        sync.claim = sync.claim.with_rate(RateBounds::symmetric(0));
        Finding::Write(sync)
    };
    source.push(exact());
    let clock = machine.builder().source(source.clone()).build().unwrap();
    for _ in 0..6 {
        machine.advance(millis(300));
        source.push(exact());
        clock.look().unwrap();
    }
    assert_eq!(clock.status().path.as_str() != "vdso", counts);
    machine.set_read_cost(Duration::ZERO);
    machine.advance(millis(20));
    source.push(exact());
    let (other, of_others) = (clock.clone(), source.clone());
    let found = Arc::new(Mutex::new((false, false)));
    let finding = Arc::clone(&found);
    machine.before_read(n, move |machine| {
        let asked = Arc::new(AtomicBool::new(false));
        let asking = Arc::clone(&asked);
        let first = read_truly(machine, &other).unwrap();
        of_others.push_with(move |_| {
            asking.store(true, Ordering::Relaxed);
            Look::new(Finding::Nothing)
        });
        machine.advance(apart);
        let second = read_truly(machine, &other).unwrap();
        let is_held = second.earliest() == first.earliest();
        *finding.lock().unwrap() = (is_held, asked.load(Ordering::Relaxed));
    });
    clock.look().unwrap();
    machine.forget_hooks();
    *found.lock().unwrap()
}

#[test]
fn a_claim_that_is_held_for_more_than_a_millisecond_was_left_and_a_reader_looks_itself() {
    let milli = millis(1);
    let held: Vec<u64> = (0..40)
        .filter(|n| beside_a_stopped_looker(false, *n, milli / 2).0)
        .collect();
    assert!(!held.is_empty());
    for n in held {
        let at_once = beside_a_stopped_looker(false, n, milli);
        assert_eq!(at_once, (true, false), "before reading {n}");
        let later = beside_a_stopped_looker(false, n, milli + Duration::from_nanos(1));
        assert_eq!(later, (false, true), "before reading {n}");
    }
}

#[test]
fn a_reader_that_meets_a_line_through_counts_half_replaced_is_held_and_answered() {
    let held = (0..100).filter(|n| beside_a_stopped_looker(true, *n, millis(1) / 2).0);
    assert!(held.count() > 0);
}

#[test]
fn a_wider_claim_keeps_the_floor_that_the_narrower_one_had_reached() {
    let (machine, source, clock) = scripted();
    machine.advance(millis(300));
    let reached = clock.now().unwrap();
    source.push(claim(&machine, 0, 50));
    let wide = clock.look().unwrap();
    // Flat: neither behind what was promised, nor moving on.
    assert!(wide.earliest() >= reached.earliest());
    machine.advance(millis(10));
    let still = clock.now().unwrap();
    assert_eq!(still.earliest(), wide.earliest());
    assert!(still.latest() > wide.latest());
    // Until the wide claim's own earliest end gets there.
    machine.advance(millis(60));
    let later = read_truly(&machine, &clock).unwrap();
    assert!(later.earliest() > wide.earliest());
    assert!(later.epsilon() > millis(50));
}

#[test]
fn the_right_to_look_goes_to_one_reader_at_a_time() {
    let (machine, source, clock) = scripted();
    let before = source.looks();
    machine.advance(millis(300));
    let other = clock.clone();
    source.push_with(move |_| {
        // Inside one reader's look, others read without looking.
        for _ in 0..100 {
            other.now().unwrap();
        }
        epsilon_clock::source::Look::new(Finding::Nothing)
    });
    clock.now().unwrap();
    assert_eq!(source.looks(), before + 1);
}

#[test]
fn t3_a_reader_that_sleeps_through_a_look_starts_anew() {
    let (machine, clock) = synchronized();
    let other = clock.clone();
    let (looked, reads) = mpsc::channel();
    machine.before_read(0, move |machine| {
        // It leaves the claim as it is; the one after it may not, and would not find this reader.
        other.look().unwrap();
        looked.send(machine.reads()).unwrap();
    });
    clock.now().unwrap();
    // Its own two clock reads, and two at least under the line that the look published.
    let after = machine.reads() - reads.recv().unwrap();
    assert!(after >= 4, "{after} clock reads");
}
