//! What the kernel does to `maxerror` by itself, and so what a daemon must have written.

use super::observation::Observation;
use crate::machine::{NtpStatus, OffsetRange};
use crate::source::LookContext;
use crate::words::words_struct;

const SECOND: i64 = 1_000_000_000;

/// The kernel adds this to `maxerror` (µs) each second: `MAXFREQ / NSEC_PER_USEC`, 500 ppm.
pub(super) const GROWTH_US: i64 = 500;

/// The same as a rate.
pub(super) const GROWTH_PPB: i64 = 500_000;

/// The longest that a second's growth can be overdue: the second itself, and the tick or two (at
/// `CONFIG_HZ=100` up to 20 ms) by which the kernel comes late, rounded up.
const GROWTH_DELAY: i64 = 1_100_000_000;

/// What the predictor needs of the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) maxerror: i64,
    pub(super) real: i64,
    pub(super) raw: i64,
    pub(super) mono_before: i64,
    pub(super) mono_after: i64,
    pub(super) real_offset: OffsetRange,
    pub(super) adjustment_ppb: i64,
    pub(super) tai: i64,
}

words_struct!(Baseline {
    maxerror,
    real,
    raw,
    mono_before,
    mono_after,
    real_offset,
    adjustment_ppb,
    tai,
});

impl Baseline {
    pub(super) fn of(observed: &Observation) -> Self {
        Self {
            maxerror: observed.status.maxerror,
            real: observed.clocks.real,
            raw: observed.clocks.raw,
            mono_before: observed.clocks.mono_before,
            mono_after: observed.clocks.mono_after,
            real_offset: observed.clocks.real_offset(),
            adjustment_ppb: observed.adjustment_ppb,
            tai: observed.status.tai.into(),
        }
    }

    /// Returns true if `maxerror` is something else than the growth since this look: a write.
    pub(super) fn departs(&self, observed: &Observation) -> bool {
        let boundaries = observed.clocks.real.div_euclid(SECOND) - self.real.div_euclid(SECOND);
        self.is_not_grown_by(boundaries, observed)
    }

    /// Returns true if `maxerror` is something else than the growth since this look, though real time
    /// jumped meanwhile: a write of after the jump.
    ///
    /// A step clears the NTP state (`timekeeping_update` with `TK_CLEAR_NTP`), so a bound that stands was
    /// written since. A resume and a leap second clear nothing: then it has only grown, by the seconds
    /// that the kernel counted.
    pub(super) fn departs_across_a_jump(&self, observed: &Observation) -> bool {
        let counted = observed
            .clocks
            .mono_before
            .saturating_sub(self.mono_after)
            .div_euclid(SECOND);
        self.is_not_grown_by(counted, observed) && self.is_not_grown_by(counted + 1, observed)
    }

    fn is_not_grown_by(&self, seconds: i64, observed: &Observation) -> bool {
        // Give or take a second: the kernel comes a tick or two late, at this look as at that.
        !(seconds - 1..=seconds + 1).any(|n| {
            n >= 0
                && self
                    .maxerror
                    .saturating_add(n.saturating_mul(GROWTH_US))
                    .min(NtpStatus::MAXERROR_CAP)
                    == observed.status.maxerror
        })
    }

    /// Returns how far real time may have strayed since a write after this look.
    ///
    /// At most `R` times the gap, `R` being the oscillator's drift and the faster adjustment of the
    /// two looks; beyond the second by which it may be late the kernel's growth covers 500 ppm. And
    /// all that monotonic time strayed beyond these adjustments: it may have done so in no time, and
    /// just now.
    pub(super) fn unseen(&self, context: &LookContext<'_>, observed: &Observation) -> u64 {
        let gap = observed.clocks.raw.saturating_sub(self.raw).max(0);
        // The kernel counts its own seconds: a slow clock's bound grows slowly.
        let counted = observed.clocks.mono_before.saturating_sub(self.mono_after);
        let grown = drift(GROWTH_PPB, counted.saturating_sub(GROWTH_DELAY).max(0));
        let rate = i64::from(context.max_drift_ppb).saturating_add(
            self.adjustment_ppb
                .saturating_abs()
                .max(observed.adjustment_ppb.saturating_abs()),
        );
        // The write was just now, and nothing has grown yet; or right after the last look.
        let just_now = drift(rate, gap.min(GROWTH_DELAY));
        let long_ago = drift(rate, gap).saturating_sub(grown);
        just_now
            .max(long_ago)
            .saturating_add(self.unexplained_slew(observed, gap))
    }

    /// Returns how far, in ns, monotonic strayed from raw time between the looks, beyond what the
    /// adjustments of the two make it stray: sees slews that no field of the status shows, and those
    /// that are over.
    pub(super) fn unexplained_slew(&self, observed: &Observation, gap: i64) -> u64 {
        let gap = i128::from(gap);
        let strayed = |from: i64, to: i64| i128::from(to) - i128::from(from) - gap;
        let least = strayed(self.mono_after, observed.clocks.mono_before);
        let most = strayed(self.mono_before, observed.clocks.mono_after);
        let slow = self.adjustment_ppb.min(observed.adjustment_ppb);
        let fast = self.adjustment_ppb.max(observed.adjustment_ppb);
        let explained = |ppb: i64| (gap * i128::from(ppb)).div_euclid(1_000_000_000);
        let excess = (most - explained(fast)).max(explained(slow) - least).max(0);
        u64::try_from(excess).unwrap_or(u64::MAX)
    }
}

/// `rate × span`, rounded up, for a rate in ppb and a span in ns, neither negative.
fn drift(rate_ppb: i64, span: i64) -> u64 {
    let product = u128::from(rate_ppb.unsigned_abs()) * u128::from(span.unsigned_abs());
    u64::try_from(product.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}
