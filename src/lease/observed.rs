//! Takeover by observation: a record that stayed unchanged for its whole term.

use core::fmt;
use core::time::Duration;

use super::elapsed::ElapsedInstant;
use super::request::{GrantorClock, share};
use crate::clock::Clock;

/// A claimant that waits out what it observed, as Kubernetes' and DynamoDB's elections do.
///
/// There is a record in a store with compare-and-set: a version that each renewal changes, and a term. A
/// holder counts its term from before the request that wrote it ([`Clock::request_lease`]). A candidate
/// counts from after the answer that first showed it the version, and takes over by a compare-and-set
/// on that very version once the term surely went by. No wall time of the record is used; both
/// sides' rates are charged, and sleep of the candidate's machine only makes it wait longer.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::{Candidate, GrantorClock, Observation};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// # fn read() -> (u64, Duration) { (7, Duration::from_millis(20)) }
/// let mut candidate = Candidate::new(&clock, GrantorClock::RawTime);
/// let (version, term) = read(); // the answer is here, and only now it is observed
/// assert!(matches!(candidate.observed(version, term), Observation::Wait { .. }));
/// std::thread::sleep(Duration::from_millis(25));
/// let (version, term) = read();
/// if let Observation::TakeOver { version } = candidate.observed(version, term) {
///     // … compare-and-set: succeeds only if the record still has that version
///     # assert_eq!(version, 7);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What it cannot do
///
/// It says when no holder can *rightly* act any more. One whose exit is late acts on all the same, and only
/// a [`Fence`](crate::Fence) keeps it out. A holder that renews for a shorter term than
/// before is bound by the shorter one from the moment it sends the renewal.
pub struct Candidate<V> {
    clock: Clock,
    holder: GrantorClock,
    seen: Option<Seen<V>>,
}

struct Seen<V> {
    version: V,
    term: Duration,
    first: ElapsedInstant,
}

/// What a candidate may do about the record that it observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Observation<V> {
    /// The record may be in force: look again, at the earliest after so long.
    Wait {
        /// What is missing, by this machine's raw time.
        at_least: Duration,
    },
    /// The record was unchanged for its whole term: take over by compare-and-set on this version.
    TakeOver {
        /// The version to expect.
        version: V,
    },
}

impl<V: Clone + PartialEq> Candidate<V> {
    /// Creates a candidate whose rivals count their terms by `holder`.
    #[must_use]
    pub fn new(clock: &Clock, holder: GrantorClock) -> Self {
        Self {
            clock: clock.clone(),
            holder,
            seen: None,
        }
    }

    /// Notes the record, **after** the answer that shows it has arrived.
    ///
    /// `term` is the one in the record. A version that changed begins the wait anew, and so does a longer
    /// term under one version.
    pub fn observed(&mut self, version: V, term: Duration) -> Observation<V> {
        // Read here, after the answer: the store executed the read later than it was asked, perhaps after
        // the holder's write that it shows.
        let now = ElapsedInstant::now(&self.clock);
        let seen = match self.seen.take() {
            Some(seen) if seen.version == version && seen.term >= term => seen,
            _ => Seen {
                version,
                term,
                first: now,
            },
        };
        let waited = now.at_least_since(seen.first);
        let needed = self.needed(seen.term);
        let answer = if waited >= needed {
            Observation::TakeOver {
                version: seen.version.clone(),
            }
        } else {
            Observation::Wait {
                at_least: needed.saturating_sub(waited),
            }
        };
        self.seen = Some(seen);
        answer
    }

    /// Returns how much true time has to go by before a term of the holder's is over.
    fn needed(&self, term: Duration) -> Duration {
        let drift = self.holder.drift(self.clock.max_drift_ppb());
        // A term too long to be charged is one that never ends.
        share(term, drift.long_ppb).map_or(Duration::MAX, |drift| term.saturating_add(drift))
    }
}

impl<V: fmt::Debug> fmt::Debug for Candidate<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("version", &self.seen.as_ref().map(|seen| &seen.version))
            .field("term", &self.seen.as_ref().map(|seen| seen.term))
            .finish_non_exhaustive()
    }
}
