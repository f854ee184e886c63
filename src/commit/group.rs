//! Many commit-waits, served by one sleeper.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicI64, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};

use super::{CommitWait, CommitWaitError, WaitStrategy};
use super::{check_timeout, left, patiently, since, spin};
use crate::clock::{Clock, ClockError, Next, Served, Sleeper, wake_all};
use crate::time::Timestamp;

/// How many waiters are taken out before they are woken: so long newcomers may have to wait.
const BATCH: usize = 128;

/// Where so many more are due within a `WINDOW` of the first, all are released at its end: one wake
/// of the sleeper, and of the threads behind it, serves them together. Waking costs some 10 µs of
/// processor time in all, which for one at a time would be more than all the rest.
const CROWD: usize = 12;
const WINDOW: Duration = Duration::from_micros(300);

/// What `next` says while the queue is empty. No wait is queued for that instant: it is never past.
const IDLE: i64 = i64::MAX;

/// Many commit-waits on one clock, served by one precise sleeper.
///
/// Any number of threads and tasks wait; one thread of the process sleeps for all of them, of all groups,
/// and wakes them in the order of their timestamps. A wait costs no thread and no timer, only some 100
/// bytes; a release takes the first from an ordered queue, however many wait; and one sleeper spins for the
/// last 70 µs before a release instead of every committer for itself
/// ([`start_with`](Self::start_with) and [`WaitStrategy::SLEEP`] forbid that).
///
/// Where more than twelve waits are due within 300 µs, which is some 40 000 commits a second, they
/// are released together at the end of those 300 µs, and no thread spins: a fifth of a millisecond is
/// then the price of a processor that has time for the commits.
///
/// The sleeper only wakes. Each waiter then observes [`Clock::after`] for itself, and so gets `Ok`
/// on no other grounds, or the clock's own error.
///
/// What else can be waited for: any timestamp, such as a lease's end ([`until_past`](Self::until_past)).
///
/// Cheap to clone: handles share one queue. Dropping the last handle ends every wait on
/// it with [`CommitWaitError::GroupClosed`]. In a forked child the thread does not exist: make another
/// group there.
///
/// ```
/// use epsilon_clock::{Clock, CommitGroup};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let group = CommitGroup::start(&clock)?;
///
/// let commit = clock.begin_commit()?;
/// let released = group.released(&commit); // a future: `released.await?`
/// released.wait()?; // or a thread that waits
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CommitGroup {
    owner: Arc<Owner>,
}

/// Closes the group with its last handle; the sleeper and the waits hold only the core.
struct Owner {
    core: Arc<Core>,
}

/// What the group shares with its waits and its thread.
struct Core {
    clock: Clock,
    strategy: WaitStrategy,
    /// The first timestamp in the queue, written under the lock; for who spins without it.
    next: AtomicI64,
    /// Below this timestamp no waiter is in the queue, written under the lock; so that those who were
    /// released need not look for themselves there.
    cleared: AtomicI64,
    queue: Mutex<Queue>,
    /// Who is told of an earlier timestamp, and of the end; none where the caller drives the group.
    sleeper: OnceLock<Arc<Sleeper>>,
}

/// Who waits, in the order of release.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<Ticket, Waker>,
    /// The number of the last ticket.
    last: u64,
    closed: bool,
}

/// A place in the queue: by timestamp, then first come, first served.
type Ticket = (Timestamp, u64);

impl CommitGroup {
    /// Lets the process's sleeper, a thread named `epsilon-sleep`, serve waits on `clock`.
    ///
    /// One thread serves all groups, and what is [awaited](Clock::until_synchronized) of the clocks
    /// themselves; it ends a second after the last of them. Clocks of another
    /// [machine](crate::ClockBuilder::machine) than the real one have a thread each.
    ///
    /// # Errors
    ///
    /// The system's, if it gives no thread.
    pub fn start(clock: &Clock) -> io::Result<Self> {
        Self::start_with(clock, WaitStrategy::GROUP)
    }

