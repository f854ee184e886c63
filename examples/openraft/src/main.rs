//! Three ways to read from a replicated log, under faults: openraft's own lease, ReadIndex, and an interval
//! lease in the log.
//!
//! Each way has a cluster of its own, three processes on loopback, with one seed and one fault. Two judges
//! read what the clients saw: a counter of stale reads, and the linearizability checker of `todc-utils`.

mod cluster;
mod history;
mod log;
mod machine;
mod network;
mod node;
mod picture;
mod types;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::lease::Delta;
use example_cluster::program::{self, Arguments, Failure};

use cluster::{Fault, Outcome, Plan};
use history::{Costs, Seen, What, linearizable, quantile, stale};
use types::{Break, Way};

const HELP: &str = "\
Three ways to read from a replicated log, under faults, each in a cluster of three processes.

  epsilon-clock-openraft [OPTIONS]

  --seeds N        N seeds, each with the next fault of: restart, cut, stop, kill (4)
  --from N         the first seed (1)
  --fault NAME     that fault alone: restart, cut, stop, kill, healthy
  --way NAME       that way alone: lease-read, read-index, ours
  --beyond         one clock lies: what no lease survives, and what a fleet with a policy makes of it
  --break RULE     breaks one rule of ours, and stops at the first seed that both judges find:
                   last, unbound, limbo, book, noop, appended, cached, snapshot, epsilon, restart
  --svg FILE       draws the last seed's timeline

It exits with 0 if ours and ReadIndex are clean and both judges agree (with --break: if both are red),
with 1 otherwise, and with 64 for arguments that it does not know.";

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    from: Option<u64>,
    fault: Option<Fault>,
    way: Option<Way>,
    beyond: bool,
    broken: Option<Break>,
    svg: Option<String>,
}

fn options(mut arguments: Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seeds" => options.seeds = Some(value()?.parse().map_err(|_| "no number of seeds")?),
            "--from" => options.from = Some(value()?.parse().map_err(|_| "no seed")?),
            "--fault" => {
                options.fault = Some(match value()?.as_str() {
                    "restart" => Fault::Restart,
                    "cut" => Fault::Cut,
                    "stop" => Fault::Stop,
                    "kill" => Fault::Kill,
                    "healthy" => Fault::Healthy,
                    other => return Err(format!("no fault: {other}")),
                });
            }
            "--way" => {
                options.way = Some(match value()?.as_str() {
                    "lease-read" => Way::LeaseRead,
                    "read-index" => Way::ReadIndex,
                    "ours" => Way::Ours,
                    other => return Err(format!("no way to read: {other}")),
                });
            }
            "--beyond" => options.beyond = true,
            "--break" => {
                let name = value()?;
                let found = Break::ALL.iter().find(|(known, _)| *known == name);
                options.broken = Some(found.ok_or(format!("no rule: {name}"))?.1);
            }
            "--svg" => options.svg = Some(value()?),
            other => return Err(format!("unknown argument: {other}")),
        }
    }
    Ok(options)
}

/// The plan of a seed: the fault decides the timings, the seed the clocks.
fn plan(way: Way, fault: Fault, seed: u64, options: &Options) -> Plan {
    // As in the report of the hole: a lease long enough that restarted followers elect within it.
    let slow = fault == Fault::Restart && options.broken.is_none();
    // At the edge of epsilon, or near it with room to be slewed to and fro.
    let slewed = seed % 2 == 1;
    let edge = |bit: u64| {
        let off = if slewed { 6_000 } else { 10_000 };
        if (seed >> bit) & 1 == 0 { off } else { -off }
    };
    let beyond = options.broken == Some(Break::Epsilon);
    Plan {
        way,
        broken: options.broken,
        fault,
        heartbeat_ms: if slow { 300 } else { 50 },
        election_ms: if slow { (1_500, 4_000) } else { (300, 600) },
        delta_ms: match (slow, options.broken) {
            (true, _) => 4_000,
            (false, Some(_)) => 3_000,
            (false, None) => 1_500,
        },
        // The first node leads, and its clock is slow.
        offsets_us: if beyond {
            [-300_000, 300_000, 300_000]
        } else {
            [edge(1), edge(2), edge(3)]
        },
        epsilon_us: if beyond { 1_000 } else { 10_000 },
        slewed,
        stops_when_named: false,
    }
}

/// Of the first node, which leads, the clock is a second slow and vouches for a millisecond.
fn beyond_plan(stops_when_named: bool) -> Plan {
    Plan {
        way: Way::Ours,
        broken: None,
        fault: Fault::Liar,
        heartbeat_ms: 50,
        election_ms: (300, 600),
        // Longer than an election, or the old lease is over before there is a next leader.
        delta_ms: 3_000,
        offsets_us: [-1_000_000, 0, 0],
        epsilon_us: 1_000,
        slewed: false,
        stops_when_named,
    }
}

