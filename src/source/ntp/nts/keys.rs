//! The keys that an exchange leaves behind.

/// Both directions' keys, and what goes with them.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::source::ntp) struct Keys {
    /// Client to server.
    pub(in crate::source::ntp) c2s: [u8; KEY_LEN],
    /// Server to client.
    pub(in crate::source::ntp) s2c: [u8; KEY_LEN],
}

/// The length of a key of AES-SIV-CMAC-256, in bytes.
pub(in crate::source::ntp) const KEY_LEN: usize = 32;

impl core::fmt::Debug for Keys {
    /// Never the keys themselves.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
