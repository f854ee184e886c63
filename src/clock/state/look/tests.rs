use super::super::record::Word;
use super::super::samples::{
    Told, assumed, clocks, policy, policy_of, served, sync as exact, unheard,
};
use super::*;
use crate::machine::NtpStatusError;
use crate::source::{ChronyRefusal, Writer};
use crate::time::{LeapKind, RateHistory};

const SECOND: i64 = 1_000_000_000;
const NOTHING: Look = Look::new(Finding::Nothing);
const UNSETTLED: Look = Look::new(Finding::Unsettled);
const UNSYNC: Refusal = Refusal::UnsyncFlag { maxerror_us: 1 };
const AWAITING: Refusal = awaiting(Awaiting::Disturbance);
const TOO_NEAR: Look = refused(awaiting(Awaiting::LeapSecond));
const SECOND_OF: Disturbance = Disturbance::UnexplainedSecond;

const fn awaiting(because: Awaiting) -> Refusal {
    Refusal::AwaitingWrite { because }
}

const fn refused(refusal: Refusal) -> Look {
    Look::new(Finding::Refused(refusal))
}

fn write(raw: i64, earliest: i64, latest: i64) -> Look {
    Look::new(Finding::Write(exact(raw, earliest, latest)))
}

fn leap(boundary: i64) -> LeapSecond {
    LeapSecond {
        boundary: Timestamp::from_unix_nanos(boundary),
        kind: LeapKind::Inserted,
    }
}

fn leaping(sync: SyncClaim, boundary: i64) -> SyncClaim {
    SyncClaim {
        claim: sync.claim.with_leap(Some(leap(boundary))),
        ..sync
    }
}

/// Source 0 serves, and source 1 has a claim too.
fn both(first: SyncClaim, second: SyncClaim) -> State {
    let mut state = served(0, first);
    state.sources[1].word = Word::Own(second);
    state
}

fn looked(state: &mut State, policy: &Policy, looks: &[Look], raw: i64) -> Events {
    state.looked(policy, looks, &clocks(raw), || 0)
}

fn party(state: &State) -> Option<Party> {
    state.answering.contradiction().map(|found| found.party)
}

fn ns(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap()
}

/// Real time stepped away at raw instant 10, out of a claim of ±5 ns.
fn open_step(cause: Disturbance) -> OpenStep {
    OpenStep {
        cause,
        at: 10,
        before: exact(0, -5, 5),
        leap: None,
        common: None,
        since: 10,
        updates: 0,
    }
}

#[test]
fn a_judges_write_ends_a_void_and_mends_what_the_caller_vouches_for() {
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    for (looks, ends) in [
        ([write(5, 0, 10), refused(AWAITING)], true),
        ([NOTHING, NOTHING], false),
        ([refused(AWAITING), write(5, 0, 10)], false),
    ] {
        let mut state = unheard();
        state.voided = Some(Disturbance::Suspended);
        state.assumption = Assumption::Broken(Disturbance::Suspended);
        looked(&mut state, &policy, &looks, 5);
        let ended = (
            state.voided.is_none(),
            state.assumption == Assumption::Holds,
        );
        assert_eq!(ended, (ends, ends), "{looks:?}");
    }
}

#[test]
fn an_unexplained_second_lasts_until_every_witness_can_tell_or_a_judge_writes() {
    let status = refused(Refusal::Status(NtpStatusError::Unsupported));
    let write = write(5, 0, 10);
    let cases: [(&[Told], &[Look], bool); 12] = [
        (&[Told::JUDGE], &[NOTHING], true),
        (&[Told::JUDGE], &[write], true),
        (&[Told::JUDGE], &[refused(UNSYNC)], true),
        (&[Told::JUDGE], &[UNSETTLED], false),
        (&[Told::JUDGE], &[status], false),
        (&[Told::JUDGE], &[TOO_NEAR], false),
        (&[Told::BLIND], &[NOTHING], false),
        (&[Told::BLIND], &[write], true),
        (&[Told::JUDGE, Told::JUDGE], &[NOTHING, UNSETTLED], false),
        (&[Told::JUDGE, Told::JUDGE], &[NOTHING, NOTHING], true),
        (&[Told::JUDGE, Told::BLIND], &[NOTHING, UNSETTLED], true),
        (&[Told::JUDGE, Told::HELPER], &[UNSETTLED, write], false),
    ];
    for (sources, looks, told) in cases {
        let mut state = served(0, exact(0, -5, 5));
        state.unexplained = Some(SECOND_OF);
        looked(&mut state, &policy_of(sources), looks, 5);
        assert_eq!(state.unexplained.is_none(), told, "{sources:?} {looks:?}");
    }
}

