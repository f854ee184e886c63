//! Scenarios of time daemons: healthy, far away, failing over, killed, lying.

use core::time::Duration;

use super::{SETTLING, Scenario, Stage, poll_of};
use crate::config::NodeConfig;
use crate::daemon::{Daemon, Manner};
use crate::fault::Fault;
use crate::kernel::SECOND;
use crate::network::Server;
use crate::node::Node;
use crate::oscillator::Oscillator;
use epsilon_clock::clock::ClockBuilder;

pub(crate) static ALL: [Scenario; 18] = [
    Scenario::honest(
        "healthy-near",
        "chrony, polls of 64 s, a server in the same hall",
        |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..3 {
                stage.ordinary(Daemon::chrony(Server::near()));
            }
        },
    )
    .measuring_growth(),
    Scenario::honest(
        "healthy-far",
        "chrony, polls of 64 s, servers 20 ms away, with jitter and loss",
        |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..2 {
                stage.ordinary(Daemon::chrony(Server::far()));
            }
        },
    )
    .measuring_growth(),
    Scenario::honest(
        "short-polls",
        "chrony, polls of 4 s, jitter that dominates",
        |stage| {
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
    ),
    Scenario::honest("long-polls", "chrony, polls of 1024 s", |stage| {
        stage.span = 6_000 * SECOND;
        stage.idle = 4 * SECOND;
        for _ in 0..2 {
            let daemon = stage.chrony(1_024);
            stage.ordinary(daemon);
        }
    }),
    Scenario::honest(
        "ntpd",
        "ntpd and the kernel's PLL, with offsets to work off",
        |stage| {
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
    ),
    Scenario::honest(
        "restarts",
        "clocks built at any moment, on a running daemon's bound (A4)",
        |stage| {
            stage.restarts = true;
            for _ in 0..2 {
                let daemon = stage.any_chrony();
                stage.ordinary(daemon);
            }
        },
    ),
    Scenario::honest(
        "failover",
        "to a worse but honest server: 72 ms slewed at up to 83 333 ppm",
        |stage| {
            for _ in 0..2 {
                failing_over(stage, 3);
            }
        },
    ),
    Scenario::honest(
        "frozen-slew",
        "the daemon is frozen in the middle of a failover's slew, which overshoots",
        |stage| {
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
    ),
    Scenario::honest(
        "daemon-terminated",
        "the daemon ends in good order; holdover until max_age",
        |stage| {
            stage.span = 5_400 * SECOND;
            stage.idle = 20 * SECOND;
            let daemon = stage.any_chrony();
            for _ in 0..2 {
                let node = stage.ordinary(daemon.clone());
                let at = stage.sometime(30, 600, &node, Fault::DaemonTerminated);
                if stage.random.chance(500_000) {
                    stage.sometime(at + 10, 5_400, &node, Fault::DaemonStarted);
                }
            }
        },
    ),
    Scenario::honest(
        "killed-slewing",
        "the daemon is killed in a slew: +490 ppm, or any other",
        |stage| {
            stage.span = 1_800 * SECOND;
            for _ in 0..2 {
                killed(stage);
            }
        },
    ),
    Scenario::honest(
        "idle",
        "a process that reads the clock every minute or so, while daemons are killed slewing",
        |stage| {
            stage.span = 3_600 * SECOND;
            stage.idle = 90 * SECOND;
            for _ in 0..2 {
                killed(stage);
            }
        },
    ),
    Scenario::honest(
        "a2-limit",
        "bounds that are as short as A2 allows: the true error less the margin",
        |stage| {
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
    ),
    Scenario::honest(
        "slews-seen-late",
        "bounds as short as A2 allows, and readers that come when the slew is over",
        |stage| {
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
    )
    .refusing("a look that comes 40 s late in a slew is charged its rate for all of them"),
    Scenario::honest(
        "no-rtcsync",
        "chrony leaves STA_UNSYNC set, and the clock was told to accept that",
        |stage| {
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
    )
    .refusing(SETTLING),
    Scenario::refused(
        "liars",
        "timesyncd, ptp4l, openntpd, busybox, ntpd without a server: nobody reports a bound",
        |stage| {
            stage.span = 300 * SECOND;
            all_without_a_bound(stage, Server::lopsided());
        },
    ),
    Scenario::honest(
        "liars-vouched-for",
        "the same, and a chrony, under a caller's word of 200 ms that holds",
        |stage| {
            stage.span = 300 * SECOND;
            stage.settings = |builder| builder.assume_error(Duration::from_millis(200));
            all_without_a_bound(stage, Server::far());
            let daemon = stage.any_chrony();
            stage.ordinary(daemon);
        },
    ),
    Scenario::breaking(
        "careless-daemon",
        "one bound in eight is an eighth of what it should be",
        "A2: bounds that fall short",
        |stage| {
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
    ),
    Scenario::breaking(
        "ntpd-rs",
        "a bound that is the root delay alone, over a lopsided path",
        "A2: ntpd-rs reports no bound, and looks as if it did",
        |stage| {
            let daemon = Daemon {
                poll: Duration::from_secs(16),
                ..Daemon::of(Manner::NtpdRs, Server::lopsided())
            };
            stage.ordinary(daemon);
        },
    ),
];

/// A node of each daemon that reports no bound, on such a server.
fn all_without_a_bound(stage: &mut Stage, server: Server) {
    for manner in [
        Manner::Timesyncd,
        Manner::PtpOrOpenntpd,
        Manner::Busybox,
        Manner::NtpdStarting,
    ] {
        let daemon = Daemon {
            poll: Duration::from_secs(16),
            ..Daemon::of(manner, server)
        };
        stage.ordinary(daemon);
    }
}

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
