//! What a clock knows, and how looks and disturbances change it: a pure state machine.
//!
//! Nothing here reads a clock or waits. A looker computes the next state from the current one and
//! publishes it through the latch; if it loses the race, what it computed is dropped.

use core::time::Duration;

use crate::clock::latch::Line;
use crate::clock::policy::Policy;
use crate::clock::status::ClockState;
use crate::machine::{Disruption, Disturbance, Identity, OffsetRange, Sandwich};
use crate::source::{Refusal, SyncClaim};
use crate::time::{Claim, RateHistory, Timestamp};
use crate::words::{WordReader, WordWriter, Words, words_struct};

mod answering;
mod counting;
mod digest;
mod floor;
mod guard;
mod learning;
mod look;
mod open_step;
mod record;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod samples;
mod step;

use open_step::OpenStep;
use record::{SourceRecord, Word};

pub(crate) use counting::Counting;

pub(crate) use answering::{Answering, Assumption, Contradiction, Party, Why};

pub(crate) use digest::{BASIS_WORDS, Basis, DIGEST_WORDS, Digest};

pub(crate) use guard::SUSPEND_RESOLUTION;

/// How many sources a clock can hold.
pub(crate) const MAX_SOURCES: usize = 4;

/// The words that a slot of the latch keeps beside the line: the digest and the state.
pub(crate) const SLOT_WORDS: usize = DIGEST_WORDS + State::WORDS;

/// Everything that a clock knows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) answering: Answering,
    pub(crate) assumption: Assumption,
    /// What voided the claims, until a source writes again. Told of where nothing serves and no
    /// source says anything more to the point.
    pub(crate) voided: Option<Disturbance>,
    /// A leap second that only a look can explain: whatever is in force, there is no interval meanwhile.
    pub(crate) unexplained: Option<Disturbance>,
    /// A step out of the interval that is neither explained nor refuted yet.
    pub(crate) step: Option<OpenStep>,
    /// Changes when everything that was promised before is forgotten (T3).
    pub(crate) epoch: u32,
    /// The last boundary at which real time was seen to leap.
    pub(crate) leapt: Option<Timestamp>,
    pub(crate) real_offset: OffsetRange,
    pub(crate) boot_offset: OffsetRange,
    pub(crate) identity: Identity,
    /// What the hypervisor said when the claims were made.
    pub(crate) disruption: Disruption,
    /// Raw and real time of the last look or guard that was published.
    pub(crate) seen_raw: i64,
    pub(crate) seen_real: i64,
    /// Which clock source the kernel counted raw time by when the rate began to be learned.
    pub(crate) clocksource: u64,
    /// Whether that counter is read itself.
    pub(crate) counting: Counting,
    /// What each source's writes have taught about the oscillator; those of one daemon share the first
    /// one's place ([`Policy::rate_of`]).
    pub(crate) rates: [RateHistory; MAX_SOURCES],
    pub(crate) sources: [SourceRecord; MAX_SOURCES],
}

words_struct!(State {
    answering,
    assumption,
    voided,
    unexplained,
    step,
    epoch,
    leapt,
    real_offset,
    boot_offset,
    identity,
    disruption,
    seen_raw,
    seen_real,
    clocksource,
    counting,
    rates,
    sources,
});

impl State {
    /// Fills the words of a slot: the digest, so that a reading need not unpack the rest, and the whole.
    pub(crate) fn store(&self, words: &mut [i64; SLOT_WORDS]) {
        words.fill(0);
        let mut to = WordWriter::new(words);
        to.put(&Digest::of(self));
        to.put(self);
    }

    /// Takes the place of this state by the one in a slot's words.
    ///
    /// `None` where the words are no state, which those of a slot always are.
    pub(crate) fn load(&mut self, words: &[i64; SLOT_WORDS]) -> Option<()> {
        let (_, whole) = words.split_at_checked(DIGEST_WORDS)?;
        WordReader::new(whole).take_into(self)
    }

    /// Creates the state of what is known before the first look.
    pub(crate) fn new(
        assumption: Assumption,
        clocks: &Sandwich,
        identity: Identity,
        disruption: Disruption,
    ) -> Self {
        Self {
            answering: Answering::nothing(Why::Unheard),
            assumption,
            voided: None,
            unexplained: None,
            step: None,
            epoch: 0,
            leapt: None,
            real_offset: clocks.real_offset(),
            boot_offset: clocks.boot_offset(),
            identity,
            disruption,
            seen_raw: clocks.raw,
            seen_real: clocks.real,
            clocksource: 0,
            counting: Counting::UNCOMPARED,
            rates: [RateHistory::EMPTY; MAX_SOURCES],
            sources: [SourceRecord::default(); MAX_SOURCES],
        }
    }

    /// Returns the claim in force and its terms.
    pub(crate) fn in_force(&self) -> Option<SyncClaim> {
        match self.answering {
            Answering::Nothing { .. } => None,
            Answering::From { source, .. } => self.sources.get(source)?.word.claim(),
            Answering::Assumed { sync, .. } => Some(sync),
        }
    }

    /// Returns the claim in force where it stands, for a look, which has no stack to spare for a copy.
    pub(crate) fn claim_to_tell(&self) -> Option<&Claim> {
        let sync = match &self.answering {
            Answering::Nothing { .. } => None,
            Answering::From { source, .. } => self.sources.get(*source)?.word.claim_ref(),
            Answering::Assumed { sync, .. } => Some(sync),
        };
        sync.map(|sync| &sync.claim)
    }

