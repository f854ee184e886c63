//! Leases and fences: values that the caller keeps.

use core::time::Duration;

use epsilon_clock::lease::FencingToken;
use epsilon_clock::{Fence, Interval, Lease, Timestamp};

use crate::boundary::{bytes, check_out, get, guard, put, put_bytes};
use crate::clock::{clock_of, ec_clock, ec_interval};
use crate::error::ec_error;

/// A lease: a right that ends by itself. The caller owns it, and may store or send its expiry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ec_lease {
    /// When it ends, in ns since 1970.
    pub expiry_ns: i64,
    /// How long before that its holder stops acting, in ns; 0 when granted. The holder's own affair.
    pub margin_ns: u64,
}

const _: () = assert!(size_of::<ec_lease>() == 16 && align_of::<ec_lease>() == 8);

impl From<ec_lease> for Lease {
    fn from(given: ec_lease) -> Self {
        let expiry = Timestamp::from_unix_nanos(given.expiry_ns);
        Self::until(expiry).with_margin(Duration::from_nanos(given.margin_ns))
    }
}

impl From<Lease> for ec_lease {
    fn from(lease: Lease) -> Self {
        Self {
            expiry_ns: lease.expiry().unix_nanos(),
            // Made of 64 bits, so they hold it.
            margin_ns: u64::try_from(lease.margin().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// Grants a lease of `term_ns` from a reading: no clock that tells the truth sees less of it.
///
/// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_VALUE` for no interval, `EC_ERR_RANGE` for a term past the year 2262.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_grant(
    now: *const ec_interval,
    term_ns: u64,
    lease: *mut ec_lease,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; an interval is two integers.
        let now = Interval::try_from(unsafe { get(now)? })?;
        let granted = Lease::grant(&now, Duration::from_nanos(term_ns))?;
        // SAFETY: as above.
        unsafe { put(lease, granted.into()) }
    })
}

/// Grants another term to the holder of `lease`, in place: the expiry never moves to earlier.
///
/// Threads, ownership and errors as `ec_lease_grant`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_renew(
    now: *const ec_interval,
    term_ns: u64,
    lease: *mut ec_lease,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; these are integers.
        let now = Interval::try_from(unsafe { get(now)? })?;
        // SAFETY: as above.
        let before = Lease::from(unsafe { get(lease.cast_const())? });
        let renewed = before.renewed(&now, Duration::from_nanos(term_ns))?;
        // SAFETY: as above.
        unsafe { put(lease, renewed.into()) }
    })
}

/// Tells the holder whether the lease is surely held: no other node can have it at that instant.
///
/// The caller owns both. Costs, threads and errors as `ec_now`. An error is no "no": what to do without
/// an interval is stop acting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_held(
    clock: *const ec_clock,
    lease: *const ec_lease,
    held: *mut bool,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a lease is two integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: the reference ends with this call.
        let is_held = lease.held(unsafe { clock_of(clock)? })?;
        // SAFETY: as above.
        unsafe { put(held, is_held) }
    })
}

/// Returns `EC_OK` if the lease is surely held, and otherwise why not.
///
/// The caller owns the lease. Costs, threads and errors as `ec_now`; also `EC_ERR_EXPIRED`,
/// `EC_ERR_TOO_LATE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_check(
    clock: *const ec_clock,
    lease: *const ec_lease,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a lease is two integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: the reference ends with this call.
        Ok(lease.check(unsafe { clock_of(clock)? })?)
    })
}

/// Tells a claimant whether the lease surely expired, whatever its holder's margin: it may act then.
///
/// The caller owns both. Costs, threads and errors as `ec_now`. Waits for it: `ec_wait` for `expiry_ns`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_expired(
    clock: *const ec_clock,
    lease: *const ec_lease,
    expired: *mut bool,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a lease is two integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: the reference ends with this call.
        let is_over = lease.surely_expired(unsafe { clock_of(clock)? })?;
        // SAFETY: as above.
        unsafe { put(expired, is_over) }
    })
}

/// Tells for how long the lease is surely held yet, in ns; 0 if it is not held.
///
/// The caller owns both. Costs, threads and errors as `ec_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_remaining(
    clock: *const ec_clock,
    lease: *const ec_lease,
    remaining_ns: *mut u64,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a lease is two integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: the reference ends with this call.
        let left = lease.remaining(unsafe { clock_of(clock)? })?;
        let ns = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: as above.
        unsafe { put(remaining_ns, ns) }
    })
}