#[test]
fn near_a_leap_second_that_the_claim_in_force_knows_nothing_of_there_is_no_interval() {
    let plain = exact(0, -5, 5);
    let announced = served(0, leaping(plain, 3 * SECOND));
    for (mut state, look, unexplained) in [
        (served(0, plain), TOO_NEAR, true),
        (served(0, plain), UNSETTLED, false),
        (announced, TOO_NEAR, false),
        (unheard(), TOO_NEAR, false),
    ] {
        looked(&mut state, &policy_of(&[Told::JUDGE]), &[look], 5);
        let found = state.unexplained;
        assert_eq!(found, unexplained.then_some(SECOND_OF), "{look:?}");
    }
}

#[test]
fn a_leap_second_that_passed_explains_the_second_and_no_other_step() {
    let away = Disturbance::SteppedAway {
        by: Duration::from_secs(1),
    };
    for (cause, ends) in [(SECOND_OF, true), (away, false)] {
        let mut state = served(0, exact(0, -5, 5));
        state.step = Some(open_step(cause));
        state.unexplained = Some(SECOND_OF);
        let passed = NOTHING.with_leap(LeapNotice::Passed(leap(9)));
        looked(&mut state, &policy_of(&[Told::JUDGE]), &[passed], 20);
        assert_eq!(state.leapt, Some(leap(9).boundary));
        assert_eq!(state.unexplained, None);
        assert_eq!(state.step.is_none(), ends, "{cause:?}");
    }
}

#[test]
fn a_leap_second_that_real_time_did_not_make_takes_what_is_on_its_scale_with_it() {
    let policy = policy_of(&[Told::JUDGE, Told::JUDGE]);
    let (made, missed) = (SECOND, 10 * SECOND);
    let on = |boundary| leaping(exact(0, -5, 5), boundary);
    for (leapt, stays) in [(Some(made), false), (Some(missed), true)] {
        let mut state = both(on(missed), on(made));
        state.leapt = leapt.map(Timestamp::from_unix_nanos);
        let taught = exact(0, -5, 5).claim;
        let _ = state.rates[0].learn(taught, &policy.rate_limits());
        looked(&mut state, &policy, &[NOTHING, NOTHING], 11 * SECOND);
        assert_eq!(state.sources[0].word.claim().is_some(), stays, "{leapt:?}");
        assert!(state.sources[1].word.claim().is_some(), "{leapt:?}");
        assert_eq!(state.rates[0].is_empty(), !stays, "{leapt:?}");
    }
}

#[test]
fn a_pending_leap_second_is_put_into_claims_that_end_before_it() {
    let boundary = 100;
    let pending = NOTHING.with_leap(LeapNotice::Pending(leap(boundary)));
    for (latest, put) in [
        (boundary - 1, true),
        (boundary, false),
        (boundary + 1, false),
    ] {
        let mut state = served(0, exact(0, -5, latest));
        let taught = exact(0, -5, latest).claim;
        let _ = state.rates[0].learn(taught, &policy().rate_limits());
        looked(&mut state, &policy_of(&[Told::JUDGE]), &[pending], 0);
        let heard = state.sources[0]
            .word
            .claim()
            .and_then(|sync| sync.claim.leap());
        assert_eq!(heard, put.then(|| leap(boundary)), "{latest}");

        let mut state = assumed(exact(0, -5, latest));
        state.sources[0].refusal = Some(UNSYNC);
        state.note_leap(&policy_of(&[Told::JUDGE]), &[pending]);
        let vouched = state.claim_to_tell().and_then(Claim::leap);
        assert_eq!(vouched, put.then(|| leap(boundary)), "{latest}");
    }
    // A helper's is on the scale of its own claims.
    let mut state = served(0, exact(0, -5, 5));
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    looked(&mut state, &policy, &[NOTHING, pending], 0);
    assert_eq!(state.claim_to_tell().and_then(Claim::leap), None);
}

