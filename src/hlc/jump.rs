//! The forward-jump guard: a local clock that leaps ahead shall not take the stamps along.

use core::time::Duration;

use super::error::HlcError;
use super::timestamp::HlcTimestamp;
use crate::clock::{Clock, Estimate};
use crate::primitive::{AtomicI64, Ordering};
use crate::time::Timestamp;

/// How often the clocks are read anew because the machine was suspended in the middle.
const ATTEMPTS: usize = 4;

const BILLION: i64 = 1_000_000_000;

/// Compares the clock's estimate with time that cannot be set.
///
/// Raw time is neither stepped nor slewed, but stands still in a suspend; boot less monotonic time is
/// how long that was. The estimate has jumped by what it gained over the sum of the two, beyond the
/// drift that an oscillator may have, and by no more than it would push the stamps ahead. That time
/// passes while no stamps are asked for is no jump.
///
/// The figures it compares with are renewed, one by one and without a lock, whenever the estimate has
/// strayed by half the limit for a good reason. Two threads that renew them at once have read nearly
/// the same.
#[derive(Debug)]
pub(super) struct JumpGuard {
    /// Estimate less raw time.
    raw_offset: AtomicI64,
    /// How long the machine was suspended, then.
    suspended: AtomicI64,
    /// When they were taken, in raw time.
    anchored: AtomicI64,
    /// Half the limit in ns, and the limit: what is no reason to look closer.
    slack: i64,
    twice: u64,
    limit: Option<Duration>,
    max_drift_ppb: u32,
}

/// The estimate, and how long the machine had been suspended by then.
struct Readings {
    estimate: Estimate,
    suspended: i64,
}

impl JumpGuard {
    pub(super) fn new(clock: &Clock, limit: Option<Duration>) -> Self {
        let ns = limit.map(|limit| i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX));
        let slack = ns.map_or(i64::MAX, |ns| ns / 2);
        let guard = Self {
            raw_offset: AtomicI64::new(0),
            suspended: AtomicI64::new(0),
            anchored: AtomicI64::new(0),
            slack,
            // Every difference is within the limit that there is not.
            twice: ns.map_or(u64::MAX, |_| slack.unsigned_abs() * 2),
            limit,
            max_drift_ppb: clock.max_drift_ppb(),
        };
        guard.anchor(&read(clock));
        guard
    }

    /// Returns true if the estimate strayed too little from raw time to look into.
    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "a sum that is negative shall seem huge"
    )]
    pub(super) fn is_calm(&self, best: Timestamp, raw: i64) -> bool {
        let strayed = best
            .unix_nanos()
            .wrapping_sub(raw)
            .wrapping_sub(self.raw_offset.load(Ordering::Relaxed));
        // One comparison for both ends.
        strayed.wrapping_add(self.slack) as u64 <= self.twice
    }

    /// Reads the clocks anew, and returns the estimate unless it jumped.
    #[cold]
    pub(super) fn settle(&self, clock: &Clock, last: HlcTimestamp) -> Result<Estimate, HlcError> {
        let readings = read(clock);
        let Some(limit) = self.limit else {
            return Ok(readings.estimate);
        };
        let Estimate { best, raw, .. } = readings.estimate;
        let slept = readings
            .suspended
            .saturating_sub(self.suspended.load(Ordering::Relaxed));
        let elapsed = raw.saturating_sub(self.anchored.load(Ordering::Relaxed));
        let drift = i128::from(elapsed.max(0)) * i128::from(self.max_drift_ppb);
        let drift = i64::try_from(drift / i128::from(BILLION)).unwrap_or(i64::MAX);
        let by = best
            .unix_nanos()
            .saturating_sub(raw)
            .saturating_sub(self.raw_offset.load(Ordering::Relaxed))
            .saturating_sub(slept)
            .saturating_sub(drift)
            // However far it jumped, the stamps may be ahead of it already.
            .min(best.saturating_since(last.physical()).nanos());
        let by = Duration::from_nanos(by.max(0).unsigned_abs());
        if by > limit {
            return Err(HlcError::ForwardJump { by, limit });
        }
        self.anchor(&readings);
        Ok(readings.estimate)
    }

    /// Accepts the clock as it stands.
    pub(super) fn accept(&self, clock: &Clock) {
        self.anchor(&read(clock));
    }

    fn anchor(&self, readings: &Readings) {
        let Estimate { best, raw, .. } = readings.estimate;
        self.suspended.store(readings.suspended, Ordering::Relaxed);
        self.anchored.store(raw, Ordering::Relaxed);
        self.raw_offset
            .store(best.unix_nanos().saturating_sub(raw), Ordering::Relaxed);
    }
}

fn read(clock: &Clock) -> Readings {
    let mut before = clock.clocks().boot_offset();
    let mut estimate = clock.estimate();
    for _ in 1..ATTEMPTS {
        let after = clock.clocks().boot_offset();
        if before.moved_to(&after) == 0 {
            break;
        }
        // Suspended in between: it cannot be told on which side of it the estimate was made.
        before = after;
        estimate = clock.estimate();
    }
    Readings {
        estimate,
        suspended: before.lo,
    }
}
