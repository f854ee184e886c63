//! The states, claims and clocks that the tests of this folder begin with.

use core::time::Duration;

use super::record::Trial;
use super::{Answering, Assumption, State};
use crate::clock::policy::Policy;
use crate::machine::{Disruption, Identity, Sandwich};
use crate::source::{Finding, Look, SyncClaim};
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
