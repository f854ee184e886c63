//! Why a call failed: numbers that never change their meaning, and texts that say what to do.

use core::ffi::{CStr, c_char};

use epsilon_clock::clock::{WaitReason, WaitTimeout};
use epsilon_clock::commit::{CommitError, CommitWaitError};
use epsilon_clock::hlc::HlcError;
use epsilon_clock::lease::{LeaseError, NotHeld};
use epsilon_clock::source::Refusal;
use epsilon_clock::time::{DecodeError, RangeError};
use epsilon_clock::{BuildError, ClockError, Disturbance};

/// Why a call failed; 0 if it did not. `ec_error_text` says it in words.
///
/// A failed call has written nothing, unless its comment says so. More codes may come within an ABI
/// version: take one that you do not know for a failure of its range.
///
/// 1 to 19: what was handed over. 20 to 29: opening. 30 to 49: no source vouches for the clock.
/// 50 to 59: the clock gives no interval all the same. 60 to 69: waits. 70 to 79: hybrid stamps.
/// 80 to 89: leases and fences.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ec_error {
    /// It worked.
    EC_OK = 0,
    /// A pointer is null that must not be.
    EC_ERR_NULL = 1,
    /// A handle was never given out, or is one of another kind.
    EC_ERR_HANDLE = 2,
    /// A handle was closed before the call, or by another thread while it waited.
    EC_ERR_CLOSED = 3,
    /// The `size` of a struct is none that it can have, or fields are set that this library lacks.
    EC_ERR_SIZE = 4,
    /// The `version` of a struct is none that this library knows.
    EC_ERR_VERSION = 5,
    /// A pointer is not aligned as its type asks.
    EC_ERR_MISALIGNED = 6,
    /// A setting lies outside what is allowed, or names a flag that does not exist.
    EC_ERR_OPTION = 7,
    /// A value is none of its kind, such as an interval that ends before it begins.
    EC_ERR_VALUE = 8,
    /// A buffer is too small.
    EC_ERR_BUFFER = 9,
    /// Bytes or text are not what they should be: never written, broken, or of another format.
    EC_ERR_FORMAT = 10,
    /// An instant or a span lies outside what can be told.
    EC_ERR_RANGE = 11,
    /// All places for handles of this kind are taken: close some.
    EC_ERR_TOO_MANY = 12,
    /// A bug in this library: nothing is known of what was done.
    EC_ERR_INTERNAL = 13,
    /// The machine lacks a clock that is needed.
    EC_ERR_MISSING_CLOCK = 20,
    /// The thread that was asked for could not be started.
    EC_ERR_THREAD = 21,
    /// The clock could not be opened for another reason.
    EC_ERR_OPEN = 22,
    /// No source vouches, for a reason that has no code of its own.
    EC_ERR_UNVOUCHED = 30,
    /// The kernel says that its clock is not synchronised.
    EC_ERR_UNSYNCHRONIZED = 31,
    /// The kernel reports a bound but flags its clock as unsynchronised.
    EC_ERR_UNSYNC_FLAG = 32,
    /// What wrote the kernel's bound does not report one.
    EC_ERR_NO_BOUND = 33,
    /// The time daemon's next write is awaited.
    EC_ERR_AWAITING_WRITE = 34,
    /// chronyd does not vouch, or does not answer.
    EC_ERR_CHRONY = 35,
    /// The kernel does not let this process ask.
    EC_ERR_NTP_STATUS = 36,
    /// The clock gives no interval, for a reason that has no code of its own.
    EC_ERR_NO_INTERVAL = 50,
    /// The last sync is longer ago than `max_age_ns`.
    EC_ERR_TOO_OLD = 51,
    /// The bound is wider than `max_error_ns`.
    EC_ERR_TOO_WIDE = 52,
    /// What sources said about the time contradicts itself.
    EC_ERR_CONTRADICTED = 53,
    /// The machine was suspended, or its clock stepped, or the like.
    EC_ERR_DISTURBED = 54,
    /// A step or a suspend broke what `assume_error_ns` had vouched for.
    EC_ERR_ASSUMPTION_BROKEN = 55,
    /// The interval leaves the range of timestamps.
    EC_ERR_OUT_OF_RANGE = 56,
    /// The caller was preempted at each attempt to compare the clocks; call again.
    EC_ERR_INTERRUPTED = 57,
    /// The timeout is too short, or went by.
    EC_ERR_TIMEOUT = 60,
    /// The timestamp can never be past.
    EC_ERR_NEVER_PAST = 61,
    /// The timestamp to stay above is too far in the future.
    EC_ERR_FLOOR_TOO_FAR_AHEAD = 62,
    /// No timestamp is left to commit at.
    EC_ERR_RANGE_EXHAUSTED = 63,
    /// The clock's error is only assumed, and a source was waited for.
    EC_ERR_ONLY_ASSUMED = 64,
    /// A remote stamp is further ahead than an honest peer can have issued.
    EC_ERR_TOO_FAR_AHEAD = 70,
    /// The local clock jumped ahead by more than the limit.
    EC_ERR_FORWARD_JUMP = 71,
    /// No stamp is left to issue.
    EC_ERR_END_OF_STAMPS = 72,
    /// No stamp was issued, for a reason that has no code of its own.
    EC_ERR_NO_STAMP = 73,
    /// A newer token has been here.
    EC_ERR_STALE_TOKEN = 80,
    /// 0 and what is negative are no tokens.
    EC_ERR_NO_TOKEN = 81,
    /// The expiry is further ahead than any lease is long.
    EC_ERR_IMPLAUSIBLE = 82,
    /// The lease surely expired.
    EC_ERR_EXPIRED = 83,
    /// It may be too late for the lease, by its margin.
    EC_ERR_TOO_LATE = 84,
    /// The lease is not held, for a reason that has no code of its own.
    EC_ERR_NOT_HELD = 85,
}

