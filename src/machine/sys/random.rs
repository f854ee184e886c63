//! The kernel's random bits.

use std::io;

/// Fills the buffer with random bits of the kernel's generator, which must be ready: never waits.
///
/// By its number: glibc has had a function for it only since 2.25, Linux the call since 3.17.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let length = buffer.len();
    // SAFETY: the call writes at most `length` bytes through the pointer, which comes from a live
    // exclusive reference to a slice of that length.
    let written = unsafe {
        libc::syscall(
            libc::SYS_getrandom,
            buffer.as_mut_ptr(),
            length,
            libc::GRND_NONBLOCK,
        )
    };
    if usize::try_from(written) == Ok(length) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
