//! A transaction that overlaps its commit-wait with replication.
//!
//! `cargo run --release --example commit_wait`, and `-- --help` for what else it can do.
#![allow(
    clippy::print_stderr,
    reason = "a command line program says what is wrong with its arguments"
)]

use epsilon_clock::commit::{CommitError, CommitWaitError};
use epsilon_clock::{Clock, Timestamp};
use lexopt::ValueExt;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
Commits a few transactions that wait for their timestamps while replicas do their work.

Usage: commit_wait [OPTIONS]

Options:
      --assume-error SPAN   vouch for the machine's clock to within SPAN, such as 5ms or 1.5s,
                            where nobody else does (units: ns, us, µs, ms, s)
      --replication SPAN    how long the replicas take [3ms]
      --commits N           how many transactions to commit, one after the other [3]
  -h, --help                print this

Exit codes: 0 done; 1 what was to be shown does not hold; 64 bad arguments; 69 there is no
interval, because nobody vouches for the clock; 74 the output could not be written.
";

/// What the program demonstrates does not hold.
const BROKEN: u8 = 1;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// No clock, or none that anybody vouches for (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The output cannot be written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

fn main() -> ExitCode {
    let outcome = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => run(&options),
        Ok(None) => print(HELP),
        Err(message) => Err(Failure::new(USAGE, &message)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("commit_wait: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let clock = options.clock()?;
    let mut acknowledged: Option<Timestamp> = None;
    for number in 1..=options.commits {
        let commit = Commit::make(&clock, options.replication)?;
        commit.check(&clock, acknowledged)?;
        print(&commit.told(number))?;
        acknowledged = Some(commit.timestamp);
    }
    print(
        "\nEach timestamp was surely past when its commit was acknowledged, so whoever heard of it,\n\
         on any node, commits with a larger one. The wait ran while the replicas did their work:\n\
         only the rest of it was waited for.\n",
    )
}

/// What became of one transaction.
struct Commit {
    timestamp: Timestamp,
    /// How long it has to be until the timestamp is surely past, as far as was known at first.
    needed: Duration,
    work: Duration,
    wait: Duration,
    total: Duration,
}

impl Commit {
    fn make(clock: &Clock, replication: Duration) -> Result<Self, Failure> {
        let began = Instant::now();
        let commit = clock.begin_commit()?;
        let needed = commit.remaining().map_err(CommitWaitError::Clock)?;

        // The replicas write the transaction to their logs, all at the same time.
        std::thread::scope(|replicas| {
            for lag in [2, 3, 4] {
                replicas.spawn(move || std::thread::sleep(replication * lag / 4));
            }
        });
        let work = began.elapsed();

        commit.wait()?;
        let total = began.elapsed();
        // Here it is acknowledged to the client.
        Ok(Self {
            timestamp: commit.timestamp(),
            needed,
            work,
            wait: total.saturating_sub(work),
            total,
        })
    }

    fn check(&self, clock: &Clock, before: Option<Timestamp>) -> Result<(), Failure> {
        let broken = |what: &str| Failure::new(BROKEN, &format!("{what}: {}", self.timestamp));
        if clock.after(self.timestamp) != Ok(true) {
            return Err(broken("acknowledged before it was past"));
        }
        if before.is_some_and(|before| before >= self.timestamp) {
            return Err(broken(
                "not above the one that was acknowledged before it began",
            ));
        }
        Ok(())
    }

    fn told(&self, number: u32) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        };
        line("timestamp", self.timestamp.to_string());
        line("work", millis(self.work));
        let needed = millis(self.needed);
        line("wait", format!("{} of {needed}", millis(self.wait)));
        line("total", millis(self.total));
        format!("commit {number}\n{text}")
    }
}

fn millis(span: Duration) -> String {
    format!("{:.3} ms", span.as_secs_f64() * 1e3)
}

/// A reader that has seen enough closes the pipe: that is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            IO_ERROR,
            &format!("the output cannot be written: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Why the program ends early.
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn new(code: u8, message: &impl ToString) -> Self {
        // Whatever an argument has in it, the message stays on one line.
        let message = message.to_string().replace(char::is_control, "?");
        Self { message, code }
    }

    fn no_clock(error: &impl ToString) -> Self {
        let error = error.to_string();
        Self::new(
            UNAVAILABLE,
            &format!(
                "{error} (to see how it works on this machine all the same, vouch for its clock: \
                 --assume-error 5ms)"
            ),
        )
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::no_clock(&error)
    }
}

impl From<CommitWaitError> for Failure {
    fn from(error: CommitWaitError) -> Self {
        Self::no_clock(&error)
    }
}

// --- the arguments -------------------------------------------------------------------------------

#[derive(Debug)]
struct Options {
    assume_error: Option<Duration>,
    replication: Duration,
    commits: u32,
}

impl Options {
    /// `None` if only help was asked for.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::Arg::{Long, Short};

        let mut options = Self {
            assume_error: None,
            replication: Duration::from_millis(3),
            commits: 3,
        };
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("assume-error") => {
                    options.assume_error = Some(span("--assume-error", &mut parser)?);
                }
                Long("replication") => options.replication = span("--replication", &mut parser)?,
                Long("commits") => {
                    let text = text(&mut parser)?;
                    let number = text
                        .parse()
                        .ok()
                        .filter(|number| (1..=1_000).contains(number));
                    options.commits =
                        number.ok_or_else(|| format!("--commits {text:?}: give 1 to 1000"))?;
                }
                _ => return Err(format!("{}; see --help", arg.unexpected())),
            }
        }
        Ok(Some(options))
    }

    fn clock(&self) -> Result<Clock, Failure> {
        let mut builder = Clock::builder();
        if let Some(error) = self.assume_error {
            builder = builder.assume_error(error);
        }
        builder.build().map_err(|error| match error {
            epsilon_clock::BuildError::Setting { .. } => Failure::new(USAGE, &error),
            _ => Failure::new(UNAVAILABLE, &error),
        })
    }
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().and_then(ValueExt::string);
    value.map_err(|error| error.to_string())
}

/// `50ms`, `1.5s` and the like, up to ten seconds and a whole number of nanoseconds.
fn span(option: &str, parser: &mut lexopt::Parser) -> Result<Duration, String> {
    let text = text(parser)?;
    parse_span(&text).ok_or_else(|| {
        format!(
            "{option} {text:?}: give a number above zero and a unit (ns, us, µs, ms or s), such as \
             5ms, and no more than 10s"
        )
    })
}

fn parse_span(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let places = match unit {
        "ns" => 0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 3, // the micro sign and the Greek letter look alike
        "ms" => 6,
        "s" => 9,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return None;
    }
    let nanos: u64 = format!("{whole}{fraction:0<places$}").parse().ok()?;
    let span = Duration::from_nanos(nanos);
    (!span.is_zero() && span <= Duration::from_secs(10)).then_some(span)
}
