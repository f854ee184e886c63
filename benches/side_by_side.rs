//! What a reading costs, beside the bare clock reads it is made of: one table in one run.
//!
//! `cargo bench --bench side_by_side`, or with `-- --quick` for a rough one. How it measures, and
//! what the columns mean, is told in `harness/mod.rs`.
//!
//! The clock has an assumed error of 5 ms, so that it answers on any machine; on a synchronised one
//! the kernel's own bound serves, over the same path. A reading that fails ends the benchmark.
//!
//! A second table tells how late waits for a commit end: see `overshoot/mod.rs`.
//!
//! The last rows of the first are computed: a look's measured cost (a call of `look` less the `now` in it) times
//! the looks that a call at such a rate has to pay for, four a second by default whoever calls, or
//! one for each call if there are fewer. The rate is that of all threads on the clock together.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program that reports, or fails loudly"
)]

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::clock::Striping;
use epsilon_clock::lease::GrantorClock;
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim};
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{Clock, ErrorBound, HybridClock, Interval, Lease, RemoteTimestamp, Timestamp};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod harness;
mod overshoot;
mod paths;
mod sources;

use harness::{Case, Effort, Row, measure, print_table, row, thread_counts};

/// Looks a second under the default `look_interval`.
const LOOKS_PER_SECOND: f64 = 4.0;

fn main() -> ExitCode {
    let effort = match Effort::from_args() {
        Ok(effort) => effort,
        Err(message) => {
            eprintln!("side_by_side: {message}");
            return ExitCode::from(64);
        }
    };
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()
        .expect("a clock of this machine");
    // The same after its rate was learned: the ends then move away at rates of their own.
    let taught = Clock::builder()
        .source(Taught)
        .build()
        .expect("a clock of this machine");
    let reported = sources::with_chrony();
    let unvouched = Clock::builder()
        .source(Silent)
        .build()
        .expect("a clock of this machine");
    let (watched, _page) = sources::with_vmclock(Taught);
    let paths = paths::by_path();
    for clock in [&clock, &taught, &watched] {
        paths::settle(clock);
    }
    let mut rows = Vec::new();
    for threads in thread_counts() {
        let mut cases = cases(&clock);
        cases.extend(lease_cases(&clock));
        cases.extend(hlc_cases(&clock));
        cases.extend(taught_cases(&taught));
        for (path, clock) in &paths {
            cases.extend(path_cases(path, clock));
        }
        cases.push(now("now(), chrony's report", &reported));
        cases.push(now("now(), vmclock watched", &watched));
        cases.extend(error_cases(&unvouched));
        rows.extend(measure(effort, threads, &cases, || {}));
    }
    rows.extend(beside_a_reader(effort, &clock));
    rows.extend(amortised(&rows));
    print_table(&rows);
    overshoot::print(&clock, effort.waits());
    for threads in thread_counts() {
        let now = row(&rows, "now()", threads);
        eprintln!(
            "now() with {threads} thread(s): {:.3} times the bare read",
            now.ratio
        );
        let error = row(&rows, "now(), an error", threads);
        eprintln!(
            "an error with {threads} thread(s): {:.2} times now()",
            error.ns / now.ns
        );
        let commit = row(&rows, "begin_commit()", threads);
        eprintln!(
            "begin_commit() with {threads} thread(s): {:.3} times the bare read",
            commit.ratio
        );
        for (path, _) in &paths {
            let [now, read] = path_names(path).map(|what| row(&rows, what, threads).ratio);
            eprintln!(
                "by {path} with {threads} thread(s): now() {now:.3}, read() {read:.3} bare reads"
            );
        }
        for what in ["Lease::held()", "TermLease::held()"] {
            let more = row(&rows, what, threads).ns - now.ns;
            eprintln!("{what} with {threads} thread(s): {more:+.2} ns beside now()");
        }
        for what in [
            "now(), learned rate",
            "now(), chrony's report",
            "now(), vmclock watched",
            "hlc tick(), learned rate",
            "hlc tick()",
            "hlc observe(), old",
            "hlc observe(), ahead",
            "hlc observe(), equal",
            "hlc tick(), word",
            "hlc tick(), striped",
            "hlc observe(), old, striped",
            "begin_commit(), striped",
        ] {
            let ratio = row(&rows, what, threads).ratio;
            eprintln!("{what} with {threads} thread(s): {ratio:.3} times the bare read");
        }
    }
    ExitCode::SUCCESS
}

