//! What looks do to what is known: claims, contradictions, leap seconds, and what serves.

use core::time::Duration;

use super::open_step::OpenStep;
use super::record::{SourceRecord, Trial};
use super::{
    Answering, Assumption, Contradiction, Party, State, Why, age, nanos, reports_no_bound,
};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::{Disturbance, Sandwich};
use crate::source::{Awaiting, Finding, LeapNotice, Look, Refusal, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, LeapSecond, Timestamp};

/// How near a leap second no look counts.
const LEAP_VICINITY: Duration = Duration::from_secs(2);

const fn is_write(look: &Look) -> bool {
    matches!(look.finding, Finding::Write(_))
}

/// Whether a look got so far as to see whether a leap second took place.
const fn can_tell_of_leaps(look: &Look) -> bool {
    !is_too_near(look)
        && !matches!(
            look.finding,
            Finding::Unsettled | Finding::Refused(Refusal::Status(_))
        )
}

const fn is_too_near(look: &Look) -> bool {
    matches!(
        look.finding,
        Finding::Refused(Refusal::AwaitingWrite {
            because: Awaiting::LeapSecond
        })
    )
}

impl State {
    /// Returns true if a leap second is so near that no look counts.
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

    /// Takes in what every source found, `clocks` being read after the last look.
    #[inline(never)]
    pub(crate) fn looked(
        &mut self,
        policy: &Policy,
        looks: &[Look],
        clocks: &Sandwich,
        clocksource: impl FnOnce() -> u64,
    ) -> Events {
        let mut events = Events::default();
        self.seen_raw = clocks.raw;
        self.seen_real = clocks.real;
        self.real_offset = self.real_offset.refined_by(&clocks.real_offset());
        self.narrow_boot_offset(clocks);
        self.note_leap(policy, looks);
        self.settle_second(policy, looks);
        self.outlive(policy, clocks.raw);
        for look in looks {
            if matches!(look.finding, Finding::Write(_)) {
                events.note(Count::Writes);
            }
        }
        let mut judged = looks
            .iter()
            .enumerate()
            .filter(|(i, _)| policy.is_judge(*i));
        if let Some(cause) = judged.find_map(|(_, look)| match look.finding {
            Finding::Void(cause) => Some(cause),
            _ => None,
        }) {
            let voided = self.void(policy, cause, clocks, self.identity);
            return events.and(&voided);
        }
        if self.step.is_some() {
            self.hear_under_a_step(policy, looks);
        } else {
            self.hear_all(policy, looks, clocks, clocksource, &mut events);
        }
        for record in self.in_use(policy) {
            if record.refusal.is_some_and(|refusal| !refusal.is_absence()) {
                events.note(Count::Refusals);
            }
        }
        self.choose(policy, looks, clocks);
        events
    }

    /// Hears every source, and tests what it says against what was said before.
    fn hear_all(
        &mut self,
        policy: &Policy,
        looks: &[Look],
        clocks: &Sandwich,
        clocksource: impl FnOnce() -> u64,
        events: &mut Events,
    ) {
        let contradicted = self.answering.contradiction().is_some();
        let trial = Trial {
            contradicted,
            policy,
        };
        let mut evidence = None;
        for (index, (record, look)) in self.sources.iter_mut().zip(looks).enumerate() {
            match record.hear(look, trial) {
                Some(by) if policy.is_judge(index) => evidence = evidence.max(Some((by, index))),
                // A helper that excludes itself is its own affair.
                Some(by) => {
                    record.overrule(policy.overruled(index, by));
                    if let Some(rate) = self.rates.get_mut(policy.rate_of(index)) {
                        rate.reset();
                    }
                }
                None => {}
            }
        }
        self.overrule_helpers(policy, clocks.raw);
        // What one source announced is on the scale of the others' new claims too.
        self.note_leap(policy, looks);
        let written = |(index, look): (usize, &Look)| is_write(look) && policy.is_judge(index);
        if looks.iter().enumerate().any(written) {
            self.voided = None;
            self.assumption.mend();
        }
        if evidence.is_none() && !contradicted {
            evidence = self.learn(policy, looks, clocksource);
        }
        evidence = evidence.max(self.disagreement(policy, clocks.raw));
        if let Some((by, source)) = evidence {
            events.note(Count::Contradictions);
            self.contradict(policy, Party::Source(source), by);
        } else if contradicted && self.all_agree(policy, clocks.raw) {
            self.end_contradiction(policy);
        }
    }

