//! Which timestamps a replica may be read at: nothing new will ever come to lie at or below them.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

use crate::clock::{Clock, ClockError};
use crate::commit::{CommitError, IntervalClock};
use crate::lease::ReadPermit;
use crate::time::Timestamp;

/// What one replica has applied, as far as safe time goes. It belongs into snapshots.
///
/// Made by [`SafeTime::replica`], and given back to [`SafeTime::restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica<K> {
    /// The largest drawn timestamp that was applied: nothing drawn comes below it any more.
    pub closed: Timestamp,
    /// Transactions that are prepared and neither committed nor aborted, with their timestamps.
    pub prepared: BTreeMap<K, Timestamp>,
    /// What the next draw has to be above: all that was applied, commits from elsewhere included.
    pub floor: Timestamp,
    /// Versions below it were collected.
    pub oldest: Timestamp,
}

impl<K: Ord> Default for Replica<K> {
    fn default() -> Self {
        Self {
            closed: Timestamp::MIN,
            prepared: BTreeMap::new(),
            floor: Timestamp::MIN,
            oldest: Timestamp::MIN,
        }
    }
}

impl<K: Ord> Replica<K> {
    /// Returns the largest timestamp that a snapshot may be read at now.
    ///
    /// What is closed, but below every prepared transaction: it may yet commit at its timestamp.
    #[must_use]
    pub fn safe(&self) -> Timestamp {
        let below = |prepared: &Timestamp| prepared.saturating_sub(Duration::from_nanos(1));
        let first = self.prepared.values().min().map(below);
        first.map_or(self.closed, |first| first.min(self.closed))
    }
}

/// Up to which timestamp a replica may be read, kept by what it applies.
///
/// On the leader it is the group's *sequencer* as well: [`draw`](Self::draw) draws a timestamp, appends the
/// entry and raises the floor in one critical section, so that the order of the log is the order of
/// the timestamps. Cheap to clone; handles share one replica. `K` names transactions across shards.
///
/// | an entry is applied | call |
/// |---|---|
/// | a write of one shard, or a promise | [`apply_drawn`](Self::apply_drawn) |
/// | a prepared transaction | [`apply_prepare`](Self::apply_prepare) |
/// | its commit, at a timestamp from another group | [`apply_commit`](Self::apply_commit) |
/// | its abort | [`apply_abort`](Self::apply_abort) |
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::engine::SafeTime;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let safe = SafeTime::<u64>::new();
/// // On the leader: the closure appends to the log, and must not wait.
/// let (written, ()) = safe.draw(&clock, [], |_timestamp| Ok::<_, std::io::Error>(()))?;
/// // On every replica, once the entry is applied:
/// safe.apply_drawn(written)?;
/// // A follower, for a snapshot at `written`:
/// safe.wait_until_safe(written, Duration::from_secs(1))?;
/// clock.wait_until_past(written)?; // before an answer that shows this version leaves
/// # Ok(())
/// # }
/// ```
///
/// # When an answer may leave
///
/// A log shows an entry to all replicas long before its commit-wait is over. So the reader waits: until
/// [`wait_until_past`](Clock::wait_until_past) of the largest timestamp among the versions that its answer
/// depends on, which is mostly no wait at all. And the timestamp, the snapshot and what was applied
/// are looked at together, at one applied index.
pub struct SafeTime<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Condvar,
}

struct State<K> {
    replica: Replica<K>,
    /// Drawn here and neither applied nor surely truncated.
    in_flight: BTreeSet<Timestamp>,
    wakers: BTreeMap<u64, Waker>,
    last_ticket: u64,
}

/// Why nothing was drawn.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotDrawn<E> {
    /// The clock gives no interval.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The timestamp would be further ahead than honest clocks can cause, or there is none left.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The entry could not be appended; its timestamp is never used again.
    #[error("the entry was not appended: {0}")]
    Append(E),
}

/// An entry that must not be applied: it would change what readers were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the timestamp {timestamp} is not above {closed}, up to which this group is closed: the entry was \
     drawn in an earlier term, or by two sequencers; every replica refuses it alike"
)]
#[non_exhaustive]
pub struct OutOfOrder {
    /// What the entry was drawn at.
    pub timestamp: Timestamp,
    /// What was promised.
    pub closed: Timestamp,
}

