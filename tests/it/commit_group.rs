//! `CommitGroup`: who is woken, when and in which order, by tokio, a bare executor and threads.
//!
//! But for one smoke test all time is a scripted machine's, and the tests drive the group.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::commit::{CommitWaitError, GroupWait, WaitStrategy};
use epsilon_clock::source::Finding;
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::{Clock, ClockError, CommitGroup, Timestamp};

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A clock that is known to ±1 ms for as long as the test takes, and a group that the test drives.
fn driven() -> (ScriptedMachine, Clock, CommitGroup) {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(millis(1))));
    let clock = machine.builder().source(source).build().unwrap();
    let group = CommitGroup::driven(&clock);
    (machine, clock, group)
}

/// Drives the group and lets the machine's time pass until nobody waits any more.
fn drive(machine: &ScriptedMachine, group: &CommitGroup) {
    while let Some(left) = group.drive_once().unwrap() {
        machine.advance(left);
    }
}

/// A waker that writes its number into a list.
struct Recorder {
    number: usize,
    list: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Recorder {
    fn wake(self: Arc<Self>) {
        self.list.lock().unwrap().push(self.number);
    }
}

fn poll(wait: &mut GroupWait, waker: &Waker) -> Poll<Result<(), CommitWaitError>> {
    Pin::new(wait).poll(&mut Context::from_waker(waker))
}

/// Waits for these timestamps, polled once in the order given, and the list of who was woken.
fn queue_up(
    group: &CommitGroup,
    timestamps: &[Timestamp],
) -> (Vec<GroupWait>, Arc<Mutex<Vec<usize>>>) {
    let list = Arc::new(Mutex::new(Vec::new()));
    let waits = timestamps.iter().enumerate().map(|(number, timestamp)| {
        let waker = Waker::from(Arc::new(Recorder {
            number,
            list: Arc::clone(&list),
        }));
        let mut wait = group.until_past(*timestamp);
        assert!(poll(&mut wait, &waker).is_pending());
        wait
    });
    (waits.collect(), list)
}

/// So many ms after now's latest end.
fn in_millis(clock: &Clock, ms: u64) -> Timestamp {
    clock.now().unwrap().latest().saturating_add(millis(ms))
}

#[test]
fn waiters_are_woken_in_the_order_of_their_timestamps_and_not_before() {
    let (machine, clock, group) = driven();
    let order = [5, 3, 9, 1, 7, 3];
    let timestamps = order.map(|ms| in_millis(&clock, ms));
    let (mut waits, woken) = queue_up(&group, &timestamps);
    assert_eq!(group.waiting(), 6);
    let mut seen = 0;
    while let Some(left) = group.drive_once().unwrap() {
        for number in woken.lock().unwrap()[seen..].iter() {
            assert!(machine.true_time() > timestamps[*number]);
            assert_eq!(
                poll(&mut waits[*number], Waker::noop()),
                Poll::Ready(Ok(()))
            );
        }
        seen = woken.lock().unwrap().len();
        machine.advance(left);
    }
    assert_eq!(*woken.lock().unwrap(), [3, 1, 5, 0, 4, 2]);
    assert_eq!(group.waiting(), 0);
}

#[test]
fn a_hundred_thousand_waits_are_released_in_order() {
    let (machine, clock, group) = driven();
    machine.set_read_cost(Duration::ZERO); // none may be past before all are there
    let base = clock.now().unwrap().latest();
    // Every nanosecond once, in an order that has nothing to do with it.
    let at = |n: u64| base.saturating_add(Duration::from_nanos(n * 7_919 % 100_000));
    let timestamps: Vec<Timestamp> = (0..100_000).map(at).collect();
    let (waits, woken) = queue_up(&group, &timestamps);
    assert_eq!(group.waiting(), 100_000);
    drive(&machine, &group);
    let woken = woken.lock().unwrap();
    assert_eq!(woken.len(), 100_000);
    assert!(woken.is_sorted_by_key(|number| timestamps[*number]));
    drop(waits);
}

#[test]
fn t6_a_wait_is_ready_only_once_its_timestamp_is_past() {
    let (machine, clock, group) = driven();
    machine.set_read_cost(Duration::ZERO);
    let commit = clock.begin_commit().unwrap();
    let mut wait = group.released(&commit);
    assert_eq!(wait.timestamp(), commit.timestamp());
    assert!(poll(&mut wait, Waker::noop()).is_pending());
    let left = group.drive_once().unwrap().unwrap();
    assert_eq!(left, commit.remaining().unwrap());
    machine.advance(left - Duration::from_nanos(1));
    assert!(group.drive_once().unwrap().is_some());
    // Polled without having been woken.
    assert!(poll(&mut wait, Waker::noop()).is_pending());
    machine.advance(Duration::from_nanos(1));
    assert_eq!(poll(&mut wait, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(group.waiting(), 0);
}

#[test]
fn what_is_past_already_does_not_wait() {
    let (_, _, group) = driven();
    let mut wait = group.until_past(Timestamp::UNIX_EPOCH);
    assert_eq!(poll(&mut wait, Waker::noop()), Poll::Ready(Ok(())));
    group.until_past(Timestamp::UNIX_EPOCH).wait().unwrap();
    assert_eq!(group.drive_once(), Ok(None));
}

#[test]
fn the_newest_waker_is_the_one_that_is_woken() {
    let (machine, clock, group) = driven();
    let (mut waits, first) = queue_up(&group, &[in_millis(&clock, 1)]);
    let list = Arc::new(Mutex::new(Vec::new()));
    let moved = Waker::from(Arc::new(Recorder {
        number: 7,
        list: Arc::clone(&list),
    }));
    assert!(poll(&mut waits[0], &moved).is_pending());
    assert_eq!(group.waiting(), 1);
    drive(&machine, &group);
    assert_eq!(*list.lock().unwrap(), [7]);
    assert!(first.lock().unwrap().is_empty());
}

#[test]
fn a_wait_that_is_dropped_leaves_the_queue() {
    let (machine, clock, group) = driven();
    let timestamps = [1, 2, 3].map(|ms| in_millis(&clock, ms));
    for dropped in 0..3 {
        let (mut waits, woken) = queue_up(&group, &timestamps);
        drop(waits.remove(dropped));
        assert_eq!(group.waiting(), 2);
        // The next one to release is not the one that is gone.
        let next = group.drive_once().unwrap().unwrap();
        let first = clock.until_past(timestamps[usize::from(dropped == 0)]);
        assert!(next >= first.remaining().unwrap());
        drop(waits);
        assert_eq!(group.waiting(), 0);
        assert_eq!(group.drive_once(), Ok(None));
        assert!(woken.lock().unwrap().is_empty());
    }
    machine.advance(millis(10));
    assert_eq!(group.drive_once(), Ok(None));
}

/// Waits that come and go must not leave anything: peers' tombstones pile up.
#[test]
fn cancelled_waits_hold_no_memory() {
    let (_, clock, group) = driven();
    struct Counted(Arc<AtomicUsize>);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    for n in 0..10_000 {
        let waker = Waker::from(Arc::new(Counted(Arc::clone(&dropped))));
        let mut wait = group.until_past(in_millis(&clock, 1_000 + n % 7));
        assert!(poll(&mut wait, &waker).is_pending());
    }
    assert_eq!(
        (group.waiting(), dropped.load(Ordering::Relaxed)),
        (0, 10_000)
    );
}

#[test]
fn an_earlier_newcomer_comes_first() {
    let (_, clock, group) = driven();
    let (_late, _) = queue_up(&group, &[in_millis(&clock, 500)]);
    let long = group.drive_once().unwrap().unwrap();
    let (_early, _) = queue_up(&group, &[in_millis(&clock, 5)]);
    let short = group.drive_once().unwrap().unwrap();
    assert!(
        long > millis(500) && short < millis(8),
        "{long:?}, {short:?}"
    );
}

#[test]
fn when_the_clock_refuses_everybody_gets_its_error() {
    let (machine, clock, group) = driven();
    let timestamps = [5, 6_000].map(|ms| in_millis(&clock, ms));
    let (mut waits, woken) = queue_up(&group, &timestamps);
    machine.suspend(Duration::from_secs(3_600));
    let error = group.drive_once().unwrap_err();
    assert!(matches!(error, ClockError::Disturbed { .. }), "{error}");
    assert_eq!(*woken.lock().unwrap(), [0, 1]);
    for wait in &mut waits {
        let outcome = poll(wait, Waker::noop());
        assert_eq!(outcome, Poll::Ready(Err(CommitWaitError::Clock(error))));
    }
    assert_eq!(group.waiting(), 0);
    // A newcomer does not even queue up.
    let outcome = group.until_past(timestamps[0]).wait();
    assert_eq!(outcome, Err(CommitWaitError::Clock(error)));
}

#[test]
fn in_holdover_the_group_goes_on() {
    let (machine, clock, group) = driven();
    let (mut waits, _) = queue_up(&group, &[in_millis(&clock, 500)]);
    machine.refuse(epsilon_clock::machine::NtpStatusError::Unsupported);
    drive(&machine, &group);
    assert_eq!(poll(&mut waits[0], Waker::noop()), Poll::Ready(Ok(())));
}

#[test]
fn a_group_that_is_dropped_leaves_nobody_waiting() {
    let (machine, clock, group) = driven();
    let timestamps = [1, 2].map(|ms| in_millis(&clock, ms));
    let (mut waits, woken) = queue_up(&group, &timestamps);
    let mut unpolled = group.until_past(timestamps[1]);
    drop(group);
    assert_eq!(*woken.lock().unwrap(), [0, 1]);
    let closed = Poll::Ready(Err(CommitWaitError::GroupClosed));
    assert_eq!(poll(&mut waits[0], Waker::noop()), closed);
    assert_eq!(poll(&mut unpolled, Waker::noop()), closed);
    assert!(CommitWaitError::GroupClosed.to_string().contains("dropped"));
    // What is past is past all the same.
    machine.advance(millis(20));
    assert_eq!(poll(&mut waits[1], Waker::noop()), Poll::Ready(Ok(())));
}

#[test]
fn t10_what_can_never_be_past_does_not_queue_up() {
    let (_, _, group) = driven();
    let timestamp = Timestamp::MAX;
    let outcome = group.until_past(timestamp).wait();
    assert_eq!(outcome, Err(CommitWaitError::NeverPast { timestamp }));
    // One that outlasts raw time, though not the range, does no harm to the others.
    let (_waits, _) = queue_up(&group, &[timestamp.saturating_sub(Duration::from_nanos(1))]);
    assert!(group.drive_once().unwrap().is_some());
}

#[test]
fn a_timeout_that_will_not_do_fails_at_once_and_the_wait_goes_on() {
    let (machine, clock, group) = driven();
    let mut wait = group.released(&clock.begin_commit().unwrap());
    let error = wait.wait_timeout(millis(1)).unwrap_err();
    let CommitWaitError::Timeout { timeout, needed } = error else {
        panic!("{error}");
    };
    assert!(timeout == millis(1) && needed > millis(2), "{error}");
    assert_eq!(group.waiting(), 0);
    machine.advance(needed);
    wait.wait_timeout(Duration::ZERO).unwrap();
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("as the test wants it");
        }
    }
    let (machine, clock, group) = driven();
    let mut bad = group.until_past(in_millis(&clock, 1));
    assert!(poll(&mut bad, &Waker::from(Arc::new(Panics))).is_pending());
    let (_good, woken) = queue_up(&group, &[in_millis(&clock, 2)]);
    machine.advance(millis(10));
    assert_eq!(group.drive_once(), Ok(None));
    assert_eq!(*woken.lock().unwrap(), [0]);
}

/// Executors run and drop tasks inside `wake`: the group's lock must not be held there.
#[test]
fn wakers_may_come_back_to_the_group() {
    struct Comes {
        group: Arc<CommitGroup>,
        other: Mutex<Option<GroupWait>>,
    }
    impl Wake for Comes {
        fn wake(self: Arc<Self>) {
            assert!(self.group.waiting() <= 1);
            drop(self.other.lock().unwrap().take());
            let _ = self.group.drive_once();
        }
    }
    let (machine, clock, group) = driven();
    let group = Arc::new(group);
    let (mut others, woken) = queue_up(&group, &[in_millis(&clock, 50)]);
    let waker = Waker::from(Arc::new(Comes {
        group: Arc::clone(&group),
        other: Mutex::new(others.pop()),
    }));
    let mut wait = group.until_past(in_millis(&clock, 1));
    assert!(poll(&mut wait, &waker).is_pending());
    machine.advance(millis(10));
    assert_eq!(group.drive_once(), Ok(None));
    assert_eq!(group.waiting(), 0);
    assert!(woken.lock().unwrap().is_empty());
}

/// The least that drives a future: `idle` has to see to it that it is woken.
fn block_on<F: Future>(future: F, mut idle: impl FnMut()) -> F::Output {
    struct Flag(AtomicUsize);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let flag = Arc::new(Flag(AtomicUsize::new(1)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    loop {
        if flag.0.swap(0, Ordering::SeqCst) > 0 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        idle();
    }
}

#[test]
fn a_bare_executor_drives_the_futures() {
    let (machine, clock, group) = driven();
    let transaction = async {
        let mut last = Timestamp::MIN;
        for _ in 0..100 {
            let commit = clock.begin_commit().unwrap();
            group.released(&commit).await.unwrap();
            assert!(machine.true_time() > commit.timestamp());
            assert!(commit.timestamp() > last);
            last = commit.timestamp();
        }
    };
    block_on(transaction, || {
        if let Some(left) = group.drive_once().unwrap() {
            machine.advance(left);
        }
    });
}

#[test]
fn tokio_drives_the_futures() {
    let (machine, clock, group) = driven();
    let group = Arc::new(group);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let (machine, clock) = (machine.clone(), clock.clone());
                let group = Arc::clone(&group);
                tokio::spawn(async move {
                    let commit = clock.begin_commit().unwrap().timestamp();
                    let wait = group.until_past(commit.saturating_add(millis(n % 10)));
                    if n % 10 == 9 {
                        drop(wait);
                        return;
                    }
                    wait.await.unwrap();
                    assert!(machine.true_time() > commit);
                })
            })
            .collect();
        // It polls some sixty tasks a turn.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(group.waiting(), 90);
        // A task that is ended drops its wait.
        tasks[0].abort();
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(group.waiting(), 89);
        while let Some(left) = group.drive_once().unwrap() {
            machine.advance(left);
            tokio::task::yield_now().await;
        }
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.is_err(), n == 0);
        }
    });
}

