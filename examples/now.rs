//! Tells what time it is, how wrong that may be, and why.
//!
//! `cargo run --release --example now`, and `-- --help` for what else it can do.
#![allow(
    clippy::print_stderr,
    reason = "a command line program says what is wrong with its arguments"
)]

use epsilon_clock::clock::{Counters, SourceStatus};
use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::{ChronySource, KernelSource, Refusal};
use epsilon_clock::time::{LearnedRate, RateBounds};
use epsilon_clock::{BuildError, Clock, ClockError, ClockState, ErrorBound, Interval, Status};
use lexopt::ValueExt;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Prints an interval that contains UTC now, and what its width is made of.

Usage: now [OPTIONS]

Options:
      --watch                repeat each second, on one line
      --json                 print one JSON object (with --watch, one a second)
      --assume-error SPAN    vouch for the machine's clock to within SPAN, such as 50ms or 1.5s,
                             where nobody else does (units: ns, us, µs, ms, s)
      --max-drift-ppm N      how far the oscillator may run off, in parts per million [200]
      --source NAME          ask only this source: kernel or chrony; given more than once, each of
                             them [kernel and chrony]
      --accept-unsync-flag   believe a bound that the kernel flags as unsynchronised
      --strict               exit with 2 where there is no interval
  -h, --help                 print this

Exit codes: 0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock is missing;
74 the output could not be written.
";

/// `--strict`, and there is no interval.
const NO_INTERVAL: u8 = 2;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// The machine lacks a clock (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The output cannot be written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let code = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => run(&options, &mut out),
        Ok(None) => {
            let written = out.write_all(HELP.as_bytes()).and_then(|()| out.flush());
            finish(written, ExitCode::SUCCESS)
        }
        Err(message) => Err(Failure {
            message,
            code: USAGE,
        }),
    };
    code.unwrap_or_else(|failure| {
        eprintln!("now: {}", one_line(&failure.message));
        ExitCode::from(failure.code)
    })
}

fn run(options: &Options, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let clock = options.clock()?;
    loop {
        let report = Report::of(&clock);
        let ends = options.strict && report.status.interval.is_err();
        let written = if options.json {
            writeln!(out, "{}", report.json())
        } else if options.watch {
            report.line(out, io::stdout().is_terminal())
        } else {
            report.text(out)
        };
        let written = written.and_then(|()| out.flush());
        if ends {
            return finish(written, ExitCode::from(NO_INTERVAL));
        }
        if written.is_err() || !options.watch {
            return finish(written, ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A reader that has seen enough closes the pipe: that is no failure.
fn finish(written: io::Result<()>, code: ExitCode) -> Result<ExitCode, Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure {
            message: format!("the output cannot be written: {error}"),
            code: IO_ERROR,
        }),
        _ => Ok(code),
    }
}

/// Why the program ends early.
struct Failure {
    message: String,
    code: u8,
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let code = match error {
            BuildError::Setting { .. } => USAGE,
            _ => UNAVAILABLE,
        };
        Self {
            message: error.to_string(),
            code,
        }
    }
}

/// Whatever an argument has in it, the message stays on one line.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for c in message.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

// --- the arguments -------------------------------------------------------------------------------

const TOO_LARGE: &str = "that is beyond reason";

#[derive(Debug, Default)]
struct Options {
    watch: bool,
    json: bool,
    strict: bool,
    accept_unsync_flag: bool,
    assume_error: Option<Duration>,
    max_drift_ppb: Option<u32>,
    sources: Vec<SourceName>,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SourceName {
    Kernel,
    Chrony,
}

impl Options {
    /// `None` if only help was asked for.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::Arg::{Long, Short};

        let mut options = Self::default();
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("watch") => options.watch = true,
                Long("json") => options.json = true,
                Long("strict") => options.strict = true,
                Long("accept-unsync-flag") => options.accept_unsync_flag = true,
                Long("assume-error") => {
                    let span = value("--assume-error", &mut parser, parse_span)?;
                    set_once("--assume-error", &mut options.assume_error, span)?;
                }
                Long("max-drift-ppm") => {
                    let ppb = value("--max-drift-ppm", &mut parser, parse_ppm)?;
                    set_once("--max-drift-ppm", &mut options.max_drift_ppb, ppb)?;
                }
                Long("source") => {
                    let name = value("--source", &mut parser, parse_source)?;
                    if options.sources.contains(&name) {
                        return Err("--source names the same one twice".to_owned());
                    }
                    options.sources.push(name);
                }
                _ => return Err(format!("{}; see --help", arg.unexpected())),
            }
        }
        Ok(Some(options))
    }

    fn clock(&self) -> Result<Clock, BuildError> {
        let mut builder = Clock::builder();
        if let Some(error) = self.assume_error {
            builder = builder.assume_error(error);
        }
        if let Some(ppb) = self.max_drift_ppb {
            builder = builder.max_drift_ppb(ppb);
        }
        if self.accept_unsync_flag {
            builder = builder.accept_unsync_flag();
        }
        for source in &self.sources {
            builder = match source {
                SourceName::Kernel => builder.source(KernelSource::new()),
                SourceName::Chrony => builder.source(ChronySource::new()),
            };
        }
        builder.build()
    }
}

