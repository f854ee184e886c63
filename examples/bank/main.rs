//! A bank on three nodes with wrong clocks: external consistency over an embedded store.
//!
//! `cargo run --release --example bank`, with `-- --no-commit-wait` to see what
//! commit-wait is for, and `-- --help` for the rest.
//!
//! Three processes are three nodes. Each has some of the accounts in a data file of its own
//! ([`redb`]), and a clock of its own that is up to 5 ms wrong and knows that much ([`Skewed`]). They
//! exchange no message among each other, ever. Clients transfer money at one node and go on at the
//! next; auditors read all accounts of all nodes at one timestamp. One node is killed in the middle.
//! In the end a checker asks whether the timestamps explain what everybody saw, and when: the clients
//! share one process, and so a monotonic clock that is right. (What the nodes take for UTC is the
//! machine's real time. Whoever sets that in the middle spoils the play.)
//!
//! # Why a snapshot is consistent across nodes that never talk
//!
//! Take all commits with timestamps up to `t`, on every node.
//!
//! 1. *It is one set, whenever and in whatever order the nodes are asked.* A node answers for `t` only
//!    when no commit up to `t` can appear there any more (`horizon.rs`).
//! 2. *It has no effect without its cause.* If commit 1 was acknowledged before commit 2 began,
//!    wherever that was and however the news travelled, then s1 < s2: that is what commit-wait is for
//!    (T5). So if commit 2 is in the set, then so is commit 1. The same holds where somebody read
//!    commit 1 before it was acknowledged: reads wait until what they show is past (`node.rs`).
//! 3. *It is not out of date.* What was acknowledged before the read began is past for the committer's
//!    clock, so it is not above the `latest` of the reader's. The read begins at its `earliest`; if it
//!    meets a version between the two it moves up to it ([`ReadWindow`], `client.rs`).
//! 4. *Each part of it is whole.* A transfer has one timestamp, within one node, and comes to disk in
//!    one piece (`store.rs`).
//!
//! Without the wait the second and the third fail, the others hold: no money is lost, and yet the
//! history is one that cannot have happened.
//!
//! # The rooms
//!
//! `store.rs` versions on disk; `writer.rs` batches and timestamps; `horizon.rs` when a snapshot is
//! final; `node.rs` the process around them; `wire.rs` messages; `cluster.rs` processes started and
//! killed; `client.rs` who uses it; `history.rs` what they saw; `checker.rs` whether that is possible;
//! `options.rs` the arguments; `report.rs` the figures.
//!
//! [`redb`]: https://docs.rs/redb
//! [`Skewed`]: epsilon_clock::testing::Skewed
//! [`ReadWindow`]: epsilon_clock::order::ReadWindow
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "an example is read, and its numbers are small"
)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::client::{Client, Notes};
use crate::cluster::Cluster;
use crate::directory::Directory;
use crate::history::NODES;
use crate::options::{Command, Options};
use crate::progress::Progress;
use crate::report::Report;

mod checker;
mod client;
mod cluster;
mod directory;
mod history;
mod horizon;
mod node;
mod options;
mod progress;
mod report;
mod store;
mod wire;
mod writer;

/// How many clients read all accounts again and again, while the others transfer.
const AUDITORS: u32 = 2;

/// A node that was killed, and how long it took until it was back.
struct Crash {
    node: usize,
    away: Duration,
}

/// What ends the program early.
type Fault = Box<dyn Error + Send + Sync>;

/// The checker found violations.
const VIOLATIONS: u8 = 3;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// A node, a client or the machine failed (`EX_SOFTWARE`).
const FAILED: u8 = 70;

/// When a commit that is on disk is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// Once its timestamp is surely past, as it has to be.
    OncePast,
    /// At once, to see what comes of it.
    AtOnce,
}

fn main() -> ExitCode {
    let outcome = match options::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            say(options::HELP);
            Ok(0)
        }
        Ok(Command::Node(settings)) => node::run(&settings).map(|()| 0),
        Ok(Command::Bank(options)) => run(&options),
        Err(message) => {
            complain(&message);
            return ExitCode::from(USAGE);
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            complain(&fault);
            ExitCode::from(FAILED)
        }
    }
}

fn run(options: &Options) -> Result<u8, Fault> {
    let directory = Directory::for_data(options.data.as_deref())?;
    let cluster = Cluster::start(directory.path(), options.epsilon, options.acknowledge)?;
    let progress = Progress::new(options.transfers);
    let (notes, crashes) = let_loose(options, &cluster, &progress)?;

    let mut logs = Vec::new();
    for node in 0..NODES {
        logs.push(client::log_of(cluster.address(node))?);
    }
    let violations = checker::check(&notes.events, &logs);
    let report = Report {
        options,
        notes: &notes,
        crashes: &crashes,
        violations: &violations,
    };
    say(&report.to_string());
    Ok(if violations.is_empty() { 0 } else { VIOLATIONS })
}

/// Lets the clients loose on the nodes until the transfers are done.
fn let_loose(
    options: &Options,
    cluster: &Cluster,
    progress: &Progress,
) -> Result<(Notes, Vec<Crash>), Fault> {
    let client = |number| Client::new(number, cluster, progress);
    let clients = (0..options.clients).map(client);
    let auditors = (options.clients..options.clients + AUDITORS).map(client);
    thread::scope(|scope| {
        let clients: Vec<_> = clients
            .map(|client| scope.spawn(|| client.transfer_on_and_on()))
            .collect();
        let auditors: Vec<_> = auditors
            .map(|client| scope.spawn(|| client.audit_on_and_on()))
            .collect();
        let busy = || clients.iter().any(|client| !client.is_finished());
        let crashes = watch(options, cluster, progress, busy);
        if crashes.is_err() {
            progress.fail();
        }
        progress.end();
        let notes: Vec<_> = clients.into_iter().chain(auditors).map(joined).collect();
        // Why a node is gone says more than that it is.
        let crashes = crashes?;
        let notes = notes.into_iter().collect::<Result<_, _>>()?;
        Ok((Notes::gather(notes), crashes))
    })
}

fn joined(client: ScopedJoinHandle<'_, Result<Notes, Fault>>) -> Result<Notes, Fault> {
    let outcome = client.join();
    outcome.unwrap_or_else(|_| Err("a client panicked".into()))
}

/// While the clients are busy, kills nodes when it is time to, and tells how far they are.
fn watch(
    options: &Options,
    cluster: &Cluster,
    progress: &Progress,
    busy: impl Fn() -> bool,
) -> Result<Vec<Crash>, Fault> {
    let mut crashes = Vec::new();
    let mut told = Duration::ZERO;
    while busy() {
        cluster.check()?;
        let due = progress.acknowledged() / (options.transfers / (options.kills + 1) + 1);
        if crashes.len() < due as usize {
            let (node, began) = (crashes.len() % NODES, progress.elapsed());
            cluster.crash(node)?;
            let away = progress.elapsed() - began;
            crashes.push(Crash { node, away });
            say(&format!(
                "{progress}; node {node} was killed, and started again\n"
            ));
        }
        if progress.elapsed() - told >= Duration::from_secs(1) {
            told = progress.elapsed();
            say(&format!("{progress}\n"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(crashes)
}

/// A reader that has seen enough closes the pipe: that is no failure.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn complain(what: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "bank: {what}");
}