#[derive(Default)]
struct Row {
    runs: usize,
    reads: usize,
    stale: usize,
    red_runs: usize,
    rejected: usize,
    refused: (usize, usize),
    outage: Duration,
    costs: Costs,
}

impl Row {
    fn add(&mut self, run: &Outcome) -> (usize, bool) {
        let found = stale(&run.history).len();
        let linearizable = linearizable(&run.history);
        self.runs += 1;
        self.reads += run.costs.took.len();
        self.stale += found;
        self.red_runs += usize::from(found > 0);
        self.rejected += usize::from(!linearizable);
        self.refused.0 += run.refused.0;
        self.refused.1 += run.refused.1;
        if let Some((write, read)) = run.outage {
            self.outage = self.outage.max(write).max(read);
        }
        self.costs.took.extend(&run.costs.took);
        self.costs.state.extend(&run.costs.state);
        (found, linearizable)
    }
}

fn micros(nanos: u64) -> String {
    format!("{:.1} µs", nanos as f64 / 1_000.0)
}

fn table(rows: &mut [(Way, Row)]) {
    println!(
        "\n| way | runs | reads | stale | runs with stale | WGL rejects | refused, healthy leader | \
         read p50 | p99 | state alone | longest outage |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for (way, row) in rows {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} of {} | {} | {} | {} | {:.2} s |",
            way.name(),
            row.runs,
            row.reads,
            row.stale,
            row.red_runs,
            row.rejected,
            row.refused.0,
            row.refused.1,
            micros(quantile(&mut row.costs.took, 50)),
            micros(quantile(&mut row.costs.took, 99)),
            micros(quantile(&mut row.costs.state, 50)),
            row.outage.as_secs_f64(),
        );
    }
}

/// Whether our read costs what it may, in the server: at most 5 µs beyond the state's own, no more than `LeaseRead`, and
/// a tenth of ReadIndex.
fn is_cheap(rows: &mut [(Way, Row)]) -> bool {
    let mut median = |way: Way, of: fn(&mut Row) -> &mut Vec<u64>| {
        let row = rows.iter_mut().find(|(one, _)| *one == way);
        row.map(|(_, row)| quantile(of(row), 50))
    };
    let state = median(Way::Ours, |row| &mut row.costs.state);
    let [Some(ours), Some(lease), Some(index)] = [Way::Ours, Way::LeaseRead, Way::ReadIndex]
        .map(|way| median(way, |row| &mut row.costs.took))
    else {
        return true;
    };
    ours <= state.unwrap_or(0) + 5_000 && ours <= lease && ours * 10 <= index
}

async fn compare(options: &Options) -> Result<bool, Failure> {
    let mut rows: Vec<(Way, Row)> = Way::ALL
        .into_iter()
        .filter(|way| options.way.is_none_or(|only| only == *way))
        .map(|way| (way, Row::default()))
        .collect();
    let first = options.from.unwrap_or(1);
    for seed in first..first + options.seeds.unwrap_or(4) {
        let turn = usize::try_from(seed - 1)? % Fault::ALL.len();
        let fault = match options.fault {
            Some(fault) => fault,
            None => Fault::ALL[turn],
        };
        // At once: each has processes of its own, and most of a run is waiting.
        let mut tasks = Vec::new();
        for (way, _) in &rows {
            let plan = plan(*way, fault, seed, options);
            tasks.push((*way, tokio::spawn(async move { cluster::run(&plan).await })));
        }
        let mut runs = Vec::new();
        for (way, task) in tasks {
            let run = task
                .await?
                .map_err(|error| format!("seed {seed}, {way:?}: {error}"))?;
            runs.push((way, run));
        }
        for ((way, row), (_, run)) in rows.iter_mut().zip(&runs) {
            let (found, clean) = row.add(run);
            println!(
                "seed {seed:>3} {fault:?}: {}: {found} stale, the checker {}",
                way.name(),
                verb(clean)
            );
        }
        if let Some(path) = &options.svg {
            std::fs::write(
                path,
                picture::draw(&runs, &format!("Three ways to read, {}", fault.told())),
            )?;
        }
    }
    table(&mut rows);
    let ms = Duration::from_millis;
    let delta = Delta::new(ms(1_500), ms(10), ms(30))?;
    // A follower refuses votes for one longest timeout, and then waits for up to another.
    let bound = delta.outage(ms(1_200), ms(10), ms(10), ms(30));
    println!("\nafter a leader's death ours is without service for at most {bound:?}");
    // Of a debug build nothing is said about costs.
    let mut good = cfg!(debug_assertions) || is_cheap(&mut rows);
    for (way, row) in &rows {
        let clean = row.stale == 0 && row.rejected == 0;
        match way {
            Way::Ours => {
                good &= clean && row.outage <= bound + bound / 10;
                good &= row.refused.0 * 100 <= row.refused.1;
            }
            Way::ReadIndex => good &= clean,
            // A stale read that our counter finds, the other judge must find as well.
            Way::LeaseRead => good &= row.rejected >= row.red_runs,
        }
    }
    Ok(good)
}

