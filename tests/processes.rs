//! Clocks among real processes: forks, signals, stops, priorities, filters and other users.
//!
//! The truth here is the machine's real time, for which a source vouches to within a millisecond;
//! so nothing depends on whether, or by whom, the machine is synchronised.
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
    reason = "forks, signal handlers, priorities and filters are reached through libc alone"
)]

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::commit::CommitWaitError;
use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{
    ChronySource, Finding, KernelSource, Look, LookContext, Refusal, Source, SourceMemory,
};
use epsilon_clock::{Clock, ClockError, ClockState, CommitGroup, Disturbance, Interval};
use host::{
    Calm, HostMachine, TrustReal, eventually, exit_child, fork_off, in_child, in_time, is_true,
    real_nanos, send, skip, sleep_ms, wait_for,
};

#[path = "support/host.rs"]
mod host;
#[path = "support/seccomp.rs"]
mod seccomp;

/// What a child exits with when all was well, so that no other end is taken for it.
const WELL: i32 = 42;

/// How long a test goes on at most that has not done enough yet, on a machine that hardly lets it run.
const A_WHILE: Duration = Duration::from_secs(40);

/// How deep children have children.
const GENERATIONS: u32 = 20;

/// What a child finds wrong, as its exit code.
const NOT_TRUE: i32 = 1;
const NO_INTERVAL: i32 = 2;
const LOOKS_LOST: i32 = 3;
const NO_CHILD: i32 = 4;
const NOT_REFUSED: i32 = 5;
const NOT_PERMITTED: i32 = 6;
const NOT_FAIR: i32 = 7;

/// Manual looks, each of which must count and leave the clock true; else what is wrong.
fn looks_count(clock: &Clock, looks: u64) -> Result<(), i32> {
    let before = clock.status().counters;
    for _ in 0..looks {
        clock.look().map_err(|_| NO_INTERVAL)?;
        if is_true(clock) != Some(true) {
            return Err(NOT_TRUE);
        }
    }
    let after = clock.status().counters;
    let counted = (after.looks - before.looks, after.writes - before.writes);
    if counted == (looks, looks) {
        Ok(())
    } else {
        Err(LOOKS_LOST)
    }
}

/// The exit code of a child that should have ended well.
fn code(outcome: Result<(), i32>) -> i32 {
    outcome.err().unwrap_or(WELL)
}

// --- forks -------------------------------------------------------------------------------------

/// What `libc::fork` said at the last armed look: 0 in the child.
static FORKED: AtomicI32 = AtomicI32::new(-1);

/// A source that forks in the middle of an armed look; both processes go on with that look.
#[derive(Debug)]
struct Forking {
    armed: Arc<AtomicBool>,
}

impl Source for Forking {
    fn name(&self) -> &'static str {
        "forking"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let before = TrustReal::claim(context);
        if self.armed.swap(false, Ordering::SeqCst) {
            // SAFETY: the child goes on on a copy of this thread; it only reads clocks.
            FORKED.store(unsafe { libc::fork() }, Ordering::SeqCst);
        }
        Look::new(Finding::Write(before))
    }
}

/// Forks in a look, down to `depth` generations; how the descendants fared.
fn fork_in_looks(clock: &Clock, armed: &AtomicBool, depth: u32) -> Result<(), i32> {
    armed.store(true, Ordering::SeqCst);
    let looked = clock.look();
    let pid = FORKED.load(Ordering::SeqCst);
    if pid < 0 {
        return Err(NO_CHILD);
    }
    if pid == 0 {
        host::die_with_parent();
        // The child: its copy of the look it was born in must have come to an end as well.
        let fared = looked
            .map_err(|_| NO_INTERVAL)
            .and_then(|_| looks_count(clock, 5))
            .and_then(|()| match depth {
                0 | 1 => Ok(()),
                _ => fork_in_looks(clock, armed, depth - 1),
            });
        exit_child(code(fared));
    }
    looked.map_err(|_| NO_INTERVAL)?;
    match wait_for(pid, Duration::from_secs(60)) {
        Some(WELL) => looks_count(clock, 5),
        Some(wrong) => Err(wrong),
        None => Err(NO_CHILD),
    }
}

#[test]
fn forked_in_the_middle_of_a_look_the_child_reads_correctly() {
    in_time(|| {
        let armed = Arc::new(AtomicBool::new(false));
        let clock = Clock::builder()
            .refresh_policy(RefreshPolicy::Manual)
            .source(Forking {
                armed: armed.clone(),
            })
            .build()
            .unwrap();
        assert_eq!(fork_in_looks(&clock, &armed, GENERATIONS), Ok(()));
    });
}

