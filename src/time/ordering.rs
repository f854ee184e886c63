//! What can be said of the order of stamped events, writes and versions, and what cannot.

use super::interval::{Interval, IntervalOrder};
use super::timestamp::Timestamp;

/// One place in the order of events: an event whose place is certain, or a group without an order.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::order::{EventGroup, order_events};
///
/// let at = |lo, hi| Interval::new(Timestamp::from_unix_nanos(lo), Timestamp::from_unix_nanos(hi));
/// let events = [("c", at(15, 25)?), ("a", at(1, 5)?), ("b", at(10, 20)?)];
/// let order = order_events(&events, |(_, stamp)| *stamp);
/// assert_eq!(
///     order,
///     [
///         EventGroup::Certain(&events[1]),
///         EventGroup::Concurrent(vec![&events[2], &events[0]]),
///     ]
/// );
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventGroup<'a, T> {
    /// Surely after everything before it and before everything after it.
    Certain(&'a T),
    /// As a group surely after everything before it and before everything after it. Each member
    /// overlaps another; of two that do not overlap each other, [`Interval::order`] tells the order.
    /// They stand in the order of their earliest ends, which proves nothing.
    Concurrent(Vec<&'a T>),
}

/// Puts stamped events in order as far as it is certain: groups of which each one is surely before
/// the next.
///
/// Sorts once; the events themselves stay where they are.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::order::{EventGroup, order_events};
///
/// let stamp = |nanos: &i64| Interval::point(Timestamp::from_unix_nanos(*nanos));
/// let order = order_events(&[3, 1], stamp);
/// assert_eq!(order, [EventGroup::Certain(&1), EventGroup::Certain(&3)]);
/// assert!(order_events(&[], stamp).is_empty());
/// ```
#[must_use]
pub fn order_events<T>(events: &[T], stamp: impl Fn(&T) -> Interval) -> Vec<EventGroup<'_, T>> {
    let mut stamped: Vec<(Interval, &T)> = events.iter().map(|e| (stamp(e), e)).collect();
    // By the earliest end: a group is closed once an event begins after all before it have ended.
    stamped.sort_by_key(|(stamp, _)| (stamp.earliest(), stamp.latest()));
    let mut groups = Vec::new();
    let mut open: Vec<&T> = Vec::new();
    let mut reaches: Option<Timestamp> = None;
    for (stamp, event) in stamped {
        // Strictly: events that share an instant may have happened in either order.
        if reaches.is_some_and(|latest| latest < stamp.earliest()) {
            groups.extend(closed(core::mem::take(&mut open)));
            reaches = None;
        }
        open.push(event);
        // The farthest reach of all members, not of the last: a long interval holds the group open
        // over several short ones.
        reaches = reaches.max(Some(stamp.latest()));
    }
    groups.extend(closed(open));
    groups
}

fn closed<T>(members: Vec<&T>) -> Option<EventGroup<'_, T>> {
    match members.as_slice() {
        [] => None,
        [only] => Some(EventGroup::Certain(only)),
        _ => Some(EventGroup::Concurrent(members)),
    }
}

/// What becomes of a write that another replica sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a concurrent write that is not looked at is a lost update"]
pub enum WriteOrder {
    /// The incoming write was surely made after the stored one: it replaces it.
    Newer,
    /// The incoming write was surely made before the stored one: it is out of date.
    Older,
    /// The clocks cannot tell: keep both, and let the application merge them.
    Concurrent,
}

/// Compares an incoming replicated write with the stored one.
///
/// It never chooses between two writes whose order cannot be told.
///
/// "Last write wins" by bare timestamps loses an update whenever the node that made the later one
/// lags behind. The stamps are intervals, each read by [`Clock::now`](crate::Clock::now) while the
/// write was made.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::order::{WriteOrder, compare_writes};
/// use std::time::Duration;
///
/// // x = 1 at 42.004 s; then x = 2 on a node that lags, at 42.003 s; each node ± 5 ms.
/// let at = |ms| Timestamp::from_unix_millis(ms);
/// let epsilon = Duration::from_millis(5);
/// let stored = Interval::around(at(42_004)?, epsilon)?;
/// let incoming = Interval::around(at(42_003)?, epsilon)?;
/// assert_eq!(compare_writes(&stored, &incoming), WriteOrder::Concurrent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compare_writes(stored: &Interval, incoming: &Interval) -> WriteOrder {
    match stored.order(incoming) {
        IntervalOrder::Before => WriteOrder::Newer,
        IntervalOrder::After => WriteOrder::Older,
        IntervalOrder::Concurrent => WriteOrder::Concurrent,
    }
}

