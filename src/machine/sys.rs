//! The operating system's side of the crate, and the only file with `unsafe`.
//!
//! Everything here is one call deep: a clock, the kernel's NTP status, a sleep. What the answers
//! mean is decided elsewhere.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use core::time::Duration;
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId as RealClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, ClockNanosleepFlags, clock_getres, clock_gettime, clock_nanosleep};

use crate::machine::{NoCounter, NtpStatus, NtpStatusError};

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// What a clock that cannot be read returns: raw time is never negative, so a reader that meets it
/// takes the slow path and finds its clock disturbed rather than trusting a made-up instant.
const UNREADABLE: i64 = -1;

/// Reads a clock in ns through the vDSO, so without a syscall where the platform has one.
///
/// Not through nix: it copies the `timespec` as one 16-byte load behind the vDSO's two 8-byte
/// stores, which x86 cannot forward. That measured 5 ns on top of a read of 20.
///
/// # References
///
/// - [clock_gettime(2)], [vdso(7)]
/// - Linux `lib/vdso/gettimeofday.c`: the sequence lock and the counter read of each clock
/// - Linux `kernel/time/timekeeping.c`: what slews which clock
///
/// [clock_gettime(2)]: https://man7.org/linux/man-pages/man2/clock_gettime.2.html
/// [vdso(7)]: https://man7.org/linux/man-pages/man7/vdso.7.html
#[inline]
fn clock_nanos(id: ClockId) -> i64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes one `timespec` through the pointer, which comes from a live exclusive
    // reference to one.
    if unsafe { libc::clock_gettime(id.as_raw(), &mut t) } != 0 {
        return UNREADABLE;
    }
    // Of 32 bits on some targets. From 2038 on their C library fails the call (EOVERFLOW).
    #[allow(clippy::useless_conversion, reason = "they are `i64` on most targets")]
    let (secs, nanos) = (i64::from(t.tv_sec), i64::from(t.tv_nsec));
    secs.checked_mul(NANOS_PER_SEC)
        .and_then(|s| s.checked_add(nanos))
        .unwrap_or(UNREADABLE)
}

/// Reads `CLOCK_MONOTONIC_RAW`, which is neither stepped nor slewed.
///
/// It stands still while the machine sleeps.
#[inline]
pub(crate) fn monotonic_raw() -> i64 {
    clock_nanos(ClockId::CLOCK_MONOTONIC_RAW)
}

/// Reads `CLOCK_MONOTONIC`, slewed exactly as `CLOCK_REALTIME` is, never stepped.
#[inline]
pub(crate) fn monotonic() -> i64 {
    clock_nanos(ClockId::CLOCK_MONOTONIC)
}

/// Reads `CLOCK_BOOTTIME`: `CLOCK_MONOTONIC` plus the time the machine slept.
#[inline]
pub(crate) fn boottime() -> i64 {
    clock_nanos(ClockId::CLOCK_BOOTTIME)
}

/// Reads `CLOCK_REALTIME`, the kernel's idea of UTC.
#[inline]
pub(crate) fn realtime() -> i64 {
    clock_nanos(ClockId::CLOCK_REALTIME)
}

/// Reads `CLOCK_REALTIME_COARSE`: `CLOCK_REALTIME` as of the last tick.
///
/// An eighth of the price: no counter is read.
#[inline]
pub(crate) fn realtime_coarse() -> i64 {
    clock_nanos(ClockId::CLOCK_REALTIME_COARSE)
}

/// Returns how far `CLOCK_REALTIME_COARSE` may lag, or `None` without that clock.
///
/// # References
///
/// - [clock_getres(2)]
/// - Linux `kernel/time/posix-timers.c`: coarse clocks answer `KTIME_LOW_RES`, a tick
///
/// [clock_getres(2)]: https://man7.org/linux/man-pages/man2/clock_getres.2.html
pub(crate) fn coarse_tick() -> Option<Duration> {
    let res = clock_getres(ClockId::CLOCK_REALTIME_COARSE).ok()?;
    Some(Duration::from(res))
}

