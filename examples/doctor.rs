//! One page about this machine's clock: who disciplines it, whether to trust it, what epsilon to
//! expect, and what to change.
//!
//! `cargo run --release --example doctor`, and `-- --help` for what else it can do.
//!
//! It watches for some seconds, reads what the kernel and a few files say, and changes nothing.
#![allow(
    clippy::print_stderr,
    reason = "a command line program says what is wrong with its arguments"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::{Clock, ClockError, ClockState, Status};
use lexopt::ValueExt;

const HELP: &str = "\
Tells on one page how good this machine's clock is, and what would make it better.

Usage: doctor [OPTIONS]

Options:
      --watch SECONDS   how long to watch the clock, up to an hour [3]
      --strict          exit with 2 where the clock gives no interval
  -h, --help            print this

Exit codes: 0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock is missing; 74 the
output could not be written.
";

/// `--strict`, and there is no interval.
const NO_INTERVAL: u8 = 2;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// The machine lacks a clock (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The output cannot be written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

/// The crate's default for what an oscillator may run off, in ppm (assumption A1).
const MAX_DRIFT_PPM: u64 = 200;

/// A bound of less is as good as a daemon over a network gets without tuning.
const FINE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let (watch, strict) = match options() {
        Ok(Some(options)) => options,
        Ok(None) => return print(HELP, ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("doctor: {error}; see --help");
            return ExitCode::from(USAGE);
        }
    };
    let clock = match Clock::system() {
        Ok(clock) => clock,
        Err(error) => {
            eprintln!("doctor: {error}");
            return ExitCode::from(UNAVAILABLE);
        }
    };
    let seen = Seen::of(&clock, watch);
    let refuses = strict && seen.status.interval.is_err();
    let code = if refuses { NO_INTERVAL } else { 0 };
    print(&page(&Facts::gather(), &seen), ExitCode::from(code))
}

fn options() -> Result<Option<(Duration, bool)>, lexopt::Error> {
    use lexopt::prelude::{Long, Short};

    let (mut watch, mut strict) = (3, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("watch") => watch = parser.value()?.parse_with(seconds)?,
            Long("strict") => strict = true,
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((Duration::from_secs(watch), strict)))
}

fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 0..=3600) => Ok(seconds),
        _ => Err("give whole seconds, up to 3600".to_owned()),
    }
}

/// A reader that has seen enough closes the pipe: that is no failure.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("doctor: the output cannot be written: {error}");
            ExitCode::from(IO_ERROR)
        }
        _ => code,
    }
}

// --- what is to be seen --------------------------------------------------------------------------

/// What the clock said while it was watched.
pub(crate) struct Seen {
    pub(crate) span: Duration,
    /// The least and the largest epsilon.
    pub(crate) epsilon: Option<(Duration, Duration)>,
    pub(crate) status: Status,
    pub(crate) kernel: Result<NtpStatus, NtpStatusError>,
}

