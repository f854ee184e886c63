//! Scenarios: what the campaign puts clocks through, and what it expects of them.

use core::time::Duration;

use crate::config::NodeConfig;
use crate::daemon::Daemon;
use crate::fault::{Fault, Notice, Wake};
use crate::hub::Preemption;
use crate::kernel::{DAY_SECS, SECOND};
use crate::network::Server;
use crate::node::Node;
use crate::oscillator::Oscillator;
use crate::random::{Random, mix};
use crate::world::World;
use epsilon_clock::clock::ClockBuilder;
use epsilon_clock::time::{LeapKind, LeapSecond, Timestamp};

mod all;
mod counters;
mod daemons;
mod forecasts;
mod hardware;
mod leaps;
mod machines;
mod oscillators;
mod servers;
mod sources;

/// Why a clock refuses under steps by another hand, whatever its daemon.
const SETTLING: &str =
    "a step out of the interval is one's own fault or the stepper's, until it is settled";

/// What a scenario expects of every clock in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The assumptions hold: no reading may be false.
    True,
    /// No daemon reports a bound: there must be no interval at all.
    Refused,
    /// An assumption is broken on purpose: over enough seeds some readings are false.
    False {
        /// Which one, and how.
        broken: &'static str,
    },
}

/// A kind of trouble, which each seed makes in another way.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    name: &'static str,
    about: &'static str,
    expectation: Expectation,
    /// A healthy chrony with polls of 64 s: here epsilon's growth is compared with the kernel's.
    measures_growth: bool,
    /// Nothing to be seen but a rate that was learned and a daemon that died: how far epsilon goes.
    measures_holdover: bool,
    /// Why it refuses more than a thousandth of healthy time, where it is known to.
    refuses: Option<&'static str>,
    build: fn(&mut Stage),
}

impl Scenario {
    const fn honest(name: &'static str, about: &'static str, build: fn(&mut Stage)) -> Self {
        Self {
            name,
            about,
            expectation: Expectation::True,
            measures_growth: false,
            measures_holdover: false,
            refuses: None,
            build,
        }
    }

    const fn refused(name: &'static str, about: &'static str, build: fn(&mut Stage)) -> Self {
        Self {
            expectation: Expectation::Refused,
            ..Self::honest(name, about, build)
        }
    }

    const fn breaking(
        name: &'static str,
        about: &'static str,
        broken: &'static str,
        build: fn(&mut Stage),
    ) -> Self {
        Self {
            expectation: Expectation::False { broken },
            ..Self::honest(name, about, build)
        }
    }

    const fn measuring_growth(self) -> Self {
        Self {
            measures_growth: true,
            ..self
        }
    }

    const fn measuring_holdover(self) -> Self {
        Self {
            measures_holdover: true,
            ..self
        }
    }

    const fn refusing(self, why: &'static str) -> Self {
        Self {
            refuses: Some(why),
            ..self
        }
    }

    /// Returns its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what happens in it, in a line.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Returns what it expects of clocks.
    #[must_use]
    pub const fn expectation(&self) -> Expectation {
        self.expectation
    }

    /// Returns why clocks are known to refuse more than a thousandth of healthy time here, if so: such
    /// a scenario is left out when the share is judged, and reported beside it.
    #[must_use]
    pub const fn refuses(&self) -> Option<&'static str> {
        self.refuses
    }

    pub(crate) const fn measures_growth(&self) -> bool {
        self.measures_growth
    }

    pub(crate) const fn measures_holdover(&self) -> bool {
        self.measures_holdover
    }

    pub(crate) fn stage(&self, seed: u64) -> Stage {
        // Scenarios of one seed must not resemble each other.
        let name = self
            .name
            .bytes()
            .fold(0_u64, |hash, byte| mix(hash ^ u64::from(byte)));
        let mut stage = Stage::new(mix(seed ^ name));
        (self.build)(&mut stage);
        stage
    }
}

