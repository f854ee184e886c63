//! Small numbers that look random, and come again in each run.

/// A Weyl counter put through a mixing function (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `lo` up to, but not including, `hi`; `lo` where there is none.
    pub(crate) fn between(&mut self, lo: i64, hi: i64) -> i64 {
        let Ok(width @ 1..) = u64::try_from(i128::from(hi) - i128::from(lo)) else {
            return lo;
        };
        let scaled = (u128::from(self.next_u64()) * u128::from(width)) >> 64;
        lo.wrapping_add_unsigned(scaled as u64)
    }

    pub(crate) fn chance(&mut self, per_million: u32) -> bool {
        self.between(0, 1_000_000) < i64::from(per_million)
    }

    /// From `lo`, at least 1, to below `hi`, each order of magnitude as likely as the next.
    pub(crate) fn scattered(&mut self, lo: i64, hi: i64) -> i64 {
        let lo = lo.max(1);
        if hi <= lo {
            return lo;
        }
        let doublings = (hi / lo).checked_ilog2().unwrap_or(0);
        let base = lo << self.between(0, i64::from(doublings) + 1);
        self.between(base, base.saturating_mul(2).min(hi).max(base + 1))
    }

    /// From 0 to `n` − 1.
    pub(crate) fn below(&mut self, n: i64) -> i64 {
        (self.next_u64() % n as u64) as i64
    }

    /// From `lo` to `hi`.
    pub(crate) fn within(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below(hi - lo + 1)
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}
