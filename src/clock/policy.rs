//! A clock's settings, checked once when it is built.

use core::time::Duration;
use std::sync::Arc;

use crate::clock::latch::COUNTER_LIMIT;
use crate::clock::stripes::Striping;
use crate::machine::NoCounter;
use crate::source::{
    DEFAULT_DAEMON_MARGIN, DEFAULT_REPORT_WANDER_PPB, NtpRefusal, Refusal, Role, Source,
};
use crate::time::{Claim, DEFAULT_MAX_DRIFT_PPB, RateBounds, RateLimits};

/// Default of `max_wander_ppb`: 50 ppm. See [`ClockBuilder::max_wander_ppb`] for what crystals do.
///
/// [`ClockBuilder::max_wander_ppb`]: crate::ClockBuilder::max_wander_ppb
const DEFAULT_MAX_WANDER_PPB: u32 = 50_000;

/// Default of `look_interval`: four looks a second, of some 10 µs each, cost hardly anything, and a
/// daemon's write is seen before the oscillator has drifted 50 µs since.
const DEFAULT_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Default of `guard_interval`: a tenth of a microsecond a hundred times a second.
const DEFAULT_GUARD_INTERVAL: Duration = Duration::from_millis(10);

/// Default of `max_age`: more than three of the longest polls (1024 s) of chrony and ntpd.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(3600);

/// Default of `max_error`: CockroachDB's and Kudu's customary limit on clock offsets.
const DEFAULT_MAX_ERROR: Duration = Duration::from_millis(500);

/// The longest `look_interval` with which the kernel's leaving the counter is noticed within a second.
const WATCHFUL: Duration = Duration::from_millis(500);

/// Who asks the sources, and when.
///
/// A look takes a few syscalls, some 10 µs together. Some threads must never make one: those
/// under a seccomp filter that kills for it, or with a deadline in the nanoseconds.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::clock::RefreshPolicy;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::builder()
///     .refresh_policy(RefreshPolicy::Background)
///     .build()?;
/// # drop(clock);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshPolicy {
    /// A caller that reads the clock looks when it is due, one at a time; the others go on.
    #[default]
    Inline,
    /// A thread of the clock's own looks; it ends when the last handle is dropped. A forked child
    /// does not have that thread: let it build a clock of its own.
    Background,
    /// Sources are read only when [`Clock::look`](crate::Clock::look) is called, and chronyd is asked
    /// only when [`Clock::refresh`](crate::Clock::refresh) is: no thread is started.
    Manual,
}

/// Whether a clock learns how its oscillator runs.
///
/// Each pair of a time daemon's honest bounds, a minute or more apart, proves something about the
/// oscillator's rate between them. From those of the last 2000 s a clock bounds the rate by what is
/// proven and an allowance for wander
/// ([`max_wander_ppb`](crate::ClockBuilder::max_wander_ppb)), instead of by the guess
/// ([`max_drift_ppb`](crate::ClockBuilder::max_drift_ppb)) that must fit the worst oscillator
/// in service. Epsilon then grows three to four times more slowly.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::clock::DriftLearning;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The second half of assumption A1 is not needed then.
/// let clock = Clock::builder().drift_learning(DriftLearning::Off).build()?;
/// assert_eq!(clock.status().learned, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriftLearning {
    /// From every bound that a time daemon is seen to write.
    #[default]
    FromWrites,
    /// Not at all: ±`max_drift` is all that is ever assumed.
    Off,
}

/// Everything a clock was told when it was built.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) max_drift_ppb: u32,
    pub(crate) max_wander_ppb: u32,
    pub(crate) learning: DriftLearning,
    pub(crate) daemon_margin: Duration,
    pub(crate) report_wander_ppb: u32,
    pub(crate) look_interval: Duration,
    pub(crate) guard_interval: Duration,
    pub(crate) refresh: RefreshPolicy,
    pub(crate) max_error: Duration,
    pub(crate) max_age: Duration,
    pub(crate) assume_error: Option<Duration>,
    pub(crate) accept_unsync_flag: bool,
    pub(crate) counter: bool,
    /// Whether the caller vouches for it, or asks for coarse real time all the same.
    pub(crate) never_suspends: Option<bool>,
    /// Whether a step may have been a suspend, on this machine and for one of these sources.
    pub(crate) steps_may_be_suspends: bool,
    /// How commit timestamps are drawn.
    pub(crate) striping: Striping,
    /// As they were named; the builder fills in its own where none was.
    pub(crate) sources: Vec<Arc<dyn Source>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_drift_ppb: DEFAULT_MAX_DRIFT_PPB,
            max_wander_ppb: DEFAULT_MAX_WANDER_PPB,
            learning: DriftLearning::default(),
            daemon_margin: DEFAULT_DAEMON_MARGIN,
            report_wander_ppb: DEFAULT_REPORT_WANDER_PPB,
            look_interval: DEFAULT_LOOK_INTERVAL,
            guard_interval: DEFAULT_GUARD_INTERVAL,
            refresh: RefreshPolicy::default(),
            max_error: DEFAULT_MAX_ERROR,
            max_age: DEFAULT_MAX_AGE,
            assume_error: None,
            accept_unsync_flag: false,
            counter: true,
            never_suspends: None,
            steps_may_be_suspends: false,
            striping: Striping::default(),
            sources: Vec::new(),
        }
    }
}