impl Seen {
    pub(crate) fn of(clock: &Clock, span: Duration) -> Self {
        let began = Instant::now();
        let mut epsilon: Option<(Duration, Duration)> = None;
        loop {
            if let Ok(now) = clock.now() {
                let (least, most) = epsilon.unwrap_or((now.epsilon(), now.epsilon()));
                epsilon = Some((least.min(now.epsilon()), most.max(now.epsilon())));
            }
            let left = span.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        Self {
            span,
            epsilon,
            status: clock.status(),
            kernel: clock.ntp_status(),
        }
    }
}

/// What files tell of the machine; nothing of it is needed, and any of it may be missing.
#[derive(Default)]
pub(crate) struct Facts {
    /// Time daemons that run, by their processes' names.
    pub(crate) daemons: Vec<String>,
    pub(crate) container: bool,
    pub(crate) clocksource: Option<String>,
    pub(crate) guest: Option<String>,
    /// Precise clocks that chrony can use as a reference.
    pub(crate) hardware_clocks: Vec<String>,
}

/// Processes that discipline clocks, as the kernel shortens their names, and who they are.
const DAEMONS: [&str; 8] = [
    "chronyd",
    "ntpd",
    "ntp-daemon",
    "systemd-timesyn",
    "openntpd",
    "ptp4l",
    "phc2sys",
    "clockbound",
];

impl Facts {
    fn gather() -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let entries = |path: &str| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let mut daemons: Vec<String> = entries("/proc")
            .iter()
            .filter_map(|process| line(process.join("comm").to_str()?))
            .filter(|name| DAEMONS.contains(&name.as_str()))
            .collect();
        daemons.sort();
        daemons.dedup();
        let is_there = |path: &str| fs::metadata(path).is_ok();
        let sources = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let mut hardware_clocks: Vec<String> = entries("/sys/class/ptp")
            .iter()
            .filter_map(|clock| {
                let name = line(clock.join("clock_name").to_str()?)?;
                Some(format!("/dev/{} ({name})", clock.file_name()?.to_str()?))
            })
            .collect();
        hardware_clocks.sort();
        Self {
            daemons,
            container: is_there("/.dockerenv")
                || is_there("/run/.containerenv")
                || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            clocksource: line(sources),
            guest: line("/sys/class/dmi/id/sys_vendor")
                .filter(|_| line("/proc/cpuinfo").is_some_and(|cpu| cpu.contains(" hypervisor"))),
            hardware_clocks,
        }
    }
}

// --- the page ------------------------------------------------------------------------------------

pub(crate) fn page(facts: &Facts, seen: &Seen) -> String {
    let mut out = String::new();
    let section = |out: &mut String, title: &str, lines: Vec<String>| {
        let _ = writeln!(out, "{title}");
        for line in lines {
            let _ = writeln!(out, "{}", wrapped(&line));
        }
        let _ = writeln!(out);
    };
    section(&mut out, "Who disciplines the clock", who(facts, seen));
    section(&mut out, "Whether to trust it", vec![verdict(seen)]);
    section(&mut out, "What epsilon to expect", expectation(seen));
    let advice = advice(facts, seen);
    let advice = if advice.is_empty() {
        vec!["Nothing.".to_owned()]
    } else {
        (1..)
            .zip(advice)
            .map(|(number, line)| format!("{number}. {line}"))
            .collect()
    };
    section(&mut out, "What to change", advice);
    out
}

