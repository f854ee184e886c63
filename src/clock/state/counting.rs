//! Which axis the line goes through: raw time, or the counter that raw time is counted by.
//!
//! The claim is about raw time whatever it is read by. Where the counter may be read its line goes through
//! counts; it is drawn anew with a new claim, and before the counter
//! leaves open more than [`COUNTER_LIMIT`](crate::clock::latch::COUNTER_LIMIT). What the kernel says of its
//! clocksource decides at every look, and what raw time itself says of the counter at every check.

use super::State;
use crate::clock::counters::Events;
use crate::clock::latch::{Anchor, Drawn, Line, Pair};
use crate::clock::policy::Policy;
use crate::machine::{Disturbance, Identity, NoCounter, Sandwich};
use crate::source::SyncClaim;
use crate::words::words_struct;

/// A line has to last for so many look intervals, or another look could come too late to draw the next.
const LOOKS_AHEAD: i64 = 3;

/// What is known of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counting {
    /// The pair that ratios are drawn from: the longer ago it is, the sharper they are.
    first: Option<Pair>,
    /// What lines are drawn with, where the counter is read.
    anchor: Option<Anchor>,
    /// Why it is not read, if it was asked for.
    refusal: Option<NoCounter>,
}

words_struct!(Counting {
    first,
    anchor,
    refusal
});

impl Counting {
    /// What is known before the first look.
    pub(crate) const UNCOMPARED: Self = Self {
        first: None,
        anchor: None,
        refusal: Some(NoCounter::Uncompared),
    };

    /// Raw time and the counter are read and compared anew, if ever.
    pub(crate) fn forget(&mut self, why: NoCounter) {
        // Whatever departed once is not trusted again.
        let why = match self.refusal {
            Some(NoCounter::Departed) => NoCounter::Departed,
            _ => why,
        };
        *self = Self {
            refusal: Some(why),
            ..Self::UNCOMPARED
        };
    }

    /// The line through counts is over, and another may be drawn as soon as a look has compared anew.
    pub(crate) fn pause(&mut self) {
        self.anchor = None;
        self.refusal = Some(NoCounter::Uncompared);
    }

    /// Returns why the counter is not read.
    pub(crate) const fn refusal(&self) -> Option<NoCounter> {
        self.refusal
    }

    pub(crate) const fn has_departed(&self) -> bool {
        matches!(self.refusal, Some(NoCounter::Departed))
    }
}

impl State {
    /// Returns the claim in force and the anchor that its line through counts is drawn with, if it is.
    pub(crate) fn counted(&self) -> Option<(SyncClaim, Anchor)> {
        let sync = self.in_force()?;
        let anchor = self.counting.anchor?;
        // A claim of after the anchor would have to be carried back.
        (self.unexplained.is_none() && sync.claim.raw() < anchor.raw_least(0))
            .then_some((sync, anchor))
    }

    /// Draws the line for the hot path.
    pub(crate) fn drawn(&self, policy: &Policy) -> Drawn {
        let Some((SyncClaim { claim, .. }, anchor)) = self.counted() else {
            return Drawn::plainly(self.line(policy));
        };
        let end = policy.last_plain_counting(&claim, self.answering.is_assumed());
        let floor = self.answering.floor();
        Drawn {
            line: Line::counting(&claim, &anchor, floor, end, self.founded_on()),
            claimed_at: claim.raw(),
            anchor,
        }
    }

    /// Returns the raw instant of a gate that holds `mark`: where it holds counts, the least that it may be.
    pub(crate) fn raw_at(&self, mark: i64) -> i64 {
        // No later than it can have been, as what is promised by then must be true.
        self.counted()
            .map_or(mark, |(_, anchor)| anchor.raw_least(mark))
    }

