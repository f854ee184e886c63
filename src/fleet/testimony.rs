//! What was said about UTC at some raw instant that is not known exactly, carried to a later one.

use core::time::Duration;

use crate::clock::Clock;
use crate::machine::{Identity, OffsetRange, Sandwich};
use crate::time::{Claim, Interval, RateBounds, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// A place in this machine's own time, and whatever tells that raw time cannot be compared with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Raw time in ns.
    pub(super) raw: i64,
    /// Boot less monotonic time: how long the machine has slept so far.
    slept: OffsetRange,
    identity: Identity,
}

impl Moment {
    pub(super) fn now(clock: &Clock) -> Self {
        Self::of(&clock.clocks(), clock.identity())
    }

    const fn of(clocks: &Sandwich, identity: Identity) -> Self {
        Self {
            raw: clocks.raw,
            slept: clocks.boot_offset(),
            identity,
        }
    }

    /// Returns the raw time from this moment to a later one.
    ///
    /// `None` if raw time does not tell how much true time went by: the machine slept in between,
    /// or its raw time is another one.
    pub(super) fn until(&self, later: &Self) -> Option<Duration> {
        // Raw time stands still while the machine sleeps, and another process or time namespace
        // counts another one.
        let together = self.slept.moved_to(&later.slept) == 0 && self.identity == later.identity;
        let elapsed = later.raw.checked_sub(self.raw)?;
        let elapsed = u64::try_from(elapsed).ok()?;
        together.then_some(Duration::from_nanos(elapsed))
    }
}

/// "Between these two moments UTC was, at one instant, in this interval."
#[derive(Clone, Copy, Debug)]
pub(super) struct Testimony {
    pub(super) interval: Interval,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    pub(super) rate: RateBounds,
}

impl Testimony {
    /// Carries the testimony to a later raw instant.
    ///
    /// The instant that it is about may have been the first or the last of those that it can have
    /// been: for the earliest end the less time went by since, for the latest the more.
    ///
    /// An end beyond the range of timestamps stays at its edge: nothing that this is compared with
    /// lies beyond it, and what is told of a contradiction is told as "at least".
    pub(super) fn carried_to(&self, raw: i64) -> Interval {
        let since = |moment: &Moment| Claim::new(moment.raw, self.interval, self.rate);
        // Both readings of raw time were rounded down: what went by is known to a nanosecond.
        let least = raw.saturating_sub(1).max(self.ended.raw);
        let earliest = since(&self.ended).earliest_at(least);
        let latest = since(&self.began).latest_at(raw.saturating_add(1));
        // Carried forward, an end can only leave the range at its upper edge.
        let earliest = earliest.unwrap_or(Timestamp::MAX);
        let latest = latest.unwrap_or(Timestamp::MAX);
        Interval::new(earliest, latest).unwrap_or(Interval::point(earliest))
    }

    /// Carries it beside our own interval, allowing for a leap second in between.
    ///
    /// UTC may have stood still for a second, or jumped over one, and raw time knows nothing of
    /// that.
    ///
    /// Either of the two may be wrong about where midnight is, so it is enough if one of them has it
    /// in between.
    pub(super) fn beside(&self, ours: &Interval, raw: i64) -> Interval {
        let carried = self.carried_to(raw);
        let theirs = month_begins_within(self.interval.earliest(), carried.latest());
        if theirs || month_begins_within(self.our_start(ours, raw), ours.latest()) {
            carried.saturating_widen(SECOND)
        } else {
            carried
        }
    }

    /// Returns an instant of our clock at which the exchange had not begun yet.
    fn our_start(&self, ours: &Interval, raw: i64) -> Timestamp {
        let elapsed = raw.saturating_sub(self.began.raw).max(0).unsigned_abs();
        // True time runs at most a tenth faster than raw time: that is as large as `max_drift` can be.
        let elapsed = Duration::from_nanos(elapsed.saturating_add(elapsed / 8));
        ours.earliest().saturating_sub(elapsed)
    }

