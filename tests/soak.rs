//! Hammers one clock from many threads, and counts what went wrong.
//!
//! For three seconds, or for as many minutes as `EPSILON_CLOCK_LONG` says:
//!
//! ```sh
//! EPSILON_CLOCK_LONG=60 cargo test --release --test soak -- --nocapture
//! ```
//!
//! With `EPSILON_CLOCK_KERNEL_TESTS=1`, as root, and where no time daemon runs, it writes the kernel's
//! NTP fields, for 20 s out of 25: bounds, lies and refusals in turn. They are put back each time, also
//! when it is interrupted, and other tests that write them get their turn. Real time itself is never set,
//! so it serves as the truth then.
//!
//! `EPSILON_CLOCK_SOAK_REST` is how many ms each thread rests after each of its rounds, for a machine that
//! has other things to do: 0 by default.
//!
//! Beside the readers children are forked that read the clock, and signals whose handler reads it go to every
//! thread. At the end no thread and no descriptor of the clock may be left, and over a minute or more the
//! memory may not have grown.
#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it found, and one that cannot go on has failed"
)]
#![allow(
    unsafe_code,
    reason = "signals are sent and handled through libc alone"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use epsilon_clock::commit::{CommitError, CommitWaitError};
use epsilon_clock::hlc::HlcError;
use epsilon_clock::lease::{GrantorClock, TermLease};
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::{Clock, ClockError, HybridClock, Lease, Timestamp};

#[path = "support/fields.rs"]
mod fields;
#[path = "support/host.rs"]
mod host;

/// Asks for the writes to the kernel's NTP fields.
const ASKED: &str = "EPSILON_CLOCK_KERNEL_TESTS";

/// How many minutes it is to take.
const LONG: &str = "EPSILON_CLOCK_LONG";

/// How many ms each thread is to rest after a round.
const REST: &str = "EPSILON_CLOCK_SOAK_REST";

const THREADS: usize = 8;

/// How long the kernel's fields are written without a pause, and the pause.
const TURN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(5);

/// So short that leases end, and are taken over, all the time.
const TERM: Duration = Duration::from_millis(20);

/// How much more memory may be resident at the end than when all was warm, in kB.
const GROWTH_LIMIT_KB: u64 = 2_048;

fn span() -> Duration {
    let Ok(minutes) = std::env::var(LONG) else {
        return Duration::from_secs(3);
    };
    let minutes: f64 = minutes.parse().expect("EPSILON_CLOCK_LONG counts minutes");
    Duration::from_secs_f64(minutes * 60.0)
}

fn rest() -> Duration {
    let ms = std::env::var(REST).map_or(0, |ms| {
        ms.parse().expect("EPSILON_CLOCK_SOAK_REST counts ms")
    });
    Duration::from_millis(ms)
}

/// What all threads share.
struct Field {
    clock: Clock,
    over: AtomicBool,
    /// Whether real time is the truth: only the soak writes the kernel's bound.
    real_is_true: bool,
    /// The latest earliest end that a reader has seen; T3 promises that it stays reached.
    reached: AtomicI64,
    stamps: HybridClock,
    /// The largest stamp that a caller has been given, as bits.
    stamped: AtomicU64,
    /// The latest commit timestamp that was released; T5 promises later ones to who begins then.
    released: AtomicI64,
    /// The lease that a thread takes which finds it over, by its expiry.
    expiry: AtomicI64,
    /// A lease of this process, which all threads ask and renew, once there was an interval to grant it by.
    term: Mutex<Option<TermLease>>,
    /// No later raw instant is within any grant of it.
    within: AtomicI64,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    intervals: AtomicU64,
    errors: AtomicU64,
    stamps: AtomicU64,
    commits: AtomicU64,
    commits_refused: AtomicU64,
    held: AtomicU64,
    taken: AtomicU64,
    terms: AtomicU64,
    children: AtomicU64,
    signals: AtomicU64,
    violations: AtomicU64,
    worst_look_ns: AtomicU64,
}