/// Returns the writes that no other is surely newer than.
///
/// One is the winner, several are siblings to merge.
///
/// In the order in which they were given; none only of none.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::order::latest_writes;
///
/// let at = |lo, hi| Interval::new(Timestamp::from_unix_nanos(lo), Timestamp::from_unix_nanos(hi));
/// let writes = [("old", at(1, 5)?), ("x = 1", at(10, 20)?), ("x = 2", at(9, 19)?)];
/// let siblings = latest_writes(&writes, |(_, stamp)| *stamp);
/// assert_eq!(siblings, [&writes[1], &writes[2]]);
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
#[must_use]
pub fn latest_writes<T>(writes: &[T], stamp: impl Fn(&T) -> Interval) -> Vec<&T> {
    // Some other write is surely newer exactly if the one with the largest earliest end is.
    let newest = writes.iter().map(|write| stamp(write).earliest()).max();
    writes
        .iter()
        .filter(|write| newest.is_some_and(|newest| stamp(write).latest() >= newest))
        .collect()
}

/// The instants that a read cannot tell apart: at its own timestamp, or later but possibly committed
/// before it began. CockroachDB calls it the uncertainty interval.
///
/// A read at timestamp `read` that began when the clock said `now` has to see every version that
/// was acknowledged before it began, on any node. Those with a timestamp up to `read` it sees. One
/// with a timestamp above `now.latest()` was not acknowledged yet: its committer would have had to
/// observe it as past. Between the two it cannot be told.
///
/// This holds for versions that were acknowledged after a commit-wait. If the store acknowledges
/// without one, a version may be dated ahead by as much as the widest interval on any node: give
/// [`new`](Self::new) a limit that is so much later.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::order::{ReadWindow, Visibility};
///
/// let at = Timestamp::from_unix_nanos;
/// let window = ReadWindow::began(&Interval::new(at(100), at(200))?);
/// assert_eq!(window.of(at(100)), Visibility::Visible);
/// assert_eq!(window.of(at(150)), Visibility::Uncertain { until: at(150) });
/// assert_eq!(window.of(at(201)), Visibility::Invisible);
/// # Ok::<(), epsilon_clock::time::IntervalError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadWindow {
    read: Timestamp,
    limit: Timestamp,
}

/// Whether a read sees a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a version that is neither visible nor invisible must not be skipped"]
pub enum Visibility {
    /// It is part of what the read sees.
    Visible,
    /// It was not acknowledged when the read began: the read may leave it out.
    Invisible,
    /// It may have been acknowledged before the read began, or not.
    Uncertain {
        /// What resolves it. Either the read restarts at this timestamp, keeping its limit
        /// ([`ReadWindow::restarted_at`]); or it waits until this timestamp is past
        /// ([`Clock::wait_until_past`](crate::Clock::wait_until_past)) and begins anew.
        until: Timestamp,
    },
}

impl ReadWindow {
    /// Creates a read at `read`, with acknowledged versions up to `limit`.
    ///
    /// A limit below `read` leaves nothing uncertain.
    #[must_use]
    pub const fn new(read: Timestamp, limit: Timestamp) -> Self {
        Self { read, limit }
    }

    /// Begins a read now, at the earliest that it can be.
    ///
    /// What is visible then is surely past, and does not change any more once its committers are
    /// done.
    #[must_use]
    pub const fn began(now: &Interval) -> Self {
        Self::new(now.earliest(), now.latest())
    }

    /// Returns the read's timestamp.
    #[must_use]
    pub const fn read(&self) -> Timestamp {
        self.read
    }

    /// Returns the last timestamp that a version acknowledged before can have.
    #[must_use]
    pub const fn limit(&self) -> Timestamp {
        self.limit
    }

    /// Moves the read up to see a version that was uncertain.
    ///
    /// The limit stays, so a read restarts only as often as there are versions in its first window.
    ///
    /// ```
    /// use epsilon_clock::Timestamp;
    /// use epsilon_clock::order::{ReadWindow, Visibility};
    ///
    /// let at = Timestamp::from_unix_nanos;
    /// let window = ReadWindow::new(at(100), at(200)).restarted_at(at(150));
    /// assert_eq!(window.of(at(150)), Visibility::Visible);
    /// assert_eq!(window.of(at(151)), Visibility::Uncertain { until: at(151) });
    /// ```
    #[must_use]
    pub fn restarted_at(&self, read: Timestamp) -> Self {
        // Never back: a version that was visible before the restart has to stay visible.
        Self::new(self.read.max(read), self.limit)
    }

    /// Tells whether the read sees a version of this timestamp.
    pub fn of(&self, version: Timestamp) -> Visibility {
        if version <= self.read {
            Visibility::Visible
        } else if version <= self.limit {
            Visibility::Uncertain { until: version }
        } else {
            Visibility::Invisible
        }
    }
}