    /// Starts a group whose sleeper follows `strategy`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, CommitGroup};
    /// # use epsilon_clock::commit::WaitStrategy;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let frugal = CommitGroup::start_with(&clock, WaitStrategy::SLEEP)?;
    /// frugal.released(&clock.begin_commit()?).wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_with(clock: &Clock, strategy: WaitStrategy) -> io::Result<Self> {
        let group = Self::with(clock, strategy);
        let core = group.core();
        let sleeper = core.sleeper.get_or_init(|| clock.sleeper());
        sleeper.take_on(Arc::clone(core) as Arc<dyn Served>)?;
        Ok(group)
    }

    /// Creates a group without a thread, which the caller drives.
    ///
    /// For simulated machines, and for runtimes that have a precise timer of their own.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, CommitGroup};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let group = CommitGroup::driven(&clock);
    /// assert_eq!(group.drive_once()?, None); // no waiter
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn driven(clock: &Clock) -> Self {
        Self::with(clock, WaitStrategy::SLEEP)
    }

    fn with(clock: &Clock, strategy: WaitStrategy) -> Self {
        let core = Arc::new(Core {
            clock: clock.clone(),
            strategy,
            next: AtomicI64::new(IDLE),
            cleared: AtomicI64::new(i64::MIN),
            queue: Mutex::default(),
            sleeper: OnceLock::new(),
        });
        Self {
            owner: Arc::new(Owner { core }),
        }
    }

    fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }

    /// Returns the wait for a commit that began on any clock.
    ///
    /// It is a future, and can block a thread as well.
    ///
    /// It borrows neither the commit nor the group.
    pub fn released(&self, commit: &CommitWait<'_>) -> GroupWait {
        self.until_past(commit.timestamp())
    }

    /// Returns the wait for any timestamp.
    ///
    /// Such as one read from data, or a lease's end: `until_past(lease.expiry())` is
    /// [`Lease::until_expired`](crate::Lease::until_expired).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, CommitGroup, Timestamp};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let group = CommitGroup::start(&clock)?;
    /// group.until_past(Timestamp::UNIX_EPOCH).wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_past(&self, timestamp: Timestamp) -> GroupWait {
        GroupWait {
            core: Arc::clone(self.core()),
            timestamp,
            ticket: None,
        }
    }

    /// Returns the number of waits in the queue.
    ///
    /// Of those, that is, that were polled, and neither released nor dropped.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.core().lock().waiting.len()
    }

    /// Wakes every waiter whose timestamp is surely past, in order; how long until the next one is,
    /// `None` if the queue is empty.
    ///
    /// Needed only for a group that is [`driven`](Self::driven), again and again; does no harm to
    /// another. It does not sleep.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`]; all waiters are woken then, to meet the error themselves.
    pub fn drive_once(&self) -> Result<Option<Duration>, ClockError> {
        let next = self.core().release(&mut Vec::new())?;
        Ok(next.map(|(_, left)| Duration::from_nanos(left)))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl fmt::Debug for CommitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitGroup")
            .field("waiting", &self.waiting())
            .field("strategy", &self.core().strategy)
            .finish_non_exhaustive()
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in the queue can be left half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a waiter, or renews its waker; returns whether the group is open.
    ///
    /// Wakers are cloned and dropped outside the lock: that may run foreign code, and this file's.
    fn enter(&self, timestamp: Timestamp, place: &mut Option<Ticket>, waker: &Waker) -> bool {
        // Cloning and dropping wakers runs code of the runtime's, which may come back to this
        // group: both happen outside the lock.
        let waker = waker.clone();
        let replaced;
        let mut is_next = false;
        {
            let mut queue = self.lock();
            if queue.closed {
                return false;
            }
            let ticket = match *place {
                Some(ticket) => ticket,
                None => {
                    queue.last = queue.last.wrapping_add(1);
                    (timestamp, queue.last)
                }
            };
            *place = Some(ticket);
            // A future that is polled again keeps its place; only its newest waker counts.
            replaced = queue.waiting.insert(ticket, waker);
            let nanos = timestamp.unix_nanos();
            // This waiter is below what was cleared, so `leave` must not skip the queue for it.
            if nanos < self.cleared.load(Ordering::Relaxed) {
                self.cleared.store(nanos, Ordering::Relaxed);
            }
            if nanos < self.next.load(Ordering::Relaxed) {
                self.next.store(nanos, Ordering::Relaxed);
                is_next = true;
            }
        }
        drop(replaced);
        // Only a newcomer that is due first has to shorten the sleep; the others are found when it
        // ends.
        if is_next {
            self.poke();
        }
        true
    }

    fn leave(&self, ticket: &Ticket) {
        // A waiter that lowered it to enter sees at least that; if it was raised since, the release did so.
        if ticket.0.unix_nanos() < self.cleared.load(Ordering::Relaxed) {
            return;
        }
        let waker = {
            let mut queue = self.lock();
            let waker = queue.waiting.remove(ticket);
            self.show_next(&queue);
            waker
        };
        drop(waker);
    }

    fn show_next(&self, queue: &Queue) {
        let next = queue.waiting.first_key_value();
        let next = next.map_or(IDLE, |((timestamp, _), _)| timestamp.unix_nanos());
        self.next.store(next, Ordering::Relaxed);
    }

    /// Wakes all whose timestamp is surely past; who is next, and in how many ns of raw time.
    fn release(&self, due: &mut Vec<Waker>) -> Result<Option<(Timestamp, u64)>, ClockError> {
        loop {
            let next = self.next.load(Ordering::Relaxed);
            if next == IDLE {
                // The queue is empty.
                return Ok(None);
            }
            let next = Timestamp::from_unix_nanos(next);
            match left(&self.clock, next) {
                // Observed as past; now find out how far past, to release all that are due with one
                // lock.
                Ok(0) => {}
                Ok(left) => return Ok(Some((next, left))),
                // Raw time runs out before the timestamp is past: nothing that could be slept for.
                Err(CommitWaitError::Clock(error)) => {
                    wake_all(self.take_all());
                    return Err(error);
                }
                Err(_) => return Ok(Some((next, u64::MAX))),
            }
            // Past for all who ask from here on (T3), so for the waiters too.
            match patiently(|| self.clock.now()) {
                Ok(now) => {
                    self.take_due(now.earliest(), due);
                    wake_all(due.drain(..));
                }
                Err(error) => {
                    wake_all(self.take_all());
                    return Err(error);
                }
            }
        }
    }

    fn take_due(&self, earliest: Timestamp, due: &mut Vec<Waker>) {
        let mut queue = self.lock();
        // A bounded batch, so that newcomers do not wait for the lock while thousands are taken
        // out.
        while due.len() < BATCH {
            match queue.waiting.first_entry() {
                Some(first) if first.key().0 < earliest => due.push(first.remove()),
                _ => break,
            }
        }
        self.show_next(&queue);
        let next = self.next.load(Ordering::Relaxed);
        // Never past the first that is still queued: a batch that was full leaves due waiters
        // behind.
        let cleared = earliest.unix_nanos().min(next);
        self.cleared.fetch_max(cleared, Ordering::Relaxed);
    }

    fn is_crowded(&self, first: Timestamp) -> bool {
        let queue = self.lock();
        // Ordered by timestamp, so one look at the place of the last of a crowd tells whether all
        // are due.
        let one_more = queue.waiting.keys().nth(CROWD);
        one_more.is_some_and(|(due, _)| *due <= first.saturating_add(WINDOW))
    }

    fn take_all(&self) -> impl Iterator<Item = Waker> + use<> {
        let mut queue = self.lock();
        let all = core::mem::take(&mut queue.waiting);
        self.show_next(&queue);
        all.into_values()
    }

    fn poke(&self) {
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.poke();
        }
    }

    fn close(&self) {
        // Closed first, under the lock: who enters afterwards is told so, and who entered before is
        // woken.
        self.lock().closed = true;
        let all = self.take_all();
        self.poke();
        wake_all(all);
    }
}

