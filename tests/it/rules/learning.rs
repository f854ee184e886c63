//! What the daemon's writes teach about the oscillator, and what makes the clock forget it.

use std::time::Duration;

use epsilon_clock::clock::DriftLearning;
use epsilon_clock::source::{ChronyRefusal, Finding, Refusal};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::{LeapKind, LearnedRate};
use epsilon_clock::{Clock, ClockError, ClockState, TimeDelta};

use super::{claim, delta_millis, millis, read_truly, run_truly, secs, sync_claim, write_honestly};

/// A poll of 64 s that ends with an honest write of half a millisecond or so, every reading true.
fn poll(machine: &ScriptedMachine, clock: &Clock) {
    run_truly(machine, clock, secs(63), secs(7));
    machine.advance(millis(700));
    write_honestly(machine, 503);
    run_truly(machine, clock, millis(300), millis(100));
}

/// Makes the oscillator run so many ppb slow, and the daemon make up for it.
fn run_slow(machine: &ScriptedMachine, ppb: i32) {
    machine.set_drift_ppb(ppb);
    machine.set_slew_ppb(ppb);
}

/// A machine that runs so many ppb slow, and a clock that has seen so many writes 64 s apart.
fn taught(ppb: i32, polls: u32) -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    run_slow(&machine, ppb);
    let clock = machine.clock().unwrap();
    for _ in 0..polls {
        poll(&machine, &clock);
    }
    (machine, clock)
}

fn learned(clock: &Clock) -> LearnedRate {
    clock.status().learned.expect("something learned")
}

/// By how much epsilon grows in so long, with every reading true.
fn growth(machine: &ScriptedMachine, clock: &Clock, span: Duration) -> Duration {
    let before = clock.now().unwrap().epsilon();
    run_truly(machine, clock, span, millis(900));
    clock.now().unwrap().epsilon() - before
}

#[test]
fn two_writes_a_minute_apart_teach_and_more_of_them_teach_more() {
    for ppb in [-120_000, 0, 30_000, 149_000] {
        let (_, clock) = taught(ppb, 1);
        assert_eq!(clock.status().learned, None);
        let (machine, clock) = taught(ppb, 2);
        let first = learned(&clock);
        assert!((secs(60)..secs(66)).contains(&first.window), "{first:?}");
        assert!(first.claims <= 2, "{first:?}");
        for _ in 0..40 {
            poll(&machine, &clock);
            let bounds = learned(&clock).bounds;
            assert!(
                (bounds.lo_ppb()..=bounds.hi_ppb()).contains(&ppb),
                "{bounds:?}"
            );
        }
        let LearnedRate {
            bounds,
            window,
            claims,
            ..
        } = learned(&clock);
        assert!((secs(1_700)..=secs(2_000)).contains(&window), "{window:?}");
        assert!(claims >= 13, "{claims}");
        // 50 ppm either way, and what claims of 0.7 ms leave open over half an hour.
        assert!(bounds.lo_ppb() > (ppb - 51_500).max(-200_001), "{bounds:?}");
        assert!(bounds.hi_ppb() < (ppb + 51_500).min(200_001), "{bounds:?}");
        assert_eq!(clock.status().counters.rate_resets, 0);
    }
}

#[test]
fn epsilon_grows_by_what_was_learned_and_the_terms_say_so() {
    let (machine, clock) = taught(40_000, 20);
    let grown = growth(&machine, &clock, secs(60));
    assert!(
        (Duration::from_micros(3_000)..Duration::from_micros(3_150)).contains(&grown),
        "{grown:?}"
    );
    let status = clock.status();
    let epsilon = status.interval.unwrap().epsilon();
    let total = status.bound.unwrap().total();
    assert!(
        total >= epsilon && total <= epsilon + Duration::from_nanos(3),
        "{total:?} {epsilon:?}"
    );
}

