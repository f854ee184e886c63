//! Clocks that stop, go back, or lie before 1970 or past 2112.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use epsilon_clock::hlc::{ForwardLimit, HlcError};
use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};

use super::*;

/// A machine whose clocks stand still until told otherwise, and which is read at no cost.
#[derive(Debug, Default)]
struct Still {
    now: AtomicI64,
}

/// Some morning.
const START: i64 = 1_795_153_800_000_000_000;

impl Machine for Still {
    fn sample(&self) -> Sample {
        let raw = self.now.load(Ordering::Relaxed);
        Sample {
            coarse: START + raw,
            raw,
        }
    }

    fn sandwich(&self) -> Sandwich {
        let raw = self.now.load(Ordering::Relaxed);
        Sandwich {
            mono_before: raw,
            boot: raw,
            real: START + raw,
            raw,
            mono_after: raw,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        millis(4)
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn sleep(&self, _span: Duration) {}
}

#[test]
fn h5_ten_million_ticks_of_a_stopped_clock_carry_and_never_wrap() {
    let machine = Arc::new(Still::default());
    let clock = Clock::builder()
        .machine(machine.clone())
        .assume_error(millis(1))
        .build()
        .unwrap();
    let hlc = HybridClock::new(clock.clone());
    let start = stamp(clock.now().unwrap().midpoint(), 0).to_bits();
    for n in 0..10_000_000 {
        assert_eq!(hlc.tick().unwrap().to_bits(), start + n);
    }
    let last = hlc.last();
    assert_eq!((10_000_000_u64 - 1) % 4096, u64::from(last.logical()));
    assert_eq!(micros(last) - (start >> 12), (10_000_000 - 1) / 4096);
    // Once the clock is past what was carried, stamps follow it again.
    machine.now.store(3_000_000, Ordering::Relaxed);
    let next = hlc.tick().unwrap();
    assert_eq!(next, stamp(clock.now().unwrap().midpoint(), 0));
    assert!(next > last);
}

/// The fault of a peer: a counter of 16 bits that wraps after 65 536 events.
#[test]
fn h5_observing_does_not_wrap_either() {
    let (_machine, clock) = right(millis(1));
    let (hlc, peer) = (HybridClock::new(clock.clone()), HybridClock::new(clock));
    let mut last = hlc.tick().unwrap();
    for _ in 0..70_000 {
        let there = peer.observe(last).unwrap();
        let here = hlc.observe(there).unwrap();
        assert!(last < there && there < here);
        last = here;
    }
}

#[test]
fn a_clock_stepped_back_an_hour_does_not_take_stamps_back() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    machine.advance(secs(1));
    let before = hlc.tick().unwrap();
    machine.set_date(delta(-3_600_000));
    let mut last = before;
    for _ in 0..10_000 {
        machine.advance(Duration::from_micros(50));
        let next = hlc.tick().unwrap();
        assert_eq!(next.to_bits(), last.to_bits() + 1);
        last = next;
    }
    assert!(micros(last) - micros(before) <= 3);
    // And when it is set right again, that pushes the stamps ahead by half a second only.
    machine.set_date(delta(3_600_000));
    let now = stamp(machine.real_time(), 0);
    assert_eq!(hlc.tick().unwrap(), now);
}

/// A step of real time is no event at all while a claim serves, which is about UTC.
#[test]
fn a_step_under_a_vouched_clock_moves_no_stamp() {
    let (machine, clock) = right(millis(1));
    let hlc = HybridClock::new(clock);
    let before = hlc.tick().unwrap();
    // Within the interval; what steps out of it leaves no vouched clock.
    for micros in [-300, 600, -300] {
        machine.step(TimeDelta::from_nanos(micros * 1_000));
        machine.advance(millis(1));
        let after = hlc.tick().unwrap();
        assert!(before < after);
        assert!(after.physical().abs_diff(machine.true_time()) < millis(2));
    }
}

#[test]
fn without_an_interval_stamps_follow_real_time() {
    let (machine, clock) = unvouched();
    let hlc = HybridClock::new(clock);
    for _ in 0..100 {
        machine.advance(millis(7));
        assert_eq!(hlc.tick().unwrap(), stamp(machine.real_time(), 0));
    }
}

#[test]
fn a_clock_before_1970_is_one_that_is_behind() {
    let machine = ScriptedMachine::new("1931-01-01T00:00:00.000000000Z".parse().unwrap());
    machine.set_read_cost(Duration::ZERO);
    let hlc = HybridClock::new(machine.clock().unwrap());
    assert_eq!(hlc.tick().unwrap().to_bits(), 1);
    machine.advance(secs(1));
    assert_eq!(hlc.tick().unwrap().to_bits(), 2);
}

#[test]
fn the_end_of_the_range_is_an_error_that_changes_nothing() {
    let end = HlcTimestamp::MAX.physical();
    let machine = ScriptedMachine::new(end);
    machine.set_read_cost(Duration::ZERO);
    let clock = machine.clock().unwrap();
    let hlc = HybridClock::new(clock.clone());
    // The last microsecond there is, to its last stamp.
    for n in 0..4096 {
        let stamp = hlc.tick().unwrap();
        assert_eq!((stamp.physical(), stamp.logical()), (end, n));
    }
    for _ in 0..3 {
        assert!(matches!(hlc.tick(), Err(HlcError::EndOfRange)));
        assert!(matches!(
            hlc.observe(remote(end)),
            Err(HlcError::EndOfRange)
        ));
        assert_eq!(hlc.last(), HlcTimestamp::MAX);
    }
    // Past it, there is not even a first one.
    machine.advance(Duration::from_micros(1));
    let hlc = HybridClock::new(clock);
    assert!(matches!(hlc.tick(), Err(HlcError::EndOfRange)));
    assert_eq!(hlc.last(), HlcTimestamp::MIN);
    let message = HlcError::EndOfRange.to_string();
    assert!(
        message.contains("2112-09-17T23:53:47.370495Z_4095"),
        "{message}"
    );
}

#[test]
fn a_clock_at_the_edges_of_time_is_an_error_or_behind() {
    for start in [Timestamp::MIN, Timestamp::MAX] {
        let machine = ScriptedMachine::new(start);
        machine.set_read_cost(Duration::ZERO);
        let hlc = HybridClock::builder(machine.clock().unwrap())
            .forward_limit(ForwardLimit::Unchecked)
            .build()
            .unwrap();
        for by in [i64::MIN, 0, i64::MAX] {
            machine.step(TimeDelta::from_nanos(by));
            let before = hlc.last();
            match hlc.tick() {
                Ok(stamp) => assert!(stamp > before),
                Err(HlcError::EndOfRange) => assert_eq!(hlc.last(), before),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