/// Why a replica cannot be read at a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSafe {
    /// A prepared transaction may yet commit at or below it.
    #[error(
        "a transaction that was prepared at {prepared} may commit at or below {timestamp}: wait for its \
         coordinator"
    )]
    Prepared {
        /// What was to be read at.
        timestamp: Timestamp,
        /// The first prepared transaction's timestamp.
        prepared: Timestamp,
    },
    /// Entries at or below it may yet be applied.
    #[error(
        "this replica is closed up to {closed} only, {behind:?} below {timestamp}: wait for the next write \
         or promise, or ask the leader for one"
    )]
    Open {
        /// What was to be read at.
        timestamp: Timestamp,
        /// Up to where nothing new comes.
        closed: Timestamp,
        /// The distance.
        behind: Duration,
    },
    /// An entry at or below it was drawn here and not applied yet.
    #[error(
        "an entry drawn at {drawn} is not applied yet: wait for it before reading at {timestamp}"
    )]
    InFlight {
        /// What was to be read at.
        timestamp: Timestamp,
        /// The first timestamp that was drawn.
        drawn: Timestamp,
    },
    /// It is not before the end of the lease under which the leader reads.
    #[error(
        "{timestamp} is not before the end of the lease, {expiry}: read earlier, or renew it first"
    )]
    BeyondLease {
        /// What was to be read at.
        timestamp: Timestamp,
        /// The lease's end.
        expiry: Timestamp,
    },
    /// Versions at that timestamp were collected.
    #[error(
        "versions before {oldest} were collected: read at that timestamp or later, not at {timestamp}"
    )]
    Collected {
        /// What was to be read at.
        timestamp: Timestamp,
        /// The first that is left.
        oldest: Timestamp,
    },
}

