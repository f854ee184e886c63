//! Commit-wait: timestamps that lie in no node's future once they are acknowledged.
//!
//! The proof, in five lines. Let commit 1 be released before commit 2 begins, on whatever node.
//!
//! 1. Commit 1 was released, so `after(s1)` was observed: `s1 < earliest` of a reading (T2).
//! 2. That reading's earliest end is not above true time (T1): `s1 <` true time at the release.
//! 3. The release was before commit 2 began, and true time does not run backwards.
//! 4. Commit 2 took at least the `latest` of a reading, which is not below true time (T1).
//! 5. So `s1 <` true time at the release `<=` true time at the beginning `<= s2`.

use core::time::Duration;

use thiserror::Error;

use crate::clock::{Clock, ClockError, NotDrawn};
use crate::machine::Disturbance;
use crate::time::{Interval, TimeDelta, Timestamp};

mod group;
mod interval_clock;
mod strategy;

pub use group::{CommitGroup, GroupWait};
pub use interval_clock::IntervalClock;
pub use strategy::WaitStrategy;

/// How often a reading that was merely interrupted is tried again before a wait ends with it.
const INTERRUPTIONS: usize = 8;

/// How far ahead of `latest` timestamps are drawn without a second thought: [`Clock::MAX_FLOOR_AHEAD`].
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a second"
)]
const NEAR: TimeDelta = TimeDelta::from_nanos(Clock::MAX_FLOOR_AHEAD.as_nanos() as i64);

/// How many readings a spinning wait takes between two looks at how long it has been spinning.
const SPIN_BATCH: usize = 16;

/// A commit timestamp, and the wait until it is surely past.
///
/// Made by [`Clock::begin_commit`]. Do the work (write the log, replicate), then
/// [`wait`](Self::wait), then acknowledge: a client that hears of the commit, and commits something in
/// turn, on any node with an honest clock, gets a larger timestamp (invariant T5). The time that the
/// work took counts towards the wait, which takes about twice the clock's epsilon in all; work that
/// takes longer waits not at all.
///
/// Dropping it without waiting is safe as long as the commit is not acknowledged: the timestamp is
/// then simply never used again. A wait that ended with an error can be taken up again.
///
/// ```
/// use epsilon_clock::Clock;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn replicate(_: epsilon_clock::Timestamp) {}
/// // Without `assume_error` an unsynchronised machine is an error, which is what a database wants.
/// let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
///
/// let commit = clock.begin_commit()?;
/// replicate(commit.timestamp());
/// commit.wait()?;
/// assert!(clock.after(commit.timestamp())?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a commit may be acknowledged only after `wait`"]
pub struct CommitWait<'a> {
    clock: &'a Clock,
    timestamp: Timestamp,
    strategy: WaitStrategy,
}

impl Clock {
    /// How far ahead of `latest` a floor may be by default, and a commit timestamp: a second, the
    /// most that an honest node can be ahead under the default
    /// [`max_error`](crate::ClockBuilder::max_error) of 500 ms.
    pub const MAX_FLOOR_AHEAD: Duration = Duration::from_secs(1);