fn value<T>(
    option: &str,
    parser: &mut lexopt::Parser,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let value = parser
        .value()
        .and_then(ValueExt::string)
        .map_err(|error| error.to_string())?;
    parse(&value).map_err(|reason| format!("{option} {value:?}: {reason}"))
}

fn set_once<T: PartialEq>(option: &str, place: &mut Option<T>, value: T) -> Result<(), String> {
    if place.as_ref().is_some_and(|before| *before != value) {
        return Err(format!("{option} is given twice, with different values"));
    }
    *place = Some(value);
    Ok(())
}

fn parse_source(text: &str) -> Result<SourceName, String> {
    match text {
        "kernel" => Ok(SourceName::Kernel),
        "chrony" => Ok(SourceName::Chrony),
        _ => Err("there is kernel, and chrony".to_owned()),
    }
}

/// `50ms`, `1.5s` and the like.
fn parse_span(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "give a number and a unit (ns, us, µs, ms or s), such as 50ms";
    let unit_at = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(unit_at);
    let places = match unit {
        "ns" => 0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 3, // the micro sign and the Greek letter look alike
        "ms" => 6,
        "s" => 9,
        _ => return Err(EXPECTED.to_owned()),
    };
    parse_decimal(number, places).map(Duration::from_nanos)
}

/// Parts per million as parts per billion.
fn parse_ppm(text: &str) -> Result<u32, String> {
    u32::try_from(parse_decimal(text, 3)?).map_err(|_| TOO_LARGE.to_owned())
}

/// A plain decimal number above zero, times ten to the power of `places`: exact, or refused.
fn parse_decimal(text: &str, places: usize) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    let dangling = whole.is_empty() || text.ends_with('.');
    if dangling || !digits.all(|byte| byte.is_ascii_digit()) {
        return Err("give a number above zero, such as 50 or 1.5".to_owned());
    }
    if fraction.len() > places {
        return Err(format!("only {places} digits after the point count here"));
    }
    match format!("{whole}{fraction:0<places$}").parse() {
        Ok(0) => Err("nothing is that exact: give a number above zero".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(TOO_LARGE.to_owned()),
    }
}

// --- the kernel's own figures --------------------------------------------------------------------

fn state_in_words(state: i32) -> &'static str {
    match state {
        NtpStatus::TIME_OK => "synchronised, no leap second in sight",
        NtpStatus::TIME_INS => "a second will be inserted at the end of the UTC day",
        NtpStatus::TIME_DEL => "the last second of the UTC day will be left out",
        NtpStatus::TIME_OOP => "an inserted second is in progress",
        NtpStatus::TIME_WAIT => "a leap second has taken place",
        NtpStatus::TIME_ERROR => "not synchronised",
        _ => "unknown",
    }
}

fn flags_in_words(status: &NtpStatus) -> String {
    let words: Vec<_> = [
        (NtpStatus::STA_UNSYNC, "unsynchronised"),
        (NtpStatus::STA_PLL, "corrected by the kernel's own loop"),
        (NtpStatus::STA_INS, "leap second to insert"),
        (NtpStatus::STA_DEL, "leap second to delete"),
        (NtpStatus::STA_NANO, "counting in nanoseconds"),
    ]
    .into_iter()
    .filter_map(|(flag, words)| status.has(flag).then_some(words))
    .collect();
    if words.is_empty() {
        return "none of note".to_owned();
    }
    words.join(", ")
}

fn error_in_words(us: i64) -> String {
    if (0..NtpStatus::MAXERROR_CAP).contains(&us) {
        format!("{us} µs")
    } else {
        format!("{us} µs, which means unknown")
    }
}

// --- what there is to tell -----------------------------------------------------------------------

/// Everything that is told of one reading.
struct Report {
    /// The middle of the interval, or the machine's clock where there is none.
    estimate: String,
    status: Status,
    sources: Vec<SourceStatus>,
    kernel: Result<NtpStatus, NtpStatusError>,
}