    /// Takes in what a look found of the counter, `before` being what the state was before it.
    ///
    /// Raw time that departed from the counter while nothing happened to the clocks makes both doubtful.
    #[inline(never)]
    pub(crate) fn count(
        &mut self,
        policy: &Policy,
        found: Result<Pair, NoCounter>,
        before: &Self,
        clocks: &Sandwich,
    ) -> Option<Events> {
        if self.counting.has_departed() {
            return None;
        }
        let pair = match found {
            Ok(pair) => pair,
            Err(why) => {
                // The claim is about raw time, which goes on by another counter.
                self.counting.forget(why);
                return None;
            }
        };
        if self.departs(&pair) {
            return Some(self.depart(policy, clocks, self.identity));
        }
        let Some(first) = self.counting.first else {
            self.counting.first = Some(pair);
            self.counting.refusal = Some(NoCounter::Uncompared);
            return None;
        };
        let claims_anew = before.claim_in_force() != self.claim_in_force();
        if !claims_anew && self.lasts(policy, &pair) {
            return None;
        }
        let anchor = Anchor::between(&first, &pair)?;
        let former = self.counting.anchor.replace(anchor);
        self.counting.refusal = None;
        if !self.lasts(policy, &pair) {
            // Near an end of the claim, or blurred: the line from before is no worse.
            self.counting.anchor = former.filter(|_| !claims_anew);
            if self.counting.anchor.is_none() {
                self.counting.refusal = Some(NoCounter::Blurred);
            }
        }
        None
    }

    /// Returns true if raw time was read where the counter says that it cannot be.
    pub(crate) fn departs(&self, pair: &Pair) -> bool {
        let anchor = self.counting.anchor;
        anchor.is_some_and(|anchor| !anchor.agrees(pair))
    }

    /// Raw time and the counter that the kernel still names are apart: nothing that either says counts.
    pub(crate) fn depart(
        &mut self,
        policy: &Policy,
        clocks: &Sandwich,
        identity: Identity,
    ) -> Events {
        self.counting.forget(NoCounter::Departed);
        self.void(policy, Disturbance::CounterDeparted, clocks, identity)
    }

