//! The machine this process runs on, under Linux.

use core::time::Duration;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::ntp_status::{NtpStatus, NtpStatusError};
use super::vmclock::{VmClock, VmClockState};
use super::{Disruption, Identity, Machine, Sample, Sandwich, sys};

/// Where Linux shows the time namespace of the calling process.
const TIME_NAMESPACE: &str = "/proc/self/ns/time";

/// Where Linux shows the counter that it keeps time by.
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Where Linux shows the UUID that it drew when it booted.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Used where the kernel does not tell its tick: the longest one that Linux has (`CONFIG_HZ=100`).
const LONGEST_TICK: Duration = Duration::from_millis(10);

/// The machine this process runs on.
#[derive(Debug)]
pub(crate) struct LinuxMachine {
    coarse_tick: Duration,
    /// The device that is watched, or why none is.
    vmclock: Result<VmClock, VmClockState>,
}

impl LinuxMachine {
    /// Checks that every clock exists; the name of the one that does not, otherwise.
    pub(crate) fn new() -> Result<Self, &'static str> {
        match sys::missing_clock() {
            Some(name) => Err(name),
            None => Ok(Self {
                coarse_tick: sys::coarse_tick().unwrap_or(LONGEST_TICK),
                vmclock: Err(VmClockState::Unused),
            }),
        }
    }

    /// Watches this vmclock device, if it is there and sound.
    pub(crate) fn with_vmclock(self, path: &Path) -> Self {
        Self {
            vmclock: VmClock::open(path),
            ..self
        }
    }

    /// Returns true if only root may listen on this port, so that an answer from it is root's.
    ///
    /// `net.ipv4.ip_unprivileged_port_start` is 1024 by default and 0 in many containers; a kernel
    /// without that file (before 4.11) protects all ports below 1024.
    pub(crate) fn protects_port(port: u16) -> bool {
        const LOWEST_OPEN: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        match std::fs::read_to_string(LOWEST_OPEN) {
            Ok(lowest) => lowest.trim().parse().is_ok_and(|lowest: u16| port < lowest),
            // A file that is there and cannot be read says nothing.
            Err(error) => {
                error.kind() == std::io::ErrorKind::NotFound
                    && port < 1024
                    && Path::new("/proc/sys/net/ipv4").is_dir()
            }
        }
    }

    pub(crate) fn real() -> i64 {
        sys::realtime()
    }

    pub(crate) fn vmclock(&self) -> VmClockState {
        match self.vmclock {
            Ok(_) => VmClockState::Watched,
            Err(state) => state,
        }
    }

    /// Returns true if nothing was disrupted since `known`, before `raw` was read.
    #[inline]
    pub(crate) fn is_undisrupted(&self, known: Disruption, raw: i64) -> bool {
        match &self.vmclock {
            Ok(device) => device.glance(sys::zero_after(raw)) == known,
            Err(_) => true,
        }
    }
}

impl Machine for LinuxMachine {
    #[inline]
    fn sample(&self) -> Sample {
        let coarse = sys::realtime_coarse();
        let raw = sys::monotonic_raw();
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        let mono_before = sys::monotonic();
        let boot = sys::boottime();
        let real = sys::realtime();
        let raw = sys::monotonic_raw();
        let mono_after = sys::monotonic();
        Sandwich {
            mono_before,
            boot,
            real,
            raw,
            mono_after,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        sys::ntp_status()
    }

    fn adjtime_remaining(&self) -> Result<i64, NtpStatusError> {
        sys::adjtime_remaining()
    }

    fn coarse_tick(&self) -> Duration {
        self.coarse_tick
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: std::process::id(),
            time_namespace: std::fs::metadata(TIME_NAMESPACE).map_or(0, |m| m.ino()),
        }
    }

    fn clocksource(&self) -> u64 {
        let mut name = [0; 64];
        let read = File::open(CLOCKSOURCE).and_then(|mut file| file.read(&mut name));
        let length = read.unwrap_or(0);
        if length == 0 {
            return 0;
        }
        // FNV-1a: its offset and prime for 64 bits.
        name.iter()
            .take(length)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    fn boot_id(&self) -> Option<u128> {
        let text = std::fs::read_to_string(BOOT_ID).ok()?;
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        // A UUID has 32 digits; anything else is no kernel's.
        (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())?
    }

    fn disruption(&self) -> Option<Disruption> {
        match &self.vmclock {
            Ok(device) => device.read(),
            Err(_) => Some(Disruption::default()),
        }
    }

    fn sleep(&self, span: Duration) {
        sys::sleep(span);
    }

    fn sharpen_sleeps(&self) {
        sys::drop_timer_slack();
    }
}
