//! A clock that lies, found out and named by the others: five nodes over loopback UDP.
//!
//! `cargo run --release --example fleet`
//!
//! Each node has a clock that is wrong by some milliseconds and knows to within how many; all but one,
//! whose time server lies by ten times what it claims. A node that is told that its own clock stands
//! against a majority leaves the cluster; the others stay, and know whose writes to refuse. It needs no
//! daemon: `Skewed` clocks take the machine's own time for UTC and shift it.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::fleet::{ClockReport, Probe, Standing, Verdict};
use epsilon_clock::testing::Skewed;
use epsilon_clock::{Clock, Fleet, TimeDelta};

mod support;

use support::{Fault, Options, Output, loopback};

const USAGE: &str = "\
Finds the one of five nodes whose clock is further off than it claims.

Usage: fleet

Exit codes: 0 if all honest nodes name the liar alone and stay, and the liar leaves; 1 otherwise.";

/// By how many milliseconds each node's clock is wrong; all claim to be right within `EPSILON`.
const OFFSETS_MS: [i64; 5] = [4, -6, 80, 2, -3];
const LIAR: usize = 2;
const EPSILON: Duration = Duration::from_millis(8);

/// How often a node asks each of the others, and how long it waits for an answer: a slow one would
/// hide as much of a lie.
const EVERY: Duration = Duration::from_millis(50);

/// How long a node may take to make up its mind.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    support::run(USAGE, play)
}

fn play(_: &Options, out: &mut Output) -> Result<bool, Fault> {
    let count = OFFSETS_MS.len();
    let (sockets, addresses) = loopback::sockets(count)?;
    let undecided = Arc::new(AtomicUsize::new(count));
    let mut nodes = Vec::new();
    for ((index, offset), socket) in (0..).zip(OFFSETS_MS).zip(sockets) {
        // All of the cluster, whether or not they will be heard.
        let fleet = Fleet::builder(clock(index, offset)?, count)
            .max_age(Duration::from_secs(5))
            .max_round_trip(EVERY)
            .build()?;
        let (peers, undecided) = (Arc::clone(&addresses), Arc::clone(&undecided));
        nodes.push(thread::spawn(move || {
            work(index, fleet, &socket, &peers, &undecided)
        }));
    }
    let mut as_expected = true;
    for ((index, offset), node) in (0..).zip(OFFSETS_MS).zip(nodes) {
        let verdict = node.join().map_err(|_| "a node panicked")??;
        // The policy: leave if it is we; stay, and refuse the writes of those who are false, if not.
        let (does, right) = match &verdict.standing {
            Standing::WeAreFalse { .. } => ("leaves", index == LIAR),
            Standing::PeersFalse(named) => {
                let named: Vec<usize> = named.iter().map(|named| named.peer).collect();
                ("stays", index != LIAR && named == [LIAR])
            }
            _ => ("stays", false),
        };
        writeln!(
            out,
            "node {index} ({offset:+} ms, claims ±{EPSILON:?}): {verdict}; {does}"
        )?;
        as_expected &= right;
    }
    Ok(as_expected)
}

/// A clock that is off by so much; the liar's source does not know.
fn clock(index: usize, offset_ms: i64) -> Result<Clock, Fault> {
    let offset = TimeDelta::from_nanos(offset_ms * 1_000_000);
    if index != LIAR {
        return Ok(Skewed::new(offset, EPSILON)?.clock()?);
    }
    // A machine that is off by 80 ms, and a source that vouches for ±8 ms of whatever it reads.
    let machine = Skewed::new(offset, offset.unsigned_abs())?.machine();
    let source = Skewed::new(TimeDelta::ZERO, EPSILON)?.source();
    let builder = Clock::builder().machine(Arc::new(machine)).source(source);
    Ok(builder.build()?)
}

/// One node: asks the others and answers them, until all have made up their minds.
fn work(
    index: usize,
    mut fleet: Fleet<usize>,
    socket: &UdpSocket,
    peers: &[SocketAddr],
    undecided: &AtomicUsize,
) -> Result<Verdict<usize>, Fault> {
    let start = Instant::now();
    let mut probes: Vec<Option<Probe>> = vec![None; peers.len()];
    let mut asked: Option<Instant> = None;
    let mut decided = None;
    while decided.is_none() || undecided.load(Ordering::Relaxed) > 0 {
        if start.elapsed() > PATIENCE {
            return Err(format!("node {index} heard too little").into());
        }
        if decided.is_none() && asked.is_none_or(|asked| asked.elapsed() >= EVERY) {
            asked = Some(Instant::now());
            for ((peer, address), place) in (0..).zip(peers).zip(&mut probes) {
                if peer != index {
                    // Our reading comes first, then the request.
                    let probe = place.insert(fleet.probe()?);
                    socket.send_to(&probe.request(), address)?;
                }
            }
        }
        let mut datagram = [0; 32];
        match loopback::receive(socket, EVERY / 25, &mut datagram)? {
            // A request is eight bytes long, and an answer 24.
            Some((8, from)) => {
                let (request, _) = datagram.split_at(8);
                let report = ClockReport::answer(request.try_into()?, fleet.clock())?;
                socket.send_to(&report.to_be_bytes(), from)?;
            }
            Some((length, from)) => {
                let report = ClockReport::try_from(datagram.get(..length).unwrap_or_default())?;
                let peer = peers.iter().position(|address| *address == from);
                let probe = peer.and_then(|peer| Some((peer, (*probes.get(peer)?)?)));
                // A late answer, or one that took too long, does not count; another one will come.
                let _ = probe.map(|(peer, probe)| fleet.record(peer, &probe, report));
            }
            None => {}
        }
        let verdict = fleet.verdict()?;
        let open = matches!(verdict.standing, Standing::Unheard | Standing::Undecided);
        if decided.is_none() && verdict.heard == verdict.nodes && !open {
            decided = Some(verdict);
            undecided.fetch_sub(1, Ordering::Relaxed);
        }
    }
    decided.ok_or_else(|| "no decision".into())
}
