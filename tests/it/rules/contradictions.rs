//! Claims that cannot both be true.

use std::time::Duration;

use epsilon_clock::source::Finding;
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::{ClockError, ClockState};

use super::{
    claim, micros, millis, read_truly, run_truly, secs, sync_claim, synchronized, write_honestly,
};

#[test]
fn a_false_max_drift_is_found_by_the_first_write_a_minute_after_the_first() {
    for sign in [1, -1] {
        let machine = ScriptedMachine::default();
        // The oscillator is off by 150 ppm, and the daemon makes up for it.
        machine.set_drift_ppb(sign * 150_000);
        machine.set_slew_ppb(sign * 150_000);
        let clock = machine.builder().max_drift_ppb(50_000).build().unwrap();
        let mut elapsed = 0;
        let poll = |elapsed: &mut u64| {
            machine.advance(millis(3_710));
            write_honestly(&machine, i64::try_from(31 + *elapsed % 7).unwrap());
            machine.advance(millis(300));
            let now = clock.now();
            *elapsed += 4;
            now
        };
        // Writes come at 4, 8, … s: neighbours leave room for any rate.
        while elapsed < 60 {
            assert!(poll(&mut elapsed).is_ok(), "{elapsed}");
        }
        let Err(ClockError::Contradicted { from, by }) = poll(&mut elapsed) else {
            panic!("not contradicted at {elapsed}");
        };
        assert_eq!(elapsed, 64);
        assert_eq!(from, "kernel");
        // A minute at 100 ppm too fast is 6 ms, less both claims' widths.
        assert!((millis(4)..millis(6)).contains(&by), "{by:?}");
        // Neighbours agree all the time; it stays so, because the pairs do not.
        while elapsed < 300 {
            let now = poll(&mut elapsed);
            assert!(
                matches!(now, Err(ClockError::Contradicted { .. })),
                "{elapsed}"
            );
        }
        // Nor does a suspend make it good: the writes after it have to show it.
        machine.suspend(secs(1));
        let suspended = elapsed;
        while elapsed < suspended + 200 {
            let now = poll(&mut elapsed);
            assert!(now.is_err(), "{elapsed} {suspended} {now:?}");
        }
        // The oscillator comes back within its bounds: a pair a minute apart is inside again.
        machine.set_drift_ppb(sign * 20_000);
        machine.set_slew_ppb(sign * 20_000);
        let settled = elapsed;
        while poll(&mut elapsed).is_err() {
            assert!(elapsed < settled + 200);
        }
        assert!(elapsed >= settled + 40, "{elapsed} {settled}");
        read_truly(&machine, &clock).unwrap();
    }
}

fn one_source() -> (ScriptedMachine, ScriptedSource, epsilon_clock::Clock) {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(claim(&machine, 0, 2));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    clock.now().unwrap();
    (machine, source, clock)
}

#[test]
fn a_claim_replaces_and_is_never_intersected() {
    let (machine, source, clock) = one_source();
    source.push(claim(&machine, 3, 4));
    machine.advance(millis(1));
    let now = clock.look().unwrap();
    // The intersection would end at +2 ms; the claim in force ends at +7 ms.
    let latest = now.latest().abs_diff(machine.true_time());
    assert!(
        (micros(6_900)..micros(7_100)).contains(&latest),
        "{latest:?}"
    );
    source.push(claim(&machine, 0, 30));
    assert!(clock.look().unwrap().latest() > machine.true_time().saturating_add(millis(29)));
}

#[test]
fn two_claims_that_miss_each_other_are_an_error_until_two_in_a_row_agree() {
    let (machine, source, clock) = one_source();
    source.push(claim(&machine, 10, 2));
    let Err(ClockError::Contradicted { from, by }) = clock.look() else {
        panic!();
    };
    assert_eq!(from, "oracle");
    assert!((micros(5_900)..millis(6)).contains(&by), "{by:?}");
    // Nothing new: still an error, whoever asks and whichever way.
    clock.look().unwrap_err();
    clock
        .after(epsilon_clock::Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(clock.read().state, ClockState::Unavailable);
    // One claim that disagrees with the last one again, and one that agrees with that one.
    source.push(claim(&machine, 0, 2));
    clock.look().unwrap_err();
    source.push(claim(&machine, 1, 2));
    read_truly(&machine, &clock).unwrap_err();
    clock.look().unwrap();
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().counters.contradictions, 2);
}

