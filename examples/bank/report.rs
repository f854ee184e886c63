//! The figures, and what the checker says.

use std::fmt;
use std::time::Duration;

use crate::checker::{Rule, Violation};
use crate::client::Notes;
use crate::history::Deed;
use crate::options::Options;
use crate::{Acknowledge, Crash};

/// How many violations of each kind are told in full.
const EXAMPLES: usize = 2;

pub(crate) struct Report<'a> {
    pub(crate) options: &'a Options,
    pub(crate) notes: &'a Notes,
    pub(crate) crashes: &'a [Crash],
    pub(crate) violations: &'a [Violation],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.throughput(f)?;
        self.shares(f)?;
        self.crashes(f)?;
        self.verdict(f)
    }
}

impl Report<'_> {
    /// How fast it was, and how fast it could be.
    fn throughput(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transfers, clients) = (self.transfers(), self.options.clients);
        let took = self.seconds();
        let rate = f64::from(transfers) / took;
        writeln!(
            f,
            "\nthroughput   {rate:.0}/s: {transfers} transfers by {clients} clients in {took:.1} s"
        )?;
        if self.options.acknowledge == Acknowledge::AtOnce {
            return Ok(());
        }
        let phases = self.notes.phases;
        let (needed, work) = (self.mean(phases.needed), self.mean(phases.work));
        let limit = |each: f64| format!("{:.0}/s", f64::from(clients) / each);
        let (in_turn, overlapped) = (limit(needed + work), limit(needed.max(work)));
        let (needed, work) = (millis(needed), millis(work));
        writeln!(
            f,
            "limit        {in_turn} = clients / (2 epsilon + work) = {clients} / ({needed} + {work})"
        )?;
        writeln!(
            f,
            "             {overlapped} = clients / max(2 epsilon, work), as the two overlap"
        )
    }

    /// Where the time of a transfer went.
    fn shares(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notes { phases, took, .. } = self.notes;
        let rest = took.saturating_sub(phases.queued + phases.work + phases.wait);
        writeln!(f, "a transfer   {}, of which", millis(self.mean(*took)))?;
        for (part, name) in [
            (phases.queued, "in the queue for the writer"),
            (phases.work, "work: from the timestamp until it was on disk"),
            (
                phases.wait,
                "commit-wait, as far as it was left after the work",
            ),
            (rest, "messages, and waiting for a killed node"),
        ] {
            let percent = 100.0 * part.as_secs_f64() / took.as_secs_f64();
            writeln!(
                f,
                "             {} ({percent:.0} %) {name}",
                millis(self.mean(part))
            )?;
        }
        Ok(())
    }

    fn crashes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Crash { node, away } in self.crashes {
            let away = millis(away.as_secs_f64());
            writeln!(f, "killed       node {node}, back after {away}")?;
        }
        let Notes {
            in_doubt, found, ..
        } = self.notes;
        writeln!(
            f,
            "in doubt     {in_doubt} transfers, sent again: {found} were on disk already"
        )
    }

    /// What is wrong, by rule, with examples.
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transfers, restarts) = (self.transfers(), self.notes.restarts);
        let audits = self.count(|deed| !is_transfer(deed));
        writeln!(
            f,
            "audits       {audits}, moved up {restarts} times to a version that was uncertain"
        )?;
        let count = self.violations.len();
        writeln!(
            f,
            "checked      {transfers} transfers, {audits} audits: {count} violations"
        )?;
        if count == 0 && self.options.acknowledge == Acknowledge::AtOnce {
            writeln!(
                f,
                "             the work alone took so long that no wait was needed: try --epsilon-ms 50"
            )?;
        }
        for rule in Rule::ALL {
            let broken = self
                .violations
                .iter()
                .filter(|violation| violation.rule == rule);
            let broken: Vec<&Violation> = broken.collect();
            if !broken.is_empty() {
                writeln!(f, "  {rule:<10} {}", broken.len())?;
            }
            for violation in broken.iter().take(EXAMPLES) {
                writeln!(f, "    {}", violation.told)?;
            }
        }
        Ok(())
    }

    /// Until the last transfer was acknowledged: the auditors take a moment longer to end.
    fn seconds(&self) -> f64 {
        let events = self.notes.events.iter();
        let transfers = events.filter(|event| is_transfer(&event.deed));
        let last = transfers.map(|event| event.done).max();
        last.unwrap_or_default().as_secs_f64()
    }

    fn transfers(&self) -> u32 {
        self.count(is_transfer)
    }

    fn count(&self, is_meant: impl Fn(&Deed) -> bool) -> u32 {
        let events = self.notes.events.iter();
        events.map(|event| u32::from(is_meant(&event.deed))).sum()
    }

    /// In seconds, over the transfers whose phases are known.
    fn mean(&self, sum: Duration) -> f64 {
        sum.as_secs_f64() / f64::from(self.transfers() - self.notes.found).max(1.0)
    }
}

fn is_transfer(deed: &Deed) -> bool {
    matches!(deed, Deed::Transferred { .. })
}

fn millis(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}
