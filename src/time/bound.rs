//! The itemised error budget: why epsilon is what it is.

use core::fmt;
use core::time::Duration;

use crate::words::words_struct;

/// The terms of half an interval's width, each in nanoseconds.
///
/// Their sum, [`total`](Self::total), is never less than the interval's epsilon. It may be more:
/// an earliest end held up by what an earlier reading had already promised narrows the interval.
///
/// ```
/// use epsilon_clock::ErrorBound;
/// use std::time::Duration;
///
/// let bound = ErrorBound {
///     reported_ns: 1_000_000,
///     drift_ns: 200_000,
///     ..ErrorBound::default()
/// };
/// assert_eq!(bound.total(), Duration::from_micros(1200));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ErrorBound {
    /// What the source reported: the kernel's `maxerror`, with the phase its PLL has yet to slew.
    pub reported_ns: u64,
    /// What the source rounded away: daemons truncate `maxerror` to whole microseconds.
    pub rounding_ns: u64,
    /// The allowance for a daemon whose own figure is statistical (assumption A2).
    pub margin_ns: u64,
    /// Three times the deviation that the daemon wrote beside its bound, `esterror` (A2).
    pub deviation_ns: u64,
    /// What a forecast may miss: the oscillator's wander since chronyd's last update (A2).
    pub wander_ns: u64,
    /// How far real time may have strayed between write and look.
    pub unseen_ns: u64,
    /// How long the look took: its clocks cannot be read at one instant.
    pub bracket_ns: u64,
    /// What reading the counter instead of raw time leaves open, at most 200 (assumption A6).
    pub counter_ns: u64,
    /// What the oscillator may have drifted since the claim (assumption A1).
    pub drift_ns: u64,
    /// What the caller vouched for, where no source reports a bound.
    ///
    /// Set with [`assume_error`](crate::ClockBuilder::assume_error).
    pub assumed_ns: u64,
}

words_struct!(ErrorBound {
    reported_ns,
    rounding_ns,
    margin_ns,
    deviation_ns,
    wander_ns,
    unseen_ns,
    bracket_ns,
    counter_ns,
    drift_ns,
    assumed_ns,
});

impl ErrorBound {
    /// Returns the sum of all terms.
    ///
    /// It stays at [`u64::MAX`] nanoseconds (584 years) rather than wrap.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns())
    }

    pub(crate) fn total_ns(&self) -> u64 {
        self.items()
            .iter()
            // A sum that stays at its largest makes the bound wider than any limit, which refuses;
            // one that wrapped would make it small.
            .fold(0_u64, |sum, (_, ns)| sum.saturating_add(*ns))
    }

    /// Returns every term with its name, in the order in which they arise.
    ///
    /// ```
    /// # use epsilon_clock::ErrorBound;
    /// for (name, nanos) in ErrorBound::default().items() {
    ///     println!("{name:>9} {nanos:>12} ns");
    /// }
    /// ```
    #[must_use]
    pub const fn items(&self) -> [(&'static str, u64); 10] {
        [
            ("reported", self.reported_ns),
            ("rounding", self.rounding_ns),
            ("margin", self.margin_ns),
            ("deviation", self.deviation_ns),
            ("wander", self.wander_ns),
            ("unseen", self.unseen_ns),
            ("bracket", self.bracket_ns),
            ("counter", self.counter_ns),
            ("drift", self.drift_ns),
            ("assumed", self.assumed_ns),
        ]
    }
}

/// The terms that are not zero, summed up: `1.204ms = reported 1ms + drift 204µs`.
impl fmt::Display for ErrorBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.total())?;
        let mut sign = " = ";
        for (name, ns) in self.items() {
            // Terms of zero would bury the two or three that matter.
            if ns > 0 {
                write!(f, "{sign}{name} {:?}", Duration::from_nanos(ns))?;
                sign = " + ";
            }
        }
        Ok(())
    }
}
