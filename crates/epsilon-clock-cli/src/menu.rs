//! The commands by name, and how each is reached.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::command::Command;
use crate::failure::Failure;
use crate::{args, compare, doctor, generated, hlc, now, output, serve, sources, terminal, watch};

/// The program itself, with its commands in the order in which help lists them.
pub static EPSILON: Command = Command {
    commands: &[
        &now::COMMAND,
        &doctor::COMMAND,
        &watch::COMMAND,
        &sources::COMMAND,
        &serve::COMMAND,
        &compare::COMMAND,
        &hlc::COMMAND,
        &generated::COMPLETIONS,
        &generated::MANUAL,
    ],
    flags: &[&[crate::command::Flag::switch(
        "version",
        "print the version (also -V)",
    )]],
    ..Command::new(
        "epsilon",
        "tells what time it is for sure, who says so, and what would make it surer",
        run,
    )
};

/// Runs the command that the process's arguments name; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // The name under which it was called is not needed: messages name the command.
    arguments.next();
    let arguments: Vec<OsString> = arguments.collect();
    let parser = lexopt::Parser::from_args(arguments);
    run(parser).unwrap_or_else(|failure| failure.tell())
}

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    use lexopt::Arg::{Long, Short, Value};

    let first = parser.next().map_err(|error| Failure::usage("", &error))?;
    match first {
        Some(Short('h') | Long("help")) => {
            output::print(&EPSILON.help("", terminal::width()), ExitCode::SUCCESS)
        }
        Some(Short('V') | Long("version")) => {
            let version = concat!("epsilon ", env!("CARGO_PKG_VERSION"), "\n");
            output::print(version, ExitCode::SUCCESS)
        }
        Some(Value(name)) => {
            let mut commands = EPSILON.commands.iter();
            let command = commands.find(|command| name == command.name);
            let command = command.ok_or_else(|| {
                let name = name.to_string_lossy();
                Failure::usage("", &format!("there is no command {name:?}; see --help"))
            })?;
            (command.run)(parser).map_err(|failure| failure.of(command.name))
        }
        Some(other) => Err(Failure::usage("", &args::unexpected(other))),
        None => Err(Failure::usage("", &"which command? see --help")),
    }
}
