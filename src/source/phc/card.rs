//! A network card's clock, as the kernel has it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::device::{PhcDevice, PhcReading};
use super::refusal::PhcRefusal;
use crate::machine::{Machine, PtpClock, PtpSample};

/// Where Linux shows PTP hardware clocks, and the devices behind them.
const CLASS: &str = "/sys/class/ptp";

/// ENA's driver has it: decimal ns, of the last read that succeeded.
const BOUND: &str = "phc_error_bound";

/// How often the device is read at a time; the sharpest counts.
const READS: usize = 3;

/// A device by its path; opened when it is first read.
#[derive(Debug)]
pub(super) struct Card {
    path: PathBuf,
    clock: OnceLock<PtpClock>,
}

impl Card {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            clock: OnceLock::new(),
        }
    }

    fn clock(&self) -> Result<&PtpClock, PhcRefusal> {
        if let Some(clock) = self.clock.get() {
            return Ok(clock);
        }
        let clock = PtpClock::open(&self.path).map_err(|error| PhcRefusal::of(&error))?;
        Ok(self.clock.get_or_init(|| clock))
    }

    /// Returns the file in which the driver tells its bound.
    fn bound_file(&self) -> Option<PathBuf> {
        // `/dev/ptp_ena` is a link that udev makes.
        let device = std::fs::canonicalize(&self.path).ok()?;
        Some(
            Path::new(CLASS)
                .join(device.file_name()?)
                .join("device")
                .join(BOUND),
        )
    }
}

impl PhcDevice for Card {
    fn read(&self, _machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
        let clock = self.clock()?;
        let file = self.bound_file();
        let bound = || PtpClock::bound(file.as_deref()?);
        let before = bound();
        let samples = clock.read(READS).map_err(|error| PhcRefusal::of(&error))?;
        let sharpest = sharpest(&samples).ok_or(PhcRefusal::Inconsistent)?;
        // It is of the last read, which may have been another program's: the larger of two that enclose ours.
        let bound_ns = before.zip(bound()).map(|(before, after)| before.max(after));
        Ok(PhcReading {
            before: sharpest.before,
            device: sharpest.device,
            after: sharpest.after,
            bound_ns,
            ahead_s: 0,
        })
    }
}

/// Returns the narrowest sample of those that are in order.
fn sharpest(samples: &[PtpSample]) -> Option<PtpSample> {
    let in_order = samples
        .iter()
        .filter(|sample| sample.before <= sample.after);
    in_order
        .min_by_key(|sample| sample.after.abs_diff(sample.before))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::SystemMachine;

    #[test]
    fn the_sharpest_sample_in_order_counts() {
        let sample = |before, after| PtpSample {
            before,
            device: before + 7,
            after,
        };
        let samples = [
            sample(0, 50),
            sample(100, 110),
            sample(200, 190),
            sample(300, 320),
        ];
        assert_eq!(sharpest(&samples), Some(sample(100, 110)));
        assert_eq!(sharpest(&[sample(200, 190)]), None);
    }

    #[test]
    fn what_is_no_clock_is_refused_by_its_errno() {
        let machine = SystemMachine::new().unwrap();
        let read = |path: &str| Card::new(path.into()).read(&machine).unwrap_err();
        assert_eq!(read("/dev/no-such-clock"), PhcRefusal::Missing);
        // A device that is there and is no clock; elsewhere there are none to be asked.
        if cfg!(all(target_os = "linux", not(epsilon_clock_portable))) {
            assert!(matches!(read("/dev/null"), PhcRefusal::Failed { errno } if errno != 0));
        }
    }

    #[test]
    fn the_bound_is_told_beside_the_device_that_a_path_leads_to() {
        let file = |path: &str| Card::new(path.into()).bound_file();
        assert_eq!(file("/dev/no-such-clock"), None);
        if cfg!(target_os = "linux") {
            let of_null = Path::new("/sys/class/ptp/null/device/phc_error_bound");
            assert_eq!(file("/dev/null").as_deref(), Some(of_null));
        }
    }
}
