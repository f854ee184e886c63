//! Network Time Security (RFC 8915): servers that prove who they are, and replies that nobody altered.
//!
//! Keys and cookies come over TLS 1.3 from the server's key exchange; each request then takes a cookie
//! along, and each reply is authenticated and brings new ones. There is no way back to plain NTP.

mod extension;
mod key_exchange;
mod records;
mod session;

pub(super) use extension::{Envelope, Failure, Opened};
#[cfg(feature = "test-util")]
pub use probing::{opens_as_reply, reads_as_key_exchange};
pub(super) use session::Session;

/// The port of the key exchange (RFC 8915, section 7.5).
pub(super) const PORT: u16 = 4460;

/// Which certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Roots {
    #[default]
    System,
    Pem(Vec<u8>),
}

/// How a server's keys are to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) roots: Roots,
    pub(super) accepts_dates: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: PORT,
            roots: Roots::System,
            accepts_dates: false,
        }
    }
}

impl Settings {
    /// Returns true if the roots that were given can be read; the system's are read when they are needed.
    pub(super) fn has_roots(&self) -> bool {
        match &self.roots {
            Roots::System => true,
            Roots::Pem(pem) => key_exchange::are_certificates(pem),
        }
    }
}

/// Both directions' keys, and what goes with them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// Client to server.
    pub(super) c2s: [u8; KEY_LEN],
    /// Server to client.
    pub(super) s2c: [u8; KEY_LEN],
}

/// The length of a key of AES-SIV-CMAC-256, in bytes.
pub(super) const KEY_LEN: usize = 32;

impl core::fmt::Debug for Keys {
    /// Never the keys themselves.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// What fuzzers feed: the readers of what comes from the network, with nothing of it ours.
#[cfg(feature = "test-util")]
mod probing {
    use super::super::cookie::Cookie;
    use super::extension::Envelope;
    use super::{KEY_LEN, Keys, records};

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
}
