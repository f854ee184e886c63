//! What a clock knows, and how looks and disturbances change it: a pure state machine.
//!
//! Nothing here reads a clock or waits. A looker computes the next state from the current one and
//! publishes it through the latch; if it loses the race, what it computed is dropped.

use core::time::Duration;

use crate::clock::error::ClockError;
use crate::clock::latch::Line;
use crate::clock::policy::Policy;
use crate::clock::status::ClockState;
use crate::machine::{Disruption, Disturbance, Identity, OffsetRange, Sandwich};
use crate::source::{Refusal, SyncClaim};
use crate::time::{Claim, Interval, RateHistory, Timestamp};
use crate::words::{WordReader, WordWriter, Words, words_struct};

mod answering;
mod floor;
mod guard;
mod learning;
mod look;
mod record;
#[cfg(test)]
mod round_trip;

use record::{SourceRecord, Word};

pub(crate) use answering::{Answering, Assumption, Contradiction, Why};

pub(crate) use guard::SUSPEND_RESOLUTION;

/// How many sources a clock can hold.
pub(crate) const MAX_SOURCES: usize = 4;

/// The words that a state fills.
pub(crate) const STATE_WORDS: usize = State::WORDS;

/// Everything that a clock knows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) answering: Answering,
    pub(crate) assumption: Assumption,
    /// What voided the claims, until a source writes again. Told of where nothing serves and no
    /// source says anything more to the point.
    pub(crate) voided: Option<Disturbance>,
    /// What happened to real time and is neither explained nor refuted yet: whatever is in force,
    /// there is no interval meanwhile.
    pub(crate) unexplained: Option<Disturbance>,
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
    /// What the sources' writes have taught about the oscillator, whichever source they are of.
    pub(crate) rate: RateHistory,
    pub(crate) sources: [SourceRecord; MAX_SOURCES],
}

words_struct!(State {
    answering,
    assumption,
    voided,
    unexplained,
    leapt,
    real_offset,
    boot_offset,
    identity,
    disruption,
    seen_raw,
    seen_real,
    clocksource,
    rate,
    sources,
});

impl State {
    pub(crate) fn to_words(self) -> [i64; STATE_WORDS] {
        let mut words = [0; STATE_WORDS];
        WordWriter::new(&mut words).put(&self);
        words
    }

    /// `None` where the words are no state, which those of a slot always are.
    pub(crate) fn from_words(words: &[i64; STATE_WORDS]) -> Option<Self> {
        WordReader::new(words).take()
    }

    /// What is known before the first look.
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
            leapt: None,
            real_offset: clocks.real_offset(),
            boot_offset: clocks.boot_offset(),
            identity,
            disruption,
            seen_raw: clocks.raw,
            seen_real: clocks.real,
            clocksource: 0,
            rate: RateHistory::EMPTY,
            sources: [SourceRecord::default(); MAX_SOURCES],
        }
    }

    /// The claim in force and its terms.
    pub(crate) fn in_force(&self) -> Option<SyncClaim> {
        match self.answering {
            Answering::Nothing { .. } => None,
            Answering::From { source, .. } => self.sources.get(source)?.word.claim(),
            Answering::Assumed { sync, .. } => Some(sync),
        }
    }

    /// The interval at raw instant `raw`, its earliest end held at `held_at` if that is earlier.
    pub(crate) fn answer(
        &self,
        policy: &Policy,
        raw: i64,
        held_at: Option<i64>,
    ) -> Result<Interval, ClockError> {
        if let Answering::Nothing { why, .. } = self.answering {
            return Err(why.error(policy));
        }
        let Some(SyncClaim { claim, .. }) = self.in_force() else {
            // A source serves only while it has a claim.
            return Err(Why::Unheard.error(policy));
        };
        if let Some(cause) = self.unexplained {
            return Err(ClockError::Disturbed { cause });
        }
        let age = age(&claim, raw);
        if age > policy.max_age && !self.answering.is_assumed() {
            let max_age = policy.max_age;
            return Err(ClockError::TooOld { age, max_age });
        }
        let mut interval = claim.carry(raw)?;
        // A deleted second between the ends makes the interval look wider by a second that nobody
        // lived through.
        let epsilon = claim.with_leap(None).carry(raw)?.epsilon();
        if epsilon > policy.max_error {
            let max_error = policy.max_error;
            return Err(ClockError::TooWide { epsilon, max_error });
        }
        if let Some(held_at) = held_at.filter(|held_at| *held_at < raw) {
            let earliest = claim.earliest_at(held_at)?;
            interval = Interval::new(earliest, interval.latest()).unwrap_or(interval);
        }
        Ok(match self.answering.floor() {
            Some(floor) if floor > interval.earliest() => {
                Interval::new(floor, interval.latest()).unwrap_or(interval)
            }
            _ => interval,
        })
    }

    /// Why nothing serves, as far as the sources and what happened to the clocks say.
    ///
    /// A contradiction comes before all of this, and is told where it is found.
    pub(super) fn why_nothing(&self, policy: &Policy) -> Why {
        match self.assumption {
            Assumption::Broken(cause) if self.none_reports_a_bound(policy) => {
                return Why::AssumptionBroken(cause);
            }
            Assumption::Broken(_) | Assumption::NotGiven | Assumption::Holds => {}
        }
        match (self.voided, self.refusal(policy)) {
            // A source that only awaits a write cannot say what made it wait.
            (Some(cause), None | Some(Refusal::AwaitingWrite { .. })) => Why::Disturbed(cause),
            (_, Some(refusal)) => Why::Refused(refusal),
            (None, None) => Why::Unheard,
        }
    }

    /// The first refusal among the sources; one that was never there has a say only where no other
    /// vouches.
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

    /// The line for the hot path.
    pub(crate) fn line(&self, policy: &Policy) -> Line {
        match self.in_force() {
            Some(SyncClaim { claim, .. }) if self.unexplained.is_none() => {
                let span = policy.plain_span(&claim, self.answering.is_assumed());
                Line::new(&claim, self.answering.floor(), span, self.founded_on())
            }
            _ => Line::NOTHING,
        }
    }

    /// How well founded the claim in force is, while it is answered from and its source not silent.
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

/// How long ago a claim was made.
pub(crate) fn age(claim: &Claim, raw: i64) -> Duration {
    Duration::from_nanos(raw.saturating_sub(claim.raw()).max(0).unsigned_abs())
}

/// A span in nanoseconds; beyond 584 years it stays at the most there is.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns true if no bound is reported, as opposed to one that is still awaited.
const fn reports_no_bound(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::AwaitingWrite { .. })
}
