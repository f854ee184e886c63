//! How far a line leads: the one product that every reading waits for.

use crate::clock::latch::anchor::FRACTION;

const LIFT: u32 = u64::BITS - FRACTION;

/// Returns how far a slope leads in so many units, in ns rounded down.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the upper half of a product"
)]
pub(super) fn moved_down(elapsed: i64, slope: u64) -> u64 {
    (product(elapsed, slope) >> u64::BITS) as u64
}

/// As [`moved_down`], rounded up.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "both halves of a product")]
pub(super) fn moved_up(elapsed: i64, slope: u64) -> u64 {
    let moved = product(elapsed, slope);
    (moved >> u64::BITS) as u64 + u64::from(moved as u64 != 0)
}

#[inline]
#[allow(
    clippy::cast_sign_loss,
    reason = "what has elapsed is never negative, and no longer than there is room for"
)]
fn product(elapsed: i64, slope: u64) -> u128 {
    u128::from((elapsed as u64) << LIFT) * u128::from(slope)
}
