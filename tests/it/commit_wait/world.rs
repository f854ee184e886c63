//! Several nodes that share one true time, each with clocks, a daemon and troubles of its own.
//!
//! A reading of any clock takes true time, and now and then a preemption strikes before it. Sleeps
//! return early, late or on time. Daemons are honest: what they write contains the truth, and lies
//! on either side of it. Everything comes from one seed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{
    Finding, LeapNotice, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim,
};
use epsilon_clock::time::{Claim, LeapKind, LeapSecond, RateBounds};
use epsilon_clock::{Clock, ErrorBound, Interval, Timestamp};

use crate::random::Random;

const BILLION: i128 = 1_000_000_000;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// 2026-11-20T05:50:00Z.
const MORNING: i64 = 1_795_153_800 * SECOND;

#[derive(Debug)]
struct World {
    rng: Random,
    /// True time as a count of seconds: UTC before any leap second.
    counted: i64,
    leap: Option<LeapSecond>,
    read_cost: i64,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// The true time that its clocks were last carried to.
    at: i64,
    raw: i64,
    raw_rest: i128,
    mono: i64,
    mono_rest: i128,
    real_offset: i64,
    boot_offset: i64,
    /// True seconds per raw second, less one.
    drift_ppb: i64,
    slew_ppb: i64,
    leapt: bool,
    /// The most that its daemon knows.
    epsilon: i64,
    in_sync: bool,
}

impl Node {
    fn carry_to(&mut self, counted: i64) {
        let span = i128::from(counted - self.at);
        self.at = counted;
        let raw = span * BILLION + self.raw_rest;
        let rate = BILLION + i128::from(self.drift_ppb);
        self.raw_rest = raw.rem_euclid(rate);
        let raw = raw.div_euclid(rate);
        let mono = raw * (BILLION + i128::from(self.slew_ppb)) + self.mono_rest;
        self.mono_rest = mono.rem_euclid(BILLION);
        self.raw += i64::try_from(raw).unwrap();
        self.mono += i64::try_from(mono.div_euclid(BILLION)).unwrap();
    }

    fn real(&mut self, leap: Option<LeapSecond>) -> i64 {
        let real = self.mono + self.real_offset;
        let Some(leap) = leap.filter(|_| !self.leapt) else {
            return real;
        };
        // The kernel notices with its next tick.
        let (begins, by) = match leap.kind {
            LeapKind::Inserted => (leap.boundary.unix_nanos(), -SECOND),
            LeapKind::Deleted => (leap.boundary.unix_nanos() - SECOND, SECOND),
        };
        if real < begins + 5_000_000 {
            return real;
        }
        self.leapt = true;
        self.real_offset += by;
        real + by
    }
}

impl World {
    fn utc(&self) -> i64 {
        let Some(leap) = self.leap else {
            return self.counted;
        };
        let boundary = leap.boundary.unix_nanos();
        match leap.kind {
            LeapKind::Inserted if self.counted >= boundary => (self.counted - SECOND).max(boundary),
            LeapKind::Deleted if self.counted >= boundary - SECOND => self.counted + SECOND,
            _ => self.counted,
        }
    }

    fn read<T>(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut Node, Option<LeapSecond>) -> T,
    ) -> T {
        self.counted += self.read_cost;
        if self.rng.once_in(200) {
            // Preempted.
            self.counted += self.rng.within(1, 3_000_000);
        }
        let node = &mut self.nodes[index];
        node.carry_to(self.counted);
        read(node, self.leap)
    }
}

/// The world, from outside.
#[derive(Clone, Debug)]
pub(crate) struct Worlds(Arc<Mutex<World>>);

/// One node's machine and source.
#[derive(Clone, Debug)]
struct Seat {
    world: Worlds,
    index: usize,
}