fn cases(clock: &Clock) -> Vec<Case<'_>> {
    let mut cases = bare::cases();
    cases.push(Case::new("SystemTime (std)", || harness::system_time));
    cases.push(Case::batched("adjtimex", adjtimex));
    cases.push(now("now()", clock));
    cases.push(Case::new("after()", || {
        let clock = clock.clone();
        move || {
            clock
                .after(black_box(Timestamp::UNIX_EPOCH))
                .expect("an interval")
        }
    }));
    cases.push(begin_commit("begin_commit()", clock));
    let striped = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .striping(Striping::Always)
        .build()
        .expect("a clock of this machine");
    paths::settle(&striped);
    cases.push(Case::new("begin_commit(), striped", move || {
        let clock = striped.clone();
        move || clock.begin_commit().expect("an interval").timestamp()
    }));
    cases.push(read("read()", clock));
    cases.push(Case::new("look()", || {
        let clock = clock.clone();
        move || both_ends(clock.look().expect("an interval"))
    }));
    cases
}

fn now<'a>(what: &'static str, clock: &'a Clock) -> Case<'a> {
    Case::new(what, || {
        let clock = clock.clone();
        move || both_ends(clock.now().expect("an interval"))
    })
}

fn read<'a>(what: &'static str, clock: &'a Clock) -> Case<'a> {
    Case::new(what, || {
        let clock = clock.clone();
        move || {
            let reading = clock.read();
            black_box(reading.state);
            match reading.interval {
                Ok(interval) => both_ends(interval),
                Err(_) => reading.estimate.unix_nanos(),
            }
        }
    })
}

/// Readings by one path alone, whichever serves by default.
fn path_cases<'a>(path: &str, clock: &'a Clock) -> Vec<Case<'a>> {
    let [now_name, read_name] = path_names(path);
    vec![now(now_name, clock), read(read_name, clock)]
}

fn path_names(path: &str) -> [&'static str; 2] {
    match path {
        "counter" => ["now(), counter", "read(), counter"],
        "counter_and_coarse" => ["now(), counter and coarse", "read(), counter and coarse"],
        _ => ["now(), vDSO", "read(), vDSO"],
    }
}

/// What it costs to be told why there is no interval.
fn error_cases(clock: &Clock) -> Vec<Case<'_>> {
    vec![
        Case::new("now(), an error", || {
            let clock = clock.clone();
            move || clock.now().expect_err("no interval")
        }),
        read("read(), an error", clock),
    ]
}

fn begin_commit<'a>(what: &'static str, clock: &'a Clock) -> Case<'a> {
    Case::new(what, || {
        let clock = clock.clone();
        move || {
            let commit = clock.begin_commit().expect("an interval");
            commit.timestamp()
        }
    })
}

/// What a commit costs while another thread does nothing but read the clock, on a core of its own.
fn beside_a_reader(effort: Effort, clock: &Clock) -> Vec<Row> {
    if thread_counts().len() < 2 {
        return Vec::new();
    }
    let done = AtomicBool::new(false);
    let mut cases = bare::cases();
    cases.truncate(1);
    cases.push(begin_commit("begin_commit(), another thread reads", clock));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            harness::pin(1);
            while !done.load(Ordering::Relaxed) {
                both_ends(clock.now().expect("an interval"));
            }
        });
        let rows = measure(effort, 1, &cases, || {});
        done.store(true, Ordering::Relaxed);
        rows.into_iter().skip(1).collect()
    })
}

