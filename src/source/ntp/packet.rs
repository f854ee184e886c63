//! The 48 bytes of an NTP packet: a request that tells nothing, a reply that is read strictly.

use thiserror::Error;

use super::cookie::Cookie;
use super::stamp::Stamp;

/// The length of an NTP header, in bytes (RFC 5905, figure 8).
pub(super) const HEADER_LEN: usize = 48;

/// No honest server answers with more: a reply is no longer than its request, and fits one packet.
pub(super) const BUFFER_LEN: usize = 1_504;

/// LI 0, version 4, mode 3.
const CLIENT: u8 = 0x23;

/// LI, version and mode of a reply, without LI.
const SERVER: u8 = 0x24;

/// Of version 3 and 4.
const VERSIONS: [u8; 2] = [3, 4];

/// A server's mode. Not 5, broadcast, which some clients take as well.
const MODE: u8 = 4;

/// Returns a request with nothing in it but the cookie, as chrony and ntpsec send it
/// (draft-ietf-ntp-data-minimization).
pub(super) fn request(cookie: Cookie) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    if let Some((first, rest)) = bytes.split_first_mut() {
        *first = CLIENT;
        if let Some(transmit) = rest.last_chunk_mut() {
            *transmit = cookie.to_bytes();
        }
    }
    bytes
}

/// What an NTP server says about time, and about its own.
///
/// Public so that a simulated world can play servers; see [`Transport`](super::Transport).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Leap indicator: 1 for a second to be inserted at the end of this month's last day, 2 for one
    /// to be left out, 3 for a server that is not synchronised.
    pub leap: u8,
    /// How far from a reference clock the server is; 0 for a kiss-o'-death.
    pub stratum: u8,
    /// The longest interval between requests, as a power of two of seconds.
    pub poll: i8,
    /// The precision of the server's clock, as a power of two of seconds.
    pub precision: i8,
    /// The round trip to the reference clock, in units of 2⁻¹⁶ s.
    pub root_delay: u32,
    /// The dispersion up to the reference clock, in units of 2⁻¹⁶ s.
    pub root_dispersion: u32,
    /// The reference clock, or the server's own server, or the four letters of a kiss.
    pub reference_id: u32,
    /// When the server's clock was last set or corrected.
    pub reference: Stamp,
    /// When the request came in (T2).
    pub received: Stamp,
    /// When the reply went out (T3).
    pub sent: Stamp,
}

/// Why a datagram is no reply to the request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum NotOurs {
    #[error("not an NTP packet by its length")]
    Length,
    #[error("version {0}")]
    Version(u8),
    #[error("mode {0}")]
    Mode(u8),
    #[error("an answer to another request")]
    Origin,
}

impl Reply {
    /// Reads a datagram, if it is a reply to the request with this cookie.
    pub(super) fn parse(datagram: &[u8], cookie: Cookie) -> Result<Self, NotOurs> {
        let header = datagram
            .first_chunk::<HEADER_LEN>()
            .ok_or(NotOurs::Length)?;
        if datagram.len() % 4 != 0 {
            return Err(NotOurs::Length);
        }
        let mut fields = Fields(header);
        let [first, stratum, poll, precision] = fields.take();
        let version = first >> 3 & 7;
        if !VERSIONS.contains(&version) {
            return Err(NotOurs::Version(version));
        }
        let mode = first & 7;
        if mode != MODE {
            return Err(NotOurs::Mode(mode));
        }
        let [root_delay, root_dispersion, reference_id] =
            core::array::from_fn(|_| u32::from_be_bytes(fields.take()));
        let [reference, origin, received, sent] =
            core::array::from_fn(|_| Stamp::from_bits(u64::from_be_bytes(fields.take())));
        if origin.to_bits().to_be_bytes() != cookie.to_bytes() {
            return Err(NotOurs::Origin);
        }
        Ok(Self {
            leap: first >> 6,
            stratum,
            poll: i8::from_be_bytes([poll]),
            precision: i8::from_be_bytes([precision]),
            root_delay,
            root_dispersion,
            reference_id,
            reference,
            received,
            sent,
        })
    }

