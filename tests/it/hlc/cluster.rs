//! Several nodes that exchange random messages over clocks that drift, step, suspend, stop and jump.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::hlc::{HlcCommit, HlcError, RemoteLimit};
use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{
    Clock, ErrorBound, HlcTimestamp, HybridClock, Interval, RemoteTimestamp, TimeDelta, Timestamp,
};

use super::checker::{Checker, Event, Message};
use super::{Dice, delta, millis};

/// Little above what the sources claim, so that the default tolerance has hardly any room left.
const MAX_ERROR: Duration = millis(25);
const WORST_EPSILON_NS: i64 = 24_900_000;

const RESERVE: Duration = millis(5);

/// Ordinary, or ten million events if asked for.
fn events() -> u64 {
    if std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1") {
        5_000_000
    } else {
        100_000
    }
}

/// A scripted machine whose clocks can be stopped.
#[derive(Debug)]
struct Stoppable {
    machine: ScriptedMachine,
    stopped: Mutex<Option<(Sample, Sandwich)>>,
}

impl Stoppable {
    fn stop(&self) {
        let readings = (self.machine.sample(), self.machine.sandwich());
        *self.stopped.lock().unwrap() = Some(readings);
    }

    fn go_on(&self) {
        *self.stopped.lock().unwrap() = None;
    }
}

/// The machine of which a node and its test keep a handle each.
#[derive(Clone, Debug)]
struct Handle(Arc<Stoppable>);

impl Machine for Handle {
    fn sample(&self) -> Sample {
        let stopped = self.0.stopped.lock().unwrap().map(|readings| readings.0);
        stopped.unwrap_or_else(|| self.0.machine.sample())
    }

    fn sandwich(&self) -> Sandwich {
        let stopped = self.0.stopped.lock().unwrap().map(|readings| readings.1);
        stopped.unwrap_or_else(|| self.0.machine.sandwich())
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        self.0.machine.coarse_tick()
    }

    fn identity(&self) -> Identity {
        self.0.machine.identity()
    }

    fn sleep(&self, span: Duration) {
        self.0.machine.sleep(span);
    }
}

/// A source that knows true time to within an epsilon, and is off by whatever it is told.
#[derive(Clone, Debug)]
struct Oracle {
    machine: ScriptedMachine,
    epsilon_ns: Arc<AtomicI64>,
    offset_ns: Arc<AtomicI64>,
    silent: Arc<AtomicBool>,
}

impl Source for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        if self.silent.load(Ordering::Relaxed) {
            let maxerror_us = NtpStatus::MAXERROR_CAP;
            return Look::new(Finding::Refused(Refusal::Unsynchronized { maxerror_us }));
        }
        let offset = TimeDelta::from_nanos(self.offset_ns.load(Ordering::Relaxed));
        let epsilon = Duration::from_nanos(self.epsilon_ns.load(Ordering::Relaxed) as u64);
        let middle = self.machine.true_time().checked_add_delta(offset).unwrap();
        let interval = Interval::around(middle, epsilon).unwrap();
        let rate = RateBounds::symmetric(200_000);
        Look::new(Finding::Write(SyncClaim {
            claim: Claim::new(context.machine.sample().raw, interval, rate),
            bound: ErrorBound::default(),
        }))
    }
}

struct Node {
    machine: ScriptedMachine,
    handle: Handle,
    oracle: Oracle,
    clock: Clock,
    hlc: HybridClock,
    disk: Arc<AtomicU64>,
    disk_broken: Arc<AtomicBool>,
    commits: Vec<HlcCommit>,
}

impl Node {
    fn new(dice: &mut Dice) -> Self {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(Duration::ZERO);
        let handle = Handle(Arc::new(Stoppable {
            machine: machine.clone(),
            stopped: Mutex::new(None),
        }));
        let oracle = Oracle {
            machine: machine.clone(),
            epsilon_ns: Arc::default(),
            offset_ns: Arc::default(),
            silent: Arc::default(),
        };
        sharpen(&oracle, dice);
        let clock = Clock::builder()
            // These oscillators go from one end of what A1 allows to the other at any moment.
            .max_wander_ppb(400_000)
            .machine(Arc::new(handle.clone()))
            .source(oracle.clone())
            .max_error(MAX_ERROR)
            .build()
            .unwrap();
        let disk = Arc::new(AtomicU64::new(0));
        let disk_broken = Arc::new(AtomicBool::new(false));
        let hlc = boot(&clock, &disk, &disk_broken);
        Self {
            machine,
            handle,
            oracle,
            clock,
            hlc,
            disk,
            disk_broken,
            commits: Vec::new(),
        }
    }

