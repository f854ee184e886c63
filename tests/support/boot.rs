//! Boots a User-Mode Linux with the program of `tests/guest` as its init, and hears its verdict.
//!
//! The guest is an ordinary process with a clock of its own; it sees the host's file system and can
//! write none of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    dead_code,
    reason = "each test crate that includes this uses some of it"
)]
#![allow(unsafe_code, reason = "free space is told by libc alone")]

use std::ffi::{CString, OsString};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Condvar, Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::fields::real_offset;
use crate::host::skip;

/// Names a kernel that is not on the `PATH` and was not unpacked by `scripts/unpack_daemons.sh`.
const KERNEL: &str = "EPSILON_CLOCK_UML";

/// Asks for scenarios that take minutes.
const ASKED: &str = "EPSILON_CLOCK_DAEMON_TESTS";

/// Below the target directory, as `scripts/unpack_daemons.sh` has it.
const UNPACKED: &str = "unpacked";

/// What the guest's init needs, and the scenarios have room to spare.
const MEMORY: &str = "mem=128M";

/// What all the guests that may run at a time keep in a file, in bytes; containers often have less.
const ROOM: u64 = 8 * 128 * 1024 * 1024;

/// A guest that was kept from running for so long that it could not do its part says so, and is
/// booted once more; whatever else ends it is its verdict.
const BOOTS: u32 = 2;

/// How many guests run at a time in one test program, for those whose scenarios have much to do.
const AT_A_TIME: usize = 2;

/// Runs a scenario of the guest beside one other at most, and fails unless it keeps what it promises within `at_most`.
///
/// Skips, with a line, where there is no kernel.
pub(crate) fn scenario(name: &str, at_most: Duration) {
    let _turn = Turn::take();
    run(name, at_most);
}

/// The same for a scenario with a daemon, which sleeps most of the time: others may run beside it.
///
/// Skips also where it was not asked for, or there is no such `program` among the unpacked.
pub(crate) fn daemon(name: &str, program: &str, at_most: Duration) {
    daemon_with(name, &[program], at_most);
}

/// The same for a scenario that needs more of the unpacked files than its program.
pub(crate) fn daemon_with(name: &str, files: &[&str], at_most: Duration) {
    let missing = files.iter().find(|file| !unpacked().join(file).is_file());
    if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
        skip_all(&format!("not asked for by {ASKED}=1"));
    } else if let Some(file) = missing {
        let why = format!("no {file} (`bash scripts/unpack_daemons.sh` fetches it)");
        skip(&format!("the scenario {name} in User-Mode Linux"), &why);
    } else {
        run(name, at_most);
    }
}

fn run(name: &str, at_most: Duration) {
    let Some(kernel) = kernel() else {
        skip_all("no linux.uml (`bash scripts/unpack_daemons.sh` fetches it)");
        return;
    };
    let init = match guest() {
        Ok(init) => init,
        Err(why) => {
            skip_all(why);
            return;
        }
    };
    for boots_left in (0..BOOTS).rev() {
        let before = real_offset();
        let ended = boot(&kernel, init, name, at_most);
        // Whatever a guest does to its clock, the machine's own is left alone.
        assert_eq!(
            before.moved_to(&real_offset()),
            0,
            "the machine's clock was stepped"
        );
        let lines = match ended {
            Ended::NoKernel(why) => return skip_all(&why),
            Ended::Said(lines) => lines,
        };
        // Shown by the harness where the test fails, or where it is asked to.
        for line in &lines {
            println!("{name}: {line}");
        }
        let said = |verdict: &str| lines.iter().any(|line| line == verdict);
        if said("verdict: starved") && boots_left > 0 {
            println!("{name}: once more");
            continue;
        }
        let kept = said("verdict: kept");
        assert!(kept, "{name}: the guest did not keep what it promises");
        return;
    }
}

/// Says once for all scenarios of this program that there will be no guest.
fn skip_all(why: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let program = std::env::current_exe().unwrap_or_default();
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
        skip(
            &format!("what tests/{name}.rs runs in User-Mode Linux"),
            why,
        );
    });
}

/// The right to run a guest that has much to do: what it times should not wait for many others.
struct Turn;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = ENDED.wait_while(running, |running| *running >= AT_A_TIME);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the temporary directory is in the target directory")
        .to_owned()
}

/// Where `scripts/unpack_daemons.sh` unpacks.
fn unpacked() -> PathBuf {
    target().join(UNPACKED)
}