/// One lying clock: with nodes that are named and go on, and with nodes that stop once they are named.
async fn beyond(options: &Options) -> Result<bool, Failure> {
    let mut rows = [
        ("named, goes on", false, Beyond::default()),
        ("named, stops", true, Beyond::default()),
    ];
    let first = options.from.unwrap_or(1);
    for seed in first..first + options.seeds.unwrap_or(1) {
        let [goes_on, stops] = [false, true].map(|stops| {
            let plan = beyond_plan(stops);
            tokio::spawn(async move { cluster::run(&plan).await })
        });
        let runs = [goes_on.await??, stops.await??];
        for ((name, _, row), run) in rows.iter_mut().zip(&runs) {
            println!("seed {seed:>3}, {name}: {}", row.add(run)?);
        }
    }
    println!(
        "\n| beyond epsilon | runs | stale before the naming | WGL rejects | reads after | stale after \
         | WGL rejects |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let mut good = true;
    for (name, stops, row) in rows {
        println!(
            "| lease in log, {name} | {} | {} | {} | {} | {} | {} |",
            row.runs, row.early, row.rejected, row.reads, row.late, row.rejected_late
        );
        // The lie does its damage, in every run and for both judges; and after the naming only where no node stops.
        good &= row.early_runs == row.runs && row.rejected == row.runs && row.reads > 100;
        good &= if stops {
            row.late == 0 && row.rejected_late == 0
        } else {
            row.late_runs == row.runs && row.rejected_late == row.runs
        };
    }
    Ok(good)
}

#[derive(Default)]
struct Beyond {
    runs: usize,
    early: usize,
    early_runs: usize,
    rejected: usize,
    reads: usize,
    late: usize,
    late_runs: usize,
    rejected_late: usize,
}

impl Beyond {
    fn add(&mut self, run: &Outcome) -> Result<String, &'static str> {
        let (named, clocks) = run.named.as_ref().ok_or("no clock was named")?;
        let found = stale(&run.history);
        let early = found.iter().filter(|seen| seen.call < *named).count();
        let late = found.len() - early;
        let is_read = |seen: &Seen| !matches!(seen.what, What::Write(_));
        // Of what began before the naming the writes alone, which later reads have to agree with.
        let rest: Vec<Seen> = run
            .history
            .iter()
            .filter(|seen| seen.call >= *named || !is_read(seen))
            .copied()
            .collect();
        let answered = |seen: &&Seen| matches!(seen.what, What::Read(_)) && seen.call >= *named;
        let (all, clean) = (linearizable(&run.history), linearizable(&rest));
        self.runs += 1;
        self.early += early;
        self.early_runs += usize::from(early > 0);
        self.rejected += usize::from(!all);
        self.reads += rest.iter().filter(answered).count();
        self.late += late;
        self.late_runs += usize::from(late > 0);
        self.rejected_late += usize::from(!clean);
        Ok(format!(
            "{early} stale before; then the liar hears: {clocks}; {late} stale after, where the checker {}",
            verb(clean)
        ))
    }
}

const fn verb(accepts: bool) -> &'static str {
    if accepts { "accepts" } else { "rejects" }
}

async fn broken(options: &Options, broken: Break) -> Result<bool, Failure> {
    let first = options.from.unwrap_or(1);
    for seed in first..first + options.seeds.unwrap_or(5) {
        let plan = plan(Way::Ours, Fault::of(broken), seed, options);
        let run = match cluster::run(&plan).await {
            Ok(run) => run,
            Err(error) => {
                println!("{broken:?}, seed {seed}: {error}");
                continue;
            }
        };
        let (found, clean) = (stale(&run.history).len(), linearizable(&run.history));
        println!(
            "{broken:?}, seed {seed}: {found} stale, the checker {}",
            verb(clean)
        );
        if let Some(path) = &options.svg {
            std::fs::write(
                path,
                picture::draw(
                    &[(Way::Ours, run)],
                    &format!("A lease in the log without {broken:?}"),
                ),
            )?;
        }
        if found > 0 && !clean {
            return Ok(true);
        }
    }
    Ok(false)
}

fn main() -> ExitCode {
    program::run(HELP, node::serve, options, async |options| {
        match options.broken {
            Some(rule) => broken(&options, rule).await,
            None if options.beyond => beyond(&options).await,
            None => compare(&options).await,
        }
    })
}
