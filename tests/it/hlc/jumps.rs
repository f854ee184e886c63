//! The forward-jump guard: what is a jump, and what is only time that passed.

use super::*;
use epsilon_clock::hlc::{ForwardLimit, HlcError};

/// Asserts a jump by about so much; what it was.
#[track_caller]
fn assert_jump<T: std::fmt::Debug>(result: Result<T, HlcError>, about: Duration) {
    match result {
        Err(HlcError::ForwardJump { by, limit, .. }) => {
            assert!(by > limit);
            // What drift may explain is taken off.
            assert!(by <= about && about - by < secs(2), "{by:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_set_an_hour_ahead_takes_no_stamp_along_and_says_so() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    let before = hlc.tick().unwrap();
    machine.set_date(delta(3_600_000));
    for _ in 0..3 {
        assert_jump(hlc.tick(), HOUR);
        assert_jump(hlc.observe(before), HOUR);
        assert_jump(hlc.refill_reserve(), HOUR);
        assert_eq!(hlc.last(), before);
        machine.advance(millis(100));
    }
    let message = hlc.tick().unwrap_err().to_string();
    assert!(
        message.contains("accept_jump") && message.contains("1s"),
        "{message}"
    );
    // Set right again, it goes on as if nothing had been.
    machine.set_date(delta(-3_600_000));
    assert_eq!(hlc.tick().unwrap(), stamp(machine.real_time(), 0));
}

#[test]
fn an_accepted_jump_is_followed() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    machine.set_date(delta(3_600_000));
    assert_jump(hlc.tick(), HOUR);
    hlc.accept_jump();
    assert_eq!(hlc.tick().unwrap(), stamp(machine.real_time(), 0));
    machine.advance(millis(1));
    assert!(hlc.tick().is_ok());
}

#[test]
fn the_limit_is_a_limit() {
    for (millis_ahead, jumps) in [(1_000, false), (1_001, true)] {
        let (machine, clock) = unvouched();
        let hlc = HybridClock::new(clock); // by default twice 500 ms
        hlc.tick().unwrap();
        machine.set_date(delta(millis_ahead));
        assert_eq!(hlc.tick().is_err(), jumps, "{millis_ahead} ms");
    }
    let (machine, clock) = unvouched();
    let wide = HybridClock::builder(clock.clone())
        .forward_limit(ForwardLimit::Jump(2 * HOUR))
        .build()
        .unwrap();
    let free = HybridClock::builder(clock)
        .forward_limit(ForwardLimit::Unchecked)
        .build()
        .unwrap();
    machine.set_date(delta(3_600_000));
    assert!(wide.tick().is_ok());
    assert!(free.tick().is_ok());
    machine.set_date(delta(3 * 3_600_000));
    assert_jump(wide.tick(), 3 * HOUR);
    assert_eq!(free.tick().unwrap(), stamp(machine.real_time(), 0));
}

#[test]
fn a_jump_that_no_vouched_interval_makes_is_none() {
    // Real time is an hour ahead, and the claim knows better.
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock.clone());
    machine.step(delta(3_600_000));
    machine.advance(secs(1));
    assert!(hlc.tick().is_ok());
    // With the claim gone, real time is all there is.
    machine.advance(2 * HOUR);
    assert!(clock.now().is_err());
    assert_jump(hlc.tick(), HOUR);
}

/// An hour without a stamp, with the worst oscillator there may be: time passed, nothing jumped.
#[test]
fn idling_is_no_jump() {
    for ppb in [-200_000, 0, 200_000] {
        let (machine, clock) = unvouched();
        machine.set_drift_ppb(ppb);
        let hlc = HybridClock::new(clock);
        for idle in [HOUR, 24 * HOUR, 240 * HOUR] {
            machine.advance(idle);
            assert_eq!(hlc.tick().unwrap(), stamp(machine.real_time(), 0));
        }
        machine.set_date(delta(3_600_000));
        assert!(hlc.tick().is_err());
    }
}

#[test]
fn a_suspend_is_no_jump() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    hlc.tick().unwrap();
    machine.suspend(10 * HOUR);
    assert_eq!(hlc.tick().unwrap(), stamp(machine.real_time(), 0));
    machine.set_date(delta(3_600_000));
    assert_jump(hlc.tick(), HOUR);
}

/// A suspend between any two of the readings that one tick makes: no false alarm then or later, and
/// a true one still.
#[test]
fn a_suspend_in_the_middle_of_a_tick_is_no_jump() {
    for read in 0..60 {
        let (machine, clock) = unvouched();
        machine.set_read_cost(Duration::from_nanos(20));
        let hlc = HybridClock::new(clock);
        hlc.tick().unwrap();
        // Something to look into, so that all clocks are read.
        machine.set_date(delta(800));
        machine.before_read(read, |machine| machine.suspend(HOUR));
        hlc.tick().unwrap();
        machine.forget_hooks();
        for _ in 0..3 {
            machine.advance(millis(20));
            hlc.tick().unwrap();
        }
    }
}

/// A slew, as fast as chrony makes one, is followed while somebody asks for stamps; left running for
/// an hour in which nobody does, it has made the clock wrong by five minutes.
#[test]
fn a_slew_is_no_jump_unless_nobody_watched() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    machine.set_slew_ppb(83_333_000);
    for _ in 0..60 {
        machine.advance(secs(1));
        hlc.tick().unwrap();
    }
    machine.advance(HOUR);
    assert_jump(hlc.tick(), secs(300));
}

/// Stamps that are ahead of the clock already are pushed by what lies beyond them alone.
#[test]
fn a_jump_up_to_where_the_stamps_are_is_none() {
    let (machine, clock) = unvouched();
    let floor = stamp(machine.real_time().saturating_add(HOUR), 0);
    let hlc = HybridClock::builder(clock)
        .resume_from(floor)
        .build()
        .unwrap();
    machine.set_date(delta(3_600_000));
    assert!(hlc.tick().is_ok());
    machine.set_date(delta(2_000));
    assert_jump(hlc.tick(), secs(2));
}

/// A vouched clock whose server is suddenly wrong by an hour, and says so with conviction.
#[test]
fn a_source_that_jumps_takes_no_stamp_along() {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(1))));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    let hlc = HybridClock::new(clock.clone());
    let before = hlc.tick().unwrap();
    // Two claims an hour ahead that agree with each other.
    for _ in 0..2 {
        let truth = machine.truth(millis(1));
        let middle = machine.true_time().saturating_add(HOUR);
        let interval = Interval::around(middle, millis(1)).unwrap();
        let mut sync = truth;
        sync.claim =
            epsilon_clock::time::Claim::new(truth.claim.raw(), interval, truth.claim.rate());
        source.push(Finding::Write(sync));
        let _ = clock.look();
    }
    if clock.now().is_ok() {
        assert_jump(hlc.tick(), HOUR);
        assert_eq!(hlc.last(), before);
    } else {
        panic!("the clock itself did not believe two claims that agree");
    }
}
