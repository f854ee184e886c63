//! Setting up a hybrid clock.

use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use super::jump::JumpGuard;
use super::limits::{CommitLimit, ForwardLimit, RemoteCheck, RemoteLimit};
use super::record::{Kept, ReserveRecord};
use super::reserve::{Reserve, Store};
use super::timestamp::{HlcTimestamp, LOGICAL_BITS, Middle};
use super::{HybridClock, Shared};
use crate::clock::{BuildError, Clock, Stripes, Striping};

/// The longest reserve: a day.
const LONGEST_RESERVE: Duration = Duration::from_secs(86_400);

/// The shortest: below a millisecond more would be stored than issued.
const SHORTEST_RESERVE: Duration = Duration::from_millis(1);

/// Settings for a [`HybridClock`]; made by [`HybridClock::builder`].
///
/// ```
/// use epsilon_clock::{Clock, HybridClock};
/// use epsilon_clock::hlc::{ForwardLimit, RemoteLimit};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hlc = HybridClock::builder(Clock::system()?)
///     .remote_limit(RemoteLimit::Interval { tolerance: Duration::from_millis(100) })
///     .forward_limit(ForwardLimit::Jump(Duration::from_secs(5)))
///     .build()?;
/// println!("{}", hlc.tick()?);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct HybridClockBuilder {
    clock: Clock,
    remote_limit: RemoteLimit,
    offset_when_unknown: Option<Duration>,
    forward_limit: ForwardLimit,
    commit_limit: Option<Duration>,
    floor: HlcTimestamp,
    kept: Option<Kept>,
    reserve: Option<(Duration, Store)>,
    striping: Striping,
}

impl HybridClock {
    /// Creates a hybrid clock over `clock`, with default settings.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// println!("{}", hlc.tick()?); // `2026-11-20T05:50:00.123456Z_0000`
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::builder(clock).plain()
    }

    /// Starts putting a hybrid clock together.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use epsilon_clock::hlc::RemoteLimit;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::builder(Clock::system()?)
    ///     .remote_limit(RemoteLimit::Unchecked)
    ///     .build()?;
    /// # drop(hlc);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(clock: Clock) -> HybridClockBuilder {
        HybridClockBuilder::new(clock)
    }
}

impl HybridClockBuilder {
    fn new(clock: Clock) -> Self {
        let twice = clock.max_error().saturating_mul(2);
        Self {
            clock,
            remote_limit: RemoteLimit::Interval { tolerance: twice },
            offset_when_unknown: None,
            forward_limit: ForwardLimit::Jump(twice),
            commit_limit: None,
            floor: HlcTimestamp::MIN,
            kept: None,
            reserve: None,
            striping: Striping::default(),
        }
    }

    /// Sets how far ahead a remote stamp may lie.
    ///
    /// By default twice the clock's `max_error` beyond its latest: the sum is shown at
    /// [`RemoteLimit::Interval`].
    pub fn remote_limit(mut self, limit: RemoteLimit) -> Self {
        self.remote_limit = limit;
        self
    }

    /// Sets how far ahead a remote stamp may lie without an interval.
    ///
    /// For [`RemoteLimit::Interval`], beyond the best estimate. By default the tolerance and the
    /// clock's `max_error`, which is what its own error then is taken for: 1.5 s with all other
    /// settings at their defaults.
    pub fn offset_when_unknown(mut self, offset: Duration) -> Self {
        self.offset_when_unknown = Some(offset);
        self
    }

    /// Sets how far the local clock may jump ahead.
    ///
    /// By default twice its `max_error`, which is how far an honest clock may move at a new claim:
    /// from so much behind to so much ahead.
    pub fn forward_limit(mut self, limit: ForwardLimit) -> Self {
        self.forward_limit = limit;
        self
    }

    /// Sets how far ahead of `latest` a commit stamp may be, beside the interval's width.
    ///
    /// A commit has to wait until its stamp is past. Beyond the limit
    /// [`begin_commit`](HybridClock::begin_commit) is an error that says for how long, and issues
    /// nothing; ticks go on.
    ///
    /// By default twice the clock's `max_error`, or the tolerance of the
    /// [`remote_limit`](Self::remote_limit) if that is more, and the span of the
    /// [`reserve`](Self::reserve): how far ahead honest peers and a restart can have led the stamps.
    pub fn commit_limit(mut self, limit: Duration) -> Self {
        self.commit_limit = Some(limit);
        self
    }

