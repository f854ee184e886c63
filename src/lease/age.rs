//! How old an event surely is: leases that a replicated log grants by itself.

use core::time::Duration;

use crate::time::Interval;

impl Interval {
    /// Returns true if an event stamped so is surely older than `delta`.
    ///
    /// That is, if `latest + delta < now.earliest`.
    ///
    /// With [`younger_than`](Self::younger_than), the rule behind leases that a replicated log
    /// grants by itself, known as LeaseGuard. Each entry carries the interval in which its leader made it.
    /// That leader serves reads while the last entry of its own that was committed is younger than
    /// `delta`; a new one commits nothing until the last entry of any leader before it is older than
    /// `delta`. The two never hold at one true instant, whichever clock stamped the entry.
    ///
    /// ```
    /// use epsilon_clock::{Interval, Timestamp};
    /// use std::time::Duration;
    ///
    /// let at = |ms| Interval::around(Timestamp::from_unix_millis(ms)?, Duration::from_millis(2))
    ///     .map_err(Box::<dyn std::error::Error>::from);
    /// let delta = Duration::from_millis(100);
    /// let entry = at(1_000)?;
    /// assert!(entry.younger_than(delta, &at(1_095)?)); // the old leader may serve
    /// assert!(!entry.younger_than(delta, &at(1_100)?)); // no leader may
    /// assert!(!entry.older_than(delta, &at(1_104)?)); // no leader may
    /// assert!(entry.older_than(delta, &at(1_105)?)); // the new leader may commit
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn older_than(&self, delta: Duration, now: &Interval) -> bool {
        // The least that can have gone by: from the latest that it was to the earliest that it is.
        now.after(self.latest()) && now.earliest().abs_diff(self.latest()) > delta
    }

    /// Returns true if an event stamped so is surely younger than `delta`.
    ///
    /// That is, if `now.latest < earliest + delta`.
    ///
    /// False of an event that lies surely in the future: a stamp of which no honest clock is the
    /// source grants nothing to any node. See [`older_than`](Self::older_than).
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Timestamp};
    /// # use std::time::Duration;
    /// let at = |ms| Timestamp::from_unix_millis(ms).map(Interval::point);
    /// let delta = Duration::from_millis(100);
    /// assert!(at(1_000)?.younger_than(delta, &at(1_099)?));
    /// assert!(!at(1_000)?.younger_than(delta, &at(999)?));
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    #[must_use]
    pub fn younger_than(&self, delta: Duration, now: &Interval) -> bool {
        // The most that can have gone by, and not less than nothing: an event of the future is no
        // evidence that a leader lives.
        now.latest() >= self.earliest() && now.latest().abs_diff(self.earliest()) < delta
    }
}