#[test]
fn without_learning_it_grows_by_max_drift() {
    let machine = ScriptedMachine::default();
    let clock = machine
        .builder()
        .drift_learning(DriftLearning::Off)
        .build()
        .unwrap();
    for _ in 0..20 {
        poll(&machine, &clock);
    }
    assert_eq!(clock.status().learned, None);
    let grown = growth(&machine, &clock, secs(60));
    assert!((millis(12)..millis(13)).contains(&grown), "{grown:?}");
}

#[test]
fn what_was_inherited_teaches_nothing() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(503);
    let clock = machine.clock().unwrap();
    assert_eq!(clock.status().state, ClockState::Inherited);
    poll(&machine, &clock);
    poll(&machine, &clock);
    // The pair is that of the two writes, 64 s apart, and not the 128 s since the clock was built.
    assert!(learned(&clock).window < secs(66));
}

#[test]
fn no_poll_is_too_long_for_the_window_up_to_1024_s() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    for _ in 0..3 {
        run_truly(&machine, &clock, secs(1_024), secs(40));
        write_honestly(&machine, 503);
        run_truly(&machine, &clock, millis(300), millis(100));
    }
    let bounds = learned(&clock).bounds;
    assert!(
        bounds.hi_ppb() < 60_000 && bounds.lo_ppb() > -60_000,
        "{bounds:?}"
    );
}

#[test]
fn a_suspend_makes_it_forget() {
    let (machine, clock) = taught(40_000, 10);
    machine.suspend(secs(30));
    assert!(clock.now().is_err());
    assert_eq!(clock.status().learned, None);
    assert_eq!(clock.status().counters.rate_resets, 1);
    poll(&machine, &clock);
    assert_eq!(clock.status().learned, None);
    poll(&machine, &clock);
    assert!(clock.status().learned.is_some());
    assert_eq!(clock.status().counters.rate_resets, 1);
}

#[test]
fn a_step_teaches_and_forgets_nothing() {
    let (machine, clock) = taught(40_000, 10);
    let before = learned(&clock);
    machine.step(delta_millis(5_000));
    run_truly(&machine, &clock, secs(2), millis(100));
    assert_eq!(learned(&clock), before);
    machine.step(delta_millis(-5_000));
    poll(&machine, &clock);
    poll(&machine, &clock);
    assert!(learned(&clock).window > before.window);
    assert_eq!(clock.status().counters.contradictions, 0);
}

#[test]
fn another_clock_source_makes_it_forget_in_the_claim_in_force_too() {
    let (machine, clock) = taught(40_000, 10);
    let learned_growth = growth(&machine, &clock, secs(10));
    machine.set_clocksource(2);
    // It runs at quite another rate, outside of the band that was learned.
    run_slow(&machine, -190_000);
    machine.advance(millis(260));
    read_truly(&machine, &clock).unwrap();
    assert_eq!(clock.status().learned, None);
    assert_eq!(clock.status().counters.rate_resets, 1);
    assert!(growth(&machine, &clock, secs(10)) > 3 * learned_growth);
    // Each reading is true, and nothing contradicts anything.
    for _ in 0..4 {
        poll(&machine, &clock);
    }
    assert!(clock.status().learned.is_some());
    assert_eq!(clock.status().counters.contradictions, 0);
    assert_eq!(clock.status().counters.rate_resets, 1);
}

#[test]
fn wander_beyond_the_band_is_a_contradiction_and_forgotten() {
    for to in [140_000, -60_000] {
        let (machine, clock) = taught(40_000, 30);
        run_slow(&machine, to);
        let mut noticed = None;
        for poll in 0..10 {
            machine.advance(secs(63));
            write_honestly(&machine, 503);
            machine.advance(millis(300));
            if let Err(error) = clock.now() {
                assert!(matches!(error, ClockError::Contradicted { .. }), "{error}");
                noticed = noticed.or(Some(poll));
                assert_eq!(clock.status().learned, None);
            }
        }
        // 50 ppm outside the band make 3 ms in a poll, three times what the claims leave open.
        assert_eq!(noticed, Some(0), "to {to}");
        // From ±max_drift it learns anew, and answers.
        assert!(clock.now().is_ok());
        let bounds = learned(&clock).bounds;
        assert!(
            (bounds.lo_ppb()..=bounds.hi_ppb()).contains(&to),
            "{bounds:?}"
        );
        run_truly(&machine, &clock, secs(60), millis(700));
    }
}

