//! Which numbers there are, and whose.

use core::ops::RangeInclusive;

use crate::clock::latch::Point;
use crate::time::Timestamp;

/// What is numbered of a reading, and in which unit.
pub(crate) trait Scale {
    /// How many bits of a number are within a unit, at least and at most.
    ///
    /// At least: less than two readings of a counter take. At most: less than the switch from one thread to
    /// another takes.
    const BITS: RangeInclusive<u32>;

    /// The first instant that there are numbers for.
    const FIRST: Timestamp;

    /// Which instant of an interval is numbered.
    const POINT: Point;

    /// Returns the number of an instant, in whose unit the numbers that are issued then lie; `mask` has the
    /// bits of a number within a unit. `None` outside the range.
    fn position(instant: Timestamp, mask: u64) -> Option<u64>;

    /// Returns how long so many numbers last, in ns, rounded up.
    fn lasting(numbers: u64) -> u64;
}

/// Which numbers of a unit are whose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The bits of a number within a unit.
    mask: u64,
    stripes: u64,
    /// After how many ns another unit has begun for sure.
    lasts: u64,
}

impl Numbers {
    /// Shares a unit among so many stripes and the word; `None` for more than there is room for.
    pub(super) fn among<S: Scale>(stripes: u32) -> Option<Self> {
        let stripes = u64::from(stripes);
        S::BITS
            .map(|bits| 1_u64 << bits)
            .find(|unit| stripes <= unit - (unit / 8).max(1))
            .map(|unit| Self {
                mask: unit - 1,
                stripes,
                lasts: S::lasting(unit),
            })
    }

    #[inline]
    pub(super) const fn mask(&self) -> u64 {
        self.mask
    }

    #[inline]
    pub(super) const fn lasts(&self) -> u64 {
        self.lasts
    }

    #[inline]
    pub(super) fn of_stripe(&self, position: u64, stripe: u32) -> Option<u64> {
        let stripe = u64::from(stripe);
        // A processor that was not possible when the clock was built: there is no number for it.
        (stripe < self.stripes).then_some(self.begin(position) | stripe)
    }

    /// Returns the word's first number from `least` on.
    pub(super) const fn of_word(&self, least: u64) -> u64 {
        let within = least & self.mask;
        if within < self.stripes {
            // No carry: the last number of each unit is the word's.
            least - within + self.stripes
        } else {
            least
        }
    }

    /// Returns the first number of the unit.
    #[inline]
    pub(super) const fn begin(&self, position: u64) -> u64 {
        position & !self.mask
    }

    /// Returns the last number of the unit.
    pub(super) const fn end(&self, position: u64) -> u64 {
        position | self.mask
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::clock::commits::Latest;

    #[test]
    fn every_number_of_a_unit_is_a_stripes_or_the_words() {
        for (stripes, unit) in [(1, 4_u32), (3, 4), (4, 8), (7, 8), (8, 16), (56, 64)] {
            let numbers = Numbers::among::<Latest>(stripes).unwrap();
            assert_eq!(numbers.lasts(), u64::from(unit));
            let unit = u64::from(unit);
            assert_eq!(numbers.mask(), unit - 1);
            let base = 5 * unit;
            for position in base..base + unit {
                assert_eq!(
                    [numbers.begin(position), numbers.end(position)],
                    [base, base + unit - 1]
                );
                let words = numbers.of_word(position);
                assert!(words >= position && words < base + unit);
                assert!(words - base >= u64::from(stripes));
                assert_eq!(numbers.of_stripe(position, 0), Some(base));
                assert_eq!(
                    numbers.of_stripe(position, stripes - 1),
                    Some(base + u64::from(stripes) - 1)
                );
                assert_eq!(numbers.of_stripe(position, stripes), None);
            }
        }
        assert_eq!(Numbers::among::<Latest>(57), None);
    }
}
