//! How the counter counts raw time: a point on both, and how far one moves while the other does.

use crate::machine::Counted;
use crate::words::words_struct;

/// Fractional bits of the rates that ends, and raw time, move at. Seven more bits of the elapsed time make 64, so
/// that the upper half of a product is in whole nanoseconds; and a rate of less than 2⁷ ns a unit fits a word.
pub(super) const FRACTION: u32 = 57;

/// The least raw time between two pairs, in ns, that a ratio is drawn from: over a second, readings 60 ns
/// apart leave it open by 120 ppb.
const SHORTEST_BASE: i64 = 1_000_000_000;

/// Raw time, read between two readings of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    before: i64,
    raw: i64,
    after: i64,
}

words_struct!(Pair { before, raw, after });

impl From<Counted> for Pair {
    fn from(counted: Counted) -> Self {
        Self {
            before: counted.before,
            raw: counted.sample.raw,
            after: counted.after,
        }
    }
}

impl Pair {
    /// Returns how far the two readings of the counter are apart; beyond all limits if it ran back.
    #[allow(clippy::cast_sign_loss, reason = "what ran back shall seem huge")]
    pub(crate) const fn width(&self) -> u64 {
        self.after.wrapping_sub(self.before) as u64
    }

    #[cfg(test)]
    pub(crate) const fn raw(&self) -> i64 {
        self.raw
    }

    pub(crate) const fn after(&self) -> i64 {
        self.after
    }
}

/// What the counter says of raw time from one count on: bounds on both sides, which move apart.
///
/// Raw time is read rounded down to the nanosecond, which the bounds allow for: what would be read at a
/// count lies between [`raw_least`](Self::raw_least) and [`raw_most`](Self::raw_most) of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The count from which on it says something.
    count: i64,
    /// Raw time as it was read just before.
    raw: i64,
    /// How much later it may have been at `count`, in ns.
    slack: i64,
    /// How much raw time one count takes, in 2⁻⁵⁷ ns.
    least: u64,
    most: u64,
}

words_struct!(Anchor {
    count,
    raw,
    slack,
    least,
    most
});

impl Anchor {
    pub(crate) const WORDS: usize = 5;

    pub(crate) const NONE: Self = Self {
        count: 0,
        raw: 0,
        slack: 0,
        least: 0,
        most: 0,
    };

    /// Draws what two pairs say, the later of which it begins with; `None` where they lie less than a
    /// second apart or one excludes the other.
    pub(crate) fn between(first: &Pair, last: &Pair) -> Option<Self> {
        let raw = last.raw.checked_sub(first.raw)?;
        if raw < SHORTEST_BASE {
            return None;
        }
        let counts = |from: i64, to: i64| u64::try_from(i128::from(to) - i128::from(from)).ok();
        let longest = counts(first.before, last.after).filter(|counts| *counts > 0)?;
        let shortest = counts(first.after, last.before).filter(|counts| *counts > 0)?;
        // Each reading was rounded down, so the difference may be off by 1 ns either way.
        let scaled = |raw: i64| u128::from(raw.unsigned_abs()) << FRACTION;
        let least = u64::try_from(scaled(raw - 1) / u128::from(longest)).ok()?;
        let most = u64::try_from(scaled(raw + 1).div_ceil(shortest.into())).ok()?;
        let slack = times_up(last.after.checked_sub(last.before)?, most)?;
        (0 < least && least <= most).then_some(Self {
            count: last.after,
            raw: last.raw,
            slack: slack.checked_add(1)?,
            least,
            most,
        })
    }

    pub(crate) const fn count(&self) -> i64 {
        self.count
    }

    /// Returns bounds on the raw time that one count takes, in 2⁻⁵⁷ ns.
    pub(crate) const fn ratio(&self) -> [u64; 2] {
        [self.least, self.most]
    }

    /// Returns the least that raw time can read so many counts after the first.
    pub(crate) fn raw_least(&self, elapsed: i64) -> i64 {
        let gone = (u128::from(elapsed.max(0).unsigned_abs()) * u128::from(self.least)) >> FRACTION;
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        // Rounded down, as raw time is when it is read.
        self.raw.saturating_add(gone)
    }