    /// Takes a commit timestamp, which is surely not in the past.
    ///
    /// It is above all that this clock gave out.
    ///
    /// It is the `latest` end of a reading, or a nanosecond above the last timestamp that this clock
    /// or a clone of it gave out, in whichever thread. Where [`ClockBuilder::striping`] asks for that it is up to
    /// 128 ns later, and tells who drew it, instead of the last one being looked up. A forked child gives out
    /// timestamps of its own, as another node does.
    ///
    /// [`ClockBuilder::striping`]: crate::ClockBuilder::striping
    ///
    /// # Errors
    ///
    /// [`CommitError::Clock`] where [`now`](Self::now) fails; [`CommitError::RangeExhausted`] at
    /// the end of the range, in the year 2262; [`CommitError::TooFarAhead`], with the wait that the
    /// commit would take, where the last timestamps of this clock are further ahead of `latest` than
    /// honest ones can be: a second, or twice `max_error` if that is more, and the interval's width.
    /// Nothing is given out then.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let (first, second) = (clock.begin_commit()?, clock.begin_commit()?);
    /// assert!(first.timestamp() < second.timestamp());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn begin_commit(&self) -> Result<CommitWait<'_>, CommitError> {
        if let Some(timestamp) = self.draw_commit_at_once(Timestamp::MIN) {
            return Ok(self.until_past(timestamp));
        }
        if let Some(latest) = self.latest_plainly() {
            let near = latest.saturating_add_delta(NEAR);
            if let Ok(timestamp) = self.draw_commit(latest, near) {
                return Ok(self.until_past(timestamp));
            }
        }
        self.begin_commit_carefully()
    }

    #[cold]
    fn begin_commit_carefully(&self) -> Result<CommitWait<'_>, CommitError> {
        let now = self.now()?;
        self.draw(&now, now.latest(), Duration::ZERO)
    }

    /// Takes a commit timestamp up to `limit` ahead of `latest`, and the interval's width.
    ///
    /// For those who know why their clock's last timestamps are ahead, and accept the wait.
    ///
    /// [`begin_commit`](Self::begin_commit) has a limit of a second, or twice `max_error` if that is
    /// more; this one may be shorter or longer.
    ///
    /// # Errors
    ///
    /// As [`begin_commit`](Self::begin_commit).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::commit::CommitError;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let far = clock.now()?.latest().saturating_add(Duration::from_secs(60));
    /// # clock.begin_commit_after_within(far, Duration::MAX)?;
    /// let commit = match clock.begin_commit() {
    ///     Err(CommitError::TooFarAhead { wait, .. }) if wait < Duration::from_secs(300) => {
    ///         clock.begin_commit_up_to(Duration::from_secs(300))?
    ///     }
    ///     other => other?,
    /// };
    /// # drop(commit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_commit_up_to(&self, limit: Duration) -> Result<CommitWait<'_>, CommitError> {
        let now = self.now()?;
        self.draw_within(&now, now.latest(), limit)
    }

    /// Draws a timestamp of at least `least`, within the default limit or `limit`.
    #[inline]
    fn draw(
        &self,
        now: &Interval,
        least: Timestamp,
        limit: Duration,
    ) -> Result<CommitWait<'_>, CommitError> {
        // At least `latest`, which true time has not passed (T5), and above all that any thread was
        // given before: two commits of one node never share a timestamp.
        let near = now.latest().saturating_add_delta(NEAR);
        match self.draw_commit(least, near) {
            Ok(timestamp) => Ok(self.until_past(timestamp)),
            // Under a wider `max_error` honest timestamps may be further ahead: the last claim's
            // `latest` was up to twice that beyond true time, which this `latest` may have reached.
            Err(_) => {
                let honest = self.max_error().saturating_mul(2);
                let limit = limit.max(honest).max(Self::MAX_FLOOR_AHEAD);
                self.draw_within(now, least, limit)
            }
        }
    }

    #[cold]
    fn draw_within(
        &self,
        now: &Interval,
        least: Timestamp,
        limit: Duration,
    ) -> Result<CommitWait<'_>, CommitError> {
        // The width beside it: a sharper claim may put `latest` back by so much overnight.
        let limit = limit.saturating_add(now.width());
        let most = now.latest().saturating_add(limit).max(least);
        match self.draw_commit(least, most) {
            Ok(timestamp) => Ok(self.until_past(timestamp)),
            Err(NotDrawn::Exhausted) => Err(CommitError::RangeExhausted),
            Err(NotDrawn::Ahead(timestamp)) => Err(CommitError::TooFarAhead {
                timestamp,
                ahead: timestamp.abs_diff(now.latest()),
                limit,
                wait: self.until_past(timestamp).remaining()?,
            }),
        }
    }

    /// Takes a commit timestamp strictly above `floor`.
    ///
    /// A floor is a timestamp that was read from data.
    ///
    /// A floor up to [`MAX_FLOOR_AHEAD`](Self::MAX_FLOOR_AHEAD) ahead of `latest` is accepted, and
    /// the wait is so much longer. One further ahead cannot come from an honest node: it is an error
    /// that moves nothing, or one corrupt row would stall every later commit.
    ///
    /// # Errors
    ///
    /// As [`begin_commit`](Self::begin_commit), and [`CommitError::FloorTooFarAhead`] with the wait
    /// that a commit above the floor would take.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Timestamp};
    /// # use epsilon_clock::commit::CommitError;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let read = clock.now()?.latest().saturating_add(Duration::from_millis(2));
    /// assert!(clock.begin_commit_after(read)?.timestamp() > read);
    ///
    /// let corrupt: Timestamp = "2200-01-01T00:00:00.000000000Z".parse()?;
    /// let refused = clock.begin_commit_after(corrupt);
    /// assert!(matches!(refused, Err(CommitError::FloorTooFarAhead { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_commit_after(&self, floor: Timestamp) -> Result<CommitWait<'_>, CommitError> {
        self.begin_commit_after_within(floor, Self::MAX_FLOOR_AHEAD)
    }

    /// Takes a commit timestamp strictly above every one of `floors`.
    ///
    /// For the coordinator of a commit across shards: above all that the participants prepared with,
    /// and above what it gave out itself. Without floors it is [`begin_commit`](Self::begin_commit).
    /// The wait may be up to four epsilons then: the largest floor may be a foreign `latest`, two
    /// ahead, and this clock's `earliest` two behind.
    ///
    /// # Errors
    ///
    /// As [`begin_commit_after`](Self::begin_commit_after), about the largest.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let prepared = [3, 2].map(|ms| clock.now().map(|now| now.latest().saturating_add(Duration::from_millis(ms))));
    /// let [here, there] = prepared;
    /// let commit = clock.begin_commit_after_all([here?, there?])?;
    /// assert!(commit.timestamp() > here? && commit.timestamp() > there?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_commit_after_all(
        &self,
        floors: impl IntoIterator<Item = Timestamp>,
    ) -> Result<CommitWait<'_>, CommitError> {
        match floors.into_iter().max() {
            Some(floor) => self.begin_commit_after(floor),
            None => self.begin_commit(),
        }
    }

    /// Takes a commit timestamp above `floor`, within `limit` of `latest`.
    ///
    /// # Errors
    ///
    /// As [`begin_commit_after`](Self::begin_commit_after).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let read = clock.now()?.latest().saturating_add(Duration::from_millis(900));
    /// assert!(clock.begin_commit_after_within(read, Duration::from_millis(10)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_commit_after_within(
        &self,
        floor: Timestamp,
        limit: Duration,
    ) -> Result<CommitWait<'_>, CommitError> {
        // What is drawn from time is a few units ahead of `latest`, and so is a floor below it.
        if let Some(timestamp) = self.draw_commit_at_once(floor) {
            return Ok(self.until_past(timestamp));
        }
        let now = self.now()?;
        let latest = now.latest();
        // Checked before anything is drawn: a timestamp drawn from a corrupt row would put every
        // later commit of this clock behind the same wait.
        if floor > latest && floor.abs_diff(latest) > limit {
            return Err(CommitError::FloorTooFarAhead {
                floor,
                ahead: floor.abs_diff(latest),
                limit,
                wait: self.until_past(floor).remaining()?,
            });
        }
        // Strictly above: what was read at `floor` was written before this commit.
        let above = floor.checked_add(Duration::from_nanos(1));
        let above = above.ok_or(CommitError::RangeExhausted)?;
        self.draw(&now, latest.max(above), limit)
    }

    /// Returns the wait for any timestamp.
    ///
    /// Such as one read from data, or taken up again after an error.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Timestamp};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let wait = clock.until_past(Timestamp::UNIX_EPOCH);
    /// assert!(wait.is_past()?);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn until_past(&self, timestamp: Timestamp) -> CommitWait<'_> {
        CommitWait {
            clock: self,
            timestamp,
            strategy: WaitStrategy::DEFAULT,
        }
    }

    /// Waits until `timestamp` is surely past, however long that takes.
    ///
    /// # Errors
    ///
    /// As [`CommitWait::wait`].
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let read = clock.now()?.latest();
    /// clock.wait_until_past(read)?;
    /// assert!(clock.after(read)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        self.until_past(timestamp).wait()
    }
}

