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
        self.boot_offset = clocks.boot_offset();
        self.identity = identity;
        self.seen_raw = clocks.raw;
        self.seen_real = clocks.real;
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
