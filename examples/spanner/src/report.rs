//! What a person reads in the end.

use crate::client::outages;
use crate::run::Outcome;
use crate::types::Phases;

fn quantile(mut values: Vec<u64>, percent: usize) -> u64 {
    values.sort_unstable();
    let place = values.len() * percent / 100;
    values
        .get(place.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// The figures of one epsilon, over all its runs.
pub struct Row {
    pub epsilon_us: u64,
    runs: Vec<Outcome>,
}

/// From the draw: until the outcome was applied, from there until it was past, and both.
fn spans(phases: &Phases) -> [u64; 3] {
    let work = phases.applied.saturating_sub(phases.drawn);
    let wait = phases.past.saturating_sub(phases.applied);
    [work, wait, work + wait]
}

impl Row {
    pub const fn new(epsilon_us: u64) -> Self {
        Self {
            epsilon_us,
            runs: Vec::new(),
        }
    }

    pub fn add(&mut self, run: Outcome) {
        self.runs.push(run);
    }

    /// The phases of all commits of one shard, or of several.
    pub fn phases(&self, across: bool) -> Vec<Phases> {
        let all = self.runs.iter().flat_map(|run| &run.figures.commits);
        all.filter(|(shards, _)| (*shards > 1) == across)
            .map(|(_, phases)| *phases)
            .collect()
    }

    fn commit(&self, across: bool) -> String {
        let phases = self.phases(across);
        let quantiles = |which: usize| {
            let all = || phases.iter().map(|phases| spans(phases)[which]).collect();
            format!(
                "{:.2}/{:.2}",
                ms(quantile(all(), 50)),
                ms(quantile(all(), 99))
            )
        };
        format!("{} = {} + {}", quantiles(2), quantiles(0), quantiles(1))
    }

    /// The commit in the middle of all of one shard, or of several, by its length since the draw.
    pub fn typical(&self, across: bool) -> Option<Phases> {
        let mut all = self.phases(across);
        all.sort_by_key(|phases| spans(phases)[2]);
        all.get(all.len() / 2).copied()
    }

    fn reads(&self, which: fn(&Outcome) -> &Vec<u64>) -> String {
        let all: Vec<u64> = self.runs.iter().flat_map(which).copied().collect();
        let count = all.len();
        format!(
            "{count}: {:.2}/{:.2}",
            ms(quantile(all.clone(), 50)),
            ms(quantile(all, 99))
        )
    }

    /// Snapshot reads at a safe timestamp that took a lock or sent a message.
    pub fn costly(&self) -> usize {
        self.runs.iter().map(|run| run.figures.costly).sum()
    }

    pub fn print(&self) {
        let sum = |of: fn(&Outcome) -> usize| self.runs.iter().map(of).sum::<usize>();
        let seconds: f64 = self.runs.iter().map(|run| run.seconds).sum();
        let commits = sum(|run| run.figures.commits.len());
        let outages: Vec<u64> = self
            .runs
            .iter()
            .flat_map(|run| outages(&run.history, run.deaths()))
            .map(|nanos| nanos / 1_000_000)
            .collect();
        let outage = match outages.len() {
            0 => "-".into(),
            count => format!(
                "{count}: {}/{} ms",
                quantile(outages.clone(), 50),
                quantile(outages, 100)
            ),
        };
        println!(
            "| {} | {} | {:.0} | {} | {} | {} | {} | {} | {outage} | {} | {} of {} |",
            ms(self.epsilon_us),
            self.runs.len(),
            commits as f64 / seconds.max(0.001),
            self.commit(false),
            self.commit(true),
            self.reads(|run| &run.figures.snapshot),
            self.reads(|run| &run.figures.strong),
            self.reads(|run| &run.figures.lease),
            sum(|run| run.wrong.len()),
            sum(|run| run.rejected),
            sum(|run| run.windows),
        );
    }
}

pub fn head() {
    println!(
        "\nms, p50/p99; a commit from its draw: all = work + wait\n\
         | ε, ms | runs | commits/s | one shard | across shards | snapshot reads | strong reads | \
         lease reads | outage p50/max | witness: wrong | WGL: windows rejected |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
}

/// One line about one run.
pub fn line(name: &str, run: &Outcome) {
    let figures = &run.figures;
    println!(
        "{name}: {} operations, {} commits, {} aborted; refused reads {:?}; a strong read sends {} messages at most; \
         witness: {} wrong; WGL rejects {} of {} \
         windows{}; {} of {} ended after the last fault; prepared at the end: {}; {} acknowledged ones asked for again",
        run.history.len(),
        figures.commits.len(),
        figures.aborted,
        figures.refused,
        figures.messages,
        run.wrong.len(),
        run.rejected,
        run.windows,
        match run.unjudged {
            0 => String::new(),
            some => format!(" ({some} too large)"),
        },
        run.ended,
        run.open,
        run.prepared
            .map_or("unknown".into(), |left| left.to_string()),
        run.asked,
    );
    if !run.faults.counts.is_empty() {
        println!("  faults: {:?}", run.faults.counts);
    }
    if run.faults.liars > 0 {
        println!(
            "  liars named and silenced: {} of {}; one heard: {}",
            run.faults.named, run.faults.liars, run.faults.verdict
        );
    }
    for wrong in run.wrong.iter().take(3) {
        println!("  {wrong}");
    }
}
