//! The clocks, each read by one call.

use core::time::Duration;

use nix::time::{ClockId, clock_getres, clock_gettime};

use super::NANOS_PER_SEC;

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
