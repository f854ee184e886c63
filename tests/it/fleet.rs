//! Clocks held against each other: F3, never an honest one named, and F4, every false one that can
//! be, on scripted machines. F1 and F2 are in `agreement.rs`.
//!
//! `EPSILON_CLOCK_LONG=1` makes the generated fleets fifty times as many.

use std::time::Duration;

use epsilon_clock::source::{
    Finding, LeapNotice, Look, LookContext, Source, SourceMemory, SyncClaim,
};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::{Claim, LeapKind, LeapSecond, RateBounds};
use epsilon_clock::{Clock, ErrorBound, Interval, TimeDelta, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

mod generated;
mod rules;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How much more than usual is to be tried.
fn scale() -> u64 {
    let long = std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1");
    if long { 50 } else { 1 }
}

/// How far an interval misses an instant; zero if it contains it.
fn missed(interval: &Interval, truth: Timestamp) -> Duration {
    Interval::point(truth).gap(interval).unwrap_or_default()
}

/// A source that claims `epsilon` around what is off from true time by whatever it is told.
#[derive(Clone, Debug)]
struct Oracle {
    machine: ScriptedMachine,
    epsilon: Duration,
    offset_ns: Arc<AtomicI64>,
    /// The leap second that it was told of.
    leap: Option<LeapSecond>,
}

impl Source for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let offset = TimeDelta::from_nanos(self.offset_ns.load(Ordering::Relaxed));
        let middle = self.machine.true_time().checked_add_delta(offset).unwrap();
        let interval = Interval::around(middle, self.epsilon).unwrap();
        let rate = RateBounds::symmetric(200_000);
        let mut look = Look::new(Finding::Write(SyncClaim {
            claim: Claim::new(context.machine.sample().raw, interval, rate),
            bound: ErrorBound::default(),
        }));
        if let Some(leap) = self.leap.filter(|leap| middle < leap.boundary) {
            look.leap = LeapNotice::Pending(leap);
        }
        look
    }
}

/// A scripted machine whose readings take no time, with a clock on it that is off as it is told.
struct Node {
    machine: ScriptedMachine,
    oracle: Oracle,
    clock: Clock,
}

impl Node {
    fn new(offset: TimeDelta, epsilon: Duration) -> Self {
        Self::on(ScriptedMachine::default(), None, offset, epsilon)
    }

    /// An honest one on a machine that begins then, in a world with such a leap second.
    fn before_a_leap(start: Timestamp, kind: LeapKind, epsilon: Duration) -> Self {
        let machine = ScriptedMachine::new(start);
        let boundary = machine.schedule_leap(kind);
        let leap = Some(LeapSecond { boundary, kind });
        Self::on(machine, leap, TimeDelta::ZERO, epsilon)
    }

    fn on(
        machine: ScriptedMachine,
        leap: Option<LeapSecond>,
        offset: TimeDelta,
        epsilon: Duration,
    ) -> Self {
        machine.set_read_cost(Duration::ZERO);
        let oracle = Oracle {
            machine: machine.clone(),
            epsilon,
            offset_ns: Arc::new(AtomicI64::new(offset.nanos())),
            leap,
        };
        let clock = machine.builder().source(oracle.clone()).build().unwrap();
        Self {
            machine,
            oracle,
            clock,
        }
    }

    fn honest(epsilon: Duration) -> Self {
        Self::new(TimeDelta::ZERO, epsilon)
    }

    /// From its next look on.
    fn set_offset(&self, offset: TimeDelta) {
        self.oracle
            .offset_ns
            .store(offset.nanos(), Ordering::Relaxed);
    }
}