#[test]
fn a_leap_second_is_called_off_before_it_alone_and_by_every_judge() {
    let boundary = 10 * SECOND;
    let before = boundary - 1;
    for (real, latest, looks, off) in [
        (before, before, [NOTHING, NOTHING], true),
        (before, before, [NOTHING, UNSETTLED], false),
        (before, boundary, [NOTHING, NOTHING], false),
        (boundary, before, [NOTHING, NOTHING], false),
    ] {
        let of_claim = leaping(exact(0, 0, latest - 50), boundary);
        let mut state = served(0, of_claim);
        let clocks = Sandwich { real, ..clocks(50) };
        state.looked(&policy_of(&[Told::JUDGE; 2]), &looks, &clocks, || 0);
        let left = state.sources[0].word.claim().unwrap().claim.leap();
        assert_eq!(left.is_none(), off, "{real} {latest} {looks:?}");
    }
    // While one judge still announces it, it is not called off by another.
    let mut state = served(0, leaping(exact(0, 0, 5), boundary));
    let pending = NOTHING.with_leap(LeapNotice::Pending(leap(boundary)));
    looked(
        &mut state,
        &policy_of(&[Told::JUDGE; 2]),
        &[NOTHING, pending],
        50,
    );
    assert!(state.claim_to_tell().unwrap().leap().is_some());
}

#[test]
fn no_look_counts_within_two_seconds_of_a_leap_second() {
    let boundary = 10 * SECOND;
    let state = served(0, leaping(exact(0, -5, 5), boundary));
    // After an inserted second raw time is one ahead of UTC's count.
    let [first, last] = [boundary - 2 * SECOND - 5, boundary + 3 * SECOND + 5];
    for (raw, near) in [
        (first - 1, false),
        (first, true),
        (boundary, true),
        (last, true),
        (last + 1, false),
    ] {
        assert_eq!(state.near_leap(raw), near, "{raw}");
    }
    assert!(!served(0, exact(0, -5, 5)).near_leap(boundary));
    assert!(!unheard().near_leap(boundary));
}

#[test]
fn a_look_counts_the_writes_and_the_sources_that_refuse_and_are_there() {
    let absent = refused(Refusal::Chrony(ChronyRefusal::NoAnswer));
    let policy = policy_of(&[Told::JUDGE; 2]);
    for (look, refusals) in [(refused(UNSYNC), 1), (absent, 0)] {
        let mut expected = Events::of(Count::Writes);
        for _ in 0..refusals {
            expected.note(Count::Refusals);
        }
        let events = looked(&mut unheard(), &policy, &[write(5, 0, 10), look], 5);
        assert_eq!(events, expected, "{look:?}");
    }
}

#[test]
fn a_void_that_a_judge_finds_ends_every_claim_and_a_helpers_its_own() {
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    let void = Look::new(Finding::Void(Disturbance::RawStoodStill));
    for (looks, left) in [
        ([void, NOTHING], [false, false]),
        ([NOTHING, void], [true, false]),
    ] {
        let mut state = both(exact(0, -5, 5), exact(0, -6, 6));
        let events = looked(&mut state, &policy, &looks, 5);
        let claims = [0, 1].map(|index: usize| state.sources[index].word.claim().is_some());
        assert_eq!(claims, left, "{looks:?}");
        assert_eq!(state.voided.is_some(), !left[0], "{looks:?}");
        assert_eq!(events == Events::of(Count::Suspends), !left[0], "{looks:?}");
    }
}

