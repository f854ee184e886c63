//! Why a command ends early, and with which exit code.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use epsilon_clock::BuildError;

/// `--strict`, and there is no interval.
pub(crate) const NO_INTERVAL: u8 = 2;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// The machine lacks a clock, or an address is taken (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The output cannot be written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

/// What is said on standard error, in one line, and the exit code after it.
#[derive(Debug)]
pub(crate) struct Failure {
    command: &'static str,
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn usage(command: &'static str, message: &impl Display) -> Self {
        Self {
            command,
            message: message.to_string(),
            code: USAGE,
        }
    }

    pub(crate) fn output(error: &io::Error) -> Self {
        Self {
            command: "",
            message: format!("the output cannot be written: {error}"),
            code: IO_ERROR,
        }
    }

    #[cfg(feature = "serve")]
    pub(crate) fn address(address: std::net::SocketAddr, error: &io::Error) -> Self {
        Self {
            command: "",
            message: format!("cannot listen on {address}: {error}; name another with --listen"),
            code: UNAVAILABLE,
        }
    }

    /// Names the command in which it happened.
    pub(crate) fn of(self, command: &'static str) -> Self {
        Self { command, ..self }
    }

    /// Says what went wrong and returns the exit code.
    pub(crate) fn tell(&self) -> ExitCode {
        let mut line = "epsilon".to_owned();
        if !self.command.is_empty() {
            line.push(' ');
            line.push_str(self.command);
        }
        line.push_str(": ");
        // Whatever an argument has in it, the message stays on one line.
        for c in self.message.chars() {
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        // Where standard error is gone as well, the exit code has to do.
        let _ = io::stderr().write_all(line.as_bytes());
        ExitCode::from(self.code)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let code = match error {
            // No source but the one that `--ntp` makes can be refused.
            BuildError::Setting { .. } | BuildError::Source { .. } => USAGE,
            _ => UNAVAILABLE,
        };
        Self {
            command: "",
            message: error.to_string(),
            code,
        }
    }
}

impl From<String> for Failure {
    /// A message about the arguments.
    fn from(message: String) -> Self {
        Self::usage("", &message)
    }
}
