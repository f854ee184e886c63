//! The world: true time, the nodes in it, and everything that is going to happen.

use core::cmp::Reverse;
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::axis::Axis;
use crate::config::NodeConfig;
use crate::fault::Fault;
use crate::hub::{Event, Hub, Mark, Preemption};
use crate::kernel::SECOND;
use crate::network::ns;
use crate::node::Node;
use crate::random::Random;
use crate::timeserver::{self, TimeServer};
use epsilon_clock::Timestamp;
use epsilon_clock::time::LeapSecond;

/// A world in which true time is known.
///
/// Time goes by only when it is spent: each read of a node's clocks takes some tens of
/// nanoseconds, and [`advance`](Self::advance) lets as much pass as one likes. Nothing sleeps, so a
/// simulated day takes less than a second. As long as one thread uses a world, the same seed and the
/// same calls give the same readings, bit for bit.
///
/// ```
/// use epsilon_clock_sim::{Daemon, NodeConfig, Server, World};
/// use std::time::Duration;
///
/// let world = World::new(42);
/// let node = world.node(NodeConfig::with_daemon(Daemon::chrony(Server::near())));
/// let clock = node.clock()?;
/// world.advance(Duration::from_secs(60));
/// let before = world.now();
/// let now = clock.now()?;
/// assert!(now.earliest() <= world.now() && before <= now.latest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct World {
    hub: Arc<Hub>,
    seed: u64,
}

impl World {
    /// Creates the world of this seed; it begins in 2026, far from any leap second.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Some time of the day on 2026-03-01, another one for each seed.
        let day = 1_772_323_200 * SECOND;
        let within = Random::new(!seed).between(2 * 3600 * SECOND, 20 * 3600 * SECOND);
        Self::starting_at(seed, Timestamp::from_unix_nanos(day + within), None)
    }

    /// Creates a world that begins at `start`, with a leap second in its time, or none.
    #[must_use]
    pub fn starting_at(seed: u64, start: Timestamp, leap: Option<LeapSecond>) -> Self {
        let axis = Axis {
            start: start.unix_nanos(),
            leap,
        };
        Self {
            hub: Arc::new(Hub::new(axis, Random::new(seed))),
            seed,
        }
    }

    /// Returns the seed that the world was made from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a node.
    #[must_use]
    pub fn node(&self, config: NodeConfig) -> Node {
        let mut core = self.hub.lock();
        let index = core.add(config);
        drop(core);
        Node::new(Arc::clone(&self.hub), index)
    }

    /// Adds an NTP server, which the nodes' clocks ask that do ([`Sources::Ntp`](crate::Sources::Ntp));
    /// returns its address.
    #[must_use]
    pub fn time_server(&self, server: TimeServer) -> SocketAddr {
        let mut core = self.hub.lock();
        core.time_servers.push(server);
        timeserver::address(core.time_servers.len() - 1)
    }

    /// Returns true UTC now, on the monotone axis of every [`Timestamp`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let core = self.hub.lock();
        Timestamp::from_unix_nanos(core.axis.monotone(core.now))
    }

    /// Returns how much true time went by since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.hub.lock().now.unsigned_abs())
    }

    /// Lets true time go by, with everything that happens in it.
    pub fn advance(&self, span: Duration) {
        let mut core = self.hub.lock();
        let to = core.now.saturating_add(ns(span));
        core.advance(to);
    }

    /// Lets something happen to a node so long from now.
    pub fn schedule(&self, after: Duration, node: &Node, fault: Fault) {
        let mut core = self.hub.lock();
        let at = core.now.saturating_add(ns(after));
        core.plan(at, node.index(), Event::Fault(fault));
    }

    /// Sets how the threads that read clocks are interrupted from now on; not at all by default.
    pub fn set_preemption(&self, preemption: Preemption) {
        self.hub.lock().preemption = preemption;
    }

    /// Returns how long until the next fault, or the next answer that makes a daemon write.
    #[must_use]
    pub fn next_happening(&self) -> Option<Duration> {
        let core = self.hub.lock();
        let Reverse(at) = core.notables.peek()?;
        Some(Duration::from_nanos(
            at.saturating_sub(core.now).max(0).unsigned_abs(),
        ))
    }

    /// Counts the writes of daemons said to be honest that were below what A2 allows, with the most
    /// that one was: a scenario that calls itself honest must leave this at zero.
    #[must_use]
    pub fn short_writes(&self) -> (u64, Duration) {
        let core = self.hub.lock();
        let worst = Duration::from_nanos(core.shortest_by_ns.unsigned_abs());
        (core.short_writes, worst)
    }

    /// Counts the bounds that daemons wrote so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.hub.lock().writes
    }

    /// Lists the last faults and writes, one a line, the latest last.
    #[must_use]
    pub fn log(&self) -> String {
        self.hub.lock().log()
    }

    pub(crate) fn mark(&self) -> Mark {
        self.hub.lock().mark(usize::MAX)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Hooks hold clocks, which hold the machine, which holds this.
        self.hub.hooks().hooks.clear();
    }
}
