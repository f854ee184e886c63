//! PTP hardware clocks that are played: one that fails, is busy, tells no bound, counts TAI, or is wrong.

mod looks;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod page;

use std::time::Duration;

use epsilon_clock::source::{KernelSource, PhcRefusal, PhcSource, Refusal};
use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
use epsilon_clock::time::LeapKind;
use epsilon_clock::{Clock, ClockError, Disturbance, TimeDelta, Timestamp};
use proptest::prelude::*;

use crate::labels::PHC_REFUSALS;

/// Right, and read in a microsecond, with a bound of 2 µs.
const fn sound(_: &ScriptedPhc) {}

/// 37 s ahead, and silent about it.
fn tai(phc: &ScriptedPhc) {
    phc.set_offset(nanos(37_000_000_000));
}

const fn nanos(nanos: i64) -> TimeDelta {
    TimeDelta::from_nanos(nanos)
}

struct World {
    machine: ScriptedMachine,
    phc: ScriptedPhc,
    clock: Clock,
}

impl World {
    fn at(
        start: &str,
        script: impl FnOnce(&ScriptedPhc),
        source: impl FnOnce(PhcSource) -> PhcSource,
        with_kernel: bool,
    ) -> Self {
        let machine = ScriptedMachine::new(start.parse().unwrap());
        let phc = ScriptedPhc::new(machine.clone());
        script(&phc);
        let mut builder = machine.builder().source(source(PhcSource::of(phc.clone())));
        if with_kernel {
            machine.write_maxerror(1_003);
            builder = builder.source(KernelSource::new());
        }
        let clock = builder.build().unwrap();
        Self {
            machine,
            phc,
            clock,
        }
    }

    fn new(script: impl FnOnce(&ScriptedPhc)) -> Self {
        Self::at(MORNING, script, |source| source, false)
    }

    /// A second goes by, and the device is read.
    fn second(&self) {
        self.machine.advance(Duration::from_secs(1));
        let _ = self.clock.refresh();
    }

    fn contains_truth(&self) -> bool {
        self.is_true().unwrap()
    }

    /// Whether UTC, at some instant of the reading, lies in the interval.
    fn is_true(&self) -> Result<bool, ClockError> {
        let before = self.machine.true_time();
        let now = self.clock.now()?;
        let after = self.machine.true_time();
        Ok(now.earliest() <= after && before <= now.latest())
    }

    fn epsilon_ns(&self) -> u128 {
        self.clock.now().unwrap().epsilon().as_nanos()
    }

    fn refusal(&self) -> Option<Refusal> {
        self.clock.sources()[0].refusal
    }

