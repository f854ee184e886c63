//! The real machine, for the tests that need it: its clocks, its processes, and how to skip a part.
#![allow(
    dead_code,
    reason = "each test crate that includes this uses some of it"
)]
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
    reason = "processes, signals and the kernel's status are reached through libc alone"
)]

use std::time::{Duration, Instant};

use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{Finding, Look, LookContext, Source, SourceMemory, SyncClaim};
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{Clock, ClockError, Disturbance, ErrorBound, Interval, Status, Timestamp};

#[path = "skip.rs"]
mod skipping;
#[allow(
    unused_imports,
    reason = "each crate that includes this uses some of it"
)]
pub(crate) use skipping::skip;

/// One clock in ns.
pub(crate) fn clock_nanos(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer comes from a live exclusive reference.
    let failed = unsafe { libc::clock_gettime(id, &mut time) };
    assert_eq!(failed, 0, "clock {id} cannot be read");
    i64::from(time.tv_sec) * 1_000_000_000 + i64::from(time.tv_nsec)
}

/// Real time in ns since the Unix epoch.
pub(crate) fn real_nanos() -> i64 {
    clock_nanos(libc::CLOCK_REALTIME)
}

/// Real less monotonic time to the ns, as the kernel's list of timers has it; root may read that.
pub(crate) fn exact_real_offset() -> Option<i64> {
    let list = std::fs::read_to_string("/proc/timer_list").ok()?;
    let (_, clock) = list.split_once(" clock 1:")?;
    let (_, offset) = clock.split_once(".offset:")?;
    offset.split_whitespace().next()?.parse().ok()
}

/// Sleeps for so many milliseconds.
pub(crate) fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Asks again and again until it is so, for half a minute at most; whether it came to be.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > Duration::from_secs(30) {
            return false;
        }
        sleep_ms(1);
    }
    true
}

/// Runs a test that a fault might make wait for ever; fails after a minute instead.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    // Not joined before it has said that it is over.
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    let outcome = ended.recv_timeout(Duration::from_secs(60));
    assert!(
        outcome != Err(std::sync::mpsc::RecvTimeoutError::Timeout),
        "still not over after a minute: somebody waits for ever"
    );
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The machine that the tests run on, as the crate's own reads it.
#[derive(Debug)]
pub(crate) struct HostMachine;

impl Machine for HostMachine {
    fn sample(&self) -> Sample {
        let coarse = clock_nanos(libc::CLOCK_REALTIME_COARSE);
        let raw = clock_nanos(libc::CLOCK_MONOTONIC_RAW);
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        let mono_before = clock_nanos(libc::CLOCK_MONOTONIC);
        let boot = clock_nanos(libc::CLOCK_BOOTTIME);
        let real = clock_nanos(libc::CLOCK_REALTIME);
        let raw = clock_nanos(libc::CLOCK_MONOTONIC_RAW);
        let mono_after = clock_nanos(libc::CLOCK_MONOTONIC);
        Sandwich {
            mono_before,
            boot,
            real,
            raw,
            mono_after,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        let mut timex = timex();
        let state = adjtimex(&mut timex);
        if state < 0 {
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
            return Err(NtpStatusError::Refused { errno });
        }
        let mut status = NtpStatus::default();
        status.state = state;
        status.status = timex.status;
        status.maxerror = timex.maxerror.into();
        status.esterror = timex.esterror.into();
        status.freq = timex.freq.into();
        status.tick = timex.tick.into();
        status.offset = timex.offset.into();
        status.constant = timex.constant.into();
        status.tai = timex.tai;
        Ok(status)
    }

    fn coarse_tick(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: std::process::id(),
            time_namespace: 0,
        }
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A `timex` that asks for nothing.
pub(crate) fn timex() -> libc::timex {
    // SAFETY: `timex` is a plain C struct of integers; all zeroes is a valid value.
    unsafe { std::mem::zeroed() }
}

/// The syscall behind `adjtimex`; the leap state, or less than 0.
pub(crate) fn adjtimex(timex: &mut libc::timex) -> i32 {
    // SAFETY: the pointer comes from a live exclusive reference, and the call touches nothing else
    // in this process.
    unsafe { libc::adjtimex(timex) }
}

/// A source that vouches anew at each look: real time is UTC to within a millisecond.
#[derive(Debug)]
pub(crate) struct TrustReal;

impl TrustReal {
    /// The claim that it makes.
    pub(crate) fn claim(context: &LookContext<'_>) -> SyncClaim {
        let clocks = context.machine.sandwich();
        let bound = ErrorBound {
            reported_ns: 1_000_000,
            bracket_ns: clocks.width().unsigned_abs() * 2,
            ..ErrorBound::default()
        };
        let real = Timestamp::from_unix_nanos(clocks.real);
        let interval = Interval::around(real, bound.total()).expect("real time is in range");
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        SyncClaim {
            claim: Claim::new(clocks.raw, interval, rate),
            bound,
        }
    }
}

impl Source for TrustReal {
    fn name(&self) -> &'static str {
        "real time"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        Look::new(Finding::Write(Self::claim(context)))
    }
}

/// Reads the clock; whether some instant of real time between call and return lies in the interval.
/// `None` where there is no interval.
pub(crate) fn is_true(clock: &Clock) -> Option<bool> {
    let before = real_nanos();
    let now = clock.calm_now().ok()?;
    let after = real_nanos();
    Some(now.earliest().unix_nanos() <= after && now.latest().unix_nanos() >= before)
}

/// Asks a clock again where the reading was interrupted too often and says so: that is no answer
/// about the clock, and on a busy machine it comes to pass.
pub(crate) trait Calm {
    /// An interval, or an error that does not go by asking again.
    fn calm_now(&self) -> Result<Interval, ClockError>;

