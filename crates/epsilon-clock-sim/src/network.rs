//! Time servers, and the network between them and a node.

use core::time::Duration;

use crate::random::Random;

/// A time server as a node's daemon knows it.
///
/// ```
/// use epsilon_clock_sim::Server;
/// use std::time::Duration;
///
/// let near = Server::near();
/// let far = Server { loss_per_million: 100_000, ..Server::far() };
/// assert!(far.forward > near.forward);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// How far its clock is ahead of UTC, in ns.
    pub ahead_ns: i64,
    /// What it announces as its own root distance; an honest one is no further off than this.
    pub root_distance: Duration,
    /// The shortest that a request takes to get there.
    pub forward: Duration,
    /// The shortest that its answer takes to come back.
    pub back: Duration,
    /// What queues add each way, on average: mostly less, sometimes far more.
    pub jitter: Duration,
    /// How many exchanges in a million are lost.
    pub loss_per_million: u32,
}

impl Server {
    /// One in the same hall: 100 µs each way.
    #[must_use]
    pub const fn near() -> Self {
        Self {
            ahead_ns: 20_000,
            root_distance: Duration::from_micros(100),
            forward: Duration::from_micros(100),
            back: Duration::from_micros(100),
            jitter: Duration::from_micros(20),
            loss_per_million: 1_000,
        }
    }

    /// One across a continent: 20 ms each way, and some loss.
    #[must_use]
    pub const fn far() -> Self {
        Self {
            ahead_ns: -300_000,
            root_distance: Duration::from_millis(1),
            forward: Duration::from_millis(20),
            back: Duration::from_millis(20),
            jitter: Duration::from_millis(1),
            loss_per_million: 20_000,
        }
    }

    /// An honest one that is 72 ms off for whoever asks it: all of its 145 ms of delay are on the
    /// way there, and it says so by the root delay that results.
    #[must_use]
    pub const fn lopsided() -> Self {
        Self {
            ahead_ns: 0,
            root_distance: Duration::from_micros(500),
            forward: Duration::from_millis(145),
            back: Duration::from_micros(500),
            jitter: Duration::from_micros(100),
            loss_per_million: 5_000,
        }
    }

    /// Whether its clock is no further off than it says.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        u128::from(self.ahead_ns.unsigned_abs()) <= self.root_distance.as_nanos()
    }

    /// The delays there and back of the next exchange, in ns; `None` if it is lost.
    pub(crate) fn exchange(&self, random: &mut Random) -> Option<(i64, i64)> {
        if random.chance(self.loss_per_million) {
            return None;
        }
        let jitter = ns(self.jitter);
        let there = ns(self.forward) + random.tailed(jitter);
        let back = ns(self.back) + random.tailed(jitter);
        Some((there, back))
    }
}

/// A span in ns; 292 years at most.
pub(crate) fn ns(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
