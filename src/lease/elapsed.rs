//! Elapsed time with two answers: one for who waits, one for who holds.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::ops::{Add, Sub};
use core::time::Duration;

use thiserror::Error;

use super::anchor::Anchor;
use crate::clock::Clock;

const BILLION: u128 = 1_000_000_000;

/// A sum that lies outside the range; after all instants, and at no known distance from any.
const NOWHERE: i64 = i64::MAX;

/// What is taken off a holder's time beside the rates: two readings and a rounding.
const HOLDER_MARGIN: Duration = Duration::from_micros(2);

/// An instant of this machine's raw time, for counting how much true time went by.
///
/// Raw time is neither stepped nor slewed, runs within `max_drift` of true time, and stands still
/// while the machine sleeps. How much went by has therefore two answers:
/// [`at_least_since`](Self::at_least_since) for a caller that waits, and
/// [`at_most_since`](Self::at_most_since) for one that holds.
///
/// Instants compare, add and subtract as a waiter needs it: `now >= start + d` is true only if at
/// least `d` of true time went by. They mean nothing in another process or on another machine.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::ElapsedInstant;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let start = ElapsedInstant::now(&clock);
/// std::thread::sleep(Duration::from_millis(20));
/// let now = ElapsedInstant::now(&clock);
/// assert!(now >= start + Duration::from_millis(19));
/// assert!(now.at_least_since(start) <= now.at_most_since(start)?);
/// # Ok(())
/// # }
/// ```
///
/// # Under an engine that wants an instant
///
/// Where one point stands for both roles, as in openraft's `Instant` trait, this is the waiter's:
/// it never counts too much. What a leader may hold by it for a lease of `d` is
/// [`longest_hold`](Self::longest_hold). That takes the slew out of a lease read by elapsed time. It does
/// not carry a promise over a restart, nor over a sleep.
#[derive(Clone, Copy, Debug)]
pub struct ElapsedInstant {
    raw: i64,
    /// What would show a sleep since; `None` where the clocks could not be compared sharply.
    anchor: Option<Anchor>,
    max_drift_ppb: u32,
}

/// Why nothing bounds from above how much time went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotBounded {
    /// The machine slept, or a pause was told of, between the instants.
    #[error("the machine slept in between, which raw time does not count: begin anew")]
    Slept,
    /// The clocks were not compared sharply enough at one of them to rule a sleep out.
    #[error("an interruption hid whether the machine slept: read the later instant again")]
    Interrupted,
    /// One is a sum outside the range, or the order of the two is the other one.
    #[error("the instants are out of range or out of order: no span lies between them")]
    OutOfRange,
}

impl ElapsedInstant {
    /// Reads the instant; it never fails and never runs backwards.
    #[must_use]
    pub fn now(clock: &Clock) -> Self {
        let anchor = Anchor::drop_now(clock).ok();
        Self {
            raw: anchor.map_or_else(|| clock.raw_time(), |anchor| anchor.raw),
            anchor,
            max_drift_ppb: clock.max_drift_ppb(),
        }
    }

    /// Returns how much true time went by since `earlier`, at least: for a caller that waits.
    ///
    /// Raw time less the rate, rounded down. Sleep does not count: what a kernel says of it may be
    /// a second off. Zero if `earlier` is not earlier.
    #[must_use]
    pub fn at_least_since(self, earlier: Self) -> Duration {
        if self.raw == NOWHERE || earlier.raw == NOWHERE {
            return Duration::ZERO;
        }
        let elapsed = self.raw.saturating_sub(earlier.raw).max(0).unsigned_abs();
        let slowest = BILLION.saturating_sub(self.drift_against(earlier));
        // Less than `elapsed`, so it fits.
        let surely = u128::from(elapsed) * slowest / BILLION;
        Duration::from_nanos(u64::try_from(surely).unwrap_or(elapsed))
    }

    /// Returns how much true time went by since `earlier`, at most: for a caller that holds.
    ///
    /// Raw time and the rate, rounded up.
    ///
    /// # Errors
    ///
    /// [`NotBounded`]: any sleep ends what is held.
    pub fn at_most_since(self, earlier: Self) -> Result<Duration, NotBounded> {
        if self.raw == NOWHERE || earlier.raw == NOWHERE || self.raw < earlier.raw {
            return Err(NotBounded::OutOfRange);
        }
        let (Some(before), Some(after)) = (earlier.anchor, self.anchor) else {
            return Err(NotBounded::Interrupted);
        };
        if before.slept_until(&after) {
            return Err(NotBounded::Slept);
        }
        let elapsed = self.raw.abs_diff(earlier.raw);
        let fastest = BILLION + self.drift_against(earlier);
        let at_most = (u128::from(elapsed) * fastest).div_ceil(BILLION);
        let at_most = u64::try_from(at_most).map_err(|_| NotBounded::OutOfRange)?;
        Ok(Duration::from_nanos(at_most))
    }

