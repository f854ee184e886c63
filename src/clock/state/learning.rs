//! What the sources' writes teach about the oscillator's rate, and when it is to be forgotten.

use core::time::Duration;

use super::State;
use crate::clock::policy::Policy;
use crate::source::{Finding, Look};

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
        if self.rate.is_empty() {
            self.clocksource = clocksource();
        }
        let mut evidence = None;
        for (index, (record, look)) in self.sources.iter_mut().zip(looks).enumerate() {
            let Some(sync) = record.word.claim_mut().filter(|_| is_write(look)) else {
                continue;
            };
            match self.rate.learn(sync.claim, &policy.rate_limits()) {
                Ok(None) => {}
                Ok(Some(bounds)) => match sync.claim.rate().intersect(bounds) {
                    Some(rate) => sync.claim = sync.claim.with_rate(rate),
                    // A source that knows better than the limits, and is contradicted: to be told.
                    None => evidence = evidence.max(Some((Duration::from_nanos(1), index))),
                },
                Err(disproof) => evidence = evidence.max(Some((disproof.by, index))),
            }
        }
        evidence
    }

    /// What was learned is assumed to hold until `max_age` (A1): claims older than that are compared
    /// at ±`max_drift` again.
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
        self.rate.reset();
        let guess = policy.unlearned();
        for record in &mut self.sources {
            record.revise(|claim| claim.with_rate(claim.rate().hull(guess)));
        }
    }

    /// The state once the kernel was seen to count raw time by another clock source, which may run
    /// at another rate; `None` while it is the one that was learned about.
    pub(crate) fn recounted(
        &self,
        policy: &Policy,
        clocksource: impl FnOnce() -> u64,
    ) -> Option<Self> {
        if self.rate.is_empty() || clocksource() == self.clocksource {
            return None;
        }
        let mut next = *self;
        next.unlearn(policy);
        Some(next)
    }
}