    /// Hears every source while a step out of the interval is open: writes are evidence first.
    fn hear_under_a_step(&mut self, policy: &Policy, looks: &[Look]) {
        let trial = Trial::ordinary(policy);
        for (index, look) in looks.iter().enumerate() {
            match look.finding {
                // Only a judge's word settles the matter: a lone server that lies would otherwise certify
                // what a hidden pause made false.
                Finding::Write(_) if self.step.is_some() && policy.is_judge(index) => {
                    if let Some(record) = self.sources.get_mut(index) {
                        record.refusal = None;
                    }
                    if self.weigh_write(policy, index, look) {
                        self.voided = None;
                        self.assumption.mend();
                    }
                }
                // What stood before the step is no evidence of what came after it.
                Finding::Inherited(_) => {}
                _ => {
                    if let Some(record) = self.sources.get_mut(index) {
                        // Nothing is tested here but a second source's write after the matter was settled.
                        let _ = record.hear(look, trial);
                    }
                }
            }
        }
        self.note_leap(policy, looks);
    }

    pub(super) fn contradict(&mut self, policy: &Policy, party: Party, by: Duration) {
        let contradiction = Contradiction { party, by };
        self.answering = Answering::nothing(Why::Contradicted(contradiction));
        // Whichever claim was false, what was learned may rest on it.
        self.unlearn(policy);
        // Each source has to say the same thing twice from now on.
        for record in &mut self.sources {
            record.start_over();
        }
    }

    #[inline(never)]
    fn end_contradiction(&mut self, policy: &Policy) {
        self.answering = Answering::nothing(Why::Unheard);
        for record in &mut self.sources {
            record.drop_unconfirmed();
        }
        // A source that passed from a lie to the truth by claims wide enough for both never missed itself: only
        // what the others say shows which of its own claims was the lie.
        for judge in 0..policy.source_count() {
            let says = |record: &SourceRecord| Some(record.word.claim()?.claim);
            let Some(claim) = self.sources.get(judge).and_then(says) else {
                continue;
            };
            if policy.is_judge(judge) {
                for record in &mut self.sources {
                    record.drop_what_excludes(&claim);
                }
            }
        }
    }

    /// Whether every source that has a say said the same thing twice, and one of them did.
    fn all_agree(&self, policy: &Policy, raw: i64) -> bool {
        let is_recent = |sync: SyncClaim| raw <= policy.last_use(&sync.claim);
        let mut with_a_say = self
            .in_use(policy)
            .enumerate()
            .filter(|(index, _)| policy.is_judge(*index))
            .map(|(_, record)| record)
            .filter(|record| record.has_a_say() && record.word.claim().is_some_and(is_recent));
        with_a_say.clone().next().is_some() && with_a_say.all(SourceRecord::agrees)
    }

    /// How far the claims of different sources miss each other at `raw`, the worst pair.
    fn disagreement(&self, policy: &Policy, raw: i64) -> Option<(Duration, usize)> {
        // Once there is a contradiction, a source that no longer vouches cannot settle it, and the
        // others must not wait for it for ever.
        let contradicted = self.answering.contradiction().is_some();
        let counts = |record: &SourceRecord| !contradicted || record.has_a_say();
        let carried = |record: &SourceRecord| {
            let claim = record.word.claim().filter(|_| counts(record))?.claim;
            // A claim too old to answer has no say: its daemon may have been dead for hours.
            if raw > policy.last_use(&claim) {
                return None;
            }
            Some((claim.carry(raw).ok()?, claim.raw()))
        };
        let mut worst = None;
        let judges = || {
            self.in_use(policy)
                .enumerate()
                .filter(|(index, _)| policy.is_judge(*index))
        };
        for (i, one) in judges() {
            for (j, other) in judges().filter(|(j, _)| *j > i) {
                let Some((a, b)) = carried(one).zip(carried(other)) else {
                    continue;
                };
                // Named by the claim that came later.
                let later = if b.1 >= a.1 { j } else { i };
                worst = worst.max(a.0.gap(&b.0).map(|by| (by, later)));
            }
        }
        worst
    }

    fn overrule_helpers(&mut self, policy: &Policy, raw: i64) {
        // The clock goes on with the judge, as it would have done without the helper.
        for helper in 0..policy.source_count() {
            if policy.is_judge(helper) {
                continue;
            }
            let Some(theirs) = self.usable_at(policy, helper, raw) else {
                continue;
            };
            let missed_by = (0..policy.source_count())
                .filter(|index| policy.is_judge(*index))
                .filter_map(|judge| self.usable_at(policy, judge, raw)?.gap(&theirs))
                .max();
            if let (Some(by), Some(record)) = (missed_by, self.sources.get_mut(helper)) {
                record.overrule(policy.overruled(helper, by));
                if let Some(rate) = self.rates.get_mut(policy.rate_of(helper)) {
                    rate.reset();
                }
            }
        }
    }

