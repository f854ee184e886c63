//! A state comes back from the words of a slot.

use core::time::Duration;

use super::record::{SourceRecord, Trial};
use super::{
    Answering, Assumption, Contradiction, Digest, MAX_SOURCES, Party, SLOT_WORDS, State, Why,
};
use crate::clock::policy::Policy;
use crate::machine::{Disruption, Disturbance, Identity, NtpStatusError, Sandwich};
use crate::source::{
    Awaiting, ChronyRefusal, Finding, Look, Refusal, SourceMemory, SyncClaim, Writer,
};
use crate::time::{
    Claim, ErrorBound, Interval, LeapKind, LeapSecond, RateBounds, RateHistory, RateLimits,
    Timestamp,
};
use crate::words::WordReader;

fn sync(raw: i64) -> SyncClaim {
    let interval = Interval::new(
        Timestamp::from_unix_nanos(raw - 7),
        Timestamp::from_unix_nanos(raw + 11),
    );
    let leap = LeapSecond {
        boundary: Timestamp::from_unix_nanos(raw + 99),
        kind: LeapKind::Deleted,
    };
    let rate = RateBounds::new(-3, 5).unwrap();
    SyncClaim {
        claim: Claim::new(raw, interval.unwrap(), rate).with_leap(Some(leap)),
        bound: ErrorBound {
            reported_ns: 1,
            rounding_ns: 2,
            margin_ns: 3,
            deviation_ns: 8,
            wander_ns: 9,
            unseen_ns: 4,
            bracket_ns: 5,
            counter_ns: 10,
            drift_ns: 6,
            assumed_ns: 7,
        },
    }
}

/// A state in which no two fields of a kind hold the same value.
fn motley() -> State {
    let clocks = Sandwich {
        mono_before: 5,
        boot: 17,
        real: 1_000,
        raw: 7,
        mono_after: 9,
    };
    let mut state = State::new(
        Assumption::Broken(Disturbance::Stepped),
        &clocks,
        Identity {
            pid: 42,
            time_namespace: 4_026_531_834,
        },
        Disruption {
            marker: 55,
            generation: u64::MAX,
        },
    );
    state.answering = Answering::From {
        source: 2,
        floor: Some(Timestamp::from_unix_nanos(-3)),
    };
    state.voided = Some(Disturbance::Suspended);
    state.unexplained = Some(Disturbance::UnexplainedSecond);
    state.leapt = Some(Timestamp::from_unix_nanos(-9));
    state.clocksource = 77;
    for at in [0, 61_000_000_000, 200_000_000_000] {
        let limits = RateLimits {
            max_drift_ppb: 900,
            max_wander_ppb: 100,
        };
        let claim = sync(7_000 + at).claim.with_leap(None);
        state.rates[1].learn(claim, &limits).unwrap();
    }
    state.rates[1].revise(|claim| claim.with_leap(sync(9).claim.leap()));
    state.rates[2].reset();
    let policy = Policy::default();
    for (record, raw) in state.sources.iter_mut().zip([100, 200, 300, 400]) {
        let words: [i64; SourceMemory::WORDS] =
            core::array::from_fn(|i| raw + i64::try_from(i).unwrap());
        record.memory.store(&words);
        // Two writes a minute apart fill both ends of the pair.
        for at in [0, 61_000_000_000, 122_000_000_000] {
            let look = Look::new(Finding::Write(sync(raw + at)));
            let _ = record.hear(&look, Trial::ordinary(&policy));
        }
        record.refusal = Some(Refusal::AwaitingWrite {
            because: Awaiting::Slewing { rate_ppb: raw },
        });
    }
    state
}

/// Loaded over another state, of which nothing must be left.
fn comes_back(state: &State) {
    let mut words = [7; SLOT_WORDS];
    state.store(&mut words);
    let mut place = State {
        rates: [RateHistory::EMPTY; MAX_SOURCES],
        sources: [SourceRecord::default(); MAX_SOURCES],
        ..motley()
    };
    assert_eq!(place.load(&words), Some(()));
    assert_eq!(&place, state);
    let digest = WordReader::new(&words).take();
    assert_eq!(digest, Some(Digest::of(state)));
}

#[test]
fn a_state_comes_back_from_its_words_as_it_went_in() {
    let state = motley();
    comes_back(&state);
    // The words hold every refusal.
    for refusal in [
        Refusal::Unsynchronized { maxerror_us: -1 },
        Refusal::UnsyncFlag { maxerror_us: 2 },
        Refusal::Chrony(ChronyRefusal::NoAnswer),
        Refusal::Chrony(ChronyRefusal::Silent { for_ms: 5_000 }),
        Refusal::Chrony(ChronyRefusal::Unsynchronized),
        Refusal::Chrony(ChronyRefusal::LocalReference),
        Refusal::Chrony(ChronyRefusal::StaleReference { age_s: 33 }),
        Refusal::Chrony(ChronyRefusal::FutureReference { by_s: 6 }),
        Refusal::Chrony(ChronyRefusal::TooWide),
        Refusal::Chrony(ChronyRefusal::Denied { status: 2 }),
        Refusal::Chrony(ChronyRefusal::Malformed),
        Refusal::Status(NtpStatusError::Refused { errno: 38 }),
        Refusal::Status(NtpStatusError::Unsupported),
        Refusal::AwaitingWrite {
            because: Awaiting::Suspicious { maxerror_us: 500 },
        },
        Refusal::AwaitingWrite {
            because: Awaiting::Disturbance,
        },
        Refusal::AwaitingWrite {
            because: Awaiting::LeapSecond,
        },
        Refusal::AwaitingWrite {
            because: Awaiting::Unsettled,
        },
    ]
    .into_iter()
    .chain(
        [
            Writer::Timesyncd,
            Writer::NtpdStarting,
            Writer::PtpOrOpenntpd,
        ]
        .map(|writer| Refusal::NoBound {
            writer,
            maxerror_us: 3,
            esterror_us: 4,
        }),
    ) {
        let mut state = state;
        state.sources[3].refusal = Some(refusal);
        comes_back(&state);
    }
}

#[test]
fn everything_that_it_may_answer_from_comes_back() {
    let contradiction = Contradiction {
        party: Party::Source(1),
        by: Duration::from_nanos(12),
    };
    let reasons = [
        Why::Unheard,
        Why::Contradicted(contradiction),
        Why::Disturbed(Disturbance::Moved),
        Why::AssumptionBroken(Disturbance::Disrupted),
        Why::Refused(Refusal::NoBound {
            writer: Writer::Timesyncd,
            maxerror_us: 3,
            esterror_us: 4,
        }),
    ];
    let promised = Some(Timestamp::from_unix_nanos(9));
    let nothing = reasons.map(|why| Answering::Nothing { why, promised });
    let assumed = Answering::Assumed {
        sync: sync(50),
        floor: None,
    };
    for answering in nothing.into_iter().chain([assumed]) {
        let state = State {
            answering,
            ..motley()
        };
        comes_back(&state);
    }
    for assumption in [Assumption::NotGiven, Assumption::Holds] {
        let state = State {
            assumption,
            ..motley()
        };
        comes_back(&state);
    }
}
