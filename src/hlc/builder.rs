//! Setting up a hybrid clock.

use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use super::HybridClock;
use super::jump::JumpGuard;
use super::limits::{ForwardLimit, RemoteCheck, RemoteLimit};
use super::reserve::{Reserve, Store};
use super::timestamp::{HlcTimestamp, LOGICAL_BITS};
use crate::clock::{BuildError, Clock};

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
    floor: HlcTimestamp,
    reserve: Option<(Duration, Store)>,
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
            floor: HlcTimestamp::MIN,
            reserve: None,
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

    /// Goes on after an earlier run: every stamp is above `floor`.
    ///
    /// It is the last stamp known to be issued, or the bound that was stored for a
    /// [`reserve`](Self::reserve). Several floors count as the largest of them. A floor that is far
    /// ahead is not refused, as it may be the clock that is behind; stamps then count on from it.
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

    /// Stores how far stamps may be issued, ahead of their use.
    ///
    /// So a crash can never reissue one.
    ///
    /// `store` is handed a stamp, and has to keep "none above this has been issued" where it
    /// survives a crash before it returns; the stamps go up by `span` at a time. After a restart,
    /// [`resume_from`](Self::resume_from) takes what was stored last, and whatever was issued
    /// before is below it.
    ///
    /// - *Cost.* Once half of the span is used, one caller stores the next bound while the others go
    ///   on. None does if [`refill_reserve`](HybridClock::refill_reserve) is called often enough
    ///   elsewhere: a quarter of `span` apart will do.
    /// - *Failure.* An error of `store` is passed on only once the reserve is used up; until then it
    ///   is tried again, each time with half of what was left. It may have stored the bound and
    ///   failed afterwards: a bound too high does no harm.
    /// - *After a restart* stamps are up to `span` ahead of the clock, so make it no longer than
    ///   that may be; peers have to [tolerate](RemoteLimit::Interval) it. From 1 ms to a day.
    ///
    /// `store` is called by one thread at a time, with larger and larger stamps. It must not ask the
    /// same hybrid clock for stamps: it would wait for itself.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HlcTimestamp, HybridClock, RemoteTimestamp};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("reserve-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("no-stamp-above");
    /// let floor = match std::fs::read_to_string(&path) {
    ///     Ok(text) => text.parse::<RemoteTimestamp>()?.trust(),
    ///     Err(_) => HlcTimestamp::MIN, // the first start of all
    /// };
    /// let hlc = HybridClock::builder(Clock::system()?)
    ///     .resume_from(floor)
    ///     .reserve(Duration::from_secs(3), move |bound| {
    ///         let new = path.with_extension("new");
    ///         std::fs::write(&new, bound.to_string())?; // and sync, where it matters
    ///         std::fs::rename(&new, &path)?;
    ///         Ok(())
    ///     })
    ///     .build()?;
    /// assert!(hlc.tick()? > floor);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve<F>(mut self, span: Duration, store: F) -> Self
    where
        F: Fn(HlcTimestamp) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    {
        self.reserve = Some((span, Box::new(store)));
        self
    }

    /// Builds the hybrid clock.
    ///
    /// It reads the clock once, for the forward-jump guard to start from.
    ///
    /// # Errors
    ///
    /// [`BuildError::Setting`] for a reserve that is shorter than 1 ms or longer than a day.
    pub fn build(self) -> Result<HybridClock, BuildError> {
        let reserve = match self.reserve {
            None => Reserve::none(),
            Some((span, _)) if !(SHORTEST_RESERVE..=LONGEST_RESERVE).contains(&span) => {
                return Err(BuildError::Setting {
                    setting: "reserve",
                    value: format!("{span:?}"),
                    allowed: "from 1 ms to a day",
                });
            }
            Some((span, store)) => {
                let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
                Reserve::new(self.floor.to_bits(), micros << LOGICAL_BITS, store)
            }
        };
        let jump = JumpGuard::new(&self.clock, self.forward_limit.limit());
        let remote = remote_check(&self.clock, self.remote_limit, self.offset_when_unknown);
        Ok(HybridClock::from_parts(
            self.clock, self.floor, reserve, jump, remote,
        ))
    }

    fn plain(self) -> HybridClock {
        let jump = JumpGuard::new(&self.clock, self.forward_limit.limit());
        let remote = remote_check(&self.clock, self.remote_limit, self.offset_when_unknown);
        HybridClock::from_parts(self.clock, self.floor, Reserve::none(), jump, remote)
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
            .field("floor", &self.floor)
            .field("reserve", &self.reserve.as_ref().map(|(span, _)| span))
            .finish()
    }
}
