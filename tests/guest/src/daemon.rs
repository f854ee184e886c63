//! Time daemons as processes of the guest, and an observer of what they write.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use epsilon_clock::machine::{Machine, NtpStatus};

use crate::host::{HostMachine, eventually, sleep_ms};
use crate::system::unpacked;
use crate::truth::{MS, SECOND, Truth, raw_now};

/// A daemon that was started here; killed when it is dropped.
pub(crate) struct Daemon {
    name: &'static str,
    process: Child,
}

impl Daemon {
    /// Starts a program of those that were unpacked, with what it writes to the console.
    pub(crate) fn start(name: &'static str, program: &str, arguments: &[&str]) -> Self {
        let libraries = [
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
            "usr/lib/x86_64-linux-gnu/systemd",
        ]
        .map(|directory| unpacked().join("libraries").join(directory));
        let libraries = std::env::join_paths(libraries).expect("no colons");
        let process = Command::new(unpacked().join(program))
            .args(arguments)
            .env("LD_LIBRARY_PATH", libraries)
            // For the time zones that count leap seconds.
            .env("TZDIR", unpacked().join("tzdata/usr/share/zoneinfo"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .spawn();
        Self {
            name,
            process: process.unwrap_or_else(|error| panic!("{name} cannot be started: {error}")),
        }
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.process.try_wait().expect("it is a child");
        assert_eq!(ended, None, "{} has ended by itself", self.name);
    }

    /// Sends a signal that does not end it.
    pub(crate) fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.process.id()).expect("a pid");
        crate::host::send(pid, signal);
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: i32) -> ExitStatus {
        self.assert_running();
        let pid = i32::try_from(self.process.id()).expect("a pid");
        crate::host::send(pid, signal);
        let mut ended = None;
        assert!(
            eventually(|| {
                ended = self.process.try_wait().expect("it is a child");
                ended.is_some()
            }),
            "{} does not end on signal {signal}",
            self.name
        );
        let ended = ended.expect("it has ended");
        println!(
            "{} ended: signal {:?}, code {:?}",
            self.name,
            ended.signal(),
            ended.code()
        );
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the library grants every daemon by default (`daemon_margin`) and its rounding, in ns.
const GRANTED: i64 = 201_000;

/// How many times the deviation that a daemon writes beside its bound its error may exceed that bound by (A2).
const DEVIATIONS: i64 = 3;

/// An observer that was kept waiting for so long saw a guest that was kept from running.
const STARVED: i64 = 60 * MS;

/// One write as the observer saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// When it was first seen.
    pub(crate) raw: i64,
    /// When it had not yet been there.
    pub(crate) not_yet: i64,
    pub(crate) maxerror_us: i64,
    pub(crate) esterror_us: i64,
    pub(crate) status: i32,
    /// How far real time was ahead of the truth when it was first seen, in ns.
    pub(crate) off: i64,
    /// By how many ns more than assumption A2 allows real time was off, whenever between `not_yet`
    /// and `raw` it was written; 0 where A2 held.
    pub(crate) short: i64,
}

/// What an observer came to.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) writes: Vec<Write>,
    /// The longest that it was kept from looking, in ns.
    pub(crate) longest_gap: i64,
}

impl Observed {
    /// Those of the writes that break assumption A2.
    pub(crate) fn short(&self) -> impl Iterator<Item = &Write> {
        let says_something = |write: &&Write| write.maxerror_us < NtpStatus::MAXERROR_CAP;
        let writes = self.writes.iter().filter(says_something);
        writes.filter(|write| write.short > 0)
    }

    /// Whether this guest was kept from running for long enough to spoil what a daemon measures.
    pub(crate) fn was_starved(&self) -> bool {
        self.longest_gap > STARVED
    }

    /// Prints what was written, for whoever reads the log.
    pub(crate) fn tell(&self, since: i64) {
        for write in &self.writes {
            println!(
                "  written {:.3} s in: maxerror {} µs, esterror {} µs, status {:#x}; {} µs off{}",
                (write.raw - since) as f64 / SECOND as f64,
                write.maxerror_us,
                write.esterror_us,
                write.status,
                write.off / 1_000,
                if write.short > 0 { ", FALSE" } else { "" }
            );
        }
        println!(
            "  the observer was kept waiting for {} ms at most",
            self.longest_gap / MS
        );
    }
}

/// Reads the kernel's status 250 times a second, and notes whatever the kernel does not do itself.
///
/// Independent of the library's own rules: it is fast enough to tell a write from the kernel's
/// growth by its being anything but no change or exactly 500 µs. And it knows the truth.
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Observed>,
}

impl Observer {
    pub(crate) fn start(truth: Truth) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let status = || HostMachine.ntp_status().expect("adjtimex");
            let mut observed = Observed::default();
            let (mut last, mut last_raw) = (status(), raw_now());
            while !stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(4));
                let (now, raw) = (status(), raw_now());
                let grown = now.maxerror - last.maxerror;
                // One more for each second, should this thread be kept from running for so long.
                let seconds = (raw - last_raw) / SECOND + 1;
                let by_the_kernel = (grown % 500 == 0 && (0..=seconds).contains(&(grown / 500)))
                    || (now.maxerror == NtpStatus::MAXERROR_CAP && (0..500).contains(&grown));
                if !by_the_kernel {
                    let off = truth.error_of_real();
                    // Real time may have strayed since it was written.
                    let since = i128::from(raw_now() - last_raw);
                    let rate = slewing_ppb(&last).max(slewing_ppb(&now)) + 200_000;
                    let strayed = since * i128::from(rate) / i128::from(SECOND);
                    let strayed = i64::try_from(strayed).expect("a short while") + 50_000;
                    let deviation = DEVIATIONS * now.esterror.max(0) * 1_000;
                    let allowed = now.maxerror * 1_000 + deviation + GRANTED + strayed;
                    observed.writes.push(Write {
                        raw,
                        not_yet: last_raw,
                        maxerror_us: now.maxerror,
                        esterror_us: now.esterror,
                        status: now.status,
                        off,
                        short: (off.abs() - allowed).max(0),
                    });
                }
                observed.longest_gap = observed.longest_gap.max(raw - last_raw);
                (last, last_raw) = (now, raw);
            }
            observed
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Observed {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the observer panicked")
    }
}

/// How fast the kernel is told to run off nominal, either way, in ppb.
fn slewing_ppb(status: &NtpStatus) -> i64 {
    // A frequency of 65 536 is 1 ppm.
    let tick = (status.tick - NtpStatus::NOMINAL_TICK) * 100_000;
    (tick + status.freq * 1_000 / 65_536).abs()
}

/// Those of the writes that say something about the error, and how many of them a clock that looks
/// every `look_ms` can tell apart.
pub(crate) fn distinct(writes: &[Write], look_ms: i64) -> (Vec<Write>, usize) {
    let bounds: Vec<_> = writes
        .iter()
        .filter(|write| write.maxerror_us < NtpStatus::MAXERROR_CAP)
        .copied()
        .collect();
    let close = bounds
        .windows(2)
        .filter(|pair| pair[1].raw - pair[0].raw < look_ms * MS)
        .count();
    (bounds, close)
}

/// Waits for so long while the daemon keeps running.
pub(crate) fn run_for(daemon: &mut Daemon, ms: i64) {
    let start = raw_now();
    while raw_now() - start < ms * MS {
        sleep_ms(100);
        daemon.assert_running();
    }
}
