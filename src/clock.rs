//! The clock: readings as intervals that contain UTC.

use core::panic::{RefUnwindSafe, UnwindSafe};
use core::time::Duration;
use std::sync::Arc;

use crate::machine::{Disruption, Identity, NtpStatus, NtpStatusError, Sandwich};
use crate::time::{Interval, Timestamp};

mod axis;
mod builder;
mod commits;
mod counters;
mod error;
mod latch;
mod looking;
mod policy;
mod reading;
mod report;
mod scratch;
mod shared;
mod sleeper;
mod state;
mod state_queue;
mod state_wait;
mod status;
mod stripes;
mod threads;

pub use builder::ClockBuilder;
pub use error::{BuildError, ClockError, WaitReason, WaitTimeout};
pub use policy::{DriftLearning, RefreshPolicy};
pub use state_wait::{StateChanges, StateWait};
pub use status::{ClockState, Counters, ReadPath, Reading, SourceStatus, Status};

pub(crate) use commits::NotDrawn;
pub(crate) use latch::Point;
pub(crate) use reading::{Estimate, Glimpse, HotReading};
use shared::Shared;
pub(crate) use sleeper::{Next, Served, Sleeper, wake_all};
pub(crate) use state::SUSPEND_RESOLUTION;
pub use stripes::Striping;
pub(crate) use stripes::{Exhausted, Scale, StripeLine, StripeReading, Stripes, Word};

/// A clock that says how wrong it may be.
///
/// Cheap to clone; all clones share what they know, and any number of threads may read at once,
/// real-time ones and signal handlers included: readers take no lock and wait for no other thread.
///
/// # Leap seconds
///
/// Instants are on Unix time made monotone: it stands still during an inserted second and jumps
/// over a deleted one. Sources that smear leap seconds make intervals about *their* smeared UTC.
///
/// # Forks
///
/// A child goes on with the clock it inherited, whatever the parent's other threads were doing.
/// Only the thread of [`RefreshPolicy::Background`] does not follow it, and neither does the one that
/// asks chronyd: in the child the kernel serves, unless the program calls [`Clock::refresh`] there.
/// For what is awaited there, let the child build a clock of its own.
///
/// # Example
///
/// ```no_run
/// use epsilon_clock::Clock;
///
/// let clock = Clock::system()?;
/// let now = clock.now()?; // an error where the machine is not synchronised
/// println!("UTC lies between {} and {}", now.earliest(), now.latest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

// A machine and sources of the caller's own are why this is not derived. A panic in one of them leaves the
// state as it was: what a look finds is published whole, after all of them have answered.
impl UnwindSafe for Clock {}
impl RefUnwindSafe for Clock {}

