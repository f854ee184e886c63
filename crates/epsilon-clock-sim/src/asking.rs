//! How nodes ask the world's NTP servers, and what these answer.

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::hub::{Core, Hub};
use crate::kernel::{Kernel, SECOND};
use crate::network::ns;
use crate::timeserver::{Serves, address};
use epsilon_clock::Timestamp;
use epsilon_clock::source::ntp::{Budget, Channel, Reply, Stamp, Transport};
use epsilon_clock::time::LeapKind;

/// For how long before its midnight a leap second is announced, in ns.
const ANNOUNCED: i64 = 86_400 * SECOND;

/// How long a server has a request before it answers, in ns.
const HELD: (i64, i64) = (1_000, 100_000);

/// The most that a server's clock is set by between receiving a request and answering it, in ns.
const JUMP: i64 = 2 * SECOND;

/// The way from one node to all servers; what it may still ask is the node's, whatever clock asks.
#[derive(Debug)]
pub(crate) struct SimulatedServers {
    pub(crate) hub: Arc<Hub>,
    pub(crate) node: usize,
    pub(crate) budget: Arc<Budget>,
}

impl Transport for SimulatedServers {
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        let core = self.hub.lock();
        let index = (0..core.time_servers.len()).find(|index| address(*index) == server);
        Ok(Box::new(Line {
            hub: Arc::clone(&self.hub),
            node: self.node,
            server: index.ok_or(io::ErrorKind::HostUnreachable)?,
            request: None,
            arrived: VecDeque::new(),
            sets: core.kernel_of(self.node).map(Kernel::sets),
            stamp: None,
        }))
    }

    fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn random_bits(&self) -> io::Result<u64> {
        Ok(self.hub.lock().random.next_u64())
    }
}

/// One request's way there and back.
#[derive(Debug)]
struct Line {
    hub: Arc<Hub>,
    node: usize,
    server: usize,
    request: Option<Vec<u8>>,
    /// Datagrams that came before the one that is waited for.
    arrived: VecDeque<Vec<u8>>,
    /// How often real time had been set when the channel was opened.
    sets: Option<u64>,
    /// Real time when the answer came in, however late it is read.
    stamp: Option<i64>,
}

impl Channel for Line {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.request = Some(datagram.to_vec());
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let deadline = self.hub.lock().now.saturating_add(ns(patience));
        let datagram = match self.arrived.pop_front() {
            Some(datagram) => Some(datagram),
            None => self
                .request
                .take()
                .and_then(|request| self.answer(&request)),
        };
        let mut core = self.hub.lock();
        let Some(datagram) = datagram.filter(|_| core.now <= deadline) else {
            let to = deadline.max(core.now);
            core.advance(to);
            core.wait_while_busy(self.node);
            return Err(io::ErrorKind::WouldBlock.into());
        };
        for (place, byte) in buffer.iter_mut().zip(&datagram) {
            *place = *byte;
        }
        Ok(datagram.len().min(buffer.len()))
    }

    fn arrived(&mut self) -> Option<Timestamp> {
        let core = self.hub.lock();
        let unset = core.kernel_of(self.node).map(Kernel::sets) == self.sets;
        self.stamp.filter(|_| unset).map(Timestamp::from_unix_nanos)
    }
}

impl Line {
    /// Lets the request go there, be answered and come back; what arrives first.
    fn answer(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let mut core = self.hub.lock();
        let server = core.time_servers.get(self.server)?.clone();
        let (there, back) = server.path.exchange(&mut core.random)?;
        let to = core.now.saturating_add(there);
        core.advance(to);
        let (serves, since) = server.serves(core.now);
        if serves == Serves::Nothing {
            return None;
        }
        let distance = ns(server.path.root_distance);
        // As far off as it says, half of the time.
        let off = match core.random.between(0, 4) {
            0 => distance,
            1 => -distance,
            _ => core.random.between(-distance, distance + 1),
        };
        let jump = if core.random.chance(server.jumps_per_million) {
            core.random.between(-JUMP, JUMP)
        } else {
            0
        };
        let more = match serves {
            Serves::Holding { more_ns } => more_ns,
            _ => 0,
        };
        let received = time_of(&core, serves, since) + off + jump - more;
        let held = core.random.between(HELD.0, HELD.1);
        let to = core.now.saturating_add(held);
        core.advance(to);
        let sent = time_of(&core, serves, since) + off;
        let stamp = |at: i64| Stamp::at(Timestamp::from_unix_nanos(at));
        let mut reply = Reply {
            leap: announced(&core),
            stratum: 2,
            precision: -29,
            root_delay: 0,
            // In units of 2⁻¹⁶ s, rounded down, and never 0, which would be OpenNTPD's.
            root_dispersion: units(distance).max(1),
            reference_id: 0xc000_0263,
            reference: stamp(sent.min(received) - 1),
            received: stamp(received),
            sent: stamp(sent),
            ..Reply::default()
        };
        match serves {
            Serves::Kiss(code) => {
                reply.stratum = 0;
                reply.reference_id = u32::from_be_bytes(code);
            }
            Serves::Announcing(leap) => reply.leap = leap,
            _ => {}
        }
        let datagram = reply.answer(request)?.to_vec();
        let to = core.now.saturating_add(back);
        core.advance(to);
        let now = core.now;
        self.stamp = core.kernel_of(self.node).map(|kernel| kernel.real(now));
        core.wait_while_busy(self.node);
        if core.random.chance(server.duplicates_per_million) {
            self.arrived.push_back(datagram.clone());
            // A copy of a reply to another request, which is none to this one.
            let mut stale = datagram.clone();
            if let Some(byte) = stale.get_mut(24) {
                *byte ^= 0x55;
            }
            self.arrived.push_back(datagram);
            return Some(stale);
        }
        Some(datagram)
    }
}

/// What a server takes for UTC, before what it is off.
fn time_of(core: &Core, serves: Serves, since: i64) -> i64 {
    let now = core.now;
    match serves {
        Serves::Ahead { by_ns } => core.axis.stepped(now).saturating_add(by_ns),
        Serves::Drifting { ppb } => {
            let run_off = i128::from(now - since) * i128::from(ppb) / 1_000_000_000;
            let run_off = i64::try_from(run_off).unwrap_or(0);
            core.axis.stepped(now).saturating_add(run_off)
        }
        Serves::LeapingLate { by } => match core.axis.since_leap(now) {
            Some(since) if (-SECOND..ns(by)).contains(&since) => {
                core.axis.start.saturating_add(now)
            }
            _ => core.axis.stepped(now),
        },
        _ => core.axis.stepped(now),
    }
}

/// The leap indicator of all servers that know better.
fn announced(core: &Core) -> u8 {
    let due = core.axis.since_leap(core.now);
    let kind = core.axis.leap.map(|leap| leap.kind);
    match kind.filter(|_| due.is_some_and(|since| (-ANNOUNCED..0).contains(&since))) {
        None => 0,
        Some(LeapKind::Inserted) => 1,
        Some(LeapKind::Deleted) => 2,
    }
}

fn units(span: i64) -> u32 {
    let units = (i128::from(span) << 16) / i128::from(SECOND);
    u32::try_from(units).unwrap_or(u32::MAX)
}
