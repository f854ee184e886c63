//! The costs of a clock's parts, by criterion: for following a change from one run to the next.
//!
//! For figures beside those of the bare clock reads see `side_by_side`, whose rounds are
//! interleaved.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark fails loudly")]

use criterion::{Criterion, criterion_group, criterion_main};
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{Clock, Interval, Timestamp};
use std::hint::black_box;
use std::time::{Duration, SystemTime};

const ASSUMED: Duration = Duration::from_millis(5);

fn readings(c: &mut Criterion) {
    // Answers on any machine, synchronised or not, and over the same path.
    let clock = Clock::builder()
        .assume_error(ASSUMED)
        .build()
        .expect("a clock of this machine");
    let mut group = c.benchmark_group("clock");
    group.bench_function("std SystemTime::now", |b| b.iter(SystemTime::now));
    group.bench_function("now", |b| b.iter(|| clock.now().expect("an interval")));
    let instant = Timestamp::UNIX_EPOCH;
    group.bench_function("after", |b| {
        b.iter(|| clock.after(black_box(instant)).expect("an interval"));
    });
    group.bench_function("before", |b| {
        b.iter(|| clock.before(black_box(instant)).expect("an interval"));
    });
    group.bench_function("read", |b| b.iter(|| clock.read()));
    group.bench_function("status", |b| b.iter(|| clock.status()));
    group.bench_function("look", |b| b.iter(|| clock.look().expect("an interval")));
    group.finish();
}

fn arithmetic(c: &mut Criterion) {
    let instant = Timestamp::from_unix_nanos(1_795_153_800_123_456_789);
    let interval = Interval::around(instant, ASSUMED).expect("in range");
    let later = interval.widen(ASSUMED).expect("in range");
    let claim = Claim::new(0, interval, RateBounds::symmetric(200_000));
    let text = instant.to_string();
    let mut group = c.benchmark_group("arithmetic");
    group.bench_function("Claim::carry", |b| {
        b.iter(|| black_box(&claim).carry(black_box(60_000_000_123)));
    });
    group.bench_function("Interval::order", |b| {
        b.iter(|| black_box(&interval).order(black_box(&later)));
    });
    group.bench_function("Interval::intersection", |b| {
        b.iter(|| black_box(&interval).intersection(black_box(&later)));
    });
    group.bench_function("Interval to text", |b| {
        b.iter(|| black_box(&interval).to_string());
    });
    group.bench_function("Timestamp from text", |b| {
        b.iter(|| black_box(text.as_str()).parse::<Timestamp>());
    });
    group.finish();
}

criterion_group!(benches, readings, arithmetic);
criterion_main!(benches);