    /// A crash: whatever was in memory is gone, and what was stored is read back.
    fn restart(&mut self) -> HlcTimestamp {
        self.commits.clear();
        self.hlc = boot(&self.clock, &self.disk, &self.disk_broken);
        self.hlc.last()
    }
}

fn boot(clock: &Clock, disk: &Arc<AtomicU64>, broken: &Arc<AtomicBool>) -> HybridClock {
    let floor = RemoteTimestamp::from_bits(disk.load(Ordering::Relaxed)).trust();
    let (disk, broken) = (Arc::clone(disk), Arc::clone(broken));
    HybridClock::builder(clock.clone())
        // As its documentation says: twice `max_error`, and what a peer may have resumed from.
        .remote_limit(RemoteLimit::Interval {
            tolerance: 2 * MAX_ERROR + RESERVE,
        })
        .resume_from(floor)
        .reserve(RESERVE, move |bound| {
            if broken.load(Ordering::Relaxed) {
                return Err("the disk is broken".into());
            }
            let before = disk.swap(bound.to_bits(), Ordering::Relaxed);
            assert!(before < bound.to_bits(), "a bound that is no larger");
            Ok(())
        })
        .build()
        .unwrap()
}

/// Gives a source an epsilon, and an offset up to it: often the largest.
fn sharpen(oracle: &Oracle, dice: &mut Dice) {
    let epsilon = if dice.once_in(3) {
        WORST_EPSILON_NS
    } else {
        dice.below(WORST_EPSILON_NS as u64) as i64
    };
    let offset = match dice.below(3) {
        0 => epsilon,
        1 => -epsilon,
        _ => dice.within(epsilon),
    };
    oracle.epsilon_ns.store(epsilon, Ordering::Relaxed);
    oracle.offset_ns.store(offset, Ordering::Relaxed);
}

/// By how much a source is wrong without knowing it: a little, or an hour.
fn lie(dice: &mut Dice) -> i64 {
    let most = if dice.once_in(4) {
        3_600_000_000_000
    } else {
        200_000_000
    };
    dice.within(most)
}

/// What came of a run, so that a test can tell that it met what it was to meet.
#[derive(Debug, Default)]
struct Tally {
    blind: u64,
    issued: u64,
    observed: u64,
    commits: u64,
    released: u64,
    restarts: u64,
    too_far: u64,
    jumps: u64,
    used_up: u64,
}

struct Cluster {
    dice: Dice,
    nodes: Vec<Node>,
    /// In the air; each may arrive late, out of order, several times or never.
    messages: Vec<Message>,
    checker: Checker,
    tally: Tally,
    honest: bool,
}

impl Cluster {
    fn new(seed: u64, honest: bool) -> Self {
        let mut dice = Dice::new(seed);
        let nodes: Vec<Node> = (0..4).map(|_| Node::new(&mut dice)).collect();
        Self {
            checker: Checker::new(nodes.len(), honest),
            dice,
            nodes,
            messages: Vec::new(),
            tally: Tally::default(),
            honest,
        }
    }

    fn true_time(&self) -> Timestamp {
        self.nodes[0].machine.true_time()
    }

    fn run(&mut self, events: u64) {
        while self.checker.events() < events {
            self.time_passes();
            if self.dice.once_in(20) {
                self.something_happens();
            }
            if !self.honest && self.dice.once_in(20) {
                self.something_breaks();
            }
            let node = self.dice.below(self.nodes.len() as u64) as usize;
            self.act(node);
        }
    }

    fn time_passes(&mut self) {
        let nanos = match self.dice.below(10) {
            0..5 => 0,
            5..9 => self.dice.below(2_000_000),
            _ => self.dice.below(300_000_000),
        };
        for node in &self.nodes {
            node.machine.advance(Duration::from_nanos(nanos));
        }
    }