    /// Returns why nothing serves, by the sources and by what happened to the clocks.
    ///
    /// A contradiction comes before all of this, and is told where it is found.
    pub(super) fn why_nothing(&self, policy: &Policy) -> Why {
        match self.assumption {
            Assumption::Broken(cause) if self.none_reports_a_bound(policy) => {
                return Why::AssumptionBroken(cause);
            }
            Assumption::Broken(_) | Assumption::NotGiven | Assumption::Holds => {}
        }
        if let Some(open) = &self.step {
            return Why::Disturbed(open.cause());
        }
        match (self.voided, self.refusal(policy)) {
            // A source that only awaits a write cannot say what made it wait.
            (Some(cause), None | Some(Refusal::AwaitingWrite { .. })) => Why::Disturbed(cause),
            (_, Some(refusal)) => Why::Refused(refusal),
            (None, None) => Why::Unheard,
        }
    }

    /// Returns the first refusal among the sources; one that was never there has a say only where no
    /// other vouches.
    pub(crate) fn refusal(&self, policy: &Policy) -> Option<Refusal> {
        let mut refusals = self.in_use(policy).filter_map(|record| record.refusal);
        let present = refusals.clone().find(|refusal| !refusal.is_absence());
        let vouching = || self.in_use(policy).any(|record| record.refusal.is_none());
        present.or_else(|| refusals.next().filter(|_| !vouching()))
    }

    pub(super) fn in_use<'a>(
        &'a self,
        policy: &Policy,
    ) -> impl Iterator<Item = &'a SourceRecord> + Clone {
        self.sources.iter().take(policy.source_count())
    }

    /// Returns true if every source refuses for want of a bound, so that the caller may vouch.
    pub(super) fn none_reports_a_bound(&self, policy: &Policy) -> bool {
        self.in_use(policy)
            .all(|record| record.refusal.is_some_and(|r| reports_no_bound(&r)))
    }

    /// Draws the line through raw time.
    fn line(&self, policy: &Policy) -> Line {
        match self.in_force() {
            Some(SyncClaim { claim, .. }) if self.unexplained.is_none() => {
                let span = policy.plain_span(&claim, self.answering.is_assumed());
                Line::new(&claim, self.answering.floor(), span, self.founded_on())
            }
            _ => Line::NOTHING,
        }
    }

    /// Returns how well founded the claim in force is, while its source is not silent.
    pub(crate) fn founded_on(&self) -> ClockState {
        let record = match self.answering {
            Answering::Nothing { .. } => return ClockState::Unavailable,
            Answering::Assumed { .. } => return ClockState::Assumed,
            Answering::From { source, .. } => self.sources.get(source),
        };
        match record {
            None => ClockState::Unavailable,
            Some(record) if record.refusal.is_some() => ClockState::Holdover,
            Some(record) => match record.word {
                Word::Inherited(_) => ClockState::Inherited,
                Word::Unheard | Word::Own(_) | Word::Voided => ClockState::Synchronized,
            },
        }
    }
}

/// Returns how long ago a claim was made.
pub(crate) fn age(claim: &Claim, raw: i64) -> Duration {
    Duration::from_nanos(raw.saturating_sub(claim.raw()).max(0).unsigned_abs())
}

/// Counts a span in nanoseconds; beyond 584 years it stays at the most there is.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

const fn reports_no_bound(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::AwaitingWrite { .. })
}

#[cfg(test)]
mod tests {
    use super::samples::{policy, served, sync, unheard};
    use super::*;
    use crate::source::{Awaiting, ChronyRefusal};

    const UNSYNC: Refusal = Refusal::UnsyncFlag { maxerror_us: 1 };
    const ABSENT: Refusal = Refusal::Chrony(ChronyRefusal::NoAnswer);
    const AWAITING: Refusal = Refusal::AwaitingWrite {
        because: Awaiting::Disturbance,
    };

    fn refused(refusals: [Option<Refusal>; 2]) -> State {
        let mut state = unheard();
        for (record, refusal) in state.sources.iter_mut().zip(refusals) {
            record.refusal = refusal;
        }
        state
    }

    #[test]
    fn a_source_that_was_never_there_has_a_say_only_where_no_other_vouches() {
        for (refusals, told) in [
            ([None, None], None),
            ([Some(ABSENT), None], None),
            ([Some(ABSENT), Some(UNSYNC)], Some(UNSYNC)),
            ([Some(ABSENT), Some(ABSENT)], Some(ABSENT)),
            ([Some(AWAITING), Some(UNSYNC)], Some(AWAITING)),
            ([None, Some(UNSYNC)], Some(UNSYNC)),
        ] {
            assert_eq!(refused(refusals).refusal(&policy()), told, "{refusals:?}");
        }
    }

    #[test]
    fn a_broken_assumption_is_why_nothing_serves_where_no_source_reports_a_bound() {
        let stepped = Disturbance::Stepped;
        for (refusals, why) in [
            ([Some(UNSYNC), Some(UNSYNC)], Why::AssumptionBroken(stepped)),
            ([Some(AWAITING), Some(UNSYNC)], Why::Refused(AWAITING)),
            ([Some(UNSYNC), None], Why::Refused(UNSYNC)),
        ] {
            let mut state = refused(refusals);
            state.assumption = Assumption::Broken(stepped);
            assert_eq!(state.why_nothing(&policy()), why, "{refusals:?}");
        }
    }

    #[test]
    fn no_line_is_drawn_while_a_second_is_unexplained() {
        let mut state = served(0, sync(0, -5, 5));
        assert_ne!(state.line(&policy()), Line::NOTHING);
        state.unexplained = Some(Disturbance::UnexplainedSecond);
        assert_eq!(state.line(&policy()), Line::NOTHING);
    }
}
