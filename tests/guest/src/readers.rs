//! Threads that read clocks all the time and compare them with the truth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use epsilon_clock::{Clock, ClockError, Disturbance};

use crate::truth::{MS, Truth, raw_now};

/// How many threads read each clock.
const THREADS: usize = 2;

/// A clock that is watched.
struct Watched {
    name: &'static str,
    clock: Clock,
    /// The latest that a reader has seen its earliest end: T3 promises that it stays there.
    reached: AtomicI64,
}

/// Not counted among what is not expected unless it is more than one reading in so many: a reading
/// that was interrupted for a millisecond, eight times in a row, says so, which is right of it.
const INTERRUPTED_ONE_IN: u64 = 100;

/// An interval that did not contain the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Miss {
    /// When the reading began and ended.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) by: i64,
}

/// What the readers of one clock came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    pub(crate) intervals: u64,
    pub(crate) widest: Duration,
    /// The longest that passed between two readings of one thread, in ns.
    pub(crate) longest_gap: i64,
    /// How often each kind of error was met.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    /// Every interval that broke T1.
    pub(crate) misses: Vec<Miss>,
    /// Whatever was false, in words; the first few.
    pub(crate) false_ones: Vec<String>,
    /// How often T3 was broken.
    pub(crate) fallen_back: u64,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.intervals += other.intervals;
        self.widest = self.widest.max(other.widest);
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.misses.extend(other.misses);
        self.fallen_back += other.fallen_back;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.false_ones.extend(other.false_ones);
        self.false_ones.truncate(5);
    }

    fn lies(&mut self, what: String) {
        if self.false_ones.len() < 5 {
            self.false_ones.push(what);
        }
    }

    /// That the clock kept its promises in every reading, and met these kinds of errors only.
    pub(crate) fn assert_kept(&self, allowed: &[&str]) {
        assert!(self.false_ones.is_empty(), "{:#?}", self.false_ones);
        self.assert_answered(allowed);
    }

    /// That there were intervals enough, and these kinds of errors only.
    pub(crate) fn assert_answered(&self, allowed: &[&str]) {
        assert!(self.intervals > 100, "hardly any readings: {self:?}");
        for (kind, count) in &self.errors {
            let rare = *kind == "Interrupted" && count * INTERRUPTED_ONE_IN < self.intervals;
            assert!(
                rare || allowed.contains(kind),
                "{kind} is not expected: {self:?}"
            );
        }
    }
}

/// Readers at work, until [`Readers::stop`].
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    clocks: Arc<Vec<Watched>>,
    threads: Vec<JoinHandle<Vec<Score>>>,
}

impl Readers {
    /// Readers that hardly do anything else.
    pub(crate) fn start(truth: Truth, clocks: &[(&'static str, &Clock)]) -> Self {
        Self::every(Duration::from_micros(500), truth, clocks)
    }

    /// Readers for minutes, which leave the processor to others.
    pub(crate) fn at_leisure(truth: Truth, clocks: &[(&'static str, &Clock)]) -> Self {
        Self::every(Duration::from_millis(7), truth, clocks)
    }

    fn every(pause: Duration, truth: Truth, clocks: &[(&'static str, &Clock)]) -> Self {
        let watched = |(name, clock): &(&'static str, &Clock)| Watched {
            name,
            clock: (*clock).clone(),
            reached: AtomicI64::new(i64::MIN),
        };
        let clocks: Arc<Vec<_>> = Arc::new(clocks.iter().map(watched).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..THREADS).map(|_| {
            let (stop, clocks) = (stop.clone(), clocks.clone());
            std::thread::spawn(move || read_until(&stop, pause, &clocks, &truth))
        });
        let threads = threads.collect();
        Self {
            stop,
            clocks,
            threads,
        }
    }

    /// Ends the reading; how each clock fared, in their order.
    pub(crate) fn stop(self) -> Vec<Score> {
        self.stop.store(true, Ordering::SeqCst);
        let mut scores = vec![Score::default(); self.clocks.len()];
        for thread in self.threads {
            let seen = thread.join().expect("a reader panicked");
            for (score, more) in scores.iter_mut().zip(seen) {
                score.add(more);
            }
        }
        for (watched, score) in self.clocks.iter().zip(&scores) {
            println!(
                "{}: {} intervals, widest epsilon {:?}, {} false, errors {:?}; \
                 up to {} ms between readings",
                watched.name,
                score.intervals,
                score.widest,
                score.misses.len() as u64 + score.fallen_back,
                score.errors,
                score.longest_gap / MS
            );
        }
        scores
    }
}

fn read_until(stop: &AtomicBool, pause: Duration, clocks: &[Watched], truth: &Truth) -> Vec<Score> {
    let mut scores = vec![Score::default(); clocks.len()];
    let mut last = raw_now();
    while !stop.load(Ordering::SeqCst) {
        for (watched, score) in clocks.iter().zip(&mut scores) {
            for _ in 0..5 {
                read_once(watched, score, truth);
                let now = raw_now();
                score.longest_gap = score.longest_gap.max(now - last);
                last = now;
            }
        }
        std::thread::sleep(pause);
    }
    scores
}

fn read_once(watched: &Watched, score: &mut Score, truth: &Truth) {
    let reached = watched.reached.load(Ordering::SeqCst);
    let before = raw_now();
    let answer = watched.clock.now();
    let after = raw_now();
    let now = match answer {
        Ok(now) => now,
        Err(error) => {
            *score.errors.entry(kind_of(&error)).or_default() += 1;
            return;
        }
    };
    score.intervals += 1;
    score.widest = score.widest.max(now.epsilon());
    let (earliest, latest) = (now.earliest().unix_nanos(), now.latest().unix_nanos());
    let (from, to) = (truth.at(before), truth.at(after));
    if earliest > to || latest < from {
        let by = (earliest - to).max(from - latest);
        score.misses.push(Miss {
            from: before,
            to: after,
            by,
        });
        score.lies(format!(
            "T1: {now} misses the truth, {from} to {to}, by {by} ns; {:?}",
            watched.clock.status()
        ));
    }
    if earliest < reached {
        let by = reached - earliest;
        score.fallen_back += 1;
        score.lies(format!("T3: the earliest end fell back by {by} ns"));
    }
    watched.reached.fetch_max(earliest, Ordering::SeqCst);
}

/// The name of an error's variant.
fn kind_of(error: &ClockError) -> &'static str {
    match error {
        ClockError::Unvouched(_) => "Unvouched",
        ClockError::TooOld { .. } => "TooOld",
        ClockError::TooWide { .. } => "TooWide",
        ClockError::Contradicted { .. } => "Contradicted",
        ClockError::Disturbed {
            cause: Disturbance::Interrupted,
        } => "Interrupted",
        ClockError::Disturbed { .. } => "Disturbed",
        ClockError::AssumptionBroken { .. } => "AssumptionBroken",
        _ => "another",
    }
}
