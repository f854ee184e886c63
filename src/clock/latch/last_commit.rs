//! The last commit timestamp: the one word that commits on a clock contend for.

use crate::primitive::{AtomicI64, Ordering, step_aside};
use crate::time::Timestamp;

/// Why no timestamp was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDrawn {
    /// The next one is this, and above the most that was permitted.
    Ahead(Timestamp),
    /// There is none left.
    Exhausted,
}

/// The last timestamp that was given out, on a cache line of its own (two, as processors fetch them
/// in pairs): those who only read the clock never feel the commits.
#[derive(Debug)]
#[repr(align(128))]
pub(in crate::clock) struct LastCommit(AtomicI64);

impl LastCommit {
    pub(in crate::clock) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Draws a timestamp of at least `least`, above every one drawn before and not above `most`.
    ///
    /// Nothing is drawn beyond it, nor at the end of the range. The very last instant is not drawn either:
    /// it can never be past.
    ///
    /// Relaxed is enough: the changes of one atomic have one order, in which each is above the one
    /// before, and a caller that learned of a timestamp comes later in it.
    #[inline]
    pub(in crate::clock) fn advance(&self, least: i64, most: i64) -> Result<i64, NotDrawn> {
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            let next = last.checked_add(1).ok_or(NotDrawn::Exhausted)?.max(least);
            if next == i64::MAX {
                return Err(NotDrawn::Exhausted);
            }
            // Asked before the word changes: what is refused must not push the next one further.
            if next > most {
                let next = Timestamp::from_unix_nanos(next);
                return Err(NotDrawn::Ahead(next));
            }
            match self
                .0
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(next),
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
        let advance = |least| last.advance(least, i64::MAX);
        assert_eq!(advance(i64::MIN), Ok(i64::MIN + 1));
        assert_eq!(advance(5), Ok(5));
        assert_eq!(advance(5), Ok(6));
        assert_eq!(advance(i64::MAX), Err(NotDrawn::Exhausted));
        assert_eq!(advance(0), Ok(7));
        assert_eq!(advance(i64::MAX - 1), Ok(i64::MAX - 1));
        assert_eq!(advance(0), Err(NotDrawn::Exhausted));
        assert_eq!(advance(i64::MAX), Err(NotDrawn::Exhausted));
    }

    #[test]
    fn what_lies_beyond_the_most_is_named_and_moves_nothing() {
        let last = LastCommit::new();
        assert_eq!(last.advance(5, 6), Ok(5));
        assert_eq!(last.advance(5, 6), Ok(6));
        for _ in 0..2 {
            let next = Timestamp::from_unix_nanos(7);
            assert_eq!(last.advance(5, 6), Err(NotDrawn::Ahead(next)));
        }
        assert_eq!(last.advance(5, 7), Ok(7));
    }
}
