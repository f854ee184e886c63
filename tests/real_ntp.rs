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
#![allow(
    unsafe_code,
    reason = "a filter on system calls is reached through libc alone"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use epsilon_clock::fleet::agreement;
use epsilon_clock::machine::{Machine, NtpStatus};
use epsilon_clock::source::ntp::{NtpServerState, probe};
use epsilon_clock::source::{NtpRefusal, NtpServer, NtpSource, Refusal};
use epsilon_clock::time::Claim;
use epsilon_clock::{Clock, ClockError, Timestamp};
use host::HostMachine;

#[path = "support/host.rs"]
mod host;
#[path = "support/seccomp.rs"]
mod seccomp;

/// A chronyd that serves what the machine's real time is, as `local`; ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Server {
    fn start(program: &Path, host: &str) -> Self {
        Self::serving(program, host, "local stratum 8")
    }

    /// One that has its time from where this line of its configuration says.
    fn serving(program: &Path, host: &str, from: &str) -> Self {
        let probe = UdpSocket::bind((host.parse::<std::net::IpAddr>().unwrap(), 0)).unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let name = format!("chronyd-{}-{}", std::process::id(), address.port());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let settings = directory.join("chrony.conf");
        let text = format!(
            "port {}\nbindaddress {host}\ncmdport 0\nbindcmdaddress /\nallow\n{from}\npidfile {}\n",
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

// --- exchanges by themselves ---------------------------------------------------------------------

/// How many exchanges are made: 2 000 with `EPSILON_CLOCK_LONG=1`.
fn exchanges() -> usize {
    let long = std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1");
    if long { 2_000 } else { 200 }
}

/// A claim of one exchange, if it came to one; each that does must contain real time.
///
/// What is refused is told with what the machine lost meanwhile: in a guest that is frozen whole raw
/// time does not count, and no clock here shows that.
fn contained(server: &NtpServer, refusals: &mut Vec<(NtpRefusal, String)>) -> Option<Claim> {
    match probe(&HostMachine, server) {
        Ok(claim) => {
            let claim = claim?;
            // Real time runs along raw time: nothing sets or slews this machine's clock.
            let clocks = HostMachine.sandwich();
            let blur = clocks.mono_after - clocks.mono_before;
            let real = clocks.real + (claim.raw() - clocks.raw);
            let interval = claim.interval();
            assert!(
                interval.earliest().unix_nanos() - blur <= real
                    && real <= interval.latest().unix_nanos() + blur,
                "{interval} misses {real} ({}) by more than {blur} ns",
                lost()
            );
            Some(claim)
        }
        Err(refusal) => {
            refusals.push((refusal, lost()));
            None
        }
    }
}

/// Steal time in ticks, and real less raw time in ns.
fn lost() -> String {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let steal = stat.split_whitespace().nth(8).unwrap_or("?").to_owned();
    let clocks = HostMachine.sandwich();
    format!("steal {steal}, real - raw {}", clocks.real - clocks.raw)
}

/// Says how many exchanges there were, and how many were refused by which name; with what the machine
/// lost where a reply contradicted itself.
fn tell(what: &str, made: usize, refusals: &[(NtpRefusal, String)]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (refusal, lost) in refusals {
        let mut name = format!("{refusal:?}");
        if matches!(refusal, NtpRefusal::BeyondRoundTrip { .. }) {
            name.push_str(lost);
        } else {
            name.truncate(name.find(' ').unwrap_or(name.len()));
        }
        *counts.entry(name).or_default() += 1;
    }
    let line = format!("{what}: {made} exchanges; refused: {counts:?}\n");
    // The harness swallows what is printed.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

#[test]
fn a_server_that_is_wrong_and_says_so_is_contained() {
    let Some(program) = chronyd("a real NTP server behind a lopsided path") else {
        return;
    };
    let first = Server::start(&program, "127.0.0.1");
    let (there, back) = (Duration::from_millis(1), Duration::from_millis(40));
    let way = delayed(first.address, there, back);
    let from = format!(
        "server 127.0.0.1 port {} iburst minpoll 0 maxpoll 0",
        way.port()
    );
    let second = Server::serving(&program, "127.0.0.1", &from);
    let server = second.server().wander_ppb(15_000);
    let mut refusals = Vec::new();
    let (mut made, mut off) = (0, 0);
    let begun = std::time::Instant::now();
    while made < exchanges() {
        assert!(
            begun.elapsed() < Duration::from_secs(240),
            "{made}: {refusals:?}"
        );
        let Some(claim) = contained(&server, &mut refusals) else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        made += 1;
        let clocks = HostMachine.sandwich();
        let real = clocks.real + (claim.raw() - clocks.raw);
        off = off.max(claim.interval().midpoint().unix_nanos().abs_diff(real));
        // Over some of its updates.
        if made % 20 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    tell("wrong but honest", made, &refusals);
    // Until it had a server itself it said so, and until it had heard enough of it that it may be off
    // by more than is believed.
    let expected = |refusal: &NtpRefusal| {
        matches!(
            refusal,
            NtpRefusal::Unsynchronized
                | NtpRefusal::TooDistant { .. }
                | NtpRefusal::BeyondRoundTrip { .. }
        )
    };
    assert!(
        refusals.iter().all(|(refusal, _)| expected(refusal)),
        "{refusals:?}"
    );
    // It really is wrong: by half of what the two ways differ, and by chrony's filters.
    assert!(off > 5_000_000, "{off} ns");
}

#[test]
fn of_three_servers_exchange_by_exchange_the_shifted_one_is_named() {
    let Some(program) = chronyd("exchanges with three real NTP servers of which one lies") else {
        return;
    };
    let servers = [(); 3].map(|()| Server::start(&program, "127.0.0.1"));
    let honest = [0, 1].map(|index| servers[index].server().accept_local());
    let liar =
        NtpServer::at(shifted(servers[2].address, Duration::from_millis(200))).accept_local();
    let begun = std::time::Instant::now();
    while honest
        .iter()
        .any(|server| !matches!(probe(&HostMachine, server), Ok(Some(_))))
    {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut refusals = Vec::new();
    let mut named = 0;
    for _ in 0..exchanges() {
        let truth: Vec<Claim> = honest
            .iter()
            .filter_map(|server| contained(server, &mut refusals))
            .collect();
        let lie = probe(&HostMachine, &liar);
        let ([one, other], Ok(Some(lie))) = (&truth[..], lie) else {
            continue;
        };
        let claims = [*one, *other, lie];
        let at = lie.raw();
        let carried = claims.map(|claim| claim.carry(at).unwrap());
        let agreed = agreement(&carried, 1).unwrap();
        let clocks = HostMachine.sandwich();
        let real = Timestamp::from_unix_nanos(clocks.real + (at - clocks.raw));
        let blur = Duration::from_nanos((clocks.mono_after - clocks.mono_before).unsigned_abs());
        let interval = agreed.interval();
        assert!(
            interval.earliest() <= real.saturating_add(blur)
                && real <= interval.latest().saturating_add(blur)
        );
        let found: Vec<usize> = agreed.falsetickers().iter().map(|f| f.index).collect();
        // An exchange of hundreds of milliseconds may contain the lie.
        if carried
            .iter()
            .all(|claim| claim.width() < Duration::from_millis(50))
        {
            assert_eq!(found, [2]);
            named += 1;
        }
        assert!(!found.contains(&0) && !found.contains(&1));
    }
    tell("one of three shifted", named, &refusals);
    assert!(named * 10 > exchanges() * 9, "{named}: {refusals:?}");
}

/// A proxy that takes so long each way; lives as long as the program.
fn delayed(server: SocketAddr, there: Duration, back: Duration) -> SocketAddr {
    let front = UdpSocket::bind("127.0.0.1:0").unwrap();
    let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
    proxy.connect(server).unwrap();
    proxy
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let address = front.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut datagram = [0; 1_024];
        while let Ok((length, client)) = front.recv_from(&mut datagram) {
            std::thread::sleep(there);
            if proxy.send(&datagram[..length]).is_err() {
                continue;
            }
            let Ok(length) = proxy.recv(&mut datagram) else {
                continue;
            };
            std::thread::sleep(back);
            let _ = front.send_to(&datagram[..length], client);
        }
    });
    address
}

// --- without privileges --------------------------------------------------------------------------

/// Set in a process that is to ask a server of its own, and to say when it has an interval.
const ALONE: &str = "EPSILON_CLOCK_NTP_ALONE";

/// What it says then.
const HAS_INTERVAL: &str = "first interval after ";

/// The system calls that ask for or set the kernel's notion of time.
const CLOCK_CALLS: [(&str, libc::c_long); 4] = [
    ("adjtimex", libc::SYS_adjtimex),
    ("clock_adjtime", libc::SYS_clock_adjtime),
    ("clock_settime", libc::SYS_clock_settime),
    ("settimeofday", libc::SYS_settimeofday),
];

/// Nothing, but in a process that one of the tests below starts.
#[test]
fn alone_with_a_server_of_its_own() {
    let Ok(mode) = std::env::var(ALONE) else {
        return;
    };
    if mode == "filtered" {
        assert!(kill_for_clock_calls(), "no filters here");
    }
    let source = NtpSource::new().server(own_server()).unwrap();
    let begun = std::time::Instant::now();
    let clock = Clock::builder().source(source.clone()).build().unwrap();
    let synchronized = clock.wait_until_synchronized(Duration::from_secs(10));
    synchronized.unwrap_or_else(|error| panic!("{error}: {:?}", source.servers()));
    let took = begun.elapsed();
    read_for(&clock, Duration::from_secs(3));
    let line = format!("{HAS_INTERVAL}{took:?}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    if mode == "filtered" {
        // The filter is at work: this ends the process.
        let _ = HostMachine.ntp_status();
    }
}

/// A server in a thread of this process, which serves real time and names a server of its own.
fn own_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut request = [0; 48];
        while let Ok((48, client)) = socket.recv_from(&mut request) {
            let stamp = || epsilon_clock::source::ntp::Stamp::at(now());
            let mut reply = epsilon_clock::source::ntp::Reply::default();
            (reply.stratum, reply.precision) = (2, -24);
            (reply.root_delay, reply.root_dispersion) = (66, 66);
            (reply.reference_id, reply.reference) = (0xc000_0201, stamp());
            (reply.received, reply.sent) = (stamp(), stamp());
            let _ = socket.send_to(&reply.answer(&request).unwrap(), client);
        }
    });
    address
}

