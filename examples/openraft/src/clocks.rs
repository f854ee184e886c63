//! A machine whose real time is slewed to and fro, within what its clock says it may be off by.

use std::time::Duration;

use epsilon_clock::machine::{
    Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use epsilon_clock::testing::SkewedMachine;

/// How far real time runs off in so many ns: 500 ppm, as fast as the kernel's PLL corrects.
const SLEW: i64 = 2_000;

#[derive(Debug)]
pub struct Slewing {
    machine: SkewedMachine,
    swing: i64,
}

impl Slewing {
    pub fn new(machine: SkewedMachine, swing: Duration) -> Self {
        Self {
            machine,
            swing: i64::try_from(swing.as_nanos()).unwrap_or(0),
        }
    }

    /// A triangle: up to the swing and back.
    fn off(&self, mono: i64) -> i64 {
        if self.swing == 0 {
            return 0;
        }
        let phase = (mono / SLEW).rem_euclid(2 * self.swing);
        if phase < self.swing {
            phase
        } else {
            2 * self.swing - phase
        }
    }
}

impl Machine for Slewing {
    fn sample(&self) -> Sample {
        let Sample { coarse, raw } = self.machine.sample();
        Sample {
            coarse: coarse + self.off(raw),
            raw,
        }
    }

    fn sandwich(&self) -> Sandwich {
        let sandwich = self.machine.sandwich();
        Sandwich {
            real: sandwich.real + self.off(sandwich.mono_before),
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

    fn disruption(&self) -> Option<Disruption> {
        self.machine.disruption()
    }
}
