//! What is said of the order of events, writes and versions, against the definition and the truth.

use std::time::Duration;

use epsilon_clock::order::{
    EventGroup, ReadWindow, Visibility, WriteOrder, compare_writes, latest_writes, order_events,
};
use epsilon_clock::{Interval, IntervalOrder, Timestamp};
use proptest::prelude::*;

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn stamps() -> impl Strategy<Value = Vec<Interval>> {
    let stamp = (0_i64..300, 0_i64..40).prop_map(|(e, w)| Interval::new(at(e), at(e + w)).unwrap());
    prop::collection::vec(stamp, 0..40)
}

/// Events that are linked, directly or through others, by not being in a certain order.
fn linked(stamps: &[Interval], a: usize, b: usize) -> bool {
    let mut reached = vec![a];
    let mut next = 0;
    while let Some(from) = reached.get(next).copied() {
        for to in 0..stamps.len() {
            let concurrent = stamps[from].order(&stamps[to]) == IntervalOrder::Concurrent;
            if concurrent && !reached.contains(&to) {
                reached.push(to);
            }
        }
        next += 1;
    }
    reached.contains(&b)
}

proptest! {
    /// Each group is surely before the next; groups are no larger than they have to be; nothing is
    /// lost or doubled.
    #[test]
    fn t4_groups_are_in_a_certain_order_and_as_small_as_can_be(stamps in stamps()) {
        let events: Vec<(usize, Interval)> = stamps.iter().copied().enumerate().collect();
        let groups = order_events(&events, |(_, stamp)| *stamp);
        let groups: Vec<Vec<&(usize, Interval)>> = groups
            .into_iter()
            .map(|group| match group {
                EventGroup::Certain(event) => vec![event],
                EventGroup::Concurrent(events) => {
                    assert!(events.len() > 1);
                    events
                }
            })
            .collect();
        let mut all: Vec<usize> = groups.iter().flatten().map(|(n, _)| *n).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..events.len()).collect::<Vec<_>>());
        for pair in groups.windows(2) {
            for (_, before) in &pair[0] {
                for (_, after) in &pair[1] {
                    prop_assert!(before.definitely_before(after));
                }
            }
        }
        for group in &groups {
            for (other, _) in group {
                prop_assert!(linked(&stamps, group[0].0, *other));
            }
        }
    }

    /// The survivors are exactly the writes that no other is surely newer than.
    #[test]
    fn survivors_are_those_that_no_other_surely_replaces(stamps in stamps()) {
        let survivors = latest_writes(&stamps, |stamp| *stamp);
        let expected: Vec<&Interval> = stamps
            .iter()
            .filter(|a| !stamps.iter().any(|b| compare_writes(a, b) == WriteOrder::Newer))
            .collect();
        prop_assert_eq!(&survivors, &expected);
        prop_assert_eq!(survivors.is_empty(), stamps.is_empty());
    }

    /// Whatever the nodes' errors: a write that was made later is never taken for the older one.
    #[test]
    fn no_write_that_came_later_is_ever_dropped(
        times in (0_i64..1_000, 0_i64..1_000),
        first in (0_i64..200, 0_i64..200),
        second in (0_i64..200, 0_i64..200),
    ) {
        let (earlier, later) = (times.0.min(times.1), times.0.max(times.1));
        let stored = Interval::new(at(earlier - first.0), at(earlier + first.1)).unwrap();
        let incoming = Interval::new(at(later - second.0), at(later + second.1)).unwrap();
        prop_assert_ne!(compare_writes(&stored, &incoming), WriteOrder::Older);
        prop_assert_ne!(compare_writes(&incoming, &stored), WriteOrder::Newer);
    }

    /// A version that was acknowledged, after its commit-wait, before a read began is never left out.
    #[test]
    fn a_read_never_misses_what_was_acknowledged_before_it(
        version in 0_i64..1_000,
        acknowledged_after in 1_i64..300,
        read_after in 0_i64..300,
        below in 0_i64..200,
        above in 0_i64..200,
    ) {
        // The wait ends after the version's timestamp; the read begins after that, in true time.
        let truth = version + acknowledged_after + read_after;
        let now = Interval::new(at(truth - below), at(truth + above)).unwrap();
        let window = ReadWindow::began(&now);
        match window.of(at(version)) {
            Visibility::Visible => prop_assert!(version <= now.earliest().unix_nanos()),
            Visibility::Uncertain { until } => {
                prop_assert_eq!(until, at(version));
                let restarted = window.restarted_at(until);
                prop_assert_eq!(restarted.of(at(version)), Visibility::Visible);
                prop_assert_eq!(restarted.limit(), window.limit());
            }
            Visibility::Invisible => prop_assert!(false, "left out"),
        }
    }
}

