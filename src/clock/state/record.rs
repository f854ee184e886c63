//! Per-source record: the last claim, and the evidence for or against it.

use core::time::Duration;

use crate::clock::policy::Policy;
use crate::source::{Awaiting, Finding, LeapNotice, Look, Refusal, SourceMemory, SyncClaim};
use crate::time::Claim;
use crate::words::{words_enum, words_struct};

/// How far apart two writes must be at least to test the oscillator's rate: neighbours a few
/// seconds apart leave room for any.
const PAIR_SPAN: i64 = 60_000_000_000;

/// What a source has said, as far as it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing yet: a bound that is there already may be taken over (A4).
    #[default]
    Unheard,
    /// A claim that was there before the first look (A4).
    Inherited(SyncClaim),
    /// A claim from a write that was seen.
    Own(SyncClaim),
    /// What it said does not count any more, and only what it writes from now on will.
    Voided,
}

words_enum!(Word { Unheard = 1, Inherited(sync) = 2, Own(sync) = 3, Voided = 4 });

impl Word {
    pub(crate) const fn claim(&self) -> Option<SyncClaim> {
        match self {
            Self::Inherited(sync) | Self::Own(sync) => Some(*sync),
            Self::Unheard | Self::Voided => None,
        }
    }

    pub(super) const fn claim_ref(&self) -> Option<&SyncClaim> {
        match self {
            Self::Inherited(sync) | Self::Own(sync) => Some(sync),
            Self::Unheard | Self::Voided => None,
        }
    }

    pub(super) const fn claim_mut(&mut self) -> Option<&mut SyncClaim> {
        match self {
            Self::Inherited(sync) | Self::Own(sync) => Some(sync),
            Self::Unheard | Self::Voided => None,
        }
    }

    const fn drop_claim(&mut self) {
        // A source that was never heard stays so.
        if self.claim().is_some() {
            *self = Self::Voided;
        }
    }
}

/// Whether what a source writes fits what it wrote before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Consistency {
    /// A write at least `PAIR_SPAN` older than `younger`, or none.
    older: Option<Claim>,
    /// A write at most twice `PAIR_SPAN` old.
    younger: Option<Claim>,
    /// The last pair of writes so far apart excluded every rate within ±`max_drift`.
    pair_outside: bool,
    /// Its last two claims agree; asked only while a contradiction lasts.
    agreed: bool,
    /// Two neighbours excluded each other, so that one of them was false, whatever the rate.
    missed: bool,
}

words_struct!(Consistency {
    older,
    younger,
    pair_outside,
    agreed,
    missed,
});

impl Consistency {
    /// Tests a write against the claim before it and one at least a minute older; by how much it
    /// misses the one that it misses more.
    fn test(&mut self, last: Option<&Claim>, claim: Claim, trial: Trial<'_>) -> Option<Duration> {
        let Trial {
            contradicted,
            policy,
        } = trial;
        // A claim too old to answer has no say either.
        let says = |earlier: &Claim| claim.raw() <= policy.last_use(earlier);
        let last = last.filter(|last| says(last));
        self.older = self.older.filter(says);
        self.younger = self.younger.filter(says);
        let neighbours = last.and_then(|last| last.contradiction(&claim));
        if let Some(last) = last {
            self.agreed = neighbours.is_none();
            self.missed |= neighbours.is_some();
            if contradicted && self.agreed && self.missed {
                // The newest two agree, so what excludes either of them was false. Where neighbours
                // never missed each other it is the rate that is false, and only a later pair refutes that.
                self.missed = false;
                let stands = |earlier: &Claim| {
                    earlier.contradiction(last).is_none() && earlier.contradiction(&claim).is_none()
                };
                self.older = self.older.filter(stands);
                self.younger = self.younger.filter(stands);
                self.pair_outside = false;
            }
        }
        let far_enough = |earlier: &Claim| claim.raw().saturating_sub(earlier.raw()) >= PAIR_SPAN;
        let partner = self.younger.filter(far_enough).or(self.older);
        let pair = partner.and_then(|earlier| earlier.contradiction(&claim));
        if partner.is_some() {
            self.pair_outside = pair.is_some();
        }
        if self.younger.is_none_or(|younger| far_enough(&younger)) {
            self.older = self.younger;
            self.younger = Some(claim);
        }
        neighbours.max(pair)
    }

