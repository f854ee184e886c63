//! Scenarios of a chronyd that estimates and forecasts as the real one does: rates that change after its
//! update, steps that it learns of by its samples, leap seconds that it makes itself.

use core::time::Duration;

use super::{SETTLING, Scenario, Stage};
use crate::config::{NodeConfig, Sources};
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::kernel::SECOND;
use crate::network::Server;
use crate::node::Node;
use crate::oscillator::Oscillator;
use epsilon_clock::time::LeapKind;

/// A server next door with hardware stamps: so little stands before it that no sample is worth less than
/// another. (Of a chronyd that has a late sample after a step, and gives little for it, three deviations
/// are not enough: `foreign-steps-late`.)
const QUIET: Server = Server {
    ahead_ns: 2_000,
    root_distance: Duration::from_micros(10),
    forward: Duration::from_micros(20),
    back: Duration::from_micros(20),
    jitter: Duration::from_nanos(10),
    loss_per_million: 1_000,
};

/// A foreign step that chronyd does not notice but by its samples, in ns.
const FOREIGN: i64 = 400_000_000;

pub(crate) static ALL: [Scenario; 18] = [
    Scenario::honest(
        "forecast-healthy",
        "a chronyd that forecasts, polls of 64 s, kernel and report: nothing happens",
        |stage| {
            stage.span = 3_600 * SECOND;
            stage.idle = 10 * SECOND;
            for server in [Server::near(), Server::far()] {
                let oscillator = Oscillator::ordinary(&mut stage.random);
                forecasting(stage, 64, Sources::KernelAndChrony, server, oscillator);
            }
        },
    ),
    Scenario::honest(
        "jumps-report",
        "rates that jump by 2 to 5 ppm between two polls of 64 s, kernel and report, report alone",
        |stage| {
            for sources in [Sources::KernelAndChrony, Sources::Chrony] {
                jumping(stage, sources, QUIET, (2_000, 5_000), (6, 20));
            }
        },
    ),
    Scenario::honest(
        "jumps-kernel",
        "rates that jump by 2 to 20 ppm between two polls of 64 s, the kernel alone",
        |stage| {
            for _ in 0..2 {
                jumping(stage, Sources::Kernel, QUIET, (2_000, 20_000), (6, 20));
            }
        },
    ),
    Scenario::honest(
        "sines-report",
        "rates that swing by up to 5 ppm in 2 to 20 polls of 64 s, kernel and report, report alone",
        |stage| {
            for sources in [Sources::KernelAndChrony, Sources::Chrony] {
                swinging(stage, sources, 64);
            }
        },
    ),
    Scenario::honest(
        "sines-kernel",
        "rates that swing by up to 5 ppm in 2 to 20 polls of 16 to 256 s, the kernel alone",
        |stage| {
            for _ in 0..2 {
                let poll = 16 << stage.random.between(0, 5);
                swinging(stage, Sources::Kernel, poll);
            }
        },
    ),
    Scenario::honest(
        "walks",
        "rates that walk by up to 0.1 ppm each second, polls of 64 s, kernel and report",
        |stage| {
            stage.span = 7_200 * SECOND;
            stage.idle = 10 * SECOND;
            for sources in [Sources::Kernel, Sources::KernelAndChrony] {
                let constant_ppb = stage.random.between(-60_000, 60_000);
                let oscillator = Oscillator {
                    // In two hours 5 ppm as a rule: within the band of `max_wander`.
                    walk_ppb: stage.random.between(10, 100),
                    ..Oscillator::steady(constant_ppb)
                };
                forecasting(stage, 64, sources, QUIET, oscillator);
            }
        },
    ),
    Scenario::honest(
        "foreign-steps-16",
        "another program steps the clock by 0.4 s, polls of 16 s, running and new clocks",
        |stage| stepped(stage, 16, Sources::Kernel, QUIET),
    )
    .refusing(SETTLING),
    Scenario::honest("foreign-steps-64", "the same at polls of 64 s", |stage| {
        stepped(stage, 64, Sources::Kernel, QUIET);
    })
    .refusing(SETTLING),
    Scenario::honest(
        "foreign-steps-1024",
        "the same at polls of 1024 s",
        |stage| stepped(stage, 1_024, Sources::Kernel, QUIET),
    )
    .refusing(SETTLING),
    Scenario::honest(
        "foreign-steps-report-16",
        "another program steps the clock by 0.4 s, polls of 16 s, kernel and report, new clocks too",
        |stage| stepped(stage, 16, Sources::KernelAndChrony, QUIET),
    )
    .refusing(SETTLING),
    Scenario::honest(
        "foreign-steps-report-64",
        "the same at polls of 64 s",
        |stage| stepped(stage, 64, Sources::KernelAndChrony, QUIET),
    )
    .refusing(SETTLING),
    Scenario::honest(
        "foreign-steps-report-1024",
        "the same at polls of 1024 s",
        |stage| stepped(stage, 1_024, Sources::KernelAndChrony, QUIET),
    )
    .refusing(SETTLING),
    Scenario::honest(
        "leap-step-inserted",
        "chronyd inserts a leap second by a step of its own (leapsecmode step)",
        |stage| leaping(stage, LeapKind::Inserted),
    )
    .refusing(STEPPED_LEAP),
    Scenario::honest(
        "leap-step-deleted",
        "chronyd leaves a second out by a step of its own (leapsecmode step)",
        |stage| leaping(stage, LeapKind::Deleted),
    )
    .refusing(STEPPED_LEAP),
    Scenario::breaking(
        "jumps-past-report",
        "rates that jump by 10 to 48 ppm between two polls of 64 s, the report alone",
        "A2: a forecast that a rate jumps out of",
        |stage| {
            for _ in 0..2 {
                jumping(
                    stage,
                    Sources::Chrony,
                    Server::near(),
                    (10_000, 48_000),
                    (1, 6),
                );
            }
        },
    ),
    Scenario::breaking(
        "jumps-past-kernel",
        "rates that jump by 48 to 96 ppm and back within six polls of 64 s, the kernel alone",
        "A2: a line through samples that lie on none",
        |stage| {
            for _ in 0..2 {
                jumping(
                    stage,
                    Sources::Kernel,
                    Server::near(),
                    (48_000, 96_000),
                    (1, 6),
                );
            }
        },
    ),
    Scenario::breaking(
        "foreign-steps-late",
        "another program steps the clock by 0.4 s, polls of 16 s, samples up to 5 ms later than others",
        "A2: a late sample after a step counts for little, and the deviation is small",
        |stage| {
            let jitter = Duration::from_millis(5);
            let server = Server {
                jitter,
                ..Server::near()
            };
            stepped(stage, 16, Sources::Kernel, server);
        },
    ),
    Scenario::breaking(
        "small-steps",
        "another program steps the clock by 3 ms each 100 s, polls of 16, 64 and 1024 s",
        "A2: more than three deviations short",
        |stage| {
            stage.span = 7_200 * SECOND;
            stage.idle = 10 * SECOND;
            for poll in [16, 64, 1_024] {
                let oscillator = Oscillator::ordinary(&mut stage.random);
                let node = forecasting(stage, poll, Sources::Kernel, Server::near(), oscillator);
                for at in (600..7_200).step_by(100) {
                    let by_ns = if stage.random.chance(500_000) {
                        3_000_000
                    } else {
                        -3_000_000
                    };
                    stage.at(at, &node, Fault::Step { by_ns });
                }
            }
        },
    ),
];