/// Checks of one lease, by all threads.
fn lease_cases(clock: &Clock) -> Vec<Case<'_>> {
    const HOUR: Duration = Duration::from_secs(3_600);
    let now = clock.now().expect("an interval");
    let lease = Lease::grant(&now, HOUR).expect("an expiry");
    let request = clock.request_lease().expect("an interval");
    let term = request.granted(HOUR, GrantorClock::RawTime);
    let term = Arc::new(term.expect("an expiry"));
    vec![
        Case::new("Lease::held()", move || {
            let clock = clock.clone();
            move || assert!(black_box(&lease).held(&clock).expect("an interval"))
        }),
        Case::new("TermLease::held()", move || {
            let term = Arc::clone(&term);
            move || assert!(term.held().expect("an interval"))
        }),
    ]
}

/// Hybrid logical clocks, all threads on one.
fn hlc_cases(clock: &Clock) -> Vec<Case<'_>> {
    let hlc = HybridClock::new(clock.clone());
    let observe = |what, remote: fn(&HybridClock) -> RemoteTimestamp| {
        let hlc = hlc.clone();
        Case::new(what, move || {
            let hlc = hlc.clone();
            move || hlc.observe(remote(&hlc)).expect("a stamp")
        })
    };
    // A clock that nobody vouches for: stamps are made of its real time.
    let blind = Clock::builder()
        .source(Silent)
        .build()
        .map(HybridClock::new)
        .expect("a clock of this machine");
    let ticks = |what, hlc: &HybridClock| {
        let hlc = hlc.clone();
        Case::new(what, move || {
            let hlc = hlc.clone();
            move || hlc.tick().expect("a stamp")
        })
    };
    let with_interval = hlc.clone();
    let by = |striping| {
        let builder = HybridClock::builder(clock.clone()).striping(striping);
        builder.build().expect("a hybrid clock")
    };
    let (word, striped) = (by(Striping::Never), by(Striping::Always));
    let old_striped = striped.clone();
    vec![
        ticks("hlc tick()", &hlc),
        Case::new("hlc tick_with_interval()", move || {
            let hlc = with_interval.clone();
            move || {
                let stamped = hlc.tick_with_interval().expect("a stamp");
                black_box(both_ends(stamped.interval));
                stamped.timestamp
            }
        }),
        observe("hlc observe(), old", |_| {
            RemoteTimestamp::from_bits(black_box(1))
        }),
        observe("hlc observe(), ahead", |hlc| {
            RemoteTimestamp::from_bits(hlc.last().to_bits() + 1)
        }),
        observe("hlc observe(), equal", |hlc| hlc.last().into()),
        ticks("hlc tick() without an interval", &blind),
        ticks("hlc tick(), word", &word),
        ticks("hlc tick(), striped", &striped),
        Case::new("hlc observe(), old, striped", move || {
            let hlc = old_striped.clone();
            move || {
                let old = RemoteTimestamp::from_bits(black_box(1));
                hlc.observe(old).expect("a stamp")
            }
        }),
    ]
}

/// What the learned rate costs: it should be nothing.
fn taught_cases(clock: &Clock) -> Vec<Case<'_>> {
    let hlc = HybridClock::new(clock.clone());
    vec![
        now("now(), learned rate", clock),
        Case::new("hlc tick(), learned rate", move || {
            let hlc = hlc.clone();
            move || hlc.tick().expect("a stamp")
        }),
    ]
}

/// Claims 5 ms, and a rate between −20 and +85 ppm, as learned from an oscillator 32 ppm slow.
#[derive(Debug)]
struct Taught;

impl Source for Taught {
    fn name(&self) -> &'static str {
        "taught"
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        // Once: a source that writes at every look would be measured with its writes.
        if memory.load::<bool>().is_some() {
            return Look::new(Finding::Nothing);
        }
        memory.store(&true);
        let clocks = context.machine.sandwich();
        let real = Timestamp::from_unix_nanos(clocks.real);
        let interval = Interval::around(real, Duration::from_millis(5)).expect("a time in range");
        let rate = RateBounds::new(-20_000, 85_000).expect("bounds in order");
        Look::new(Finding::Write(SyncClaim {
            claim: Claim::new(clocks.raw, interval, rate),
            bound: ErrorBound {
                reported_ns: 5_000_000,
                ..ErrorBound::default()
            },
        }))
    }
}

