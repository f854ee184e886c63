//! `epsilon serve`: the clock over HTTP, for monitoring and for people.

mod blocking;
mod body;
mod history;
mod listener;
mod markup;
mod page;
mod plot;
mod site;
mod watched;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::args::{Word, next, set_once, span, unknown, value};
use crate::clock_settings::ClockSettings;
use crate::command::{Command, Flag};
use crate::failure::Failure;
use crate::ntp::Servers;
use crate::{output, terminal};

use listener::Listener;
pub use watched::Watched;

pub(crate) static COMMAND: Command = Command {
    flags: &[
        &[
            Flag::taking(
                "listen",
                "ADDRESS:PORT",
                "where to listen; port 0 takes any that is free [127.0.0.1:9184]",
            ),
            Flag::taking(
                "max-error",
                "SPAN",
                "how large epsilon may be for /healthz to answer 200 [250ms]",
            ),
        ],
        ClockSettings::FLAGS,
        Servers::FLAGS,
    ],
    ..Command::new(
        "serve",
        "serve the clock over HTTP: a page, /metrics for Prometheus, /json and /healthz",
        run,
    )
};

/// Of those that are for exporters of Prometheus, and of none that its wiki lists.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9184);

/// Half of the library's own limit for an interval.
const MAX_ERROR: Duration = Duration::from_millis(250);

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let (mut listen, mut max_error) = (None, None);
    let mut settings = ClockSettings::default();
    while let Some(word) = next(&mut parser)? {
        match &word {
            Word::Help => {
                let help = COMMAND.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Option(name) if name == "listen" => {
                let address = value("--listen", &mut parser, address)?;
                set_once("--listen", &mut listen, address)?;
            }
            Word::Option(name) if name == "max-error" => {
                let limit = value("--max-error", &mut parser, span)?;
                set_once("--max-error", &mut max_error, limit)?;
            }
            Word::Option(name) if settings.take(name, &mut parser)? => {}
            _ => return Err(unknown(&word).into()),
        }
    }
    let servers = settings.servers.source()?;
    let clock = settings.clock(servers.clone())?;
    let max_error = max_error.unwrap_or(MAX_ERROR);
    let watched = Watched::new(clock, servers, settings.asks_kernel(), max_error);
    let watched = Arc::new(watched);
    let listen = listen.unwrap_or(LISTEN);
    let listener = Listener::bind(listen).map_err(|error| Failure::address(listen, &error))?;
    let told = format!("http://{}/\n", listener.address());
    output::print(&told, ExitCode::SUCCESS)?;
    std::thread::scope(|threads| {
        threads.spawn(|| watched.keep_watching());
        listener.serve(&watched);
    });
    Ok(ExitCode::SUCCESS)
}

/// Returns the page for people, as of now.
#[must_use]
pub fn page(watched: &Watched) -> String {
    page::whole(watched)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "give an address and a port, such as 127.0.0.1:9184 or [::]:9184".to_owned())
}
