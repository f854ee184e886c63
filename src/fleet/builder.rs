//! Setting up a fleet.

use core::marker::PhantomData;
use core::time::Duration;
use std::collections::BTreeMap;

use super::Fleet;
use crate::clock::{BuildError, Clock};

/// Older than this an exchange says little: true time may have drifted from raw time by 12 ms at the
/// default rate, as much as a distant server's error.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

/// A day: one leap second at most lies in between, which is what is allowed for.
const LONGEST_AGE: Duration = Duration::from_secs(86_400);

/// By geostationary satellite it is 0.6 s there and back; the rest is for a busy peer.
const DEFAULT_MAX_ROUND_TRIP: Duration = Duration::from_secs(2);

/// Settings for a [`Fleet`]; made by [`Fleet::builder`].
///
/// ```
/// use epsilon_clock::{Clock, Fleet};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let fleet: Fleet<u32> = Fleet::builder(clock, 5)
///     .max_age(Duration::from_secs(30))
///     .max_round_trip(Duration::from_millis(50))
///     .build()?;
/// # drop(fleet);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct FleetBuilder<P> {
    clock: Clock,
    nodes: usize,
    max_faulty: Option<usize>,
    max_age: Duration,
    max_round_trip: Duration,
    peers: PhantomData<fn() -> P>,
}

impl<P: Ord + Clone> Fleet<P> {
    /// Creates a fleet of so many nodes, with default settings.
    ///
    /// This one is included in the count.
    ///
    /// # Errors
    ///
    /// [`BuildError::Setting`] for no nodes at all.
    pub fn new(clock: Clock, nodes: usize) -> Result<Self, BuildError> {
        FleetBuilder::new(clock, nodes).build()
    }

    /// Starts a fleet of so many nodes, this one included.
    pub fn builder(clock: Clock, nodes: usize) -> FleetBuilder<P> {
        FleetBuilder::new(clock, nodes)
    }
}

impl<P: Ord + Clone> FleetBuilder<P> {
    const fn new(clock: Clock, nodes: usize) -> Self {
        Self {
            clock,
            nodes,
            max_faulty: None,
            max_age: DEFAULT_MAX_AGE,
            max_round_trip: DEFAULT_MAX_ROUND_TRIP,
            peers: PhantomData,
        }
    }

    /// Sets how many clocks may be false at once.
    ///
    /// By default the largest minority, which is the most that can be withstood.
    ///
    /// Fewer make the verdict sharper, as more have to agree on where true time is. If more are false
    /// than this, an honest node may be named.
    pub const fn max_faulty(mut self, count: usize) -> Self {
        self.max_faulty = Some(count);
        self
    }

    /// Sets for how long an exchange counts; 60 s by default.
    ///
    /// Up to a day. What is carried on widens by twice the clock's `max_drift` meanwhile.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets how long an exchange may take; 2 s by default.
    ///
    /// It is no less true if it takes longer, but a contradiction has to be larger to be seen.
    pub const fn max_round_trip(mut self, span: Duration) -> Self {
        self.max_round_trip = span;
        self
    }

    /// Builds the fleet, of which no peer was heard yet.
    ///
    /// # Errors
    ///
    /// [`BuildError::Setting`] for no nodes, half of them or more that may be false, an age of zero
    /// or more than a day, or a round trip of zero or longer than an exchange counts.
    pub fn build(self) -> Result<Fleet<P>, BuildError> {
        // Beyond a minority the false clocks could agree among themselves and accuse the true ones.
        let minority = self.nodes.saturating_sub(1) / 2;
        let max_faulty = self.max_faulty.unwrap_or(minority);
        check("nodes", self.nodes > 0, &self.nodes, "1 or more")?;
        let few = max_faulty <= minority;
        check(
            "max_faulty",
            few,
            &max_faulty,
            "less than half of the nodes",
        )?;
        let aged = self.max_age > Duration::ZERO && self.max_age <= LONGEST_AGE;
        check(
            "max_age",
            aged,
            &self.max_age,
            "more than zero and up to a day",
        )?;
        // An exchange that may take longer than it counts would be too old on arrival.
        let timely = self.max_round_trip > Duration::ZERO && self.max_round_trip <= self.max_age;
        check(
            "max_round_trip",
            timely,
            &self.max_round_trip,
            "more than zero and up to max_age",
        )?;
        Ok(Fleet {
            clock: self.clock,
            nodes: self.nodes,
            max_faulty,
            max_age: self.max_age,
            max_round_trip: self.max_round_trip,
            heard: BTreeMap::new(),
        })
    }
}

fn check(
    setting: &'static str,
    fits: bool,
    value: &dyn core::fmt::Debug,
    allowed: &'static str,
) -> Result<(), BuildError> {
    if fits {
        return Ok(());
    }
    Err(BuildError::Setting {
        setting,
        value: format!("{value:?}"),
        allowed: allowed.to_owned(),
    })
}