/// A paragraph of two spaces and at most a hundred columns.
fn wrapped(line: &str) -> String {
    let mut out = String::from(" ");
    let mut column = 1;
    for word in line.split(' ') {
        let width = word.chars().count();
        if column + 1 + width > 100 {
            out.push_str("\n    ");
            column = 4;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + width;
    }
    out
}

fn who(facts: &Facts, seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    let inside = if facts.container {
        " among the processes of this container; the host's cannot be seen from here"
    } else {
        ""
    };
    lines.push(match facts.daemons.as_slice() {
        [] => format!("No time daemon is to be seen{inside}."),
        names => format!("Running: {}.", names.join(", ")),
    });
    lines.push(match &seen.kernel {
        Ok(kernel) => kernel_in_words(kernel),
        Err(error) => format!("The kernel does not tell: {error}."),
    });
    let mut machine = format!(
        "Clock source: {}",
        facts.clocksource.as_deref().unwrap_or("unknown")
    );
    if let Some(vendor) = &facts.guest {
        let _ = write!(machine, "; a virtual machine ({vendor})");
    }
    if !facts.hardware_clocks.is_empty() {
        let _ = write!(
            machine,
            "; clocks in hardware: {}",
            facts.hardware_clocks.join(", ")
        );
    }
    lines.push(format!("{machine}."));
    lines
}

fn kernel_in_words(kernel: &NtpStatus) -> String {
    let flag = if kernel.has(NtpStatus::STA_UNSYNC) {
        "calls it unsynchronised"
    } else {
        "calls it synchronised"
    };
    let error = |us: i64| match us {
        0..NtpStatus::MAXERROR_CAP => format!("{us} µs"),
        _ => "unknown".to_owned(),
    };
    format!(
        "The kernel {flag}: maximum error {}, estimated error {}, frequency corrected by {}{}.{} ppm.",
        error(kernel.maxerror),
        error(kernel.esterror),
        if correction_ppb(kernel) < 0 {
            "−"
        } else {
            "+"
        },
        correction_ppb(kernel).unsigned_abs() / 1000,
        correction_ppb(kernel).unsigned_abs() / 100 % 10,
    )
}

/// How much faster the kernel lets its clock run than the oscillator.
fn correction_ppb(kernel: &NtpStatus) -> i64 {
    // `freq` counts 2⁻¹⁶ ppm, a tick of 10 000 µs more or less is 100 ppm.
    let ticks = kernel.tick.saturating_sub(NtpStatus::NOMINAL_TICK);
    let freq = kernel.freq.saturating_mul(1000) >> 16;
    ticks.saturating_mul(100_000).saturating_add(freq)
}

fn verdict(seen: &Seen) -> String {
    let status = &seen.status;
    let source = status.source.unwrap_or("no source");
    let age = status.age.map_or("some time".to_owned(), rounded);
    let refusal = status
        .refusal
        .map_or(String::new(), |why| format!(" ({why})"));
    match (status.interval, status.state) {
        (Ok(_), ClockState::Synchronized) => {
            format!(
                "Yes. Its bound is vouched for through the {source}, {age} ago, before our eyes."
            )
        }
        (Ok(_), ClockState::Inherited) => format!(
            "Yes. The {source} had a bound when we first looked, {age} ago; its writer has not been \
             seen at work yet (--watch longer), so a little is charged for what it may have done since."
        ),
        (Ok(_), ClockState::Holdover) => format!(
            "For now. The last word about it is {age} old and carried on{refusal}; in {} there will \
             be no interval any more.",
            status.refuses_in.map_or("some time".to_owned(), rounded)
        ),
        (Ok(_), state) => format!("As far as you do: its state is {state}."),
        (Err(why @ ClockError::Unvouched(Refusal::AwaitingWrite { .. })), _) => {
            format!("Not yet. {}", sentence(&why.to_string()))
        }
        (Err(why), _) => format!("No. {}", sentence(&why.to_string())),
    }
}

fn expectation(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some((least, most)), Some(bound)) = (seen.epsilon, seen.status.bound) {
        lines.push(format!(
            "±{} to ±{} within the last {}.",
            rounded(least),
            rounded(most),
            rounded(seen.span)
        ));
        let terms = bound.items().into_iter().filter(|(_, ns)| *ns > 0);
        let terms: Vec<String> = terms
            .map(|(name, ns)| format!("{name} {}", rounded(Duration::from_nanos(ns))))
            .collect();
        lines.push(format!("Its terms now: {}.", terms.join(", ")));
    } else {
        lines.push("None until somebody vouches for the clock.".to_owned());
    }
    let drift = drift_ppb(&seen.status);
    let growth = |poll: u64| rounded(Duration::from_nanos(drift * poll));
    let why = match seen.status.learned {
        Some(_) => "what the clock has learned of its oscillator",
        None => "max_drift, until the clock has learned of its oscillator",
    };
    lines.push(format!(
        "Between a daemon's writes it grows by {} a second ({why}): by {} at a poll of 16 s, {} at \
         64 s, {} at 1024 s. Just after a write it is what the daemon reports (half the round trip \
         to its server, and more) and some 0.3 ms.",
        growth(1),
        growth(16),
        growth(64),
        growth(1024),
    ));
    lines.push("A commit-wait takes about twice epsilon, less the work done meanwhile.".to_owned());
    lines
}

/// By how much epsilon grows, in ns a second: half of what is left open for the rate.
fn drift_ppb(status: &Status) -> u64 {
    let open = status.rate.map(|rate| {
        let ends = i64::from(rate.hi_ppb()) - i64::from(rate.lo_ppb());
        ends.unsigned_abs().div_ceil(2)
    });
    open.unwrap_or(MAX_DRIFT_PPM * 1000)
}

