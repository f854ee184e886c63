//! What suspends, steps and other disturbances do to what is known.

use super::{Answering, State};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::{Disruption, Disturbance, Identity, Sandwich};
use crate::time::{LeapKind, LeapSecond};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How late the kernel may be to leap: it does so at the first tick of the second, which is 10 ms long
/// at most, and may come late itself.
const LEAP_LATENESS: i64 = 100_000_000;

/// A jump of boot against monotonic time below this is rounding, not a suspend (A3: a suspend takes
/// milliseconds at least).
pub(crate) const SUSPEND_RESOLUTION: i64 = 1_000;

impl State {
    /// Compares the clocks with what they were; the next state if something happened to them.
    pub(crate) fn guard(
        &self,
        policy: &Policy,
        clocks: &Sandwich,
        disruption: Disruption,
        identity: impl FnOnce() -> Identity,
    ) -> Option<(Self, Events)> {
        if disruption != self.disruption {
            let disrupted = Self {
                disruption,
                ..*self
            };
            return Some(disrupted.void(policy, Disturbance::Disrupted, clocks, identity()));
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
            return self.leap_overdue(clocks);
        }
        let identity = identity();
        if identity != self.identity {
            return Some(self.void(policy, Disturbance::Moved, clocks, identity));
        }
        Some(self.stepped(policy, stepped, clocks))
    }

    /// Real time has come to a leap second and gone on as if there were none: it was called off when no
    /// look could see that, or takes place elsewhere. Only a look can tell.
    fn leap_overdue(&self, clocks: &Sandwich) -> Option<(Self, Events)> {
        if self.unexplained.is_some() || !self.missed_leap(clocks.real) {
            return None;
        }
        let mut next = self.rebased(clocks, self.identity);
        next.unexplained = Some(Disturbance::UnexplainedSecond);
        Some((next, Events::default()))
    }

    /// Whether the claim in force has a leap second on its scale that real time should have made by
    /// now, and has not.
    pub(super) fn missed_leap(&self, real: i64) -> bool {
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

    fn rebased(&self, clocks: &Sandwich, identity: Identity) -> Self {
        Self {
            real_offset: clocks.real_offset(),
            boot_offset: clocks.boot_offset(),
            identity,
            seen_raw: clocks.raw,
            seen_real: clocks.real,
            ..*self
        }
    }

    /// Nothing serves from here on, and why is as the sources and the clocks have it now.
    fn stop_serving(&mut self, policy: &Policy) {
        if self.answering.contradiction().is_none() {
            self.answering = Answering::nothing(self.why_nothing(policy));
        }
    }

    /// Raw time does not connect to what was known: every claim is void.
    fn void(
        &self,
        policy: &Policy,
        cause: Disturbance,
        clocks: &Sandwich,
        identity: Identity,
    ) -> (Self, Events) {
        let mut next = self.rebased(clocks, identity);
        next.voided = Some(cause);
        next.unexplained = None;
        for record in next.sources.iter_mut().take(policy.source_count()) {
            record.void();
        }
        next.rate.reset();
        next.assumption.break_by(cause);
        next.stop_serving(policy);
        (next, Events::of(Count::Suspends))
    }

    /// Real time was stepped, or a leap second took place.
    fn stepped(&self, policy: &Policy, by: i64, clocks: &Sandwich) -> (Self, Events) {
        let mut next = self.rebased(clocks, self.identity);
        let leap = self.in_force().and_then(|sync| sync.claim.leap());
        if let Some(leap) = leap.filter(|leap| self.is_that_leap(by, clocks.real, leap)) {
            next.leapt = Some(leap.boundary);
            next.unexplained = None;
            return (next, Events::default());
        }
        let around_midnight = |real: i64| real.div_euclid(DAY);
        if (by.saturating_abs() - SECOND).abs() < SECOND / 2
            && (around_midnight(self.seen_real.saturating_sub(2 * SECOND))
                != around_midnight(clocks.real.saturating_add(2 * SECOND)))
        {
            next.unexplained = Some(Disturbance::UnexplainedSecond);
        }
        next.assumption.break_by(Disturbance::Stepped);
        match self.answering {
            // No claim is about real time, but for one that only the caller vouched for.
            Answering::From { .. } => {}
            Answering::Assumed { .. } | Answering::Nothing { .. } => next.stop_serving(policy),
        }
        (next, Events::of(Count::Steps))
    }
}
