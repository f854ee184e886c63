//! The options that say how a clock is built, which several commands share.

use std::time::Duration;

use epsilon_clock::source::{ChronySource, KernelSource, NtpSource};
use epsilon_clock::{BuildError, Clock};

use crate::args::{ppm, set_once, span, value};
use crate::command::Flag;
use crate::ntp::Servers;

/// What a clock is to be built of.
#[derive(Debug, Default)]
pub(crate) struct ClockSettings {
    accept_unsync_flag: bool,
    assume_error: Option<Duration>,
    max_drift_ppb: Option<u32>,
    sources: Vec<SourceName>,
    pub(crate) servers: Servers,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SourceName {
    Kernel,
    Chrony,
}

impl ClockSettings {
    pub(crate) const FLAGS: &'static [Flag] = &[
        Flag::taking(
            "assume-error",
            "SPAN",
            "vouch for the machine's clock to within SPAN, such as 50ms or 1.5s, where no source does \
             (units: ns, us, µs, ms, s)",
        ),
        Flag::taking(
            "max-drift-ppm",
            "N",
            "how far the oscillator may run off, in parts per million [200]",
        ),
        Flag {
            words: &["kernel", "chrony"],
            ..Flag::taking(
                "source",
                "NAME",
                "ask only this source: kernel or chrony; given more than once, each of them [kernel \
                 and chrony; none, where servers are named]",
            )
        },
        Flag::switch(
            "accept-unsync-flag",
            "believe a bound that the kernel flags as unsynchronised",
        ),
    ];

    /// Takes an option of this name, and its value; returns false if it is none of these.
    pub(crate) fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<bool, String> {
        match name {
            "accept-unsync-flag" => self.accept_unsync_flag = true,
            "assume-error" => {
                let span = value("--assume-error", parser, span)?;
                set_once("--assume-error", &mut self.assume_error, span)?;
            }
            "max-drift-ppm" => {
                let ppb = value("--max-drift-ppm", parser, ppm)?;
                set_once("--max-drift-ppm", &mut self.max_drift_ppb, ppb)?;
            }
            "source" => {
                let name = value("--source", parser, source_name)?;
                if self.sources.contains(&name) {
                    return Err("--source names the same one twice".to_owned());
                }
                self.sources.push(name);
            }
            _ => return self.servers.take(name, parser),
        }
        Ok(true)
    }

    /// Returns true if a source is asked that asks the kernel.
    ///
    /// Where none is, the command does not ask either: a filter may kill it for that system call.
    pub(crate) fn asks_kernel(&self) -> bool {
        self.sources.contains(&SourceName::Kernel)
            || (self.sources.is_empty() && !self.servers.are_named())
    }

    pub(crate) fn clock(&self, servers: Option<NtpSource>) -> Result<Clock, BuildError> {
        let mut builder = Clock::builder();
        if let Some(error) = self.assume_error {
            builder = builder.assume_error(error);
        }
        if let Some(ppb) = self.max_drift_ppb {
            builder = builder.max_drift_ppb(ppb);
        }
        if self.accept_unsync_flag {
            builder = builder.accept_unsync_flag();
        }
        for source in &self.sources {
            builder = match source {
                SourceName::Kernel => builder.source(KernelSource::new()),
                SourceName::Chrony => builder.source(ChronySource::new()),
            };
        }
        if let Some(servers) = servers {
            builder = builder.source(servers);
        }
        builder.build()
    }
}

fn source_name(text: &str) -> Result<SourceName, String> {
    match text {
        "kernel" => Ok(SourceName::Kernel),
        "chrony" => Ok(SourceName::Chrony),
        _ => Err("there is kernel, and chrony".to_owned()),
    }
}