impl Served for Core {
    fn serve(&self, due: &mut Vec<Waker>) -> Next {
        if self.lock().closed {
            return Next::Over;
        }
        // After an error all have been woken, and who still wants to wait comes back.
        let Some((first, left)) = self.release(due).unwrap_or(None) else {
            return Next::Idle;
        };
        let stretch = self.strategy.stretch_ns();
        let nap = if self.is_crowded(first) {
            // A crowd is released together, a little late, instead of each at its own instant.
            Duration::from_nanos(left) + WINDOW
        } else if left <= stretch {
            return Next::Spin;
        } else {
            Duration::from_nanos(left - stretch)
        };
        // A daemon's next write may make the wait shorter.
        Next::In(nap.min(self.clock.longest_doze()))
    }

    fn is_due(&self) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        // An error is met again, and dealt with, by `release`.
        next != IDLE
            && self
                .clock
                .after(Timestamp::from_unix_nanos(next))
                .unwrap_or(true)
    }

    fn spin(&self, any_is_due: &dyn Fn() -> bool) {
        let stretch = self.strategy.stretch_ns();
        let is_idle = || self.next.load(Ordering::Relaxed) == IDLE;
        let _ = spin(&self.clock, stretch, |_| Ok(is_idle() || any_is_due()));
    }

    fn sharpen(&self) {
        // The thread only sleeps and wakes others, so it may do without timer slack, which makes its
        // sleeps 50 µs more punctual.
        self.clock.sharpen_sleeps();
    }

    fn abandon(&self) {
        self.close();
    }
}

