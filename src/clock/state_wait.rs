//! Waiting for a clock to be in some state, as a future: the siblings of the waits that block.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Weak};

use super::Clock;
use super::error::{WaitReason, WaitTimeout};
use super::shared::Shared;
use super::sleeper::{Next, Served, wake_all};
use super::state_queue::{Awaits, Waiter};
use super::status::ClockState;
use crate::time::Interval;

impl Clock {
    /// Returns a future that ends once a source vouches for the clock, or after `timeout`.
    ///
    /// The sibling of [`wait_until_synchronized`](Self::wait_until_synchronized) for async code, on any
    /// runtime. It needs no timer: one thread of the process, which serves every
    /// [`CommitGroup`](crate::CommitGroup) too, looks every
    /// [`look_interval`](crate::ClockBuilder::look_interval) for all futures of a clock. `timeout` counts
    /// from this call.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::system()?;
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// runtime.block_on(async {
    ///     match clock.until_synchronized(Duration::from_millis(1)).await {
    ///         Ok(now) => println!("{now}"),
    ///         Err(timeout) => println!("{timeout}"),
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_synchronized(&self, timeout: Duration) -> StateWait {
        self.until_within(Duration::MAX, timeout)
    }

    /// Returns a future that ends once a source vouches for the clock to within `epsilon`, or after
    /// `timeout`.
    ///
    /// The sibling of [`wait_until_within`](Self::wait_until_within) for async code; otherwise as
    /// [`until_synchronized`](Self::until_synchronized).
    ///
    /// ```no_run
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # async fn serve(clock: Clock) -> Result<(), Box<dyn std::error::Error>> {
    /// let now = clock.until_within(Duration::from_millis(2), Duration::from_secs(60)).await?;
    /// assert!(now.epsilon() <= Duration::from_millis(2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_within(&self, epsilon: Duration, timeout: Duration) -> StateWait {
        StateWait {
            place: Place::on(self),
            epsilon,
            timeout,
            began: self.raw_time(),
        }
    }

    /// Returns what tells of changes of the clock's state, from now on.
    ///
    /// ```no_run
    /// # use epsilon_clock::{Clock, ClockState};
    /// # async fn watch(clock: Clock) -> std::io::Result<()> {
    /// let mut changes = clock.state_changes();
    /// loop {
    ///     match changes.changed().await? {
    ///         ClockState::Unavailable => eprintln!("no interval: stop taking commits"),
    ///         state => eprintln!("the clock is {state}"),
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn state_changes(&self) -> StateChanges {
        StateChanges {
            place: Place::on(self),
            state: self.read().state,
        }
    }

    /// Returns the wait's outcome after `waited` of a wait for `timeout`, or how much is left of it.
    pub(super) fn left_of(
        timeout: Duration,
        waited: Duration,
        reason: WaitReason,
    ) -> Result<Duration, WaitTimeout> {
        let left = timeout.checked_sub(waited).filter(|left| !left.is_zero());
        left.ok_or(WaitTimeout { waited, reason })
    }

    /// Returns how much raw time went by since `began`.
    pub(super) fn waited_since(&self, began: i64) -> Duration {
        let elapsed = self.raw_time().saturating_sub(began).max(0);
        Duration::from_nanos(elapsed.unsigned_abs())
    }
}

/// A future that ends once a clock is as well known as was asked for, or with a [`WaitTimeout`].
///
/// Made by [`Clock::until_synchronized`] and [`Clock::until_within`]. It reads the clock when it is
/// polled; dropping it at any time leaves nothing behind.
#[must_use = "a wait does nothing unless it is awaited"]
pub struct StateWait {
    place: Place,
    epsilon: Duration,
    timeout: Duration,
    began: i64,
}

impl Future for StateWait {
    type Output = Result<Interval, WaitTimeout>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let clock = &this.place.clock;
        let outcome = match clock.read().vouched_within(this.epsilon) {
            Ok(interval) => Ok(interval),
            Err(reason) => {
                let waited = clock.waited_since(this.began);
                let left = Clock::left_of(this.timeout, waited, reason);
                let entered = left.map(|left| {
                    let awaits = Awaits::Within(this.epsilon);
                    this.place.enter(awaits, Some(left), context.waker())
                });
                match entered {
                    Ok(Ok(())) => return Poll::Pending,
                    Ok(Err(_)) => Err(WaitTimeout {
                        waited,
                        reason: WaitReason::NoThread,
                    }),
                    Err(timeout) => Err(timeout),
                }
            }
        };
        this.place.leave();
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for StateWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateWait")
            .field("epsilon", &self.epsilon)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Tells of changes of a clock's state: see [`Clock::state_changes`].
///
/// A change is noticed within a [`look_interval`](crate::ClockBuilder::look_interval). A state that came
/// and went in between is not told. For a stream, poll [`poll_changed`](Self::poll_changed) in
/// `poll_next`.
pub struct StateChanges {
    place: Place,
    state: ClockState,
}

impl StateChanges {
    /// Returns the state that was told last; at first the one when this was made.
    #[must_use]
    pub const fn state(&self) -> ClockState {
        self.state
    }