/// What threads do a hundred times for each commit, which waits for milliseconds.
const QUICK: [fn(&Field); 8] = [now, now, tick, after, look, tick, lease, term];

impl Field {
    fn violation(&self, what: &str) {
        // A few are enough to go after; the rest is counted.
        if self.counts.violations.fetch_add(1, Ordering::SeqCst) < 10 {
            eprintln!("violation: {what}: {:?}", self.clock.status());
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// T1 against real time where that is the truth, and T3.
fn now(field: &Field) {
    let reached = field.reached.load(Ordering::SeqCst);
    let before = host::real_nanos();
    let now = match field.clock.now() {
        Ok(now) => now,
        Err(error) => return failed(field, error),
    };
    let after = host::real_nanos();
    add(&field.counts.intervals);
    let (earliest, latest) = (now.earliest().unix_nanos(), now.latest().unix_nanos());
    if field.real_is_true && (earliest > after || latest < before) {
        field.violation(&format!("T1: {now} misses {before} to {after}"));
    }
    if earliest < reached {
        field.violation(&format!("T3: {} ns back", reached - earliest));
    }
    field.reached.fetch_max(earliest, Ordering::SeqCst);
}

/// T3 as its callers know it: what was past stays past.
fn after(field: &Field) {
    let reached = field.reached.load(Ordering::SeqCst);
    if reached == i64::MIN {
        return;
    }
    match field.clock.after(Timestamp::from_unix_nanos(reached - 1)) {
        Ok(true) => add(&field.counts.intervals),
        Ok(false) => field.violation("T3: `after` denies what was past"),
        Err(error) => failed(field, error),
    }
}

fn look(field: &Field) {
    let start = Instant::now();
    let looked = field.clock.look();
    let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    field
        .counts
        .worst_look_ns
        .fetch_max(took, Ordering::Relaxed);
    if let Err(error) = looked {
        failed(field, error);
    }
}

/// H1 and H8: a later stamp is larger than any that was seen before it was asked for.
fn tick(field: &Field) {
    let before = field.stamped.load(Ordering::SeqCst);
    match field.stamps.tick() {
        Ok(stamp) => {
            add(&field.counts.stamps);
            if stamp.to_bits() <= before {
                field.violation("H1: a stamp is not after one that was issued before it");
            }
            field.stamped.fetch_max(stamp.to_bits(), Ordering::SeqCst);
        }
        Err(HlcError::Clock(error)) => failed(field, error),
        Err(error) => field.violation(&error.to_string()),
    }
}

/// T5 and T6: a later commit has the later timestamp, and is released after it.
fn commit(field: &Field) {
    let released = field.released.load(Ordering::SeqCst);
    let commit = match field.clock.begin_commit() {
        Ok(commit) => commit,
        Err(CommitError::Clock(error)) => return failed(field, error),
        Err(_) => return add(&field.counts.commits_refused),
    };
    let timestamp = commit.timestamp().unix_nanos();
    if timestamp <= released {
        field.violation("T5: a commit is not after one that was released before it began");
    }
    match commit.wait_timeout(Duration::from_millis(200)) {
        Ok(()) => {
            add(&field.counts.commits);
            if field.real_is_true && host::real_nanos() <= timestamp {
                field.violation("T6: a commit was released before its timestamp was past");
            }
            field.released.fetch_max(timestamp, Ordering::SeqCst);
        }
        Err(CommitWaitError::Clock { .. }) => add(&field.counts.errors),
        Err(_) => add(&field.counts.commits_refused),
    }
}

/// T7 by expiry: what is held has not ended, and what is over has.
fn lease(field: &Field) {
    let expiry = field.expiry.load(Ordering::SeqCst);
    let lease = Lease::until(Timestamp::from_unix_nanos(expiry));
    let before = host::real_nanos();
    match lease.held(&field.clock) {
        Ok(true) => {
            add(&field.counts.held);
            if field.real_is_true && before >= expiry {
                field.violation("T7: a lease was held after its expiry");
            }
        }
        Ok(false) => {}
        Err(error) => return failed(field, error),
    }
    match lease.surely_expired(&field.clock) {
        Ok(true) => {
            if field.real_is_true && host::real_nanos() <= expiry {
                field.violation("T7: a lease was over before its expiry");
            }
        }
        Ok(false) => return,
        Err(error) => return failed(field, error),
    }
    if let Ok(granted) = field.clock.now().map(|now| Lease::grant(&now, TERM)) {
        let granted = granted.expect("it ends in this century");
        let next = granted.expiry().unix_nanos();
        let taken = field
            .expiry
            .compare_exchange(expiry, next, Ordering::SeqCst, Ordering::SeqCst);
        if taken.is_ok() {
            add(&field.counts.taken);
        }
    }
}

/// T7 by elapsed time: a term is never held longer than it was granted for.
fn term(field: &Field) {
    // Not held while the lease is asked: all threads are to ask at once.
    let term = field.term.lock().expect("no thread has failed").clone();
    let before = host::clock_nanos(libc::CLOCK_MONOTONIC_RAW);
    match term.as_ref().map(TermLease::held) {
        Some(Ok(true)) => {
            add(&field.counts.terms);
            if before >= field.within.load(Ordering::SeqCst) {
                field.violation("T7: a term was held for longer than it was granted for");
            }
            return;
        }
        Some(Ok(false)) | None => {}
        Some(Err(error)) => return failed(field, error),
    }
    let request = match field.clock.request_lease() {
        Ok(request) => request,
        Err(error) => return failed(field, error),
    };
    let asked = host::clock_nanos(libc::CLOCK_MONOTONIC_RAW);
    let length = i64::try_from(TERM.as_nanos()).expect("it is short");
    field.within.fetch_max(asked + length, Ordering::SeqCst);
    let granted = request
        .granted(TERM, GrantorClock::RawTime)
        .expect("it ends in this century");
    match &term {
        Some(term) => term.renew(&granted),
        None => *field.term.lock().expect("no thread has failed") = Some(granted),
    }
}

/// The clock that the handler reads; null while there is none.
static HANDLED: AtomicPtr<Field> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn on_signal(_signal: libc::c_int) {
    // SAFETY: the pointer is null or leads to the field, which outlives the threads that signals are sent to.
    let Some(field) = (unsafe { HANDLED.load(Ordering::SeqCst).as_ref() }) else {
        return;
    };
    add(&field.counts.signals);
    let before = host::real_nanos();
    let now = field.clock.now();
    let after = host::real_nanos();
    // Printing is not for handlers; what is counted fails the test.
    if let (Ok(now), true) = (now, field.real_is_true)
        && (now.earliest().unix_nanos() > after || now.latest().unix_nanos() < before)
    {
        field.counts.violations.fetch_add(1, Ordering::SeqCst);
    }
}

fn handle_signals() {
    // SAFETY: all zeroes is a valid `sigaction`: an empty mask, no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler only reads clocks and adds to atomics.
    let failed = unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

/// A child reads the clock that it was forked with, whatever the threads were doing that it does not have.
fn fork(field: &Field) {
    let code = host::in_child(|| {
        for _ in 0..20 {
            let before = host::real_nanos();
            let now = field.clock.now();
            let after = host::real_nanos();
            if let (Ok(now), true) = (now, field.real_is_true)
                && (now.earliest().unix_nanos() > after || now.latest().unix_nanos() < before)
            {
                return 1;
            }
            let _ = field.stamps.tick();
            let _ = field.clock.look();
        }
        0
    });
    add(&field.counts.children);
    if code != Some(0) {
        field.violation(&format!("a forked child ended with {code:?}"));
    }
}

fn failed(field: &Field, error: ClockError) {
    add(&field.counts.errors);
    // Nothing in a soak makes claims that exclude each other.
    if matches!(error, ClockError::Contradicted { .. }) && field.real_is_true {
        field.violation(&error.to_string());
    }
}

/// Writes the fields until it is over, in turns with other tests that do.
fn toggle(field: &Field, mut held: Option<(fields::Saved, fields::Lock)>) {
    while !field.over.load(Ordering::SeqCst) {
        let turn = held.take().unwrap_or_else(|| {
            let lock = fields::Lock::take();
            (fields::Saved::take(), lock)
        });
        write_for_a_turn(field);
        // First the fields are put back, then the lock.
        drop(turn);
        let paused = Instant::now();
        while paused.elapsed() < PAUSE && !field.over.load(Ordering::SeqCst) {
            host::sleep_ms(50);
        }
    }
}

/// Honest bounds mostly, and what a clock has to refuse.
fn write_for_a_turn(field: &Field) {
    const UNSYNC: i32 = NtpStatus::STA_UNSYNC;
    const PLL: i32 = NtpStatus::STA_PLL;
    let writes = [
        (0, 1_003, 100),
        (0, 777, 100),
        (PLL, 1_331, 100),
        (0, 20_011, 100),
        (UNSYNC, 16_000_000, 16_000_000),
        (0, 903, 100),
        (PLL, 0, 0),
        (0, 801, 100),
        (UNSYNC, 1_117, 100),
        (0, 1_009, 100),
        (PLL, 16, 16),
        (0, 655, 100),
    ];
    let began = Instant::now();
    for (flags, maxerror_us, esterror_us) in writes.into_iter().cycle() {
        if field.over.load(Ordering::SeqCst) || began.elapsed() > TURN {
            break;
        }
        fields::write(flags, maxerror_us, esterror_us);
        host::sleep_ms(37);
    }
}

#[test]
fn no_promise_is_broken_under_many_threads() {
    let obstacle = match std::env::var(ASKED).as_deref() {
        Ok("1") => fields::obstacle(),
        _ => Some(format!("they are written only with {ASKED}=1")),
    };
    if let Some(why) = &obstacle {
        host::skip("the soak's writes to the kernel's NTP fields", why);
    }
    let offset = fields::real_offset();
    let (threads, descriptors) = (entries("task"), entries("fd"));
    let held = obstacle.is_none().then(|| {
        let lock = fields::Lock::take();
        (fields::Saved::take(), lock)
    });
    let writes = held.is_some();
    if writes {
        fields::write(0, 1_003, 100);
    }
    let builder = Clock::builder().look_interval(Duration::from_millis(5));
    let builder = if writes {
        builder
    } else {
        // So that there is something to read where no source vouches.
        builder.assume_error(Duration::from_millis(2))
    };
    let clock = builder.build().expect("the machine has the clocks");
    let field = Field {
        stamps: HybridClock::new(clock.clone()),
        stamped: AtomicU64::new(0),
        clock,
        over: AtomicBool::new(false),
        real_is_true: writes,
        reached: AtomicI64::new(i64::MIN),
        released: AtomicI64::new(i64::MIN),
        expiry: AtomicI64::new(host::real_nanos()),
        term: Mutex::new(None),
        within: AtomicI64::new(i64::MIN),
        counts: Counts::default(),
    };
    handle_signals();
    HANDLED.store((&raw const field).cast_mut(), Ordering::SeqCst);
    hammer(&field, held);
    HANDLED.store(std::ptr::null_mut(), Ordering::SeqCst);
    if writes {
        let moved = offset.moved_to(&fields::real_offset());
        println!("real less monotonic time moved by {moved} ns");
        if moved != 0 {
            field.violation("real time was stepped in the meantime");
        }
    }
    report(&field);
    drop(field);
    let cleared = host::eventually(|| entries("task") <= threads && entries("fd") <= descriptors);
    println!(
        "threads: {threads} before, {} after; descriptors: {descriptors} before, {} after",
        entries("task"),
        entries("fd")
    );
    assert!(cleared, "threads or descriptors are left");
}

fn hammer(field: &Field, held: Option<(fields::Saved, fields::Lock)>) {
    let (start, span, rest) = (Instant::now(), span(), rest());
    let mut warm = None;
    let mut shown = start;
    let workers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // SAFETY: has no conditions.
                let this = unsafe { libc::pthread_self() };
                #[allow(clippy::cast_possible_truncation, reason = "a word, whatever its type")]
                workers
                    .lock()
                    .expect("no thread has failed")
                    .push(this as usize);
                while !field.over.load(Ordering::Relaxed) {
                    for deed in [QUICK; 100].concat() {
                        deed(field);
                    }
                    commit(field);
                    std::thread::sleep(rest);
                }
            });
        }
        if held.is_some() {
            scope.spawn(|| toggle(field, held));
        }
        while start.elapsed() < span {
            let left = span.saturating_sub(start.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(200)));
            for worker in workers.lock().expect("no thread has failed").iter() {
                // SAFETY: the thread runs until it is told that it is over, which is below.
                unsafe { libc::pthread_kill(*worker as libc::pthread_t, libc::SIGUSR1) };
            }
            fork(field);
            if start.elapsed() > span / 10 {
                warm.get_or_insert_with(resident_kb);
            }
            if shown.elapsed() >= Duration::from_secs(10) {
                shown = Instant::now();
                let seconds = start.elapsed().as_secs();
                let intervals = field.counts.intervals.load(Ordering::Relaxed);
                let violations = field.counts.violations.load(Ordering::SeqCst);
                let memory = resident_kb();
                println!(
                    "{seconds} s: {intervals} intervals, {violations} violations, {memory} kB"
                );
            }
        }
        field.over.store(true, Ordering::SeqCst);
    });
    let (warm, end) = (warm.unwrap_or(0), resident_kb());
    println!("memory: {warm} kB when warm, {end} kB at the end");
    if span >= Duration::from_secs(60) {
        assert!(end <= warm + GROWTH_LIMIT_KB, "it grew");
    }
}

