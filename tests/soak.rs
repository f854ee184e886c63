//! Hammers one clock from many threads, and counts what went wrong.
//!
//! For three seconds, or for as many minutes as `EPSILON_CLOCK_LONG` says:
//!
//! ```sh
//! EPSILON_CLOCK_LONG=60 cargo test --release --test soak -- --nocapture
//! ```
//!
//! With `EPSILON_CLOCK_KERNEL_TESTS=1`, as root, and where no time daemon runs, it writes the kernel's
//! NTP fields all the while: bounds, lies and refusals in turn. They are put back at the end, also when
//! it is interrupted. Real time itself is never set, so it serves as the truth then.
#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it found, and one that cannot go on has failed"
)]

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use epsilon_clock::commit::{CommitError, CommitWaitError};
use epsilon_clock::hlc::HlcError;
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::{Clock, ClockError, HybridClock, Timestamp};

#[path = "support/fields.rs"]
mod fields;
#[path = "support/host.rs"]
mod host;

/// Asks for the writes to the kernel's NTP fields.
const ASKED: &str = "EPSILON_CLOCK_KERNEL_TESTS";

/// How many minutes it is to take.
const LONG: &str = "EPSILON_CLOCK_LONG";

const THREADS: usize = 4;

fn span() -> Duration {
    let Ok(minutes) = std::env::var(LONG) else {
        return Duration::from_secs(3);
    };
    let minutes: f64 = minutes.parse().expect("EPSILON_CLOCK_LONG counts minutes");
    Duration::from_secs_f64(minutes * 60.0)
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
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    intervals: AtomicU64,
    errors: AtomicU64,
    stamps: AtomicU64,
    commits: AtomicU64,
    commits_refused: AtomicU64,
    violations: AtomicU64,
    worst_look_ns: AtomicU64,
}

/// What threads do 200 times for each commit, which waits for milliseconds.
const QUICK: [fn(&Field); 6] = [now, now, tick, after, look, tick];

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

fn failed(field: &Field, error: ClockError) {
    add(&field.counts.errors);
    // Nothing in a soak makes claims that exclude each other.
    if matches!(error, ClockError::Contradicted { .. }) && field.real_is_true {
        field.violation(&error.to_string());
    }
}

/// Writes the fields until it is over: honest bounds mostly, and what a clock has to refuse.
fn toggle(field: &Field) {
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
    for (flags, maxerror_us, esterror_us) in writes.into_iter().cycle() {
        if field.over.load(Ordering::SeqCst) {
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
    // Put back when these are dropped: first the fields, then the lock.
    let (lock, saved) = match obstacle {
        None => (Some(fields::Lock::take()), Some(fields::Saved::take())),
        Some(_) => (None, None),
    };
    if saved.is_some() {
        fields::write(0, 1_003, 100);
    }
    let builder = Clock::builder().look_interval(Duration::from_millis(5));
    let builder = match saved {
        Some(_) => builder,
        // So that there is something to read where no source vouches.
        None => builder.assume_error(Duration::from_millis(2)),
    };
    let clock = builder.build().expect("the machine has the clocks");
    let field = Field {
        stamps: HybridClock::new(clock.clone()),
        stamped: AtomicU64::new(0),
        clock,
        over: AtomicBool::new(false),
        real_is_true: saved.is_some(),
        reached: AtomicI64::new(i64::MIN),
        released: AtomicI64::new(i64::MIN),
        counts: Counts::default(),
    };
    hammer(&field);
    let writes = saved.is_some();
    drop(saved);
    drop(lock);
    if writes {
        let moved = offset.moved_to(&fields::real_offset());
        println!("real less monotonic time moved by {moved} ns");
        if moved != 0 {
            field.violation("real time was stepped in the meantime");
        }
    }
    report(&field);
}

fn hammer(field: &Field) {
    let (start, span) = (Instant::now(), span());
    let memory = resident_kb();
    let mut shown = start;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !field.over.load(Ordering::Relaxed) {
                    for deed in [QUICK; 200].concat() {
                        deed(field);
                    }
                    commit(field);
                }
            });
        }
        if field.real_is_true {
            scope.spawn(|| toggle(field));
        }
        while start.elapsed() < span {
            let left = span.saturating_sub(start.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(200)));
            if shown.elapsed() >= Duration::from_secs(10) {
                shown = Instant::now();
                let seconds = start.elapsed().as_secs();
                let intervals = field.counts.intervals.load(Ordering::Relaxed);
                let violations = field.counts.violations.load(Ordering::SeqCst);
                println!("{seconds} s: {intervals} intervals, {violations} violations");
            }
        }
        field.over.store(true, Ordering::SeqCst);
    });
    println!(
        "memory: {memory} kB at the start, {} kB at the end",
        resident_kb()
    );
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
}

/// How much memory of this process is resident.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}
