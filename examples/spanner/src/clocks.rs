//! A machine whose real time is wrong by what the test tells it, at once or bit by bit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use epsilon_clock::machine::{
    Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use epsilon_clock::testing::{Skewed, SkewedMachine};
use epsilon_clock::{Clock, TimeDelta};

/// How many ns real time may run off by one: 500 ppm, as fast as the kernel's PLL corrects.
const SLEW: i64 = 2_000;

#[derive(Clone, Copy, Debug, Default)]
struct Course {
    from: i64,
    to: i64,
    since: i64,
}

impl Course {
    fn at(&self, mono: i64) -> i64 {
        let done = ((mono - self.since) / SLEW).max(0);
        if self.to >= self.from {
            (self.from + done).min(self.to)
        } else {
            (self.from - done).max(self.to)
        }
    }
}

#[derive(Debug)]
pub struct Drifting {
    machine: SkewedMachine,
    course: Mutex<Course>,
}

impl Drifting {
    /// Makes the clock of a process that is off by so much, and says that it is off by `epsilon` at most.
    pub fn clock(
        offset_us: i64,
        epsilon: Duration,
    ) -> Result<(Clock, Arc<Self>), Box<dyn std::error::Error>> {
        let honest = Skewed::new(TimeDelta::ZERO, epsilon)?;
        let offset = offset_us * 1_000;
        let machine = Arc::new(Self {
            machine: honest.machine(),
            course: Mutex::new(Course {
                from: offset,
                to: offset,
                since: 0,
            }),
        });
        let clock = Clock::builder()
            .machine(Arc::clone(&machine) as Arc<dyn Machine>)
            .source(honest.source())
            .build()?;
        Ok((clock, machine))
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, offset_us: i64, slewed: bool) {
        let now = self.machine.sandwich().mono_after;
        let mut course = self.course();
        let to = offset_us * 1_000;
        let from = if slewed { course.at(now) } else { to };
        *course = Course {
            from,
            to,
            since: now,
        };
    }
}

impl Machine for Drifting {
    fn sample(&self) -> Sample {
        let Sample { coarse, raw } = self.machine.sample();
        Sample {
            coarse: coarse + self.course().at(raw),
            raw,
        }
    }

    fn sandwich(&self) -> Sandwich {
        let course = self.course();
        let sandwich = self.machine.sandwich();
        Sandwich {
            real: sandwich.real + course.at(sandwich.mono_before),
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
