//! The records of a key exchange (RFC 8915, section 4): what is asked for, and what is offered.

use super::super::refusal::NtsRefusal;

/// Record types (RFC 8915, section 7.6).
const END: u16 = 0;
const NEXT_PROTOCOL: u16 = 1;
const ERROR: u16 = 2;
const WARNING: u16 = 3;
const AEAD: u16 = 4;
const COOKIE: u16 = 5;
const SERVER: u16 = 6;
const PORT: u16 = 7;

/// Of a record's type: the exchange is over for a party that does not know it.
const CRITICAL: u16 = 1 << 15;

/// NTP version 4, the only next protocol there is.
const NTPV4: u16 = 0;

/// AES-SIV-CMAC-256 (RFC 5297), which every server has to offer.
const AES_SIV_CMAC_256: u16 = 15;

/// The most bytes of an answer that are read: eight cookies of a kilobyte, and to spare.
pub(super) const LONGEST: usize = 16_384;

/// Cookies beyond this many bytes make no request that passes a network in one piece.
pub(super) const LONGEST_COOKIE: usize = 512;

/// A host's name is no longer than this (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 255;

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) cookies: Vec<Vec<u8>>,
    /// Where its NTP server is, if not where its keys were got.
    pub(super) server: Option<String>,
    pub(super) port: Option<u16>,
}

/// Why bytes are no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// More has to come.
    Incomplete,
    Refused(NtsRefusal),
}

/// Returns the request: NTP version 4 with AES-SIV-CMAC-256, and nothing else.
pub(super) fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    let mut put = |kind: u16, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&(kind | CRITICAL).to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
    };
    put(NEXT_PROTOCOL, &NTPV4.to_be_bytes());
    put(AEAD, &AES_SIV_CMAC_256.to_be_bytes());
    put(END, &[]);
    bytes
}

/// Reads a server's answer up to its end record.
///
/// What follows the end is not looked at. Records that are not known are passed over, unless they are
/// critical.
pub(super) fn read(bytes: &[u8]) -> Result<Offer, Unread> {
    const BROKEN: Unread = Unread::Refused(NtsRefusal::KeyExchange);
    let mut offer = Offer::default();
    let (mut protocol, mut aead) = (false, false);
    let mut rest = bytes;
    loop {
        let Some(([k0, k1, l0, l1], after)) = rest.split_first_chunk::<4>() else {
            return Err(Unread::Incomplete);
        };
        let kind = u16::from_be_bytes([*k0, *k1]);
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((body, after)) = after.split_at_checked(length) else {
            return Err(Unread::Incomplete);
        };
        rest = after;
        let number = || <[u8; 2]>::try_from(body).map(u16::from_be_bytes).ok();
        match kind & !CRITICAL {
            END => break,
            // It says that it cannot or will not: the number says which, and nothing here helps.
            ERROR | WARNING => return Err(BROKEN),
            NEXT_PROTOCOL if number() == Some(NTPV4) && !protocol => protocol = true,
            AEAD if number() == Some(AES_SIV_CMAC_256) && !aead => aead = true,
            NEXT_PROTOCOL | AEAD => return Err(BROKEN),
            COOKIE => {
                if body.is_empty() || body.len() > LONGEST_COOKIE {
                    return Err(BROKEN);
                }
                offer.cookies.push(body.to_vec());
            }
            SERVER => {
                let name = core::str::from_utf8(body).ok();
                let name = name.filter(|name| {
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
                    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain)
                });
                offer.server = Some(name.ok_or(BROKEN)?.to_owned());
            }
            PORT => offer.port = Some(number().filter(|port| *port != 0).ok_or(BROKEN)?),
            _ if kind & CRITICAL != 0 => return Err(BROKEN),
            _ => {}
        }
    }
    if protocol && aead && !offer.cookies.is_empty() {
        Ok(offer)
    } else {
        Err(BROKEN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        [&kind.to_be_bytes(), &length.to_be_bytes(), body].concat()
    }

    fn answer(records: &[(u16, &[u8])]) -> Vec<u8> {
        records
            .iter()
            .flat_map(|(kind, body)| record(*kind, body))
            .collect()
    }

    const GOOD: [(u16, &[u8]); 4] = [
        (NEXT_PROTOCOL | CRITICAL, &[0, 0]),
        (AEAD, &[0, 15]),
        (COOKIE, &[7; 100]),
        (END | CRITICAL, &[]),
    ];

    #[test]
    fn the_request_asks_for_ntpv4_and_aes_siv_cmac_256() {
        let expected = [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 15, 0x80, 0, 0, 0];
        assert_eq!(request(), expected);
    }

    #[test]
    fn an_offer_is_read_and_what_is_none_is_refused() {
        let offer = read(&answer(&GOOD)).unwrap();
        assert_eq!(offer.cookies, [vec![7; 100]]);
        assert_eq!((offer.server, offer.port), (None, None));
        let mut elsewhere = GOOD.to_vec();
        elsewhere.insert(2, (SERVER, b"ntp.example"));
        elsewhere.insert(2, (PORT, &[0x12, 0x34]));
        // Not known, and not critical.
        elsewhere.insert(0, (0x4000, &[1, 2, 3]));
        let offer = read(&answer(&elsewhere)).unwrap();
        assert_eq!(offer.server.as_deref(), Some("ntp.example"));
        assert_eq!(offer.port, Some(0x1234));
        let broken = Err(Unread::Refused(NtsRefusal::KeyExchange));
        let wrong: [(usize, (u16, &[u8])); 9] = [
            (0, (NEXT_PROTOCOL, &[0, 1])),
            (0, (NEXT_PROTOCOL, &[])),
            (1, (AEAD, &[0, 16])),
            (1, (AEAD, &[])),
            (2, (COOKIE, &[])),
            (2, (ERROR | CRITICAL, &[0, 1])),
            (2, (0x4000 | CRITICAL, &[])),
            (2, (SERVER, b"a b")),
            (2, (PORT, &[0, 0])),
        ];
        for (place, record) in wrong {
            let mut records = GOOD;
            records[place] = record;
            assert_eq!(read(&answer(&records)), broken, "{record:?}");
            // And with all the rest there: it is that record.
            let mut whole = GOOD.to_vec();
            whole.insert(0, record);
            assert!(read(&answer(&whole)).is_err(), "{record:?}");
        }
        let long = [9; LONGEST_COOKIE + 1];
        let mut records = GOOD;
        records[2] = (COOKIE, &long);
        assert_eq!(read(&answer(&records)), broken);
    }

    proptest! {
        /// P3: no bytes panic, and no part of an answer passes for the whole.
        #[test]
        fn p3_no_key_exchange_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
            let _ = read(&bytes);
            let whole = answer(&GOOD);
            let part = &whole[..cut.index(whole.len())];
            prop_assert_eq!(read(part), Err(Unread::Incomplete));
        }
    }
}
