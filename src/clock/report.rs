//! What a clock tells of itself: readings for logs, and the state for operators.

use core::time::Duration;

use super::latch::Line;
use super::reading::Answer;
use super::shared::Shared;
use super::state::{Answering, State, age};
use super::status::{ClockState, ReadPath, Reading, SourceStatus, Status};
use crate::machine::NoCounter;
use crate::source::SyncClaim;
use crate::time::{ErrorBound, Timestamp};

impl Shared {
    #[inline]
    pub(super) fn read(&self) -> Reading {
        self.read_plainly().unwrap_or_else(|| self.read_carefully())
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "as the hot path of an interval, which this is"
    )]
    fn read_plainly(&self) -> Option<Reading> {
        let (line, elapsed) = self.line_plainly()?;
        let interval = line.at(elapsed)?;
        Some(Reading {
            estimate: interval.midpoint(),
            interval: Ok(interval),
            state: line.state(elapsed)?,
        })
    }

    #[cold]
    fn read_carefully(&self) -> Reading {
        let (interval, state) = match self.refused_plainly() {
            Some(refusal) => (Err(refusal), ClockState::Unavailable),
            None => match self.consult() {
                Ok(answer) => (answer.interval, answer.founded_on()),
                Err(error) => (Err(error), ClockState::Unavailable),
            },
        };
        let estimate = match &interval {
            Ok(interval) => interval.midpoint(),
            Err(_) => Timestamp::from_unix_nanos(self.machine.real()),
        };
        Reading {
            estimate,
            interval,
            state,
        }
    }

    pub(super) fn sources(&self) -> Vec<SourceStatus> {
        let Ok((Answer { raw, .. }, state)) = self.consult_whole() else {
            return Vec::new();
        };
        let names = self.policy.sources.iter().map(|source| source.name());
        names
            .zip(&state.sources)
            .enumerate()
            .map(|(index, (name, record))| {
                let last = record.word.claim();
                SourceStatus {
                    name,
                    serves: matches!(state.answering, Answering::From { source, .. } if source == index),
                    interval: last.and_then(|last| last.claim.carry(raw).ok()),
                    bound: last.map(|last| bound_at(&last, raw)),
                    age: last.map(|last| age(&last.claim, raw)),
                    refusal: record.refusal,
                }
            })
            .collect()
    }

    pub(super) fn status(&self) -> Status {
        let counters = self.counters.totals();
        let (answer, state) = match self.consult_whole() {
            Ok(both) => both,
            Err(error) => {
                return Status {
                    state: ClockState::Unavailable,
                    interval: Err(error),
                    bound: None,
                    source: None,
                    age: None,
                    rate: None,
                    refuses_in: None,
                    refusal: None,
                    learned: None,
                    vmclock: self.machine.vmclock(),
                    path: ReadPath::Vdso {
                        because: self.policy.no_counter().unwrap_or(NoCounter::Uncompared),
                    },
                    counter_instructions: None,
                    counters,
                };
            }
        };
        let Answer { raw, interval, .. } = &answer;
        let in_force = state.in_force();
        let path = self.path(&state);
        Status {
            state: answer.founded_on(),
            interval: *interval,
            bound: in_force.map(|sync| ErrorBound {
                counter_ns: answer.counter_term(&state),
                ..bound_at(&sync, *raw)
            }),
            source: match state.answering {
                Answering::From { source, .. } => Some(self.policy.source_name(source)),
                Answering::Assumed { .. } | Answering::Nothing { .. } => None,
            },
            age: in_force.map(|sync| age(&sync.claim, *raw)),
            rate: in_force.map(|sync| sync.claim.rate()),
            refuses_in: in_force.map(|sync| {
                let claim = sync.claim.with_leap(None);
                let ageless = state.answering.is_assumed();
                let end = claim
                    .raw()
                    .saturating_add(self.policy.plain_span(&claim, ageless));
                Duration::from_nanos(end.saturating_sub(*raw).max(0).unsigned_abs())
            }),
            refusal: state.refusal(&self.policy),
            learned: state.learned(&self.policy),
            vmclock: self.machine.vmclock(),
            path,
            counter_instructions: match path {
                ReadPath::Vdso { .. } => None,
                _ => self.machine.as_dyn().counter_instructions(),
            },
            counters,
        }
    }

    fn path(&self, state: &State) -> ReadPath {
        let because = match (state.counted(), state.counting.refusal()) {
            (Some(_), _) if self.count_watch.with_coarse() => {
                return ReadPath::CounterAndCoarse;
            }
            (Some(_), _) => return ReadPath::Counter,
            (None, refusal) => refusal.unwrap_or(NoCounter::Uncompared),
        };
        ReadPath::Vdso { because }
    }
}

impl Answer {
    fn counter_term(&self, state: &State) -> u64 {
        let counted = state.counted().zip(self.counts);
        counted.map_or(0, |((sync, anchor), counts)| {
            Line::counter_term(&sync.claim, &anchor, counts)
        })
    }

    fn founded_on(&self) -> ClockState {
        match self.interval {
            Ok(_) => self.basis.state(self.raw),
            Err(_) => ClockState::Unavailable,
        }
    }
}

fn bound_at(sync: &SyncClaim, raw: i64) -> ErrorBound {
    // Half of what the ends move apart, each of them rounded outward.
    let rate = sync.claim.rate();
    let elapsed = i128::from(raw) - i128::from(sync.claim.raw());
    let down = (elapsed * i128::from(rate.lo_ppb())).div_euclid(1_000_000_000);
    let up = -(-elapsed * i128::from(rate.hi_ppb())).div_euclid(1_000_000_000);
    let drift = (up - down).unsigned_abs().div_ceil(2);
    ErrorBound {
        drift_ns: u64::try_from(drift).unwrap_or(u64::MAX),
        ..sync.bound
    }
}