impl Clock {
    /// Returns where UTC is now: some instant between call and return lies in the interval.
    ///
    /// Usually one ordered read of the counter that raw time is counted by, or two reads of the vDSO
    /// ([`Status::path`](crate::Status::path)), and some integer arithmetic, without a syscall, a lock or an
    /// allocation. A hundred times a second one call compares the clocks, and under
    /// [`RefreshPolicy::Inline`] four times a second one call looks at the sources.
    ///
    /// # Errors
    ///
    /// [`ClockError`] whenever neither a source nor the caller vouches for an interval.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::builder().assume_error(Duration::from_millis(50)).build()?;
    /// if let Ok(now) = clock.now() {
    ///     assert!(now.earliest() <= now.latest());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn now(&self) -> Result<Interval, ClockError> {
        match self.shared.now_plainly() {
            Some(interval) => Ok(interval),
            None => self.shared.now_carefully(),
        }
    }

    /// Returns true if `instant` is surely past: `instant < now.earliest()`.
    ///
    /// Once this was `true` it stays so, for every thread that learned of it, until a contradiction is
    /// reported.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Timestamp};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(50)).build()?;
    /// if let Ok(past) = clock.after(Timestamp::UNIX_EPOCH) {
    ///     assert!(past);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn after(&self, instant: Timestamp) -> Result<bool, ClockError> {
        Ok(self.now()?.after(instant))
    }

    /// Returns true if `instant` is surely still to come: `instant > now.latest()`.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Timestamp};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(50)).build()?;
    /// if let Ok(to_come) = clock.before(Timestamp::MAX) {
    ///     assert!(to_come);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn before(&self, instant: Timestamp) -> Result<bool, ClockError> {
        Ok(self.now()?.before(instant))
    }

    /// Reads the clock for logs: never fails, and says how well founded it is.
    ///
    /// ```
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let reading = epsilon_clock::Clock::system()?.read();
    /// println!("{reading} ({})", reading.state);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[inline]
    pub fn read(&self) -> Reading {
        self.shared.read()
    }

    /// Looks at the sources, due or not, and reads the clock.
    ///
    /// This is the only way to look under [`RefreshPolicy::Manual`]; otherwise there is no need to.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::clock::RefreshPolicy;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::builder().refresh_policy(RefreshPolicy::Manual).build()?;
    /// match clock.look() {
    ///     Ok(now) => println!("{now}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn look(&self) -> Result<Interval, ClockError> {
        self.shared.look();
        self.now()
    }

    /// Refreshes every source that asks a daemon, waits, and looks.
    ///
    /// A thread of the clock does this by itself once a second, unless the policy is
    /// [`RefreshPolicy::Manual`] or this is a forked child. Not for a thread in a hurry: a
    /// [`ChronySource`](crate::source::ChronySource) waits for chronyd for up to a tenth of a second.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::clock::RefreshPolicy;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::builder().refresh_policy(RefreshPolicy::Manual).build()?;
    /// match clock.refresh() {
    ///     Ok(now) => println!("{now}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn refresh(&self) -> Result<Interval, ClockError> {
        self.shared.refresh();
        self.look()
    }

    /// Lets the sources ask, as the clock's own thread does, and does not look.
    ///
    /// For tests that play that thread themselves: readings then find the answers at a time that the
    /// test chose.
    #[cfg(feature = "test-util")]
    pub fn refresh_sources(&self) {
        self.shared.refresh();
    }

    /// Returns what each source says by itself, in their order.
    ///
    /// ```
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// for source in epsilon_clock::Clock::system()?.sources() {
    ///     match (source.interval, source.refusal) {
    ///         (Some(interval), _) => println!("{}: {interval}", source.name),
    ///         (None, Some(refusal)) => println!("{}: {refusal}", source.name),
    ///         (None, None) => println!("{}: nothing yet", source.name),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.shared.sources()
    }

    /// Vouches for the machine's clock again, and looks.
    ///
    /// A step or a suspend breaks what [`assume_error`](ClockBuilder::assume_error) had vouched for.
    /// Does nothing to a clock without `assume_error`, or with a source that vouches.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::builder().assume_error(Duration::from_millis(50)).build()?;
    /// // … after an operator set the clock, and you checked it:
    /// let _ = clock.vouch();
    /// # Ok(())
    /// # }
    /// ```
    pub fn vouch(&self) -> Result<Interval, ClockError> {
        self.shared.vouch();
        self.now()
    }

    /// Reports the clock's state, the terms of its bound, and what happened so far.
    ///
    /// ```
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let status = epsilon_clock::Clock::system()?.status();
    /// println!("{} after {} looks", status.state, status.counters.looks);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Reads the kernel's own NTP status, by a syscall; for reports, not for arithmetic.
    ///
    /// # Errors
    ///
    /// [`NtpStatusError`] where the call is refused or does not exist.
    ///
    /// ```
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// if let Ok(kernel) = epsilon_clock::Clock::system()?.ntp_status() {
    ///     println!("maxerror {} µs", kernel.maxerror);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        self.shared.machine.as_dyn().ntp_status()
    }

    /// Waits until a source vouches for the clock, for `timeout` at most; the interval then.
    ///
    /// An assumed error is not waited for: it is there at once or not at all. Under
    /// [`RefreshPolicy::Manual`] another thread has to look meanwhile. To await it, on any runtime:
    /// [`until_synchronized`](Self::until_synchronized).
    ///
    /// # Errors
    ///
    /// [`WaitTimeout`], with what was still missing.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::system()?;
    /// match clock.wait_until_synchronized(Duration::from_millis(1)) {
    ///     Ok(now) => println!("{now}"),
    ///     Err(timeout) => println!("{timeout}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_synchronized(&self, timeout: Duration) -> Result<Interval, WaitTimeout> {
        self.wait_until_within(Duration::MAX, timeout)
    }

    /// Waits until a source vouches for the clock to within `epsilon`, for `timeout` at most.
    ///
    /// To await it, on any runtime: [`until_within`](Self::until_within).
    ///
    /// # Errors
    ///
    /// [`WaitTimeout`], with what was still missing.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::system()?;
    /// let settled = clock.wait_until_within(Duration::from_millis(2), Duration::from_millis(1));
    /// if let Ok(now) = settled {
    ///     assert!(now.epsilon() <= Duration::from_millis(2));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_within(
        &self,
        epsilon: Duration,
        timeout: Duration,
    ) -> Result<Interval, WaitTimeout> {
        let began = self.raw_time();
        loop {
            let reason = match self.read().vouched_within(epsilon) {
                Err(reason) => reason,
                Ok(interval) => return Ok(interval),
            };
            let left = Self::left_of(timeout, self.waited_since(began), reason)?;
            self.doze(left);
        }
    }

    // --- for what is built on top ---------------------------------------------------------------

    /// Returns the latest end of an interval, if nothing is out of the ordinary.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(crate) fn latest_plainly(&self) -> Option<Timestamp> {
        self.shared.latest_plainly()
    }

    /// One reading of the hot path, if nothing is out of the ordinary.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(crate) fn instant_plainly(&self) -> Option<HotReading> {
        self.shared.instant_plainly()
    }

    /// The middle of one reading of the hot path, by a count that need not wait for what precedes it.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(crate) fn glimpse(&self) -> Option<Glimpse> {
        self.shared.glimpse()
    }

    /// Returns the best estimate there is, whatever is out of the ordinary.
    pub(crate) fn estimate(&self) -> Estimate {
        self.shared.estimate()
    }

    /// Compares all clocks of the machine as sharply as it goes.
    pub(crate) fn clocks(&self) -> Sandwich {
        self.shared.clocks()
    }

    /// Returns true if the clocks were compared without an interruption, as far as this machine's pace
    /// lets that be told.
    pub(crate) fn is_sharp(&self, clocks: &Sandwich) -> bool {
        self.shared.is_sharp(clocks)
    }

    /// Returns what the hypervisor says of pauses; `None` if it is just saying it.
    pub(crate) fn disruption(&self) -> Option<Disruption> {
        self.shared.machine.as_dyn().disruption()
    }

    /// Returns whose clocks they are.
    pub(crate) fn identity(&self) -> Identity {
        self.shared.machine.as_dyn().identity()
    }

    /// Returns which boot of the kernel raw time belongs to, where that is known.
    pub(crate) fn boot_id(&self) -> Option<u128> {
        self.shared.machine.as_dyn().boot_id()
    }

    /// Returns how many stripes there can be; `None` where that is not known.
    pub(crate) fn stripes(&self) -> Option<u32> {
        self.shared.machine.stripes()
    }

    /// Returns the largest epsilon that counts as an interval.
    pub(crate) fn max_error(&self) -> Duration {
        self.shared.policy.max_error
    }

    /// Returns how far true time may run from raw time, in parts per billion.
    pub(crate) fn max_drift_ppb(&self) -> u32 {
        self.shared.policy.max_drift_ppb
    }
}

