//! Effects before their causes, and how to avoid them: nodes with wrong clocks, over loopback UDP.
//!
//! `cargo run --release --example causality`
//!
//! Four nodes write orders to each other, and whichever receives one replies: an order is a cause, its
//! reply the effect. Each line of their logs has two times: what the node's clock said, and the stamp
//! of its hybrid logical clock. The logs are merged once by either. It needs no daemon: `Skewed` clocks
//! take the machine's own time for UTC and shift it.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use epsilon_clock::testing::Skewed;
use epsilon_clock::{HlcTimestamp, HybridClock, RemoteTimestamp, TimeDelta, Timestamp};

mod support;

use support::{Fault, Options, Output, loopback};

const USAGE: &str = "\
Merges the logs of nodes with wrong clocks, by wall clock and by hybrid logical stamp.

Usage: causality

Exit codes: 0 if only the log by wall clock shows effects before their causes; 1 otherwise.";

/// By how many milliseconds each node's clock is wrong; all know it to within `EPSILON`.
const OFFSETS_MS: [i64; 4] = [20, -20, 7, -3];
const EPSILON: Duration = Duration::from_millis(25);

/// How many orders each node writes.
const ORDERS: u32 = 200;

/// How long a node waits for another message before it takes the exchange for over.
const QUIET: Duration = Duration::from_millis(500);

/// One line of a log: an order has a number, and its reply the same one.
struct Entry {
    order: u64,
    is_reply: bool,
    wall: Timestamp,
    stamp: HlcTimestamp,
}

impl Entry {
    fn new(hlc: &HybridClock, order: u64, is_reply: bool, stamp: HlcTimestamp) -> Self {
        let wall = hlc.clock().read().estimate;
        Self {
            order,
            is_reply,
            wall,
            stamp,
        }
    }
}

fn main() -> ExitCode {
    support::run(USAGE, play)
}

fn play(_: &Options, out: &mut Output) -> Result<bool, Fault> {
    let (sockets, addresses) = loopback::sockets(OFFSETS_MS.len())?;
    let mut nodes = Vec::new();
    for ((index, offset), socket) in (0..).zip(OFFSETS_MS).zip(sockets) {
        let offset = TimeDelta::from_nanos(offset * 1_000_000);
        let hlc = HybridClock::new(Skewed::new(offset, EPSILON)?.clock()?);
        let peers = Arc::clone(&addresses);
        nodes.push(thread::spawn(move || work(index, &hlc, &socket, &peers)));
    }
    let mut log = Vec::new();
    for node in nodes {
        log.extend(node.join().map_err(|_| "a node panicked")??);
    }
    let replies = log.iter().filter(|entry| entry.is_reply).count();
    writeln!(
        out,
        "{} events on nodes whose clocks are wrong by {OFFSETS_MS:?} ms; {replies} have a cause",
        log.len(),
    )?;
    let wrong = "effects before their causes";
    log.sort_by_key(|entry| entry.wall);
    let by_wall = effects_before_causes(&log);
    writeln!(out, "merged by wall clock: {by_wall} {wrong}")?;
    log.sort_by_key(|entry| entry.stamp);
    let by_stamp = effects_before_causes(&log);
    writeln!(out, "merged by HLC:        {by_stamp} {wrong}")?;
    // Loopback loses next to nothing; without replies there is nothing to see.
    Ok(replies > log.len() / 4 && by_wall > 0 && by_stamp == 0)
}

/// One node: writes orders and replies to those of others, until nothing comes any more.
fn work(
    index: u64,
    hlc: &HybridClock,
    socket: &UdpSocket,
    peers: &[SocketAddr],
) -> Result<Vec<Entry>, Fault> {
    let mut log = Vec::new();
    let mut orders = 0;
    // Any other node, each in its turn.
    let mut others = (0..).zip(peers).filter(|(peer, _)| *peer != index).cycle();
    loop {
        let more = orders < ORDERS;
        let pause = if more { QUIET / 500 } else { QUIET };
        let mut datagram = [0; 17];
        match loopback::receive(socket, pause, &mut datagram)? {
            Some((_, from)) => {
                let (order, stamp) = datagram.split_at(8);
                let (stamp, kind) = stamp.split_at(8);
                let order = u64::from_be_bytes(order.try_into()?);
                // The receive event. Everything stamped from now on is above what was received.
                let stamp = hlc.observe(RemoteTimestamp::try_from(stamp)?)?;
                if kind == b"?" {
                    log.push(Entry::new(hlc, order, true, stamp));
                    socket.send_to(&message(order, stamp, b'!'), from)?;
                }
            }
            None if !more => return Ok(log),
            None => {}
        }
        if more {
            orders += 1;
            let order = index << 32 | u64::from(orders);
            let stamp = hlc.tick()?;
            log.push(Entry::new(hlc, order, false, stamp));
            let (_, peer) = others.next().ok_or("a node alone")?;
            socket.send_to(&message(order, stamp, b'?'), peer)?;
        }
    }
}

fn message(order: u64, stamp: HlcTimestamp, kind: u8) -> Vec<u8> {
    [&order.to_be_bytes()[..], &stamp.to_be_bytes(), &[kind]].concat()
}

/// How many replies stand in the log before the order that they reply to.
fn effects_before_causes(log: &[Entry]) -> usize {
    let orders = (0..).zip(log).filter(|(_, entry)| !entry.is_reply);
    let places: HashMap<u64, usize> = orders.map(|(place, entry)| (entry.order, place)).collect();
    let replies = (0..).zip(log).filter(|(_, entry)| entry.is_reply);
    let early = |(place, entry): &(usize, &Entry)| {
        places.get(&entry.order).is_some_and(|cause| cause > place)
    };
    replies.filter(early).count()
}
