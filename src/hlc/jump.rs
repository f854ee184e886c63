//! The forward-jump guard: a local clock that leaps ahead shall not take the stamps along.

use core::time::Duration;

use super::error::HlcError;
use super::record::{Figures, Kept, Place};
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
/// There are two anchors. Until the estimate is first vouched for, it is compared with what the machine
/// believed by itself; from then on, for good, with what was vouched for. A machine whose clock was
/// never right is set by its daemon at some time: to refuse that would be to refuse the first true time.
///
/// The figures of an anchor are renewed, one by one and without a lock, whenever the estimate has
/// strayed by half the limit for a good reason. Two threads that renew them at once have read nearly
/// the same. A reading from before the first vouched one can only renew the first anchor, so that it
/// cannot undo the second one however late it is.
#[derive(Debug)]
pub(super) struct JumpGuard {
    unvouched: Anchor,
    vouched: Anchor,
    /// Half the limit in ns, and the limit: what is no reason to look closer.
    slack: i64,
    twice: u64,
    limit: Option<Duration>,
    max_drift_ppb: u32,
    /// Where raw time counts on after a restart, if that is known and asked for.
    place: Option<Place>,
}

/// What estimates are compared with.
#[derive(Debug)]
struct Anchor {
    /// Estimate less raw time; [`NOWHERE`] if the anchor was not dropped yet. Written last.
    raw_offset: AtomicI64,
    /// How long the machine was suspended, then.
    suspended: AtomicI64,
    /// When they were taken, in raw time.
    raw: AtomicI64,
}

/// No offset: an estimate less raw time is above it.
const NOWHERE: i64 = i64::MIN;

/// What UTC may gain where it deletes a leap second.
const SECOND: i64 = BILLION;
const DAY: i64 = 86_400 * SECOND;

impl Anchor {
    fn nowhere() -> Self {
        Self {
            raw_offset: AtomicI64::new(NOWHERE),
            suspended: AtomicI64::new(0),
            raw: AtomicI64::new(0),
        }
    }

    fn drop_at(&self, figures: Figures) {
        self.suspended.store(figures.suspended, Ordering::Relaxed);
        self.raw.store(figures.raw, Ordering::Relaxed);
        // Who finds the offset finds an anchor with all its figures.
        let raw_offset = figures.raw_offset.max(NOWHERE + 1);
        self.raw_offset.store(raw_offset, Ordering::Release);
    }

    fn figures(&self) -> Option<Figures> {
        let raw_offset = self.raw_offset.load(Ordering::Acquire);
        (raw_offset != NOWHERE).then(|| Figures {
            raw: self.raw.load(Ordering::Relaxed),
            suspended: self.suspended.load(Ordering::Relaxed),
            raw_offset,
        })
    }
}

/// The estimate, and how long the machine had been suspended by then.
struct Readings {
    estimate: Estimate,
    suspended: i64,
}

impl Readings {
    fn figures(&self) -> Figures {
        let Estimate { best, raw, .. } = self.estimate;
        Figures {
            raw,
            suspended: self.suspended,
            raw_offset: best.unix_nanos().saturating_sub(raw),
        }
    }

    fn is_vouched(&self) -> bool {
        self.estimate.interval.is_ok()
    }
}

