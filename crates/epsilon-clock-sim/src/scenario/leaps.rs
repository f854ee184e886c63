//! Scenarios of leap seconds.

use core::time::Duration;

use super::{Scenario, Stage, poll_of};
use crate::daemon::Daemon;
use crate::fault::{Fault, Wake};
use crate::kernel::SECOND;
use crate::network::Server;
use epsilon_clock::time::LeapKind;

pub(crate) static ALL: [Scenario; 4] = [
    Scenario::honest("leap-inserted", "a leap second is inserted", |stage| {
        leaping(stage, LeapKind::Inserted);
    }),
    Scenario::honest("leap-deleted", "a second is left out", |stage| {
        leaping(stage, LeapKind::Deleted);
    }),
    Scenario::honest(
        "leap-in-holdover",
        "a leap second, either way, after the daemon died",
        |stage| {
            let kind = stage.either_leap();
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
    ),
    Scenario::breaking(
        "leap-unheard",
        "one node never hears of the leap second",
        "A5: one node without the leap flag",
        |stage| {
            let kind = stage.either_leap();
            stage.with_leap(kind, 300);
            let daemon = stage.chrony(16);
            stage.ordinary(daemon.clone());
            stage.ordinary(Daemon {
                hears_of_leap: false,
                ..daemon
            });
        },
    ),
];

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