/// Names the first clock the crate reads that does not exist here.
pub(crate) fn missing_clock() -> Option<&'static str> {
    [
        (ClockId::CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"),
        (ClockId::CLOCK_MONOTONIC, "CLOCK_MONOTONIC"),
        (ClockId::CLOCK_BOOTTIME, "CLOCK_BOOTTIME"),
        (ClockId::CLOCK_REALTIME, "CLOCK_REALTIME"),
        (ClockId::CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"),
    ]
    .into_iter()
    .find(|(id, _)| clock_gettime(*id).is_err())
    .map(|(_, name)| name)
}

/// Sleeps once on `CLOCK_MONOTONIC`; may return early (a signal) or late. Callers look again.
///
/// # References
///
/// - [clock_nanosleep(2)]
/// - Linux `kernel/time/hrtimer.c`: the range of a timer, from its slack
///
/// [clock_nanosleep(2)]: https://man7.org/linux/man-pages/man2/clock_nanosleep.2.html
pub(crate) fn sleep(span: Duration) {
    // The error is either EINTR, which callers handle by looking at the clock again, or an invalid
    // span, which a `Duration` cannot be.
    let _ = clock_nanosleep(
        ClockId::CLOCK_MONOTONIC,
        ClockNanosleepFlags::empty(),
        &TimeSpec::from(span),
    );
}

/// Runs `start` with all signals blocked that are sent to a process, so that a thread it starts takes
/// none of them: it inherits the mask of the thread that starts it.
///
/// What a thread does to itself (a fault, a filtered system call, an abort) is not blocked: the kernel
/// would end the process without asking the handler that reports it.
///
/// # References
///
/// - [pthread_sigmask(3)], [signal(7)]
///
/// [pthread_sigmask(3)]: https://man7.org/linux/man-pages/man3/pthread_sigmask.3.html
/// [signal(7)]: https://man7.org/linux/man-pages/man7/signal.7.html
pub(crate) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    const OWN: [libc::c_int; 7] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGABRT,
    ];
    // SAFETY: `sigset_t` is a plain array of integers; all zeroes is the empty set.
    let mut blocked: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: the pointer comes from a live exclusive reference to a `sigset_t`, which the call fills.
    unsafe { libc::sigfillset(&mut blocked) };
    for signal in OWN {
        // SAFETY: as above; a number of a signal that does not exist is refused, and changes nothing.
        unsafe { libc::sigdelset(&mut blocked, signal) };
    }
    let mut former = blocked;
    // SAFETY: both pointers come from live references; the call changes the calling thread's mask alone.
    let masked = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &blocked, &mut former) };
    let started = start();
    if masked == 0 {
        // SAFETY: as above, with the mask that the thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &former, core::ptr::null_mut()) };
    }
    started
}

/// Fills the buffer with random bits of the kernel's generator, which must be ready: never waits.
///
/// By its number: glibc has had a function for it only since 2.25, Linux the call since 3.17.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let length = buffer.len();
    // SAFETY: the call writes at most `length` bytes through the pointer, which comes from a live
    // exclusive reference to a slice of that length.
    let written = unsafe {
        libc::syscall(
            libc::SYS_getrandom,
            buffer.as_mut_ptr(),
            length,
            libc::GRND_NONBLOCK,
        )
    };
    if usize::try_from(written) == Ok(length) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes the kernel wake the calling thread on time.
///
/// By default it may do so 50 µs late, in order to wake several threads at once.
///
/// # References
///
/// - [PR_SET_TIMERSLACK(2const)]
///
/// [PR_SET_TIMERSLACK(2const)]: https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html
pub(crate) fn drop_timer_slack() {
    // 0 would mean the default again. Where it is refused, sleeps are as they were.
    let _ = nix::sys::prctl::set_timerslack(1);
}

/// Reads the kernel's NTP status: `adjtimex` with `modes = 0`.
///
/// A seccomp filter may forbid one of the two syscalls that answer it and allow the other: glibc's
/// `adjtimex()` issues `clock_adjtime`, musl's the syscall of its own name. So a refusal is asked
/// again by the other one before it counts.
///
/// # References
///
/// - [adjtimex(2)]
/// - Linux `kernel/time/ntp.c`: `second_overflow` grows `maxerror`, `ntp_clear` forgets it
/// - Linux `include/uapi/linux/timex.h`: the fields, their units and the flags
///
/// [adjtimex(2)]: https://man7.org/linux/man-pages/man2/adjtimex.2.html
pub(crate) fn ntp_status() -> Result<NtpStatus, NtpStatusError> {
    let (state, timex) = read_timex(0)?;
    Ok(NtpStatus::from_timex(state, &timex))
}

/// Returns what `adjtime` has yet to slew, in µs: `adjtimex` with `ADJ_OFFSET_SS_READ`.
///
/// # References
///
/// - [`adjtimex(2)`](https://man7.org/linux/man-pages/man2/adjtimex.2.html)
/// - `kernel/time/ntp.c`: `__do_adjtimex`, where `ADJ_OFFSET_READONLY` needs no privilege
#[allow(
    clippy::useless_conversion,
    reason = "the field's width differs between targets"
)]
pub(crate) fn adjtime_remaining() -> Result<i64, NtpStatusError> {
    read_timex(ADJ_OFFSET_SS_READ).map(|(_, timex)| timex.offset.into())
}

/// `include/uapi/linux/timex.h`; not every libc names it.
const ADJ_OFFSET_SS_READ: libc::c_uint = 0xa001;