    const fn voided(self) -> Self {
        // What stands against the rate outlives a void: no write has refuted it.
        Self {
            older: None,
            younger: None,
            pair_outside: self.pair_outside,
            agreed: false,
            missed: false,
        }
    }
}

/// What a write is tried under.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    /// Claims contradict each other, and these tests are to find out which are left.
    pub(super) contradicted: bool,
    pub(super) policy: &'a Policy,
}

impl<'a> Trial<'a> {
    pub(super) const fn ordinary(policy: &'a Policy) -> Self {
        Self {
            contradicted: false,
            policy,
        }
    }
}

/// One source's standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceRecord {
    /// What the source itself remembers.
    pub(crate) memory: SourceMemory,
    /// Why it does not vouch now, if it does not.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) word: Word,
    consistency: Consistency,
}

words_struct!(SourceRecord {
    memory,
    refusal,
    word,
    consistency,
});

impl SourceRecord {
    /// Returns true if a bound that is there already may be taken over.
    pub(in crate::clock) const fn may_inherit(&self) -> bool {
        matches!(self.word, Word::Unheard)
    }

    /// Takes note of what a look found; by how much its claim misses an earlier one, if it does.
    pub(super) fn hear(&mut self, look: &Look, trial: Trial<'_>) -> Option<Duration> {
        let on_scale = |sync: SyncClaim| match look.leap {
            LeapNotice::Pending(leap) => SyncClaim {
                claim: sync.claim.with_leap(Some(leap)),
                ..sync
            },
            LeapNotice::None | LeapNotice::Passed(_) => sync,
        };
        let awaiting = |because| Some(Refusal::AwaitingWrite { because });
        let has_claim = self.word.claim().is_some();
        match look.finding {
            Finding::Write(sync) => {
                self.refusal = None;
                let sync = on_scale(sync);
                let last = self.word.claim().map(|last| last.claim);
                self.word = Word::Own(sync);
                return self.consistency.test(last.as_ref(), sync.claim, trial);
            }
            Finding::Inherited(sync) => {
                self.refusal = None;
                // One that was inherited itself is taken over by a later one.
                if !matches!(self.word, Word::Own(_)) {
                    self.word = Word::Inherited(on_scale(sync));
                }
            }
            Finding::Nothing if has_claim => self.refusal = None,
            Finding::Nothing => self.refusal = awaiting(Awaiting::Disturbance),
            Finding::Refused(refusal) => self.refusal = Some(refusal),
            Finding::Void(_) => {
                self.word.drop_claim();
                self.refusal = awaiting(Awaiting::Disturbance);
            }
            Finding::Unsettled => {
                if !has_claim && self.refusal.is_none() {
                    self.refusal = awaiting(Awaiting::Unsettled);
                }
            }
        }
        None
    }

    /// Demands that two successive claims agree before a contradiction is over.
    pub(in crate::clock) const fn start_over(&mut self) {
        self.consistency.agreed = false;
    }

    /// Returns true if nothing stands against this source, as far as a contradiction goes.
    pub(in crate::clock) const fn agrees(&self) -> bool {
        self.consistency.agreed && !self.consistency.pair_outside
    }

    /// Returns true if the source has a say: it made a claim and stands by it.
    pub(in crate::clock) const fn has_a_say(&self) -> bool {
        self.word.claim().is_some() && self.refusal.is_none()
    }

    pub(in crate::clock) fn drop_if(&mut self, unsound: impl Fn(&Claim) -> bool) {
        if self.word.claim().is_some_and(|sync| unsound(&sync.claim)) {
            self.word.drop_claim();
        }
        let Consistency { older, younger, .. } = &mut self.consistency;
        for claim in [older, younger] {
            *claim = claim.filter(|claim| !unsound(claim));
        }
    }

    /// Drops what nothing confirmed when a contradiction ended without this source: its claim, and what
    /// later ones would be compared with, or a lie of before would contradict what the source says anew.
    pub(in crate::clock) fn drop_unconfirmed(&mut self) {
        if !self.agrees() {
            self.forget();
        }
    }

