//! Leases: rights that end by themselves, at an instant on which clocks that differ can agree.
//!
//! Why two nodes are never both in possession (T7), in four lines. Let `e` be the expiry.
//!
//! 1. The holder acts while `latest < e − margin`; true time then is not above `latest` (T1).
//! 2. A claimant acts once `earliest > e`; true time then is not below `earliest` (T1).
//! 3. So the holder acts at true instants before `e`, and a claimant at ones after it.
//! 4. A renewal never names an earlier `e` than before, so a node that was told an old one is safe.

use core::fmt;
use core::time::Duration;

use crate::clock::ClockError;
use crate::commit::{CommitGroup, CommitWaitError, GroupWait, IntervalClock};
use crate::time::{Interval, Timestamp};

mod age;
mod anchor;
mod commit;
mod elapsed;
mod error;
mod expiry;
mod fence;
mod guard;
mod log;
mod observed;
mod pause;
mod request;
mod term;
#[cfg(feature = "serde")]
mod wire;

pub use commit::NotWithin;
pub use elapsed::{ElapsedInstant, NotBounded};
pub use error::{LeaseError, NotHeld};
pub use expiry::ImplausibleExpiry;
pub use fence::{Fence, FencingToken, StaleToken, TokenError};
pub use guard::{Tenure, WorkGuard};
pub use log::{
    Admission, Delta, DeltaTooShort, GateClosed, Holder, LeaderTerm, LeaseBook, LeaseEntry,
    LogLease, ReadPermit, Release, UnknownEntry,
};
pub use observed::{Candidate, Observation};
pub use pause::{Pause, PauseDetector};
pub use request::{GrantorClock, LeaseRequest};
pub use term::TermLease;

/// A right that ends at an instant of UTC.
///
/// Any node can judge it by a clock of its own.
///
/// The grantor names the [expiry](Self::expiry) from its own `latest` and a term
/// ([`grant`](Self::grant)); it travels as eight bytes ([`to_be_bytes`](Self::to_be_bytes)). The
/// holder acts while [`held`](Self::held) says so: `latest < expiry − margin`. A claimant acts only
/// once [`surely_expired`](Self::surely_expired) does: `earliest > expiry`. In between no node acts;
/// that is what uncertain clocks cost, and it is less than the margin and twice both epsilons. A claimant
/// waits for the end in a thread ([`wait_until_expired`](Self::wait_until_expired)) or awaits it
/// ([`until_expired`](Self::until_expired), which is `group.until_past(lease.expiry())`).
///
/// # Bytes
///
/// Eight, most significant first: the expiry in ns since the Unix epoch, with its sign bit turned
/// over, so that the bytes sort as expiries do.
///
/// ```text
/// bit   63     62                                                             0
///      +------+----------------------------------------------------------------+
///      | sign |  ns since 1970-01-01T00:00:00Z, two's complement               |
///      | ^ 1  |                                                                |
///      +------+----------------------------------------------------------------+
/// byte |    0     |   1   |   2   |   3   |   4   |   5   |   6   |     7      |
///
///           98        e9      aa      de      bd      8d      1d       15
///      i64  18        e9      aa      de      bd      8d      1d       15
///           2026-11-20T05:50:00.123456789Z
/// ```
///
/// The margin does not travel. Expiries before 2001-09-09T01:46:40Z and bytes that are all ones are
/// [refused](Self::from_be_bytes).
///
/// # Without an interval
///
/// Both answers are an error where the clock gives no interval. Either may be taken for `false`
/// then: a clock that does not know neither lets a node act nor takes a lease away.
///
/// ```
/// use epsilon_clock::{Clock, Lease};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// # let other = clock.clone();
/// // The grantor:
/// let granted = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
/// let wire = granted.to_be_bytes();
///
/// // The holder, whose writes take at most 200 ms to arrive:
/// let mine = Lease::from_be_bytes(wire)?.with_margin(Duration::from_millis(200));
/// assert!(mine.held(&clock)?);
///
/// // A claimant on any other node:
/// let theirs = Lease::from_be_bytes(wire)?;
/// assert!(!theirs.surely_expired(&other)?);
/// # Ok(())
/// # }
/// ```
///
/// # What it cannot do
///
/// Between the check and the act the holder may be stopped for as long as it pleases the scheduler,
/// and act long after the lease ended. No clock closes that gap, and a margin only bounds the
/// delays that were promised. Whatever must not suffer from it needs a [`Fence`];
/// and [`guard`](Self::guard) at least tells afterwards.
///
/// # Giving it up
///
/// Stop acting, and only then let the grantor record an expiry that is past, such as the `earliest` of
/// a reading: a node that learns of it does so after that.
///
/// # Forks
///
/// A child holds what its parent holds; the resource cannot tell them apart. Only one may act.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    expiry: Timestamp,
    margin: Duration,
    /// `expiry − margin`; without one, at the edge of the range, the least there is: nothing lies
    /// before it, so the lease is never held.
    acts_until: Timestamp,
}

