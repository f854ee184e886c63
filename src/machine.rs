//! Time itself: the [`Machine`] trait, which a simulated world replaces whole, and the real one.

use core::fmt;
use core::time::Duration;
use std::io;

#[cfg(any(loom, not(target_os = "linux"), epsilon_clock_portable))]
use crate::primitive::{AtomicI64, Ordering};
use crate::words::words_struct;

mod any;
mod counter;
mod disturbance;
#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
mod linux;
mod ntp_status;
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable, test))]
#[cfg_attr(
    all(target_os = "linux", not(epsilon_clock_portable)),
    allow(dead_code, reason = "under Linux only its tests use it")
)]
mod portable;
mod slots;
#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
mod sys;
mod vmclock;

pub(crate) use any::{AnyMachine, Striped};
pub use counter::NoCounter;
pub use disturbance::Disturbance;
pub use ntp_status::{NtpStatus, NtpStatusError};
pub use vmclock::VmClockState;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use linux::LinuxMachine as SystemMachine;
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
pub(crate) use portable::PortableMachine as SystemMachine;

#[cfg(all(not(loom), target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use sys::load_after;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
use sys::without_signals;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use sys::random;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use sys::after_stores;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use sys::Arrivals;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use sys::{PtpClock, PtpSample};
pub(crate) use vmclock::{VmClockTime, VmTimescale};

/// A device's time, and raw time before and after it was read, in ns.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PtpSample {
    pub(crate) before: i64,
    pub(crate) device: i64,
    pub(crate) after: i64,
}

/// There is none but under Linux.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
#[derive(Debug)]
pub(crate) enum PtpClock {}

#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
impl PtpClock {
    pub(crate) fn open(_path: &std::path::Path) -> io::Result<Self> {
        Err(io::ErrorKind::NotFound.into())
    }

    pub(crate) const fn read(&self, _samples: usize) -> io::Result<Vec<PtpSample>> {
        match *self {}
    }

    pub(crate) const fn bound(_path: &std::path::Path) -> Option<u64> {
        None
    }
}

/// The standard library stamps no datagram.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
#[derive(Debug)]
pub(crate) enum Arrivals {}

#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
impl Arrivals {
    pub(crate) fn of(_socket: &std::net::UdpSocket) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn receive(
        socket: &std::net::UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Option<i64>)> {
        Ok((socket.recv(buffer)?, None))
    }

    pub(crate) const fn may_have_been_stepped(&self) -> bool {
        match *self {}
    }
}

/// Does nothing: what is no Linux reads no counter.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
pub(crate) const fn after_stores() {}

/// Fails: the standard library gives no random bits.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
pub(crate) fn random(_buffer: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Starts a thread of the crate's own, which takes no signals that are sent to the process: they are
/// for the program, which may wait for them in one thread and has blocked them in the others.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.into());
    without_signals(|| thread.spawn(run)).map(drop)
}

/// Runs `start`: what is no Linux is built without system calls of the crate's own.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    start()
}

/// Loads a word behind a fence, the nearest thing to a dependency where none can be spelled out.
#[cfg(all(not(loom), any(not(target_os = "linux"), epsilon_clock_portable)))]
pub(crate) fn load_after(word: &AtomicI64, _value: i64) -> i64 {
    crate::primitive::fence(Ordering::SeqCst);
    word.load(Ordering::Relaxed)
}

/// Loads a word: loom's clocks are atomics, whose order needs no help.
#[cfg(loom)]
pub(crate) fn load_after(word: &AtomicI64, _value: i64) -> i64 {
    word.load(Ordering::Relaxed)
}

/// How often the clocks are read again because an interruption made the comparison too coarse.
const GUARD_ATTEMPTS: usize = 8;

/// The widest comparison of clocks, in ns, that still shows a short suspend.
const GUARD_WIDTH_LIMIT: i64 = 1_000_000;

/// How many times what a comparison costs on this machine it may take: where each clock read is an
/// exit to the hypervisor's hypervisor (200 µs were seen) no comparison is shorter than a millisecond.
const COST_ALLOWANCE: i64 = 4;

/// The least that a comparison of the clocks was measured to take on this machine, which says how wide
/// one may be before it counts as interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadingCost(i64);

impl ReadingCost {
    /// What is assumed before it was measured: a machine of the usual pace.
    pub(crate) const UNKNOWN: Self = Self(0);

    /// So little, in ns, that no limit depends on it.
    const NEGLIGIBLE: i64 = 100_000;

    /// Measures it: the sharpest of a few comparisons.
    pub(crate) fn of(machine: &dyn Machine) -> Self {
        let mut least = i64::MAX;
        for _ in 0..GUARD_ATTEMPTS {
            least = least.min(machine.sandwich().width());
            if least <= Self::NEGLIGIBLE {
                break;
            }
        }
        Self(least)
    }

    pub(crate) fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0.max(0).unsigned_abs())
    }

    /// Returns the widest comparison, in ns, that counts as uninterrupted.
    pub(crate) const fn guard_limit(self) -> i64 {
        allow(self.0, GUARD_WIDTH_LIMIT)
    }
}

