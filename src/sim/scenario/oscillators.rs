//! Scenarios of oscillators: what a learned rate has to stand, and what it cannot.
#![forbid(unsafe_code)]

use core::time::Duration;

use super::{Expectation, Scenario, Stage};
use crate::sim::daemon::Daemon;
use crate::sim::fault::Fault;
use crate::sim::kernel::SECOND;
use crate::sim::network::Server;
use crate::sim::node::{Node, NodeConfig};
use crate::sim::oscillator::Oscillator;

/// The default of `max_wander`, in ppb: as wide as the band may be that a rate stays in.
const BAND: i64 = 50_000;

/// Two learning windows and the longest that a claim is carried: any assumption about the rate over
/// a window and `max_age` after it is put to the test.
const LONG: i64 = 2 * 2_000 * SECOND + 3_600 * SECOND;

pub(super) static ALL: [Scenario; 9] = [
    Scenario {
        name: "healthy-wander",
        about: "chrony, polls of 64 s, an oscillator 150 ppm off that moves by ±20 ppm in 900 s",
        expectation: Expectation::True,
        measures_growth: true,
        refuses: None,
        build: |stage| {
            stage.span = 3_600 * SECOND;
            stage.idle = 10 * SECOND;
            for constant_ppb in [150_000, -150_000] {
                let oscillator = Oscillator {
                    sine_ppb: 20_000,
                    sine_period: Duration::from_secs(900),
                    ..Oscillator::steady(constant_ppb)
                };
                chrony(stage, 64, oscillator);
            }
        },
    },
    Scenario {
        name: "temperature-steps",
        about: "chrony, polls of 64 s, a rate that jumps about in a band of 50 ppm",
        expectation: Expectation::True,
        measures_growth: true,
        refuses: None,
        build: |stage| {
            stage.span = LONG;
            stage.idle = 20 * SECOND;
            for _ in 0..2 {
                let lowest = stage.random.between(-200_000, 150_000);
                let node = chrony(stage, 64, Oscillator::steady(lowest));
                jumps_within(stage, &node, lowest, 0, LONG / SECOND);
            }
        },
    },
    Scenario {
        name: "ramps",
        about: "polls of 64 to 1024 s, rates that move by 30 ppm an hour, for hours: beyond any window",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 4 * 3_600 * SECOND;
            stage.idle = 20 * SECOND;
            for ramp_ppb_per_hour in [30_000, -30_000] {
                let oscillator = Oscillator {
                    ramp_ppb_per_hour,
                    ..Oscillator::steady(-2 * ramp_ppb_per_hour)
                };
                let poll = 1 << stage.random.between(6, 11);
                let node = chrony(stage, poll, oscillator);
                if stage.random.chance(500_000) {
                    stage.sometime(4_000, 10_000, &node, Fault::DaemonTerminated);
                }
            }
        },
    },
    Scenario {
        name: "ageing",
        about: "polls of 1024 s, rates that age in an hour as others do in a year, by 1 ppm",
        expectation: Expectation::True,
        measures_growth: true,
        refuses: None,
        build: |stage| {
            stage.span = 4 * 3_600 * SECOND;
            stage.idle = 20 * SECOND;
            for ramp_ppb_per_hour in [1_000, -1_000] {
                let constant_ppb = stage.random.between(-100_000, 100_000);
                let oscillator = Oscillator {
                    ramp_ppb_per_hour,
                    ..Oscillator::steady(constant_ppb)
                };
                chrony(stage, 1_024, oscillator);
            }
        },
    },
    Scenario {
        name: "holdover",
        about: "a window of polls of 64 s, then the daemon dies and the rate jumps about in its band",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            let (taught, dead) = (2_100, 3_600);
            stage.span = (taught + dead) * SECOND;
            stage.idle = 20 * SECOND;
            for _ in 0..2 {
                let lowest = stage.random.between(-200_000, 150_000);
                let edge = lowest
                    + if stage.random.chance(500_000) {
                        BAND
                    } else {
                        0
                    };
                let node = chrony(stage, 64, Oscillator::steady(edge));
                stage.at(taught, &node, Fault::DaemonTerminated);
                jumps_within(stage, &node, lowest, taught, taught + dead);
            }
        },
    },
    Scenario {
        name: "wander-limit",
        about: "bounds as short as A2 allows, and a rate at one edge of its band or the other",
        expectation: Expectation::True,
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = LONG;
            stage.idle = 20 * SECOND;
            for _ in 0..2 {
                let lowest = stage.random.between(-200_000, 150_000);
                let daemon = Daemon {
                    manner: crate::sim::Manner::Grudging,
                    poll: Duration::from_secs(1 << stage.random.between(4, 11)),
                    ..Daemon::chrony(Server::near())
                };
                let node = stage.node(NodeConfig {
                    oscillator: Oscillator::steady(lowest),
                    ..NodeConfig::with_daemon(daemon)
                });
                // Some 2000 s at one edge, which is all that can be learned of it, then the other.
                let mut at = 0;
                for edge in [BAND, 0, BAND, 0] {
                    at += stage.random.between(1_700, 2_100);
                    let there = Oscillator::steady(lowest + edge);
                    stage.at(at, &node, Fault::Oscillator(there));
                }
                if stage.random.chance(300_000) {
                    stage.sometime(3_000, 6_000, &node, Fault::DaemonKilled);
                }
            }
        },
    },
    Scenario {
        name: "thermal-shock",
        about: "a rate that jumps by 100 to 250 ppm once it was learned",
        expectation: Expectation::False {
            broken: "A1: a jump out of the band of max_wander",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 4_000 * SECOND;
            stage.idle = 20 * SECOND;
            for sign in [1, -1] {
                let before = Oscillator::steady(sign * -60_000);
                let node = chrony(stage, 256, before);
                let jump = stage.random.between(100_000, 250_000);
                let after = Oscillator::steady(sign * (jump - 60_000));
                stage.sometime(1_500, 3_000, &node, Fault::Oscillator(after));
            }
        },
    },
    Scenario {
        name: "wander-past-band",
        about: "rates that swing by ±90 ppm in an hour, seen by polls of 256 s",
        expectation: Expectation::False {
            broken: "A1: a swing wider than max_wander",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 4 * 3_600 * SECOND;
            stage.idle = 20 * SECOND;
            let oscillator = Oscillator {
                sine_ppb: 90_000,
                sine_period: Duration::from_secs(3_600),
                ..Oscillator::steady(0)
            };
            chrony(stage, 256, oscillator);
        },
    },
    Scenario {
        name: "ramp-in-holdover",
        about: "a machine that goes on cooling after its daemon died: 150 ppm in the hour",
        expectation: Expectation::False {
            broken: "A1: a ramp that leaves the band before max_age",
        },
        measures_growth: false,
        refuses: None,
        build: |stage| {
            stage.span = 5_800 * SECOND;
            stage.idle = 20 * SECOND;
            for sign in [1, -1] {
                let oscillator = Oscillator::steady(sign * -100_000);
                let node = chrony(stage, 64, oscillator);
                stage.at(2_100, &node, Fault::DaemonTerminated);
                // A ramp counts from the start of the world.
                let ramp = Oscillator {
                    ramp_ppb_per_hour: sign * 150_000,
                    ..Oscillator::steady(sign * -187_500)
                };
                stage.at(2_110, &node, Fault::Oscillator(ramp));
            }
        },
    },
];

/// A node near its server, with this oscillator.
fn chrony(stage: &mut Stage, poll_secs: u64, oscillator: Oscillator) -> Node {
    let daemon = Daemon {
        poll: Duration::from_secs(poll_secs),
        ..Daemon::chrony(Server::near())
    };
    stage.node(NodeConfig {
        oscillator,
        ..NodeConfig::with_daemon(daemon)
    })
}

/// Moves the rate about between `lowest` and the upper edge of the band above it, mostly to an edge.
fn jumps_within(stage: &mut Stage, node: &Node, lowest: i64, from_secs: i64, to_secs: i64) {
    for _ in 0..8 {
        let into = match stage.random.between(0, 3) {
            0 => 0,
            1 => BAND,
            _ => stage.random.between(0, BAND),
        };
        let there = Oscillator::steady(lowest + into);
        stage.sometime(from_secs, to_secs, node, Fault::Oscillator(there));
    }
}
