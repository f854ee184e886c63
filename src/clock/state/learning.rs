//! What the sources' writes teach about the oscillator's rate, and when it is to be forgotten.
//!
//! Each source teaches itself alone, and those that repeat the machine's time daemon each other. What one
//! source claims never narrows another's claims: a server that lies within the daemon's interval could
//! teach a rate that makes the daemon's word false.

use core::time::Duration;

use super::{MAX_SOURCES, State};
use crate::clock::policy::Policy;
use crate::source::{Finding, Look};
use crate::time::{LearnedRate, RateBounds, RateHistory};

impl State {
    /// Learns from the writes that were just heard, and narrows their claims by what is known now.
    /// Otherwise the evidence that the rate did not keep to what is assumed of it, and by whom.
    pub(super) fn learn(
        &mut self,
        policy: &Policy,
        looks: &[Look],
        clocksource: impl FnOnce() -> u64,
    ) -> Option<(Duration, usize)> {
        let is_write = |look: &Look| matches!(look.finding, Finding::Write(_));
        if !policy.learns() || !looks.iter().any(is_write) {
            return None;
        }
        if self.has_learned_nothing() {
            self.clocksource = clocksource();
        }
        let mut evidence = None;
        for (index, (record, look)) in self.sources.iter_mut().zip(looks).enumerate() {
            let Some(rate) = self.rates.get_mut(policy.rate_of(index)) else {
                continue;
            };
            let Some(sync) = record.word.claim_mut().filter(|_| is_write(look)) else {
                continue;
            };
            let missed_by = match rate.learn(sync.claim, &policy.rate_limits()) {
                Ok(None) => continue,
                Ok(Some(bounds)) => match sync.claim.rate().intersect(bounds) {
                    Some(rate) => {
                        sync.claim = sync.claim.with_rate(rate);
                        continue;
                    }
                    // A source that knows better than the limits, and is contradicted: to be told.
                    None => Duration::from_nanos(1),
                },
                Err(disproof) => disproof.by,
            };
            if policy.is_judge(index) {
                evidence = evidence.max(Some((missed_by, index)));
            } else {
                // Its own affair, as any contradiction of a helper with itself.
                rate.reset();
                record.overrule(policy.overruled(index, missed_by));
            }
        }
        evidence
    }

    fn has_learned_nothing(&self) -> bool {
        self.rates.iter().all(RateHistory::is_empty)
    }

    /// Returns what is known of the rate at a raw instant for claims of this source, and a number that
    /// changes whenever that was forgotten.
    pub(in crate::clock) fn rate_for(
        &self,
        policy: &Policy,
        index: usize,
        raw: i64,
    ) -> (RateBounds, u64) {
        let history = self.rates.get(policy.rate_of(index));
        let bounds = history.and_then(|history| history.bounds_at(raw, policy.max_age));
        (
            bounds.unwrap_or_else(|| policy.unlearned()),
            history.map_or(0, RateHistory::resets),
        )
    }

    /// Returns what was learned for the source in force; where none is, the first that anything was learned
    /// for.
    pub(in crate::clock) fn learned(&self, policy: &Policy) -> Option<LearnedRate> {
        match self.answering {
            super::Answering::From { source, .. } => {
                self.rates.get(policy.rate_of(source))?.learned()
            }
            super::Answering::Assumed { .. } | super::Answering::Nothing { .. } => {
                self.rates.iter().find_map(RateHistory::learned)
            }
        }
    }

    /// Widens claims older than `max_age` to ±`max_drift` again, for comparison: until then what was
    /// learned is assumed to hold (A1).
    pub(super) fn outlive(&mut self, policy: &Policy, raw: i64) {
        let guess = policy.unlearned();
        for record in &mut self.sources {
            record.revise_last(|claim| {
                if raw > policy.last_use(&claim) {
                    claim.with_rate(claim.rate().hull(guess))
                } else {
                    claim
                }
            });
        }
    }

    /// Forgets what was learned, in the claims in force too: from here on, and since each of them
    /// was made, the rate is only known to be within ±`max_drift`.
    pub(super) fn unlearn(&mut self, policy: &Policy) {
        self.unlearn_where(policy, |_| true);
    }

    fn unlearn_where(&mut self, policy: &Policy, concerns: impl Fn(usize) -> bool) {
        let guess = policy.unlearned();
        for (index, record) in self.sources.iter_mut().enumerate() {
            if !concerns(index) {
                continue;
            }
            if let Some(rate) = self.rates.get_mut(policy.rate_of(index)) {
                rate.reset();
            }
            record.revise(|claim| claim.with_rate(claim.rate().hull(guess)));
        }
    }

    /// Forgets the rates alone, where the claims go as well or stay as they are.
    pub(super) fn forget_rates(&mut self) {
        for rate in &mut self.rates {
            rate.reset();
        }
    }

