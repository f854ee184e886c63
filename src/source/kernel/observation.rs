//! One look at the kernel: its status, and the clocks read while it did not change.

use crate::machine::{NtpStatus, NtpStatusError, Sandwich, allow};
use crate::source::{LookContext, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, RateBounds, Timestamp};

/// How often a look is tried before the status counts as unsettled.
const ATTEMPTS: usize = 4;

/// A sandwich wider than this, in ns, was interrupted, unless the machine is slower than that: 300 ns
/// is usual, 80 µs where reads are syscalls.
const SANDWICH_LIMIT: i64 = 500_000;

/// How far coarse time may lag behind real time in a look: the part of `GROWTH_DELAY` that is not
/// the second itself.
const OVERDUE_LIMIT: i64 = 100_000_000;

/// Daemons truncate `maxerror` to whole microseconds.
const ROUNDING: u64 = 1_000;

/// `log2` of the PLL's gain: the kernel slews `offset / 2^(SHIFT_PLL + constant)` each second.
const SHIFT_PLL: i64 = 2;

/// The longest time constant that kernels accept (`MAXTC`).
const MAX_CONSTANT: i64 = 10;

/// One settled look: the status, and the clocks read while it did not change.
pub(super) struct Observation {
    pub(super) status: NtpStatus,
    pub(super) clocks: Sandwich,
    /// What an `adjtime` slew has yet to work off, in ns.
    adjtime_ns: u64,
    /// The tick and frequency correction in ppb.
    pub(super) adjustment_ppb: i64,
}

impl Observation {
    pub(super) fn settled(context: &LookContext<'_>) -> Result<Option<Self>, NtpStatusError> {
        let cost = i64::try_from(context.reading_cost.as_nanos()).unwrap_or(i64::MAX);
        let limit = allow(cost, SANDWICH_LIMIT);
        for _ in 0..ATTEMPTS {
            let before = context.machine.ntp_status()?;
            let sample = context.machine.sample();
            let clocks = context.machine.sandwich();
            let adjtime_us = context.machine.adjtime_remaining()?;
            let status = context.machine.ntp_status()?;
            // Coarse time and `maxerror` are moved on together. Where the processor that does it was
            // kept from running, as a virtual one may be for seconds, `maxerror` is overdue: not
            // what the predictor expects, and yet no write.
            let overdue = clocks.real.saturating_sub(sample.coarse) > OVERDUE_LIMIT;
            // An interruption in the sandwich would be charged to the claim until the next write:
            // rather see the write a little later.
            let sharp = clocks.width() <= limit;
            if before == status && !overdue && sharp {
                return Ok(Some(Self {
                    status,
                    clocks,
                    adjtime_ns: adjtime_us.unsigned_abs().saturating_mul(1_000),
                    adjustment_ppb: adjustment_ppb(&status),
                }));
            }
        }
        Ok(None)
    }

    /// Returns the phase in ns that the kernel has yet to slew, and may have slewed since the write.
    ///
    /// ClockBound and ntpd leave it out of `maxerror`. The part of it that went in the second since
    /// the write makes the factor `1 + 1 / (2^(2 + constant) − 1)`.
    ///
    /// It counts whatever the flags say: `ntp_offset_chunk` works off what is left of an offset also
    /// after a second daemon has cleared `STA_PLL`.
    pub(super) fn pending_phase(&self) -> u64 {
        let offset = self.status.offset_ns();
        let shift = SHIFT_PLL + self.status.constant.clamp(0, MAX_CONSTANT);
        offset
            .saturating_add(offset.div_ceil((1_u64 << shift) - 1))
            .saturating_add(self.adjtime_ns)
    }

    /// Returns the claim that the status makes, widened by what happened unseen.
    pub(super) fn claim(&self, context: &LookContext<'_>, unseen_ns: u64) -> Option<SyncClaim> {
        let maxerror_us = u64::try_from(self.status.maxerror).ok()?;
        let bound = ErrorBound {
            reported_ns: maxerror_us
                .saturating_mul(1_000)
                .saturating_add(self.pending_phase()),
            rounding_ns: ROUNDING,
            margin_ns: u64::try_from(context.daemon_margin.as_nanos()).unwrap_or(u64::MAX),
            deviation_ns: self.status.deviation_ns(),
            unseen_ns,
            bracket_ns: self.clocks.bracket(),
            ..ErrorBound::default()
        };
        let interval =
            Interval::around(Timestamp::from_unix_nanos(self.clocks.real), bound.total()).ok()?;
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        Some(SyncClaim {
            claim: Claim::new(self.clocks.raw, interval, rate),
            bound,
        })
    }
}

/// The tick and frequency corrections together, in ppb and rounded away from zero.
fn adjustment_ppb(status: &NtpStatus) -> i64 {
    // A tick of one µs in 10 000 is 100 ppm; `freq` counts 2⁻¹⁶ ppm.
    let tick = (i128::from(status.tick) - i128::from(NtpStatus::NOMINAL_TICK)) * 100_000;
    let sum = (tick << 16) + i128::from(status.freq) * 1_000;
    let size = i64::try_from(sum.unsigned_abs().div_ceil(1 << 16)).unwrap_or(i64::MAX);
    if sum < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_and_frequency_add_up_to_a_rate_that_is_rounded_away_from_zero() {
        for (tick, freq, ppb) in [
            (10_000, 0, 0),
            (10_000, 65_536, 1_000),
            (10_000, -65_536, -1_000),
            (10_000, 1, 1),
            (10_000, -1, -1),
            (10_001, 0, 100_000),
            (9_999, 0, -100_000),
            (10_001, -100 << 16, 0),
            (10_001, (-100 << 16) - 66, -2),
        ] {
            let status = NtpStatus {
                tick,
                freq,
                ..NtpStatus::default()
            };
            assert_eq!(adjustment_ppb(&status), ppb, "{tick} {freq}");
        }
    }
}
