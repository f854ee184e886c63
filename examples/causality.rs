//! Effects before their causes, and how to avoid them: nodes with wrong clocks, over loopback UDP.
//!
//! `cargo run --release --example causality`
//!
//! Four nodes, each a thread with a socket and a clock of its own that is wrong by some milliseconds
//! and knows to within how many. They write orders, and whoever receives one replies to it: an order
//! is the cause, its reply the effect. Each node keeps a log, with two times for each line: what its
//! clock said, and the stamp of its hybrid logical clock. Then the logs are merged, once by either.
//!
//! Ends with 0 only if the log by wall clock shows effects before their causes and the one by stamp
//! shows none, and with 1 otherwise. It needs no daemon: `Skewed` clocks take the machine's own time
//! for UTC and shift it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints what it found"
)]

use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use epsilon_clock::testing::Skewed;
use epsilon_clock::{HlcTimestamp, HybridClock, RemoteTimestamp, TimeDelta, Timestamp};

type Fault = Box<dyn Error + Send + Sync>;

/// By how many milliseconds each node's clock is wrong.
const OFFSETS_MS: [i64; 4] = [20, -20, 7, -3];

/// What each of them knows about that: within so much.
const EPSILON: Duration = Duration::from_millis(25);

/// How many orders each node writes.
const ORDERS: u32 = 200;

/// How long a node waits for another message before it takes the exchange for over.
const QUIET: Duration = Duration::from_millis(500);

/// A message: who wrote it, its number there, and the stamp of the sending. Sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Id {
    node: u32,
    number: u32,
}

