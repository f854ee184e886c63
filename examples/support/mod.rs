//! What the examples have in common: their arguments, and output that may be closed or full.
#![allow(dead_code, reason = "each example uses some of it")]

pub(crate) mod loopback;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::{BuildError, Clock};
use lexopt::Arg::{Long, Short};
use lexopt::{Parser, ValueExt};

pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// An end with an exit code of its own, as `sysexits.h` numbers them.
#[derive(Debug)]
pub(crate) struct Ends {
    code: u8,
    message: String,
}

impl Ends {
    /// Bad arguments.
    pub(crate) fn usage(message: impl fmt::Display) -> Fault {
        Self::with(64, message)
    }

    /// There is no clock, or none that is vouched for.
    pub(crate) fn unavailable(message: impl fmt::Display) -> Fault {
        Self::with(69, message)
    }

    fn with(code: u8, message: impl fmt::Display) -> Fault {
        let message = message.to_string();
        Box::new(Self { code, message })
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Ends {}

/// Runs an example: 0 if `play` says that what it shows holds, 1 if not, 70 if it could not be tried.
///
/// `usage` is what `--help` prints, and names the options: `--flag`, or `--value=WHAT`.
pub(crate) fn run(
    usage: &str,
    play: impl FnOnce(&Options, &mut Output) -> Result<bool, Fault>,
) -> ExitCode {
    let mut out = Output { full: None };
    let played = match Options::parse(usage, Parser::from_env()) {
        Ok(Some(options)) => play(&options, &mut out),
        Ok(None) => writeln!(out, "{usage}\n(-h and --help print this.)")
            .map(|()| true)
            .map_err(Fault::from),
        Err(error) => Err(Ends::usage(format!("{error}; see --help"))),
    };
    let (code, message) = match (out.full, played) {
        (Some(error), _) => (74, format!("the output cannot be written: {error}")),
        (None, Ok(holds)) => return ExitCode::from(u8::from(!holds)),
        (None, Err(error)) => {
            let code = error.downcast_ref().map_or(70, |ends: &Ends| ends.code);
            (code, error.to_string())
        }
    };
    // Whatever an argument has in it, the message stays on one line.
    let message = message.replace(char::is_control, "?");
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}

/// Builds the clock of this machine, vouched for as `--assume-error` says.
pub(crate) fn clock(options: &Options) -> Result<Clock, Fault> {
    let mut builder = Clock::builder();
    if let Some(error) = options.span("assume-error")? {
        builder = builder.assume_error(error);
    }
    builder.build().map_err(|error| match error {
        BuildError::Setting { .. } => Ends::usage(error),
        _ => Ends::unavailable(error),
    })
}

/// Standard output, as if all of it were read where its reader has seen enough.
pub(crate) struct Output {
    full: Option<io::Error>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let kind = error.kind();
                self.full = Some(error);
                Err(kind.into())
            }
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The options that were given, in their order.
pub(crate) struct Options(Vec<(String, String)>);

impl Options {
    /// `None` if only help was asked for.
    fn parse(usage: &str, mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut given = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long(name) if usage.contains(&format!("--{name}=")) => {
                    let name = name.to_owned();
                    given.push((name, parser.value()?.string()?));
                }
                Long(name) if words(usage).any(|word| word.strip_prefix("--") == Some(name)) => {
                    given.push((name.to_owned(), String::new()));
                }
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(Self(given)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut given = self.0.iter().rev();
        given
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a span such as `50ms`: a whole number above zero and its unit.
    pub(crate) fn span(&self, name: &str) -> Result<Option<Duration>, Fault> {
        let parsed = self.get(name).map(|text| {
            parse_span(text).ok_or_else(|| {
                Ends::usage(format!(
                    "--{name} {text:?}: give ns, us, ms or s, such as 5ms"
                ))
            })
        });
        parsed.transpose()
    }
}

fn words(usage: &str) -> impl Iterator<Item = &str> {
    usage.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '=')
}

fn parse_span(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    let nanos = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}
