//! Real steps of real time, and a cleared NTP state.

use std::time::Duration;

use epsilon_clock::source::{Refusal, Writer};
use epsilon_clock::{Clock, ClockError, ClockState, Disturbance, Interval, Status};

use crate::host::{Calm, eventually, sleep_ms};
use crate::kernel::{self, Fields, write_honestly};
use crate::readers::Readers;
use crate::truth::{MS, SECOND, Truth};

/// Some day in 2029: timesyncd does not believe in a time before it was built, openntpd in none
/// from 2030 on.
pub(crate) const START: i64 = 1_870_000_000 * SECOND + 400 * MS;

/// What true time runs off raw time by in these tests: not nothing, and within the default bound.
pub(crate) const OSCILLATOR_PPB: i64 = 60_000;

/// A clock that has seen an honest daemon write.
pub(crate) fn synchronised(truth: &Truth) -> Clock {
    write_honestly(truth, 0, 900);
    let clock = Clock::system().expect("the clocks are there");
    assert!(eventually(
        || clock.calm_status().state == ClockState::Inherited
    ));
    write_again(truth, &clock, 400);
    clock
}

/// Writes honestly, and waits until the clock has seen it.
pub(crate) fn write_again(truth: &Truth, clock: &Clock, more_us: i64) {
    let before = clock.calm_status().counters.writes;
    write_honestly(truth, 0, more_us);
    assert!(eventually(
        || clock.calm_now().is_ok() && clock.calm_status().counters.writes > before
    ));
    let status = clock.calm_status();
    assert_eq!(status.counters.writes, before + 1, "{status:?}");
    assert_eq!(status.state, ClockState::Synchronized, "{status:?}");
}

/// Waits until readers have looked twice more, so that whatever was there must have been seen.
fn looked_at(clock: &Clock) {
    let looks = clock.calm_status().counters.looks;
    assert!(eventually(
        || clock.calm_status().counters.looks >= looks + 2
    ));
}

/// Steps by `step`, which leaves the kernel unsynchronised, and back again.
fn step_and_back(by: i64, step: fn(i64)) {
    kernel::reset(START);
    let truth = Truth::from_now(0, OSCILLATOR_PPB);
    let clock = synchronised(&truth);
    let readers = Readers::start(truth, &[("stepped", &clock)]);
    sleep_ms(300);
    for (steps, by) in [(1, by), (2, -by)] {
        step(by);
        assert!(eventually(|| clock.calm_status().counters.steps == steps));
        // Long enough for the kernel to grow the bound.
        sleep_ms(1_300);
        // Out of the interval, and back by another step: either the stepper is wrong or the claim is, and
        // silence settles neither.
        let unsynchronised = |status: &Status| {
            stepped_away(&status.interval)
                && matches!(status.refusal, Some(Refusal::Unsynchronized { .. }))
        };
        assert!(
            eventually(|| unsynchronised(&clock.calm_status())),
            "{:?}",
            clock.calm_status()
        );
        let status = clock.calm_status();
        assert_eq!(status.counters.writes, 1, "{status:?}");
        // A clock that starts now has nobody to vouch for it.
        let fresh = Clock::system().expect("the clocks are there");
        let refused = || {
            matches!(
                fresh.calm_now(),
                Err(ClockError::Unvouched(Refusal::Unsynchronized { .. }))
            )
        };
        assert!(eventually(refused), "{:?}", fresh.calm_now());
    }
    write_again(&truth, &clock, 300);
    let counters = clock.calm_status().counters;
    assert_eq!((counters.steps, counters.suspends), (2, 0), "{counters:?}");
    sleep_ms(300);
    readers.stop()[0].assert_kept(&["Disturbed"]);
}

/// Whether real time was stepped out of the interval, and nothing has settled who is wrong.
fn stepped_away(answer: &Result<Interval, ClockError>) -> bool {
    matches!(
        answer,
        Err(ClockError::Disturbed {
            cause: Disturbance::SteppedAway { .. }
        })
    )
}

pub(crate) fn settimeofday() {
    let step = |by| kernel::set_time(crate::host::real_nanos() + by);
    for by in [3 * SECOND, -200 * MS] {
        step_and_back(by, step);
    }
}

pub(crate) fn setoffset() {
    for by in [700 * MS, -5 * SECOND, 2 * MS] {
        step_and_back(by, |by| kernel::step(by, None));
    }
}

