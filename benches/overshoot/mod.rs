//! How late waits end: the distance between the first instant at which `after(timestamp)` could be
//! true and the return of the wait, in raw time, and the processor time that a wait takes.
//!
//! The first instant is the raw time at the beginning plus `remaining()`, which is exact as long as
//! the claim stays; what the two take themselves, some 0.1 µs, counts as overshoot. Processor time is
//! that of the whole process: spinning, system calls and the other thread of a group.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use epsilon_clock::commit::WaitStrategy;
use epsilon_clock::{Clock, CommitGroup, CommitWait};

/// How long the waits take.
const WAITS: [Duration; 3] = [
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(7),
];

/// What was measured of one way to wait.
struct Row {
    what: &'static str,
    wait: Duration,
    median: f64,
    p99: f64,
    cpu: f64,
}

/// Measures every way to wait, interleaved, so many times each, and prints a table in µs.
pub(crate) fn print(clock: &Clock, rounds: usize) {
    let group = CommitGroup::start(clock).expect("a thread");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    type Way<'a> = (&'static str, Box<dyn Fn(&CommitWait<'_>) + 'a>);
    let ways: Vec<Way<'_>> = vec![
        ("wait()", Box::new(|commit| commit.wait().unwrap())),
        (
            "wait(), never spinning",
            Box::new(|commit| {
                let commit = commit.clone().with_strategy(WaitStrategy::SLEEP);
                commit.wait().unwrap();
            }),
        ),
        (
            "CommitGroup, bare executor",
            Box::new(|commit| block_on(group.released(commit)).unwrap()),
        ),
        (
            "CommitGroup, tokio",
            Box::new(|commit| runtime.block_on(group.released(commit)).unwrap()),
        ),
        (
            "thread::sleep, one look",
            Box::new(|commit| thread::sleep(commit.remaining().unwrap())),
        ),
        (
            "bare poll loop",
            Box::new(|commit| while !commit.is_past().unwrap() {}),
        ),
    ];
    let mut rows = Vec::new();
    for wait in WAITS {
        let mut figures = vec![(Vec::new(), Duration::ZERO); ways.len()];
        for _ in 0..rounds {
            for ((_, way), (overshoots, cpu)) in ways.iter().zip(&mut figures) {
                let target = clock.now().unwrap().earliest().checked_add(wait).unwrap();
                let commit = clock.until_past(target);
                let busy = cpu_time();
                let began = raw_nanos();
                let due = began + i64::try_from(commit.remaining().unwrap().as_nanos()).unwrap();
                way(&commit);
                overshoots.push((raw_nanos() - due) as f64 / 1e3);
                *cpu += cpu_time() - busy;
            }
        }
        for ((what, _), (overshoots, cpu)) in ways.iter().zip(&mut figures) {
            overshoots.sort_by(f64::total_cmp);
            let at = |of: f64| overshoots[((overshoots.len() - 1) as f64 * of).round() as usize];
            rows.push(Row {
                what,
                wait,
                median: at(0.5),
                p99: at(0.99),
                cpu: cpu.as_secs_f64() * 1e6 / rounds as f64,
            });
        }
    }
    table(&rows);
}

fn table(rows: &[Row]) {
    println!();
    println!(
        "| {:<26} | wait µs | overshoot µs, median |       p99 | CPU µs a wait |",
        "commit-wait"
    );
    println!(
        "|:{:-<26}-|--------:|---------------------:|----------:|--------------:|",
        ""
    );
    for row in rows {
        println!(
            "| {:<26} | {:>7} | {:>20.2} | {:>9.2} | {:>13.1} |",
            row.what,
            row.wait.as_micros(),
            row.median,
            row.p99,
            row.cpu,
        );
    }
}

/// The least that drives a future: parks the thread until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(target_os = "linux")]
fn raw_nanos() -> i64 {
    super::harness::to_nanos(rustix::time::ClockId::MonotonicRaw)
}

/// How long the process has been running, on all cores together.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap()
}

#[cfg(not(target_os = "linux"))]
fn raw_nanos() -> i64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as i64
}

/// Not to be had without `unsafe` there.
#[cfg(not(target_os = "linux"))]
fn cpu_time() -> Duration {
    Duration::ZERO
}