#[test]
fn a_contradiction_lets_the_next_claim_start_below_what_was_promised() {
    let (machine, source, clock) = one_source();
    // All of this was false: 10 s ahead.
    source.push(claim(&machine, 10_000, 2));
    clock.look().unwrap_err();
    source.push(claim(&machine, 10_000, 2));
    let wrong = clock.look().unwrap();
    source.push(claim(&machine, 0, 2));
    clock.look().unwrap_err();
    source.push(claim(&machine, 0, 2));
    let right = clock.look().unwrap();
    assert!(right.latest() < wrong.earliest());
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_floor_above_the_new_latest_end_is_a_contradiction_and_dropped() {
    let (machine, source, clock) = one_source();
    machine.set_read_cost(Duration::ZERO);
    // Promised: past is what lies 2 ms back. A wide claim does not take that back …
    source.push(claim(&machine, -14, 15));
    let floor = clock.look().unwrap().earliest();
    // … and one that agrees with the wide claim, but not with the promise, is found out.
    source.push(claim(&machine, -15, 10));
    let Err(ClockError::Contradicted { by, from }) = clock.look() else {
        panic!();
    };
    assert_eq!(from, "oracle");
    assert!((micros(2_990)..micros(3_010)).contains(&by), "{by:?}");
    source.push(claim(&machine, -15, 10));
    let settled = clock.look();
    source.push(claim(&machine, -15, 10));
    let settled = settled.or_else(|_| clock.look()).unwrap();
    assert!(settled.earliest() < floor, "the floor is gone");
}

fn two_sources() -> (ScriptedMachine, [ScriptedSource; 2], epsilon_clock::Clock) {
    let machine = ScriptedMachine::default();
    let sources = [
        ScriptedSource::new("oracle"),
        ScriptedSource::new("sundial"),
    ];
    sources[0].push(claim(&machine, 0, 2));
    sources[1].push(claim(&machine, 0, 20));
    let clock = machine
        .builder()
        .source(sources[0].clone())
        .source(sources[1].clone())
        .build()
        .unwrap();
    (machine, sources, clock)
}

#[test]
fn of_two_sources_the_narrowest_serves() {
    let (machine, [oracle, sundial], clock) = two_sources();
    assert_eq!(clock.status().source, Some("oracle"));
    sundial.push(claim(&machine, 0, 1));
    clock.look().unwrap();
    assert_eq!(clock.status().source, Some("sundial"));
    assert!(clock.now().unwrap().epsilon() < millis(2));
    // Narrower by age: the fresh wide one beats a narrow old one in the end.
    machine.advance(secs(60));
    oracle.push(claim(&machine, 0, 3));
    clock.look().unwrap();
    assert_eq!(clock.status().source, Some("oracle"));
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn two_sources_that_disagree_are_an_error_until_they_agree() {
    let (machine, [oracle, sundial], clock) = two_sources();
    sundial.push(claim(&machine, 10, 2));
    let Err(ClockError::Contradicted { from, by }) = clock.look() else {
        panic!();
    };
    assert!(["oracle", "sundial"].contains(&from));
    assert!((micros(5_900)..millis(6)).contains(&by), "{by:?}");
    assert!(clock.now().unwrap_err().to_string().contains(from));
    // Each says the same again: still they disagree.
    for _ in 0..3 {
        oracle.push(claim(&machine, 0, 2));
        sundial.push(claim(&machine, 10, 2));
        clock.look().unwrap_err();
    }
    // The sundial is put right; both have to say the same thing twice.
    let mut looks = 0;
    while clock.now().is_err() {
        looks += 1;
        assert!(looks < 4);
        machine.advance(millis(300));
        oracle.push(claim(&machine, 0, 2));
        sundial.push(claim(&machine, 0, 2));
        let _ = clock.look();
    }
    assert!(looks >= 2);
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn each_source_has_to_speak_again_before_a_contradiction_is_over() {
    let (machine, [oracle, sundial], clock) = two_sources();
    oracle.push(claim(&machine, 0, 2));
    clock.look().unwrap();
    // At odds with the oracle, though not with what it said itself.
    sundial.push(claim(&machine, 15, 2));
    assert!(matches!(clock.look(), Err(ClockError::Contradicted { .. })));
    sundial.push(claim(&machine, 0, 20));
    clock.look().unwrap_err();
    sundial.push(claim(&machine, 0, 20));
    clock.look().unwrap_err();
    oracle.push(claim(&machine, 0, 2));
    clock.look().unwrap();
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn a_source_that_no_longer_vouches_does_not_hold_up_the_others() {
    let (machine, [oracle, sundial], clock) = two_sources();
    sundial.push(claim(&machine, 10, 2));
    clock.look().unwrap_err();
    let refusal = epsilon_clock::source::Refusal::Unsynchronized {
        maxerror_us: 16_000_000,
    };
    for _ in 0..3 {
        sundial.push(Finding::Refused(refusal));
        oracle.push(claim(&machine, 0, 2));
        let _ = clock.look();
    }
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().source, Some("oracle"));
}

#[test]
fn an_inherited_claim_that_the_first_write_excludes_is_a_contradiction() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Inherited(sync_claim(&machine, 100, 5)));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    assert_eq!(clock.status().state, ClockState::Inherited);
    source.push(claim(&machine, 0, 5));
    assert!(matches!(clock.look(), Err(ClockError::Contradicted { .. })));
    source.push(claim(&machine, 0, 5));
    clock.look().unwrap();
    read_truly(&machine, &clock).unwrap();
}

#[test]
fn writes_that_agree_never_contradict_for_hours() {
    let (machine, clock) = synchronized();
    machine.set_drift_ppb(-180_000);
    machine.set_slew_ppb(-180_000);
    for round in 0..500 {
        machine.advance(secs(15));
        write_honestly(&machine, 3 + round % 400);
        assert_eq!(run_truly(&machine, &clock, millis(600), millis(300)), 2);
    }
    assert_eq!(clock.status().counters.contradictions, 0);
}
