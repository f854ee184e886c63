//! NTP servers beside a healthy chronyd: a lone liar takes nothing away, one of three neither, and two of
//! three end all intervals until they stop.

use std::time::Duration;

use epsilon_clock::{Clock, ClockError};
use epsilon_clock_sim::{Daemon, Node, NodeConfig, Server, Serves, TimeServer, World};

use super::secs;

/// From when to when the liars lie, in s.
const LIES: core::ops::Range<u64> = 400..700;

/// A world with a chronyd and these servers, some of which lie for a while.
fn scene(seed: u64, lies: &[Option<Serves>]) -> (World, Node) {
    let world = World::new(seed);
    for lie in lies {
        let turns = lie.map_or_else(Vec::new, |lie| {
            vec![(secs(LIES.start), lie), (secs(LIES.end), Serves::Honestly)]
        });
        let server = TimeServer {
            turns,
            ..TimeServer::honest(Server::near())
        };
        let _address = world.time_server(server);
    }
    let daemon = Daemon::chrony(Server::near());
    let node = world.node(NodeConfig::with_daemon(daemon));
    (world, node)
}

/// Reads the clock each second until then; whether it answered, each interval being true.
fn answers(world: &World, clock: &Clock, seconds: u64) -> Vec<Result<(), ClockError>> {
    (0..seconds)
        .map(|_| {
            world.advance(secs(1));
            clock.refresh_sources();
            let before = world.now();
            let now = clock.now()?;
            assert!(
                now.earliest() <= world.now() && before <= now.latest(),
                "{now}"
            );
            Ok(())
        })
        .collect()
}

#[test]
fn p10_a_lone_lying_server_takes_no_interval_away() {
    let ahead = |by: Duration| Serves::Ahead {
        by_ns: i64::try_from(by.as_nanos()).unwrap(),
    };
    for lie in [
        ahead(Duration::from_micros(50)),
        ahead(Duration::from_millis(500)),
        Serves::Drifting { ppb: 1_000_000 },
        Serves::Announcing(1),
        Serves::Holding {
            more_ns: 500_000_000,
        },
        Serves::Kiss(*b"DENY"),
        Serves::Nothing,
    ] {
        let (world, node) = scene(5, &[Some(lie)]);
        let clock = node
            .clock_with(|builder| builder.source(node.chrony()).source(node.ntp()))
            .unwrap();
        let answered = answers(&world, &clock, 1_000);
        let first = answered.iter().position(Result::is_ok).unwrap();
        assert!(first < 120, "{lie:?}: {first}");
        let missing = answered.iter().skip(first).filter(|a| a.is_err()).count();
        assert_eq!(missing, 0, "{lie:?}");
        let status = clock.status();
        assert_eq!(
            (status.source, status.counters.contradictions),
            (Some("chrony"), 0)
        );
    }
}

#[test]
fn one_liar_of_three_takes_no_interval_away() {
    let lie = Serves::Ahead { by_ns: 500_000_000 };
    let (world, node) = scene(5, &[None, Some(lie), None]);
    let clock = node
        .clock_with(|builder| builder.source(node.chrony()).source(node.ntp()))
        .unwrap();
    let answered = answers(&world, &clock, 1_000);
    assert!(answered.iter().skip(120).all(Result::is_ok));
    assert_eq!(clock.status().counters.contradictions, 0);
}

/// Nothing tells which of the two judges is right, so there is no interval while they differ.
#[test]
fn two_liars_of_three_contradict_chrony_and_an_interval_is_back_within_ten_seconds() {
    for seed in 1..=12 {
        play_two_liars_of_three(seed);
    }
}

/// Which of the servers' answers come together after the lies is the seed's.
fn play_two_liars_of_three(seed: u64) {
    let lie = Some(Serves::Ahead { by_ns: 500_000_000 });
    let (world, node) = scene(seed, &[None, lie, lie]);
    let clock = node
        .clock_with(|builder| builder.source(node.chrony()).source(node.ntp()))
        .unwrap();
    let before = answers(&world, &clock, LIES.start);
    assert!(before.iter().skip(120).all(Result::is_ok));
    // Readings and questions take time too, so the last of so many seconds lies beyond the lies.
    let during = answers(&world, &clock, LIES.end - LIES.start - 3);
    let is_contradicted =
        |answer: &Result<(), ClockError>| matches!(answer, Err(ClockError::Contradicted { .. }));
    let first = during.iter().position(is_contradicted).unwrap();
    assert!(first < 30, "{first}");
    assert!(during.iter().skip(first).all(is_contradicted));
    let after = answers(&world, &clock, 60);
    let back = after.iter().position(Result::is_ok);
    assert!(back.is_some_and(|seconds| seconds < 3 + 10), "{back:?}");
    let lost = after
        .iter()
        .skip(back.unwrap())
        .find(|answer| answer.is_err());
    assert_eq!(lost, None, "seed {seed}");
}