    /// Returns the most that raw time can read so many counts after the first.
    #[inline]
    pub(crate) fn raw_most(&self, elapsed: i64) -> i64 {
        let gone = times_up(elapsed.max(0), self.most).unwrap_or(i64::MAX);
        self.raw.saturating_add(self.slack).saturating_add(gone)
    }

    /// Returns true if raw time that was read between these counts may be the counter's.
    pub(crate) fn agrees(&self, pair: &Pair) -> bool {
        let elapsed = |count: i64| count.checked_sub(self.count).filter(|counts| *counts >= 0);
        let (Some(before), Some(after)) = (elapsed(pair.before), elapsed(pair.after)) else {
            return false;
        };
        before <= after && self.raw_least(before) <= pair.raw && pair.raw <= self.raw_most(after)
    }

    /// Returns by how much the counter leaves raw time open, in ns, so many counts after the first.
    pub(crate) fn uncertainty(&self, elapsed: i64) -> u64 {
        self.raw_most(elapsed).abs_diff(self.raw_least(elapsed))
    }

    /// Returns after how many counts it leaves raw time open by so many ns, rounded down.
    pub(crate) fn sharp_for(&self, nanos: i64) -> i64 {
        // Two for the rounding of both bounds.
        let room = nanos.saturating_sub(self.slack).saturating_sub(2);
        let Ok(room) = u128::try_from(room) else {
            return 0;
        };
        match u128::from(self.most - self.least) {
            0 => i64::MAX,
            widening => i64::try_from((room << FRACTION) / widening).unwrap_or(i64::MAX),
        }
    }

    /// Returns how many counts surely fit into so much raw time, rounded down.
    pub(crate) fn counts_in(&self, nanos: i64) -> i64 {
        let nanos = u128::from(nanos.max(0).unsigned_abs());
        i64::try_from((nanos << FRACTION) / u128::from(self.most.max(1))).unwrap_or(i64::MAX)
    }

    /// Returns how many counts there are, at most, from the first one until raw time reads `raw`.
    pub(crate) fn counts_until(&self, raw: i64) -> i64 {
        self.counts_in(raw.saturating_sub(self.raw).saturating_sub(self.slack))
    }

    /// Returns how many counts after the first one there can be, at most, when raw time reads `raw`.
    pub(crate) fn most_counts_at(&self, raw: i64) -> i64 {
        // It was rounded down when it was read, and is compared with a bound that was, too.
        let gone = raw.saturating_sub(self.raw).saturating_add(1).max(0);
        let counts =
            (u128::from(gone.unsigned_abs()) << FRACTION).div_ceil(self.least.max(1).into());
        i64::try_from(counts).unwrap_or(i64::MAX)
    }

    #[allow(clippy::cast_possible_wrap, reason = "words, whatever they mean")]
    pub(crate) const fn to_words(self) -> [i64; Self::WORDS] {
        let (least, most) = (self.least as i64, self.most as i64);
        [self.count, self.raw, self.slack, least, most]
    }

    #[inline]
    #[allow(clippy::cast_sign_loss, reason = "words, whatever they mean")]
    pub(crate) const fn from_words(words: [i64; Self::WORDS]) -> Self {
        let [count, raw, slack, least, most] = words;
        Self {
            count,
            raw,
            slack,
            least: least as u64,
            most: most as u64,
        }
    }
}

