//! Nodes that take turns at one lease, by a register that compares and sets, and write to two
//! resources: one behind a fence, one without.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::{self, Kind};
use epsilon_clock::lease::{FencingToken, Tenure, WorkGuard};
use epsilon_clock::{Clock, Fence, Interval, Lease, Timestamp};
use epsilon_clock_sim::{
    Checker, Daemon, Fault, Manner, Node, NodeConfig, Oscillator, Preemption, Random, Server,
    Subject, World,
};

const US: i64 = 1_000;
const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

const NODES: usize = 3;
/// The number of the lease, and of the two resources, for the checker.
const LEASE: u64 = 1;
const FENCED: u64 = 1;
const OPEN: u64 = 2;

/// How long a world is played.
const SPAN: i64 = 900 * SECOND;

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    pub(crate) terms: u64,
    pub(crate) renewed: u64,
    pub(crate) held: u64,
    pub(crate) not_held: u64,
    /// Readings without an interval.
    pub(crate) refused: u64,
    pub(crate) throughout: u64,
    pub(crate) surely_not: u64,
    pub(crate) cannot_tell: u64,
    pub(crate) faults: u64,
    /// Writes that the fence let in and turned away.
    pub(crate) accepted: u64,
    pub(crate) turned_away: u64,
    pub(crate) stale_without_fence: u64,
    /// Bounds that the model's daemons wrote and that A2 does not allow.
    pub(crate) short_writes: u64,
}

impl Played {
    pub(crate) fn add(&mut self, other: Self) {
        self.terms += other.terms;
        self.renewed += other.renewed;
        self.held += other.held;
        self.not_held += other.not_held;
        self.refused += other.refused;
        self.throughout += other.throughout;
        self.surely_not += other.surely_not;
        self.cannot_tell += other.cannot_tell;
        self.faults += other.faults;
        self.accepted += other.accepted;
        self.turned_away += other.turned_away;
        self.stale_without_fence += other.stale_without_fence;
        self.short_writes += other.short_writes;
    }
}

/// What the register holds: who, by which grant, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    holder: usize,
    token: FencingToken,
    expiry: [u8; 8],
}

impl Record {
    fn lease(&self) -> Lease {
        Lease::from_be_bytes(self.expiry).unwrap()
    }
}

/// A compare-and-set: `expected` is all of the record, or a renewal would go unseen.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    node: usize,
    expected: Option<Record>,
    /// For a grant that goes on; a new one has a higher token.
    token: FencingToken,
    expiry: [u8; 8],
}

enum Event<'a> {
    /// The next instruction of a node's thread of this number.
    Step(usize, u64, Step<'a>),
    /// A message to the register.
    Peek(usize, u64),
    Attempt(Attempt),
    /// Its answers.
    Seen(usize, u64, Option<Record>),
    Took(usize, Record),
    /// A write on its way to the resources.
    Write(usize, FencingToken),
    Fault(usize),
}

/// What a node does next; anything may happen between any two of these.
enum Step<'a> {
    Ask,
    Judge(Option<Record>),
    Name(Option<Record>),
    Check,
    Begin,
    Send(Option<Work<'a>>),
    Finish(Work<'a>, u32),
    Renew,
}

/// Work under a lease, which may be renewed meanwhile: the guard is about the one it began with.
struct Work<'a> {
    guard: WorkGuard<'a>,
    expiry: Timestamp,
}

/// What makes a world hard. Not both: a daemon that writes as little as A2 lets it, and slews there and
/// back between two looks of a node that was stopped, breaks A2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hardship {
    /// Bounds are as small as A2 allows, so that intervals contain truth by nothing; nodes are stopped
    /// for a moment, or asleep.
    Grudging,
    /// Nodes are stopped for seconds, and daemons fail in every way.
    Rough,
}

#[derive(Clone, Copy)]
struct Holding {
    record: Record,
    lease: Lease,
}

struct Member<'a> {
    node: &'a Node,
    clock: &'a Clock,
    subject: Subject,
    thread: u64,
    holding: Option<Holding>,
    stopped_until: i64,
    daemon_dead: bool,
}

