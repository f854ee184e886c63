//! What is remembered from one look at chronyd's answers to the next.

use crate::machine::{OffsetRange, Sandwich};
use crate::time::{LeapKind, LeapSecond, Timestamp};
use crate::words::words_struct;

const DAY: i64 = 86_400 * 1_000_000_000;

/// Reference times closer together than this, in ns, are one: chronyd moves its own by what it slews.
pub(super) const SAME_REFERENCE: u64 = 1_000_000;

/// What is remembered between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    /// Real and boot time less monotonic time.
    pub(super) real_offset: OffsetRange,
    pub(super) boot_offset: OffsetRange,
    /// Raw time when the mailbox was last looked into.
    pub(super) opened: i64,
    /// The answer that the last claim was made from.
    pub(super) claimed: i64,
    /// The reference time of the update that it rests on, as the first report of it had it.
    pub(super) update: Option<Timestamp>,
    pub(super) barrier: Option<Barrier>,
    pub(super) leap: LeapFlag,
}

words_struct!(Remembered {
    real_offset,
    boot_offset,
    opened,
    claimed,
    update,
    barrier,
    leap,
});

/// What chronyd has to go beyond before its reports count: the clocks were disturbed, or never yet
/// watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Barrier {
    /// The instant of raw time that its last update has to be later than.
    pub(super) raw: i64,
    /// Nothing was disturbed, as far as is known: reports that do not go beyond it may be inherited.
    pub(super) may_inherit: bool,
}

words_struct!(Barrier { raw, may_inherit });

/// The leap second that chronyd announces, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeapFlag {
    pub(super) kind: Option<LeapKind>,
    /// The day of real time, counted from the epoch, in which it was last seen set.
    pub(super) day: i64,
    /// It was seen set on both sides of a midnight: the leap second is over.
    pub(super) stale: bool,
}

words_struct!(LeapFlag { kind, day, stale });

impl LeapFlag {
    /// Returns the flag after a report of this instant of real time.
    pub(super) fn after(self, kind: Option<LeapKind>, real: i64) -> Self {
        let day = real.div_euclid(DAY);
        let crossed = self.day < day;
        Self {
            kind,
            day,
            stale: kind.is_some() && kind == self.kind && (self.stale || crossed),
        }
    }

    /// The leap second that it announced, until it is seen set after that.
    fn announced(self) -> Option<LeapSecond> {
        let kind = self.kind.filter(|_| !self.stale)?;
        let boundary = self.day.checked_add(1)?.checked_mul(DAY)?;
        let boundary = Timestamp::from_unix_nanos(boundary);
        Some(LeapSecond { boundary, kind })
    }

    /// Returns the leap second that is still to come at this instant of real time.
    pub(super) fn due(self, real: i64) -> Option<LeapSecond> {
        self.announced()
            .filter(|leap| real < leap.boundary.unix_nanos())
    }

    /// Returns true if what it announced has come by this instant of real time.
    pub(super) fn is_past(self, real: i64) -> bool {
        self.announced()
            .is_some_and(|leap| leap.boundary.unix_nanos() <= real)
    }
}

impl Remembered {
    /// Notes the update that a claim rests on.
    pub(super) fn note_update(&mut self, reference: Timestamp) {
        let same = |update: Timestamp| {
            update.unix_nanos().abs_diff(reference.unix_nanos()) <= SAME_REFERENCE
        };
        if !self.update.is_some_and(same) {
            self.update = Some(reference);
        }
    }

    /// What a first look knows, or the first one after a disturbance.
    pub(super) fn first(now: &Sandwich, barrier: Barrier) -> Self {
        Self {
            real_offset: now.real_offset(),
            boot_offset: now.boot_offset(),
            opened: now.raw,
            claimed: 0,
            update: None,
            barrier: Some(barrier),
            leap: LeapFlag::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMemory;

    #[test]
    fn what_is_remembered_comes_back() {
        let mut remembered = Remembered {
            real_offset: OffsetRange { lo: 1, hi: 2 },
            boot_offset: OffsetRange { lo: 3, hi: 4 },
            opened: 10,
            claimed: 5,
            update: Some(Timestamp::from_unix_nanos(12)),
            barrier: None,
            leap: LeapFlag {
                kind: Some(LeapKind::Deleted),
                day: 6,
                stale: true,
            },
        };
        let mut memory = SourceMemory::default();
        assert_eq!(memory.load::<Remembered>(), None);
        memory.store(&remembered);
        assert_eq!(memory.load(), Some(remembered));
        for may_inherit in [false, true] {
            remembered.barrier = Some(Barrier {
                raw: 7,
                may_inherit,
            });
            memory.store(&remembered);
            assert_eq!(memory.load(), Some(remembered));
        }
    }

    #[test]
    fn a_flag_that_outlives_its_midnight_is_stale_until_it_is_cleared() {
        let inserted = Some(LeapKind::Inserted);
        let noon = DAY / 2;
        let flag = LeapFlag::default().after(inserted, noon);
        assert_eq!(
            flag.due(noon).map(|leap| leap.boundary.unix_nanos()),
            Some(DAY)
        );
        assert_eq!(flag.due(DAY), None);
        assert!(!flag.is_past(DAY - 1) && flag.is_past(DAY));
        let lingering = flag.after(inserted, DAY + noon);
        assert_eq!(lingering.due(DAY + noon), None);
        assert!(!lingering.is_past(DAY + noon));
        assert_eq!(
            lingering
                .after(inserted, DAY + noon + 1)
                .due(DAY + noon + 1),
            None
        );
        let again = lingering
            .after(None, DAY + noon + 2)
            .after(inserted, DAY + noon + 3);
        assert!(again.due(DAY + noon + 3).is_some());
    }

    #[test]
    fn a_flag_stands_within_its_day_and_another_one_after_it_is_new() {
        let (inserted, deleted) = (Some(LeapKind::Inserted), Some(LeapKind::Deleted));
        let noon = DAY / 2;
        let flag = LeapFlag::default().after(inserted, noon);
        let due = |flag: LeapFlag, real| flag.due(real).map(|leap| leap.boundary.unix_nanos());
        assert_eq!(due(flag.after(inserted, noon + 1), noon + 1), Some(DAY));
        let next = DAY + noon;
        assert_eq!(due(flag.after(deleted, next), next), Some(2 * DAY));
        assert_eq!(due(flag.after(None, next), next), None);
        assert!(!flag.after(None, next).stale);
    }

    #[test]
    fn an_update_is_the_one_before_while_its_reference_moved_by_no_more_than_a_slew() {
        let at = Timestamp::from_unix_nanos;
        let same = i64::try_from(SAME_REFERENCE).unwrap();
        let sandwich = Sandwich {
            mono_before: 0,
            boot: 0,
            real: 0,
            raw: 0,
            mono_after: 0,
        };
        let barrier = Barrier {
            raw: 0,
            may_inherit: true,
        };
        let mut remembered = Remembered::first(&sandwich, barrier);
        for (reference, update) in [
            (5 * DAY, 5 * DAY),
            (5 * DAY + same, 5 * DAY),
            (5 * DAY - same, 5 * DAY),
            (5 * DAY + same + 1, 5 * DAY + same + 1),
        ] {
            remembered.note_update(at(reference));
            assert_eq!(remembered.update, Some(at(update)), "{reference}");
        }
    }
}
