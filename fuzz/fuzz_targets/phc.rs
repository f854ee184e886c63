//! Sequences of what a PTP hardware clock's driver says: true time lies in every interval while it keeps its bound.
//!
//! `cargo +nightly fuzz run phc fuzz/corpus/phc fuzz/seeds/phc`
//!
//! The fuzzer plays the device and the machine: readings at the ends of any bound, of TAI, with no bound, with raw
//! times out of order, errors of the driver, and readings of any figures at all, while the machine sleeps, pauses
//! and is stepped. From the first reading on that is made up within raw times in order, only that nothing panics
//! and that no interval is reversed is asked.
#![no_main]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::clock::DriftLearning;
use epsilon_clock::machine::Machine;
use epsilon_clock::source::{PhcDevice, PhcReading, PhcRefusal, PhcSource};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{ClockError, Interval, TimeDelta, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Within 200 ppm, the default of A1, with what rounding takes.
const DRIFT_PPB: i32 = 199_000;

const SHORTEST_SUSPEND: Duration = Duration::from_micros(15_250);

/// How far the device's TAI is ahead, in s, where it counts TAI.
const TAI_S: i32 = 37;

/// What the device says when it is read next.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// Its time, so many ns off, and the bound that is told.
    Time { off: i64, bound_ns: Option<u64> },
    /// Its time, with the raw times around it exchanged.
    Reversed,
    Refusal(PhcRefusal),
    /// Whatever the figures are.
    Anything(PhcReading),
}

#[derive(Clone, Copy, Debug)]
struct Play {
    says: Says,
    ahead_s: i32,
    takes: [Duration; 2],
    /// How long the machine sleeps while the device is read.
    sleeps: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Played {
    machine: ScriptedMachine,
    play: Arc<Mutex<Play>>,
}

impl PhcDevice for Played {
    fn read(&self, machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
        let play = *self.play.lock().unwrap();
        let before = machine.sample().raw;
        self.machine.advance(play.takes[0]);
        let utc = self.machine.true_time().unix_nanos();
        self.machine.advance(play.takes[1]);
        if let Some(span) = play.sleeps {
            self.machine.suspend(span);
        }
        let after = machine.sample().raw;
        let (off, bound_ns, before, after) = match play.says {
            Says::Time { off, bound_ns } => (off, bound_ns, before, after),
            Says::Reversed => (0, Some(0), after, before),
            Says::Refusal(refusal) => return Err(refusal),
            // Near the truth or far from it, as raw times that are in order have to be.
            Says::Anything(said) => {
                return Ok(PhcReading {
                    before: before.saturating_add(said.before),
                    after: after.saturating_add(said.after),
                    device: utc.saturating_add(said.device),
                    ..said
                });
            }
        };
        let ahead = i64::from(play.ahead_s) * 1_000_000_000;
        Ok(PhcReading {
            before,
            device: utc.saturating_add(off).saturating_add(ahead),
            after,
            bound_ns,
            ahead_s: play.ahead_s,
        })
    }
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

/// An honest reading: as far off as this part of its bound.
fn honest(data: &mut &[u8]) -> Option<Says> {
    let bound = i64::try_from(span(data)?.as_nanos()).ok()? % 1_000_000_000;
    let [part] = take(data)?;
    let off = bound * (i64::from(part) - 127) / 128;
    Some(Says::Time {
        off: if part > 250 { bound } else { off },
        bound_ns: Some(bound.unsigned_abs()),
    })
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
    let first = Play {
        says: Says::Time {
            off: 0,
            bound_ns: Some(2_000),
        },
        ahead_s: if flags & 2 == 0 { 0 } else { TAI_S },
        takes: [Duration::from_nanos(500); 2],
        sleeps: None,
    };
    let play = Arc::new(Mutex::new(first));
    let device = Played {
        machine: machine.clone(),
        play: Arc::clone(&play),
    };
    // No thread reads it beside this one: what happens follows from the bytes alone.
    let mut source = PhcSource::of(device).manual();
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
    let set = |edit: &dyn Fn(&mut Play)| edit(&mut play.lock().unwrap());
    let mut is_honest = true;
    for _ in 0..64 {
        match take(&mut data)? {
            [0..=39] => check(&machine, is_honest, || clock.now()),
            [40..=59] => check(&machine, is_honest, || clock.look()),
            [60..=109] => check(&machine, is_honest, || clock.refresh()),
            [110..=139] => machine.advance(span(&mut data)?),
            [140..=169] => {
                let says = honest(&mut data)?;
                set(&|play| play.says = says);
            }
            [170..=179] => {
                let [kind] = take(&mut data)?;
                set(&|play| play.says = Says::Refusal(refusal(kind)));
            }
            // Of a device without a bound only what is vouched for holds.
            [180..=184] => set(&|play| {
                play.says = Says::Time {
                    off: 50_000,
                    bound_ns: None,
                }
            }),
            [185..=189] => set(&|play| play.says = Says::Reversed),
            [190..=199] => {
                let takes = [span(&mut data)?, span(&mut data)?].map(|span| span / 65_536);
                set(&|play| play.takes = takes);
            }
            [200..=204] => {
                let span = SHORTEST_SUSPEND + span(&mut data)?;
                let [kind] = take(&mut data)?;
                set(&|play| play.sleeps = (kind & 1 == 0).then_some(span));
            }
            [205..=214] => machine.suspend(SHORTEST_SUSPEND + span(&mut data)?),
            [215..=219] => machine.pause(span(&mut data)?),
            [220..=224] => {
                let by = i64::try_from(span(&mut data)?.as_nanos()).ok()?;
                let [sign] = take(&mut data)?;
                machine.step(TimeDelta::from_nanos(if sign & 1 == 0 { by } else { -by }));
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
                set(&|play| play.says = Says::Anything(said));
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