impl CommitWait<'_> {
    /// Returns the timestamp to commit with.
    #[inline]
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Sets another strategy for the wait.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::commit::WaitStrategy;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// clock.begin_commit()?.with_strategy(WaitStrategy::SLEEP).wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn with_strategy(self, strategy: WaitStrategy) -> Self {
        Self { strategy, ..self }
    }

    /// Returns true if the timestamp is past, so `wait` returns at once.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    #[inline]
    pub fn is_past(&self) -> Result<bool, ClockError> {
        self.clock.after(self.timestamp)
    }

    /// Returns how long `wait` would take now, for a scheduler.
    ///
    /// Zero once the timestamp is past.
    ///
    /// Exact for raw time as long as no other claim comes; one that does can make the wait shorter
    /// or longer. [`Duration::MAX`] where the timestamp will never be past.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let commit = clock.begin_commit()?;
    /// println!("could do something else for {:?}", commit.remaining()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remaining(&self) -> Result<Duration, ClockError> {
        let left = self.clock.raw_until_past(self.timestamp)?;
        Ok(left.map_or(Duration::MAX, Duration::from_nanos))
    }

    /// Waits until the timestamp is surely past.
    ///
    /// Returns `Ok` only once [`Clock::after`] has said so.
    ///
    /// Sleeps, looks again, and sleeps again if that is not yet so; spins at the end as the
    /// [`WaitStrategy`] says. A clock that loses its source meanwhile goes on in holdover.
    ///
    /// # Errors
    ///
    /// [`CommitWaitError::Clock`] as soon as the clock refuses, [`CommitWaitError::NeverPast`] for
    /// a timestamp at the end of the range. The commit must not be acknowledged then; the wait can
    /// be taken up again.
    pub fn wait(&self) -> Result<(), CommitWaitError> {
        self.wait_for(None)
    }

    /// Waits for `timeout` of the machine's raw time at most.
    ///
    /// As soon as it is clear that the timeout will not do, it fails: mostly at once, and never
    /// before having seen that the timestamp is not past yet.
    ///
    /// # Errors
    ///
    /// [`CommitWaitError::Timeout`] with what would have been needed; otherwise as
    /// [`wait`](Self::wait). The wait can be taken up again.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::commit::CommitWaitError;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let commit = clock.begin_commit()?;
    /// match commit.wait_timeout(Duration::from_micros(10)) {
    ///     Err(CommitWaitError::Timeout { needed, .. }) => println!("it would take {needed:?}"),
    ///     other => other?,
    /// }
    /// commit.wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), CommitWaitError> {
        self.wait_for(Some(timeout))
    }

    fn wait_for(&self, timeout: Option<Duration>) -> Result<(), CommitWaitError> {
        // The work often took longer than the wait would: then there is nothing to measure.
        if patiently(|| self.clock.after(self.timestamp))? {
            return Ok(());
        }
        let began = self.clock.raw_time();
        // One allowance for the whole wait: a clock whose claims keep getting wider could otherwise
        // send it back into a new stretch of spinning again and again.
        let mut may_spin = WaitStrategy::MOST_SPINNING_NS;
        loop {
            // Worked out anew each time round. A sleep may end early (a signal, a slew), and
            // another claim may have moved the end either way: no single sleep is trusted (T6).
            let left = left(self.clock, self.timestamp)?;
            if left == 0 {
                return Ok(());
            }
            if let Some(timeout) = timeout {
                // Fails at once if what is left will not fit, rather than sleep in vain. Raw time,
                // because the timeout must not be stretched by a step of the wall clock.
                check_timeout(timeout, since(self.clock, began), left)?;
            }
            // An ordinary sleep ends 70 to 100 µs late, so it stops short of the end by that much.
            let stretch = self.strategy.stretch_ns().min(may_spin);
            if left > stretch {
                self.clock.doze(Duration::from_nanos(left - stretch));
                continue;
            }
            match spin(self.clock, stretch, |clock| clock.after(self.timestamp))? {
                Spun::Done => return Ok(()),
                Spun::For(span) => may_spin = may_spin.saturating_sub(span),
                // Reading does not move this machine's time (a scripted one without read costs):
                // only a sleep does.
                Spun::Frozen => may_spin = 0,
            }
        }
    }
}

