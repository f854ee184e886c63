//! What a clock keeps of one source, and how it tests what the source says against what it said.

use core::time::Duration;

use crate::source::{Awaiting, Finding, LeapNotice, Look, Refusal, SourceMemory, SyncClaim};
use crate::time::Claim;
use crate::words::words_struct;

/// How far apart two writes must be at least to test the oscillator's rate: neighbours a few
/// seconds apart leave room for any.
const PAIR_SPAN: i64 = 60_000_000_000;

/// Whether what a source says fits what it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::clock) enum Verdict {
    Consistent,
    /// The claims miss each other by so much.
    Contradicts(Duration),
}

/// One source's standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceRecord {
    /// The source's own words.
    pub(crate) memory: SourceMemory,
    /// Why it does not vouch now, if it does not.
    pub(crate) refusal: Option<Refusal>,
    /// Its last claim, unless a void took it.
    pub(crate) last: Option<SyncClaim>,
    /// Whether that claim was there before the first look (A4).
    pub(crate) inherited: bool,
    /// A write at least `PAIR_SPAN` older than `younger`, or none.
    older: Option<Claim>,
    /// A write at most twice `PAIR_SPAN` old.
    younger: Option<Claim>,
    /// The last pair of writes so far apart excluded every rate within ±`max_drift`.
    pair_outside: bool,
    /// Its last two claims agree; asked only while a contradiction lasts.
    agreed: bool,
    /// It was disturbed, or has spoken: a first look is over.
    first_look_over: bool,
}

words_struct!(SourceRecord {
    memory,
    refusal,
    last,
    inherited,
    older,
    younger,
    pair_outside,
    agreed,
    first_look_over,
});

impl SourceRecord {
    /// Whether a bound that is there already may be taken over.
    pub(in crate::clock) const fn may_inherit(&self) -> bool {
        !self.first_look_over
    }

    /// Takes note of what a look found.
    pub(in crate::clock) fn hear(&mut self, look: &Look) -> Verdict {
        let on_scale = |sync: SyncClaim| match look.leap {
            LeapNotice::Pending(leap) => SyncClaim {
                claim: sync.claim.with_leap(Some(leap)),
                ..sync
            },
            LeapNotice::None | LeapNotice::Passed(_) => sync,
        };
        let nothing_said = Refusal::AwaitingWrite {
            because: Awaiting::Disturbance,
        };
        match look.finding {
            Finding::Write(sync) => {
                self.refusal = None;
                self.first_look_over = true;
                self.inherited = false;
                self.accept(on_scale(sync))
            }
            Finding::Inherited(sync) => {
                self.refusal = None;
                self.first_look_over = true;
                // One that was inherited itself is taken over by a later one.
                if self.last.is_none() || self.inherited {
                    self.inherited = true;
                    self.last = Some(on_scale(sync));
                }
                Verdict::Consistent
            }
            Finding::Nothing => {
                self.refusal = self.last.is_none().then_some(nothing_said);
                Verdict::Consistent
            }
            Finding::Refused(refusal) => {
                self.refusal = Some(refusal);
                Verdict::Consistent
            }
            Finding::Unsettled => {
                if self.last.is_none() && self.refusal.is_none() {
                    self.refusal = Some(Refusal::AwaitingWrite {
                        because: Awaiting::Unsettled,
                    });
                }
                Verdict::Consistent
            }
        }
    }

    fn accept(&mut self, sync: SyncClaim) -> Verdict {
        let claim = sync.claim;
        let neighbours = self.last.and_then(|last| last.claim.contradiction(&claim));
        if self.last.is_some() {
            self.agreed = neighbours.is_none();
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
        self.last = Some(sync);
        neighbours
            .max(pair)
            .map_or(Verdict::Consistent, Verdict::Contradicts)
    }

    /// From here on two successive claims have to agree before a contradiction is over.
    pub(in crate::clock) const fn start_over(&mut self) {
        self.agreed = false;
    }

    /// Whether nothing stands against this source, as far as a contradiction goes.
    pub(in crate::clock) const fn agrees(&self) -> bool {
        self.agreed && !self.pair_outside
    }

    /// Whether the source has a say: it made a claim and stands by it.
    pub(in crate::clock) const fn has_a_say(&self) -> bool {
        self.last.is_some() && self.refusal.is_none()
    }

    /// Drops its claims of which this holds.
    pub(in crate::clock) fn drop_if(&mut self, unsound: impl Fn(&Claim) -> bool) {
        self.last = self.last.filter(|last| !unsound(&last.claim));
        self.older = self.older.filter(|claim| !unsound(claim));
        self.younger = self.younger.filter(|claim| !unsound(claim));
    }

    /// Drops a claim that nothing confirmed when a contradiction ended without this source.
    pub(in crate::clock) const fn drop_unconfirmed(&mut self) {
        if !self.agrees() {
            self.last = None;
        }
    }

    /// Changes the claims' scale, for a leap second.
    pub(in crate::clock) fn revise(&mut self, revise: impl Fn(Claim) -> Claim) {
        self.revise_last(&revise);
        self.older = self.older.map(&revise);
        self.younger = self.younger.map(&revise);
    }

    /// Changes the bounds on the rate that the last claim is carried and compared with.
    pub(in crate::clock) fn revise_last(&mut self, revise: impl Fn(Claim) -> Claim) {
        if let Some(last) = &mut self.last {
            last.claim = revise(last.claim);
        }
    }

    /// Raw time no longer connects: nothing that was said before counts, or is compared.
    pub(in crate::clock) const fn void(&mut self) {
        *self = Self {
            memory: SourceMemory::EMPTY,
            refusal: None,
            last: None,
            inherited: false,
            older: None,
            younger: None,
            pair_outside: self.pair_outside,
            agreed: false,
            first_look_over: true,
        };
    }
}
