//! Many commit-waits in flight: one `CommitGroup`, tokio's timer, and a thread for each.
//!
//! `cargo bench --bench commit_group`, or with `-- --quick` for fewer rounds. In each round all waits
//! are first put in place, their timestamps spread evenly over some time to come; then the releases
//! are measured, from the first to the last. Per wait,
//!
//! * `place` and `release`: processor time of the whole process, the sleeper's spinning and the
//!   waking and polling of the tasks included;
//! * `bytes`: memory on the heap, with the task and its future where there is one; for threads what
//!   the process has resident, for most of that is stacks;
//! * `overshoot`: how far the earliest end of a reading by the released waiter lies past its
//!   timestamp.
//!
//! The first rows are the queue alone, with wakers that only count: what a wait costs the group.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a program that reports, or fails loudly; its allocator counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use epsilon_clock::commit::WaitStrategy;
use epsilon_clock::{Clock, CommitGroup, Timestamp};

/// Counts what is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the block came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MANY: usize = 100_000;
const THREADS: usize = 1_000;

/// When the first timestamp is past: everybody has to be in place by then.
const LEAD: Duration = Duration::from_millis(400);

/// What one round measured, per wait.
struct Figures {
    place_ns: f64,
    release_ns: f64,
    bytes: f64,
    overshoot_us: Vec<f64>,
}

fn main() -> ExitCode {
    let mut rounds = 7;
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "--quick" => rounds = 1,
            "--bench" => {}
            _ => {
                eprintln!("commit_group: {arg:?} is not an option; there is only --quick");
                return ExitCode::from(64);
            }
        }
    }
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()
        .expect("a clock of this machine");
    println!(
        "| {:<32} | {:>7} | {:>9} | {:>8} | {:>10} | {:>7} | {:>10} | {:>10} |",
        "waits", "number", "spread ms", "place ns", "release ns", "bytes", "median µs", "p99 µs"
    );
    println!(
        "|:{:-<32}-|{:->8}:|{:->10}:|{:->9}:|{:->11}:|{:->8}:|{:->11}:|{:->11}:|",
        "", "", "", "", "", "", "", ""
    );
    type Way<'a> = (
        &'static str,
        usize,
        Box<dyn Fn(&[Timestamp]) -> Figures + 'a>,
    );
    let ways: Vec<Way<'_>> = vec![
        (
            "CommitGroup, the queue alone",
            MANY,
            Box::new(|t| queue(&clock, t)),
        ),
        (
            "CommitGroup, tokio tasks",
            MANY,
            Box::new(|t| tasks_in_group(&clock, t, None)),
        ),
        (
            "CommitGroup, never spinning",
            MANY,
            Box::new(|t| tasks_in_group(&clock, t, Some(WaitStrategy::SLEEP))),
        ),
        (
            "tokio::time::sleep, tokio tasks",
            MANY,
            Box::new(|t| tasks_with_timers(&clock, t)),
        ),
        (
            "a thread each, wait()",
            THREADS,
            Box::new(|t| threads(&clock, t, WaitStrategy::DEFAULT)),
        ),
        (
            "a thread each, never spinning",
            THREADS,
            Box::new(|t| threads(&clock, t, WaitStrategy::SLEEP)),
        ),
    ];
    for spread in [Duration::from_millis(100), Duration::from_secs(1)] {
        for (what, number, way) in &ways {
            let figures: Vec<Figures> = (0..rounds)
                .map(|_| way(&timestamps(&clock, *number, spread)))
                .collect();
            print_row(what, *number, spread, &figures);
        }
    }
    ExitCode::SUCCESS
}

fn timestamps(clock: &Clock, number: usize, spread: Duration) -> Vec<Timestamp> {
    let first = clock.now().unwrap().earliest().saturating_add(LEAD);
    (0..number)
        .map(|n| first.saturating_add(spread * n as u32 / number as u32))
        .collect()
}

fn print_row(what: &str, number: usize, spread: Duration, figures: &[Figures]) {
    let median = |of: &dyn Fn(&Figures) -> f64| quantile(figures.iter().map(of).collect(), 0.5);
    let overshoot: Vec<f64> = figures
        .iter()
        .flat_map(|figures| figures.overshoot_us.iter().copied())
        .collect();
    println!(
        "| {:<32} | {:>7} | {:>9} | {:>8.0} | {:>10.0} | {:>7.0} | {:>10.1} | {:>10.1} |",
        what,
        number,
        spread.as_millis(),
        median(&|figures| figures.place_ns),
        median(&|figures| figures.release_ns),
        median(&|figures| figures.bytes),
        quantile(overshoot.clone(), 0.5),
        quantile(overshoot, 0.99),
    );
}

fn quantile(mut values: Vec<f64>, of: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * of).round() as usize]
}

/// How far past the timestamp the reader's earliest end is, in µs.
fn overshoot(clock: &Clock, timestamp: Timestamp) -> f64 {
    let earliest = clock.now().unwrap().earliest();
    assert!(earliest > timestamp, "released too early");
    earliest.abs_diff(timestamp).as_secs_f64() * 1e6
}