fn patiently<T>(ask: impl Fn() -> Result<T, ClockError>) -> Result<T, ClockError> {
    let mut answer = ask();
    // The reader was preempted each time it compared the machine's clocks, and nothing is wrong
    // with them: the next attempt most likely succeeds. Any other error stands.
    for _ in 0..INTERRUPTIONS {
        match answer {
            Err(ClockError::Disturbed {
                cause: Disturbance::Interrupted,
            }) => answer = ask(),
            _ => break,
        }
    }
    answer
}

/// Returns the raw ns until `timestamp` is surely past; 0 only if that was observed.
fn left(clock: &Clock, timestamp: Timestamp) -> Result<u64, CommitWaitError> {
    let left = patiently(|| clock.raw_until_past(timestamp))?;
    // At the end of the range no reading can lie beyond the timestamp; waiting would be for ever.
    left.ok_or(CommitWaitError::NeverPast { timestamp })
}

fn since(clock: &Clock, began: i64) -> u64 {
    let elapsed = clock.raw_time().saturating_sub(began);
    // An unreadable clock reads −1: no time went by, rather than a great deal.
    elapsed.max(0).unsigned_abs()
}

fn check_timeout(timeout: Duration, waited: u64, left: u64) -> Result<(), CommitWaitError> {
    let needed = Duration::from_nanos(waited.saturating_add(left));
    if needed > timeout {
        return Err(CommitWaitError::Timeout { timeout, needed });
    }
    Ok(())
}