impl Policy {
    /// Returns why the counter may not be read, whatever the machine has.
    pub(crate) fn no_counter(&self) -> Option<NoCounter> {
        if !self.counter {
            Some(NoCounter::Forbidden)
        } else if self.refresh == RefreshPolicy::Manual {
            Some(NoCounter::Manual)
        } else if self.look_interval > WATCHFUL {
            Some(NoCounter::RareLooks)
        } else {
            None
        }
    }

    /// Returns the last raw instant at which plain arithmetic gives the right answer through counts.
    pub(crate) fn last_plain_counting(&self, claim: &Claim, ageless: bool) -> i64 {
        let spare = 2 * i128::from(COUNTER_LIMIT);
        let span = self.plain_span_beside(claim, ageless, spare);
        claim.raw().saturating_add(span)
    }

    pub(crate) fn learns(&self) -> bool {
        self.learning == DriftLearning::FromWrites
    }

    pub(crate) const fn rate_limits(&self) -> RateLimits {
        RateLimits {
            max_drift_ppb: self.max_drift_ppb,
            max_wander_ppb: self.max_wander_ppb,
        }
    }

    /// Returns what is known of the rate without learning.
    pub(crate) const fn unlearned(&self) -> RateBounds {
        RateBounds::symmetric(self.max_drift_ppb)
    }

    /// Returns true if the claims of this source stand against those of others: it is a judge, or there is
    /// none.
    pub(crate) fn is_judge(&self, index: usize) -> bool {
        let role = |source: &Arc<dyn Source>| source.role() == Role::Judge;
        self.sources.get(index).is_some_and(role) || !self.sources.iter().any(role)
    }

    /// Returns the place of the source whose writes this one learns the rate from together with: the first
    /// that repeats the machine's time daemon for those that do, its own for any other.
    pub(crate) fn rate_of(&self, index: usize) -> usize {
        let of_daemon = |(index, source): (usize, &Arc<dyn Source>)| {
            source.follows_daemon() && self.is_judge(index)
        };
        let mut sources = self.sources.iter().enumerate();
        match self.sources.get(index) {
            Some(source) if of_daemon((index, source)) => {
                sources.position(of_daemon).unwrap_or(index)
            }
            _ => index,
        }
    }

    /// Returns true if a source speaks for what disciplines this machine's clock.
    pub(crate) fn is_about_real_time(&self) -> bool {
        self.sources.iter().any(|source| source.follows_daemon())
    }

    pub(crate) fn may_ask_kernel(&self) -> bool {
        self.sources.iter().any(|source| source.asks_kernel())
    }

    pub(crate) fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// Returns what the source of this index is refused with where it is a helper and so far off.
    pub(crate) fn overruled(&self, index: usize, by: Duration) -> Refusal {
        let by_us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let named = self
            .sources
            .get(index)
            .map(|source| source.overruled(by_us));
        named.unwrap_or(Refusal::Ntp(NtpRefusal::Contradicts { by_us }))
    }

    pub(crate) fn source_name(&self, index: usize) -> &'static str {
        self.sources.get(index).map_or("unknown", |s| s.name())
    }

    /// Returns the last raw instant at which a claim answers: `max_age` after its own.
    pub(crate) fn last_use(&self, claim: &Claim) -> i64 {
        let span = i64::try_from(self.max_age.as_nanos()).unwrap_or(i64::MAX);
        claim.raw().saturating_add(span)
    }

    /// Returns for how many ns after the claim plain arithmetic gives the right answer: no limit is
    /// passed and no leap second near. Rounded down.
    pub(crate) fn plain_span(&self, claim: &Claim, ageless: bool) -> i64 {
        self.plain_span_beside(claim, ageless, 0)
    }

    /// As [`plain_span`](Self::plain_span), of an interval that is so many ns wider than the claim's.
    fn plain_span_beside(&self, claim: &Claim, ageless: bool, wider: i128) -> i64 {
        const BILLION: i128 = 1_000_000_000;
        let ns = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX / 4);
        let by_age = if ageless { i128::MAX } else { ns(self.max_age) };

        let rate = claim.rate();
        let widening = i128::from(rate.hi_ppb()) - i128::from(rate.lo_ppb());
        // Two for what rounding outward may add.
        let room = ns(self.max_error) * 2 - ns(claim.interval().width()) - wider - 2;
        let by_width = match widening {
            0 if room > 0 => i128::MAX,
            0 => 0,
            _ => room * BILLION / widening,
        };

        let by_leap = claim.leap().map_or(i128::MAX, |leap| {
            // Two seconds before the boundary no look counts, and a deleted second has not begun.
            let room = i128::from(leap.boundary.unix_nanos())
                - 2 * BILLION
                - i128::from(claim.interval().latest().unix_nanos());
            room * BILLION / (BILLION + i128::from(rate.hi_ppb().max(0)))
        });
        let span = by_age.min(by_width).min(by_leap).max(0);
        i64::try_from(span).unwrap_or(i64::MAX)
    }
}