    fn phc_refusal(&self) -> PhcRefusal {
        match self.refusal() {
            Some(Refusal::Phc(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

const MORNING: &str = "2026-11-20T05:50:00.000000000Z";

#[test]
fn a_sound_device_serves_from_its_first_reading_as_narrowly_as_it_says() {
    let world = World::new(sound);
    // Read while the clock was built.
    assert!(world.contains_truth());
    // Its bound, the nanosecond, and half a µs on each side of its reading, at the drift of what passed.
    let epsilon = world.epsilon_ns();
    assert!((2_501..2_700).contains(&epsilon), "{epsilon}");
    for _ in 0..100 {
        world.second();
        assert!(world.contains_truth());
        assert!(world.epsilon_ns() < 3_000);
    }
    assert_eq!(world.refusal(), None);
}

#[test]
fn a_device_at_the_end_of_its_bound_is_contained_and_one_beyond_it_is_not() {
    for (off, truth) in [
        (2_000, true),
        (-2_000, true),
        (2_600, false),
        (-2_600, false),
    ] {
        let world = World::new(|phc| {
            phc.set_offset(nanos(off));
            phc.set_delays(Duration::ZERO, Duration::ZERO);
        });
        assert_eq!(world.contains_truth(), truth, "{off}");
    }
}

#[test]
fn a_device_that_fails_is_carried_on_for_four_intervals_and_then_named() {
    let world = World::new(|phc| phc.refuse(PhcRefusal::Denied));
    assert_eq!(world.phc_refusal(), PhcRefusal::Denied);
    assert!(world.clock.now().is_err());
    world.phc.allow();
    world.second();
    assert_eq!(world.refusal(), None);
    world.phc.refuse(PhcRefusal::Failed { errno: 5 });
    for second in 1..=8 {
        world.second();
        // What was read before is carried on all the while.
        assert!(world.contains_truth());
        let named = (second >= 4).then_some(Refusal::Phc(PhcRefusal::Failed { errno: 5 }));
        assert_eq!(world.refusal(), named, "{second} s");
    }
    world.phc.allow();
    world.second();
    assert_eq!(world.refusal(), None);
    assert!(world.epsilon_ns() < 3_000);
}

#[test]
fn a_busy_device_costs_nothing_but_a_second() {
    let world = World::new(sound);
    for second in 0..20 {
        if second % 2 == 0 {
            world.phc.refuse(PhcRefusal::Busy);
        } else {
            world.phc.allow();
        }
        world.second();
        assert!(world.contains_truth());
        assert_eq!(world.refusal(), None);
        assert!(world.epsilon_ns() < 2_700 + 300_000);
    }
}

#[test]
fn a_device_that_is_not_read_any_more_is_silent() {
    let world = World::new(sound);
    world.machine.advance(Duration::from_secs(9));
    let _ = world.clock.look();
    assert_eq!(world.phc_refusal(), PhcRefusal::Silent { for_s: 9 });
    assert!(world.contains_truth());
}

#[test]
fn without_a_bound_the_caller_has_to_vouch_and_the_larger_bound_counts() {
    let silent = |phc: &ScriptedPhc| phc.set_bound(None);
    let world = World::new(silent);
    assert_eq!(world.phc_refusal(), PhcRefusal::NoBound);
    assert!(world.clock.now().is_err());
    let micros = Duration::from_micros;
    let vouched = |source: PhcSource| source.vouch(micros(50)).margin(micros(7));
    let world = World::at(MORNING, silent, vouched, false);
    assert!((57_500..57_800).contains(&world.epsilon_ns()));
    for (told, at_least) in [(10, 57_500), (80, 87_500)] {
        world.phc.set_bound(Some(micros(told)));
        world.second();
        let epsilon = world.epsilon_ns();
        assert!((at_least..at_least + 300).contains(&epsilon), "{epsilon}");
    }
}

#[test]
fn a_device_that_counts_tai_is_told_apart_and_served_where_that_is_said() {
    let world = World::at(MORNING, tai, |source| source, true);
    assert_eq!(
        world.phc_refusal(),
        PhcRefusal::LooksLikeTai { ahead_s: 37 }
    );
    // The kernel's word stands.
    assert!(world.contains_truth());
    assert!(world.epsilon_ns() > 1_000_000);
    let until: Timestamp = "2027-01-01T00:00:00.000000000Z".parse().unwrap();
    let said = |source: PhcSource| source.counts_tai(37, until);
    let world = World::at(MORNING, tai, said, true);
    assert!(world.contains_truth());
    assert!(world.epsilon_ns() < 3_000);
    // One that says so itself needs no word of the caller's.
    let world = World::at(MORNING, |phc| phc.set_tai_offset(37), |source| source, true);
    assert!(world.contains_truth() && world.epsilon_ns() < 3_000);
}

#[test]
fn how_far_ahead_tai_is_counts_until_the_midnight_it_was_told_for() {
    let until: Timestamp = "2027-01-01T00:00:00.000000000Z".parse().unwrap();
    let said = |source: PhcSource| source.counts_tai(37, until);
    let world = World::at("2026-12-31T23:59:50.000000000Z", tai, said, false);
    for second in 1..=20 {
        world.second();
        let refused = second >= 8;
        assert_eq!(world.refusal().is_some(), refused, "{second}");
        if refused {
            assert_eq!(world.phc_refusal(), PhcRefusal::TaiUntold);
        }
    }
}

#[test]
fn a_device_far_off_that_cannot_be_tais_is_a_contradiction_unless_it_is_a_helper() {
    for off in [61_000_000_000, -37_000_000_000, 5_000_000] {
        let wrong = |phc: &ScriptedPhc| phc.set_offset(nanos(off));
        let world = World::at(MORNING, wrong, |source| source, true);
        world.second();
        let error = world.clock.now().unwrap_err();
        assert!(matches!(error, ClockError::Contradicted { .. }), "{error}");
        // In words that name the devices that may be wrong, not servers alone.
        let told = error.to_string();
        assert!(told.contains("the phc source"), "{told}");
        assert!(told.contains("a hardware clock was wrong"), "{told}");
        let world = World::at(MORNING, wrong, PhcSource::never_vetoes, true);
        world.second();
        assert!(world.contains_truth());
    }
}

#[test]
fn a_helper_that_contradicts_the_kernel_is_refused_in_words_of_the_device() {
    let wrong = |phc: &ScriptedPhc| phc.set_offset(nanos(5_000_000));
    let world = World::at(MORNING, wrong, PhcSource::never_vetoes, true);
    world.second();
    // The kernel's bound of 1.003 ms and what it grows by are taken off.
    let refusal = world.phc_refusal();
    assert!(
        matches!(
            refusal,
            PhcRefusal::Contradicts {
                by_us: 3_000..4_000
            }
        ),
        "{refusal:?}"
    );
    let told = refusal.to_string();
    assert!(told.starts_with("the PTP hardware clock is 3"), "{told}");
    assert!(!told.contains("server"), "{told}");
    // Set right, it serves again.
    world.phc.set_offset(TimeDelta::ZERO);
    world.second();
    assert_eq!(world.refusal(), None);
    // One that contradicts itself is told of in words of its own as well.
    world.phc.set_offset(nanos(400_000));
    world.second();
    let refusal = world.phc_refusal();
    assert!(
        matches!(refusal, PhcRefusal::Contradicts { by_us: 100..400 }),
        "{refusal:?}"
    );
}

#[test]
fn a_reading_in_which_the_machine_slept_is_dropped() {
    let world = World::new(|phc| phc.set_suspend(Some(Duration::from_millis(3))));
    assert_eq!(world.phc_refusal(), PhcRefusal::NotRead);
    assert!(world.clock.now().is_err());
    world.phc.set_suspend(None);
    world.second();
    assert!(world.contains_truth());
}

#[test]
fn a_reading_from_before_a_disturbance_does_not_count() {
    type Disturb = fn(&ScriptedMachine);
    let disturbances: [Disturb; 2] = [
        |machine| machine.suspend(Duration::from_secs(3)),
        |machine| machine.pause(Duration::from_secs(3)),
    ];
    for disturb in disturbances {
        let world = World::new(sound);
        // Left unseen: the look before it knows of an earlier one.
        world.machine.advance(Duration::from_millis(500));
        world.clock.refresh_sources();
        disturb(&world.machine);
        for _ in 0..3 {
            assert!(world.clock.look().is_err());
        }
        world.second();
        assert!(world.contains_truth());
    }
}

#[test]
fn a_step_of_real_time_moves_nothing() {
    let world = World::new(sound);
    world.machine.step(nanos(-7_000_000_000));
    for _ in 0..5 {
        world.second();
        match world.clock.now() {
            Ok(_) => assert!(world.contains_truth()),
            Err(ClockError::Disturbed {
                cause: Disturbance::SteppedAway { .. },
            }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(world.contains_truth());
}

#[test]
fn raw_times_out_of_order_are_refused() {
    let world = World::new(|phc| {
        phc.edit_readings(|reading| std::mem::swap(&mut reading.before, &mut reading.after));
    });
    assert_eq!(world.phc_refusal(), PhcRefusal::Inconsistent);
    let far = World::new(|phc| phc.set_bound(Some(Duration::MAX)));
    assert_eq!(far.phc_refusal(), PhcRefusal::Inconsistent);
}

#[test]
fn no_leap_second_that_the_device_keeps_to_itself_makes_an_interval_false() {
    for kind in [None, Some(LeapKind::Inserted), Some(LeapKind::Deleted)] {
        let world = World::at(
            "2026-12-31T22:59:58.000000000Z",
            sound,
            |source| source,
            false,
        );
        if let Some(kind) = kind {
            world.machine.schedule_leap(kind);
        }
        let mut narrow = Vec::new();
        for second in 0..3_700 {
            world.second();
            assert_ne!(world.is_true(), Ok(false), "{kind:?}, {second} s");
            if world
                .clock
                .now()
                .is_ok_and(|now| now.epsilon() < Duration::from_millis(1))
            {
                narrow.push(second);
            }
        }
        // Exact up to an hour before, and from a few seconds after.
        assert!(narrow.first().is_some_and(|second| *second < 3));
        assert!(!narrow.contains(&100));
        assert!(narrow.contains(&3_650));
    }
}

#[test]
fn its_refusals_say_what_ends_them() {
    for refusal in PHC_REFUSALS {
        let told = refusal.to_string();
        assert!(told.contains(": "), "{told}");
        let mut memory = epsilon_clock::source::SourceMemory::default();
        memory.store(&Refusal::Phc(refusal));
        assert_eq!(memory.load(), Some(Refusal::Phc(refusal)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// T1: whatever reads cost, however the oscillator runs, and wherever in its bound the device is.
    #[test]
    fn t1_the_interval_contains_utc(
        drift in -200_000_i32..=200_000,
        steps in proptest::collection::vec((-2_000_i64..=2_000, 0_u64..3_000_000, 0_u64..2_000), 1..20),
    ) {
        let world = World::new(sound);
        world.machine.set_drift_ppb(drift);
        for (off, takes, ms) in steps {
            let delay = Duration::from_nanos(takes);
            world.phc.set_offset(nanos(off));
            world.phc.set_delays(delay, delay);
            world.machine.advance(Duration::from_millis(ms));
            let _ = world.clock.refresh();
            prop_assert_ne!(world.is_true(), Ok(false));
        }
    }
}
