//! The kernel's NTP fields, for those who write them: locked, saved, and put back whatever happens.
#![allow(dead_code, reason = "each crate that includes this uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    clippy::useless_conversion,
    reason = "the width of C's integers differs between targets"
)]
#![allow(
    unsafe_code,
    reason = "the kernel's status, locks and the watchdog are reached through libc alone"
)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use epsilon_clock::machine::{Machine, NtpStatus, OffsetRange};

use crate::host::{HostMachine, adjtimex, exit_child, sleep_ms, timex};

/// Why the fields cannot be written here, if they cannot; takes two seconds to find out.
pub(crate) fn obstacle() -> Option<String> {
    let Ok(status) = HostMachine.ntp_status() else {
        return Some("adjtimex is refused".into());
    };
    if let Some(name) = running_daemon() {
        return Some(format!("{name} is running and writes the same fields"));
    }
    if status.offset != 0 || adjustment_ppm(&status).abs() > 200 {
        return Some("the kernel still slews for a time daemon".into());
    }
    let _lock = Lock::take();
    if !is_left_alone() {
        return Some("somebody else writes the same fields".into());
    }
    (!may_write()).then(|| "no right to write them (CAP_SYS_TIME)".into())
}

/// The rate at which the kernel is told to run off nominal.
fn adjustment_ppm(status: &NtpStatus) -> i64 {
    (status.tick - NtpStatus::NOMINAL_TICK) * 100 + status.freq / 65_536
}

/// A process that keeps the machine's time.
fn running_daemon() -> Option<String> {
    const DAEMONS: [&str; 10] = [
        "chronyd",
        "ntpd",
        "ntpsec",
        "openntpd",
        "systemd-timesyn",
        "ptp4l",
        "phc2sys",
        "ntp-daemon",
        "clockbound",
        "ntpdate",
    ];
    let processes = std::fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .find(|name| DAEMONS.contains(&name.as_str()))
}

/// Whether over two seconds the fields do nothing but what the kernel does to them.
fn is_left_alone() -> bool {
    let first = status();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_200) {
        sleep_ms(50);
        let now = status();
        let grown = now.maxerror - first.maxerror;
        let by_the_kernel = now.maxerror == NtpStatus::MAXERROR_CAP || grown % 500 == 0;
        if !by_the_kernel || !(0..=1_500).contains(&grown) || now.esterror != first.esterror {
            return false;
        }
    }
    true
}

/// Whether this process may write the fields: writes the estimated error that is there already.
fn may_write() -> bool {
    let mut timex = timex();
    timex.modes = libc::ADJ_ESTERROR;
    timex.esterror = status().esterror.try_into().unwrap();
    adjtimex(&mut timex) >= 0
}

pub(crate) fn status() -> NtpStatus {
    HostMachine.ntp_status().expect("adjtimex answered before")
}

/// Writes the three fields at once, as a daemon does.
pub(crate) fn write(flags: i32, maxerror_us: i64, esterror_us: i64) {
    let mut timex = timex();
    timex.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    timex.status = flags;
    timex.maxerror = maxerror_us.try_into().unwrap();
    timex.esterror = esterror_us.try_into().unwrap();
    assert!(adjtimex(&mut timex) >= 0, "the fields cannot be written");
}

/// Held by one test at a time, in whatever process.
pub(crate) struct Lock(#[allow(dead_code, reason = "closing it unlocks")] File);

impl Lock {
    pub(crate) fn take() -> Self {
        let path = std::env::temp_dir().join("epsilon-clock-kernel-fields.lock");
        // Another user's file may be locked, but in a shared directory not opened for writing.
        let file = File::options().create(true).append(true).open(&path);
        let file = file
            .or_else(|_| File::open(&path))
            .expect("the lock file opens");
        // SAFETY: waits on a descriptor that `file` keeps open.
        while unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } != 0 {}
        Self(file)
    }
}

/// Real less monotonic time: to the ns where the kernel tells (to root), else to within a few ns.
pub(crate) fn real_offset() -> OffsetRange {
    let read = sharp_real_offset();
    // Not in a time namespace, whose monotonic clock is another one than the kernel's own.
    match crate::host::exact_real_offset() {
        Some(exact) if (read.lo..=read.hi).contains(&exact) => OffsetRange {
            lo: exact,
            hi: exact,
        },
        _ => read,
    }
}

/// The sharpest that many sandwiches agree on.
fn sharp_real_offset() -> OffsetRange {
    let mut range = HostMachine.sandwich().real_offset();
    for _ in 0..20_000 {
        let one = HostMachine.sandwich().real_offset();
        range.lo = range.lo.max(one.lo);
        range.hi = range.hi.min(one.hi);
    }
    assert!(
        range.lo <= range.hi,
        "the clock was stepped by somebody else: {range:?}"
    );
    range
}

/// The fields as they were, and a process that puts them back if this one cannot.
///
/// Taking and dropping one allocates nothing, so that a forked child may.
pub(crate) struct Saved {
    flags: i32,
    maxerror_us: i64,
    esterror_us: i64,
    watchdog: libc::pid_t,
    /// Closed when this process ends, however it does.
    leash: libc::c_int,
}

impl Saved {
    pub(crate) fn take() -> Self {
        let before = status();
        let mut ends = [0; 2];
        // SAFETY: the pointer leads to room for two descriptors.
        let failed = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        assert_eq!(failed, 0, "no pipe");
        let [read_end, leash] = ends;
        // SAFETY: the child makes system calls only.
        let watchdog = unsafe { libc::fork() };
        assert!(watchdog >= 0, "no watchdog");
        if watchdog == 0 {
            watch(read_end, leash, &before);
        }
        // SAFETY: closes a descriptor that only this function knows.
        unsafe { libc::close(read_end) };
        Self {
            flags: before.status,
            maxerror_us: before.maxerror,
            esterror_us: before.esterror,
            watchdog,
            leash,
        }
    }
}

/// The watchdog: waits until the leash goes slack, and puts the fields back unless told that this
/// was done.
fn watch(read_end: libc::c_int, leash: libc::c_int, before: &NtpStatus) -> ! {
    // SAFETY: closes this process's copy, so that the other end's closing can be seen.
    unsafe { libc::close(leash) };
    // Out of the way of signals that are sent to the terminal's processes.
    // SAFETY: has no conditions.
    unsafe { libc::setsid() };
    let mut byte = 0_u8;
    loop {
        // SAFETY: the pointer leads to room for the one byte that is asked for.
        match unsafe { libc::read(read_end, (&raw mut byte).cast(), 1) } {
            0 => break,
            1 => exit_child(0),
            // Interrupted.
            _ => {}
        }
    }
    write(before.status, before.maxerror, before.esterror);
    exit_child(0);
}

impl Drop for Saved {
    fn drop(&mut self) {
        write(self.flags, self.maxerror_us, self.esterror_us);
        // SAFETY: writes the one byte that the pointer leads to.
        unsafe { libc::write(self.leash, [1_u8].as_ptr().cast(), 1) };
        // SAFETY: closes a descriptor that only this value knows.
        unsafe { libc::close(self.leash) };
        // SAFETY: a null pointer asks for no status; the child ends at once.
        unsafe { libc::waitpid(self.watchdog, std::ptr::null_mut(), 0) };
    }
}