/// Never vouches.
#[derive(Debug)]
struct Silent;

impl Source for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn look(&self, _context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let maxerror_us = epsilon_clock::machine::NtpStatus::MAXERROR_CAP;
        Look::new(Finding::Refused(Refusal::Unsynchronized { maxerror_us }))
    }
}

/// Uses both ends, one at a time: an interval copied as one piece right after its two halves were
/// written makes the processor wait some nanoseconds, which callers that use its ends do not.
#[inline]
fn both_ends(interval: Interval) -> i64 {
    black_box(interval.earliest().unix_nanos());
    interval.latest().unix_nanos()
}

/// The clocks themselves, each to one count of nanoseconds.
#[cfg(target_os = "linux")]
mod bare {
    use super::harness::{Case, realtime, to_nanos};
    use rustix::time::ClockId;

    pub(super) fn cases() -> Vec<Case<'static>> {
        // A closure each, so that each loop has its clock's number as a constant.
        vec![
            Case::new("REALTIME", || realtime),
            Case::new("MONOTONIC", || || to_nanos(ClockId::Monotonic)),
            Case::new("MONOTONIC_RAW", || || to_nanos(ClockId::MonotonicRaw)),
            Case::new("REALTIME_COARSE", || || to_nanos(ClockId::RealtimeCoarse)),
            Case::new("REALTIME through nix", || through_nix),
            #[cfg(target_arch = "x86_64")]
            Case::new("counter, ordered", || super::paths::ordered_count),
        ]
    }

    fn through_nix() -> i64 {
        use nix::time::{ClockId, clock_gettime};

        let t = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
        t.tv_sec() * 1_000_000_000 + t.tv_nsec()
    }
}

#[cfg(not(target_os = "linux"))]
mod bare {
    use super::harness::{Case, system_time};

    pub(super) fn cases() -> Vec<Case<'static>> {
        vec![Case::new("REALTIME", || system_time)]
    }
}

/// The syscall, with the zeroing of its argument and the copying of its answer that it needs.
///
/// Only a machine can ask for the status without `unsafe`, and only a source is shown the machine:
/// so one look of this clock makes all the calls of a batch.
fn adjtimex() -> harness::Runner {
    let times = Arc::new(AtomicU64::new(0));
    let clock = Clock::builder()
        .source(StatusCalls(Arc::clone(&times)))
        .refresh_policy(RefreshPolicy::Manual)
        .build()
        .expect("a clock of this machine");
    Box::new(move |calls| {
        times.store(calls, Ordering::Relaxed);
        // Never an interval: nobody vouches.
        let _ = black_box(clock.look());
        assert_eq!(times.load(Ordering::Relaxed), 0, "the look was not taken");
    })
}

/// Asks the machine for its status, as often as is still to do.
#[derive(Debug)]
struct StatusCalls(Arc<AtomicU64>);

impl Source for StatusCalls {
    fn name(&self) -> &'static str {
        "status calls"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        for _ in 0..self.0.swap(0, Ordering::Relaxed) {
            let _ = black_box(context.machine.ntp_status());
        }
        let maxerror_us = epsilon_clock::machine::NtpStatus::MAXERROR_CAP;
        Look::new(Finding::Refused(Refusal::Unsynchronized { maxerror_us }))
    }
}

/// What looks cost per call at several rates.
fn amortised(rows: &[Row]) -> Vec<Row> {
    let bare = row(rows, "REALTIME", 1).ns;
    let look = (row(rows, "look()", 1).ns - row(rows, "now()", 1).ns).max(0.0);
    [("1 k", 1e3), ("100 k", 1e5), ("10 M", 1e7)]
        .into_iter()
        .map(|(name, rate)| {
            let ns = look * (LOOKS_PER_SECOND / rate).min(1.0);
            Row {
                what: format!("looks, per call at {name} calls/s (computed)"),
                threads: 1,
                ns,
                ratio: ns / bare,
                tail: None,
            }
        })
        .collect()
}
