//! What is known of a step that is neither explained nor refuted, and what a write says of it.

use crate::machine::Disturbance;
use crate::source::SyncClaim;
use crate::time::{Claim, LeapSecond};
use crate::words::words_struct;

/// For how long, in ns, updates must have agreed before they count by themselves: after a step of 0.4 s by
/// another program chronyd's bounds fell short for up to 93 s (six polls of 16 s), as its line then goes
/// through samples of before and after the step.
const ANEW_SPAN: i64 = 120_000_000_000;

/// How many of them at least, since one alone agrees with itself.
const ANEW_UPDATES: u32 = 4;

/// What a piece of evidence says of a step that has yet to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The claim from before the step stands, on this scale.
    Vindicates(Claim),
    /// The claim from before is false, or the one that was just made.
    Refutes,
}

/// A step that is neither explained nor refuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenStep {
    pub(super) cause: Disturbance,
    /// When it was seen, in raw time.
    pub(super) at: i64,
    /// The claim in force then.
    pub(super) before: SyncClaim,
    /// The leap second that would explain it.
    pub(super) leap: Option<LeapSecond>,
    /// What all updates since have in common, when the first of them came, and how many there were.
    pub(super) common: Option<Claim>,
    pub(super) since: i64,
    pub(super) updates: u32,
}

words_struct!(OpenStep {
    cause,
    at,
    before,
    leap,
    common,
    since,
    updates,
});

impl OpenStep {
    pub(super) const fn cause(&self) -> Disturbance {
        self.cause
    }

    /// Returns true if a claim was made after the step.
    pub(super) const fn precedes(&self, claim: &Claim) -> bool {
        claim.raw() > self.at
    }

    pub(super) fn weigh(&self, claim: &Claim) -> Evidence {
        let plain = self.before.claim;
        let leapt = self.leap.map(|leap| plain.with_leap(Some(leap)));
        let agrees = |before: &Claim| before.contradiction(claim).is_none();
        match leapt.filter(agrees) {
            // A claim that agrees with both is too wide to tell: the scale stays open.
            Some(leapt) if !agrees(&plain) => Evidence::Vindicates(leapt),
            _ if agrees(&plain) => Evidence::Vindicates(plain),
            _ => Evidence::Refutes,
        }
    }

    /// Counts an update; returns true once enough of them agree to count by themselves.
    pub(super) fn count(&mut self, claim: &Claim) -> bool {
        let common = self
            .common
            .and_then(|common| common.carry(claim.raw()).ok())
            .and_then(|common| common.intersection(&claim.interval()));
        match common {
            Some(interval) => {
                self.common =
                    Some(Claim::new(claim.raw(), interval, claim.rate()).with_leap(claim.leap()));
                self.updates = self.updates.saturating_add(1);
            }
            None => self.begin_anew(*claim),
        }
        self.updates >= ANEW_UPDATES && claim.raw().saturating_sub(self.since) >= ANEW_SPAN
    }

    const fn begin_anew(&mut self, claim: Claim) {
        self.common = Some(claim);
        self.since = claim.raw();
        self.updates = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::sync;
    use super::*;
    use crate::time::{LeapKind, Timestamp};

    const SECOND: i64 = 1_000_000_000;

    fn open(leap: Option<LeapSecond>) -> OpenStep {
        OpenStep {
            cause: Disturbance::UnexplainedSecond,
            at: 10,
            before: sync(0, -5, 5),
            leap,
            common: None,
            since: 10,
            updates: 0,
        }
    }

    #[test]
    fn a_claim_tells_the_scale_only_if_it_excludes_the_other_one() {
        let leap = LeapSecond {
            boundary: Timestamp::from_unix_nanos(SECOND),
            kind: LeapKind::Inserted,
        };
        let plain = sync(0, -5, 5).claim;
        let leapt = plain.with_leap(Some(leap));
        // Three seconds on, a second behind where the leap second took place.
        for (earliest, latest, alone, with_leap) in [
            (3 * SECOND, 3 * SECOND, Some(plain), Some(plain)),
            (2 * SECOND, 2 * SECOND, None, Some(leapt)),
            (2 * SECOND, 3 * SECOND, Some(plain), Some(plain)),
            (5 * SECOND, 5 * SECOND, None, None),
        ] {
            let claim = sync(3 * SECOND, earliest, latest).claim;
            for (open, stands) in [(open(None), alone), (open(Some(leap)), with_leap)] {
                let evidence = stands.map_or(Evidence::Refutes, Evidence::Vindicates);
                assert_eq!(open.weigh(&claim), evidence, "{earliest} {latest}");
            }
        }
    }

    #[test]
    fn updates_count_once_four_agree_and_the_first_is_two_minutes_old() {
        let at = |raw| sync(raw, raw - 5, raw + 5).claim;
        for (times, counts) in [
            ([0, 1, 2, ANEW_SPAN], [false, false, false, true]),
            ([0, 1, 2, ANEW_SPAN - 1], [false; 4]),
            (
                [0, 1, ANEW_SPAN, ANEW_SPAN + 1],
                [false, false, false, true],
            ),
        ] {
            let mut open = open(None);
            assert_eq!(times.map(|raw| open.count(&at(raw))), counts, "{times:?}");
        }
        // One that excludes what the others have in common begins anew.
        let mut open = open(None);
        let aside = sync(3, 100, 200).claim;
        assert!(!open.count(&at(0)) && !open.count(&at(1)) && !open.count(&aside));
        assert_eq!((open.updates, open.since, open.common), (1, 3, Some(aside)));
    }
}
