//! The floor (T3): what the earliest end must not fall behind when one claim takes another's place.
//!
//! `after(t)`, once observed, is never denied to a caller that learned of it, while no contradiction
//! is reported and within vouched or within assumed claims. A claim that is replaced has promised
//! its earliest end as of the instant at which the latch *closed* it, and not one nanosecond more: no
//! reader was answered from it later. That end is the floor under the next claim, however much
//! earlier that one begins; [`State::answer`] and the line for the hot path hold the earliest end up
//! to it. A floor that lies *beyond* the next claim's latest end is a contradiction like any other.

use core::time::Duration;

use super::{Answering, State};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::Disturbance;
use crate::source::SyncClaim;
use crate::time::{Claim, Timestamp};

impl State {
    /// Returns true if the claim in force would no longer be, so that it has to be closed first.
    pub(crate) fn loses_its_claim(&self, next: &Self) -> bool {
        let lost = |old: Claim| next.claim_in_force() != Some(old);
        self.claim_in_force().is_some_and(lost)
    }

    /// The state that takes the place of `before`, whose claim was closed at raw instant `closed` if
    /// it loses it: with the floor that it owes, or contradicted by it.
    pub(crate) fn succeed(
        self,
        before: &Self,
        closed: Option<i64>,
        policy: &Policy,
    ) -> (Self, Events) {
        let mut next = self;
        let mut events = Events::default();
        let (reached, raw) = match (before.in_force(), closed) {
            (Some(old), Some(rc)) => {
                let raw = next.last_answer(before, &old, rc, policy);
                (next.reached_by(&old, before.answering.floor(), raw), raw)
            }
            // What was promised before a void.
            _ => (before.answering.floor(), next.seen_raw),
        };
        let owed = reached.filter(|_| next.keeps_promises_of(before));
        let replaced = next.claim_in_force() != before.claim_in_force();
        match owed
            .filter(|_| replaced)
            .and_then(|floor| next.misses(floor, raw))
        {
            Some(by) => {
                events.note(Count::Contradictions);
                let source = match next.answering {
                    Answering::From { source, .. } => source,
                    Answering::Assumed { .. } | Answering::Nothing { .. } => 0,
                };
                next.contradict(policy, source, by);
            }
            None => next.answering.set_floor(owed),
        }
        if next.rate.is_empty() && !before.rate.is_empty() {
            events.note(Count::RateResets);
        }
        (next, events)
    }

    fn claim_in_force(&self) -> Option<Claim> {
        self.in_force().map(|sync| sync.claim)
    }

    /// Within vouched or within assumed claims, and not under a contradiction.
    fn keeps_promises_of(&self, before: &Self) -> bool {
        match self.answering {
            Answering::Nothing { .. } if self.answering.contradiction().is_some() => false,
            // What was only assumed may have been wrong, and is no floor for any source's claim.
            Answering::Nothing { .. } | Answering::From { .. } => !before.answering.is_assumed(),
            Answering::Assumed { .. } => before.answering.is_assumed(),
        }
    }

    /// The last raw instant at which `old`, closed at `rc`, can have answered.
    fn last_answer(&self, before: &Self, old: &SyncClaim, rc: i64, policy: &Policy) -> i64 {
        // Raw time of another time namespace means nothing to the old claim.
        let moved = self.voided == Some(Disturbance::Moved)
            || self.identity.time_namespace != before.identity.time_namespace;
        let rc = if moved { before.seen_raw } else { rc };
        if before.answering.is_assumed() {
            rc
        } else {
            // Later than this no reader was answered from it, and what was learned of the rate is
            // not assumed any more (A1).
            rc.min(policy.last_use(&old.claim))
        }
    }

    /// The earliest end that a claim in force had reached at raw instant `raw`.
    fn reached_by(&self, old: &SyncClaim, floor: Option<Timestamp>, raw: i64) -> Option<Timestamp> {
        // A leap second that was noticed late was not on the old claim's scale, and no reader was
        // answered from it since.
        let on_scale = self
            .claim_in_force()
            .filter(|next| next.with_leap(None) == old.claim.with_leap(None))
            .unwrap_or(old.claim);
        on_scale.earliest_at(raw).ok().max(floor)
    }