/// As timesyncd does: no look ever finds the kernel unsynchronised.
pub(crate) fn step_and_write_at_once() {
    kernel::reset(START);
    // The daemon knows of its large error all along.
    let truth = Truth::from_now(300 * MS, OSCILLATOR_PPB);
    let clock = synchronised(&truth);
    let readers = Readers::start(truth, &[("stepped and written", &clock)]);
    sleep_ms(600);
    let fields = |maxerror_us| Fields {
        status: 0,
        maxerror_us,
        esterror_us: 100,
    };
    // Within a millisecond of the truth now, and honest about it.
    kernel::step(-truth.error_of_real(), Some(fields(1_777)));
    assert!(eventually(|| clock.calm_status().counters.steps == 1));
    looked_at(&clock);
    let status = clock.calm_status();
    // A step clears the kernel's NTP state, so a bound that stands after it was written after it.
    assert_eq!(status.counters.writes, 2, "{status:?}");
    assert!(status.bound.expect("a claim").reported_ns < 2_000_000);
    write_again(&truth, &clock, 300);
    assert!(clock.calm_status().bound.expect("a claim").reported_ns < 2_000_000);
    sleep_ms(300);
    let writes = clock.calm_status().counters.writes;
    // A step away from the truth, with a bound that is a lie: no reading may follow it.
    let timesyncd = Fields {
        status: libc::STA_PLL,
        maxerror_us: 0,
        esterror_us: 0,
    };
    kernel::step(150 * MS, Some(timesyncd));
    assert!(eventually(|| clock.calm_status().counters.steps == 2));
    looked_at(&clock);
    let status = clock.calm_status();
    assert_eq!(status.counters.writes, writes, "{status:?}");
    // Its next write departs from the kernel's growth, and says who it is.
    sleep_ms(1_100);
    timesyncd.write();
    assert!(eventually(|| matches!(
        clock.calm_status().refusal,
        Some(Refusal::NoBound {
            writer: Writer::Timesyncd,
            ..
        })
    )));
    // A writer without a bound settles nothing; an honest one does, by a write that agrees with the claim
    // from before.
    assert!(stepped_away(&clock.calm_now()), "{:?}", clock.calm_status());
    kernel::step(-150 * MS, None);
    assert!(eventually(|| clock.calm_status().counters.steps == 3));
    write_again(&truth, &clock, 300);
    assert_eq!(clock.calm_status().counters.contradictions, 0);
    readers.stop()[0].assert_kept(&["Disturbed"]);
}

/// What the caller vouched for ends with a step, until the caller vouches again.
pub(crate) fn under_an_assumption() {
    kernel::reset(START);
    let truth = Truth::from_now(20 * MS, OSCILLATOR_PPB);
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(50))
        .build()
        .expect("the clocks are there");
    assert_eq!(clock.calm_status().state, ClockState::Assumed);
    let readers = Readers::start(truth, &[("assumed", &clock)]);
    sleep_ms(400);
    kernel::step(400 * MS, None);
    let broken = ClockError::AssumptionBroken {
        cause: Disturbance::Stepped,
    };
    assert!(
        eventually(|| clock.calm_now() == Err(broken)),
        "{:?}",
        clock.calm_now()
    );
    looked_at(&clock);
    assert_eq!(clock.calm_now(), Err(broken));
    kernel::step(-400 * MS, None);
    looked_at(&clock);
    // That it is back where it was, nobody can know but the caller.
    assert_eq!(clock.calm_now(), Err(broken));
    assert!(clock.vouch().is_ok(), "{:?}", clock.calm_now());
    sleep_ms(400);
    // Readings between the step and its detection, 10 ms at most, were about the claim from before.
    readers.stop()[0].assert_kept(&["AssumptionBroken"]);
}

/// The NTP state is cleared without a step worth the name: holdover, an error in the end, and back.
pub(crate) fn cleared_state() {
    kernel::reset(START);
    let truth = Truth::from_now(0, OSCILLATOR_PPB);
    write_honestly(&truth, 0, 900);
    let short = Clock::builder()
        .max_age(Duration::from_millis(1_500))
        .build()
        .expect("the clocks are there");
    let clock = synchronised(&truth);
    assert!(eventually(
        || short.calm_now().is_ok() && short.calm_status().state == ClockState::Synchronized
    ));
    let readers = Readers::start(truth, &[("patient", &clock), ("impatient", &short)]);
    sleep_ms(300);
    kernel::step(0, None);
    assert!(
        eventually(|| clock.calm_status().state == ClockState::Holdover),
        "{:?}",
        clock.calm_status()
    );
    assert_eq!(
        clock.calm_status().counters.steps,
        0,
        "{:?}",
        clock.calm_status()
    );
    assert!(eventually(|| matches!(
        short.calm_now(),
        Err(ClockError::TooOld { .. })
    )));
    assert!(clock.calm_now().is_ok(), "{:?}", clock.calm_status());
    write_again(&truth, &clock, 300);
    assert!(eventually(|| short.calm_now().is_ok()));
    sleep_ms(300);
    let scores = readers.stop();
    scores[0].assert_kept(&[]);
    scores[1].assert_kept(&["TooOld"]);
    assert!(scores[1].errors.contains_key("TooOld"));
}
