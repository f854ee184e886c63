//! What the kernel knows of leap seconds, and when it must not be asked.

use super::predictor::Baseline;
use super::seen::Seen;
use crate::machine::NtpStatus;
use crate::source::LeapNotice;
use crate::time::{LeapKind, LeapSecond, Timestamp};
use crate::words::words_struct;

const SECOND: i64 = 1_000_000_000;

const DAY: i64 = 86_400 * SECOND;

/// How near a leap second makes every reading of the kernel's clock ambiguous.
const LEAP_VICINITY: i64 = 2 * SECOND;

/// The leap flags, and which of them mean nothing any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeapFlags {
    /// `STA_INS` and `STA_DEL` as last seen.
    pub(super) set: i32,
    /// Those of them that belong to a leap second which is over: daemons leave them set.
    pub(super) stale: i32,
}

words_struct!(LeapFlags { set, stale });

impl LeapFlags {
    pub(super) fn after(self, seen: &Seen, baseline: Option<&Baseline>) -> Self {
        let set = seen.status.status & (NtpStatus::STA_INS | NtpStatus::STA_DEL);
        let crossed_midnight =
            baseline.is_some_and(|b| b.real.div_euclid(DAY) < seen.clocks.real.div_euclid(DAY));
        let stale = if seen.status.state == NtpStatus::TIME_WAIT {
            set
        } else if crossed_midnight {
            set & self.set
        } else {
            set & self.stale
        };
        Self { set, stale }
    }

    /// The leap second that flags alone announce, where the state is hidden by `TIME_ERROR`.
    const fn announced(self) -> Option<LeapKind> {
        match self.set & !self.stale {
            NtpStatus::STA_INS => Some(LeapKind::Inserted),
            NtpStatus::STA_DEL => Some(LeapKind::Deleted),
            _ => None,
        }
    }
}

/// What to tell of leap seconds; `before` are the flags of the last look, `flags` those of this one.
pub(super) fn leap_notice(
    seen: &Seen,
    baseline: Option<&Baseline>,
    before: LeapFlags,
    flags: LeapFlags,
) -> LeapNotice {
    let pending = match seen.status.state {
        NtpStatus::TIME_INS => Some(LeapKind::Inserted),
        NtpStatus::TIME_DEL => Some(LeapKind::Deleted),
        NtpStatus::TIME_ERROR => flags.announced(),
        _ => None,
    };
    let day = seen.clocks.real.div_euclid(DAY);
    if pending.is_some() && seen.clocks.real.rem_euclid(DAY) <= LEAP_VICINITY {
        // The kernel leaps a tick or two late, so this may be the last midnight's leap second as
        // well as the next one's.
        return LeapNotice::None;
    }
    if let Some(kind) = pending {
        // The kernel acts at the end of the UTC day in which the flag is set, whichever it is.
        return leap_at(day.saturating_add(1), kind).map_or(LeapNotice::None, LeapNotice::Pending);
    }
    baseline
        .and_then(|baseline| leap_passed(seen, baseline, before))
        .and_then(|kind| leap_at(day, kind))
        .map_or(LeapNotice::None, LeapNotice::Passed)
}

fn leap_at(day: i64, kind: LeapKind) -> Option<LeapSecond> {
    let boundary = Timestamp::from_unix_nanos(day.checked_mul(DAY)?);
    Some(LeapSecond { boundary, kind })
}

/// Whether the kernel's clock is about to leap, is leaping or has just leapt.
pub(super) fn near_leap(seen: &Seen, leap: LeapNotice, flags: LeapFlags) -> bool {
    let flagged = flags.announced().is_some();
    let since_midnight = seen.clocks.real.rem_euclid(DAY);
    let just_after_midnight = since_midnight <= LEAP_VICINITY;
    match (leap, seen.status.state) {
        (_, NtpStatus::TIME_OOP) => true,
        // Late to leap.
        (_, NtpStatus::TIME_INS | NtpStatus::TIME_DEL) if just_after_midnight => true,
        (_, NtpStatus::TIME_ERROR) if just_after_midnight && flagged => true,
        (LeapNotice::Pending(_), _) => DAY - since_midnight <= LEAP_VICINITY,
        (LeapNotice::Passed(_), _) | (_, NtpStatus::TIME_WAIT) => just_after_midnight,
        (LeapNotice::None, _) => false,
    }
}

/// The leap second that explains a jump of real time by a second since the last look: one that
/// was announced, or that the kernel's state or TAI offset tells of.
fn leap_passed(seen: &Seen, baseline: &Baseline, flags: LeapFlags) -> Option<LeapKind> {
    if baseline.real.div_euclid(DAY) >= seen.clocks.real.div_euclid(DAY) {
        return None;
    }
    let moved = baseline.real_offset.moved_to(&seen.clocks.real_offset());
    let kind = if moved.saturating_add(SECOND).abs() < SECOND / 2 {
        LeapKind::Inserted
    } else if moved.saturating_sub(SECOND).abs() < SECOND / 2 {
        LeapKind::Deleted
    } else {
        return None;
    };
    let tai_step = match kind {
        LeapKind::Inserted => 1,
        LeapKind::Deleted => -1,
    };
    let told = seen.status.state == NtpStatus::TIME_WAIT
        || i64::from(seen.status.tai) == baseline.tai.saturating_add(tai_step)
        || flags.announced() == Some(kind);
    told.then_some(kind)
}
