//! What can happen to a machine's clocks.

use core::fmt;
use core::time::Duration;

use crate::words::words_enum;

/// What disturbed the machine's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Disturbance {
    /// The machine was suspended: raw time stood still.
    Suspended,
    /// Real time was stepped.
    Stepped,
    /// Raw time ran backwards: another machine, or a broken counter.
    RawBackwards,
    /// The process lives in another time namespace, or is a copy of the one that it was.
    Moved,
    /// Real time was stepped out of the interval in force: the stepper is wrong, or the interval was.
    SteppedAway {
        /// How far from the interval it ended.
        by: Duration,
    },
    /// Real time jumped by a second around midnight UTC, and no look has explained it yet.
    UnexplainedSecond,
    /// The hypervisor tells that it paused, migrated or restored the machine (vmclock).
    Disrupted,
    /// Raw time stood still while time passed elsewhere, as several servers' replies prove.
    RawStoodStill,
    /// Raw time departed from the counter that the kernel counts it by (A6).
    CounterDeparted,
    /// The clocks could not be compared, because the reader was interrupted each time it tried.
    Interrupted,
}

words_enum!(Disturbance {
    Suspended = 1,
    Stepped = 2,
    RawBackwards = 3,
    Moved = 4,
    UnexplainedSecond = 5,
    Interrupted = 6,
    Disrupted = 7,
    SteppedAway { by } = 8,
    RawStoodStill = 9,
    CounterDeparted = 10,
});

impl Disturbance {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    ///
    /// ```
    /// # use epsilon_clock::Disturbance;
    /// assert_eq!(Disturbance::RawBackwards.as_str(), "raw_backwards");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Stepped => "stepped",
            Self::RawBackwards => "raw_backwards",
            Self::Moved => "moved",
            Self::SteppedAway { .. } => "stepped_away",
            Self::UnexplainedSecond => "unexplained_second",
            Self::Disrupted => "disrupted",
            Self::RawStoodStill => "raw_stood_still",
            Self::CounterDeparted => "counter_departed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SteppedAway { by } => {
                return write!(
                    f,
                    "the clock was stepped to {by:?} outside the interval, so that one of the two is wrong"
                );
            }
            Self::Suspended => "the machine was suspended",
            Self::Stepped => "the clock was stepped",
            Self::RawBackwards => "raw time ran backwards",
            Self::Moved => "the process changed or moved to another time namespace",
            Self::UnexplainedSecond => "the clock jumped by a second around midnight UTC",
            Self::Disrupted => "the hypervisor paused, migrated or restored the machine",
            Self::RawStoodStill => "the machine stood still, and its clocks did not show it",
            Self::CounterDeparted => "raw time departed from the counter it is counted by",
            Self::Interrupted => "the clocks could not be compared for interruptions",
        })
    }
}