    /// The same with all that there is to say.
    fn calm_status(&self) -> Status;
}

impl Calm for Clock {
    fn calm_now(&self) -> Result<Interval, ClockError> {
        calm(|| self.now(), |answer| *answer)
    }

    fn calm_status(&self) -> Status {
        calm(|| self.status(), |status| status.interval)
    }
}

fn calm<T>(ask: impl Fn() -> T, interval: impl Fn(&T) -> Result<Interval, ClockError>) -> T {
    let interrupted = ClockError::Disturbed {
        cause: Disturbance::Interrupted,
    };
    let answers = std::iter::repeat_with(&ask).take(100);
    let mut calm = answers.filter(|answer| interval(answer) != Err(interrupted));
    calm.next().unwrap_or_else(ask)
}

/// Runs `child` in a forked child and waits for it; what it returned, or `None` if it died or was
/// not done after a minute (it is killed then).
///
/// The child has this thread only. It must not print or panic in the hope that anybody hears of it.
pub(crate) fn in_child(child: impl FnOnce() -> i32) -> Option<i32> {
    let pid = fork_off(child);
    wait_for(pid, Duration::from_secs(60))
}

/// Starts `child` in a forked child; the child's pid.
pub(crate) fn fork_off(child: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: the child runs on a copy of this thread; libc brings its allocator through a fork,
    // and the child takes no other lock that a thread of the harness may have held.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        die_with_parent();
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
        exit_child(code);
    }
    pid
}

/// Has this child killed when its parent ends without having waited for it.
pub(crate) fn die_with_parent() {
    let signal = libc::c_ulong::from(libc::SIGKILL.unsigned_abs());
    // SAFETY: changes when the kernel kills this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
}

/// Ends a forked child at once, without running what belongs to its parent.
pub(crate) fn exit_child(code: i32) -> ! {
    // SAFETY: ends the process; nothing is expected of it afterwards.
    unsafe { libc::_exit(code) }
}

/// Waits for a child; its exit code, or `None` if it died otherwise or had to be killed.
pub(crate) fn wait_for(pid: libc::pid_t, at_most: Duration) -> Option<i32> {
    let start = Instant::now();
    let mut status = 0;
    loop {
        // SAFETY: the pointer comes from a live exclusive reference; `pid` is a child of ours.
        let done = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
        if done == pid {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        assert!(done == 0, "waitpid failed");
        if start.elapsed() > at_most {
            // A reaped child's pid is not asked for again, so this one is still ours.
            send(pid, libc::SIGKILL);
        }
        sleep_ms(1);
    }
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn send(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: touches no memory of this process.
    let failed = unsafe { libc::kill(pid, signal) };
    assert_eq!(failed, 0, "kill({pid}, {signal}) failed");
}