/// Has this thread, and those that it starts, killed with their process for any of those calls.
fn kill_for_clock_calls() -> bool {
    let calls = CLOCK_CALLS.map(|(_, number)| number);
    seccomp::filter(&calls, libc::SECCOMP_RET_KILL_PROCESS)
}

/// A directory that any user may use, with this program in it; gone when dropped.
struct Shared(PathBuf);

impl Shared {
    fn with_this_program(name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let name = format!("epsilon-clock-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&directory, everybody).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), directory.join("program")).unwrap();
        Self(directory)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the test above as the user `nobody`, in a network namespace of its own; `None` where that is not to be had.
fn alone(mode: &str, shared: &Shared, tracer: &[&str]) -> Option<std::process::Output> {
    const BEFORE: &str = "ip link set lo up && exec setpriv --reuid=65534 --regid=65534 \
                          --clear-groups --bounding-set=-all \"$@\"";
    let mut possible = Command::new("unshare");
    possible.args(["--net", "sh", "-c", BEFORE]);
    let possible = possible.args(["sh", "true"]).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", BEFORE, "sh"])
        .args(tracer);
    command
        .arg(shared.0.join("program"))
        .args(["--exact", "alone_with_a_server_of_its_own", "--nocapture"])
        .env(ALONE, mode)
        .current_dir(&shared.0);
    Some(command.output().unwrap())
}

/// Whether no daemon vouches for this machine's clock, which this process asks the kernel and the one that is
/// traced does not; tells what is skipped where one does.
fn no_daemon_vouches(subject: &str) -> bool {
    let status = HostMachine.ntp_status().expect("this process may ask");
    let unsynchronised = status.has(NtpStatus::STA_UNSYNC);
    if !unsynchronised {
        host::skip(subject, "a daemon vouches for this machine's clock");
    }
    unsynchronised
}

fn said(output: &std::process::Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_unprivileged_user_gets_an_interval_within_ten_seconds_and_asks_the_kernel_nothing() {
    const SUBJECT: &str = "a clock of NTP servers without privileges, traced";
    if !Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        host::skip(SUBJECT, "no strace");
        return;
    }
    if !no_daemon_vouches(SUBJECT) {
        return;
    }
    let shared = Shared::with_this_program("traced");
    let calls = CLOCK_CALLS.map(|(name, _)| name).join(",");
    let filter = format!("trace={calls},sendto");
    let tracer = ["strace", "-f", "-qq", "-o", "trace", "-e", &filter];
    let Some(output) = alone("traced", &shared, &tracer) else {
        host::skip(SUBJECT, "no network namespace of its own");
        return;
    };
    let said = said(&output);
    assert!(
        output.status.success() && said.contains(HAS_INTERVAL),
        "{said}"
    );
    let trace = std::fs::read_to_string(shared.0.join("trace")).unwrap();
    // It did look: requests and replies are in it.
    assert!(trace.matches("sendto(").count() >= 2, "{trace}");
    for (call, _) in CLOCK_CALLS {
        assert!(!trace.contains(&format!("{call}(")), "{trace}");
    }
    // Nor was there a daemon's word that it could have had in another way.
    assert!(no_daemon_vouches(SUBJECT));
}

#[test]
fn a_filter_that_kills_for_clock_calls_kills_no_clock_of_servers() {
    use std::os::unix::process::ExitStatusExt as _;
    const SUBJECT: &str = "a clock of NTP servers under a filter that kills";
    if !no_daemon_vouches(SUBJECT) {
        return;
    }
    let shared = Shared::with_this_program("filtered");
    let Some(output) = alone("filtered", &shared, &[]) else {
        host::skip(SUBJECT, "no network namespace of its own");
        return;
    };
    let said = said(&output);
    assert!(no_daemon_vouches(SUBJECT));
    assert!(said.contains(HAS_INTERVAL), "{said}");
    // Only the call that the test itself made after that.
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{said}");
}
