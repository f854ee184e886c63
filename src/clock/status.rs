//! What a clock tells about itself.

use core::fmt;
use core::time::Duration;

use crate::clock::error::{ClockError, WaitReason};
use crate::machine::{NoCounter, VmClockState};
use crate::source::Refusal;
use crate::time::{ErrorBound, Interval, LearnedRate, RateBounds, Timestamp};
use crate::words::words_enum;

/// A source is silent when it has not written for two of the longest polls (1024 s) that chrony and
/// ntpd make by default, and a little.
const SILENCE_NS: i64 = 2_100_000_000_000;

/// How well founded a clock's interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockState {
    /// A source vouched while we watched, and stands by it.
    Synchronized,
    /// A source had vouched before we first looked (assumption A4); its next write will do better.
    Inherited,
    /// The source is silent, unsynchronised or refuses; its last claim is carried on.
    Holdover,
    /// Only the caller vouches for the clock, by `assume_error`.
    Assumed,
    /// There is no interval: every call is an error.
    Unavailable,
}

words_enum!(ClockState {
    Synchronized = 0,
    Inherited = 1,
    Holdover = 2,
    Assumed = 3,
    Unavailable = 4,
});

impl ClockState {
    /// Every state, from the best founded to none at all.
    ///
    /// For a gauge of each state, of which one is 1. A later version may add to it.
    ///
    /// ```
    /// # use epsilon_clock::ClockState;
    /// let words: Vec<_> = ClockState::ALL.iter().map(|state| state.as_str()).collect();
    /// assert_eq!(words[0], "synchronized");
    /// ```
    // A slice, so that one more state changes no type.
    pub const ALL: &'static [Self] = &[
        // Each at the place of its number.
        Self::Synchronized,
        Self::Inherited,
        Self::Holdover,
        Self::Assumed,
        Self::Unavailable,
    ];

    /// Names the state in a lower-case word for machines: `synchronized`, `inherited`, `holdover`,
    /// `assumed` or `unavailable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synchronized => "synchronized",
            Self::Inherited => "inherited",
            Self::Holdover => "holdover",
            Self::Assumed => "assumed",
            Self::Unavailable => "unavailable",
        }
    }
}

impl ClockState {
    /// Returns its number in a line and in binary formats: the place of its declaration.
    pub(crate) const fn to_word(self) -> i64 {
        self as i64
    }

    #[inline]
    pub(crate) fn from_word(word: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(word).ok()?).copied()
    }

    /// Returns for how long nothing new may be said, in ns, before it becomes another.
    pub(crate) const fn silent_after() -> i64 {
        SILENCE_NS
    }

    /// Returns what becomes of it when nothing new was said for `elapsed` ns.
    #[inline]
    pub(crate) fn after_silence(self, elapsed: i64) -> Self {
        match self {
            Self::Synchronized | Self::Inherited if elapsed > SILENCE_NS => Self::Holdover,
            state => state,
        }
    }
}

impl fmt::Display for ClockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A reading that never fails, for logs: a best estimate, and the interval where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The middle of the interval, or where there is none whatever the machine's clock says.
    pub estimate: Timestamp,
    /// The interval, or why there is none.
    pub interval: Result<Interval, ClockError>,
    /// How well founded it is.
    pub state: ClockState,
}

impl Reading {
    /// Returns the interval, or what it lacks to be vouched for to within `epsilon`.
    pub(super) const fn vouched_within(&self, epsilon: Duration) -> Result<Interval, WaitReason> {
        match self.interval {
            Err(error) => Err(WaitReason::NoInterval(error)),
            Ok(_) if matches!(self.state, ClockState::Assumed) => Err(WaitReason::OnlyAssumed),
            Ok(interval) if interval.epsilon().as_nanos() > epsilon.as_nanos() => {
                Err(WaitReason::TooWide {
                    epsilon: interval.epsilon(),
                })
            }
            Ok(interval) => Ok(interval),
        }
    }
}

