//! NTP servers that are real: a chronyd of its own on loopback, which serves this machine's real time
//! and sets no clock (`-x`), asked over UDP by a clock that has no other source.
//!
//! Truth is real time, so every interval must contain it. Skips where there is no chronyd among the
//! unpacked daemons (`bash scripts/unpack_daemons.sh` fetches it).
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use epsilon_clock::source::ntp::NtpServerState;
use epsilon_clock::source::{NtpRefusal, NtpServer, NtpSource, Refusal};
use epsilon_clock::{Clock, ClockError, Timestamp};

#[path = "support/host.rs"]
mod host;

/// A chronyd that serves what the machine's real time is, as `local`; ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Server {
    fn start(program: &Path, host: &str) -> Self {
        let probe = UdpSocket::bind((host.parse::<std::net::IpAddr>().unwrap(), 0)).unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let name = format!("chronyd-{}-{}", std::process::id(), address.port());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let settings = directory.join("chrony.conf");
        let text = format!(
            "port {}\nbindaddress {host}\ncmdport 0\nbindcmdaddress /\nallow\nlocal stratum 8\n\
             pidfile {}\n",
            address.port(),
            directory.join("pid").display(),
        );
        std::fs::write(&settings, text).unwrap();
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let child = Command::new(program)
            .args([
                "-d",
                "-x",
                "-u",
                String::from_utf8(user).unwrap().trim(),
                "-f",
            ])
            .arg(&settings)
            .env("LD_LIBRARY_PATH", libraries())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            directory,
        }
    }

    /// Ours to ask each second.
    fn server(&self) -> NtpServer {
        NtpServer::at(self.address).interval(Duration::from_secs(1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("unpacked")
}

fn libraries() -> String {
    let of = |directory: &str| {
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        unpacked()
            .join(directory)
            .join(triple)
            .display()
            .to_string()
    };
    format!("{}:{}", of("libraries/usr/lib"), of("libraries/lib"))
}

/// The program, or a line that says what is skipped.
fn chronyd(what: &str) -> Option<PathBuf> {
    let program = unpacked().join("chrony/usr/sbin/chronyd");
    if program.is_file() {
        return Some(program);
    }
    host::skip(
        what,
        "no chronyd (`bash scripts/unpack_daemons.sh` fetches it)",
    );
    None
}

fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap()
}

/// Reads the clock for so long; returns the narrowest epsilon. Every interval must contain true time.
fn read_for(clock: &Clock, span: Duration) -> Duration {
    let (begun, mut narrowest) = (std::time::Instant::now(), Duration::MAX);
    let mut readings = 0;
    while begun.elapsed() < span {
        let before = now();
        if let Ok(interval) = clock.now() {
            let after = now();
            assert!(
                interval.earliest() <= after && before <= interval.latest(),
                "{interval} misses [{before}, {after}]"
            );
            narrowest = narrowest.min(interval.epsilon());
            readings += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(readings > 0, "no reading in {span:?}");
    narrowest
}

#[test]
fn one_server_on_loopback_over_ipv4_and_ipv6() {
    let Some(program) = chronyd("a real NTP server on loopback") else {
        return;
    };
    let mut hosts = vec!["127.0.0.1"];
    if UdpSocket::bind("[::1]:0").is_ok() {
        hosts.push("::1");
    } else {
        host::skip("a real NTP server over IPv6", "no IPv6 loopback");
    }
    for host in hosts {
        let server = Server::start(&program, host);
        let source = NtpSource::new()
            .server(server.server().accept_local())
            .unwrap();
        let clock = Clock::builder().source(source.clone()).build().unwrap();
        let synchronized = clock.wait_until_synchronized(Duration::from_secs(30));
        synchronized.unwrap_or_else(|error| panic!("{error}: {:?}", source.servers()));
        let narrowest = read_for(&clock, Duration::from_secs(3));
        let status = source.servers();
        assert_eq!(status.len(), 1);
        assert_eq!(status[0].state, NtpServerState::Agreeing);
        assert_eq!(status[0].address, Some(server.address));
        // Its bound is of nanoseconds; what is left is the margin, the units and the round trip.
        assert!(narrowest > Duration::from_micros(200), "{narrowest:?}");
    }
}

#[test]
fn a_server_of_its_own_clock_is_refused_by_name() {
    let Some(program) = chronyd("a real NTP server that serves its own clock") else {
        return;
    };
    let server = Server::start(&program, "127.0.0.1");
    let source = NtpSource::new().server(server.server()).unwrap();
    let clock = Clock::builder().source(source).build().unwrap();
    let local = ClockError::Unvouched(Refusal::Ntp(NtpRefusal::LocalReference));
    let begun = std::time::Instant::now();
    while clock.now() != Err(local) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            clock.now()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn three_servers_of_which_one_is_shifted() {
    let Some(program) = chronyd("three real NTP servers of which one lies") else {
        return;
    };
    let servers = [(); 3].map(|()| Server::start(&program, "127.0.0.1"));
    let lie = Duration::from_millis(200);
    let liar = shifted(servers[2].address, lie);
    let source = servers[..2]
        .iter()
        .map(Server::server)
        .chain([NtpServer::at(liar).interval(Duration::from_secs(1))])
        .fold(NtpSource::new(), |source, server| {
            source.server(server.accept_local()).unwrap()
        });
    let clock = Clock::builder().source(source.clone()).build().unwrap();
    clock
        .wait_until_synchronized(Duration::from_secs(30))
        .unwrap();
    let begun = std::time::Instant::now();
    loop {
        read_for(&clock, Duration::from_millis(500));
        let states: Vec<_> = source.servers().iter().map(|server| server.state).collect();
        if let [_, _, NtpServerState::Falseticker(found)] = states[..] {
            assert!(found.by <= lie, "{found}");
            assert!(!matches!(states[0], NtpServerState::Falseticker(_)));
            assert!(!matches!(states[1], NtpServerState::Falseticker(_)));
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{states:?}");
    }
}

/// A proxy to a server that adds to its stamps; lives as long as the program.
fn shifted(server: SocketAddr, by: Duration) -> SocketAddr {
    let front = UdpSocket::bind("127.0.0.1:0").unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").unwrap();
    back.connect(server).unwrap();
    back.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let address = front.local_addr().unwrap();
    let units = u64::try_from((by.as_nanos() << 32) / 1_000_000_000).unwrap();
    std::thread::spawn(move || {
        let mut datagram = [0; 48];
        while let Ok((length, client)) = front.recv_from(&mut datagram) {
            if back.send(&datagram[..length]).is_err() || back.recv(&mut datagram).is_err() {
                continue;
            }
            for field in [32..40, 40..48] {
                let stamp = u64::from_be_bytes(datagram[field.clone()].try_into().unwrap());
                datagram[field].copy_from_slice(&stamp.wrapping_add(units).to_be_bytes());
            }
            let _ = front.send_to(&datagram, client);
        }
    });
    address
}
