//! The arithmetic of claims, against exact rational arithmetic over the whole range.

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::{Claim, LeapKind, LeapSecond, RateBounds};
use epsilon_clock::{Interval, Timestamp};
use proptest::prelude::*;

const BILLION: i128 = 1_000_000_000;

fn wild() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        -10_i64..10,
        -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
    ]
}

fn any_interval() -> impl Strategy<Value = Interval> {
    (wild(), wild()).prop_map(|(a, b)| {
        let (lo, hi) = (a.min(b), a.max(b));
        Interval::new(
            Timestamp::from_unix_nanos(lo),
            Timestamp::from_unix_nanos(hi),
        )
        .unwrap()
    })
}

fn any_rate() -> impl Strategy<Value = RateBounds> {
    let ppb = prop_oneof![
        any::<i32>(),
        -300_000_i32..300_000,
        Just(i32::MIN),
        Just(i32::MAX)
    ];
    (ppb.clone(), ppb).prop_map(|(a, b)| RateBounds::new(a.min(b), a.max(b)).unwrap())
}

/// Both ends, exact, as numerators over a billion: the outermost that any rate allows.
fn exact(claim: &Claim, raw: i64) -> (i128, i128) {
    let dt = i128::from(raw) - i128::from(claim.raw());
    let rates = [claim.rate().lo_ppb(), claim.rate().hi_ppb()].map(i128::from);
    let end =
        |start: Timestamp, rate: i128| (i128::from(start.unix_nanos()) + dt) * BILLION + dt * rate;
    let earliest = rates.map(|rate| end(claim.interval().earliest(), rate));
    let latest = rates.map(|rate| end(claim.interval().latest(), rate));
    (earliest[0].min(earliest[1]), latest[0].max(latest[1]))
}