/// Issues a read, by the other of the two syscalls where a filter refuses the first.
fn read_timex(modes: libc::c_uint) -> Result<(i32, libc::timex), NtpStatusError> {
    let first = call_timex(modes, adjtimex_by_libc);
    match first {
        Err(_) => call_timex(modes, adjtimex_by_other_syscall).or(first),
        answer => answer,
    }
}

fn call_timex(
    modes: libc::c_uint,
    call: fn(&mut libc::timex) -> libc::c_int,
) -> Result<(i32, libc::timex), NtpStatusError> {
    // SAFETY: `timex` is a plain C struct of integers (its padding too); all zeroes is a valid
    // value.
    let mut timex: libc::timex = unsafe { core::mem::zeroed() };
    timex.modes = modes;
    let state = call(&mut timex);
    if state < 0 {
        return Err(NtpStatusError::Refused {
            errno: Errno::last_raw(),
        });
    }
    Ok((state, timex))
}

fn adjtimex_by_libc(timex: &mut libc::timex) -> libc::c_int {
    // SAFETY: the pointer comes from a live exclusive reference to a `timex`, which is all the call
    // reads and writes.
    unsafe { libc::adjtimex(timex) }
}

fn adjtimex_by_other_syscall(timex: &mut libc::timex) -> libc::c_int {
    let timex: *mut libc::timex = timex;
    #[cfg(target_env = "musl")]
    // SAFETY: `clock_adjtime(clockid, timex *)` reads and writes only the `timex`, which the
    // exclusive reference above keeps alive; the libc struct is the one its own calls pass on.
    let state = unsafe { libc::clock_adjtime(libc::CLOCK_REALTIME, timex) };
    #[cfg(not(target_env = "musl"))]
    // SAFETY: `adjtimex(timex *)` reads and writes only the `timex`, which the exclusive reference
    // above keeps alive; on this libc the struct has the kernel's layout.
    let state = unsafe { libc::syscall(libc::SYS_adjtimex, timex) };
    // The kernel answers −1 to 5; anything else is a refusal too.
    libc::c_int::try_from(state).unwrap_or(-1)
}

/// How long a [`MappedPage`] is: the smallest page there is.
const PAGE_LEN: usize = 4096;
const PAGE_WORDS: usize = PAGE_LEN / size_of::<AtomicU64>();

/// The first page of a file or device, mapped to be read while its owner writes it.
#[derive(Debug)]
pub(crate) struct MappedPage {
    words: NonNull<[AtomicU64; PAGE_WORDS]>,
}

// SAFETY: the page is only ever read, through atomics, and unmapped by its one owner.
unsafe impl Send for MappedPage {}
// SAFETY: as above; atomics may be read by any number of threads at once.
unsafe impl Sync for MappedPage {}

impl MappedPage {
    /// Maps the first page.
    ///
    /// A regular file must not be empty, and must not be cut short while it is mapped: then reading
    /// it would kill the process.
    ///
    /// # References
    ///
    /// - [mmap(2)]
    /// - Linux `drivers/ptp/ptp_vmclock.c`: what mapping `/dev/vmclock0` gives
    ///
    /// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so no memory of this process is replaced; the
        // descriptor is open for as long as `file` is borrowed, and the mapping outlives it.
        let page = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                PAGE_LEN,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(page.cast());
        words
            .map(|words| Self { words })
            .ok_or_else(|| io::Error::other("mapped at zero"))
    }

    /// Returns what is in it; every word may change at any time.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        // SAFETY: the mapping is page-aligned, `PAGE_LEN` long and readable until `self` is dropped,
        // which the returned borrow cannot outlive; its owner writes to it meanwhile, and atomics allow for that.
        unsafe { self.words.as_ref() }
    }
}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length and is unmapped only here; no borrow
        // of it is left. The call cannot fail for such a range.
        let _ = unsafe { libc::munmap(self.words.as_ptr().cast(), PAGE_LEN) };
    }
}

/// Returns true if the file is the kernel's own, and not one that something else put in its place.
pub(crate) fn is_sysfs(file: &File) -> bool {
    // SAFETY: `statfs` is a plain C struct of integers; all zeroes is a valid value.
    let mut found: libc::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the pointer comes from a live
    // exclusive reference to the struct, which is all that the call writes.
    let told = unsafe { libc::fstatfs(file.as_raw_fd(), &mut found) } == 0;
    // `SYSFS_MAGIC` of `include/uapi/linux/magic.h`; the field's type differs between targets.
    told && i128::from(found.f_type) == 0x6265_6572
}

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

