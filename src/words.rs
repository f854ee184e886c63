//! Writing a clock's state into the words of a slot, and reading it back.

use core::time::Duration;

use crate::machine::{Disruption, Identity, NtpStatusError, OffsetRange};
use crate::source::{
    Awaiting, ChronyRefusal, NtpRefusal, Refusal, SourceMemory, SyncClaim, Writer,
};
use crate::time::{
    CAPACITY, Claim, ErrorBound, Interval, LeapKind, LeapSecond, RateBounds, RateHistory, Timestamp,
};

/// Writes words one after the other; what does not fit any more is counted, not written.
pub(super) struct WordWriter<'a> {
    words: &'a mut [i64],
    at: usize,
}

impl<'a> WordWriter<'a> {
    pub(super) fn new(words: &'a mut [i64]) -> Self {
        Self { words, at: 0 }
    }

    pub(super) fn word(&mut self, word: i64) {
        if let Some(place) = self.words.get_mut(self.at) {
            *place = word;
        }
        self.at += 1;
    }

    pub(super) fn put(&mut self, value: &impl Words) {
        value.write(self);
    }
}

/// Reads words in the order in which they were written; zeroes follow the last one.
pub(super) struct WordReader<'a> {
    words: &'a [i64],
    at: usize,
}

impl<'a> WordReader<'a> {
    pub(super) const fn new(words: &'a [i64]) -> Self {
        Self { words, at: 0 }
    }

    pub(super) fn word(&mut self) -> i64 {
        let word = self.words.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        word
    }

    pub(super) fn take<T: Words>(&mut self) -> T {
        T::read(self)
    }
}

/// What can stand in a slot: as many words each time, whatever the value.
pub(super) trait Words {
    fn write(&self, to: &mut WordWriter<'_>);
    fn read(from: &mut WordReader<'_>) -> Self;
}

impl Words for i64 {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(*self);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        from.word()
    }
}

#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "stored bit for bit (`cast_signed` came with Rust 1.87)"
)]
impl Words for u64 {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(*self as i64);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        from.word() as u64
    }
}

impl Words for bool {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word((*self).into());
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        from.word() != 0
    }
}

impl Words for i32 {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word((*self).into());
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        // Only what `write` wrote is ever read.
        Self::try_from(from.word()).unwrap_or(0)
    }
}

impl Words for Timestamp {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(self.unix_nanos());
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self::from_unix_nanos(from.word())
    }
}

impl Words for Duration {
    fn write(&self, to: &mut WordWriter<'_>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).write(to);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self::from_nanos(from.take())
    }
}

/// `Option` of anything that has a blank value to stand for `None`.
impl<T: Words + Blank> Words for Option<T> {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.is_some());
        match self {
            Some(value) => to.put(value),
            None => to.put(&T::BLANK),
        }
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        let present: bool = from.take();
        let value = from.take();
        present.then_some(value)
    }
}

/// A value that takes a missing one's place.
pub(super) trait Blank {
    const BLANK: Self;
}

impl Blank for Timestamp {
    const BLANK: Self = Self::UNIX_EPOCH;
}

impl Blank for i64 {
    const BLANK: Self = 0;
}

const BLANK_INTERVAL: Interval = Interval::point(Timestamp::UNIX_EPOCH);

impl Blank for LeapSecond {
    const BLANK: Self = Self {
        boundary: Timestamp::UNIX_EPOCH,
        kind: LeapKind::Inserted,
    };
}

impl Words for LeapSecond {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.boundary);
        to.put(&matches!(self.kind, LeapKind::Deleted));
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        let boundary = from.take();
        let kind = if from.take() {
            LeapKind::Deleted
        } else {
            LeapKind::Inserted
        };
        Self { boundary, kind }
    }
}

impl Blank for RateBounds {
    const BLANK: Self = Self::symmetric(0);
}

impl Words for RateBounds {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.lo_ppb());
        to.put(&self.hi_ppb());
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        // Only what `write` wrote is ever read, so the bounds are in order.
        Self::new(from.take(), from.take()).unwrap_or(Self::BLANK)
    }
}

impl Words for RateHistory {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(i64::try_from(self.len).unwrap_or(0));
        to.put(&self.bounds);
        for claim in &self.claims {
            to.put(claim);
        }
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        let len = usize::try_from(from.word()).unwrap_or(0);
        Self {
            bounds: from.take(),
            claims: core::array::from_fn(|_| from.take()),
            len: len.min(CAPACITY),
        }
    }
}

impl Blank for Claim {
    const BLANK: Self = Self::new(0, BLANK_INTERVAL, RateBounds::symmetric(0));
}

