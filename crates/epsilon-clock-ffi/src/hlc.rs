//! Hybrid logical clocks, their stamps and the stamps' bytes.

use core::ffi::c_char;

use epsilon_clock::hlc::{ForwardLimit, RemoteLimit, WideTimestamp};
use epsilon_clock::{HlcTimestamp, HybridClock, RemoteTimestamp, Timestamp};

use crate::boundary::{Versioned, bytes, check_out, guard, options, put, put_bytes};
use crate::clock::{ec_clock, ec_interval, pinned};
use crate::error::ec_error;
use crate::handle::{Kind, Table};
use crate::options::{EC_DEFAULT, EC_OPTIONS_VERSION, span};
use crate::text::put_text;

/// A hybrid clock. Opaque: only its address means anything, and nothing is there to be read.
pub struct ec_hlc {
    _opaque: (),
}

/// Flag: remote stamps are taken over however far ahead they are.
pub const EC_HLC_REMOTE_UNCHECKED: u32 = 1;
/// Flag: `remote_limit_ns` counts from the best estimate, not from the interval's end.
pub const EC_HLC_REMOTE_FIXED: u32 = 2;
/// Flag: the local clock may jump ahead however far.
pub const EC_HLC_FORWARD_UNCHECKED: u32 = 4;

/// What a hybrid clock is opened with: fill it by `ec_hlc_options_init`. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ec_hlc_options {
    /// `sizeof(ec_hlc_options)` of the caller's header.
    pub size: u32,
    /// `EC_OPTIONS_VERSION`.
    pub version: u32,
    /// `EC_HLC_REMOTE_UNCHECKED` and the like, added up; 0 for none.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// How far a remote stamp may be ahead of the latest that it can be now, in ns; or `EC_DEFAULT`:
    /// twice the clock's `max_error_ns`. Needed with `EC_HLC_REMOTE_FIXED`.
    pub remote_limit_ns: u64,
    /// How far it may be ahead of the best estimate while there is no interval, in ns; or `EC_DEFAULT`.
    pub offset_when_unknown_ns: u64,
    /// How far the local clock may jump ahead, in ns; or `EC_DEFAULT`: twice `max_error_ns`.
    pub forward_limit_ns: u64,
    /// A stamp that all stamps stay above, as one persisted before a restart; 0 for none.
    pub resume_from: u64,
}

const _: () = assert!(size_of::<ec_hlc_options>() == 48 && align_of::<ec_hlc_options>() == 8);

// SAFETY: integers without padding (the size is the sum of theirs), headed by size and version.
unsafe impl Versioned for ec_hlc_options {
    const VERSION: u32 = EC_OPTIONS_VERSION;
    const FIRST_SIZE: usize = 48;
    const DEFAULTS: Self = Self {
        size: 48,
        version: EC_OPTIONS_VERSION,
        flags: 0,
        reserved: 0,
        remote_limit_ns: EC_DEFAULT,
        offset_when_unknown_ns: EC_DEFAULT,
        forward_limit_ns: EC_DEFAULT,
        resume_from: 0,
    };
}

static HLCS: Table<HybridClock> = Table::new(Kind::Hlc);

/// Fills in the size, the version and the defaults.
///
/// The caller owns the struct; nothing is kept of it. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_options_init(options: *mut ec_hlc_options) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(options, ec_hlc_options::DEFAULTS) }
    })
}

/// Opens a hybrid clock on a clock; null options mean the defaults.
///
/// It keeps what it needs of the clock, which may be closed before it. The caller owns the handle, and
/// gives it back by `ec_hlc_close`; the options are not kept. 1024 can be open at a time. Allocates;
/// nothing below does. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`, `EC_ERR_VERSION`, `EC_ERR_OPTION`, `EC_ERR_TOO_MANY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_open(
    clock: *const ec_clock,
    options: *const ec_hlc_options,
    hlc: *mut *mut ec_hlc,
) -> ec_error {
    guard(|| {
        check_out(hlc)?;
        // SAFETY: as `boundary` says of pointers.
        let given = unsafe { self::options(options)? };
        let open = pinned(clock)?;
        let mut builder = HybridClock::builder(open.value().clock.clone());
        let (flags, remote) = (given.flags, span(given.remote_limit_ns));
        let all = EC_HLC_REMOTE_UNCHECKED | EC_HLC_REMOTE_FIXED | EC_HLC_FORWARD_UNCHECKED;
        if flags & !all != 0 || given.reserved != 0 {
            return Err(ec_error::EC_ERR_OPTION);
        }
        let unchecked = flags & EC_HLC_REMOTE_UNCHECKED != 0;
        let fixed = flags & EC_HLC_REMOTE_FIXED != 0;
        builder = match (unchecked, fixed, remote) {
            (false, false, None) => builder,
            (true, false, None) => builder.remote_limit(RemoteLimit::Unchecked),
            (false, true, Some(span)) => builder.remote_limit(RemoteLimit::Fixed(span)),
            (false, false, Some(tolerance)) => {
                builder.remote_limit(RemoteLimit::Interval { tolerance })
            }
            _ => return Err(ec_error::EC_ERR_OPTION),
        };
        if let Some(offset) = span(given.offset_when_unknown_ns) {
            builder = builder.offset_when_unknown(offset);
        }
        builder = match (
            flags & EC_HLC_FORWARD_UNCHECKED != 0,
            span(given.forward_limit_ns),
        ) {
            (false, None) => builder,
            (false, Some(limit)) => builder.forward_limit(ForwardLimit::Jump(limit)),
            (true, None) => builder.forward_limit(ForwardLimit::Unchecked),
            (true, Some(_)) => return Err(ec_error::EC_ERR_OPTION),
        };
        let floor = RemoteTimestamp::from_bits(given.resume_from).trust();
        let opened = HLCS.open(builder.resume_from(floor).build()?)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(hlc, opened) }
    })
}