/// Writes a lease's expiry as 8 bytes that sort as expiries do.
///
/// `capacity` counts the bytes of `out`. The caller owns both. Any thread, signal handlers included.
/// Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_encode(
    lease: *const ec_lease,
    out: *mut u8,
    capacity: usize,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a lease is two integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: as above.
        unsafe { put_bytes(out, capacity, &lease.to_be_bytes()) }
    })
}

/// Reads a lease without a margin from exactly 8 bytes.
///
/// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length, and `EC_ERR_FORMAT` for an expiry before
/// 2001 or at the end of time: such bytes were never written, and the lease must not be taken for
/// expired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_decode(
    from: *const u8,
    length: usize,
    lease: *mut ec_lease,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers.
        let decoded = Lease::try_from(unsafe { bytes(from, length)? })?;
        // SAFETY: as above.
        unsafe { put(lease, decoded.into()) }
    })
}

/// Returns `EC_OK` unless a lease has longer to go than any is granted for.
///
/// For an expiry that came from elsewhere; `longest_ns` is the longest term. The caller owns both. Any
/// thread, signal handlers included. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_VALUE`,
/// `EC_ERR_IMPLAUSIBLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_lease_plausible(
    lease: *const ec_lease,
    now: *const ec_interval,
    longest_ns: u64,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; these are integers.
        let lease = Lease::from(unsafe { get(lease)? });
        // SAFETY: as above.
        let now = Interval::try_from(unsafe { get(now)? })?;
        let plausible = lease.plausible_at(&now, Duration::from_nanos(longest_ns));
        plausible
            .map(|_| ())
            .map_err(|_| ec_error::EC_ERR_IMPLAUSIBLE)
    })
}

/// A fence, in the resource that leases protect. Store it in the transaction that it admitted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ec_fence {
    /// The highest token that was admitted; 0 for none: a fence that is open.
    pub highest: u64,
}

const _: () = assert!(size_of::<ec_fence>() == 8 && align_of::<ec_fence>() == 8);

fn fence_of(given: ec_fence) -> Fence {
    let Some(highest) = FencingToken::new(given.highest) else {
        return Fence::OPEN;
    };
    // An open fence admits all tokens.
    Fence::OPEN.admit(highest).unwrap_or(Fence::OPEN)
}

fn highest_of(fence: Fence) -> ec_fence {
    ec_fence {
        highest: fence.highest().map_or(0, FencingToken::number),
    }
}

/// Admits a token that no newer one came before, and takes it over into the fence.
///
/// The caller owns the fence, and keeps other threads from it. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_NO_TOKEN` for 0, `EC_ERR_STALE_TOKEN`; the fence is as before then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_fence_admit(fence: *mut ec_fence, token: u64) -> ec_error {
    guard(|| {
        let token = FencingToken::new(token).ok_or(ec_error::EC_ERR_NO_TOKEN)?;
        // SAFETY: as `boundary` says of pointers; a fence is an integer.
        let before = fence_of(unsafe { get(fence.cast_const())? });
        let after = before
            .admit(token)
            .map_err(|_| ec_error::EC_ERR_STALE_TOKEN)?;
        // SAFETY: as above.
        unsafe { put(fence, highest_of(after)) }
    })
}

/// Writes a fence as 9 bytes.
///
/// `capacity` counts the bytes of `out`. The caller owns both. Any thread. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_fence_encode(
    fence: *const ec_fence,
    out: *mut u8,
    capacity: usize,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; a fence is an integer.
        let fence = fence_of(unsafe { get(fence)? });
        // SAFETY: as above.
        unsafe { put_bytes(out, capacity, &fence.to_be_bytes()) }
    })
}

/// Reads a fence from exactly 9 bytes.
///
/// The caller owns both. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for
/// another length, and `EC_ERR_FORMAT` for bytes that were never written: admit no token then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_fence_decode(
    from: *const u8,
    length: usize,
    fence: *mut ec_fence,
) -> ec_error {
    guard(|| {
        check_out(fence)?;
        // SAFETY: as `boundary` says of pointers.
        let decoded = Fence::try_from(unsafe { bytes(from, length)? })?;
        // SAFETY: as above.
        unsafe { put(fence, highest_of(decoded)) }
    })
}