/// When the kernel took in what comes to a socket, and whether the clock that it says so by was stepped since.
///
/// # References
///
/// - [socket(7)], `SO_TIMESTAMPNS`; Linux `net/socket.c`: `__sock_recv_timestamp` stamps itself what came in
///   before stamps were turned on
/// - [timerfd_create(2)], `TFD_TIMER_CANCEL_ON_SET`; Linux `fs/timerfd.c`: `timerfd_clock_was_set`, which every
///   step calls before it returns to its caller
///
/// [socket(7)]: https://man7.org/linux/man-pages/man7/socket.7.html
/// [timerfd_create(2)]: https://man7.org/linux/man-pages/man2/timerfd_create.2.html
#[derive(Debug)]
pub(crate) struct Arrivals {
    steps: TimerFd,
}

/// A control message's header: a length in a word, a level and a type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

impl Arrivals {
    /// Has the kernel stamp what comes to a socket from now on, and watches for steps.
    pub(crate) fn of(socket: &UdpSocket) -> io::Result<Self> {
        let at_once = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let steps = TimerFd::new(RealClock::CLOCK_REALTIME, at_once)?;
        // It is the cancellation that is waited for.
        let never = TimeSpec::new(libc::time_t::MAX, 0);
        let told_of_steps =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        steps.set(Expiration::OneShot(never), told_of_steps)?;
        let on: libc::c_int = 1;
        #[allow(clippy::cast_possible_truncation, reason = "it is four")]
        let on_length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the pointer comes from a live
        // reference to an integer of the length that is given.
        let refused = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                on_length,
            )
        } != 0;
        if refused {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { steps })
    }

    /// Receives a datagram: how long it is, and real time in ns when the kernel took it in, if it says so.
    pub(crate) fn receive(
        socket: &UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Option<i64>)> {
        // Words, for the kernel aligns what it writes from the beginning of this.
        let mut control = [0_usize; 16];
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: `msghdr` is a plain C struct of integers and pointers; all zeroes is a valid value.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed. The call writes through the pointers in
        // the struct, no more than the lengths beside them say: `buffer` and `control`, which are borrowed
        // exclusively until it returns.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        // Zeroes are left behind what the kernel wrote, and a length of zero ends it.
        let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok((length, stamp_in(&bytes)))
    }

    /// Returns true unless it is sure that real time was not stepped since the watch began.
    pub(crate) fn may_have_been_stepped(&self) -> bool {
        self.steps.wait() != Err(Errno::EAGAIN)
    }
}

/// Returns the first stamp among control messages, in ns.
fn stamp_in(mut control: &[u8]) -> Option<i64> {
    let int = |bytes: &[u8]| bytes.try_into().map(libc::c_int::from_ne_bytes).ok();
    loop {
        let (length, rest) = control.split_first_chunk::<{ size_of::<usize>() }>()?;
        let length = usize::from_ne_bytes(*length);
        let (level, kind) = (int(rest.get(..4)?)?, int(rest.get(4..8)?)?);
        let data = control.get(HEADER..length)?;
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            let (secs, nanos) = data.split_at_checked(data.len() / 2)?;
            let word = |bytes: &[u8]| bytes.try_into().map(libc::c_long::from_ne_bytes).ok();
            #[allow(clippy::useless_conversion, reason = "they are `i64` on most targets")]
            let (secs, nanos) = (i64::from(word(secs)?), i64::from(word(nanos)?));
            return secs.checked_mul(NANOS_PER_SEC)?.checked_add(nanos);
        }
        control = control.get(length.max(HEADER).next_multiple_of(size_of::<usize>())..)?;
    }
}

/// How the processor's counter is read in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "no other counter is known how to read")
)]
pub(crate) enum CountRead {
    /// By the instruction that waits by itself, which not every processor has.
    Ordered,
    /// By a barrier, and then by the instruction that does not wait.
    Fenced,
}

impl CountRead {
    /// Returns the instructions, as an assembler spells them.
    pub(crate) const fn instructions(self) -> &'static str {
        match self {
            _ if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) => "none",
            Self::Ordered if cfg!(target_arch = "x86_64") => "rdtscp",
            Self::Fenced if cfg!(target_arch = "x86_64") => "lfence; rdtsc",
            Self::Ordered => "mrs cntvctss_el0",
            Self::Fenced => "isb; mrs cntvct_el0",
        }
    }

    /// Reads the counter, after every load before it and after `value` is known.
    ///
    /// # References
    ///
    /// - Intel SDM volume 2, `RDTSCP`: executes once all that comes before has executed and all loads before
    ///   are globally visible; `LFENCE`: nothing after it begins before all that comes before has completed
    /// - Arm ARM D12.2.2: a read of the counter may be done early, unless an `ISB` comes before it; K13.6:
    ///   what is read after a branch on a loaded value and an `ISB` is read after that load; `CNTVCTSS_EL0`:
    ///   cannot be read speculatively, so not before the branch either
    /// - Linux `arch/arm64/include/asm/vdso/gettimeofday.h` and `arch/x86/include/asm/msr.h`, which do so for
    ///   the vDSO
    #[inline]
    pub(crate) fn count(self, value: i64) -> i64 {
        match self {
            Self::Ordered => ordered(value),
            Self::Fenced => fenced(value),
        }
    }
}

