//! An interval: what it holds, what two of them say about order, how it prints.

use approx::assert_relative_eq;
use epsilon_clock::time::IntervalError;
use epsilon_clock::{Interval, IntervalOrder, TimeDelta, Timestamp};
use proptest::array::uniform4;
use proptest::prelude::*;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Every count, and often one beside the edge of the range or among the few about the epoch, where
/// intervals made of them touch, overlap and miss each other.
fn timestamps() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        2 => any::<i64>(),
        4 => -6..=6_i64,
        1 => i64::MIN..=i64::MIN + 6,
        1 => i64::MAX - 6..=i64::MAX,
    ]
    .prop_map(Timestamp::from_unix_nanos)
}

fn intervals() -> impl Strategy<Value = Interval> {
    (timestamps(), timestamps()).prop_map(|(a, b)| between(a, b))
}

/// Four intervals, and often four that crowd about one instant: far apart, they seldom test a law of order.
fn crowds() -> impl Strategy<Value = [Interval; 4]> {
    let near = (-4..=4_i64, -4..=4_i64);
    let crowd = (timestamps(), uniform4(near)).prop_map(|(centre, ends)| {
        let off = |nanos| centre.saturating_add_delta(TimeDelta::from_nanos(nanos));
        ends.map(|(a, b)| between(off(a), off(b)))
    });
    prop_oneof![1 => uniform4(intervals()), 3 => crowd]
}

fn between(a: Timestamp, b: Timestamp) -> Interval {
    Interval::point(a).hull(&Interval::point(b))
}

fn margins() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_u64).prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::MAX),
    ]
}

/// Every interval with ends among a few instants: all ways in which a handful can lie to each other.
fn every_small_interval() -> Vec<Interval> {
    let at = Timestamp::from_unix_nanos;
    (0..6)
        .flat_map(|a| (a..6).map(move |b| between(at(a), at(b))))
        .collect()
}

/// Four of these in every order, the same one as often as four times.
fn every_choice_of_four(all: &[Interval]) -> impl Iterator<Item = [&Interval; 4]> {
    let pairs = move || {
        all.iter()
            .flat_map(move |a| all.iter().map(move |b| (a, b)))
    };
    pairs().flat_map(move |(a, b)| pairs().map(move |(c, d)| [a, b, c, d]))
}

