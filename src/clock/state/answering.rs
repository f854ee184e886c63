//! What a clock answers from, or why it does not answer and what would end that.

use core::time::Duration;

use crate::clock::error::ClockError;
use crate::clock::policy::Policy;
use crate::machine::Disturbance;
use crate::source::{Refusal, SyncClaim};
use crate::time::Timestamp;
use crate::words::{words_enum, words_struct};

/// What every call is answered from.
///
/// A floor is what the earliest end must not fall behind, since `after` was told of it (T3); only
/// [`State::succeed`](super::State::succeed) decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// The last claim of the source with this index.
    From {
        source: usize,
        floor: Option<Timestamp>,
    },
    /// What the caller vouched for.
    Assumed {
        sync: SyncClaim,
        floor: Option<Timestamp>,
    },
    /// Nothing: every call is an error. What was promised before a void outlives it.
    Nothing {
        why: Why,
        promised: Option<Timestamp>,
    },
}

words_enum!(Answering {
    From { source, floor } = 1,
    Assumed { sync, floor } = 2,
    Nothing { why, promised } = 3,
});

impl Answering {
    pub(crate) const fn nothing(why: Why) -> Self {
        Self::Nothing {
            why,
            promised: None,
        }
    }

    pub(crate) const fn is_assumed(&self) -> bool {
        matches!(self, Self::Assumed { .. })
    }

    pub(crate) const fn contradiction(&self) -> Option<Contradiction> {
        match self {
            Self::Nothing {
                why: Why::Contradicted(contradiction),
                ..
            } => Some(*contradiction),
            _ => None,
        }
    }

    pub(super) const fn floor(&self) -> Option<Timestamp> {
        match self {
            Self::From { floor, .. } | Self::Assumed { floor, .. } => *floor,
            Self::Nothing { promised, .. } => *promised,
        }
    }

    pub(super) const fn set_floor(&mut self, to: Option<Timestamp>) {
        match self {
            Self::From { floor, .. } | Self::Assumed { floor, .. } => *floor = to,
            Self::Nothing { promised, .. } => *promised = to,
        }
    }
}

/// Why there is nothing to answer from; each variant names the event that ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// No source was looked at yet. Ends with the first look that gets through.
    Unheard,
    /// Two claims cannot both be true. Ends when each source that has a say has said the same thing
    /// twice; where no source reports a bound, when the caller vouches.
    Contradicted(Contradiction),
    /// Raw time no longer connects to what was claimed. Ends with a source's next write.
    Disturbed(Disturbance),
    /// What the caller vouched for no longer holds. Ends when the caller vouches again, or a source
    /// does.
    AssumptionBroken(Disturbance),
    /// No source vouches. Ends with what the refusal asks for.
    Refused(Refusal),
}

words_enum!(Why {
    Unheard = 1,
    Contradicted(contradiction) = 2,
    Disturbed(cause) = 3,
    AssumptionBroken(cause) = 4,
    Refused(refusal) = 5,
});

impl Why {
    #[inline]
    pub(crate) fn error(&self, policy: &Policy) -> ClockError {
        match *self {
            Self::Unheard => ClockError::Disturbed {
                cause: Disturbance::Interrupted,
            },
            Self::Contradicted(Contradiction { party, by }) => ClockError::Contradicted {
                from: match party {
                    Party::Source(source) => policy.source_name(source),
                    Party::Caller => "assumed",
                },
                by,
            },
            Self::Disturbed(cause) => ClockError::Disturbed { cause },
            Self::AssumptionBroken(cause) => ClockError::AssumptionBroken { cause },
            Self::Refused(refusal) => ClockError::Unvouched(refusal),
        }
    }
}

/// Two claims that cannot both be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// Who made the later one.
    pub(crate) party: Party,
    /// How far they miss each other.
    pub(crate) by: Duration,
}

words_struct!(Contradiction { party, by });

/// Who makes claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// The source with this index.
    Source(usize),
    /// The caller, by `assume_error`.
    Caller,
}

words_enum!(Party { Source(index) = 1, Caller = 2 });

/// Whether the caller vouches for real time (`assume_error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assumption {
    NotGiven,
    Holds,
    /// Until the caller vouches again or a source writes.
    Broken(Disturbance),
}

words_enum!(Assumption { NotGiven = 1, Holds = 2, Broken(cause) = 3 });

impl Assumption {
    pub(crate) const fn of(policy: &Policy) -> Self {
        match policy.assume_error {
            None => Self::NotGiven,
            Some(_) => Self::Holds,
        }
    }

    /// Breaks it by a step of `by` ns: one that leads from one edge of what was assumed to the other, and
    /// no further, leaves it.
    pub(super) fn step_by(&mut self, by: i64, error: Option<Duration>) {
        let twice = error.map_or(0, |error| error.as_nanos().saturating_mul(2));
        if u128::from(by.unsigned_abs()) > twice {
            self.break_by(Disturbance::Stepped);
        }
    }

    /// Breaks it, also while a source's claim serves: it is real time that the caller vouched for.
    pub(super) const fn break_by(&mut self, cause: Disturbance) {
        if !matches!(self, Self::NotGiven) {
            *self = Self::Broken(cause);
        }
    }

    pub(super) const fn mend(&mut self) {
        if matches!(self, Self::Broken(_)) {
            *self = Self::Holds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_from_one_edge_of_what_is_assumed_to_the_other_leaves_it_and_a_longer_one_breaks_it() {
        let error = Duration::from_nanos(5);
        let broken = Assumption::Broken(Disturbance::Stepped);
        for (before, by, after) in [
            (Assumption::Holds, 10, Assumption::Holds),
            (Assumption::Holds, -10, Assumption::Holds),
            (Assumption::Holds, 11, broken),
            (Assumption::Holds, -11, broken),
            (Assumption::NotGiven, 11, Assumption::NotGiven),
        ] {
            let mut assumption = before;
            assumption.step_by(by, Some(error));
            assert_eq!(assumption, after, "{before:?} {by}");
        }
        let mut assumption = broken;
        assumption.mend();
        assert_eq!(assumption, Assumption::Holds);
        let mut assumption = Assumption::NotGiven;
        assumption.mend();
        assert_eq!(assumption, Assumption::NotGiven);
    }
}