/// Checks that the processor's counter never stops and keeps its rate, and finds an ordered read of it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn sound_counter() -> Result<CountRead, NoCounter> {
    // The intrinsic is safe to call since Rust 1.94, and was not at the MSRV.
    #[allow(unused_unsafe, reason = "unsafe at the MSRV")]
    // SAFETY: every x86-64 processor has the instruction; it touches registers alone, and a leaf that
    // does not exist answers with another one's values or zeroes.
    counter_of(|leaf| unsafe { core::arch::x86_64::__cpuid(leaf) })
}

/// Returns how the counter of a processor is read that says this of itself.
///
/// # References
///
/// - Intel SDM volume 3, 19.17.1 "Invariant TSC"; AMD APM volume 3, CPUID `8000_0007h` EDX 8
/// - Intel SDM volume 2 and AMD APM volume 3, CPUID `8000_0001h` EDX 27: `RDTSCP`
/// - AMD APM volume 3, CPUID `8000_0021h` EAX 2: `LFENCE` always waits; without it a register of the model
///   decides, which programs cannot read
/// - Linux `arch/x86/kernel/tsc.c`: what makes `tsc` the clocksource
#[cfg(target_arch = "x86_64")]
fn counter_of(
    cpuid: impl Fn(u32) -> core::arch::x86_64::CpuidResult,
) -> Result<CountRead, NoCounter> {
    /// Where a hypervisor signs; Xen does so a few leaves later if it poses as another one.
    const SIGNATURES: [u32; 4] = [0x4000_0000, 0x4000_0100, 0x4000_0200, 0x4000_0300];
    /// `XenV` in the first register of its signature.
    const XEN: u32 = u32::from_le_bytes(*b"XenV");
    /// `Genu`, of the one vendor whose `LFENCE` always waits.
    const INTEL: u32 = u32::from_le_bytes(*b"Genu");

    let highest = cpuid(0x8000_0000).eax;
    let invariant = highest >= 0x8000_0007 && cpuid(0x8000_0007).edx & (1 << 8) != 0;
    if !invariant {
        return Err(NoCounter::NotInvariant);
    }
    let lfence_waits = || {
        cpuid(0).ebx == INTEL || (highest >= 0x8000_0021 && cpuid(0x8000_0021).eax & (1 << 2) != 0)
    };
    let read = if cpuid(0x8000_0001).edx & (1 << 27) != 0 {
        CountRead::Ordered
    } else if lfence_waits() {
        CountRead::Fenced
    } else {
        return Err(NoCounter::Unordered);
    };
    let guest = cpuid(1).ecx & (1 << 31) != 0;
    if guest && SIGNATURES.iter().any(|leaf| cpuid(*leaf).ebx == XEN) {
        return Err(NoCounter::Xen);
    }
    Ok(read)
}

