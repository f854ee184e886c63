//! The few words that readers share beside the latch: when the next check is due.

use super::anchor::{Anchor, FRACTION};
use crate::machine::{Counted, Disruption, Sample};
use crate::primitive::{AtomicI64, AtomicU64, Ordering};

/// The longest tick that is tolerated, in ns; Linux has none above 10 ms.
const LONGEST_TICK: i64 = 1_000_000_000;

/// How long the counter is read without a look, in ns: the kernel may have left it since.
const UNWATCHED: i64 = 1_000_000_000;

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

/// When raw time is next read beside the counter, and how far coarse real time may be from it until then.
///
/// A line through counts is read without raw time. So it is checked at least once a millisecond that raw
/// time is where the counter says. The count of the last check says whether that is due; it is compared
/// without a sign, so that a count which was set back shows as well as one that ran ahead.
///
/// Coarse real time is compared with counts at one fixed ratio, and never with the line, which is drawn
/// anew now and then.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::clock) struct CountWatch {
    /// The first count of the last check.
    checked: AtomicI64,
    /// How many counts later the next check is due; 0 until the ratio is known.
    window: AtomicU64,
    /// Coarse real time less the counter's.
    coarse_ahead: AtomicI64,
    /// How much raw time one count takes, in 2⁻⁵⁷ ns.
    ratio: AtomicU64,
    tolerance: i64,
    /// Whether coarse real time is read at every reading, or at checks alone.
    with_coarse: bool,
}

/// The longest that raw time is not read beside the counter, in ns.
const WINDOW: i64 = 1_000_000;

impl CountWatch {
    pub(in crate::clock) fn new(watch: &Watch, with_coarse: bool) -> Self {
        Self {
            checked: AtomicI64::new(0),
            window: AtomicU64::new(0),
            coarse_ahead: AtomicI64::new(0),
            ratio: AtomicU64::new(0),
            tolerance: watch.tolerance,
            with_coarse,
        }
    }

    #[inline]
    pub(in crate::clock) const fn with_coarse(&self) -> bool {
        self.with_coarse
    }

    /// Loads the count of the last check, to be loaded before the head: a later one would seem to lie
    /// ahead of the count.
    #[inline]
    pub(in crate::clock) fn checked(&self) -> i64 {
        self.checked.load(Ordering::Acquire)
    }

    /// Whether nothing has to be checked at this reading of the counter.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "what lies before the check, or strayed below, shall seem huge"
    )]
    pub(in crate::clock) fn is_calm(&self, sample: &Sample, checked: i64) -> bool {
        if !self.is_recent(sample.raw, checked) {
            return false;
        }
        if !self.with_coarse {
            return true;
        }
        let strayed = sample
            .coarse
            .wrapping_sub(self.counted(sample.raw))
            .wrapping_sub(self.coarse_ahead.load(Ordering::Relaxed));
        strayed.wrapping_add(self.tolerance) as u64 <= (2 * self.tolerance) as u64
    }

    /// Returns true if the last check is less than a window before this count.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "what lies before the check shall seem huge"
    )]
    pub(in crate::clock) fn is_recent(&self, count: i64, checked: i64) -> bool {
        (count.wrapping_sub(checked) as u64) < self.window.load(Ordering::Relaxed)
    }

    /// Counts raw time by the counter, from a zero of its own.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "only differences count"
    )]
    fn counted(&self, count: i64) -> i64 {
        let ratio = u128::from(self.ratio.load(Ordering::Relaxed));
        ((u128::from(count as u64) * ratio) >> FRACTION) as i64
    }

    /// Notes at what ratio counts are compared, once and for all.
    pub(in crate::clock) fn count_by(&self, anchor: &Anchor, guard_interval: i64) {
        let [least, _] = anchor.ratio();
        let zero = (0, least);
        let fixed =
            self.ratio
                .compare_exchange(zero.0, zero.1, Ordering::Relaxed, Ordering::Relaxed);
        if fixed.is_ok() {
            let window = anchor.counts_in(WINDOW.min(guard_interval));
            self.window
                .store(window.max(0).unsigned_abs(), Ordering::Release);
        }
    }

    /// Notes that both clocks were found in order.
    pub(in crate::clock) fn note(&self, counted: &Counted, watch: &Watch) {
        // Where coarse real time was when raw time was last compared, in the counter's terms.
        let ahead = watch.coarse_ahead.load(Ordering::Relaxed);
        let shift = counted
            .sample
            .raw
            .wrapping_sub(self.counted(counted.before));
        self.coarse_ahead
            .store(ahead.wrapping_add(shift), Ordering::Relaxed);
        // The first count: what happened while the others were read would be missed by a later one.
        self.checked.store(counted.before, Ordering::Release);
    }
}

impl Watch {
    /// Returns true if a look began within the last second.
    pub(in crate::clock) fn is_looked_after(&self, raw: i64) -> bool {
        let next = self.next_look.load(Ordering::Relaxed);
        raw.saturating_sub(next) < UNWATCHED.saturating_sub(self.look_interval)
    }

    pub(in crate::clock) const fn guard_interval(&self) -> i64 {
        self.guard_interval
    }

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

    pub(in crate::clock) fn is_look_due(&self, raw: i64) -> bool {
        raw >= self.next_look.load(Ordering::Relaxed)
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
