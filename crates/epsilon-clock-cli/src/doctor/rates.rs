//! What the page and its advice both need to know of rates.

use epsilon_clock::Status;
use epsilon_clock::machine::NtpStatus;

/// Bounds what an oscillator may run off, in ppm: the crate's default (assumption A1).
pub(super) const MAX_DRIFT_PPM: u64 = 200;

/// Returns how much faster the kernel lets its clock run than the oscillator.
pub(super) fn correction_ppb(kernel: &NtpStatus) -> i64 {
    // `freq` counts 2⁻¹⁶ ppm, a tick of 10 000 µs more or less is 100 ppm.
    let ticks = kernel.tick.saturating_sub(NtpStatus::NOMINAL_TICK);
    let freq = kernel.freq.saturating_mul(1000) >> 16;
    ticks.saturating_mul(100_000).saturating_add(freq)
}

/// Returns by how much epsilon grows, in ns a second: half of what is left open for the rate.
pub(super) fn drift_ppb(status: &Status) -> u64 {
    let open = status.rate.map(|rate| {
        let ends = i64::from(rate.hi_ppb()) - i64::from(rate.lo_ppb());
        ends.unsigned_abs().div_ceil(2)
    });
    open.unwrap_or(MAX_DRIFT_PPM * 1000)
}
