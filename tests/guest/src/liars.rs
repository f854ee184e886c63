//! Daemons that report no bound: named and refused, and accepted when vouched for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use epsilon_clock::source::{Refusal, Writer};
use epsilon_clock::{Clock, ClockError, ClockState};

use crate::daemon::{Daemon, Observer, run_for};
use crate::host::{Calm, sleep_ms};
use crate::kernel;
use crate::ntp_server::{ADDRESS, Server};
use crate::readers::Readers;
use crate::starved::starved;
use crate::steps::START;
use crate::system::replace_file;
use crate::truth::{MS, SECOND, Truth, raw_now};

const OSCILLATOR_PPB: i64 = 30_000;

/// openntpd tells the kernel after its second round of eight answers (102 s to 203 s measured), ntpd
/// when its frequency clamp is over.
const PATIENCE_S: i64 = 420;

/// timesyncd writes each 16 to 32 s as it is set here: time for a few writes, of which one is seen at once.
const WRITES_S: i64 = 150;

/// What the caller vouches for: more than the clock is ever off in these tests.
const ASSUMED: Duration = Duration::from_millis(60);

/// Users that the daemons become, which a machine without them does not know.
fn add_users() {
    let mut users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let names = ["systemd-timesync", "ntpd", "ntpsec"];
    for (id, name) in (61_001..).zip(names) {
        let known = |file: &str| {
            file.lines()
                .any(|line| line.split(':').next() == Some(name))
        };
        if !known(&users) {
            users += &format!("{name}:x:{id}:{id}::/run/{name}:/usr/sbin/nologin\n");
        }
        if !known(&groups) {
            groups += &format!("{name}:x:{id}:\n");
        }
        std::fs::create_dir_all(format!("/run/{name}")).expect("/run is writable");
    }
    replace_file("/etc/passwd", &users);
    replace_file("/etc/group", &groups);
}

/// Waits until it is so, for `seconds` at most, while the daemon keeps running.
fn within(seconds: i64, daemon: &mut Daemon, mut is_so: impl FnMut() -> bool) -> bool {
    let start = raw_now();
    while raw_now() - start < seconds * SECOND {
        if is_so() {
            return true;
        }
        sleep_ms(50);
        daemon.assert_running();
    }
    false
}

/// Why the clock refuses, if it is for a writer that reports no bound.
fn named(clock: &Clock) -> Option<Writer> {
    match clock.calm_now() {
        Err(ClockError::Unvouched(Refusal::NoBound { writer, .. })) => Some(writer),
        _ => None,
    }
}

/// Has the daemon synchronise, and be refused by name for `hold_ms` from then on; the clock that was
/// vouched for is true all along.
fn refused(writer: Writer, truth: Truth, hold_ms: i64, mut daemon: Daemon) {
    let since = raw_now();
    let observer = Observer::start(truth);
    let strict = Clock::system().expect("the clocks are there");
    let vouched = Clock::builder().assume_error(ASSUMED).build();
    let vouched = vouched.expect("the clocks are there");
    let readers = Readers::at_leisure(truth, &[("strict", &strict), ("vouched for", &vouched)]);
    let refused = within(PATIENCE_S, &mut daemon, || named(&strict) == Some(writer));
    println!(
        "after {} ms: {:?}",
        (raw_now() - since) / MS,
        strict.calm_now()
    );
    assert!(
        refused,
        "not refused as {writer}: {:?}",
        strict.calm_status()
    );
    let text = strict.calm_now().expect_err("it is refused").to_string();
    assert!(text.contains(&writer.to_string()), "{text}");
    // Where an honest daemon may have written what is there, and more than is assumed, it awaits the next write.
    let answers = |daemon: &mut Daemon| {
        let assumes = || vouched.calm_status().state == ClockState::Assumed;
        assert!(
            within(WRITES_S, daemon, assumes),
            "{:?}",
            vouched.calm_status()
        );
    };
    answers(&mut daemon);
    run_for(&mut daemon, hold_ms);
    assert_eq!(named(&strict), Some(writer), "{:?}", strict.calm_status());
    // Who comes now sees what has grown in the meantime: refused or awaited, never believed.
    let late = Clock::system().expect("the clocks are there").calm_now();
    println!("a clock built later: {late:?}");
    assert!(
        matches!(
            late,
            Err(ClockError::Unvouched(
                Refusal::NoBound { .. } | Refusal::AwaitingWrite { .. }
            ))
        ),
        "{late:?}"
    );
    answers(&mut daemon);
    assert!(vouched.calm_now().is_ok(), "{:?}", vouched.calm_now());
    daemon.end(libc::SIGTERM);
    observer.stop().tell(since);
    let scores = readers.stop();
    assert_eq!(scores[0].intervals, 0);
    // A first write of which a look sees 500 µs of growth may be an honest one, and the next is awaited.
    scores[1].assert_kept(&["Unvouched"]);
}

