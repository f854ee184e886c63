//! What looks do to what is known: claims, contradictions, leap seconds, and what serves.

use core::time::Duration;

use super::record::SourceRecord;
use super::{Answering, Assumption, Contradiction, State, Why, age, nanos};
use crate::clock::counters::{Count, Events};
use crate::clock::policy::Policy;
use crate::machine::{Disturbance, Sandwich};
use crate::source::{Awaiting, Finding, LeapNotice, Look, Refusal, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, LeapSecond, Timestamp};

/// How near a leap second no look counts.
const LEAP_VICINITY: Duration = Duration::from_secs(2);

/// Whether a look got so far as to see whether a leap second took place.
const fn can_tell_of_leaps(look: &Look) -> bool {
    !is_too_near(look)
        && !matches!(
            look.finding,
            Finding::Unsettled | Finding::Refused(Refusal::Status(_))
        )
}

/// Whether a look found a leap second to be at hand.
const fn is_too_near(look: &Look) -> bool {
    matches!(
        look.finding,
        Finding::Refused(Refusal::AwaitingWrite {
            because: Awaiting::LeapSecond
        })
    )
}

impl State {
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
        clocksource: impl FnOnce() -> u64,
    ) -> (Self, Events) {
        let mut next = *self;
        let mut events = Events::default();
        next.seen_raw = clocks.raw;
        next.seen_real = clocks.real;
        next.real_offset = self.real_offset.refined_by(&clocks.real_offset());
        next.boot_offset = self.boot_offset.refined_by(&clocks.boot_offset());
        next.note_leap(looks);
        next.settle_second(policy, looks);
        next.outlive(policy, clocks.raw);
        let mut evidence = None;
        for (index, (record, look)) in next.sources.iter_mut().zip(looks).enumerate() {
            let missed_by = record.hear(look);
            if record.refusal.is_some_and(|refusal| !refusal.is_absence()) {
                events.note(Count::Refusals);
            }
            if matches!(look.finding, Finding::Write(_)) {
                events.note(Count::Writes);
            }
            evidence = evidence.max(missed_by.map(|by| (by, index)));
        }
        // What one source announced is on the scale of the others' new claims too.
        next.note_leap(looks);
        if looks
            .iter()
            .any(|look| matches!(look.finding, Finding::Write(_)))
        {
            next.voided = None;
            next.assumption.mend();
        }
        let contradicted = next.answering.contradiction().is_some();
        if evidence.is_none() && !contradicted {
            evidence = next.learn(policy, looks, clocksource);
        }
        evidence = evidence.max(next.disagreement(policy, clocks.raw));
        if let Some((by, source)) = evidence {
            events.note(Count::Contradictions);
            next.contradict(policy, source, by);
        } else if contradicted && next.all_agree(policy) {
            next.answering = Answering::nothing(Why::Unheard);
            for record in &mut next.sources {
                record.drop_unconfirmed();
            }
        }
        next.choose(policy, clocks);
        (next, events)
    }

    pub(super) fn contradict(&mut self, policy: &Policy, source: usize, by: Duration) {
        let contradiction = Contradiction { source, by };
        self.answering = Answering::nothing(Why::Contradicted(contradiction));
        // Whichever claim was false, what was learned may rest on it.
        self.unlearn(policy);
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
        let contradicted = self.answering.contradiction().is_some();
        let counts = |record: &SourceRecord| !contradicted || record.has_a_say();
        let carried = |record: &SourceRecord| {
            let claim = record.word.claim().filter(|_| counts(record))?.claim;
            Some((claim.carry(raw).ok()?, claim.raw()))
        };
        let mut worst = None;
        for (i, one) in self.in_use(policy).enumerate() {
            for (j, other) in self.in_use(policy).enumerate().skip(i + 1) {
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

    /// Whether real time has leapt as the claims in force have it, once a look has come so far as to
    /// tell; until then a second that nobody has explained stays so, and there is no interval.
    fn settle_second(&mut self, policy: &Policy, looks: &[Look]) {
        for look in looks {
            if let LeapNotice::Passed(leap) = look.leap {
                self.leapt = Some(leap.boundary);
                self.unexplained = None;
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
            .any(|look| matches!(look.finding, Finding::Write(_)));
        let told = anew || (witnesses.peek().is_some() && witnesses.all(can_tell_of_leaps));
        if told {
            self.unexplained = None;
            if self.missed_leap(self.seen_real) {
                self.drop_missed_leap();
            }
        } else if looks.iter().any(is_too_near) && self.knows_of_no_leap() {
            self.unexplained = Some(Disturbance::UnexplainedSecond);
        }
    }

    /// Drops the claims that have a leap second on their scale which did not take place here. It may
    /// have done so elsewhere, so only what is written from now on says where UTC is.
    fn drop_missed_leap(&mut self) {
        let leapt = self.leapt;
        for record in &mut self.sources {
            record.drop_if(|claim| {
                claim
                    .leap()
                    .is_some_and(|leap| leapt != Some(leap.boundary))
            });
        }
        self.rate.reset();
    }

    fn knows_of_no_leap(&self) -> bool {
        self.in_force()
            .is_some_and(|sync| sync.claim.leap().is_none())
    }

    /// Puts a leap second on the scale of the claims in force, or takes it off again.
    fn note_leap(&mut self, looks: &[Look]) {
        let due = looks.iter().find_map(|look| match look.leap {
            LeapNotice::Pending(leap) | LeapNotice::Passed(leap) => Some(leap),
            LeapNotice::None => None,
        });
        let all_deny = looks
            .iter()
            .all(|look| look.leap == LeapNotice::None && can_tell_of_leaps(look));
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
        self.rate.revise(revise);
        if let Answering::Assumed { sync, .. } = &mut self.answering {
            sync.claim = revise(sync.claim);
        }
    }

    /// The state once the caller has vouched for real time anew.
    pub(crate) fn vouched(&self, policy: &Policy, clocks: &Sandwich) -> Self {
        let mut next = *self;
        next.assumption.mend();
        next.choose(policy, clocks);
        next
    }

    /// Chooses what serves: the narrowest claim of a source that vouches now, else the narrowest of
    /// one that did, else what the caller vouched for.
    fn choose(&mut self, policy: &Policy, clocks: &Sandwich) {
        if self.answering.contradiction().is_none() {
            self.answering = self.chosen(policy, clocks);
        }
    }

    fn chosen(&self, policy: &Policy, clocks: &Sandwich) -> Answering {
        let usable = |record: &SourceRecord| {
            let claim = record.word.claim()?.claim;
            if age(&claim, clocks.raw) > policy.max_age {
                return None;
            }
            let carried = claim.with_leap(None).carry(clocks.raw);
            let epsilon = carried.ok()?.epsilon();
            (epsilon <= policy.max_error).then_some((record.refusal.is_some(), epsilon))
        };
        let from = |source| Answering::From {
            source,
            floor: None,
        };
        let nothing = || Answering::nothing(self.why_nothing(policy));
        let narrowest = self
            .in_use(policy)
            .enumerate()
            .filter_map(|(index, record)| Some((usable(record)?, index)))
            .min();
        if let Some((_, index)) = narrowest {
            return from(index);
        }
        let may_assume = self.none_reports_a_bound(policy);
        match self.assumption {
            Assumption::Holds if may_assume => {
                return self
                    .assume(policy, clocks)
                    .map_or_else(nothing, |sync| Answering::Assumed { sync, floor: None });
            }
            Assumption::Broken(_) if may_assume => return nothing(),
            Assumption::NotGiven | Assumption::Holds | Assumption::Broken(_) => {}
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

    /// The claim that the caller vouches for: real time is off by `assume_error` at most.
    fn assume(&self, policy: &Policy, clocks: &Sandwich) -> Option<SyncClaim> {
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
