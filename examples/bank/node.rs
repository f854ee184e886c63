//! A node: a process with a data file, and with a clock that is wrong and knows by how much at most.
//!
//! A commit, step by step:
//!
//! 1. It takes its timestamp: the `latest` that it can be now, by this node's clock.
//! 2. It goes to disk, in versions of that timestamp, while the timestamp becomes past.
//! 3. The [`CommitGroup`] says that the timestamp is past, by this node's clock.
//! 4. It is acknowledged.
//!
//! A node that crashes after step 2 has a commit on disk that nobody waited for. It needs no repair.
//! Readers see it only at timestamps that they wait out themselves; a client that asks again finds
//! it, and the node waits for its timestamp before it answers. And what the node commits after the
//! restart gets a larger one, because the largest on disk is the floor of its
//! [`begin_commit_after`](epsilon_clock::Clock::begin_commit_after). (A timestamp that was taken and
//! did not come to disk was shown to nobody.)
//!
//! A node knows one answer to trouble with its disk: it ends. A clock that gives no interval is no
//! such trouble: it refuses the request, and the client asks again.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::order::ReadWindow;
use epsilon_clock::testing::Skewed;
use epsilon_clock::{Clock, CommitGroup, TimeDelta};

use crate::history::Transfer;
use crate::horizon::Horizon;
use crate::store::{Found, Store};
use crate::wire::{Phases, Request, Response};
use crate::writer::{Job, OnDisk, Writer};
use crate::{Acknowledge, FAILED, Fault};

/// What a node is told when it is started.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) file: PathBuf,
    /// The first of its accounts.
    pub(crate) first: i64,
    /// By how much its clock is wrong.
    pub(crate) offset: TimeDelta,
    /// By how much at most, as far as it knows.
    pub(crate) epsilon: Duration,
    pub(crate) acknowledge: Acknowledge,
}

struct Node {
    clock: Clock,
    group: CommitGroup,
    store: Store,
    horizon: Horizon,
    acknowledge: Acknowledge,
}

/// Serves clients until whoever started the process is gone. Its address goes to standard output.
pub(crate) fn run(settings: &Settings) -> Result<(), Fault> {
    let store = Store::open(&settings.file, settings.first)?;
    let clock = Skewed::new(settings.offset, settings.epsilon)?.clock()?;
    let floor = store.last()?;
    let node = Node {
        group: CommitGroup::start(&clock)?,
        clock,
        store,
        horizon: Horizon::default(),
        acknowledge: settings.acknowledge,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let (jobs, queue) = channel();
    thread::spawn(end_with_the_parent);
    thread::scope(|scope| {
        let writer = Writer {
            store: &node.store,
            clock: &node.clock,
            horizon: &node.horizon,
            floor,
        };
        scope.spawn(move || end_on(writer.run(&queue)));
        for stream in listener.incoming() {
            let (stream, jobs, node) = (stream?, jobs.clone(), &node);
            scope.spawn(move || end_on(node.serve(stream, &jobs)));
        }
        Ok(())
    })
}

/// Standard input is a pipe that says nothing, and ends when the parent does.
fn end_with_the_parent() {
    let _ = io::stdin().read(&mut [0]);
    process::exit(0);
}

fn end_on(outcome: Result<(), Fault>) {
    if let Err(fault) = outcome {
        complain(&fault);
        process::exit(FAILED.into());
    }
}

fn complain(what: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "bank: node {}: {what}", process::id());
}

impl Node {
    fn serve(&self, mut stream: TcpStream, jobs: &Sender<Job>) -> Result<(), Fault> {
        stream.set_nodelay(true)?;
        // A client that ends in the middle of a message is gone all the same.
        while let Ok(Some(request)) = Request::receive(&mut stream) {
            let response = match request {
                Request::Now => self.clock.now().map_or_else(refused, Response::Now),
                Request::Transfer(transfer) => self.transfer(transfer, jobs)?,
                Request::Read(window) => self.read(&window)?,
                Request::Log => Response::Log(self.store.log()?),
            };
            if response.send(&mut stream).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn transfer(&self, transfer: Transfer, jobs: &Sender<Job>) -> Result<Response, Fault> {
        let (on_disk, answer) = sync_channel(1);
        jobs.send(Job {
            transfer,
            arrived: Instant::now(),
            on_disk,
        })?;
        let OnDisk { timestamp, phases } = match answer.recv()? {
            Ok(commit) => commit,
            Err(error) => return Ok(refused(error)),
        };
        let began = Instant::now();
        if self.acknowledge == Acknowledge::OncePast {
            // Whatever the work took is behind us already: this waits for the rest.
            if let Err(error) = self.group.until_past(timestamp).wait() {
                return Ok(refused(error));
            }
        }
        let wait = began.elapsed();
        let phases = phases.map(|phases| Phases { wait, ..phases });
        Ok(Response::Committed(timestamp, phases))
    }

    /// The rule for reads: wait until the timestamp is past here, and until no commit up to it can
    /// appear any more; then see what is visible, and leave nothing out of which it is not certain
    /// that it may be left out.
    ///
    /// The wait serves the reader in another way, too. It may see a commit that is not acknowledged
    /// yet; as that is past by now, whatever the reader commits next has a larger timestamp.
    fn read(&self, window: &ReadWindow) -> Result<Response, Fault> {
        if let Err(error) = self.group.until_past(window.read()).wait() {
            return Ok(refused(error));
        }
        self.horizon.settle(window.read());
        Ok(match self.store.read(window)? {
            Found::Balances(balances) => Response::Balances(balances),
            Found::Uncertain { until } => Response::Uncertain { until },
        })
    }
}

fn refused(error: impl std::fmt::Display) -> Response {
    complain(&error);
    Response::Refused
}
