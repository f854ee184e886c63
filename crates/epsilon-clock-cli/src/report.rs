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

use crate::terminal::cut;

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

    /// Writes one line: over the last one in so many columns, below it where there are none to write over.
    pub(crate) fn line(&self, out: &mut impl Write, columns: Option<usize>) -> io::Result<()> {
        let line = format!("{}  {}", self.reading(), self.status.state);
        match columns {
            // To the line's start; and, when it is written, clear what is left of the one before. Where there is
            // no room for all of it, the date goes first.
            Some(columns) => {
                let time = line.split_once('T').map_or("", |(_, time)| time);
                let wide = line.chars().count() > columns;
                let line = if wide { time } else { &line };
                write!(out, "\r{}\x1b[K", cut(line, columns))
            }
            None => writeln!(out, "{line}"),
        }
    }
}