    /// What may happen to an honest clock.
    fn something_happens(&mut self) {
        let index = self.dice.below(self.nodes.len() as u64) as usize;
        let dice = &mut self.dice;
        let node = &mut self.nodes[index];
        match dice.below(7) {
            0 => node.machine.set_drift_ppb(dice.within(190_000) as i32),
            1 => node.machine.set_slew_ppb(dice.within(80_000_000) as i32),
            2 => node.machine.step(delta(dice.within(3_600_000))),
            3 => sharpen(&node.oracle, dice),
            4 => {
                let span = Duration::from_nanos(20_000_000 + dice.below(5_000_000_000));
                node.machine.suspend(span);
                for (other, node) in self.nodes.iter().enumerate() {
                    if other != index {
                        node.machine.advance(span);
                    }
                }
            }
            5 => {
                let floor = node.restart();
                self.checker.restarted(index, floor);
                self.tally.restarts += 1;
            }
            _ => node.disk_broken.store(dice.once_in(10), Ordering::Relaxed),
        }
    }

    /// What no clock should do.
    fn something_breaks(&mut self) {
        let dice = &mut self.dice;
        let index = dice.below(self.nodes.len() as u64) as usize;
        let node = &mut self.nodes[index];
        match dice.below(6) {
            0 => node.handle.0.stop(),
            1 => node.handle.0.go_on(),
            2 => node.machine.jump_raw(delta(dice.within(10_000))),
            3 => node.oracle.silent.store(dice.once_in(2), Ordering::Relaxed),
            4 => node.oracle.offset_ns.store(lie(dice), Ordering::Relaxed),
            _ => node.machine.set_date(delta(dice.within(7_200_000))),
        }
    }

    fn act(&mut self, index: usize) {
        let true_time = self.true_time();
        let node = &self.nodes[index];
        let mut reading = node.clock.read();
        if self.honest && reading.interval.is_err() {
            // After a suspend somebody has to look; nobody vouches for stamps made before that.
            let _ = node.clock.look();
            reading = node.clock.read();
            if reading.interval.is_err() {
                self.tally.blind += 1;
                return;
            }
        }
        if let Ok(interval) = &reading.interval {
            self.checker.read(interval, true_time);
        } else {
            self.tally.blind += 1;
        }
        let pt = reading.estimate.unix_nanos().max(0) as u64 / 1_000;
        let before = node.hlc.last();
        let event = |stamp, pt, received| Event {
            node: index,
            stamp,
            pt,
            received,
            true_time,
        };
        let action = self.dice.below(8);
        let result = match action {
            0..3 => node.hlc.tick().map(|stamp| {
                let message = self.checker.event(&event(stamp, pt, None));
                self.tally.issued += 1;
                self.messages.push(message);
            }),
            3 => node.hlc.tick_with_interval().map(|stamped| {
                let _ = self.checker.event(&event(stamped.timestamp, pt, None));
                self.checker
                    .stamped(stamped.timestamp, &stamped.interval, true_time);
                let of_the_reading = reading.interval.unwrap();
                assert_eq!(stamped.interval.earliest(), of_the_reading.earliest());
            }),
            4 => node.hlc.begin_commit().map(|commit| {
                let latest = reading.interval.unwrap().latest();
                let stamp = commit.timestamp();
                let pt = (latest.unix_nanos() as u64).div_ceil(1_000);
                self.checker.began(stamp, latest);
                let message = self.checker.event(&event(stamp, pt, None));
                self.messages.push(message);
                self.tally.commits += 1;
                self.nodes[index].commits.push(commit);
            }),
            _ if self.messages.is_empty() => return,
            _ if !self.honest && self.dice.once_in(10) => {
                // Not a stamp of anybody's.
                let bits = self.dice.roll() << self.dice.below(20);
                let garbage =
                    RemoteTimestamp::from_bits(if self.dice.once_in(2) { u64::MAX } else { bits });
                if node.hlc.observe(garbage).is_ok() {
                    // Accepted, and so below the limit: from now on the node's past, as it were.
                    assert!(node.hlc.last() > garbage, "H1: {garbage}");
                    self.checker.restarted(index, node.hlc.last());
                } else {
                    Checker::failed(before, node.hlc.last(), "observing garbage");
                }
                return;
            }
            _ => {
                let which = self.dice.below(self.messages.len() as u64) as usize;
                let message = self.messages[which];
                let observed = node.hlc.observe(message.stamp);
                observed.map(|stamp| {
                    self.tally.observed += 1;
                    let _ = self.checker.event(&event(stamp, pt, Some(&message)));
                })
            }
        };
        if self.messages.len() > 40 {
            let which = self.dice.below(self.messages.len() as u64) as usize;
            self.messages.swap_remove(which);
        }
        if let Err(error) = result {
            Checker::failed(before, self.nodes[index].hlc.last(), "a call");
            self.failed(index, &error);
        }
        self.release(index);
    }

