//! One timeline out of the logs of three nodes: what is certain about it, and what is not.
//!
//! `cargo run --release --example log_merge`
//!
//! Three nodes, whose clocks are wrong by some milliseconds and know to within how many, hand orders
//! around and log that to files, as JSON through `tracing`. The merge has nothing but the files. What
//! their intervals prove is in order, the rest stands together. The truth: lines are numbered as written.

use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::log::LogJson;
use epsilon_clock::order::{EventGroup, order_events};
use epsilon_clock::testing::Skewed;
use epsilon_clock::{Interval, IntervalOrder, TimeDelta, Timestamp};
use serde_json::Value;

mod support;

use support::{Fault, Options, Output};

const USAGE: &str = "\
Merges the logs of three nodes with wrong clocks into one timeline.

Usage: log_merge [--within=SPAN]   count the lines that were surely written within SPAN of UTC

Exit codes: 0 done; 1 an order that was called certain is wrong, or there was nothing to tell.";

/// By how much each node's clock is wrong, and to within how much it knows, in µs.
const NODES: [(&str, i64, u64); 3] = [("a", 3000, 5000), ("b", -4000, 5000), ("c", 10, 25)];

/// How long the first node rests before each order; after short rests the orders run into each other.
const RESTS_MS: [u64; 8] = [1, 40, 2, 40, 30, 1, 1, 40];

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let directory = std::env::temp_dir().join(format!("log_merge-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let lines = write(&directory).and_then(|()| read(&directory));
        fs::remove_dir_all(&directory)?;
        judge(&lines?, options, out)
    })
}

/// The nodes' part: each order goes round, and each node logs it with its own clock to its own file.
fn write(directory: &std::path::Path) -> Result<(), Fault> {
    let mut nodes = Vec::new();
    for (name, offset_us, epsilon_us) in NODES {
        let offset = TimeDelta::from_nanos(offset_us * 1_000);
        let clock = Skewed::new(offset, Duration::from_micros(epsilon_us))?.clock()?;
        let file = fs::File::create(directory.join(name))?;
        let subscriber = tracing_subscriber::fmt()
            .json()
            .without_time()
            .map_event_format(|json| LogJson::new(clock, json))
            .with_writer(std::sync::Mutex::new(file))
            .finish();
        nodes.push(tracing::Dispatch::new(subscriber));
    }
    let round = ["please pay", "received", "passed on", "thank you"];
    for (order, rest) in (1_i64..).zip(RESTS_MS) {
        std::thread::sleep(Duration::from_millis(rest));
        for ((place, deed), node) in (0..).zip(round).zip(nodes.iter().cycle()) {
            let number = order * 4 + place;
            let log = || tracing::info!(number, "order {order}: {deed}");
            tracing::dispatcher::with_default(node, log);
        }
    }
    Ok(())
}

/// One line of a log, as far as the merge needs it.
struct Line {
    node: &'static str,
    interval: Interval,
    timestamp: Timestamp, // what other programs would sort by
    number: i64,
    text: String,
}

fn read(directory: &std::path::Path) -> Result<Vec<Line>, Fault> {
    let mut lines = Vec::new();
    for (node, ..) in NODES {
        for line in fs::read_to_string(directory.join(node))?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let text = |at: &str| line.pointer(at).and_then(Value::as_str).ok_or("no text");
            let int = |at: &str| line.pointer(at).and_then(Value::as_i64).ok_or("no number");
            let end = |at: &str| int(at).map(Timestamp::from_unix_nanos);
            lines.push(Line {
                node,
                interval: Interval::new(end("/earliest_ns")?, end("/latest_ns")?)?,
                timestamp: text("/timestamp")?.parse()?,
                number: int("/fields/number")?,
                text: text("/fields/message")?.to_owned(),
            });
        }
    }
    Ok(lines)
}

/// A paragraph for each group: it is surely before the next, and within it nothing is certain.
fn report(lines: &[Line], options: &Options, out: &mut Output) -> Result<(), Fault> {
    if let Some(limit) = options.span("within")? {
        for (node, ..) in NODES {
            let lines = || lines.iter().filter(|line| line.node == node);
            let good = lines().filter(|line| line.interval.within(limit)).count();
            let all = lines().count();
            writeln!(out, "{node}: {good} of {all} within {limit:?} of UTC")?;
        }
        return Ok(());
    }
    for group in order_events(lines, |line| line.interval) {
        let lines = match group {
            EventGroup::Certain(line) => vec![line],
            EventGroup::Concurrent(lines) => lines,
        };
        for line in lines {
            let (interval, node) = (line.interval, line.node);
            writeln!(out, "{interval:<41} {node} {}", line.text)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Whether all that the merge calls certain is so, and what sorting by timestamp would have made of it.
fn judge(lines: &[Line], options: &Options, out: &mut Output) -> Result<bool, Fault> {
    report(lines, options, out)?;
    let (mut certain, mut concurrent, mut wrong, mut sorted_wrong) = (0, 0, 0, 0);
    for a in lines {
        let later = |b: &&Line| b.node != a.node && b.number > a.number;
        for b in lines.iter().filter(later) {
            match a.interval.order(&b.interval) {
                IntervalOrder::Before => certain += 1,
                IntervalOrder::Concurrent => concurrent += 1,
                IntervalOrder::After => wrong += 1,
            }
            sorted_wrong += usize::from(a.timestamp > b.timestamp);
        }
    }
    writeln!(
        out,
        "pairs of lines from different nodes: {certain} certain,"
    )?;
    writeln!(out, "{concurrent} concurrent, {wrong} certain and wrong")?;
    writeln!(out, "sorted by timestamp, {sorted_wrong} would be wrong")?;
    Ok(wrong == 0 && certain > 0 && concurrent > 0 && sorted_wrong > 0)
}
