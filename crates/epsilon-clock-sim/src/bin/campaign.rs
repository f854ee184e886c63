//! The campaign: scenarios in a simulated world, every reading held against true time.
//!
//! `cargo run --release -p epsilon-clock-sim --bin campaign -- --seeds 100`
//!
//! - `--seeds N`: how many runs of each scenario (5)
//! - `--from N`: the number of the first one (0): others than those that a change was tried on
//! - `--forecasts`: only the scenarios of a chronyd that estimates and forecasts
//! - `--scenario NAME`: only this one; may be given more than once
//! - `--seed S`: only this seed, as a failing run printed it
//! - `--readings N`: about how many readings a run makes (4000)
//! - `--sources kernel|chrony|both|ntp`: whom the clocks ask, whatever the scenario says
//! - `--counter none|readable|sleepless`: whether the clocks read the counter, whatever the scenario says
//! - `--list`: names the scenarios
//!
//! Each run is played twice, by clocks that learn their oscillator's rate and by ones that do not:
//! the table's medians stand side by side.
//!
//! Progress goes to standard error, the table to standard output. The exit status is 1 if anything
//! was not as its scenario expects.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program for people"
)]

use epsilon_clock::clock::DriftLearning;
use epsilon_clock_sim::{Campaign, Counter, Report, Scenario, Sources, Tally, seed_of};
use lexopt::prelude::{Long, ValueExt};
use std::error::Error;
use std::process::ExitCode;

struct Options {
    scenarios: Vec<Scenario>,
    seeds: Vec<u64>,
    campaign: Campaign,
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    let mut scenarios = Vec::new();
    let (mut from, mut count, mut replay) = (0_u64, 5_u64, None);
    let mut campaign = Campaign::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => count = parser.value()?.parse()?,
            Long("from") => from = parser.value()?.parse()?,
            Long("seed") => replay = Some(parser.value()?.parse()?),
            Long("scenario") => {
                let name = parser.value()?.string()?;
                let known =
                    Scenario::named(&name).ok_or(format!("no scenario {name}; try --list"))?;
                scenarios.push(*known);
            }
            Long("readings") => campaign = campaign.readings_per_run(parser.value()?.parse()?),
            Long("sources") => {
                campaign = campaign.sources(match parser.value()?.string()?.as_str() {
                    "kernel" => Sources::Kernel,
                    "chrony" => Sources::Chrony,
                    "both" => Sources::KernelAndChrony,
                    "ntp" => Sources::Ntp,
                    other => return Err(format!("no sources {other}").into()),
                });
            }
            Long("counter") => {
                let hertz = 2_300_000_000;
                campaign = campaign.counter(match parser.value()?.string()?.as_str() {
                    "none" => Counter::Unknown,
                    "readable" => Counter::Readable { hertz },
                    "sleepless" => Counter::Sleepless { hertz },
                    other => return Err(format!("no counter {other}").into()),
                });
            }
            Long("forecasts") => scenarios.extend_from_slice(Scenario::forecasts()),
            Long("list") => {
                for scenario in Scenario::all() {
                    println!("{:22} {}", scenario.name(), scenario.about());
                }
                return Ok(None);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    if scenarios.is_empty() {
        scenarios = Scenario::all().to_vec();
    }
    let numbered = || (from..from.saturating_add(count)).map(seed_of).collect();
    Ok(Some(Options {
        scenarios,
        seeds: replay.map_or_else(numbered, |seed| vec![seed]),
        campaign,
    }))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = options()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut report = Report::new();
    let guessing = options.campaign.clone().drift_learning(DriftLearning::Off);
    for scenario in &options.scenarios {
        let mut total = Tally::default();
        let mut unlearned = Tally::default();
        for (run, seed) in options.seeds.iter().enumerate() {
            let tally = options.campaign.play(scenario, *seed)?;
            let guessed = guessing.play(scenario, *seed)?;
            for (sum, tally, learning) in [
                (&mut total, tally, "learning"),
                (&mut unlearned, guessed, "without learning"),
            ] {
                if let (None, Some(first)) = (sum.first(), tally.first()) {
                    eprintln!("\n{first}\n  ({learning})");
                }
                sum.merge(&tally);
            }
            eprint!(
                "\r{:22} {:>6} of {} runs, {:>9} readings, {} violations, {} without learning ",
                scenario.name(),
                run + 1,
                options.seeds.len(),
                total.readings(),
                total.violations(),
                unlearned.violations(),
            );
        }
        eprintln!();
        report.add(*scenario, total, Some(unlearned));
    }
    println!("{report}");
    let complaints = report.complaints();
    for complaint in &complaints {
        eprintln!("not as expected: {complaint}");
    }
    Ok(ExitCode::from(u8::from(!complaints.is_empty())))
}
