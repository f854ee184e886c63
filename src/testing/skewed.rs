//! The real machine with a clock that is wrong by a known amount, and a source that knows.

use core::time::Duration;
use std::sync::Arc;

use thiserror::Error;

use crate::clock::{BuildError, Clock, ClockBuilder};
use crate::machine::{
    Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich, SystemMachine,
};
use crate::source::{
    Awaiting, Finding, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim,
};
use crate::time::{Claim, ErrorBound, Interval, RateBounds, TimeDelta, Timestamp};

/// A node whose clock is wrong, and knows it within `epsilon`.
///
/// It is wrong by `offset`, in real time.
///
/// What passes for UTC is the machine's own real time: every process on it agrees on the truth,
/// whether or not the machine is synchronised. Each node shifts it by an offset of its own and
/// claims, honestly, to be within `epsilon` of it; so several processes with different offsets are
/// a cluster on one machine, for examples and tests of what is built on top.
///
/// Monotonic time stands in for raw time here, so that a time daemon at work does not disturb the
/// play. A step of the real clock does.
///
/// ```
/// use epsilon_clock::{TimeDelta, Timestamp};
/// use epsilon_clock::testing::Skewed;
/// use std::time::{Duration, SystemTime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fast = Skewed::new(TimeDelta::from_nanos(3_000_000), Duration::from_millis(5))?;
/// let clock = fast.clock()?;
/// let before = Timestamp::try_from(SystemTime::now())?;
/// let now = clock.now()?;
/// let after = Timestamp::try_from(SystemTime::now())?;
/// assert!(now.earliest() <= after && before <= now.latest());
/// // Its own best guess is 3 ms fast.
/// assert!(now.midpoint() > before);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Skewed {
    machine: Arc<SystemMachine>,
    offset: TimeDelta,
    epsilon: Duration,
}

/// Why there is no such [`Skewed`] machine.
///
/// ```
/// use epsilon_clock::TimeDelta;
/// use epsilon_clock::testing::Skewed;
/// use std::time::Duration;
///
/// let too_sure = Skewed::new(TimeDelta::from_nanos(-5_000_000), Duration::from_millis(2));
/// assert!(too_sure.is_err_and(|error| error.to_string().contains("2ms")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SkewError {
    /// A claim of this width would not contain the truth.
    #[error("a clock that is off by {offset} cannot claim ±{epsilon:?}: give an epsilon of {:?} or more", offset.unsigned_abs())]
    Dishonest {
        /// How far the clock is off.
        offset: TimeDelta,
        /// What it was to claim.
        epsilon: Duration,
    },
    /// The real machine cannot be read.
    #[error(transparent)]
    Machine(#[from] BuildError),
}

impl Skewed {
    /// Shifts the machine's time by `offset`, known to within `epsilon`.
    ///
    /// # Errors
    ///
    /// [`SkewError::Dishonest`] if `epsilon` is less than the offset, [`SkewError::Machine`] if the
    /// machine lacks a clock.
    pub fn new(offset: TimeDelta, epsilon: Duration) -> Result<Self, SkewError> {
        // The point of this machine is a clock that is wrong and honest: its claims must contain
        // the truth.
        if offset.unsigned_abs() > epsilon {
            return Err(SkewError::Dishonest { offset, epsilon });
        }
        let machine = SystemMachine::new().map_err(|clock| BuildError::MissingClock { clock })?;
        Ok(Self {
            machine: Arc::new(machine),
            offset,
            epsilon,
        })
    }

    /// Returns a builder for clocks on this machine.
    ///
    /// They ask its honest source alone.
    ///
    /// ```
    /// # use epsilon_clock::TimeDelta;
    /// # use epsilon_clock::clock::RefreshPolicy;
    /// # use epsilon_clock::testing::Skewed;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Skewed::new(TimeDelta::ZERO, Duration::from_millis(1))?
    ///     .builder()
    ///     .refresh_policy(RefreshPolicy::Background)
    ///     .build()?;
    /// # drop(clock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(&self) -> ClockBuilder {
        Clock::builder()
            .machine(Arc::new(self.machine()))
            .source(self.source())
    }

    /// Builds a clock on this machine with every setting at its default.
    ///
    /// # Errors
    ///
    /// As [`ClockBuilder::build`].
    pub fn clock(&self) -> Result<Clock, BuildError> {
        self.builder().build()
    }

    /// Returns the machine by itself, for a builder of one's own.
    #[must_use]
    pub fn machine(&self) -> SkewedMachine {
        SkewedMachine(self.clone())
    }

    /// Returns the source by itself.
    ///
    /// It claims anew at each look, on whatever machine it is asked about: its real time, give or
    /// take `epsilon`.
    #[must_use]
    pub const fn source(&self) -> SkewedSource {
        SkewedSource {
            epsilon: self.epsilon,
        }
    }

    fn shifted(&self, real: i64) -> i64 {
        real.saturating_add(self.offset.nanos())
    }
}

/// The real machine with shifted real time: see [`Skewed`].
#[derive(Clone, Debug)]
pub struct SkewedMachine(Skewed);

impl Machine for SkewedMachine {
    fn sample(&self) -> Sample {
        let clocks = self.0.machine.sandwich();
        Sample {
            coarse: self.0.shifted(clocks.real),
            raw: clocks.mono_after,
        }
    }

    fn sandwich(&self) -> Sandwich {
        // Monotonic time plays raw time here, and a sandwich has only two readings of that: the closing
        // one comes out of a second sandwich.
        let first = self.0.machine.sandwich();
        let second = self.0.machine.sandwich();
        Sandwich {
            mono_before: first.mono_before,
            boot: first.boot,
            real: self.0.shifted(first.real),
            raw: first.mono_after,
            mono_after: second.mono_before,
        }
    }

    /// The kernel knows nothing of the offset, so it is not asked.
    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        self.0.machine.coarse_tick()
    }

    fn identity(&self) -> Identity {
        self.0.machine.identity()
    }

    fn clocksource(&self) -> u64 {
        self.0.machine.clocksource()
    }

    fn disruption(&self) -> Option<Disruption> {
        self.0.machine.disruption()
    }

    fn sleep(&self, span: Duration) {
        self.0.machine.sleep(span);
    }

    fn sharpen_sleeps(&self) {
        self.0.machine.sharpen_sleeps();
    }
}

/// The honest source of a [`Skewed`] machine.
#[derive(Clone, Copy, Debug)]
pub struct SkewedSource {
    epsilon: Duration,
}

impl Source for SkewedSource {
    fn name(&self) -> &'static str {
        "skewed"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let clocks = context.machine.sandwich();
        let bound = ErrorBound {
            reported_ns: u64::try_from(self.epsilon.as_nanos()).unwrap_or(u64::MAX),
            // Real and raw time were read within the sandwich, not at one instant.
            bracket_ns: clocks.width().unsigned_abs(),
            ..ErrorBound::default()
        };
        let real = Timestamp::from_unix_nanos(clocks.real);
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        Look::new(Interval::around(real, bound.total()).map_or(
            Finding::Refused(Refusal::AwaitingWrite {
                because: Awaiting::Disturbance,
            }),
            |interval| {
                let claim = Claim::new(clocks.raw, interval, rate);
                Finding::Write(SyncClaim { claim, bound })
            },
        ))
    }
}