impl Lease {
    /// Grants a lease for at least `term`: it expires at `latest + term`.
    ///
    /// The grantor may grant to another node only once this one is
    /// [surely expired](Self::surely_expired) by its own clock, or on another node by that one's.
    ///
    /// # Errors
    ///
    /// [`LeaseError::OutOfRange`] for an expiry past the year 2262.
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Lease, Timestamp};
    /// # use std::time::Duration;
    /// let now = Interval::around(Timestamp::from_unix_secs(1_795_153_800)?, Duration::from_millis(3))?;
    /// let lease = Lease::grant(&now, Duration::from_secs(10))?;
    /// assert_eq!(lease.expiry().to_string(), "2026-11-20T05:50:10.003000000Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grant(now: &Interval, term: Duration) -> Result<Self, LeaseError> {
        let from = now.latest();
        // From `latest`, as true time is not above it: the term is at least what was promised.
        match from.checked_add(term) {
            Some(expiry) => Ok(Self::until(expiry)),
            None => Err(LeaseError::OutOfRange { from, term }),
        }
    }

    /// Creates the lease that ends at `expiry`, without a margin.
    ///
    /// ```
    /// # use epsilon_clock::{Lease, Timestamp};
    /// # use std::time::Duration;
    /// let lease = Lease::until(Timestamp::from_unix_secs(1_795_153_800)?);
    /// assert_eq!(lease.margin(), Duration::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn until(expiry: Timestamp) -> Self {
        Self {
            expiry,
            margin: Duration::ZERO,
            acts_until: expiry,
        }
    }

    /// Sets how long before the expiry its holder gives up.
    ///
    /// As long as an act takes at most, from the check to its effect, as far as that can be promised.
    /// It is the holder's own business: a claimant waits for the expiry all the same.
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Lease, Timestamp};
    /// # use std::time::Duration;
    /// let expiry = Timestamp::from_unix_secs(1_795_153_800)?;
    /// let lease = Lease::until(expiry).with_margin(Duration::from_nanos(2));
    /// let at = |before| Interval::point(expiry.saturating_sub(Duration::from_nanos(before)));
    /// assert!(lease.held_at(&at(3)));
    /// assert!(!lease.held_at(&at(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_margin(self, margin: Duration) -> Self {
        let acts_until = match self.expiry.checked_sub(margin) {
            Some(acts_until) => acts_until,
            // Nothing lies before the least instant, so such a lease is never held.
            None => Timestamp::MIN,
        };
        Self {
            margin,
            acts_until,
            ..self
        }
    }

    /// Renews the lease for at least `term` from now.
    ///
    /// Never an earlier expiry than this one's: `latest` may fall back when the clock becomes
    /// sharper, and a holder that was told the later expiry acts on it. The margin stays.
    ///
    /// That the holder still is the holder is for the grantor to know: renew in the same
    /// compare-and-set that would let another one in. A renewal that gets lost costs the holder the
    /// lease and nothing else.
    ///
    /// # Errors
    ///
    /// As [`grant`](Self::grant).
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Lease, Timestamp};
    /// # use std::time::Duration;
    /// # let now = Interval::point(Timestamp::from_unix_secs(1_795_153_800)?);
    /// let lease = Lease::grant(&now, Duration::from_secs(10))?;
    /// let renewed = lease.renewed(&now, Duration::from_secs(2))?;
    /// assert_eq!(renewed.expiry(), lease.expiry());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn renewed(&self, now: &Interval, term: Duration) -> Result<Self, LeaseError> {
        // A clock that became sharper has an earlier `latest`; a holder that was told the later
        // expiry acts on it.
        let expiry = Self::grant(now, term)?.expiry.max(self.expiry);
        Ok(Self::until(expiry).with_margin(self.margin))
    }

    /// Returns when it ends.
    #[must_use]
    pub const fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// Returns how long before the expiry its holder gives up.
    #[must_use]
    pub const fn margin(&self) -> Duration {
        self.margin
    }

    /// Returns true if the holder may act: `latest < expiry − margin`.
    ///
    /// Costs what [`Clock::now`](crate::Clock::now) does, and a comparison.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`](crate::Clock::now); not to act is right then.
    #[inline]
    pub fn held<C: IntervalClock + ?Sized>(&self, clock: &C) -> Result<bool, ClockError> {
        Ok(self.held_at(&clock.interval()?))
    }

    /// Returns true if the holder may act, as of a reading.
    #[inline]
    #[must_use]
    pub fn held_at(&self, now: &Interval) -> bool {
        // Strictly: at `expiry − margin` itself the holder has given up.
        now.latest() < self.acts_until
    }

    /// Returns true if another node may take over: `earliest > expiry`.
    ///
    /// The holder's margin does not count.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`](crate::Clock::now); not to take over is right then.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::ZERO)?;
    /// assert!(!lease.held(&clock)? && !lease.surely_expired(&clock)?); // neither can tell yet
    /// std::thread::sleep(Duration::from_millis(5));
    /// assert!(lease.surely_expired(&clock)?);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn surely_expired<C: IntervalClock + ?Sized>(&self, clock: &C) -> Result<bool, ClockError> {
        Ok(self.surely_expired_at(&clock.interval()?))
    }

    /// Returns true if another node may take over, as of a reading.
    #[inline]
    #[must_use]
    pub fn surely_expired_at(&self, now: &Interval) -> bool {
        // Whatever the margin: it is the holder's, and a claimant may not know of it.
        now.after(self.expiry)
    }

    /// Checks that the lease is held, or says by how much not.
    ///
    /// # Errors
    ///
    /// [`NotHeld`], with the figures.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use epsilon_clock::lease::NotHeld;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
    /// lease.check(&clock)?;
    /// let hasty = lease.with_margin(Duration::from_secs(11));
    /// assert!(matches!(hasty.check(&clock), Err(NotHeld::TooLate { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check<C: IntervalClock + ?Sized>(&self, clock: &C) -> Result<(), NotHeld> {
        let now = clock.interval()?;
        if self.held_at(&now) {
            return Ok(());
        }
        Err(self.refusal(now))
    }

    /// Returns how long it is surely held, for planning a renewal.
    ///
    /// Zero once it is not held.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`](crate::Clock::now).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
    /// let renew_in = lease.remaining(&clock)? / 2;
    /// # assert!(renew_in <= Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remaining<C: IntervalClock + ?Sized>(&self, clock: &C) -> Result<Duration, ClockError> {
        let now = clock.interval()?;
        if self.held_at(&now) {
            // From `latest`, so that it is surely held for that long.
            Ok(self.acts_until.abs_diff(now.latest()))
        } else {
            Ok(Duration::ZERO)
        }
    }

    /// Waits until the lease is surely expired.
    ///
    /// Returns `Ok` only once [`surely_expired`](Self::surely_expired) is true.
    ///
    /// On a healthy clock that is at most twice its epsilon after the expiry. The holder may have
    /// renewed it meanwhile: look again before taking over, in the compare-and-set that does. To await it,
    /// on any runtime: [`until_expired`](Self::until_expired).
    ///
    /// # Errors
    ///
    /// As [`CommitWait::wait`](crate::CommitWait::wait): nothing has expired then, as far as is known.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::from_millis(2))?;
    /// lease.wait_until_expired(&clock)?;
    /// assert!(lease.surely_expired(&clock)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_expired<C: IntervalClock + ?Sized>(
        &self,
        clock: &C,
    ) -> Result<(), CommitWaitError> {
        clock.wait_until_past(self.expiry)
    }

    /// Returns the wait until the lease is surely expired, for async code.
    ///
    /// It is [`CommitGroup::until_past`] of the [expiry](Self::expiry), by the group's clock: a future on
    /// any runtime, served by the one sleeper that serves all commits. `Ok` only once
    /// [`surely_expired`](Self::surely_expired) is true.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, CommitGroup, Lease};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let group = CommitGroup::start(&clock)?;
    /// let theirs = Lease::grant(&clock.now()?, Duration::from_millis(2))?;
    /// # runtime.block_on(async {
    /// theirs.until_expired(&group).await?;
    /// assert!(theirs.surely_expired(&clock)?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn until_expired(&self, group: &CommitGroup) -> GroupWait {
        group.until_past(self.expiry)
    }

    fn refusal(&self, now: Interval) -> NotHeld {
        // The two answers call for different acts: obtain another lease, or renew earlier.
        if self.surely_expired_at(&now) {
            return NotHeld::Expired {
                expiry: self.expiry,
                by: self.expiry.abs_diff(now.earliest()),
            };
        }
        NotHeld::TooLate {
            expiry: self.expiry,
            margin: self.margin,
            latest: now.latest(),
        }
    }
}

impl From<Timestamp> for Lease {
    fn from(expiry: Timestamp) -> Self {
        Self::until(expiry)
    }
}

/// `lease until 2026-11-20T05:50:10.003000000Z, margin 200ms`.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease until {}, margin {:?}", self.expiry, self.margin)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("expiry", &self.expiry)
            .field("margin", &self.margin)
            .finish()
    }
}
