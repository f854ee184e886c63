//! PTP hardware clocks.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::time::{ClockId, clock_gettime};

use super::NANOS_PER_SEC;
use super::clocks::monotonic_raw;
use super::files::is_sysfs;

/// A PTP hardware clock, open to be read.
///
/// # References
///
/// - Linux `include/uapi/linux/ptp_clock.h`: `PTP_SYS_OFFSET_EXTENDED`; from 6.12 on its first reserved word is
///   the clock read around the device, and before that anything but 0 is refused (`EINVAL`)
/// - [clock_gettime(2)], "Dynamic clocks": a device's descriptor as a clock
///
/// [clock_gettime(2)]: https://man7.org/linux/man-pages/man2/clock_gettime.2.html
#[derive(Debug)]
pub(crate) struct PtpClock {
    file: File,
}

/// A device's time, and raw time before and after it was read, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PtpSample {
    pub(crate) before: i64,
    pub(crate) device: i64,
    pub(crate) after: i64,
}

/// How many samples the kernel takes at a time at most (`PTP_MAX_SAMPLES`).
const PTP_MAX_SAMPLES: usize = 25;

/// `struct ptp_clock_time`.
#[repr(C)]
#[derive(Clone, Copy)]
struct PtpTime {
    sec: i64,
    nsec: u32,
    reserved: u32,
}

/// `struct ptp_sys_offset_extended`.
#[repr(C)]
struct PtpExtended {
    n_samples: u32,
    clock: i32,
    reserved: [u32; 2],
    times: [[PtpTime; 3]; PTP_MAX_SAMPLES],
}

/// `_IOWR('=', 9, struct ptp_sys_offset_extended)`, as most architectures number it.
#[allow(clippy::cast_possible_truncation, reason = "the size is 1216")]
const PTP_SYS_OFFSET_EXTENDED: u32 =
    (3 << 30) | ((size_of::<PtpExtended>() as u32) << 16) | (0x3d << 8) | 9;

impl PtpClock {
    /// Opens it; anything may be at the path, and only a read tells.
    pub(crate) fn open(path: &std::path::Path) -> io::Result<Self> {
        File::open(path).map(|file| Self { file })
    }

    /// Reads it so often at once, against raw time: by the kernel's own reads, or else by ours around a read.
    pub(crate) fn read(&self, samples: usize) -> io::Result<Vec<PtpSample>> {
        match self.read_by_kernel(samples) {
            // An older kernel, or a driver without the call.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                (0..samples).map(|_| self.read_between()).collect()
            }
            read => read,
        }
    }

    fn read_by_kernel(&self, samples: usize) -> io::Result<Vec<PtpSample>> {
        const NONE: PtpTime = PtpTime {
            sec: 0,
            nsec: 0,
            reserved: 0,
        };
        let samples = samples.min(PTP_MAX_SAMPLES);
        let mut asked = PtpExtended {
            n_samples: u32::try_from(samples).unwrap_or(1),
            clock: libc::CLOCK_MONOTONIC_RAW,
            reserved: [0; 2],
            times: [[NONE; 3]; PTP_MAX_SAMPLES],
        };
        // SAFETY: the descriptor is open for as long as `self` lives, and the pointer comes from a live exclusive
        // reference to the struct whose size is in the number of the call: a driver that knows the number reads
        // and writes no more than that, and one that does not refuses it.
        let failed = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                PTP_SYS_OFFSET_EXTENDED as _,
                &raw mut asked,
            )
        } != 0;
        if failed {
            return Err(io::Error::last_os_error());
        }
        let nanos = |time: &PtpTime| {
            let secs = time.sec.checked_mul(NANOS_PER_SEC);
            secs.and_then(|secs| secs.checked_add(time.nsec.into()))
        };
        let times = asked.times.iter().take(samples);
        let read = times.map(|[before, device, after]| {
            Some(PtpSample {
                before: nanos(before)?,
                device: nanos(device)?,
                after: nanos(after)?,
            })
        });
        read.collect::<Option<_>>()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn read_between(&self) -> io::Result<PtpSample> {
        // `FD_TO_CLOCKID`: the inverse of the descriptor, shifted, and 3 for a descriptor.
        let clock = ClockId::from_raw((!self.file.as_raw_fd() << 3) | 3);
        let before = monotonic_raw();
        let device = clock_gettime(clock).map_err(io::Error::from)?;
        let after = monotonic_raw();
        #[allow(clippy::useless_conversion, reason = "they are `i64` on most targets")]
        let (secs, nanos) = (i64::from(device.tv_sec()), i64::from(device.tv_nsec()));
        let device = secs
            .checked_mul(NANOS_PER_SEC)
            .and_then(|secs| secs.checked_add(nanos))
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(PtpSample {
            before,
            device,
            after,
        })
    }

    /// Reads a number that a driver tells in sysfs; `None` where there is none, or the file is no driver's.
    pub(crate) fn bound(path: &std::path::Path) -> Option<u64> {
        let file = File::open(path).ok().filter(is_sysfs)?;
        io::read_to_string(file).ok()?.trim().parse().ok()
    }
}