    /// Sets whether threads draw stamps without a shared word, so that they do not wait for each other.
    ///
    /// By default they do not. What uniqueness and causality rest on where they do is told at [`Striping`].
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use epsilon_clock::clock::Striping;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::builder(Clock::system()?).striping(Striping::OnContention).build()?;
    /// # drop(hlc);
    /// # Ok(())
    /// # }
    /// ```
    pub fn striping(mut self, striping: Striping) -> Self {
        self.striping = striping;
        self
    }

    /// Goes on after an earlier run: every stamp is above `floor`.
    ///
    /// It is the last stamp known to be issued; what was stored for a [`reserve`](Self::reserve) goes
    /// to [`resume_from_reserve`](Self::resume_from_reserve). Several floors count as the largest of
    /// them. A floor that is far ahead is not refused, as it may be the clock that is behind; stamps
    /// then count on from it, and commits are refused beyond the
    /// [`commit_limit`](Self::commit_limit).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stored: RemoteTimestamp = "2040-01-01T00:00:00.000000Z_0007".parse()?;
    /// let hlc = HybridClock::builder(Clock::system()?).resume_from(stored.trust()).build()?;
    /// assert_eq!(hlc.tick()?.to_string(), "2040-01-01T00:00:00.000000Z_0008");
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume_from(mut self, floor: HlcTimestamp) -> Self {
        self.floor = self.floor.max(floor);
        self
    }

    /// Goes on after an earlier run, from what its [`reserve`](Self::reserve) stored last.
    ///
    /// Every stamp is above the record's bound. If the machine was not booted since, the
    /// [`forward_limit`](Self::forward_limit) is held to the clock as it was when the record was
    /// stored: a jump that stamps were refused for before the restart is refused after it.
    pub fn resume_from_reserve(mut self, record: ReserveRecord) -> Self {
        self.floor = self.floor.max(record.bound());
        self.kept = record.kept();
        self
    }

    /// Stores how far stamps may be issued, ahead of their use.
    ///
    /// So a crash can never reissue one.
    ///
    /// `store` is handed a record, "no stamp above this bound has been issued", and has to keep it
    /// where it survives a crash before it returns; the bounds go up by `span` at a time. After a
    /// restart, [`resume_from_reserve`](Self::resume_from_reserve) takes what was stored last, and
    /// whatever was issued before is below it.
    ///
    /// - *Cost.* Once half of the span is used, one caller stores the next bound while the others go
    ///   on. None does if [`refill_reserve`](HybridClock::refill_reserve) is called often enough
    ///   elsewhere: a quarter of `span` apart will do.
    /// - *Failure.* An error of `store` is passed on only once the reserve is used up; until then it
    ///   is tried again, each time with half of what was left. It may have stored the bound and
    ///   failed afterwards: a bound too high does no harm.
    /// - *After a restart* stamps are up to `span` ahead of the clock, so make it no longer than
    ///   that may be; peers have to [tolerate](RemoteLimit::Interval) it. From 1 ms to a day. Not so
    ///   after a clean shutdown: see [`HybridClock::into_record`].
    ///
    /// `store` is called by one thread at a time, with larger and larger bounds. It must not ask the
    /// same hybrid clock for stamps: it would wait for itself.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HlcTimestamp, HybridClock};
    /// # use epsilon_clock::hlc::ReserveRecord;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("reserve-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("no-stamp-above");
    /// let stored = match std::fs::read(&path) {
    ///     Ok(bytes) => ReserveRecord::try_from(&bytes[..])?,
    ///     Err(_) => HlcTimestamp::MIN.into(), // the first start of all
    /// };
    /// let hlc = HybridClock::builder(Clock::system()?)
    ///     .resume_from_reserve(stored)
    ///     .reserve(Duration::from_secs(3), move |record| {
    ///         let new = path.with_extension("new");
    ///         std::fs::write(&new, record.to_be_bytes())?; // and sync, where it matters
    ///         std::fs::rename(&new, &path)?;
    ///         Ok(())
    ///     })
    ///     .build()?;
    /// assert!(hlc.tick()? > stored.bound());
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve<F>(mut self, span: Duration, store: F) -> Self
    where
        F: Fn(ReserveRecord) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    {
        self.reserve = Some((span, Box::new(store)));
        self
    }

