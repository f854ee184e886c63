//! Time daemons as processes of the guest, and an observer of what they write.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use epsilon_clock::{Machine, NtpStatus};

use crate::host::{HostMachine, eventually, sleep_ms};
use crate::system::unpacked;
use crate::truth::{MS, SECOND, raw_now};

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

/// One write as the observer saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// When it was first seen.
    pub(crate) raw: i64,
    pub(crate) maxerror_us: i64,
    pub(crate) esterror_us: i64,
    pub(crate) status: i32,
}

/// Reads the kernel's status 250 times a second, and notes whatever the kernel does not do itself.
///
/// Independent of the library's own rules: it is fast enough to tell a write from the kernel's
/// growth by its being anything but no change or exactly 500 µs.
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Write>>,
}

impl Observer {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let status = || HostMachine.ntp_status().expect("adjtimex");
            let (mut last, mut last_raw) = (status(), raw_now());
            let mut writes = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(4));
                let (now, raw) = (status(), raw_now());
                let grown = now.maxerror - last.maxerror;
                // One more for each second, should this thread be kept from running for so long.
                let seconds = (raw - last_raw) / SECOND + 1;
                let by_the_kernel = (grown % 500 == 0 && (0..=seconds).contains(&(grown / 500)))
                    || (now.maxerror == NtpStatus::MAXERROR_CAP && (0..500).contains(&grown));
                if !by_the_kernel {
                    writes.push(Write {
                        raw,
                        maxerror_us: now.maxerror,
                        esterror_us: now.esterror,
                        status: now.status,
                    });
                }
                (last, last_raw) = (now, raw);
            }
            writes
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Vec<Write> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the observer panicked")
    }
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

/// Prints what was written, for whoever reads the log.
pub(crate) fn tell(writes: &[Write], since: i64) {
    for write in writes {
        println!(
            "  written {:.3} s in: maxerror {} µs, esterror {} µs, status {:#x}",
            (write.raw - since) as f64 / SECOND as f64,
            write.maxerror_us,
            write.esterror_us,
            write.status
        );
    }
}

/// Waits for so long while the daemon keeps running.
pub(crate) fn run_for(daemon: &mut Daemon, ms: u64) {
    for _ in 0..ms / 100 {
        sleep_ms(100);
        daemon.assert_running();
    }
}