impl Report {
    fn of(clock: &Clock) -> Self {
        let status = clock.status();
        let estimate = match status.interval {
            Ok(interval) => interval.midpoint(),
            Err(_) => clock.read().estimate,
        };
        Self {
            estimate: estimate.to_string(),
            status,
            sources: clock.sources(),
            kernel: clock.ntp_status(),
        }
    }

    fn reading(&self) -> String {
        match self.status.interval {
            Ok(interval) => interval.to_string(),
            Err(_) => format!("{} ±?", self.estimate),
        }
    }

    /// One line: over the last one on a terminal, below it elsewhere.
    fn line(&self, out: &mut impl Write, terminal: bool) -> io::Result<()> {
        // To the line's start; and, when it is written, clear what is left of the one before.
        let (start, end) = if terminal {
            ("\r", "\x1b[K")
        } else {
            ("", "\n")
        };
        write!(out, "{start}{}  {}{end}", self.reading(), self.status.state)
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.reading())?;
        let status = &self.status;
        if let Ok(interval) = status.interval {
            writeln!(out, "earliest  {}", interval.earliest())?;
            writeln!(out, "latest    {}", interval.latest())?;
            writeln!(out, "epsilon   {:?}", interval.epsilon())?;
        }
        writeln!(out, "state     {}", self.state_in_words())?;
        if let (Some(age), Some(left)) = (status.age, status.refuses_in) {
            let (age, left) = (rounded(age), rounded(left));
            writeln!(
                out,
                "claim     {age} old, good for {left} if no other comes"
            )?;
        }
        if let Some(rate) = status.rate {
            write_rate(out, rate, status.learned)?;
        }
        if let Some(bound) = status.bound {
            write_bound(out, &bound)?;
        }
        self.write_sources(out)?;
        if let Err(error) = status.interval {
            self.write_kernel(out)?;
            writeln!(out, "\nWhy there is no interval\n  {error}")?;
            write_ways_out(out, &error)?;
        }
        Ok(())
    }

    fn state_in_words(&self) -> String {
        let state = self.status.state;
        let source = self.status.source.unwrap_or("unknown source");
        match state {
            ClockState::Synchronized => format!("{state}: the {source} vouches for the time"),
            ClockState::Inherited => {
                format!("{state}: the {source} vouched for the time before we looked")
            }
            ClockState::Holdover => format!("{state}: what the {source} said last is carried on"),
            ClockState::Assumed => format!("{state}: nobody vouches for the time but you"),
            _ => format!("{state}: nobody vouches for the time"),
        }
    }

    /// Which source serves, and what the others would have said.
    fn write_sources(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nSources")?;
        for source in &self.sources {
            let serves = if source.serves { "; serves" } else { "" };
            let said = match (source.interval, source.refusal) {
                (Some(said), None) => format!("{said}{serves}"),
                (Some(said), Some(why)) => format!("{said}{serves}, but: {why}"),
                (None, Some(why)) => why.to_string(),
                (None, None) => "nothing yet".to_owned(),
            };
            writeln!(out, "  {:<8} {said}", source.name)?;
        }
        writeln!(out, "  {:<8} {}", "vmclock", self.status.vmclock)
    }

    fn write_kernel(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nWhat the kernel says of its clock")?;
        let status = match self.kernel {
            Err(error) => return writeln!(out, "  {error}"),
            Ok(status) => status,
        };
        let (state, flags) = (status.state, status.status);
        writeln!(
            out,
            "  largest error    {}",
            error_in_words(status.maxerror)
        )?;
        writeln!(
            out,
            "  estimated error  {}",
            error_in_words(status.esterror)
        )?;
        writeln!(out, "  state            {state}: {}", state_in_words(state))?;
        writeln!(
            out,
            "  flags            {flags:#06x}: {}",
            flags_in_words(&status)
        )
    }

    fn json(&self) -> Value {
        let status = &self.status;
        json!({
            "state": status.state.as_str(),
            "reason": status.interval.err().map(|error| error.to_string()),
            "interval": status.interval.ok().map(|interval| interval_json(&interval)),
            "estimate": self.estimate,
            "bound": status.bound.map(|bound| bound_json(&bound)),
            "source": status.source,
            "sources": self.sources.iter().map(source_json).collect::<Vec<_>>(),
            "vmclock": status.vmclock.to_string(),
            "rate": status.rate.map(|rate| json!({ "lo_ppb": rate.lo_ppb(), "hi_ppb": rate.hi_ppb() })),
            "learned": status.learned.map(|learned| json!({
                "claims": learned.claims,
                "window_ns": nanos(learned.window),
            })),
            "age_ns": status.age.map(nanos),
            "refuses_in_ns": status.refuses_in.map(nanos),
            "refusal": status.refusal.map(|refusal| refusal.to_string()),
            "kernel": self.kernel.ok().map(|kernel| kernel_json(&kernel)),
            "counters": counters_json(&status.counters),
        })
    }
}

