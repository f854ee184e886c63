//! Measures calls side by side: in interleaved rounds, so that whatever else the machine does meets
//! all of them alike.
//!
//! A round runs every case once, one after the other: A B C, A B C, and so on. In each case's turn
//! all threads start together, each pinned to a core of its own, and each times the same number of
//! calls; whoever is done first goes on calling until the last one is done too, so no thread's time
//! counts calls that had the machine to themselves. What a round says of a case is the mean of its
//! threads' nanoseconds per call. The table gives
//!
//! * `ns`: the median over the rounds;
//! * `ratio`: the median over the rounds of the case's figure divided by the baseline's (the first
//!   case) in the same round with as many threads;
//! * `p99.9`: of many short batches of 16 calls each (single calls, where one takes more than a
//!   microsecond) the one slower than 999 of 1000, per call, with the two clock reads around it;
//!   this is the time on the wall, with all that happens to it.

use std::hint::{black_box, spin_loop};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What runs a case so many times; made anew by each thread for itself.
pub(crate) type Runner = Box<dyn FnMut(u64)>;

/// How many calls share one measurement of the tail.
const BATCH: u64 = 16;

/// Calls slower than this are measured one by one for the tail.
const SLOW_CALL_NS: f64 = 1_000.0;

/// Something to measure.
pub(crate) struct Case<'a> {
    what: &'static str,
    make: Box<dyn Fn() -> Runner + Sync + 'a>,
}

impl<'a> Case<'a> {
    /// A call, made ready by each thread for itself.
    ///
    /// Whatever it returns passes through a black box, so that no part of it can be left out; and
    /// as it reads a clock or an atomic each time, none can be moved out of the loop.
    pub(crate) fn new<F, T>(what: &'static str, make: impl Fn() -> F + Sync + 'a) -> Self
    where
        F: FnMut() -> T + 'static,
    {
        Self::batched(what, move || {
            let mut call = make();
            Box::new(move |times| {
                for _ in 0..times {
                    black_box(call());
                }
            })
        })
    }

    /// A case that loops by itself.
    pub(crate) fn batched(what: &'static str, make: impl Fn() -> Runner + Sync + 'a) -> Self {
        Self {
            what,
            make: Box::new(make),
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    rounds: usize,
    /// How long each case's turn in a round takes, at least.
    turn: Duration,
    /// How long each case's short batches take in a round.
    tail: Duration,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 61,
        turn: Duration::from_millis(10),
        tail: Duration::from_millis(4),
    };

    /// Enough to see that everything runs, and roughly how fast.
    const QUICK: Self = Self {
        rounds: 9,
        turn: Duration::from_millis(5),
        tail: Duration::from_millis(1),
    };

    /// How many waits of each kind to measure.
    #[allow(dead_code, reason = "the peers' bench measures none")]
    pub(crate) fn waits(self) -> usize {
        self.rounds * 20
    }

    /// From the arguments: `--quick`, and the `--bench` that cargo adds.
    pub(crate) fn from_args() -> Result<Self, String> {
        let mut effort = Self::FULL;
        for arg in std::env::args().skip(1) {
            match arg.as_str() {
                "--quick" => effort = Self::QUICK,
                "--bench" => {}
                _ => return Err(format!("{arg:?} is not an option; there is only --quick")),
            }
        }
        Ok(effort)
    }
}

/// One line of the table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) threads: usize,
    pub(crate) ns: f64,
    pub(crate) ratio: f64,
    pub(crate) tail: Option<f64>,
}

