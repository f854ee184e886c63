//! Sequences of what a PTP hardware clock's driver says: true time lies in every interval while it keeps its bound.
//!
//! `cargo +nightly fuzz run phc fuzz/corpus/phc fuzz/seeds/phc`
//!
//! The fuzzer plays the device and the machine: readings at the ends of any bound, of TAI, with no bound, with raw
//! times out of order, errors of the driver, and readings of any figures at all, while the machine sleeps, pauses
//! and is stepped. From the first reading on that is made up within raw times in order, only that nothing panics
//! and that no interval is reversed is asked.
#![no_main]

use std::mem;
use std::time::Duration;

use epsilon_clock::clock::DriftLearning;
use epsilon_clock::source::{PhcReading, PhcRefusal, PhcSource};
use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
use epsilon_clock::{ClockError, Interval, TimeDelta, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Within 200 ppm, the default of A1, with what rounding takes.
const DRIFT_PPB: i32 = 199_000;

const SHORTEST_SUSPEND: Duration = Duration::from_micros(15_250);

/// How far the device's TAI is ahead, in s, where it counts TAI.
const TAI_S: i32 = 37;

/// Has the device say its time from now on, so many ns off, and tell this bound.
fn say(phc: &ScriptedPhc, off: i64, bound_ns: Option<u64>) {
    phc.allow();
    phc.edit_readings(|_| {});
    phc.set_offset(TimeDelta::from_nanos(off));
    phc.set_bound(bound_ns.map(Duration::from_nanos));
}

/// Has it say these figures, near the truth or far from it, as raw times that are in order have to be.
fn say_anything(phc: &ScriptedPhc, said: PhcReading) {
    say(phc, 0, None);
    phc.edit_readings(move |reading| {
        let utc = reading.device - i64::from(reading.ahead_s) * 1_000_000_000;
        *reading = PhcReading {
            before: reading.before.saturating_add(said.before),
            after: reading.after.saturating_add(said.after),
            device: utc.saturating_add(said.device),
            ..said
        };
    });
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*bytes)
}

/// A span of any length from nanoseconds to 5 hours, by the first byte.
fn span(data: &mut &[u8]) -> Option<Duration> {
    let [kind, bytes @ ..] = take::<3>(data)?;
    let ns = u64::from(u16::from_le_bytes(bytes)) << (kind % 29);
    Some(Duration::from_nanos(ns))
}

/// Edges, small ones and any, by the first byte.
fn number(data: &mut &[u8]) -> Option<i64> {
    let [kind, bytes @ ..] = take::<9>(data)?;
    let any = i64::from_le_bytes(bytes);
    Some(match kind % 5 {
        0 => any,
        1 => i64::MIN.wrapping_add(any % 3),
        2 => any % 3,
        3 => any % 1_000_000,
        _ => any % 100_000_000_000,
    })
}

fn refusal(kind: u8) -> PhcRefusal {
    match kind % 6 {
        0 => PhcRefusal::Busy,
        1 => PhcRefusal::Failed { errno: 5 },
        2 => PhcRefusal::Missing,
        3 => PhcRefusal::Denied,
        4 => PhcRefusal::Unsynchronized,
        _ => PhcRefusal::Inconsistent,
    }
}

/// Honest time: how many ns off, as this part of the bound in ns.
fn honest(data: &mut &[u8]) -> Option<(i64, u64)> {
    let bound = i64::try_from(span(data)?.as_nanos()).ok()? % 1_000_000_000;
    let [part] = take(data)?;
    let off = bound * (i64::from(part) - 127) / 128;
    Some((if part > 250 { bound } else { off }, bound.unsigned_abs()))
}

fn check(
    machine: &ScriptedMachine,
    honest: bool,
    read: impl FnOnce() -> Result<Interval, ClockError>,
) {
    let before = machine.true_time();
    let result = read();
    let after = machine.true_time();
    let Ok(now) = result else {
        return;
    };
    assert!(now.earliest() <= now.latest());
    assert!(
        !honest || (now.earliest() <= after && before <= now.latest()),
        "{now:?} while it was {before} to {after}: {machine:?}",
    );
}

