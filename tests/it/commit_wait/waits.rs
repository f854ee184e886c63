//! T6, one way to end after the other. The time that passes is the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use epsilon_clock::commit::{CommitWaitError, GroupWait, WaitStrategy};
use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{Finding, LeapNotice, Look, Refusal};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{
    Clock, ClockError, CommitGroup, CommitWait, Disturbance, Interval, TimeDelta, Timestamp,
};

use super::{micros, millis, secs, synchronized};

/// A scripted machine whose sleeps go as a closure says: it gets the span, and lets time pass.
struct Sleepy<F> {
    machine: ScriptedMachine,
    sleep: F,
    sleeps: Arc<AtomicU64>,
    /// How many of the next comparisons of the clocks are interrupted for two milliseconds.
    interruptions: Arc<AtomicU64>,
}

impl<F> std::fmt::Debug for Sleepy<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.machine.fmt(f)
    }
}

impl<F: Fn(&ScriptedMachine, u64, Duration) + Send + Sync> Machine for Sleepy<F> {
    fn sample(&self) -> Sample {
        self.machine.sample()
    }
    fn sandwich(&self) -> Sandwich {
        let left = self.interruptions.load(Ordering::Relaxed);
        self.interruptions
            .store(left.saturating_sub(1), Ordering::Relaxed);
        if left > 0 {
            // Before the last of its readings.
            self.machine
                .before_read(4, |machine| machine.advance(millis(2)));
        }
        self.machine.sandwich()
    }
    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        self.machine.ntp_status()
    }
    fn coarse_tick(&self) -> Duration {
        self.machine.coarse_tick()
    }
    fn identity(&self) -> Identity {
        self.machine.identity()
    }
    fn sleep(&self, span: Duration) {
        let number = self.sleeps.fetch_add(1, Ordering::Relaxed);
        (self.sleep)(&self.machine, number, span);
    }
}

/// A clock known to ±`epsilon`, on a machine that sleeps like that; and how often it slept.
fn sleepy(
    epsilon: Duration,
    sleep: impl Fn(&ScriptedMachine, u64, Duration) + Send + Sync + 'static,
) -> (ScriptedMachine, Clock, Arc<AtomicU64>) {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(epsilon)));
    let sleeps = Arc::new(AtomicU64::new(0));
    let wrapped = Sleepy {
        machine: machine.clone(),
        sleep,
        sleeps: Arc::clone(&sleeps),
        interruptions: Arc::default(),
    };
    let builder = Clock::builder().machine(Arc::new(wrapped)).source(source);
    (machine, builder.build().unwrap(), sleeps)
}

/// A clock known to ±1 ms through a source that a test plays.
fn told(epsilon: Duration) -> (ScriptedMachine, ScriptedSource, Clock) {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(epsilon)));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    (machine, source, clock)
}

#[test]
fn a_wait_ends_once_the_timestamp_is_past_and_soon_after() {
    for strategy in [WaitStrategy::SLEEP, WaitStrategy::DEFAULT] {
        let (machine, clock) = synchronized();
        let commit = clock.begin_commit().unwrap().with_strategy(strategy);
        let began = machine.raw_time();
        let planned = commit.remaining().unwrap();
        assert!(planned > millis(2), "{planned:?}");
        commit.wait().unwrap();
        assert!(clock.after(commit.timestamp()).unwrap());
        assert!(machine.true_time() > commit.timestamp());
        let waited = Duration::from_nanos((machine.raw_time() - began) as u64);
        assert!(
            waited >= planned && waited < planned + micros(5),
            "{waited:?}"
        );
    }
}

#[test]
fn work_counts_towards_the_wait() {
    let (machine, clock) = synchronized();
    let commit = clock.begin_commit().unwrap();
    let whole = commit.remaining().unwrap();
    machine.advance(millis(1));
    let rest = commit.remaining().unwrap();
    let worked = whole - rest;
    assert!(worked >= millis(1) && worked < micros(1_010), "{worked:?}");
    machine.advance(millis(10));
    let slept = machine.slept();
    assert_eq!(commit.remaining().unwrap(), Duration::ZERO);
    assert!(commit.is_past().unwrap());
    commit.wait().unwrap();
    commit.wait_timeout(Duration::ZERO).unwrap();
    assert_eq!(machine.slept(), slept);
}