/// Measures all cases with so many threads; the first case is the baseline. `between` runs before
/// each round, while nobody measures.
pub(crate) fn measure(
    effort: Effort,
    threads: usize,
    cases: &[Case<'_>],
    mut between: impl FnMut(),
) -> Vec<Row> {
    between();
    let turns: Vec<u64> = cases
        .iter()
        .map(|case| calibrate(case, effort.turn))
        .collect();
    let meeting = Meeting::new(threads);
    let results = Mutex::new(vec![vec![Turns::default(); threads]; cases.len()]);
    let worker = |index: usize, between: &mut dyn FnMut()| {
        pin(index);
        let mut runners: Vec<Runner> = cases.iter().map(|case| (case.make)()).collect();
        let mut mine = vec![Turns::default(); cases.len()];
        for _ in 0..effort.rounds {
            between();
            for ((runner, times), turns) in runners.iter_mut().zip(&turns).zip(&mut mine) {
                turns.ns.push(one_turn(runner, *times, &meeting));
                tail(runner, *times, effort, &meeting, &mut turns.tail);
            }
        }
        let mut results = results.lock().unwrap();
        for (of_case, mine) in results.iter_mut().zip(mine) {
            of_case[index] = mine;
        }
    };
    thread::scope(|scope| {
        for index in 1..threads {
            let worker = &worker;
            scope.spawn(move || worker(index, &mut || {}));
        }
        worker(0, &mut between);
    });
    rows(threads, cases, &results.into_inner().unwrap())
}

/// What one thread measured of one case.
#[derive(Clone, Default)]
struct Turns {
    /// Nanoseconds per call, round by round.
    ns: Vec<f64>,
    /// Nanoseconds per call, batch by batch.
    tail: Vec<f64>,
}

/// How many calls fill a turn.
fn calibrate(case: &Case<'_>, turn: Duration) -> u64 {
    let mut runner = (case.make)();
    let mut times = 1;
    loop {
        let start = Instant::now();
        runner(times);
        let elapsed = start.elapsed();
        if elapsed > turn / 8 {
            let needed = turn.as_secs_f64() / elapsed.as_secs_f64() * times as f64;
            // A quarter more: with warm caches and a higher clock rate it will go faster.
            return (needed * 1.25).ceil() as u64;
        }
        times *= 2;
    }
}

fn one_turn(runner: &mut Runner, times: u64, meeting: &Meeting) -> f64 {
    runner(times / 16); // wake the caches and the predictors
    meeting.meet();
    let start = time_on_core();
    runner(times);
    let elapsed = time_on_core() - start;
    meeting.leave_last(|| runner(BATCH));
    elapsed.as_secs_f64() * 1e9 / times as f64
}

fn tail(runner: &mut Runner, times: u64, effort: Effort, meeting: &Meeting, tail: &mut Vec<f64>) {
    let per_call = effort.turn.as_secs_f64() * 1e9 / times as f64;
    let batch = if per_call > SLOW_CALL_NS { 1 } else { BATCH };
    meeting.meet();
    let begin = Instant::now();
    loop {
        let start = Instant::now();
        runner(batch);
        let end = Instant::now();
        tail.push((end - start).as_secs_f64() * 1e9 / batch as f64);
        if end - begin > effort.tail {
            break;
        }
    }
    meeting.leave_last(|| runner(batch));
}

/// Where the threads meet; they spin, so that they leave it within nanoseconds of each other.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
}

impl Meeting {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
        }
    }

    fn meet(&self) {
        let mut spins = 0_u32;
        self.leave_last(|| {
            spins += 1;
            // The other one may be waiting for this very core, on a machine with other work.
            if spins & 0xFFF == 0 {
                thread::yield_now();
            } else {
                spin_loop();
            }
        });
    }

    /// Does `meanwhile` again and again until all threads have come here.
    fn leave_last(&self, mut meanwhile: impl FnMut()) {
        let mine = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (mine / self.threads + 1) * self.threads;
        while self.arrived.load(Ordering::Acquire) < all {
            meanwhile();
        }
    }
}

fn rows(threads: usize, cases: &[Case<'_>], results: &[Vec<Turns>]) -> Vec<Row> {
    let by_round: Vec<Vec<f64>> = results
        .iter()
        .map(|of_case| mean_by_round(of_case))
        .collect();
    cases
        .iter()
        .zip(results)
        .zip(&by_round)
        .map(|((case, of_case), ns)| Row {
            what: case.what.to_owned(),
            threads,
            ns: quantile(ns.clone(), 0.5),
            ratio: quantile(
                ns.iter().zip(&by_round[0]).map(|(a, b)| a / b).collect(),
                0.5,
            ),
            tail: Some(quantile(
                of_case
                    .iter()
                    .flat_map(|turns| turns.tail.iter().copied())
                    .collect(),
                0.999,
            )),
        })
        .collect()
}

fn mean_by_round(of_case: &[Turns]) -> Vec<f64> {
    (0..of_case[0].ns.len())
        .map(|round| {
            of_case.iter().map(|turns| turns.ns[round]).sum::<f64>() / of_case.len() as f64
        })
        .collect()
}

fn quantile(mut values: Vec<f64>, of: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * of).round() as usize]
}

