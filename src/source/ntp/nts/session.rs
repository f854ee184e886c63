//! What is left of a key exchange: cookies, each for one request, and when there have to be new keys.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, TryLockError};

use super::super::exchange::Transport;
use super::super::refusal::NtsRefusal;
use super::super::settings::Host;
use super::extension::{Envelope, NONCE_LEN, UNIQUE_LEN};
use super::key_exchange::{self, Agreement, Plan};
use super::keys::Keys;
use super::trust::Settings;
use crate::time::Timestamp;

/// How many cookies are kept (RFC 8915, section 5.7).
const POOL: usize = 8;

const SECOND: i64 = 1_000_000_000;

/// How long a key exchange is not repeated, in ns; doubled with each that fails. A reply that no key
/// signed may ask for a new one, so this bounds what its sender can bring about.
const LEAST_WAIT: i64 = 64 * SECOND;
const LONGEST_WAIT: i64 = 1_024 * SECOND;

/// An exchange that has not ended after this long, in ns, never will: its thread was another process's.
const LOST_AFTER: i64 = 120 * SECOND;

/// One server's keys and cookies.
#[derive(Debug)]
pub(in crate::source::ntp) struct Session {
    host: Host,
    settings: Settings,
    own: bool,
    agreed: Option<(Keys, SocketAddr)>,
    cookies: VecDeque<Vec<u8>>,
    /// Where the thread that exchanges keys puts what came of it.
    found: Found,
    /// When the exchange under way began, in ns of raw time.
    exchanging: Option<i64>,
    next_at: i64,
    failures: u32,
    refusal: Option<NtsRefusal>,
}

type Found = Arc<Mutex<Option<Result<Agreement, NtsRefusal>>>>;

impl Session {
    pub(in crate::source::ntp) fn new(
        host: &Host,
        settings: &Settings,
        own: bool,
        raw: i64,
    ) -> Self {
        Self {
            host: host.clone(),
            settings: settings.clone(),
            own,
            agreed: None,
            cookies: VecDeque::new(),
            found: Arc::default(),
            exchanging: None,
            next_at: raw,
            failures: 0,
            refusal: None,
        }
    }

    /// Returns why there are no keys, if the last exchange of keys failed.
    pub(in crate::source::ntp) const fn refusal(&self) -> Option<NtsRefusal> {
        self.refusal
    }

    /// Takes over what an exchange of keys came to, and begins one if it is time.
    pub(in crate::source::ntp) fn renew(
        &mut self,
        raw: i64,
        utc: Timestamp,
        transport: &Arc<dyn Transport>,
    ) {
        self.take_found();
        let under_way = self
            .exchanging
            .is_some_and(|since| (0..LOST_AFTER).contains(&raw.saturating_sub(since)));
        // Further ahead than it is ever set: noted in another time namespace.
        let waits = self.next_at.saturating_sub(raw);
        if !self.cookies.is_empty() || under_way || (1..=LONGEST_WAIT).contains(&waits) {
            return;
        }
        let wait = LEAST_WAIT << self.failures.min(4);
        self.next_at = raw.saturating_add(wait.min(LONGEST_WAIT));
        self.exchanging = Some(raw);
        let plan = Plan {
            host: self.host.clone(),
            settings: self.settings.clone(),
            own: self.own,
            raw,
            utc,
        };
        let (found, asked) = (Arc::clone(&self.found), Arc::clone(transport));
        let exchange = move || {
            let outcome = key_exchange::run(&plan, asked.as_ref());
            if let Ok(mut found) = found.lock() {
                *found = Some(outcome);
            }
        };
        if !transport.is_concurrent() {
            exchange();
            self.take_found();
        } else if crate::machine::spawn("epsilon-nts", exchange).is_err() {
            self.exchanging = None;
        }
    }

