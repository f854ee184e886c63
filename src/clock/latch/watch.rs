//! The few words that readers share beside the latch: when the next check is due.

use crate::machine::{Disruption, Sample};
use crate::primitive::{AtomicI64, AtomicU64, Ordering};

/// The longest tick that is tolerated, in ns; Linux has none above 10 ms.
const LONGEST_TICK: i64 = 1_000_000_000;

/// When the clocks are next compared and the sources next asked, and how far coarse real time may
/// be from raw time until then.
///
/// Coarse real time read before raw time shows a suspend at once: raw time stood still, real time
/// did not. Between two checks it may run ahead only by a tick (it lags by up to one) and by the
/// fastest slew there is, 12.5 % of the time between them.
///
/// A suspend is missed until the next check if it shows as less than a tick and an eighth of
/// `guard_interval`. And it shows as less than it was where raw time went on after coarse time stood: the
/// reader was preempted between the two, or the processor that keeps time was kept from running. As a
/// check is due once raw time has gone on by `guard_interval`, that hides so much more, and the lag of
/// coarse time, which grows with raw time too, nothing beyond it (A3).
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::clock) struct Watch {
    next_guard: AtomicI64,
    next_look: AtomicI64,
    coarse_ahead: AtomicI64,
    /// What the hypervisor had said when the claim in force was published, or one before it.
    marker: AtomicU64,
    generation: AtomicU64,
    /// A tick, and an eighth of `guard_interval`.
    tolerance: i64,
    guard_interval: i64,
    look_interval: i64,
}

impl Watch {
    pub(in crate::clock) fn new(coarse_tick: i64, guard_interval: i64, look_interval: i64) -> Self {
        // The check is what finds a look to be due.
        let guard_interval = guard_interval.min(look_interval);
        // With a smaller tolerance than the tick asks for, readings are checked more often than needed.
        let coarse_tick = coarse_tick.min(LONGEST_TICK);
        Self {
            next_guard: AtomicI64::new(i64::MIN),
            next_look: AtomicI64::new(i64::MIN),
            coarse_ahead: AtomicI64::new(0),
            marker: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            tolerance: coarse_tick.saturating_add(guard_interval / 8),
            guard_interval,
            look_interval,
        }
    }

    /// Whether nothing has to be checked at this reading.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "a tolerance is never negative, and a sum that is shall seem huge"
    )]
    pub(in crate::clock) fn is_calm(&self, sample: &Sample) -> bool {
        let strayed = sample
            .coarse
            .wrapping_sub(sample.raw)
            .wrapping_sub(self.coarse_ahead.load(Ordering::Relaxed));
        // One comparison for both ends.
        let within = strayed.wrapping_add(self.tolerance) as u64 <= (2 * self.tolerance) as u64;
        within && sample.raw < self.next_guard.load(Ordering::Relaxed)
    }

    /// Notes that clocks compared after `sample` was read were undisturbed.
    pub(in crate::clock) fn checked(&self, sample: &Sample) {
        // A sample from before the comparison: one from after it might hide a suspend in between.
        self.coarse_ahead
            .store(sample.coarse.wrapping_sub(sample.raw), Ordering::Relaxed);
        self.next_guard.store(
            sample.raw.saturating_add(self.guard_interval),
            Ordering::Relaxed,
        );
    }

    /// Loads the hypervisor's word that the claim in force, or an older one, rests on.
    ///
    /// To be loaded before the claim, and compared after the clock was read. If the two are the same
    /// nothing was disrupted before the clock was read; and if the claims were voided for a later word
    /// of the hypervisor, a reader that loads that word here finds the void published.
    #[inline]
    pub(in crate::clock) fn disruption(&self) -> Disruption {
        Disruption {
            marker: self.marker.load(Ordering::Acquire),
            generation: self.generation.load(Ordering::Acquire),
        }
    }

    /// Notes that a state which rests on this word of the hypervisor was published.
    pub(in crate::clock) fn rests_on(&self, disruption: Disruption) {
        self.marker.store(disruption.marker, Ordering::Release);
        self.generation
            .store(disruption.generation, Ordering::Release);
    }

    /// Returns true if a look is due and is this caller's to take. The right expires like a look.
    pub(in crate::clock) fn take_look(&self, raw: i64) -> bool {
        let due = self.next_look.load(Ordering::Relaxed);
        let next = raw.saturating_add(self.look_interval);
        raw >= due
            && self
                .next_look
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Puts off the next look by a whole interval from `raw`.
    pub(in crate::clock) fn looked(&self, raw: i64) {
        self.next_look
            .store(raw.saturating_add(self.look_interval), Ordering::Relaxed);
    }

    /// Makes a look due, and the check that finds it.
    pub(in crate::clock) fn hasten(&self) {
        self.next_look.store(i64::MIN, Ordering::Relaxed);
        self.next_guard.store(i64::MIN, Ordering::Relaxed);
    }
}
