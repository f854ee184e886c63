//! Stamps from a count that was read early, along a line on which no jump was found.

use super::*;
use crate::counting_script::Scripted;
use epsilon_clock::hlc::{ForwardLimit, HlcError};
use epsilon_clock::machine::NoCounter;

/// A clock whose lines go through counts, and a hybrid one that has found the line in force calm.
fn calm() -> (Scripted, HybridClock) {
    let scripted = Scripted::new(|builder| builder);
    let hlc = HybridClock::builder(scripted.clock.clone())
        .forward_limit(ForwardLimit::Jump(millis(10)))
        .build()
        .unwrap();
    hlc.tick().unwrap();
    (scripted, hlc)
}

fn reads_of(scripted: &Scripted, call: impl FnOnce()) -> u64 {
    let before = scripted.machine.reads();
    call();
    scripted.machine.reads() - before
}

#[test]
fn a_stamp_costs_one_read_on_a_calm_line_and_as_many_as_an_interval_on_a_new_one() {
    let (scripted, hlc) = calm();
    let tick = || assert!(hlc.tick().is_ok());
    let of_interval = reads_of(&scripted, || assert!(scripted.clock.now().is_ok()));
    assert_eq!(reads_of(&scripted, tick), 1);
    scripted.claim(5);
    // The early count came to nothing.
    assert_eq!(reads_of(&scripted, tick), 1 + of_interval);
    assert_eq!(reads_of(&scripted, tick), 1);
    let with_interval = || assert!(hlc.tick_with_interval().is_ok());
    assert_eq!(reads_of(&scripted, with_interval), of_interval);
}

/// What jumped is looked for at the first stamp of each line, and at each until it is accepted.
#[test]
fn a_line_that_jumped_is_refused_where_the_one_before_it_was_calm() {
    let (scripted, hlc) = calm();
    let before = hlc.tick().unwrap();
    scripted.claim(40_000);
    for _ in 0..3 {
        assert!(matches!(hlc.tick(), Err(HlcError::ForwardJump { .. })));
        let observed = hlc.observe(before);
        assert!(matches!(observed, Err(HlcError::ForwardJump { .. })));
    }
    assert_eq!(hlc.last(), before);
    hlc.accept_jump();
    assert!(hlc.tick().unwrap() > before);
}

#[test]
fn h3_a_stamp_of_the_very_microsecond_is_merged_with_what_is_known_early() {
    let (scripted, hlc) = calm();
    scripted.machine.set_read_cost(Duration::ZERO);
    scripted.machine.advance(Duration::from_micros(100));
    let best = scripted.clock.now().unwrap().midpoint();
    let remote = RemoteTimestamp::from_bits(stamp(best, 5).to_bits());
    assert_eq!(
        reads_of(&scripted, || {
            let merged = hlc.observe(remote).unwrap();
            assert_eq!(merged.to_bits(), remote.to_bits() + 1);
        }),
        1
    );
}

#[test]
fn h6_a_remote_ahead_of_what_is_known_early_is_checked() {
    let (scripted, hlc) = calm();
    let best = scripted.clock.now().unwrap().midpoint();
    let ahead = RemoteTimestamp::from_bits(stamp(best.saturating_add(HOUR), 0).to_bits());
    let last = hlc.last();
    let refused = hlc.observe(ahead);
    assert!(
        matches!(refused, Err(HlcError::TooFarAhead { .. })),
        "{refused:?}"
    );
    assert_eq!(hlc.last(), last);
}

/// A counter that shows about what raw time does, of which it is left 0.5 s ahead.
#[test]
fn h2_no_count_is_taken_for_raw_time_once_the_counter_was_left() {
    let machine = ScriptedMachine::default();
    machine.set_counter(Ok(()));
    // It moves by 2.5 counts a nanosecond.
    let (rounds, each) = (7, 300_000_000);
    machine.reset_counter(machine.raw_time() + 500_000_000 - rounds * each * 3 / 2);
    let source = ScriptedSource::new("oracle");
    let clock = machine.builder().source(source.clone()).build().unwrap();
    for _ in 0..rounds {
        machine.advance(Duration::from_nanos(each.unsigned_abs()));
        source.push(Finding::Write(machine.truth(millis(100))));
        clock.look().unwrap();
    }
    assert_ne!(clock.status().path.as_str(), "vdso");
    clock.now().unwrap();
    machine.set_counter(Err(NoCounter::OtherClocksource));
    clock.look().unwrap();
    assert_eq!(clock.status().path.as_str(), "vdso");
    let hlc = HybridClock::new(clock.clone());
    let mut last = hlc.tick().unwrap();
    for _ in 0..3 {
        machine.advance(Duration::from_micros(100));
        let next = hlc.tick().unwrap();
        assert!(next > last);
        assert!(next.physical() <= clock.now().unwrap().midpoint());
        last = next;
    }
}