    /// Drops of what later claims would be compared with all that excludes a claim which ended a contradiction.
    pub(super) fn drop_what_excludes(&mut self, claim: &Claim) {
        let Consistency { older, younger, .. } = &mut self.consistency;
        for earlier in [older, younger] {
            *earlier = earlier.filter(|earlier| earlier.contradiction(claim).is_none());
        }
    }

    /// Drops what a helper claims where it excludes what counts more.
    pub(super) fn overrule(&mut self, refusal: Refusal) {
        self.forget();
        self.refusal = Some(refusal);
    }

    /// Forgets what was claimed, but not what the source itself remembers.
    pub(super) fn forget(&mut self) {
        self.word.drop_claim();
        self.consistency = Consistency::default();
    }

    /// Changes the claims' scale, for a leap second.
    pub(in crate::clock) fn revise(&mut self, revise: impl Fn(Claim) -> Claim) {
        self.revise_last(&revise);
        let Consistency { older, younger, .. } = &mut self.consistency;
        for claim in [older, younger] {
            *claim = claim.map(&revise);
        }
    }

    /// Changes the bounds on the rate that the last claim is carried and compared with.
    pub(in crate::clock) fn revise_last(&mut self, revise: impl Fn(Claim) -> Claim) {
        if let Some(last) = self.word.claim_mut() {
            last.claim = revise(last.claim);
        }
    }