    /// Returns true if the line through counts goes on until a look can draw the next, if there is one.
    fn lasts(&self, policy: &Policy, pair: &Pair) -> bool {
        let Some((_, anchor)) = self.counted() else {
            // Nothing is in force that could have a line.
            return self.in_force().is_none();
        };
        let interval = i64::try_from(policy.look_interval.as_nanos()).unwrap_or(i64::MAX);
        let ahead = anchor.counts_in(interval.saturating_mul(LOOKS_AHEAD));
        let then = pair.after().saturating_add(ahead);
        self.drawn(policy).line.elapsed(then).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{clocks, policy, served, sync, unheard};
    use super::*;
    use crate::clock::counters::Count;
    use crate::machine::{Counted, Sample};

    const SECOND: i64 = 1_000_000_000;

    /// What the counter shows when raw time is 0: it takes a nanosecond for each count.
    const COUNT_OF_ZERO: i64 = 7_000_000_000_000_000;

    fn pair(raw: i64, ahead: i64) -> Pair {
        let count = COUNT_OF_ZERO + raw + ahead;
        Pair::from(Counted {
            before: count,
            sample: Sample { coarse: 0, raw },
            after: count,
        })
    }

    fn count(state: &mut State, before: &State, pair: Pair) -> Option<Events> {
        state.count(&policy(), Ok(pair), before, &clocks(pair.raw()))
    }

    /// Serves from a claim of raw instant 0, and its line goes through counts from 2 s on.
    fn counting() -> State {
        let mut state = served(0, sync(0, -5, 5));
        for raw in [SECOND, 2 * SECOND] {
            let before = state;
            assert_eq!(count(&mut state, &before, pair(raw, 0)), None);
        }
        assert!(state.drawn(&policy()).line.counts());
        state
    }

    fn anchored_at(state: &State) -> Option<i64> {
        let anchor = state.counting.anchor?;
        Some(anchor.count() - COUNT_OF_ZERO)
    }

    #[test]
    fn lines_go_through_counts_once_pairs_are_a_second_apart() {
        let mut state = served(0, sync(0, -5, 5));
        let uncompared = Some(NoCounter::Uncompared);
        for (raw, anchor, refusal) in [
            (SECOND, None, uncompared),
            (2 * SECOND - 1, None, uncompared),
            (2 * SECOND, Some(2 * SECOND), None),
        ] {
            let before = state;
            assert_eq!(count(&mut state, &before, pair(raw, 0)), None);
            assert_eq!(anchored_at(&state), anchor, "{raw}");
            assert_eq!(state.counting.refusal(), refusal, "{raw}");
        }
    }

    #[test]
    fn a_line_is_drawn_anew_with_a_new_claim_and_otherwise_stays_while_it_lasts() {
        let mut state = counting();
        let before = state;
        count(&mut state, &before, pair(3 * SECOND, 0));
        assert_eq!(anchored_at(&state), Some(2 * SECOND));
        let mut state = served(0, sync(5, -5, 5));
        state.counting = before.counting;
        count(&mut state, &before, pair(3 * SECOND, 0));
        assert_eq!(anchored_at(&state), Some(3 * SECOND));
        assert_eq!(state.counting.refusal(), None);
    }

    #[test]
    fn near_the_end_of_a_claim_its_line_stays_as_it_was_and_a_new_claim_gets_none() {
        let late = i64::try_from(policy().max_age.as_nanos()).unwrap() - SECOND / 10;
        let mut state = counting();
        let before = state;
        count(&mut state, &before, pair(late, 0));
        assert_eq!(anchored_at(&state), Some(2 * SECOND));
        assert_eq!(state.counting.refusal(), None);
        let other = served(0, sync(7, -5, 5));
        let mut state = before;
        count(&mut state, &other, pair(late, 0));
        assert_eq!(anchored_at(&state), None);
        assert_eq!(state.counting.refusal(), Some(NoCounter::Blurred));
    }

    #[test]
    fn a_counter_that_departed_from_raw_time_voids_the_claims_and_is_not_trusted_again() {
        let mut state = counting();
        let before = state;
        assert!(!state.departs(&pair(3 * SECOND, 0)));
        let events = count(&mut state, &before, pair(3 * SECOND, 1_000));
        assert_eq!(events, Some(Events::of(Count::Suspends)));
        assert_eq!(state.voided, Some(Disturbance::CounterDeparted));
        let departed = Some(NoCounter::Departed);
        for raw in [4 * SECOND, 6 * SECOND] {
            let before = state;
            assert_eq!(count(&mut state, &before, pair(raw, 0)), None);
            assert_eq!(state.counting.refusal(), departed);
        }
        state.counting.forget(NoCounter::Unwatched);
        assert_eq!(state.counting.refusal(), departed);
    }

    #[test]
    fn a_counter_that_the_kernel_left_is_compared_from_the_beginning_and_a_pause_is_not() {
        let mut left = counting();
        let before = left;
        let other = Err(NoCounter::OtherClocksource);
        assert_eq!(
            left.count(&policy(), other, &before, &clocks(3 * SECOND)),
            None
        );
        assert_eq!(left.counting.refusal(), other.err());
        let mut paused = before;
        paused.counting.pause();
        assert_eq!(paused.counting.refusal(), Some(NoCounter::Uncompared));
        for (mut state, anchor) in [(left, None), (paused, Some(3 * SECOND + 1))] {
            assert_eq!(anchored_at(&state), None);
            let before = state;
            count(&mut state, &before, pair(3 * SECOND + 1, 0));
            assert_eq!(anchored_at(&state), anchor);
        }
    }

    #[test]
    fn no_line_goes_through_counts_for_a_claim_of_after_the_anchor_or_with_a_second_unexplained() {
        let anchored = counting();
        let first = anchored.counting.anchor.unwrap().raw_least(0);
        for (raw, is_counted) in [(first - 1, true), (first, false), (first + 1, false)] {
            let mut state = served(0, sync(raw, -5, 5));
            state.counting = anchored.counting;
            assert_eq!(state.counted().is_some(), is_counted, "{raw}");
        }
        let mut state = anchored;
        state.unexplained = Some(Disturbance::UnexplainedSecond);
        assert!(state.counted().is_none());
        state = unheard();
        state.counting = anchored.counting;
        assert!(state.counted().is_none());
    }

    #[test]
    fn a_mark_of_counts_is_the_least_raw_time_that_it_may_be() {
        let state = counting();
        let anchor = state.counting.anchor.unwrap();
        assert_eq!(state.raw_at(70), anchor.raw_least(70));
        assert_eq!(served(0, sync(0, -5, 5)).raw_at(70), 70);
    }
}
