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

    use super::super::samples::clocks;
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

    fn basis(claim: Claim, assumed: bool, floor: Option<i64>) -> Basis {
        Basis::Claim {
            claim,
            floor: floor.map(Timestamp::from_unix_nanos),
            assumed,
            founded_on: ClockState::Synchronized,
        }
    }

    fn around(half: i64, rate: RateBounds) -> Claim {
        let ends = [-half, half].map(Timestamp::from_unix_nanos);
        Claim::new(0, Interval::new(ends[0], ends[1]).unwrap(), rate)
    }

    #[test]
    fn a_claim_answers_up_to_max_age_unless_it_is_assumed_and_up_to_max_error() {
        let policy = Policy::default();
        let (max_age, max_error) = (policy.max_age, policy.max_error);
        let [last, most] = [max_age, max_error].map(|span| i64::try_from(span.as_nanos()).unwrap());
        let one = Duration::from_nanos(1);
        let exact = RateBounds::symmetric(0);
        let too_old = ClockError::TooOld {
            age: max_age + one,
            max_age,
        };
        let too_wide = ClockError::TooWide {
            epsilon: max_error + one,
            max_error,
        };
        for (half, assumed, raw, refusal) in [
            (5, false, last, None),
            (5, false, last + 1, Some(too_old)),
            (5, true, last + 1, None),
            (most, false, 0, None),
            (most + 1, false, 0, Some(too_wide)),
            (most + 1, true, 0, Some(too_wide)),
        ] {
            let answer = basis(around(half, exact), assumed, None).answer(&policy, raw, None);
            let case = (half, assumed, raw);
            assert_eq!(answer.err(), refusal, "{case:?}");
        }
    }

    #[test]
    fn the_earliest_end_is_held_where_it_was_and_not_below_the_floor() {
        let policy = Policy::default();
        let claim = around(5, RateBounds::symmetric(0));
        for (held_at, floor, earliest) in [
            (None, None, 15),
            (Some(18), None, 13),
            (Some(20), None, 15),
            (Some(22), None, 15),
            (None, Some(14), 15),
            (None, Some(15), 15),
            (None, Some(16), 16),
            (Some(18), Some(14), 14),
            // None that is beyond the latest end, which a contradiction would tell of.
            (None, Some(26), 15),
        ] {
            let answer = basis(claim, false, floor).answer(&policy, 20, held_at);
            let ends = answer.map(|interval| [interval.earliest(), interval.latest()]);
            let expected = [earliest, 25].map(Timestamp::from_unix_nanos);
            assert_eq!(ends, Ok(expected), "{held_at:?} {floor:?}");
        }
    }

    /// One of what is compared at a time is at its limit, and beyond.
    #[test]
    fn the_clocks_are_surely_undisturbed_up_to_each_limit_and_no_further() {
        let boundary = Timestamp::from_unix_nanos(10 * SECOND);
        let claim = around(5, RateBounds::symmetric(0)).with_leap(Some(LeapSecond {
            boundary,
            kind: LeapKind::Deleted,
        }));
        let mut state = State::new(
            Assumption::Holds,
            &clocks(SECOND),
            Identity::default(),
            Disruption::default(),
        );
        state.answering = Answering::Assumed {
            sync: SyncClaim {
                claim,
                bound: ErrorBound::default(),
            },
            floor: None,
        };
        let seen = Digest::of(&state).seen;
        let here = clocks(2 * SECOND);
        let slept = |by| Sandwich {
            boot: here.boot + by,
            ..here
        };
        let near = 8 * SECOND;
        let raw = |raw| Sandwich { raw, ..here };
        let real = |by| Sandwich {
            real: here.real + by,
            ..here
        };
        for (clocks, sure) in [
            (here, true),
            (slept(SUSPEND_RESOLUTION), true),
            (slept(SUSPEND_RESOLUTION + 1), false),
            (slept(-SUSPEND_RESOLUTION), true),
            (slept(-SUSPEND_RESOLUTION - 1), false),
            (raw(SECOND), true),
            (raw(SECOND - 1), false),
            (real(SECOND), false),
            (real(-SECOND), false),
            (clocks(near - 1), true),
            (clocks(near), false),
        ] {
            let found = seen.surely_undisturbed(&clocks, Disruption::default());
            assert_eq!(found, sure, "{clocks:?}");
        }
        let marker = Disruption {
            marker: 1,
            ..Disruption::default()
        };
        assert!(!seen.surely_undisturbed(&here, marker));
        // A leap second that took place is not awaited any more; another one is.
        for (leapt, sure) in [(boundary, true), (Timestamp::UNIX_EPOCH, false)] {
            state.leapt = Some(leapt);
            let seen = Digest::of(&state).seen;
            let found = seen.surely_undisturbed(&clocks(near), Disruption::default());
            assert_eq!(found, sure, "{leapt:?}");
        }
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
