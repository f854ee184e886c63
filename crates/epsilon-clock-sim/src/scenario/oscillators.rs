//! Scenarios of oscillators: what a learned rate has to stand, and what it cannot.

use core::time::Duration;

use super::{Scenario, Stage};
use crate::config::NodeConfig;
use crate::daemon::{Daemon, Manner};
use crate::fault::Fault;
use crate::kernel::SECOND;
use crate::network::Server;
use crate::node::Node;
use crate::oscillator::Oscillator;

/// The default of `max_wander`, in ppb: as wide as the band may be that a rate stays in.
const BAND: i64 = 50_000;

/// Two learning windows and the longest that a claim is carried: any assumption about the rate over
/// a window and `max_age` after it is put to the test.
const LONG: i64 = 2 * 2_000 * SECOND + 3_600 * SECOND;

pub(crate) static ALL: [Scenario; 11] = [
    Scenario::honest(
        "oscillator-limit",
        "oscillators at ±200 ppm, jumping from one end to the other, which the clock was told of",
        |stage| {
            stage.settings = |builder| builder.max_wander_ppb(400_000);
            for sign in [1, -1] {
                let daemon = stage.any_chrony();
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
    ),
    Scenario::honest(
        "healthy-wander",
        "chrony, polls of 64 s, an oscillator 150 ppm off that moves by ±20 ppm in 900 s",
        |stage| {
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
    )
    .measuring_growth(),
    Scenario::honest(
        "temperature-steps",
        "chrony, polls of 64 s, a rate that jumps about in a band of 50 ppm",
        |stage| {
            stage.span = LONG;
            stage.idle = 20 * SECOND;
            for _ in 0..2 {
                let lowest = stage.random.between(-200_000, 150_000);
                let node = chrony(stage, 64, Oscillator::steady(lowest));
                jumps_within(stage, &node, lowest, 0, LONG / SECOND);
            }
        },
    )
    .measuring_growth(),
    Scenario::honest(
        "ramps",
        "polls of 64 to 1024 s, rates that move by 30 ppm an hour, for hours: beyond any window",
        |stage| {
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
    ),
    Scenario::honest(
        "ageing",
        "polls of 1024 s, rates that age in an hour as others do in a year, by 1 ppm",
        |stage| {
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
    )
    .measuring_growth(),
    Scenario::honest(
        "holdover",
        "a window of polls of 64 s, then the daemon dies and the rate jumps about in its band",
        |stage| {
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
    )
    .measuring_holdover(),
    Scenario::honest(
        "wander-limit",
        "bounds as short as A2 allows, and a rate at one edge of its band or the other",
        |stage| {
            stage.span = LONG;
            stage.idle = 20 * SECOND;
            for _ in 0..2 {
                let lowest = stage.random.between(-200_000, 150_000);
                let daemon = Daemon {
                    manner: Manner::Grudging,
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
    ),
    Scenario::breaking(
        "oscillator-past-limit",
        "oscillators at ±230 to ±400 ppm under the default max_drift of 200 ppm",
        "A1: oscillator past max_drift",
        |stage| {
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
    ),
    Scenario::breaking(
        "thermal-shock",
        "a rate that jumps by 100 to 250 ppm once it was learned",
        "A1: a jump out of the band of max_wander",
        |stage| {
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
    ),
    Scenario::breaking(
        "wander-past-band",
        "rates that swing by ±90 ppm in an hour, seen by polls of 256 s",
        "A1: a swing wider than max_wander",
        |stage| {
            stage.span = 4 * 3_600 * SECOND;
            stage.idle = 20 * SECOND;
            let oscillator = Oscillator {
                sine_ppb: 90_000,
                sine_period: Duration::from_secs(3_600),
                ..Oscillator::steady(0)
            };
            chrony(stage, 256, oscillator);
        },
    ),
    Scenario::breaking(
        "ramp-in-holdover",
        "a machine that goes on cooling after its daemon died: 150 ppm in the hour",
        "A1: a ramp that leaves the band before max_age",
        |stage| {
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
    ),
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
