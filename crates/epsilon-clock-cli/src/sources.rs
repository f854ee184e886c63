//! `epsilon sources`: what each source says by itself, and each NTP server.

use std::process::ExitCode;

use crate::args::{Word, next, unknown};
use crate::clock_settings::ClockSettings;
use crate::command::{Command, Flag};
use crate::failure::Failure;
use crate::json::Json;
use crate::ntp::Servers;
use crate::report::Report;
use crate::{ntp, output, terminal};

pub(crate) static COMMAND: Command = Command {
    flags: &[
        &[Flag::switch("json", "print one JSON object")],
        ClockSettings::FLAGS,
        Servers::FLAGS,
    ],
    ..Command::new(
        "sources",
        "print what each source says by itself: its interval, or why it gives none",
        run,
    )
};

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let (mut json, mut settings) = (false, ClockSettings::default());
    while let Some(word) = next(&mut parser)? {
        match &word {
            Word::Help => {
                let help = COMMAND.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Option(name) if name == "json" => json = true,
            Word::Option(name) if settings.take(name, &mut parser)? => {}
            _ => return Err(unknown(&word).into()),
        }
    }
    let servers = settings.servers.source()?;
    let clock = settings.clock(servers.clone())?;
    if let Some(servers) = &servers {
        ntp::wait_for(&clock, servers);
    }
    let report = Report::of(&clock, servers.as_ref(), settings.asks_kernel());
    let text = if json {
        let object = Json::object([
            ("sources", report.sources_json()),
            ("ntp_servers", report.servers_json()),
            ("vmclock", report.status.vmclock.to_string().into()),
        ]);
        format!("{object}\n")
    } else {
        report.sources_alone(terminal::width())
    };
    output::print(&text, ExitCode::SUCCESS)
}