impl<K: Ord> SafeTime<K> {
    /// Creates the safe time of a replica that has applied nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::restore(Replica::default())
    }

    /// Creates the safe time of a replica that was restored from a snapshot.
    #[must_use]
    pub fn restore(replica: Replica<K>) -> Self {
        let state = State {
            replica,
            in_flight: BTreeSet::new(),
            wakers: BTreeMap::new(),
            last_ticket: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        }
    }

    /// Returns what was applied, for a snapshot.
    #[must_use]
    pub fn replica(&self) -> Replica<K>
    where
        K: Clone,
    {
        self.lock().replica.clone()
    }

    // --- the leader's sequencer -----------------------------------------------------------------

    /// Draws a timestamp and appends the entry that carries it, in one critical section.
    ///
    /// Above all `floors`, above all that was applied or drawn here, and not below `latest`. The closure
    /// hands the entry to the log and must not wait for it. After a change of leader, call it once
    /// the own term's noop is applied: the floor is complete then.
    ///
    /// A promise is an entry that writes nothing: draw it whenever the group has been idle, and followers
    /// can be read up to it. One that is drawn further ahead makes every later commit wait as much longer.
    ///
    /// # Errors
    ///
    /// [`NotDrawn`]; what was drawn is not used again.
    pub fn draw<C: IntervalClock + ?Sized, T, E>(
        &self,
        clock: &C,
        floors: impl IntoIterator<Item = Timestamp>,
        append: impl FnOnce(Timestamp) -> Result<T, E>,
    ) -> Result<(Timestamp, T), NotDrawn<E>> {
        let mut state = self.lock();
        let latest = clock.interval()?.latest();
        let floor = floors.into_iter().fold(state.replica.floor, Timestamp::max);
        let ahead = floor.abs_diff(latest);
        // A floor that no honest node drew would stall every later commit of the group.
        if floor > latest && ahead > Clock::MAX_FLOOR_AHEAD {
            return Err(NotDrawn::Commit(CommitError::FloorTooFarAhead {
                floor,
                ahead,
                limit: Clock::MAX_FLOOR_AHEAD,
                wait: ahead,
            }));
        }
        let above = floor.checked_add(Duration::from_nanos(1));
        let above = above.ok_or(CommitError::RangeExhausted)?;
        let timestamp = latest.max(above);
        // Raised whatever becomes of the entry: a timestamp is drawn once.
        state.replica.floor = timestamp;
        // Under the lock: a later draw must not come to stand before it in the log.
        let appended = append(timestamp).map_err(NotDrawn::Append)?;
        state.in_flight.insert(timestamp);
        Ok((timestamp, appended))
    }

    /// Notes that an entry that was drawn here surely is in no log.
    ///
    /// After an overwritten suffix, not after a lost answer.
    pub fn truncated(&self, timestamp: Timestamp) {
        self.change(|state| {
            state.in_flight.remove(&timestamp);
        });
    }

    /// Checks that the leader may read at `timestamp` beyond what is closed, and keeps later draws above.
    ///
    /// Under a permit of its log lease that was given after the read arrived: nothing drawn or prepared
    /// is at or below it, and it lies before the lease's end, beyond which a successor draws.
    ///
    /// # Errors
    ///
    /// [`NotSafe`], with what is in the way.
    pub fn lead_at(&self, timestamp: Timestamp, permit: &ReadPermit) -> Result<(), NotSafe> {
        let mut state = self.lock();
        if timestamp < state.replica.oldest {
            return Err(state.collected(timestamp));
        }
        let expiry = permit.lease().expiry();
        if timestamp >= expiry {
            return Err(NotSafe::BeyondLease { timestamp, expiry });
        }
        if let Some(&drawn) = state.in_flight.first().filter(|drawn| **drawn <= timestamp) {
            return Err(NotSafe::InFlight { timestamp, drawn });
        }
        state.none_prepared(timestamp)?;
        state.replica.floor = state.replica.floor.max(timestamp);
        Ok(())
    }

    // --- what is applied, on every replica ------------------------------------------------------

    /// Applies an entry that was drawn by this group's sequencer: a write, or a promise.
    ///
    /// # Errors
    ///
    /// [`OutOfOrder`], on every replica alike; nothing is applied then, and the entry is an error to
    /// its proposer.
    pub fn apply_drawn(&self, timestamp: Timestamp) -> Result<(), OutOfOrder> {
        self.change(|state| state.close(timestamp))
    }

    /// Applies the preparation of a transaction, at a timestamp that this group's sequencer drew.
    ///
    /// # Errors
    ///
    /// As [`apply_drawn`](Self::apply_drawn).
    pub fn apply_prepare(&self, transaction: K, timestamp: Timestamp) -> Result<(), OutOfOrder> {
        self.change(|state| {
            state.close(timestamp)?;
            state.replica.prepared.insert(transaction, timestamp);
            Ok(())
        })
    }

    /// Applies the commit of a prepared transaction, at the timestamp that its coordinator chose.
    ///
    /// It raises the floor and closes nothing: a write that was drawn below it may be on its way.
    pub fn apply_commit(&self, transaction: &K, timestamp: Timestamp) {
        self.change(|state| {
            state.replica.prepared.remove(transaction);
            state.replica.floor = state.replica.floor.max(timestamp);
        });
    }

    /// Applies the abort of a prepared transaction: an entry of the log, never a timeout.
    pub fn apply_abort(&self, transaction: &K) {
        self.change(|state| {
            state.replica.prepared.remove(transaction);
        });
    }

    /// Notes that versions before `oldest` are collected.
    pub fn collect(&self, oldest: Timestamp) {
        self.change(|state| state.replica.oldest = state.replica.oldest.max(oldest));
    }

    // --- reading at a timestamp -----------------------------------------------------------------

    /// Returns the largest timestamp that this replica may be read at now.
    #[must_use]
    pub fn safe(&self) -> Timestamp {
        self.lock().replica.safe()
    }

    /// Checks that this replica may be read at `timestamp` now.
    ///
    /// # Errors
    ///
    /// [`NotSafe`], with what is in the way.
    pub fn check(&self, timestamp: Timestamp) -> Result<(), NotSafe> {
        self.lock().check(timestamp)
    }

    /// Waits until this replica may be read at `timestamp`, for `timeout` at most.
    ///
    /// A strong read at a follower is one at `latest`, and so waits for the next write or promise.
    ///
    /// # Errors
    ///
    /// [`NotSafe`], with what was in the way at the end; at once where waiting does not help.
    pub fn wait_until_safe(&self, timestamp: Timestamp, timeout: Duration) -> Result<(), NotSafe> {
        // Monotonic time will do: how long a caller is patient is no promise to any node.
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            let unsafe_yet = match state.check(timestamp) {
                Ok(()) => return Ok(()),
                Err(gone @ NotSafe::Collected { .. }) => return Err(gone),
                Err(why) => why,
            };
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(unsafe_yet);
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the wait for `timestamp` as a future, of whatever runtime; drop it to stop waiting.
    ///
    /// ```
    /// # use epsilon_clock::engine::SafeTime;
    /// # use epsilon_clock::Timestamp;
    /// # async fn read(safe: &SafeTime<u64>, at: Timestamp) -> Result<(), epsilon_clock::engine::NotSafe> {
    /// safe.until_safe(at).await?;
    /// // … read the snapshot at `at`
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_safe(&self, timestamp: Timestamp) -> UntilSafe<K> {
        UntilSafe {
            shared: Arc::clone(&self.shared),
            timestamp,
            ticket: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.lock()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State<K>) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.lock();
            let result = change(&mut state);
            (result, core::mem::take(&mut state.wakers))
        };
        // Outside the lock: waking runs code of the runtime's.
        self.shared.changed.notify_all();
        for waker in wakers.into_values() {
            waker.wake();
        }
        result
    }
}

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // A closure that appends may panic; what was raised by then only makes later draws larger.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> State<K> {
    fn close(&mut self, timestamp: Timestamp) -> Result<(), OutOfOrder> {
        let closed = self.replica.closed;
        self.in_flight.remove(&timestamp);
        if timestamp <= closed {
            return Err(OutOfOrder { timestamp, closed });
        }
        self.replica.closed = timestamp;
        self.replica.floor = self.replica.floor.max(timestamp);
        Ok(())
    }

    fn check(&self, timestamp: Timestamp) -> Result<(), NotSafe> {
        if timestamp < self.replica.oldest {
            return Err(self.collected(timestamp));
        }
        self.none_prepared(timestamp)?;
        let closed = self.replica.closed;
        if timestamp > closed {
            return Err(NotSafe::Open {
                timestamp,
                closed,
                behind: timestamp.abs_diff(closed),
            });
        }
        Ok(())
    }

    fn none_prepared(&self, timestamp: Timestamp) -> Result<(), NotSafe> {
        match self.replica.prepared.values().min() {
            Some(&prepared) if prepared <= timestamp => Err(NotSafe::Prepared {
                timestamp,
                prepared,
            }),
            _ => Ok(()),
        }
    }

    const fn collected(&self, timestamp: Timestamp) -> NotSafe {
        NotSafe::Collected {
            timestamp,
            oldest: self.replica.oldest,
        }
    }
}

