//! What a clock knows, and how looks and disturbances change it: a pure state machine.
//!
//! Nothing here reads a clock or waits. A looker computes the next state from the current one and
//! publishes it through the latch; if it loses the race, what it computed is dropped.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::bound::ErrorBound;
use crate::claim::{Claim, LeapSecond, RateBounds};
use crate::clock::line::Line;
use crate::clock::policy::Policy;
use crate::clock::source_record::{SourceRecord, Verdict};
use crate::clock::status::ClockState;
use crate::clock::words::{WordReader, WordWriter};
use crate::error::{ClockError, Disturbance};
use crate::interval::Interval;
use crate::machine::{Identity, OffsetRange, Sandwich};
use crate::source::{Awaiting, Finding, LeapNotice, Look, Refusal, SyncClaim};
use crate::timestamp::Timestamp;

/// How many sources a clock can hold.
pub(crate) const MAX_SOURCES: usize = 4;

/// The words that a state fills.
pub(crate) const STATE_WORDS: usize = 32 + 60 * MAX_SOURCES;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How near a leap second no look counts.
const LEAP_VICINITY: Duration = Duration::from_secs(2);

/// A jump of boot against monotonic time below this is rounding, not a suspend (A3: a suspend takes
/// milliseconds at least).
const SUSPEND_RESOLUTION: i64 = 1_000;

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

/// Two claims that cannot both be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) source: usize,
    pub(crate) by: Duration,
}

/// What a guard or a look changed, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) writes: u64,
    pub(crate) steps: u64,
    pub(crate) voids: u64,
    pub(crate) contradictions: u64,
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
    pub(crate) real_offset: OffsetRange,
    pub(crate) boot_offset: OffsetRange,
    pub(crate) identity: Identity,
    /// Raw and real time of the last look or guard that was published.
    pub(crate) seen_raw: i64,
    pub(crate) seen_real: i64,
    pub(crate) sources: [SourceRecord; MAX_SOURCES],
}

impl State {
    /// What is known before the first look.
    pub(crate) fn new(clocks: &Sandwich, identity: Identity) -> Self {
        Self {
            serving: Serving::Nothing,
            assumed: None,
            floor: None,
            contradiction: None,
            disturbed: None,
            broken: None,
            unexplained_second: false,
            real_offset: clocks.real_offset(),
            boot_offset: clocks.boot_offset(),
            identity,
            seen_raw: clocks.raw,
            seen_real: clocks.real,
            sources: [SourceRecord::default(); MAX_SOURCES],
        }
    }

    // --- answering -----------------------------------------------------------------------------

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

    /// The first refusal among the sources.
    pub(crate) fn refusal(&self, policy: &Policy) -> Option<Refusal> {
        self.in_use(policy).find_map(|record| record.refusal)
    }

