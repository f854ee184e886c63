//! Scenarios: what the campaign puts clocks through, and what it expects of them.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::sync::LazyLock;

use super::daemon::{Daemon, Manner};
use super::fault::{Fault, Notice, Wake};
use super::kernel::{DAY_SECS, SECOND};
use super::network::Server;
use super::node::{Hypervisor, Node, NodeConfig, Sources};
use super::oscillator::Oscillator;
use super::random::{Random, mix};
use super::world::{Preemption, World};
use crate::claim::{LeapKind, LeapSecond};
use crate::clock::ClockBuilder;
use crate::timestamp::Timestamp;

mod oscillators;

/// What a scenario expects of every clock in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The assumptions hold: no reading may be false.
    True,
    /// Nobody reports a bound: there must be no interval at all.
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
    /// Why it refuses more than a thousandth of healthy time, where it is known to.
    refuses: Option<&'static str>,
    build: fn(&mut Stage),
}

impl Scenario {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static EVERY: LazyLock<Vec<Scenario>> =
            LazyLock::new(|| [&ALL[..], &oscillators::ALL[..]].concat());
        &EVERY
    }

    /// The one of this name.
    ///
    /// ```
    /// use epsilon_clock::sim::Scenario;
    ///
    /// assert!(Scenario::named("failover").is_some());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|scenario| scenario.name == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What happens in it, in a line.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// What it expects of clocks.
    #[must_use]
    pub const fn expectation(&self) -> Expectation {
        self.expectation
    }

    /// Why clocks refuse more than a thousandth of healthy time here, where they are known to: such a
    /// scenario is left out when the share is judged, and reported beside it.
    #[must_use]
    pub const fn refuses(&self) -> Option<&'static str> {
        self.refuses
    }

    pub(super) const fn measures_growth(&self) -> bool {
        self.measures_growth
    }

    /// Where nothing is to be seen but a rate that was learned and a daemon that died.
    pub(super) fn measures_holdover(&self) -> bool {
        self.name == "holdover"
    }

    pub(super) fn stage(&self, seed: u64) -> Stage {
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
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) random: Random,
    pub(super) nodes: Vec<Node>,
    pub(super) span: i64,
    /// The longest that nobody reads a clock.
    pub(super) idle: i64,
    /// How often readings are aimed at what is about to happen, in a million.
    pub(super) aim: u32,
    /// How often clocks are built anew while it plays.
    pub(super) restarts: bool,
    pub(super) settings: fn(ClockBuilder) -> ClockBuilder,
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

    /// Puts a leap second so far from the start, in seconds.
    fn with_leap(&mut self, kind: LeapKind, after_secs: i64) {
        let midnight = 20_545 * DAY_SECS * SECOND;
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

    /// A node with an ordinary oscillator, a little off at first.
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
}

fn poll_of(stage: &mut Stage) -> u64 {
    1 << stage.random.between(2, 7)
}