#[test]
fn remaining_is_exact_to_the_nanosecond() {
    let (machine, _source, clock) = told(millis(1));
    machine.set_read_cost(Duration::ZERO);
    let commit = clock.begin_commit().unwrap();
    let left = commit.remaining().unwrap();
    machine.advance(left - Duration::from_nanos(1));
    assert!(!commit.is_past().unwrap());
    assert_eq!(commit.remaining().unwrap(), Duration::from_nanos(1));
    machine.advance(Duration::from_nanos(1));
    assert!(commit.is_past().unwrap());
}

/// Kudu and others slept once, and returned without looking again.
#[test]
fn t6_a_sleep_that_ends_early_is_not_believed() {
    let (machine, clock, sleeps) = sleepy(millis(1), |machine, _, span| machine.advance(span / 2));
    let commit = clock
        .begin_commit()
        .unwrap()
        .with_strategy(WaitStrategy::SLEEP);
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
    let slept = sleeps.load(Ordering::Relaxed);
    assert!((2..40).contains(&slept), "{slept} sleeps");
}

#[test]
fn t6_a_sleep_that_does_nothing_is_not_believed() {
    // A storm of signals: a hundred sleeps return at once.
    let (machine, clock, sleeps) = sleepy(millis(1), |machine, number, span| {
        if number >= 100 {
            machine.advance(span);
        }
    });
    let commit = clock.begin_commit().unwrap();
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
    assert!(sleeps.load(Ordering::Relaxed) > 100);
}

/// One of the peers polled every 25 µs through a sign error.
#[test]
fn a_wait_sleeps_once_where_sleeps_are_punctual() {
    for (strategy, most) in [(WaitStrategy::SLEEP, 2), (WaitStrategy::DEFAULT, 1)] {
        let (_, clock, sleeps) = sleepy(millis(3), |machine, _, span| machine.advance(span));
        let commit = clock.begin_commit().unwrap().with_strategy(strategy);
        commit.wait().unwrap();
        let slept = sleeps.load(Ordering::Relaxed);
        assert!((1..=most).contains(&slept), "{strategy:?}: {slept} sleeps");
    }
}