    /// How far the claim in force stays behind the floor, whatever it is widened by.
    fn misses(&self, floor: Timestamp, raw: i64) -> Option<Duration> {
        let latest = self.claim_in_force()?.latest_at(raw).ok()?;
        (floor > latest).then(|| floor.abs_diff(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Assumption, Why};
    use super::*;
    use crate::machine::{Disruption, Identity, Sandwich};
    use crate::source::{Finding, Look};
    use crate::time::{ErrorBound, Interval, RateBounds};

    const SECOND: i64 = 1_000_000_000;

    /// Two sources, both claims of which count.
    fn policy() -> Policy {
        Policy {
            sources: vec![
                std::sync::Arc::new(crate::source::KernelSource::new()),
                std::sync::Arc::new(crate::source::KernelSource::new()),
            ],
            assume_error: Some(Duration::from_secs(1)),
            ..Policy::default()
        }
    }

    fn clocks(raw: i64) -> Sandwich {
        Sandwich {
            mono_before: raw,
            boot: raw,
            real: raw,
            raw,
            mono_after: raw,
        }
    }

    fn sync(raw: i64, earliest: i64, latest: i64) -> SyncClaim {
        let at = Timestamp::from_unix_nanos;
        SyncClaim {
            claim: Claim::new(
                raw,
                Interval::new(at(earliest), at(latest)).unwrap(),
                RateBounds::symmetric(0),
            ),
            bound: ErrorBound::default(),
        }
    }

    fn unheard() -> State {
        let disruption = Disruption::default();
        State::new(
            Assumption::Holds,
            &clocks(0),
            Identity::default(),
            disruption,
        )
    }

    /// A state in which the source with this index serves.
    fn served(source: usize, sync: SyncClaim) -> State {
        let mut state = unheard();
        let _ = state.sources[source].hear(&Look::new(Finding::Write(sync)));
        state.answering = Answering::From {
            source,
            floor: None,
        };
        state
    }

    fn assumed(sync: SyncClaim) -> State {
        let mut state = unheard();
        state.answering = Answering::Assumed { sync, floor: None };
        state
    }

    fn floor_of(state: &State) -> Option<i64> {
        state.answering.floor().map(Timestamp::unix_nanos)
    }

    #[test]
    fn t3_the_floor_is_where_the_closed_claim_had_come_to() {
        let before = served(0, sync(0, 100, 200));
        let wider = served(0, sync(50, 90, 300));
        assert!(before.loses_its_claim(&wider));
        let (next, events) = wider.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(160));
        assert_eq!(events, Events::default());
        // And what stood under it already, where that is more.
        let mut promised = before;
        promised
            .answering
            .set_floor(Some(Timestamp::from_unix_nanos(180)));
        let (next, _) = wider.succeed(&promised, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(180));
    }

    #[test]
    fn t3_a_claim_that_stays_in_force_keeps_its_floor() {
        let mut before = served(0, sync(0, 100, 200));
        before
            .answering
            .set_floor(Some(Timestamp::from_unix_nanos(150)));
        let same = served(1, sync(0, 100, 200));
        assert!(!before.loses_its_claim(&same));
        let (next, _) = same.succeed(&before, None, &policy());
        assert_eq!(floor_of(&next), Some(150));
    }

    #[test]
    fn t3_a_promise_outlives_a_void() {
        let before = served(0, sync(0, 100, 200));
        let void = State {
            answering: Answering::nothing(Why::Disturbed(Disturbance::Suspended)),
            voided: Some(Disturbance::Suspended),
            ..before
        };
        let (void, _) = void.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&void), Some(160));
        let (next, _) = served(0, sync(500, 0, 1_000)).succeed(&void, None, &policy());
        assert_eq!(floor_of(&next), Some(160));
    }

    #[test]
    fn t3_a_floor_beyond_the_next_claim_contradicts_it() {
        let before = served(0, sync(0, 100, 200));
        let behind = served(1, sync(50, 0, 59));
        let (next, events) = behind.succeed(&before, Some(60), &policy());
        let by = Duration::from_nanos(160 - 69);
        let contradiction = super::super::Contradiction { source: 1, by };
        assert_eq!(next.answering.contradiction(), Some(contradiction));
        assert_eq!(events, Events::of(Count::Contradictions));
        assert_eq!(floor_of(&next), None);
    }

    #[test]
    fn t3_vouched_and_assumed_claims_owe_each_other_nothing() {
        let vouched = served(0, sync(0, 100, 200));
        let caller = assumed(sync(0, 50, 60));
        let (next, _) = caller.succeed(&vouched, Some(60), &policy());
        assert_eq!(floor_of(&next), None);
        let (next, _) = vouched.succeed(&caller, Some(60), &policy());
        assert_eq!(floor_of(&next), None);
        let (next, _) = assumed(sync(9, 0, 500)).succeed(&caller, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(110));
    }

    #[test]
    fn t3_no_claim_of_a_source_promised_anything_after_its_last_use() {
        let before = served(0, sync(0, 100, 200));
        let policy = policy();
        let hour = i64::try_from(policy.max_age.as_nanos()).unwrap();
        let next = served(0, sync(2 * hour, 0, 9 * hour));
        let (next, _) = next.succeed(&before, Some(2 * hour), &policy);
        assert_eq!(floor_of(&next), Some(100 + hour));
        assert!(hour > SECOND);
        // What the caller vouches for has no such end.
        let before = assumed(sync(0, 100, 200));
        let next = assumed(sync(2 * hour, 0, 9 * hour));
        let (next, _) = next.succeed(&before, Some(2 * hour), &policy);
        assert_eq!(floor_of(&next), Some(100 + 2 * hour));
    }
}
