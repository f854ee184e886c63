//! What a reading needs of a state, in a few words that stand before it in a slot of the latch.
//!
//! An error, and the comparison of the clocks that finds nothing, unpack these instead of the whole:
//! neither the time nor the stack of a signal handler allows for that.

use core::time::Duration;

use super::{State, Why, age};
use crate::clock::error::ClockError;
use crate::clock::policy::Policy;
use crate::clock::status::ClockState;
use crate::machine::{Disruption, OffsetRange, Sandwich};
use crate::source::SyncClaim;
use crate::time::{Claim, Interval, Timestamp};
use crate::words::{Words, words_enum, words_struct};

use super::guard::SUSPEND_RESOLUTION;

/// From so long, in ns, before a leap second on the scale of the claim in force only the whole state
/// tells what happened: a deleted one comes a second early, and the kernel's clock may be off itself.
const LEAP_VICINITY: i64 = 2_000_000_000;

/// The words that a digest fills.
pub(crate) const DIGEST_WORDS: usize = Digest::WORDS;

/// The words that what is answered from fills, the first of a digest's.
pub(crate) const BASIS_WORDS: usize = Basis::WORDS;

/// What readings are answered from, and what the clocks are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) basis: Basis,
    pub(crate) seen: Seen,
}

words_struct!(Digest { basis, seen });

impl Digest {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            basis: Basis::of(state),
            seen: Seen::of(state),
        }
    }
}

/// What readings are answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    Claim {
        claim: Claim,
        floor: Option<Timestamp>,
        assumed: bool,
        founded_on: ClockState,
    },
    /// Every call is an error.
    Nothing(Why),
}

words_enum!(Basis {
    Claim { claim, floor, assumed, founded_on } = 1,
    Nothing(why) = 2,
});

impl Basis {
    pub(crate) fn of(state: &State) -> Self {
        if let super::Answering::Nothing { why, .. } = state.answering {
            return Self::Nothing(why);
        }
        let Some(SyncClaim { claim, .. }) = state.in_force() else {
            // A source serves only while it has a claim.
            return Self::Nothing(Why::Unheard);
        };
        if let Some(cause) = state.unexplained {
            return Self::Nothing(Why::Disturbed(cause));
        }
        Self::Claim {
            claim,
            floor: state.answering.floor(),
            assumed: state.answering.is_assumed(),
            founded_on: state.founded_on(),
        }
    }

    /// Returns the interval at `raw`, its earliest end held at `held_at` if that is earlier.
    pub(crate) fn answer(
        &self,
        policy: &Policy,
        raw: i64,
        held_at: Option<i64>,
    ) -> Result<Interval, ClockError> {
        let (claim, floor, assumed) = match self {
            Self::Nothing(why) => return Err(why.error(policy)),
            Self::Claim {
                claim,
                floor,
                assumed,
                ..
            } => (claim, *floor, *assumed),
        };
        let age: Duration = age(claim, raw);
        if age > policy.max_age && !assumed {
            let max_age = policy.max_age;
            return Err(ClockError::TooOld { age, max_age });
        }
        let mut interval = claim.carry(raw)?;
        // A deleted second between the ends makes the interval look wider by a second that
        // never elapsed.
        let epsilon = claim.with_leap(None).carry(raw)?.epsilon();
        if epsilon > policy.max_error {
            let max_error = policy.max_error;
            return Err(ClockError::TooWide { epsilon, max_error });
        }
        if let Some(held_at) = held_at.filter(|held_at| *held_at < raw) {
            let earliest = claim.earliest_at(held_at)?;
            interval = Interval::new(earliest, interval.latest()).unwrap_or(interval);
        }
        Ok(match floor {
            Some(floor) if floor > interval.earliest() => {
                Interval::new(floor, interval.latest()).unwrap_or(interval)
            }
            _ => interval,
        })
    }

    /// Returns how well founded an answer at raw instant `raw` is.
    pub(crate) fn state(&self, raw: i64) -> ClockState {
        match self {
            Self::Nothing(_) => ClockState::Unavailable,
            Self::Claim {
                claim, founded_on, ..
            } => founded_on.after_silence(raw.saturating_sub(claim.raw())),
        }
    }

