//! The kernel's NTP status.

use nix::errno::Errno;

use crate::machine::{NtpStatus, NtpStatusError};

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