#[test]
fn wander_within_the_band_is_none_of_its_business() {
    let (machine, clock) = taught(0, 1);
    for edge in [0, 50_000, 0, 50_000, 50_000, 0] {
        run_slow(&machine, edge);
        for _ in 0..7 {
            poll(&machine, &clock);
        }
    }
    // Holdover at the other edge, for as long as a claim is used.
    for edge in [0, 50_000] {
        run_slow(&machine, edge);
        run_truly(&machine, &clock, secs(1_700), secs(11));
    }
    assert_eq!(clock.status().counters.contradictions, 0);
    assert!(clock.now().is_ok());
}

#[test]
fn any_contradiction_makes_it_forget() {
    let (machine, clock) = taught(40_000, 10);
    // A bound that is false by 80 ms, on a clock that was slewed there.
    let slew_by_80_ms = |sign: i32| {
        machine.set_slew_ppb(40_000 + sign * 80_000_000);
        run_truly(&machine, &clock, secs(1), millis(250));
        machine.set_slew_ppb(40_000);
    };
    slew_by_80_ms(1);
    run_truly(&machine, &clock, secs(30), secs(1));
    machine.write_maxerror(777);
    machine.advance(millis(300));
    let now = clock.now();
    assert!(
        matches!(now, Err(ClockError::Contradicted { .. })),
        "{now:?}"
    );
    assert_eq!(clock.status().learned, None);
    assert_eq!(clock.status().counters.rate_resets, 1);
    // It ends with the second write that agrees with the one before, and only what comes after it is
    // learned from: two writes make a pair.
    slew_by_80_ms(-1);
    for _ in 0..4 {
        poll(&machine, &clock);
    }
    assert!(clock.now().is_ok());
    assert!(learned(&clock).window < secs(66), "{:?}", clock.status());
}

#[test]
fn a_leap_second_shifts_what_is_remembered() {
    for kind in [LeapKind::Inserted, LeapKind::Deleted] {
        let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
        let machine = ScriptedMachine::new(midnight.checked_sub(secs(64 * 5 + 20)).unwrap());
        run_slow(&machine, 40_000);
        machine.schedule_leap(kind);
        let clock = machine.clock().unwrap();
        for number in 0..5 {
            // The kernel hears of it when half of them are on record already.
            if number == 3 {
                machine.announce_leap(kind);
            }
            poll(&machine, &clock);
        }
        let before = learned(&clock);
        for _ in 0..3 {
            poll(&machine, &clock);
        }
        let after = learned(&clock);
        assert!(after.window > before.window + secs(100), "{after:?}");
        assert!((after.bounds.lo_ppb()..=after.bounds.hi_ppb()).contains(&40_000));
        assert!(after.bounds.hi_ppb() < 40_000 + 54_000, "{after:?}");
        assert_eq!(clock.status().counters.contradictions, 0);
        assert_eq!(clock.status().counters.rate_resets, 0);
    }
}

#[test]
fn raw_time_that_runs_backwards_makes_it_forget() {
    let (machine, clock) = taught(40_000, 10);
    machine.jump_raw(TimeDelta::from_nanos(-1_000_000_000));
    assert!(clock.now().is_err());
    assert_eq!(clock.status().learned, None);
    assert_eq!(clock.status().counters.rate_resets, 1);
}

