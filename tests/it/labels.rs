//! Words for machines: one for each kind, the same in labels, in `serde` and in the rules of the guide.

use std::collections::BTreeSet;
use std::time::Duration;

use epsilon_clock::machine::NtpStatusError;
use epsilon_clock::source::ntp::NtsRefusal;
use epsilon_clock::source::{Awaiting, ChronyRefusal, NtpRefusal, PhcRefusal, Refusal, Writer};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{ClockError, ClockState, Disturbance};
use serde::Serialize;
use serde_json::Value;

const SPAN: Duration = Duration::from_millis(3);

/// Every refusal of a hardware clock.
pub(crate) const PHC_REFUSALS: [PhcRefusal; 16] = [
    PhcRefusal::NotRead,
    PhcRefusal::Missing,
    PhcRefusal::Denied,
    PhcRefusal::Busy,
    PhcRefusal::Failed { errno: 1 },
    PhcRefusal::Inconsistent,
    PhcRefusal::Silent { for_s: 1 },
    PhcRefusal::NoBound,
    PhcRefusal::LooksLikeTai { ahead_s: 1 },
    PhcRefusal::TaiUntold,
    PhcRefusal::LeapSecond,
    PhcRefusal::Unsynchronized,
    PhcRefusal::OtherTimescale,
    PhcRefusal::NoCounter,
    PhcRefusal::NoSuspendClock,
    PhcRefusal::Contradicts { by_us: 1 },
];

/// What `serde` calls a value: its text, or the one field around its figures.
fn tag(value: &impl Serialize) -> String {
    match serde_json::to_value(value).unwrap() {
        Value::String(tag) => tag,
        Value::Object(fields) => {
            assert_eq!(fields.len(), 1, "{fields:?}");
            fields.keys().next().unwrap().clone()
        }
        other => panic!("{other} has no tag"),
    }
}