/// Measures: `place` puts the waits in place, what it returns sees them released.
fn measure<T>(
    number: usize,
    place: impl FnOnce() -> T,
    release: impl FnOnce(T) -> Vec<f64>,
) -> Figures {
    let (bytes, cpu) = (IN_USE.load(Ordering::Relaxed), cpu_time());
    let placed = place();
    let (in_place, placing) = (IN_USE.load(Ordering::Relaxed), cpu_time() - cpu);
    let cpu = cpu_time();
    let overshoot_us = release(placed);
    let releasing = cpu_time() - cpu;
    assert_eq!(overshoot_us.len(), number);
    let each = |span: Duration| span.as_secs_f64() * 1e9 / number as f64;
    Figures {
        place_ns: each(placing),
        release_ns: each(releasing),
        bytes: in_place.saturating_sub(bytes) as f64 / number as f64,
        overshoot_us,
    }
}

/// Wakers that note how late they are called.
struct Counted {
    clock: Clock,
    timestamps: Vec<Timestamp>,
    woken: Mutex<Vec<f64>>,
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = self.woken.lock().unwrap();
        let late = overshoot(&self.clock, self.timestamps[woken.len()]);
        woken.push(late);
    }
}

fn queue(clock: &Clock, timestamps: &[Timestamp]) -> Figures {
    let group = CommitGroup::start(clock).unwrap();
    let counted = Arc::new(Counted {
        clock: clock.clone(),
        timestamps: timestamps.to_vec(),
        woken: Mutex::new(Vec::with_capacity(timestamps.len())),
    });
    let waker = Waker::from(Arc::clone(&counted));
    measure(
        timestamps.len(),
        || {
            let mut waits = Vec::with_capacity(timestamps.len());
            for timestamp in timestamps {
                let mut wait = group.until_past(*timestamp);
                let polled = Pin::new(&mut wait).poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending(), "the lead is too short");
                waits.push(wait);
            }
            waits
        },
        |waits| {
            while group.waiting() > 0 {
                thread::sleep(Duration::from_millis(5));
            }
            drop(waits);
            thread::sleep(Duration::from_millis(5));
            std::mem::take(&mut *counted.woken.lock().unwrap())
        },
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn tasks_in_group(
    clock: &Clock,
    timestamps: &[Timestamp],
    strategy: Option<WaitStrategy>,
) -> Figures {
    let group = match strategy {
        None => CommitGroup::start(clock).unwrap(),
        Some(strategy) => CommitGroup::start_with(clock, strategy).unwrap(),
    };
    tasks(timestamps, |timestamp| {
        let (clock, wait) = (clock.clone(), group.until_past(timestamp));
        async move {
            wait.await.unwrap();
            overshoot(&clock, timestamp)
        }
    })
}

fn tasks_with_timers(clock: &Clock, timestamps: &[Timestamp]) -> Figures {
    tasks(timestamps, |timestamp| {
        let clock = clock.clone();
        async move {
            loop {
                let left = clock.until_past(timestamp).remaining().unwrap();
                if left.is_zero() {
                    return overshoot(&clock, timestamp);
                }
                tokio::time::sleep(left).await;
            }
        }
    })
}

fn tasks<F>(timestamps: &[Timestamp], task: impl Fn(Timestamp) -> F) -> Figures
where
    F: Future<Output = f64> + Send + 'static,
{
    let runtime = runtime();
    measure(
        timestamps.len(),
        || {
            let handles: Vec<_> = timestamps
                .iter()
                .map(|timestamp| runtime.spawn(task(*timestamp)))
                .collect();
            // Polled in turn: the last one has been when this one's marker is set.
            let all = Arc::new(AtomicBool::new(false));
            let marker = Arc::clone(&all);
            runtime.block_on(async {
                drop(tokio::spawn(async move {
                    marker.store(true, Ordering::Relaxed);
                }));
                while !all.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
            });
            handles
        },
        |handles| {
            runtime.block_on(async {
                let mut overshoots = Vec::with_capacity(handles.len());
                for handle in handles {
                    overshoots.push(handle.await.unwrap());
                }
                overshoots
            })
        },
    )
}

fn threads(clock: &Clock, timestamps: &[Timestamp], strategy: WaitStrategy) -> Figures {
    let resident = resident_bytes();
    let mut with_threads = resident;
    let figures = measure(
        timestamps.len(),
        || {
            let handles: Vec<_> = timestamps
                .iter()
                .map(|timestamp| {
                    let (clock, timestamp) = (clock.clone(), *timestamp);
                    thread::spawn(move || {
                        let wait = clock.until_past(timestamp).with_strategy(strategy);
                        wait.wait().unwrap();
                        overshoot(&clock, timestamp)
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(50));
            with_threads = resident_bytes();
            handles
        },
        |handles| handles.into_iter().map(|h| h.join().unwrap()).collect(),
    );
    Figures {
        bytes: with_threads.saturating_sub(resident) as f64 / timestamps.len() as f64,
        ..figures
    }
}

/// What the process has in memory; 0 where that cannot be told.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|line| line.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// How long the process has been running, on all cores together.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap()
}

/// Not to be had without `unsafe` there.
#[cfg(not(target_os = "linux"))]
fn cpu_time() -> Duration {
    Duration::ZERO
}