fn rounded(earliest: i128, latest: i128) -> (i128, i128) {
    (earliest.div_euclid(BILLION), -(-latest).div_euclid(BILLION))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn carrying_agrees_with_exact_arithmetic_and_never_wraps(
        at in wild(), raw in wild(), interval in any_interval(), rate in any_rate(),
    ) {
        let claim = Claim::new(at, interval, rate);
        let (earliest, latest) = exact(&claim, raw);
        let (lo, hi) = rounded(earliest, latest);
        let fits = i64::try_from(lo).is_ok() && i64::try_from(hi).is_ok();
        match claim.carry(raw) {
            Ok(carried) => {
                prop_assert!(fits);
                prop_assert_eq!(i128::from(carried.earliest().unix_nanos()), lo);
                prop_assert_eq!(i128::from(carried.latest().unix_nanos()), hi);
            }
            Err(_) => prop_assert!(!fits),
        }
    }

    #[test]
    fn carrying_widens_and_never_narrows(
        at in wild(), there in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
        further in 0_i64..1_000_000_000_000_000, width in 0_i64..1_000_000_000_000,
        rate in any_rate(),
    ) {
        let at = at / 4;
        let middle = Timestamp::from_unix_nanos(at / 2);
        let interval = Interval::new(middle, middle.saturating_add(std::time::Duration::from_nanos(width.unsigned_abs()))).unwrap();
        let claim = Claim::new(at, interval, rate);
        let Ok(carried) = claim.carry(at + there) else { return Ok(()); };
        prop_assert!(carried.width() >= interval.width());
        // Carried in two goes it is at least as wide as in one.
        let again = Claim::new(at + there, carried, rate);
        let target = if there < 0 { at + there - further } else { at + there + further };
        if let (Ok(two), Ok(one)) = (again.carry(target), claim.carry(target)) {
            prop_assert!(two.contains_interval(&one));
        }
        // There and back again it contains where it started.
        if let Ok(back) = again.carry(at) {
            prop_assert!(back.contains_interval(&interval));
        }
    }

    #[test]
    fn claims_that_hold_never_contradict_each_other(
        raws in prop::array::uniform2(-1_000_000_000_000_000_i64..1_000_000_000_000_000),
        slack in prop::array::uniform4(0_i64..1_000_000),
        rate in any_rate(),
        part in 0_i64..=1_000,
    ) {
        // True time at raw 0 is 0, and it runs at a rate within the bounds.
        let (lo, hi) = (i64::from(rate.lo_ppb()), i64::from(rate.hi_ppb()));
        let ppb = i128::from(lo + (hi - lo) * part / 1_000);
        let at = |raw: i64| i128::from(raw) * (BILLION + ppb);
        let around = |raw: i64, below: i64, above: i64| {
            let (lo, hi) = rounded(at(raw), at(raw));
            let end = |ns: i128| i64::try_from(ns).ok().map(Timestamp::from_unix_nanos);
            let interval = Interval::new(end(lo - i128::from(below))?, end(hi + i128::from(above))?);
            Some(Claim::new(raw, interval.unwrap(), rate))
        };
        let one = around(raws[0], slack[0], slack[1]).unwrap();
        let other = around(raws[1], slack[2], slack[3]).unwrap();
        prop_assert_eq!(one.contradiction(&other), None);
        prop_assert_eq!(other.contradiction(&one), None);
    }

    #[test]
    fn a_contradiction_is_one_from_both_sides(
        raws in prop::array::uniform2(-1_000_000_000_000_000_i64..1_000_000_000_000_000),
        ends in prop::array::uniform4(-3_000_000_000_000_000_i64..3_000_000_000_000_000),
        rate in any_rate(),
    ) {
        let claim = |raw, a: i64, b: i64| {
            let (lo, hi) = (a.min(b), a.max(b));
            let interval = Interval::new(Timestamp::from_unix_nanos(lo), Timestamp::from_unix_nanos(hi)).unwrap();
            Claim::new(raw, interval, rate)
        };
        let one = claim(raws[0], ends[0], ends[1]);
        let other = claim(raws[1], ends[2], ends[3]);
        prop_assert_eq!(
            one.contradiction(&other).is_some(),
            other.contradiction(&one).is_some()
        );
    }

    #[test]
    fn a_leap_second_on_the_scale_keeps_order_and_shifts_what_lies_beyond(
        at in -5_000_000_000_i64..5_000_000_000, width in 0_i64..1_000_000_000,
        inserted in any::<bool>(), steps in prop::collection::vec(0_i64..700_000_000, 1..30),
    ) {
        let kind = if inserted { LeapKind::Inserted } else { LeapKind::Deleted };
        let boundary = Timestamp::from_unix_nanos(86_400_000_000_000);
        let start = Timestamp::from_unix_nanos(86_400_000_000_000 - 6_000_000_000 + at);
        prop_assume!(start.saturating_add(std::time::Duration::from_nanos(width.unsigned_abs())) < boundary);
        let interval = Interval::around(start, std::time::Duration::from_nanos(width.unsigned_abs() / 2)).unwrap();
        let plain = Claim::new(0, interval, RateBounds::symmetric(200_000));
        let leaping = plain.with_leap(Some(LeapSecond { boundary, kind }));
        let mut raw = 0;
        let mut last = leaping.carry(0).unwrap();
        for step in steps {
            raw += step;
            let counted = plain.carry(raw).unwrap();
            let now = leaping.carry(raw).unwrap();
            prop_assert!(now.earliest() >= last.earliest() && now.latest() >= last.latest());
            let second = 1_000_000_000;
            for (counted, now) in [(counted.earliest(), now.earliest()), (counted.latest(), now.latest())] {
                let past = counted.unix_nanos() - boundary.unix_nanos();
                let moved = now.unix_nanos() - counted.unix_nanos();
                let expected = match kind {
                    LeapKind::Inserted => -past.clamp(0, second),
                    LeapKind::Deleted => if past >= -second { second } else { 0 },
                };
                prop_assert_eq!(moved, expected);
            }
            last = now;
        }
    }

    /// T8, on a clock: what it answers under one claim moves within the rate bounds.
    #[test]
    fn t8_under_one_claim_no_end_moves_faster_or_slower_than_its_rate(
        max_drift in 1_u32..500_000, drift in any::<i32>(), slew in any::<i32>(),
        spans in prop::collection::vec(0_u64..30_000_000_000, 2..30),
    ) {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(std::time::Duration::ZERO);
        machine.write_maxerror(1_003);
        let clock = machine
            .builder()
            .max_drift_ppb(max_drift)
            .max_error(std::time::Duration::from_secs(10))
            .refresh_policy(RefreshPolicy::Manual)
            .build()
            .unwrap();
        prop_assume!(clock.now().is_ok());
        machine.set_drift_ppb(drift);
        machine.set_slew_ppb(slew);
        let (mut raw, mut last) = (machine.raw_time(), clock.now().unwrap());
        for span in spans {
            machine.advance(std::time::Duration::from_nanos(span));
            let now = clock.now().unwrap();
            let elapsed = i128::from(machine.raw_time() - raw);
            // One nanosecond for each of the two roundings.
            let slack = (elapsed * i128::from(max_drift)).div_euclid(BILLION) + 2;
            for (from, to) in [(last.earliest(), now.earliest()), (last.latest(), now.latest())] {
                let moved = i128::from(to.unix_nanos()) - i128::from(from.unix_nanos());
                prop_assert!((moved - elapsed).abs() <= slack, "{} in {}", moved, elapsed);
            }
            (raw, last) = (machine.raw_time(), now);
        }
    }
}
