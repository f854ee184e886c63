//! A lease for so long "from when you asked": what was read before asking is what counts.

use core::time::Duration;

use super::Lease;
use super::anchor::{Anchor, Term};
use super::error::LeaseError;
use super::term::TermLease;
use crate::clock::{Clock, ClockError};
use crate::time::Timestamp;

/// The axis may jump by this much over a deleted leap second, in which no time goes by.
const LEAP_SECOND: Duration = Duration::from_secs(1);

/// `CLOCK_MONOTONIC` runs up to 12.5 % fast while it is slewed (the limit of the kernel's PLL; tick
/// and frequency reach 10 %, chrony by default 8.3 %).
const FASTEST_SLEW_PPB: u64 = 125_000_000;
/// And as much slow: then a true second lasts 1 / (1 − 1/8) of its own.
const SLOWEST_SLEW_PPB: u64 = 142_857_143;

/// What was read before a lease is asked for by duration.
///
/// Its grantor will say for how long, not until when.
///
/// Take it by [`Clock::request_lease`] **before** the request is sent: the grantor's term begins at
/// some instant after that, so what is counted from here ends first, however long the answer takes.
/// A reading taken when the answer arrives makes a lease that outlives the grantor's by the trip.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::GrantorClock;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn ask_the_lock_service() -> Duration { Duration::from_secs(10) }
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let request = clock.request_lease()?;
/// let term = ask_the_lock_service(); // "10 s from when you asked"
/// let lease = request.granted(term, GrantorClock::MonotonicTime)?;
/// assert!(lease.held()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a lease is counted from here once it is granted"]
pub struct LeaseRequest {
    clock: Clock,
    earliest: Timestamp,
    anchor: Anchor,
}

/// By what a grantor counts the terms that it gives out.
///
/// The grantor may end a lease when *its* clock says so, and a clock that runs fast says so early.
/// There is no default: nothing but knowing the grantor can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantorClock {
    /// A [`Clock`] of this crate, or `CLOCK_MONOTONIC_RAW`: within this clock's own
    /// [`max_drift_ppb`](crate::ClockBuilder::max_drift_ppb).
    RawTime,
    /// `CLOCK_MONOTONIC`, which is what most programs count by (Go, Java, etcd, ZooKeeper): it
    /// follows every slew of the time daemon, which may run at 12.5 %. That much of the term is
    /// not used.
    MonotonicTime,
    /// A clock of which it is known that true seconds per second of its own lie within 1 ± so many
    /// parts per billion.
    Within(u32),
}

impl Clock {
    /// Reads what a lease will be counted from, before the request.
    ///
    /// For leases that are granted for a duration.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let request = clock.request_lease()?;
    /// // … now send it …
    /// # drop(request);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_lease(&self) -> Result<LeaseRequest, ClockError> {
        Ok(LeaseRequest {
            // The interval before the anchor: what is counted from either is then not later than
            // what was read, and everything between counts against the holder.
            earliest: self.now()?.earliest(),
            anchor: Anchor::drop_now(self)?,
            clock: self.clone(),
        })
    }
}

impl LeaseRequest {
    /// Makes the lease, once the grantor said for how long.
    ///
    /// `term` begins at some instant between the request and its answer.
    ///
    /// Of the term, what either clock may be off in it is not used: the grantor's, as `counted`
    /// says, and this machine's own `max_drift`.
    ///
    /// # Errors
    ///
    /// [`LeaseError::OutOfRange`] for a term past the year 2262.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::GrantorClock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = clock
    ///     .request_lease()?
    ///     .granted(Duration::from_secs(10), GrantorClock::Within(1_000_000))?;
    /// assert!(lease.remaining()? < Duration::from_millis(9_990)); // a thousandth is not used
    /// # Ok(())
    /// # }
    /// ```
    pub fn granted(self, term: Duration, counted: GrantorClock) -> Result<TermLease, LeaseError> {
        let Self {
            clock,
            earliest,
            anchor,
        } = self;
        let drift = counted.drift(clock.max_drift_ppb());
        let out_of_range = LeaseError::OutOfRange {
            from: earliest,
            term,
        };
        // A grantor's clock that runs fast ends the term early, so the holder uses only what is
        // left of it at the fastest.
        let shortest = term.saturating_sub(share(term, drift.short_ppb).ok_or(out_of_range)?);
        let expiry = earliest.checked_add(shortest).ok_or(out_of_range)?;
        // Where the clock is at a loss by now, nothing will ever surely be over.
        let longest = share(term, drift.long_ppb)
            .and_then(|drift| term.checked_add(drift)?.checked_add(LEAP_SECOND));
        let ends_by = clock
            .now()
            .ok()
            .and_then(|now| now.latest().checked_add(longest?));
        let term = Term {
            granted: term,
            shortest,
            ends_by,
        };
        Ok(TermLease::new(clock, Lease::until(expiry), term, anchor))
    }
}

/// How much shorter and longer a term may be than it says, in ppb.
pub(super) struct Drift {
    pub(super) short_ppb: u64,
    pub(super) long_ppb: u64,
}

impl GrantorClock {
    pub(super) fn drift(self, max_drift_ppb: u32) -> Drift {
        let own = u64::from(max_drift_ppb);
        match self {
            // Within this clock's own `max_drift`: the grantor is taken for a machine like this
            // one.
            Self::RawTime => Drift {
                short_ppb: own,
                long_ppb: own,
            },
            // Both at once, the product of the two included.
            Self::MonotonicTime => Drift {
                short_ppb: FASTEST_SLEW_PPB.saturating_add(own),
                long_ppb: SLOWEST_SLEW_PPB.saturating_add(own.saturating_mul(2)),
            },
            Self::Within(ppb) => Drift {
                short_ppb: ppb.into(),
                long_ppb: ppb.into(),
            },
        }
    }
}

pub(super) fn share(span: Duration, ppb: u64) -> Option<Duration> {
    // Rounded up, as it is taken off the holder's time and added to the claimant's.
    let nanos = span.as_nanos().checked_mul(ppb.into())?;
    let nanos = u64::try_from(nanos.div_ceil(1_000_000_000)).ok()?;
    Some(Duration::from_nanos(nanos))
}