pub(crate) struct Cluster<'a> {
    world: &'a World,
    random: Random,
    events: BTreeMap<(i64, u64), Event<'a>>,
    sequence: u64,
    members: Vec<Member<'a>>,
    register: Option<Record>,
    fence: [u8; 9],
    term: Duration,
    margin: Duration,
    checker: Checker,
    without_fence: Checker,
    played: Played,
    hardship: Hardship,
    /// Judges by the middle of the interval, as those do who take a clock for right.
    careless: bool,
}

impl Cluster<'_> {
    /// One world, with its checker for T7 and W1.
    pub(crate) fn play(seed: u64) -> (Played, Checker) {
        Self::play_as(seed, false)
    }

    /// The same with nodes that take their best estimate for the time.
    pub(crate) fn play_carelessly(seed: u64) -> (Played, Checker) {
        Self::play_as(seed, true)
    }

    fn play_as(seed: u64, careless: bool) -> (Played, Checker) {
        let world = World::new(seed);
        let mut random = Random::new(seed ^ 0x1ea5e);
        world.set_preemption(Preemption {
            per_million: 2_000,
            longest: Duration::from_millis(500),
        });
        let hardship = if random.chance(400_000) {
            Hardship::Grudging
        } else {
            Hardship::Rough
        };
        let nodes: Vec<Node> = (0..NODES)
            .map(|_| world.node(config(hardship, &mut random)))
            .collect();
        let clocks: Vec<Clock> = nodes.iter().map(|node| node.clock().unwrap()).collect();
        // So that pauses outlast terms in either.
        let longest_term = match hardship {
            Hardship::Grudging => 200 * MS,
            Hardship::Rough => 2 * SECOND,
        };
        let mut checker = Checker::new();
        let mut without_fence = Checker::new();
        let members = nodes
            .iter()
            .zip(&clocks)
            .enumerate()
            .map(|(index, (node, clock))| {
                let subject = checker.subject(&format!("node {index}"));
                without_fence.subject(&format!("node {index}"));
                Member {
                    node,
                    clock,
                    subject,
                    thread: 0,
                    holding: None,
                    stopped_until: 0,
                    daemon_dead: false,
                }
            });
        let members = members.collect();
        let mut cluster = Cluster {
            world: &world,
            term: Duration::from_nanos(random.scattered(100 * MS, longest_term).unsigned_abs()),
            margin: Duration::from_nanos(random.between(0, 10 * MS).unsigned_abs()),
            random,
            events: BTreeMap::new(),
            sequence: 0,
            members,
            register: None,
            fence: Fence::OPEN.to_be_bytes(),
            checker,
            without_fence,
            played: Played::default(),
            hardship,
            careless,
        };
        cluster.run();
        let (mut played, checker) = (cluster.played, cluster.checker);
        played.short_writes = world.short_writes().0;
        (played, checker)
    }
}

/// A node with an honest daemon and an oscillator within A1.
fn config(hardship: Hardship, random: &mut Random) -> NodeConfig {
    let oscillator = match random.between(0, 3) {
        0 => Oscillator::steady(200_000),
        1 => Oscillator::steady(-200_000),
        _ => Oscillator::ordinary(random),
    };
    let server = [Server::near(), Server::far(), Server::lopsided()]
        [usize::try_from(random.between(0, 3)).unwrap()];
    let mut daemon = Daemon::chrony(server);
    daemon.poll = Duration::from_secs(random.between(2, 16).unsigned_abs());
    if hardship == Hardship::Grudging {
        daemon.manner = Manner::Grudging;
    }
    daemon.servers.push(Server::far());
    NodeConfig {
        oscillator,
        ..NodeConfig::with_daemon(daemon)
    }
}

impl<'a> Cluster<'a> {
    fn now(&self) -> i64 {
        i64::try_from(self.world.elapsed().as_nanos()).unwrap()
    }

    fn plan(&mut self, after: i64, event: Event<'a>) {
        self.sequence += 1;
        self.events
            .insert((self.now() + after, self.sequence), event);
    }

