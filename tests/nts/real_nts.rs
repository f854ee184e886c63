//! NTS against a chronyd of its own on loopback, which serves this machine's real time and sets no clock
//! (`-x`), with certificates made here.
//!
//! Truth is real time. Skips where there is no chronyd among the unpacked daemons
//! (`bash scripts/unpack_daemons.sh` fetches it).
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::ntp::{Budget, Channel, NtpServerState, NtsRefusal, Transport};
use epsilon_clock::source::{NtpRefusal, NtpServer, NtpSource, Refusal};
use epsilon_clock::{Clock, ClockError, Timestamp};
use host::HostMachine;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use time::OffsetDateTime;

#[path = "../support/host.rs"]
mod host;

/// How long anything that has to come about is waited for, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

// --- certificates and a server -------------------------------------------------------------------

/// A root, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (at(2_000), at(20_000));
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// The key and the certificate of a server of this name.
    fn sign(&self, name: &str, (from, to): (OffsetDateTime, OffsetDateTime)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from, to);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (key.serialize_pem(), certificate.pem())
    }
}

/// So many days after 1970.
fn at(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(days * 86_400).unwrap()
}

/// From so many days from now to so many.
fn days(from: i64, to: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let day = |days: i64| OffsetDateTime::from_unix_timestamp(now + days * 86_400).unwrap();
    (day(from), day(to))
}

/// A chronyd that serves real time as `local`, with keys for who asks; ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    keys_at: u16,
    roots: String,
    directory: PathBuf,
}

impl Server {
    /// One whose certificate is of this name and these dates; `None` where there is no chronyd.
    fn start(name: &str, dates: (OffsetDateTime, OffsetDateTime)) -> Option<Self> {
        let program = unpacked().join("chrony/usr/sbin/chronyd");
        if !program.is_file() {
            let fetch = "no chronyd (`bash scripts/unpack_daemons.sh` fetches it)";
            host::skip("NTS with a real server", fetch);
            return None;
        }
        let authority = Authority::new();
        let (key, certificate) = authority.sign(name, dates);
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let keys_at = listener.local_addr().unwrap().port();
        drop((probe, listener));
        let name = format!("nts-{}-{keys_at}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let settings = file(
            "chrony.conf",
            &format!(
                "port {}\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\nallow\n\
                 local stratum 8\nntsport {keys_at}\nntsprocesses 0\nntsserverkey {}\n\
                 ntsservercert {}\npidfile {}\n",
                address.port(),
                file("key.pem", &key),
                file("certificate.pem", &certificate),
                directory.join("pid").display(),
            ),
        );
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let child = Command::new(program)
            .args(["-d", "-x", "-u", user.trim(), "-f", &settings])
            .env("LD_LIBRARY_PATH", libraries())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            address,
            keys_at,
            roots: authority.pem,
            directory,
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", keys_at)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn named(&self) -> NtpServer {
        NtpServer::at(self.address)
            .nts_port(self.keys_at)
            .nts_roots(self.roots.as_str())
            .accept_local()
            .interval(Duration::from_secs(1))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The daemons that were unpacked into the repository's target directory, where this package's is.
fn unpacked() -> PathBuf {
    let given = std::env::var_os("EPSILON_CLOCK_UNPACKED").map(PathBuf::from);
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("unpacked");
    given.unwrap_or(own)
}

fn libraries() -> String {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let of = |directory: &str| {
        unpacked()
            .join(directory)
            .join(&triple)
            .display()
            .to_string()
    };
    format!("{}:{}", of("libraries/usr/lib"), of("libraries/lib"))
}

// --- the way to it -------------------------------------------------------------------------------

/// What becomes of each reply on its way.
const UNTOUCHED: usize = 0;
const FLIPPED: usize = 1;
const STRIPPED: usize = 2;

/// UDP, with an attacker on the path.
#[derive(Debug, Default)]
struct Way {
    tampers: AtomicUsize,
    sent: AtomicUsize,
    budget: Budget,
}

#[derive(Debug)]
struct OnTheWay(Arc<Way>);

#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    path: Arc<Way>,
}

impl Transport for OnTheWay {
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        let path = Arc::clone(&self.0);
        Ok(Box::new(Line { socket, path }))
    }

    fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn budget(&self) -> &Budget {
        &self.0.budget
    }

    fn is_concurrent(&self) -> bool {
        true
    }
}