impl<K> Clone for SafeTime<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Ord> Default for SafeTime<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> fmt::Debug for SafeTime<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("SafeTime")
            .field("closed", &state.replica.closed)
            .field("prepared", &state.replica.prepared.len())
            .field("in_flight", &state.in_flight.len())
            .finish_non_exhaustive()
    }
}

/// A wait for a timestamp to be safe; made by [`SafeTime::until_safe`].
///
/// It ends with [`NotSafe::Collected`] where waiting does not help, and otherwise only once the replica may
/// be read.
#[must_use = "a future waits only while it is polled"]
pub struct UntilSafe<K> {
    shared: Arc<Shared<K>>,
    timestamp: Timestamp,
    ticket: Option<u64>,
}

impl<K: Ord> Future for UntilSafe<K> {
    type Output = Result<(), NotSafe>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = Arc::clone(&self.shared);
        // Cloned outside the lock, for it runs code of the runtime's.
        let waker = context.waker().clone();
        let mut state = shared.lock();
        let answer = match state.check(self.timestamp) {
            Ok(()) => Ok(()),
            Err(gone @ NotSafe::Collected { .. }) => Err(gone),
            Err(_) => {
                let ticket = self.ticket.unwrap_or_else(|| {
                    state.last_ticket = state.last_ticket.wrapping_add(1);
                    state.last_ticket
                });
                self.ticket = Some(ticket);
                let replaced = state.wakers.insert(ticket, waker);
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
        };
        Poll::Ready(answer)
    }
}

impl<K> Drop for UntilSafe<K> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.shared.lock().wakers.remove(&ticket);
            drop(waker);
        }
    }
}

impl<K> fmt::Debug for UntilSafe<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilSafe")
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}