#[test]
fn threads_wait_too() {
    let (machine, clock, group) = driven();
    let released = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let commit = clock.begin_commit().unwrap();
                group.released(&commit).wait().unwrap();
                assert!(machine.true_time() > commit.timestamp());
                released.fetch_add(1, Ordering::SeqCst);
            });
        }
        while released.load(Ordering::SeqCst) < 8 {
            if let Some(left) = group.drive_once().unwrap() {
                machine.advance(left);
            }
            thread::yield_now();
        }
    });
}

#[test]
fn a_wait_is_small() {
    // With its place in the queue: a key, a waker, and what a B-tree leaves empty.
    assert!(size_of::<GroupWait>() <= 48, "{}", size_of::<GroupWait>());
}

/// The one test by the real clock: the group's own thread, with every kind of waiter.
#[test]
fn smoke_on_the_real_machine() {
    let clock = Clock::builder().assume_error(millis(1)).build().unwrap();
    for strategy in [None, Some(WaitStrategy::SLEEP)] {
        let group = match strategy {
            None => CommitGroup::start(&clock).unwrap(),
            Some(strategy) => CommitGroup::start_with(&clock, strategy).unwrap(),
        };
        // Somebody who waits for long must not make the sleeper late for the others.
        let mut late = group.until_past(in_millis(&clock, 60_000));
        assert!(poll(&mut late, Waker::noop()).is_pending());
        thread::sleep(millis(2));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let took = (0..5).map(|_| {
            let began = Instant::now();
            let commit = clock.begin_commit().unwrap();
            group.released(&commit).wait().unwrap();
            runtime.block_on(async {
                let commit = clock.begin_commit().unwrap();
                group.released(&commit).await.unwrap();
                assert!(commit.is_past().unwrap());
            });
            began.elapsed()
        });
        let took = took.min().unwrap();
        assert!(took >= Duration::from_micros(3_900), "{took:?}");
        // A sleeper that nobody told of them would have been asleep for a quarter of a second.
        assert!(took < millis(100), "{took:?}");
        // A thread that waits is told of the end.
        let waiter = thread::spawn(move || late.wait());
        drop(group);
        assert_eq!(waiter.join().unwrap(), Err(CommitWaitError::GroupClosed));
    }
}
