//! What suspends, steps and other disturbances do to what is known.

use super::{Answering, State};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::{Disruption, Disturbance, Identity, NoCounter, Sandwich};
use crate::source::SyncClaim;
use crate::time::{LeapKind, LeapSecond};

const SECOND: i64 = 1_000_000_000;

/// How late the kernel may be to leap: it does so at the first tick of the second, which is 10 ms long
/// at most, and may come late itself.
const LEAP_LATENESS: i64 = 100_000_000;

/// A jump of boot against monotonic time below this is rounding, not a suspend (A3: a suspend takes
/// milliseconds at least).
pub(crate) const SUSPEND_RESOLUTION: i64 = 1_000;

/// A kernel slews by 500 ppm at most: this share of what passes.
const SLEW_SHARE: i64 = 2_000;

impl State {
    /// Compares the clocks with what they were; `None` if nothing happened to them.
    #[inline(never)]
    pub(crate) fn guard(
        &mut self,
        policy: &Policy,
        clocks: &Sandwich,
        disruption: Disruption,
        identity: impl FnOnce() -> Identity,
    ) -> Option<Events> {
        if disruption != self.disruption {
            self.disruption = disruption;
            return Some(self.void(policy, Disturbance::Disrupted, clocks, identity()));
        }
        if clocks.raw < self.seen_raw {
            return Some(self.void(policy, Disturbance::RawBackwards, clocks, identity()));
        }
        let slept = self.boot_offset.moved_to(&clocks.boot_offset());
        if slept.saturating_abs() > SUSPEND_RESOLUTION {
            return Some(self.void(policy, Disturbance::Suspended, clocks, identity()));
        }
        let stepped = self.real_offset.moved_to(&clocks.real_offset());
        if stepped == 0 {
            return self.leap_overdue(policy, clocks);
        }
        let identity = identity();
        if self.is_elsewhere(identity) {
            return Some(self.void(policy, Disturbance::Moved, clocks, identity));
        }
        if policy.steps_may_be_suspends && self.is_beyond_slew(stepped, clocks) {
            return Some(self.void(policy, Disturbance::Suspended, clocks, identity));
        }
        Some(self.stepped(policy, stepped, clocks, identity))
    }

    /// Returns true if no slew moves real time so far in what passed since it was last seen.
    const fn is_beyond_slew(&self, moved: i64, clocks: &Sandwich) -> bool {
        let most = clocks.raw.saturating_sub(self.seen_raw) / SLEW_SHARE;
        moved.saturating_abs() > most
    }

    /// Returns true if the clocks that this process reads may be others than those that were seen.
    pub(crate) fn is_elsewhere(&self, identity: Identity) -> bool {
        // A forked child lives on with the clock that it inherited, unless its clocks are others. Where
        // the time namespace cannot be read, that is not known.
        let same_clocks =
            identity.time_namespace == self.identity.time_namespace && identity.time_namespace != 0;
        identity != self.identity && !same_clocks
    }

    /// Real time has come to a leap second and gone on as if there were none: it was called off when no
    /// look could see that, or takes place elsewhere. Only a look can tell.
    fn leap_overdue(&mut self, policy: &Policy, clocks: &Sandwich) -> Option<Events> {
        if self.unexplained.is_some() || !self.missed_leap(policy, clocks.real) {
            return None;
        }
        self.rebase(clocks, self.identity);
        self.unexplained = Some(Disturbance::UnexplainedSecond);
        Some(Events::default())
    }

    /// Returns true if the claim in force has a leap second on its scale that real time should have
    /// made by now, and has not.
    pub(super) fn missed_leap(&self, policy: &Policy, real: i64) -> bool {
        // Servers that are asked by the clock itself tell no kernel, whose real time then says nothing.
        if !self.answering.is_assumed() && !policy.is_about_real_time() {
            return false;
        }
        let leap = self.in_force().and_then(|sync| sync.claim.leap());
        leap.is_some_and(|leap| {
            let boundary = leap.boundary.unix_nanos();
            let due = match leap.kind {
                LeapKind::Inserted => boundary,
                LeapKind::Deleted => boundary.saturating_sub(SECOND),
            };
            self.leapt != Some(leap.boundary) && real >= due.saturating_add(LEAP_LATENESS)
        })
    }

    /// Whether a jump of real time since it was last seen is the one that this leap second makes.
    fn is_that_leap(&self, jump: i64, real: i64, leap: &LeapSecond) -> bool {
        let boundary = leap.boundary.unix_nanos();
        let expected = match leap.kind {
            LeapKind::Inserted => -SECOND,
            LeapKind::Deleted => SECOND,
        };
        // The kernel leaps when its own real time gets there, which may be off by a second or so, and
        // once.
        jump.saturating_sub(expected).saturating_abs() < SECOND / 2
            && real.saturating_add(2 * SECOND) >= boundary
            && self.seen_real < boundary.saturating_add(2 * SECOND)
            && self.leapt != Some(leap.boundary)
    }

