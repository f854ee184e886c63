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