impl Words for Claim {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(self.raw());
        to.put(&self.interval().earliest());
        to.put(&self.interval().latest());
        to.put(&self.rate());
        to.put(&self.leap());
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        let raw = from.word();
        // Only what `write` wrote is ever read, so the ends are in order.
        let interval = Interval::new(from.take(), from.take()).unwrap_or(BLANK_INTERVAL);
        Self::new(raw, interval, from.take()).with_leap(from.take())
    }
}

impl Words for ErrorBound {
    fn write(&self, to: &mut WordWriter<'_>) {
        for (_, ns) in self.items() {
            to.put(&ns);
        }
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            reported_ns: from.take(),
            rounding_ns: from.take(),
            margin_ns: from.take(),
            unseen_ns: from.take(),
            bracket_ns: from.take(),
            drift_ns: from.take(),
            assumed_ns: from.take(),
        }
    }
}

impl Blank for SyncClaim {
    const BLANK: Self = Self {
        claim: Claim::BLANK,
        bound: ErrorBound {
            reported_ns: 0,
            rounding_ns: 0,
            margin_ns: 0,
            unseen_ns: 0,
            bracket_ns: 0,
            drift_ns: 0,
            assumed_ns: 0,
        },
    };
}

impl Words for SyncClaim {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.claim);
        to.put(&self.bound);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            claim: from.take(),
            bound: from.take(),
        }
    }
}

impl Words for OffsetRange {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(self.lo);
        to.word(self.hi);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            lo: from.word(),
            hi: from.word(),
        }
    }
}

impl Words for Identity {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(self.pid.into());
        to.put(&self.time_namespace);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            // Only what `write` wrote is ever read.
            pid: u32::try_from(from.word()).unwrap_or(0),
            time_namespace: from.take(),
        }
    }
}

impl Words for Disruption {
    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.marker);
        to.put(&self.generation);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            marker: from.take(),
            generation: from.take(),
        }
    }
}

impl Words for SourceMemory {
    fn write(&self, to: &mut WordWriter<'_>) {
        for word in self.words {
            to.word(word);
        }
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        Self {
            words: core::array::from_fn(|_| from.word()),
        }
    }
}

impl Words for Option<Refusal> {
    fn write(&self, to: &mut WordWriter<'_>) {
        let (kind, first, second) = match *self {
            None => (0, 0, 0),
            Some(Refusal::Unsynchronized { maxerror_us }) => (1, maxerror_us, 0),
            Some(Refusal::UnsyncFlag { maxerror_us }) => (2, maxerror_us, 0),
            Some(Refusal::NoBound {
                writer,
                maxerror_us,
                esterror_us,
            }) => {
                let kind = match writer {
                    Writer::Timesyncd => 3,
                    Writer::NtpdStarting => 4,
                    Writer::PtpOrOpenntpd => 5,
                };
                (kind, maxerror_us, esterror_us)
            }
            Some(Refusal::Status(NtpStatusError::Refused { errno })) => (6, errno.into(), 0),
            Some(Refusal::Status(NtpStatusError::Unsupported)) => (7, 0, 0),
            Some(Refusal::AwaitingWrite { because }) => {
                let (kind, figure) = Awaiting::to_words(Some(because));
                (8, kind, figure)
            }
            Some(Refusal::Chrony(refusal)) => {
                let (kind, figure) = refusal.to_words();
                (9, kind, figure)
            }
            Some(Refusal::Ntp(refusal)) => {
                let (kind, figure) = refusal.to_words();
                (10, kind, figure)
            }
        };
        to.word(kind);
        to.word(first);
        to.word(second);
    }

    fn read(from: &mut WordReader<'_>) -> Self {
        let (kind, first, second) = (from.word(), from.word(), from.word());
        let no_bound = |writer| Refusal::NoBound {
            writer,
            maxerror_us: first,
            esterror_us: second,
        };
        Some(match kind {
            1 => Refusal::Unsynchronized { maxerror_us: first },
            2 => Refusal::UnsyncFlag { maxerror_us: first },
            3 => no_bound(Writer::Timesyncd),
            4 => no_bound(Writer::NtpdStarting),
            5 => no_bound(Writer::PtpOrOpenntpd),
            6 => Refusal::Status(NtpStatusError::Refused {
                // Only what `write` wrote is ever read.
                errno: i32::try_from(first).unwrap_or(0),
            }),
            7 => Refusal::Status(NtpStatusError::Unsupported),
            8 => Refusal::AwaitingWrite {
                because: Awaiting::from_words(first, second)?,
            },
            9 => Refusal::Chrony(ChronyRefusal::from_words(first, second)),
            10 => Refusal::Ntp(NtpRefusal::from_words(first, second)),
            _ => return None,
        })
    }
}
