//! One timeline out of the logs of three nodes: what is certain about it, and what is not.
//!
//! `cargo run --release --features tracing,test-util --example log_merge`, and `-- --help` for what
//! else it can do.
//!
//! Three nodes, each a thread with a clock of its own that is wrong by some milliseconds and knows to
//! within how many, hand orders around and log what they do to files, as JSON through `tracing`. The
//! merge has nothing but the files. It puts the lines in order as far as their intervals prove it, and
//! brackets those whose order nobody can tell.
//!
//! As all three clocks are shifted copies of the machine's own, the program knows what really came
//! first. It ends with 1 if an order that it called certain was not so, if sorting by plain timestamps
//! would have done as well, or if there was nothing to bracket.
#![allow(
    clippy::print_stderr,
    reason = "a command line program says what is wrong with its arguments"
)]

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use epsilon_clock::log::LogJson;
use epsilon_clock::order::{EventGroup, order_events};
use epsilon_clock::testing::Skewed;
use epsilon_clock::{Clock, Interval, IntervalOrder, TimeDelta, Timestamp};
use lexopt::ValueExt;
use serde_json::Value;

const HELP: &str = "\
Merges logs written as JSON through `LogJson` into one timeline.

Usage: log_merge [OPTIONS] [FILE...]

Without files, three nodes with wrong clocks write some first, and the merge is held against the truth.

Options:
      --within SPAN   report how many lines were written within SPAN of UTC, such as 100us or 1ms,
                      instead of the timeline (units: ns, us, µs, ms, s)
  -h, --help          print this

Exit codes: 0 done; 1 what was to be shown does not hold; 64 bad arguments; 74 a file could not be
read or written.
";

/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// A file cannot be read or written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => return failed(&error.into(), USAGE),
    };
    let text = match options {
        None => Ok((HELP.to_owned(), true)),
        Some(options) if options.files.is_empty() => play(&options),
        Some(options) => Log::read(&options.files)
            .map(|log| (options.report(&log), true))
            .map_err(Fault::from),
    };
    match text {
        Ok((text, holds)) => match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                failed(&error.into(), IO_ERROR)
            }
            _ => ExitCode::from(u8::from(!holds)),
        },
        Err(error) => failed(&error, IO_ERROR),
    }
}

fn failed(error: &Fault, code: u8) -> ExitCode {
    eprintln!("log_merge: {error}");
    ExitCode::from(code)
}

struct Options {
    within: Option<Duration>,
    files: Vec<PathBuf>,
}

impl Options {
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::{Long, Short, Value};

        let mut options = Self {
            within: None,
            files: Vec::new(),
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("within") => options.within = Some(parser.value()?.parse_with(span)?),
                Long("help") | Short('h') => return Ok(None),
                Value(file) => options.files.push(file.into()),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(options))
    }

    fn report(&self, log: &Log) -> String {
        match self.within {
            Some(limit) => log.within(limit),
            None => log.timeline(),
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(format!("{text:?} has none of the units ns, us, µs, ms, s")),
    };
    let number: u64 = number.parse().map_err(|_| "not a whole number")?;
    let nanos = number.checked_mul(unit).ok_or("that is beyond reason")?;
    Ok(Duration::from_nanos(nanos))
}

// --- what the files say --------------------------------------------------------------------------

/// One line of a log, as far as the merge needs it.
struct Line {
    node: String,
    /// `None` where nobody vouched for the clock that wrote it.
    interval: Option<Interval>,
    /// What other programs would sort by.
    timestamp: Timestamp,
    number: Option<u64>,
    text: String,
}

struct Log {
    lines: Vec<Line>,
}

impl Log {
    fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut lines = Vec::new();
        for path in files {
            let name = path.display();
            let content = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            let node = path.file_stem().unwrap_or_default().to_string_lossy();
            for (text, number) in content.lines().zip(1..) {
                let line = Line::read(&node, text);
                lines.push(line.map_err(|error| format!("{name}, line {number}: {error}"))?);
            }
        }
        Ok(Self { lines })
    }

    /// All lines in the order that is certain, with the others bracketed.
    fn timeline(&self) -> String {
        let mut out = String::new();
        let (bounded, unbounded): (Vec<_>, Vec<_>) =
            self.lines.iter().partition(|line| line.interval.is_some());
        for group in order_events(&bounded, |line| line.stamp()) {
            match group {
                EventGroup::Certain(line) => line.print(&mut out, "  "),
                EventGroup::Concurrent(lines) => {
                    let last = lines.len() - 1;
                    for (place, line) in lines.iter().enumerate() {
                        let bracket = match place {
                            0 => "┌ ",
                            _ if place == last => "└ ",
                            _ => "│ ",
                        };
                        line.print(&mut out, bracket);
                    }
                }
            }
        }
        for line in unbounded {
            line.print(&mut out, "? ");
        }
        out
    }

    /// How many lines of each node were written within `limit` of UTC.
    fn within(&self, limit: Duration) -> String {
        let mut nodes: Vec<&str> = self.lines.iter().map(|line| line.node.as_str()).collect();
        nodes.dedup();
        nodes.sort_unstable();
        nodes.dedup();
        let mut out = format!("Lines that were written within {limit:?} of UTC:\n\n");
        for node in nodes {
            let lines = || self.lines.iter().filter(|line| line.node == node);
            let good = lines().filter(|line| line.is_within(limit)).count();
            let worst = lines().map(|line| line.interval.map(|i| i.epsilon()));
            let worst = match worst.reduce(|a, b| Some(a?.max(b?))).flatten() {
                Some(epsilon) => format!("at worst ±{epsilon:?}"),
                None => "some without any bound".to_owned(),
            };
            let all = lines().count();
            let _ = writeln!(out, "  {node}: {good} of {all}, {worst}");
        }
        out
    }
}