    fn take_found(&mut self) {
        let found = match self.found.try_lock() {
            Ok(mut found) => found.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        match found {
            None => {}
            Some(Ok(agreement)) => {
                self.exchanging = None;
                self.refusal = None;
                self.failures = 0;
                self.agreed = Some((agreement.keys, agreement.address));
                self.cookies.clear();
                self.put(agreement.cookies);
            }
            Some(Err(refusal)) => {
                self.exchanging = None;
                self.refusal = Some(refusal);
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// Returns where the server is, while there is a cookie to ask it with.
    pub(in crate::source::ntp) fn address(&self) -> Option<SocketAddr> {
        let (_, address) = self.agreed.as_ref()?;
        (!self.cookies.is_empty()).then_some(*address)
    }

    /// Takes a cookie for one request, which asks for as many as are missing.
    pub(in crate::source::ntp) fn envelope(
        &mut self,
        transport: &dyn Transport,
    ) -> Option<Envelope> {
        let (keys, _) = self.agreed.as_ref()?;
        let unique = random::<UNIQUE_LEN>(transport)?;
        let nonce = random::<NONCE_LEN>(transport)?;
        // The oldest: it is the first that its server forgets.
        let cookie = self.cookies.pop_front()?;
        let more = POOL - 1 - self.cookies.len().min(POOL - 1);
        Some(Envelope::new(keys.clone(), cookie, unique, nonce, more))
    }

    /// Keeps the cookies of an authentic reply.
    pub(in crate::source::ntp) fn put(&mut self, cookies: Vec<Vec<u8>>) {
        let room = POOL.saturating_sub(self.cookies.len());
        self.cookies.extend(cookies.into_iter().take(room));
    }

    /// Gives up the cookies: the server does not know them any more, or some stranger says so.
    pub(in crate::source::ntp) fn give_up_cookies(&mut self) {
        self.cookies.clear();
    }
}

fn random<const N: usize>(transport: &dyn Transport) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for word in bytes.chunks_mut(8) {
        let drawn = transport.random_bits().ok()?.to_be_bytes();
        for (place, byte) in word.iter_mut().zip(drawn) {
            *place = byte;
        }
    }
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::cookie::Cookie;
    use super::super::super::world::World;
    use super::super::keys::KEY_LEN;
    use super::*;

    /// A session of the server at 127.0.0.1:123, with so many cookies.
    pub(in crate::source::ntp) fn session(cookies: usize) -> Session {
        let address = "127.0.0.1:123".parse().unwrap();
        let mut session = Session::new(&Host::At(address), &Settings::default(), true, 0);
        let keys = Keys {
            c2s: [1; KEY_LEN],
            s2c: [2; KEY_LEN],
        };
        let cookies = (0..cookies).map(|number| vec![u8::try_from(number).unwrap(); 100]);
        *session.found.lock().unwrap() = Some(Ok(Agreement {
            keys,
            address,
            cookies: cookies.collect(),
        }));
        session.take_found();
        session
    }

    #[test]
    fn each_request_takes_a_cookie_and_asks_for_what_is_missing() {
        let world = World::new(0);
        let mut session = session(8);
        let fields = |session: &mut Session| {
            let envelope = session.envelope(&world).unwrap();
            envelope.seal(Cookie::from_bits(1)).unwrap().len()
        };
        let full = fields(&mut session);
        // Nothing came back for the first: the second asks for one more.
        assert_eq!(fields(&mut session), full + 104);
        session.put(vec![vec![9; 100]; 2]);
        assert_eq!(session.cookies.len(), 8);
        assert_eq!(fields(&mut session), full);
        session.put(vec![vec![9; 100]; 20]);
        assert_eq!(session.cookies.len(), POOL);
        session.give_up_cookies();
        assert!(session.address().is_none() && session.envelope(&world).is_none());
    }

    #[test]
    fn no_two_requests_have_a_cookie_or_an_identifier_in_common() {
        let world = World::new(0);
        let mut session = session(8);
        let sealed = |session: &mut Session| {
            let envelope = session.envelope(&world).unwrap();
            envelope.seal(Cookie::from_bits(1)).unwrap()
        };
        let (one, other) = (sealed(&mut session), sealed(&mut session));
        // Identifier and cookie begin behind the header and the four bytes that name each.
        assert_ne!(one[52..84], other[52..84]);
        assert_ne!(one[88..188], other[88..188]);
    }

    /// Keys are exchanged at once, and after a failure not before a minute, then two, up to 17 minutes.
    #[test]
    fn keys_that_are_not_to_be_had_are_asked_for_ever_less_often() {
        // A port that nothing listens on.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let address: SocketAddr = "127.0.0.1:123".parse().unwrap();
        let settings = Settings {
            port,
            ..Settings::default()
        };
        let mut session = Session::new(&Host::At(address), &settings, true, 0);
        let transport: Arc<dyn Transport> = Arc::new(World::new(0));
        let mut tries = Vec::new();
        for second in 0..4_000 {
            let before = session.failures;
            session.renew(second * SECOND, Timestamp::UNIX_EPOCH, &transport);
            if session.failures != before {
                tries.push(second);
            }
        }
        assert_eq!(tries, [0, 64, 192, 448, 960, 1_984, 3_008]);
        assert!(session.refusal().is_some());
    }
}
