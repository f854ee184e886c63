//! Chance that can be repeated: a small generator of pseudo-random numbers.

/// A generator of pseudo-random numbers: the same seed gives the same sequence on every platform.
///
/// It uses integers only, so that a failing run replays exactly on another machine. The sequence is
/// a Weyl counter put through a mixing function (the construction known as `SplitMix64`): good
/// enough for a simulation, and for nothing that has to be secret.
///
/// ```
/// use epsilon_clock_sim::Random;
///
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!(one.next_u64(), other.next_u64());
/// assert!((10..20).contains(&one.between(10, 20)));
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    counter: u64,
}

impl Random {
    /// The generator that this seed starts.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { counter: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.counter)
    }

    /// A number from `lo` up to, but not including, `hi`; `lo` where there is none.
    pub fn between(&mut self, lo: i64, hi: i64) -> i64 {
        let Ok(width @ 1..) = u64::try_from(i128::from(hi) - i128::from(lo)) else {
            return lo;
        };
        let scaled = (u128::from(self.next_u64()) * u128::from(width)) >> 64;
        lo.wrapping_add_unsigned(u64::try_from(scaled).unwrap_or(0))
    }

    /// A number around `mean`, which must not be negative, with a long tail: roughly exponential.
    pub fn tailed(&mut self, mean: i64) -> i64 {
        let bits = self.next_u64() | 1;
        let whole = i128::from(bits.leading_zeros());
        // The bits after the leading one, read as a fraction: between two powers of two a straight
        // line will do for the logarithm.
        let fraction = i128::from((bits << bits.leading_zeros()) << 1 >> 32);
        let halvings = ((whole + 1) << 32) - fraction;
        // ln 2 in parts per million turns halvings into e-foldings.
        let scaled = i128::from(mean) * halvings * 693_147 / 1_000_000;
        i64::try_from(scaled >> 32).unwrap_or(i64::MAX)
    }

    /// A number from `lo`, at least 1, to below `hi`, each order of magnitude as likely as the next.
    pub fn scattered(&mut self, lo: i64, hi: i64) -> i64 {
        let lo = lo.max(1);
        if hi <= lo {
            return lo;
        }
        let doublings = (hi / lo).checked_ilog2().unwrap_or(0);
        let base = lo << self.between(0, i64::from(doublings) + 1);
        self.between(base, base.saturating_mul(2).min(hi).max(base + 1))
    }

    /// Whether something happens that does so this many times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.between(0, 1_000_000) < i64::from(per_million)
    }
}

/// Mixes a counter's bits until none resembles another: David Stafford's thirteenth variant.
pub(crate) const fn mix(counter: u64) -> u64 {
    let z = (counter ^ (counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_stay_in_their_range_and_reach_both_halves() {
        let mut random = Random::new(1);
        let drawn: Vec<i64> = (0..1000).map(|_| random.between(-5, 5)).collect();
        assert!(drawn.iter().all(|n| (-5..5).contains(n)));
        assert!((-5..5).all(|n| drawn.contains(&n)));
        assert_eq!(random.between(3, 3), 3);
        assert_eq!(random.between(3, -3), 3);
        assert!((0..100).all(|_| random.between(i64::MIN, i64::MAX) < i64::MAX));
    }

    #[test]
    fn tailed_numbers_have_about_the_mean_they_were_asked_for() {
        let mut random = Random::new(2);
        let drawn: Vec<i64> = (0..10_000).map(|_| random.tailed(1_000)).collect();
        let mean = drawn.iter().sum::<i64>() / 10_000;
        assert!((950..1_050).contains(&mean), "{mean}");
        assert!(drawn.iter().all(|n| *n >= 0));
        assert!(drawn.iter().any(|n| *n > 5_000));
    }

    #[test]
    fn scattered_numbers_visit_every_order_of_magnitude() {
        let mut random = Random::new(3);
        let drawn: Vec<i64> = (0..1000)
            .map(|_| random.scattered(1_000, 10_000_000))
            .collect();
        assert!(drawn.iter().all(|n| (1_000..10_000_000).contains(n)));
        let below = |limit| drawn.iter().filter(|n| **n < limit).count();
        assert!(below(10_000) > 150 && below(1_000_000) - below(100_000) > 150);
    }
}
