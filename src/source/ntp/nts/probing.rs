//! What fuzzers feed: the readers of what comes from the network, with nothing of it ours.

use super::super::cookie::Cookie;
use super::extension::Envelope;
use super::keys::{KEY_LEN, Keys};
use super::records;

/// Returns true if these bytes are a key exchange's whole answer with at least one cookie.
#[must_use]
pub fn reads_as_key_exchange(bytes: &[u8]) -> bool {
    records::read(bytes).is_ok_and(|offer| !offer.cookies.is_empty())
}

/// Returns true if these bytes are an authentic reply under keys and a request of zeros.
#[must_use]
pub fn opens_as_reply(datagram: &[u8]) -> bool {
    let keys = Keys {
        c2s: [0; KEY_LEN],
        s2c: [0; KEY_LEN],
    };
    let envelope = Envelope::new(keys, vec![0; 100], [0; 32], [0; 16], 0);
    envelope.open(datagram, Cookie::from_bits(0)).is_ok()
}