    /// Waits until the clock is in another state than was told last, and tells it.
    ///
    /// On any runtime. Dropping the future loses no change.
    ///
    /// # Errors
    ///
    /// The system's, if it gives no thread to wait with.
    pub async fn changed(&mut self) -> io::Result<ClockState> {
        core::future::poll_fn(|context| self.poll_changed(context)).await
    }

    /// Polls for a change, as [`changed`](Self::changed) does.
    ///
    /// # Errors
    ///
    /// As [`changed`](Self::changed).
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<ClockState>> {
        let state = self.place.clock.read().state;
        if state != self.state {
            self.place.leave();
            self.state = state;
            return Poll::Ready(Ok(state));
        }
        match self
            .place
            .enter(Awaits::StateOtherThan(state), None, context.waker())
        {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl fmt::Debug for StateChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateChanges")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// One future's place in its clock's queue, which it leaves when it is dropped.
struct Place {
    clock: Clock,
    ticket: Option<u64>,
}

impl Place {
    fn on(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            ticket: None,
        }
    }

    /// Queues a waiter, or renews it; it is woken after `left` in any case.
    fn enter(&mut self, awaits: Awaits, left: Option<Duration>, waker: &Waker) -> io::Result<()> {
        let shared = &self.clock.shared;
        let raw = self.clock.raw_time();
        let until = left.map(|left| after(raw, left));
        let visit = after(raw, shared.policy.look_interval);
        let visit = until.map_or(visit, |until| until.min(visit));
        // Cloned and dropped outside the lock: both run code of the runtime's.
        let waiter = Waiter {
            awaits,
            until,
            waker: waker.clone(),
        };
        let replaced;
        let mut poked = None;
        {
            let mut queue = shared.state_waits.lock();
            let pid = std::process::id();
            // Not served yet, or by a thread that a forked child does not have.
            if queue.served.as_ref().is_none_or(|(of, _)| *of != pid) {
                let sleeper = shared.sleeper();
                sleeper.take_on(Arc::new(Watched(Arc::downgrade(shared))))?;
                queue.served = Some((pid, sleeper));
                queue.visit = None;
            }
            let ticket = self.ticket.unwrap_or_else(|| {
                queue.last = queue.last.wrapping_add(1);
                queue.last
            });
            self.ticket = Some(ticket);
            replaced = queue.waiting.insert(ticket, waiter);
            if queue.visit.is_none_or(|planned| visit < planned) {
                queue.visit = Some(visit);
                poked = queue
                    .served
                    .as_ref()
                    .map(|(_, sleeper)| Arc::clone(sleeper));
            }
        }
        drop(replaced);
        if let Some(sleeper) = poked {
            sleeper.poke();
        }
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let left = self.clock.shared.state_waits.lock().waiting.remove(&ticket);
            drop(left);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

fn after(raw: i64, span: Duration) -> i64 {
    raw.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

/// The queue of a clock, for the sleeper, who does not keep the clock alive.
struct Watched(Weak<Shared>);

impl Served for Watched {
    fn serve(&self, due: &mut Vec<Waker>) -> Next {
        // Each waiter holds the clock: without one there is no waiter.
        let Some(shared) = self.0.upgrade() else {
            return Next::Over;
        };
        {
            let mut queue = shared.state_waits.lock();
            if queue.waiting.is_empty() {
                // Under the lock: a waiter that enters from here on lets it be served anew.
                queue.served = None;
                queue.visit = None;
                return Next::Over;
            }
        }
        // Not under the lock: it may look at the sources.
        let reading = shared.read();
        let raw = shared.machine.sample().raw;
        let next;
        {
            let mut queue = shared.state_waits.lock();
            let mut visit = after(raw, shared.policy.look_interval);
            let done = |waiter: &Waiter| {
                waiter.awaits.is_met(&reading) || waiter.until.is_some_and(|until| until <= raw)
            };
            let met = queue.waiting.iter().filter(|(_, waiter)| done(waiter));
            let met: Vec<u64> = met.map(|(ticket, _)| *ticket).collect();
            let met = met.iter().filter_map(|ticket| queue.waiting.remove(ticket));
            due.extend(met.map(|waiter| waiter.waker));
            for waiter in queue.waiting.values() {
                visit = waiter.until.map_or(visit, |until| until.min(visit));
            }
            queue.visit = Some(visit);
            let left = visit.saturating_sub(raw).max(0).unsigned_abs();
            next = Next::In(Duration::from_nanos(left));
        }
        wake_all(due.drain(..));
        next
    }

    fn abandon(&self) {
        let Some(shared) = self.0.upgrade() else {
            return;
        };
        let all = {
            let mut queue = shared.state_waits.lock();
            queue.served = None;
            queue.visit = None;
            core::mem::take(&mut queue.waiting)
        };
        // Each reads the clock itself, and enters again.
        wake_all(all.into_values().map(|waiter| waiter.waker));
    }
}
