//! T5 on simulated kernels with chrony at work, and everything that can happen to them.

use std::time::Duration;

use epsilon_clock::commit::WaitStrategy;
use epsilon_clock::{Clock, Timestamp};
use epsilon_clock_sim::{
    Daemon, Fault, Node, NodeConfig, Oscillator, Preemption, Server, Wake, World,
};

use crate::random::Random;
use crate::{millis, secs};

const HOURS: u64 = 2;

fn node(world: &World, drift_ppb: i64, server: Server) -> (Node, Clock) {
    let mut config = NodeConfig::with_daemon(Daemon::chrony(server));
    config.oscillator = Oscillator::steady(drift_ppb);
    let node = world.node(config);
    let clock = node.clock().unwrap();
    (node, clock)
}

fn trouble(rng: &mut Random) -> Fault {
    let span = Duration::from_secs(rng.next_u64() % 90 + 1);
    match rng.below(6) {
        0 => Fault::Step {
            by_ns: rng.within(-2_000_000_000, 2_000_000_000),
        },
        1 => Fault::Slew {
            rate_ppb: rng.within(-83_000_000, 83_000_000),
            span,
        },
        2 => Fault::Suspend {
            span,
            wake: Wake::Rtc,
        },
        3 => Fault::DaemonKilledSlewing {
            rate_ppb: rng.within(-83_000_000, 83_000_000),
        },
        4 => Fault::DaemonFrozen { span },
        _ => Fault::StatusRefused { span },
    }
}

/// Commits on three nodes in turn, each begun as soon as the one before was released; how many, and
/// how many were not above all before.
fn play(seed: u64, waits: bool) -> (u64, u64) {
    let mut rng = Random::new(seed);
    let world = World::new(seed);
    world.set_preemption(Preemption {
        per_million: 5_000,
        longest: millis(500),
    });
    let nodes = [
        node(&world, 90_000, Server::near()),
        node(&world, -90_000, Server::far()),
        node(&world, 3_000, Server::near()),
    ];
    for _ in 0..12 {
        let after = Duration::from_secs(rng.next_u64() % (HOURS * 3_600));
        let at = rng.below(3) as usize;
        world.schedule(after, &nodes[at].0, trouble(&mut rng));
        world.schedule(after + secs(120), &nodes[at].0, Fault::DaemonStarted);
    }
    let (mut commits, mut violations) = (0, 0);
    let mut largest = Timestamp::MIN;
    while world.elapsed() < secs(HOURS * 3_600) {
        world.advance(millis(rng.next_u64() % 60_000));
        for round in 0..6 {
            let Ok(commit) = nodes[round % 3].1.begin_commit() else {
                continue;
            };
            // Spinning takes a simulated machine longer than all the rest.
            let commit = commit.with_strategy(WaitStrategy::SLEEP);
            if waits && commit.wait().is_err() {
                continue;
            }
            commits += 1;
            violations += u64::from(commit.timestamp() <= largest);
            largest = largest.max(commit.timestamp());
        }
    }
    (commits, violations)
}

#[test]
fn t5_holds_on_simulated_kernels_whatever_happens_to_them() {
    let mut all = 0;
    for seed in 0..20 {
        let (commits, violations) = play(seed, true);
        assert_eq!(violations, 0, "of {commits}, seed {seed}");
        all += commits;
    }
    assert!(all > 8_000, "only {all} commits");
}

#[test]
fn t5_is_violated_on_simulated_kernels_without_the_wait() {
    let (commits, violations) = play(1, false);
    assert!(violations > commits / 10, "{violations} of {commits}");
}
