//! Standard output that may be closed or full.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::failure::Failure;

/// Writes all of a text, and returns `code` if its reader has it or wants no more of it.
pub(crate) fn print(text: &str, code: ExitCode) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    finish(written, code)
}

/// Returns `code` unless the output was lost.
pub(crate) fn finish(written: io::Result<()>, code: ExitCode) -> Result<ExitCode, Failure> {
    match written {
        // A reader that has seen enough closes the pipe: that is no failure.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(code),
    }
}