impl Worlds {
    /// A world of so many nodes; in every eighth a leap second is about to happen.
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let mut rng = Random::new(seed);
        let leap = rng.once_in(8).then(|| LeapSecond {
            boundary: Timestamp::from_unix_nanos((MORNING / DAY + 1) * DAY),
            kind: if rng.once_in(2) {
                LeapKind::Inserted
            } else {
                LeapKind::Deleted
            },
        });
        let counted = leap.map_or(MORNING, |leap| {
            leap.boundary.unix_nanos() - rng.within(SECOND * 5 / 2, 4 * SECOND)
        });
        let nodes = (0..nodes).map(|_| {
            let widest = if rng.once_in(2) { 200_000 } else { 5_000_000 };
            let epsilon = rng.within(20_000, widest);
            let mut node = Node {
                at: counted,
                raw: rng.within(0, 1 << 50),
                raw_rest: 0,
                mono: rng.within(0, 1 << 50),
                mono_rest: 0,
                real_offset: 0,
                boot_offset: 0,
                drift_ppb: 0,
                slew_ppb: 0,
                leapt: false,
                epsilon,
                in_sync: true,
            };
            // Real time is off by anything: intervals are not about it.
            node.real_offset = counted + rng.within(-40_000_000, 40_000_000) - node.mono;
            node.drift_ppb = extreme_drift(&mut rng);
            node
        });
        let nodes = nodes.collect();
        let read_cost = [20, 700, 4_000][rng.below(3) as usize];
        Self(Arc::new(Mutex::new(World {
            rng,
            counted,
            leap,
            read_cost,
            nodes,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The clock of a node, as if at its site.
    pub(crate) fn clock(&self, index: usize) -> Clock {
        let seat = Seat {
            world: self.clone(),
            index,
        };
        Clock::builder()
            .machine(Arc::new(seat.clone()))
            .source(seat)
            .look_interval(Duration::from_millis(20))
            .build()
            .unwrap()
    }

    pub(crate) fn pass(&self, span: i64) {
        self.lock().counted += span;
    }

    /// UTC, as nobody in the world knows it.
    pub(crate) fn utc(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.lock().utc())
    }

    /// Something happens to a node.
    pub(crate) fn trouble(&self, index: usize) {
        let mut world = self.lock();
        let counted = world.counted;
        let World { rng, nodes, .. } = &mut *world;
        let node = &mut nodes[index];
        node.carry_to(counted);
        match rng.below(12) {
            0..=2 => node.drift_ppb = extreme_drift(rng),
            3..=5 => node.slew_ppb = rng.within(-83_000_000, 83_000_000),
            6..=7 => node.real_offset += rng.within(-900_000_000, 900_000_000),
            8..=9 => node.in_sync = !node.in_sync,
            10 => node.epsilon = rng.within(20_000, 5_000_000),
            _ => {
                // Suspended: raw and monotonic time stood still, for the others it went on.
                let span = rng.within(30_000_000, 400_000_000);
                node.real_offset += span;
                node.boot_offset += span;
                node.at += span;
                world.counted += span;
            }
        }
    }
}

/// At the limit on either side, mostly.
fn extreme_drift(rng: &mut Random) -> i64 {
    match rng.below(4) {
        0 => -200_000,
        1 | 2 => 200_000,
        _ => rng.within(-200_000, 200_000),
    }
}

impl Machine for Seat {
    fn sample(&self) -> Sample {
        let mut world = self.world.lock();
        let coarse = world.read(self.index, |node, leap| {
            node.real(leap) - node.mono.rem_euclid(4_000_000)
        });
        let raw = world.read(self.index, |node, _| node.raw);
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        let mut world = self.world.lock();
        let mono_before = world.read(self.index, |node, _| node.mono);
        let boot = world.read(self.index, |node, _| node.mono + node.boot_offset);
        let real = world.read(self.index, Node::real);
        let raw = world.read(self.index, |node, _| node.raw);
        let mono_after = world.read(self.index, |node, _| node.mono);
        Sandwich {
            mono_before,
            boot,
            real,
            raw,
            mono_after,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        Duration::from_millis(4)
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: 1,
            time_namespace: 1,
        }
    }

    fn sleep(&self, span: Duration) {
        let mut world = self.world.lock();
        let span = i64::try_from(span.as_nanos()).unwrap();
        let slept = match world.rng.below(4) {
            0 => world.rng.within(0, span), // a signal
            1 => span + world.rng.within(0, 2_000_000),
            _ => span + world.rng.within(0, 90_000),
        };
        world.counted += slept;
    }
}

impl Source for Seat {
    fn name(&self) -> &'static str {
        "honest daemon"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let mut world = self.world.lock();
        let raw = world.read(self.index, |node, _| node.raw);
        let utc = world.utc();
        let leap = world.leap;
        let speaks = !world.rng.once_in(3);
        let World { rng, nodes, .. } = &mut *world;
        let node = &nodes[self.index];
        let finding = if !node.in_sync {
            let maxerror_us = NtpStatus::MAXERROR_CAP;
            Finding::Refused(Refusal::Unsynchronized { maxerror_us })
        } else if speaks {
            // The truth is anywhere in it, at either end as well.
            let width = 2 * rng.within(node.epsilon / 2, node.epsilon);
            let below = match rng.below(4) {
                0 => 0,
                1 => width,
                _ => rng.within(0, width),
            };
            let end = Timestamp::from_unix_nanos;
            let ends = Interval::new(end(utc - below), end(utc - below + width)).unwrap();
            Finding::Write(SyncClaim {
                claim: Claim::new(raw, ends, RateBounds::symmetric(context.max_drift_ppb)),
                bound: ErrorBound::default(),
            })
        } else {
            Finding::Nothing
        };
        let mut look = Look::new(finding);
        look.leap = match leap {
            None => LeapNotice::None,
            Some(leap) if utc < leap.boundary.unix_nanos() => LeapNotice::Pending(leap),
            Some(leap) => LeapNotice::Passed(leap),
        };
        look
    }
}
