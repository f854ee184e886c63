//! Safe time: what was read at a timestamp is read there for ever.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use epsilon_clock::engine::kit::MockClock;
use epsilon_clock::engine::{NotDrawn, NotSafe, Replica, SafeTime};
use epsilon_clock::lease::{Delta, Holder, LeaderTerm, LeaseBook, LogLease, NotWithin};
use epsilon_clock::{Interval, Lease, Timestamp};
use proptest::prelude::*;

use super::{at, millis, reading};
use crate::clocks::synchronized;
use crate::random::Random;

type Draw = Result<(Timestamp, ()), NotDrawn<&'static str>>;

fn draw(safe: &SafeTime<u64>, truth: i64) -> Timestamp {
    let drawn: Draw = safe.draw(&MockClock::new(reading(truth, 0, 5)), [], |_| Ok(()));
    drawn.unwrap().0
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Write(Timestamp),
    Promise(Timestamp),
    Prepare(u64, Timestamp),
    Commit(u64, Timestamp),
    Abort(u64),
}

/// What a replica holds: its safe time and the versions, by timestamp.
struct Replicated {
    safe: SafeTime<u64>,
    versions: BTreeMap<Timestamp, usize>,
    applied: usize,
}

impl Replicated {
    fn new() -> Self {
        Self {
            safe: SafeTime::new(),
            versions: BTreeMap::new(),
            applied: 0,
        }
    }

    fn apply(&mut self, log: &[Entry]) {
        let Some(entry) = log.get(self.applied) else {
            return;
        };
        self.applied += 1;
        match *entry {
            Entry::Write(drawn) => {
                self.safe.apply_drawn(drawn).unwrap();
                self.versions.insert(drawn, self.applied);
            }
            Entry::Promise(drawn) => self.safe.apply_drawn(drawn).unwrap(),
            Entry::Prepare(transaction, drawn) => {
                self.safe.apply_prepare(transaction, drawn).unwrap();
            }
            Entry::Commit(transaction, chosen) => {
                self.safe.apply_commit(&transaction, chosen);
                self.versions.insert(chosen, self.applied);
            }
            Entry::Abort(transaction) => self.safe.apply_abort(&transaction),
        }
    }

    fn snapshot(&self, timestamp: Timestamp) -> Vec<usize> {
        self.versions
            .range(..=timestamp)
            .map(|(_, version)| *version)
            .collect()
    }
}

/// A group of three replicas; leaders change, replicas restart, and one may lag far behind.
fn world(seed: u64) -> usize {
    let mut rng = Random::new(seed);
    let mut truth = 0;
    let mut log = Vec::new();
    let mut open: Vec<(u64, Timestamp)> = Vec::new();
    let mut replicas = [Replicated::new(), Replicated::new(), Replicated::new()];
    let mut leader = 0;
    let mut reads: Vec<(Timestamp, Vec<usize>)> = Vec::new();
    for transaction in 0..600 {
        truth += rng.within(0, 4);
        let clock = MockClock::new(reading(truth, rng.within(-5, 5), 5));
        let safe = replicas[leader].safe.clone();
        match rng.within(0, 9) {
            0 | 1 => {
                let append = |drawn| -> Result<(), &str> {
                    log.push(Entry::Write(drawn));
                    Ok(())
                };
                safe.draw(&clock, [], append).unwrap();
            }
            2 => {
                let append = |drawn| -> Result<(), &str> {
                    log.push(Entry::Promise(drawn));
                    Ok(())
                };
                safe.draw(&clock, [], append).unwrap();
            }
            3 => {
                let append = |drawn| -> Result<(), &str> {
                    log.push(Entry::Prepare(transaction, drawn));
                    Ok(())
                };
                let (drawn, ()) = safe.draw(&clock, [], append).unwrap();
                open.push((transaction, drawn));
            }
            4 if !open.is_empty() => {
                let (transaction, prepared) = open.swap_remove(0);
                // Another group chose it, not below what was prepared here, and with another clock.
                let chosen = prepared.max(reading(truth, rng.within(-5, 5), 5).latest());
                let chosen = chosen.saturating_add(Duration::from_nanos(transaction));
                log.push(Entry::Commit(transaction, chosen));
            }
            5 if !open.is_empty() => {
                let (transaction, _) = open.swap_remove(0);
                log.push(Entry::Abort(transaction));
            }
            6 => {
                // The next leader applies all that is there before it draws.
                leader = rng.within(0, 2) as usize;
                while replicas[leader].applied < log.len() {
                    replicas[leader].apply(&log);
                }
            }
            7 => {
                let replica = &mut replicas[rng.within(0, 2) as usize];
                replica.safe = SafeTime::restore(replica.safe.replica());
            }
            _ => {}
        }
        for _ in 0..rng.within(0, 2) {
            let index = rng.within(0, 2) as usize;
            replicas[index].apply(&log);
        }
        let replica = &replicas[rng.within(0, 2) as usize];
        let safe_at = replica.safe.safe();
        let timestamp =
            safe_at.saturating_sub(Duration::from_nanos(rng.within(0, 3_000_000) as u64));
        if replica.applied > 0 && replica.safe.check(timestamp).is_ok() {
            reads.push((timestamp, replica.snapshot(timestamp)));
        }
    }
    // In the end all is applied: whatever was read must be read again.
    for replica in &mut replicas {
        while replica.applied < log.len() {
            replica.apply(&log);
        }
        for (timestamp, read) in &reads {
            assert_eq!(
                &replica.snapshot(*timestamp),
                read,
                "seed {seed} at {timestamp}"
            );
        }
    }
    reads.len()
}