#[test]
fn a_late_sleep_is_not_followed_by_another() {
    let (machine, clock, sleeps) = sleepy(millis(1), |machine, _, span| {
        machine.advance(span + secs(1));
    });
    let commit = clock.begin_commit().unwrap();
    commit.wait().unwrap();
    assert_eq!(sleeps.load(Ordering::Relaxed), 1);
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn no_wait_spins_for_longer_than_it_may() {
    // Every sleep ends far too early: what is not spent asleep would be spent spinning.
    let (machine, clock, _) = sleepy(millis(1), |machine, _, _| machine.advance(micros(1)));
    for (strategy, most) in [
        (WaitStrategy::SLEEP, Duration::ZERO),
        (WaitStrategy::DEFAULT, micros(151)),
        (WaitStrategy::sleep_then_spin(secs(1)), micros(151)),
    ] {
        let commit = clock.begin_commit().unwrap().with_strategy(strategy);
        let reads = machine.reads();
        let began = machine.raw_time();
        commit.wait().unwrap();
        let sleeps = 2_100; // of a microsecond each, with some seven readings around each of them
        let spun = Duration::from_nanos(20 * (machine.reads() - reads));
        let waited = Duration::from_nanos((machine.raw_time() - began) as u64);
        assert!(waited >= millis(2), "{waited:?}");
        assert!(
            spun < most + Duration::from_nanos(20 * 9 * sleeps),
            "{strategy:?}: {spun:?} of readings"
        );
        machine.advance(millis(5));
    }
}

/// A worse claim in the middle of the last stretch: the end of spinning is not the end of the wait,
/// and what was spun counts.
#[test]
fn t6_a_wait_that_has_spun_enough_sleeps_for_the_rest() {
    let (machine, source, clock) = told(millis(1));
    let commit = clock.begin_commit().unwrap();
    let left = commit.remaining().unwrap();
    let (other, looker) = (machine.clone(), clock.clone());
    machine.after(left - micros(70), move |_| {
        source.push(Finding::Write(other.truth(millis(3))));
        looker.look().unwrap();
    });
    let reads = machine.reads();
    let slept = machine.slept();
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
    let slept = machine.slept() - slept;
    assert!(slept > left + millis(1), "{slept:?}");
    let spun = Duration::from_nanos(20 * (machine.reads() - reads));
    assert!(spun > micros(145) && spun < micros(160), "{spun:?}");
}

#[test]
fn spinning_ends_on_a_machine_whose_time_stands_still_while_it_is_read() {
    let (machine, clock) = synchronized();
    machine.set_read_cost(Duration::ZERO);
    let commit = clock.begin_commit().unwrap();
    let reads = machine.reads();
    commit.wait().unwrap();
    assert!(clock.after(commit.timestamp()).unwrap());
    assert!(machine.reads() - reads < 500);
}

#[test]
fn a_timeout_that_will_not_do_fails_at_once_and_says_what_would() {
    let (machine, clock) = synchronized();
    let commit = clock.begin_commit().unwrap();
    let left = commit.remaining().unwrap();
    let slept = machine.slept();
    let error = commit.wait_timeout(millis(1)).unwrap_err();
    let CommitWaitError::Timeout { timeout, needed } = error else {
        panic!("{error}");
    };
    assert_eq!(timeout, millis(1));
    assert!(needed > left - micros(10) && needed <= left + micros(10));
    assert!(error.to_string().contains("1ms"), "{error}");
    assert_eq!(machine.slept(), slept, "it slept over it");
    assert!(commit.wait_timeout(Duration::ZERO).is_err());
    // Taken up again, with what it said that it needs.
    commit.wait_timeout(needed + micros(10)).unwrap();
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn a_timeout_that_became_too_short_on_the_way_is_told_then() {
    let (_, clock, sleeps) = sleepy(millis(1), |machine, _, _| {
        // Asleep, and raw time stands still as far as anybody notices: early again and again.
        machine.advance(micros(100));
    });
    let commit = clock
        .begin_commit()
        .unwrap()
        .with_strategy(WaitStrategy::SLEEP);
    let left = commit.remaining().unwrap();
    commit.wait_timeout(left + micros(20)).unwrap();
    assert!(sleeps.load(Ordering::Relaxed) > 5);

    // A worse claim comes: what was enough is not any more.
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(100))));
    let builder = machine.builder().look_interval(millis(20));
    let clock = builder.source(source.clone()).build().unwrap();
    let commit = clock.begin_commit().unwrap();
    source.push_with({
        let machine = machine.clone();
        move |_| Look::new(Finding::Write(machine.truth(millis(180))))
    });
    let slept = machine.slept();
    let error = commit.wait_timeout(millis(202)).unwrap_err();
    let CommitWaitError::Timeout { needed, .. } = error else {
        panic!("{error}");
    };
    assert!(needed > millis(279) && needed < millis(282), "{needed:?}");
    let slept = machine.slept() - slept;
    assert!(slept > millis(19) && slept < millis(41), "{slept:?}");
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn t6_a_wait_goes_on_in_holdover() {
    let (machine, clock) = synchronized();
    let commit = clock.begin_commit().unwrap();
    machine.refuse(NtpStatusError::Unsupported);
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn t6_a_clock_that_grows_too_old_meanwhile_is_an_error() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(400))));
    let clock = machine
        .builder()
        .source(source.clone())
        .max_age(millis(300))
        .build()
        .unwrap();
    let commit = clock.begin_commit().unwrap();
    let error = commit.wait().unwrap_err();
    let CommitWaitError::Clock(ClockError::TooOld { .. }) = error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("max_age"), "{error}");
    assert!(commit.is_past().is_err() && commit.remaining().is_err());
    // Taken up again once somebody vouches.
    source.push_with({
        let machine = machine.clone();
        move |_| Look::new(Finding::Write(machine.truth(millis(2))))
    });
    clock.look().unwrap();
    commit.wait().unwrap();
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn t6_a_suspend_in_the_middle_of_a_sleep_is_an_error() {
    let (machine, clock, _) = sleepy(millis(20), |machine, number, span| {
        machine.advance(span / 2);
        if number == 0 {
            machine.suspend(secs(3_600));
        }
        machine.advance(span / 2);
    });
    let commit = clock.begin_commit().unwrap();
    let error = commit.wait().unwrap_err();
    assert!(
        matches!(
            error,
            CommitWaitError::Clock(ClockError::Disturbed {
                cause: Disturbance::Suspended
            })
        ),
        "{error}"
    );
    // Of course it is past, but nobody can vouch for that.
    assert!(machine.true_time() > commit.timestamp());
}

