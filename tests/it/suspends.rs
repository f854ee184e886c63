//! A3's figure: how long a suspend can be and yet be missed.

use epsilon_clock::Clock;
use epsilon_clock::testing::ScriptedMachine;
use std::time::Duration;

/// What the documentation says: a suspend is seen, however it comes to lie between two checks of the
/// clocks, if it is no shorter than this.
fn figure(guard_interval: Duration, tick: Duration) -> Duration {
    guard_interval + guard_interval / 8 + tick
}

/// What hides part of a suspend from coarse time: raw time goes on after coarse time stood.
#[derive(Clone, Copy, Debug)]
enum Hiding {
    /// The reader is preempted between its two reads.
    Preempted,
    /// The processor that keeps time does not run.
    Starved,
}

const WAYS: [Hiding; 2] = [Hiding::Preempted, Hiding::Starved];

/// Returns true if the clock gives a false interval after a suspend of this length, of which `hidden` is
/// hidden; the check was made `phase` after a tick.
fn misses(
    guard_interval: Duration,
    tick: Duration,
    suspend: Duration,
    (hiding, hidden, phase): (Hiding, Duration, Duration),
) -> bool {
    let machine = ScriptedMachine::default();
    machine.set_coarse_tick(tick);
    machine.write_maxerror(503);
    let clock: Clock = machine
        .builder()
        .guard_interval(guard_interval)
        .look_interval(Duration::from_secs(10))
        .build()
        .unwrap();
    // The check is made here, and nothing is due until `guard_interval` from here.
    machine.advance(guard_interval + phase);
    assert!(clock.now().is_ok());
    machine.suspend(suspend);
    match hiding {
        Hiding::Preempted => machine.before_read(1, move |machine| machine.advance(hidden)),
        Hiding::Starved => {
            machine.starve_timekeeper();
            machine.advance(hidden);
        }
    }
    let began = machine.true_time();
    let read = clock.now();
    read.is_ok_and(|interval| {
        interval.latest() < began || interval.earliest() > machine.true_time()
    })
}

/// The longest suspend that is missed however it is hidden, searched from above in steps of an eighth of
/// a tick.
fn longest_missed(guard_interval: Duration, tick: Duration) -> Duration {
    let step = tick / 8;
    let nearly_all = guard_interval - Duration::from_micros(10);
    let mut suspend = figure(guard_interval, tick) + 6 * step;
    while suspend > step {
        for hiding in WAYS {
            for hidden in [guard_interval / 2, nearly_all] {
                for phase in (0..4).map(|quarters| tick * quarters / 4) {
                    if misses(guard_interval, tick, suspend, (hiding, hidden, phase)) {
                        return suspend;
                    }
                }
            }
        }
        suspend -= step;
    }
    Duration::ZERO
}

/// The figure holds, and is no larger than it has to be: all but a step of the search is missed.
#[test]
fn a3_the_longest_suspend_that_is_missed_is_the_documented_one() {
    for (guard_interval, tick) in [(10, 4), (10, 1), (40, 10), (2, 4)] {
        let guard_interval = Duration::from_millis(guard_interval);
        let tick = Duration::from_millis(tick);
        let longest = longest_missed(guard_interval, tick);
        let figure = figure(guard_interval, tick);
        let what = format!("guard_interval {guard_interval:?}, tick {tick:?}: {longest:?}");
        assert!(longest < figure, "{what}, not below {figure:?}");
        assert!(longest + tick / 4 > figure, "{what}, {figure:?} documented");
    }
}