/// One clock to one count of nanoseconds: a call through the vDSO and a multiplication, nothing else.
///
/// Through rustix, which adds nothing that could be measured to libc's call and needs no `unsafe`
/// here. nix and the standard library add 5 to 8 ns, so beside them anything would look cheap.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn to_nanos(clock: rustix::time::ClockId) -> i64 {
    let t = rustix::time::clock_gettime(clock);
    t.tv_sec
        .checked_mul(1_000_000_000)
        .and_then(|s| s.checked_add(t.tv_nsec))
        .unwrap_or(-1)
}

/// The baseline.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn realtime() -> i64 {
    to_nanos(rustix::time::ClockId::Realtime)
}

/// What the standard library makes of the same clock, to one count of nanoseconds.
#[inline]
pub(crate) fn system_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(-1, |since| since.as_nanos() as i64)
}

/// The row of a case that was measured; its name and threads are known to be there.
pub(crate) fn row<'a>(rows: &'a [Row], what: &str, threads: usize) -> &'a Row {
    rows.iter()
        .find(|row| row.what == what && row.threads == threads)
        .unwrap()
}

/// Prints the rows as one Markdown table.
pub(crate) fn print_table(rows: &[Row]) {
    let width = rows
        .iter()
        .map(|row| row.what.chars().count())
        .max()
        .unwrap_or(0);
    println!(
        "| {:<width$} | threads |        ns | ratio |     p99.9 |",
        "what"
    );
    println!(
        "|:{:-<width$}-|--------:|----------:|------:|----------:|",
        ""
    );
    for row in rows {
        let figure = |ns: f64| {
            if ns < 0.01 {
                format!("{ns:.5}")
            } else {
                format!("{ns:.2}")
            }
        };
        println!(
            "| {:<width$} | {:>7} | {:>9} | {:>5.2} | {:>9} |",
            row.what,
            row.threads,
            figure(row.ns),
            row.ratio,
            row.tail.map(figure).unwrap_or_default(),
        );
    }
}

/// How many threads to measure with: one, and two where there are two cores for them.
pub(crate) fn thread_counts() -> Vec<usize> {
    if cores().len() < 2 {
        eprintln!("there is only one core to use: no measurement with two threads");
        return vec![1];
    }
    vec![1, 2]
}

/// How long the calling thread has been running.
#[cfg(target_os = "linux")]
fn time_on_core() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

/// How long the process has been running, where a thread's own time cannot be had.
#[cfg(not(target_os = "linux"))]
fn time_on_core() -> Duration {
    use std::sync::OnceLock;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Binds the calling thread to a core of its own.
#[cfg(target_os = "linux")]
pub(crate) fn pin(index: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    set.set(cores()[index]);
    sched_setaffinity(None, &set).unwrap();
}

/// Two cores that this process may use and that are not two threads of one, if there are two.
#[cfg(target_os = "linux")]
fn cores() -> Vec<usize> {
    use std::sync::OnceLock;

    // Once, since threads that are pinned may no longer use but their own.
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(find_cores).clone()
}

#[cfg(target_os = "linux")]
fn find_cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let set = sched_getaffinity(None).unwrap();
    let usable = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
    let package = |core: usize| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        std::fs::read_to_string(path).unwrap_or_else(|_| core.to_string())
    };
    let mut cores: Vec<usize> = Vec::new();
    for core in usable {
        if cores.iter().all(|other| package(*other) != package(core)) {
            cores.push(core);
        }
    }
    cores.truncate(2);
    cores
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_index: usize) {}

#[cfg(not(target_os = "linux"))]
fn cores() -> Vec<usize> {
    let count = thread::available_parallelism().map_or(1, usize::from);
    (0..count.min(2)).collect()
}
