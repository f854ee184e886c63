//! Network Time Security (RFC 8915): servers that prove who they are, and replies that were not altered.
//!
//! Keys and cookies come over TLS 1.3 from the server's key exchange; each request then takes a cookie
//! along, and each reply is authenticated and brings new ones. There is no way back to plain NTP.

mod extension;
mod key_exchange;
mod keys;
#[cfg(feature = "test-util")]
mod probing;
mod records;
mod session;
mod trust;

pub(super) use extension::{Envelope, Failure, Opened};
#[cfg(feature = "test-util")]
pub use probing::{opens_as_reply, reads_as_key_exchange};
pub(super) use session::Session;
#[cfg(test)]
pub(super) use session::tests::session;
pub(super) use trust::{Roots, Settings};
