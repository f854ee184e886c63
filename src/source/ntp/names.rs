//! From a server's name to the address that is asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, TryLockError};

use super::exchange::Transport;
use super::settings::Host;

/// For how long an address that refused is not asked, in ns: a day.
const DENIED_FOR: i64 = 86_400 * 1_000_000_000;

/// The end of what has none.
const FOR_GOOD: i64 = i64::MAX;

/// How many addresses of a name are remembered, and how many of them refused.
const REMEMBERED: usize = 16;

/// The addresses of one server, of which one at a time is in use.
#[derive(Debug)]
pub(super) struct Addresses {
    known: Vec<SocketAddr>,
    /// Where a thread that resolves the name puts what it found.
    found: Arc<Mutex<Option<Vec<SocketAddr>>>>,
    is_resolving: bool,
    /// Addresses that refused to serve, and until when they are not asked.
    denied: Vec<(SocketAddr, i64)>,
}

impl Addresses {
    pub(super) fn new(host: &Host) -> Self {
        let known = match host {
            Host::At(address) => vec![*address],
            Host::Named { .. } => Vec::new(),
        };
        Self {
            known,
            found: Arc::default(),
            is_resolving: false,
            denied: Vec::new(),
        }
    }

    /// Returns the address to ask: the first that does not refuse.
    ///
    /// Not another one because an answer is unwelcome: a server that is wrong is kept and named.
    pub(super) fn in_use(&self, raw: i64) -> Option<SocketAddr> {
        self.known
            .iter()
            .copied()
            .find(|address| !self.is_denied(*address, raw))
    }

    /// Returns true if this address refused to serve, and is not to be asked yet.
    pub(super) fn is_denied(&self, address: SocketAddr, raw: i64) -> bool {
        let until = self.denied.iter().find(|(denied, _)| *denied == address);
        // Noted in another time namespace if it is further ahead than it is ever set.
        until.is_some_and(|(_, until)| {
            *until == FOR_GOOD || raw < *until && until.saturating_sub(raw) <= DENIED_FOR
        })
    }

    /// Notes that this address refused to serve: for a day, and for good where that is surely its word.
    pub(super) fn deny(&mut self, address: SocketAddr, raw: i64, for_good: bool) {
        self.denied.retain(|(denied, _)| *denied != address);
        self.denied.truncate(REMEMBERED - 1);
        let until = if for_good {
            FOR_GOOD
        } else {
            raw.saturating_add(DENIED_FOR)
        };
        self.denied.insert(0, (address, until));
    }

    /// Returns true if there is nothing to ask yet.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Has the name resolved, at once or by a thread that ends when it is.
    pub(super) fn resolve(&mut self, host: &Host, transport: &Arc<dyn Transport>) {
        let Host::Named { name, port } = host else {
            return;
        };
        if self.is_resolving {
            return;
        }
        self.is_resolving = true;
        let (found, name, port) = (Arc::clone(&self.found), name.clone(), *port);
        let asked = Arc::clone(transport);
        let resolve = move || {
            // A name that cannot be resolved is one without addresses.
            let addresses = asked.resolve(&name, port).unwrap_or_default();
            if let Ok(mut found) = found.lock() {
                *found = Some(addresses);
            }
        };
        if !transport.is_concurrent() {
            resolve();
            return;
        }
        let thread = std::thread::Builder::new().name("epsilon-dns".into());
        if thread.spawn(resolve).is_err() {
            self.is_resolving = false;
        }
    }

    /// Takes over what was resolved since; returns true if a name turned out to have no address.
    pub(super) fn take_found(&mut self) -> bool {
        let found = match self.found.try_lock() {
            Ok(mut found) => found.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(mut found) = found else {
            return false;
        };
        self.is_resolving = false;
        found.truncate(REMEMBERED);
        if found.is_empty() {
            // Rather the addresses of before than none.
            return self.known.is_empty();
        }
        // The one in use stays in use where the name still has it: names of many servers are answered
        // in another order each time.
        if let Some(first) = self.known.first() {
            if let Some(place) = found.iter().position(|address| address == first) {
                found.swap(0, place);
            }
        }
        self.known = found;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_an_address_that_refuses_is_asked_again_in_a_day_and_never_where_that_is_surely_its_word()
    {
        let address: SocketAddr = "192.0.2.1:123".parse().unwrap();
        let mut addresses = Addresses::new(&Host::At(address));
        let in_use = |addresses: &Addresses, raw| addresses.in_use(raw).is_some();
        assert!(in_use(&addresses, 0));
        addresses.deny(address, 0, false);
        assert!(!in_use(&addresses, DENIED_FOR - 1) && in_use(&addresses, DENIED_FOR));
        addresses.deny(address, 0, true);
        assert!(!in_use(&addresses, 0) && !in_use(&addresses, 1_000 * DENIED_FOR));
    }
}
