//! A guard around work done under a lease: afterwards it says whether the lease lasted.

use core::fmt;
use core::time::Duration;

use super::Lease;
use super::error::NotHeld;
use super::term::{Grant, TermLease};
use crate::commit::IntervalClock;

/// Work that was begun while a lease was held; made by [`Lease::guard`] and [`TermLease::guard`].
///
/// [`finish`](Self::finish) it when the last effect of the work is in place, before any client is told:
/// the answer is about all the time until then, pauses included. Only of work that can be undone, or
/// that has had no effect yet (a read that is about to be answered), is that soon enough; what a
/// stale holder has already written, no answer takes back. That is what a
/// [`Fence`](crate::Fence) is for.
///
/// ```
/// use epsilon_clock::{Clock, Lease};
/// use epsilon_clock::lease::Tenure;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn read_locally() -> u32 { 42 }
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// # let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
/// let guard = lease.guard(&clock)?;
/// let value = read_locally();
/// match guard.finish() {
///     Tenure::Throughout => println!("{value} is the latest value"),
///     Tenure::SurelyNot { by } => println!("no longer the leader, for at least {by:?}"),
///     Tenure::CannotTell(why) => println!("not to be answered: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "whether the lease lasted is known only after `finish`"]
pub struct WorkGuard<'a> {
    under: Under<'a>,
}

/// The lease that the work is done under.
enum Under<'a> {
    Lease(Lease, &'a dyn IntervalClock),
    Term(&'a TermLease, Grant),
}

/// Whether a lease was held for all of the work under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not done under the lease must not take effect"]
pub enum Tenure {
    /// It was, up to the end: no other node can have held it meanwhile.
    ///
    /// The margin does not count here; it is there for work to end in.
    Throughout,
    /// It was not: it expired before the end.
    SurelyNot {
        /// By how long, at least.
        by: Duration,
    },
    /// The end lies too near the expiry to tell, or the clock gives no interval.
    CannotTell(NotHeld),
}

/// `throughout`, `surely not, over for 1.5s at the end`, or `cannot tell: …` with the reason.
impl fmt::Display for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throughout => f.pad("throughout"),
            Self::SurelyNot { by } => write!(f, "surely not, over for {by:?} at the end"),
            Self::CannotTell(why) => write!(f, "cannot tell: {why}"),
        }
    }
}

impl Lease {
    /// Begins work that may be done only under the lease.
    ///
    /// Asked at its end, the guard says whether the lease was held.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check): the work must not begin.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Lease};
    /// # use epsilon_clock::lease::Tenure;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
    /// let guard = lease.guard(&clock)?;
    /// // … read what only the holder may rely on …
    /// assert_eq!(guard.finish(), Tenure::Throughout);
    /// # Ok(())
    /// # }
    /// ```
    pub fn guard<'a>(&self, clock: &'a dyn IntervalClock) -> Result<WorkGuard<'a>, NotHeld> {
        // Before the work: work that begins too late is not begun at all.
        self.check(clock)?;
        Ok(WorkGuard {
            under: Under::Lease(*self, clock),
        })
    }
}

impl TermLease {
    /// Begins work that may be done only while the lease is held; see [`Lease::guard`].
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check): the work must not begin.
    pub fn guard(&self) -> Result<WorkGuard<'_>, NotHeld> {
        let begun = self.checked()?;
        Ok(WorkGuard {
            under: Under::Term(self, begun),
        })
    }
}

impl<'a> WorkGuard<'a> {
    /// Ends the work, and tells whether the lease was held throughout.
    ///
    /// True time does not run backwards, so a reading that begins now, and ends before the expiry,
    /// is enough: whatever happened in between, it happened before.
    pub fn finish(self) -> Tenure {
        match self.under {
            Under::Lease(lease, clock) => finish_lease(&lease, clock),
            Under::Term(term, begun) => finish_term(term, begun),
        }
    }
}

fn finish_lease(lease: &Lease, clock: &dyn IntervalClock) -> Tenure {
    match clock.interval() {
        Err(error) => Tenure::CannotTell(error.into()),
        // Against the expiry and not against the margin, which is there for work to end in.
        Ok(now) if now.before(lease.expiry()) => Tenure::Throughout,
        Ok(now) if now.after(lease.expiry()) => Tenure::SurelyNot {
            by: now.earliest().abs_diff(lease.expiry()),
        },
        Ok(now) => Tenure::CannotTell(NotHeld::TooLate {
            expiry: lease.expiry(),
            margin: Duration::ZERO,
            latest: now.latest(),
        }),
    }
}

fn finish_term(term: &TermLease, begun: Grant) -> Tenure {
    // Before the reading: a renewal that comes later does not make up for an end that came first.
    let grant = term.judged(begun);
    let now = match term.clock().now() {
        Ok(now) => now,
        Err(error) => return Tenure::CannotTell(error.into()),
    };
    // Asked first: that it surely ended says more than that it may have.
    if let Some(by) = grant.over_since(&now) {
        return Tenure::SurelyNot { by };
    }
    match term.lasts_at(&grant, &now) {
        Ok(()) => Tenure::Throughout,
        Err(why) => Tenure::CannotTell(why),
    }
}

impl fmt::Debug for WorkGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under: &dyn fmt::Debug = match &self.under {
            Under::Lease(lease, _) => lease,
            Under::Term(term, _) => *term,
        };
        f.debug_struct("WorkGuard").field("under", under).finish()
    }
}
