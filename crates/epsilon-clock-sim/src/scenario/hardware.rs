//! Scenarios of clocks that read a PTP hardware clock.

use core::time::Duration;

use super::{SETTLING, Scenario, Stage, poll_of};
use crate::config::{NodeConfig, Sources};
use crate::hardware::{Counts, HardwareClock, Shows};
use crate::kernel::SECOND;
use crate::node::Node;
use crate::oscillator::Oscillator;

pub(crate) static ALL: [Scenario; 4] = [
    Scenario::honest(
        "phc",
        "a hardware clock anywhere in its bound, busy, failing, without a bound or of TAI: steps, slews, sleeps",
        |stage| {
            stage.restarts = true;
            for _ in 0..2 {
                let hardware = troubled(stage);
                let node = alone(stage, hardware);
                stage.trouble(&node);
            }
        },
    ),
    Scenario::honest(
        "phc-beside-kernel",
        "the same beside a kernel that chrony disciplines, each with a veto",
        |stage| {
            // Without restarts: what a rogue slew leaves in a kernel is inherited by no clock that A4 speaks of.
            for _ in 0..2 {
                let hardware = troubled(stage);
                let node = beside(stage, hardware);
                stage.trouble(&node);
            }
        },
    )
    .refusing(SETTLING),
    Scenario::honest(
        "phc-lies-as-helper",
        "a hardware clock that jumps out of its bound at times, by any amount, beside a kernel that counts for more",
        |stage| {
            for _ in 0..2 {
                let hardware = HardwareClock {
                    judges: false,
                    ..troubled(stage)
                };
                // Once the kernel's word is there: it has one from then on, for nothing voids it.
                let hardware = lying(stage, hardware, 200);
                beside(stage, hardware);
            }
        },
    ),
    Scenario::breaking(
        "phc-lies",
        "the same with nobody asked but the hardware clock",
        "A2: a hardware clock out of the bound that it tells",
        |stage| {
            let hardware = troubled(stage);
            let hardware = lying(stage, hardware, 60);
            alone(stage, hardware);
        },
    ),
];

/// A hardware clock that is honest, and all that may keep it from being read.
fn troubled(stage: &mut Stage) -> HardwareClock {
    let bound = stage.span_ns(100, 1_000_000);
    let drift = stage.random.scattered(10, 20_000);
    let counts = match stage.random.between(0, 4) {
        0 => Counts::Tai,
        1 => Counts::TaiByWord,
        _ => Counts::Utc,
    };
    let mut hardware = HardwareClock {
        drift_ppb: if stage.random.chance(500_000) {
            drift
        } else {
            -drift
        },
        counts,
        slowest: stage.span_ns(1_000, 3_000_000),
        ..HardwareClock::honest(bound)
    };
    let mut from = Duration::ZERO;
    for _ in 0..20 {
        from += stage.span_ns(3 * SECOND, 120 * SECOND);
        let shows = match stage.random.between(0, 6) {
            0 => Shows::Busy,
            1 => Shows::Failure,
            2 => Shows::WithoutBound,
            _ => Shows::Honestly,
        };
        hardware.turns.push((from, shows));
    }
    from += Duration::from_secs(10);
    hardware.turns.push((from, Shows::Honestly));
    hardware
}

/// The same clock with lies in the place of half of its turns, from so many seconds on.
fn lying(stage: &mut Stage, mut hardware: HardwareClock, from_secs: u64) -> HardwareClock {
    hardware
        .turns
        .retain(|(from, _)| from.as_secs() < from_secs);
    let mut from = Duration::from_secs(from_secs);
    for turn in 0..20 {
        let by = stage.random.scattered(1_000, 100 * SECOND);
        let shows = match turn % 2 {
            1 => Shows::Honestly,
            _ if stage.random.chance(500_000) => Shows::Ahead { by_ns: by },
            _ => Shows::Ahead { by_ns: -by },
        };
        hardware.turns.push((from, shows));
        from += stage.span_ns(3 * SECOND, 60 * SECOND);
    }
    hardware
}

/// A node that has nothing but this hardware clock to go by.
fn alone(stage: &mut Stage, hardware: HardwareClock) -> Node {
    let config = NodeConfig {
        sources: Sources::Hardware,
        hardware: Some(hardware),
        oscillator: Oscillator::ordinary(&mut stage.random),
        real_error_ns: stage.random.between(-60 * SECOND, 60 * SECOND),
        ..NodeConfig::default()
    };
    stage.node(config)
}

/// A node with this hardware clock, and a chrony that disciplines its kernel.
fn beside(stage: &mut Stage, hardware: HardwareClock) -> Node {
    let poll = poll_of(stage);
    let daemon = stage.chrony(poll);
    let config = NodeConfig {
        sources: Sources::KernelAndHardware,
        hardware: Some(hardware),
        oscillator: Oscillator::ordinary(&mut stage.random),
        real_error_ns: stage.random.between(-60_000_000, 60_000_000),
        ..NodeConfig::with_daemon(daemon)
    };
    stage.node(config)
}
