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
            // What a helper's claims would teach must not narrow a judge's: a server that lies within the
            // judge's interval could teach a rate that makes the judge false.
            let teaches = is_write(look) && policy.is_judge(index);
            let Some(sync) = record.word.claim_mut().filter(|_| teaches) else {
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
        self.rate.reset();
        let guess = policy.unlearned();
        for record in &mut self.sources {
            record.revise(|claim| claim.with_rate(claim.rate().hull(guess)));
        }
    }

    /// Forgets the rate if the kernel counts raw time by another clock source now, which may run at
    /// another rate; returns false while it is the one that was learned about.
    pub(crate) fn recount(&mut self, policy: &Policy, clocksource: impl FnOnce() -> u64) -> bool {
        if self.rate.is_empty() || clocksource() == self.clocksource {
            return false;
        }
        self.unlearn(policy);
        true
    }
}
