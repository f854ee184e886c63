//! Where a server's keys are to be had, and which certificates are believed.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The port of the key exchange (RFC 8915, section 7.5).
pub(in crate::source::ntp) const PORT: u16 = 4460;

/// Which certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::source::ntp) enum Roots {
    #[default]
    System,
    Pem(Vec<u8>),
}

/// How a server's keys are to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::ntp) struct Settings {
    pub(in crate::source::ntp) port: u16,
    pub(in crate::source::ntp) roots: Roots,
    pub(in crate::source::ntp) accepts_dates: bool,
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
    pub(in crate::source::ntp) fn has_roots(&self) -> bool {
        match &self.roots {
            Roots::System => true,
            Roots::Pem(pem) => are_certificates(pem),
        }
    }
}

/// Returns true if a text is of certificates, and of one at the least.
fn are_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}