/// systemd-timesyncd: zeroes under the PLL.
pub(crate) fn timesyncd() {
    kernel::reset(START);
    add_users();
    let settings = format!("[Time]\nNTP={ADDRESS}\nFallbackNTP=\nPollIntervalMinSec=16\n");
    let truth = Truth::from_now(25 * MS, OSCILLATOR_PPB);
    let _server = Server::start(truth, MS);
    for directory in ["/run/systemd/timesync", "/run/systemd/timesyncd.conf.d"] {
        std::fs::create_dir_all(directory).expect("/run is writable");
    }
    std::fs::write("/run/systemd/timesyncd.conf.d/guest.conf", settings).expect("a file in /run");
    let program = "systemd-timesyncd/lib/systemd/systemd-timesyncd";
    let daemon = Daemon::start("timesyncd", program, &[]);
    refused(Writer::Timesyncd, truth, 20_000, daemon);
}

/// openntpd: zero, and an estimated error that it leaves alone.
pub(crate) fn openntpd() {
    kernel::reset(START);
    add_users();
    std::fs::write("/run/openntpd.conf", format!("server {ADDRESS}\n")).expect("a file in /run");
    let truth = Truth::from_now(12 * MS, OSCILLATOR_PPB);
    let _server = Server::start(truth, MS);
    for directory in ["run", "db"] {
        let directory = format!("/var/lib/openntpd/{directory}");
        std::fs::create_dir_all(directory).expect("/var is writable");
    }
    let program = "openntpd/usr/sbin/ntpd";
    let daemon = Daemon::start(
        "openntpd",
        program,
        &["-d", "-vv", "-f", "/run/openntpd.conf"],
    );
    refused(Writer::PtpOrOpenntpd, truth, 5_000, daemon);
}

fn start_ntpsec() -> Daemon {
    let settings = format!(
        "server {ADDRESS} iburst minpoll 2 maxpoll 2\n\
         driftfile /run/ntp.drift\nrestrict default\n\
         interface ignore wildcard\ninterface listen 10.77.0.1\n"
    );
    std::fs::write("/run/ntp.conf", settings).expect("a file in /run");
    // With a frequency to begin with, it does not measure one for minutes first; and with one that is
    // nearly right it gets within half a millisecond of its server, where its frequency clamp ends
    // before the five minutes that it lasts otherwise.
    std::fs::write("/run/ntp.drift", "25.0\n").expect("a file in /run");
    let arguments = ["-n", "-N", "-g", "-c", "/run/ntp.conf"];
    Daemon::start("ntpsec", "ntpsec/usr/sbin/ntpd", &arguments)
}

/// ntpd: a placeholder until it has been in step with its server for minutes (it steers the
/// clock without telling the kernel till then), and honest from then on.
pub(crate) fn ntpsec() {
    kernel::reset(START);
    add_users();
    let truth = Truth::from_now(12 * MS, OSCILLATOR_PPB);
    // Nobody answers there yet.
    let daemon = start_ntpsec();
    refused(Writer::NtpdStarting, truth, 8_000, daemon);

    // Less far off, for the same reason; and from a server whose bound is larger than what pauses of
    // this guest make of ntpd's estimate, which would be refused as incoherent otherwise.
    kernel::reset(truth.now() - 3 * MS);
    let server = Server::start(truth, 5 * MS);
    let clock = Clock::system().expect("the clocks are there");
    let since = raw_now();
    let observer = Observer::start(truth);
    let readers = Readers::at_leisure(truth, &[("under ntpsec", &clock)]);
    let mut daemon = start_ntpsec();
    let believed = |writes| {
        clock.calm_now().is_ok()
            && clock.calm_status().state == ClockState::Synchronized
            && clock.calm_status().counters.writes >= writes
    };
    let knows = within(PATIENCE_S, &mut daemon, || believed(1));
    println!(
        "after {} ms: {:?}; {} answers",
        (raw_now() - since) / MS,
        clock.calm_now(),
        server.answered.load(Ordering::SeqCst)
    );
    let goes_on = knows && within(PATIENCE_S, &mut daemon, || believed(2));
    let status = clock.calm_status();
    println!(
        "at the end: {status:?}, {} µs off",
        truth.error_of_real() / 1_000
    );
    daemon.end(libc::SIGTERM);
    let observed = observer.stop();
    observed.tell(since);
    let scores = readers.stop();
    if !goes_on && observed.was_starved() {
        starved("pauses spoilt what ntpd measured");
    }
    assert!(goes_on, "{status:?}");
    assert!(server.answered.load(Ordering::SeqCst) > 4);
    assert_eq!(status.counters.contradictions, 0, "{status:?}");
    scores[0].assert_kept(&["Unvouched"]);
}
