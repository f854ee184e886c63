//! Readings for logs, and how a clock is doing.

use core::ffi::c_char;

use epsilon_clock::{ClockError, ClockState};

use crate::boundary::{guard, put, put_sized};
use crate::clock::{ec_clock, ec_interval, pinned};
use crate::error::ec_error;
use crate::text::put_text;

/// A figure of 64 bits that is not known.
pub const EC_UNKNOWN: u64 = u64::MAX;

/// How well founded what a clock says is.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ec_state {
    /// One that this version has no name for.
    EC_STATE_OTHER = 0,
    /// A source vouches.
    EC_STATE_SYNCHRONIZED = 1,
    /// A source vouched before the clock was opened.
    EC_STATE_INHERITED = 2,
    /// A source vouched, and has been silent for long.
    EC_STATE_HOLDOVER = 3,
    /// Only the program vouches, by `assume_error_ns`.
    EC_STATE_ASSUMED = 4,
    /// There is no interval.
    EC_STATE_UNAVAILABLE = 5,
}

impl From<ClockState> for ec_state {
    fn from(state: ClockState) -> Self {
        match state {
            ClockState::Synchronized => Self::EC_STATE_SYNCHRONIZED,
            ClockState::Inherited => Self::EC_STATE_INHERITED,
            ClockState::Holdover => Self::EC_STATE_HOLDOVER,
            ClockState::Assumed => Self::EC_STATE_ASSUMED,
            ClockState::Unavailable => Self::EC_STATE_UNAVAILABLE,
            _ => Self::EC_STATE_OTHER,
        }
    }
}

const NO_INTERVAL: ec_interval = ec_interval {
    earliest_ns: i64::MIN,
    latest_ns: i64::MAX,
};

/// A reading for logs, whatever the state of the clock.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ec_reading {
    /// The best estimate of UTC, in ns since 1970: the interval's middle, or else the machine's time.
    pub estimate_ns: i64,
    /// Where UTC is, if `error` is 0; otherwise all of time.
    pub interval: ec_interval,
    /// Why there is no interval: an `ec_error`, 0 if there is one.
    pub error: i32,
    /// How well founded it is: an `ec_state`.
    pub state: i32,
}

const _: () = assert!(size_of::<ec_reading>() == 32 && align_of::<ec_reading>() == 8);

/// Reads the clock for a log: a clock without an interval is no error here.
///
/// The caller owns `reading`. No lock, no allocation. Any thread. Errors: `EC_ERR_NULL`,
/// `EC_ERR_HANDLE`, `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_read(clock: *const ec_clock, reading: *mut ec_reading) -> ec_error {
    guard(|| {
        let read = pinned(clock)?.value().clock.read();
        let (interval, error) = split(read.interval);
        let read = ec_reading {
            estimate_ns: read.estimate.unix_nanos(),
            interval,
            error,
            state: ec_state::from(read.state) as i32,
        };
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(reading, read) }
    })
}

fn split(interval: Result<epsilon_clock::Interval, ClockError>) -> (ec_interval, i32) {
    match interval {
        Ok(interval) => (interval.into(), ec_error::EC_OK as i32),
        Err(error) => (NO_INTERVAL, ec_error::from(error) as i32),
    }
}

/// How a clock is doing. It grows at its end only.
///
/// Figures of 64 bits without a sign are `EC_UNKNOWN` where there are none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ec_clock_status {
    /// An `ec_state`.
    pub state: i32,
    /// Why there is no interval: an `ec_error`, 0 if there is one.
    pub error: i32,
    /// Why the source that was looked at last does not vouch: an `ec_error`, 0 if it does.
    pub refusal: i32,
    /// 0.
    pub reserved: i32,
    /// Where UTC is, if `error` is 0; otherwise all of time.
    pub interval: ec_interval,
    /// Which source serves: `kernel` or `chrony`, ended by a zero; empty if none does.
    pub source: [c_char; 16],
    /// How long ago the source vouched, in ns.
    pub age_ns: u64,
    /// In how long there will be no interval any more if no source vouches again, in ns.
    pub refuses_in_ns: u64,
    /// Half the interval, in ns: the sum of the nine terms that follow.
    pub bound_ns: u64,
    /// What the source reported, in ns.
    pub reported_ns: u64,
    /// What rounding may have hidden, in ns.
    pub rounding_ns: u64,
    /// `daemon_margin_ns`, in ns.
    pub margin_ns: u64,
    /// Three times the deviation that the daemon wrote beside its bound, in ns.
    pub deviation_ns: u64,
    /// What chronyd's forecast may miss since its last update, in ns.
    pub wander_ns: u64,
    /// What may have happened between the source's write and the look that found it, in ns.
    pub unseen_ns: u64,
    /// What reading several clocks one after the other may have hidden, in ns: clocks at the look, and the
    /// counter in place of raw time since.
    pub bracket_ns: u64,
    /// What the oscillator may have drifted since, in ns.
    pub drift_ns: u64,
    /// `assume_error_ns`, in ns.
    pub assumed_ns: u64,
    /// How often the sources were looked at.
    pub looks: u64,
    /// How often a look came to nothing.
    pub looks_dropped: u64,
    /// How often a source vouched anew.
    pub writes: u64,
    /// How many steps of the clock were seen.
    pub steps: u64,
    /// How many suspends were seen.
    pub suspends: u64,
    /// How often claims contradicted each other.
    pub contradictions: u64,
    /// How often what was learned of the oscillator was forgotten.
    pub rate_resets: u64,
    /// How often a source refused.
    pub refusals: u64,
}