/// A way to no servers, with the random bits that the real one has.
#[derive(Debug)]
struct Nowhere(epsilon_clock::source::ntp::Budget);

impl epsilon_clock::source::ntp::Transport for Nowhere {
    fn open(
        &self,
        _server: std::net::SocketAddr,
    ) -> std::io::Result<Box<dyn epsilon_clock::source::ntp::Channel>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn resolve(&self, _name: &str, _port: u16) -> std::io::Result<Vec<std::net::SocketAddr>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn budget(&self) -> &epsilon_clock::source::ntp::Budget {
        &self.0
    }
}

/// P8: what a child draws for its requests its parent does not, however both were born.
#[test]
fn p8_no_cookie_twice_over_forks() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use epsilon_clock::source::ntp::Transport;

    const DRAWN: usize = 256;
    in_time(|| {
        let nowhere = Nowhere(epsilon_clock::source::ntp::Budget::new());
        let draw = || -> Vec<u8> {
            let cookies = (0..DRAWN).map(|_| nowhere.random_bits().unwrap().to_ne_bytes());
            cookies.collect::<Vec<_>>().concat()
        };
        let mut all = draw();
        for _ in 0..2 {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            // SAFETY: the child draws, writes and exits.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                host::die_with_parent();
                let told = theirs.write_all(&draw());
                exit_child(if told.is_ok() { WELL } else { NO_INTERVAL });
            }
            drop(theirs);
            all.extend(draw());
            let mut drawn = Vec::new();
            ours.read_to_end(&mut drawn).unwrap();
            assert_eq!(drawn.len(), DRAWN * 8);
            all.extend(drawn);
            assert_eq!(wait_for(pid, Duration::from_secs(60)), Some(WELL));
        }
        let distinct: std::collections::HashSet<&[u8]> = all.chunks(8).collect();
        assert_eq!(distinct.len(), 5 * DRAWN);
    });
}

/// The host, with a look that can be held where it owns a slot of the latch and has closed the gate.
#[derive(Debug, Default)]
struct Holding {
    /// The thread that arms this is held at the next sample it takes.
    armed: AtomicBool,
    held: AtomicBool,
    released: AtomicBool,
}

thread_local! {
    static IS_LOOKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Machine for Holding {
    fn sample(&self) -> Sample {
        // The only sample that a look takes is the one that fixes the instant of the close.
        if IS_LOOKER.get() && self.armed.swap(false, Ordering::SeqCst) {
            self.held.store(true, Ordering::SeqCst);
            while !self.released.load(Ordering::SeqCst) {
                sleep_ms(1);
            }
        }
        HostMachine.sample()
    }

    fn sandwich(&self) -> Sandwich {
        HostMachine.sandwich()
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        HostMachine.ntp_status()
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

/// Forks while another thread owns a slot, down to `depth` generations: in each child that slot's
/// owner does not exist.
fn fork_beside_looks(clock: &Clock, machine: &Holding, depth: u32) -> Result<(), i32> {
    machine.held.store(false, Ordering::SeqCst);
    machine.released.store(false, Ordering::SeqCst);
    machine.armed.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            IS_LOOKER.set(true);
            let _ = clock.look();
        });
        if !eventually(|| machine.held.load(Ordering::SeqCst)) {
            machine.armed.store(false, Ordering::SeqCst);
            return Err(LOOKS_LOST);
        }
        let pid = fork_off(|| {
            // As it is found: the gate closing, by a looker that is not there any more.
            if is_true(clock) != Some(true) {
                return NOT_TRUE;
            }
            let fared = looks_count(clock, 5).and_then(|()| match depth {
                0 | 1 => Ok(()),
                _ => fork_beside_looks(clock, machine, depth - 1),
            });
            code(fared)
        });
        let fared = wait_for(pid, Duration::from_secs(60));
        machine.released.store(true, Ordering::SeqCst);
        match fared {
            Some(WELL) => Ok(()),
            Some(wrong) => Err(wrong),
            None => Err(NO_CHILD),
        }
    })
}

#[test]
fn slots_of_lookers_that_a_fork_left_behind_are_taken_again() {
    in_time(|| {
        let machine = Arc::new(Holding::default());
        let clock = Clock::builder()
            .refresh_policy(RefreshPolicy::Manual)
            .machine(machine.clone())
            .source(TrustReal)
            .build()
            .unwrap();
        assert_eq!(fork_beside_looks(&clock, &machine, GENERATIONS), Ok(()));
        assert_eq!(looks_count(&clock, 5), Ok(()));
    });
}

