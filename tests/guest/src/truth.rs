//! True time as the guest defines it: raw time, from an instant that was set by hand.

use epsilon_clock::time::{LeapKind, LeapSecond};

use crate::host::clock_nanos;

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000 * MS;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// What UTC truly is, on the axis that stands still during an inserted second and jumps over a
/// deleted one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// The raw instant at which UTC was `utc`.
    raw: i64,
    utc: i64,
    /// How much faster than raw time true time runs.
    rate_ppb: i64,
    leap: Option<LeapSecond>,
}

impl Truth {
    /// From now on true time runs off raw time by `rate_ppb`, and is `ahead` of real time now.
    pub(crate) fn from_now(ahead: i64, rate_ppb: i64) -> Self {
        let (raw, real) = raw_and_real();
        Self {
            raw,
            utc: real + ahead,
            rate_ppb,
            leap: None,
        }
    }

    pub(crate) fn with_leap(self, leap: LeapSecond) -> Self {
        Self {
            leap: Some(leap),
            ..self
        }
    }

    /// UTC at a raw instant, had there been no leap second.
    pub(crate) fn counted_at(&self, raw: i64) -> i64 {
        let elapsed = i128::from(raw - self.raw);
        let drift = elapsed * i128::from(self.rate_ppb) / 1_000_000_000;
        self.utc + i64::try_from(elapsed + drift).expect("a test is short")
    }

    /// UTC at a raw instant.
    pub(crate) fn at(&self, raw: i64) -> i64 {
        let counted = self.counted_at(raw);
        let Some(leap) = self.leap else {
            return counted;
        };
        let boundary = leap.boundary.unix_nanos();
        match leap.kind {
            LeapKind::Inserted if counted < boundary => counted,
            LeapKind::Inserted => boundary.max(counted - SECOND),
            LeapKind::Deleted if counted < boundary - SECOND => counted,
            LeapKind::Deleted => counted + SECOND,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.at(raw_now())
    }

    /// UTC at a raw instant as POSIX counts it: an inserted second repeats the one before it.
    pub(crate) fn posix_at(&self, raw: i64) -> i64 {
        let monotone = self.at(raw);
        let Some(LeapSecond { boundary, kind }) = self.leap else {
            return monotone;
        };
        let boundary = boundary.unix_nanos();
        if kind == LeapKind::Inserted && monotone == boundary {
            self.counted_at(raw) - SECOND
        } else {
            monotone
        }
    }

    /// How far real time is ahead of true time now.
    pub(crate) fn error_of_real(&self) -> i64 {
        let (raw, real) = raw_and_real();
        real - self.posix_at(raw)
    }
}

pub(crate) fn raw_now() -> i64 {
    clock_nanos(libc::CLOCK_MONOTONIC_RAW)
}

/// Both clocks as of one instant, to within some tens of µs: the best of a few tries.
fn raw_and_real() -> (i64, i64) {
    let tries = (0..8).map(|_| {
        let before = raw_now();
        let real = clock_nanos(libc::CLOCK_REALTIME);
        let after = raw_now();
        (after - before, before + (after - before) / 2, real)
    });
    let (_, raw, real) = tries.min().expect("eight tries");
    (raw, real)
}
