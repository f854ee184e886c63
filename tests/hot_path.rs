//! What a reading costs: no allocation and no syscall between looks, and a handle of a word or two.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![allow(unsafe_code, reason = "an allocator that counts is `unsafe` to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory};
use epsilon_clock::{Clock, Interval, Timestamp};
use host::{TrustReal, skip};

#[path = "support/host.rs"]
mod host;

const CALLS: u64 = 100_000;

// --- allocations -------------------------------------------------------------------------------

thread_local! {
    /// Without a destructor, so that it can be counted in at any point of a thread's life.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts per thread: the harness has threads of its own.
struct Counting;

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get() + 1));
}

// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.realloc(old, layout, new_size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread allocated or freed in `work`.
fn allocations_in(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// A source that never vouches.
#[derive(Debug)]
struct Never;

impl Source for Never {
    fn name(&self) -> &'static str {
        "never"
    }

    fn look(&self, _context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        Look::new(Finding::Refused(Refusal::Unsynchronized {
            maxerror_us: 16_000_000,
        }))
    }
}

/// A clock that answers, and that only looks when told to.
fn answering() -> Clock {
    let manual = Clock::builder().refresh_policy(RefreshPolicy::Manual);
    manual.source(TrustReal).build().unwrap()
}

fn refusing() -> Clock {
    let manual = Clock::builder().refresh_policy(RefreshPolicy::Manual);
    manual.source(Never).build().unwrap()
}

#[test]
fn the_counter_counts() {
    let n = allocations_in(|| drop(black_box(Box::new(black_box(7_u64)))));
    assert_eq!(n, 2, "one allocation, one release");
}

#[test]
fn readings_between_looks_do_not_allocate() {
    let clock = answering();
    let n = allocations_in(|| {
        for i in 0..CALLS {
            black_box(clock.now().unwrap());
            assert!(clock.after(Timestamp::UNIX_EPOCH).unwrap());
            assert!(
                !clock
                    .before(Timestamp::from_unix_nanos(black_box(i).cast_signed()))
                    .unwrap()
            );
        }
    });
    assert_eq!(n, 0);
}

#[test]
fn reports_do_not_allocate() {
    let clock = answering();
    let n = allocations_in(|| {
        for _ in 0..CALLS / 100 {
            black_box(clock.read());
            black_box(clock.status());
        }
    });
    assert_eq!(n, 0);
}

#[test]
fn readings_that_fail_do_not_allocate() {
    let clock = refusing();
    let n = allocations_in(|| {
        for _ in 0..CALLS {
            assert!(black_box(clock.now()).is_err());
            assert!(black_box(clock.after(Timestamp::UNIX_EPOCH)).is_err());
            assert!(black_box(clock.before(Timestamp::MAX)).is_err());
        }
    });
    assert_eq!(n, 0);
}

/// Signal handlers may read the clock, and whoever reads may have to look.
#[test]
fn looks_do_not_allocate_either() {
    let inline = Clock::builder()
        .look_interval(Duration::from_micros(10))
        .assume_error(Duration::from_millis(50))
        .build()
        .unwrap();
    let looks = || inline.status().counters.looks;
    let wanted = looks() + 100;
    // By time, not by calls: how many of those a look takes depends on how fast they are.
    let end = Instant::now() + Duration::from_secs(20);
    let n = allocations_in(|| {
        while looks() < wanted && Instant::now() < end {
            for _ in 0..CALLS / 1_000 {
                let _ = black_box(inline.now());
            }
        }
    });
    assert!(looks() >= wanted, "looks were hardly seen at work");
    assert_eq!(n, 0);
}

// --- the handle --------------------------------------------------------------------------------

#[test]
fn a_handle_is_small_and_goes_anywhere() {
    fn goes_anywhere<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    goes_anywhere::<Clock>();
    assert!(size_of::<Clock>() <= 16, "{} bytes", size_of::<Clock>());
    // A handle is what callers keep in their own structures, perhaps as an option.
    assert!(size_of::<Option<Clock>>() <= 16);
    // What is handed out by value at each call.
    assert_eq!(size_of::<Interval>(), 16);
}

// --- syscalls ----------------------------------------------------------------------------------

/// Set in the child that is traced: what to do, and how often.
const TRACED: &str = "EPSILON_CLOCK_TRACED";

/// What the traced child does.
fn traced_work(order: &str) {
    let (what, times) = order.split_once(' ').unwrap();
    let times: u64 = times.parse().unwrap();
    match what {
        "bare" => {
            for _ in 0..times {
                black_box(host::real_nanos());
            }
        }
        "now" => {
            let clock = answering();
            for _ in 0..times {
                black_box(clock.now().unwrap());
            }
        }
        "refused" => {
            let clock = refusing();
            for _ in 0..times {
                assert!(black_box(clock.now()).is_err());
            }
        }
        // Under the default policy with looks so far apart that none is due.
        "inline" => {
            let clock = Clock::builder()
                .look_interval(Duration::from_secs(3600))
                .source(TrustReal)
                .build()
                .unwrap();
            for _ in 0..times {
                black_box(clock.now().unwrap());
            }
        }
        _ => panic!("no such work: {what}"),
    }
}

/// How often a child that does `what` so many times makes each syscall; `None` if nobody can tell.
fn syscalls_of(what: &str, times: u64) -> Option<BTreeMap<String, u64>> {
    let output = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "readings_between_looks_make_no_syscall",
            "--test-threads=1",
        ])
        .env(TRACED, format!("{what} {times}"))
        .output()
        .ok()?;
    let summary = String::from_utf8_lossy(&output.stderr);
    let counts: BTreeMap<String, u64> = summary
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let calls = words.next()?.parse().ok()?;
            Some((words.next()?.to_owned(), calls))
        })
        .filter(|(name, _)| name != "total")
        .collect();
    // No counts: no right to trace. With counts the child itself must have done its work.
    if counts.is_empty() {
        return None;
    }
    assert!(output.status.success(), "{what} {times}: {summary}");
    Some(counts)
}

#[test]
fn readings_between_looks_make_no_syscall() {
    if let Ok(order) = std::env::var(TRACED) {
        traced_work(&order);
        return;
    }
    const FEW: u64 = 1_000;
    const MANY: u64 = 1_000_000;
    let subject = "syscalls of now()";
    let Some(bare) = syscalls_of("bare", MANY / 10) else {
        skip(subject, "strace is missing or must not trace here");
        return;
    };
    let in_bare: u64 = bare.values().sum();
    if in_bare > FEW * 10 {
        skip(subject, "clock_gettime itself is a syscall on this machine");
        return;
    }
    for what in ["now", "refused", "inline"] {
        let few = syscalls_of(what, FEW).unwrap();
        let many = syscalls_of(what, MANY).unwrap();
        // The harness waits for its thread and the allocator for memory a time or two more or less.
        for name in [
            "clock_gettime",
            "clock_adjtime",
            "adjtimex",
            "stat",
            "statx",
            "futex",
        ] {
            let calls = |counts: &BTreeMap<String, u64>| counts.get(name).copied().unwrap_or(0);
            assert!(
                calls(&many) <= calls(&few) + 4,
                "{what}: {name} grew with the calls: {few:?} became {many:?}"
            );
        }
        let (few_all, many_all): (u64, u64) = (few.values().sum(), many.values().sum());
        assert!(many_all <= few_all + 40, "{what}: {few:?} became {many:?}");
    }
}
