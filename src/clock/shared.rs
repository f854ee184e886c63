//! What all handles of a clock share: the latch, and the work that readers do off the hot path.

use core::time::Duration;

use super::counters::CounterCells;
use super::latch::{Caught, Found, LastCommit, Latch, Line, Watch};
use super::policy::{Policy, RefreshPolicy};
use super::state::{Events, STATE_WORDS, Serving, State, age};
use super::status::{ClockState, Reading, SourceStatus, Status};
use crate::clock::error::ClockError;
use crate::machine::{AnyMachine, Disturbance, GUARD_WIDTH_LIMIT, Sandwich, sharp_sandwich};
use crate::source::{Finding, Look, LookContext, SyncClaim};
use crate::time::{ErrorBound, Interval, Timestamp};

/// How often a reading starts anew because the clock was republished under it.
const ROUNDS: usize = 16;

/// How often a look starts anew because the clocks were disturbed in the middle of it.
const LOOK_ATTEMPTS: usize = 3;

/// A claim whose earliest end has been held for so long, in ns, was left by a looker that stopped.
const HELD_TOO_LONG: i64 = 1_000_000;

/// The clock behind its handles.
#[derive(Debug)]
pub(super) struct Shared {
    latch: Latch<STATE_WORDS>,
    watch: Watch,
    pub(super) machine: AnyMachine,
    pub(super) policy: Policy,
    counters: CounterCells,
    pub(super) last_commit: LastCommit,
}

/// What comparing the clocks came to.
enum Guarded {
    /// Nothing had happened to them since the claim that was read was published.
    Calm,
    /// Something happened; the reading has to start anew.
    Changed,
    /// They could not be compared.
    Interrupted,
}

/// The best estimate of UTC at a raw instant, with the interval around it or why there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// The interval's middle; without an interval, the machine's real time.
    pub(crate) best: Timestamp,
    pub(crate) raw: i64,
    pub(crate) interval: Result<Interval, ClockError>,
}

/// One reading of the hot path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant {
    line: Line,
    elapsed: i64,
}

impl Instant {
    /// The raw instant that it is about.
    #[inline]
    pub(crate) const fn raw(&self) -> i64 {
        self.line.raw_at(self.elapsed)
    }

    /// The raw instant of the claim that answers.
    #[inline]
    pub(crate) const fn claimed_at(&self) -> i64 {
        self.line.raw()
    }

    #[inline]
    pub(crate) fn interval(&self) -> Option<Interval> {
        self.line.at(self.elapsed)
    }

    /// The interval's middle, which mostly takes less than the interval does.
    #[inline]
    pub(crate) fn middle(&self) -> Option<Timestamp> {
        match self.line.middle(self.elapsed) {
            Some(middle) => Some(middle),
            None => Some(self.interval()?.midpoint()),
        }
    }
}

/// An interval with the state it was computed from.
struct Answer {
    state: State,
    raw: i64,
    interval: Result<Interval, ClockError>,
}

impl Shared {
    pub(super) fn new(machine: AnyMachine, policy: Policy) -> Self {
        let hands = machine.as_dyn();
        let clocks = sharp_sandwich(hands);
        // While it is being changed there is nothing to rest on; the first look finds what it is then.
        let disruption = hands.disruption().unwrap_or_default();
        let state = State::new(&clocks, hands.identity(), disruption);
        let span = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let watch = Watch::new(
            span(hands.coarse_tick()),
            span(policy.guard_interval),
            span(policy.look_interval),
        );
        watch.rests_on(disruption);
        Self {
            latch: Latch::new(&Line::NOTHING, &state.to_words()),
            watch,
            machine,
            policy,
            counters: CounterCells::default(),
            last_commit: LastCommit::new(),
        }
    }

