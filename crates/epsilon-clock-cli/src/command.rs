//! The commands by name, and how each is reached.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::{args, doctor, now, output};

/// A subcommand of `epsilon`.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(lexopt::Parser) -> Result<ExitCode, Failure>,
}

/// In the order in which help lists them.
const COMMANDS: [Command; 2] = [
    Command {
        name: "now",
        about: "print an interval that contains UTC now, and what its width is made of",
        run: now::run,
    },
    Command {
        name: "doctor",
        about: "tell on one page how good this machine's clock is, and what would better it",
        run: doctor::run,
    },
];

/// Runs the command that the arguments of this process name, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // The name under which it was called is not needed: messages name the command.
    arguments.next();
    dispatch(arguments.collect()).unwrap_or_else(|failure| failure.tell())
}

fn dispatch(arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    use lexopt::Arg::{Long, Short, Value};

    let mut parser = lexopt::Parser::from_args(arguments);
    let first = parser.next().map_err(|error| Failure::usage("", &error))?;
    match first {
        Some(Short('h') | Long("help")) => output::print(&help(), ExitCode::SUCCESS),
        Some(Short('V') | Long("version")) => {
            let version = concat!("epsilon ", env!("CARGO_PKG_VERSION"), "\n");
            output::print(version, ExitCode::SUCCESS)
        }
        Some(Value(name)) => {
            let command = COMMANDS.iter().find(|command| name == command.name);
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

fn help() -> String {
    let mut help = "\
Tells what time it is for sure, who says so, and what would make it surer.

Usage: epsilon COMMAND [OPTIONS]

Commands:
"
    .to_owned();
    for Command { name, about, .. } in COMMANDS {
        // Writing to a string does not fail.
        let _ = writeln!(help, "  {name:<8} {about}");
    }
    help.push_str(
        "
Options:
  -h, --help      print this, or with a command what it can do
  -V, --version   print the version

Exit codes: 0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock is missing;
74 the output could not be written.
",
    );
    help
}
