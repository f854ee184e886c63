//! What broke peers, one test each, named after the fault. Torn reads under a seqlock are loom's
//! business; faults of hybrid clocks, commit-waits and leases are tested with those.

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::Refusal;
use epsilon_clock::{Clock, ClockError, Interval, Timestamp};
use epsilon_clock_sim::{Adjustment, Daemon, Fault, Node, NodeConfig, Oscillator, Server, World};
use std::sync::Arc;
use std::time::Duration;

const YEAR_NS: i64 = 365 * 86_400 * 1_000_000_000;

/// A node whose kernel some daemon synchronised a moment ago, to within `maxerror` µs.
fn synchronised(world: &World, maxerror: i64) -> Node {
    world.node(NodeConfig {
        state: Some(Adjustment {
            status: Some(0),
            maxerror: Some(maxerror),
            esterror: Some(3),
            ..Adjustment::default()
        }),
        ..NodeConfig::default()
    })
}

fn write(node: &Node, maxerror: i64) {
    node.adjtimex(&Adjustment {
        maxerror: Some(maxerror),
        ..Adjustment::default()
    });
}

/// A clock that saw its daemon write.
fn running() -> (World, Node, Clock) {
    let world = World::new(7);
    let node = synchronised(&world, 1_001);
    let clock = node.clock().unwrap();
    write(&node, 903);
    world.advance(Duration::from_millis(300));
    assert!(clock.now().is_ok());
    (world, node, clock)
}

#[test]
fn bound_rounded_towards_zero() {
    // Every term is rounded up: what 903 µs, truncated by the daemon, can have been at most.
    let (world, _, clock) = running();
    let status = clock.status();
    let bound = status.bound.unwrap();
    // A second may have begun since it was written.
    assert!([903_000, 1_403_000].contains(&bound.reported_ns), "{bound}");
    assert_eq!(bound.rounding_ns, 1_000);
    assert!(bound.total() >= status.interval.unwrap().epsilon());
    // A third of a nanosecond of drift is one.
    world.advance(Duration::from_nanos(1));
    let later = clock.status();
    assert!(later.bound.unwrap().drift_ns >= 1);
    assert!(later.interval.unwrap().epsilon() >= status.interval.unwrap().epsilon());
}

#[test]
fn interval_with_earliest_after_latest_from_a_negative_bound() {
    let (early, late) = (Timestamp::from_unix_nanos(1), Timestamp::from_unix_nanos(2));
    assert!(Interval::new(late, early).is_err());
    // Kernels before 6.1 keep a negative bound; the crate must not make an interval of it. The
    // simulated one clamps it as later kernels do: zero beside an estimated error is no bound.
    let world = World::new(1);
    let node = synchronised(&world, -1_000);
    let refused = node.clock().unwrap().now().unwrap_err();
    assert!(
        matches!(refused, ClockError::Unvouched(Refusal::NoBound { .. })),
        "{refused}"
    );
}

#[test]
fn untrusted_time_as_an_ordinary_value() {
    let world = World::new(1);
    let node = world.node(NodeConfig::default());
    let clock = node.clock().unwrap();
    // No value to forget a status beside: an error, and so is every question.
    let refused = clock.now().unwrap_err();
    assert!(matches!(
        refused,
        ClockError::Unvouched(Refusal::Unsynchronized { .. })
    ));
    assert_eq!(clock.after(Timestamp::UNIX_EPOCH), Err(refused));
    assert_eq!(clock.before(Timestamp::MAX), Err(refused));
    assert_eq!(clock.read().interval, Err(refused));
}

#[test]
fn error_type_without_display() {
    fn says_something(error: &(impl std::error::Error + Send + Sync + 'static)) {
        let text = error.to_string();
        assert!(
            text.len() > 10 && text.starts_with(|c: char| c.is_lowercase()),
            "{text}"
        );
    }
    let world = World::new(1);
    let node = world.node(NodeConfig::default());
    let clock = node.clock().unwrap();
    says_something(&clock.now().unwrap_err());
    says_something(
        &clock
            .wait_until_synchronized(Duration::from_millis(1))
            .unwrap_err(),
    );
    says_something(&node.clock_with(|b| b.max_drift_ppb(0)).unwrap_err());
}

#[test]
fn now_needs_a_mutable_clock() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    let (_world, _node, clock) = running();
    shared(&clock);
    let clock = Arc::new(clock);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || clock.now().is_ok())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn time_frozen_and_synchronised_for_ever_when_the_counter_runs_slow() {
    // The slowest oscillator that A1 allows, and no daemon any more: time goes on, the bound grows,
    // and at max_age it ends.
    let world = World::new(3);
    let node = world.node(NodeConfig {
        oscillator: Oscillator::steady(200_000),
        ..NodeConfig::with_daemon(Daemon::chrony(Server::near()))
    });
    let clock = node.clock().unwrap();
    world.advance(Duration::from_secs(30));
    node.strike(Fault::DaemonKilled);
    let mut before = clock.now().unwrap();
    for _ in 0..30 {
        world.advance(Duration::from_secs(60));
        let now = clock.now().unwrap();
        assert!(now.earliest() > before.earliest() && now.epsilon() > before.epsilon());
        assert!(now.contains(world.now()) || now.latest() < world.now());
        before = now;
    }
    world.advance(Duration::from_secs(1_801));
    assert!(matches!(
        clock.now(),
        Err(ClockError::TooOld { .. } | ClockError::TooWide { .. })
    ));
}