    /// The hot path: no syscall, lock or allocation. `None` if anything is out of the ordinary.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(super) fn now_plainly(&self) -> Option<Interval> {
        let (line, elapsed) = self.line_plainly()?;
        line.at(elapsed)
    }

    /// The same with the middle and the raw instant that it is about, each worked out if asked for.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of the hot path")]
    pub(super) fn instant_plainly(&self) -> Option<Instant> {
        let (line, elapsed) = self.line_plainly()?;
        Some(Instant { line, elapsed })
    }

    /// The same with how well founded the interval is.
    fn read_plainly(&self) -> Option<(Interval, ClockState)> {
        let (line, elapsed) = self.line_plainly()?;
        Some((line.at(elapsed)?, line.state(elapsed)?))
    }

    /// The claim in force, and how long after its instant this is.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of the hot path")]
    fn line_plainly(&self) -> Option<(Line, i64)> {
        let known = self.watch.disruption();
        let (line, sample) = self.latch.read_open(|| self.machine.sample())?;
        let elapsed = line.elapsed(sample.raw)?;
        let undisturbed =
            self.watch.is_calm(&sample) && self.machine.is_undisrupted(known, sample.raw);
        undisturbed.then_some((line, elapsed))
    }

    /// The same with everything that may be out of the ordinary.
    #[cold]
    pub(super) fn now_carefully(&self) -> Result<Interval, ClockError> {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let Some(caught) = self.catch(&mut looked)? else {
                continue;
            };
            if caught.held_at.is_none() {
                let plain = caught.line.elapsed(caught.sample.raw);
                if let Some(interval) = plain.and_then(|elapsed| caught.line.at(elapsed)) {
                    return Ok(interval);
                }
            }
            if let Some(answer) = self.answer(&caught) {
                return answer.interval;
            }
        }
        Err(interrupted())
    }

    /// The interval together with the state behind it, for reports.
    fn consult(&self) -> Result<Answer, ClockError> {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let Some(caught) = self.catch(&mut looked)? else {
                continue;
            };
            if let Some(answer) = self.answer(&caught) {
                return Ok(answer);
            }
        }
        Err(interrupted())
    }

    /// Reads the clock, checks it and looks where that is due; `None` to start anew.
    ///
    /// One look in a reading is enough: where a look takes longer than the look interval, on a busy
    /// machine for one, the next would be due before this reading is done, and so on for ever.
    fn catch(&self, looked: &mut bool) -> Result<Option<Caught>, ClockError> {
        let known = self.watch.disruption();
        let caught = self.latch.read(|| self.machine.sample());
        let raw = caught.sample.raw;
        let disrupted = self.machine.as_dyn().disruption() != Some(known);
        if !self.watch.is_calm(&caught.sample) || disrupted || caught.line.begins_after(raw) {
            match self.guard(&caught) {
                Guarded::Calm => {}
                Guarded::Changed => return Ok(None),
                Guarded::Interrupted => return Err(interrupted()),
            }
        }
        let held_for = caught.held_at.map_or(0, |rc| raw.saturating_sub(rc));
        if held_for > HELD_TOO_LONG {
            self.watch.hasten();
        }
        let may_look = self.policy.refresh == RefreshPolicy::Inline && !*looked;
        if may_look && self.watch.take_look(raw) {
            *looked = true;
            self.look();
            return Ok(None);
        }
        Ok(Some(caught))
    }

    fn answer(&self, caught: &Caught) -> Option<Answer> {
        let found = self.latch.find();
        // A state published later may rest on a floor that this sample is older than.
        if found.head != caught.head {
            return None;
        }
        let state = State::from_words(&found.cold)?;
        let raw = caught.sample.raw;
        Some(Answer {
            state,
            raw,
            interval: state.answer(&self.policy, raw, caught.held_at),
        })
    }

    /// Compares the machine's clocks with what they were when the claim was published.
    fn guard(&self, caught: &Caught) -> Guarded {
        let found = self.latch.find();
        if found.head != caught.head {
            // What was read may have been voided: only the state it belongs to can tell.
            return Guarded::Changed;
        }
        let Some(state) = State::from_words(&found.cold) else {
            return Guarded::Interrupted;
        };
        let machine = self.machine.as_dyn();
        // Read after the state, so that raw time cannot seem to run backwards.
        let clocks = sharp_sandwich(machine);
        let Some(disruption) = machine.disruption() else {
            return Guarded::Interrupted;
        };
        match state.guard(&self.policy, &clocks, disruption, || machine.identity()) {
            Some((next, events)) => {
                self.publish(&found, &state, next, events);
                self.watch.hasten();
                Guarded::Changed
            }
            None if clocks.width() > GUARD_WIDTH_LIMIT => Guarded::Interrupted,
            None => {
                self.watch.rests_on(disruption);
                self.watch.checked(&caught.sample);
                Guarded::Calm
            }
        }
    }

    /// Which sources have somebody to ask, and how often they want to.
    pub(super) fn refresh_intervals(&self) -> impl Iterator<Item = (usize, Duration)> + '_ {
        let sources = self.policy.sources.iter().enumerate();
        sources.filter_map(|(index, source)| Some((index, source.refresh_interval()?)))
    }

    /// Lets one source ask, which may take its time.
    pub(super) fn refresh_one(&self, index: usize) {
        if let Some(source) = self.policy.sources.get(index) {
            source.refresh(self.machine.as_dyn());
        }
    }

    /// Lets every source ask.
    pub(super) fn refresh(&self) {
        for index in 0..self.policy.source_count() {
            self.refresh_one(index);
        }
    }

    /// Looks at every source, whoever's turn it is, and publishes what comes of it.
    pub(super) fn look(&self) {
        for _ in 0..LOOK_ATTEMPTS {
            if self.try_look() {
                return;
            }
        }
        self.counters.look_dropped();
    }

    /// One attempt; whether it came to an end, if only to find that another look was faster.
    fn try_look(&self) -> bool {
        let found = self.latch.find();
        let Some(mut state) = State::from_words(&found.cold) else {
            return false;
        };
        let machine = self.machine.as_dyn();
        let before = sharp_sandwich(machine);
        self.watch.looked(before.raw);
        let Some(disruption) = machine.disruption() else {
            return false;
        };
        let identity = || machine.identity();
        if let Some((next, events)) = state.guard(&self.policy, &before, disruption, identity) {
            self.publish(&found, &state, next, events);
            return false;
        }
        if before.width() > GUARD_WIDTH_LIMIT {
            return false;
        }
        if let Some(next) = state.recounted(&self.policy, || machine.clocksource()) {
            self.publish(&found, &state, next, Events::default());
            return false;
        }
        if state.near_leap(before.raw) {
            self.counters.look_dropped();
            return true;
        }
        let unchanged = state;
        let mut looks = [Look::new(Finding::Unsettled); super::state::MAX_SOURCES];
        let sources = self.policy.sources.iter();
        for ((source, record), look) in sources.zip(&mut state.sources).zip(&mut looks) {
            let context = LookContext {
                machine,
                max_drift_ppb: self.policy.max_drift_ppb,
                daemon_margin: self.policy.daemon_margin,
                accept_unsync_flag: self.policy.accept_unsync_flag,
                may_inherit: record.may_inherit(),
            };
            *look = source.look(&context, &mut record.memory);
        }
        // What the look saw counts only if nothing happened to the clocks in the middle of it.
        let after = sharp_sandwich(machine);
        let Some(disruption) = machine.disruption() else {
            return false;
        };
        if let Some((next, events)) = unchanged.guard(&self.policy, &after, disruption, identity) {
            self.publish(&found, &unchanged, next, events);
            return false;
        }
        if after.width() > GUARD_WIDTH_LIMIT {
            return false;
        }
        let looks = looks.get(..self.policy.source_count()).unwrap_or(&[]);
        let (next, events) = state.looked(&self.policy, looks, &after, || machine.clocksource());
        if self.publish(&found, &unchanged, next, events) {
            self.counters.looked();
        } else {
            self.counters.look_dropped();
        }
        true
    }

    /// Vouches anew for the machine's clock after something broke the assumption.
    pub(super) fn vouch(&self) {
        // What happened until now is what the caller has checked, even if nobody noticed it yet.
        self.look();
        for _ in 0..ROUNDS {
            let found = self.latch.find();
            let Some(state) = State::from_words(&found.cold) else {
                break;
            };
            let clocks = sharp_sandwich(self.machine.as_dyn());
            // In one step: in between there would be no error to tell, and no interval either.
            let next = state.vouched(&self.policy, &clocks);
            if state.broken.is_none() || self.publish(&found, &state, next, Events::default()) {
                break;
            }
        }
        self.look();
    }

    /// Replaces `before`, found at `found`, by `next`; whether nobody else was faster.
    ///
    /// Where the claim in force changes, the old one is closed first, and the earliest end that it
    /// can have reached becomes the floor under the next.
    fn publish(
        &self,
        found: &Found<STATE_WORDS>,
        before: &State,
        mut next: State,
        mut events: Events,
    ) -> bool {
        // Not the process that the state knows: in a forked child that is the parent, whose slots
        // would then pass for the child's own and never be taken again.
        let Some(draft) = self.latch.draft(std::process::id()) else {
            return false;
        };
        let claims = (before.in_force(), next.in_force());
        let same_line = claims.0.map(|sync| sync.claim) == claims.1.map(|sync| sync.claim);
        if !same_line {
            let (reached, raw) = match claims.0 {
                Some(old) => {
                    let Some(rc) = self.latch.close(found.head, || self.machine.sample().raw)
                    else {
                        return false;
                    };
                    // Raw time of another time namespace means nothing to the old claim.
                    let moved = next.disturbed == Some(Disturbance::Moved)
                        || next.identity.time_namespace != before.identity.time_namespace;
                    let rc = if moved { before.seen_raw } else { rc };
                    // Later than this nobody was answered from it, and what was learned of the rate is
                    // not assumed any more (A1).
                    let rc = match before.serving {
                        Serving::Assumed => rc,
                        Serving::Nothing | Serving::Source(_) => {
                            rc.min(self.policy.last_use(&old.claim))
                        }
                    };
                    (reached(&old, claims.1.as_ref(), before.floor, rc), rc)
                }
                // What was promised before a void.
                None => (before.floor, next.seen_raw),
            };
            next.floor = None;
            if let Some(floor) = reached.filter(|_| next.rests_on(before)) {
                let rests = next.rest_on(&self.policy, floor, raw);
                events.contradictions += u64::from(!rests);
            }
        }
        events.rate_resets = u64::from(next.rate.is_empty() && !before.rate.is_empty());
        let published = draft.publish(found.head, &next.line(&self.policy), &next.to_words());
        if published {
            self.watch.rests_on(next.disruption);
            self.counters.add(&events);
        }
        published
    }

    /// Sleeps for about a look interval, in the background thread.
    pub(super) fn pause(&self) {
        self.machine.as_dyn().sleep(self.policy.look_interval);
    }

    /// How much raw time has to pass until `instant` is surely past; `Some(0)` if it is, and `None`
    /// if it never will be.
    ///
    /// As far as the claim in force goes: another one can move the instant either way, which is why
    /// whoever waits looks again.
    pub(super) fn until_past(&self, instant: Timestamp) -> Result<Option<u64>, ClockError> {
        let answer = self.consult()?;
        if answer.interval?.after(instant) {
            return Ok(Some(0));
        }
        let due = answer
            .state
            .in_force()
            .and_then(|sync| sync.claim.past_at(instant));
        // At least 1: the claim may say so already while its earliest end is held for a moment.
        Ok(due.map(|due| due.saturating_sub(answer.raw).max(1).unsigned_abs()))
    }

    /// The best estimate there is, whether or not anybody vouches for it.
    #[cold]
    pub(super) fn estimate(&self) -> Estimate {
        let refusal = match self.consult() {
            Ok(Answer {
                raw,
                interval: Ok(interval),
                ..
            }) => {
                return Estimate {
                    best: interval.midpoint(),
                    raw,
                    interval: Ok(interval),
                };
            }
            Ok(Answer {
                interval: Err(refusal),
                ..
            })
            | Err(refusal) => refusal,
        };
        let clocks = self.clocks();
        Estimate {
            best: Timestamp::from_unix_nanos(clocks.real),
            raw: clocks.raw,
            interval: Err(refusal),
        }
    }

    /// All clocks of the machine, compared as sharply as it goes.
    pub(super) fn clocks(&self) -> Sandwich {
        sharp_sandwich(self.machine.as_dyn())
    }

    // --- reports -------------------------------------------------------------------------------

    pub(super) fn read(&self) -> Reading {
        if let Some((interval, state)) = self.read_plainly() {
            return Reading {
                estimate: interval.midpoint(),
                interval: Ok(interval),
                state,
            };
        }
        let (interval, state) = match self.consult() {
            Ok(answer) => (answer.interval, answer.founded_on()),
            Err(error) => (Err(error), ClockState::Unavailable),
        };
        let estimate = match &interval {
            Ok(interval) => interval.midpoint(),
            Err(_) => Timestamp::from_unix_nanos(self.machine.as_dyn().sandwich().real),
        };
        Reading {
            estimate,
            interval,
            state,
        }
    }

    pub(super) fn sources(&self) -> Vec<SourceStatus> {
        let Ok(Answer { state, raw, .. }) = self.consult() else {
            return Vec::new();
        };
        let names = self.policy.sources.iter().map(|source| source.name());
        names
            .zip(&state.sources)
            .enumerate()
            .map(|(index, (name, record))| SourceStatus {
                name,
                serves: state.serving == Serving::Source(index),
                interval: record.last.and_then(|last| last.claim.carry(raw).ok()),
                bound: record.last.map(|last| bound_at(&last, raw)),
                age: record.last.map(|last| age(&last.claim, raw)),
                refusal: record.refusal,
            })
            .collect()
    }

    pub(super) fn status(&self) -> Status {
        let counters = self.counters.totals();
        let answer = match self.consult() {
            Ok(answer) => answer,
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
                    counters,
                };
            }
        };
        let Answer {
            state,
            raw,
            interval,
        } = &answer;
        let in_force = state.in_force();
        let ageless = state.serving == Serving::Assumed;
        Status {
            state: answer.founded_on(),
            interval: *interval,
            bound: in_force.map(|sync| bound_at(&sync, *raw)),
            source: match state.serving {
                Serving::Source(index) => Some(self.policy.source_name(index)),
                Serving::Nothing | Serving::Assumed => None,
            },
            age: in_force.map(|sync| age(&sync.claim, *raw)),
            rate: in_force.map(|sync| sync.claim.rate()),
            refuses_in: in_force.map(|sync| {
                let claim = sync.claim.with_leap(None);
                let end = claim
                    .raw()
                    .saturating_add(self.policy.plain_span(&claim, ageless));
                Duration::from_nanos(end.saturating_sub(*raw).max(0).unsigned_abs())
            }),
            refusal: state.refusal(&self.policy),
            learned: state.rate.learned(),
            vmclock: self.machine.vmclock(),
            counters,
        }
    }
}

impl Answer {
    /// How well founded the answer is.
    fn founded_on(&self) -> ClockState {
        match (self.interval, self.state.in_force()) {
            (Ok(_), Some(sync)) => {
                let elapsed = self.raw.saturating_sub(sync.claim.raw());
                self.state.founded_on().after_silence(elapsed)
            }
            _ => ClockState::Unavailable,
        }
    }
}

/// The earliest end that a claim in force had reached when it closed at raw instant `rc`.
fn reached(
    old: &SyncClaim,
    next: Option<&SyncClaim>,
    floor: Option<Timestamp>,
    rc: i64,
) -> Option<Timestamp> {
    // A leap second that was noticed late was not on the old claim's scale; nobody was answered
    // from it since.
    let on_scale = next
        .map(|next| next.claim)
        .filter(|next| next.with_leap(None) == old.claim.with_leap(None))
        .unwrap_or(old.claim);
    on_scale.earliest_at(rc).ok().max(floor)
}

/// The terms of a claim's width at raw instant `raw`.
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

const fn interrupted() -> ClockError {
    ClockError::Disturbed {
        cause: Disturbance::Interrupted,
    }
}