const FIRST_STATUS: usize = 208;
const _: () = assert!(size_of::<ec_clock_status>() == 208 && align_of::<ec_clock_status>() == 8);

/// Tells how a clock is doing; `size` is `sizeof(ec_clock_status)` of the caller's header.
///
/// Writes no more than `size` bytes, and zeros to what a newer header has. The caller owns `status`. No
/// lock, no allocation. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_status(
    clock: *const ec_clock,
    status: *mut ec_clock_status,
    size: usize,
) -> ec_error {
    guard(|| {
        let told = pinned(clock)?.value().clock.status();
        let (interval, error) = split(told.interval);
        let ns = |span: Option<core::time::Duration>| {
            span.map_or(EC_UNKNOWN, |s| {
                u64::try_from(s.as_nanos()).unwrap_or(EC_UNKNOWN)
            })
        };
        let bound = told.bound;
        let mut source = [0; 16];
        // The last byte stays zero.
        let name = told.source.unwrap_or("");
        for (place, byte) in source.iter_mut().take(15).zip(name.bytes()) {
            *place = c_char::from_ne_bytes([byte]);
        }
        let term =
            |pick: fn(&epsilon_clock::ErrorBound) -> u64| bound.as_ref().map_or(EC_UNKNOWN, pick);
        let filled = ec_clock_status {
            state: ec_state::from(told.state) as i32,
            error,
            refusal: told
                .refusal
                .map_or(0, |refusal| ec_error::from(refusal) as i32),
            reserved: 0,
            interval,
            source,
            age_ns: ns(told.age),
            refuses_in_ns: ns(told.refuses_in),
            bound_ns: ns(bound.map(|bound| bound.total())),
            reported_ns: term(|b| b.reported_ns),
            rounding_ns: term(|b| b.rounding_ns),
            margin_ns: term(|b| b.margin_ns),
            deviation_ns: term(|b| b.deviation_ns),
            wander_ns: term(|b| b.wander_ns),
            unseen_ns: term(|b| b.unseen_ns),
            // Both are what reading more than one clock leaves open.
            bracket_ns: term(|b| b.bracket_ns.saturating_add(b.counter_ns)),
            drift_ns: term(|b| b.drift_ns),
            assumed_ns: term(|b| b.assumed_ns),
            looks: told.counters.looks,
            looks_dropped: told.counters.looks_dropped,
            writes: told.counters.writes,
            steps: told.counters.steps,
            suspends: told.counters.suspends,
            contradictions: told.counters.contradictions,
            rate_resets: told.counters.rate_resets,
            refusals: told.counters.refusals,
        };
        // SAFETY: as `boundary` says of pointers; the assertion above leaves no room for padding.
        unsafe { put_sized(status, size, FIRST_STATUS, filled) }
    })
}

/// Writes in English why there is no interval now, with figures and what to do; "no error" if there is.
///
/// `capacity` counts the bytes of `buffer`, 1024 of which are always enough, the terminating zero
/// included. `length`, unless null, gets the text's length without it, also with `EC_ERR_BUFFER`. The
/// caller owns both. No lock, no allocation. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`,
/// `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_explain(
    clock: *const ec_clock,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> ec_error {
    guard(|| {
        let read = pinned(clock)?.value().clock.read();
        match read.interval {
            // SAFETY: as `boundary` says of pointers.
            Ok(_) => unsafe { put_text(buffer, capacity, length, &"no error") },
            // SAFETY: as `boundary` says of pointers.
            Err(error) => unsafe { put_text(buffer, capacity, length, &error) },
        }
    })
}
