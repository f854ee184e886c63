//! Commits, and waits that a close ends.

use core::time::Duration;
use std::time::Instant;

use epsilon_clock::commit::{CommitWaitError, WaitStrategy};
use epsilon_clock::{Clock, Timestamp};

use crate::boundary::{check_out, guard, put, put_if_wanted};
use crate::clock::{ec_clock, ec_interval, pinned};
use crate::error::ec_error;

/// A timeout that never goes by.
pub const EC_FOREVER: u64 = u64::MAX;

/// How long a wait lasts before it looks whether its clock was closed.
const SLICE: Duration = Duration::from_millis(10);

/// Draws a commit timestamp, in ns since 1970: not before true time, and above all that this clock drew.
///
/// Replicate under it, then `ec_wait` for it, and only then acknowledge: any commit that begins after
/// that, on whatever node, gets a later one. Costs and threads as `ec_now`. The caller owns
/// `timestamp_ns`. Errors as `ec_now`, and `EC_ERR_RANGE_EXHAUSTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_begin_commit(
    clock: *const ec_clock,
    timestamp_ns: *mut i64,
) -> ec_error {
    guard(|| {
        check_out(timestamp_ns)?;
        let open = pinned(clock)?;
        let drawn = open.value().clock.begin_commit()?.timestamp();
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(timestamp_ns, drawn.unix_nanos()) }
    })
}

/// Draws a commit timestamp that is also above `floor_ns`, such as that of a row it overwrites.
///
/// Both in ns since 1970. Costs, threads, ownership and errors as `ec_begin_commit`, and
/// `EC_ERR_FLOOR_TOO_FAR_AHEAD` for a floor more than a second after the latest that it can be now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_begin_commit_after(
    clock: *const ec_clock,
    floor_ns: i64,
    timestamp_ns: *mut i64,
) -> ec_error {
    guard(|| {
        check_out(timestamp_ns)?;
        let open = pinned(clock)?;
        let floor = Timestamp::from_unix_nanos(floor_ns);
        let drawn = open.value().clock.begin_commit_after(floor)?.timestamp();
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(timestamp_ns, drawn.unix_nanos()) }
    })
}

/// Waits until a timestamp (ns since 1970) is surely past, for `timeout_ns` from now at most.
///
/// `EC_FOREVER` waits without a deadline. Fails at once if the timeout cannot do, and tells in
/// `needed_ns`, unless that is null, how long a timeout would do as far as is known; nothing is written
/// there otherwise. Returns `EC_OK` only after `ec_after` said so; a commit must not be acknowledged
/// after any other result, but the wait can be taken up again. Sleeps, and spins for the last 140 us.
/// No allocation. Any number of threads; not in a signal handler. Errors: those of `ec_now` as soon as
/// there is no interval any more, `EC_ERR_TIMEOUT`, `EC_ERR_NEVER_PAST`, and `EC_ERR_CLOSED` if another
/// thread closes the clock meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_wait(
    clock: *const ec_clock,
    timestamp_ns: i64,
    timeout_ns: u64,
    needed_ns: *mut u64,
) -> ec_error {
    guard(|| {
        if !needed_ns.is_null() {
            check_out(needed_ns)?;
        }
        let open = pinned(clock)?;
        let timestamp = Timestamp::from_unix_nanos(timestamp_ns);
        let timeout = match timeout_ns {
            EC_FOREVER => None,
            ns => Some(Duration::from_nanos(ns)),
        };
        let mut needed = None;
        let result = wait(
            &open.value().clock,
            timestamp,
            timeout,
            || open.still_open(),
            &mut needed,
        );
        if let Some(needed) = needed {
            let ns = u64::try_from(needed.as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: as `boundary` says of pointers.
            unsafe { put_if_wanted(needed_ns, ns)? };
        }
        result
    })
}

fn wait(
    clock: &Clock,
    timestamp: Timestamp,
    timeout: Option<Duration>,
    may_go_on: impl Fn() -> Result<(), ec_error>,
    needed: &mut Option<Duration>,
) -> Result<(), ec_error> {
    let began = Instant::now();
    let mut slept = Duration::ZERO;
    loop {
        may_go_on()?;
        let commit = clock.until_past(timestamp);
        // By whichever clock says more: a scripted machine's sleeps take no time of this one, and
        // sleeps of this one end late.
        let waited = slept.max(began.elapsed());
        let left = timeout.map(|timeout| timeout.saturating_sub(waited));
        let remaining = match commit.remaining() {
            Ok(remaining) => remaining,
            // `wait` tries again after an interruption, and says anything else itself.
            Err(_) => Duration::ZERO,
        };
        if remaining <= SLICE || remaining == Duration::MAX || left.is_some_and(|l| l < remaining) {
            let ended = match left {
                None => commit.wait(),
                Some(left) => commit.wait_timeout(left),
            };
            if let Err(CommitWaitError::Timeout { needed: more, .. }) = ended {
                *needed = Some(waited.saturating_add(more));
            }
            return Ok(ended?);
        }
        // Until a slice later it would be past: another claim moves both alike.
        let stop = timestamp.saturating_sub(remaining - SLICE);
        let slice = clock.until_past(stop).with_strategy(WaitStrategy::SLEEP);
        match slice.wait() {
            Ok(()) => slept = slept.saturating_add(SLICE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until a source vouches for the clock to within `epsilon_ns`, for `timeout_ns` at most.
///
/// Epsilon is half an interval; `EC_FOREVER` takes any, and as a timeout it never goes by. An assumed
/// error does not count. The caller owns `now`. Sleeps. Any number of threads; not in a signal handler.
/// Errors: `EC_ERR_TIMEOUT` if the interval stayed too wide, `EC_ERR_ONLY_ASSUMED`, those of `ec_now`
/// that were in force at the end, and `EC_ERR_CLOSED` if another thread closes the clock meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_wait_until_within(
    clock: *const ec_clock,
    epsilon_ns: u64,
    timeout_ns: u64,
    now: *mut ec_interval,
) -> ec_error {
    guard(|| {
        check_out(now)?;
        let open = pinned(clock)?;
        let epsilon = match epsilon_ns {
            EC_FOREVER => Duration::MAX,
            ns => Duration::from_nanos(ns),
        };
        let mut left = match timeout_ns {
            EC_FOREVER => Duration::MAX,
            ns => Duration::from_nanos(ns),
        };
        let interval = loop {
            open.still_open()?;
            let slice = left.min(SLICE);
            match open.value().clock.wait_until_within(epsilon, slice) {
                Ok(interval) => break interval,
                Err(timeout) => {
                    // At least what was asked for has gone by, so this ends.
                    left = left.saturating_sub(timeout.waited.max(slice));
                    if left.is_zero() {
                        return Err(timeout.into());
                    }
                }
            }
        };
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(now, interval.into()) }
    })
}
