//! What a line of a log costs, beside the same line with `tracing-subscriber`'s own time.
//!
//! `cargo bench --bench log_lines`, or with `-- --quick` for a rough one. How it
//! measures, and what the columns mean, is told in `harness/mod.rs`; the baseline is a line with
//! `SystemTime`. Each line has a message and two fields, and goes nowhere (`io::sink`), so that
//! nothing but making it is measured. A second table compares lines of JSON, a third the times alone.
//!
//! The clock has an assumed error of 5 ms, so that it answers on any machine. Ends with 1 if a line
//! with an interval costs more than half as much again as the baseline.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program that reports, or fails loudly; it uses a part of the harness"
)]

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::log::{LogJson, LogTime};
use epsilon_clock::{Clock, HybridClock};
use tracing::Dispatch;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

mod harness;

use harness::{Case, Effort, measure, print_table, row};

/// The most that a line with an interval may cost, of one with `SystemTime`.
const BUDGET: f64 = 1.5;

const BOUNDED: &str = "`… ±1.204ms`";

fn main() -> ExitCode {
    let effort = match Effort::from_args() {
        Ok(effort) => effort,
        Err(message) => {
            eprintln!("log_lines: {message}");
            return ExitCode::from(64);
        }
    };
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()
        .expect("a clock of this machine");
    println!("A line of text:\n");
    let lines = measure(effort, 1, &lines(&clock), || {});
    print_table(&lines);
    println!("\nA line of JSON:\n");
    print_table(&measure(effort, 1, &objects(&clock), || {}));
    println!("\nThe time alone:\n");
    print_table(&measure(effort, 1, &times(&clock), || {}));
    let ratio = row(&lines, BOUNDED, 1).ratio;
    eprintln!("a line with an interval: {ratio:.3} times one with SystemTime");
    ExitCode::from(u8::from(ratio > BUDGET))
}

fn lines(clock: &Clock) -> Vec<Case<'static>> {
    let hlc = HybridClock::new(clock.clone());
    let bounded = LogTime::bounded(clock.clone());
    let bare = LogTime::bare(clock.clone());
    let stamped = LogTime::stamped(hlc);
    vec![
        line("`SystemTime`", || SystemTime),
        line(BOUNDED, move || bounded.clone()),
        line("`…Z` alone", move || bare.clone()),
        line("`…Z_0042`, a stamp", move || stamped.clone()),
        line("no time", || ()),
    ]
}

fn line<T>(what: &'static str, time: impl Fn() -> T + Sync + 'static) -> Case<'static>
where
    T: FormatTime + Send + Sync + 'static,
{
    logging(what, move || {
        let subscriber = tracing_subscriber::fmt()
            .with_timer(time())
            .with_writer(io::sink);
        subscriber.finish().into()
    })
}

fn objects(clock: &Clock) -> Vec<Case<'static>> {
    let clock = clock.clone();
    vec![
        logging("`SystemTime`", || {
            let subscriber = tracing_subscriber::fmt().json().with_writer(io::sink);
            subscriber.finish().into()
        }),
        logging("both ends and the state", move || {
            let subscriber = tracing_subscriber::fmt()
                .json()
                .without_time()
                .map_event_format(|json| LogJson::new(clock.clone(), json))
                .with_writer(io::sink);
            subscriber.finish().into()
        }),
    ]
}

fn logging(
    what: &'static str,
    subscriber: impl Fn() -> Dispatch + Sync + 'static,
) -> Case<'static> {
    Case::batched(what, move || {
        let subscriber = subscriber();
        Box::new(move |times| {
            tracing::dispatcher::with_default(&subscriber, || {
                for number in 0..times {
                    tracing::info!(number, to = "berlin", "transfer committed");
                }
            });
        })
    })
}

fn times(clock: &Clock) -> Vec<Case<'static>> {
    let bounded = LogTime::bounded(clock.clone());
    vec![
        time("`SystemTime`", || SystemTime),
        time(BOUNDED, move || bounded.clone()),
    ]
}

fn time<T>(what: &'static str, time: impl Fn() -> T + Sync + 'static) -> Case<'static>
where
    T: FormatTime + 'static,
{
    Case::new(what, move || {
        let time = time();
        let mut text = String::with_capacity(64);
        move || {
            text.clear();
            let written = time.format_time(&mut Writer::new(&mut text));
            written.expect("a string takes all");
            black_box(text.len())
        }
    })
}