static ALL: [Scenario; 35] = [
    Scenario {
        name: "healthy-near",
        about: "chrony, polls of 64 s, a server in the same hall",
        expectation: Expectation::True,
        measures_growth: true,
        refuses: None,
        build: |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..3 {
                stage.ordinary(Daemon::chrony(Server::near()));
            }
        },
    },
    Scenario {
        name: "healthy-far",
        about: "chrony, polls of 64 s, servers 20 ms away, with jitter and loss",
        expectation: Expectation::True,
        measures_growth: true,
        refuses: None,
        build: |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..2 {
                stage.ordinary(Daemon::chrony(Server::far()));
            }
        },
    },
    Scenario {
        name: "short-polls",
        about: "chrony, polls of 4 s, jitter that dominates",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 300 * SECOND;
            for _ in 0..2 {
                let jitter = stage.span_ns(10_000, 20_000_000);
                let daemon = Daemon {
                    poll: Duration::from_secs(4),
                    ..Daemon::chrony(Server {
                        jitter,
                        ..Server::far()
                    })
                };
                stage.ordinary(daemon);
            }
        },
    },
    Scenario {
        name: "long-polls",
        about: "chrony, polls of 1024 s",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 6_000 * SECOND;
            stage.idle = 4 * SECOND;
            for _ in 0..2 {
                let daemon = stage.chrony(1_024);
                stage.ordinary(daemon);
            }
        },
    },
    Scenario {
        name: "ntpd",
        about: "ntpd and the kernel's PLL, with offsets to work off",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                let server = Server {
                    jitter: stage.span_ns(10_000, 50_000_000),
                    ..Server::far()
                };
                let daemon = Daemon {
                    poll: Duration::from_secs(poll_of(stage)),
                    constant: stage.random.between(0, 11),
                    ..Daemon::ntpd(server)
                };
                let oscillator = Oscillator::ordinary(&mut stage.random);
                let real_error_ns = stage.random.between(-300_000_000, 300_000_000);
                stage.node(NodeConfig {
                    oscillator,
                    real_error_ns,
                    ..NodeConfig::with_daemon(daemon)
                });
            }
        },
    },
    Scenario {
        name: "restarts",
        about: "clocks built at any moment, on a running daemon's bound (A4)",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.restarts = true;
            for _ in 0..2 {
                let poll = poll_of(stage);
                let daemon = stage.chrony(poll);
                stage.ordinary(daemon);
            }
        },
    },
    Scenario {
        name: "steps",
        about: "somebody sets the clock, by a microsecond to a year, either way",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                for _ in 0..6 {
                    let size = stage.random.scattered(1_000, 365 * DAY_SECS * SECOND);
                    let by_ns = if stage.random.chance(500_000) {
                        size
                    } else {
                        -size
                    };
                    stage.sometime(20, 900, &node, Fault::Step { by_ns });
                }
            }
        },
    },
    Scenario {
        name: "slews",
        about: "somebody beside the daemon slews the clock, by up to 83 333 ppm",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                for _ in 0..6 {
                    let rate = stage.random.scattered(10_000, 83_333_000);
                    let rate_ppb = if stage.random.chance(500_000) {
                        rate
                    } else {
                        -rate
                    };
                    let span = stage.span_ns(1_000_000, 20 * SECOND);
                    stage.sometime(20, 900, &node, Fault::Slew { rate_ppb, span });
                }
            }
        },
    },
    Scenario {
        name: "failover",
        about: "to a worse but honest server: 72 ms slewed at up to 83 333 ppm",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                failing_over(stage, 3);
            }
        },
    },
    Scenario {
        name: "frozen-slew",
        about: "the daemon is frozen in the middle of a failover's slew, which overshoots",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                let (node, failovers) = failing_over(stage, 3);
                for at in failovers {
                    let into = stage.random.between(150_000_000, 2 * SECOND);
                    let span = stage.span_ns(100_000_000, 40 * SECOND);
                    let at = Duration::from_nanos((at + into).unsigned_abs());
                    stage
                        .world
                        .schedule(at, &node, Fault::DaemonFrozen { span });
                }
            }
        },
    },
    Scenario {
        name: "daemon-terminated",
        about: "the daemon ends in good order; holdover until max_age",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 5_400 * SECOND;
            stage.idle = 20 * SECOND;
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                let at = stage.sometime(30, 600, &node, Fault::DaemonTerminated);
                if stage.random.chance(500_000) {
                    stage.sometime(at + 10, 5_400, &node, Fault::DaemonStarted);
                }
            }
        },
    },
    Scenario {
        name: "killed-slewing",
        about: "the daemon is killed in a slew: +490 ppm, or any other",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..2 {
                killed(stage);
            }
        },
    },
    Scenario {
        name: "idle",
        about: "a process that reads the clock every minute or so, while daemons are killed slewing",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 3_600 * SECOND;
            stage.idle = 90 * SECOND;
            for _ in 0..2 {
                killed(stage);
            }
        },
    },
    Scenario {
        name: "suspend",
        about: "the machine sleeps for 25 ms to a day; precise wake-ups, or by a 1 s battery clock",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 1_200 * SECOND;
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                for _ in 0..5 {
                    let longest = if stage.random.chance(50_000) {
                        DAY_SECS
                    } else {
                        300
                    };
                    let (span, wake) = if stage.random.chance(500_000) {
                        (stage.span_ns(25_000_000, longest * SECOND), Wake::Precise)
                    } else {
                        (stage.span_ns(2 * SECOND, longest * SECOND), Wake::Rtc)
                    };
                    stage.sometime(20, 1_000, &node, Fault::Suspend { span, wake });
                }
            }
        },
    },
    Scenario {
        name: "vm-pause",
        about: "the machine is not run for a while: its kernel is told, or its counter ran on",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                for _ in 0..5 {
                    let told = stage.random.chance(300_000);
                    let notice = if told {
                        Notice::Told
                    } else {
                        Notice::CounterRan
                    };
                    let span = stage.span_ns(25_000_000, 60 * SECOND);
                    stage.sometime(20, 900, &node, Fault::Pause { span, notice });
                }
            }
        },
    },
    Scenario {
        name: "status-refused",
        about: "adjtimex is refused for a while",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let poll = poll_of(stage);
            let daemon = stage.chrony(poll);
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                for _ in 0..4 {
                    let span = stage.span_ns(1_000_000, 120 * SECOND);
                    stage.sometime(5, 900, &node, Fault::StatusRefused { span });
                }
                let by_ns = stage.random.between(-SECOND, SECOND);
                stage.sometime(5, 900, &node, Fault::Step { by_ns });
            }
        },
    },
    Scenario {
        name: "leap-inserted",
        about: "a leap second is inserted",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| leaping(stage, LeapKind::Inserted),
    },
    Scenario {
        name: "leap-deleted",
        about: "a second is left out",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| leaping(stage, LeapKind::Deleted),
    },
    Scenario {
        name: "leap-in-holdover",
        about: "a leap second, either way, after the daemon died",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let kind = if stage.random.chance(500_000) {
                LeapKind::Inserted
            } else {
                LeapKind::Deleted
            };
            stage.with_leap(kind, 400);
            for killed in [true, false] {
                let daemon = stage.chrony(16);
                let node = stage.ordinary(daemon);
                let death = if killed {
                    Fault::DaemonKilled
                } else {
                    Fault::DaemonTerminated
                };
                stage.sometime(60, 380, &node, death);
            }
        },
    },
    Scenario {
        name: "oscillator-limit",
        about: "oscillators at ±200 ppm, jumping from one end to the other, which the clock was told of",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.settings = |builder| builder.max_wander_ppb(400_000);
            for sign in [1, -1] {
                let poll = poll_of(stage);
                let daemon = stage.chrony(poll);
                let node = stage.node(NodeConfig {
                    oscillator: Oscillator::steady(sign * 200_000),
                    ..NodeConfig::with_daemon(daemon)
                });
                for _ in 0..3 {
                    let end = if stage.random.chance(500_000) {
                        200_000
                    } else {
                        -200_000
                    };
                    stage.sometime(20, 900, &node, Fault::Oscillator(Oscillator::steady(end)));
                }
                if stage.random.chance(300_000) {
                    stage.sometime(60, 900, &node, Fault::DaemonKilled);
                }
            }
        },
    },
    Scenario {
        name: "a2-limit",
        about: "bounds that are as short as A2 allows: the true error less the margin",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                let daemon = Daemon {
                    manner: Manner::Grudging,
                    poll: Duration::from_secs(poll_of(stage)),
                    servers: vec![Server::near(), Server::lopsided()],
                    ..Daemon::chrony(Server::near())
                };
                let node = stage.ordinary(daemon);
                for server in [1, 0, 1] {
                    stage.sometime(30, 900, &node, Fault::Failover { server });
                }
            }
        },
    },
    Scenario {
        name: "slews-seen-late",
        about: "bounds as short as A2 allows, and readers that come when the slew is over",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: Some("a look that comes 40 s late in a slew is charged its rate for all of them"),
        build: |stage| {
            stage.span = 7_200 * SECOND;
            stage.idle = 40 * SECOND;
            stage.aim = 100_000;
            for _ in 0..2 {
                let within = stage.span_ns(900_000_000, 8 * SECOND);
                let steady = |server| Server {
                    jitter: Duration::from_micros(2),
                    ..server
                };
                let daemon = Daemon {
                    manner: Manner::Grudging,
                    poll: Duration::from_secs(64),
                    servers: vec![steady(Server::near()), steady(Server::lopsided())],
                    correct_within: within,
                    ..Daemon::chrony(Server::near())
                };
                let node = stage.ordinary(daemon);
                // One at a time and far apart: there and back between two looks is beyond A2.
                for turn in 0..20 {
                    let at = 200 + i64::from(turn) * 340 + stage.random.between(0, 100);
                    let server = usize::from(turn % 2 == 0);
                    stage.at(at, &node, Fault::Failover { server });
                }
            }
        },
    },
    Scenario {
        name: "no-rtcsync",
        about: "chrony leaves STA_UNSYNC set, and the clock was told to accept that",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.settings = ClockBuilder::accept_unsync_flag;
            let poll = poll_of(stage);
            let daemon = Daemon {
                clears_unsync: false,
                ..stage.chrony(poll)
            };
            let node = stage.ordinary(daemon.clone());
            stage.sometime(30, 900, &node, Fault::Step { by_ns: 3 * SECOND });
            stage.ordinary(daemon);
        },
    },
    Scenario {
        name: "everything",
        about: "all of it at once",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.idle = 10 * SECOND;
            for _ in 0..3 {
                everything(stage);
            }
        },
    },
    Scenario {
        name: "chrony-report",
        about: "chronyd's own report beside the kernel: steps, slews, sleeps, freezes, restarts",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                reporting(stage, Sources::KernelAndChrony);
            }
        },
    },
    Scenario {
        name: "chrony-report-alone",
        about: "the same with nobody asked but chronyd",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: Some(
            "the share counts from the daemon's write, and a report from the next but one",
        ),
        build: |stage| {
            for _ in 0..2 {
                reporting(stage, Sources::Chrony);
            }
        },
    },
    Scenario {
        name: "chrony-report-leap",
        about: "a leap second, inserted or deleted, seen by the kernel and by chronyd's report",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let kind = if stage.random.chance(500_000) {
                LeapKind::Inserted
            } else {
                LeapKind::Deleted
            };
            stage.with_leap(kind, 400);
            stage.span = 700 * SECOND;
            for sources in [Sources::KernelAndChrony, Sources::Chrony] {
                let poll = poll_of(stage);
                let config = NodeConfig {
                    sources,
                    ..NodeConfig::with_daemon(stage.chrony(poll))
                };
                stage.node(config);
            }
        },
    },
    Scenario {
        name: "vmclock-pause",
        about: "pauses that no clock of the machine shows, told by vmclock",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for sources in [Sources::Kernel, Sources::KernelAndChrony] {
                let poll = poll_of(stage);
                let config = NodeConfig {
                    sources,
                    hypervisor: Hypervisor::VmClock,
                    oscillator: Oscillator::ordinary(&mut stage.random),
                    ..NodeConfig::with_daemon(stage.chrony(poll))
                };
                let node = stage.node(config);
                for _ in 0..4 {
                    let span = stage.span_ns(1_000_000, 60 * SECOND);
                    let notice = Notice::Silent;
                    stage.sometime(30, 900, &node, Fault::Pause { span, notice });
                }
            }
        },
    },
    Scenario {
        name: "liars",
        about: "timesyncd, ptp4l, openntpd, busybox, ntpd without a server: nobody reports a bound",
        expectation: Expectation::Refused,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 300 * SECOND;
            for manner in [
                Manner::Timesyncd,
                Manner::PtpOrOpenntpd,
                Manner::Busybox,
                Manner::NtpdStarting,
            ] {
                let daemon = Daemon {
                    poll: Duration::from_secs(16),
                    ..Daemon::of(manner, Server::lopsided())
                };
                stage.ordinary(daemon);
            }
        },
    },
    Scenario {
        name: "oscillator-past-limit",
        about: "oscillators at ±230 to ±400 ppm under the default max_drift of 200 ppm",
        expectation: Expectation::False {
            broken: "A1: oscillator past max_drift",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for sign in [1, -1] {
                let rate = stage.random.between(230_000, 400_000);
                let node = stage.node(NodeConfig {
                    oscillator: Oscillator {
                        limit_ppb: 400_000,
                        ..Oscillator::steady(sign * rate)
                    },
                    ..NodeConfig::with_daemon(Daemon::chrony(Server::near()))
                });
                stage.sometime(300, 800, &node, Fault::DaemonKilled);
            }
        },
    },
    Scenario {
        name: "silent-vm-pause",
        about: "the machine is not run for a while, its counter neither, and nobody tells it",
        expectation: Expectation::False {
            broken: "A3: silent pause",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let daemon = stage.chrony(16);
            let node = stage.ordinary(daemon);
            for _ in 0..3 {
                let span = stage.span_ns(25_000_000, 10 * SECOND);
                let notice = Notice::Silent;
                stage.sometime(30, 900, &node, Fault::Pause { span, notice });
            }
        },
    },
    Scenario {
        name: "uncounted-suspend",
        about: "sleeps of less than a second, of which a 1 s battery clock saw nothing",
        expectation: Expectation::False {
            broken: "A3: a suspend that the kernel does not count",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let daemon = stage.chrony(16);
            let node = stage.ordinary(daemon);
            for _ in 0..6 {
                let span = stage.span_ns(25_000_000, SECOND);
                let wake = Wake::Rtc;
                stage.sometime(30, 900, &node, Fault::Suspend { span, wake });
            }
        },
    },
    Scenario {
        name: "careless-daemon",
        about: "one bound in eight is an eighth of what it should be",
        expectation: Expectation::False {
            broken: "A2: bounds that fall short",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            for _ in 0..2 {
                let daemon = Daemon {
                    manner: Manner::Careless { one_in: 8 },
                    poll: Duration::from_secs(16),
                    ..Daemon::chrony(Server {
                        jitter: Duration::from_millis(10),
                        ..Server::far()
                    })
                };
                stage.ordinary(daemon);
            }
        },
    },
    Scenario {
        name: "ntpd-rs",
        about: "a bound that is the root delay alone, over a lopsided path",
        expectation: Expectation::False {
            broken: "A2: ntpd-rs reports no bound, and looks as if it did",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let daemon = Daemon {
                poll: Duration::from_secs(16),
                ..Daemon::of(Manner::NtpdRs, Server::lopsided())
            };
            stage.ordinary(daemon);
        },
    },
    Scenario {
        name: "leap-unheard",
        about: "one node never hears of the leap second",
        expectation: Expectation::False {
            broken: "A5: one node without the leap flag",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let kind = if stage.random.chance(500_000) {
                LeapKind::Inserted
            } else {
                LeapKind::Deleted
            };
            stage.with_leap(kind, 300);
            let daemon = stage.chrony(16);
            stage.ordinary(daemon.clone());
            stage.ordinary(Daemon {
                hears_of_leap: false,
                ..daemon
            });
        },
    },
];