#[test]
fn a_child_of_a_clock_with_a_background_thread_reads_correctly() {
    let clock = Clock::builder()
        .refresh_policy(RefreshPolicy::Background)
        .source(TrustReal)
        .build()
        .unwrap();
    for _ in 0..20 {
        let fared = in_child(|| match is_true(&clock) {
            Some(true) => code(looks_count(&clock, 5)),
            _ => NOT_TRUE,
        });
        assert_eq!(fared, Some(WELL));
    }
}

/// A child has none of its parent's threads: what is awaited there is served by one of its own.
#[test]
fn a_child_awaits_commits_by_a_sleeper_of_its_own() {
    const LATE: i32 = 43;
    let awaited = || {
        let clock = Clock::builder()
            .assume_error(Duration::from_millis(1))
            .build();
        let Ok(clock) = clock else { return NO_INTERVAL };
        let Ok(group) = CommitGroup::start(&clock) else {
            return NO_CHILD;
        };
        let Ok(commit) = clock.begin_commit() else {
            return NO_INTERVAL;
        };
        let began = Instant::now();
        let released = group.released(&commit).wait_timeout(A_WHILE).is_ok();
        // Without a sleeper it would find out only at the timeout.
        if released && began.elapsed() < A_WHILE / 2 {
            WELL
        } else {
            LATE
        }
    };
    assert_eq!(awaited(), WELL);
    // While the parent's own is there, and again in a child's child.
    assert_eq!(in_child(awaited), Some(WELL));
    let grandchild = || {
        let here = awaited();
        in_child(awaited).map_or(here, |there| if here == WELL { there } else { here })
    };
    assert_eq!(in_child(grandchild), Some(WELL));
}

// --- signals and stops -------------------------------------------------------------------------

/// A program may block a signal and wait for it: no thread of the library's takes it, and dies of it.
#[test]
fn a_signal_that_the_program_waits_for_reaches_it() {
    const TAKEN: i32 = 43;
    let fared = in_child(|| {
        // Started before anything is blocked, and with every thread that there is.
        let clock = Clock::builder()
            .refresh_policy(RefreshPolicy::Background)
            .source(KernelSource::new())
            .source(ChronySource::new())
            .assume_error(Duration::from_millis(5))
            .build();
        let Ok(clock) = clock else { return NO_INTERVAL };
        let Ok(_group) = CommitGroup::start(&clock) else {
            return NO_CHILD;
        };
        // SAFETY: all zeroes is a valid `sigset_t`.
        let mut awaited: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live set.
        unsafe { libc::sigaddset(&mut awaited, libc::SIGTERM) };
        // SAFETY: as above; the former mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &awaited, std::ptr::null_mut()) };
        // To the process and not to this thread, so that any thread might take it.
        let own = libc::pid_t::try_from(std::process::id()).unwrap();
        // SAFETY: sends a signal to this process alone.
        unsafe { libc::kill(own, libc::SIGTERM) };
        let at_most = libc::timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        // SAFETY: both pointers are to live values; nothing else is asked for.
        let got = unsafe { libc::sigtimedwait(&awaited, std::ptr::null_mut(), &at_most) };
        if got == libc::SIGTERM { WELL } else { TAKEN }
    });
    assert_eq!(fared, Some(WELL));
}

