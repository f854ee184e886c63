//! Claims and the bounds of their rates at their edges, where one wrong sign would make an interval false.

use epsilon_clock::time::{Claim, LeapKind, LeapSecond, RateBounds};
use epsilon_clock::{Interval, Timestamp};

const SECOND: i64 = 1_000_000_000;

fn rates(lo: i32, hi: i32) -> RateBounds {
    RateBounds::new(lo, hi).unwrap()
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn claim(raw: i64, unix: i64, rate: RateBounds) -> Claim {
    Claim::new(raw, Interval::point(at(unix)), rate)
}

fn ends(interval: Interval) -> (i64, i64) {
    (
        interval.earliest().unix_nanos(),
        interval.latest().unix_nanos(),
    )
}

#[test]
fn more_drift_than_can_be_written_down_stays_at_the_most_that_can() {
    for ppb in [
        u32::MAX,
        i32::MAX.unsigned_abs() + 1,
        i32::MAX.unsigned_abs(),
    ] {
        let rate = RateBounds::symmetric(ppb);
        assert_eq!((rate.lo_ppb(), rate.hi_ppb()), (-i32::MAX, i32::MAX));
    }
    assert_eq!(RateBounds::symmetric(7), rates(-7, 7));
}

#[test]
fn bounds_meet_and_join_whichever_is_named_first() {
    let (low, high, inner) = (rates(-9, 2), rates(-4, 11), rates(-1, 1));
    for (a, b, meet, join) in [
        (low, high, rates(-4, 2), rates(-9, 11)),
        (low, inner, inner, low),
        (high, inner, inner, high),
        (low, low, low, low),
    ] {
        assert_eq!(a.intersect(b), Some(meet));
        assert_eq!(b.intersect(a), Some(meet));
        assert_eq!(a.hull(b), join);
        assert_eq!(b.hull(a), join);
    }
    assert_eq!(rates(-9, -5).intersect(rates(-4, 4)), None);
    assert_eq!(rates(-9, -5).hull(rates(4, 6)), rates(-9, 6));
    assert_eq!(rates(4, 6).hull(rates(-9, -5)), rates(-9, 6));
}

#[test]
fn a_claim_is_carried_back_by_the_rates_the_other_way_round() {
    let claim = claim(10 * SECOND, 100 * SECOND, rates(-1_000, 3_000));
    assert_eq!(
        ends(claim.carry(12 * SECOND).unwrap()),
        (102 * SECOND - 2_000, 102 * SECOND + 6_000)
    );
    assert_eq!(
        ends(claim.carry(8 * SECOND).unwrap()),
        (98 * SECOND - 6_000, 98 * SECOND + 2_000)
    );
    assert_eq!(
        ends(claim.carry(10 * SECOND).unwrap()),
        (100 * SECOND, 100 * SECOND)
    );
}

#[test]
fn what_is_not_whole_is_rounded_outward_on_both_sides_of_the_claim() {
    let claim = claim(0, 0, rates(-1, 1));
    for raw in [1, -1, 999_999_999, -999_999_999] {
        assert_eq!(ends(claim.carry(raw).unwrap()), (raw - 1, raw + 1), "{raw}");
    }
}

#[test]
fn the_axis_stands_still_in_an_inserted_second_and_leaps_over_a_deleted_one() {
    let boundary = at(50 * SECOND);
    let carried = |kind, raw: i64| {
        let leap = Some(LeapSecond { boundary, kind });
        let claim = claim(0, 40 * SECOND, rates(0, 0)).with_leap(leap);
        ends(claim.carry(raw).unwrap()).0
    };
    for (raw, inserted, deleted) in [
        (9 * SECOND - 1, 49 * SECOND - 1, 49 * SECOND - 1),
        (9 * SECOND, 49 * SECOND, 50 * SECOND),
        (10 * SECOND - 1, 50 * SECOND - 1, 51 * SECOND - 1),
        (10 * SECOND, 50 * SECOND, 51 * SECOND),
        (11 * SECOND - 1, 50 * SECOND, 52 * SECOND - 1),
        (11 * SECOND, 50 * SECOND, 52 * SECOND),
        (11 * SECOND + 1, 50 * SECOND + 1, 52 * SECOND + 1),
    ] {
        assert_eq!(carried(LeapKind::Inserted, raw), inserted, "{raw}");
        assert_eq!(carried(LeapKind::Deleted, raw), deleted, "{raw}");
    }
}

#[test]
fn claims_that_miss_each_other_say_by_how_much() {
    let early = claim(0, 0, rates(-10, 10));
    let contradiction = |unix| early.contradiction(&claim(SECOND, unix, rates(0, 0)));
    assert_eq!(contradiction(SECOND + 10), None);
    assert_eq!(contradiction(SECOND - 10), None);
    let missed = |unix| contradiction(unix).unwrap().as_nanos();
    assert_eq!(missed(SECOND + 17), 7);
    assert_eq!(missed(SECOND - 17), 7);
}
