//! How often which value occurred, to within two parts in a hundred and in little memory.

/// Each power of two is divided into so many buckets.
const PARTS: u32 = 64;
const PART_BITS: u32 = PARTS.trailing_zeros();

/// A histogram of values from 0 to 2⁶⁴.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, value: u64) {
        let index = bucket(value);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
            self.count += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The least value that so many in a thousand do not exceed, by its bucket's lower end.
    pub(crate) fn quantile(&self, per_thousand: u64) -> u64 {
        let wanted = (self.count * per_thousand).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= wanted {
                return lower_end(index);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    let exponent = value.checked_ilog2().unwrap_or(0).saturating_sub(PART_BITS);
    let index = u64::from(exponent) * u64::from(PARTS) + (value >> exponent);
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn lower_end(bucket: usize) -> u64 {
    let (index, parts) = (bucket as u64, u64::from(PARTS));
    let exponent = (index / parts).saturating_sub(1);
    (index - exponent * parts) << exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_near_their_values() {
        let mut last = 0;
        for value in (0..200).chain((0..56).map(|shift| (1_u64 << shift) + 12_345)) {
            let lower = lower_end(bucket(value));
            assert!(
                lower <= value && value - lower <= value / 32,
                "{value} {lower}"
            );
            if value < 200 {
                assert!(bucket(value) >= last);
                last = bucket(value);
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), 0);
        let mut other = Histogram::default();
        for value in 1..=1_000 {
            if value % 2 == 0 {
                histogram.add(value);
            } else {
                other.add(value);
            }
        }
        histogram.merge(&other);
        assert!((480..=500).contains(&histogram.quantile(500)));
        assert!((960..=990).contains(&histogram.quantile(990)));
    }
}
