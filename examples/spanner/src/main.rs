//! A small Spanner on openraft: three processes, three shards, transactions across them, and two judges.
//!
//! Each node has a replica of each shard. Timestamps, leases, safe time and commit-wait are epsilon-clock's;
//! replication is openraft's; the rest is here, one noun a file.

mod breaks;
mod client;
mod cluster;
mod costs;
mod death;
mod file;
mod group;
mod history;
mod locks;
mod log;
mod machine;
#[cfg(test)]
mod mutants;
mod nemesis;
mod network;
mod node;
mod picture;
mod plan;
mod read;
mod replica;
mod report;
mod run;
mod store;
mod transaction;
mod types;
mod watch;
mod wgl;
mod wire;
mod witness;

use std::process::ExitCode;

use example_cluster::program::{self, Arguments, Failure};

use breaks::Break;
use plan::{Faults, Plan};
use report::Row;

const HELP: &str = "\
A small Spanner: 3 processes, 3 shards, transactions across them, faults, and two judges.

  epsilon-clock-spanner [OPTIONS]

  --seeds N        N runs (1)
  --from N         the first seed (1)
  --seconds N      how long each lasts (20)
  --epsilon MS     what the clocks say they may be off by (1); without it a row each for 0.1, 1 and 5
  --faults         kill -9, SIGSTOP, partitions, steps, slews, liars, and all killed at once
  --kill-all       all nodes killed at once, at one named point after the other, unsynced writes forgotten
  --break RULE     breaks one rule, and stops at the first of 5 seeds in which a judge finds it:
                   draw, prepared, rebuilt, silence, beyond, ahead, promise, floor, answer, again, book
  --keep RULE      what makes that rule show, with the rule kept: no judge may find anything
  --fdatasync      waits for the disk, too
  --history FILE   writes the last history, as JSON
  --edn FILE       writes the last history, as Jepsen's EDN
  --svg FILE       draws where the time of commits went

It exits with 0 if both judges are content (with --break: if one is not), with 1 otherwise, and with 64 for
arguments that it does not know.";

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    from: Option<u64>,
    seconds: Option<u64>,
    epsilon_us: Option<u64>,
    faults: Option<Faults>,
    broken: Option<Break>,
    kept: Option<Break>,
    fdatasync: bool,
    history: Option<String>,
    edn: Option<String>,
    svg: Option<String>,
}

fn options(mut arguments: Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| {
            text.parse::<u64>()
                .map_err(|_| format!("no number: {text}"))
        };
        let rule = |name: String| Break::named(&name).ok_or(format!("no rule: {name}"));
        match argument.as_str() {
            "--seeds" => options.seeds = Some(number(value()?)?),
            "--from" => options.from = Some(number(value()?)?),
            "--seconds" => options.seconds = Some(number(value()?)?),
            "--epsilon" => {
                let text = value()?;
                let ms: f64 = text.parse().map_err(|_| format!("no number: {text}"))?;
                if !(0.05..=1_000.0).contains(&ms) {
                    return Err("an epsilon is 0.05 to 1000 ms".into());
                }
                options.epsilon_us = Some((ms * 1_000.0) as u64);
            }
            "--faults" => options.faults = Some(Faults::All),
            "--kill-all" => options.faults = Some(Faults::KillAll),
            "--break" => options.broken = Some(rule(value()?)?),
            "--keep" => options.kept = Some(rule(value()?)?),
            "--fdatasync" => options.fdatasync = true,
            "--history" => options.history = Some(value()?),
            "--edn" => options.edn = Some(value()?),
            "--svg" => options.svg = Some(value()?),
            other => return Err(format!("unknown argument: {other}")),
        }
    }
    Ok(options)
}

fn write(options: &Options, run: &run::Outcome) -> Result<(), Failure> {
    if let Some(path) = &options.history {
        std::fs::write(path, serde_json::to_vec(&run.history)?)?;
    }
    if let Some(path) = &options.edn {
        std::fs::write(path, history::edn(&run.history))?;
    }
    Ok(())
}

async fn good(options: &Options) -> Result<bool, Failure> {
    let epsilons = match options.epsilon_us {
        Some(epsilon) => vec![epsilon],
        None => vec![100, 1_000, 5_000],
    };
    let mut good = true;
    let mut rows = Vec::new();
    let first = options.from.unwrap_or(1);
    for epsilon_us in epsilons {
        let mut row = Row::new(epsilon_us);
        for seed in first..first + options.seeds.unwrap_or(1) {
            let plan = Plan {
                faults: options.faults.unwrap_or(Faults::None),
                fdatasync: options.fdatasync,
                ..Plan::new(seed, options.seconds.unwrap_or(20), epsilon_us)
            };
            let run = run::run(&plan).await?;
            report::line(
                &format!("seed {seed}, ε {} ms", epsilon_us as f64 / 1e3),
                &run,
            );
            good &= run.is_clean() && run.is_over() && run.faults.named == run.faults.liars;
            write(options, &run)?;
            row.add(run);
        }
        good &= row.costly() == 0;
        rows.push(row);
    }
    if let (Some(path), Some(row)) = (&options.svg, rows.last()) {
        std::fs::write(path, picture::draw(row))?;
    }
    report::head();
    for row in &rows {
        row.print();
    }
    Ok(good)
}

async fn amplified(options: &Options, rule: Break, broken: bool) -> Result<bool, Failure> {
    let first = options.from.unwrap_or(1);
    for seed in first..first + options.seeds.unwrap_or(if broken { 5 } else { 1 }) {
        let plan = Plan {
            broken: broken.then_some(rule),
            ..Plan::amplified(seed, options.seconds.unwrap_or(8), rule)
        };
        let run = run::run(&plan).await?;
        let name = if broken { "broken" } else { "kept" };
        report::line(&format!("{rule:?} {name}, seed {seed}"), &run);
        write(options, &run)?;
        if !run.is_clean() {
            return Ok(broken);
        }
    }
    Ok(!broken)
}

fn main() -> ExitCode {
    program::run(HELP, node::serve, options, async |options| {
        match (options.broken, options.kept) {
            (Some(rule), _) => amplified(&options, rule, true).await,
            (None, Some(rule)) => amplified(&options, rule, false).await,
            (None, None) => good(&options).await,
        }
    })
}