impl JumpGuard {
    /// Creates a guard that starts from the clock as it is.
    pub(super) fn new(clock: &Clock, limit: Option<Duration>) -> Self {
        let ns = limit.map(|limit| i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX));
        let slack = ns.map_or(i64::MAX, |ns| ns / 2);
        let guard = Self {
            unvouched: Anchor::nowhere(),
            vouched: Anchor::nowhere(),
            slack,
            // Every difference is within the limit that there is not.
            twice: ns.map_or(u64::MAX, |_| slack.unsigned_abs() * 2),
            limit,
            max_drift_ppb: clock.max_drift_ppb(),
            place: None,
        };
        guard.anchor(&read(clock));
        guard
    }

    /// Creates a guard that goes on from an earlier process's, if that was of this boot.
    pub(super) fn resumed(clock: &Clock, limit: Option<Duration>, from: Option<Kept>) -> Self {
        let time_namespace = clock.identity().time_namespace;
        let boot_id = clock.boot_id().filter(|boot_id| *boot_id != 0);
        let place = boot_id.map(|boot_id| Place {
            boot_id,
            time_namespace,
        });
        let new = Self {
            place,
            ..Self::new(clock, limit)
        };
        // Raw time of another boot, or of another namespace, says nothing about this one.
        let from = from.filter(|kept| place == Some(kept.place));
        match from.filter(|kept| kept.figures.raw <= clock.clocks().raw) {
            None => new,
            Some(kept) => {
                let (unvouched, vouched) = (Anchor::nowhere(), Anchor::nowhere());
                let anchor = if kept.vouched { &vouched } else { &unvouched };
                anchor.drop_at(kept.figures);
                Self {
                    unvouched,
                    vouched,
                    ..new
                }
            }
        }
    }

    /// Returns what a guard to come shall compare with, where raw time goes on in it.
    pub(super) fn kept(&self) -> Option<Kept> {
        let place = self.place?;
        let vouched = self.vouched.figures();
        Some(Kept {
            place,
            vouched: vouched.is_some(),
            figures: vouched.or_else(|| self.unvouched.figures())?,
        })
    }

    /// Returns true if a vouched estimate strayed too little from raw time to look into.
    #[inline]
    pub(super) fn is_calm(&self, best: Timestamp, raw: i64) -> bool {
        // The first estimate that is vouched for is far from `NOWHERE`, and so looked into.
        self.is_near(&self.vouched, best, raw)
    }

    /// Returns true if an estimate of either kind gives no reason to look into it.
    pub(super) fn is_settled(&self, estimate: &Estimate) -> bool {
        let Estimate {
            best,
            raw,
            ref interval,
        } = *estimate;
        if self.vouched.raw_offset.load(Ordering::Acquire) != NOWHERE {
            return self.is_near(&self.vouched, best, raw);
        }
        interval.is_err() && self.is_near(&self.unvouched, best, raw)
    }

    #[inline]
    #[allow(
        clippy::cast_sign_loss,
        reason = "a sum that is negative shall seem huge"
    )]
    fn is_near(&self, anchor: &Anchor, best: Timestamp, raw: i64) -> bool {
        let strayed = best
            .unix_nanos()
            .wrapping_sub(raw)
            .wrapping_sub(anchor.raw_offset.load(Ordering::Relaxed));
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
        let from = match self.vouched.figures() {
            Some(figures) => figures,
            // The first estimate that is vouched for, wherever it is: what the machine believed
            // before has no say in it.
            None if readings.is_vouched() => {
                self.anchor(&readings);
                return Ok(readings.estimate);
            }
            None => self.unvouched.figures().unwrap_or(readings.figures()),
        };
        let Estimate { best, raw, .. } = readings.estimate;
        let elapsed = raw.saturating_sub(from.raw);
        let drift = i128::from(elapsed.max(0)) * i128::from(self.max_drift_ppb);
        let drift = i64::try_from(drift / i128::from(BILLION)).unwrap_or(i64::MAX);
        let by = readings
            .figures()
            .raw_offset
            .saturating_sub(from.raw_offset)
            .saturating_sub(readings.suspended.saturating_sub(from.suspended))
            .saturating_sub(drift)
            .saturating_sub(deleted_second(&readings, &from))
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
        let vouched = readings.is_vouched() || self.vouched.figures().is_some();
        let anchor = if vouched {
            &self.vouched
        } else {
            &self.unvouched
        };
        anchor.drop_at(readings.figures());
    }
}

fn deleted_second(readings: &Readings, from: &Figures) -> i64 {
    // Across a deleted leap second the estimate gains a second that never elapsed, half of it as
    // soon as the interval reaches over the boundary. Only where the clock vouches for it: it has
    // weighed by then whether the leap was announced, and gives no interval after an unexplained
    // second.
    let day = |instant: i64| instant.div_euclid(DAY);
    let then = from.raw_offset.saturating_add(from.raw);
    let now = readings.estimate.best.unix_nanos();
    // The second before a midnight is the one that may be deleted.
    let crossed = day(now.saturating_add(SECOND)) > day(then);
    if readings.is_vouched() && crossed {
        SECOND
    } else {
        0
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
