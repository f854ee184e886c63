//! What is remembered from one look at the servers' replies to the next.

use crate::source::SourceMemory;
use crate::time::{Interval, LeapKind, LeapSecond, Timestamp};

/// How many servers there is room for.
pub(super) const MAX_SERVERS: usize = 8;

/// What is remembered between two looks; all of it is forgotten at a void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    /// Exchanges count if they began after this instant of raw time.
    pub(super) barrier: i64,
    /// Raw time when the mailbox was last looked into.
    pub(super) opened: i64,
    /// The newest exchange, by its serial number, that had a part in the last claim.
    pub(super) written: u64,
    /// The last claim, and the raw instant that it is about.
    pub(super) claim: Option<(i64, Interval)>,
    /// The leap second that enough servers announced, until an hour after it.
    pub(super) leap: Option<LeapSecond>,
    /// For each server the exchange, by its serial number, of before which all are dropped; 0 if
    /// none are.
    pub(super) floors: [u64; MAX_SERVERS],
}

impl Remembered {
    /// Returns what a first look knows, or the first one after a void.
    pub(super) const fn first(barrier: i64, opened: i64) -> Self {
        Self {
            barrier,
            opened,
            written: 0,
            claim: None,
            leap: None,
            floors: [0; MAX_SERVERS],
        }
    }

    /// Returns `None` before the first look, and after a void.
    pub(super) fn load(memory: &SourceMemory) -> Option<Self> {
        let [
            flags,
            barrier,
            opened,
            written,
            claimed_at,
            earliest,
            latest,
            boundary,
            floors @ ..,
        ] = memory.words;
        let is_set = |flag: i64| flags & flag != 0;
        let at = Timestamp::from_unix_nanos;
        let kind = if is_set(DELETED) {
            LeapKind::Deleted
        } else {
            LeapKind::Inserted
        };
        let interval = Interval::new(at(earliest), at(latest)).ok();
        let serial = |word: i64| u64::try_from(word).unwrap_or(0);
        is_set(PRESENT).then_some(Self {
            barrier,
            opened,
            written: serial(written),
            claim: interval
                .filter(|_| is_set(CLAIMED))
                .map(|interval| (claimed_at, interval)),
            leap: is_set(LEAP).then_some(LeapSecond {
                boundary: at(boundary),
                kind,
            }),
            floors: floors.map(serial),
        })
    }

    pub(super) fn store(&self) -> SourceMemory {
        let word = |serial: u64| i64::try_from(serial).unwrap_or(i64::MAX);
        let mut flags = PRESENT;
        let (claimed_at, earliest, latest) = match self.claim {
            None => (0, 0, 0),
            Some((raw, interval)) => {
                flags |= CLAIMED;
                let (earliest, latest) = (interval.earliest(), interval.latest());
                (raw, earliest.unix_nanos(), latest.unix_nanos())
            }
        };
        let boundary = match self.leap {
            None => 0,
            Some(leap) => {
                flags |= LEAP;
                if leap.kind == LeapKind::Deleted {
                    flags |= DELETED;
                }
                leap.boundary.unix_nanos()
            }
        };
        let [a, b, c, d, e, f, g, h] = self.floors.map(word);
        SourceMemory {
            words: [
                flags,
                self.barrier,
                self.opened,
                word(self.written),
                claimed_at,
                earliest,
                latest,
                boundary,
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
            ],
        }
    }
}

const PRESENT: i64 = 1;
const CLAIMED: i64 = 2;
const LEAP: i64 = 4;
const DELETED: i64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back() {
        assert_eq!(Remembered::load(&SourceMemory::default()), None);
        let first = Remembered::first(i64::MIN, 7);
        assert_eq!(Remembered::load(&first.store()), Some(first));
        for kind in [LeapKind::Inserted, LeapKind::Deleted] {
            let at = Timestamp::from_unix_nanos;
            let whole = Remembered {
                barrier: 1,
                opened: 2,
                written: 3,
                claim: Some((4, Interval::new(at(5), at(6)).unwrap())),
                leap: Some(LeapSecond {
                    boundary: at(7),
                    kind,
                }),
                floors: [8, 9, 10, 11, 12, 13, 14, 15],
            };
            assert_eq!(Remembered::load(&whole.store()), Some(whole));
        }
    }
}
