//! How a wait spends its time: asleep, and spinning at the very end or not.

use core::time::Duration;

/// How a wait spends its time: asleep, and then reading the clock over and over for a last stretch,
/// or asleep to the end.
///
/// A sleep ends late. Linux lets an ordinary thread wake up to 50 µs after the instant it asked for
/// (its timer slack), and waking takes as long again: 70 to 100 µs in all. The default sleeps until
/// 140 µs before the end and spins for the rest, which is then some 40 to 70 µs: that makes the
/// overshoot less than a microsecond. Whatever the strategy, no wait spins for more than 150 µs in
/// all. The thread's timer slack is left as it is; a thread that sets it to 1 ns
/// (`PR_SET_TIMERSLACK`) does well with half the stretch.
///
/// Sleeps run on monotonic time. While the time daemon slews that, a long one ends late or early by
/// as much: early is slept again, late is overshoot.
///
/// ```
/// use epsilon_clock::commit::WaitStrategy;
/// use std::time::Duration;
///
/// assert_eq!(WaitStrategy::default().stretch(), Duration::from_micros(140));
/// assert_eq!(WaitStrategy::SLEEP.stretch(), Duration::ZERO);
/// let long = WaitStrategy::sleep_then_spin(Duration::from_secs(1));
/// assert_eq!(long.stretch(), Duration::from_micros(150)); // no wait spins for longer
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitStrategy {
    stretch_ns: u64,
}

impl WaitStrategy {
    /// The most that one wait spins, in ns.
    pub(super) const MOST_SPINNING_NS: u64 = 150_000;

    /// Sleep and never spin: for machines with more threads than cores, or none to spare.
    pub const SLEEP: Self = Self { stretch_ns: 0 };

    /// Sleep, then spin for the last 140 µs at most.
    pub const DEFAULT: Self = Self {
        stretch_ns: 140_000,
    };

    /// What the thread of a [`CommitGroup`](crate::CommitGroup) does: it has no timer slack, so it
    /// is awake sooner.
    pub(super) const GROUP: Self = Self { stretch_ns: 70_000 };

    /// Sleeps, then spins for the last `stretch`, at most 150 µs.
    #[must_use]
    pub const fn sleep_then_spin(stretch: Duration) -> Self {
        // Cut, not refused: a stretch is a wish, and no wait may burn a core for longer than the
        // latest that an ordinary sleep ends.
        let nanos = stretch.as_nanos();
        let most = Self::MOST_SPINNING_NS;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "what would not fit was cut"
        )]
        let stretch_ns = if nanos > most as u128 {
            most
        } else {
            nanos as u64
        };
        Self { stretch_ns }
    }

    /// Returns how long before the end it spins.
    #[must_use]
    pub const fn stretch(self) -> Duration {
        Duration::from_nanos(self.stretch_ns)
    }

    pub(super) const fn stretch_ns(self) -> u64 {
        self.stretch_ns
    }
}

impl Default for WaitStrategy {
    fn default() -> Self {
        Self::DEFAULT
    }
}
