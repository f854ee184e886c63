//! The hybrid logical clock: invariants H1 to H6 and H8 to H11, and every fault it has to survive.
//!
//! H7, the encodings, are in `hlc_text.rs`. No test but those with threads reads a real clock.
//!
//! `EPSILON_CLOCK_LONG=1` makes the property tests run through ten million events; fewer by default.

use std::time::Duration;

use epsilon_clock::source::Finding;
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::{
    Clock, HlcTimestamp, HybridClock, Interval, RemoteTimestamp, TimeDelta, Timestamp,
};

mod checker;
mod cluster;
mod commits;
mod faults;
#[cfg(target_os = "linux")]
mod glimpses;
mod jumps;
mod remotes;
mod reserves;
#[cfg(target_os = "linux")]
mod striping;
mod threads;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const HOUR: Duration = secs(3600);

const fn delta(millis: i64) -> TimeDelta {
    TimeDelta::from_nanos(millis * 1_000_000)
}

/// A machine whose readings take no time, and a clock on it that is right to within `epsilon`.
fn right(epsilon: Duration) -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(epsilon)));
    let clock = machine.builder().source(source).build().unwrap();
    assert!(clock.now().unwrap().contains(machine.true_time()));
    (machine, clock)
}

/// A machine whose readings take no time, and a clock on it that nobody vouches for.
fn unvouched() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    let clock = machine.clock().unwrap();
    assert!(clock.now().is_err());
    (machine, clock)
}

/// The stamp of an instant in whole microseconds, rounded down.
fn stamp(instant: Timestamp, logical: u16) -> HlcTimestamp {
    let nanos = instant.unix_nanos();
    let whole = Timestamp::from_unix_nanos(nanos - nanos.rem_euclid(1_000));
    HlcTimestamp::new(whole, logical).unwrap()
}

/// A remote stamp whose physical part is `instant`, rounded down.
fn remote(instant: Timestamp) -> RemoteTimestamp {
    stamp(instant, 0).into()
}

fn micros(stamp: HlcTimestamp) -> u64 {
    stamp.to_bits() >> 12
}

/// A task that panicked beside them leaves nothing half done: `catch_unwind` takes them as they are.
#[test]
fn handles_may_be_used_after_a_panic() {
    use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};

    fn safe<T: UnwindSafe + RefUnwindSafe>() {}
    safe::<Clock>();
    safe::<HybridClock>();
    safe::<epsilon_clock::CommitGroup>();
    safe::<epsilon_clock::CommitWait<'_>>();
    safe::<epsilon_clock::hlc::HlcCommit>();
    safe::<epsilon_clock::lease::TermLease>();
    safe::<epsilon_clock::lease::PauseDetector>();

    let (machine, clock) = right(millis(1));
    // In the middle of a tick, where the guard reads all clocks.
    let hlc = HybridClock::builder(clock.clone())
        .reserve(millis(1), |_| Err("full".into()))
        .build()
        .unwrap();
    machine.before_read(1, |_| panic!("a panic to be caught"));
    assert!(catch_unwind(|| hlc.tick()).is_err());
    assert!(hlc.tick().is_err());
    let free = HybridClock::new(clock.clone());
    machine.before_read(1, |_| panic!("a panic to be caught"));
    assert!(catch_unwind(|| free.tick()).is_err());
    assert_eq!(
        free.tick().unwrap(),
        stamp(clock.now().unwrap().midpoint(), 0)
    );
}

#[test]
fn handles_are_send_and_sync() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<HybridClock>();
    shared::<epsilon_clock::hlc::HlcCommit>();
    shared::<epsilon_clock::hlc::HlcError>();
    shared::<HlcTimestamp>();
    shared::<RemoteTimestamp>();
    shared::<epsilon_clock::hlc::WideTimestamp>();
    shared::<epsilon_clock::hlc::StampedInterval>();
    shared::<epsilon_clock::hlc::ReserveRecord>();
}

/// Small numbers that look random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Any odd multiplier spreads neighbouring seeds.
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn within(&mut self, most: i64) -> i64 {
        self.below(2 * most as u64 + 1) as i64 - most
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