const STEPPED_LEAP: &str =
    "nothing tells a stepped leap second from a step but chronyd's next write";

fn forecasting(
    stage: &mut Stage,
    poll_secs: u64,
    sources: Sources,
    server: Server,
    oscillator: Oscillator,
) -> Node {
    let daemon = Daemon {
        poll: Duration::from_secs(poll_secs),
        ..Daemon::forecasting(server)
    };
    let real_error_ns = stage.random.between(-60_000_000, 60_000_000);
    stage.node(NodeConfig {
        sources,
        oscillator,
        real_error_ns,
        ..NodeConfig::with_daemon(daemon)
    })
}

/// A rate that jumps by so many ppb, there and back, with so many polls of 64 s in between, from when the
/// line through the samples is as sure of itself as it gets.
fn jumping(stage: &mut Stage, sources: Sources, server: Server, by: (i64, i64), polls: (i64, i64)) {
    stage.span = 7_200 * SECOND;
    stage.idle = 10 * SECOND;
    let low = stage.random.between(-60_000, 60_000);
    let high = low + stage.random.between(by.0, by.1 + 1);
    let node = forecasting(stage, 64, sources, server, Oscillator::steady(low));
    let (mut at, mut next) = (1_200, high);
    while at < 7_200 {
        stage.at(at, &node, Fault::Oscillator(Oscillator::steady(next)));
        at += stage.random.between(64 * polls.0, 64 * polls.1);
        next = low + high - next;
    }
}

