//! Which library this is.

use core::ffi::c_char;

/// The interface that a header declares; compare with `ec_abi_version()`.
pub const EC_ABI_VERSION: u32 = 1;

const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut value = 0;
    let mut rest = bytes;
    while let [digit, tail @ ..] = rest {
        value = value * 10 + (*digit - b'0') as u32;
        rest = tail;
    }
    value
}

const VERSION: u32 = (number(env!("CARGO_PKG_VERSION_MAJOR")) << 16)
    | (number(env!("CARGO_PKG_VERSION_MINOR")) << 8)
    | number(env!("CARGO_PKG_VERSION_PATCH"));

const VERSION_TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Returns the interface that the library has: a program built for another number must not go on.
///
/// Within a number, functions, error codes and fields at the ends of structs may be added.
/// Never fails. Any thread, signal handlers included.
#[unsafe(no_mangle)]
pub extern "C" fn ec_abi_version() -> u32 {
    EC_ABI_VERSION
}

/// Returns the library's version: major * 65536 + minor * 256 + patch.
///
/// Never fails. Any thread, signal handlers included.
#[unsafe(no_mangle)]
pub extern "C" fn ec_version() -> u32 {
    VERSION
}

/// Returns the library's version as text, such as "0.1.0".
///
/// Never null; static, not to be freed. Any thread, signal handlers included.
#[unsafe(no_mangle)]
pub extern "C" fn ec_version_text() -> *const c_char {
    VERSION_TEXT.as_ptr().cast()
}
