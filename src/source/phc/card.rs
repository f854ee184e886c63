//! A network card's clock, as the kernel has it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{PhcDevice, PhcReading};
use super::refusal::PhcRefusal;
use crate::machine::{Machine, PtpClock, PtpSample};

/// Where Linux shows PTP hardware clocks, and the devices behind them.
const CLASS: &str = "/sys/class/ptp";

/// ENA's driver has it: decimal ns, of the last read that succeeded.
const BOUND: &str = "phc_error_bound";

/// No such device, of `include/uapi/asm-generic/errno-base.h`.
const ENODEV: i32 = 19;

/// How often the device is read at a time; the sharpest counts.
const READS: usize = 3;

/// A device by its path; opened when it is first read, and again once it was gone.
///
/// Kept open in between, as a process may give up the right to open it.
#[derive(Debug)]
pub(super) struct Card {
    path: PathBuf,
    clock: Mutex<Option<Arc<PtpClock>>>,
}

impl Card {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            clock: Mutex::new(None),
        }
    }

    /// Reads the clock, with no lock held: a driver may take long.
    fn samples(&self) -> io::Result<Vec<PtpSample>> {
        let clock = {
            let mut open = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            match &*open {
                Some(clock) => Arc::clone(clock),
                None => Arc::clone(open.insert(Arc::new(PtpClock::open(&self.path)?))),
            }
        };
        let read = clock.read(READS);
        if read.as_ref().is_err_and(is_gone) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        read
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
        let file = self.bound_file();
        let bound = || PtpClock::bound(file.as_deref()?);
        let before = bound();
        let samples = self.samples().map_err(|error| PhcRefusal::of(&error))?;
        let sharpest = sharpest(&samples).ok_or(PhcRefusal::Inconsistent)?;
        Ok(PhcReading {
            before: sharpest.before,
            device: sharpest.device,
            after: sharpest.after,
            bound_ns: enclosing(before, bound()),
            ahead_s: 0,
        })
    }
}

/// Returns true if what was opened will never answer again: its driver was unloaded, or the card taken out.
///
/// # References
///
/// - Linux `kernel/time/posix-clock.c`: `get_posix_clock`, and all calls by way of it, answer `ENODEV` of a zombie
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ENODEV)
}

/// Returns the larger of two bounds, of before and after a reading.
///
/// Each is of the last read of the device, which may have been another program's.
fn enclosing(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    before.zip(after).map(|(before, after)| before.max(after))
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
    fn the_larger_of_the_bounds_around_a_reading_counts_and_one_alone_does_not() {
        assert_eq!(enclosing(Some(700), Some(900)), Some(900));
        assert_eq!(enclosing(Some(900), Some(700)), Some(900));
        assert_eq!(enclosing(Some(900), None), None);
        assert_eq!(enclosing(None, Some(900)), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_bound_is_in_the_folder_of_the_device_that_a_link_leads_to() {
        let link = std::env::temp_dir().join(format!("ptp-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let file = Card::new(link.clone()).bound_file();
        std::fs::remove_file(link).unwrap();
        let folder = Path::new("/sys/class/ptp/null/device");
        assert_eq!(file, Some(folder.join("phc_error_bound")));
    }

    #[test]
    fn a_device_that_is_gone_is_opened_anew_and_a_busy_one_is_kept() {
        let of = io::Error::from_raw_os_error;
        assert!(is_gone(&of(19)));
        // EBUSY, EIO, EINVAL; and what no system said.
        for errno in [16, 5, 22] {
            assert!(!is_gone(&of(errno)));
        }
        assert!(!is_gone(&io::ErrorKind::InvalidData.into()));
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
}
