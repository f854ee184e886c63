//! Awaiting a clock's state and a lease's end, on a runtime without timers and by bare polls.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use epsilon_clock::clock::{StateWait, WaitReason, WaitTimeout};
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, ClockState, CommitGroup, Lease};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Runs a future on a runtime that has no timer, while another thread lets the machine's time pass.
fn while_time_passes<T>(machine: &ScriptedMachine, future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                machine.advance(millis(10));
                thread::sleep(millis(1));
            }
        });
        let output = runtime.block_on(future);
        over.store(true, Ordering::Relaxed);
        output
    })
}

/// A clock that nothing vouches for yet, and which is looked at often.
fn unsynchronized() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    let clock = machine.builder().look_interval(millis(5)).build().unwrap();
    assert!(clock.now().is_err());
    (machine, clock)
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_synchronised_clock_is_there_at_the_first_poll() {
    let (machine, clock) = unsynchronized();
    machine.write_maxerror(1_003);
    machine.advance(millis(300));
    for mut wait in [
        clock.until_synchronized(secs(0)),
        clock.until_within(millis(2), secs(0)),
    ] {
        let Poll::Ready(Ok(now)) = poll(&mut wait, Waker::noop()) else {
            panic!("not there");
        };
        assert!(now.contains(machine.true_time()));
    }
}

#[test]
fn an_awaited_clock_is_told_of_soon_after_the_daemon_has_written() {
    let (machine, clock) = unsynchronized();
    machine.after(secs(1), |machine| machine.write_maxerror(1_003));
    let began = machine.true_time();
    let now = while_time_passes(&machine, clock.until_synchronized(secs(3_600))).unwrap();
    let waited = machine.true_time().abs_diff(began);
    assert!(waited >= secs(1) && waited < secs(60), "{waited:?}");
    assert!(now.earliest() <= machine.true_time());
}

#[test]
fn awaiting_in_vain_says_what_was_missing() {
    let (machine, clock) = unsynchronized();
    let waited =
        |wait: StateWait| -> WaitTimeout { while_time_passes(&machine, wait).unwrap_err() };
    let timeout = waited(clock.until_synchronized(millis(200)));
    let refusal = Refusal::Unsynchronized {
        maxerror_us: 16_000_000,
    };
    let missing = ClockError::Unvouched(refusal);
    assert_eq!(timeout.reason, WaitReason::NoInterval(missing));
    assert!(timeout.waited >= millis(200), "{timeout}");
    machine.write_maxerror(90_003);
    let timeout = waited(clock.until_within(millis(2), millis(200)));
    assert!(
        matches!(timeout.reason, WaitReason::TooWide { .. }),
        "{timeout}"
    );
}

/// As of the blocking wait: each condition is the same function of a reading.
#[test]
fn an_assumed_error_is_not_awaited() {
    let machine = ScriptedMachine::default();
    let builder = machine.builder().look_interval(millis(5));
    let clock = builder.assume_error(millis(50)).build().unwrap();
    let timeout = while_time_passes(&machine, clock.until_synchronized(millis(200))).unwrap_err();
    assert_eq!(timeout.reason, WaitReason::OnlyAssumed);
}

#[test]
fn each_change_of_state_is_told_once() {
    let (machine, clock) = unsynchronized();
    let mut changes = clock.state_changes();
    assert_eq!(changes.state(), ClockState::Unavailable);
    let waker = Waker::noop();
    assert!(
        pin!(changes.changed())
            .poll(&mut Context::from_waker(waker))
            .is_pending()
    );
    machine.write_maxerror(1_003);
    let state = while_time_passes(&machine, changes.changed()).unwrap();
    assert_eq!(state, ClockState::Synchronized);
    let mut context = Context::from_waker(waker);
    assert!(changes.poll_changed(&mut context).is_pending());
    // One that came while no task was waiting.
    machine.suspend(secs(60));
    assert_eq!(clock.read().state, ClockState::Unavailable);
    let Poll::Ready(Ok(state)) = changes.poll_changed(&mut context) else {
        panic!("not told");
    };
    assert_eq!(state, ClockState::Unavailable);
    assert!(changes.poll_changed(&mut context).is_pending());
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let (_, clock) = unsynchronized();
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut waits: Vec<StateWait> = (0..10)
        .map(|_| clock.until_synchronized(secs(60)))
        .collect();
    for wait in waits
        .iter_mut()
        .chain([&mut clock.until_within(millis(1), secs(60))])
    {
        assert!(poll(wait, &waker).is_pending());
        // Polled again it keeps its place.
        assert!(poll(wait, &waker).is_pending());
    }
    assert_eq!(Arc::strong_count(&flag), 12);
    drop(waits);
    drop(waker);
    assert_eq!(Arc::strong_count(&flag), 1);
    assert!(!flag.0.load(Ordering::Relaxed));
}

