//! The floor (T3): what the earliest end must not fall behind when one claim takes another's place.
//!
//! `after(t)`, once observed, is never denied to a caller that learned of it, while no contradiction
//! is reported and within vouched or within assumed claims. A claim that is replaced has promised
//! its earliest end as of the instant at which the latch *closed* it, and not one nanosecond more: no
//! reader was answered from it later. That end is the floor under the next claim, however much
//! earlier that one begins; [`Basis::answer`](super::Basis::answer) and the line for the hot path hold the earliest end up
//! to it. A floor that lies *beyond* the next claim's latest end is a contradiction like any other.

use core::time::Duration;

use super::{Answering, Party, State};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::Disturbance;
use crate::source::SyncClaim;
use crate::time::{Claim, Timestamp};

impl State {
    /// Takes the place of `before`, whose claim was closed at raw instant `closed` if it had one: puts the
    /// floor that is owed under the claim, or is contradicted by it.
    pub(crate) fn succeed(
        &mut self,
        before: &Self,
        closed: Option<i64>,
        policy: &Policy,
    ) -> Events {
        let next = self;
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
                let party = match next.answering {
                    Answering::From { source, .. } => Party::Source(source),
                    Answering::Assumed { .. } | Answering::Nothing { .. } => Party::Caller,
                };
                next.contradict(policy, party, by);
            }
            None => next.answering.set_floor(owed),
        }
        let mut rates = next.rates.iter().zip(&before.rates);
        if rates.any(|(next, before)| next.is_empty() && !before.is_empty()) {
            events.note(Count::RateResets);
        }
        events
    }

    pub(super) fn claim_in_force(&self) -> Option<Claim> {
        self.in_force().map(|sync| sync.claim)
    }

    /// Within vouched or within assumed claims, not under a contradiction, and while nothing was settled
    /// without the claims that made them.
    fn keeps_promises_of(&self, before: &Self) -> bool {
        if self.epoch != before.epoch {
            return false;
        }
        match self.answering {
            Answering::Nothing { .. } if self.answering.contradiction().is_some() => false,
            // What was only assumed may have been wrong, and is no floor for any source's claim.
            Answering::Nothing { .. } | Answering::From { .. } => !before.answering.is_assumed(),
            Answering::Assumed { .. } => before.answering.is_assumed(),
        }
    }

    fn last_answer(&self, before: &Self, old: &SyncClaim, rc: i64, policy: &Policy) -> i64 {
        // Raw time of another time namespace means nothing to the old claim.
        let moved_now = |state: &Self| state.voided == Some(Disturbance::Moved);
        let moved = (moved_now(self) && !moved_now(before))
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
    use super::super::Why;
    use super::super::samples::{assumed, policy, served, sync};
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn floor_of(state: &State) -> Option<i64> {
        state.answering.floor().map(Timestamp::unix_nanos)
    }

    #[test]
    fn t3_the_floor_is_where_the_closed_claim_had_come_to() {
        let before = served(0, sync(0, 100, 200));
        let wider = served(0, sync(50, 90, 300));
        let mut next = wider;
        let events = next.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(160));
        assert_eq!(events, Events::default());
        // And what stood under it already, where that is more.
        let mut promised = before;
        promised
            .answering
            .set_floor(Some(Timestamp::from_unix_nanos(180)));
        let mut next = wider;
        let _ = next.succeed(&promised, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(180));
    }

    #[test]
    fn t3_a_claim_that_stays_in_force_keeps_its_floor() {
        let mut before = served(0, sync(0, 100, 200));
        before
            .answering
            .set_floor(Some(Timestamp::from_unix_nanos(150)));
        let same = served(1, sync(0, 100, 200));
        let mut next = same;
        let _ = next.succeed(&before, Some(40), &policy());
        assert_eq!(floor_of(&next), Some(150));
        // What it had come to by itself is no more than it says from then on.
        let mut next = same;
        let _ = next.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(160));
    }

    #[test]
    fn t3_a_promise_outlives_a_void() {
        let before = served(0, sync(0, 100, 200));
        let void = State {
            answering: Answering::nothing(Why::Disturbed(Disturbance::Suspended)),
            voided: Some(Disturbance::Suspended),
            ..before
        };
        let mut void = void;
        let _ = void.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&void), Some(160));
        let mut next = served(0, sync(500, 0, 1_000));
        let _ = next.succeed(&void, None, &policy());
        assert_eq!(floor_of(&next), Some(160));
    }

    #[test]
    fn t3_a_floor_beyond_the_next_claim_contradicts_it() {
        let before = served(0, sync(0, 100, 200));
        let behind = served(1, sync(50, 0, 59));
        let mut next = behind;
        let events = next.succeed(&before, Some(60), &policy());
        let by = Duration::from_nanos(160 - 69);
        let contradiction = super::super::Contradiction {
            party: Party::Source(1),
            by,
        };
        assert_eq!(next.answering.contradiction(), Some(contradiction));
        assert_eq!(events, Events::of(Count::Contradictions));
        assert_eq!(floor_of(&next), None);
    }

    #[test]
    fn t3_vouched_and_assumed_claims_owe_each_other_nothing() {
        let vouched = served(0, sync(0, 100, 200));
        let caller = assumed(sync(0, 50, 60));
        let mut next = caller;
        let _ = next.succeed(&vouched, Some(60), &policy());
        assert_eq!(floor_of(&next), None);
        let mut next = vouched;
        let _ = next.succeed(&caller, Some(60), &policy());
        assert_eq!(floor_of(&next), None);
        let mut next = assumed(sync(9, 0, 500));
        let _ = next.succeed(&caller, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(110));
    }

    /// After a move to another namespace the caller vouches anew, and no source ever writes: what is promised
    /// from then on is promised up to each closing, not up to what was last seen.
    #[test]
    fn t3_a_move_that_is_over_shortens_no_later_promise() {
        let mut before = assumed(sync(0, 100, 200));
        before.voided = Some(Disturbance::Moved);
        let mut next = before;
        next.answering = Answering::Assumed {
            sync: sync(50, 90, 300),
            floor: None,
        };
        let _ = next.succeed(&before, Some(60), &policy());
        assert_eq!(floor_of(&next), Some(160));
    }

    #[test]
    fn t3_no_claim_of_a_source_promised_anything_after_its_last_use() {
        let before = served(0, sync(0, 100, 200));
        let policy = policy();
        let hour = i64::try_from(policy.max_age.as_nanos()).unwrap();
        let next = served(0, sync(2 * hour, 0, 9 * hour));
        let mut next = next;
        let _ = next.succeed(&before, Some(2 * hour), &policy);
        assert_eq!(floor_of(&next), Some(100 + hour));
        assert!(hour > SECOND);
        // What the caller vouches for has no such end.
        let before = assumed(sync(0, 100, 200));
        let next = assumed(sync(2 * hour, 0, 9 * hour));
        let mut next = next;
        let _ = next.succeed(&before, Some(2 * hour), &policy);
        assert_eq!(floor_of(&next), Some(100 + 2 * hour));
    }

    #[test]
    fn t3_what_was_closed_in_another_time_namespace_had_come_as_far_as_it_was_last_seen() {
        let moved = Some(Disturbance::Moved);
        let suspended = Some(Disturbance::Suspended);
        for (before_voided, voided, is_elsewhere, reached) in [
            (None, None, false, 160),
            (None, suspended, false, 160),
            (None, moved, false, 120),
            (suspended, moved, false, 120),
            (moved, moved, false, 160),
            (moved, None, false, 160),
            (None, None, true, 120),
            (moved, moved, true, 120),
        ] {
            let mut before = served(0, sync(0, 100, 200));
            before.seen_raw = 20;
            before.voided = before_voided;
            let mut next = served(0, sync(50, 90, 300));
            next.voided = voided;
            next.identity.time_namespace += u64::from(is_elsewhere);
            let _ = next.succeed(&before, Some(60), &policy());
            let case = (before_voided, voided, is_elsewhere);
            assert_eq!(floor_of(&next), Some(reached), "{case:?}");
        }
    }

    #[test]
    fn t3_a_floor_at_the_latest_end_contradicts_nothing() {
        let before = served(0, sync(0, 100, 200));
        for (latest, contradicted) in [(150, false), (149, true)] {
            let mut next = served(1, sync(50, 0, latest));
            let _ = next.succeed(&before, Some(60), &policy());
            assert_eq!(next.answering.contradiction().is_some(), contradicted);
        }
    }

    #[test]
    fn t3_a_leap_second_that_was_noticed_late_was_promised_by_no_one() {
        let before = served(0, sync(0, 100, 200));
        let leap = crate::time::LeapSecond {
            boundary: Timestamp::from_unix_nanos(SECOND),
            kind: crate::time::LeapKind::Inserted,
        };
        let of_claim = |claim: Claim| SyncClaim {
            claim: claim.with_leap(Some(leap)),
            ..sync(0, 100, 200)
        };
        for (claim, reached) in [
            (sync(0, 100, 200).claim, 2 * SECOND + 100),
            (sync(0, 90, 3 * SECOND).claim, 3 * SECOND + 100),
        ] {
            let mut next = served(0, of_claim(claim));
            let _ = next.succeed(&before, Some(3 * SECOND), &policy());
            assert_eq!(floor_of(&next), Some(reached));
        }
    }
}