/// The clock that the handler reads, from an `Arc` that is never dropped.
static HANDLED_CLOCK: AtomicPtr<Clock> = AtomicPtr::new(std::ptr::null_mut());
static HANDLED: AtomicU64 = AtomicU64::new(0);
static HANDLED_FALSE: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_alarm(_signal: libc::c_int) {
    // SAFETY: the pointer is null or leads to a clock that is never dropped.
    let Some(clock) = (unsafe { HANDLED_CLOCK.load(Ordering::SeqCst).as_ref() }) else {
        return;
    };
    for _ in 0..3 {
        if is_true(clock) != Some(true) {
            HANDLED_FALSE.fetch_add(1, Ordering::SeqCst);
        }
        HANDLED.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_signal_handler_reads_the_clock_in_the_middle_of_reads_and_looks() {
    in_time(|| {
        // Nearly every reading guards, and one in a few looks: the handler meets them at every point.
        let clock = Clock::builder()
            .look_interval(Duration::from_micros(10))
            .guard_interval(Duration::from_micros(10))
            .source(TrustReal)
            .build()
            .unwrap();
        let leaked = Box::into_raw(Box::new(clock.clone()));
        HANDLED_CLOCK.store(leaked, Ordering::SeqCst);
        // SAFETY: all zeroes is a valid `sigaction`: an empty mask, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_alarm as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler only reads a clock and adds to atomics.
        let failed = unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) };
        assert_eq!(failed, 0);
        // A number in one libc, a pointer in another: neither goes to another thread as it is in both.
        // SAFETY: has no conditions.
        let reader = unsafe { libc::pthread_self() };
        #[allow(clippy::cast_possible_truncation, reason = "a word, whatever its type")]
        let reader = reader as usize;
        let done = AtomicBool::new(false);
        let (mut readings, mut earliest) = (0_u64, None);
        std::thread::scope(|scope| {
            let alarms = scope.spawn(|| {
                let mut sent = 0_u64;
                while !done.load(Ordering::SeqCst) {
                    if HANDLED.load(Ordering::SeqCst) < 3 * sent {
                        // One after the other, or the reader does nothing else on a busy machine.
                        std::thread::yield_now();
                        continue;
                    }
                    // SAFETY: the reader outlives this scope.
                    let failed =
                        unsafe { libc::pthread_kill(reader as libc::pthread_t, libc::SIGALRM) };
                    assert_eq!(failed, 0);
                    sent += 1;
                    std::thread::sleep(Duration::from_micros(20 + sent % 7));
                }
            });
            let start = Instant::now();
            // Longer where this thread hardly gets to run, but not for ever.
            let done_enough = |readings| readings > 100 && HANDLED.load(Ordering::SeqCst) > 300;
            while start.elapsed() < Duration::from_millis(1_500)
                || (!done_enough(readings) && start.elapsed() < A_WHILE)
            {
                assert_eq!(is_true(&clock), Some(true));
                let now = clock.calm_now().unwrap();
                // T3 in small: what was past stays so, whatever the handler published in between.
                assert!(earliest <= Some(now.earliest()));
                earliest = Some(now.earliest());
                let _ = clock.look();
                readings += 1;
            }
            done.store(true, Ordering::SeqCst);
            alarms.join().unwrap();
        });
        let handled = HANDLED.load(Ordering::SeqCst);
        assert_eq!(HANDLED_FALSE.load(Ordering::SeqCst), 0);
        // Three for each signal.
        assert!(
            readings > 100 && handled > 300,
            "{readings} readings, {handled} handled"
        );
        assert_eq!(looks_count_inline(&clock), Ok(()));
    });
}

/// Looks of a clock at which others look too: some of them must count.
fn looks_count_inline(clock: &Clock) -> Result<(), i32> {
    let before = clock.status().counters.writes;
    for _ in 0..20 {
        clock.look().map_err(|_| NO_INTERVAL)?;
    }
    let after = clock.status().counters.writes;
    if after > before {
        Ok(())
    } else {
        Err(LOOKS_LOST)
    }
}

#[test]
fn a_process_that_is_stopped_anywhere_reads_nothing_false_afterwards() {
    let clock = Clock::builder()
        .look_interval(Duration::from_micros(10))
        .guard_interval(Duration::from_micros(10))
        .source(TrustReal)
        .build()
        .unwrap();
    let [read_end, write_end] = pipe();
    let pid = fork_off(|| {
        close(write_end);
        let mut readings = 0_u64;
        let start = Instant::now();
        // Until the parent closes its end, and it has done enough.
        while !at_end(read_end) || (readings <= 100 && start.elapsed() < A_WHILE) {
            for _ in 0..20 {
                readings += 1;
                let fared = if readings % 3 == 0 {
                    clock.look().map(drop)
                } else {
                    Ok(())
                };
                // Stopped eight times in a row within one reading, or for so long in the middle of a
                // look that its claim is too wide: said so, fair enough, and over with the next look.
                let fair = match fared {
                    Err(ClockError::Disturbed { cause }) => cause == Disturbance::Interrupted,
                    Err(error) => matches!(error, ClockError::TooWide { .. }),
                    Ok(()) => true,
                };
                match is_true(&clock) {
                    Some(false) => return NOT_TRUE,
                    _ if !fair => return NOT_FAIR,
                    None if !eventually(|| clock.now().is_ok()) => return NO_INTERVAL,
                    _ => {}
                }
            }
        }
        if readings > 100 { WELL } else { LOOKS_LOST }
    });
    close(read_end);
    for n in 0..100 {
        std::thread::sleep(Duration::from_micros(500 + 37 * n));
        send(pid, libc::SIGSTOP);
        sleep_ms(if n % 10 == 0 { 60 } else { 1 + n % 7 });
        send(pid, libc::SIGCONT);
    }
    close(write_end);
    assert_eq!(wait_for(pid, Duration::from_secs(60)), Some(WELL));
}

