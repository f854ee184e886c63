//! Sequences of looks, readings, writes, steps and suspends: true time lies in every interval.
//!
//! `cargo +nightly fuzz run looks fuzz/corpus/looks fuzz/seeds/looks`
//!
//! The fuzzer plays the machine, within the assumptions: the oscillator keeps within A1, the daemon writes
//! no less than the error of the clock when it writes and does not slew one way and back between two looks
//! (A2), no suspend is shorter than 15.25 ms, and no step takes back its jump before a reading has seen it (A3). Everything else is the fuzzer's: when looks come, how
//! long readings take, who steps and slews the clock, and when the machine sleeps.
#![no_main]

use std::time::Duration;

use epsilon_clock::clock::DriftLearning;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, Interval, TimeDelta, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Within 200 ppm, the default of A1, with what rounding takes.
const DRIFT_PPB: i32 = 199_000;
/// As fast as chrony slews.
const SLEW_PPB: i32 = 83_333_000;

const SHORTEST_SUSPEND: Duration = Duration::from_micros(15_250);

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*bytes)
}

/// A span of any length from nanoseconds to 20 hours, by the first byte.
fn span(data: &mut &[u8]) -> Option<u64> {
    let [kind, bytes @ ..] = take::<3>(data)?;
    Some(u64::from(u16::from_le_bytes(bytes)) << (kind % 31))
}

/// Within so much either way.
fn rate(data: &mut &[u8], most: i32) -> Option<i32> {
    let part = i16::from_le_bytes(take(data)?);
    i32::try_from(i64::from(part) * i64::from(most) / 32_768).ok()
}

/// Writes a bound as an honest daemon does: no less than the error is.
fn write(machine: &ScriptedMachine, more_us: u16) {
    let [real, truth] = [machine.real_time(), machine.true_time()].map(Timestamp::unix_nanos);
    let error_us = i64::try_from(real.abs_diff(truth).div_ceil(1_000)).unwrap();
    let mut bound = error_us.saturating_add(more_us.into()).saturating_add(1);
    if bound % 500 == 0 {
        // What writers without a bound leave behind.
        bound += 1;
    }
    machine.write_maxerror(bound);
}

fn contains(
    machine: &ScriptedMachine,
    read: impl FnOnce() -> Result<Interval, ClockError>,
    what: &str,
) {
    let before = machine.true_time();
    let result = read();
    let after = machine.true_time();
    if let Ok(now) = result {
        assert!(
            now.earliest() <= after && before <= now.latest(),
            "{what}: {now:?} while it was {before} to {after}: {machine:?}",
        );
    }
}

/// What was done to the clocks last.
#[derive(Clone, Copy, PartialEq)]
enum Done {
    Step,
    Suspend,
}

/// Has a reading see what was done, before what could undo it.
fn see_before(next: Done, done: &mut Option<Done>, clock: &Clock) {
    if done.replace(next).is_some_and(|last| last != next) {
        let _ = clock.now();
    }
}

fn run(mut data: &[u8]) -> Option<()> {
    let [flags] = take(&mut data)?;
    let machine = ScriptedMachine::default();
    let mut builder = machine.builder();
    let learns = flags & 1 != 0;
    if !learns {
        builder = builder.drift_learning(DriftLearning::Off);
    }
    let clock: Clock = builder.build().ok()?;
    machine.set_drift_ppb(rate(&mut data, DRIFT_PPB)?);
    let mut done = None;
    for _ in 0..64 {
        match take(&mut data)? {
            [0..=49] => contains(&machine, || clock.now(), "now"),
            [50..=69] => contains(&machine, || clock.look(), "look"),
            [70..=74] => contains(&machine, || clock.refresh(), "refresh"),
            [75..=119] => machine.advance(Duration::from_nanos(span(&mut data)?)),
            [120..=169] => write(&machine, u16::from_le_bytes(take(&mut data)?)),
            // Linux forgets that it was synchronised when it is stepped, unless the same call writes.
            [170..=179] => {
                let by = i64::try_from(span(&mut data)?).ok()?;
                let [more] = take(&mut data)?;
                see_before(Done::Step, &mut done, &clock);
                machine.step(TimeDelta::from_nanos(if more & 1 == 0 { by } else { -by }));
                write(&machine, u16::from(more));
            }
            [180..=184] => {
                let by = i64::try_from(span(&mut data)?).ok()?;
                see_before(Done::Step, &mut done, &clock);
                machine.set_date(TimeDelta::from_nanos(by));
            }
            [185..=194] => {
                let span = SHORTEST_SUSPEND + Duration::from_nanos(span(&mut data)?);
                see_before(Done::Suspend, &mut done, &clock);
                machine.suspend(span);
            }
            [195..=209] => {
                contains(&machine, || clock.look(), "look before a slew");
                machine.set_slew_ppb(rate(&mut data, SLEW_PPB)?);
            }
            // A learned rate rests on an oscillator that wanders little.
            [210..=219] if !learns => machine.set_drift_ppb(rate(&mut data, DRIFT_PPB)?),
            [220..=224] => {
                let [cost] = take(&mut data)?;
                machine.set_read_cost(Duration::from_nanos(20 << (cost % 20)));
            }
            [225..=229] => {
                let [tick] = take(&mut data)?;
                machine.set_coarse_tick(Duration::from_millis(u64::from(tick % 10) + 1));
            }
            _ => contains(&machine, || clock.now(), "now"),
        }
    }
    Some(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(data);
});
