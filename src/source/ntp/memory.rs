//! What is remembered from one look at the servers' replies to the next.

use crate::time::{Interval, LeapSecond};
use crate::words::words_struct;

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
    /// The number of the bounds on the rate in force, which changes when they are forgotten, and the raw
    /// instant when that was last seen: exchanges of before are carried at the guess.
    pub(super) rate_serial: u64,
    pub(super) unlearned_at: i64,
    /// For each server the exchange, by its serial number, of before which all are dropped; 0 if
    /// none are.
    pub(super) floors: [u64; MAX_SERVERS],
}

impl Remembered {
    /// Returns what a first look knows, or the first one after a void.
    pub(super) const fn first(barrier: i64, opened: i64, rate_serial: u64) -> Self {
        Self {
            barrier,
            opened,
            written: 0,
            claim: None,
            leap: None,
            rate_serial,
            unlearned_at: i64::MIN,
            floors: [0; MAX_SERVERS],
        }
    }
}

words_struct!(Remembered {
    barrier,
    opened,
    written,
    claim,
    leap,
    rate_serial,
    unlearned_at,
    floors
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMemory;
    use crate::time::{LeapKind, Timestamp};

    #[test]
    fn what_is_remembered_comes_back() {
        let mut memory = SourceMemory::default();
        assert_eq!(memory.load::<Remembered>(), None);
        let first = Remembered::first(i64::MIN, 7, 3);
        memory.store(&first);
        assert_eq!(memory.load(), Some(first));
        for kind in [LeapKind::Inserted, LeapKind::Deleted] {
            let at = Timestamp::from_unix_nanos;
            let boundary = at(7);
            let whole = Remembered {
                barrier: 1,
                opened: 2,
                written: 3,
                claim: Some((4, Interval::new(at(5), at(6)).unwrap())),
                leap: Some(LeapSecond { boundary, kind }),
                rate_serial: 16,
                unlearned_at: 17,
                floors: [8, 9, 10, 11, 12, 13, 14, 15],
            };
            memory.store(&whole);
            assert_eq!(memory.load(), Some(whole));
        }
    }
}