fn run(mut data: &[u8]) -> Option<()> {
    let [flags] = take(&mut data)?;
    let machine = ScriptedMachine::default();
    let phc = ScriptedPhc::new(machine.clone());
    phc.set_tai_offset(if flags & 2 == 0 { 0 } else { TAI_S });
    // No thread reads it beside this one: what happens follows from the bytes alone.
    let mut source = PhcSource::of(phc.clone()).manual();
    if flags & 4 != 0 {
        source = source.vouch(Duration::from_micros(50));
    }
    if flags & 8 != 0 {
        // The figure that the device does not tell any more from here on.
        let until = Timestamp::from_unix_nanos(i64::MAX / 2);
        source = source.counts_tai(if flags & 2 == 0 { 0 } else { TAI_S }, until);
    }
    if flags & 16 != 0 {
        source = source.never_vetoes();
    }
    let learns = flags & 1 != 0;
    let mut builder = machine.builder().source(source);
    if !learns {
        builder = builder.drift_learning(DriftLearning::Off);
    }
    let clock = builder.build().ok()?;
    let drift = |data: &mut &[u8]| {
        let part = i16::from_le_bytes(take(data)?);
        i32::try_from(i64::from(part) * i64::from(DRIFT_PPB) / 32_768).ok()
    };
    machine.set_drift_ppb(drift(&mut data)?);
    let mut is_honest = true;
    for _ in 0..64 {
        match take(&mut data)? {
            [0..=39] => check(&machine, is_honest, || clock.now()),
            [40..=59] => check(&machine, is_honest, || clock.look()),
            [60..=109] => check(&machine, is_honest, || clock.refresh()),
            [110..=139] => machine.advance(span(&mut data)?),
            [140..=169] => {
                let (off, bound_ns) = honest(&mut data)?;
                say(&phc, off, Some(bound_ns));
            }
            [170..=179] => {
                let [kind] = take(&mut data)?;
                phc.refuse(refusal(kind));
            }
            // Of a device without a bound only what is vouched for holds.
            [180..=184] => say(&phc, 50_000, None),
            [185..=189] => {
                say(&phc, 0, Some(0));
                phc.edit_readings(|reading| mem::swap(&mut reading.before, &mut reading.after));
            }
            [190..=199] => {
                let [before, after] =
                    [span(&mut data)?, span(&mut data)?].map(|span| span / 65_536);
                phc.set_delays(before, after);
            }
            [200..=204] => {
                let span = SHORTEST_SUSPEND + span(&mut data)?;
                let [kind] = take(&mut data)?;
                phc.set_suspend((kind & 1 == 0).then_some(span));
            }
            [205..=214] => machine.suspend(SHORTEST_SUSPEND + span(&mut data)?),
            [215..=219] => machine.pause(span(&mut data)?),
            [220..=224] => {
                let by = i64::try_from(span(&mut data)?.as_nanos()).ok()?;
                let [sign] = take(&mut data)?;
                // Between readings, or it might take back a suspend that none has seen (A3).
                let _ = clock.now();
                machine.step(TimeDelta::from_nanos(if sign & 1 == 0 { by } else { -by }));
                let _ = clock.now();
            }
            // A learned rate rests on an oscillator that wanders little.
            [225..=229] if !learns => machine.set_drift_ppb(drift(&mut data)?),
            [230..=234] => {
                let [cost] = take(&mut data)?;
                machine.set_read_cost(Duration::from_nanos(20 << (cost % 20)));
            }
            [235..=239] => {
                let said = PhcReading {
                    before: number(&mut data)?,
                    device: number(&mut data)?,
                    after: number(&mut data)?,
                    bound_ns: Some(number(&mut data)?.cast_unsigned()),
                    ahead_s: i32::from_le_bytes(take(&mut data)?),
                };
                say_anything(&phc, said);
                is_honest = false;
            }
            _ => {
                machine.advance(Duration::from_secs(1));
                check(&machine, is_honest, || clock.refresh());
            }
        }
    }
    let _ = format!("{:?}", clock.sources());
    Some(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(data);
});