/// What commit-wait is built on.
impl Clock {
    /// Draws a commit timestamp of at least `least`, above all drawn before and not above `most`.
    ///
    /// If it would be, nothing is drawn.
    #[inline]
    pub(crate) fn draw_commit(
        &self,
        least: Timestamp,
        most: Timestamp,
    ) -> Result<Timestamp, NotDrawn> {
        self.shared.commits.draw(self, least, most)
    }

    /// Draws a commit timestamp above `floor` without the word that commits share; `None` where that is not
    /// possible now.
    #[inline]
    pub(crate) fn draw_commit_at_once(&self, floor: Timestamp) -> Option<Timestamp> {
        self.shared.commits.draw_at_once(self, floor)
    }

    /// Returns after how much raw time, in ns, `instant` is surely past by the claim in force;
    /// `Some(0)` if it is, `None` if it never will be.
    pub(crate) fn raw_until_past(&self, instant: Timestamp) -> Result<Option<u64>, ClockError> {
        self.shared.until_past(instant)
    }

    /// Reads the machine's raw time, in ns.
    pub(crate) fn raw_time(&self) -> i64 {
        self.shared.machine.sample().raw
    }

    /// Sleeps on the machine, once and for a look interval at most: a daemon's next write may make
    /// a wait shorter.
    pub(crate) fn doze(&self, span: Duration) {
        let span = span.min(self.longest_doze());
        self.shared.machine.as_dyn().sleep(span);
    }

    /// Returns the sleeper for waits on this clock.
    pub(crate) fn sleeper(&self) -> Arc<Sleeper> {
        self.shared.sleeper()
    }

    /// Returns for how long a wait may go without looking again.
    pub(crate) fn longest_doze(&self) -> Duration {
        self.shared.policy.look_interval
    }

    /// Makes the sleeps of the calling thread punctual, which has to be one of the crate's own.
    pub(crate) fn sharpen_sleeps(&self) {
        self.shared.machine.as_dyn().sharpen_sleeps();
    }
}
