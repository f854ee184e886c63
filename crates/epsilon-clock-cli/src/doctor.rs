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

use crate::args::{Word, next, seconds, unknown, value};
use crate::command::{Command, Flag};
use crate::failure::{Failure, NO_INTERVAL};
use crate::ntp::Servers;
use crate::{output, terminal};

use compared::Asked;
pub use compared::Compared;
pub use facts::{Facts, Place};
pub use page::page;
#[cfg(feature = "serve")]
pub(crate) use page::sections;
pub use seen::Seen;

pub(crate) static COMMAND: Command = Command {
    flags: &[
        &[
            Flag::taking(
                "watch",
                "SECONDS",
                "how long to watch the clock, up to an hour [3]",
            ),
            Flag::switch("strict", "exit with 2 where the clock gives no interval"),
        ],
        Servers::FLAGS,
    ],
    ..Command::new(
        "doctor",
        "tell on one page how good this machine's clock is, and what would better it",
        run,
    )
};

fn run(parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let Some((watch, strict, servers)) = options(parser)? else {
        let help = COMMAND.help("epsilon ", terminal::width());
        return output::print(&help, ExitCode::SUCCESS);
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

/// Returns how long to watch, whether `--strict` is given and what servers are named; `None` if help was asked
/// for.
fn options(mut parser: lexopt::Parser) -> Result<Option<(Duration, bool, Servers)>, String> {
    let (mut watch, mut strict) = (Duration::from_secs(3), false);
    let mut servers = Servers::default();
    while let Some(word) = next(&mut parser)? {
        let name = match &word {
            Word::Help => return Ok(None),
            Word::Option(name) => name.as_str(),
            Word::Operand(_) => return Err(unknown(&word)),
        };
        match name {
            "watch" => watch = value("--watch", &mut parser, seconds)?,
            "strict" => strict = true,
            _ if servers.take(name, &mut parser)? => {}
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Some((watch, strict, servers)))
}
