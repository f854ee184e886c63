//! Pauses: how a process learns that it was stopped.

use core::fmt;
use core::time::Duration;

use crate::clock::{Clock, SUSPEND_RESOLUTION};
use crate::machine::{OffsetRange, Sandwich};

/// What a kernel may be wrong by when it says how long it slept: a battery clock counts whole
/// seconds, and may be read at either end of one.
const BATTERY_CLOCK: Duration = Duration::from_secs(1);

const BILLION: u128 = 1_000_000_000;

/// Tells a process that it did not run, and for how long.
///
/// At least for so long; and whether the machine slept.
///
/// Let the part that has to make progress (an event loop, a heartbeat) call [`beat`](Self::beat) at least
/// every `interval`. What went by beyond that, by raw time, was a pause: a stopped or starved
/// process, a page that had to come back from disk, a collector's stop, a virtual machine that did
/// not run. Raw time stands still while the machine sleeps; boot time tells that. Neither is moved
/// by setting the clock.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::PauseDetector;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut detector = PauseDetector::new(&Clock::system()?, Duration::from_millis(10));
/// std::thread::sleep(Duration::from_millis(30)); // work that took too long
/// let pause = detector.beat().ok_or("no pause")?;
/// assert!(pause.at_least() >= Duration::from_millis(19));
/// assert!(!pause.slept());
/// # Ok(())
/// # }
/// ```
///
/// # What it cannot do
///
/// It tells afterwards, and only a caller that asks. A pause between a check and an act is over when the
/// act goes out, and `beat` is called after it: no clock closes that gap, a
/// [`Fence`](crate::Fence) does. Nor can it tell being stopped from being busy, or see a pause that
/// the kernel itself does not see (A3).
#[derive(Debug)]
pub struct PauseDetector {
    clock: Clock,
    interval: Duration,
    last: Beat,
}

/// A beat: raw time, and how far boot time was ahead of monotonic time.
#[derive(Clone, Copy, Debug)]
struct Beat {
    raw: i64,
    boot_offset: OffsetRange,
}

impl From<&Sandwich> for Beat {
    fn from(clocks: &Sandwich) -> Self {
        Self {
            raw: clocks.raw,
            boot_offset: clocks.boot_offset(),
        }
    }
}

/// A stretch in which a process did not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "what was decided before the pause may not hold any more"]
pub struct Pause {
    ran_late: Duration,
    asleep: Duration,
}

impl PauseDetector {
    /// Creates a detector that expects a beat at least every `interval`.
    ///
    /// Beginning now.
    ///
    /// It reads the clocks of the clock's machine and needs no interval from it.
    #[must_use]
    pub fn new(clock: &Clock, interval: Duration) -> Self {
        Self {
            interval,
            last: Beat::from(&clock.clocks()),
            clock: clock.clone(),
        }
    }

    /// Notes progress, and returns the pause since the last beat, if any.
    ///
    /// Five clock reads without a syscall, about a tenth of a microsecond.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::PauseDetector;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let mut detector = PauseDetector::new(&Clock::system()?, Duration::from_secs(5));
    /// assert_eq!(detector.beat(), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a pause that goes unheard was detected in vain"]
    pub fn beat(&mut self) -> Option<Pause> {
        let clocks = self.clock.clocks();
        let pause = Pause {
            ran_late: self.late(self.last.raw, clocks.raw),
            asleep: asleep(&self.last, &clocks),
        };
        // Raw time counts from beat to beat: what was reported once is not reported again.
        self.last.raw = clocks.raw;
        // A comparison that was interrupted may hide a suspend from the next one.
        if pause.slept() || self.clock.is_sharp(&clocks) {
            self.last.boot_offset = clocks.boot_offset();
        }
        (pause.slept() || !pause.ran_late.is_zero()).then_some(pause)
    }

    fn late(&self, from: i64, to: i64) -> Duration {
        // Raw time that ran backwards is another machine's: no pause can be told from it.
        let elapsed = to.saturating_sub(from).max(0).unsigned_abs();
        // True time may run that much slower than raw time, and a pause is to be sure.
        let slowest = BILLION.saturating_sub(self.clock.max_drift_ppb().into());
        let surely = u128::from(elapsed) * slowest / BILLION;
        let surely = Duration::from_nanos(u64::try_from(surely).unwrap_or(elapsed));
        surely.saturating_sub(self.interval)
    }
}

fn asleep(last: &Beat, clocks: &Sandwich) -> Duration {
    let jumped = last.boot_offset.moved_to(&clocks.boot_offset());
    // Below that it is rounding: a suspend takes milliseconds at least (A3).
    if jumped <= SUSPEND_RESOLUTION {
        return Duration::ZERO;
    }
    Duration::from_nanos(jumped.unsigned_abs())
}

impl Pause {
    /// Returns how long it surely lasted, at least.
    ///
    /// Beyond the interval in which a beat was expected, that is.
    ///
    /// Of the time that the machine slept one second is left out, by which a kernel may be wrong
    /// that knows it from a battery clock.
    #[must_use]
    pub const fn at_least(&self) -> Duration {
        self.ran_late
            // A kernel may know how long it slept from a battery clock, which counts whole seconds.
            .saturating_add(self.asleep.saturating_sub(BATTERY_CLOCK))
    }

    /// Returns true if the machine slept in it, says its kernel.
    #[must_use]
    pub const fn slept(&self) -> bool {
        !self.asleep.is_zero()
    }

    /// Returns how long the machine slept, as its kernel says.
    ///
    /// To a second, where a battery clock told it.
    #[must_use]
    pub const fn asleep(&self) -> Duration {
        self.asleep
    }

    /// Returns how late the beat was by raw time, at least.
    ///
    /// Sleep does not count.
    #[must_use]
    pub const fn ran_late(&self) -> Duration {
        self.ran_late
    }
}

/// `stopped for at least 4.2s`, or `stopped for at least 59s, machine asleep for 60s of it`.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped for at least {:?}", self.at_least())?;
        if self.slept() {
            write!(f, ", machine asleep for {:?} of it", self.asleep)?;
        }
        Ok(())
    }
}