#[test]
fn a_process_that_is_stopped_in_a_commit_wait_is_not_released_early() {
    let clock = Clock::builder().source(TrustReal).build().unwrap();
    let [read_end, write_end] = pipe();
    let pid = fork_off(|| {
        close(write_end);
        let (mut released, mut last) = (0_u64, i64::MIN);
        let start = Instant::now();
        while !at_end(read_end) || (released <= 50 && start.elapsed() < A_WHILE) {
            let Ok(commit) = clock.begin_commit() else {
                return NO_INTERVAL;
            };
            let timestamp = commit.timestamp().unix_nanos();
            let waited = commit.wait();
            // Released means past, and real time is never behind what is surely past.
            match waited {
                Ok(()) if real_nanos() <= timestamp || timestamp <= last => return NOT_TRUE,
                Ok(()) => released += 1,
                Err(CommitWaitError::Clock(ClockError::Disturbed {
                    cause: Disturbance::Interrupted,
                })) => {}
                Err(_) => return NO_INTERVAL,
            }
            last = timestamp;
        }
        if released > 50 { WELL } else { LOOKS_LOST }
    });
    close(read_end);
    for n in 0..100 {
        // A wait takes some 2 ms, so most stops are in the middle of one.
        std::thread::sleep(Duration::from_micros(2_500 + 37 * n));
        send(pid, libc::SIGSTOP);
        sleep_ms(if n % 10 == 0 { 60 } else { n % 7 });
        send(pid, libc::SIGCONT);
    }
    close(write_end);
    assert_eq!(wait_for(pid, Duration::from_secs(60)), Some(WELL));
}

// --- time namespaces -----------------------------------------------------------------------------

/// What a child does in a time namespace whose clocks are shifted by so many seconds and ms; `None`
/// if there are no time namespaces to be had.
fn in_time_namespace(mono_ms: i64, boot_ms: i64, child: impl FnOnce() -> i32) -> Option<i32> {
    // `unshare` binds whoever calls it, so a process of its own does.
    let fared = in_child(|| {
        // SAFETY: this process's later children get a time namespace of their own.
        if unsafe { libc::unshare(CLONE_NEWTIME) } != 0 {
            return NOT_PERMITTED;
        }
        let line = |clock: &str, ms: i64| {
            let (seconds, nanos) = (ms.div_euclid(1_000), ms.rem_euclid(1_000) * 1_000_000);
            format!("{clock} {seconds} {nanos}\n")
        };
        let offsets = line("monotonic", mono_ms) + &line("boottime", boot_ms);
        if std::fs::write("/proc/self/timens_offsets", offsets).is_err() {
            return NOT_PERMITTED;
        }
        let inside = fork_off(child);
        wait_for(inside, Duration::from_secs(60)).unwrap_or(NO_CHILD)
    });
    (fared != Some(NOT_PERMITTED)).then(|| fared.unwrap_or(NO_CHILD))
}

/// Not in every libc's headers.
const CLONE_NEWTIME: libc::c_int = 0x80;

#[test]
fn a_child_in_another_time_namespace_reads_nothing_false() {
    const SUBJECT: &str = "a time namespace with shifted clocks";
    let uptime_ms = host::clock_nanos(libc::CLOCK_MONOTONIC) / 1_000_000;
    let shifts = [
        (1_000_000, 1_000_000),
        (70, 70),
        (-uptime_ms / 2, -uptime_ms / 2),
        (1_000_000, 5_000_000),
        (0, 3_000_000),
    ];
    for (mono_ms, boot_ms) in shifts {
        for policy in [RefreshPolicy::Inline, RefreshPolicy::Manual] {
            // Inline clocks look by themselves; the other ones carry on what the parent knew.
            let built = Clock::builder().refresh_policy(policy).source(TrustReal);
            let clock = built.build().unwrap();
            assert_eq!(is_true(&clock), Some(true));
            let fared = in_time_namespace(mono_ms, boot_ms, || fares_elsewhere(&clock, policy));
            match fared {
                None => return skip(SUBJECT, "not permitted here"),
                Some(fared) => assert_eq!(fared, WELL, "{mono_ms} {boot_ms} {policy:?}"),
            }
            // The parent's clock is what it was.
            assert_eq!(is_true(&clock), Some(true));
            assert_eq!(clock.status().counters.suspends, 0);
        }
    }
}

/// How a clock from another time namespace fares, and one that was built in this one.
fn fares_elsewhere(clock: &Clock, policy: RefreshPolicy) -> i32 {
    let start = Instant::now();
    let mut disturbed = false;
    while start.elapsed() < Duration::from_millis(50) {
        let now = clock.now();
        match (now, is_true(clock)) {
            (_, Some(false)) => return NOT_TRUE,
            (Err(ClockError::Disturbed { .. }), _) => disturbed = true,
            (Err(_), _) => return NO_INTERVAL,
            _ => {}
        }
    }
    // Noticed, and not got over without a source that vouches anew.
    if clock.status().counters.suspends == 0 {
        return NOT_REFUSED;
    }
    if policy == RefreshPolicy::Manual && !disturbed {
        return NOT_REFUSED;
    }
    if let Err(wrong) = looks_count(clock, 5) {
        return wrong;
    }
    let Ok(own) = Clock::builder().source(TrustReal).build() else {
        return NO_INTERVAL;
    };
    match is_true(&own) {
        Some(true) => code(looks_count(&own, 5)),
        _ => NO_INTERVAL,
    }
}