/// `2026-11-20T05:50:00.123456789Z ±1.204ms`, or `±?` where there is no interval.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interval {
            Ok(interval) => interval.fmt(f),
            Err(_) => write!(f, "{} ±?", self.estimate),
        }
    }
}

/// How a clock is doing, for operators: see [`Clock::status`](crate::Clock::status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How well founded the interval is.
    pub state: ClockState,
    /// The interval now, or why there is none.
    pub interval: Result<Interval, ClockError>,
    /// The terms that make up epsilon now, where there is a claim in force.
    pub bound: Option<ErrorBound>,
    /// The name of the source whose claim is in force.
    pub source: Option<&'static str>,
    /// How long ago that claim was made.
    pub age: Option<Duration>,
    /// How fast true time may run against raw time under that claim: ±`max_drift`, or what was learned
    /// when it was made.
    pub rate: Option<RateBounds>,
    /// How long until the claim in force is too old or too wide, if no other comes.
    pub refuses_in: Option<Duration>,
    /// Why the first source that does not vouch now does not. A source that was never there, such as a
    /// chronyd that does not run, counts only where no other vouches.
    pub refusal: Option<Refusal>,
    /// What was learned of the oscillator's rate from the last 2000 s of writes.
    pub learned: Option<LearnedRate>,
    /// Whether a hypervisor tells of disruptions.
    pub vmclock: VmClockState,
    /// What a reading reads, and why not less.
    pub path: ReadPath,
    /// The instructions that read the counter, where the path reads it and the machine names them.
    pub counter_instructions: Option<&'static str>,
    /// What happened since the clock was built.
    pub counters: Counters,
}

/// Which clocks a reading of the hot path reads.
///
/// See assumption A6 for what the counter is trusted with, and
/// [`without_counter`](crate::ClockBuilder::without_counter) for doing without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ReadPath {
    /// The counter that raw time is counted by; once a millisecond coarse real time and raw time too.
    Counter,
    /// The counter and coarse real time, which shows a suspend; once a millisecond raw time too.
    CounterAndCoarse,
    /// Coarse real time and raw time, through the kernel's vDSO.
    Vdso {
        /// Why the counter is not read.
        because: NoCounter,
    },
}

impl ReadPath {
    /// Names the path in a `snake_case` word for machines: `counter`, `counter_and_coarse` or `vdso`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::CounterAndCoarse => "counter_and_coarse",
            Self::Vdso { .. } => "vdso",
        }
    }
}

impl fmt::Display for ReadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter => f.write_str("the counter"),
            Self::CounterAndCoarse => f.write_str("the counter and coarse real time"),
            Self::Vdso { because } => write!(f, "the vDSO, not the counter: {because}"),
        }
    }
}

/// What one source of a clock says by itself: see [`Clock::sources`](crate::Clock::sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Its name.
    pub name: &'static str,
    /// Whether the clock answers from its claim.
    pub serves: bool,
    /// Where UTC is now by its last claim, if it made one that still counts.
    pub interval: Option<Interval>,
    /// The terms that make up that interval's epsilon.
    pub bound: Option<ErrorBound>,
    /// How long ago the claim was made.
    pub age: Option<Duration>,
    /// Why it does not vouch now, if it does not.
    pub refusal: Option<Refusal>,
}

/// What happened to a clock since it was built. They only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Counters {
    /// Looks that were completed and counted.
    pub looks: u64,
    /// Looks that were dropped: another one was faster, or a leap second too near.
    pub looks_dropped: u64,
    /// Writes of a time daemon that were recognised and used.
    pub writes: u64,
    /// Steps of real time.
    pub steps: u64,
    /// Suspends and other disturbances that made claims void.
    pub suspends: u64,
    /// Contradictions between claims.
    pub contradictions: u64,
    /// How often what was learned of the oscillator's rate was forgotten.
    pub rate_resets: u64,
    /// Looks at which a source did not vouch.
    pub refusals: u64,
}