/// Accepts the generic timer, of which the architecture promises all else, and finds how it is read.
///
/// # References
///
/// - Linux `Documentation/arch/arm64/cpu-feature-registers.rst`: `HWCAP_CPUID`, under which the kernel
///   answers reads of identification registers with what all processors have; `ID_AA64MMFR0_EL1`
/// - Arm ARM D19.2.64, `ID_AA64MMFR0_EL1.ECV`: not zero where `CNTVCTSS_EL0` exists
#[cfg(target_arch = "aarch64")]
pub(crate) fn sound_counter() -> Result<CountRead, NoCounter> {
    // SAFETY: the call looks a number up in what the kernel told the process when it began.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP) };
    if capabilities & libc::HWCAP_CPUID == 0 {
        return Ok(CountRead::Fenced);
    }
    let features: u64;
    // SAFETY: reads an identification register into a register, which the kernel answers for programs, as it
    // just said. By its number, for the assembler's sake.
    unsafe {
        core::arch::asm!(
            "mrs {features}, S3_0_C0_C7_0",
            features = out(reg) features,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    Ok(counter_of(features))
}

/// Returns how the counter is read where `ID_AA64MMFR0_EL1` holds this.
#[cfg(target_arch = "aarch64")]
const fn counter_of(features: u64) -> CountRead {
    // The highest four bits: ECV.
    if features >> 60 == 0 {
        CountRead::Fenced
    } else {
        CountRead::Ordered
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const fn sound_counter() -> Result<CountRead, NoCounter> {
    Err(NoCounter::Unsupported)
}

#[inline]
#[cfg(target_arch = "x86_64")]
fn ordered(_value: i64) -> i64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter and the number of the processor into three registers, which are named;
    // `sound_counter` found that the processor has the instruction. Memory is not named as untouched, so
    // that the compiler moves no load over it.
    unsafe {
        core::arch::asm!(
            "rdtscp",
            out("rax") low,
            out("rdx") high,
            out("rcx") _,
            options(nostack, preserves_flags)
        );
    }
    whole(low, high)
}

/// Out of the way: few processors lack the instruction that waits by itself.
#[cold]
#[cfg(target_arch = "x86_64")]
fn fenced(_value: i64) -> i64 {
    let (low, high): (u64, u64);
    // SAFETY: a barrier, and a read of the counter into two registers, which are named; every x86-64
    // processor has both instructions. Memory is not named as untouched, as above.
    unsafe {
        core::arch::asm!(
            "lfence",
            "rdtsc",
            out("rax") low,
            out("rdx") high,
            options(nostack, preserves_flags)
        );
    }
    whole(low, high)
}

#[inline]
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::cast_possible_wrap,
    reason = "counts are compared by their differences"
)]
const fn whole(low: u64, high: u64) -> i64 {
    (high << 32 | low) as i64
}

/// Reads the processor's counter as [`CountRead::count`] does, and in one instruction the number of the processor.
///
/// # References
///
/// - Intel SDM volume 2, `RDTSCP`: `ECX` is `IA32_TSC_AUX`
/// - Linux `arch/x86/kernel/cpu/common.c`, `setup_getcpu`: the number in its low 12 bits, the node above
#[inline]
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::cast_possible_wrap,
    reason = "counts are compared by their differences"
)]
pub(crate) fn count_on_processor() -> (i64, u32) {
    /// `VDSO_CPUNODE_MASK` of `arch/x86/include/asm/segment.h`.
    const NUMBER: u32 = 0xfff;
    let (low, high): (u64, u64);
    let processor: u32;
    // SAFETY: as in `count`: the three registers that the instruction writes are named.
    unsafe {
        core::arch::asm!(
            "rdtscp",
            out("rax") low,
            out("rdx") high,
            out("ecx") processor,
            options(nostack, preserves_flags)
        );
    }
    ((high << 32 | low) as i64, processor & NUMBER)
}

/// Asks the kernel which processor this is.
///
/// By the system call: the vDSO, too, asks the register that [`count_on_processor`] reads, where the
/// processor has `RDPID`, and so would find it right whatever it says.
///
/// # References
///
/// - [getcpu(2)](https://man7.org/linux/man-pages/man2/getcpu.2.html)
/// - Linux `arch/x86/include/asm/segment.h`, `vdso_read_cpunode`
#[cfg(target_arch = "x86_64")]
pub(crate) fn processor() -> Option<u32> {
    let mut processor: libc::c_uint = 0;
    let nowhere = core::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call writes one integer through the first pointer, which comes from a live exclusive
    // reference to one, and leaves alone what a null pointer stands for.
    let told = unsafe { libc::syscall(libc::SYS_getcpu, &raw mut processor, nowhere, nowhere) };
    (told == 0).then_some(processor)
}

