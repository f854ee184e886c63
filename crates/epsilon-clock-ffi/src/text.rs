//! Text into a caller's buffer, without an allocation.

use core::ffi::c_char;
use core::fmt::{self, Write};

use crate::boundary::{put_bytes, put_if_wanted};
use crate::error::ec_error;

/// As long as the longest text may be; the longest today has some 300 bytes.
const CAPACITY: usize = 1024;

struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.saturating_add(text.len());
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Writes a value's text and a terminating zero; tells the length without it, if that is wanted.
///
/// # Safety
///
/// As `boundary` says of pointers.
pub(crate) unsafe fn put_text(
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    value: &impl fmt::Display,
) -> Result<(), ec_error> {
    let mut line = Line {
        bytes: [0; CAPACITY],
        length: 0,
    };
    // The last byte is the terminating zero.
    write!(line, "{value}\0").map_err(|_| ec_error::EC_ERR_INTERNAL)?;
    // SAFETY: the caller's promise is passed on.
    unsafe { put_if_wanted(length, line.length - 1)? };
    let text = line.bytes.get(..line.length).unwrap_or(b"\0");
    // SAFETY: the caller's promise is passed on.
    unsafe { put_bytes(buffer.cast(), capacity, text) }
}
