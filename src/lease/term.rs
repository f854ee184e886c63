//! A lease that was granted for a duration, held by this process and counted on this machine.

use core::fmt;
use core::time::Duration;

use super::Lease;
use super::anchor::{Anchor, Term};
use super::error::NotHeld;
use crate::clock::{Clock, ClockError};
use crate::primitive::{AtomicI64, Ordering};
use crate::time::{Interval, Timestamp};

const BILLION: u128 = 1_000_000_000;

/// In place of a raw instant: the machine slept, and the lease is gone for good.
const LOST: i64 = i64::MAX;

/// A lease that was granted "for so long from when you asked"; made by
/// [`LeaseRequest::granted`](super::LeaseRequest::granted).
///
/// It is held while **both** say so that can be read here:
///
/// - the interval: `latest < earliest before the request + term − margin`;
/// - the machine: the raw time that went by since then, made longer by `max_drift`, is less than the
///   term less the margin, and boot time says that the machine has not slept. Raw time stands still
///   while it sleeps, so a suspend ends the lease, however short: how long it was, the kernel knows
///   to a second at best.
///
/// The second is needed because UTC is not elapsed time: during an inserted leap second the interval
/// stands still, and the grantor's term does not. The first, because what is read twice is wrong
/// less often.
///
/// It is renewed by [another request](Clock::request_lease), whose lease takes its place; an answer
/// that was late or lost makes the new one shorter, never longer. It means nothing on another
/// machine or in another process: what travels is the term.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::{GrantorClock, TermLease};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn ask() -> Duration { Duration::from_secs(10) }
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let request = clock.request_lease()?;
/// let mut lease: TermLease = request.granted(ask(), GrantorClock::RawTime)?;
/// if lease.remaining()? < Duration::from_secs(5) {
///     let request = clock.request_lease()?;
///     lease = request.granted(ask(), GrantorClock::RawTime)?;
/// }
/// assert!(lease.held()?);
/// # Ok(())
/// # }
/// ```
pub struct TermLease {
    clock: Clock,
    /// What the interval is held against; its expiry is the earliest at which the term can end.
    lease: Lease,
    term: Term,
    anchor: Anchor,
    /// The last raw instants at which it is held: with the margin, and without it.
    acts_until: i64,
    lasts_until: i64,
    /// The last raw instant at which boot time was compared and had not moved, or [`LOST`].
    ///
    /// A claim from before that instant is in force only while nothing voided it, and a suspend does:
    /// so as long as such a claim answers, there is nothing to compare.
    compared: AtomicI64,
}

impl TermLease {
    pub(super) fn new(clock: Clock, lease: Lease, term: Term, anchor: Anchor) -> Self {
        // Worked out once, so that a check is a comparison.
        let lasts_until = last_instant(&anchor, term.shortest, clock.max_drift_ppb());
        Self {
            clock,
            lease,
            term,
            anchor,
            acts_until: lasts_until,
            lasts_until,
            compared: AtomicI64::new(anchor.raw),
        }
    }

