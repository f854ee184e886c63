//! Everything that one reading of a clock tells.

mod json;
mod kernel;
mod text;

#[cfg(feature = "serve")]
pub(crate) use text::ways_out;

use std::io::{self, Write};

use epsilon_clock::clock::SourceStatus;
use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::NtpSource;
use epsilon_clock::source::ntp::NtpServerStatus;
use epsilon_clock::{Clock, Status};

/// Everything that is told of one reading.
pub struct Report {
    /// The middle of the interval, or the machine's clock where there is none.
    pub(crate) estimate: String,
    pub(crate) status: Status,
    pub(crate) sources: Vec<SourceStatus>,
    /// `None` if the kernel is not asked.
    pub(crate) kernel: Option<Result<NtpStatus, NtpStatusError>>,
    pub(crate) servers: Vec<NtpServerStatus>,
}

impl Report {
    /// Reads a clock, its sources and the servers that one of them asks.
    #[must_use]
    pub fn of(clock: &Clock, servers: Option<&NtpSource>, asks_kernel: bool) -> Self {
        let status = clock.status();
        let estimate = match status.interval {
            Ok(interval) => interval.midpoint(),
            Err(_) => clock.read().estimate,
        };
        Self {
            estimate: estimate.to_string(),
            status,
            sources: clock.sources(),
            kernel: asks_kernel.then(|| clock.ntp_status()),
            servers: servers.map_or_else(Vec::new, NtpSource::servers),
        }
    }

    pub(crate) fn reading(&self) -> String {
        match self.status.interval {
            Ok(interval) => interval.to_string(),
            Err(_) => format!("{} ±?", self.estimate),
        }
    }

    /// Writes one line: over the last one on a terminal, below it elsewhere.
    pub(crate) fn line(&self, out: &mut impl Write, terminal: bool) -> io::Result<()> {
        // To the line's start; and, when it is written, clear what is left of the one before.
        let (start, end) = if terminal {
            ("\r", "\x1b[K")
        } else {
            ("", "\n")
        };
        write!(out, "{start}{}  {}{end}", self.reading(), self.status.state)
    }
}