fn pipe() -> [libc::c_int; 2] {
    let mut ends = [0; 2];
    // SAFETY: the pointer leads to room for two descriptors.
    let failed = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
    assert_eq!(failed, 0);
    ends
}

fn close(descriptor: libc::c_int) {
    // SAFETY: closes a descriptor that only this test knows.
    unsafe { libc::close(descriptor) };
}

/// Whether the other end of a pipe was closed.
fn at_end(descriptor: libc::c_int) -> bool {
    let mut byte = 0_u8;
    // SAFETY: the pointer leads to room for the one byte that is asked for.
    (unsafe { libc::read(descriptor, (&raw mut byte).cast(), 1) }) == 0
}

// --- lookers that do not come back ---------------------------------------------------------------

/// Lets a held looker go when dropped, also where its test fails: else nobody would hear of that.
struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A source in which the first look of one thread is held until it is let go.
#[derive(Debug, Default)]
struct Blocking {
    armed: AtomicBool,
    held: AtomicBool,
    released: AtomicBool,
}

#[derive(Debug)]
struct BlockingSource(Arc<Blocking>);

impl Source for BlockingSource {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let claim = TrustReal::claim(context);
        if IS_LOOKER.get() && self.0.armed.swap(false, Ordering::SeqCst) {
            self.0.held.store(true, Ordering::SeqCst);
            while !self.0.released.load(Ordering::SeqCst) {
                sleep_ms(1);
            }
        }
        Look::new(Finding::Write(claim))
    }
}

/// On a busy machine any look may take longer than the look interval; here each of them does.
#[derive(Debug)]
struct Slow;

impl Source for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        std::thread::sleep(Duration::from_micros(100));
        Look::new(Finding::Write(TrustReal::claim(context)))
    }
}

#[test]
fn looks_that_take_longer_than_the_look_interval_still_give_an_interval() {
    // However many readings that takes: how many there are between two looks depends on their speed.
    in_time(|| {
        let clock = Clock::builder()
            .look_interval(Duration::from_micros(10))
            .guard_interval(Duration::from_micros(10))
            .source(Slow)
            .build()
            .unwrap();
        while clock.status().counters.looks < 50 {
            assert!(clock.calm_now().is_ok(), "{:?}", clock.now());
        }
    });
}

#[test]
fn a_looker_that_is_held_in_its_source_holds_up_nobody() {
    in_time(|| {
        let blocking = Arc::new(Blocking::default());
        let clock = Clock::builder()
            .look_interval(Duration::from_millis(5))
            .source(BlockingSource(blocking.clone()))
            .build()
            .unwrap();
        blocking.armed.store(true, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let looker = scope.spawn(|| {
                IS_LOOKER.set(true);
                clock.look()
            });
            let release = Release(&blocking.released);
            assert!(eventually(|| blocking.held.load(Ordering::SeqCst)));
            let before = clock.status().counters;
            let start = Instant::now();
            let mut last: Option<Interval> = None;
            let looked = || clock.status().counters.writes - before.writes;
            while start.elapsed() < Duration::from_millis(300)
                || (looked() < 10 && start.elapsed() < A_WHILE)
            {
                assert_eq!(is_true(&clock), Some(true));
                let now = clock.calm_now().unwrap();
                assert!(last.is_none_or(|last| last.earliest() <= now.earliest()));
                last = Some(now);
            }
            let between = clock.status().counters;
            // Every 5 ms one of the readers took the right to look, which the held one had.
            assert!(
                between.writes - before.writes >= 10,
                "{before:?} {between:?}"
            );
            assert_eq!(clock.status().state, ClockState::Synchronized);
            drop(release);
            let late = looker.join().unwrap().unwrap();
            // What it had seen 300 ms ago must not have been published over what was seen since.
            assert!(last.is_none_or(|last| last.earliest() <= late.earliest()));
            let after = clock.status().counters;
            assert!(
                after.looks_dropped > before.looks_dropped,
                "{before:?} {after:?}"
            );
            assert_eq!(is_true(&clock), Some(true));
        });
    });
}

