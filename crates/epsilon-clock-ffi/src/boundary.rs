//! Crossing from C and back: no panic goes out, no pointer comes in unchecked.
//!
//! # What every pointer must be
//!
//! A caller promises of each pointer other than a handle that it is null, or misaligned, or good for
//! as many bytes as its type (or the length beside it) says, and that no other thread writes there
//! during the call. Null and misaligned ones are refused. Handles may be anything.

use core::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::ec_error;

/// Runs the body of a function and turns a panic, which would be a bug here, into an error code.
///
/// Where panics abort (`panic = "abort"`) there is none to turn; a panic that got past this would
/// abort too, as `extern "C"` functions do not unwind.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "part of `ec_now`, which may cost 2 ns more than what it calls"
)]
pub fn guard(body: impl FnOnce() -> Result<(), ec_error>) -> ec_error {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ec_error::EC_OK,
        Ok(Err(error)) => error,
        Err(payload) => {
            // To drop it may panic in turn; what that leaves is not worth a third attempt.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                mem::forget(second);
            }
            ec_error::EC_ERR_INTERNAL
        }
    }
}

#[inline]
fn check<T>(pointer: *const T) -> Result<(), ec_error> {
    if pointer.is_null() {
        return Err(ec_error::EC_ERR_NULL);
    }
    if !pointer.is_aligned() {
        return Err(ec_error::EC_ERR_MISALIGNED);
    }
    Ok(())
}

/// Writes a result.
///
/// # Errors
///
/// [`ec_error::EC_ERR_NULL`] and [`ec_error::EC_ERR_MISALIGNED`].
///
/// # Safety
///
/// As the page of this module says.
#[inline]
pub unsafe fn put<T: Copy>(out: *mut T, value: T) -> Result<(), ec_error> {
    check(out.cast_const())?;
    // SAFETY: neither null nor misaligned, and good for a `T` as the caller promises.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a result that is not asked for if the pointer is null.
///
/// # Safety
///
/// As the page of this module says.
pub(crate) unsafe fn put_if_wanted<T: Copy>(out: *mut T, value: T) -> Result<(), ec_error> {
    if out.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { put(out, value) }
}

/// Checks where a result is going to be written, before anything is done that cannot be undone.
#[inline]
pub(crate) fn check_out<T>(out: *mut T) -> Result<(), ec_error> {
    check(out.cast_const())
}

/// Reads a struct of integers.
///
/// # Safety
///
/// As the page of this module says; every pattern of bits must be a `T`.
#[inline]
pub(crate) unsafe fn get<T: Copy>(from: *const T) -> Result<T, ec_error> {
    check(from)?;
    // SAFETY: neither null nor misaligned, and good for a `T` as the caller promises.
    Ok(unsafe { from.read() })
}

/// Returns the bytes that a pointer and a length name.
///
/// # Safety
///
/// As the page of this module says; the bytes must stay as they are while the result is used.
pub(crate) unsafe fn bytes<'a>(from: *const u8, length: usize) -> Result<&'a [u8], ec_error> {
    check(from)?;
    if isize::try_from(length).is_err() {
        return Err(ec_error::EC_ERR_SIZE);
    }
    // SAFETY: not null, no longer than an object can be, and good for that many bytes as the caller
    // promises.
    Ok(unsafe { core::slice::from_raw_parts(from, length) })
}

/// Writes bytes into a buffer whose capacity the caller told.
///
/// # Safety
///
/// As the page of this module says.
pub(crate) unsafe fn put_bytes(
    out: *mut u8,
    capacity: usize,
    value: &[u8],
) -> Result<(), ec_error> {
    check(out.cast_const())?;
    if capacity < value.len() {
        return Err(ec_error::EC_ERR_BUFFER);
    }
    // SAFETY: the buffer holds at least `value.len()` bytes, as the caller promises, and is not
    // `value`, which no caller can name.
    unsafe { core::ptr::copy_nonoverlapping(value.as_ptr(), out, value.len()) };
    Ok(())
}

/// A struct that begins with its size and its version, and grows only at its end.
///
/// # Safety
///
/// Every pattern of bits is a value, there is no padding, and the first two fields are those.
pub(crate) unsafe trait Versioned: Copy {
    /// The only version that this library knows.
    const VERSION: u32;
    /// The size in the first release that had it.
    const FIRST_SIZE: usize;
    /// What holds for fields that a caller's header does not have yet.
    const DEFAULTS: Self;
}

/// The largest struct that is read: far above what any release will have.
const LARGEST: usize = 4096;

#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    size: u32,
    version: u32,
}

/// Reads options that may be older or newer than this library; the defaults if null.
///
/// # Safety
///
/// As the page of this module says, for as many bytes as the struct's own `size` says.
pub(crate) unsafe fn options<T: Versioned>(from: *const T) -> Result<T, ec_error> {
    if from.is_null() {
        return Ok(T::DEFAULTS);
    }
    check(from)?;
    // SAFETY: aligned for `T`, which is stricter, and good for its head as the caller promises.
    let head = unsafe { from.cast::<Head>().read() };
    if head.version != T::VERSION {
        return Err(ec_error::EC_ERR_VERSION);
    }
    let size = usize::try_from(head.size).map_err(|_| ec_error::EC_ERR_SIZE)?;
    if size < T::FIRST_SIZE || size > LARGEST || size % 8 != 0 {
        return Err(ec_error::EC_ERR_SIZE);
    }
    // SAFETY: good for `size` bytes, as the caller promises by writing that size into it.
    let given = unsafe { bytes(from.cast(), size)? };
    let mut value = T::DEFAULTS;
    let known = size.min(size_of::<T>());
    // What a newer header has at its end is an error if it is used, and otherwise none.
    if given.iter().skip(known).any(|byte| *byte != 0) {
        return Err(ec_error::EC_ERR_SIZE);
    }
    let place = (&raw mut value).cast::<u8>();
    // SAFETY: both hold at least `known` bytes, apart from each other; any bits are a `T`.
    unsafe { core::ptr::copy_nonoverlapping(given.as_ptr(), place, known) };
    Ok(value)
}

/// Writes as much of a struct as the caller's header knows of, and zeros beyond what is known here.
///
/// # Safety
///
/// As the page of this module says, for `size` bytes; `T` has no padding.
pub(crate) unsafe fn put_sized<T: Copy>(
    out: *mut T,
    size: usize,
    first_size: usize,
    value: T,
) -> Result<(), ec_error> {
    check(out.cast_const())?;
    if size < first_size || size > LARGEST || size % 8 != 0 {
        return Err(ec_error::EC_ERR_SIZE);
    }
    let known = size.min(size_of::<T>());
    let place = out.cast::<u8>();
    // SAFETY: `value` has `known` bytes, and so has the buffer as the caller promises.
    unsafe { core::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), place, known) };
    // SAFETY: `known` is at most `size`, so this stays inside or at the end of the buffer.
    let rest = unsafe { place.add(known) };
    // SAFETY: the buffer has `size` bytes in all.
    unsafe { rest.write_bytes(0, size - known) };
    Ok(())
}
