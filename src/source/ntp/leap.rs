//! Leap seconds: who must announce one, when no server is asked, and when none is believed.

use crate::time::{Claim, Interval, LeapKind, LeapSecond, Timestamp};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How near a leap second no exchange counts, in ns.
const VICINITY: i64 = 2 * SECOND;

/// For so long after one an agreement must fit what was known before it, in ns.
const SETTLED_AFTER: i64 = 3_600 * SECOND;

/// Returns what a leap indicator announces.
pub(super) const fn announced(indicator: u8) -> Option<LeapKind> {
    match indicator {
        1 => Some(LeapKind::Inserted),
        2 => Some(LeapKind::Deleted),
        _ => None,
    }
}

/// Returns the leap second at the end of this day that more than `max_faulty` representatives
/// announce, if the day is a month's last.
pub(super) fn elected(
    indicators: impl Iterator<Item = u8>,
    max_faulty: usize,
    now: &Interval,
) -> Option<LeapSecond> {
    let (mut inserted, mut deleted) = (0_usize, 0_usize);
    for kind in indicators.filter_map(announced) {
        match kind {
            LeapKind::Inserted => inserted += 1,
            LeapKind::Deleted => deleted += 1,
        }
    }
    let kind = match (inserted > max_faulty, deleted > max_faulty) {
        (true, false) => LeapKind::Inserted,
        (false, true) => LeapKind::Deleted,
        _ => return None,
    };
    let day = |instant: Timestamp| instant.unix_nanos().div_euclid(DAY);
    let next = day(now.latest()).checked_add(1)?;
    // On both sides of a midnight this host cannot tell of which day it is the end.
    if day(now.earliest()) != day(now.latest()) || !Timestamp::day_begins_a_month(next) {
        return None;
    }
    let boundary = Timestamp::from_unix_nanos(next.checked_mul(DAY)?);
    Some(LeapSecond { boundary, kind })
}

/// Returns true if a claim is about an instant so near a midnight that UTC may leap there: one that
/// any server announced, or one of the two in a year at which leap seconds have always been.
pub(super) fn is_too_near(claim: &Claim, anybody_announced: bool) -> bool {
    let interval = claim.interval();
    let first = interval.earliest().unix_nanos().saturating_sub(VICINITY);
    let last = interval.latest().unix_nanos().saturating_add(VICINITY);
    let midnights = first.div_euclid(DAY) + 1..=last.div_euclid(DAY);
    // An interval of days says too little to be worth more than this.
    midnights.take(4).any(|day| {
        Timestamp::day_begins_a_half_year(day)
            || anybody_announced && Timestamp::day_begins_a_month(day)
    })
}

/// Returns true if the leap second may have been less than an hour ago, at this reading.
pub(super) fn is_unsettled(leap: &LeapSecond, now: &Interval) -> bool {
    let boundary = leap.boundary.unix_nanos();
    now.latest().unix_nanos() >= boundary
        && now.earliest().unix_nanos() < boundary.saturating_add(SETTLED_AFTER)
}

/// Returns true if the leap second and the hour after it are over.
pub(super) fn is_over(leap: &LeapSecond, now: &Interval) -> bool {
    now.earliest().unix_nanos() >= leap.boundary.unix_nanos().saturating_add(SETTLED_AFTER)
}

/// Returns true if the leap second is still far enough ahead to be called off.
pub(super) fn is_ahead(leap: &LeapSecond, now: &Interval) -> bool {
    now.latest().unix_nanos().saturating_add(VICINITY) < leap.boundary.unix_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::RateBounds;

    /// 2026-12-31T00:00:00Z, counted in days.
    const LAST_DAY: i64 = 20_818;

    fn around(nanos: i64) -> Interval {
        let at = Timestamp::from_unix_nanos;
        Interval::new(at(nanos - 1_000_000), at(nanos + 1_000_000)).unwrap()
    }

    fn too_near(nanos: i64, announced: bool) -> bool {
        let claim = Claim::new(0, around(nanos), RateBounds::symmetric(0));
        is_too_near(&claim, announced)
    }

    #[test]
    fn s1_more_than_may_be_false_must_announce_it_on_a_months_last_day() {
        let noon = around(LAST_DAY * DAY + DAY / 2);
        let elect = |indicators: &[u8], now: &Interval| {
            elected(indicators.iter().copied(), 1, now).map(|leap| leap.kind)
        };
        assert_eq!(elect(&[1, 1, 0], &noon), Some(LeapKind::Inserted));
        assert_eq!(elect(&[2, 0, 2], &noon), Some(LeapKind::Deleted));
        assert_eq!(elect(&[1, 0, 0], &noon), None);
        assert_eq!(elect(&[1, 2, 0], &noon), None);
        assert_eq!(elect(&[1, 1, 2, 2], &noon), None);
        let day_before = around(LAST_DAY * DAY - DAY / 2);
        assert_eq!(elect(&[1, 1, 1], &day_before), None);
        let at_midnight = around((LAST_DAY + 1) * DAY);
        assert_eq!(elect(&[1, 1, 1], &at_midnight), None);
    }

    #[test]
    fn s2_one_announcement_is_enough_to_count_nothing_near_it() {
        let new_year = (LAST_DAY + 1) * DAY;
        assert!(too_near(new_year + SECOND, false) && too_near(new_year - SECOND, false));
        assert!(!too_near(new_year - 3 * SECOND, false));
        assert!(!too_near(new_year + 3 * SECOND, true));
        let first_of_december = (LAST_DAY - 30) * DAY;
        assert!(!too_near(first_of_december, false));
        assert!(too_near(first_of_december, true));
        assert!(!too_near(first_of_december + DAY, true));
    }

    #[test]
    fn a_leap_second_is_ahead_then_at_hand_then_unsettled_and_then_over() {
        let boundary = (LAST_DAY + 1) * DAY;
        let leap = LeapSecond {
            boundary: Timestamp::from_unix_nanos(boundary),
            kind: LeapKind::Inserted,
        };
        let states = |nanos: i64| {
            let now = Interval::point(Timestamp::from_unix_nanos(nanos));
            (
                is_ahead(&leap, &now),
                is_unsettled(&leap, &now),
                is_over(&leap, &now),
            )
        };
        assert_eq!(states(boundary - VICINITY - 1), (true, false, false));
        assert_eq!(states(boundary - VICINITY), (false, false, false));
        assert_eq!(states(boundary - 1), (false, false, false));
        assert_eq!(states(boundary), (false, true, false));
        assert_eq!(states(boundary + SETTLED_AFTER - 1), (false, true, false));
        assert_eq!(states(boundary + SETTLED_AFTER), (false, false, true));
    }
}