/// How fast true time may run against raw time, and who says so.
fn write_rate(
    out: &mut impl Write,
    rate: RateBounds,
    learned: Option<LearnedRate>,
) -> io::Result<()> {
    let ppm = |ppb: i32| f64::from(ppb) / 1_000.0;
    let (lo, hi) = (ppm(rate.lo_ppb()), ppm(rate.hi_ppb()));
    write!(out, "drift     {lo:+.1} to {hi:+.1} ppm, ")?;
    match learned {
        Some(LearnedRate { claims, window, .. }) => {
            let window = rounded(window);
            writeln!(out, "learned from {claims} writes in {window}")
        }
        None => writeln!(out, "which is assumed until it is learned"),
    }
}

/// The bound, term by term.
fn write_bound(out: &mut impl Write, bound: &ErrorBound) -> io::Result<()> {
    let total = nanos(bound.total());
    let row = |out: &mut dyn Write, name: &str, ns: u64| {
        let all = u128::from(total.max(1));
        let permille = (u128::from(ns) * 1000 + all / 2) / all;
        let (micros, rest) = (ns / 1000, ns % 1000);
        let (percent, tenth) = (permille / 10, permille % 10);
        writeln!(
            out,
            "{name:<9} {micros:>9}.{rest:03} µs {percent:>4}.{tenth} %"
        )
    };
    writeln!(out)?;
    for (name, ns) in bound.items() {
        row(out, name, ns)?;
    }
    row(out, "total", total)
}

/// What can be done about it.
fn write_ways_out(out: &mut impl Write, error: &ClockError) -> io::Result<()> {
    let (first, second) = match error {
        ClockError::Unvouched(Refusal::UnsyncFlag { .. }) => (
            "Have chrony clear the flag: add `rtcsync` to its configuration and restart it.",
            "Believe the bound all the same, if you know who wrote it: --accept-unsync-flag.",
        ),
        ClockError::Unvouched(Refusal::AwaitingWrite { .. }) | ClockError::Disturbed { .. } => (
            "Wait until the time daemon has heard from a server again: --watch.",
            "See what it knows: `chronyc tracking` or `ntpq -p`.",
        ),
        ClockError::Unvouched(_) => (
            "Have a time daemon vouch for the clock: run chrony with `rtcsync` in its\n     \
             configuration, or ntpd; for a container, on its host.",
            "Vouch for it yourself, if you know how wrong it can be: --assume-error 50ms.",
        ),
        _ => (
            "Put right what is named above; then the intervals come back.",
            "See what the time daemon knows: `chronyc tracking` or `ntpq -p`.",
        ),
    };
    writeln!(out, "\nTwo ways out\n  1. {first}\n  2. {second}")
}

fn source_json(source: &SourceStatus) -> Value {
    json!({
        "name": source.name,
        "serves": source.serves,
        "interval": source.interval.as_ref().map(interval_json),
        "bound": source.bound.as_ref().map(bound_json),
        "age_ns": source.age.map(nanos),
        "refusal": source.refusal.map(|refusal| refusal.to_string()),
    })
}

fn interval_json(interval: &Interval) -> Value {
    json!({
        "earliest_ns": interval.earliest().unix_nanos(),
        "latest_ns": interval.latest().unix_nanos(),
        "earliest": interval.earliest().to_string(),
        "latest": interval.latest().to_string(),
        "epsilon_ns": nanos(interval.epsilon()),
    })
}

fn bound_json(bound: &ErrorBound) -> Value {
    let total = ("total_ns".to_owned(), nanos(bound.total()).into());
    bound
        .items()
        .into_iter()
        .map(|(name, ns)| (format!("{name}_ns"), ns.into()))
        .chain([total])
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn kernel_json(status: &NtpStatus) -> Value {
    json!({
        "state": status.state,
        "status": status.status,
        "maxerror_us": status.maxerror,
        "esterror_us": status.esterror,
    })
}

fn counters_json(counters: &Counters) -> Value {
    json!({
        "looks": counters.looks,
        "looks_dropped": counters.looks_dropped,
        "writes": counters.writes,
        "steps": counters.steps,
        "suspends": counters.suspends,
        "contradictions": counters.contradictions,
        "refusals": counters.refusals,
    })
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// For people: as many digits as they read.
fn rounded(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