/// Returns what so many counts take at such a rate, in ns, rounded up.
#[inline]
fn times_up(counts: i64, rate: u64) -> Option<i64> {
    const LAST_BITS: u128 = (1 << FRACTION) - 1;
    let product = u128::from(u64::try_from(counts).ok()?) * u128::from(rate);
    i64::try_from((product + LAST_BITS) >> FRACTION).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A counter of so many mHz whose count is `offset` when raw time is 0, exactly.
    struct Exact {
        millihertz: u64,
        offset: i64,
    }

    impl Exact {
        /// Raw time as it would be read at this count.
        fn raw(&self, count: i64) -> i64 {
            let counts = i128::from(count) - i128::from(self.offset);
            let raw = (counts * 1_000_000_000_000).div_euclid(self.millihertz.into());
            i64::try_from(raw).unwrap()
        }

        fn pair(&self, before: i64, into: i64, width: i64) -> Pair {
            Pair {
                before,
                raw: self.raw(before + into.min(width)),
                after: before + width,
            }
        }
    }

    proptest! {
        /// Whatever the counter's frequency, wherever its counts lie and however blurred the pairs are:
        /// raw time is within the bounds at every later count, and a pair read there agrees.
        #[test]
        fn raw_time_lies_within_the_bounds_at_every_count(
            millihertz in 16_000_000_000..5_000_000_000_000_u64,
            at in 0..1_000_000_000_000_000_i64,
            apart in 2_000_000_000..1_000_000_000_000_i64,
            later in prop_oneof![0..10_000_i64, 0..10_000_000_000_000_i64],
            (into, width) in (0..400_i64, 0..400_i64),
            (last_into, last_width) in (0..400_i64, 0..400_i64),
            offset in prop_oneof![Just(0), -1_000_000_000_000_000_000..1_000_000_000_000_000_000_i64],
        ) {
            let exact = Exact { millihertz, offset };
            let begin = offset + at;
            // Apart by so much raw time.
            let counts = i64::try_from(
                i128::from(apart) * i128::from(millihertz) / 1_000_000_000_000
            ).unwrap();
            let first = exact.pair(begin, into, width);
            let last = exact.pair(begin + counts, last_into, last_width);
            let anchor = Anchor::between(&first, &last).unwrap();
            let count = anchor.count() + later;
            let raw = exact.raw(count);
            prop_assert!(anchor.raw_least(later) <= raw, "{raw} {anchor:?}");
            prop_assert!(anchor.raw_most(later) >= raw, "{raw} {anchor:?}");
            let seen = exact.pair(count, into, width);
            prop_assert!(anchor.agrees(&seen));
            let sharp = anchor.sharp_for(400);
            if (1..i64::MAX / 2).contains(&sharp) {
                prop_assert!(anchor.uncertainty(sharp) <= 400);
            }
            let until = anchor.counts_until(raw);
            prop_assert!(anchor.raw_most(until) <= raw.max(anchor.raw_most(0)));
            // A raw time that is off by what the bounds leave open, and 2 ns, is not the counter's.
            let open = i64::try_from(anchor.uncertainty(later + width)).unwrap() + 2;
            let wide = times_up(width, anchor.most).unwrap();
            for off in [-open - wide, open + wide] {
                let off = Pair { raw: seen.raw + off, ..seen };
                prop_assert!(!anchor.agrees(&off));
            }
        }
    }

    #[test]
    fn pairs_that_say_nothing_make_no_anchor() {
        let pair = |before, raw, after| Pair { before, raw, after };
        let first = pair(0, 0, 10);
        let second = 1_000_000_000;
        assert!(Anchor::between(&first, &pair(second, second, second + 10)).is_some());
        assert_eq!(
            Anchor::between(&first, &pair(second, second - 1, second + 10)),
            None
        );
        // The counter stood still, or ran back.
        assert_eq!(Anchor::between(&first, &pair(10, second, 10)), None);
        assert_eq!(Anchor::between(&first, &pair(-20, second, -10)), None);
        assert_eq!(Anchor::between(&first, &pair(second, second, 0)), None);
    }

    #[test]
    fn a_count_from_before_the_first_agrees_with_nothing() {
        let pair = |before, raw, after| Pair { before, raw, after };
        let second = 1_000_000_000;
        let last = pair(second, second, second + 10);
        let anchor = Anchor::between(&pair(0, 0, 10), &last).unwrap();
        assert!(anchor.agrees(&pair(second + 10, second + 10, second + 20)));
        assert!(!anchor.agrees(&pair(second + 9, second + 10, second + 20)));
        assert!(!anchor.agrees(&pair(0, second + 10, second + 20)));
    }
}
