//! A process's clock that is off by what the test says, at once or bit by bit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use epsilon_clock::machine::{
    Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use epsilon_clock::testing::{Skewed, SkewedMachine};
use epsilon_clock::{Clock, TimeDelta};

/// How many ns real time may run off by one: 500 ppm, as fast as the kernel's PLL corrects.
const SLEW: i64 = 2_000;

/// How far real time is off, in ns, as monotonic time goes on.
#[derive(Clone, Copy, Debug)]
enum Offset {
    /// Goes from one to another, and stays there.
    Slewed { from: i64, to: i64, since: i64 },
    /// Goes up by the swing and back, a triangle.
    Swinging { from: i64, swing: i64 },
}

impl Offset {
    const fn fixed(offset: i64) -> Self {
        Self::Slewed {
            from: offset,
            to: offset,
            since: 0,
        }
    }

    fn at(self, mono: i64) -> i64 {
        match self {
            Self::Slewed { from, to, since } => {
                let done = ((mono - since) / SLEW).max(0);
                if to >= from {
                    (from + done).min(to)
                } else {
                    (from - done).max(to)
                }
            }
            Self::Swinging { from, swing } => {
                let phase = (mono / SLEW).rem_euclid(2 * swing);
                from + phase.min(2 * swing - phase)
            }
        }
    }
}

/// The machine's real time, steered by the test.
#[derive(Debug)]
pub struct Steered {
    machine: SkewedMachine,
    offset: Mutex<Offset>,
}

impl Steered {
    /// Makes a clock that is off by so much, and says that it is off by `epsilon` at most.
    pub fn clock(
        offset_us: i64,
        epsilon: Duration,
    ) -> Result<(Clock, Arc<Self>), Box<dyn std::error::Error>> {
        build(Offset::fixed(offset_us * 1_000), epsilon)
    }

    /// Makes one that besides is slewed to and fro, by `swing` above its offset.
    pub fn swinging_clock(
        offset_us: i64,
        swing: Duration,
        epsilon: Duration,
    ) -> Result<Clock, Box<dyn std::error::Error>> {
        let from = offset_us * 1_000;
        let offset = match i64::try_from(swing.as_nanos())? {
            0 => Offset::fixed(from),
            swing => Offset::Swinging { from, swing },
        };
        Ok(build(offset, epsilon)?.0)
    }

    fn offset(&self) -> MutexGuard<'_, Offset> {
        self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn step(&self, offset_us: i64) {
        *self.offset() = Offset::fixed(offset_us * 1_000);
    }

    /// Takes it from where it is to another offset, at 500 ppm.
    pub fn slew(&self, offset_us: i64) {
        let now = self.machine.sandwich().mono_after;
        let mut offset = self.offset();
        *offset = Offset::Slewed {
            from: offset.at(now),
            to: offset_us * 1_000,
            since: now,
        };
    }
}

fn build(
    offset: Offset,
    epsilon: Duration,
) -> Result<(Clock, Arc<Steered>), Box<dyn std::error::Error>> {
    // Vouches for epsilon whatever the offset is: the claims of a clock that lies miss the truth.
    let honest = Skewed::new(TimeDelta::ZERO, epsilon)?;
    let machine = Arc::new(Steered {
        machine: honest.machine(),
        offset: Mutex::new(offset),
    });
    let clock = Clock::builder()
        .machine(Arc::clone(&machine) as Arc<dyn Machine>)
        .source(honest.source())
        .build()?;
    Ok((clock, machine))
}

impl Machine for Steered {
    fn sample(&self) -> Sample {
        let Sample { coarse, raw } = self.machine.sample();
        Sample {
            coarse: coarse + self.offset().at(raw),
            raw,
        }
    }

    fn sandwich(&self) -> Sandwich {
        let offset = self.offset();
        let sandwich = self.machine.sandwich();
        Sandwich {
            real: sandwich.real + offset.at(sandwich.mono_before),
            ..sandwich
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        self.machine.ntp_status()
    }

    fn coarse_tick(&self) -> Duration {
        self.machine.coarse_tick()
    }

    fn identity(&self) -> Identity {
        self.machine.identity()
    }

    fn sleep(&self, span: Duration) {
        self.machine.sleep(span);
    }

    fn sharpen_sleeps(&self) {
        self.machine.sharpen_sleeps();
    }

    fn disruption(&self) -> Option<Disruption> {
        self.machine.disruption()
    }
}