#[inline]
#[cfg(target_arch = "aarch64")]
fn ordered(value: i64) -> i64 {
    let count: i64;
    // SAFETY: a branch to the next instruction and a read of the self-synchronised view of the virtual counter
    // (`cntvctss_el0`, by its number, for the assembler's sake) into a register; `sound_counter` found that the
    // processor has it, and Linux lets programs read it. Memory is not named as untouched, so that the compiler
    // moves no load over it.
    unsafe {
        core::arch::asm!(
            "cbnz {value}, 2f",
            "2:",
            "mrs {count}, S3_3_C14_C0_6",
            value = in(reg) value,
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[inline]
#[cfg(target_arch = "aarch64")]
fn fenced(value: i64) -> i64 {
    let count: i64;
    // SAFETY: a branch to the next instruction, a barrier and a read of the virtual counter into a
    // register, which Linux lets programs do. Memory is not named as untouched, so that the compiler
    // moves no load over it.
    unsafe {
        core::arch::asm!(
            "cbnz {value}, 2f",
            "2:",
            "isb",
            "mrs {count}, cntvct_el0",
            value = in(reg) value,
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const fn ordered(_value: i64) -> i64 {
    0
}

#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const fn fenced(_value: i64) -> i64 {
    0
}

/// Reads the counter, perhaps before what precedes it has been done, but not after what follows it is seen.
///
/// What it reads had come by then, so it can tell that a time is over, and what is stored afterwards can be
/// seen by no other processor before. That takes half of the time that [`CountRead::count`] does.
///
/// # References
///
/// - Intel SDM volume 2, `RDTSC`: not ordered against what comes before; volume 3, 9.2.2: stores are seen in the
///   order of the program, and not before the instructions ahead of them have retired
/// - Arm ARM D12.2.2: a read of the counter may be done early; a store is not done speculatively
#[inline(always)]
#[allow(clippy::inline_always, reason = "as `count` is")]
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::cast_possible_wrap,
    reason = "counts are compared by their differences"
)]
pub(crate) fn count_early() -> i64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter into two registers, which are named. Memory is not named as untouched, so
    // that the compiler moves no store over it.
    unsafe {
        core::arch::asm!(
            "rdtsc",
            out("rax") low,
            out("rdx") high,
            options(nostack, preserves_flags)
        );
    }
    (high << 32 | low) as i64
}

#[inline]
#[cfg(target_arch = "aarch64")]
pub(crate) fn count_early() -> i64 {
    let count: i64;
    // SAFETY: reads the virtual counter into a register, which Linux lets programs do. Memory is not named
    // as untouched, so that the compiler moves no store over it.
    unsafe {
        core::arch::asm!(
            "mrs {count}, cntvct_el0",
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const fn count_early() -> i64 {
    0
}

/// Lets no reading of the counter begin before all stores so far can be seen by every processor.
///
/// A sequentially consistent fence does that on x86, where it is an `MFENCE` or a locked instruction; on
/// ARM it orders memory alone.
///
/// # References
///
/// - Arm ARM B2.3.12: `DSB` completes only when the accesses before it have
#[inline]
pub(crate) fn after_stores() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier: touches no register, memory or stack.
    unsafe {
        core::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}

/// Loads a word, but not before `value` is known.
///
/// A counter read is not a load, so no fence of the memory model orders a later load after it, and
/// processors do run such a load early. An address that depends on the value cannot be known before it.
/// (Linux makes such a dependency on ARM to keep a sequence check behind the counter read.)
///
/// Relaxed but for that. In assembly as a whole, since an index that the compiler adds costs it a
/// multiplication by the size of what is indexed, which the reader would wait for.
#[cfg_attr(loom, allow(dead_code, reason = "loom's clocks are atomics"))]
#[inline]
pub(crate) fn load_after(word: &core::sync::atomic::AtomicI64, value: i64) -> i64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let loaded: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an AND of a register with 0, and a load from a live, aligned atomic, which is how x86 loads it
    // relaxed. Unlike XOR with itself the AND is no idiom that processors resolve without the register.
    unsafe {
        core::arch::asm!(
            "and {zero}, 0",
            "mov {loaded}, qword ptr [{word} + {zero}]",
            zero = inout(reg) value => _,
            word = in(reg) word.as_ptr(),
            loaded = lateout(reg) loaded,
            options(nostack, readonly)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: an AND of a register with the zero register, which keeps the dependency by the architecture's
    // rule, and a load from a live, aligned atomic, which is how ARM loads it relaxed.
    unsafe {
        core::arch::asm!(
            "and {zero}, {zero}, xzr",
            "ldr {loaded}, [{word}, {zero}]",
            zero = inout(reg) value => _,
            word = in(reg) word.as_ptr(),
            loaded = lateout(reg) loaded,
            options(nostack, readonly, preserves_flags)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let loaded = {
        let _ = zero_after(value);
        word.load(core::sync::atomic::Ordering::Relaxed)
    };
    loaded
}

/// Returns zero, but only once `value` is known.
///
/// A load at an index that it was added to waits for `value`, as [`load_after`] does.
#[inline]
pub(crate) fn zero_after(value: i64) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let mut zero = value;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: one AND of a register with 0: touches neither memory nor stack. Unlike XOR with
    // itself it is no idiom that processors resolve without waiting for the register.
    unsafe {
        core::arch::asm!("and {0}, 0", inout(reg) zero, options(pure, nomem, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: one AND of a register with the zero register: touches neither memory nor stack, and
    // the architecture keeps the dependency.
    unsafe {
        core::arch::asm!("and {0}, {0}, xzr", inout(reg) zero, options(pure, nomem, nostack));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let zero = {
        let _ = value;
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        0_i64
    };
    // Always zero, which the compiler cannot know.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "zero is zero in every width"
    )]
    let zero = zero as usize;
    zero
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    /// Every read that this processor has.
    #[allow(clippy::print_stdout, reason = "CI looks for which they are")]
    fn reads() -> Vec<CountRead> {
        let chosen = sound_counter();
        let ordered = (chosen == Ok(CountRead::Ordered)).then_some(CountRead::Ordered);
        let reads: Vec<_> = ordered.into_iter().chain([CountRead::Fenced]).collect();
        let names = reads.iter().map(|read| read.instructions());
        println!("{chosen:?}: {}", names.collect::<Vec<_>>().join(", "));
        reads
    }

    #[test]
    fn each_read_of_the_counter_agrees_with_the_others() {
        let reads = reads();
        let mut last = CountRead::Fenced.count(0);
        for _ in 0..100_000 {
            for read in &reads {
                let count = read.count(last);
                assert!(count >= last, "{read:?}: {count} after {last}");
                last = count;
            }
        }
        // Of one counter, and not of two that both go on: neither read is 10 s away from the other.
        let raw = monotonic_raw();
        let first = CountRead::Fenced.count(raw);
        while monotonic_raw() - raw < 10_000_000 {}
        let second = reads[0].count(first);
        assert!((100_000..10_000_000_000).contains(&(second - first)));
    }

    /// A read that ran before the load in front of it would return less than what was counted for the load.
    #[test]
    fn a_read_of_the_counter_is_no_earlier_than_what_another_thread_counted_before() {
        for read in reads() {
            let (told, done) = (AtomicI64::new(i64::MIN), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        told.store(read.count(0), Ordering::Release);
                    }
                });
                for _ in 0..200_000 {
                    let before = told.load(Ordering::Acquire);
                    let count = read.count(before);
                    assert!(count >= before, "{read:?}: {count} before {before}");
                }
                done.store(true, Ordering::Relaxed);
            });
        }
    }

    /// What a processor says of itself: the vendor, its highest leaf, and bits of four leaves.
    #[cfg(target_arch = "x86_64")]
    #[derive(Clone, Copy)]
    struct Cpu {
        vendor: &'static [u8; 4],
        highest: u32,
        rdtscp: bool,
        invariant: bool,
        lfence: bool,
        hypervisor: Option<(u32, &'static [u8; 4])>,
    }

    #[cfg(target_arch = "x86_64")]
    impl Cpu {
        const PLAIN: Self = Self {
            vendor: b"Genu",
            highest: 0x8000_0008,
            rdtscp: true,
            invariant: true,
            lfence: false,
            hypervisor: None,
        };

        fn judged(self) -> Result<CountRead, NoCounter> {
            counter_of(|leaf| {
                let mut found = core::arch::x86_64::CpuidResult {
                    eax: 0,
                    ebx: 0,
                    ecx: 0,
                    edx: 0,
                };
                match leaf {
                    0 => found.ebx = u32::from_le_bytes(*self.vendor),
                    1 => found.ecx = u32::from(self.hypervisor.is_some()) << 31,
                    0x8000_0000 => found.eax = self.highest,
                    0x8000_0001 => found.edx = u32::from(self.rdtscp) << 27,
                    0x8000_0007 => found.edx = u32::from(self.invariant) << 8,
                    0x8000_0021 => found.eax = u32::from(self.lfence) << 2,
                    leaf => {
                        let signs = self.hypervisor.filter(|(at, _)| *at == leaf);
                        found.ebx = signs.map_or(0, |(_, name)| u32::from_le_bytes(*name));
                    }
                }
                found
            })
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_processor_without_rdtscp_reads_behind_an_lfence_that_waits() {
        let plain = Cpu::PLAIN;
        assert_eq!(plain.judged(), Ok(CountRead::Ordered));
        let without = Cpu {
            rdtscp: false,
            ..plain
        };
        assert_eq!(without.judged(), Ok(CountRead::Fenced));
        // Another vendor's waits where the processor says so, and may not elsewhere.
        let other = Cpu {
            vendor: b"Auth",
            highest: 0x8000_0021,
            ..without
        };
        assert_eq!(other.judged(), Err(NoCounter::Unordered));
        let waits = Cpu {
            lfence: true,
            ..other
        };
        assert_eq!(waits.judged(), Ok(CountRead::Fenced));
        let not_told = Cpu {
            highest: 0x8000_0020,
            ..waits
        };
        assert_eq!(not_told.judged(), Err(NoCounter::Unordered));
        assert_eq!(
            Cpu {
                rdtscp: true,
                ..other
            }
            .judged(),
            Ok(CountRead::Ordered)
        );
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn no_read_makes_up_for_a_counter_that_is_not_invariant_or_that_xen_moves() {
        for rdtscp in [true, false] {
            let cpu = Cpu {
                rdtscp,
                ..Cpu::PLAIN
            };
            let variant = Cpu {
                invariant: false,
                ..cpu
            };
            assert_eq!(variant.judged(), Err(NoCounter::NotInvariant));
            let old = Cpu {
                highest: 0x8000_0006,
                ..cpu
            };
            assert_eq!(old.judged(), Err(NoCounter::NotInvariant));
            for leaf in [0x4000_0000, 0x4000_0100] {
                let hypervisor = |name| Cpu {
                    hypervisor: Some((leaf, name)),
                    ..cpu
                };
                assert_eq!(hypervisor(b"XenV").judged(), Err(NoCounter::Xen));
                assert!(hypervisor(b"KVMK").judged().is_ok());
            }
        }
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn a_processor_with_ecv_reads_the_self_synchronised_view() {
        assert_eq!(counter_of(0x0fff_ffff_ffff_ffff), CountRead::Fenced);
        assert_eq!(counter_of(1 << 60), CountRead::Ordered);
        assert_eq!(counter_of(2 << 60), CountRead::Ordered);
    }
}
