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
