//! When a server is asked next.

use core::time::Duration;

use super::settings::LONGEST_INTERVAL;
use crate::time::RateBounds;

const SECOND: i64 = 1_000_000_000;

/// How many exchanges a server is asked for at first, and how far apart (chrony's `iburst`).
const BURST: u32 = 4;
const BURST_GAP: i64 = 2 * SECOND;

/// A fleet that starts at once asks somewhere within this span of each other.
const FIRST_WITHIN: i64 = 2 * SECOND;

/// The poll of a RATE kiss is believed up to this, as a power of two of seconds.
const LONGEST_POLL: i8 = 10;

/// After so many losses in a row a name is resolved anew.
pub(super) const LOSSES: u32 = 8;

/// When a server is asked next, in ns of raw time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    due: i64,
    interval: i64,
    shortest: i64,
    burst: u32,
    losses: u32,
}

impl Schedule {
    /// Starts one: another operator's server is asked at a random instant of the next two seconds.
    pub(super) fn new(raw: i64, shortest: Duration, own: bool, random: u64) -> Self {
        let shortest = nanos(shortest);
        let wait = if own { 0 } else { share(FIRST_WITHIN, random) };
        Self {
            due: raw.saturating_add(wait),
            interval: shortest,
            shortest,
            burst: BURST,
            losses: 0,
        }
    }

    pub(super) const fn interval_ns(&self) -> i64 {
        self.interval
    }

    pub(super) const fn losses(&self) -> u32 {
        self.losses
    }

    /// Returns true if the server is to be asked now.
    pub(super) fn is_due(&self, raw: i64) -> bool {
        // Further ahead than it is ever set: noted in another time namespace.
        raw >= self.due || self.due.saturating_sub(raw) > 2 * nanos(LONGEST_INTERVAL)
    }

    /// Asks at once, and four times: the clocks were disturbed, or servers contradict each other.
    pub(super) const fn hurry(&mut self, raw: i64) {
        self.due = raw;
        self.burst = BURST;
    }

    /// Plans on after a request that no token was left for.
    pub(super) fn postpone(&mut self, raw: i64) {
        self.due = raw.saturating_add(BURST_GAP.min(self.interval));
    }

    /// Plans on after a reply that is worth carrying this far: half the width of a fresh claim, the
    /// least of the last eight, and the rates at which it is carried.
    pub(super) fn answered(&mut self, raw: i64, half_width_ns: u64, rate: RateBounds, random: u64) {
        self.losses = 0;
        self.interval = stretched(self.interval, self.shortest, half_width_ns, rate);
        self.plan(raw, random);
    }

    /// Plans on after a reply that is not believed, without asking more often or less.
    pub(super) fn refused(&mut self, raw: i64, random: u64) {
        self.losses = 0;
        self.plan(raw, random);
    }

    /// Plans on after a loss: twice as long with each in a row.
    pub(super) fn lost(&mut self, raw: i64, random: u64) {
        self.losses = self.losses.saturating_add(1);
        let base = self.interval.min(BURST_GAP);
        let wait = base
            .saturating_mul(1 << self.losses.min(10))
            .min(self.interval.max(64 * SECOND))
            .min(nanos(LONGEST_INTERVAL));
        self.due = raw.saturating_add(jittered(wait, random));
    }

    /// Plans on after a RATE kiss: twice as long from now on, and at least as long as it says.
    pub(super) fn slow_down(&mut self, raw: i64, poll: i8, random: u64) {
        let longest = nanos(LONGEST_INTERVAL);
        let told = SECOND << poll.clamp(0, LONGEST_POLL);
        self.losses = 0;
        self.burst = 0;
        self.interval = self.interval.saturating_mul(2).max(told).min(longest);
        self.shortest = self.interval;
        self.plan(raw, random);
    }

