//! A transaction that overlaps its commit-wait with replication.
//!
//! `cargo run --release --example commit_wait -- --assume-error 5ms`

use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::{Clock, Timestamp};

mod support;

use support::{Ends, Fault, Options, Output};

const USAGE: &str = "\
Commits transactions that wait for their timestamps while replicas do their work.

Usage: commit_wait [OPTIONS]

  --assume-error=SPAN   vouch for the machine's clock to within SPAN where no daemon does
  --replication=SPAN    how long the slowest replica takes, up to 10s [3ms]
  --commits=N           how many to commit, one after the other [3]

Exit codes: 0 done; 1 what was to be shown does not hold; 64 bad arguments; 69 there is no
interval, because no daemon vouches for the clock; 74 the output could not be written.";

fn main() -> ExitCode {
    support::run(USAGE, play)
}

fn play(options: &Options, out: &mut Output) -> Result<bool, Fault> {
    let replication = options
        .span("replication")?
        .unwrap_or(Duration::from_millis(3));
    if replication > Duration::from_secs(10) {
        return Err(Ends::usage("--replication: no more than 10s"));
    }
    let commits = options.get("commits").unwrap_or("3");
    let commits = match commits.parse() {
        Ok(commits @ 1..=1_000) => commits,
        _ => {
            return Err(Ends::usage(format!(
                "--commits {commits:?}: give 1 to 1000"
            )));
        }
    };
    let clock = support::clock(options)?;
    let mut acknowledged: Option<Timestamp> = None;
    for number in 1..=commits {
        let timestamp = commit(&clock, number, replication, out).map_err(no_interval)?;
        let past = clock.after(timestamp)?;
        if !past || acknowledged.is_some_and(|before| before >= timestamp) {
            writeln!(out, "{timestamp} is not past, or not above the one before")?;
            return Ok(false);
        }
        acknowledged = Some(timestamp);
    }
    writeln!(
        out,
        "\nEach timestamp was surely past when its commit was acknowledged, so a client that heard\n\
         of it commits with a larger one, on any node. The wait ran while the replicas did their\n\
         work: only the rest of it was waited for."
    )?;
    Ok(true)
}

fn commit(
    clock: &Clock,
    number: u32,
    replication: Duration,
    out: &mut Output,
) -> Result<Timestamp, Fault> {
    let began = Instant::now();
    let commit = clock.begin_commit()?;
    let needed = commit.remaining()?;

    // The replicas write the transaction to their logs, all at the same time.
    thread::scope(|replicas| {
        for lag in [2, 3, 4] {
            replicas.spawn(move || thread::sleep(replication * lag / 4));
        }
    });
    let work = began.elapsed();

    commit.wait()?;
    let total = began.elapsed();
    // Here it is acknowledged to the client.
    let timestamp = commit.timestamp();
    writeln!(out, "commit {number}")?;
    writeln!(out, "  timestamp  {timestamp}")?;
    writeln!(out, "  work       {}", millis(work))?;
    let rest = total.saturating_sub(work);
    writeln!(out, "  wait       {} of {}", millis(rest), millis(needed))?;
    writeln!(out, "  total      {}", millis(total))?;
    Ok(timestamp)
}

fn millis(span: Duration) -> String {
    format!("{:.3} ms", span.as_secs_f64() * 1e3)
}

/// Says how to see the example all the same where the clock gives no interval.
fn no_interval(error: Fault) -> Fault {
    if error.is::<std::io::Error>() {
        return error;
    }
    Ends::unavailable(format!(
        "{error} (to see how it works all the same, vouch for the clock: --assume-error 5ms)"
    ))
}
