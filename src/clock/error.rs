//! What can go wrong: few errors, each with the figures that matter and what to do next.

use core::time::Duration;

use thiserror::Error;

use crate::machine::Disturbance;
use crate::source::Refusal;
use crate::time::RangeError;

/// Why a clock gives no interval now.
///
/// None of these comes with a guess: an interval without a voucher is not a value. Where a
/// best estimate without a bound is good enough, as for logs, use
/// [`Clock::read`](crate::Clock::read).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ClockError {
    /// No source vouches for the clock, and none did recently enough.
    #[error(transparent)]
    Unvouched(#[from] Refusal),
    /// The last claim is older than the clock carries one.
    #[error(
        "the last sync is {age:?} ago, which is beyond max_age ({max_age:?}): check that the time \
         daemon runs and reaches its servers"
    )]
    TooOld {
        /// How long ago the claim was made.
        age: Duration,
        /// The limit, from the builder.
        max_age: Duration,
    },
    /// The interval has grown wider than the clock may report.
    #[error(
        "the clock is only known to ±{epsilon:?}, which is beyond max_error ({max_error:?}): check \
         that the time daemon runs and reaches its servers"
    )]
    TooWide {
        /// Half the interval's width.
        epsilon: Duration,
        /// The limit, from the builder.
        max_error: Duration,
    },
    /// Two claims cannot both be true: an assumption is false.
    #[error(
        "claims about the time contradict each other by {by:?} (the later one from the {from} \
         source): a daemon, a server or a hardware clock was wrong, or the oscillator runs faster than \
         max_drift; \
         intervals resume once two successive claims agree"
    )]
    Contradicted {
        /// The name of the source whose claim brought it to light.
        from: &'static str,
        /// How far they miss each other.
        by: Duration,
    },
    /// The machine's clocks were disturbed, and nothing has vouched for them since.
    #[error("{cause}; intervals resume with {}", ending(cause))]
    Disturbed {
        /// What happened.
        cause: Disturbance,
    },
    /// What `assume_error` vouched for no longer holds.
    #[error(
        "{cause} since the clock's error was assumed: check the clock, then vouch for it again \
         with `Clock::vouch`"
    )]
    AssumptionBroken {
        /// What happened.
        cause: Disturbance,
    },
    /// The interval leaves the range of timestamps.
    #[error(
        "the interval leaves the range of timestamps, years 1677 to 2262; check the machine's clock"
    )]
    OutOfRange,
}

impl ClockError {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    /// `epsilon now --json` has it as `reason_code`. Why no source vouches (`unvouched`), and what disturbed
    /// the clock (`disturbed`, `assumption_broken`), their own `as_str` tell.
    ///
    /// ```
    /// # use epsilon_clock::ClockError;
    /// assert_eq!(ClockError::OutOfRange.as_str(), "out_of_range");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unvouched(_) => "unvouched",
            Self::TooOld { .. } => "too_old",
            Self::TooWide { .. } => "too_wide",
            Self::Contradicted { .. } => "contradicted",
            Self::Disturbed { .. } => "disturbed",
            Self::AssumptionBroken { .. } => "assumption_broken",
            Self::OutOfRange => "out_of_range",
        }
    }
}

impl From<RangeError> for ClockError {
    fn from(_: RangeError) -> Self {
        Self::OutOfRange
    }
}

/// Returns the event that ends the refusal after a disturbance.
const fn ending(cause: &Disturbance) -> &'static str {
    match cause {
        Disturbance::SteppedAway { .. } => {
            "a write of the time daemon that agrees with what was known before, or with four that agree \
             among themselves"
        }
        Disturbance::UnexplainedSecond => {
            "the time daemon's next write, or once a source tells of a leap second"
        }
        Disturbance::Interrupted => "the next reading that is left alone",
        _ => "the time daemon's next write",
    }
}

/// Why a clock could not be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is outside the range in which it makes sense.
    #[error("{setting} is {value}, but must be {allowed}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What it was given.
        value: String,
        /// What it takes, with the figures of other settings that limit it.
        allowed: String,
    },
    /// More sources were named than a clock can hold.
    #[error("{given} sources were named; a clock holds at most {limit}")]
    TooManySources {
        /// How many were named.
        given: usize,
        /// How many it can hold.
        limit: usize,
    },
    /// A clock of the machine cannot be read.
    #[error("this machine has no {clock}, which the crate needs (Linux 3.10 and later have it)")]
    MissingClock {
        /// The clock's name.
        clock: &'static str,
    },
    /// A source cannot serve as it is set up, or not on this machine.
    #[error("the {source_name} source cannot serve: {reason}")]
    Source {
        /// The source's name.
        source_name: &'static str,
        /// What is wrong, and what would help.
        reason: String,
    },
    /// A thread that looks, or asks the sources, in the background could not be started.
    #[error(
        "a thread that looks, or asks the sources, in the background could not be started: {reason}"
    )]
    Thread {
        /// What the system said.
        reason: String,
    },
}

/// Why waiting for a synchronised clock ended without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no synchronised clock after {waited:?}: {reason}")]
pub struct WaitTimeout {
    /// How long was waited.
    pub waited: Duration,
    /// What was still missing at the end.
    #[source]
    pub reason: WaitReason,
}

/// What was still missing when waiting for a synchronised clock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitReason {
    /// There was no interval.
    #[error(transparent)]
    NoInterval(#[from] ClockError),
    /// There was one, but only an assumed one.
    #[error("the clock's error is only assumed")]
    OnlyAssumed,
    /// The system gives no thread to [await](crate::Clock::until_synchronized) it with.
    #[error(
        "the system gives no thread to wait with: wait in one of your own, with `wait_until_synchronized`"
    )]
    NoThread,
    /// There was one, but wider than asked for.
    #[error("the clock is only known to ±{epsilon:?}")]
    TooWide {
        /// Half its width.
        epsilon: Duration,
    },
}