/// A rate that swings by 1 to 5 ppm, or the 3.7 that a real chronyd was seen to miss, in 2 to 20 polls.
fn swinging(stage: &mut Stage, sources: Sources, poll_secs: u64) {
    stage.span = 7_200 * SECOND;
    stage.idle = 10 * SECOND;
    let sine_ppb = if stage.random.chance(500_000) {
        3_700
    } else {
        stage.random.between(1_000, 5_001)
    };
    let polls = stage.random.between(2, 21).unsigned_abs();
    let constant_ppb = stage.random.between(-60_000, 60_000);
    let oscillator = Oscillator {
        sine_ppb,
        sine_period: Duration::from_secs(polls * poll_secs),
        ..Oscillator::steady(constant_ppb)
    };
    forecasting(stage, poll_secs, sources, QUIET, oscillator);
}

/// Steps of 0.4 s, far enough apart for chronyd to be right again before the next one.
fn stepped(stage: &mut Stage, poll_secs: u64, sources: Sources, server: Server) {
    stage.restarts = true;
    let poll = i64::try_from(poll_secs).unwrap_or(i64::MAX);
    stage.idle = (poll / 8).clamp(10, 60) * SECOND;
    // Polls double from 64 s on, every four.
    let settled = 12 * poll + 4 * (poll - 64).max(0);
    let apart = 24 * poll;
    let turns = (256 / poll).clamp(1, 4);
    stage.span = (settled + turns * apart) * SECOND;
    for _ in 0..2 {
        // One that hardly moves from poll to poll: steps are what this is about.
        let oscillator = Oscillator {
            walk_ppb: stage.random.between(0, 3),
            ..Oscillator::steady(stage.random.between(-60_000, 60_000))
        };
        let node = forecasting(stage, poll_secs, sources, server, oscillator);
        for turn in 0..turns {
            let by_ns = if stage.random.chance(500_000) {
                FOREIGN
            } else {
                -FOREIGN
            };
            let from = settled + turn * apart;
            stage.sometime(from, from + 4 * poll, &node, Fault::Step { by_ns });
        }
    }
}

/// A leap second that chronyd makes itself, at polls of 16 and 64 s, by whatever source.
fn leaping(stage: &mut Stage, kind: LeapKind) {
    stage.with_leap(kind, 900);
    stage.span = 1_500 * SECOND;
    for sources in [Sources::Kernel, Sources::KernelAndChrony] {
        let poll_secs = 16 << (2 * stage.random.between(0, 2));
        let daemon = Daemon {
            poll: Duration::from_secs(poll_secs),
            steps_leap: true,
            ..Daemon::forecasting(Server::near())
        };
        let oscillator = Oscillator::ordinary(&mut stage.random);
        let node = stage.node(NodeConfig {
            sources,
            oscillator,
            ..NodeConfig::with_daemon(daemon)
        });
        // Something to aim at around it.
        for at in 895..910 {
            let span = Duration::ZERO;
            stage.at(at, &node, Fault::DaemonFrozen { span });
        }
    }
}