/// A node that turns from a good server to a lopsided one and back; and when, in ns.
fn failing_over(stage: &mut Stage, times: usize) -> (Node, Vec<i64>) {
    let within = stage.span_ns(500_000_000, 60 * SECOND);
    let daemon = Daemon {
        poll: Duration::from_secs(poll_of(stage)),
        servers: vec![Server::near(), Server::lopsided()],
        correct_within: within,
        ..Daemon::chrony(Server::near())
    };
    let node = stage.ordinary(daemon);
    let mut at = 0;
    let mut instants = Vec::new();
    for turn in 0..times {
        at += stage.random.between(30 * SECOND, 250 * SECOND);
        let server = (turn + 1) % 2;
        let after = Duration::from_nanos(at.unsigned_abs());
        stage
            .world
            .schedule(after, &node, Fault::Failover { server });
        instants.push(at);
    }
    (node, instants)
}

/// A node whose daemon is killed in a slew and started again, a few times.
fn killed(stage: &mut Stage) {
    let poll = poll_of(stage);
    let daemon = Daemon {
        servers: vec![Server::near(), Server::lopsided()],
        ..stage.chrony(poll)
    };
    let node = stage.ordinary(daemon);
    let third = stage.span / 3 / SECOND;
    for round in 0..3 {
        let from = round * third;
        let rate = stage.random.scattered(1_000, 83_333_000);
        let rate_ppb = if stage.random.chance(300_000) {
            490_000
        } else {
            rate
        };
        let rate_ppb = if stage.random.chance(500_000) {
            rate_ppb
        } else {
            -rate_ppb
        };
        let at = if stage.random.chance(500_000) {
            // A slew of the daemon's own.
            let at = stage.sometime(
                from + 30,
                from + third / 2,
                &node,
                Fault::Failover { server: 1 },
            );
            stage.sometime(at, at + 3, &node, Fault::DaemonKilled)
        } else {
            let death = Fault::DaemonKilledSlewing { rate_ppb };
            stage.sometime(from + 30, from + third / 2, &node, death)
        };
        stage.sometime(at + 60, from + third, &node, Fault::DaemonStarted);
    }
}