/// Returns `usual`, or what a machine needs on which a comparison costs this much.
pub(crate) const fn allow(cost: i64, usual: i64) -> i64 {
    let needed = cost.saturating_mul(COST_ALLOWANCE);
    if needed > usual { needed } else { usual }
}

/// Reads the clocks until no interruption blurs the comparison; the sharpest of a few attempts.
pub(crate) fn sharp_sandwich(machine: &dyn Machine, cost: ReadingCost) -> Sandwich {
    let mut sharpest = machine.sandwich();
    for _ in 1..GUARD_ATTEMPTS {
        if sharpest.width() <= cost.guard_limit() {
            break;
        }
        let again = machine.sandwich();
        if again.width() < sharpest.width() {
            sharpest = again;
        }
    }
    sharpest
}

/// A machine whose clocks can be read: the real one, or one that a test or a simulation makes up.
///
/// All instants are nanoseconds. *Raw* time is never negative, never runs backwards and is neither
/// stepped nor slewed; like *monotonic* time it stands still while the machine sleeps, which *boot*
/// time does not. *Real* time is the machine's idea of UTC since the Unix epoch.
///
/// Only a simulation or a test has reason to implement this; a [`Clock`](crate::Clock) uses the
/// real machine by default.
///
/// # Ordering
///
/// Readings must not run backwards across threads either: if one thread's reading happened before
/// another's, its raw time is not the later one. Linux promises this of the real clocks.
///
/// # Suspends
///
/// After a suspend coarse time must be where real time is, or a tick behind, before a reader runs. What is
/// shorter than `guard_interval`, an eighth of it and a [tick](Self::coarse_tick) (15.25 ms by default, with
/// a tick of 4 ms) may be missed until the clocks are next compared.
pub trait Machine: fmt::Debug + Send + Sync {
    /// Reads coarse real time and then raw time, in that order: what each reading of a clock costs.
    fn sample(&self) -> Sample;

    /// Reads monotonic, boot, real, raw and again monotonic time, in that order.
    fn sandwich(&self) -> Sandwich;

    /// Asks the kernel for its NTP status, which may take a syscall.
    ///
    /// # Errors
    ///
    /// [`NtpStatusError`] where the call is refused or does not exist.
    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError>;

    /// Asks the kernel how much of an `adjtime` slew is left, in µs; by default there is none.
    ///
    /// # Errors
    ///
    /// [`NtpStatusError`] where the call is refused or does not exist.
    fn adjtime_remaining(&self) -> Result<i64, NtpStatusError> {
        Ok(0)
    }

    /// Returns how far coarse real time may lag behind: a tick.
    fn coarse_tick(&self) -> Duration;

    /// Returns the process and the time namespace that the caller lives in.
    fn identity(&self) -> Identity;

    /// Returns a number of the counter that raw time is counted by.
    ///
    /// It differs between the kernel's clocksources; 0, the default, where that cannot be known.
    ///
    /// Another counter runs at another rate, so what was learned of the rate is forgotten then.
    fn clocksource(&self) -> u64 {
        0
    }

    /// Returns whether programs may read the counter itself that raw time is counted by.
    ///
    /// Asked at every look, and a counter that may be read now is read until the next; by default none may.
    ///
    /// # Errors
    ///
    /// [`NoCounter`], which says why not.
    fn counter(&self) -> Result<(), NoCounter> {
        Err(NoCounter::Unsupported)
    }

    /// Reads the counter; meaningless where [`counter`](Self::counter) does not allow it.
    ///
    /// While it is allowed raw time is what the counter says, in other units and from another zero: the
    /// counter never stands still or runs back, and two threads never disagree on it (A6).
    fn count(&self) -> i64 {
        0
    }

    /// Returns the instructions that [`count`](Self::count) reads the counter by, for reports; by default
    /// unknown.
    fn counter_instructions(&self) -> Option<&'static str> {
        None
    }

    /// Returns true if the machine surely never sleeps, by the word of its kernel; by default false.
    ///
    /// Then a reading need not read coarse real time to find out.
    fn never_suspends(&self) -> bool {
        false
    }

    /// Returns a number of the kernel's run since it booted; `None`, the default, if unknown.
    ///
    /// Raw time goes on within one boot, whichever process reads it, and begins anew with the next.
    fn boot_id(&self) -> Option<u128> {
        None
    }

    /// Sleeps about so long, once; may return early or late.
    fn sleep(&self, span: Duration);

    /// Returns what a hypervisor tells of pauses that the clocks do not show.
    ///
    /// By default nothing; `None` while it is being changed.
    ///
    /// Read after the clocks on every reading: a pause before they were read must show in it.
    fn disruption(&self) -> Option<Disruption> {
        Some(Disruption::default())
    }

    /// Returns true if boot time counts sleep that raw and monotonic time do not, so that a suspend can be
    /// told from a step, and raw time is never slewed; by default it is.
    ///
    /// A source that carries a claim by raw time alone, such as [`NtpSource`](crate::source::NtpSource),
    /// serves on no other machine: a sleep that looks like a step would leave its claim in force. What
    /// systems have to offer:
    ///
    /// | system | raw time | what tells a sleep | |
    /// |---|---|---|---|
    /// | Linux | `CLOCK_MONOTONIC_RAW` | `CLOCK_BOOTTIME` less `CLOCK_MONOTONIC` | built |
    /// | macOS | `CLOCK_UPTIME_RAW`, which no sleep counts in | `CLOCK_MONOTONIC_RAW`, which it does | neither is slewed; not built |
    /// | Windows | `QueryPerformanceCounter` | biased against unbiased interrupt time | not built |
    /// | others | slewed by `adjtime`, up to 5000 ppm | | not to be had |
    fn tells_suspends(&self) -> bool {
        true
    }

    /// Makes the calling thread's sleeps as punctual as the system lets it; by default nothing.
    ///
    /// Called once, by a thread of this crate's own that does nothing but sleep and wake others,
    /// and never by a thread of the caller's: what it changes (the timer slack, under Linux) stays.
    fn sharpen_sleeps(&self) {}
}

