//! What can happen to a machine's clocks.

use core::fmt;

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
    /// Real time jumped by a second around midnight UTC, and no look has explained it yet.
    UnexplainedSecond,
    /// The hypervisor tells that it paused, migrated or restored the machine (vmclock).
    Disrupted,
    /// The clocks could not be compared, because the reader was interrupted each time it tried.
    Interrupted,
}

impl Disturbance {
    pub(crate) const fn to_word(disturbance: Option<Self>) -> i64 {
        match disturbance {
            None => 0,
            Some(Self::Suspended) => 1,
            Some(Self::Stepped) => 2,
            Some(Self::RawBackwards) => 3,
            Some(Self::Moved) => 4,
            Some(Self::UnexplainedSecond) => 5,
            Some(Self::Interrupted) => 6,
            Some(Self::Disrupted) => 7,
        }
    }

    pub(crate) const fn from_word(word: i64) -> Option<Self> {
        match word {
            1 => Some(Self::Suspended),
            2 => Some(Self::Stepped),
            3 => Some(Self::RawBackwards),
            4 => Some(Self::Moved),
            5 => Some(Self::UnexplainedSecond),
            6 => Some(Self::Interrupted),
            7 => Some(Self::Disrupted),
            _ => None,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suspended => "the machine was suspended",
            Self::Stepped => "the clock was stepped",
            Self::RawBackwards => "raw time ran backwards",
            Self::Moved => "the process changed or moved to another time namespace",
            Self::UnexplainedSecond => "the clock jumped by a second around midnight UTC",
            Self::Disrupted => "the hypervisor paused, migrated or restored the machine",
            Self::Interrupted => "the clocks could not be compared for interruptions",
        })
    }
}
