//! `epsilon doctor`: who disciplines the clock, whether to trust it, what epsilon to expect, and what to
//! change, on one page.
//!
//! It watches for some seconds, reads what the kernel and a few files say, and changes nothing.

mod advice;
mod compared;
mod facts;
mod page;
mod rates;
mod seen;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::Clock;

use crate::args::{seconds, unexpected, value};
use crate::failure::{Failure, NO_INTERVAL};
use crate::ntp::{self, Servers};
use crate::{output, terminal};

use compared::Asked;
pub use compared::Compared;
pub use facts::{Facts, Place};
pub use page::page;
pub use seen::Seen;

const HELP: &str = "\
Tells on one page how good this machine's clock is, and what would make it better.

Usage: epsilon doctor [OPTIONS]

Options:
      --watch SECONDS   how long to watch the clock, up to an hour [3]
      --ntp HOST[:PORT] hold the clock against this NTP server; given more than once, against
                        all of them, and of three or more one may be wrong and is named
      --accept-local    believe NTP servers that serve their own clock
      --strict          exit with 2 where the clock gives no interval
  -h, --help            print this

Exit codes: 0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock is missing; 74 the
output could not be written.
";

pub(crate) fn run(parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let Some((watch, strict, servers)) = options(parser)? else {
        return output::print(HELP, ExitCode::SUCCESS);
    };
    // A clock of their own: what is wrong with this machine's must not keep them from being heard.
    let asked = servers.source()?.map(Asked::start).transpose()?;
    let clock = Clock::system()?;
    let mut seen = Seen::of(&clock, watch);
    seen.servers = asked.map(|asked| asked.compare(&clock));
    let refuses = strict && seen.status.interval.is_err();
    let code = if refuses { NO_INTERVAL } else { 0 };
    let page = page(&Facts::gather(Path::new("/")), &seen, terminal::width());
    output::print(&page, ExitCode::from(code))
}

/// Returns how long to watch, whether `--strict` is given and what `--ntp` names; `None` if help was asked
/// for.
fn options(mut parser: lexopt::Parser) -> Result<Option<(Duration, bool, Servers)>, String> {
    use lexopt::Arg::{Long, Short};

    let (mut watch, mut strict) = (Duration::from_secs(3), false);
    let mut servers = Servers::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Long("watch") => watch = value("--watch", &mut parser, seconds)?,
            Long("strict") => strict = true,
            Long("ntp") => servers.add(value("--ntp", &mut parser, ntp::host)?),
            Long("accept-local") => servers.accept_local(),
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(unexpected(argument)),
        }
    }
    Ok(Some((watch, strict, servers)))
}