    /// Builds the hybrid clock.
    ///
    /// It reads the clock once, for the forward-jump guard to start from; with a reserve, or what one
    /// stored, also which boot of the kernel this is (a file in `/proc`).
    ///
    /// # Errors
    ///
    /// [`BuildError::Setting`] for a reserve that is shorter than 1 ms or longer than a day.
    pub fn build(self) -> Result<HybridClock, BuildError> {
        let span = self.reserve.as_ref().map(|(span, _)| *span);
        let reserve = match self.reserve {
            None => Reserve::none(),
            Some((span, _)) if !(SHORTEST_RESERVE..=LONGEST_RESERVE).contains(&span) => {
                return Err(BuildError::Setting {
                    setting: "reserve",
                    value: format!("{span:?}"),
                    allowed: "from 1 ms to a day".to_owned(),
                });
            }
            Some((span, store)) => {
                let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
                Reserve::new(self.floor.to_bits(), micros << LOGICAL_BITS, store)
            }
        };
        let forward = self.forward_limit.limit();
        let jump = if span.is_none() && self.kept.is_none() {
            JumpGuard::new(&self.clock, forward)
        } else {
            JumpGuard::resumed(&self.clock, forward, self.kept)
        };
        let remote = remote_check(&self.clock, self.remote_limit, self.offset_when_unknown);
        let commit = self.commit_limit.unwrap_or_else(|| {
            honest_lead(&self.clock, self.remote_limit).saturating_add(span.unwrap_or_default())
        });
        let commit = CommitLimit::new(commit);
        let stripes = stripes(&self.clock, self.striping);
        let shared = Shared::new(self.floor, stripes, reserve, jump, remote, commit);
        Ok(HybridClock::from_parts(self.clock, shared))
    }

    fn plain(self) -> HybridClock {
        let jump = JumpGuard::new(&self.clock, self.forward_limit.limit());
        let remote = remote_check(&self.clock, self.remote_limit, self.offset_when_unknown);
        let commit = CommitLimit::new(honest_lead(&self.clock, self.remote_limit));
        let stripes = stripes(&self.clock, self.striping);
        let shared = Shared::new(self.floor, stripes, Reserve::none(), jump, remote, commit);
        HybridClock::from_parts(self.clock, shared)
    }
}

fn stripes(clock: &Clock, striping: Striping) -> Stripes<Middle> {
    let time_namespace = clock.identity().time_namespace;
    Stripes::new(striping, || clock.stripes(), time_namespace)
}

/// How far ahead of true time honest peers can lead the stamps.
fn honest_lead(clock: &Clock, limit: RemoteLimit) -> Duration {
    let twice = clock.max_error().saturating_mul(2);
    match limit {
        RemoteLimit::Interval { tolerance } | RemoteLimit::Fixed(tolerance) => twice.max(tolerance),
        // Whatever is accepted, the wait for it is not.
        RemoteLimit::Unchecked => twice,
    }
}

fn remote_check(clock: &Clock, limit: RemoteLimit, offset: Option<Duration>) -> RemoteCheck {
    let tolerance = match limit {
        RemoteLimit::Interval { tolerance } | RemoteLimit::Fixed(tolerance) => tolerance,
        RemoteLimit::Unchecked => Duration::MAX,
    };
    RemoteCheck {
        limit,
        offset_when_unknown: offset.unwrap_or_else(|| tolerance.saturating_add(clock.max_error())),
    }
}

impl fmt::Debug for HybridClockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridClockBuilder")
            .field("clock", &self.clock)
            .field("remote_limit", &self.remote_limit)
            .field("offset_when_unknown", &self.offset_when_unknown)
            .field("forward_limit", &self.forward_limit)
            .field("commit_limit", &self.commit_limit)
            .field("floor", &self.floor)
            .field("kept", &self.kept)
            .field("striping", &self.striping)
            .field("reserve", &self.reserve.as_ref().map(|(span, _)| span))
            .finish()
    }
}