#[test]
fn a_judge_that_contradicts_itself_ends_all_intervals_and_a_helper_its_own() {
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    let lie = write(SECOND, SECOND + 100, SECOND + 200);
    let fresh = || both(exact(0, -5, 5), exact(0, -6, 6));

    let mut state = fresh();
    looked(&mut state, &policy, &[lie, NOTHING], SECOND);
    assert_eq!(party(&state), Some(Party::Source(0)));

    let mut state = fresh();
    looked(&mut state, &policy, &[NOTHING, lie], SECOND);
    assert_eq!(party(&state), None);
    assert_eq!(state.sources[1].word.claim(), None);
    let overruled = policy.overruled(1, Duration::from_nanos(95));
    assert_eq!(state.sources[1].refusal, Some(overruled));
}

/// Under a contradiction that source 0 has ended as far as it can, with the other as the case has it.
#[test]
fn a_contradiction_ends_once_every_judge_that_has_a_say_said_the_same_twice() {
    let policy = policy_of(&[Told::JUDGE; 2]);
    let late = ns(policy.max_age) + 1;
    let agreeing = exact(late, late - 6, late + 6);
    let wrong = exact(late, late + 100, late + 200);
    let old = exact(0, -6, 6);
    let dumb = refused(AWAITING);
    for (other, look, ends) in [
        (agreeing, NOTHING, false),
        (agreeing, write(late + 2, late - 6, late + 6), true),
        // What has no say cannot hold it up.
        (wrong, dumb, true),
        (old, NOTHING, true),
    ] {
        let mut state = both(exact(late, late - 5, late + 5), other);
        state.contradict(&policy, Party::Source(0), Duration::from_nanos(1));
        let same = write(late + 2, late - 5, late + 5);
        looked(&mut state, &policy, &[same, look], late + 2);
        assert_eq!(party(&state).is_none(), ends, "{other:?} {look:?}");
        // What is said under a contradiction teaches nothing.
        assert!(state.rates.iter().all(RateHistory::is_empty));
    }
    // Without anyone who has a say it lasts.
    let mut state = unheard();
    state.contradict(&policy, Party::Source(0), Duration::from_nanos(1));
    looked(&mut state, &policy, &[dumb, dumb], late);
    assert_eq!(party(&state), Some(Party::Source(0)));
}

#[test]
fn what_is_said_while_nothing_stands_against_it_teaches_the_rate() {
    let mut state = unheard();
    looked(
        &mut state,
        &policy_of(&[Told::JUDGE]),
        &[write(5, 0, 10)],
        5,
    );
    assert!(!state.rates[0].is_empty());
}

#[test]
fn a_disagreement_is_named_by_the_judge_that_claimed_later() {
    let policy = policy_of(&[Told::JUDGE; 2]);
    let low = |raw| exact(raw, raw - 5, raw + 5);
    let high = |raw| exact(raw, raw + 6, raw + 9);
    for (first, second, later) in [(5, 3, 0), (3, 5, 1), (4, 4, 1)] {
        for [one, other] in [[low(first), high(second)], [high(first), low(second)]] {
            let state = both(one, other);
            let by = Duration::from_nanos(1);
            assert_eq!(state.disagreement(&policy, 7), Some((by, later)));
        }
    }
    // One whose claim is carried on without its source has a say as well, until there is a contradiction.
    let mut state = both(low(5), high(3));
    state.sources[1].refusal = Some(AWAITING);
    assert!(state.disagreement(&policy, 7).is_some());
    state.contradict(&policy, Party::Source(0), Duration::from_nanos(1));
    assert_eq!(state.disagreement(&policy, 7), None);
    // None of a claim that is too old to answer.
    let last = ns(policy.max_age);
    let state = both(low(0), high(last));
    assert!(state.disagreement(&policy, last).is_some());
    assert_eq!(state.disagreement(&policy, last + 1), None);
}

#[test]
fn a_helper_is_overruled_by_a_judge_while_both_their_claims_are_young_enough() {
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    let last = ns(policy.max_age);
    let low = |raw| exact(raw, raw - 5, raw + 5);
    let high = |raw| exact(raw, raw + 6, raw + 9);
    for (judge, helper) in [(low(last), high(0)), (high(0), low(last))] {
        for (raw, overruled) in [(last, true), (last + 1, false)] {
            let mut state = both(judge, helper);
            state.overrule_helpers(&policy, raw);
            assert_eq!(state.sources[1].word.claim().is_none(), overruled, "{raw}");
        }
    }
}