    /// Returns the datagram with which a server answers this request; `None` if it is none.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> Option<[u8; 48]> {
        let header = request.first_chunk::<HEADER_LEN>()?;
        let origin: &[u8; 8] = header.last_chunk()?;
        let mut bytes = [0; HEADER_LEN];
        let fields = [
            self.leap << 6 | SERVER,
            self.stratum,
            self.poll.to_be_bytes()[0],
            self.precision.to_be_bytes()[0],
        ]
        .into_iter()
        .chain(self.root_delay.to_be_bytes())
        .chain(self.root_dispersion.to_be_bytes())
        .chain(self.reference_id.to_be_bytes())
        .chain(self.reference.to_bits().to_be_bytes())
        .chain(*origin)
        .chain(self.received.to_bits().to_be_bytes())
        .chain(self.sent.to_bits().to_be_bytes());
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        Some(bytes)
    }
}

/// What is left to read of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Takes the next bytes; zeroes follow the last one, and a header has as many as are taken.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::source::ntp) fn any_reply() -> impl Strategy<Value = Reply> {
        (
            (0_u8..4, any::<u8>(), any::<i8>(), any::<i8>()),
            (any::<u32>(), any::<u32>(), any::<u32>()),
            (any::<u64>(), any::<u64>(), any::<u64>()),
        )
            .prop_map(|((leap, stratum, poll, precision), words, stamps)| Reply {
                leap,
                stratum,
                poll,
                precision,
                root_delay: words.0,
                root_dispersion: words.1,
                reference_id: words.2,
                reference: Stamp::from_bits(stamps.0),
                received: Stamp::from_bits(stamps.1),
                sent: Stamp::from_bits(stamps.2),
            })
    }

    proptest! {
        #[test]
        fn what_a_server_says_is_what_is_read(reply in any_reply(), bits in any::<u64>()) {
            let cookie = Cookie::from_bits(bits);
            let datagram = reply.answer(&request(cookie)).unwrap();
            prop_assert_eq!(Reply::parse(&datagram, cookie), Ok(reply));
        }

        /// P3: no datagram of any length panics.
        #[test]
        fn p3_no_datagram_panics(
            datagram in prop::collection::vec(any::<u8>(), 0..200),
            bits in any::<u64>(),
        ) {
            let _ = Reply::parse(&datagram, Cookie::from_bits(bits));
        }

        /// P2: a reply to another request is none, and nor is one of an odd length or another mode.
        #[test]
        fn p2_a_reply_to_no_request_of_ours_is_refused(
            reply in any_reply(),
            (asked, told) in (any::<u64>(), any::<u64>()).prop_filter("differ", |(a, b)| a != b),
            first in any::<u8>(),
            length in 0_usize..48,
        ) {
            let datagram = reply.answer(&request(Cookie::from_bits(told))).unwrap();
            prop_assert_eq!(
                Reply::parse(&datagram, Cookie::from_bits(asked)),
                Err(NotOurs::Origin)
            );
            let ours = Cookie::from_bits(told);
            prop_assert_eq!(Reply::parse(&datagram[..length], ours), Err(NotOurs::Length));
            let longer: Vec<u8> = datagram.iter().copied().chain([0; 5]).collect();
            prop_assert_eq!(Reply::parse(&longer, ours), Err(NotOurs::Length));
            let mut strange = datagram;
            strange[0] = first;
            let accepted = Reply::parse(&strange, ours).is_ok();
            let is_reply = first & 7 == 4 && matches!(first >> 3 & 7, 3 | 4);
            prop_assert_eq!(accepted, is_reply);
        }
    }

    #[test]
    fn a_request_tells_nothing_but_its_cookie() {
        let bytes = request(Cookie::from_bits(0x0102_0304_0506_0708));
        assert_eq!(bytes[0], 0x23);
        assert_eq!(bytes[1..40], [0; 39]);
        assert_eq!(bytes[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