fn leaping(stage: &mut Stage, kind: LeapKind) {
    stage.with_leap(kind, 300);
    stage.span = 600 * SECOND;
    for _ in 0..3 {
        let poll = poll_of(stage);
        let daemon = if stage.random.chance(300_000) {
            Daemon {
                poll: Duration::from_secs(poll),
                ..Daemon::ntpd(Server::far())
            }
        } else {
            stage.chrony(poll)
        };
        let node = stage.ordinary(daemon);
        // What happens just before, in and after the leap second is what is worth seeing.
        for at in [298, 299, 300, 301, 302] {
            if stage.random.chance(100_000) {
                let by_ns = stage.random.between(-2 * SECOND, 2 * SECOND);
                stage.sometime(at - 1, at + 2, &node, Fault::Step { by_ns });
            }
            if stage.random.chance(50_000) {
                let span = stage.span_ns(25_000_000, 10 * SECOND);
                let wake = Wake::Precise;
                stage.sometime(at - 1, at + 2, &node, Fault::Suspend { span, wake });
            }
        }
        for at in 288..312 {
            // Something to aim at all around it.
            stage.at(
                at,
                &node,
                Fault::DaemonFrozen {
                    span: Duration::ZERO,
                },
            );
        }
    }
}

/// A node whose clocks ask chronyd, and all that its chronyd may not notice.
fn reporting(stage: &mut Stage, sources: Sources) {
    let poll = poll_of(stage);
    let servers = vec![Server::near(), Server::lopsided(), Server::far()];
    let grudging = stage.random.chance(300_000);
    let daemon = Daemon {
        manner: if grudging {
            Manner::Grudging
        } else {
            Manner::Chrony
        },
        servers,
        ..stage.chrony(poll)
    };
    let config = NodeConfig {
        sources,
        oscillator: Oscillator::ordinary(&mut stage.random),
        real_error_ns: stage.random.between(-60_000_000, 60_000_000),
        ..NodeConfig::with_daemon(daemon)
    };
    let node = stage.node(config);
    for _ in 0..6 {
        let sign = if stage.random.chance(500_000) { 1 } else { -1 };
        let span = stage.span_ns(25_000_000, 30 * SECOND);
        let fault = match stage.random.between(0, 7) {
            0 | 1 => Fault::Step {
                by_ns: sign * stage.random.scattered(1_000, 20 * SECOND),
            },
            2 => Fault::Slew {
                rate_ppb: sign * stage.random.scattered(10_000, 83_333_000),
                span,
            },
            3 => Fault::Suspend {
                span,
                wake: Wake::Precise,
            },
            4 => Fault::DaemonFrozen { span },
            5 => Fault::DaemonStarted,
            _ => Fault::Failover {
                server: usize::try_from(stage.random.between(0, 3)).unwrap_or(0),
            },
        };
        stage.sometime(15, 900, &node, fault);
    }
}

