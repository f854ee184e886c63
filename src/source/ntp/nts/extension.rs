//! The extension fields of a request and its reply (RFC 8915, section 5), sealed and opened.

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;

use super::super::cookie::Cookie;
use super::super::packet::{HEADER_LEN, NotOurs, Reply, request};
use super::keys::{KEY_LEN, Keys};
use super::records::LONGEST_COOKIE;

/// Types of extension fields (RFC 8915, section 7.7).
const UNIQUE_ID: u16 = 0x0104;
const COOKIE: u16 = 0x0204;
const PLACEHOLDER: u16 = 0x0304;
const AUTHENTICATOR: u16 = 0x0404;

/// Type and length of a field, in bytes.
const PREFIX: usize = 4;

pub(super) const UNIQUE_LEN: usize = 32;
pub(super) const NONCE_LEN: usize = 16;

/// What the tag of AES-SIV adds, in bytes.
const TAG_LEN: usize = 16;

/// A request no longer than this passes any network in one piece: IPv6's least of 1280 bytes less headers.
const LONGEST_REQUEST: usize = 1_200;

/// The kiss of a server that does not know a cookie's key any more (RFC 8915, section 5.7).
const NTSN: u32 = u32::from_be_bytes(*b"NTSN");

/// One request's seal: its keys, its cookie, and by what its reply is known.
#[derive(Clone, Debug)]
pub(in crate::source::ntp) struct Envelope {
    keys: Keys,
    cookie: Vec<u8>,
    unique: [u8; UNIQUE_LEN],
    nonce: [u8; NONCE_LEN],
    /// How many cookies are asked for beside the one that replaces this.
    more: usize,
}

/// Why a datagram with our origin is not taken for the server's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::ntp) enum Failure {
    /// It is a reply to no request of ours.
    NotOurs,
    /// It has no authenticator: a plain reply.
    Plain,
    /// Its authenticator is not that of these bytes.
    Forged,
    /// The server does not know the cookie. Not authentic, as it has no key.
    UnknownCookie,
}

/// A reply, and the cookies that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::ntp) struct Opened {
    pub(in crate::source::ntp) reply: Reply,
    pub(in crate::source::ntp) cookies: Vec<Vec<u8>>,
}

impl Envelope {
    pub(super) const fn new(
        keys: Keys,
        cookie: Vec<u8>,
        unique: [u8; UNIQUE_LEN],
        nonce: [u8; NONCE_LEN],
        more: usize,
    ) -> Self {
        Self {
            keys,
            cookie,
            unique,
            nonce,
            more,
        }
    }

    /// Returns the request with this cookie of plain NTP's; `None` where it cannot be sealed.
    pub(in crate::source::ntp) fn seal(&self, origin: Cookie) -> Option<Vec<u8>> {
        let mut bytes = request(origin).to_vec();
        put(&mut bytes, UNIQUE_ID, &self.unique)?;
        put(&mut bytes, COOKIE, &self.cookie)?;
        // A placeholder is as long as a cookie, so that the reply is no longer than the request.
        let sealed = PREFIX + 4 + NONCE_LEN + TAG_LEN;
        let placeholder = vec![0; self.cookie.len()];
        for _ in 0..self.more {
            let field = PREFIX + placeholder.len().next_multiple_of(4);
            if bytes.len() + field + sealed > LONGEST_REQUEST {
                break;
            }
            put(&mut bytes, PLACEHOLDER, &placeholder)?;
        }
        let tag = cipher(&self.keys.c2s)
            .encrypt([&bytes[..], &self.nonce], &[])
            .ok()?;
        let mut body = Vec::with_capacity(4 + NONCE_LEN + tag.len());
        for length in [NONCE_LEN, tag.len()] {
            body.extend_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
        }
        body.extend_from_slice(&self.nonce);
        body.extend_from_slice(&tag);
        put(&mut bytes, AUTHENTICATOR, &body)?;
        Some(bytes)
    }

    /// Opens a datagram: an authentic reply to the request with this cookie, or why it is none.
    ///
    /// What stands behind the authenticator is authentic by nothing, and is not looked at.
    pub(in crate::source::ntp) fn open(
        &self,
        datagram: &[u8],
        origin: Cookie,
    ) -> Result<Opened, Failure> {
        let reply = Reply::parse(datagram, origin).map_err(|_: NotOurs| Failure::NotOurs)?;
        let mut at = HEADER_LEN;
        let mut is_ours = false;
        while let Some((kind, body, next)) = field(datagram, at) {
            match kind {
                UNIQUE_ID if is_ours || body != self.unique => return Err(Failure::NotOurs),
                UNIQUE_ID => is_ours = true,
                AUTHENTICATOR if !is_ours => return Err(Failure::NotOurs),
                AUTHENTICATOR => {
                    let before = datagram.get(..at).unwrap_or(&[]);
                    let inside = self.decrypt(before, body).ok_or(Failure::Forged)?;
                    return Ok(Opened {
                        reply,
                        cookies: cookies(&inside),
                    });
                }
                _ => {}
            }
            at = next;
        }
        Err(match (is_ours, reply.stratum, reply.reference_id) {
            (true, 0, NTSN) => Failure::UnknownCookie,
            _ => Failure::Plain,
        })
    }