#[test]
fn while_a_step_is_open_a_judges_write_settles_it_and_no_other_word_does() {
    let away = Disturbance::SteppedAway {
        by: Duration::from_secs(1),
    };
    let stepped = || {
        let mut state = unheard();
        state.step = Some(open_step(away));
        state.answering = Answering::nothing(Why::Disturbed(away));
        state
    };
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    let agrees = exact(20, 19, 21);
    let write = Look::new(Finding::Write(agrees));
    let inherited = Look::new(Finding::Inherited(agrees));
    for (looks, settled, words) in [
        ([write, NOTHING], true, [Word::Own(agrees), Word::Unheard]),
        ([NOTHING, write], false, [Word::Unheard, Word::Own(agrees)]),
        ([inherited, inherited], false, [Word::Unheard; 2]),
        ([NOTHING, NOTHING], false, [Word::Unheard; 2]),
    ] {
        let mut state = stepped();
        looked(&mut state, &policy, &looks, 20);
        assert_eq!(state.step.is_none(), settled, "{looks:?}");
        let heard = [state.sources[0].word, state.sources[1].word];
        assert_eq!(heard, words, "{looks:?}");
    }
    // A second judge's write comes after the matter was settled, and is heard as any.
    let mut state = stepped();
    let judges = policy_of(&[Told::JUDGE; 2]);
    looked(&mut state, &judges, &[write, write], 20);
    let heard = [state.sources[0].word, state.sources[1].word];
    assert_eq!(heard, [Word::Own(agrees); 2]);
}

#[test]
fn the_callers_word_is_awaited_where_it_was_broken_or_may_end_what_is_undecided() {
    let broken = Assumption::Broken(Disturbance::Stepped);
    for (assumption, contradicted, stepped, awaited) in [
        (broken, false, false, true),
        (broken, true, false, true),
        (Assumption::Holds, false, false, false),
        (Assumption::Holds, true, false, true),
        (Assumption::Holds, false, true, true),
        (Assumption::NotGiven, false, false, false),
        (Assumption::NotGiven, true, false, false),
        (Assumption::NotGiven, false, true, false),
    ] {
        let mut state = unheard();
        state.assumption = assumption;
        if contradicted {
            state.contradict(&policy(), Party::Caller, Duration::from_nanos(1));
        }
        state.step = stepped.then(|| open_step(Disturbance::Stepped));
        let case = (assumption, contradicted, stepped);
        assert_eq!(state.awaits_the_caller(), awaited, "{case:?}");
    }
}

#[test]
fn the_caller_ends_what_is_undecided_where_no_source_is_left_to_end_it() {
    let policy = policy_of(&[Told::JUDGE]);
    for (contradicted, stepped, refusal, anew) in [
        (true, false, Some(UNSYNC), true),
        (false, true, Some(UNSYNC), true),
        (false, false, Some(UNSYNC), false),
        (true, false, Some(AWAITING), false),
        (false, true, None, false),
    ] {
        let mut state = served(0, exact(0, -5, 5));
        state.sources[0].refusal = refusal;
        if contradicted {
            state.contradict(&policy, Party::Caller, Duration::from_nanos(1));
        }
        state.step = stepped.then(|| open_step(Disturbance::Stepped));
        state.vouch(&policy, &clocks(20));
        let case = (contradicted, stepped, refusal);
        assert_eq!(state.epoch, u32::from(anew), "{case:?}");
        assert_eq!(state.answering.is_assumed(), anew, "{case:?}");
        assert_eq!(state.sources[0].word.claim().is_none(), anew, "{case:?}");
    }
}

fn serving(answering: Answering) -> Option<usize> {
    match answering {
        Answering::From { source, .. } => Some(source),
        Answering::Assumed { .. } | Answering::Nothing { .. } => None,
    }
}