/// A look held where the gate is closing: readers fix the instant themselves and go on.
#[test]
fn a_looker_that_is_held_with_the_gate_closing_holds_up_nobody() {
    in_time(|| {
        let machine = Arc::new(Holding::default());
        let clock = Clock::builder()
            .look_interval(Duration::from_millis(5))
            .machine(machine.clone())
            .source(TrustReal)
            .build()
            .unwrap();
        machine.armed.store(true, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let looker = scope.spawn(|| {
                IS_LOOKER.set(true);
                let _ = clock.look();
            });
            let release = Release(&machine.released);
            assert!(eventually(|| machine.held.load(Ordering::SeqCst)));
            let before = clock.status().counters;
            let start = Instant::now();
            let mut earliest = clock.calm_now().unwrap().earliest();
            let looked = || clock.status().counters.writes - before.writes;
            while start.elapsed() < Duration::from_millis(200)
                || (looked() < 5 && start.elapsed() < A_WHILE)
            {
                assert_eq!(is_true(&clock), Some(true));
                let now = clock.calm_now().unwrap();
                assert!(earliest <= now.earliest());
                earliest = now.earliest();
            }
            let after = clock.status().counters;
            assert!(after.writes - before.writes >= 5, "{before:?} {after:?}");
            drop(release);
            looker.join().unwrap();
            assert!(earliest <= clock.calm_now().unwrap().earliest());
            assert_eq!(is_true(&clock), Some(true));
        });
    });
}

/// Ties this thread to one processor; whether that was possible.
fn pin_to_one_processor() -> bool {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes the set that the reference leads to.
    let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    // SAFETY: reads the set, within its size.
    let allowed = |set: &libc::cpu_set_t, n| unsafe { libc::CPU_ISSET(n, set) };
    let Some(first) = (0..64).find(|n| failed == 0 && allowed(&set, *n)) else {
        return false;
    };
    // SAFETY: all zeroes is an empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes the set, within its size.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: reads the set that the reference leads to.
    (unsafe { libc::sched_setaffinity(0, size_of_val(&one), &one) }) == 0
}

/// Makes this thread one that no ordinary thread runs beside on its processor.
fn become_real_time() -> bool {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: reads the parameter that the reference leads to.
    (unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &priority) }) == 0
}

#[test]
fn a_real_time_reader_never_waits_for_a_looker_that_it_preempted() {
    const SUBJECT: &str = "a SCHED_FIFO reader above a looker on one processor";
    let clock = Clock::builder()
        .refresh_policy(RefreshPolicy::Manual)
        .source(TrustReal)
        .build()
        .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let looker = std::thread::spawn({
        let (clock, done) = (clock.clone(), done.clone());
        move || {
            let pinned = pin_to_one_processor();
            while !done.load(Ordering::SeqCst) {
                let _ = clock.look();
            }
            pinned
        }
    });
    let (tell, told) = mpsc::channel();
    // Not joined before it has told its end: were it to wait for the looker, it would never end.
    std::thread::spawn({
        let clock = clock.clone();
        move || {
            if !(pin_to_one_processor() && become_real_time()) {
                let _ = tell.send(None);
                return;
            }
            let (mut readings, mut longest, mut all_true) = (0_u64, Duration::ZERO, true);
            for n in 0..3_000_u64 {
                // Wakes up over the looker, wherever that one is.
                std::thread::sleep(Duration::from_micros(30 + n % 13));
                let start = Instant::now();
                for _ in 0..5 {
                    all_true &= is_true(&clock) == Some(true);
                    readings += 1;
                }
                longest = longest.max(start.elapsed());
            }
            let _ = tell.send(Some((readings, longest, all_true)));
        }
    });
    let outcome = told.recv_timeout(Duration::from_secs(60));
    done.store(true, Ordering::SeqCst);
    let pinned = looker.join().unwrap();
    match outcome {
        Ok(Some((readings, longest, all_true))) => {
            assert!(pinned && readings == 15_000);
            assert!(all_true);
            // Real-time throttling may cost it 50 ms, and a busy host more; a wait has no end.
            assert!(longest < Duration::from_secs(5), "{longest:?}");
        }
        Ok(None) => skip(SUBJECT, "not permitted here"),
        Err(error) => panic!("the reader hangs: {error}"),
    }
}

// --- filters and users -------------------------------------------------------------------------

/// Forbids this thread the given syscalls: they fail with `errno`. Whether filters are to be had.
fn forbid(syscalls: &[libc::c_long], errno: i32) -> bool {
    let errno = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap();
    seccomp::filter(syscalls, errno)
}

/// Runs `work` in a thread of its own under such a filter; `None` if there are no filters here.
fn under_filter<T: Send>(
    syscalls: &[libc::c_long],
    errno: i32,
    work: impl FnOnce() -> T + Send,
) -> Option<T> {
    std::thread::scope(|scope| {
        let filtered = scope.spawn(|| forbid(syscalls, errno).then(work));
        filtered.join().unwrap()
    })
}