impl Line {
    fn read(node: &str, text: &str) -> Result<Self, String> {
        let line: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let end = |name: &str| match line.get(name) {
            Some(Value::Null) => Ok(None),
            Some(end) => match end.as_i64() {
                Some(nanos) => Ok(Some(Timestamp::from_unix_nanos(nanos))),
                None => Err(format!("{name} is not a count of nanoseconds")),
            },
            None => Err(format!(
                "there is no {name}: it was not written by `LogJson`"
            )),
        };
        let interval = match (end("earliest_ns")?, end("latest_ns")?) {
            (Some(a), Some(b)) => Some(Interval::new(a, b).map_err(|error| error.to_string())?),
            _ => None,
        };
        let timestamp = line.get("timestamp").and_then(Value::as_str).unwrap_or("");
        let fields = line.get("fields");
        let message = fields.and_then(|fields| fields.get("message")?.as_str());
        Ok(Self {
            node: node.to_owned(),
            interval,
            timestamp: timestamp.parse().map_err(|error| format!("{error}"))?,
            number: fields.and_then(|fields| fields.get("number")?.as_u64()),
            text: message.unwrap_or("").to_owned(),
        })
    }

    /// Of a line that has one.
    fn stamp(&self) -> Interval {
        self.interval.unwrap_or(Interval::point(self.timestamp))
    }

    fn is_within(&self, limit: Duration) -> bool {
        self.interval.is_some_and(|interval| interval.within(limit))
    }

    fn print(&self, out: &mut String, bracket: &str) {
        let time = match self.interval {
            Some(interval) => interval.to_string(),
            None => format!("{} ±?", self.timestamp),
        };
        let _ = writeln!(out, "{bracket}{time:<41} {:<6} {}", self.node, self.text);
    }
}

// --- the play ------------------------------------------------------------------------------------

/// By how much each node's clock is wrong, and to within how much it knows, in µs.
const NODES: [(&str, i64, u64); 3] = [
    ("berlin", 3_000, 5_000),
    ("oslo", -4_000, 5_000),
    ("quito", 10, 25),
];

/// How long the first node rests before each order; short rests make the orders run into each other.
const RESTS_MS: [u64; 8] = [1, 40, 2, 40, 30, 1, 1, 40];

/// Then everybody has long been done, and the last line stands alone.
const REST_AFTER_MS: u64 = 30;

/// When a line was written: between these two, by the machine's own clock.
type Truth = HashMap<(String, u64), (Timestamp, Timestamp)>;

/// Lets the nodes write their logs, and holds the merge of them against the truth.
fn play(options: &Options) -> Result<(String, bool), Fault> {
    let directory = std::env::temp_dir().join(format!("log_merge-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let merged = write_logs(&directory).and_then(|(files, truth)| {
        let log = Log::read(&files)?;
        Ok((log, truth))
    });
    fs::remove_dir_all(&directory)?;
    let (log, truth) = merged?;
    let mut text = options.report(&log);
    let holds = judge(&log, &truth, options, &mut text)?;
    Ok((text, holds))
}

fn write_logs(directory: &Path) -> Result<(Vec<PathBuf>, Truth), Fault> {
    let (to_berlin, from_quito) = mpsc::channel();
    let (to_oslo, from_berlin) = mpsc::channel();
    let (to_quito, from_oslo) = mpsc::channel();
    let ends = [
        (to_oslo, from_quito),
        (to_quito, from_berlin),
        (to_berlin, from_oslo),
    ];
    let mut files = Vec::new();
    let mut nodes = Vec::new();
    for ((name, offset_us, epsilon_us), (next, before)) in NODES.into_iter().zip(ends) {
        let offset = TimeDelta::from_nanos(offset_us * 1_000);
        let clock = Skewed::new(offset, Duration::from_micros(epsilon_us))?.clock()?;
        let path = directory.join(name).with_extension("json");
        let file = File::create(&path)?;
        files.push(path);
        nodes.push(thread::spawn(move || {
            Node::new(name, next).work(&before, clock, file)
        }));
    }
    let mut truth = Truth::new();
    for node in nodes {
        truth.extend(node.join().map_err(|_| "a node panicked")?);
    }
    Ok((files, truth))
}