#[test]
fn t1_to_t7_a_snapshot_read_at_a_safe_timestamp_never_changes() {
    let reads: usize = (1..=300).map(world).sum();
    assert!(reads > 20_000, "{reads}");
}

#[test]
fn t2_what_lies_below_a_promise_is_refused_on_every_replica() {
    let safe = SafeTime::<u64>::new();
    safe.apply_drawn(at(10)).unwrap();
    assert!(safe.apply_drawn(at(9)).is_err());
    assert!(safe.apply_prepare(1, at(10)).is_err());
    assert_eq!(safe.safe(), at(10));
}

#[test]
fn t3_and_t4_a_commit_from_elsewhere_closes_nothing_and_is_drawn_above() {
    let safe = SafeTime::<u64>::new();
    safe.apply_prepare(1, at(5)).unwrap();
    safe.apply_commit(&1, at(30));
    assert_eq!(safe.safe(), at(5));
    assert!(draw(&safe, 1) > at(30)); // a slow clock says 6
}

#[test]
fn t1_an_entry_that_could_not_be_appended_leaves_its_timestamp_unused() {
    let safe = SafeTime::<u64>::new();
    let clock = MockClock::new(reading(0, 0, 5));
    let mut refused = None;
    let failed: Draw = safe.draw(&clock, [], |drawn| {
        refused = Some(drawn);
        Err("deposed")
    });
    assert!(matches!(failed, Err(NotDrawn::Append("deposed"))));
    assert!(draw(&safe, 0) > refused.unwrap());
    let far: Draw = safe.draw(&clock, [at(3_000_000)], |_| Ok(()));
    assert!(matches!(far, Err(NotDrawn::Commit(_))));
    clock.refuse();
    let blind: Draw = safe.draw(&clock, [], |_| Ok(()));
    assert!(matches!(blind, Err(NotDrawn::Clock(_))));
}

#[test]
fn t5_prepared_transactions_and_collected_versions_stand_in_the_way() {
    let safe = SafeTime::<u64>::new();
    safe.apply_prepare(1, at(10)).unwrap();
    safe.apply_drawn(at(20)).unwrap();
    assert!(matches!(safe.check(at(10)), Err(NotSafe::Prepared { .. })));
    assert!(safe.check(at(9)).is_ok());
    safe.apply_abort(&1);
    assert!(safe.check(at(20)).is_ok());
    assert!(matches!(safe.check(at(21)), Err(NotSafe::Open { .. })));
    safe.collect(at(15));
    assert!(matches!(safe.check(at(14)), Err(NotSafe::Collected { .. })));
    let replica: Replica<u64> = safe.replica();
    assert_eq!(SafeTime::restore(replica.clone()).replica(), replica);
}

/// A leader whose lease is applied, and its clock.
fn leader() -> (LogLease, MockClock) {
    let term = LeaderTerm { term: 1, leader: 0 };
    let clock = MockClock::new(reading(0, 0, 5));
    let delta = Delta::new(millis(200), millis(5), millis(5)).unwrap();
    let mut lease = LogLease::new(
        Holder {
            node: 1,
            incarnation: 1,
        },
        delta,
    );
    lease.elected(term);
    lease.noop_applied(term);
    let entry = lease
        .propose(&LeaseBook::default(), &clock)
        .unwrap()
        .unwrap();
    lease.applied(&entry, term);
    (lease, clock)
}