/// Many futures, of which each is woken once its own condition holds and no other.
#[test]
fn a_wait_is_woken_by_its_own_condition() {
    let (machine, clock) = unsynchronized();
    machine.write_maxerror(90_003);
    let waiting = |wait: &mut StateWait| {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        assert!(poll(wait, &Waker::from(Arc::clone(&flag))).is_pending());
        flag
    };
    let mut narrow = clock.until_within(millis(2), secs(3_600));
    let mut wide = clock.until_within(millis(95), secs(3_600));
    let (for_narrow, for_wide) = (waiting(&mut narrow), waiting(&mut wide));
    let woken = |flag: &Flag| flag.0.load(Ordering::Relaxed);
    for _ in 0..2_000 {
        if woken(&for_wide) {
            break;
        }
        machine.advance(millis(5));
        thread::sleep(millis(1));
    }
    assert!(woken(&for_wide) && !woken(&for_narrow));
    assert!(poll(&mut wide, Waker::noop()).is_ready());
}

#[test]
fn a_leases_end_is_awaited_by_the_groups_clock() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    let group = CommitGroup::driven(&clock);
    let lease = Lease::grant(&clock.now().unwrap(), secs(10)).unwrap();
    let mut expired = lease.with_margin(secs(3)).until_expired(&group);
    assert_eq!(expired.timestamp(), lease.expiry());
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    assert!(poll(&mut expired, &waker).is_pending());
    while let Some(left) = group.drive_once().unwrap() {
        assert!(!flag.0.load(Ordering::Relaxed));
        machine.advance(left);
    }
    assert_eq!(poll(&mut expired, Waker::noop()), Poll::Ready(Ok(())));
    assert!(lease.surely_expired(&clock).unwrap());
}

/// A source whose looks panic in the crate's own sleeper, and only there.
#[derive(Debug)]
struct PanicsInTheSleeper;

impl Source for PanicsInTheSleeper {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn look(&self, _: &LookContext<'_>, _: &mut SourceMemory) -> Look {
        assert_ne!(thread::current().name(), Some("epsilon-sleep"));
        Look::new(Finding::Nothing)
    }
}

/// On the real machine, where all clocks share the sleeper.
#[test]
fn a_source_that_panics_in_the_sleeper_ends_no_other_clocks_waits() {
    let builder = Clock::builder().source(PanicsInTheSleeper);
    let broken = builder.look_interval(millis(1)).build().unwrap();
    let mut wait = broken.until_synchronized(secs(3_600));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    for _ in 0..3 {
        // Woken by the panic, to find out for itself; it may wait again.
        assert!(poll(&mut wait, &Waker::from(Arc::clone(&flag))).is_pending());
        let mut woken = false;
        for _ in 0..5_000 {
            woken = flag.0.swap(false, Ordering::Relaxed);
            if woken {
                break;
            }
            thread::sleep(millis(1));
        }
        assert!(woken);
    }
    let clock = Clock::builder().assume_error(millis(1)).build().unwrap();
    let group = CommitGroup::start(&clock).unwrap();
    let commit = clock.begin_commit().unwrap();
    group.released(&commit).wait_timeout(secs(10)).unwrap();
}