/// How spinning ended.
enum Spun {
    /// With what it was for.
    Done,
    /// After so many ns of raw time, which were as many as it was allowed.
    For(u64),
    /// On a machine whose time stands still while it is read: there only sleeping helps.
    Frozen,
}

/// Reads the clock again and again until `done` says so, or for `limit` ns of raw time.
fn spin(
    clock: &Clock,
    limit: u64,
    done: impl Fn(&Clock) -> Result<bool, ClockError>,
) -> Result<Spun, ClockError> {
    let began = clock.raw_time();
    loop {
        // A batch between two looks at the span, which cost a clock reading each.
        for _ in 0..SPIN_BATCH {
            if patiently(|| done(clock))? {
                return Ok(Spun::Done);
            }
            core::hint::spin_loop();
        }
        match since(clock, began) {
            0 => return Ok(Spun::Frozen),
            span if span >= limit => return Ok(Spun::For(span)),
            _ => {}
        }
    }
}

/// Why no commit could begin; nothing was given out, and nothing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The clock gives no interval.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The timestamp to stay above is further in the future than an honest clock could have made it.
    #[error(
        "the floor {floor} is {ahead:?} ahead of the latest that it can be now, which is beyond the \
         limit ({limit:?}): check the row that it was read from and the clock of the node that \
         wrote it; above it a commit would wait for {wait:?}"
    )]
    FloorTooFarAhead {
        /// What was read from data.
        floor: Timestamp,
        /// How far it is ahead of the `latest` end of a reading.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
        /// How long a commit above it would wait, by the claim in force.
        wait: Duration,
    },
    /// The clock gave out timestamps so far in the future that no honest one is.
    #[error(
        "the next commit timestamp, {timestamp}, is {ahead:?} ahead of the latest that it can be \
         now, beyond the limit ({limit:?}): this clock was ahead when it gave out the last one; \
         commits begin again in {wait:?}, or at once with `begin_commit_up_to`, for that wait"
    )]
    TooFarAhead {
        /// What would have been given out.
        timestamp: Timestamp,
        /// How far it is ahead of the `latest` end of a reading.
        ahead: Duration,
        /// How far it may be: the limit and the interval's width.
        limit: Duration,
        /// How long the commit would wait, by the claim in force.
        wait: Duration,
    },
    /// There is no timestamp left above the last one.
    #[error(
        "no timestamp is left above the last one: the range ends in the year 2262; check the \
         machine's clock"
    )]
    RangeExhausted,
}

/// Why a wait ended without the timestamp being surely past: the commit must not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitWaitError {
    /// The clock gives no interval any more, not even in holdover.
    #[error("the timestamp may not be past yet: {0}")]
    Clock(#[from] ClockError),
    /// The timeout was too short.
    #[error(
        "the timestamp is surely past only {needed:?} after the wait began, and the timeout is \
         {timeout:?}: wait again, or tighten the clock's error"
    )]
    Timeout {
        /// What was given.
        timeout: Duration,
        /// What would have been needed, by the claim in force.
        needed: Duration,
    },
    /// The timestamp is so near the end of the range that no reading can lie beyond it.
    #[error("{timestamp} can never be past: the range of timestamps ends there")]
    NeverPast {
        /// What was to be waited for.
        timestamp: Timestamp,
    },
    /// The [`CommitGroup`] was dropped.
    #[error("the commit group was dropped before the timestamp was surely past: wait on the clock")]
    GroupClosed,
}