    /// Returns true if it still says something about the present.
    ///
    /// It is no older than `max_age`, and raw time tells how old it is.
    pub(super) fn counts(&self, now: &Moment, max_age: Duration) -> bool {
        let age = self.began.until(now);
        age.is_some_and(|age| age <= max_age) && self.ended.until(now).is_some()
    }
}

fn month_begins_within(from: Timestamp, to: Timestamp) -> bool {
    let first = from.saturating_sub(SECOND).unix_nanos().div_euclid(DAY_NS);
    let last = to.saturating_add(SECOND).unix_nanos().div_euclid(DAY_NS);
    // No month has more than 31 days.
    last - first > 31 || (first + 1..=last).any(Timestamp::day_begins_a_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(raw: i64) -> Moment {
        Moment {
            raw,
            slept: OffsetRange::default(),
            identity: Identity::default(),
        }
    }

    fn span(earliest: i64, latest: i64) -> Interval {
        let at = Timestamp::from_unix_nanos;
        Interval::new(at(earliest), at(latest)).unwrap()
    }

    /// Said at some time from raw 1000 to raw 3000, of a clock that may run 10 % fast or slow.
    fn testimony(interval: Interval) -> Testimony {
        Testimony {
            interval,
            began: moment(1_000),
            ended: moment(3_000),
            rate: RateBounds::symmetric(100_000_000),
        }
    }

    #[test]
    fn the_earliest_end_is_carried_from_the_last_instant_and_the_latest_from_the_first() {
        let said = testimony(span(50_000, 60_000));
        // Not a nanosecond went by for sure since the last; a nanosecond more than was counted may
        // have since the first.
        assert_eq!(said.carried_to(3_000), span(50_000, 60_000 + 2_202));
        // 999 ns at the slowest: 899.1; 3001 ns at the fastest: 3301.1.
        assert_eq!(said.carried_to(4_000), span(50_000 + 899, 60_000 + 3_302));
    }

    #[test]
    fn an_end_beyond_the_range_stays_at_its_edge() {
        let said = testimony(span(i64::MAX - 10, i64::MAX));
        assert_eq!(said.carried_to(9_000), span(i64::MAX, i64::MAX));
        let said = testimony(span(i64::MIN, i64::MIN));
        assert_eq!(said.carried_to(3_000).earliest(), Timestamp::MIN);
    }

    #[test]
    fn months_begin_where_they_begin() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let within = |from: &str, to: &str| month_begins_within(at(from), at(to));
        assert!(within(
            "2016-12-31T23:59:58.000000000Z",
            "2017-01-01T00:00:00.000000000Z"
        ));
        assert!(within(
            "2016-12-31T23:59:58.000000000Z",
            "2016-12-31T23:59:59.000000000Z"
        ));
        assert!(!within(
            "2016-12-31T23:59:57.000000000Z",
            "2016-12-31T23:59:58.999999999Z"
        ));
        assert!(within(
            "2017-01-01T00:00:00.500000000Z",
            "2017-01-01T00:00:09.000000000Z"
        ));
        assert!(!within(
            "2017-01-01T00:00:01.000000001Z",
            "2017-01-01T23:00:00.000000000Z"
        ));
        // An ordinary midnight.
        assert!(!within(
            "2017-01-14T23:59:58.000000000Z",
            "2017-01-15T00:00:09.000000000Z"
        ));
        assert!(within(
            "2017-01-14T00:00:00.000000000Z",
            "2018-01-15T00:00:00.000000000Z"
        ));
        assert!(month_begins_within(Timestamp::MIN, Timestamp::MAX));
        assert!(!month_begins_within(Timestamp::MAX, Timestamp::MAX));
    }

    #[test]
    fn an_exchange_began_no_longer_ago_than_raw_time_and_an_eighth_of_it() {
        let said = testimony(span(0, 0));
        for (raw, ago) in [(9_000, 9_000), (1_800, 900), (1_007, 7), (1_000, 0), (0, 0)] {
            let start = said.our_start(&span(50_000, 60_000), raw);
            assert_eq!(start.unix_nanos(), 50_000 - ago, "{raw}");
        }
    }
}