/// A claim older than `max_age` answers nobody, so what it had "reached" since is no floor: the
/// learned rate that it is carried with is assumed (A1) until `max_age` only.
#[test]
fn a_claim_past_max_age_puts_no_false_floor_under_the_next() {
    let mut wrong = Vec::new();
    for beyond in (20..80).step_by(1) {
        let (machine, clock) = taught(0, 20);
        // Within the band [-50 ppm, 0] for all of max_age; the process sleeps.
        run_slow(&machine, -49_000);
        machine.advance(secs(3_601));
        // A1's second half is over, the first half holds: -200 ppm.
        run_slow(&machine, -199_000);
        machine.advance(secs(beyond));
        write_honestly(&machine, 703);
        let before = machine.true_time();
        if let Ok(now) = clock.now()
            && now.earliest() > machine.true_time()
        {
            wrong.push((beyond, now.earliest().abs_diff(before)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Nor does a claim older than `max_age` contradict anything at the learned rate.
#[test]
fn a_claim_past_max_age_contradicts_nothing_at_the_learned_rate() {
    let (machine, clock) = taught(0, 20);
    machine.advance(secs(3_601));
    run_slow(&machine, 150_000);
    machine.advance(secs(2_500));
    write_honestly(&machine, 703);
    machine.advance(millis(300));
    let now = clock.now();
    assert!(
        !matches!(now, Err(ClockError::Contradicted { .. })),
        "{now:?}"
    );
}

/// A source that lies within another's interval, now near its upper edge and later below its middle, proves a
/// rate that is 21 ppm too low at the least, allowance included.
#[test]
fn r7_what_one_source_teaches_narrows_no_other_sources_claims() {
    let machine = ScriptedMachine::default();
    let (daemon, liar) = (ScriptedSource::new("daemon"), ScriptedSource::new("liar"));
    let builder = machine
        .builder()
        .source(daemon.clone())
        .source(liar.clone());
    let clock = builder.build().unwrap();
    let refused = Finding::Refused(Refusal::Chrony(ChronyRefusal::NoAnswer));
    for by_us in [7_500, -3_000] {
        daemon.push(claim(&machine, 0, 8));
        let middle = machine.true_time().unix_nanos() + by_us * 1_000;
        let mut lie = sync_claim(&machine, 0, 1);
        let at = |by: i64| epsilon_clock::Timestamp::from_unix_nanos(middle + by);
        let interval = epsilon_clock::Interval::new(at(-300_000), at(300_000)).unwrap();
        let rate = lie.claim.rate();
        lie.claim = epsilon_clock::time::Claim::new(lie.claim.raw(), interval, rate);
        liar.push(Finding::Write(lie));
        clock.look().unwrap();
        machine.advance(secs(140));
    }
    daemon.push(claim(&machine, 0, 8));
    for _ in 0..100 {
        liar.push(refused);
        let now = clock.look().unwrap();
        assert_eq!(clock.status().source, Some("daemon"));
        assert!(now.contains(machine.true_time()), "{now}");
        machine.advance(secs(10));
    }
    assert_eq!(clock.status().counters.contradictions, 0);
}

/// What a source is told: the bounds in force for its own claims, and that they were forgotten.
#[test]
fn r5_a_look_is_told_what_was_learned_of_its_source_and_when_it_was_forgotten() {
    use std::sync::{Arc, Mutex};

    let machine = ScriptedMachine::default();
    let (one, other) = (ScriptedSource::new("one"), ScriptedSource::new("other"));
    let builder = machine.builder().source(one.clone()).source(other.clone());
    let clock = builder.build().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = |source: &ScriptedSource, finding: Finding| {
        let told = Arc::clone(&told);
        source.push_with(move |context| {
            told.lock()
                .unwrap()
                .push((context.rate, context.rate_serial));
            epsilon_clock::source::Look::new(finding)
        });
    };
    for _ in 0..4 {
        hear(&one, claim(&machine, 0, 1));
        other.push(Finding::Nothing);
        clock.look().unwrap();
        machine.advance(secs(64));
    }
    hear(&other, Finding::Nothing);
    let _ = clock.look();
    machine.suspend(millis(700));
    machine.advance(secs(1));
    let _ = clock.look();
    hear(&one, Finding::Nothing);
    let _ = clock.look();
    let told = told.lock().unwrap();
    let guess = told[0].0;
    assert_eq!(told[1].0, guess, "one write teaches nothing");
    assert!(told[3].0.hi_ppb() < guess.hi_ppb() && told[3].1 == told[0].1);
    assert_eq!(told[4].0, guess, "what another source taught");
    assert_eq!(told[5].0, guess);
    assert_ne!(told[5].1, told[0].1, "forgotten at the suspend");
}
