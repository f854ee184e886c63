//! `now()` beside other clocks: one table in one run.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, with `-- --quick` for a rough
//! one. How it measures, and what the columns mean, is told in `../harness/mod.rs`.
//!
//! * `clock-bound-client` 2 and `clock-bound` 3 read segments that this program writes as their
//!   daemon would, afresh before each round; each thread has a client of its own, as they take
//!   `&mut self`. A window that is not synchronised ends the benchmark.
//! * `SystemTime` and `quanta` tell a point in time without a bound; quanta's is not even UTC.
//! * Hybrid logical clocks have a table of their own, told in `hlc.rs`.
//! * `now()` has an assumed error, so that it answers on any machine. It stands there once for each way to
//!   read the time that this machine has; above stand the bare reads that these ways are made of.

use clock_bound::ClockStatus;
use clock_bound_client::ClockStatus as ClockStatus2;
use epsilon_clock::Clock;
use rustix::time::ClockId;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[path = "../../harness/mod.rs"]
mod harness;
mod hlc;
#[path = "../../paths/mod.rs"]
mod paths;
mod segment;

use harness::{
    Case, Effort, measure, print_table, realtime, row, system_time, thread_counts, to_nanos,
};
use segment::Segments;

const CLIENT_2: &str = "clock-bound-client 2.0.3";
const CLIENT_3: &str = "clock-bound 3.0.0-rc.0";
const OURS: &str = "epsilon-clock now()";

fn main() -> ExitCode {
    let effort = match Effort::from_args() {
        Ok(effort) => effort,
        Err(message) => {
            eprintln!("peers: {message}");
            return ExitCode::from(64);
        }
    };
    let mut segments = Segments::create().expect("two files in the temporary directory");
    let layout_2 = segments.layout_2().to_owned();
    let layout_3 = segments.layout_3().to_owned();
    check_client_3(&layout_3);
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()
        .expect("a clock of this machine");
    let paths = paths::by_path();
    let mut rows = Vec::new();
    for threads in thread_counts() {
        let mut cases = cases(&clock, &layout_2, &layout_3);
        cases.extend(paths.iter().map(|(path, clock)| now(name_of(path), clock)));
        rows.extend(measure(effort, threads, &cases, || {
            segments.refresh().expect("the segments can be written");
        }));
    }
    print_table(&rows);
    println!();
    for threads in thread_counts() {
        let ours = row(&rows, OURS, threads).ns;
        for peer in [CLIENT_2, CLIENT_3] {
            let ratio = ours / row(&rows, peer, threads).ns;
            println!("now() / {peer}, {threads} thread(s): {ratio:.2}");
        }
    }
    println!();
    hlc::compare(effort, &clock);
    ExitCode::SUCCESS
}

/// All of them use what they are told: points and ends alike, part by part.
fn cases<'a>(clock: &'a Clock, layout_2: &'a Path, layout_3: &'a Path) -> Vec<Case<'a>> {
    vec![
        Case::new("REALTIME", || realtime),
        Case::new("MONOTONIC_RAW", || || to_nanos(ClockId::MonotonicRaw)),
        Case::new("REALTIME_COARSE", || || to_nanos(ClockId::RealtimeCoarse)),
        #[cfg(target_arch = "x86_64")]
        Case::new("counter, ordered", || paths::ordered_count),
        Case::new("SystemTime (std)", || system_time),
        Case::new("quanta", || {
            let clock = quanta::Clock::new();
            move || clock.now()
        }),
        Case::new(CLIENT_2, || {
            let mut client = client_2(layout_2);
            move || {
                let now = client.now().expect("a window");
                assert!(now.clock_status == ClockStatus2::Synchronized);
                black_box(now.earliest.tv_sec());
                black_box(now.earliest.tv_nsec());
                black_box(now.latest.tv_sec());
                now.latest.tv_nsec()
            }
        }),
        Case::new(CLIENT_3, || {
            let mut client = client_3(layout_3);
            move || {
                let now = client.now().expect("a window");
                assert!(now.clock_status == ClockStatus::Synchronized);
                black_box(now.earliest.tv_sec());
                black_box(now.earliest.tv_nsec());
                black_box(now.latest.tv_sec());
                now.latest.tv_nsec()
            }
        }),
        now(OURS, clock),
    ]
}

fn now<'a>(what: &'static str, clock: &'a Clock) -> Case<'a> {
    Case::new(what, || {
        let clock = clock.clone();
        move || {
            let now = clock.now().expect("an interval");
            black_box(now.earliest().unix_nanos());
            now.latest().unix_nanos()
        }
    })
}

fn name_of(path: &str) -> &'static str {
    match path {
        "counter" => "epsilon-clock now(), counter",
        "counter_and_coarse" => "epsilon-clock now(), counter and coarse",
        _ => "epsilon-clock now(), vDSO",
    }
}

fn client_2(path: &Path) -> clock_bound_client::ClockBoundClient {
    let path = path.to_str().expect("a path in UTF-8");
    match clock_bound_client::ClockBoundClient::new_with_path(path) {
        Ok(client) => client,
        Err(error) => panic!("clock-bound-client: {error:?}"),
    }
}

fn client_3(path: &Path) -> clock_bound::Client {
    let path = path.to_str().expect("a path in UTF-8");
    clock_bound::Client::new_with_path(path).expect("a client of the segment")
}

/// Whether its counter is the one that the segment was written with. A few attempts, as its window
/// is only right at the instant at which it was made.
fn check_client_3(path: &Path) {
    let mut client = client_3(path);
    let right = (0..64).any(|_| {
        let before = real();
        let now = client.now().expect("a window");
        nanos(now.earliest) <= real() && before <= nanos(now.latest)
    });
    assert!(
        right,
        "clock-bound reads another counter here than quanta does"
    );
}

fn real() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_nanos() as i128
}

fn nanos(t: clock_bound::nix::sys::time::TimeSpec) -> i128 {
    i128::from(t.tv_sec()) * 1_000_000_000 + i128::from(t.tv_nsec())
}
