//! The books of a campaign: what was read, how true and how tight it was.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::checker::{Law, Violation};
use crate::histogram::Histogram;
use epsilon_clock::time::Interval;

/// The ages at which claims in holdover are looked at: half of the learning window, all of it, and
/// the default `max_age`.
const AGES: [Duration; 3] = [
    Duration::from_secs(1_000),
    Duration::from_secs(2_000),
    Duration::from_secs(3_600),
];

/// A claim counts as one of such an age when it is at most so much younger.
const AGE_TOLERANCE: Duration = Duration::from_secs(60);

/// What readings in holdover came to, at one age.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdover {
    epsilon: Histogram,
    kernel: Histogram,
}

/// What came of the readings of one scenario, over any number of seeds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(crate) runs: u64,
    pub(crate) readings: u64,
    pub(crate) answered: u64,
    pub(crate) near: u64,
    /// Readings in the moment between a second that was left out and the daemon's step over it.
    pub(crate) unknowable: u64,
    pub(crate) broken: [u64; Law::ALL.len()],
    pub(crate) peak_ppm: u64,
    pub(crate) epsilon: Histogram,
    /// Of readings under a daemon that vouches, at the same instants as the kernel's.
    pub(crate) epsilon_beside: Histogram,
    pub(crate) kernel_epsilon: Histogram,
    /// Epsilon and the kernel's `maxerror` so long after the last write.
    pub(crate) holdover: [Holdover; AGES.len()],
    pub(crate) growth: Histogram,
    pub(crate) kernel_growth: Histogram,
    pub(crate) elapsed_ns: u128,
    pub(crate) refused_ns: u128,
    pub(crate) healthy_ns: u128,
    pub(crate) refused_healthy_ns: u128,
    pub(crate) reasons: BTreeMap<&'static str, u128>,
    pub(crate) noticed: u64,
    pub(crate) short_writes: u64,
    pub(crate) writes: u64,
    pub(crate) first: Option<Box<Violation>>,
}

