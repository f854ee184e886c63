//! Marzullo's intersection against its definition and the truth (F1), and single exchanges (F2).

use std::time::{Duration, Instant};

use epsilon_clock::fleet::{
    AgreementError, ClockReport, Contradiction, Direction, Exchange, ExchangeError, agreement,
};
use epsilon_clock::machine::OffsetRange;
use epsilon_clock::time::DecodeError;
use epsilon_clock::{Interval, Timestamp};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000_000;

fn span(earliest: i64, latest: i64) -> Interval {
    let at = Timestamp::from_unix_nanos;
    Interval::new(at(earliest), at(latest)).unwrap()
}

fn ends(interval: Interval) -> (i64, i64) {
    (
        interval.earliest().unix_nanos(),
        interval.latest().unix_nanos(),
    )
}

/// How many of the intervals contain an instant.
fn covering(intervals: &[Interval], instant: Timestamp) -> usize {
    intervals.iter().filter(|i| i.contains(instant)).count()
}

/// The definition, instant by instant: what is covered often enough begins and ends at some end.
fn by_definition(intervals: &[Interval], wanted: usize) -> Option<(Timestamp, Timestamp)> {
    let instants = intervals.iter().flat_map(|i| [i.earliest(), i.latest()]);
    let enough: Vec<Timestamp> = instants
        .filter(|instant| covering(intervals, *instant) >= wanted)
        .collect();
    Some((*enough.iter().min()?, *enough.iter().max()?))
}

fn largest_overlap(intervals: &[Interval]) -> usize {
    let starts = intervals.iter().map(Interval::earliest);
    starts.map(|at| covering(intervals, at)).max().unwrap_or(0)
}

