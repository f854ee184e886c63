//! `epsilon now`: an interval that contains UTC, and what its width is made of.

mod json;
mod kernel;
mod options;
mod report;
mod text;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::failure::{Failure, NO_INTERVAL};
use crate::{ntp, output};
use options::Options;
use report::Report;

const HELP: &str = "\
Prints an interval that contains UTC now, and what its width is made of.

Usage: epsilon now [OPTIONS]

Options:
      --watch                repeat each second, on one line
      --json                 print one JSON object (with --watch, one a second)
      --assume-error SPAN    vouch for the machine's clock to within SPAN, such as 50ms or 1.5s,
                             where no source does (units: ns, us, µs, ms, s)
      --max-drift-ppm N      how far the oscillator may run off, in parts per million [200]
      --source NAME          ask only this source: kernel or chrony; given more than once, each of
                             them [kernel and chrony]
      --ntp HOST[:PORT]      ask this NTP server, without root; given more than once, all of them, and
                             of three or more one may be wrong and is named; without --source
                             nobody else is asked
      --accept-local         believe NTP servers that serve their own clock
      --accept-unsync-flag   believe a bound that the kernel flags as unsynchronised
      --strict               exit with 2 where there is no interval
  -h, --help                 print this

Exit codes: 0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock is missing;
74 the output could not be written.
";

pub(crate) fn run(parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let Some(options) = Options::parse(parser)? else {
        return output::print(HELP, ExitCode::SUCCESS);
    };
    let servers = options.servers.source()?;
    let clock = options.clock(servers.clone())?;
    if let (Some(servers), false) = (&servers, options.watch) {
        ntp::wait_for(&clock, servers);
    }
    let mut out = io::stdout().lock();
    loop {
        let report = Report::of(&clock, servers.as_ref(), options.asks_kernel());
        let ends = options.strict && report.status.interval.is_err();
        let written = if options.json {
            writeln!(out, "{}", report.json())
        } else if options.watch {
            report.line(&mut out, io::stdout().is_terminal())
        } else {
            report.text(&mut out)
        };
        let written = written.and_then(|()| out.flush());
        if ends {
            return output::finish(written, ExitCode::from(NO_INTERVAL));
        }
        if written.is_err() || !options.watch {
            return output::finish(written, ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