/// The kernel to boot.
fn kernel() -> Option<PathBuf> {
    let named = std::env::var_os(KERNEL).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|directory| directory.join("linux.uml"));
    named
        .into_iter()
        .chain([unpacked().join("user-mode-linux/usr/bin/linux.uml")])
        .chain(installed)
        .find(|kernel| kernel.is_file())
}

/// The guest's init, built once by whoever comes first; or why it cannot be built here.
fn guest() -> Result<&'static Path, &'static str> {
    static GUEST: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    GUEST
        .get_or_init(build_guest)
        .as_deref()
        .map_err(String::as_str)
}

fn build_guest() -> Result<PathBuf, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/Cargo.toml");
    if !manifest.is_file() {
        return Err("the guest's source is not in the published package".into());
    }
    if !cfg!(target_arch = "x86_64") || !cfg!(target_env = "gnu") {
        return Err("guests are built for x86-64 and glibc only".into());
    }
    if !can_link_statically() {
        return Err("no static libc to link the guest with".into());
    }
    let triple = "x86_64-unknown-linux-gnu";
    let directory = target().join("guest");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--target", triple])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&directory)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    assert!(
        built.status.success(),
        "the guest does not build: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(directory.join(triple).join("debug/epsilon-clock-guest"))
}

/// Whether the C library is there in its static form.
fn can_link_statically() -> bool {
    let asked = Command::new("cc").arg("-print-file-name=libc.a").output();
    // What does not exist is answered by its bare name.
    asked.is_ok_and(|answer| answer.status.success() && answer.stdout.contains(&b'/'))
}

enum Ended {
    /// The kernel did not get as far as running the init.
    NoKernel(String),
    /// What the init printed.
    Said(Vec<String>),
}

/// A booted kernel, killed with all its processes when it is dropped.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        if let (Ok(None), Ok(group)) = (self.0.try_wait(), i32::try_from(self.0.id())) {
            // Its own group, of which it is the leader and not yet waited for. All of it at once: what
            // the kernel traces, its programs, would go on as programs of the host without it.
            crate::host::send(-group, libc::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

fn boot(kernel: &Path, init: &Path, name: &str, at_most: Duration) -> Ended {
    // The kernel keeps its pid and sockets there.
    let home =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("uml-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&home).expect("the target directory can be written to");
    let mut init_option = OsString::from("init=");
    init_option.push(init);
    let mut command = Command::new(kernel);
    command
        .args([MEMORY, "rootfstype=hostfs", "rootflags=/", "ro"])
        .args(["con=null", "con0=null,fd:1", "quiet"])
        .arg(init_option)
        .arg("--")
        .args([name.as_ref(), unpacked().as_os_str()])
        .env("HOME", &home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let shared_memory = Path::new("/dev/shm");
    if !may_write(shared_memory) || !has_room(shared_memory) {
        command.env("TMPDIR", &home);
    }
    let start = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => Guest(child),
        Err(error) => return Ended::NoKernel(format!("it cannot be started: {error}")),
    };
    let output = child.0.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if tell.send(line.trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let mut lines = Vec::new();
    loop {
        let left = at_most.saturating_sub(start.elapsed());
        match told.recv_timeout(left) {
            Ok(line) => {
                let over = line.starts_with("verdict: ");
                lines.push(line);
                if over {
                    break;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                lines.push(format!("no verdict after {at_most:?}"));
                break;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(child);
    let _ = std::fs::remove_dir_all(&home);
    if lines.iter().any(|line| line == "init: here") {
        Ended::Said(lines)
    } else {
        let last = lines.last().map_or("it said nothing", String::as_str);
        Ended::NoKernel(format!("the kernel does not boot here: {last}"))
    }
}

/// Whether so many guests find room for their memory in this directory's file system.
fn has_room(directory: &Path) -> bool {
    let path = CString::new(directory.as_os_str().as_bytes()).expect("no zeroes");
    // SAFETY: `statvfs` is a plain C struct of integers; all zeroes is a valid value.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path and the struct are valid for the call.
    let failed = unsafe { libc::statvfs(path.as_ptr(), &mut room) };
    #[allow(
        clippy::useless_conversion,
        reason = "the width of C's integers differs between targets"
    )]
    let free = u64::from(room.f_bavail).saturating_mul(room.f_frsize.into());
    failed == 0 && free >= ROOM
}

fn may_write(directory: &Path) -> bool {
    let probe = directory.join(format!("epsilon-clock-{}", std::process::id()));
    let made = std::fs::write(&probe, b"").is_ok();
    let _ = std::fs::remove_file(&probe);
    made
}