    fn failed(&mut self, index: usize, error: &HlcError) {
        match error {
            HlcError::TooFarAhead { .. } => {
                assert!(!self.honest, "an honest peer was rejected: {error}");
                self.tally.too_far += 1;
            }
            HlcError::ForwardJump { .. } => {
                assert!(!self.honest, "an honest clock seemed to jump: {error}");
                self.tally.jumps += 1;
                if self.dice.once_in(2) {
                    self.nodes[index].hlc.accept_jump();
                }
            }
            HlcError::Reserve { used_up, .. } => {
                let node = &self.nodes[index];
                assert!(node.disk_broken.load(Ordering::Relaxed), "{error}");
                assert_eq!(used_up.to_bits(), node.disk.load(Ordering::Relaxed));
                self.tally.used_up += 1;
            }
            HlcError::Clock(_) => assert!(!self.honest, "{error}"),
            other => panic!("{other}"),
        }
    }

    fn release(&mut self, index: usize) {
        let true_time = self.true_time();
        let node = &mut self.nodes[index];
        node.commits.retain(|commit| {
            let past = commit.is_past().is_ok_and(|past| past);
            if past {
                self.checker.released(commit.timestamp(), true_time);
                self.tally.released += 1;
            }
            !past
        });
    }
}

fn run_all(honest: bool, events: u64) -> Tally {
    let mut total = Tally::default();
    let per_run = events.min(50_000);
    for seed in 0..events / per_run {
        println!("seed {seed}"); // shown if the test fails
        let mut cluster = Cluster::new(seed, honest);
        cluster.run(per_run);
        let Tally {
            blind,
            issued,
            observed,
            commits,
            released,
            restarts,
            too_far,
            jumps,
            used_up,
        } = cluster.tally;
        total.blind += blind;
        total.issued += issued;
        total.observed += observed;
        total.commits += commits;
        total.released += released;
        total.restarts += restarts;
        total.too_far += too_far;
        total.jumps += jumps;
        total.used_up += used_up;
    }
    println!("{total:?}");
    total
}

/// H1, H2, H3, H4, H6, H9, H10 and H11 over honest clocks that drift, slew, step and suspend.
#[test]
fn h1_to_h11_hold_among_honest_nodes() {
    let tally = run_all(true, events());
    // Each part of it took place often enough to find something.
    let each = events() / 200;
    assert!(tally.issued > 10 * each, "{tally:?}");
    assert!(tally.observed > 10 * each, "{tally:?}");
    assert!(
        tally.commits > 10 * each && tally.released > 5 * each,
        "{tally:?}"
    );
    assert!(tally.restarts > each && tally.used_up > each, "{tally:?}");
    assert!(tally.blind < events() / 10, "{tally:?}");
}

/// H1, H2, H3, H6 and H9 hold whatever the clocks do: they stop, jump, lie and fall silent.
#[test]
fn h1_to_h9_hold_whatever_the_clocks_do() {
    let tally = run_all(false, events());
    let each = events() / 200;
    assert!(tally.blind > each && tally.issued > 10 * each, "{tally:?}");
    assert!(tally.too_far > each && tally.jumps > each / 5, "{tally:?}");
    assert!(tally.restarts > each && tally.used_up > each, "{tally:?}");
    assert!(tally.observed > each, "{tally:?}");
}