    const fn rebase(&mut self, clocks: &Sandwich, identity: Identity) {
        self.real_offset = clocks.real_offset();
        self.narrow_boot_offset(clocks);
        self.identity = identity;
        self.seen_raw = clocks.raw;
        self.seen_real = clocks.real;
    }

    /// Takes in where boot time is, if no suspend was found.
    ///
    /// Slow readings blur a comparison, and a suspend may hide in that, or look like a step. So what was known before
    /// is kept, with what rounding may have moved it: the next sharp comparison finds the suspend by it.
    pub(super) const fn narrow_boot_offset(&mut self, clocks: &Sandwich) {
        let (mut known, now) = (self.boot_offset, clocks.boot_offset());
        if known.moved_to(&now) != 0 {
            known.lo = known.lo.saturating_sub(SUSPEND_RESOLUTION);
            known.hi = known.hi.saturating_add(SUSPEND_RESOLUTION);
        }
        self.boot_offset = known.refined_by(&now);
    }

    /// Nothing serves from here on, and why is as the sources and the clocks have it now.
    fn stop_serving(&mut self, policy: &Policy) {
        if self.answering.contradiction().is_none() {
            self.answering = Answering::nothing(self.why_nothing(policy));
        }
    }

    /// Raw time does not connect to what was known: every claim is void.
    pub(crate) fn void(
        &mut self,
        policy: &Policy,
        cause: Disturbance,
        clocks: &Sandwich,
        identity: Identity,
    ) -> Events {
        self.rebase(clocks, identity);
        // Nothing from before counts, and in another namespace boot time may be another.
        self.boot_offset = clocks.boot_offset();
        self.voided = Some(cause);
        self.unexplained = None;
        self.step = None;
        for record in self.sources.iter_mut().take(policy.source_count()) {
            record.void();
        }
        self.forget_rates();
        self.counting.forget(NoCounter::Uncompared);
        self.assumption.break_by(cause);
        self.stop_serving(policy);
        Events::of(Count::Suspends)
    }

    /// Real time was stepped, or a leap second took place.
    fn stepped(
        &mut self,
        policy: &Policy,
        by: i64,
        clocks: &Sandwich,
        identity: Identity,
    ) -> Events {
        let seen_real = self.seen_real;
        let leap = self.in_force().and_then(|sync| sync.claim.leap());
        let leapt = leap.filter(|leap| self.is_that_leap(by, clocks.real, leap));
        self.rebase(clocks, identity);
        if let Some(leap) = leapt {
            self.leapt = Some(leap.boundary);
            self.unexplained = None;
            return Events::default();
        }
        self.assumption.step_by(by, policy.assume_error);
        match self.answering {
            // No claim is about real time; but where it is now may say that one of the two is wrong.
            Answering::From { .. } => self.step_out(policy, by, seen_real, clocks),
            Answering::Assumed { sync, .. } => self.step_under_assumption(policy, &sync, clocks),
            Answering::Nothing { .. } => {
                self.step_out(policy, by, seen_real, clocks);
                self.stop_serving(policy);
            }
        }
        Events::of(Count::Steps)
    }

