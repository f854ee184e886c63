//! The one word that stamps are drawn from: the latest one issued or seen.

use crate::primitive::{AtomicU64, Ordering, step_aside};

/// Alone on its cache line, and on the one that is fetched along with it: all threads write it.
///
/// Relaxed order is enough for uniqueness and for what follows it: all changes of one atomic have one
/// order, every change makes the word larger, and a thread that learned of a stamp finds its change made.
/// What the word says about a persisted bound is a reserve's business. Acquire and release are for the turn
/// to stripes, whose module tells why.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Word(AtomicU64);

impl Word {
    pub(crate) fn new(floor: u64) -> Self {
        Self(AtomicU64::new(floor))
    }

    #[inline]
    pub(crate) fn last(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Issues the least stamp that is above all others and not below `floor`, if `may` permits it; `None`
    /// once the word no longer takes every number.
    ///
    /// `last` is what the word was a moment ago, when it still did; `may` is asked again after every lost race,
    /// and so is `is_alone`, with how many were lost.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(crate) fn issue_if<E: From<Exhausted>>(
        &self,
        mut last: u64,
        floor: u64,
        is_alone: impl Fn(u32) -> bool,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let mut lost = 0;
        loop {
            // One more than the last stamp carries from a full counter into the physical part by
            // itself, as the two are one number (H5). Only the largest number has no successor.
            let Some(above) = last.checked_add(1) else {
                return Err(Exhausted.into());
            };
            let next = above.max(floor);
            // Asked before the word changes: a stamp that may not be issued must leave no trace (H6).
            may(next)?;
            match self.exchange(last, next) {
                Ok(_) => return Ok(Some(next)),
                Err(_) => {
                    // Another thread won. A moment's pause lets the others through before this one
                    // fetches the line again.
                    step_aside();
                    lost += 1;
                    last = self.last();
                    if !is_alone(lost) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Issues the word's first number that is above all others and not below `floor`, if `may` permits it.
    pub(crate) fn issue_from<E: From<Exhausted>>(
        &self,
        floor: u64,
        number: impl Fn(u64) -> u64,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut last = self.last();
        loop {
            let Some(above) = last.checked_add(1) else {
                return Err(Exhausted.into());
            };
            let next = number(above.max(floor));
            may(next)?;
            match self.exchange(last, next) {
                Ok(_) => return Ok(next),
                Err(_) => {
                    step_aside();
                    last = self.last();
                }
            }
        }
    }

    /// Raises the word, without issuing a stamp.
    pub(crate) fn raise(&self, to: u64) {
        self.0.fetch_max(to, Ordering::AcqRel);
    }

    // The weak form may fail for no reason, which costs a turn of the loop and saves one inside the
    // instruction on machines without a compare-and-swap.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    fn exchange(&self, last: u64, next: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(last, next, Ordering::Release, Ordering::Relaxed)
    }
}

/// Nothing is left to issue: of the range, or of what the caller permits.
#[derive(Debug)]
pub(crate) struct Exhausted;

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use core::cell::RefCell;

    use super::*;

    /// Loses one exchange after another to a thread that issues a stamp each time, until `still_alone` says no
    /// more.
    fn losing(times: u64, still_alone: impl Fn(u32) -> bool) -> (Option<u64>, Vec<u32>) {
        let word = Word::new(10);
        let lost = RefCell::new(Vec::new());
        let is_alone = |times| {
            lost.borrow_mut().push(times);
            still_alone(times)
        };
        let may = |next: u64| -> Result<(), Exhausted> {
            // The other thread issues what this one was about to.
            if next <= 10 + times {
                word.raise(next);
            }
            Ok(())
        };
        let issued = word.issue_if(10, 0, is_alone, may).unwrap();
        (issued, lost.into_inner())
    }

    #[test]
    fn lost_exchanges_are_counted_and_tried_again_while_the_word_takes_every_number() {
        // An exchange may fail for no reason besides, on some machines.
        let (issued, lost) = losing(3, |_| true);
        assert_eq!(issued, Some(14));
        assert!(lost.len() >= 3 && lost.iter().copied().eq(1..=lost.len().try_into().unwrap()));
        let (issued, lost) = losing(3, |lost| lost < 2);
        assert_eq!((issued, lost), (None, vec![1, 2]));
    }

    #[test]
    fn the_word_issues_the_first_of_its_own_numbers_and_is_raised_to_no_less_than_it_was() {
        let word = Word::new(10);
        let even = |least: u64| least.next_multiple_of(2);
        let issue = |floor| -> Result<u64, Exhausted> { word.issue_from(floor, even, |_| Ok(())) };
        assert_eq!(issue(0).unwrap(), 12);
        assert_eq!(issue(15).unwrap(), 16);
        word.raise(5);
        assert_eq!(word.last(), 16);
        word.raise(21);
        assert_eq!(issue(0).unwrap(), 22);
        word.raise(u64::MAX);
        assert!(issue(0).is_err());
    }
}