    /// Sets how much earlier the holder gives up; see [`Lease::with_margin`].
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::GrantorClock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let granted = clock.request_lease()?.granted(Duration::from_secs(10), GrantorClock::RawTime)?;
    /// let lease = granted.with_margin(Duration::from_secs(10));
    /// assert!(!lease.held()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_margin(mut self, margin: Duration) -> Self {
        let usable = self.term.shortest.saturating_sub(margin);
        self.acts_until = last_instant(&self.anchor, usable, self.clock.max_drift_ppb());
        self.lease = self.lease.with_margin(margin);
        self
    }

    /// Returns true if the holder may act now.
    ///
    /// Costs what [`Clock::now`] does, and a few comparisons; after each new claim of the clock once
    /// a comparison of its machine's clocks.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`]; not to act is right then.
    #[inline]
    pub fn held(&self) -> Result<bool, ClockError> {
        match self.held_plainly() {
            Some(held) => Ok(held),
            None => self.held_carefully(),
        }
    }

    #[inline]
    fn held_plainly(&self) -> Option<bool> {
        let instant = self.clock.instant_plainly()?;
        let raw = instant.raw();
        let compared = self.compared.load(Ordering::Relaxed);
        // A claim that is newer than the last comparison may have come after a suspend that voided
        // the one before: boot time has to be compared again. An older claim still answers only if
        // nothing voided it.
        if instant.claimed_at() > compared || raw < compared {
            return None;
        }
        Some(raw <= self.acts_until && self.lease.held_at(&instant.interval()?))
    }

    #[cold]
    fn held_carefully(&self) -> Result<bool, ClockError> {
        match self.check() {
            Ok(()) => Ok(true),
            // Not knowing is an error, and not a lease that ended: the caller may still hold it.
            Err(NotHeld::Clock(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Checks that the lease is held, or says by how much not.
    ///
    /// # Errors
    ///
    /// [`NotHeld`], with the figures.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::{GrantorClock, NotHeld};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let granted = clock.request_lease()?.granted(Duration::from_millis(10), GrantorClock::RawTime)?;
    /// granted.check()?;
    /// std::thread::sleep(Duration::from_millis(11));
    /// assert!(matches!(granted.check(), Err(NotHeld::TermOver { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), NotHeld> {
        // The interval first: raw time read after it is not earlier, so both ask about an instant
        // in between or later.
        let now = self.clock.now()?;
        let here = self.compare()?;
        if here.raw > self.acts_until {
            return Err(self.over(here.raw, self.lease.margin()));
        }
        if !self.lease.held_at(&now) {
            return Err(self.too_late(&now));
        }
        Ok(())
    }

    /// Returns how long it is surely held, for planning a renewal.
    ///
    /// Zero once it is not held.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    pub fn remaining(&self) -> Result<Duration, ClockError> {
        if !self.held()? {
            return Ok(Duration::ZERO);
        }
        // The smaller of what the two clocks leave: either may end the lease first.
        let left = self.acts_until.saturating_sub(self.clock.raw_time());
        let by_raw_time = Duration::from_nanos(left.max(0).unsigned_abs());
        Ok(self.lease.remaining(&self.clock)?.min(by_raw_time))
    }

    /// Returns the term, as the grantor said.
    #[must_use]
    pub const fn term(&self) -> Duration {
        self.term.granted
    }

    /// Returns how long before the end its holder gives up.
    #[must_use]
    pub const fn margin(&self) -> Duration {
        self.lease.margin()
    }

    /// Returns the first instant of UTC at which the term may be over.
    ///
    /// It is not held from then on.
    #[must_use]
    pub const fn expires_no_earlier(&self) -> Timestamp {
        self.lease.expiry()
    }

    /// Checks that no other node can have held it yet, at the end of guarded work.
    ///
    /// The margin does not count: it is there for work to end in.
    pub(super) fn lasts_at(&self, now: &Interval) -> Result<(), NotHeld> {
        let here = self.compare()?;
        // Without the margin: it is there for guarded work to end in.
        if here.raw > self.lasts_until {
            return Err(self.over(here.raw, Duration::ZERO));
        }
        if now.latest() >= self.lease.expiry() {
            return Err(self.too_late(now));
        }
        Ok(())
    }

    /// Returns how long ago it surely ended, if it surely did.
    pub(super) fn over_since(&self, now: &Interval) -> Option<Duration> {
        let ends_by = self.term.ends_by?;
        now.after(ends_by).then(|| now.earliest().abs_diff(ends_by))
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Compares boot time with what it was, unless the lease is lost already.
    fn compare(&self) -> Result<Anchor, NotHeld> {
        let compared = self.compared.load(Ordering::Acquire);
        // Once lost, lost for good: boot time may be compared rightly later, but raw time will
        // never count the sleep.
        if compared == LOST {
            return Err(NotHeld::Disturbed);
        }
        let here = Anchor::drop_now(&self.clock)?;
        // Raw time that is behind what was seen before this reading began ran backwards.
        if self.anchor.slept_until(&here) || here.raw < compared {
            self.compared.store(LOST, Ordering::Release);
            return Err(NotHeld::Disturbed);
        }
        // Keeps what is lost lost.
        self.compared.fetch_max(here.raw, Ordering::AcqRel);
        Ok(here)
    }

    fn over(&self, raw: i64, margin: Duration) -> NotHeld {
        let elapsed = raw.saturating_sub(self.anchor.raw).max(0);
        NotHeld::TermOver {
            elapsed: Duration::from_nanos(elapsed.unsigned_abs()),
            usable: self.term.shortest.saturating_sub(margin),
            term: self.term.granted,
        }
    }

    fn too_late(&self, now: &Interval) -> NotHeld {
        NotHeld::TooLate {
            expiry: self.lease.expiry(),
            margin: self.lease.margin(),
            latest: now.latest(),
        }
    }
}

/// Returns the last raw instant at which the lease is held, or one before the anchor.
///
/// Up to it less than `usable` true time can have gone by, with true time running up to
/// `max_drift_ppb` faster than raw time.
fn last_instant(anchor: &Anchor, usable: Duration, max_drift_ppb: u32) -> i64 {
    // ceil(elapsed × (1 + drift)) < usable, exactly when elapsed × (1 + drift) <= usable − 1 ns.
    let Some(most) = usable.as_nanos().checked_sub(1) else {
        return anchor.raw.saturating_sub(1);
    };
    // Of spans that make this overflow, the machine's raw time ends first.
    let elapsed = most.saturating_mul(BILLION) / (BILLION + u128::from(max_drift_ppb));
    let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
    // One less than LOST, which is no raw instant.
    anchor.raw.saturating_add(elapsed).min(LOST - 1)
}

impl fmt::Debug for TermLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TermLease")
            .field("term", &self.term)
            .field("margin", &self.lease.margin())
            .field("expires_no_earlier", &self.lease.expiry())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::{Disruption, Sandwich};

    fn anchor(raw: i64) -> Anchor {
        let clocks = Sandwich {
            mono_before: raw,
            boot: raw,
            real: raw,
            raw,
            mono_after: raw,
        };
        Anchor::of(&clocks, Some(Disruption::default())).unwrap()
    }

    proptest! {
        /// T7: up to the last instant less than the usable time can have gone by, with true time as
        /// fast as A1 lets it; a nanosecond of raw time later it can have.
        #[test]
        fn t7_drift_is_charged_and_rounded_against_the_holder(
            raw in 0..i64::MAX / 2,
            usable in prop_oneof![0..100_000_u64, 0..4_000_000_000_000_000_000_u64],
            drift in prop_oneof![Just(0), Just(200_000), 0..=u32::MAX],
        ) {
            let last = last_instant(&anchor(raw), Duration::from_nanos(usable), drift);
            let gone_by = |at: i64| {
                let elapsed = u128::from((at - raw).unsigned_abs());
                (elapsed * (BILLION + u128::from(drift))).div_ceil(BILLION)
            };
            if usable == 0 {
                prop_assert!(last < raw);
            } else {
                prop_assert!(last >= raw && last < LOST);
                prop_assert!(gone_by(last) < u128::from(usable));
                prop_assert!(gone_by(last + 1) >= u128::from(usable));
            }
        }
    }

    #[test]
    fn t10_a_term_beyond_all_raw_time_ends_before_what_means_lost() {
        let last = last_instant(&anchor(7), Duration::MAX, 0);
        assert_eq!(last, LOST - 1);
    }
}