/// The half-width of the text, in seconds.
fn printed_epsilon(text: &str) -> Option<f64> {
    let (_, epsilon) = text.split_once('±')?;
    [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .iter()
        .find_map(|&(unit, secs)| Some(epsilon.strip_suffix(unit)?.parse::<f64>().ok()? * secs))
}

proptest! {
    #[test]
    fn ends_are_kept_in_order_or_refused(a in timestamps(), b in timestamps()) {
        match Interval::new(a, b) {
            Ok(i) => {
                prop_assert!(a <= b);
                prop_assert_eq!((i.earliest(), i.latest()), (a, b));
            }
            Err(IntervalError::Reversed { earliest, latest, .. }) => {
                prop_assert!(b < a);
                prop_assert_eq!((earliest, latest), (a, b));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn midpoint_and_epsilon_reach_both_ends(i in intervals()) {
        let [earliest, latest, middle] =
            [i.earliest(), i.latest(), i.midpoint()].map(|t| i128::from(t.unix_nanos()));
        let epsilon = i128::try_from(i.epsilon().as_nanos()).unwrap();

        prop_assert!(i.contains(i.midpoint()));
        prop_assert_eq!(middle, (earliest + latest).div_euclid(2));
        prop_assert!(middle - epsilon <= earliest && latest <= middle + epsilon);
        // And no farther than it must: a nanosecond less would lose an end.
        prop_assert!(epsilon == 0 || latest > middle + epsilon - 1);
        prop_assert_eq!(i128::try_from(i.width().as_nanos()).unwrap(), latest - earliest);
        if let Ok(round) = Interval::around(i.midpoint(), i.epsilon()) {
            prop_assert!(round.contains_interval(&i));
        } else {
            prop_assert_eq!(i.earliest(), Timestamp::MIN);
        }
    }

    #[test]
    fn t10_around_is_exact_or_an_error(t in timestamps(), half in margins()) {
        match (Interval::around(t, half), t.checked_sub(half), t.checked_add(half)) {
            (Ok(i), earliest, latest) => {
                prop_assert_eq!((Some(i.earliest()), Some(i.latest())), (earliest, latest));
                prop_assert_eq!((i.midpoint(), i.epsilon()), (t, half));
            }
            (Err(IntervalError::BeyondRange { middle, half_width, .. }), earliest, latest) => {
                prop_assert!(earliest.is_none() || latest.is_none());
                prop_assert_eq!((middle, half_width), (t, half));
            }
            (Err(other), ..) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn t2_after_and_before_are_what_the_ends_say_and_never_both(i in intervals(), t in timestamps()) {
        for t in [t, i.earliest(), i.latest(), i.midpoint()] {
            prop_assert_eq!(i.after(t), t < i.earliest());
            prop_assert_eq!(i.before(t), t > i.latest());
            prop_assert!(!(i.after(t) && i.before(t)));
            prop_assert_eq!(i.contains(t), !i.after(t) && !i.before(t));
        }
    }

    #[test]
    fn t4_definitely_before_is_a_strict_partial_order(crowd in crowds()) {
        for [a, b, c, _] in every_choice_of_four(&crowd) {
            prop_assert!(strict_partial_order(a, b, c));
        }
    }

    #[test]
    fn t4_definitely_before_is_an_interval_order(crowd in crowds()) {
        for [a, b, c, d] in every_choice_of_four(&crowd) {
            prop_assert!(no_two_plus_two(a, b, c, d));
        }
    }

    #[test]
    fn t4_definitely_before_holds_of_whatever_instants_they_contain(
        a in intervals(), b in intervals(), s in timestamps(), t in timestamps(),
    ) {
        if a.definitely_before(&b) && a.contains(s) && b.contains(t) {
            prop_assert!(s < t);
        }
        if !a.definitely_before(&b) {
            // A witness: an instant of each, not in that order.
            prop_assert!(a.latest() >= b.earliest());
        }
    }

    #[test]
    fn order_is_one_of_three_and_turns_round(a in intervals(), b in intervals()) {
        let turned = match b.order(&a) {
            IntervalOrder::Before => IntervalOrder::After,
            IntervalOrder::After => IntervalOrder::Before,
            IntervalOrder::Concurrent => IntervalOrder::Concurrent,
        };
        prop_assert_eq!(a.order(&b), turned);
        prop_assert_eq!(a.order(&b) == IntervalOrder::Before, a.definitely_before(&b));
        prop_assert_eq!(a.order(&b) == IntervalOrder::After, a.definitely_after(&b));
        prop_assert_eq!(a.order(&b) == IntervalOrder::Concurrent, a.overlaps(&b));
    }

    #[test]
    fn order_with_a_point_is_after_and_before(i in intervals(), t in timestamps()) {
        let point = Interval::point(t);
        prop_assert_eq!(i.definitely_after(&point), i.after(t));
        prop_assert_eq!(i.definitely_before(&point), i.before(t));
    }

    #[test]
    fn intersection_holds_what_both_hold(a in intervals(), b in intervals(), t in timestamps()) {
        let both = a.intersection(&b);
        prop_assert_eq!(both, b.intersection(&a));
        prop_assert_eq!(both.is_some(), a.overlaps(&b));
        prop_assert_eq!(both.is_some_and(|i| i.contains(t)), a.contains(t) && b.contains(t));
        prop_assert_eq!(a.intersection(&a), Some(a));
        if let Some(both) = both {
            prop_assert!(a.contains_interval(&both) && b.contains_interval(&both));
        }
    }

    #[test]
    fn intersection_and_gap_tell_the_same_story(a in intervals(), b in intervals()) {
        prop_assert_eq!(a.gap(&b), b.gap(&a));
        match a.gap(&b) {
            None => prop_assert!(a.overlaps(&b)),
            Some(gap) => {
                prop_assert!(!a.overlaps(&b) && gap > Duration::ZERO);
                prop_assert_eq!(a.hull(&b).width(), a.width() + gap + b.width());
                // Moving one of them by the gap makes them touch, and by less does not.
                prop_assert!(a.saturating_widen(gap).overlaps(&b));
                prop_assert!(!a.saturating_widen(gap - Duration::from_nanos(1)).overlaps(&b));
            }
        }
    }

    #[test]
    fn hull_is_the_shortest_that_holds_both(a in intervals(), b in intervals(), c in intervals()) {
        let hull = a.hull(&b);
        prop_assert_eq!(hull, b.hull(&a));
        prop_assert!(hull.contains_interval(&a) && hull.contains_interval(&b));
        prop_assert_eq!(a.hull(&a), a);
        prop_assert_eq!(a.hull(&b).hull(&c), a.hull(&b.hull(&c)));
        if c.contains_interval(&a) && c.contains_interval(&b) {
            prop_assert!(c.contains_interval(&hull));
        }
        prop_assert!([a.earliest(), b.earliest()].contains(&hull.earliest()));
        prop_assert!([a.latest(), b.latest()].contains(&hull.latest()));
    }

    #[test]
    fn hull_and_intersection_absorb_each_other(a in intervals(), b in intervals()) {
        prop_assert_eq!(a.intersection(&a.hull(&b)), Some(a));
        if let Some(both) = a.intersection(&b) {
            prop_assert_eq!(a.hull(&both), a);
        }
    }

    #[test]
    fn contains_interval_is_containing_both_ends(a in intervals(), b in intervals()) {
        prop_assert_eq!(a.contains_interval(&b), a.contains(b.earliest()) && a.contains(b.latest()));
        prop_assert_eq!(a.contains_interval(&b), a.hull(&b) == a);
    }

    #[test]
    fn widen_never_narrows(i in intervals(), margin in margins(), t in timestamps()) {
        let saturated = i.saturating_widen(margin);
        prop_assert!(saturated.contains_interval(&i));
        prop_assert_eq!(i.widen(Duration::ZERO), Some(i));
        match i.widen(margin) {
            Some(wide) => {
                prop_assert_eq!(wide, saturated);
                prop_assert_eq!(wide.width(), i.width() + margin + margin);
            }
            // Honest about timestamps even at the edge: none within the margin is left out.
            None => {
                let near = between(i.earliest(), t).width().min(between(i.latest(), t).width()) <= margin;
                prop_assert_eq!(saturated.contains(t), i.contains(t) || near);
            }
        }
    }

    #[test]
    fn t10_widen_refuses_exactly_when_an_end_leaves_the_range(i in intervals(), margin in margins()) {
        let room = between(Timestamp::MIN, i.earliest()).width().min(between(i.latest(), Timestamp::MAX).width());
        prop_assert_eq!(i.widen(margin).is_some(), margin <= room);
    }

    #[test]
    fn text_never_claims_more_than_the_interval_does(i in intervals(), nanos in 0..5_000_000_000_u64) {
        let shorter = Interval::around(Timestamp::UNIX_EPOCH, Duration::from_nanos(nanos)).unwrap();
        for i in [i, shorter] {
            let text = i.to_string();
            let printed = printed_epsilon(&text).unwrap();
            let truth = i.epsilon().as_secs_f64();
            // Rounded up, by less than the last of at least four digits; the rest is binary fractions.
            prop_assert!(printed >= truth * (1.0 - 1e-12), "{}", text);
            assert_relative_eq!(printed, truth, max_relative = 1.001e-3);
            prop_assert!(text.starts_with(&i.midpoint().to_string()));
        }
    }

    #[test]
    fn text_of_the_half_width_has_the_unit_it_calls_for(
        nanos in prop_oneof![0..5_000_000_000_u64, 999_000..1_001_000_u64, 999_998_000..1_000_002_000_u64],
    ) {
        let text = Interval::around(Timestamp::UNIX_EPOCH, Duration::from_nanos(nanos)).unwrap().to_string();
        let (_, epsilon) = text.split_once('±').unwrap();
        let number = epsilon.trim_end_matches(|c: char| c.is_alphabetic());
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let unit = &epsilon[number.len()..];
        prop_assert_eq!(part.len(), if unit == "ns" { 0 } else { 3 }, "{}", text);
        prop_assert!(unit == "s" || whole.len() <= 3, "{}", text);
        prop_assert!(unit == "ns" || !whole.starts_with('0'), "{}", text);
    }

    #[test]
    fn both_ends_come_out_as_they_went_in(i in intervals(), t in timestamps()) {
        prop_assert_eq!(<(Timestamp, Timestamp)>::from(i), (i.earliest(), i.latest()));
        prop_assert_eq!(RangeInclusive::from(i).contains(&t), i.contains(t));
    }
}

fn strict_partial_order(a: &Interval, b: &Interval, c: &Interval) -> bool {
    let irreflexive = !a.definitely_before(a);
    let asymmetric = !(a.definitely_before(b) && b.definitely_before(a));
    let transitive = !(a.definitely_before(b) && b.definitely_before(c)) || a.definitely_before(c);
    irreflexive && asymmetric && transitive
}

fn no_two_plus_two(a: &Interval, b: &Interval, c: &Interval, d: &Interval) -> bool {
    !(a.definitely_before(b) && c.definitely_before(d))
        || a.definitely_before(d)
        || c.definitely_before(b)
}

#[test]
fn t4_holds_of_every_small_interval() {
    for [a, b, c, d] in every_choice_of_four(&every_small_interval()) {
        assert!(strict_partial_order(a, b, c), "{a:?} {b:?} {c:?}");
        assert!(no_two_plus_two(a, b, c, d), "{a:?} {b:?} {c:?} {d:?}");
    }
}

#[test]
fn t4_concurrent_is_not_transitive() {
    let span = |a, b| between(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    let (first, long, last) = (span(1, 2), span(1, 9), span(8, 9));
    assert!(first.overlaps(&long) && long.overlaps(&last));
    assert!(first.definitely_before(&last));
}

#[test]
fn t4_a_shared_end_is_concurrent() {
    let span = |a, b| between(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    assert_eq!(span(1, 3).order(&span(3, 5)), IntervalOrder::Concurrent);
    assert_eq!(span(3, 5).order(&span(1, 3)), IntervalOrder::Concurrent);
    assert_eq!(span(1, 3).order(&span(4, 5)), IntervalOrder::Before);
    assert_eq!(span(4, 5).order(&span(1, 3)), IntervalOrder::After);
}

#[test]
fn text_is_for_people_and_padded_as_a_str_is() {
    let t: Timestamp = "2026-11-20T05:50:00.123456789Z".parse().unwrap();
    let i = Interval::around(t, Duration::from_micros(1_204)).unwrap();
    assert_eq!(i.to_string(), "2026-11-20T05:50:00.123456789Z ±1.204ms");
    assert_eq!(
        format!("{i:>41}"),
        "  2026-11-20T05:50:00.123456789Z ±1.204ms"
    );
    assert_eq!(
        Interval::point(t).to_string(),
        "2026-11-20T05:50:00.123456789Z ±0ns"
    );
}

#[test]
fn errors_carry_the_figures_and_say_what_to_do() {
    let at = Timestamp::from_unix_nanos;
    assert_eq!(
        Interval::new(at(1), at(0)).unwrap_err().to_string(),
        "latest end 1970-01-01T00:00:00.000000000Z lies before earliest end 1970-01-01T00:00:00.000000001Z; \
         check which is which, and that both come from one clock"
    );
    assert_eq!(
        Interval::around(Timestamp::MAX, Duration::from_millis(2))
            .unwrap_err()
            .to_string(),
        "2262-04-11T23:47:16.854775807Z ±2ms reaches outside 1677-09-21T00:12:43.145224192Z to \
         2262-04-11T23:47:16.854775807Z, all that a timestamp holds; use a smaller half-width"
    );
}

#[test]
fn values_and_errors_are_send_and_sync() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Interval>();
    shared::<IntervalOrder>();
    shared::<IntervalError>();
}
