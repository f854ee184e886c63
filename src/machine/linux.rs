//! The machine this process runs on, under Linux.

use core::time::Duration;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[cfg(target_arch = "x86_64")]
use super::Striped;
use super::ntp_status::{NtpStatus, NtpStatusError};
use super::sys::CountRead;
use super::vmclock::{VmClock, VmClockState};
use super::{Disruption, Identity, Machine, NoCounter, Sample, Sandwich, sys};

/// Where Linux shows the time namespace of the calling process.
const TIME_NAMESPACE: &str = "/proc/self/ns/time";

/// Where Linux shows the counter that it keeps time by.
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// The clocksource that is the architecture's own counter, read as it is.
///
/// Not `tsc-early`, which is not settled yet, nor a hypervisor's clock on top of the counter.
const OWN_CLOCKSOURCE: &[u8] = if cfg!(target_arch = "x86_64") {
    b"tsc\n"
} else {
    b"arch_sys_counter\n"
};

/// Where Linux shows what kinds of sleep it knows.
const POWER: &str = "/sys/power";

/// Where Linux shows that it is a guest of Xen.
const HYPERVISOR: &str = "/sys/hypervisor/type";

/// Where Linux shows the UUID that it drew when it booted.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where Linux lists the numbers that processors have or may get, as in `0-3,8-11`.
#[cfg(target_arch = "x86_64")]
const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// How often a processor's number is asked for, as a thread may be moved in between.
#[cfg(target_arch = "x86_64")]
const NUMBER_ATTEMPTS: usize = 8;

/// Used where the kernel does not tell its tick: the longest one that Linux has (`CONFIG_HZ=100`).
const LONGEST_TICK: Duration = Duration::from_millis(10);

/// The machine this process runs on.
#[derive(Debug)]
pub(crate) struct LinuxMachine {
    coarse_tick: Duration,
    /// The device that is watched, or why none is.
    vmclock: Result<VmClock, VmClockState>,
    /// Whether the processor's counter is one to be read; which one the kernel uses is another matter.
    counter: Result<(), NoCounter>,
    /// By what it is read; where it is not to be, by what every processor has.
    read: CountRead,
    never_suspends: bool,
}

impl LinuxMachine {
    /// Checks that every clock exists; the name of the one that does not, otherwise.
    pub(crate) fn new() -> Result<Self, &'static str> {
        match sys::missing_clock() {
            Some(name) => Err(name),
            None => {
                let counter = sound_counter();
                Ok(Self {
                    coarse_tick: sys::coarse_tick().unwrap_or(LONGEST_TICK),
                    vmclock: Err(VmClockState::Unused),
                    counter: counter.map(drop),
                    read: counter.unwrap_or(CountRead::Fenced),
                    never_suspends: shows_no_sleep(Path::new(POWER)),
                })
            }
        }
    }

    /// Reads coarse real time, if it is asked for, and then the counter in the place of raw time.
    #[inline]
    pub(crate) fn count_sample(&self, with_coarse: bool, after: i64) -> Sample {
        let coarse = coarse_if(with_coarse);
        let raw = self.read.count(after);
        Sample { coarse, raw }
    }

    /// As [`count_sample`](Self::count_sample), with the processor that the count was read on.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    #[allow(clippy::unused_self, reason = "as other machines have it")]
    pub(crate) fn striped_sample(&self, with_coarse: bool, _after: i64) -> Striped {
        let coarse = coarse_if(with_coarse);
        let (raw, processor) = sys::count_on_processor();
        Striped {
            sample: Sample { coarse, raw },
            stripe: Some(processor),
        }
    }

    /// Returns one more than the largest number that a processor can have here; `None` where the counter is not
    /// read by the instruction that tells the processor along with it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn possible_processors(&self) -> Option<u32> {
        if self.read != CountRead::Ordered {
            return None;
        }
        possible_in(&std::fs::read_to_string(POSSIBLE).ok()?)
    }

    /// Returns false if the counter's instruction and the kernel tell different processors.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn numbers_processors() -> bool {
        (0..NUMBER_ATTEMPTS).any(|_| {
            let (_, before) = sys::count_on_processor();
            let named = sys::processor();
            let (_, after) = sys::count_on_processor();
            // Else it moved to another one in between, or is there no more.
            before == after && named == Some(before)
        })
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

    /// Returns true if no vmclock is watched, and the counter's own instruction waits.
    pub(crate) fn is_read_by_counter_alone(&self) -> bool {
        self.vmclock.is_err() && self.read == CountRead::Ordered
    }

    /// Whether that instruction tells the processor along with the count.
    pub(crate) const TELLS_PROCESSOR: bool = cfg!(target_arch = "x86_64");

    /// Reads the counter as [`count_in_order`](Self::count_in_order) does, with the processor that it was read on, if
    /// the instruction [tells](Self::TELLS_PROCESSOR).
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `sys::count_early` is")]
    pub(crate) fn count_on_processor() -> (i64, u32) {
        #[cfg(target_arch = "x86_64")]
        return sys::count_on_processor();
        #[cfg(not(target_arch = "x86_64"))]
        (0, 0)
    }

    /// Reads the counter by the instruction that waits by itself; `after` is what was loaded before.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `sys::count_early` is")]
    pub(crate) fn count_in_order(after: i64) -> i64 {
        CountRead::Ordered.count(after)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `sys::count_early` is")]
    pub(crate) fn count_early() -> i64 {
        sys::count_early()
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
        match clocksource_name(&mut name) {
            [] => 0,
            // FNV-1a: its offset and prime for 64 bits.
            name => name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            }),
        }
    }

    fn counter(&self) -> Result<(), NoCounter> {
        self.counter?;
        // Anew each time: the kernel leaves a counter that it finds unstable.
        if clocksource_name(&mut [0; 64]) == OWN_CLOCKSOURCE {
            Ok(())
        } else {
            Err(NoCounter::OtherClocksource)
        }
    }

    fn count(&self) -> i64 {
        self.read.count(0)
    }

    fn counter_instructions(&self) -> Option<&'static str> {
        self.counter.ok().map(|()| self.read.instructions())
    }

    fn never_suspends(&self) -> bool {
        self.never_suspends
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

/// Reads coarse real time, if it is asked for.
#[inline]
fn coarse_if(asked: bool) -> i64 {
    if asked { sys::realtime_coarse() } else { 0 }
}

/// Returns one more than the largest number of a list such as `0-3,8-11`.
#[cfg(target_arch = "x86_64")]
fn possible_in(list: &str) -> Option<u32> {
    let ends = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u32>().ok()?;
        last.parse::<u32>().ok()?.checked_add(1)
    });
    // One that cannot be read might be the largest.
    ends.collect::<Option<Vec<u32>>>()?.into_iter().max()
}

