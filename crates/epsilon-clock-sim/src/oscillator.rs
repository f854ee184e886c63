//! The oscillator that drives a machine's counter, and how it errs.

use core::time::Duration;

use crate::random::Random;

/// How a node's oscillator errs: a constant, the temperature, and a walk of its own.
///
/// All rates are *true seconds per raw second* less one, in parts per billion, as in assumption A1:
/// a positive rate is an oscillator that runs slow. The sum is kept within ±`limit_ppb`, so that
/// A1 holds exactly where `limit_ppb` is the clock's `max_drift_ppb`.
///
/// ```
/// use epsilon_clock_sim::Oscillator;
///
/// let steady = Oscillator::steady(50_000); // 50 ppm slow, and nothing else
/// assert_eq!(steady.limit_ppb, 200_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oscillator {
    /// The error it was made with, in ppb.
    pub constant_ppb: i64,
    /// How far the temperature's daily (or air conditioner's) cycle moves it either way, in ppb.
    pub sine_ppb: i64,
    /// How long that cycle takes.
    pub sine_period: Duration,
    /// How far a machine that warms up moves it each hour, in ppb.
    pub ramp_ppb_per_hour: i64,
    /// The most that it wanders by itself each second, either way, in ppb.
    pub walk_ppb: i64,
    /// What the sum never leaves, either way, in ppb.
    pub limit_ppb: i64,
}

impl Oscillator {
    /// One with a constant error only, and the default limit of 200 ppm.
    #[must_use]
    pub const fn steady(constant_ppb: i64) -> Self {
        Self {
            constant_ppb,
            sine_ppb: 0,
            sine_period: Duration::from_secs(3600),
            ramp_ppb_per_hour: 0,
            walk_ppb: 0,
            limit_ppb: 200_000,
        }
    }

    /// A server's: some constant error, a little of everything else.
    #[must_use]
    pub fn ordinary(random: &mut Random) -> Self {
        Self {
            constant_ppb: random.between(-60_000, 60_000),
            sine_ppb: random.between(0, 2_000),
            sine_period: Duration::from_secs(random.between(600, 7200).unsigned_abs()),
            ramp_ppb_per_hour: random.between(-1_000, 1_000),
            walk_ppb: random.between(0, 20),
            limit_ppb: 200_000,
        }
    }
}

impl Default for Oscillator {
    /// A perfect one.
    fn default() -> Self {
        Self::steady(0)
    }
}

/// An oscillator at work.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) config: Oscillator,
    walked_ppb: i64,
}

impl Running {
    pub(crate) const fn new(config: Oscillator) -> Self {
        Self {
            config,
            walked_ppb: 0,
        }
    }

    /// The rate, in ppb, for the second or so from true instant `now` on.
    pub(crate) fn next_rate_ppb(&mut self, now: i64, random: &mut Random) -> i64 {
        let Oscillator {
            constant_ppb,
            sine_ppb,
            ramp_ppb_per_hour,
            walk_ppb,
            limit_ppb,
            ..
        } = self.config;
        if walk_ppb > 0 {
            self.walked_ppb += random.between(-walk_ppb, walk_ppb + 1);
        }
        let period = i64::try_from(self.config.sine_period.as_nanos()).unwrap_or(i64::MAX);
        let sine = sine_ppb * sine_ppm(now, period) / 1_000_000;
        let ramp = i128::from(ramp_ppb_per_hour) * i128::from(now) / 3_600_000_000_000;
        let ramp = i64::try_from(ramp).unwrap_or(0);
        let limit = limit_ppb.max(0);
        (constant_ppb + sine + ramp + self.walked_ppb).clamp(-limit, limit)
    }
}

/// The sine of a phase in millionths, to two parts in a thousand: Bhaskara's approximation, which
/// is the same on every platform.
fn sine_ppm(now: i64, period: i64) -> i64 {
    if period <= 0 {
        return 0;
    }
    let phase = i128::from(now.rem_euclid(period)) * 360_000 / i128::from(period);
    let (degrees, sign) = if phase < 180_000 {
        (phase, 1)
    } else {
        (phase - 180_000, -1)
    };
    let product = degrees * (180_000 - degrees);
    let sine = 4 * product * 1_000_000 / (40_500_000_000 - product);
    sign * i64::try_from(sine).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_goes_up_and_down_again() {
        assert_eq!(
            [0, 25, 50, 75, 100].map(|t| sine_ppm(t, 100)),
            [0, 1_000_000, 0, -1_000_000, 0]
        );
        assert!((sine_ppm(30, 360) - 500_000).abs() < 2_000);
    }

    #[test]
    fn rate_never_leaves_its_limit() {
        let wild = Oscillator {
            constant_ppb: 150_000,
            sine_ppb: 100_000,
            ramp_ppb_per_hour: 50_000,
            walk_ppb: 5_000,
            ..Oscillator::steady(0)
        };
        let mut random = Random::new(4);
        let mut running = Running::new(wild);
        let rates: Vec<i64> = (0..10_000)
            .map(|s| running.next_rate_ppb(s * 1_000_000_000, &mut random))
            .collect();
        assert!(rates.iter().all(|rate| rate.abs() <= 200_000));
        assert!(rates.contains(&200_000));
    }
}