fn distinct<const N: usize>(pairs: [(&'static str, String); N]) {
    for (name, tag) in &pairs {
        assert_eq!(name, tag);
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
    }
    assert_eq!(BTreeSet::from(pairs.map(|(name, _)| name)).len(), N);
}

#[test]
fn every_refusal_has_one_word_which_is_its_tag() {
    let all = [
        Refusal::Unsynchronized { maxerror_us: 1 },
        Refusal::UnsyncFlag { maxerror_us: 1 },
        Refusal::NoBound {
            writer: Writer::Timesyncd,
            maxerror_us: 1,
            esterror_us: 1,
        },
        Refusal::AwaitingWrite {
            because: Awaiting::Disturbance,
        },
        Refusal::Chrony(ChronyRefusal::NoAnswer),
        Refusal::Ntp(NtpRefusal::NoAnswer),
        Refusal::Phc(PhcRefusal::NotRead),
        Refusal::Status(NtpStatusError::Unsupported),
    ];
    distinct(all.map(|it| (it.as_str(), tag(&it))));
    let all = [
        ChronyRefusal::NoAnswer,
        ChronyRefusal::Silent { for_ms: 1 },
        ChronyRefusal::Unsynchronized,
        ChronyRefusal::LocalReference,
        ChronyRefusal::StaleReference { age_s: 1 },
        ChronyRefusal::FutureReference { by_s: 1 },
        ChronyRefusal::Unsettled { beyond_ppb: 1 },
        ChronyRefusal::KernelUnsynchronized,
        ChronyRefusal::TooWide,
        ChronyRefusal::Denied { status: 1 },
        ChronyRefusal::Malformed,
    ];
    distinct(all.map(|it| (it.as_str(), tag(&it))));
    let all = [
        NtpRefusal::NoAnswer,
        NtpRefusal::Silent { for_s: 1 },
        NtpRefusal::TooFew {
            answered: 1,
            needed: 1,
        },
        NtpRefusal::Disagree {
            agreeing: 1,
            needed: 1,
        },
        NtpRefusal::Contradicts { by_us: 1 },
        NtpRefusal::Unsynchronized,
        NtpRefusal::RateLimited,
        NtpRefusal::Denied,
        NtpRefusal::Kiss { code: 1 },
        NtpRefusal::Inconsistent,
        NtpRefusal::HeldTooLong,
        NtpRefusal::TooDistant { distance_ms: 1 },
        NtpRefusal::StaleReference { age_h: 1 },
        NtpRefusal::NoDispersion,
        NtpRefusal::LocalReference,
        NtpRefusal::Smoothed,
        NtpRefusal::BeyondRoundTrip { by_us: 1 },
        NtpRefusal::ContradictsItself,
        NtpRefusal::LeapUnsettled,
        NtpRefusal::NoSuspendClock,
        NtpRefusal::Nts(NtsRefusal::Forged),
    ];
    distinct(all.map(|it| (it.as_str(), tag(&it))));
    distinct(PHC_REFUSALS.map(|it| (it.as_str(), tag(&it))));
}

#[test]
fn every_error_and_disturbance_has_one_word_which_is_its_tag() {
    let cause = Disturbance::Stepped;
    let all = [
        ClockError::Unvouched(Refusal::Chrony(ChronyRefusal::NoAnswer)),
        ClockError::TooOld {
            age: SPAN,
            max_age: SPAN,
        },
        ClockError::TooWide {
            epsilon: SPAN,
            max_error: SPAN,
        },
        ClockError::Contradicted {
            from: "kernel",
            by: SPAN,
        },
        ClockError::Disturbed { cause },
        ClockError::AssumptionBroken { cause },
        ClockError::OutOfRange,
    ];
    distinct(all.map(|it| (it.as_str(), tag(&it))));
    let all = [
        Disturbance::Suspended,
        Disturbance::Stepped,
        Disturbance::RawBackwards,
        Disturbance::Moved,
        Disturbance::SteppedAway { by: SPAN },
        Disturbance::UnexplainedSecond,
        Disturbance::Disrupted,
        Disturbance::RawStoodStill,
        Disturbance::CounterDeparted,
        Disturbance::Interrupted,
    ];
    distinct(all.map(|it| (it.as_str(), tag(&it))));
}

#[test]
fn all_states_are_told_with_the_word_that_serde_writes() {
    let words: Vec<_> = ClockState::ALL.iter().map(|state| state.as_str()).collect();
    let expected = [
        "synchronized",
        "inherited",
        "holdover",
        "assumed",
        "unavailable",
    ];
    assert_eq!(words, expected);
    for state in ClockState::ALL {
        assert_eq!(tag(state), state.as_str());
    }
}

/// What an assumed clock reports all day long raises no alert: each rule on it is silent then.
#[test]
fn the_alerts_are_silent_under_an_assumed_error() {
    let machine = ScriptedMachine::default();
    let clock = machine
        .builder()
        .assume_error(Duration::from_millis(400))
        .build()
        .unwrap();
    let before = clock.status();
    for _ in 0..4 {
        machine.advance(Duration::from_secs(1));
        clock.look().unwrap();
    }
    let status = clock.status();
    assert_eq!(status.state, ClockState::Assumed);
    // These four look like a failing daemon, for as long as the clock is assumed.
    assert!(status.refusal.is_some());
    assert!(status.counters.refusals > before.counters.refusals);
    assert_eq!(status.counters.writes, 0);
    assert!(status.refuses_in.unwrap() < Duration::from_secs(900));
    let guide = include_str!("../../src/guide/alerts.md");
    let rules = [
        "refuses_in_seconds < 900",
        "refusal == 1",
        "rate(…[5m]) > 0",
        "[40m]) == 0",
    ];
    for rule in rules {
        let mut found = guide.lines().filter(|line| line.contains(rule)).peekable();
        assert!(found.peek().is_some(), "no rule {rule}");
        for line in found {
            let silent = r#"unless on (instance) epsilon_clock_state{state="assumed"} == 1"#;
            assert!(line.contains(silent), "{line}");
        }
    }
}
