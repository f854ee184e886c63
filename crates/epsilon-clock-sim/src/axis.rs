//! The axes of true time: elapsed, as clocks that step show it, and made monotone.

use crate::kernel::SECOND;
use epsilon_clock::time::{LeapKind, LeapSecond};

/// True instants are nanoseconds since the world began; this says what UTC they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) start: i64,
    pub(crate) leap: Option<LeapSecond>,
}

impl Axis {
    /// Unix time made monotone: it stands still during an inserted second, jumps over a deleted one.
    pub(crate) fn monotone(&self, now: i64) -> i64 {
        let counted = self.start.saturating_add(now);
        let Some(LeapSecond { boundary, kind }) = self.leap else {
            return counted;
        };
        let boundary = boundary.unix_nanos();
        match kind {
            LeapKind::Inserted if counted < boundary => counted,
            LeapKind::Inserted => counted.saturating_sub(SECOND).max(boundary),
            LeapKind::Deleted if counted < boundary - SECOND => counted,
            LeapKind::Deleted => counted.saturating_add(SECOND),
        }
    }

    /// Unix time as POSIX has it: an inserted second repeats the one before it.
    pub(crate) fn stepped(&self, now: i64) -> i64 {
        let counted = self.start.saturating_add(now);
        match self.leap {
            Some(LeapSecond {
                boundary,
                kind: LeapKind::Inserted,
            }) if counted >= boundary.unix_nanos() => counted.saturating_sub(SECOND),
            Some(LeapSecond {
                kind: LeapKind::Deleted,
                ..
            }) => self.monotone(now),
            _ => counted,
        }
    }

    /// How far true instant `now` is past the leap second (negative: before it), in ns.
    pub(crate) fn since_leap(&self, now: i64) -> Option<i64> {
        let boundary = self.leap?.boundary.unix_nanos();
        Some(self.start.saturating_add(now).saturating_sub(boundary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use epsilon_clock::time::Timestamp;

    #[test]
    fn an_inserted_second_stands_still_or_repeats_and_a_deleted_one_is_jumped_over() {
        let boundary = Timestamp::from_unix_nanos(86_400 * SECOND);
        let axis = |kind| Axis {
            start: boundary.unix_nanos() - 2 * SECOND,
            leap: Some(LeapSecond { boundary, kind }),
        };
        let halves = [1, 3, 4, 5, 6, 7].map(|half| half * SECOND / 2);
        let off = |at: i64| (at - boundary.unix_nanos()) * 2 / SECOND;
        let inserted = axis(LeapKind::Inserted);
        assert_eq!(
            halves.map(|t| off(inserted.monotone(t))),
            [-3, -1, 0, 0, 0, 1]
        );
        assert_eq!(
            halves.map(|t| off(inserted.stepped(t))),
            [-3, -1, -2, -1, 0, 1]
        );
        let deleted = axis(LeapKind::Deleted);
        assert_eq!(
            halves.map(|t| off(deleted.monotone(t))),
            [-3, 1, 2, 3, 4, 5]
        );
        assert_eq!(halves.map(|t| off(deleted.stepped(t))), [-3, 1, 2, 3, 4, 5]);
    }
}