    /// Returns the claim that answers.
    pub(crate) const fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claim { claim, .. } => Some(claim),
            Self::Nothing(_) => None,
        }
    }
}

/// The clocks as they were last seen, as far as that shows that nothing happened to them since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    disruption: Disruption,
    real_offset: OffsetRange,
    boot_offset: OffsetRange,
    raw: i64,
    /// The real time from which on a leap second may be overdue; `i64::MAX` if none is awaited.
    leap_near: i64,
}

words_struct!(Seen {
    disruption,
    real_offset,
    boot_offset,
    raw,
    leap_near,
});

impl Seen {
    fn of(state: &State) -> Self {
        let leap = state.in_force().and_then(|sync| sync.claim.leap());
        let awaited = leap.filter(|leap| state.leapt != Some(leap.boundary));
        Self {
            disruption: state.disruption,
            real_offset: state.real_offset,
            boot_offset: state.boot_offset,
            raw: state.seen_raw,
            leap_near: awaited.map_or(i64::MAX, |leap| {
                leap.boundary.unix_nanos().saturating_sub(LEAP_VICINITY)
            }),
        }
    }

    /// Returns true if [`State::guard`] would surely find that nothing happened to the clocks.
    pub(crate) fn surely_undisturbed(&self, clocks: &Sandwich, disruption: Disruption) -> bool {
        let slept = self.boot_offset.moved_to(&clocks.boot_offset());
        disruption == self.disruption
            && clocks.raw >= self.raw
            && slept.saturating_abs() <= SUSPEND_RESOLUTION
            && self.real_offset.moved_to(&clocks.real_offset()) == 0
            && clocks.real < self.leap_near
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Answering, Assumption};
    use super::*;
    use crate::machine::{Disturbance, Identity};
    use crate::time::{ErrorBound, LeapKind, LeapSecond, RateBounds};

    const SECOND: i64 = 1_000_000_000;

    fn any_leap() -> impl Strategy<Value = Option<LeapSecond>> {
        let kind = prop_oneof![Just(LeapKind::Inserted), Just(LeapKind::Deleted)];
        let boundary = -3 * SECOND..3 * SECOND;
        proptest::option::of((boundary, kind).prop_map(|(boundary, kind)| LeapSecond {
            boundary: Timestamp::from_unix_nanos(boundary),
            kind,
        }))
    }

    /// Clocks at zero, moved by a little or not at all.
    fn any_clocks() -> impl Strategy<Value = Sandwich> {
        let moved =
            || prop_oneof![4 => Just(0_i64), 1 => -3_000..3_000_i64, 1 => -3 * SECOND..3 * SECOND];
        (moved(), moved(), moved(), 0..2_000_i64).prop_map(|(boot, real, raw, width)| Sandwich {
            mono_before: 0,
            boot,
            real,
            raw,
            mono_after: width,
        })
    }

    proptest! {
        /// Where the digest says that nothing happened, the whole state says so too; and where it does
        /// not know, something did, or a leap second is near.
        #[test]
        fn a_digest_overlooks_nothing_that_the_state_would_find(
            before in any_clocks(),
            after in any_clocks(),
            leap in any_leap(),
            (leapt, unexplained, serves) in any::<(bool, bool, bool)>(),
            marker in 0..2_u64,
        ) {
            let mut state =
                State::new(Assumption::Holds, &before, Identity::default(), Disruption::default());
            let claim = Claim::new(0, Interval::point(Timestamp::UNIX_EPOCH), RateBounds::symmetric(0));
            let sync = SyncClaim { claim: claim.with_leap(leap), bound: ErrorBound::default() };
            if serves {
                state.answering = Answering::Assumed { sync, floor: None };
            }
            state.leapt = leap.filter(|_| leapt).map(|leap| leap.boundary);
            state.unexplained = unexplained.then_some(Disturbance::UnexplainedSecond);
            let disruption = Disruption { marker, generation: 0 };
            let seen = Digest::of(&state).seen;
            let sure = seen.surely_undisturbed(&after, disruption);
            let found = state.guard(&Policy::default(), &after, disruption, Identity::default);
            prop_assert!(!(sure && found.is_some()), "overlooked {found:?}");
            prop_assert!(sure || found.is_some() || after.real >= seen.leap_near);
        }
    }
}