impl Channel for Line {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.path.sent.fetch_add(1, Ordering::Relaxed);
        self.socket.send(datagram).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(patience))?;
        let length = self.socket.recv(buffer)?;
        Ok(match self.path.tampers.load(Ordering::Relaxed) {
            FLIPPED => {
                // The lowest bit of the whole second at which it was sent.
                buffer[43] ^= 1;
                length
            }
            STRIPPED => 48,
            _ => length,
        })
    }
}

fn source(server: NtpServer, path: &Arc<Way>) -> NtpSource {
    let transport = Arc::new(OnTheWay(Arc::clone(path)));
    NtpSource::new()
        .transport(transport)
        .server(server)
        .unwrap()
}

fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap()
}

/// Waits for an interval, and for a while finds true time in each.
fn synchronizes(clock: &Clock, source: &NtpSource) {
    clock
        .wait_until_synchronized(PATIENCE)
        .unwrap_or_else(|error| panic!("{error}: {:?}", source.servers()));
    for _ in 0..100 {
        let before = now();
        if let Ok(interval) = clock.now() {
            let after = now();
            assert!(
                interval.earliest() <= after && before <= interval.latest(),
                "{interval}"
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the clock says why there is no interval, and the source as much of its server.
fn refuses(clock: &Clock, source: &NtpSource, why: NtsRefusal) {
    let begun = Instant::now();
    let refusal = NtpRefusal::Nts(why);
    let error = Err(ClockError::Unvouched(Refusal::Ntp(refusal)));
    loop {
        let answer = clock.now();
        assert!(answer.is_err(), "{answer:?}");
        let states: Vec<_> = source.servers().iter().map(|server| server.state).collect();
        if answer == error && states == [NtpServerState::Refused(refusal)] {
            // Each refusal says what ends it.
            assert!(refusal.to_string().contains(": "), "{refusal}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?} {states:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn clock(source: &NtpSource) -> Clock {
    Clock::builder().source(source.clone()).build().unwrap()
}

// --- the tests -----------------------------------------------------------------------------------

#[test]
fn a_server_that_proves_its_name_is_believed_for_more_requests_than_it_gave_cookies() {
    let Some(server) = Server::start("127.0.0.1", days(-1, 1)) else {
        return;
    };
    let path = Arc::default();
    let source = source(server.named(), &path);
    let clock = clock(&source);
    synchronizes(&clock, &source);
    let begun = Instant::now();
    // Keys are not exchanged again within a minute, so more than eight requests live on new cookies.
    while path.sent.load(Ordering::Relaxed) <= 20 {
        assert!(begun.elapsed() < Duration::from_secs(50), "{path:?}");
        std::thread::sleep(Duration::from_millis(100));
        let _ = clock.now();
    }
    assert_eq!(source.servers()[0].state, NtpServerState::Agreeing);
    assert_eq!(source.servers()[0].losses, 0);
    synchronizes(&clock, &source);
}

#[test]
fn a_flipped_bit_and_a_plain_reply_are_refused_by_name_and_the_next_sound_one_counts() {
    for (tampering, why) in [(FLIPPED, NtsRefusal::Forged), (STRIPPED, NtsRefusal::Plain)] {
        let Some(server) = Server::start("127.0.0.1", days(-1, 1)) else {
            return;
        };
        let path: Arc<Way> = Arc::default();
        path.tampers.store(tampering, Ordering::Relaxed);
        let source = source(server.named(), &path);
        let clock = clock(&source);
        refuses(&clock, &source, why);
        path.tampers.store(UNTOUCHED, Ordering::Relaxed);
        synchronizes(&clock, &source);
    }
}

#[test]
fn a_certificate_of_another_name_date_or_root_is_refused_by_name_and_nothing_is_asked() {
    let none: Option<(&str, &str)> = None;
    for (name, dates, roots, why) in [
        ("127.0.0.2", days(-1, 1), none, NtsRefusal::WrongName),
        ("ntp.example", days(-1, 1), none, NtsRefusal::WrongName),
        ("127.0.0.1", days(-3, -1), none, NtsRefusal::Expired),
        ("127.0.0.1", days(1, 3), none, NtsRefusal::NotValidYet),
        (
            "127.0.0.1",
            days(-1, 1),
            Some(("", "")),
            NtsRefusal::Untrusted,
        ),
    ] {
        let Some(server) = Server::start(name, dates) else {
            return;
        };
        let named = match roots {
            None => server.named(),
            Some(_) => server.named().nts_roots(Authority::new().pem),
        };
        let path: Arc<Way> = Arc::default();
        let source = source(named, &path);
        refuses(&clock(&source), &source, why);
        // No way back to plain NTP.
        assert_eq!(path.sent.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_server_without_keys_is_never_asked_in_plain_ntp() {
    let Some(server) = Server::start("127.0.0.1", days(-1, 1)) else {
        return;
    };
    // A port that nothing listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let path: Arc<Way> = Arc::default();
    let source = source(server.named().nts_port(port), &path);
    refuses(&clock(&source), &source, NtsRefusal::Unreachable);
    assert_eq!(path.sent.load(Ordering::Relaxed), 0);
}

#[test]
fn certificates_of_any_date_are_believed_where_their_user_says_so() {
    for dates in [days(-3, -1), days(1, 3)] {
        let Some(server) = Server::start("127.0.0.1", dates) else {
            return;
        };
        let path = Arc::default();
        let source = source(server.named().accept_certificate_dates(), &path);
        synchronizes(&clock(&source), &source);
    }
    // The name counts all the same.
    let Some(server) = Server::start("127.0.0.2", days(1, 3)) else {
        return;
    };
    let path = Arc::default();
    let source = source(server.named().accept_certificate_dates(), &path);
    refuses(&clock(&source), &source, NtsRefusal::WrongName);
}

/// This machine as it is where no daemon sets the clock: real time began in 1970 with it.
#[derive(Debug)]
struct In1970 {
    behind: i64,
}

impl Machine for In1970 {
    fn sample(&self) -> Sample {
        let sample = HostMachine.sample();
        Sample {
            coarse: sample.coarse - self.behind,
            ..sample
        }
    }

    fn sandwich(&self) -> Sandwich {
        let clocks = HostMachine.sandwich();
        Sandwich {
            real: clocks.real - self.behind,
            ..clocks
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        HostMachine.coarse_tick()
    }

    fn identity(&self) -> Identity {
        HostMachine.identity()
    }

    fn sleep(&self, span: Duration) {
        HostMachine.sleep(span);
    }
}

#[test]
fn where_real_time_is_in_1970_there_is_a_way_out_and_the_refusal_names_it() {
    let clock = |source: &NtpSource| {
        let behind = host::real_nanos();
        Clock::builder()
            .machine(Arc::new(In1970 { behind }))
            .source(source.clone())
            .build()
            .unwrap()
    };
    let Some(server) = Server::start("127.0.0.1", days(-1, 1)) else {
        return;
    };
    let path = Arc::default();
    let refused = source(server.named(), &path);
    refuses(&clock(&refused), &refused, NtsRefusal::NotValidYet);
    let text = NtpRefusal::Nts(NtsRefusal::NotValidYet).to_string();
    assert!(text.contains("accept_certificate_dates"), "{text}");
    let path = Arc::default();
    let taken = source(server.named().accept_certificate_dates(), &path);
    synchronizes(&clock(&taken), &taken);
    // 2025-01-01 has surely been: a certificate that was valid then needs no way out.
    let Some(server) = Server::start("127.0.0.1", (at(19_000), days(0, 1).1)) else {
        return;
    };
    let path = Arc::default();
    let dated = source(server.named(), &path);
    synchronizes(&clock(&dated), &dated);
}

#[test]
fn roots_that_are_none_are_refused_when_they_are_given() {
    let server = NtpServer::try_from("ntp.example")
        .unwrap()
        .nts_roots("no PEM");
    let refused = NtpSource::new().server(server).unwrap_err();
    assert!(refused.to_string().contains("nts_roots"), "{refused}");
}

/// The command as `EPSILON_COMMAND` names it, built with NTS.
#[test]
fn the_command_believes_the_roots_that_it_is_given() {
    let Some(command) = std::env::var_os("EPSILON_COMMAND") else {
        host::skip("`epsilon now --nts`", "EPSILON_COMMAND names no command");
        return;
    };
    let Some(server) = Server::start("127.0.0.1", days(-1, 1)) else {
        return;
    };
    let roots = server.directory.join("roots.pem");
    std::fs::write(&roots, &server.roots).unwrap();
    let named = format!("127.0.0.1:{}", server.keys_at);
    let run = |more: &[&str]| {
        let output = Command::new(&command)
            .args([
                "now",
                "--json",
                "--strict",
                "--accept-local",
                "--nts",
                &named,
            ])
            .args(more)
            .output()
            .unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), told)
    };
    let (code, told) = run(&["--nts-roots", &roots.display().to_string()]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\"agreeing\""), "{told}");
    // The system does not know the root that was made here.
    let (code, told) = run(&[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("root"), "{told}");
}