use ec_error as E;

/// Every code with its text.
const TEXTS: &[(ec_error, &CStr)] = &[
    (E::EC_OK, c"no error"),
    (E::EC_ERR_NULL, c"a pointer is null that must not be"),
    (
        E::EC_ERR_HANDLE,
        c"the handle was never given out, or is one of another kind",
    ),
    (E::EC_ERR_CLOSED, c"the handle was closed"),
    (
        E::EC_ERR_SIZE,
        c"the size of a struct is none that it can have, or fields are set that this library does \
          not have: fill it by its init function, or install a newer library",
    ),
    (
        E::EC_ERR_VERSION,
        c"the version of a struct is none that this library knows: fill it by its init function, or \
          install a library as new as the header",
    ),
    (
        E::EC_ERR_MISALIGNED,
        c"a pointer is not aligned as its type asks",
    ),
    (
        E::EC_ERR_OPTION,
        c"a setting lies outside what is allowed: see the comment of its field",
    ),
    (E::EC_ERR_VALUE, c"a value is none of its kind"),
    (
        E::EC_ERR_BUFFER,
        c"the buffer is too small for what was to be written into it",
    ),
    (
        E::EC_ERR_FORMAT,
        c"the bytes or the text were never written, are broken, or have another format",
    ),
    (
        E::EC_ERR_RANGE,
        c"an instant or a span lies outside what can be told: check its unit",
    ),
    (
        E::EC_ERR_TOO_MANY,
        c"all places for handles of this kind are taken: close some",
    ),
    (
        E::EC_ERR_INTERNAL,
        c"a bug in epsilon-clock: please report it",
    ),
    (
        E::EC_ERR_MISSING_CLOCK,
        c"this machine lacks a clock that is needed (Linux 3.10 and later have them)",
    ),
    (
        E::EC_ERR_THREAD,
        c"the thread that was asked for could not be started",
    ),
    (E::EC_ERR_OPEN, c"the clock could not be opened"),
    (E::EC_ERR_UNVOUCHED, c"no source vouches for the clock"),
    (
        E::EC_ERR_UNSYNCHRONIZED,
        c"the kernel's clock is not synchronised: run chronyd with `rtcsync`, or vouch for the clock \
          yourself with assume_error_ns",
    ),
    (
        E::EC_ERR_UNSYNC_FLAG,
        c"the kernel reports a bound but flags its clock as unsynchronised: add `rtcsync` to \
          chrony.conf, or accept the flag with EC_ACCEPT_UNSYNC_FLAG if you know the writer",
    ),
    (
        E::EC_ERR_NO_BOUND,
        c"the clock's error bound was written by what does not report one: use chrony or ntpd, or \
          vouch for the clock yourself with assume_error_ns",
    ),
    (
        E::EC_ERR_AWAITING_WRITE,
        c"the time daemon's next write is awaited",
    ),
    (
        E::EC_ERR_CHRONY,
        c"chronyd does not vouch for its time or does not answer: see `chronyc tracking`",
    ),
    (
        E::EC_ERR_NTP_STATUS,
        c"the kernel does not let this process ask: allow `adjtimex` (systemd: no `ProtectClock=`, \
          containers: the default seccomp profile), or vouch for the clock with assume_error_ns",
    ),
    (E::EC_ERR_NO_INTERVAL, c"the clock gives no interval"),
    (
        E::EC_ERR_TOO_OLD,
        c"the last sync is longer ago than max_age_ns: check that the time daemon runs and reaches \
          its servers",
    ),
    (
        E::EC_ERR_TOO_WIDE,
        c"the clock is known less well than max_error_ns asks: check that the time daemon runs and \
          reaches its servers",
    ),
    (
        E::EC_ERR_CONTRADICTED,
        c"claims about the time contradict each other: a daemon, a server or a hardware clock was wrong, \
          or the oscillator runs faster than max_drift_ppb; intervals resume once two successive claims agree",
    ),
    (
        E::EC_ERR_DISTURBED,
        c"the machine was suspended or moved, or its clock stepped; intervals resume with the time \
          daemon's next write",
    ),
    (
        E::EC_ERR_ASSUMPTION_BROKEN,
        c"the clock was disturbed since its error was assumed: check the clock, then vouch for it \
          again with ec_vouch",
    ),
    (
        E::EC_ERR_OUT_OF_RANGE,
        c"the interval leaves the range of timestamps, years 1677 to 2262: check the machine's clock",
    ),
    (
        E::EC_ERR_INTERRUPTED,
        c"the clocks could not be compared for interruptions: call again",
    ),
    (
        E::EC_ERR_TIMEOUT,
        c"the timeout is too short: wait again, or tighten the clock's error",
    ),
    (
        E::EC_ERR_NEVER_PAST,
        c"the timestamp can never be past: the range of timestamps ends there",
    ),
    (
        E::EC_ERR_FLOOR_TOO_FAR_AHEAD,
        c"the timestamp to stay above is further in the future than an honest clock could have made \
          it: check the row it was read from and the clock of the node that wrote it",
    ),
    (
        E::EC_ERR_RANGE_EXHAUSTED,
        c"no timestamp is left above the last one: check the machine's clock",
    ),
    (
        E::EC_ERR_ONLY_ASSUMED,
        c"the clock's error is only assumed: run a time daemon that vouches for it",
    ),
    (
        E::EC_ERR_TOO_FAR_AHEAD,
        c"the remote stamp is further ahead than an honest peer can have issued: its clock is wrong, \
          or the limit too narrow",
    ),
    (
        E::EC_ERR_FORWARD_JUMP,
        c"the local clock jumped ahead beyond the limit: no stamp is issued until it is back, or \
          until ec_hlc_accept_jump is called because it is right",
    ),
    (E::EC_ERR_END_OF_STAMPS, c"there is no stamp left to issue"),
    (E::EC_ERR_NO_STAMP, c"no stamp was issued"),
    (
        E::EC_ERR_STALE_TOKEN,
        c"the token is stale, a newer one has been here: stop acting on that lease",
    ),
    (
        E::EC_ERR_NO_TOKEN,
        c"this is no token: revisions and zxids are above 0",
    ),
    (
        E::EC_ERR_IMPLAUSIBLE,
        c"the lease has longer to go than any is granted for: check the record and the grantor's clock",
    ),
    (
        E::EC_ERR_EXPIRED,
        c"the lease surely expired: obtain another one",
    ),
    (
        E::EC_ERR_TOO_LATE,
        c"it may be too late for the lease, by its margin: renew earlier",
    ),
    (E::EC_ERR_NOT_HELD, c"the lease is not held"),
];

