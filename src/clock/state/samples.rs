//! The states, claims and clocks that the tests of this folder begin with.

use core::time::Duration;
use std::sync::Arc;

use super::record::Trial;
use super::{Answering, Assumption, State};
use crate::clock::policy::Policy;
use crate::machine::{Disruption, Identity, Sandwich};
use crate::source::{Finding, Look, LookContext, Role, Source, SourceMemory, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, RateBounds, Timestamp};

/// Two sources, both claims of which count.
pub(super) fn policy() -> Policy {
    Policy {
        sources: vec![
            std::sync::Arc::new(crate::source::KernelSource::new()),
            std::sync::Arc::new(crate::source::KernelSource::new()),
        ],
        assume_error: Some(Duration::from_secs(1)),
        ..Policy::default()
    }
}

/// All clocks at one reading.
pub(super) fn clocks(raw: i64) -> Sandwich {
    Sandwich {
        mono_before: raw,
        boot: raw,
        real: raw,
        raw,
        mono_after: raw,
    }
}

/// The claim of an oscillator that is exact.
pub(super) fn sync(raw: i64, earliest: i64, latest: i64) -> SyncClaim {
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

pub(super) fn unheard() -> State {
    let disruption = Disruption::default();
    State::new(
        Assumption::Holds,
        &clocks(0),
        Identity::default(),
        disruption,
    )
}

/// A state in which the source with this index serves.
pub(super) fn served(source: usize, sync: SyncClaim) -> State {
    let mut state = unheard();
    let _ =
        state.sources[source].hear(&Look::new(Finding::Write(sync)), Trial::ordinary(&policy()));
    state.answering = Answering::From {
        source,
        floor: None,
    };
    state
}

pub(super) fn assumed(sync: SyncClaim) -> State {
    let mut state = unheard();
    state.answering = Answering::Assumed { sync, floor: None };
    state
}

/// A source that these tests speak for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    role: Role,
    tells_of_leaps: bool,
}

impl Told {
    /// One that follows the machine's daemon and tells of leap seconds.
    pub(super) const JUDGE: Self = Self {
        role: Role::Judge,
        tells_of_leaps: true,
    };
    /// A judge whose looks say nothing of leap seconds either way.
    pub(super) const BLIND: Self = Self {
        role: Role::Judge,
        tells_of_leaps: false,
    };
    pub(super) const HELPER: Self = Self {
        role: Role::Helper,
        tells_of_leaps: false,
    };
}

impl Source for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn look(&self, _: &LookContext<'_>, _: &mut SourceMemory) -> Look {
        Look::new(Finding::Nothing)
    }

    fn tells_of_leaps(&self) -> bool {
        self.tells_of_leaps
    }

    fn follows_daemon(&self) -> bool {
        self.role == Role::Judge
    }

    fn role(&self) -> Role {
        self.role
    }
}

pub(super) fn policy_of(sources: &[Told]) -> Policy {
    let of = |source: &Told| -> Arc<dyn Source> { Arc::new(*source) };
    Policy {
        sources: sources.iter().map(of).collect(),
        ..policy()
    }
}
