//! What a process that was stopped is told, held against how long it really was.

use std::time::Duration;

use epsilon_clock::lease::PauseDetector;
use epsilon_clock_sim::{Fault, NodeConfig, Notice, Oscillator, Random, Wake, World, seed_of};

#[test]
fn a_pause_is_told_and_never_as_longer_than_it_was() {
    let (mut told, mut slept) = (0, 0);
    for run in 0..200 {
        let seed = seed_of(run);
        let world = World::new(seed);
        let mut random = Random::new(seed);
        let ppb = random.between(-200_000, 200_001);
        let node = world.node(NodeConfig {
            oscillator: Oscillator::steady(ppb),
            ..NodeConfig::default()
        });
        let clock = node.clock().unwrap();
        let interval =
            Duration::from_nanos(random.scattered(1_000_000, 1_000_000_000).unsigned_abs());
        let mut detector = PauseDetector::new(&clock, interval);
        for _ in 0..50 {
            let began = world.elapsed();
            let nanos = random.scattered(11_000_000, 60_000_000_000);
            let span = Duration::from_nanos(nanos.unsigned_abs());
            let sleeps = match random.between(0, 6) {
                0 => Some((span, Wake::Precise)),
                // Longer than a battery clock may miss.
                1 => Some((span + Duration::from_secs(3), Wake::Rtc)),
                _ => None,
            };
            match (sleeps, random.between(0, 3)) {
                (Some((span, wake)), _) => node.strike(Fault::Suspend { span, wake }),
                (None, 0) => world.advance(interval.mul_f64(0.9)),
                (None, 1) => node.strike(Fault::Pause {
                    span,
                    notice: Notice::CounterRan,
                }),
                (None, _) => world.advance(span),
            }
            node.strike(Fault::Step {
                by_ns: random.between(-3_600_000_000_000, 3_600_000_000_000),
            });
            let pause = detector.beat();
            // The beat waits for a machine that is asleep, so it ends after the pause does.
            let lasted = world.elapsed() - began;
            let at_least = pause.map_or(Duration::ZERO, |pause| pause.at_least());
            assert!(
                at_least <= lasted,
                "seed {seed}: {at_least:?} of {lasted:?}"
            );
            let has_slept = pause.is_some_and(|pause| pause.slept());
            assert_eq!(
                has_slept,
                sleeps.is_some(),
                "seed {seed}: {pause:?} {sleeps:?}"
            );
            // Nearly all of what went beyond the interval is told: up to the drift, and to what a
            // battery clock may be off, which is left out and may be missing besides.
            let spare = match sleeps {
                Some(_) => Duration::from_secs(2),
                None => Duration::ZERO,
            };
            let least = lasted.mul_f64(0.999).saturating_sub(interval + spare);
            assert!(at_least >= least, "seed {seed}: {at_least:?} of {lasted:?}");
            told += u32::from(pause.is_some());
            slept += u32::from(has_slept);
        }
    }
    assert!(
        told > 5_000 && slept > 2_000 && told < 10_000,
        "{told} {slept}"
    );
}