/// Returns what an error code means and what would end it, in English.
///
/// Never null; static, not to be freed. Of a number that is no code it says so. Without the figures of
/// the case at hand: for those see `ec_explain`. Any thread, signal handlers included.
#[unsafe(no_mangle)]
pub extern "C" fn ec_error_text(error: i32) -> *const c_char {
    let found = TEXTS.iter().find(|(code, _)| *code as i32 == error);
    found
        .map_or(c"an error that this version does not know", |(_, text)| {
            *text
        })
        .as_ptr()
}

impl From<Refusal> for ec_error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unsynchronized { .. } => Self::EC_ERR_UNSYNCHRONIZED,
            Refusal::UnsyncFlag { .. } => Self::EC_ERR_UNSYNC_FLAG,
            Refusal::NoBound { .. } => Self::EC_ERR_NO_BOUND,
            Refusal::AwaitingWrite { .. } => Self::EC_ERR_AWAITING_WRITE,
            Refusal::Chrony(_) => Self::EC_ERR_CHRONY,
            Refusal::Status(_) => Self::EC_ERR_NTP_STATUS,
            _ => Self::EC_ERR_UNVOUCHED,
        }
    }
}

impl From<ClockError> for ec_error {
    #[allow(
        clippy::unneeded_struct_pattern,
        reason = "a pattern that holds whether or not the variant has fields"
    )]
    fn from(error: ClockError) -> Self {
        match error {
            ClockError::Unvouched(refusal) => refusal.into(),
            ClockError::TooOld { .. } => Self::EC_ERR_TOO_OLD,
            ClockError::TooWide { .. } => Self::EC_ERR_TOO_WIDE,
            ClockError::Contradicted { .. } => Self::EC_ERR_CONTRADICTED,
            ClockError::Disturbed {
                cause: Disturbance::Interrupted,
            } => Self::EC_ERR_INTERRUPTED,
            ClockError::Disturbed { .. } => Self::EC_ERR_DISTURBED,
            ClockError::AssumptionBroken { .. } => Self::EC_ERR_ASSUMPTION_BROKEN,
            ClockError::OutOfRange { .. } => Self::EC_ERR_OUT_OF_RANGE,
            _ => Self::EC_ERR_NO_INTERVAL,
        }
    }
}

