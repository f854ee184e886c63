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
use crate::words::{WordReader, WordWriter, Words, words_enum, words_struct};

mod floor;
mod guard;
mod learning;
mod look;
mod record;
#[cfg(test)]
mod round_trip;

use record::SourceRecord;

pub(crate) use guard::SUSPEND_RESOLUTION;

/// How many sources a clock can hold.
pub(crate) const MAX_SOURCES: usize = 4;

/// The words that a state fills.
pub(crate) const STATE_WORDS: usize = State::WORDS;

/// What the clock answers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// Nothing: every call is an error.
    Nothing,
    /// The claim of the source with this index.
    Source(usize),
    /// What the caller vouched for.
    Assumed,
}

words_enum!(Serving { Nothing = 0, Source(index) = 1, Assumed = 2 });

/// Two claims that cannot both be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) source: usize,
    pub(crate) by: Duration,
}

words_struct!(Contradiction { source, by });

/// What a guard or a look changed, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) writes: u64,
    pub(crate) steps: u64,
    pub(crate) voids: u64,
    pub(crate) contradictions: u64,
    pub(crate) rate_resets: u64,
    pub(crate) refusals: u64,
}

/// Everything that a clock knows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) serving: Serving,
    /// The assumed claim, where that is what serves.
    pub(crate) assumed: Option<SyncClaim>,
    /// What the earliest end must not fall behind.
    pub(crate) floor: Option<Timestamp>,
    pub(crate) contradiction: Option<Contradiction>,
    /// Set by a void, cleared by a write.
    pub(crate) disturbed: Option<Disturbance>,
    /// What broke the caller's assumption, until the caller vouches again or a source does.
    pub(crate) broken: Option<Disturbance>,
    /// Real time jumped by a second at midnight, and only a look can tell whether it was a leap.
    pub(crate) unexplained_second: bool,
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
    serving,
    assumed,
    floor,
    contradiction,
    disturbed,
    broken,
    unexplained_second,
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
    pub(crate) fn new(clocks: &Sandwich, identity: Identity, disruption: Disruption) -> Self {
        Self {
            serving: Serving::Nothing,
            assumed: None,
            floor: None,
            contradiction: None,
            disturbed: None,
            broken: None,
            unexplained_second: false,
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
        match self.serving {
            Serving::Nothing => None,
            Serving::Source(index) => self.sources.get(index)?.last,
            Serving::Assumed => self.assumed,
        }
    }

    /// The interval at raw instant `raw`, its earliest end held at `held_at` if that is earlier.
    pub(crate) fn answer(
        &self,
        policy: &Policy,
        raw: i64,
        held_at: Option<i64>,
    ) -> Result<Interval, ClockError> {
        let Some(SyncClaim { claim, .. }) = self.in_force() else {
            return Err(self.error(policy));
        };
        if self.unexplained_second {
            let cause = Disturbance::UnexplainedSecond;
            return Err(ClockError::Disturbed { cause });
        }
        let age = age(&claim, raw);
        if age > policy.max_age && self.serving != Serving::Assumed {
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
        Ok(match self.floor {
            Some(floor) if floor > interval.earliest() => {
                Interval::new(floor, interval.latest()).unwrap_or(interval)
            }
            _ => interval,
        })
    }

    /// Why there is no interval, where there is none in force.
    fn error(&self, policy: &Policy) -> ClockError {
        if let Some(Contradiction { source, by }) = self.contradiction {
            let from = policy.source_name(source);
            return ClockError::Contradicted { from, by };
        }
        let refusal = self.refusal(policy);
        if let (Some(cause), true) = (self.broken, self.may_assume(policy)) {
            return ClockError::AssumptionBroken { cause };
        }
        match (self.disturbed, refusal) {
            (Some(cause), None | Some(Refusal::AwaitingWrite { .. })) => {
                ClockError::Disturbed { cause }
            }
            (_, Some(refusal)) => ClockError::Unvouched(refusal),
            (None, None) => ClockError::Disturbed {
                cause: Disturbance::Interrupted,
            },
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

    /// Whether the sources leave it to the caller to vouch: none reports a bound.
    pub(super) fn may_assume(&self, policy: &Policy) -> bool {
        policy.assume_error.is_some()
            && self
                .in_use(policy)
                .all(|record| record.refusal.is_some_and(|r| reports_no_bound(&r)))
    }

    /// The line for the hot path.
    pub(crate) fn line(&self, policy: &Policy) -> Line {
        match self.in_force() {
            Some(SyncClaim { claim, .. }) if !self.unexplained_second => {
                let ageless = self.serving == Serving::Assumed;
                let span = policy.plain_span(&claim, ageless);
                Line::new(&claim, self.floor, span, self.founded_on())
            }
            _ => Line::NOTHING,
        }
    }

    /// How well founded the claim in force is, while it is answered from and its source not silent.
    pub(crate) fn founded_on(&self) -> ClockState {
        let record = match self.serving {
            Serving::Nothing => return ClockState::Unavailable,
            Serving::Assumed => return ClockState::Assumed,
            Serving::Source(index) => self.sources.get(index),
        };
        match record {
            None => ClockState::Unavailable,
            Some(record) if record.refusal.is_some() => ClockState::Holdover,
            Some(record) if record.inherited => ClockState::Inherited,
            Some(_) => ClockState::Synchronized,
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

/// Whether a refusal says that nobody reports a bound, as opposed to one that is still awaited.
const fn reports_no_bound(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::AwaitingWrite { .. })
}
