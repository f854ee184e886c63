//! The exchange of keys: TLS 1.3 with a server that has to prove its name (RFC 8915, section 4).

use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, Stream,
};

use super::super::exchange::Transport;
use super::super::refusal::NtsRefusal;
use super::super::settings::Host;
use super::keys::{KEY_LEN, Keys};
use super::records::{self, LONGEST, Unread};
use super::trust::{Roots, Settings};
use crate::time::Timestamp;

/// How long each step of it may take, and all of it. It has a thread of its own.
const STEP: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// What TLS calls the protocol (RFC 8915, section 7.2).
const PROTOCOL: &[u8] = b"ntske/1";

/// Under what the keys are exported (RFC 8915, section 5.1), and for NTP version 4 with AES-SIV-CMAC-256: from
/// client to server, and back.
const LABEL: &[u8] = b"EXPORTER-network-time-security";
const C2S: [u8; 5] = [0, 0, 0, 15, 0];
const S2C: [u8; 5] = [0, 0, 0, 15, 1];

/// How often a chain is checked anew at the date that one of its certificates asks for: once for each, and
/// no chain is longer.
const LONGEST_CHAIN: usize = 8;

/// What is to be exchanged with whom, and when that is.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) host: Host,
    pub(super) settings: Settings,
    pub(super) own: bool,
    pub(super) raw: i64,
    /// By which certificates are dated.
    pub(super) utc: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Agreement {
    pub(super) keys: Keys,
    pub(super) address: SocketAddr,
    pub(super) cookies: Vec<Vec<u8>>,
}

/// Exchanges keys; blocks for seconds.
pub(super) fn run(plan: &Plan, transport: &dyn Transport) -> Result<Agreement, NtsRefusal> {
    let (name, ntp_port) = match &plan.host {
        Host::At(address) => (ServerName::IpAddress(address.ip().into()), address.port()),
        Host::Named { name, port } => {
            let name = ServerName::try_from(name.clone());
            (name.map_err(|_| NtsRefusal::WrongName)?, *port)
        }
    };
    let config = configuration(&plan.settings, plan.utc)?;
    let mut socket = connect(plan, transport)?;
    let peer = socket.peer_addr().map_err(|_| NtsRefusal::Unreachable)?;
    let begun = Instant::now();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|e| of_tls(&e))?;
    let mut stream = Stream::new(&mut tls, &mut socket);
    stream
        .write_all(&records::request())
        .map_err(|e| of_io(&e))?;
    stream.flush().map_err(|e| of_io(&e))?;
    let mut answer = Vec::new();
    let offer = loop {
        let mut part = [0; 1_024];
        // A server that closes without saying so has said all that it will.
        let length = stream.read(&mut part).map_err(|e| of_io(&e))?;
        answer.extend_from_slice(part.get(..length).unwrap_or(&[]));
        match records::read(&answer) {
            Ok(offer) => break offer,
            Err(Unread::Refused(refusal)) => return Err(refusal),
            Err(Unread::Incomplete) => {}
        }
        if length == 0 || answer.len() > LONGEST || begun.elapsed() > WHOLE {
            return Err(NtsRefusal::KeyExchange);
        }
    };
    if tls.alpn_protocol() != Some(PROTOCOL) {
        return Err(NtsRefusal::KeyExchange);
    }
    let key = |context: &[u8]| {
        tls.export_keying_material([0; KEY_LEN], LABEL, Some(context))
            .map_err(|e| of_tls(&e))
    };
    let keys = Keys {
        c2s: key(&C2S)?,
        s2c: key(&S2C)?,
    };
    let port = offer.port.unwrap_or(ntp_port);
    let address = match offer.server {
        None => SocketAddr::new(peer.ip(), port),
        Some(server) => match server.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, port),
            Err(_) => *transport
                .resolve(&server, port)
                .map_err(|_| NtsRefusal::Unreachable)?
                .first()
                .ok_or(NtsRefusal::Unreachable)?,
        },
    };
    Ok(Agreement {
        keys,
        address,
        cookies: offer.cookies,
    })
}