struct Node {
    name: &'static str,
    next: Sender<u64>,
    number: u64,
    truth: Truth,
}

impl Node {
    fn new(name: &'static str, next: Sender<u64>) -> Self {
        Self {
            name,
            next,
            number: 0,
            truth: Truth::new(),
        }
    }

    /// The first node hands out orders and hears of each again; the others pass them on.
    fn work(mut self, before: &Receiver<u64>, clock: Clock, file: File) -> Truth {
        let subscriber = tracing_subscriber::fmt()
            .json()
            .without_time()
            .map_event_format(|json| LogJson::new(clock, json))
            .with_writer(Mutex::new(file))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            if self.name == "berlin" {
                for (order, rest) in (1..).zip(RESTS_MS) {
                    thread::sleep(Duration::from_millis(rest));
                    self.log(&format!("order {order}: please pay"));
                    if self.next.send(order).is_err() {
                        return;
                    }
                    let Ok(order) = before.recv() else { return };
                    self.log(&format!("order {order}: thank you"));
                }
                thread::sleep(Duration::from_millis(REST_AFTER_MS));
                self.log("that was all for today");
            } else {
                while let Ok(order) = before.recv() {
                    self.log(&format!("order {order}: received and passed on"));
                    if self.next.send(order).is_err() {
                        return;
                    }
                }
            }
        });
        self.truth
    }

    fn log(&mut self, text: &str) {
        let number = self.number;
        self.number += 1;
        let before = machine_time();
        tracing::info!(number, "{text}");
        let both = (before, machine_time());
        self.truth.insert((self.name.to_owned(), number), both);
    }
}

/// What passes for UTC among skewed clocks; before 1970 or after 2262 the example says nothing true.
fn machine_time() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MIN)
}

/// Whether all that the merge calls certain is so, and what the alternative would have made of it.
fn judge(log: &Log, truth: &Truth, options: &Options, out: &mut String) -> Result<bool, Fault> {
    let mut told = Vec::new();
    for line in &log.lines {
        let key = (
            line.node.clone(),
            line.number.ok_or("a line has no number")?,
        );
        told.push((line, *truth.get(&key).ok_or("nobody wrote this line")?));
    }
    if told.len() != (NODES.len() + 1) * RESTS_MS.len() + 1 {
        return Err(format!("{} lines are not all that were written", told.len()).into());
    }
    let mut count = Count::default();
    for (a, a_true) in &told {
        let honest = Interval::new(a_true.0, a_true.1)?.overlaps(&a.stamp());
        count.false_lines += usize::from(a.interval.is_none() || !honest);
        if let Some(limit) = options.within.filter(|limit| a.is_within(*limit)) {
            let allowed = Interval::new(a_true.0, a_true.1)?.saturating_widen(limit);
            count.false_within += usize::from(!allowed.contains(a.timestamp));
        }
        for (b, b_true) in &told {
            if a.node == b.node || a_true.1 >= b_true.0 {
                continue;
            }
            // a was written before b.
            count.pairs += 1;
            count.sorted_wrong += usize::from(a.timestamp > b.timestamp);
            match a.stamp().order(&b.stamp()) {
                IntervalOrder::Before => count.certain += 1,
                IntervalOrder::Concurrent => count.concurrent += 1,
                IntervalOrder::After => count.wrong += 1,
            }
        }
    }
    count.report(out);
    Ok(count.holds())
}

/// Pairs of lines from different nodes, of which the truth is known.
#[derive(Default)]
struct Count {
    pairs: usize,
    certain: usize,
    concurrent: usize,
    wrong: usize,
    sorted_wrong: usize,
    false_lines: usize,
    false_within: usize,
}

impl Count {
    fn holds(&self) -> bool {
        self.wrong + self.false_lines + self.false_within == 0
            && self.certain > 0
            && self.concurrent > 0
            && self.sorted_wrong > 0
    }

    fn report(&self, out: &mut String) {
        let _ = write!(
            out,
            "\nOf {} pairs of lines from different nodes, by true time:\n\
             {:>6} in an order that is certain, {} of them wrong\n\
             {:>6} concurrent: nobody can tell from the logs\n\
             {:>6} the wrong way round, had the logs been sorted by timestamp\n\
             Lines whose interval missed the truth: {}\n",
            self.pairs,
            self.certain + self.wrong,
            self.wrong,
            self.concurrent,
            self.sorted_wrong,
            self.false_lines + self.false_within,
        );
    }
}