impl Tally {
    /// Adds the books of another run or scenario.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.readings += other.readings;
        self.answered += other.answered;
        self.near += other.near;
        self.unknowable += other.unknowable;
        for (mine, theirs) in self.broken.iter_mut().zip(other.broken) {
            *mine += theirs;
        }
        self.peak_ppm = self.peak_ppm.max(other.peak_ppm);
        self.epsilon.merge(&other.epsilon);
        self.epsilon_beside.merge(&other.epsilon_beside);
        self.kernel_epsilon.merge(&other.kernel_epsilon);
        for (mine, theirs) in self.holdover.iter_mut().zip(&other.holdover) {
            mine.epsilon.merge(&theirs.epsilon);
            mine.kernel.merge(&theirs.kernel);
        }
        self.growth.merge(&other.growth);
        self.kernel_growth.merge(&other.kernel_growth);
        self.elapsed_ns += other.elapsed_ns;
        self.refused_ns += other.refused_ns;
        self.healthy_ns += other.healthy_ns;
        self.refused_healthy_ns += other.refused_healthy_ns;
        for (reason, ns) in &other.reasons {
            *self.reasons.entry(reason).or_default() += ns;
        }
        self.noticed += other.noticed;
        self.short_writes += other.short_writes;
        self.writes += other.writes;
        if self.first.is_none() {
            self.first.clone_from(&other.first);
        }
    }

    /// Counts an interval, with true time at its call and at its return.
    pub(crate) fn measure(&mut self, interval: &Interval, called: i64, returned: i64) {
        let epsilon = epsilon_ns(interval);
        self.epsilon.add(epsilon);
        let middle = interval.midpoint().unix_nanos();
        let error = if middle > returned {
            middle.abs_diff(returned)
        } else {
            called.saturating_sub(middle).max(0).unsigned_abs()
        };
        let ratio = u128::from(error) * 1_000_000 / u128::from(epsilon.max(1));
        self.peak_ppm = self.peak_ppm.max(u64::try_from(ratio).unwrap_or(u64::MAX));
    }

    /// Counts a reading whose claim is `age` old.
    pub(crate) fn held_over(&mut self, age: Duration, interval: &Interval, maxerror_ns: u64) {
        for (holdover, at) in self.holdover.iter_mut().zip(AGES) {
            if age <= at && at - age < AGE_TOLERANCE {
                holdover.epsilon.add(epsilon_ns(interval));
                holdover.kernel.add(maxerror_ns);
            }
        }
    }

    pub(crate) fn grew(&mut self, epsilon_ns: u64, maxerror_ns: u64) {
        self.growth.add(epsilon_ns);
        self.kernel_growth.add(maxerror_ns);
    }

    /// Counts the runs, each with a seed of its own.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.runs
    }

    /// Counts the readings that were checked.
    #[must_use]
    pub const fn readings(&self) -> u64 {
        self.readings
    }

    /// Counts those of them that were intervals, not errors.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Counts the readings within 20 ms of a fault or a write, before or after it.
    #[must_use]
    pub const fn near(&self) -> u64 {
        self.near
    }

    /// Counts the readings, unchecked, between a second that was left out and the daemon's step over it.
    #[must_use]
    pub const fn unknowable(&self) -> u64 {
        self.unknowable
    }

    /// Counts the readings that broke this law.
    #[must_use]
    pub fn broken(&self, law: Law) -> u64 {
        Law::ALL
            .iter()
            .zip(self.broken)
            .find_map(|(each, count)| (*each == law).then_some(count))
            .unwrap_or(0)
    }

    /// Counts the violations of any law.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.broken.iter().sum()
    }

    /// Returns the largest distance of truth from an interval's middle, in millionths of half its
    /// width: a million is where it begins to be false.
    #[must_use]
    pub const fn peak_ppm(&self) -> u64 {
        self.peak_ppm
    }

    /// Returns the epsilon that so many in a thousand readings did not exceed.
    #[must_use]
    pub fn epsilon(&self, per_thousand: u64) -> Option<Duration> {
        quantile(&self.epsilon, per_thousand)
    }

    /// Returns the median of epsilon's growth since its sync, over synchronised readings.
    #[must_use]
    pub fn growth(&self) -> Option<Duration> {
        quantile(&self.growth, 500)
    }

    /// Returns the median of `maxerror`'s growth since its write, at the instants of `growth`.
    #[must_use]
    pub fn kernel_growth(&self) -> Option<Duration> {
        quantile(&self.kernel_growth, 500)
    }

    /// Returns the median epsilon of readings under a daemon that vouched for the clock.
    #[must_use]
    pub fn synchronized_epsilon(&self) -> Option<Duration> {
        quantile(&self.epsilon_beside, 500)
    }

    /// Returns the median of the kernel's `maxerror` at the instants of `synchronized_epsilon`.
    #[must_use]
    pub fn kernel_epsilon(&self) -> Option<Duration> {
        quantile(&self.kernel_epsilon, 500)
    }

    /// Returns ages of claims with the medians of epsilon and of the kernel's `maxerror` then: after
    /// half a learning window without a write, after one, and after as many as `max_age` allows.
    pub fn holdover(&self) -> impl Iterator<Item = (Duration, Duration, Duration)> {
        self.holdover
            .iter()
            .zip(AGES)
            .filter_map(|(holdover, age)| {
                let epsilon = quantile(&holdover.epsilon, 500)?;
                Some((age, epsilon, quantile(&holdover.kernel, 500)?))
            })
    }

    /// Returns the share of healthy time refused, in millionths: a daemon was healthy, had written
    /// once, and no claim was void.
    ///
    /// What counts as healthy is narrow, and worth knowing before the figure is quoted. The daemon is
    /// honest and was neither killed, frozen nor cut off from its readers since its last write but
    /// one; that write was of less than 250 ms, half of the default `max_error`. The clock saw it
    /// come: it had been built, and after a sleep been read, before the write, and 300 ms have
    /// passed since, a look's interval and a bit. A machine that slept within two minutes of a leap
    /// second does not count. [`refused_ppm`](Self::refused_ppm) leaves nothing out.
    #[must_use]
    pub fn refused_healthy_ppm(&self) -> u64 {
        share(self.refused_healthy_ns, self.healthy_ns)
    }

    /// Returns the share of all time refused, in millionths.
    #[must_use]
    pub fn refused_ppm(&self) -> u64 {
        share(self.refused_ns, self.elapsed_ns)
    }

    /// Returns why healthy time was refused, each reason with its share of it in millionths.
    pub fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.reasons
            .iter()
            .map(|(reason, ns)| (*reason, share(*ns, self.healthy_ns)))
    }

    /// Counts how often a clock began to report a contradiction: it noticed a false assumption.
    #[must_use]
    pub const fn noticed(&self) -> u64 {
        self.noticed
    }

    /// Counts how often an honest daemon wrote less than A2 allows: must be 0, or the world lies.
    #[must_use]
    pub const fn short_writes(&self) -> u64 {
        self.short_writes
    }

    /// Counts the bounds that were written.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Returns the first violation.
    #[must_use]
    pub fn first(&self) -> Option<&Violation> {
        self.first.as_deref()
    }
}

pub(crate) fn epsilon_ns(interval: &Interval) -> u64 {
    u64::try_from(interval.epsilon().as_nanos()).unwrap_or(u64::MAX)
}

fn quantile(histogram: &Histogram, per_thousand: u64) -> Option<Duration> {
    if histogram.is_empty() {
        return None;
    }
    Some(Duration::from_nanos(histogram.quantile(per_thousand)))
}

fn share(part: u128, whole: u128) -> u64 {
    u64::try_from(part * 1_000_000 / whole.max(1)).unwrap_or(u64::MAX)
}
