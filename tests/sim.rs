//! The simulated world, and the clock in it: true under everything that assumptions A1 to A5 allow.
#![cfg(feature = "sim")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking"
)]

use epsilon_clock::sim::{
    Campaign, Checker, Daemon, Law, NodeConfig, Report, Scenario, Server, Tally, Testimony, World,
    seed_of,
};
use std::time::Duration;

const SEEDS: u64 = 10;

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

/// A few hundred seeds over every scenario; the campaign example plays as many as one likes.
#[test]
fn campaign() {
    let campaign = Campaign::new().readings_per_run(600);
    let mut report = Report::new();
    for scenario in Scenario::all() {
        let mut total = Tally::default();
        for run in 0..SEEDS {
            let seed = seed_of(run);
            total.merge(&campaign.play(scenario, seed).unwrap());
        }
        report.add(*scenario, total);
    }
    let honest = report.honest();
    println!("{report}");
    assert_eq!(honest.violations(), 0, "{}", honest.first().unwrap());
    assert_eq!(report.complaints(), [""; 0]);
    assert!(
        honest.near() * 10 >= honest.readings(),
        "the world is too quiet"
    );
    assert!(honest.peak_ppm() > 900_000, "the world is too kind");
}

#[test]
fn a_seed_replays_exactly() {
    let scenario = Scenario::named("everything").unwrap();
    let campaign = Campaign::new().readings_per_run(500);
    let [one, other, another] = [3, 3, 4].map(|seed| campaign.play(scenario, seed).unwrap());
    let books = |tally: &Tally| format!("{tally:?}");
    assert_eq!(books(&one), books(&other));
    assert_ne!(books(&one), books(&another));
}