impl From<BuildError> for ec_error {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Setting { .. } | BuildError::TooManySources { .. } => Self::EC_ERR_OPTION,
            BuildError::MissingClock { .. } => Self::EC_ERR_MISSING_CLOCK,
            BuildError::Thread { .. } => Self::EC_ERR_THREAD,
            _ => Self::EC_ERR_OPEN,
        }
    }
}

impl From<WaitTimeout> for ec_error {
    fn from(timeout: WaitTimeout) -> Self {
        match timeout.reason {
            WaitReason::NoInterval(error) => error.into(),
            WaitReason::OnlyAssumed => Self::EC_ERR_ONLY_ASSUMED,
            _ => Self::EC_ERR_TIMEOUT,
        }
    }
}

impl From<CommitError> for ec_error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Clock(error) => error.into(),
            CommitError::FloorTooFarAhead { .. } => Self::EC_ERR_FLOOR_TOO_FAR_AHEAD,
            CommitError::RangeExhausted => Self::EC_ERR_RANGE_EXHAUSTED,
            _ => Self::EC_ERR_NO_INTERVAL,
        }
    }
}

impl From<CommitWaitError> for ec_error {
    fn from(error: CommitWaitError) -> Self {
        match error {
            CommitWaitError::Clock(error) => error.into(),
            CommitWaitError::Timeout { .. } => Self::EC_ERR_TIMEOUT,
            CommitWaitError::NeverPast { .. } => Self::EC_ERR_NEVER_PAST,
            _ => Self::EC_ERR_NO_INTERVAL,
        }
    }
}

impl From<HlcError> for ec_error {
    fn from(error: HlcError) -> Self {
        match error {
            HlcError::TooFarAhead { .. } => Self::EC_ERR_TOO_FAR_AHEAD,
            HlcError::ForwardJump { .. } => Self::EC_ERR_FORWARD_JUMP,
            HlcError::EndOfRange => Self::EC_ERR_END_OF_STAMPS,
            HlcError::Clock(error) => error.into(),
            _ => Self::EC_ERR_NO_STAMP,
        }
    }
}

impl From<LeaseError> for ec_error {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Clock(error) => error.into(),
            _ => Self::EC_ERR_RANGE,
        }
    }
}

impl From<NotHeld> for ec_error {
    fn from(error: NotHeld) -> Self {
        match error {
            NotHeld::Clock(error) => error.into(),
            NotHeld::Expired { .. } => Self::EC_ERR_EXPIRED,
            NotHeld::TooLate { .. } => Self::EC_ERR_TOO_LATE,
            _ => Self::EC_ERR_NOT_HELD,
        }
    }
}

impl From<RangeError> for ec_error {
    fn from(_: RangeError) -> Self {
        Self::EC_ERR_RANGE
    }
}

impl From<DecodeError> for ec_error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Length { .. } => Self::EC_ERR_BUFFER,
            _ => Self::EC_ERR_FORMAT,
        }
    }
}