#[test]
fn forty_year_jump_accepted() {
    for sign in [1, -1] {
        let (world, node, clock) = running();
        node.strike(Fault::Step {
            by_ns: sign * 40 * YEAR_NS,
        });
        world.advance(Duration::from_millis(500));
        // It ends outside of the interval, and no write has said yet which of the two is wrong.
        assert!(clock.now().is_err());
        assert_eq!(clock.status().counters.steps, 1);
        // A daemon that vouches for it all the same is not believed against what was known.
        node.adjtimex(&Adjustment {
            status: Some(0),
            maxerror: Some(907),
            esterror: Some(3),
            ..Adjustment::default()
        });
        world.advance(Duration::from_millis(500));
        assert!(
            matches!(clock.now(), Err(ClockError::Disturbed { .. })),
            "{:?}",
            clock.now()
        );
    }
}

#[test]
fn sta_nano_flips_and_the_offset_is_a_thousand_times_off() {
    let mut widths = Vec::new();
    for nano in [true, false] {
        let world = World::new(1);
        let node = world.node(NodeConfig {
            state: Some(Adjustment {
                status: Some(NtpStatus::STA_PLL),
                maxerror: Some(1_001),
                esterror: Some(3),
                offset: Some(2_000_000),
                constant: Some(10),
                nano: Some(nano),
                ..Adjustment::default()
            }),
            ..NodeConfig::default()
        });
        let clock = node.clock().unwrap();
        assert_eq!(node.ntp_status().has(NtpStatus::STA_NANO), nano);
        widths.push(clock.status().bound.unwrap().reported_ns);
        // And in the middle of a run.
        node.adjtimex(&Adjustment {
            nano: Some(!nano),
            maxerror: Some(1_002),
            ..Adjustment::default()
        });
        world.advance(Duration::from_millis(300));
        let _ = clock.now().unwrap();
        let reported = clock.status().bound.unwrap().reported_ns;
        assert!((3_000_000..3_100_000).contains(&reported), "{reported}");
    }
    // 1.001 ms and 2 ms to slew, whatever the unit.
    assert_eq!(widths.first(), widths.last());
}

#[test]
fn eperm_aborts_the_process() {
    let (world, node, clock) = running();
    node.strike(Fault::StatusRefused {
        span: Duration::from_secs(60),
    });
    world.advance(Duration::from_secs(1));
    // The last claim is carried on.
    assert!(clock.now().is_ok());
    // A clock that never got a status says why.
    let refused = node.clock().unwrap().now().unwrap_err();
    assert!(matches!(refused, ClockError::Unvouched(Refusal::Status(_))));
    assert!(refused.to_string().contains("adjtimex"), "{refused}");
}

#[test]
fn times_at_the_end_of_the_range_wrap() {
    // UTC leaves the range of timestamps while the clock is read.
    let start = Timestamp::from_unix_nanos(i64::MAX - 3_000_000_000);
    let world = World::starting_at(1, start, None);
    let node = synchronised(&world, 100_001);
    let clock = node.clock().unwrap();
    let mut errors = 0;
    for _ in 0..100 {
        let called = world.now();
        match clock.now() {
            Ok(now) => assert!(now.earliest() <= world.now() && called <= now.latest()),
            Err(_) => errors += 1,
        }
        world.advance(Duration::from_millis(50));
    }
    // Three of the five seconds are within the range.
    assert!((35..60).contains(&errors), "{errors}");
    assert!(clock.now().is_err());
}

#[test]
fn max_drift_of_zero_means_unlimited() {
    let world = World::new(1);
    let node = synchronised(&world, 1_001);
    assert!(node.clock_with(|builder| builder.max_drift_ppb(0)).is_err());
}