    fn run(&mut self) {
        self.world.advance(Duration::from_secs(20));
        for node in 0..NODES {
            let after = self.random.between(0, SECOND);
            self.plan(after, Event::Step(node, 0, Step::Ask));
            let after = self.random.between(SECOND, 60 * SECOND);
            self.plan(after, Event::Fault(node));
        }
        let end = self.now() + SPAN;
        while let Some(((at, _), event)) = self.events.pop_first() {
            let wait = at - self.now();
            if wait > 0 {
                self.world
                    .advance(Duration::from_nanos(wait.unsigned_abs()));
            }
            if self.now() > end {
                return;
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event<'a>) {
        match event {
            Event::Step(node, thread, step) => {
                let member = &self.members[node];
                if member.thread != thread {
                    return;
                }
                let asleep = member.stopped_until - self.now();
                if asleep > 0 {
                    self.plan(asleep, Event::Step(node, thread, step));
                    return;
                }
                self.step(node, step);
            }
            Event::Peek(node, thread) => {
                let seen = Event::Seen(node, thread, self.register);
                self.send(seen);
            }
            Event::Attempt(attempt) => self.compare_and_set(attempt),
            Event::Seen(node, thread, record) => {
                if self.members[node].thread == thread {
                    self.resume(node, Step::Judge(record));
                }
            }
            Event::Took(node, record) => self.took(node, record),
            Event::Write(node, token) => self.write(node, token),
            Event::Fault(node) => self.fault(node),
        }
    }

    /// The next instruction of a node, a moment or a long pause from now.
    fn next(&mut self, node: usize, step: Step<'a>) {
        let gap = match self.random.between(0, 100) {
            0..=84 => self.random.between(200, 50 * US),
            85..=94 => self.random.scattered(50 * US, 5 * MS),
            _ if self.hardship == Hardship::Grudging => self.random.scattered(5 * MS, 200 * MS),
            _ => self.random.scattered(5 * MS, 6 * SECOND),
        };
        self.later(node, gap, step);
    }

    fn later(&mut self, node: usize, after: i64, step: Step<'a>) {
        let thread = self.members[node].thread;
        self.plan(after, Event::Step(node, thread, step));
    }

    /// A message came that a node was waiting for: what it had planned for want of one is off.
    fn resume(&mut self, node: usize, step: Step<'a>) {
        self.members[node].thread += 1;
        self.next(node, step);
    }

    /// Lets a message travel: lost, late, or in a moment.
    fn send(&mut self, message: Event<'a>) {
        let delay = match self.random.between(0, 100) {
            0..=2 => return,
            3..=7 => self.random.scattered(5 * MS, 10 * SECOND),
            _ => self.random.between(100 * US, 2 * MS),
        };
        self.plan(delay, message);
    }

    fn ask_again(&mut self, node: usize) {
        let after = self.random.scattered(MS, 300 * MS);
        self.later(node, after, Step::Ask);
    }

    fn step(&mut self, node: usize, step: Step<'a>) {
        match step {
            Step::Ask => {
                self.members[node].thread += 1;
                let thread = self.members[node].thread;
                self.send(Event::Peek(node, thread));
                self.later(node, 50 * MS, Step::Ask);
            }
            Step::Judge(None) => self.next(node, Step::Name(None)),
            Step::Judge(Some(record)) if self.is_over(node, &record) => {
                self.next(node, Step::Name(Some(record)));
            }
            Step::Judge(Some(_)) => self.ask_again(node),
            Step::Name(expected) => {
                if let Some(now) = self.reading(node) {
                    let lease = Lease::grant(&now, self.term).unwrap();
                    let last = expected.map_or(0, |record| record.token.number());
                    let token = FencingToken::new(last + 1).unwrap();
                    self.attempt(node, expected, token, &lease);
                }
                self.later(node, 50 * MS, Step::Ask);
            }
            Step::Check => match self.holding(node) {
                None => self.ask_again(node),
                Some(holding) if self.may_act(node, &holding) => {
                    let step = match self.random.between(0, 10) {
                        0..=5 => Step::Send(None),
                        6..=7 => Step::Begin,
                        _ => Step::Renew,
                    };
                    self.next(node, step);
                }
                Some(_) => {
                    self.members[node].holding = None;
                    self.ask_again(node);
                }
            },
            Step::Begin => self.begin(node),
            Step::Send(work) => {
                if let Some(holding) = self.members[node].holding {
                    let token = holding.record.token;
                    self.send(Event::Write(node, token));
                    if self.random.chance(100_000) {
                        self.send(Event::Write(node, token));
                    }
                }
                match work {
                    Some(work) => {
                        let pauses = u32::try_from(self.random.between(0, 4)).unwrap();
                        self.next(node, Step::Finish(work, pauses));
                    }
                    None => self.act_again(node),
                }
            }
            Step::Finish(work, 0) => self.finish(node, work),
            Step::Finish(work, pauses) => self.next(node, Step::Finish(work, pauses - 1)),
            Step::Renew => self.renew(node),
        }
    }

    fn holding(&self, node: usize) -> Option<Holding> {
        self.members[node].holding
    }

    fn act_again(&mut self, node: usize) {
        let third = i64::try_from(self.term.as_nanos()).unwrap() / 3;
        let after = self.random.scattered(MS, third);
        self.later(node, after, Step::Check);
    }

    // --- what nodes decide by their clocks -----------------------------------------------------

    fn reading(&mut self, node: usize) -> Option<Interval> {
        let reading = self.members[node].clock.now();
        self.played.refused += u64::from(reading.is_err());
        Some(self.blurred(reading.ok()?))
    }

    /// What a careless node makes of a reading.
    fn blurred(&self, reading: Interval) -> Interval {
        if self.careless {
            Interval::point(reading.midpoint())
        } else {
            reading
        }
    }

    fn is_over(&mut self, node: usize, record: &Record) -> bool {
        let lease = record.lease();
        let over = if self.careless {
            self.reading(node).map(|now| lease.surely_expired_at(&now))
        } else {
            lease.surely_expired(self.members[node].clock).ok()
        };
        self.played.refused += u64::from(over.is_none());
        let over = over.unwrap_or(false);
        if over {
            let (subject, now) = (self.members[node].subject, self.world.now());
            let report = report(self.world);
            self.checker.expired(subject, lease.expiry(), now, report);
        }
        over
    }

    fn may_act(&mut self, node: usize, holding: &Holding) -> bool {
        let called = self.world.now();
        let lease = holding.lease;
        let held = if self.careless {
            self.reading(node).map(|now| lease.held_at(&now))
        } else {
            lease.held(self.members[node].clock).ok()
        };
        self.played.refused += u64::from(held.is_none());
        let held = held.unwrap_or(false);
        if held {
            self.played.held += 1;
            let until = lease.expiry().checked_sub(lease.margin());
            self.was_held(node, until, called);
        } else {
            self.played.not_held += 1;
        }
        held
    }

    fn was_held(&mut self, node: usize, until: Option<Timestamp>, called: Timestamp) {
        let subject = self.members[node].subject;
        let report = report(self.world);
        self.checker.held(subject, LEASE, until, called, report);
    }

    fn begin(&mut self, node: usize) {
        let member = &self.members[node];
        let Some(holding) = member.holding else {
            return self.ask_again(node);
        };
        match holding.lease.guard(member.clock) {
            Ok(guard) => {
                let expiry = holding.lease.expiry();
                self.next(node, Step::Send(Some(Work { guard, expiry })));
            }
            Err(_) => self.act_again(node),
        }
    }

    fn finish(&mut self, node: usize, Work { guard, expiry }: Work<'a>) {
        let called = self.world.now();
        match guard.finish() {
            Tenure::Throughout => {
                self.played.throughout += 1;
                self.was_held(node, Some(expiry), called);
            }
            Tenure::SurelyNot { by } => {
                self.played.surely_not += 1;
                let (subject, now) = (self.members[node].subject, self.world.now());
                let over_since = expiry.saturating_add(by);
                let report = report(self.world);
                self.checker.expired(subject, over_since, now, report);
            }
            Tenure::CannotTell(_) => self.played.cannot_tell += 1,
        }
        self.act_again(node);
    }

    fn renew(&mut self, node: usize) {
        let Some(holding) = self.members[node].holding else {
            return self.ask_again(node);
        };
        if let Some(now) = self.reading(node) {
            let renewed = holding.lease.renewed(&now, self.term).unwrap();
            self.attempt(node, Some(holding.record), holding.record.token, &renewed);
        }
        self.act_again(node);
    }

    // --- the register and the resources ---------------------------------------------------------

    fn attempt(
        &mut self,
        node: usize,
        expected: Option<Record>,
        token: FencingToken,
        lease: &Lease,
    ) {
        let expiry = lease.to_be_bytes();
        self.send(Event::Attempt(Attempt {
            node,
            expected,
            token,
            expiry,
        }));
    }

    fn compare_and_set(&mut self, attempt: Attempt) {
        if self.register != attempt.expected {
            return;
        }
        let renews = attempt
            .expected
            .is_some_and(|record| record.token == attempt.token);
        let record = Record {
            holder: attempt.node,
            token: attempt.token,
            expiry: attempt.expiry,
        };
        self.register = Some(record);
        if renews {
            self.played.renewed += 1;
        } else {
            self.played.terms += 1;
            let subject = self.members[attempt.node].subject;
            self.checker.took_over(LEASE, subject, self.world.now());
        }
        self.send(Event::Took(attempt.node, record));
    }

    /// The register's word that a node holds the lease, however late.
    fn took(&mut self, node: usize, record: Record) {
        let lease = record.lease().with_margin(self.margin);
        let member = &mut self.members[node];
        let news = member
            .holding
            .is_none_or(|holding| holding.lease.expiry() < lease.expiry());
        if news {
            let first = member.holding.is_none();
            member.holding = Some(Holding { record, lease });
            if first {
                self.resume(node, Step::Check);
            }
        }
    }

    fn write(&mut self, node: usize, token: FencingToken) {
        let (subject, now) = (self.members[node].subject, self.world.now());
        let fence = Fence::try_from(&self.fence[..]).unwrap();
        match fence.admit(token) {
            Ok(fence) => {
                self.fence = fence.to_be_bytes();
                self.played.accepted += 1;
                let report = report(self.world);
                self.checker.accepted(FENCED, subject, token, now, report);
            }
            Err(stale) => {
                assert!(stale.shown == token && stale.highest > token);
                self.played.turned_away += 1;
            }
        }
        let fine = self
            .without_fence
            .accepted(OPEN, subject, token, now, String::new);
        self.played.stale_without_fence += u64::from(!fine);
    }

    // --- what goes wrong -----------------------------------------------------------------------

    fn fault(&mut self, node: usize) {
        const KINDS: [Kind; 11] = [
            Kind::Step,
            Kind::Step,
            Kind::Suspend,
            Kind::SuspendByRtc,
            Kind::Slew,
            Kind::Pause,
            Kind::DaemonTerminated,
            Kind::DaemonKilledSlewing,
            Kind::DaemonFrozen,
            Kind::StatusRefused,
            Kind::Failover,
        ];
        self.played.faults += 1;
        let kinds = match self.hardship {
            Hardship::Grudging => &KINDS[..4],
            Hardship::Rough => &KINDS,
        };
        let (mut fault, mut stops) = faults::draw(&mut self.random, kinds, 8 * SECOND);
        if self.members[node].daemon_dead {
            (fault, stops) = (Fault::DaemonStarted, Duration::ZERO);
        }
        let now = self.now();
        let member = &mut self.members[node];
        member.daemon_dead = matches!(
            fault,
            Fault::DaemonTerminated | Fault::DaemonKilledSlewing { .. }
        );
        member.stopped_until = now + i64::try_from(stops.as_nanos()).unwrap();
        member.node.strike(fault);
        let after = self.random.between(10 * SECOND, 60 * SECOND);
        self.plan(after, Event::Fault(node));
    }
}

fn report(world: &World) -> impl FnOnce() -> String + '_ {
    || format!("  seed {}\n{}", world.seed(), world.log())
}
