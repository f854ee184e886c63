//! The scenarios together, in the order in which a campaign plays them.

use std::sync::LazyLock;

use super::{Expectation, Scenario};
use super::{
    counters, daemons, forecasts, hardware, leaps, machines, oscillators, servers, sources,
};

impl Scenario {
    /// Lists all of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
            let rooms = [
                &daemons::ALL[..],
                &machines::ALL[..],
                &counters::ALL[..],
                &leaps::ALL[..],
                &oscillators::ALL[..],
                &sources::ALL[..],
                &servers::ALL[..],
                &hardware::ALL[..],
                &forecasts::ALL[..],
            ];
            // What is broken on purpose comes last.
            let is_broken =
                |scenario: &Scenario| matches!(scenario.expectation(), Expectation::False { .. });
            let mut all = rooms.concat();
            all.sort_by_key(is_broken);
            all
        });
        &ALL
    }

    /// Lists those of a chronyd that estimates and forecasts as the real one does
    /// ([`Manner::Forecasting`](crate::Manner::Forecasting)).
    #[must_use]
    pub fn forecasts() -> &'static [Self] {
        &forecasts::ALL
    }

    /// Finds the one of this name.
    ///
    /// ```
    /// use epsilon_clock_sim::Scenario;
    ///
    /// assert!(Scenario::named("failover").is_some());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|scenario| scenario.name() == name)
    }
}