/// A reader that is preempted each time it compares the clocks learns nothing, and asks again.
#[test]
fn an_interruption_is_no_reason_to_end_a_wait_unless_there_is_no_end_of_it() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(50))));
    let interruptions = Arc::new(AtomicU64::new(0));
    let wrapped = Sleepy {
        machine: machine.clone(),
        sleep: |machine: &ScriptedMachine, _, span| machine.advance(span),
        sleeps: Arc::default(),
        interruptions: Arc::clone(&interruptions),
    };
    let builder = Clock::builder().machine(Arc::new(wrapped)).source(source);
    let clock = builder.build().unwrap();
    let interrupted = ClockError::Disturbed {
        cause: Disturbance::Interrupted,
    };

    machine.advance(millis(15));
    interruptions.store(8, Ordering::Relaxed); // as many as a reading puts up with
    assert_eq!(clock.now(), Err(interrupted));

    machine.advance(millis(15));
    interruptions.store(8, Ordering::Relaxed);
    let target = machine.true_time().saturating_add(millis(20));
    clock.wait_until_past(target).unwrap();
    assert!(machine.true_time() > target);

    machine.advance(millis(15));
    interruptions.store(u64::MAX, Ordering::Relaxed);
    let target = machine.true_time().saturating_add(secs(3));
    let error = clock.wait_until_past(target).unwrap_err();
    assert_eq!(error, CommitWaitError::Clock(interrupted));
    assert!(machine.true_time() < target);
}

#[test]
fn t6_a_contradiction_meanwhile_is_an_error() {
    let (machine, source, clock) = told(millis(300));
    let commit = clock.begin_commit().unwrap();
    source.push_with(move |context| {
        let raw = context.machine.sample().raw;
        let far = Interval::point("2030-01-01T00:00:00.000000000Z".parse().unwrap());
        let rate = epsilon_clock::time::RateBounds::symmetric(context.max_drift_ppb);
        Look::new(Finding::Write(epsilon_clock::source::SyncClaim {
            claim: epsilon_clock::time::Claim::new(raw, far, rate),
            bound: epsilon_clock::ErrorBound::default(),
        }))
    });
    let error = commit.wait().unwrap_err();
    assert!(
        matches!(
            error,
            CommitWaitError::Clock(ClockError::Contradicted { .. })
        ),
        "{error}"
    );
    assert!(machine.true_time() < commit.timestamp());
}

#[test]
fn without_an_interval_there_is_no_waiting() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let past = Timestamp::UNIX_EPOCH;
    let error = clock.wait_until_past(past).unwrap_err();
    assert!(
        matches!(
            error,
            CommitWaitError::Clock(ClockError::Unvouched(Refusal::Unsynchronized { .. }))
        ),
        "{error}"
    );
    assert!(clock.until_past(past).wait_timeout(secs(1)).is_err());
    assert_eq!(machine.slept(), Duration::ZERO);
}

#[test]
fn a_write_meanwhile_that_knows_better_shortens_the_wait() {
    let (machine, source, clock) = told(millis(400));
    let commit = clock.begin_commit().unwrap();
    let planned = commit.remaining().unwrap();
    let began = machine.raw_time();
    source.push_with({
        let machine = machine.clone();
        move |_| Look::new(Finding::Write(machine.truth(micros(50))))
    });
    commit.wait().unwrap();
    let waited = Duration::from_nanos((machine.raw_time() - began) as u64);
    assert!(waited < planned - millis(300), "{waited:?} of {planned:?}");
    assert!(machine.true_time() > commit.timestamp());
}