/// One line of a log.
struct Entry {
    id: Id,
    /// The message that this one replies to.
    cause: Option<Id>,
    wall: Timestamp,
    stamp: HlcTimestamp,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("causality: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Fault> {
    let sockets: Vec<UdpSocket> = OFFSETS_MS
        .iter()
        .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let addresses: Arc<[SocketAddr]> = sockets
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<_, _>>()?;
    let together = Arc::new(Barrier::new(sockets.len()));
    let mut nodes = Vec::new();
    for ((index, offset), socket) in (0..).zip(OFFSETS_MS).zip(sockets) {
        let (addresses, together) = (Arc::clone(&addresses), Arc::clone(&together));
        // Made here, so that no node waits in vain for one that could not start.
        let offset = TimeDelta::from_nanos(offset * 1_000_000);
        let clock = Skewed::new(offset, EPSILON)?.clock()?;
        let node = Node {
            index,
            socket,
            addresses,
            hlc: HybridClock::new(clock),
            log: Vec::new(),
            written: 0,
        };
        nodes.push(thread::spawn(move || {
            together.wait();
            node.work()
        }));
    }
    let mut logs = Vec::new();
    for node in nodes {
        let log = node.join().map_err(|_| "a node panicked")??;
        logs.extend(log);
    }
    Ok(report(&logs))
}

struct Node {
    index: u32,
    socket: UdpSocket,
    addresses: Arc<[SocketAddr]>,
    hlc: HybridClock,
    log: Vec<Entry>,
    written: u32,
}

impl Node {
    /// Writes orders and replies to those of others, until nothing comes any more.
    fn work(mut self) -> Result<Vec<Entry>, Fault> {
        let mut orders = 0;
        loop {
            let pause = if orders < ORDERS {
                Duration::from_millis(1)
            } else {
                QUIET
            };
            self.socket.set_read_timeout(Some(pause))?;
            let mut datagram = [0; 64];
            match self.socket.recv_from(&mut datagram) {
                Ok((length, _)) => self.receive(datagram.get(..length).unwrap_or_default())?,
                Err(error) if is_timeout(&error) && orders == ORDERS => return Ok(self.log),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
            if orders < ORDERS {
                orders += 1;
                let peer = self.peer(orders);
                let stamp = self.hlc.tick()?;
                self.write(None, stamp, peer)?;
            }
        }
    }

    /// Any other node, each in its turn.
    fn peer(&self, turn: u32) -> u32 {
        let count = u32::try_from(self.addresses.len()).unwrap_or(1);
        (self.index + 1 + turn % (count - 1)) % count
    }

    /// An order is replied to, and a reply is only taken note of.
    fn receive(&mut self, datagram: &[u8]) -> Result<(), Fault> {
        let (head, tail) = datagram.split_at_checked(8).ok_or("a short datagram")?;
        let head = u64::from_be_bytes(head.try_into()?);
        let (stamp, kind) = tail.split_at_checked(8).ok_or("a short datagram")?;
        let remote = RemoteTimestamp::try_from(stamp)?;
        let cause = Id {
            node: u32::try_from(head >> 32)?,
            number: u32::try_from(head & 0xffff_ffff)?,
        };
        // The receive event. Everything stamped from now on is above what was received.
        let received = self.hlc.observe(remote)?;
        if kind == b"order" {
            self.write(Some(cause), received, cause.node)?;
        }
        Ok(())
    }

    /// Logs an event and sends it to a peer, with its stamp.
    fn write(&mut self, cause: Option<Id>, stamp: HlcTimestamp, peer: u32) -> Result<(), Fault> {
        let id = Id {
            node: self.index,
            number: self.written,
        };
        self.written += 1;
        self.log.push(Entry {
            id,
            cause,
            wall: self.hlc.clock().read().estimate,
            stamp,
        });
        let mut datagram = Vec::with_capacity(24);
        let head = (u64::from(id.node) << 32) | u64::from(id.number);
        datagram.extend(head.to_be_bytes());
        datagram.extend(stamp.to_be_bytes());
        datagram.extend(if cause.is_none() { b"order" } else { b"reply" });
        let address = self.addresses.get(peer as usize).ok_or("no such node")?;
        self.socket.send_to(&datagram, address)?;
        Ok(())
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

/// Merges the logs both ways; whether the one fails and the other does not.
fn report(logs: &[Entry]) -> bool {
    let effects = logs.iter().filter(|entry| entry.cause.is_some()).count();
    // Ties are broken by the node and its own count, in both alike.
    let tie = |entry: &Entry| (entry.id.node, entry.id.number);
    let by_wall = merged(logs, |entry| (entry.wall, tie(entry)));
    let by_stamp = merged(logs, |entry| (entry.stamp, tie(entry)));
    println!(
        "{} events on {} nodes, whose clocks are wrong by {OFFSETS_MS:?} ms; {effects} have a cause",
        logs.len(),
        OFFSETS_MS.len(),
    );
    let wall = effects_before_causes(&by_wall);
    let stamp = effects_before_causes(&by_stamp);
    println!(
        "merged by wall clock: {} effects before their causes",
        wall.len()
    );
    if let Some((cause, effect)) = wall.first() {
        println!("  reply {} was written {}", name(effect), effect.wall);
        println!("  order {} was written {}", name(cause), cause.wall);
    }
    println!(
        "merged by HLC:        {} effects before their causes",
        stamp.len()
    );
    if let Some((cause, effect)) = wall.first() {
        println!("  order {} has the stamp {}", name(cause), cause.stamp);
        println!("  reply {} has the stamp {}", name(effect), effect.stamp);
    }
    // Loopback loses next to nothing; without causes and effects there is nothing to see.
    let enough = effects > logs.len() / 4;
    if !enough {
        println!("too few replies arrived to tell");
    }
    enough && !wall.is_empty() && stamp.is_empty()
}

fn merged<K: Ord>(logs: &[Entry], key: impl Fn(&Entry) -> K) -> Vec<&Entry> {
    let mut merged: Vec<&Entry> = logs.iter().collect();
    merged.sort_by_key(|entry| key(entry));
    merged
}

/// The pairs of cause and effect that stand in the log the wrong way round.
fn effects_before_causes<'a>(log: &[&'a Entry]) -> Vec<(&'a Entry, &'a Entry)> {
    let places: HashMap<Id, usize> = (0..)
        .zip(log)
        .map(|(place, entry)| (entry.id, place))
        .collect();
    let mut wrong = Vec::new();
    for (place, effect) in (0..).zip(log) {
        let cause = effect.cause.and_then(|cause| places.get(&cause).copied());
        if let Some(cause) = cause.filter(|cause| *cause > place) {
            wrong.extend(log.get(cause).map(|cause| (*cause, *effect)));
        }
    }
    wrong
}

fn name(entry: &Entry) -> String {
    format!("{} of node {}", entry.id.number, entry.id.node)
}