fn report(field: &Field) {
    let counts = &field.counts;
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (intervals, errors) = (count(&counts.intervals), count(&counts.errors));
    let totals = field.clock.status().counters;
    println!(
        "readings: {} ({intervals} intervals, {errors} errors)",
        intervals + errors
    );
    println!("stamps: {}", count(&counts.stamps));
    println!(
        "commits: {} released, {} refused or given up",
        count(&counts.commits),
        count(&counts.commits_refused)
    );
    println!(
        "leases: {} times held, {} times taken over; terms: {} times held",
        count(&counts.held),
        count(&counts.taken),
        count(&counts.terms)
    );
    println!(
        "forked children: {}, signals handled: {}",
        count(&counts.children),
        count(&counts.signals)
    );
    println!(
        "looks: {} ({} dropped), {} writes recognised, {} refusals",
        totals.looks, totals.looks_dropped, totals.writes, totals.refusals
    );
    println!(
        "worst look: {:?}",
        Duration::from_nanos(count(&counts.worst_look_ns))
    );
    println!("violations: {}", count(&counts.violations));
    assert_eq!(count(&counts.violations), 0, "promises were broken");
    assert!(intervals > 0, "there was not one interval to check");
    assert!(
        count(&counts.held) > 0 && count(&counts.terms) > 0,
        "no lease was held"
    );
    assert!(count(&counts.taken) > 1, "no lease was ever over");
    assert!(count(&counts.signals) > 0 && count(&counts.children) > 0);
}

/// How many entries a directory of this process has.
fn entries(name: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{name}")).map_or(0, Iterator::count)
}

/// How much memory of this process is resident.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}
