//! What a thread asks of the kernel for itself: sleep, which signals reach it, when it is woken.

use core::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

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