/// Reads the name of the clocksource that the kernel keeps time by; nothing where it does not tell.
fn clocksource_name(name: &mut [u8; 64]) -> &[u8] {
    let read = File::open(CLOCKSOURCE).and_then(|mut file| file.read(name));
    name.get(..read.unwrap_or(0)).unwrap_or(&[])
}

/// Checks what does not change while the machine runs.
fn sound_counter() -> Result<CountRead, NoCounter> {
    let read = sys::sound_counter()?;
    if std::fs::read_to_string(HYPERVISOR).is_ok_and(|name| name.trim() == "xen") {
        return Err(NoCounter::Xen);
    }
    // Where a read of it is an exit to the hypervisor, or emulated, nothing is won.
    if cost_of(|| read.count(0)) > cost_of(sys::monotonic_raw) {
        return Err(NoCounter::Costly);
    }
    Ok(read)
}

/// Returns what a few reads cost, in ns: the least of a few times.
fn cost_of(read: impl Fn() -> i64) -> i64 {
    (0..8)
        .map(|_| {
            let began = sys::monotonic_raw();
            for _ in 0..32 {
                core::hint::black_box(read());
            }
            sys::monotonic_raw().saturating_sub(began)
        })
        .min()
        .unwrap_or(i64::MAX)
}

/// Returns true if the kernel shows that it was built without any kind of sleep.
///
/// A kernel with `CONFIG_PM_SLEEP` has `pm_async` and `wakeup_count` there, one with hibernation `disk`:
/// without them there is no suspend, no hibernation, no save by Xen and no jump by kexec. What is masked
/// is there still, or is no sysfs; an empty `state` alone says nothing, as it may be refused for a while.
fn shows_no_sleep(power: &Path) -> bool {
    let is_absent = |name: &str| {
        let found = std::fs::symlink_metadata(power.join(name));
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let says_nothing = |name: &str| {
        let mut file = File::open(power.join(name))?;
        let genuine = sys::is_sysfs(&file);
        Ok(genuine && file.read(&mut [0])? == 0)
    };
    let state: std::io::Result<bool> = says_nothing("state");
    File::open(power).is_ok_and(|folder| sys::is_sysfs(&folder))
        && state.unwrap_or(false)
        && ["pm_async", "wakeup_count", "disk"]
            .into_iter()
            .all(is_absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like the evidence and is no sysfs is none.
    #[test]
    fn a_folder_that_is_no_sysfs_is_no_evidence_of_a_machine_without_sleep() {
        let folder = std::env::temp_dir().join(format!("power-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state"), "").unwrap();
        assert!(!shows_no_sleep(&folder));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!shows_no_sleep(&folder));
        // A sysfs that has nothing to do with it.
        assert!(!shows_no_sleep(Path::new("/sys/kernel")));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_largest_possible_processor_is_found_in_a_list() {
        assert_eq!(possible_in("0\n"), Some(1));
        assert_eq!(possible_in("0-1\n"), Some(2));
        assert_eq!(possible_in("0-3,8-11\n"), Some(12));
        assert_eq!(possible_in("0,2,7"), Some(8));
        for broken in ["", "\n", "0-", "0-x", "0-3,", "-1", "4294967295"] {
            assert_eq!(possible_in(broken), None, "{broken}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_counter_tells_the_processor_that_the_kernel_names() {
        let machine = LinuxMachine::new().unwrap();
        if let Some(possible) = machine.possible_processors() {
            assert!(LinuxMachine::numbers_processors());
            let (_, processor) = sys::count_on_processor();
            assert!(processor < possible);
        }
    }

    #[test]
    fn a_counter_that_may_be_read_goes_on() {
        let machine = LinuxMachine::new().unwrap();
        if machine.counter().is_ok() {
            let counts: Vec<i64> = (0..100).map(|_| machine.count()).collect();
            assert!(counts.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