    /// Returns the sum, or `None` where it leaves the range.
    ///
    /// The span is made longer by the rate, so that reaching the sum means that at least `span` of
    /// true time went by.
    #[must_use]
    pub fn checked_add(self, span: Duration) -> Option<Self> {
        let raw = self.raw.checked_add(self.raw_span(span)?)?;
        // From nowhere no span but zero is in range, and that one leads nowhere.
        (raw != NOWHERE).then_some(Self { raw, ..self })
    }

    /// Returns the difference, or `None` where it leaves the range.
    ///
    /// The span is made longer by the rate, as in [`checked_add`](Self::checked_add).
    #[must_use]
    pub fn checked_sub(self, span: Duration) -> Option<Self> {
        let raw = self.raw.checked_sub(self.raw_span(span)?)?;
        (self.raw != NOWHERE).then_some(Self { raw, ..self })
    }

    /// Returns for how long a leader may hold by elapsed time what its followers wait `span` for.
    ///
    /// `span × (1 − ρ) / (1 + ρ)` less 2 µs, with each side off by `max_drift_ppb`. It is the figure for
    /// openraft's `max_quorum_ack_age` on machines that never sleep.
    ///
    /// ```
    /// # use epsilon_clock::lease::ElapsedInstant;
    /// # use std::time::Duration;
    /// let held = ElapsedInstant::longest_hold(Duration::from_secs(4), 200_000);
    /// assert_eq!(held, Duration::from_nanos(3_998_398_319));
    /// ```
    #[must_use]
    pub fn longest_hold(span: Duration, max_drift_ppb: u32) -> Duration {
        let drift = u128::from(max_drift_ppb);
        let (slow, fast) = (BILLION.saturating_sub(drift), BILLION + drift);
        let nanos = span.as_nanos().saturating_mul(slow) / fast;
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos).saturating_sub(HOLDER_MARGIN)
    }

    fn drift_against(self, other: Self) -> u128 {
        self.max_drift_ppb.max(other.max_drift_ppb).into()
    }

    /// Returns the raw ns after which surely `span` of true time went by.
    fn raw_span(self, span: Duration) -> Option<i64> {
        let slowest = BILLION.checked_sub(u128::from(self.max_drift_ppb))?;
        if slowest == 0 {
            return None;
        }
        let raw = span.as_nanos().checked_mul(BILLION)?.div_ceil(slowest);
        i64::try_from(raw).ok()
    }

    fn or_nowhere(self, sum: Option<Self>) -> Self {
        debug_assert!(
            sum.is_some(),
            "an instant plus or minus a span left the range"
        );
        sum.unwrap_or_else(|| self.nowhere())
    }

    fn nowhere(self) -> Self {
        // To saturate would be to say that so much went by when it did not, or will never.
        Self {
            raw: NOWHERE,
            ..self
        }
    }
}

/// As [`ElapsedInstant::checked_add`]. A sum outside the range is a panic where debug assertions are on;
/// elsewhere it is an instant that is never reached and bounds nothing.
impl Add<Duration> for ElapsedInstant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        self.or_nowhere(self.checked_add(span))
    }
}

/// As [`ElapsedInstant::checked_sub`], and out of range as the sum.
impl Sub<Duration> for ElapsedInstant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        self.or_nowhere(self.checked_sub(span))
    }
}

/// As [`ElapsedInstant::at_least_since`].
impl Sub for ElapsedInstant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.at_least_since(earlier)
    }
}

/// By raw time.
impl Ord for ElapsedInstant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl PartialOrd for ElapsedInstant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ElapsedInstant {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for ElapsedInstant {}

impl Hash for ElapsedInstant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn nanos(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    fn at(raw: i64) -> ElapsedInstant {
        ElapsedInstant {
            raw,
            anchor: None,
            max_drift_ppb: 0,
        }
    }

    #[test]
    fn a_sum_is_in_range_up_to_the_instant_before_nowhere() {
        let start = at(NOWHERE - 10);
        assert_eq!(start.checked_add(nanos(9)), Some(at(NOWHERE - 1)));
        assert_eq!(start.checked_add(nanos(10)), None);
        assert_eq!(start.checked_add(nanos(11)), None);
    }

    #[test]
    fn nowhere_is_after_all_instants_and_at_no_known_distance_from_any() {
        let here = at(7);
        let nowhere = here.nowhere();
        assert!(nowhere > here && nowhere > at(NOWHERE - 1));
        for (later, earlier) in [(nowhere, here), (here, nowhere), (nowhere, nowhere)] {
            assert_eq!(later.at_least_since(earlier), Duration::ZERO);
            assert_eq!(later.at_most_since(earlier), Err(NotBounded::OutOfRange));
        }
        for span in [Duration::ZERO, nanos(1)] {
            assert_eq!(nowhere.checked_add(span), None);
            assert_eq!(nowhere.checked_sub(span), None);
        }
    }
}