    /// Voids all that was said before: raw time no longer connects to it.
    pub(in crate::clock) const fn void(&mut self) {
        *self = Self {
            memory: SourceMemory::EMPTY,
            refusal: None,
            word: Word::Voided,
            consistency: self.consistency.voided(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assumed, policy, served, sync, unheard};
    use super::*;
    use crate::time::{LeapKind, LeapSecond, Timestamp};

    const SECOND: i64 = 1_000_000_000;
    const MILLI: i64 = 1_000_000;

    /// Heard after so many seconds: real time is between so many ms ahead of raw time.
    fn at(secs: i64, ends: [i64; 2]) -> SyncClaim {
        let raw = secs * SECOND;
        sync(raw, raw + ends[0] * MILLI, raw + ends[1] * MILLI)
    }

    fn write(record: &mut SourceRecord, sync: SyncClaim, contradicted: bool) -> Option<Duration> {
        let policy = policy();
        let trial = Trial {
            contradicted,
            policy: &policy,
        };
        record.hear(&Look::new(Finding::Write(sync)), trial)
    }

    /// One that wrote after 0, 61 and 122 s: of the last two pairs can be made.
    fn of_two_minutes() -> SourceRecord {
        let mut record = SourceRecord::default();
        for secs in [0, 61, 122] {
            assert_eq!(write(&mut record, at(secs, [0, 10]), false), None);
        }
        record
    }

    fn compared(record: &SourceRecord) -> [Option<i64>; 2] {
        let Consistency { older, younger, .. } = &record.consistency;
        [older, younger].map(|claim| claim.map(|claim| claim.raw() / SECOND))
    }

    #[test]
    fn what_is_unsound_is_dropped_and_what_is_sound_stays() {
        for (sound_from, word, left) in [
            (0, true, [Some(61), Some(122)]),
            (100, true, [None, Some(122)]),
            (200, false, [None, None]),
        ] {
            let mut record = of_two_minutes();
            record.drop_if(|claim| claim.raw() < sound_from * SECOND);
            assert_eq!(record.word.claim().is_some(), word, "{sound_from}");
            assert_eq!(compared(&record), left, "{sound_from}");
        }
    }

    #[test]
    fn only_what_excludes_the_claim_that_ended_a_contradiction_is_dropped() {
        let mut record = of_two_minutes();
        record.drop_what_excludes(&at(130, [10, 20]).claim);
        assert_eq!(compared(&record), [Some(61), Some(122)]);
        record.drop_what_excludes(&at(130, [11, 20]).claim);
        assert_eq!(compared(&record), [None, None]);
        // Its own word stands all the same, and is judged by what comes.
        assert!(record.word.claim().is_some());
    }

    #[test]
    fn a_source_that_nothing_confirmed_is_forgotten_when_a_contradiction_ends() {
        let mut record = of_two_minutes();
        assert!(record.agrees());
        record.drop_unconfirmed();
        assert_eq!(record, of_two_minutes());
        record.start_over();
        record.drop_unconfirmed();
        assert_eq!(record.word, Word::Voided);
        assert_eq!(compared(&record), [None, None]);
    }

    /// Two neighbours missed each other, and the third agrees with the second: that the first was false
    /// is settled where a contradiction lasts, and is still evidence where none does.
    #[test]
    fn what_the_newest_two_exclude_is_dropped_under_a_contradiction_alone() {
        for (contradicted, missed_by) in [(false, Some(Duration::from_millis(9))), (true, None)] {
            let mut record = SourceRecord::default();
            write(&mut record, at(0, [0, 1]), contradicted);
            let missed = write(&mut record, at(10, [10, 11]), contradicted);
            assert_eq!(missed, Some(Duration::from_millis(9)));
            let after = write(&mut record, at(70, [10, 11]), contradicted);
            assert_eq!(after, missed_by);
        }
    }

    /// The first is excluded by one of the newest two, and the other is wide enough for it.
    #[test]
    fn under_a_contradiction_a_claim_stands_only_by_both_of_the_newest_two() {
        for (second, third, last) in [([20, 30], [8, 22], [21, 22]), ([8, 22], [20, 30], [21, 22])]
        {
            let mut record = SourceRecord::default();
            write(&mut record, at(0, [0, 10]), true);
            // So that neighbours missed each other, and nothing of this one is left to compare with.
            assert!(write(&mut record, at(5, [50, 60]), true).is_some());
            let _ = write(&mut record, at(10, second), true);
            assert_eq!(write(&mut record, at(20, third), true), None);
            assert_eq!(write(&mut record, at(80, last), true), None);
        }
    }

    #[test]
    fn an_unsettled_look_refuses_only_where_nothing_is_claimed_or_refused_yet() {
        let unsettled = Some(Refusal::AwaitingWrite {
            because: Awaiting::Unsettled,
        });
        let other = Some(Refusal::UnsyncFlag { maxerror_us: 1 });
        for (wrote, refusal, then) in [
            (false, None, unsettled),
            (false, other, other),
            (true, None, None),
            (true, other, other),
        ] {
            let mut record = SourceRecord::default();
            if wrote {
                write(&mut record, at(0, [0, 1]), false);
            }
            record.refusal = refusal;
            let _ = record.hear(&Look::new(Finding::Unsettled), Trial::ordinary(&policy()));
            assert_eq!(record.refusal, then, "{wrote} {refusal:?}");
        }
    }

    #[test]
    fn a_claim_is_on_the_scale_of_the_leap_second_that_its_look_tells_of() {
        let leap = LeapSecond {
            boundary: Timestamp::from_unix_nanos(1_000 * SECOND),
            kind: LeapKind::Inserted,
        };
        let claim = at(0, [0, 1]);
        for finding in [Finding::Write(claim), Finding::Inherited(claim)] {
            for (notice, on_scale) in [
                (LeapNotice::Pending(leap), Some(leap)),
                (LeapNotice::Passed(leap), None),
                (LeapNotice::None, None),
            ] {
                let mut record = SourceRecord::default();
                let look = Look::new(finding).with_leap(notice);
                assert_eq!(record.hear(&look, Trial::ordinary(&policy())), None);
                let heard = record.word.claim().map(|sync| sync.claim);
                assert_eq!(heard, Some(claim.claim.with_leap(on_scale)));
            }
        }
    }

    #[test]
    fn a_look_is_told_of_the_claim_in_force() {
        let claim = at(0, [0, 1]);
        for (state, told) in [
            (served(1, claim), Some(claim.claim)),
            (assumed(claim), Some(claim.claim)),
            (unheard(), None),
        ] {
            assert_eq!(state.claim_to_tell(), told.as_ref());
            assert_eq!(state.in_force().map(|sync| sync.claim), told);
        }
    }
}
