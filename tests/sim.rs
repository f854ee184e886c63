//! The simulated world, and the clock in it: true under everything that assumptions A1 to A5 allow.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use epsilon_clock::sim::{Checker, Daemon, Law, NodeConfig, Server, Testimony, World};
use std::time::Duration;

#[test]
fn a_healthy_clock_contains_utc_and_answers() {
    for seed in 0..20 {
        let world = World::new(seed);
        let node = world.node(NodeConfig::with_daemon(Daemon::chrony(Server::far())));
        let clock = node.clock().unwrap();
        let mut checker = Checker::new();
        let subject = checker.subject("node 0");
        let mut answered = 0;
        for _ in 0..2_000 {
            world.advance(Duration::from_millis(90));
            let call = checker.call(subject, world.now());
            let outcome = clock.now();
            answered += u32::from(outcome.is_ok());
            checker.returned(call, world.now(), &outcome, || Testimony {
                contradictions: clock.status().counters.contradictions,
                detail: world.log(),
            });
        }
        assert!(
            answered > 1_900,
            "seed {seed}: {answered}, {:?}",
            clock.status()
        );
        assert_eq!(world.short_writes().0, 0, "seed {seed}");
        assert_eq!(
            checker.violations(),
            0,
            "seed {seed}: {}",
            checker.first().unwrap()
        );
        assert_eq!(checker.broken(Law::T1), 0);
    }
}
