//! Scenarios of other sources than the kernel: chronyd's own report, and a vmclock.

use super::{SETTLING, Scenario, Stage, poll_of};
use crate::config::{Hypervisor, NodeConfig, Sources};
use crate::daemon::{Daemon, Manner};
use crate::fault::{Fault, Notice, Wake};
use crate::kernel::SECOND;
use crate::network::Server;
use crate::oscillator::Oscillator;

pub(crate) static ALL: [Scenario; 4] = [
    Scenario::honest(
        "chrony-report",
        "chronyd's own report beside the kernel: steps, slews, sleeps, freezes, restarts",
        |stage| {
            for _ in 0..2 {
                reporting(stage, Sources::KernelAndChrony);
            }
        },
    )
    .refusing(SETTLING),
    Scenario::honest(
        "chrony-report-alone",
        "the same with nobody asked but chronyd",
        |stage| {
            for _ in 0..2 {
                reporting(stage, Sources::Chrony);
            }
        },
    )
    .refusing("the share counts from the daemon's write, and a report from the next but one"),
    Scenario::honest(
        "chrony-report-leap",
        "a leap second, inserted or deleted, seen by the kernel and by chronyd's report",
        |stage| {
            let kind = stage.either_leap();
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
    ),
    Scenario::honest(
        "vmclock-pause",
        "pauses that no clock of the machine shows, told by vmclock",
        |stage| {
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
    ),
];

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
        let sign = stage.sign();
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