/// A world prepared for a scenario.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) random: Random,
    pub(crate) nodes: Vec<Node>,
    pub(crate) span: i64,
    /// The longest that no clock is read, in ns.
    pub(crate) idle: i64,
    /// How often readings are aimed at what is about to happen, in a million.
    pub(crate) aim: u32,
    /// How often clocks are built anew while it plays.
    pub(crate) restarts: bool,
    pub(crate) settings: fn(ClockBuilder) -> ClockBuilder,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        world.set_preemption(Preemption {
            per_million: 2_000,
            longest: Duration::from_secs(3),
        });
        Self {
            world,
            random: Random::new(mix(!seed)),
            nodes: Vec::new(),
            span: 900 * SECOND,
            idle: 2 * SECOND,
            aim: 950_000,
            restarts: false,
            settings: |builder| builder,
        }
    }

    fn with_leap(&mut self, kind: LeapKind, after_secs: i64) {
        self.with_leap_before(20_545, kind, after_secs);
    }

    /// Puts one at the end of the day before this one, which is counted from 1970.
    fn with_leap_before(&mut self, day: i64, kind: LeapKind, after_secs: i64) {
        let midnight = day * DAY_SECS * SECOND;
        let leap = LeapSecond {
            boundary: Timestamp::from_unix_nanos(midnight),
            kind,
        };
        let start = Timestamp::from_unix_nanos(midnight - after_secs * SECOND);
        self.world = World::starting_at(self.world.seed(), start, Some(leap));
        self.world.set_preemption(Preemption {
            per_million: 2_000,
            longest: Duration::from_secs(1),
        });
    }

    fn node(&mut self, config: NodeConfig) -> Node {
        let node = self.world.node(config);
        self.nodes.push(node.clone());
        node
    }

    fn ordinary(&mut self, daemon: Daemon) -> Node {
        let oscillator = Oscillator::ordinary(&mut self.random);
        let real_error_ns = self.random.between(-60_000_000, 60_000_000);
        self.node(NodeConfig {
            oscillator,
            real_error_ns,
            ..NodeConfig::with_daemon(daemon)
        })
    }

    fn chrony(&mut self, poll_secs: u64) -> Daemon {
        let server = if self.random.chance(500_000) {
            Server::near()
        } else {
            Server::far()
        };
        Daemon {
            poll: Duration::from_secs(poll_secs),
            ..Daemon::chrony(server)
        }
    }

    /// chrony with any poll from 4 to 64 s.
    fn any_chrony(&mut self) -> Daemon {
        let poll = poll_of(self);
        self.chrony(poll)
    }

    fn either_leap(&mut self) -> LeapKind {
        if self.random.chance(500_000) {
            LeapKind::Inserted
        } else {
            LeapKind::Deleted
        }
    }

    fn at(&self, secs: i64, node: &Node, fault: Fault) {
        self.world.schedule(self.secs(secs), node, fault);
    }

    fn secs(&self, secs: i64) -> Duration {
        Duration::from_secs(secs.max(0).unsigned_abs())
    }

    /// Some instant between two, in seconds from the start.
    fn sometime(&mut self, from: i64, to: i64, node: &Node, fault: Fault) -> i64 {
        let at = self.random.between(from * SECOND, to * SECOND);
        self.world
            .schedule(Duration::from_nanos(at.unsigned_abs()), node, fault);
        at / SECOND
    }

    fn span_ns(&mut self, least: i64, most: i64) -> Duration {
        Duration::from_nanos(self.random.scattered(least, most).unsigned_abs())
    }

    /// 1 or -1.
    fn sign(&mut self) -> i64 {
        if self.random.chance(500_000) { 1 } else { -1 }
    }

    /// Lets all happen to a node that a source which is not the kernel must see, or need not.
    fn trouble(&mut self, node: &Node) {
        for _ in 0..6 {
            let sign = self.sign();
            // Shorter sleeps are below what A3 lets a reading notice.
            let span = self.span_ns(25_000_000, 30 * SECOND);
            let fault = match self.random.between(0, 6) {
                0 => Fault::Step {
                    by_ns: sign * self.random.scattered(1_000, 20 * SECOND),
                },
                1 => Fault::Slew {
                    rate_ppb: sign * self.random.scattered(10_000, 83_333_000),
                    span,
                },
                2 | 3 => Fault::Suspend {
                    span,
                    wake: Wake::Precise,
                },
                4 => Fault::Pause {
                    span,
                    notice: Notice::Told,
                },
                _ => Fault::Pause {
                    span,
                    notice: Notice::CounterRan,
                },
            };
            self.sometime(5, 900, node, fault);
        }
    }
}

fn poll_of(stage: &mut Stage) -> u64 {
    1 << stage.random.between(2, 7)
}
