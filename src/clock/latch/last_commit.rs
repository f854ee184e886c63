//! The last commit timestamp: the one word that commits on a clock contend for.

use crate::primitive::{AtomicI64, Ordering, step_aside};

/// The last timestamp that was given out, on a cache line of its own (two, as processors fetch them
/// in pairs): those who only read the clock never feel the commits.
#[derive(Debug)]
#[repr(align(128))]
pub(in crate::clock) struct LastCommit(AtomicI64);

impl LastCommit {
    pub(in crate::clock) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Draws a timestamp of at least `least`, above every one drawn before; `None` at the end of the
    /// range, where nothing is given out. The very last instant is not: it can never be past.
    ///
    /// Relaxed is enough: the changes of one atomic have one order, in which each is above the one
    /// before, and a caller that learned of a timestamp comes later in it.
    #[inline]
    pub(in crate::clock) fn advance(&self, least: i64) -> Option<i64> {
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            let next = last.checked_add(1)?.max(least);
            if next == i64::MAX {
                return None;
            }
            match self
                .0
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(next),
                Err(_) => {
                    step_aside();
                    last = self.0.load(Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn t10_the_end_of_the_range_gives_out_nothing() {
        let last = LastCommit::new();
        assert_eq!(last.advance(i64::MIN), Some(i64::MIN + 1));
        assert_eq!(last.advance(5), Some(5));
        assert_eq!(last.advance(5), Some(6));
        assert_eq!(last.advance(i64::MAX), None);
        assert_eq!(last.advance(0), Some(7));
        assert_eq!(last.advance(i64::MAX - 1), Some(i64::MAX - 1));
        assert_eq!(last.advance(0), None);
        assert_eq!(last.advance(i64::MAX), None);
    }
}
