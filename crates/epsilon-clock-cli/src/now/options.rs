use std::time::Duration;

use epsilon_clock::source::{ChronySource, KernelSource, NtpSource};
use epsilon_clock::{BuildError, Clock};

use crate::args::{ppm, set_once, span, unexpected, value};
use crate::ntp::{self, Servers};

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) watch: bool,
    pub(super) json: bool,
    pub(super) strict: bool,
    accept_unsync_flag: bool,
    assume_error: Option<Duration>,
    max_drift_ppb: Option<u32>,
    sources: Vec<SourceName>,
    pub(super) servers: Servers,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SourceName {
    Kernel,
    Chrony,
}

impl Options {
    /// Parses the arguments; `None` if only help was asked for.
    pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::Arg::{Long, Short};

        let mut options = Self::default();
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("watch") => options.watch = true,
                Long("json") => options.json = true,
                Long("strict") => options.strict = true,
                Long("accept-unsync-flag") => options.accept_unsync_flag = true,
                Long("assume-error") => {
                    let span = value("--assume-error", &mut parser, span)?;
                    set_once("--assume-error", &mut options.assume_error, span)?;
                }
                Long("max-drift-ppm") => {
                    let ppb = value("--max-drift-ppm", &mut parser, ppm)?;
                    set_once("--max-drift-ppm", &mut options.max_drift_ppb, ppb)?;
                }
                Long("source") => {
                    let name = value("--source", &mut parser, source_name)?;
                    if options.sources.contains(&name) {
                        return Err("--source names the same one twice".to_owned());
                    }
                    options.sources.push(name);
                }
                Long("ntp") => options.servers.add(value("--ntp", &mut parser, ntp::host)?),
                Long("accept-local") => options.servers.accept_local(),
                _ => return Err(unexpected(arg)),
            }
        }
        Ok(Some(options))
    }

    /// Returns true if a source is asked that asks the kernel.
    ///
    /// Where none is, the command does not ask either: a filter may kill it for that system call.
    pub(super) fn asks_kernel(&self) -> bool {
        self.sources.contains(&SourceName::Kernel)
            || (self.sources.is_empty() && !self.servers.are_named())
    }

    pub(super) fn clock(&self, servers: Option<NtpSource>) -> Result<Clock, BuildError> {
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