    fn decrypt(&self, before: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let ([n0, n1, c0, c1], rest) = body.split_first_chunk::<4>()?;
        let nonce_len = usize::from(u16::from_be_bytes([*n0, *n1]));
        let sealed_len = usize::from(u16::from_be_bytes([*c0, *c1]));
        let nonce = rest.get(..nonce_len)?;
        let from = nonce_len.next_multiple_of(4);
        let sealed = rest.get(from..from.checked_add(sealed_len)?)?;
        // A nonce of zero length leaves AES-SIV without one, and a reply could be that of any request.
        if nonce.is_empty() {
            return None;
        }
        cipher(&self.keys.s2c).decrypt([before, nonce], sealed).ok()
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> Aes128Siv {
    Aes128Siv::new(key.into())
}

/// Appends a field, padded with zeros to words of four bytes; `None` where it is too long for one.
fn put(bytes: &mut Vec<u8>, kind: u16, body: &[u8]) -> Option<()> {
    let padded = body.len().next_multiple_of(4);
    let length = u16::try_from(PREFIX + padded).ok()?;
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len() + padded - body.len(), 0);
    Some(())
}

/// Returns the field that begins here, its body, and where the next one begins.
fn field(bytes: &[u8], at: usize) -> Option<(u16, &[u8], usize)> {
    let rest = bytes.get(at..)?;
    let ([k0, k1, l0, l1], _) = rest.split_first_chunk::<PREFIX>()?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if length < PREFIX || length % 4 != 0 {
        return None;
    }
    let body = rest.get(PREFIX..length)?;
    Some((u16::from_be_bytes([*k0, *k1]), body, at + length))
}

/// Returns the cookies among the fields that were sealed.
fn cookies(inside: &[u8]) -> Vec<Vec<u8>> {
    let mut at = 0;
    let mut found = Vec::new();
    while let Some((kind, body, next)) = field(inside, at) {
        if kind == COOKIE && !body.is_empty() && body.len() <= LONGEST_COOKIE {
            found.push(body.to_vec());
        }
        at = next;
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: Cookie = Cookie::from_bits(0x0102_0304_0506_0708);

    fn keys() -> Keys {
        Keys {
            c2s: [1; KEY_LEN],
            s2c: [2; KEY_LEN],
        }
    }

    fn envelope(more: usize) -> Envelope {
        Envelope::new(keys(), vec![3; 100], [4; UNIQUE_LEN], [5; NONCE_LEN], more)
    }

    /// What a server answers: its own seal around so many cookies.
    pub(in crate::source::ntp) fn sealed_reply(
        keys: &Keys,
        reply: &Reply,
        request: &[u8],
        cookies: usize,
    ) -> Vec<u8> {
        let mut bytes = reply.answer(request).unwrap().to_vec();
        let (kind, unique, _) = field(request, HEADER_LEN).unwrap();
        assert_eq!(kind, UNIQUE_ID);
        put(&mut bytes, UNIQUE_ID, unique).unwrap();
        let mut inside = Vec::new();
        for number in 0..cookies {
            put(&mut inside, COOKIE, &[u8::try_from(number).unwrap(); 100]).unwrap();
        }
        let nonce = [6; NONCE_LEN];
        let sealed = cipher(&keys.s2c)
            .encrypt([&bytes[..], &nonce], &inside)
            .unwrap();
        let mut body = Vec::new();
        for length in [NONCE_LEN, sealed.len()] {
            body.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        body.extend_from_slice(&nonce);
        body.extend_from_slice(&sealed);
        put(&mut bytes, AUTHENTICATOR, &body).unwrap();
        bytes
    }

    fn replied() -> (Envelope, Vec<u8>, Reply) {
        let envelope = envelope(0);
        let request = envelope.seal(ORIGIN).unwrap();
        let reply = Reply {
            stratum: 2,
            ..Reply::default()
        };
        let datagram = sealed_reply(&keys(), &reply, &request, 3);
        (envelope, datagram, reply)
    }

    /// RFC 5297, A.2: AES-SIV with a nonce, by the library that is used.
    #[test]
    fn the_cipher_is_that_of_the_rfc() {
        let key: Vec<u8> = (0x70..=0x7f).rev().chain(0x40..=0x4f).collect();
        let key: [u8; KEY_LEN] = key.try_into().unwrap();
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect()
        };
        let headers = [
            hex("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100"),
            hex("102030405060708090a0"),
            hex("09f911029d74e35bd84156c5635688c0"),
        ];
        let plain = b"this is some plaintext to encrypt using SIV-AES";
        let sealed = cipher(&key).encrypt(&headers, plain).unwrap();
        let expected = "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17\
                        dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d";
        assert_eq!(sealed, hex(expected));
    }

    #[test]
    fn a_request_has_its_fields_in_order_and_its_seal_last() {
        let kinds = |more: usize| {
            let bytes = envelope(more).seal(ORIGIN).unwrap();
            let (mut at, mut kinds) = (HEADER_LEN, Vec::new());
            while let Some((kind, _, next)) = field(&bytes, at) {
                kinds.push(kind);
                at = next;
            }
            assert_eq!(at, bytes.len());
            (kinds, bytes.len())
        };
        assert_eq!(kinds(0), (vec![UNIQUE_ID, COOKIE, AUTHENTICATOR], 228));
        let (seven, length) = kinds(7);
        assert_eq!(seven.len(), 3 + 7);
        assert!(length <= LONGEST_REQUEST);
        // Longer cookies leave room for fewer.
        let long = Envelope::new(keys(), vec![3; 500], [4; 32], [5; 16], 7);
        assert!(long.seal(ORIGIN).unwrap().len() <= LONGEST_REQUEST);
    }

    #[test]
    fn a_sealed_reply_is_opened_with_its_cookies() {
        let (envelope, datagram, reply) = replied();
        let opened = envelope.open(&datagram, ORIGIN).unwrap();
        assert_eq!(opened.reply, reply);
        assert_eq!(opened.cookies, [vec![0; 100], vec![1; 100], vec![2; 100]]);
    }

    #[test]
    fn every_bit_counts_up_to_the_seals_end() {
        let (envelope, datagram, _) = replied();
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(envelope.open(&flipped, ORIGIN).is_err(), "bit {bit}");
        }
        // Of the time stamps: they are what it is all about.
        for byte in 32..48 {
            let mut shifted = datagram.clone();
            shifted[byte] ^= 1;
            assert_eq!(envelope.open(&shifted, ORIGIN), Err(Failure::Forged));
        }
    }

    #[test]
    fn a_plain_reply_another_requests_and_an_unknown_cookie_are_told_apart() {
        let (envelope, datagram, reply) = replied();
        let plain = &datagram[..HEADER_LEN];
        assert_eq!(envelope.open(plain, ORIGIN), Err(Failure::Plain));
        let with_id = &datagram[..HEADER_LEN + PREFIX + UNIQUE_LEN];
        assert_eq!(envelope.open(with_id, ORIGIN), Err(Failure::Plain));
        let other = Envelope::new(keys(), vec![3; 100], [9; UNIQUE_LEN], [5; NONCE_LEN], 0);
        assert_eq!(other.open(&datagram, ORIGIN), Err(Failure::NotOurs));
        let another = Cookie::from_bits(9);
        assert_eq!(envelope.open(&datagram, another), Err(Failure::NotOurs));
        let kiss = Reply {
            stratum: 0,
            reference_id: NTSN,
            ..reply
        };
        let request = envelope.seal(ORIGIN).unwrap();
        let mut kissed = kiss.answer(&request).unwrap().to_vec();
        // Of no request, as far as it shows.
        assert_eq!(envelope.open(&kissed, ORIGIN), Err(Failure::Plain));
        put(&mut kissed, UNIQUE_ID, &[4; UNIQUE_LEN]).unwrap();
        assert_eq!(envelope.open(&kissed, ORIGIN), Err(Failure::UnknownCookie));
    }

    proptest! {
        /// P3: no datagram panics, and none that was not sealed opens.
        #[test]
        fn p3_no_sealed_datagram_panics(
            tail in prop::collection::vec(any::<u8>(), 0..300),
            keep in any::<prop::sample::Index>(),
        ) {
            let (envelope, datagram, _) = replied();
            let kept = &datagram[..keep.index(datagram.len())];
            let mixed = [kept, &tail].concat();
            if mixed != datagram {
                prop_assert!(envelope.open(&mixed, ORIGIN).is_err() || mixed.starts_with(&datagram));
            }
        }
    }
}
