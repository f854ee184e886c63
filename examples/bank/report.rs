//! The figures, and what the checker says.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Crash;
use crate::checker::{Rule, Violation};
use crate::client::Notes;
use crate::history::Deed;
use crate::options::Options;

/// How many violations of each kind are told in full.
const EXAMPLES: usize = 2;

/// How fast it was, how fast it could be, and where the time went.
pub(crate) fn figures(
    options: &Options,
    notes: &Notes,
    crashes: &[Crash],
    took: Duration,
) -> String {
    let Notes { phases, .. } = notes;
    let (transfers, clients) = (transfers(notes), options.clients);
    let timed = f64::from(transfers - notes.found).max(1.0);
    let mean = |sum: Duration| sum.as_secs_f64() / timed;
    let share = |part: Duration| {
        let percent = 100.0 * part.as_secs_f64() / notes.took.as_secs_f64();
        format!("{} ({percent:.0} %)", millis(mean(part)))
    };
    let (seconds, needed, work) = (took.as_secs_f64(), mean(phases.needed), mean(phases.work));
    let rate = f64::from(transfers) / seconds;
    let behind = f64::from(clients) / (needed + work);
    let beside = f64::from(clients) / needed.max(work);
    let messages = notes
        .took
        .saturating_sub(phases.queued + phases.work + phases.wait);

    let mut text = String::from("\n");
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12} {value}");
    };
    line(
        "throughput",
        format!("{rate:.0}/s: {transfers} transfers by {clients} clients in {seconds:.1} s"),
    );
    line(
        "limit",
        format!(
            "{behind:.0}/s = clients / (2 epsilon + work) = {clients} / ({} + {})",
            millis(needed),
            millis(work)
        ),
    );
    line(
        "",
        format!("{beside:.0}/s = clients / max(2 epsilon, work), as the two overlap"),
    );
    line(
        "a transfer",
        format!("{}, of which", millis(mean(notes.took))),
    );
    line(
        "",
        format!("{} in the queue for the writer", share(phases.queued)),
    );
    line(
        "",
        format!(
            "{} work: from the timestamp until it is on disk",
            share(phases.work)
        ),
    );
    line(
        "",
        format!(
            "{} commit-wait that was left after the work",
            share(phases.wait)
        ),
    );
    line("", format!("{} messages and the rest", share(messages)));
    line(
        "audits",
        format!(
            "{}, moved up {} times to a version that was uncertain",
            audits(notes),
            notes.restarts
        ),
    );
    for Crash { node, away } in crashes {
        line(
            "killed",
            format!("node {node}, back after {}", millis(away.as_secs_f64())),
        );
    }
    line(
        "in doubt",
        format!(
            "{} transfers, sent again; {} of them were on disk",
            notes.in_doubt, notes.found
        ),
    );
    text
}

/// What is wrong, by rule, with examples.
pub(crate) fn verdict(notes: &Notes, violations: &[Violation]) -> String {
    let mut text = format!(
        "checked      {} transfers and {} snapshots: {} violations\n",
        transfers(notes),
        audits(notes),
        violations.len(),
    );
    for rule in Rule::ALL {
        let broken: Vec<_> = violations
            .iter()
            .filter(|violation| violation.rule == rule)
            .collect();
        if !broken.is_empty() {
            let _ = writeln!(text, "  {rule:<10} {}", broken.len());
        }
        for violation in broken.iter().take(EXAMPLES) {
            let _ = writeln!(text, "    {}", violation.told);
        }
    }
    text
}

fn transfers(notes: &Notes) -> u32 {
    count(notes, |deed| matches!(deed, Deed::Transferred { .. }))
}

fn audits(notes: &Notes) -> u32 {
    count(notes, |deed| matches!(deed, Deed::Audited { .. }))
}

fn count(notes: &Notes, is_meant: impl Fn(&Deed) -> bool) -> u32 {
    notes
        .events
        .iter()
        .map(|event| u32::from(is_meant(&event.deed)))
        .sum()
}

fn millis(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}