    fn plan(&mut self, raw: i64, random: u64) {
        self.burst = self.burst.saturating_sub(1);
        let wait = if self.burst > 0 {
            BURST_GAP.min(self.interval)
        } else {
            jittered(self.interval, random)
        };
        self.due = raw.saturating_add(wait);
    }
}

fn stretched(interval: i64, shortest: i64, half_width_ns: u64, rate: RateBounds) -> i64 {
    // The interval doubles where a claim grows by no more than its own half width over two of the
    // doubled ones' halves, and halves where it grows by more over one. Between the two it stays,
    // and so it does not flap.
    let fastest = i128::from(
        rate.hi_ppb()
            .unsigned_abs()
            .max(rate.lo_ppb().unsigned_abs()),
    );
    let growth = |span: i64| i128::from(span) * fastest / 1_000_000_000;
    let width = i128::from(half_width_ns);
    let longest = nanos(LONGEST_INTERVAL);
    let doubled = interval.saturating_mul(2);
    let next = if growth(doubled) <= width {
        doubled
    } else if growth(interval) > width {
        interval / 2
    } else {
        interval
    };
    next.clamp(shortest.min(longest), longest)
}

fn jittered(span: i64, random: u64) -> i64 {
    let tenth = span / 10;
    span.saturating_sub(tenth)
        .saturating_add(share(tenth.saturating_mul(2), random))
}

fn share(span: i64, random: u64) -> i64 {
    let share = (u128::from(span.unsigned_abs()) * u128::from(random)) >> 64;
    i64::try_from(share).unwrap_or(0)
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn settled(half_width_ns: u64, ppb: u32) -> i64 {
        let rate = RateBounds::symmetric(ppb);
        let mut interval = 64 * SECOND;
        for _ in 0..20 {
            interval = stretched(interval, 64 * SECOND, half_width_ns, rate);
        }
        // It does not flap.
        assert_eq!(
            stretched(interval, 64 * SECOND, half_width_ns, rate),
            interval
        );
        interval / SECOND
    }

    #[test]
    fn the_interval_follows_from_what_was_learned() {
        assert_eq!(settled(12 * MS, 200_000), 64);
        assert_eq!(settled(12 * MS, 7_000), 1_024);
        assert_eq!(settled(MS, 7_000), 128);
    }

    #[test]
    fn four_requests_and_then_one_an_interval() {
        let rate = RateBounds::symmetric(200_000);
        let mut schedule = Schedule::new(0, Duration::from_secs(64), false, u64::MAX);
        assert!(!schedule.is_due(0) && schedule.is_due(FIRST_WITHIN));
        let mut raw = FIRST_WITHIN;
        let mut asked = vec![];
        while raw < 200 * SECOND {
            if schedule.is_due(raw) {
                asked.push(raw / SECOND);
                schedule.answered(raw, 12 * MS, rate, u64::MAX / 2);
            }
            raw += SECOND;
        }
        assert_eq!(asked, [2, 4, 6, 8, 72, 136]);
    }

    #[test]
    fn a_kiss_slows_down_for_good_and_never_beyond_1024_s() {
        let rate = RateBounds::symmetric(200_000);
        let mut schedule = Schedule::new(0, Duration::from_secs(64), false, 0);
        schedule.slow_down(0, 0, 0);
        assert_eq!(schedule.interval_ns(), 128 * SECOND);
        schedule.slow_down(0, i8::MAX, 0);
        assert_eq!(schedule.interval_ns(), 1_024 * SECOND);
        schedule.slow_down(0, i8::MIN, 0);
        schedule.answered(0, 0, rate, 0);
        assert_eq!(schedule.interval_ns(), 1_024 * SECOND);
    }

    #[test]
    fn losses_back_off_and_end() {
        let mut schedule = Schedule::new(0, Duration::from_secs(64), false, 0);
        for _ in 0..100 {
            schedule.lost(0, u64::MAX);
            assert!(!schedule.is_due(0) && schedule.is_due(1_200 * SECOND));
        }
    }
}