#[test]
fn the_narrowest_claim_serves_that_is_neither_too_old_nor_too_wide() {
    let policy = policy_of(&[Told::JUDGE; 2]);
    let old = ns(policy.max_age);
    let state = both(exact(0, -5, 5), exact(10, 0, 20));
    for (raw, source) in [(old, 0), (old + 1, 1)] {
        let chosen = state.chosen(&policy, &[], &clocks(raw));
        assert_eq!(serving(chosen), Some(source), "{raw}");
    }
    // One that vouches now comes before one that did, as long as it is not too wide.
    let most = ns(policy.max_error);
    for (epsilon, source) in [(most, 0), (most + 1, 1)] {
        let mut state = both(exact(0, -epsilon, epsilon), exact(0, -5, 5));
        state.sources[1].refusal = Some(AWAITING);
        let chosen = state.chosen(&policy, &[], &clocks(0));
        assert_eq!(serving(chosen), Some(source), "{epsilon}");
    }
}

#[test]
fn a_helper_serves_while_no_judge_can_and_no_step_is_open() {
    let policy = policy_of(&[Told::JUDGE, Told::HELPER]);
    let (wide, narrow) = (exact(20, 10, 30), exact(20, 19, 21));
    let chosen = |state: &State| serving(state.chosen(&policy, &[], &clocks(20)));
    assert_eq!(chosen(&both(wide, narrow)), Some(0));
    let mut state = both(wide, narrow);
    state.sources[0].word = Word::Voided;
    assert_eq!(chosen(&state), Some(1));
    state.step = Some(open_step(Disturbance::Stepped));
    assert_eq!(chosen(&state), None);
    // Then a judge's claim of after the step serves, and none of before it.
    for (raw, source) in [(10, None), (11, Some(0))] {
        let mut state = both(exact(raw, 0, 30), narrow);
        state.step = Some(open_step(Disturbance::Stepped));
        assert_eq!(chosen(&state), source, "{raw}");
    }
}

#[test]
fn what_is_too_old_to_answer_stays_in_force_so_that_it_can_be_told() {
    let policy = Policy {
        assume_error: None,
        ..policy_of(&[Told::JUDGE; 2])
    };
    let late = clocks(ns(policy.max_age) + 1);
    let mut state = both(exact(0, -5, 5), exact(0, -6, 6));
    state.assumption = Assumption::NotGiven;
    for source in [0, 1] {
        state.answering = Answering::From {
            source,
            floor: None,
        };
        assert_eq!(serving(state.chosen(&policy, &[], &late)), Some(source));
    }
    // Where that has no claim any more the first that has one is told.
    state.sources[1].word = Word::Voided;
    assert_eq!(serving(state.chosen(&policy, &[], &late)), Some(0));
    state.sources[0].word = Word::Voided;
    assert_eq!(serving(state.chosen(&policy, &[], &late)), None);
}

#[test]
fn the_caller_is_asked_only_while_no_source_reports_a_bound() {
    let policy = policy_of(&[Told::JUDGE]);
    let late = clocks(ns(policy.max_age) + 1);
    let broken = Assumption::Broken(Disturbance::Stepped);
    let why = Why::AssumptionBroken(Disturbance::Stepped);
    let mut old = served(0, exact(0, -5, 5));
    // Vouched for anew at each look.
    old.answering = Answering::Assumed {
        sync: exact(0, -5, 5),
        floor: None,
    };
    for (assumption, refusal, source, claimed_at) in [
        (Assumption::Holds, UNSYNC, None, Some(late.raw)),
        (Assumption::Holds, AWAITING, Some(0), None),
        (broken, UNSYNC, None, None),
        (broken, AWAITING, Some(0), None),
    ] {
        let mut state = old;
        state.assumption = assumption;
        state.sources[0].refusal = Some(refusal);
        state.answering = state.chosen(&policy, &[NOTHING], &late);
        assert_eq!(serving(state.answering), source, "{assumption:?} {refusal}");
        let assumed = state.answering.is_assumed();
        assert_eq!(assumed, claimed_at.is_some(), "{assumption:?} {refusal}");
        if let Some(claimed_at) = claimed_at {
            assert_eq!(state.claim_to_tell().map(Claim::raw), Some(claimed_at));
        }
        if source.is_none() && !assumed {
            assert_eq!(state.answering, Answering::nothing(why));
        }
    }
}

