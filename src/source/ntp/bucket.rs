//! The budget of requests: a bucket of tokens for each address, shared by a whole process.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, TryLockError};

const SECOND: i64 = 1_000_000_000;

/// How many requests may follow each other at once.
pub(super) const TOKENS: i64 = 4;

/// How long a token takes to come back: what ntpd and chrony ask at most by default (`minpoll 6`).
pub(super) const TOKEN_EVERY: i64 = 64 * SECOND;

/// And where the server is one's own.
pub(super) const OWN_TOKEN_EVERY: i64 = SECOND;

/// So many addresses are remembered before the ones with a full bucket are forgotten.
const REMEMBERED: usize = 256;

/// How often the budget is tried for, a tenth of a millisecond apart, before nothing is granted: in
/// a forked child it may be held for ever by a thread that is not there.
const PATIENCE: u32 = 50;

/// What a process may still ask of each server: four requests, and one more each 64 s (for a server
/// of one's own each second).
///
/// Every clock of a process draws from one budget, whatever the reason: a start, a suspend, a
/// contradiction. Nothing bypasses it.
#[derive(Debug, Default)]
pub struct Budget {
    /// The instant at which the bucket of an address is full again; by whether it is one's own.
    full_at: Mutex<BTreeMap<(SocketAddr, bool), i64>>,
}

impl Budget {
    /// Makes a budget with every bucket full.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            full_at: Mutex::new(BTreeMap::new()),
        }
    }

    /// Takes a token for a request at this instant of raw time (ns); false if there is none.
    pub(super) fn take(&self, server: SocketAddr, own: bool, raw: i64) -> bool {
        let Some(mut full_at) = self.lock_patiently() else {
            return false;
        };
        if full_at.len() > REMEMBERED {
            full_at.retain(|_, full_at| *full_at > raw);
        }
        let every = if own { OWN_TOKEN_EVERY } else { TOKEN_EVERY };
        let empty = raw.saturating_add(TOKENS * every);
        let bucket = full_at.entry((server, own)).or_insert(raw);
        // Raw time of another namespace may lie before all that was noted: an empty bucket fills
        // from there.
        *bucket = (*bucket).clamp(raw, empty);
        let after = bucket.saturating_add(every);
        let granted = after <= empty;
        if granted {
            *bucket = after;
        }
        granted
    }

    fn lock_patiently(&self) -> Option<MutexGuard<'_, BTreeMap<(SocketAddr, bool), i64>>> {
        for _ in 0..PATIENCE {
            match self.full_at.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// P6: however many ask and however often, over any stretch a server gets no more requests than
        /// its bucket held and was filled with.
        #[test]
        fn p6_no_stretch_holds_more_requests_than_the_budget(
            gaps in prop::collection::vec(0_i64..40 * SECOND, 1..300),
            own in any::<bool>(),
        ) {
            let budget = Budget::new();
            let server = "192.0.2.1:123".parse().unwrap();
            let every = if own { OWN_TOKEN_EVERY } else { TOKEN_EVERY };
            let mut raw = 0;
            let mut granted: Vec<i64> = Vec::new();
            for gap in gaps {
                raw += gap;
                if budget.take(server, own, raw) {
                    granted.push(raw);
                }
            }
            prop_assert!(!granted.is_empty());
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    let requests = i64::try_from(last - first + 1).unwrap();
                    prop_assert!(requests <= TOKENS + (to - from) / every);
                }
            }
        }
    }

    #[test]
    fn raw_time_of_another_namespace_blocks_no_server_for_ever() {
        let budget = Budget::new();
        let server = "[::1]:123".parse().unwrap();
        for _ in 0..TOKENS {
            assert!(budget.take(server, false, 1_000_000 * SECOND));
        }
        assert!(!budget.take(server, false, 0));
        assert!(budget.take(server, false, TOKEN_EVERY));
    }
}