/// A wait in a [`CommitGroup`]: a future for any runtime, or a thread's wait.
///
/// `Ok` only once [`Clock::after`] has said that the timestamp is past, as with
/// [`CommitWait::wait`]. It joins the queue when first polled; dropping it at any time takes it out
/// again, and nothing of it stays.
///
/// ```
/// use epsilon_clock::{Clock, CommitGroup};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// # let group = CommitGroup::start(&clock)?;
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let commit = clock.begin_commit()?;
///     // … replicate …
///     group.released(&commit).await?;
///     Ok(()) // acknowledge
/// })
/// # }
/// ```
#[must_use = "a wait does nothing unless it is awaited, or `wait` is called"]
pub struct GroupWait {
    core: Arc<Core>,
    timestamp: Timestamp,
    ticket: Option<Ticket>,
}

impl GroupWait {
    /// Returns the timestamp that is waited for.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Blocks the calling thread until the timestamp is surely past.
    ///
    /// # Errors
    ///
    /// As [`CommitWait::wait`], and [`CommitWaitError::GroupClosed`].
    pub fn wait(mut self) -> Result<(), CommitWaitError> {
        self.park(None)
    }

    /// Blocks the calling thread for `timeout` of raw time at most.
    ///
    /// Fails as soon as it is clear that the timeout will not do; the wait can be taken up again.
    ///
    /// # Errors
    ///
    /// [`CommitWaitError::Timeout`] with what would have been needed; otherwise as
    /// [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<(), CommitWaitError> {
        let outcome = self.park(Some(timeout));
        self.leave();
        outcome
    }

    fn park(&mut self, timeout: Option<Duration>) -> Result<(), CommitWaitError> {
        let began = self.core.clock.raw_time();
        let waker = Waker::from(Arc::new(Parked(thread::current())));
        loop {
            // A thread may be unparked for other reasons, so it asks the clock each time.
            if let Poll::Ready(outcome) = self.poll_with(&waker) {
                return outcome;
            }
            match timeout {
                None => thread::park(),
                Some(timeout) => {
                    let waited = since(&self.core.clock, began);
                    match left(&self.core.clock, self.timestamp)? {
                        // Past in the meantime, between the poll and now.
                        0 => return Ok(()),
                        left => check_timeout(timeout, waited, left)?,
                    }
                    thread::park_timeout(timeout.saturating_sub(Duration::from_nanos(waited)));
                }
            }
        }
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Result<(), CommitWaitError>> {
        let timestamp = self.timestamp;
        let outcome = match patiently(|| self.core.clock.after(timestamp)) {
            Ok(true) => Ok(()),
            Err(error) => Err(error.into()),
            // Nothing can lie beyond the last instant, so its waiter would sit in the queue for
            // ever.
            Ok(false) if timestamp == Timestamp::MAX => {
                Err(CommitWaitError::NeverPast { timestamp })
            }
            Ok(false) => {
                if self.core.enter(timestamp, &mut self.ticket, waker) {
                    return Poll::Pending;
                }
                Err(CommitWaitError::GroupClosed)
            }
        };
        // A wait that timed out leaves its place; taken up again, it gets a new one.
        self.leave();
        Poll::Ready(outcome)
    }

    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.core.leave(&ticket);
        }
    }
}

impl Future for GroupWait {
    type Output = Result<(), CommitWaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_with(context.waker())
    }
}

impl Drop for GroupWait {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for GroupWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupWait")
            .field("timestamp", &self.timestamp)
            .field("waiting", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}

/// A thread that is woken where a task would be.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