const BOTH: [libc::c_long; 2] = [libc::SYS_adjtimex, libc::SYS_clock_adjtime];

/// Why the kernel source does not vouch, if it was refused its status.
fn refused_status(clock: &Clock) -> Option<NtpStatusError> {
    match clock.status().refusal {
        Some(Refusal::Status(error)) => Some(error),
        _ => None,
    }
}

#[test]
fn a_filter_on_both_calls_is_an_error_that_says_so() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let seen = under_filter(&BOTH, errno, || {
            let clock = Clock::system().unwrap();
            let assumed = Clock::builder().assume_error(Duration::from_millis(50));
            (
                clock.now(),
                assumed.build().unwrap().now(),
                clock.read().estimate,
            )
        });
        let Some((now, assumed, estimate)) = seen else {
            skip("adjtimex under a seccomp filter", "no filters here");
            return;
        };
        let refusal = Refusal::Status(NtpStatusError::Refused { errno });
        let error = now.unwrap_err();
        assert_eq!(error, ClockError::Unvouched(refusal));
        let text = error.to_string();
        assert!(
            text.contains(&format!("errno {errno}")) && text.contains("seccomp"),
            "{text}"
        );
        // The other way out is open, and a log has its estimate.
        let assumed = assumed.unwrap();
        assert!(assumed.contains(estimate), "{assumed} {estimate}");
    }
}

#[test]
fn a_filter_on_one_of_the_calls_is_got_round() {
    const SUBJECT: &str = "one syscall in place of the other";
    if HostMachine.ntp_status().is_err() {
        skip(SUBJECT, "neither is permitted here");
        return;
    }
    for errno in [libc::EPERM, libc::ENOSYS] {
        for forbidden in BOTH {
            let Some((directly, refused)) = under_filter(&[forbidden], errno, || {
                // SAFETY: both calls take pointers and find null ones: EFAULT or the filter.
                let answer = unsafe { libc::syscall(forbidden, 0_usize, 0_usize) };
                let said = std::io::Error::last_os_error().raw_os_error();
                ((answer, said), refused_status(&Clock::system().unwrap()))
            }) else {
                skip(SUBJECT, "no filters here");
                return;
            };
            assert_eq!(directly, (-1, Some(errno)), "the filter does not filter");
            assert_eq!(refused, None, "syscall {forbidden} alone, errno {errno}");
        }
    }
}

/// A clock that was built where the calls were allowed, read in a thread where they are not.
#[test]
fn a_filtered_thread_carries_on_the_claim_that_it_finds() {
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(50))
        .look_interval(Duration::from_micros(10))
        .guard_interval(Duration::from_micros(10))
        .build()
        .unwrap();
    if clock.now().is_err() {
        skip(
            "a claim carried on under a filter",
            "the clock gives no interval to begin with",
        );
        return;
    }
    let seen = under_filter(&BOTH, libc::EPERM, || {
        (0..1_000)
            .map(|_| clock.calm_now().is_ok())
            .collect::<Vec<_>>()
    });
    match seen {
        None => skip("a claim carried on under a filter", "no filters here"),
        Some(seen) => assert!(seen.iter().all(|ok| *ok)),
    }
}

#[test]
fn a_user_without_rights_reads_the_clock() {
    const NOBODY: u32 = 65_534;
    let can_ask = HostMachine.ntp_status().is_ok();
    let fared = in_child(|| {
        // SAFETY: has no conditions.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: changes who this child is; it has one thread.
            let no_group = unsafe { libc::setgid(NOBODY) } != 0;
            // SAFETY: as above.
            let no_user = unsafe { libc::setuid(NOBODY) } != 0;
            if no_group || no_user {
                return NOT_PERMITTED;
            }
            // SAFETY: has no conditions.
            if unsafe { libc::geteuid() } != NOBODY {
                return NOT_PERMITTED;
            }
        }
        let Ok(clock) = Clock::system() else {
            return NO_INTERVAL;
        };
        if can_ask && refused_status(&clock).is_some() {
            return NOT_REFUSED;
        }
        let assumed = Clock::builder().assume_error(Duration::from_millis(50));
        let trusting = Clock::builder().source(TrustReal);
        let (Ok(assumed), Ok(trusting)) = (assumed.build(), trusting.build()) else {
            return NO_INTERVAL;
        };
        if assumed.now().is_err() && can_ask && assumed.status().state == ClockState::Assumed {
            return NO_INTERVAL;
        }
        if is_true(&trusting) == Some(true) {
            WELL
        } else {
            NOT_TRUE
        }
    });
    match fared {
        Some(NOT_PERMITTED) => skip("a user without rights", "root may not become nobody here"),
        other => assert_eq!(other, Some(WELL)),
    }
}