#[test]
fn t8_a_leader_reads_ahead_only_below_its_lease_and_draws_above_what_it_read() {
    let (lease, clock) = leader();
    let safe = SafeTime::<u64>::new();
    let permit = lease.read(&clock).unwrap();
    let expiry = permit.lease().expiry();
    assert!(matches!(
        safe.lead_at(expiry, &permit),
        Err(NotSafe::BeyondLease { .. })
    ));
    let drawn = draw(&safe, 0);
    assert!(matches!(
        safe.lead_at(drawn, &permit),
        Err(NotSafe::InFlight { .. })
    ));
    safe.apply_drawn(drawn).unwrap();
    safe.apply_prepare(7, at(8)).unwrap();
    assert!(matches!(
        safe.lead_at(at(50), &permit),
        Err(NotSafe::Prepared { .. })
    ));
    safe.apply_abort(&7);
    safe.lead_at(at(50), &permit).unwrap();
    assert!(draw(&safe, 10) > at(50));
    let lost = draw(&safe, 11);
    safe.truncated(lost);
    safe.apply_drawn(at(60)).unwrap();
    assert_eq!(safe.safe(), at(60));
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn t10_waits_end_when_it_is_safe_or_say_what_is_in_the_way() {
    let safe = SafeTime::<u64>::new();
    safe.apply_prepare(1, at(10)).unwrap();
    let blocked = safe.wait_until_safe(at(10), millis(1)).unwrap_err();
    assert!(matches!(blocked, NotSafe::Prepared { .. }), "{blocked}");
    let open = safe
        .wait_until_safe(at(9).saturating_add(millis(5)), millis(1))
        .unwrap_err();
    assert!(matches!(open, NotSafe::Prepared { .. }), "{open}");

    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(safe.until_safe(at(20)));
    assert!(future.as_mut().poll(&mut context).is_pending());
    safe.apply_commit(&1, at(12));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(future.as_mut().poll(&mut context).is_pending());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| safe.wait_until_safe(at(20), Duration::from_secs(60)));
        std::thread::sleep(millis(5));
        safe.apply_drawn(at(20)).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    safe.collect(at(30));
    let gone = safe
        .wait_until_safe(at(20), Duration::from_secs(60))
        .unwrap_err();
    assert!(matches!(gone, NotSafe::Collected { .. }), "{gone}");
}

// --- commits -------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn c1_a_commit_lies_above_every_floor_and_not_below_latest(
        floors in proptest::collection::vec(-1_000_000..900_000_000_i64, 0..5),
    ) {
        let (machine, clock) = synchronized();
        let now = machine.true_time();
        let floors: Vec<Timestamp> = floors
            .iter()
            .map(|nanos| Timestamp::from_unix_nanos(now.unix_nanos() + nanos))
            .collect();
        let latest = clock.now().unwrap().latest();
        let commit = clock.begin_commit_after_all(floors.iter().copied()).unwrap();
        prop_assert!(commit.timestamp() >= latest);
        prop_assert!(floors.iter().all(|floor| commit.timestamp() > *floor));
    }
}

#[test]
fn c2_a_commit_within_a_lease_is_refused_beyond_it_and_never_shortened() {
    let (machine, clock) = synchronized();
    let lease = Lease::grant(&clock.now().unwrap(), millis(50)).unwrap();
    let commit = clock.begin_commit_within(&lease, []).unwrap();
    assert!(commit.timestamp() < lease.expiry());
    let floor = lease.expiry().saturating_sub(Duration::from_nanos(1));
    let refused = clock.begin_commit_within(&lease, [floor]).unwrap_err();
    let NotWithin::Beyond { timestamp, .. } = refused else {
        panic!("{refused}")
    };
    // What was drawn and refused is never used.
    assert!(clock.begin_commit().unwrap().timestamp() > timestamp);
    machine.advance(millis(60));
    let over = clock.begin_commit_within(&lease, []).unwrap_err();
    assert!(matches!(over, NotWithin::NotHeld(_)), "{over}");
    let _ = Interval::point(floor);
}