    fn usable_at(&self, policy: &Policy, index: usize, raw: i64) -> Option<Interval> {
        let claim = self.sources.get(index)?.word.claim()?.claim;
        if raw > policy.last_use(&claim) {
            return None;
        }
        claim.carry(raw).ok()
    }

    fn settle_second(&mut self, policy: &Policy, looks: &[Look]) {
        // Until a look has come so far as to tell whether real time leapt, an unexplained second
        // stays so, and there is no interval.
        for look in looks {
            if let LeapNotice::Passed(leap) = look.leap {
                self.leapt = Some(leap.boundary);
                self.unexplained = None;
                let is_unexplained =
                    |open: &OpenStep| open.cause() == Disturbance::UnexplainedSecond;
                if self.step.as_ref().is_some_and(is_unexplained) {
                    // It was announced after all: what was claimed before stands on its scale.
                    self.step = None;
                }
                return;
            }
        }
        let mut witnesses = looks
            .iter()
            .zip(&policy.sources)
            .filter(|(_, source)| source.tells_of_leaps())
            .map(|(look, _)| look)
            .peekable();
        // A claim of after that second needs no explanation of it.
        let anew = looks
            .iter()
            .enumerate()
            .any(|(index, look)| is_write(look) && policy.is_judge(index));
        let told = anew || (witnesses.peek().is_some() && witnesses.all(can_tell_of_leaps));
        if told {
            self.unexplained = None;
            if self.missed_leap(policy, self.seen_real) {
                self.drop_missed_leap();
            }
        } else if looks.iter().any(is_too_near) && self.knows_of_no_leap() {
            self.unexplained = Some(Disturbance::UnexplainedSecond);
        }
    }

    fn drop_missed_leap(&mut self) {
        // The leap second did not take place here but may have elsewhere, so only what is written
        // from now on says where UTC is.
        let leapt = self.leapt;
        for record in &mut self.sources {
            record.drop_if(|claim| {
                claim
                    .leap()
                    .is_some_and(|leap| leapt != Some(leap.boundary))
            });
        }
        self.forget_rates();
    }

    fn knows_of_no_leap(&self) -> bool {
        self.in_force()
            .is_some_and(|sync| sync.claim.leap().is_none())
    }

    fn note_leap(&mut self, policy: &Policy, looks: &[Look]) {
        // A helper's notice is on the scale of its own claims alone: one server could otherwise plant a leap
        // second into everybody's.
        let looks = || {
            let judged = looks.iter().enumerate();
            judged.filter_map(|(index, look)| policy.is_judge(index).then_some(look))
        };
        let due = looks().find_map(|look| match look.leap {
            LeapNotice::Pending(leap) | LeapNotice::Passed(leap) => Some(leap),
            LeapNotice::None => None,
        });
        let all_deny = looks().all(|look| look.leap == LeapNotice::None && can_tell_of_leaps(look));
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
        for rate in &mut self.rates {
            rate.revise(revise);
        }
        if let Answering::Assumed { sync, .. } = &mut self.answering {
            sync.claim = revise(sync.claim);
        }
    }

    /// Takes the caller's word for real time anew.
    ///
    /// Where no source reports a bound that also ends a contradiction and an open step: no source is left
    /// to end them.
    pub(crate) fn vouch(&mut self, policy: &Policy, clocks: &Sandwich) {
        self.assumption.mend();
        let undecided = self.answering.contradiction().is_some() || self.step.is_some();
        if undecided && self.none_reports_a_bound(policy) {
            for record in &mut self.sources {
                record.forget();
            }
            self.forget_rates();
            self.epoch = self.epoch.wrapping_add(1);
            self.step = None;
            self.answering = Answering::nothing(Why::Unheard);
        }
        self.choose(policy, &[], clocks);
    }

    /// Returns true if there is anything that the caller's word would end.
    pub(crate) fn awaits_the_caller(&self) -> bool {
        matches!(self.assumption, Assumption::Broken(_))
            || (self.assumption != Assumption::NotGiven
                && (self.answering.contradiction().is_some() || self.step.is_some()))
    }

    fn choose(&mut self, policy: &Policy, looks: &[Look], clocks: &Sandwich) {
        // The narrowest claim of a source that vouches now serves, else the narrowest of one that
        // did, else what the caller vouched for.
        if self.answering.contradiction().is_none() {
            self.answering = self.chosen(policy, looks, clocks);
        }
    }