/// Figure 8-3 of "Designing Data-Intensive Applications": client A sets x = 1 on node 1, whose clock
/// says 42.004; client B then increments it on node 3, whose clock lags and says 42.003. Node 2 gets
/// both.
#[test]
fn ddia_figure_8_3_the_increment_is_not_lost() {
    let node_1 = Timestamp::from_unix_millis(42_004).unwrap();
    let node_3 = Timestamp::from_unix_millis(42_003).unwrap();
    let epsilon = Duration::from_millis(3);
    let first = (1, Interval::around(node_1, epsilon).unwrap());
    let second = (2, Interval::around(node_3, epsilon).unwrap());

    // Bare timestamps: the last write wins, and the increment is lost.
    let naive = [(node_1, 1), (node_3, 2)];
    assert_eq!(naive.iter().max().unwrap().1, 1);

    // Intervals: in whichever order they arrive, nobody may choose.
    assert_eq!(compare_writes(&first.1, &second.1), WriteOrder::Concurrent);
    assert_eq!(compare_writes(&second.1, &first.1), WriteOrder::Concurrent);
    let writes = [first, second];
    assert_eq!(
        latest_writes(&writes, |(_, stamp)| *stamp),
        [&first, &second]
    );

    // With clocks that are good enough for the gap between the two, it is certain.
    let sharp = Duration::from_micros(100);
    let (one, two) = (at(42_002_500_000), at(42_003_000_000));
    let stored = Interval::around(one, sharp).unwrap();
    let incoming = Interval::around(two, sharp).unwrap();
    assert_eq!(compare_writes(&stored, &incoming), WriteOrder::Newer);
    assert_eq!(compare_writes(&incoming, &stored), WriteOrder::Older);
}

#[test]
fn the_edges_of_a_read_window() {
    let window = ReadWindow::new(at(10), at(20));
    assert_eq!(window.of(at(10)), Visibility::Visible);
    assert_eq!(window.of(at(11)), Visibility::Uncertain { until: at(11) });
    assert_eq!(window.of(at(20)), Visibility::Uncertain { until: at(20) });
    assert_eq!(window.of(at(21)), Visibility::Invisible);
    assert_eq!((window.read(), window.limit()), (at(10), at(20)));
    // A restart never moves a read back.
    assert_eq!(window.restarted_at(at(5)), window);
    // A read at the limit or beyond has nothing to be uncertain of.
    let settled = ReadWindow::new(at(30), at(20));
    assert_eq!(settled.of(at(30)), Visibility::Visible);
    assert_eq!(settled.of(at(31)), Visibility::Invisible);
    let edge = ReadWindow::new(Timestamp::MAX, Timestamp::MAX);
    assert_eq!(edge.of(Timestamp::MAX), Visibility::Visible);
}

#[test]
fn touching_intervals_are_concurrent() {
    let events = [(1, 5), (5, 9), (10, 12)];
    let groups = order_events(&events, |(e, l)| Interval::new(at(*e), at(*l)).unwrap());
    assert_eq!(
        groups,
        [
            EventGroup::Concurrent(vec![&events[0], &events[1]]),
            EventGroup::Certain(&events[2]),
        ]
    );
}