/// Closes a hybrid clock. No other call may be under way on it.
///
/// The memory is used again by a later one. Any thread; not in a signal handler. Errors: `EC_ERR_NULL`,
/// `EC_ERR_HANDLE`, and `EC_ERR_CLOSED` if it was closed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_close(hlc: *mut ec_hlc) -> ec_error {
    guard(|| HLCS.close(hlc.cast_const(), |_| ()))
}

/// Stamps a local event, or a message to be sent: above all that this clock issued or observed.
///
/// Needs no interval. Never a lock or an allocation. Any number of threads, signal handlers included.
/// The caller owns `stamp`. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_FORWARD_JUMP`, `EC_ERR_END_OF_STAMPS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_tick(hlc: *const ec_hlc, stamp: *mut u64) -> ec_error {
    guard(|| {
        check_out(stamp)?;
        // SAFETY: the reference ends with this call.
        let issued = unsafe { HLCS.get(hlc)? }.tick()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, issued.to_bits()) }
    })
}

/// Stamps a local event together with an interval that contains both true time and the stamp.
///
/// The caller owns both. Costs, threads and errors as `ec_hlc_tick`; also those of `ec_now`, and then no
/// stamp was issued.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_tick_with_interval(
    hlc: *const ec_hlc,
    stamp: *mut u64,
    interval: *mut ec_interval,
) -> ec_error {
    guard(|| {
        check_out(stamp)?;
        check_out(interval)?;
        // SAFETY: the reference ends with this call.
        let issued = unsafe { HLCS.get(hlc)? }.tick_with_interval()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, issued.timestamp.to_bits())? };
        // SAFETY: as above.
        unsafe { put(interval, issued.interval.into()) }
    })
}

/// Takes over the stamp of a received message, and stamps its receipt: above it and all before.
///
/// The caller owns `stamp`. Costs, threads and errors as `ec_hlc_tick`; also `EC_ERR_TOO_FAR_AHEAD`, and
/// then nothing was taken over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_observe(
    hlc: *const ec_hlc,
    remote: u64,
    stamp: *mut u64,
) -> ec_error {
    guard(|| {
        check_out(stamp)?;
        let remote = RemoteTimestamp::from_bits(remote);
        // SAFETY: the reference ends with this call.
        let issued = unsafe { HLCS.get(hlc)? }.observe(remote)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, issued.to_bits()) }
    })
}

/// Draws a commit stamp; `ec_wait` for its physical part before acknowledging the commit.
///
/// The caller owns `stamp`. Costs, threads and errors as `ec_hlc_tick`; also those of `ec_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_begin_commit(hlc: *const ec_hlc, stamp: *mut u64) -> ec_error {
    guard(|| {
        check_out(stamp)?;
        // Keeps the clock, of which a commit counts a reference.
        let open = HLCS.pin(hlc)?;
        let commit = open.value().begin_commit()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, commit.timestamp().to_bits()) }
    })
}

/// Tells the last stamp that was issued, or `resume_from` if none was.
///
/// The caller owns `stamp`. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_HANDLE`, `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_last(hlc: *const ec_hlc, stamp: *mut u64) -> ec_error {
    guard(|| {
        // SAFETY: the reference ends with this call.
        let last = unsafe { HLCS.get(hlc)? }.last();
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, last.to_bits()) }
    })
}

/// Takes the local clock as it is now for right, after `EC_ERR_FORWARD_JUMP`.
///
/// Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_accept_jump(hlc: *const ec_hlc) -> ec_error {
    guard(|| {
        HLCS.pin(hlc)?.value().accept_jump();
        Ok(())
    })
}

/// Makes a stamp of an instant (ns since 1970, whole microseconds) and a counter (0 to 4095).
///
/// The caller owns `stamp`. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, and `EC_ERR_RANGE` for what no stamp of eight bytes holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_make(physical_ns: i64, logical: u16, stamp: *mut u64) -> ec_error {
    guard(|| {
        let made = HlcTimestamp::new(Timestamp::from_unix_nanos(physical_ns), logical)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(stamp, made.to_bits()) }
    })
}

/// Returns a stamp's physical part, in ns since 1970. Any stamp has one; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ec_hlc_physical(stamp: u64) -> i64 {
    RemoteTimestamp::from_bits(stamp).physical().unix_nanos()
}

