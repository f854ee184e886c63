//! NTP servers in the world, and what each serves when.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::network::{Server, ns};

/// An NTP server that nodes ask themselves.
///
/// Where it is honest its clock is as far off as it says, now one way and now the other, and nothing is
/// added: a client that leaves out a term is found out.
///
/// ```
/// use epsilon_clock_sim::{NodeConfig, Serves, Server, Sources, TimeServer, World};
/// use std::time::Duration;
///
/// let world = World::new(7);
/// let lies = Serves::Ahead { by_ns: 200_000_000 };
/// for turns in [vec![], vec![], vec![(Duration::from_secs(60), lies)]] {
///     let _address = world.time_server(TimeServer { turns, ..TimeServer::honest(Server::far()) });
/// }
/// let node = world.node(NodeConfig { sources: Sources::Ntp, ..NodeConfig::default() });
/// let clock = node.clock()?;
/// for _ in 0..300 {
///     world.advance(Duration::from_secs(1));
///     clock.refresh_sources();
///     if let Ok(now) = clock.now() {
///         assert!(now.earliest() <= world.now());
///     }
/// }
/// assert!(clock.now().is_ok()); // one of three may lie
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeServer {
    /// The way to it, and its root distance; `ahead_ns` of it does not count.
    pub path: Server,
    /// What it does, each from so long after the world began; honest before the first.
    pub turns: Vec<(Duration, Serves)>,
    /// How often a clock asks it at most.
    pub interval: Duration,
    /// How many replies in a million come twice, or behind a copy of the one before.
    pub duplicates_per_million: u32,
    /// In how many replies in a million its clock was set between receiving and answering; what it
    /// says when it answers is as true as ever.
    pub jumps_per_million: u32,
}

/// What a server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serves {
    /// Time that is off by no more than it says.
    Honestly,
    /// Time that is further ahead than it says, by so many ns; behind, where that is negative.
    Ahead {
        /// By how much, in ns.
        by_ns: i64,
    },
    /// Time that runs off from the beginning of this turn on.
    Drifting {
        /// How fast, in ppb.
        ppb: i64,
    },
    /// Nothing at all.
    Nothing,
    /// No time, but a message of four letters.
    Kiss([u8; 4]),
    /// Honest time with a leap indicator that is made up.
    Announcing(u8),
    /// Honest time that it says to have had the request for so much longer, in ns.
    Holding {
        /// By how much, in ns.
        more_ns: i64,
    },
    /// Time that takes the leap second so late.
    LeapingLate {
        /// By how much.
        by: Duration,
    },
}

impl TimeServer {
    /// An honest one at the end of this path.
    #[must_use]
    pub const fn honest(path: Server) -> Self {
        Self {
            path,
            turns: Vec::new(),
            interval: Duration::from_secs(4),
            duplicates_per_million: 0,
            jumps_per_million: 0,
        }
    }

    /// What it serves at this instant of the world, and since when.
    pub(crate) fn serves(&self, now: i64) -> (Serves, i64) {
        let mut turns = self.turns.iter().rev();
        let turn = turns.find(|(from, _)| ns(*from) <= now);
        turn.map_or((Serves::Honestly, 0), |(from, serves)| (*serves, ns(*from)))
    }
}

/// The address of the server of this number.
pub(crate) fn address(index: usize) -> SocketAddr {
    let host = u8::try_from(index).map_or(u8::MAX, |index| index.saturating_add(1));
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 123)
}