    fn in_use<'a>(&'a self, policy: &Policy) -> impl Iterator<Item = &'a SourceRecord> + Clone {
        self.sources.iter().take(policy.source_count())
    }

    /// Whether the sources leave it to the caller to vouch: none reports a bound.
    fn may_assume(&self, policy: &Policy) -> bool {
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

    // --- guards --------------------------------------------------------------------------------

    /// Compares the clocks with what they were; the next state if something happened to them.
    pub(crate) fn guard(
        &self,
        policy: &Policy,
        clocks: &Sandwich,
        identity: impl FnOnce() -> Identity,
    ) -> Option<(Self, Events)> {
        if clocks.raw < self.seen_raw {
            return Some(self.void(policy, Disturbance::RawBackwards, clocks, identity()));
        }
        let slept = self.boot_offset.moved_to(&clocks.boot_offset());
        if slept.saturating_abs() > SUSPEND_RESOLUTION {
            return Some(self.void(policy, Disturbance::Suspended, clocks, identity()));
        }
        let stepped = self.real_offset.moved_to(&clocks.real_offset());
        if stepped == 0 {
            return None;
        }
        let identity = identity();
        if identity != self.identity {
            return Some(self.void(policy, Disturbance::Moved, clocks, identity));
        }
        Some(self.stepped(policy, stepped, clocks))
    }

    fn rebased(&self, clocks: &Sandwich, identity: Identity) -> Self {
        Self {
            real_offset: clocks.real_offset(),
            boot_offset: clocks.boot_offset(),
            identity,
            seen_raw: clocks.raw,
            seen_real: clocks.real,
            ..*self
        }
    }

    fn stop_serving(&mut self) {
        if self.serving == Serving::Assumed {
            self.floor = None;
        }
        self.serving = Serving::Nothing;
        self.assumed = None;
    }

    /// Raw time does not connect to what was known: every claim is void.
    fn void(
        &self,
        policy: &Policy,
        cause: Disturbance,
        clocks: &Sandwich,
        identity: Identity,
    ) -> (Self, Events) {
        let mut next = self.rebased(clocks, identity);
        next.stop_serving();
        next.disturbed = Some(cause);
        next.unexplained_second = false;
        for record in next.sources.iter_mut().take(policy.source_count()) {
            record.void();
        }
        if policy.assume_error.is_some() {
            next.broken = Some(cause);
        }
        let events = Events {
            voids: 1,
            ..Events::default()
        };
        (next, events)
    }

    /// Real time was stepped, or a leap second took place; no claim was about real time.
    fn stepped(&self, policy: &Policy, by: i64, clocks: &Sandwich) -> (Self, Events) {
        let mut next = self.rebased(clocks, self.identity);
        let leap = self.in_force().and_then(|sync| sync.claim.leap());
        if leap.is_some_and(|leap| is_that_leap(by, clocks.real, &leap)) {
            return (next, Events::default());
        }
        let around_midnight = |real: i64| real.div_euclid(DAY);
        if (by.saturating_abs() - SECOND).abs() < SECOND / 2
            && (around_midnight(self.seen_real.saturating_sub(2 * SECOND))
                != around_midnight(clocks.real.saturating_add(2 * SECOND)))
        {
            next.unexplained_second = true;
        }
        if self.serving == Serving::Assumed {
            next.stop_serving();
        }
        if policy.assume_error.is_some() {
            // Also while a source's claim still serves: it is real time that the caller vouched for.
            next.broken = Some(Disturbance::Stepped);
        }
        let events = Events {
            steps: 1,
            ..Events::default()
        };
        (next, events)
    }

    // --- looks ---------------------------------------------------------------------------------

    /// Whether a leap second is so near that no look counts.
    pub(crate) fn near_leap(&self, raw: i64) -> bool {
        let Some(SyncClaim { claim, .. }) = self.in_force() else {
            return false;
        };
        let Some(leap) = claim.leap() else {
            return false;
        };
        claim
            .carry(raw)
            .ok()
            .and_then(|interval| {
                interval
                    .gap(&Interval::point(leap.boundary))
                    .or(Some(Duration::ZERO))
            })
            .is_some_and(|gap| gap <= LEAP_VICINITY)
    }

    /// The state after every source was looked at, `clocks` being read after the last one.
    pub(crate) fn looked(
        &self,
        policy: &Policy,
        looks: &[Look],
        clocks: &Sandwich,
    ) -> (Self, Events) {
        let mut next = *self;
        let mut events = Events::default();
        next.unexplained_second = false;
        next.seen_raw = clocks.raw;
        next.seen_real = clocks.real;
        next.real_offset = self.real_offset.refined_by(&clocks.real_offset());
        next.boot_offset = self.boot_offset.refined_by(&clocks.boot_offset());
        next.note_leap(looks);
        let mut evidence = None;
        for (index, (record, look)) in next.sources.iter_mut().zip(looks).enumerate() {
            let verdict = record.hear(look);
            events.refusals += u64::from(record.refusal.is_some());
            events.writes += u64::from(matches!(look.finding, Finding::Write(_)));
            if let Verdict::Contradicts(by) = verdict {
                evidence = evidence.max(Some((by, index)));
            }
        }
        if looks
            .iter()
            .any(|look| matches!(look.finding, Finding::Write(_)))
        {
            next.disturbed = None;
            next.broken = None;
        }
        evidence = evidence.max(next.disagreement(policy, clocks.raw));
        if let Some((by, source)) = evidence {
            events.contradictions += 1;
            next.contradict(source, by);
        } else if next.contradiction.is_some() && next.all_agree(policy) {
            next.contradiction = None;
            for record in &mut next.sources {
                record.drop_unconfirmed();
            }
        }
        next.choose(policy, clocks);
        (next, events)
    }

    fn contradict(&mut self, source: usize, by: Duration) {
        self.contradiction = Some(Contradiction { source, by });
        self.floor = None;
        // Each source has to say the same thing twice from now on.
        for record in &mut self.sources {
            record.start_over();
        }
    }

    /// Whether every source that has a say said the same thing twice, and one of them did.
    fn all_agree(&self, policy: &Policy) -> bool {
        let mut with_a_say = self.in_use(policy).filter(|record| record.has_a_say());
        with_a_say.clone().next().is_some() && with_a_say.all(SourceRecord::agrees)
    }

    /// How far the claims of different sources miss each other at `raw`, the worst pair.
    fn disagreement(&self, policy: &Policy, raw: i64) -> Option<(Duration, usize)> {
        // Once there is a contradiction, a source that no longer vouches cannot settle it, and the
        // others must not wait for it for ever.
        let counts = |record: &SourceRecord| self.contradiction.is_none() || record.has_a_say();
        let carried = |record: &SourceRecord| {
            let last = record.last.filter(|_| counts(record))?;
            last.claim.carry(raw).ok()
        };
        let mut worst = None;
        for (i, one) in self.in_use(policy).enumerate() {
            for other in self.in_use(policy).skip(i + 1) {
                let pair = carried(one).zip(carried(other));
                if let Some(by) = pair.and_then(|(a, b)| a.gap(&b)) {
                    worst = worst.max(Some((by, i)));
                }
            }
        }
        worst
    }

    /// Puts a leap second on the scale of the claims in force, or takes it off again.
    fn note_leap(&mut self, looks: &[Look]) {
        let due = looks.iter().find_map(|look| match look.leap {
            LeapNotice::Pending(leap) | LeapNotice::Passed(leap) => Some(leap),
            LeapNotice::None => None,
        });
        let all_deny = looks.iter().all(|look| {
            look.leap == LeapNotice::None
                && !matches!(
                    look.finding,
                    Finding::Unsettled
                        | Finding::Refused(
                            Refusal::Status(_)
                                | Refusal::AwaitingWrite {
                                    because: Awaiting::LeapSecond
                                }
                        )
                )
        });
        let (real, raw) = (Timestamp::from_unix_nanos(self.seen_real), self.seen_raw);
        // By the kernel's clock and by the claim itself: a step back from after a leap second takes
        // the one to before it, and the leap second back with it no more than time.
        let before = |claim: &Claim, leap: &LeapSecond| {
            let latest = claim.latest_at(raw);
            real < leap.boundary && latest.is_ok_and(|latest| latest < leap.boundary)
        };
        let revise = |claim: Claim| match (claim.leap(), due) {
            // A claim made after the leap second is on the scale after it.
            (None, Some(leap)) if claim.interval().latest() < leap.boundary => claim.with_leap(due),
            // Called off; one that is over stays, it was real.
            (Some(leap), None) if all_deny && before(&claim, &leap) => claim.with_leap(None),
            _ => claim,
        };
        for record in &mut self.sources {
            record.revise(revise);
        }
        if let Some(assumed) = &mut self.assumed {
            assumed.claim = revise(assumed.claim);
        }
    }

    /// Chooses what serves: the narrowest vouched claim, else what the caller vouched for.
    fn choose(&mut self, policy: &Policy, clocks: &Sandwich) {
        let before = self.serving;
        let usable = |record: &SourceRecord| {
            let claim = record.last?.claim;
            if age(&claim, clocks.raw) > policy.max_age {
                return None;
            }
            let carried = claim.with_leap(None).carry(clocks.raw);
            let epsilon = carried.ok()?.epsilon();
            (epsilon <= policy.max_error).then_some(epsilon)
        };
        let narrowest = self
            .in_use(policy)
            .enumerate()
            .filter_map(|(index, record)| Some((usable(record)?, index)))
            .min();
        self.serving = match narrowest {
            _ if self.contradiction.is_some() => Serving::Nothing,
            Some((_, index)) => Serving::Source(index),
            None if self.may_assume(policy) => match self.broken {
                None => Serving::Assumed,
                Some(_) => Serving::Nothing,
            },
            // A claim too old or too wide stays in force, so that this can be told; it answers no
            // more.
            None if self.in_force().is_some() && before != Serving::Assumed => before,
            None => self
                .in_use(policy)
                .position(|record| record.last.is_some())
                .map_or(Serving::Nothing, Serving::Source),
        };
        self.assumed = (self.serving == Serving::Assumed)
            .then(|| self.assume(policy, clocks))
            .flatten();
        let was_assumed = before == Serving::Assumed;
        if was_assumed != (self.serving == Serving::Assumed) && self.serving != Serving::Nothing {
            // Vouched and assumed claims are never mixed.
            self.floor = None;
        }
    }

    /// The claim that the caller vouches for: real time is off by `assume_error` at most.
    fn assume(&self, policy: &Policy, clocks: &Sandwich) -> Option<SyncClaim> {
        let width = clocks.width().unsigned_abs();
        let bound = ErrorBound {
            assumed_ns: nanos(policy.assume_error?),
            bracket_ns: width.saturating_add(width.div_ceil(7)),
            ..ErrorBound::default()
        };
        let real = Timestamp::from_unix_nanos(clocks.real);
        let interval = Interval::around(real, bound.total()).ok()?;
        let rate = RateBounds::symmetric(policy.max_drift_ppb);
        let leap: Option<LeapSecond> = self.assumed.and_then(|before| before.claim.leap());
        let claim = Claim::new(clocks.raw, interval, rate)
            .with_leap(leap.filter(|leap| interval.latest() < leap.boundary));
        Some(SyncClaim { claim, bound })
    }

    /// Whether a floor from `before` holds for this: within vouched or within assumed claims, and
    /// not under a contradiction.
    pub(crate) fn rests_on(&self, before: &Self) -> bool {
        let assumed = |state: &Self| state.serving == Serving::Assumed;
        self.contradiction.is_none()
            && match self.serving {
                // What was only assumed may have been wrong, and is no floor for anybody else.
                Serving::Nothing => !assumed(before),
                _ => assumed(self) == assumed(before),
            }
    }

    /// Puts a floor under the claim that is about to replace another, at raw instant `raw`.
    pub(crate) fn rest_on(&mut self, floor: Timestamp, raw: i64) -> bool {
        let Some(SyncClaim { claim, .. }) = self.in_force() else {
            self.floor = Some(floor);
            return true;
        };
        let Ok(latest) = claim.latest_at(raw) else {
            return true;
        };
        if floor > latest {
            let source = match self.serving {
                Serving::Source(index) => index,
                Serving::Nothing | Serving::Assumed => 0,
            };
            self.contradict(source, floor.abs_diff(latest));
            self.serving = Serving::Nothing;
            return false;
        }
        self.floor = Some(floor);
        true
    }

    // --- storing -------------------------------------------------------------------------------

    pub(crate) fn to_words(self) -> [i64; STATE_WORDS] {
        let mut words = [0; STATE_WORDS];
        let mut to = WordWriter::new(&mut words);
        self.write(&mut to);
        words
    }

    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(match self.serving {
            Serving::Nothing => -1,
            Serving::Assumed => -2,
            Serving::Source(index) => i64::try_from(index).unwrap_or(-1),
        });
        to.put(&self.assumed);
        to.put(&self.floor);
        to.put(&self.contradiction.is_some());
        let contradiction = self.contradiction.unwrap_or(Contradiction {
            source: 0,
            by: Duration::ZERO,
        });
        to.word(i64::try_from(contradiction.source).unwrap_or(0));
        to.put(&contradiction.by);
        to.word(Disturbance::to_word(self.disturbed));
        to.word(Disturbance::to_word(self.broken));
        to.put(&self.unexplained_second);
        to.put(&self.real_offset);
        to.put(&self.boot_offset);
        to.put(&self.identity);
        to.word(self.seen_raw);
        to.word(self.seen_real);
        for record in &self.sources {
            to.put(record);
        }
    }

    pub(crate) fn from_words(words: &[i64; STATE_WORDS]) -> Self {
        let mut from = WordReader::new(words);
        let serving = match from.word() {
            -1 => Serving::Nothing,
            -2 => Serving::Assumed,
            index => usize::try_from(index).map_or(Serving::Nothing, Serving::Source),
        };
        Self {
            serving,
            assumed: from.take(),
            floor: from.take(),
            contradiction: {
                let present: bool = from.take();
                let source = usize::try_from(from.word()).unwrap_or(0);
                let by = from.take();
                present.then_some(Contradiction { source, by })
            },
            disturbed: Disturbance::from_word(from.word()),
            broken: Disturbance::from_word(from.word()),
            unexplained_second: from.take(),
            real_offset: from.take(),
            boot_offset: from.take(),
            identity: from.take(),
            seen_raw: from.word(),
            seen_real: from.word(),
            sources: core::array::from_fn(|_| from.take()),
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

/// Whether a jump of real time is the one that this leap second makes.
fn is_that_leap(jump: i64, real: i64, leap: &LeapSecond) -> bool {
    let expected = match leap.kind {
        crate::claim::LeapKind::Inserted => -SECOND,
        crate::claim::LeapKind::Deleted => SECOND,
    };
    // The kernel leaps when its own real time gets there, which may be off by a second or so.
    jump.saturating_sub(expected).saturating_abs() < SECOND / 2
        && real.saturating_add(2 * SECOND) >= leap.boundary.unix_nanos()
}

/// Whether a refusal says that nobody reports a bound, as opposed to one that is still awaited.
const fn reports_no_bound(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::AwaitingWrite { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntp_status::NtpStatusError;
    use crate::source::{Awaiting, SourceMemory, Writer};

    fn sync(raw: i64) -> SyncClaim {
        let interval = Interval::new(
            Timestamp::from_unix_nanos(raw - 7),
            Timestamp::from_unix_nanos(raw + 11),
        );
        let leap = LeapSecond {
            boundary: Timestamp::from_unix_nanos(raw + 99),
            kind: crate::claim::LeapKind::Deleted,
        };
        let rate = RateBounds::new(-3, 5).unwrap();
        SyncClaim {
            claim: Claim::new(raw, interval.unwrap(), rate).with_leap(Some(leap)),
            bound: ErrorBound {
                reported_ns: 1,
                rounding_ns: 2,
                margin_ns: 3,
                unseen_ns: 4,
                bracket_ns: 5,
                drift_ns: 6,
                assumed_ns: 7,
            },
        }
    }

    /// A state in which no two fields of a kind hold the same value.
    fn motley() -> State {
        let clocks = Sandwich {
            mono_before: 5,
            boot: 17,
            real: 1_000,
            raw: 7,
            mono_after: 9,
        };
        let mut state = State::new(
            &clocks,
            Identity {
                pid: 42,
                time_namespace: 4_026_531_834,
            },
        );
        state.serving = Serving::Source(2);
        state.assumed = Some(sync(50));
        state.floor = Some(Timestamp::from_unix_nanos(-3));
        state.contradiction = Some(Contradiction {
            source: 1,
            by: Duration::from_nanos(12),
        });
        state.disturbed = Some(Disturbance::Suspended);
        state.broken = Some(Disturbance::Stepped);
        state.unexplained_second = true;
        for (record, raw) in state.sources.iter_mut().zip([100, 200, 300, 400]) {
            record.memory = SourceMemory {
                words: core::array::from_fn(|i| raw + i64::try_from(i).unwrap()),
            };
            // Two writes a minute apart fill both ends of the pair.
            for at in [0, 61_000_000_000, 122_000_000_000] {
                let look = Look::new(Finding::Write(sync(raw + at)));
                let _ = record.hear(&look);
            }
            record.refusal = Some(Refusal::AwaitingWrite {
                because: Awaiting::Slewing { rate_ppb: raw },
            });
        }
        state
    }

    #[test]
    fn a_state_comes_back_from_its_words_as_it_went_in() {
        let state = motley();
        assert_eq!(State::from_words(&state.to_words()), state);
        // The words hold every refusal.
        for refusal in [
            Refusal::Unsynchronized { maxerror_us: -1 },
            Refusal::UnsyncFlag { maxerror_us: 2 },
            Refusal::Status(NtpStatusError::Refused { errno: 38 }),
            Refusal::Status(NtpStatusError::Unsupported),
            Refusal::AwaitingWrite {
                because: Awaiting::Suspicious { maxerror_us: 500 },
            },
            Refusal::AwaitingWrite {
                because: Awaiting::Disturbance,
            },
            Refusal::AwaitingWrite {
                because: Awaiting::LeapSecond,
            },
            Refusal::AwaitingWrite {
                because: Awaiting::Unsettled,
            },
        ]
        .into_iter()
        .chain(
            [
                Writer::Timesyncd,
                Writer::NtpdStarting,
                Writer::PtpOrOpenntpd,
            ]
            .map(|writer| Refusal::NoBound {
                writer,
                maxerror_us: 3,
                esterror_us: 4,
            }),
        ) {
            let mut state = state;
            state.sources[3].refusal = Some(refusal);
            assert_eq!(State::from_words(&state.to_words()), state);
        }
    }

    #[test]
    fn the_words_have_room_for_every_field() {
        // A state that did not fit would lose its last words: the last source's last fields.
        let words = motley().to_words();
        let used = words.iter().rposition(|word| *word != 0).unwrap() + 1;
        assert!(
            used <= STATE_WORDS - 4,
            "{used} of {STATE_WORDS} words are used"
        );
    }
}