    /// Forgets the rate if the kernel counts raw time by another clock source now, which may run at
    /// another rate; returns false while it is the one that was learned about.
    pub(crate) fn recount(&mut self, policy: &Policy, clocksource: impl FnOnce() -> u64) -> bool {
        if self.has_learned_nothing() || clocksource() == self.clocksource {
            return false;
        }
        // Those that learned nothing lose nothing, whatever others learned.
        let mut knows = [false; MAX_SOURCES];
        for (index, knows) in knows.iter_mut().enumerate() {
            let rate = self.rates.get(policy.rate_of(index));
            *knows = rate.is_some_and(|rate| !rate.is_empty());
        }
        self.unlearn_where(policy, |index| knows.get(index) == Some(&true));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Told, policy_of, sync, unheard};
    use super::super::{Answering, Word};
    use super::*;
    use crate::clock::policy::DriftLearning;

    const SECOND: i64 = 1_000_000_000;
    const EXACT: RateBounds = RateBounds::symmetric(0);

    fn policy() -> Policy {
        policy_of(&[Told::JUDGE, Told::HELPER])
    }

    /// Both sources have a claim whose rate is known exactly, and one of the two has taught it.
    fn taught_by(source: usize) -> State {
        let mut state = unheard();
        for record in state.sources.iter_mut().take(2) {
            record.word = Word::Own(sync(0, -5, 5));
        }
        state.answering = Answering::From {
            source,
            floor: None,
        };
        let (claim, limits) = (sync(0, -5, 5).claim, policy().rate_limits());
        assert_eq!(state.rates[source].learn(claim, &limits), Ok(None));
        state
    }

    fn rates_of(state: &State) -> [RateBounds; 2] {
        [0, 1].map(|index: usize| state.sources[index].word.claim().unwrap().claim.rate())
    }

    #[test]
    fn what_was_learned_holds_for_a_claim_up_to_its_last_use() {
        let policy = policy();
        let last = policy.last_use(&sync(0, -5, 5).claim);
        for (raw, rate) in [(last, EXACT), (last + 1, policy.unlearned())] {
            let mut state = taught_by(0);
            state.outlive(&policy, raw);
            assert_eq!(rates_of(&state), [rate; 2], "{raw}");
        }
    }

    #[test]
    fn another_clock_source_takes_the_rate_from_those_that_learned_by_the_last_one() {
        let policy = policy();
        let guess = policy.unlearned();
        assert!(!unheard().recount(&policy, || 9));
        for (source, widened) in [(0, [guess, EXACT]), (1, [EXACT, guess])] {
            let mut state = taught_by(source);
            state.clocksource = 7;
            assert!(!state.recount(&policy, || 7));
            assert_eq!(rates_of(&state), [EXACT; 2]);
            assert!(state.recount(&policy, || 9));
            assert_eq!(rates_of(&state), widened);
            assert!(state.rates.iter().all(RateHistory::is_empty));
        }
    }

    #[test]
    fn a_write_teaches_its_own_source_and_the_first_one_by_which_clock_source() {
        let write = |raw| Look::new(Finding::Write(sync(raw, raw - 5, raw + 5)));
        let nothing = Look::new(Finding::Nothing);
        let off = Policy {
            learning: DriftLearning::Off,
            ..policy()
        };
        for (policy, looks, learned) in [
            (policy(), [write(0), nothing], [true, false]),
            (policy(), [nothing, write(0)], [false, true]),
            (policy(), [nothing, nothing], [false, false]),
            (off, [write(0), nothing], [false, false]),
        ] {
            let mut state = taught_by(0);
            state.rates[0].reset();
            assert_eq!(state.learn(&policy, &looks, || 7), None);
            let found = [0, 1].map(|index: usize| !state.rates[index].is_empty());
            assert_eq!(found, learned, "{looks:?}");
            let known = learned.contains(&true);
            assert_eq!(state.clocksource, if known { 7 } else { 0 }, "{looks:?}");
            // Those that are learned from after it are counted by that, or `recount` forgets them.
            let _ = state.learn(&policy, &[write(SECOND), nothing], || 8);
            let next = if !policy.learns() {
                0
            } else if known {
                7
            } else {
                8
            };
            assert_eq!(state.clocksource, next, "{looks:?}");
        }
    }

    #[test]
    fn what_is_unlearned_is_taken_from_the_claims_too_and_what_is_forgotten_is_not() {
        let policy = policy();
        let mut state = taught_by(1);
        state.forget_rates();
        assert!(state.rates[1].is_empty());
        assert_eq!(rates_of(&state), [EXACT; 2]);
        state.unlearn(&policy);
        assert_eq!(rates_of(&state), [policy.unlearned(); 2]);
    }
}