/// Returns a stamp's counter, 0 to 4095. Any stamp has one; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ec_hlc_logical(stamp: u64) -> u16 {
    RemoteTimestamp::from_bits(stamp).logical()
}

/// Writes a stamp as 8 bytes that sort as stamps do.
///
/// `capacity` counts the bytes of `out`, which the caller owns. Any thread, signal handlers included.
/// Errors: `EC_ERR_NULL`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_encode(stamp: u64, out: *mut u8, capacity: usize) -> ec_error {
    guard(|| {
        let encoded = RemoteTimestamp::from_bits(stamp).to_be_bytes();
        // SAFETY: as `boundary` says of pointers.
        unsafe { put_bytes(out, capacity, &encoded) }
    })
}

/// Reads a stamp from exactly 8 bytes.
///
/// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_decode(
    from: *const u8,
    length: usize,
    stamp: *mut u64,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers.
        let decoded = RemoteTimestamp::try_from(unsafe { bytes(from, length)? })?;
        // SAFETY: as above.
        unsafe { put(stamp, decoded.to_bits()) }
    })
}

/// Writes the 12 bytes of other systems: an instant (ns since 1970) and a counter of 32 bits.
///
/// They sort as stamps do. `capacity` counts the bytes of `out`, which the caller owns. Any thread,
/// signal handlers included. Errors: `EC_ERR_NULL`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_encode_wide(
    physical_ns: i64,
    logical: u32,
    out: *mut u8,
    capacity: usize,
) -> ec_error {
    guard(|| {
        let wide = WideTimestamp::new(Timestamp::from_unix_nanos(physical_ns), logical);
        // SAFETY: as `boundary` says of pointers.
        unsafe { put_bytes(out, capacity, &wide.to_be_bytes()) }
    })
}

/// Reads an instant (ns since 1970) and a counter from exactly 12 bytes.
///
/// The caller owns all three. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_decode_wide(
    from: *const u8,
    length: usize,
    physical_ns: *mut i64,
    logical: *mut u32,
) -> ec_error {
    guard(|| {
        check_out(physical_ns)?;
        check_out(logical)?;
        // SAFETY: as `boundary` says of pointers.
        let wide = WideTimestamp::try_from(unsafe { bytes(from, length)? })?;
        // SAFETY: as above.
        unsafe { put(physical_ns, wide.physical().unix_nanos())? };
        // SAFETY: as above.
        unsafe { put(logical, wide.logical()) }
    })
}

/// Writes a stamp as text, such as `2026-11-20T05:50:00.123456Z_0042`: 32 bytes and a zero.
///
/// `capacity` counts the bytes of `buffer`, which the caller owns. No allocation. Any thread. Errors:
/// `EC_ERR_NULL`, `EC_ERR_BUFFER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_format(
    stamp: u64,
    buffer: *mut c_char,
    capacity: usize,
) -> ec_error {
    guard(|| {
        let stamp = RemoteTimestamp::from_bits(stamp);
        // SAFETY: as `boundary` says of pointers.
        unsafe { put_text(buffer, capacity, core::ptr::null_mut(), &stamp) }
    })
}

/// How long the human form is, and where its time ends.
const HUMAN: usize = 32;
const HUMAN_TIME: usize = 26;

/// Reads a stamp from text: 16 hexadecimal digits, or the 32 bytes that `ec_hlc_format` writes.
///
/// `length` counts the text without a terminating zero. The caller owns both. No allocation. Any
/// thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_FORMAT`, `EC_ERR_RANGE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_hlc_parse(
    text: *const c_char,
    length: usize,
    stamp: *mut u64,
) -> ec_error {
    guard(|| {
        check_out(stamp)?;
        // SAFETY: as `boundary` says of pointers.
        let given = unsafe { bytes(text.cast(), length)? };
        let given = core::str::from_utf8(given).map_err(|_| ec_error::EC_ERR_FORMAT)?;
        let bits = match given.len() {
            HUMAN => parse_human(given)?,
            _ => given
                .parse::<RemoteTimestamp>()
                .map_err(|_| ec_error::EC_ERR_FORMAT)?
                .to_bits(),
        };
        // SAFETY: as above.
        unsafe { put(stamp, bits) }
    })
}

/// Reads the human form on the stack; the library's own reading of it allocates.
fn parse_human(text: &str) -> Result<u64, ec_error> {
    let wrong = ec_error::EC_ERR_FORMAT;
    let (time, rest) = text.split_at_checked(HUMAN_TIME).ok_or(wrong)?;
    let digits = rest.strip_prefix("Z_").ok_or(wrong)?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong);
    }
    let logical = digits.parse().map_err(|_| wrong)?;
    let mut whole = *b"....-..-..T..:..:...........Z.";
    for (place, byte) in whole.iter_mut().zip(time.bytes().chain(*b"000Z")) {
        *place = byte;
    }
    let whole = core::str::from_utf8(&whole).map_err(|_| wrong)?;
    let physical: Timestamp = whole.parse().map_err(|_| wrong)?;
    Ok(HlcTimestamp::new(physical, logical)?.to_bits())
}