fn advice(facts: &Facts, seen: &Seen) -> Vec<String> {
    let mut advice = Vec::new();
    let refusal = seen.status.refusal;
    match refusal {
        Some(Refusal::Unsynchronized { .. }) if facts.container => advice.push(
            "Run chronyd with `rtcsync` on the host: a container has its host's clock, and needs no \
             daemon of its own."
                .to_owned(),
        ),
        Some(Refusal::Unsynchronized { .. }) if facts.daemons.is_empty() => advice.push(
            "Install chrony, and have in its configuration `server … iburst maxpoll 6` for a few \
             servers nearby and `rtcsync`."
                .to_owned(),
        ),
        Some(Refusal::Unsynchronized { .. }) => advice.push(
            "See why the daemon does not vouch: `chronyc tracking` and `chronyc sources` (or `ntpq \
             -p`) tell whether it reaches its servers; chrony tells the kernel only with `rtcsync`."
                .to_owned(),
        ),
        Some(Refusal::UnsyncFlag { .. }) => advice.push(
            "Add `rtcsync` to chrony's configuration: without it the kernel keeps its flag up and the \
             bound, though there, is not believed."
                .to_owned(),
        ),
        Some(Refusal::NoBound { writer, .. }) => advice.push(format!(
            "Replace {writer} by chrony: it sets the clock, but tells nobody how wrong it may be."
        )),
        Some(Refusal::Status(_)) => advice.push(
            "Let the process call adjtimex: no `ProtectClock=` in its systemd unit, no filter on \
             @clock; in containers the default seccomp profile allows it, and gVisor has none."
                .to_owned(),
        ),
        Some(Refusal::AwaitingWrite {
            because: Awaiting::Slewing { rate_ppb },
        }) => advice.push(format!(
            "Wait: the clock is being slewed by {} ppm. If that does not end, the daemon was killed in \
             the middle of it: start it again.",
            rate_ppb / 1000
        )),
        _ => {}
    }
    if facts.daemons.len() > 1 && !facts.daemons.iter().any(|name| name.contains("phc2sys")) {
        let names = facts.daemons.join(" and ");
        advice.push(format!("Run one daemon: {names} pull at the same clock."));
    }
    if let Some((_, most)) = seen.epsilon.filter(|(_, most)| *most > FINE) {
        advice.push(format!(
            "±{} is much: poll more often (`maxpoll 4`, 16 s), and from servers nearby. If you know \
             the oscillator, set `max_drift_ppb` lower: all that grows is proportional to it.",
            rounded(most)
        ));
    }
    if let Ok(kernel) = &seen.kernel {
        let ppm = correction_ppb(kernel).unsigned_abs() / 1000;
        if ppm > MAX_DRIFT_PPM / 2 {
            advice.push(format!(
                "The oscillator is off by about {ppm} ppm, close to or beyond what is assumed \
                 ({MAX_DRIFT_PPM} ppm): raise `max_drift_ppb`, or have the machine looked at."
            ));
        }
    }
    let slow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"];
    let source = facts.clocksource.as_deref();
    if let Some(source) = source.filter(|source| slow.contains(source)) {
        advice.push(format!(
            "The clock source {source} makes every reading a system call: see in the kernel's log \
                 why it does not use the processor's counter."
        ));
    }
    if !facts.hardware_clocks.is_empty() && !facts.daemons.is_empty() {
        advice.push(format!(
            "For a tighter bound give chrony the clock in hardware as a reference, `refclock PHC \
             /dev/ptp0 poll 2`, if it follows UTC: {}.",
            facts.hardware_clocks.join(", ")
        ));
    }
    advice
}

/// In the three figures that a person wants.
fn rounded(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", nanos.div_ceil(1_000)),
        1_000_000..10_000_000 => {
            let tenths = nanos.div_ceil(100_000);
            format!("{}.{} ms", tenths / 10, tenths % 10)
        }
        10_000_000..1_000_000_000 => format!("{} ms", nanos.div_ceil(1_000_000)),
        1_000_000_000..120_000_000_000 => format!("{} s", nanos.div_ceil(1_000_000_000)),
        _ => format!("{} min", nanos / 60_000_000_000),
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars
        .next()
        .map_or(String::new(), |c| c.to_uppercase().to_string());
    format!("{first}{}.", chars.as_str())
}