/// The axis stands still for a second: so does the wait.
#[test]
fn a_wait_across_an_inserted_second_is_planned_a_second_longer() {
    for (kind, extra) in [(LeapKind::Inserted, 1_000), (LeapKind::Deleted, -1_000)] {
        let start: Timestamp = "2016-12-31T23:59:57.000000000Z".parse().unwrap();
        let machine = ScriptedMachine::new(start);
        let boundary = machine.schedule_leap(kind);
        machine.announce_leap(kind);
        let source = ScriptedSource::new("oracle");
        let pending = LeapNotice::Pending(LeapSecond { boundary, kind });
        let mut look = Look::new(Finding::Write(machine.truth(millis(5))));
        look.leap = pending;
        source.push_look(look);
        // It goes on saying so; near the boundary no look counts.
        let mut look = Look::new(Finding::Nothing);
        look.leap = pending;
        (0..4).for_each(|_| source.push_look(look));
        let clock = machine.builder().source(source).build().unwrap();
        let target = boundary.saturating_add(millis(500));
        let wait = clock.until_past(target);
        let planned = wait.remaining().unwrap();
        let plain = i64::try_from(planned.as_millis()).unwrap() - extra;
        assert!((3_500..3_520).contains(&plain), "{kind:?}: {planned:?}");
        wait.wait().unwrap();
        assert!(machine.true_time() > target);
    }
}

#[test]
fn steps_and_slews_of_real_time_do_not_touch_a_wait() {
    let (machine, clock) = synchronized();
    let commit = clock.begin_commit().unwrap();
    let planned = commit.remaining().unwrap();
    let began = machine.raw_time();
    // Within the interval: out of it one of the two would be wrong.
    machine.step(TimeDelta::from_nanos(300_000));
    machine.set_slew_ppb(-83_000_000);
    commit.wait().unwrap();
    let waited = Duration::from_nanos((machine.raw_time() - began) as u64);
    assert!(waited < planned + micros(10), "{waited:?} of {planned:?}");
    assert!(machine.true_time() > commit.timestamp());
}

#[test]
fn t10_what_can_never_be_past_is_not_waited_for() {
    let (machine, clock) = synchronized();
    let slept = machine.slept();
    let timestamp = Timestamp::MAX;
    let wait = clock.until_past(timestamp);
    let expected = CommitWaitError::NeverPast { timestamp };
    assert_eq!(wait.wait(), Err(expected));
    assert_eq!(wait.wait_timeout(Duration::MAX), Err(expected));
    assert_eq!(wait.remaining().unwrap(), Duration::MAX);
    assert_eq!(wait.is_past(), Ok(false));
    assert_eq!(machine.slept(), slept);
}

#[test]
fn a_commit_that_is_dropped_leaves_nothing_behind() {
    let (_, clock) = synchronized();
    let dropped = clock.begin_commit().unwrap().timestamp();
    let next = clock.begin_commit().unwrap();
    assert!(next.timestamp() > dropped);
    next.wait().unwrap();
}

#[test]
fn everything_can_be_sent_and_shared() {
    fn shareable<T: Send + Sync>() {}
    shareable::<CommitWait<'_>>();
    shareable::<CommitGroup>();
    shareable::<GroupWait>();
    shareable::<WaitStrategy>();
    shareable::<CommitWaitError>();
}

/// The one wait by the real clock.
#[test]
fn smoke_on_the_real_machine() {
    let clock = Clock::builder().assume_error(millis(1)).build().unwrap();
    let began = std::time::Instant::now();
    let commit = clock.begin_commit().unwrap();
    commit.wait().unwrap();
    assert!(began.elapsed() >= micros(1_900), "{:?}", began.elapsed());
    assert!(clock.after(commit.timestamp()).unwrap());
}
