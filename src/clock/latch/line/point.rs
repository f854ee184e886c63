//! One instant of a line's interval, for a stamp: by one product instead of two.

use super::Line;
use super::product::{moved_down, moved_up};
use crate::time::Timestamp;

/// Which instant of an interval: one that never falls back along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The middle: [`Interval::midpoint`](crate::Interval::midpoint), or up to 2 ns more, within the interval.
    Middle,
    /// The latest end.
    Latest,
}

impl Line {
    /// Returns the instant so long after the base; `elapsed` comes from [`elapsed`](Self::elapsed).
    ///
    /// `None` cannot happen, as for [`at`](Self::at).
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "the point is known where it is called"
    )]
    pub(crate) fn point_at(&self, point: Point, elapsed: i64) -> Option<Timestamp> {
        if point == Point::Middle && self.may_be_held() {
            return Some(self.at(elapsed)?.midpoint());
        }
        // Known before the clock is read: the product alone waits for it.
        let (from, slope) = match point {
            Point::Middle => (self.middle(), self.middle_slope()),
            Point::Latest => (self.latest, self.fast),
        };
        Some(Timestamp::from_unix_nanos(
            from.wrapping_add_unsigned(moved_up(elapsed, slope)),
        ))
    }

    /// Returns by how many ns the instant moves in so many units at least, wherever on the line they begin; 0 for
    /// less than none.
    ///
    /// Of a sum rounded up no more is missing than of its parts rounded down. A middle between a floor and the
    /// latest end moves half as fast as the latter.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `point_at` is")]
    pub(crate) fn moves_by(&self, point: Point, units: i64) -> u64 {
        if units.is_negative() {
            return 0;
        }
        let slope = match point {
            Point::Middle if self.may_be_held() => self.fast >> 1,
            Point::Middle => self.middle_slope(),
            Point::Latest => self.fast,
        };
        moved_down(units, slope)
    }

    /// Returns true if the floor is above the earliest end, somewhere on the line.
    #[inline]
    const fn may_be_held(&self) -> bool {
        self.floor > self.earliest
    }

    /// Returns the middle at the base, rounded up.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "the latest end is not before the earliest"
    )]
    const fn middle(&self) -> i64 {
        let width = self.latest.wrapping_sub(self.earliest) as u64;
        self.latest.wrapping_sub_unsigned(width >> 1)
    }

    /// Returns how fast the middle moves, rounded up.
    #[inline]
    const fn middle_slope(&self) -> u64 {
        self.fast
            .wrapping_sub(self.fast.wrapping_sub(self.slow) >> 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{LONGEST, LOW};
    use super::*;

    /// A line whose floor is anywhere between its ends, or below both, and two places on it.
    fn any_line() -> impl Strategy<Value = (Line, [i64; 2])> {
        let ends = (
            -1_000_000_000_000_000_000..1_000_000_000_000_000_000_i64,
            0..2_000_000_000_i64,
        );
        let slopes = (0..2_u64 << 57, 0..1_u64 << 50);
        let floor = prop_oneof![Just(None), (0..=1_000_i64).prop_map(Some)];
        let places = proptest::array::uniform2(prop_oneof![0..1_000_i64, 0..1_i64 << 50]);
        (ends, slopes, floor, places).prop_map(
            |((earliest, width), (slow, more), floor, places)| {
                let floor = floor.map_or(i64::MIN, |part| earliest + width / 1_000 * part);
                let line = Line {
                    base: 0,
                    earliest,
                    latest: earliest + width,
                    slow,
                    fast: slow + more,
                    floor,
                    span_and_state: i64::MAX & !LOW,
                };
                (line, places)
            },
        )
    }

    proptest! {
        #[test]
        fn a_point_is_the_intervals_or_up_to_2_ns_more_and_inside_it((line, [elapsed, _]) in any_line()) {
            let interval = line.at(elapsed).unwrap();
            prop_assert_eq!(line.point_at(Point::Latest, elapsed), Some(interval.latest()));
            let middle = line.point_at(Point::Middle, elapsed).unwrap();
            prop_assert!(interval.earliest() <= middle && middle <= interval.latest());
            let more = middle.saturating_since(interval.midpoint()).nanos();
            prop_assert!((0..=2).contains(&more), "{more}");
        }

        /// What a stripe rests on: between two counts its instant moved by so much, or by more.
        #[test]
        fn a_point_never_falls_back_and_moves_at_least_by_what_is_told((line, places) in any_line()) {
            let (one, other) = (places[0].min(places[1]), places[0].max(places[1]));
            for point in [Point::Middle, Point::Latest] {
                let [from, to] = [one, other].map(|elapsed| line.point_at(point, elapsed).unwrap());
                prop_assert!(from <= to);
                let moved = to.saturating_since(from).nanos().unsigned_abs();
                let told = line.moves_by(point, other - one);
                prop_assert!(told <= moved, "{point:?}: {told} of {moved}");
                // Nor by much less, but under a floor: then the earliest end may stand still, or not.
                let is_held = point == Point::Middle && line.may_be_held();
                prop_assert!(is_held || moved - told <= 2, "{point:?}: {told} of {moved}");
            }
        }
    }

    #[test]
    fn nothing_moves_in_less_than_no_time_nor_too_far_in_more_than_a_line_can_have() {
        let line = Line {
            slow: 1 << 57,
            fast: 1 << 57,
            ..Line::NOTHING
        };
        for (units, moved) in [
            (-1, 0),
            (0, 0),
            (1, 1),
            (LONGEST, LONGEST),
            (LONGEST + 3, 2),
        ] {
            assert_eq!(
                line.moves_by(Point::Latest, units),
                moved.unsigned_abs(),
                "{units}"
            );
        }
    }
}