    /// The caller vouches for real time before the step and after it: both are true while they meet.
    fn step_under_assumption(&mut self, policy: &Policy, sync: &SyncClaim, clocks: &Sandwich) {
        let anew = self.assume(policy, clocks);
        match anew.filter(|anew| sync.claim.contradiction(&anew.claim).is_none()) {
            // An honest daemon may have stepped: what was assumed before is about raw time, and goes on.
            Some(_) if !self.none_reports_a_bound(policy) => {}
            Some(sync) => self.answering = Answering::Assumed { sync, floor: None },
            None => {
                self.assumption.break_by(Disturbance::Stepped);
                self.stop_serving(policy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assumed, clocks, policy, sync, unheard};
    use super::super::{Assumption, Why};
    use super::*;
    use crate::source::{Awaiting, Refusal};
    use crate::time::Timestamp;

    const MILLI: i64 = 1_000_000;

    #[test]
    fn a_jump_is_the_leap_second_if_it_is_about_one_second_long_and_within_two_of_the_boundary() {
        let boundary = 10_000 * SECOND;
        let (inserted, deleted) = (LeapKind::Inserted, LeapKind::Deleted);
        // The jump, and real time before it and after it against the boundary.
        for (kind, jump, before, after, is_it) in [
            (inserted, -SECOND, 0, -SECOND, true),
            (deleted, SECOND, -SECOND, 0, true),
            // Half a second off one second is another step.
            (inserted, -SECOND / 2, 0, -SECOND, false),
            (inserted, -SECOND / 2 - 1, 0, -SECOND, true),
            (inserted, -3 * SECOND / 2, 0, -SECOND, false),
            (inserted, -8 * SECOND / 5, 0, -SECOND, false),
            (inserted, -3 * SECOND, 0, -SECOND, false),
            (inserted, SECOND, 0, SECOND, false),
            // Two seconds early, or late.
            (inserted, -SECOND, -SECOND, -2 * SECOND, true),
            (inserted, -SECOND, -SECOND, -2 * SECOND - 1, false),
            (inserted, -SECOND, 2 * SECOND - 1, SECOND, true),
            (inserted, -SECOND, 2 * SECOND, SECOND, false),
        ] {
            let mut state = unheard();
            state.seen_real = boundary + before;
            let leap = LeapSecond {
                boundary: Timestamp::from_unix_nanos(boundary),
                kind,
            };
            let told = state.is_that_leap(jump, boundary + after, &leap);
            assert_eq!(told, is_it, "{jump} from {before} to {after}");
            state.leapt = Some(leap.boundary);
            assert!(!state.is_that_leap(jump, boundary + after, &leap), "once");
        }
    }

    #[test]
    fn a_slew_moves_real_time_by_a_two_thousandth_of_what_passed_and_no_further() {
        let state = unheard();
        for (moved, beyond) in [(500, false), (-500, false), (501, true), (-501, true)] {
            let told = state.is_beyond_slew(moved, &clocks(MILLI));
            assert_eq!(told, beyond, "{moved}");
        }
    }

    /// A state that the caller vouched for to ±1 s at raw time 0, with such a refusal of both sources.
    /// Readings that put boot time between these, in ns after monotonic time.
    fn boot_between(lo: i64, hi: i64) -> Sandwich {
        let clocks = clocks(0);
        Sandwich {
            mono_before: clocks.boot.saturating_sub(hi),
            mono_after: clocks.boot.saturating_sub(lo),
            ..clocks
        }
    }

    #[test]
    fn a_blurred_comparison_hides_no_suspend_from_the_next_sharp_one() {
        let slept = 20_000_000;
        // What is told apart by rounding alone, and what overlaps.
        for blurred in [(SUSPEND_RESOLUTION, slept), (-5, slept), (-slept, slept)] {
            let mut state = unheard();
            state.boot_offset = boot_between(0, 0).boot_offset();
            state.narrow_boot_offset(&boot_between(blurred.0, blurred.1));
            let found = state
                .boot_offset
                .moved_to(&boot_between(slept, slept).boot_offset());
            assert!(found > SUSPEND_RESOLUTION, "{blurred:?}: {found}");
        }
    }

    #[test]
    fn boot_time_that_is_moved_by_rounding_is_followed() {
        let mut state = unheard();
        state.boot_offset = boot_between(0, 0).boot_offset();
        for n in 1..10 {
            let at = n * SUSPEND_RESOLUTION;
            let clocks = boot_between(at, at + 3);
            assert!(state.boot_offset.moved_to(&clocks.boot_offset()) <= SUSPEND_RESOLUTION);
            state.narrow_boot_offset(&clocks);
        }
    }

    fn vouched_for(refusal: Refusal) -> State {
        let mut state = assumed(sync(0, -SECOND, SECOND));
        for record in &mut state.sources {
            record.refusal = Some(refusal);
        }
        state
    }

    /// Ten seconds later real time is so far ahead.
    fn step(state: &mut State, by: i64) {
        let now = Sandwich {
            real: 10 * SECOND + by,
            ..clocks(10 * SECOND)
        };
        let _ = state.stepped(&policy(), by, &now, Identity::default());
    }

    fn in_force(state: &State) -> Option<[i64; 2]> {
        let ends = state.in_force()?.claim.interval();
        Some([ends.earliest(), ends.latest()].map(Timestamp::unix_nanos))
    }

    #[test]
    fn under_an_assumption_real_time_is_vouched_for_where_it_was_stepped_to() {
        let no_bound = Refusal::UnsyncFlag { maxerror_us: 1 };
        let mut state = vouched_for(no_bound);
        step(&mut state, SECOND / 2);
        let around = 10 * SECOND + SECOND / 2;
        assert_eq!(in_force(&state), Some([around - SECOND, around + SECOND]));
        assert!(state.answering.is_assumed());
        // A daemon that may be honest may have stepped: what was assumed is about raw time, and goes on.
        let suspicious = Refusal::AwaitingWrite {
            because: Awaiting::Suspicious { maxerror_us: 1 },
        };
        let mut state = vouched_for(suspicious);
        step(&mut state, SECOND / 2);
        assert_eq!(in_force(&state), Some([-SECOND, SECOND]));
        // Both are true while they meet, and not beyond.
        let broken = Why::AssumptionBroken(Disturbance::Stepped);
        for (by, holds) in [(2 * SECOND, true), (2 * SECOND + MILLI, false)] {
            let mut state = vouched_for(no_bound);
            step(&mut state, by);
            assert_eq!(state.answering.is_assumed(), holds, "{by}");
            assert_eq!(state.answering == Answering::nothing(broken), !holds);
        }
    }

    #[test]
    fn a_step_to_where_what_is_assumed_excludes_it_breaks_the_assumption() {
        let mut state = vouched_for(Refusal::UnsyncFlag { maxerror_us: 1 });
        state.answering = Answering::Assumed {
            sync: sync(0, -1, 1),
            floor: None,
        };
        // No further than from one edge of ±1 s to the other, but out of what came of it.
        step(&mut state, SECOND + SECOND / 2);
        assert_eq!(in_force(&state), None);
        assert_eq!(state.assumption, Assumption::Broken(Disturbance::Stepped));
    }
}
