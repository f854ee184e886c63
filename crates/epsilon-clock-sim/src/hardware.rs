//! PTP hardware clocks of nodes, and what each shows when.

use core::time::Duration;

use crate::kernel::SECOND;
use crate::network::ns;

/// How far TAI is ahead of UTC in this world, in s.
pub(crate) const TAI_AHEAD_S: i32 = 37;

/// A PTP hardware clock of a node.
///
/// While it shows the time honestly it wanders from one end of the bound that it tells to the other and back, by
/// a drift of its own, and nothing is added: a client that leaves out a term is found out.
///
/// ```
/// use epsilon_clock_sim::{HardwareClock, NodeConfig, Shows, Sources, World};
/// use std::time::Duration;
///
/// let world = World::new(3);
/// let hardware = HardwareClock {
///     turns: vec![(Duration::from_secs(60), Shows::Busy)],
///     ..HardwareClock::honest(Duration::from_micros(20))
/// };
/// let node = world.node(NodeConfig {
///     hardware: Some(hardware),
///     sources: Sources::Hardware,
///     ..NodeConfig::default()
/// });
/// let clock = node.clock()?;
/// for _ in 0..300 {
///     world.advance(Duration::from_secs(1));
///     clock.refresh_sources();
///     let now = clock.now().unwrap(); // carried on from the last reading, while it is busy
///     assert!(now.earliest() <= world.now());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareClock {
    /// The bound that it tells, and keeps while it is honest.
    pub bound: Duration,
    /// How fast it drifts within that, in ppb.
    pub drift_ppb: i64,
    /// What it counts.
    pub counts: Counts,
    /// Whether clocks take it for a judge; it is a helper otherwise.
    pub judges: bool,
    /// The longest that the device takes before its time is read, and after.
    pub slowest: Duration,
    /// What it shows, each from so long after the world began; honest time before the first.
    pub turns: Vec<(Duration, Shows)>,
}

/// What a hardware clock counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counts {
    /// UTC.
    #[default]
    Utc,
    /// TAI, and says by how much that is ahead.
    Tai,
    /// TAI, of which those who build clocks know and the device says nothing.
    TaiByWord,
}

/// What a hardware clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shows {
    /// Time that is off by no more than it says.
    Honestly,
    /// Nothing: it is busy.
    Busy,
    /// Nothing: it cannot be read.
    Failure,
    /// Honest time, and no bound on it.
    WithoutBound,
    /// Time that is further ahead than it says, by so many ns; behind, where that is negative.
    Ahead {
        /// By how much, in ns.
        by_ns: i64,
    },
}

impl HardwareClock {
    /// Describes an honest one of UTC with this bound, which judges and is read in 20 µs at most.
    #[must_use]
    pub const fn honest(bound: Duration) -> Self {
        Self {
            bound,
            drift_ppb: 1_000,
            counts: Counts::Utc,
            judges: true,
            slowest: Duration::from_micros(20),
            turns: Vec::new(),
        }
    }

    /// Returns what it shows at this instant of the world.
    pub(crate) fn shows(&self, now: i64) -> Shows {
        let mut turns = self.turns.iter().rev();
        let turn = turns.find(|(from, _)| ns(*from) <= now);
        turn.map_or(Shows::Honestly, |(_, shows)| *shows)
    }

    /// Returns how far it is ahead of what it counts, in ns: there and back within its bound, and on top of that
    /// what it lies.
    pub(crate) fn off(&self, now: i64) -> i64 {
        let bound = i128::from(ns(self.bound));
        let run = i128::from(now) * i128::from(self.drift_ppb) / i128::from(SECOND);
        let within = match bound {
            0 => 0,
            _ => (run.rem_euclid(4 * bound) - 2 * bound).abs() - bound,
        };
        let lie = match self.shows(now) {
            Shows::Ahead { by_ns } => by_ns,
            _ => 0,
        };
        i64::try_from(within).unwrap_or(0).saturating_add(lie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_from_one_end_of_its_bound_to_the_other_and_no_further() {
        let clock = HardwareClock {
            drift_ppb: -700,
            ..HardwareClock::honest(Duration::from_nanos(2_000))
        };
        let seen: Vec<_> = (0..20_000).map(|s| clock.off(s * SECOND)).collect();
        assert_eq!(seen.iter().max(), Some(&2_000));
        assert_eq!(seen.iter().min(), Some(&-2_000));
        assert!(
            seen.windows(2)
                .all(|pair| matches!(pair, [a, b] if a.abs_diff(*b) <= 701))
        );
    }
}