/// Two numbers that change with a virtual machine's pause, migration or restore.
///
/// Only whether they changed means anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disruption {
    /// Changes when the clocks may have jumped: a live migration, a pause.
    pub marker: u64,
    /// Changes when the machine was restored from a snapshot; where the hypervisor does not count
    /// those, never without the marker.
    pub generation: u64,
}

words_struct!(Disruption { marker, generation });

/// Coarse real time and, read after it, raw time: one hot-path reading of a [`Machine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Real time as of the last tick, in ns since the epoch.
    pub coarse: i64,
    /// Raw time in ns.
    pub raw: i64,
}

/// Real time as of the last tick and raw time, read between two readings of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) before: i64,
    pub(crate) sample: Sample,
    pub(crate) after: i64,
}

/// Five clocks read in one go, the inner ones between monotonic readings.
///
/// The outer pair bounds how far apart the inner ones can be: a preemption in between makes the
/// sandwich wide, never wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sandwich {
    /// Monotonic time, read first, in ns.
    pub mono_before: i64,
    /// Boot time, read second, in ns.
    pub boot: i64,
    /// Real time, read third, in ns since the Unix epoch.
    pub real: i64,
    /// Raw time, read fourth, in ns.
    pub raw: i64,
    /// Monotonic time, read last, in ns.
    pub mono_after: i64,
}

impl Sandwich {
    /// Returns how long the readings took by monotonic time, in ns.
    ///
    /// Never negative.
    #[must_use]
    pub const fn width(&self) -> i64 {
        let width = self.mono_after.saturating_sub(self.mono_before);
        if width < 0 { 0 } else { width }
    }

    /// Returns how long the readings took in true time at most, in ns.
    pub(crate) const fn bracket(&self) -> u64 {
        let width = self.width().unsigned_abs();
        width.saturating_add(width.div_ceil(7))
    }

    /// Returns real less monotonic time.
    ///
    /// It changes only by a step, a leap second or a suspend.
    #[must_use]
    pub const fn real_offset(&self) -> OffsetRange {
        OffsetRange::between(self.real, self.mono_before, self.mono_after)
    }

    /// Returns boot less monotonic time.
    ///
    /// It changes only by a suspend (or another time namespace).
    #[must_use]
    pub const fn boot_offset(&self) -> OffsetRange {
        OffsetRange::between(self.boot, self.mono_before, self.mono_after)
    }
}

/// A difference between two clocks, known to lie in `[lo, hi]` ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OffsetRange {
    /// The least that the difference can be, in ns.
    pub lo: i64,
    /// The most that the difference can be, in ns.
    pub hi: i64,
}

words_struct!(OffsetRange { lo, hi });

impl OffsetRange {
    const fn between(clock: i64, mono_before: i64, mono_after: i64) -> Self {
        Self {
            lo: clock.saturating_sub(mono_after),
            hi: clock.saturating_sub(mono_before),
        }
    }

    /// Returns how far the other range surely lies from this one.
    ///
    /// It is 0 while they may be one difference, positive when the other is surely larger,
    /// negative when it is surely smaller.
    #[must_use]
    pub const fn moved_to(&self, other: &Self) -> i64 {
        if other.lo > self.hi {
            other.lo.saturating_sub(self.hi)
        } else if other.hi < self.lo {
            other.hi.saturating_sub(self.lo)
        } else {
            0
        }
    }

    /// Returns what both ranges allow, or the other if they exclude each other.
    #[must_use]
    pub(crate) const fn refined_by(&self, other: &Self) -> Self {
        let lo = if self.lo > other.lo {
            self.lo
        } else {
            other.lo
        };
        let hi = if self.hi < other.hi {
            self.hi
        } else {
            other.hi
        };
        if lo <= hi { Self { lo, hi } } else { *other }
    }
}

/// Who reads the clock: raw time must not cross from one time namespace or process image to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// A number that differs between time namespaces; 0 where it cannot be known.
    pub time_namespace: u64,
}

words_struct!(Identity {
    pid,
    time_namespace
});