#[test]
fn what_is_assumed_serves_where_a_doubtful_bound_lies_within_it() {
    let policy = policy_of(&[Told::JUDGE; 2]);
    let suspicious = awaiting(Awaiting::Suspicious { maxerror_us: 500 });
    let no_bound = Refusal::NoBound {
        writer: Writer::Timesyncd,
        maxerror_us: 0,
        esterror_us: 0,
    };
    let doubtful = |earliest, latest| Look {
        doubtful: Some(exact(20, earliest, latest).claim),
        ..refused(suspicious)
    };
    let [first, last] = [20 - SECOND, 20 + SECOND];
    let within = doubtful(first, last);
    let plain = refused(no_bound);
    let cases = [
        ([Some(no_bound), Some(no_bound)], [plain, plain], true),
        ([Some(no_bound), Some(suspicious)], [plain, within], true),
        ([Some(suspicious), Some(no_bound)], [within, plain], true),
        ([Some(suspicious), Some(suspicious)], [within, within], true),
        ([Some(no_bound), Some(suspicious)], [plain, plain], false),
        (
            [Some(no_bound), Some(suspicious)],
            [plain, doubtful(first - 1, last)],
            false,
        ),
        (
            [Some(no_bound), Some(suspicious)],
            [plain, doubtful(first, last + 1)],
            false,
        ),
        ([Some(AWAITING), Some(suspicious)], [within, within], false),
        ([None, Some(suspicious)], [within, within], false),
    ];
    for (refusals, looks, serves) in cases {
        let mut state = unheard();
        for (record, refusal) in state.sources.iter_mut().zip(refusals) {
            record.refusal = refusal;
        }
        let found = state.assumed_either_way(&policy, &looks, &clocks(20));
        let anew = found.map(|found| (found.is_assumed(), found.floor()));
        assert_eq!(
            anew,
            serves.then_some((true, None)),
            "{refusals:?} {looks:?}"
        );
        // Not while a step is open, unless it was assumed before.
        state.step = Some(open_step(Disturbance::Stepped));
        assert_eq!(state.assumed_either_way(&policy, &looks, &clocks(20)), None);
        let before = Answering::Assumed {
            sync: exact(3, -5, 5),
            floor: None,
        };
        state.answering = before;
        let is_open = refusals
            .iter()
            .all(|refusal| ![None, Some(AWAITING)].contains(refusal));
        let kept = state.assumed_either_way(&policy, &looks, &clocks(20));
        assert_eq!(kept, is_open.then_some(before), "{refusals:?} {looks:?}");
    }
}

#[test]
fn what_the_caller_vouches_for_is_as_wide_as_said_and_the_reading_and_keeps_a_leap_second_ahead() {
    let policy = policy_of(&[Told::JUDGE]);
    let (real, raw) = (70, 5);
    let clocks = Sandwich {
        real,
        mono_after: raw + 3,
        ..clocks(raw)
    };
    let bound = ErrorBound {
        assumed_ns: 1_000_000_000,
        bracket_ns: clocks.bracket(),
        ..ErrorBound::default()
    };
    assert!(clocks.bracket() > 0);
    let half = SECOND + i64::try_from(clocks.bracket()).unwrap();
    for (boundary, kept) in [(real + half, false), (real + half + 1, true)] {
        let state = assumed(leaping(exact(0, -5, 5), boundary));
        let made = state.assume(&policy, &clocks).unwrap();
        assert_eq!(made.bound, bound);
        let ends = [real - half, real + half].map(Timestamp::from_unix_nanos);
        let interval = made.claim.interval();
        assert_eq!([interval.earliest(), interval.latest()], ends);
        assert_eq!(
            made.claim.leap(),
            kept.then(|| leap(boundary)),
            "{boundary}"
        );
    }
}