fn any_interval() -> impl Strategy<Value = Interval> {
    prop_oneof![
        // Small numbers, so that ends often coincide.
        8 => (0_i64..30, 0_i64..12).prop_map(|(e, w)| span(e, e + w)),
        2 => (-3_i64..4, 0_i64..12).prop_map(|(h, w)| span(h * HOUR, h * HOUR + w)),
        1 => (any::<i64>(), any::<i64>()).prop_map(|(a, b)| span(a.min(b), a.max(b))),
        1 => Just(span(i64::MIN, i64::MAX)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// It is what Marzullo's intersection is defined to be.
    #[test]
    fn f1_agreement_is_what_its_definition_says(
        intervals in prop::collection::vec(any_interval(), 1..12),
        max_faulty in 0_usize..12,
    ) {
        let count = intervals.len();
        let overlap = largest_overlap(&intervals);
        let found = agreement(&intervals, max_faulty);
        if max_faulty >= count {
            let all_may_be_false = matches!(found, Err(AgreementError::TooManyFaulty { .. }));
            prop_assert!(all_may_be_false, "{found:?}");
            return Ok(());
        }
        let wanted = count - max_faulty;
        let Some((first, last)) = by_definition(&intervals, wanted) else {
            let Err(AgreementError::NoAgreement { intervals, wanted: w, overlap: o, .. }) = found
            else { panic!("{found:?}") };
            prop_assert_eq!((intervals, w, o), (count, wanted, overlap));
            return Ok(());
        };
        let found = found.unwrap();
        prop_assert_eq!(found.interval(), Interval::new(first, last).unwrap());
        prop_assert_eq!(found.overlap(), overlap);
        let named: Vec<usize> = found.falsetickers().iter().map(|f| f.index).collect();
        let outside: Vec<usize> = (0..count)
            .filter(|n| intervals[*n].latest() < first || intervals[*n].earliest() > last)
            .collect();
        prop_assert_eq!(named, outside);
        for false_one in found.falsetickers() {
            let suspect = intervals[false_one.index];
            let Contradiction { by, direction } = false_one.contradiction;
            let missed = match direction {
                Direction::Ahead => suspect.earliest().abs_diff(last),
                Direction::Behind => first.abs_diff(suspect.latest()),
            };
            prop_assert_eq!(by, missed);
        }
    }

    /// True time is contained, and nobody true is named, whenever at most `max_faulty` are false;
    /// and who misses every true one is named, if the false ones are a minority.
    #[test]
    fn f1_true_time_is_contained_while_few_enough_are_false(
        truth in 500_i64..600,
        honest in prop::collection::vec((0_i64..60, 0_i64..60), 1..9),
        false_ones in prop::collection::vec(any_interval(), 0..9),
        spare in 0_usize..3,
    ) {
        // Shifted to where the true ones are, so that some of the false ones reach into those.
        let mut intervals: Vec<Interval> = honest
            .iter()
            .map(|(before, after)| span(truth - before, truth + after))
            .collect();
        intervals.extend(false_ones.iter().map(|i| {
            let (earliest, latest) = ends(*i);
            span(earliest.saturating_add(480), latest.saturating_add(480))
        }));
        let at = Timestamp::from_unix_nanos(truth);
        let max_faulty = (intervals.len() - covering(&intervals, at) + spare).min(intervals.len() - 1);
        let found = agreement(&intervals, max_faulty).unwrap();
        prop_assert!(found.interval().contains(at));
        prop_assert!(found.falsetickers().iter().all(|f| !intervals[f.index].contains(at)));
        if max_faulty * 2 < intervals.len() {
            // By chance some of the others may be true, too.
            let true_ones: Vec<&Interval> = intervals.iter().filter(|i| i.contains(at)).collect();
            let apart = |n: &usize| true_ones.iter().all(|i| !i.overlaps(&intervals[*n]));
            for outcast in (0..intervals.len()).filter(apart) {
                prop_assert!(found.falsetickers().iter().any(|f| f.index == outcast));
            }
        }
    }

    /// Two honest clocks never contradict each other, whatever the delays and their asymmetry.
    #[test]
    fn f2_two_honest_clocks_never_contradict_each_other(
        truth in -1_000_i64..1_000,
        (there, back) in (0_i64..100, 0_i64..100),
        readings in prop::array::uniform3((0_i64..60, 0_i64..60)),
    ) {
        let at = |true_time: i64, (before, after): (i64, i64)| {
            span(true_time - before, true_time + after)
        };
        let sent = at(truth, readings[0]);
        let peer = at(truth + there, readings[1]);
        let received = at(truth + there + back, readings[2]);
        let exchange = Exchange::new(sent, peer, received).unwrap();
        prop_assert_eq!(exchange.contradiction(), None);
        let OffsetRange { lo, hi } = exchange.offset().unwrap();
        prop_assert!(lo <= 0 && 0 <= hi);
    }

    /// A false clock shows as soon as its reading differs by more than the sum of the epsilons and
    /// the round trip; never by more than it is false.
    #[test]
    fn f2_a_false_clock_is_told_by_how_much_at_least(
        epsilons in (1_i64..50, 1_i64..50),
        (there, back) in (0_i64..100, 0_i64..100),
        ours in -50_i64..=50,
        false_by in -400_i64..400,
    ) {
        let (our_epsilon, epsilon) = epsilons;
        let ours = ours.clamp(-our_epsilon, our_epsilon);
        let reading = |middle: i64, epsilon: i64| span(middle - epsilon, middle + epsilon);
        let sent = reading(ours, our_epsilon);
        let peer = reading(there + false_by, epsilon);
        let received = reading(ours + there + back, our_epsilon);
        let found = Exchange::new(sent, peer, received).unwrap().contradiction();
        if (false_by - ours).abs() > our_epsilon + epsilon + there + back {
            prop_assert!(found.is_some());
        }
        if let Some(Contradiction { by, direction }) = found {
            prop_assert!(by > Duration::ZERO);
            prop_assert_eq!(direction == Direction::Ahead, false_by > 0);
            // The interval misses true time by so much.
            let missed = u64::try_from(false_by.abs() - epsilon).unwrap();
            prop_assert!(by <= Duration::from_nanos(missed));
        }
    }

    /// What is written is what is read, and bytes that are no report are refused.
    #[test]
    fn reports_come_back_as_they_were(bytes in any::<[u8; 24]>()) {
        let number = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        match ClockReport::from_be_bytes(bytes) {
            Ok(report) => {
                prop_assert_eq!(ends(report.interval()), (number(8), number(16)));
                prop_assert_eq!(&report.request()[..], &bytes[..8]);
                prop_assert_eq!(report.to_be_bytes(), bytes);
            }
            Err(error) => {
                prop_assert!(number(8) > number(16));
                let reversed = matches!(error, DecodeError::Reversed { .. });
                prop_assert!(reversed);
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(agreement(&[], 0), Err(AgreementError::NoIntervals));
    let all = agreement(&[span(1, 2)], 1).unwrap_err();
    assert!(matches!(all, AgreementError::TooManyFaulty { .. }), "{all}");
    // Three that miss each other: no two of them are right.
    let none = agreement(&[span(1, 2), span(4, 5), span(7, 8)], 1).unwrap_err();
    assert!(none.to_string().contains("at most 1 of 3"), "{none}");
    for length in [0, 23, 25, 4_096] {
        let error = ClockReport::try_from(&vec![0_u8; length][..]).unwrap_err();
        assert!(matches!(error, DecodeError::Length { found, .. } if found == length));
    }
}

#[test]
fn a_shared_instant_is_enough() {
    let found = agreement(&[span(1, 5), span(5, 9)], 0).unwrap();
    assert_eq!((found.interval(), found.overlap()), (span(5, 5), 2));
    // One nanosecond further they share none.
    assert!(agreement(&[span(1, 5), span(6, 9)], 0).is_err());
}

/// It reaches from the first to the last such instant, and there may be none in the middle.
#[test]
fn two_groups_that_are_as_large_are_told_apart_by_nobody() {
    let pairs = [span(0, 4), span(2, 6), span(20, 24), span(22, 26)];
    let found = agreement(&pairs, 2).unwrap();
    assert_eq!(found.interval(), span(2, 24));
    assert_eq!(found.overlap(), 2);
    assert!(found.falsetickers().is_empty());
    let error = agreement(&pairs, 1).unwrap_err();
    assert!(matches!(
        error,
        AgreementError::NoAgreement { overlap: 2, .. }
    ));
}

#[test]
fn a_clock_that_is_wrong_by_all_the_time_there_is_is_told_exactly() {
    let found = agreement(
        &[
            span(i64::MAX - 2, i64::MAX),
            span(i64::MAX, i64::MAX),
            span(i64::MIN, i64::MIN),
        ],
        1,
    )
    .unwrap();
    assert_eq!(found.falsetickers().len(), 1);
    let by = found.falsetickers()[0].contradiction;
    assert_eq!(by.by, Duration::from_nanos(u64::MAX));
    assert_eq!(by.direction, Direction::Behind);
}

/// Quadratic, this would take hours.
#[test]
fn a_million_intervals_take_no_time() {
    let mut at = 1_i64;
    let intervals: Vec<Interval> = (0..1_000_000)
        .map(|_| {
            // Numbers that do not come sorted (Lehmer's generator).
            at = at * 48_271 % 2_147_483_647;
            span(at, at + 3_000_000_000)
        })
        .collect();
    let began = Instant::now();
    let found = agreement(&intervals, 400_000).unwrap();
    assert_eq!(found.overlap(), 1_000_000);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_answer_before_the_question_is_refused() {
    let exchange = Exchange::new(span(100, 110), span(95, 99), span(80, 90));
    let Err(ExchangeError::ReceivedBeforeSent { by, .. }) = exchange else {
        panic!("{exchange:?}")
    };
    assert_eq!(by, Duration::from_nanos(10));
    // The second reading may reach further back than the first, if its bound has grown.
    let exchange = Exchange::new(span(100, 110), span(95, 99), span(80, 130)).unwrap();
    let by = exchange.contradiction().unwrap();
    assert_eq!((by.by.as_nanos(), by.direction), (1, Direction::Behind));
    assert_eq!(exchange.window(), span(100, 130));
}

#[test]
fn an_offset_that_fits_no_number_is_none_and_the_contradiction_is_exact() {
    let (first, last) = (span(i64::MIN, i64::MIN), span(i64::MAX, i64::MAX));
    let exchange = Exchange::new(first, last, first).unwrap();
    assert_eq!(exchange.offset(), None);
    let by = exchange.contradiction().unwrap();
    assert_eq!(by.to_string(), "at least 18446744073.709551615s ahead");
}