fn everything(stage: &mut Stage) {
    let poll = poll_of(stage);
    let daemon = Daemon {
        servers: vec![Server::near(), Server::lopsided(), Server::far()],
        ..stage.chrony(poll)
    };
    let daemon = if stage.random.chance(300_000) {
        Daemon {
            manner: Manner::Ntpd,
            constant: stage.random.between(0, 8),
            ..daemon
        }
    } else {
        daemon
    };
    let lowest = stage.random.between(-200_000, 150_000);
    let real_error_ns = stage.random.between(-60_000_000, 60_000_000);
    let node = stage.node(NodeConfig {
        oscillator: Oscillator::steady(lowest),
        real_error_ns,
        ..NodeConfig::with_daemon(daemon)
    });
    for _ in 0..10 {
        let sign = if stage.random.chance(500_000) { 1 } else { -1 };
        let span = stage.span_ns(25_000_000, 30 * SECOND);
        let rate_ppb = sign * stage.random.scattered(10_000, 83_333_000);
        let fault = match stage.random.between(0, 11) {
            0 => Fault::Step {
                by_ns: sign * stage.random.scattered(1_000, 3_600 * SECOND),
            },
            1 => Fault::Slew { rate_ppb, span },
            2 => Fault::Suspend {
                span,
                wake: Wake::Precise,
            },
            3 => Fault::Pause {
                span,
                notice: Notice::CounterRan,
            },
            4 => Fault::DaemonTerminated,
            5 => Fault::DaemonKilled,
            6 => Fault::DaemonKilledSlewing { rate_ppb },
            7 => Fault::DaemonFrozen { span },
            8 => Fault::StatusRefused { span },
            // To either edge of the band that it stays in.
            9 => Fault::Oscillator(Oscillator::steady(lowest + (1 + sign) * 25_000)),
            _ => Fault::Failover {
                server: usize::try_from(stage.random.between(0, 3)).unwrap_or(0),
            },
        };
        let at = stage.sometime(15, 900, &node, fault);
        if matches!(
            fault,
            Fault::DaemonTerminated | Fault::DaemonKilled | Fault::DaemonKilledSlewing { .. }
        ) {
            stage.sometime(at, at + 120, &node, Fault::DaemonStarted);
        }
    }
}
