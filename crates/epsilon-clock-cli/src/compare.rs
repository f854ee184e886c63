//! `epsilon compare`: which of two events was first, as far as it is certain.

mod moment;

use std::process::ExitCode;

use epsilon_clock::{Interval, IntervalOrder, RemoteTimestamp};

use crate::args::{Word, next, unknown};
use crate::command::{Command, Flag, Operand};
use crate::failure::Failure;
use crate::json::Json;
use crate::units::{nanos, rounded};
use crate::{output, terminal};

use moment::Moment;

pub(crate) static COMMAND: Command = Command {
    operands: &[
        Operand {
            name: "A",
            about: "an interval as logs have it (2026-11-20T05:50:00.123456789Z ±1.204ms), its two ends \
                    (EARLIEST/LATEST), a line of JSON with earliest_ns and latest_ns, an instant, or a \
                    stamp of a hybrid logical clock",
            words: &[],
        },
        Operand {
            name: "B",
            about: "another of that",
            words: &[],
        },
    ],
    flags: &[&[Flag::switch("json", "print one JSON object")]],
    ..Command::new(
        "compare",
        "say which of two intervals or stamps is surely first, and by how much",
        run,
    )
};

/// What is certain of the order of two events.
struct Compared {
    order: IntervalOrder,
    /// How far they are apart at least, in ns, where one is surely first.
    apart: Option<u64>,
    words: String,
}

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let (mut json, mut moments) = (false, Vec::new());
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::Help => {
                let help = COMMAND.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Option(name) if name == "json" => json = true,
            Word::Operand(text) if moments.len() < 2 => {
                moments.push(Moment::parse(&text).map_err(|why| format!("{text:?}: {why}"))?);
            }
            other => return Err(unknown(&other).into()),
        }
    }
    let compared = match moments.as_slice() {
        [Moment::Interval(a), Moment::Interval(b)] => of_intervals(a, b),
        [Moment::Stamp(a), Moment::Stamp(b)] => of_stamps(*a, *b),
        [_, _] => {
            return Err(
                "an interval tells of real time, a stamp of causes: give two of one kind"
                    .to_owned()
                    .into(),
            );
        }
        _ => return Err("give two: A and B".to_owned().into()),
    };
    let told = if json {
        let object = Json::object([
            ("order", compared.order.to_string().into()),
            ("apart_ns", compared.apart.into()),
        ]);
        format!("{object}\n")
    } else {
        format!("{}: {}\n", compared.order, compared.words)
    };
    output::print(&told, ExitCode::SUCCESS)
}

fn of_intervals(a: &Interval, b: &Interval) -> Compared {
    let order = a.order(b);
    let least = a.gap(b);
    let words = match (order, least) {
        (IntervalOrder::Before, Some(least)) => format!(
            "A is over {} or more before B can have begun",
            rounded_down(least)
        ),
        (IntervalOrder::After, Some(least)) => format!(
            "B is over {} or more before A can have begun",
            rounded_down(least)
        ),
        _ => {
            let shared = a.intersection(b).map(|shared| shared.width());
            format!(
                "they share {}; either may have been first",
                shared.map_or_else(|| "an instant".to_owned(), rounded)
            )
        }
    };
    let apart = match order {
        IntervalOrder::Concurrent => None,
        _ => least.map(nanos),
    };
    Compared {
        order,
        apart,
        words,
    }
}

/// Stamps are totally ordered; what that says of causes is told with it.
fn of_stamps(a: RemoteTimestamp, b: RemoteTimestamp) -> Compared {
    let (a, b) = (a.trust(), b.trust());
    let by = |first: &str, second: &str, counter: bool| {
        let by = if counter {
            "by its counter alone".to_owned()
        } else {
            let apart = a
                .physical()
                .unix_nanos()
                .abs_diff(b.physical().unix_nanos());
            format!("by {apart} ns of its physical time")
        };
        format!(
            "{first}'s stamp is the smaller, {by}; so {second} did not cause {first}, if the clocks \
             pass their stamps along"
        )
    };
    let counter = a.physical() == b.physical();
    let (order, words) = match a.cmp(&b) {
        std::cmp::Ordering::Less => (IntervalOrder::Before, by("A", "B", counter)),
        std::cmp::Ordering::Greater => (IntervalOrder::After, by("B", "A", counter)),
        std::cmp::Ordering::Equal => (
            IntervalOrder::Concurrent,
            "the stamps are equal: one event, or two of clocks that never heard of each other"
                .to_owned(),
        ),
    };
    let apart = a
        .physical()
        .unix_nanos()
        .abs_diff(b.physical().unix_nanos());
    Compared {
        order,
        apart: (order != IntervalOrder::Concurrent).then_some(apart),
        words,
    }
}

/// Returns a span that is surely not more than `span`, in figures for a person.
fn rounded_down(span: std::time::Duration) -> String {
    match span.as_nanos() {
        nanos @ 0..10_000 => format!("{nanos} ns"),
        nanos @ 10_000..10_000_000 => format!("{} µs", nanos / 1_000),
        nanos @ 10_000_000..10_000_000_000 => format!("{} ms", nanos / 1_000_000),
        nanos => format!("{} s", nanos / 1_000_000_000),
    }
}
