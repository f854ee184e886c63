//! `epsilon now`: an interval that contains UTC, and what its width is made of.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::{Word, next, unknown};
use crate::clock_settings::ClockSettings;
use crate::command::{Command, Flag};
use crate::failure::{Failure, NO_INTERVAL};
use crate::ntp::Servers;
use crate::report::Report;
use crate::{ntp, output, terminal};

pub(crate) static COMMAND: Command = Command {
    flags: &[
        &[
            Flag::switch("watch", "repeat each second, on one line"),
            Flag::switch("json", "print one JSON object (with --watch, one a second)"),
            Flag::switch("strict", "exit with 2 where there is no interval"),
        ],
        ClockSettings::FLAGS,
        Servers::FLAGS,
    ],
    ..Command::new(
        "now",
        "print an interval that contains UTC now, and what its width is made of",
        run,
    )
};

#[derive(Debug, Default)]
struct Options {
    watch: bool,
    json: bool,
    strict: bool,
    clock: ClockSettings,
}

fn run(parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let Some(options) = Options::parse(parser)? else {
        let help = COMMAND.help("epsilon ", terminal::width());
        return output::print(&help, ExitCode::SUCCESS);
    };
    let servers = options.clock.servers.source()?;
    let clock = options.clock.clock(servers.clone())?;
    if let (Some(servers), false) = (&servers, options.watch) {
        ntp::wait_for(&clock, servers);
    }
    let width = terminal::width();
    let mut out = io::stdout().lock();
    loop {
        let report = Report::of(&clock, servers.as_ref(), options.clock.asks_kernel());
        let ends = options.strict && report.status.interval.is_err();
        let written = if options.json {
            writeln!(out, "{}", report.json())
        } else if options.watch {
            // Anew each time: a person drags the window.
            let columns = terminal::moves_cursor().then(|| terminal::size().0);
            report.line(&mut out, columns)
        } else {
            report.text(&mut out, width)
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

impl Options {
    /// Parses the arguments; `None` if only help was asked for.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        while let Some(word) = next(&mut parser)? {
            match &word {
                Word::Help => return Ok(None),
                Word::Option(name) if name == "watch" => options.watch = true,
                Word::Option(name) if name == "json" => options.json = true,
                Word::Option(name) if name == "strict" => options.strict = true,
                Word::Option(name) if options.clock.take(name, &mut parser)? => {}
                _ => return Err(unknown(&word)),
            }
        }
        Ok(Some(options))
    }
}
