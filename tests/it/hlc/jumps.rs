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
fn a_jump_out_of_the_interval_is_refused() {
    // Real time is an hour ahead, and which of the two is wrong is not settled: no stamp goes along.
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock.clone());
    machine.step(delta(3_600_000));
    machine.advance(secs(1));
    assert_jump(hlc.tick(), HOUR);
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

// --- the first vouched time ---------------------------------------------------------------------

/// An RTC 2.5 s slow, a daemon that sets the clock: refused for ever once, until an operator accepted it.
#[test]
fn a_hybrid_clock_built_before_the_first_sync_goes_on_once_a_source_vouches() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let hlc = HybridClock::new(clock.clone());
    hlc.tick().unwrap();
    machine.advance(secs(4));
    machine.set_date(delta(2_500)); // chrony, `makestep 1 3`
    machine.advance(millis(50));
    // No source vouches for it yet.
    assert_jump(hlc.tick(), millis(2_500));
    machine.write_maxerror(20_003);
    machine.advance(millis(300));
    assert!(clock.now().is_ok());
    let stamp = hlc.tick().unwrap();
    assert!(clock.now().unwrap().contains(stamp.physical()));
    machine.advance(secs(60));
    assert!(hlc.tick().is_ok());
}

/// Passing to vouched happens once, also where the vouched time was no surprise: after that no jump is the
/// first true time, and no unvouched time either.
#[test]
fn once_vouched_for_no_later_jump_passes_for_the_first_sync() {
    for ticks_between in [0, 1, 100] {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(Duration::ZERO);
        let source = ScriptedSource::new("oracle");
        let clock = machine.builder().source(source.clone()).build().unwrap();
        let hlc = HybridClock::new(clock.clone());
        hlc.tick().unwrap();
        source.push(Finding::Write(machine.truth(millis(1))));
        clock.look().unwrap();
        hlc.tick().unwrap();
        for _ in 0..ticks_between {
            machine.advance(millis(10));
            hlc.tick().unwrap();
        }
        // Unvouched again, and the date is set an hour ahead.
        machine.suspend(secs(1));
        machine.set_date(delta(3_600_000));
        assert!(clock.now().is_err());
        assert_jump(hlc.tick(), HOUR);
        // A source that vouches for just that.
        let truth = machine.truth(millis(1));
        let ahead = machine.true_time().saturating_add(HOUR);
        let ends = Interval::around(ahead, millis(1)).unwrap();
        let mut wrong = truth;
        wrong.claim = epsilon_clock::time::Claim::new(truth.claim.raw(), ends, truth.claim.rate());
        source.push(Finding::Write(wrong));
        for _ in 0..2 {
            if clock.look().is_err() {
                machine.advance(secs(64));
            }
        }
        if clock.now().is_ok() {
            assert_jump(hlc.tick(), HOUR);
        }
    }
}

// --- leap seconds -------------------------------------------------------------------------------

/// A deleted second is a jump of a second that no clock lived through, and of more than the limit where
/// `max_error` is 100 ms: stamps were refused for ever.
#[test]
fn an_announced_deleted_leap_second_is_no_jump_under_a_short_limit() {
    use epsilon_clock::time::LeapKind;

    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    for max_error in [500, 100, 60] {
        for idle in [millis(100), secs(9)] {
            let machine = ScriptedMachine::new(midnight.checked_sub(secs(62)).unwrap());
            machine.schedule_leap(LeapKind::Deleted);
            machine.announce_leap(LeapKind::Deleted);
            machine.advance(secs(1));
            machine.write_maxerror(1_003);
            let builder = machine.builder().max_error(millis(max_error));
            let clock = builder.build().unwrap();
            let hlc = HybridClock::new(clock.clone());
            let mut vouched = 0;
            while machine.true_time() < midnight.saturating_add(secs(120)) {
                machine.advance(idle);
                let stamp = hlc.tick().unwrap();
                if let Ok(now) = clock.now() {
                    vouched += 1;
                    let late = stamp.physical().saturating_add(millis(1));
                    assert!(late >= now.midpoint() && stamp.physical() <= now.latest());
                }
            }
            assert!(vouched > 10);
        }
    }
}

/// A second at any other time of day is a jump, and so is one at midnight that no source vouches for.
#[test]
fn a_second_that_is_no_leap_second_is_a_jump_under_a_short_limit() {
    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    for before in [secs(10), 6 * HOUR] {
        let machine = ScriptedMachine::new(midnight.checked_sub(before).unwrap());
        let clock = machine.builder().max_error(millis(100)).build().unwrap();
        let hlc = HybridClock::new(clock.clone());
        hlc.tick().unwrap();
        machine.advance(secs(20));
        machine.set_date(delta(1_000));
        assert!(clock.now().is_err());
        assert_jump(hlc.tick(), secs(1));
    }
    let machine = ScriptedMachine::new(midnight.checked_sub(6 * HOUR).unwrap());
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(1))));
    let builder = machine.builder().max_error(millis(100));
    let clock = builder.source(source.clone()).build().unwrap();
    let hlc = HybridClock::new(clock.clone());
    hlc.tick().unwrap();
    // Two claims that agree on a second more.
    for _ in 0..2 {
        let mut wrong = machine.truth(millis(1));
        let middle = machine.true_time().saturating_add(secs(1));
        let ends = Interval::around(middle, millis(1)).unwrap();
        wrong.claim = epsilon_clock::time::Claim::new(wrong.claim.raw(), ends, wrong.claim.rate());
        source.push(Finding::Write(wrong));
        let _ = clock.look();
    }
    assert!(clock.now().is_ok());
    assert_jump(hlc.tick(), secs(1));
}
