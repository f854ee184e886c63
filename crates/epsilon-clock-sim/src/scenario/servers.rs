//! Scenarios of clocks that ask NTP servers themselves.

use core::time::Duration;

use super::{Scenario, Stage};
use crate::config::{NodeConfig, Sources};
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::kernel::SECOND;
use crate::network::Server;
use crate::oscillator::Oscillator;
use crate::timeserver::{Serves, TimeServer};

/// 2026-07-01: NTP servers announce a leap second for the end of a month only.
const FIRST_OF_JULY: i64 = 20_635;

/// The default of `max_wander`, in ppb.
const BAND: i64 = 50_000;

pub(crate) static ALL: [Scenario; 7] = [
    Scenario::honest(
        "ntp-servers",
        "three honest servers over lopsided, queued and lossy paths: steps, slews, sleeps, restarts",
        |stage| {
            servers(stage, 3);
            restless(stage);
        },
    ),
    Scenario::honest(
        "ntp-server-alone",
        "the same with one server, of which the clock believes all",
        |stage| {
            servers(stage, 1);
            restless(stage);
        },
    ),
    Scenario::honest(
        "ntp-liars",
        "as many liars as may be, of every kind, while any of the honest ones fall silent",
        |stage| {
            liars(stage);
            restless(stage);
        },
    ),
    Scenario::honest(
        "ntp-liars-for-hours",
        "the same for two hours, over which the rate is learned and the oscillator changes",
        |stage| {
            liars(stage);
            stage.span = 7_200 * SECOND;
            stage.idle = 120 * SECOND;
            // From one end of the band that A1 allows to the other.
            let (base, sign) = (stage.random.between(-100_000, 100_000), stage.sign());
            let node = stage.node(NodeConfig {
                sources: Sources::Ntp,
                oscillator: Oscillator::steady(base),
                ..NodeConfig::default()
            });
            let other = Oscillator::steady(base + sign * BAND);
            stage.sometime(1_000, 6_000, &node, Fault::Oscillator(other));
        },
    ),
    Scenario::honest(
        "ntp-leap",
        "a leap second, inserted or deleted, that one of three servers takes minutes late",
        |stage| {
            let kind = stage.either_leap();
            stage.with_leap_before(FIRST_OF_JULY, kind, 400);
            stage.span = 1_200 * SECOND;
            let mut paths = paths(stage, 3);
            let late = Duration::from_secs(stage.random.between(1, 700).unsigned_abs());
            if let Some(last) = paths.last_mut() {
                last.turns = vec![(Duration::ZERO, Serves::LeapingLate { by: late })];
            }
            add(stage, paths);
            asking(stage, Sources::Ntp);
        },
    ),
    Scenario::honest(
        "ntp-beside-kernel",
        "three honest servers beside a kernel that chrony disciplines",
        |stage| {
            servers(stage, 3);
            let daemon = stage.any_chrony();
            beside(stage, daemon);
        },
    ),
    Scenario::breaking(
        "ntp-two-liars-of-three",
        "two servers of three that lie alike",
        "N3 (two of three are false, and one may be)",
        |stage| {
            let mut paths = paths(stage, 3);
            let by_ns = 500_000_000;
            for path in paths.iter_mut().take(2) {
                path.turns = vec![(Duration::from_secs(100), Serves::Ahead { by_ns })];
            }
            add(stage, paths);
            asking(stage, Sources::Ntp);
        },
    ),
];

/// Honest servers at the ends of any paths.
fn servers(stage: &mut Stage, count: usize) {
    let paths = paths(stage, count);
    add(stage, paths);
}

fn paths(stage: &mut Stage, count: usize) -> Vec<TimeServer> {
    (0..count)
        .map(|_| {
            let path = match stage.random.between(0, 4) {
                0 => Server::near(),
                1 => Server::far(),
                2 => Server::lopsided(),
                // Back through a queue that is at times long.
                _ => Server {
                    jitter: Duration::from_millis(30),
                    ..Server::far()
                },
            };
            TimeServer {
                duplicates_per_million: 20_000,
                jumps_per_million: 20_000,
                ..TimeServer::honest(path)
            }
        })
        .collect()
}

fn add(stage: &Stage, servers: Vec<TimeServer>) {
    for server in servers {
        let _address = stage.world.time_server(server);
    }
}

/// Three or five servers of which one or two lie throughout, and the others are silent at times.
fn liars(stage: &mut Stage) {
    let (count, liars) = if stage.random.chance(500_000) {
        (3, 1)
    } else {
        (5, 2)
    };
    let mut paths = paths(stage, count);
    // Liars who lie alike make it hardest.
    let together = stage.random.scattered(100_000, 2 * SECOND);
    for (index, path) in paths.iter_mut().enumerate() {
        let mut from = Duration::ZERO;
        for _ in 0..12 {
            let serves = if index < liars {
                lie(stage, together)
            } else if stage.random.chance(400_000) {
                Serves::Nothing
            } else {
                Serves::Honestly
            };
            path.turns.push((from, serves));
            from += stage.span_ns(10 * SECOND, 1_500 * SECOND);
        }
    }
    add(stage, paths);
}

fn lie(stage: &mut Stage, together: i64) -> Serves {
    let sign = stage.sign();
    match stage.random.between(0, 9) {
        0..=2 => Serves::Ahead { by_ns: together },
        3 => Serves::Ahead {
            by_ns: sign * stage.random.scattered(10_000, 5 * SECOND),
        },
        4 => Serves::Drifting {
            ppb: sign * stage.random.scattered(1_000, 100_000_000),
        },
        5 => Serves::Kiss(*b"RATE"),
        6 => Serves::Announcing(u8::from(sign > 0) + 1),
        7 => Serves::Holding {
            more_ns: stage.random.scattered(1_000_000, 3 * SECOND),
        },
        _ => Serves::Honestly,
    }
}

/// A node whose clocks ask the world's servers.
fn asking(stage: &mut Stage, sources: Sources) -> crate::node::Node {
    let config = NodeConfig {
        sources,
        oscillator: Oscillator::ordinary(&mut stage.random),
        real_error_ns: stage.random.between(-60_000_000_000, 60_000_000_000),
        ..NodeConfig::default()
    };
    stage.node(config)
}

fn beside(stage: &mut Stage, daemon: Daemon) {
    let config = NodeConfig {
        sources: Sources::KernelAndNtp,
        oscillator: Oscillator::ordinary(&mut stage.random),
        real_error_ns: stage.random.between(-60_000_000, 60_000_000),
        ..NodeConfig::with_daemon(daemon)
    };
    stage.node(config);
}

/// Two nodes to whose clocks all happens that the source must see, or need not.
fn restless(stage: &mut Stage) {
    stage.restarts = true;
    for _ in 0..2 {
        let node = asking(stage, Sources::Ntp);
        stage.trouble(&node);
    }
}