fn connect(plan: &Plan, transport: &dyn Transport) -> Result<TcpStream, NtsRefusal> {
    let port = plan.settings.port;
    let addresses = match &plan.host {
        Host::At(address) => vec![SocketAddr::new(address.ip(), port)],
        Host::Named { name, .. } => transport
            .resolve(name, port)
            .map_err(|_| NtsRefusal::Unreachable)?,
    };
    let mut refusal = NtsRefusal::Unreachable;
    for address in addresses.into_iter().take(4) {
        // An exchange of keys costs a server a thousand times what a packet does.
        if !transport.budget().take(address, plan.own, plan.raw) {
            refusal = NtsRefusal::Postponed;
            continue;
        }
        let Ok(socket) = TcpStream::connect_timeout(&address, STEP) else {
            continue;
        };
        let is_bounded = socket.set_read_timeout(Some(STEP)).is_ok()
            && socket.set_write_timeout(Some(STEP)).is_ok();
        if is_bounded {
            return Ok(socket);
        }
    }
    Err(refusal)
}

fn configuration(settings: &Settings, utc: Timestamp) -> Result<ClientConfig, NtsRefusal> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(settings, Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Dated(utc)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| of_tls(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(settings: &Settings) -> Result<RootCertStore, NtsRefusal> {
    let certificates: Vec<CertificateDer<'static>> = match &settings.roots {
        Roots::System => rustls_native_certs::load_native_certs().certs,
        Roots::Pem(pem) => CertificateDer::pem_slice_iter(pem)
            .filter_map(Result::ok)
            .collect(),
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(NtsRefusal::NoRoots);
    }
    Ok(store)
}

/// The instant by which certificates are dated.
#[derive(Clone, Copy, Debug)]
struct Dated(Timestamp);

impl TimeProvider for Dated {
    fn current_time(&self) -> Option<UnixTime> {
        let nanos = u64::try_from(self.0.unix_nanos()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(nanos)))
    }
}

/// Checks names and chains as every client does, and dates unless its user vouches for them.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    accepts_dates: bool,
}

impl Verifier {
    fn new(settings: &Settings, provider: Arc<CryptoProvider>) -> Result<Self, NtsRefusal> {
        let roots = Arc::new(roots(settings)?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|_| NtsRefusal::NoRoots)?;
        Ok(Self {
            inner,
            accepts_dates: settings.accepts_dates,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify = |at: UnixTime| {
            let inner = &self.inner;
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let mut outcome = verify(now);
        if !self.accepts_dates {
            return outcome;
        }
        // At the date that a certificate of the chain asks for: everything else of it still counts.
        for _ in 0..LONGEST_CHAIN {
            let at = match &outcome {
                Err(rustls::Error::InvalidCertificate(error)) => match error {
                    CertificateError::NotValidYetContext { not_before, .. } => *not_before,
                    CertificateError::ExpiredContext { not_after, .. } => *not_after,
                    _ => break,
                },
                _ => break,
            };
            outcome = verify(at);
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Names what TLS found wrong.
fn of_tls(error: &rustls::Error) -> NtsRefusal {
    use CertificateError as Of;
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            Of::Expired | Of::ExpiredContext { .. } => NtsRefusal::Expired,
            Of::NotValidYet | Of::NotValidYetContext { .. } => NtsRefusal::NotValidYet,
            Of::NotValidForName | Of::NotValidForNameContext { .. } => NtsRefusal::WrongName,
            _ => NtsRefusal::Untrusted,
        },
        _ => NtsRefusal::KeyExchange,
    }
}

fn of_io(error: &io::Error) -> NtsRefusal {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(tls) => of_tls(tls),
        None if error.kind() == io::ErrorKind::InvalidData => NtsRefusal::KeyExchange,
        None => NtsRefusal::Unreachable,
    }
}