    fn chosen(&self, policy: &Policy, looks: &[Look], clocks: &Sandwich) -> Answering {
        let usable = |record: &SourceRecord| {
            let claim = record.word.claim()?.claim;
            let precedes = |open: &OpenStep| !open.precedes(&claim);
            if age(&claim, clocks.raw) > policy.max_age || self.step.as_ref().is_some_and(precedes)
            {
                return None;
            }
            let carried = claim.with_leap(None).carry(clocks.raw);
            let epsilon = carried.ok()?.epsilon();
            (epsilon <= policy.max_error).then_some((record.refusal.is_some(), epsilon))
        };
        // However narrow a helper is, it serves only while no judge's claim can.
        let from = |source| Answering::From {
            source,
            floor: None,
        };
        let nothing = || Answering::nothing(self.why_nothing(policy));
        let narrowest = self
            .in_use(policy)
            .enumerate()
            .filter_map(|(index, record)| {
                let helps = !policy.is_judge(index);
                // While a step is open no helper may certify what a judge has yet to settle.
                if helps && self.step.is_some() {
                    return None;
                }
                Some((helps, usable(record)?, index))
            })
            .min();
        if let Some((_, _, index)) = narrowest {
            return from(index);
        }
        let may_assume = self.none_reports_a_bound(policy);
        match self.assumption {
            Assumption::Holds if may_assume => {
                return self
                    .assume(policy, clocks)
                    .map_or_else(nothing, |sync| Answering::Assumed { sync, floor: None });
            }
            Assumption::Holds => {
                if let Some(assumed) = self.assumed_either_way(policy, looks, clocks) {
                    return assumed;
                }
            }
            Assumption::Broken(_) if may_assume => return nothing(),
            Assumption::NotGiven | Assumption::Broken(_) => {}
        }
        if self.step.is_some() {
            return nothing();
        }
        // A claim too old or too wide stays in force, so that this can be told; it answers no more.
        match self.answering {
            Answering::From { source, .. } if self.in_force().is_some() => from(source),
            _ => self
                .in_use(policy)
                .position(|record| record.word.claim().is_some())
                .map_or_else(nothing, from),
        }
    }

    /// Returns what is assumed while it is open whether a source reports a bound: true in both cases.
    ///
    /// Not assumed anew at each look: an honest daemon may slew real time out of it, as it tells in its bounds.
    // Not inlined: what it unpacks would lie on the stack under every other look as well.
    #[inline(never)]
    fn assumed_either_way(
        &self,
        policy: &Policy,
        looks: &[Look],
        clocks: &Sandwich,
    ) -> Option<Answering> {
        let is_open = |record: &SourceRecord| match record.refusal {
            Some(Refusal::AwaitingWrite {
                because: Awaiting::Suspicious { .. },
            }) => Some(true),
            Some(refusal) if reports_no_bound(&refusal) => Some(false),
            _ => None,
        };
        if !self.in_use(policy).all(|record| is_open(record).is_some()) {
            return None;
        }
        // Assumed when no source reported a bound: a claim about raw time, which no later write makes false.
        if self.answering.is_assumed() {
            return Some(self.answering);
        }
        // While a step is open an honest daemon's bounds may rest on samples from before it.
        if self.step.is_some() {
            return None;
        }
        let sync = self.assume(policy, clocks)?;
        let assumed = sync.claim.carry(clocks.raw).ok()?;
        let covers = |look: &Look| {
            let doubtful = look.doubtful?.carry(clocks.raw).ok()?;
            Some(assumed.earliest() <= doubtful.earliest() && doubtful.latest() <= assumed.latest())
        };
        let mut heard = self.in_use(policy).enumerate();
        heard
            .all(|(index, record)| {
                is_open(record) == Some(false) || looks.get(index).and_then(covers) == Some(true)
            })
            .then_some(Answering::Assumed { sync, floor: None })
    }

    /// The claim that the caller vouches for: real time is off by `assume_error` at most.
    pub(super) fn assume(&self, policy: &Policy, clocks: &Sandwich) -> Option<SyncClaim> {
        let bound = ErrorBound {
            assumed_ns: nanos(policy.assume_error?),
            bracket_ns: clocks.bracket(),
            ..ErrorBound::default()
        };
        let real = Timestamp::from_unix_nanos(clocks.real);
        let interval = Interval::around(real, bound.total()).ok()?;
        let rate = policy.unlearned();
        let leap: Option<LeapSecond> = match self.answering {
            Answering::Assumed { sync, .. } => sync.claim.leap(),
            Answering::From { .. } | Answering::Nothing { .. } => None,
        };
        let claim = Claim::new(clocks.raw, interval, rate)
            .with_leap(leap.filter(|leap| interval.latest() < leap.boundary));
        Some(SyncClaim { claim, bound })
    }
}

#[cfg(test)]
mod tests;
