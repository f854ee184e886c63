//! A clock that lies, found out and named by the others: five nodes over loopback UDP.
//!
//! `cargo run --release --example fleet`
//!
//! Each node is a thread with a socket and a clock of its own, which is wrong by some milliseconds
//! and knows to within how many; all but one, whose time server lies: it is off by ten times what it
//! claims. Nodes ask each other for the time and act on what their fleet says: who is told that its
//! own clock stands against a majority leaves the cluster; the others refuse the writes of whomever
//! they know to be false, and stay.
//!
//! Ends with 0 only if all four honest nodes name the liar and nobody else and stay, and the liar
//! knows that it is the one and leaves; with 1 otherwise. It needs no daemon: `Skewed` clocks take
//! the machine's own time for UTC and shift it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints what it found"
)]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::fleet::{ClockReport, Probe, Standing, Verdict};
use epsilon_clock::testing::Skewed;
use epsilon_clock::{Clock, Fleet, TimeDelta};

type Failure = Box<dyn Error + Send + Sync>;

/// By how many milliseconds each node's clock is wrong.
const OFFSETS_MS: [i64; 5] = [4, -6, 80, 2, -3];

/// Which one of them lies about it.
const LIAR: usize = 2;

/// To within how much each of them claims to be right.
const EPSILON: Duration = Duration::from_millis(8);

/// How often a node asks each of the others, and how long it waits for an answer: a slow one would
/// hide as much of a lie.
const EVERY: Duration = Duration::from_millis(50);

/// How long a node may take to make up its mind.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let count = OFFSETS_MS.len();
    let sockets: Vec<UdpSocket> = (0..count)
        .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let addresses: Arc<[SocketAddr]> = sockets
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<_, _>>()?;
    let undecided = Arc::new(AtomicUsize::new(count));
    let mut nodes = Vec::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_read_timeout(Some(EVERY / 25))?;
        let clock = clock_of(index)?;
        let mut node = Node {
            index,
            socket,
            addresses: Arc::clone(&addresses),
            // All of the cluster, whether or not they will be heard.
            fleet: Fleet::builder(clock, count)
                .max_age(Duration::from_secs(5))
                .max_round_trip(EVERY)
                .build()?,
            probes: vec![None; count],
            undecided: Arc::clone(&undecided),
        };
        nodes.push(thread::spawn(move || node.work()));
    }
    let mut as_expected = true;
    for node in nodes {
        let decision = node.join().map_err(|_| "a node panicked")??;
        as_expected &= report(&decision);
    }
    Ok(as_expected)
}

/// A clock that is off by what the table says; the liar's source does not know.
fn clock_of(index: usize) -> Result<Clock, Failure> {
    let millis = OFFSETS_MS.get(index).ok_or("no such node")?;
    let offset = TimeDelta::from_nanos(millis * 1_000_000);
    if index != LIAR {
        return Ok(Skewed::new(offset, EPSILON)?.clock()?);
    }
    // A machine that is off by 80 ms, and a source that vouches for ±8 ms of whatever it reads.
    let machine = Skewed::new(offset, offset.unsigned_abs())?.machine();
    let source = Skewed::new(TimeDelta::ZERO, EPSILON)?.source();
    let builder = Clock::builder().machine(Arc::new(machine)).source(source);
    Ok(builder.build()?)
}

struct Node {
    index: usize,
    socket: UdpSocket,
    addresses: Arc<[SocketAddr]>,
    fleet: Fleet<usize>,
    /// The latest request to each of the others.
    probes: Vec<Option<Probe>>,
    /// How many nodes have not made up their minds yet; until then all of them answer.
    undecided: Arc<AtomicUsize>,
}

/// What a node made of it.
struct Decision {
    index: usize,
    verdict: Verdict<usize>,
    stays: bool,
}

impl Node {
    fn work(&mut self) -> Result<Decision, Failure> {
        let start = Instant::now();
        let mut asked: Option<Instant> = None;
        let mut decision = None;
        while decision.is_none() || self.undecided.load(Ordering::Relaxed) > 0 {
            if start.elapsed() > PATIENCE {
                return Err(format!("node {} heard too little", self.index).into());
            }
            if decision.is_none() && asked.is_none_or(|asked| asked.elapsed() >= EVERY) {
                self.ask_all()?;
                asked = Some(Instant::now());
            }
            self.receive()?;
            if decision.is_none() {
                decision = self.decide()?;
                if decision.is_some() {
                    self.undecided.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        decision.ok_or_else(|| "no decision".into())
    }

    fn ask_all(&mut self) -> Result<(), Failure> {
        for (peer, address) in self.addresses.iter().enumerate() {
            if peer == self.index {
                continue;
            }
            // Our reading comes first, then the request.
            let probe = self.fleet.probe()?;
            self.socket.send_to(&probe.request(), address)?;
            if let Some(place) = self.probes.get_mut(peer) {
                *place = Some(probe);
            }
        }
        Ok(())
    }

    /// Answers a request, or takes note of an answer: they differ in length.
    fn receive(&mut self) -> Result<(), Failure> {
        let mut datagram = [0; 32];
        let (length, from) = match self.socket.recv_from(&mut datagram) {
            Ok(received) => received,
            Err(error) if is_timeout(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let datagram = datagram.get(..length).unwrap_or_default();
        if let Ok(request) = <[u8; 8]>::try_from(datagram) {
            let report = ClockReport::answer(request, self.fleet.clock())?;
            self.socket.send_to(&report.to_be_bytes(), from)?;
            return Ok(());
        }
        let report = ClockReport::try_from(datagram)?;
        let Some(peer) = self.addresses.iter().position(|address| *address == from) else {
            return Ok(()); // a stranger
        };
        if let Some(probe) = self.probes.get(peer).copied().flatten() {
            // A late answer, or one that took too long, does not count; another one will come.
            let _ = self.fleet.record(peer, &probe, report);
        }
        Ok(())
    }

    /// The policy: leave if it is we; stay, and refuse the writes of those who are false, if it is
    /// others. As long as not everybody was heard, wait.
    fn decide(&self) -> Result<Option<Decision>, Failure> {
        let verdict = self.fleet.verdict()?;
        let stays = match &verdict.standing {
            _ if verdict.heard < verdict.nodes => return Ok(None),
            Standing::Unheard | Standing::Undecided => return Ok(None),
            Standing::WeAreFalse { .. } => false,
            _ => true,
        };
        Ok(Some(Decision {
            index: self.index,
            verdict,
            stays,
        }))
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

/// Tells what a node decided; whether that was right.
fn report(decision: &Decision) -> bool {
    let Decision { index, stays, .. } = decision;
    let offset = OFFSETS_MS.get(*index).copied().unwrap_or_default();
    let verdict = &decision.verdict;
    let does = if *stays { "stays" } else { "leaves" };
    println!("node {index} ({offset:+} ms, claims ±{EPSILON:?}): {verdict}; {does}");
    match &verdict.standing {
        Standing::PeersFalse(peers) => {
            let named: Vec<usize> = peers.iter().map(|named| named.peer).collect();
            *index != LIAR && named == [LIAR] && *stays
        }
        Standing::WeAreFalse { .. } => *index == LIAR && !stays,
        _ => false,
    }
}
