//! How to skip a part of the tests.

use std::io::Write;

/// Says that a part of the tests cannot be run here, in one line that the harness does not swallow.
pub(crate) fn skip(what: &str, why: &str) {
    // The harness captures the print macros only. In one piece, so that tests do not mix theirs.
    let line = format!("skipped: {what}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
