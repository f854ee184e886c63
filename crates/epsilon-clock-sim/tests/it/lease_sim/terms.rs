//! Leases for a duration, granted by a service that counts by raw time and knows no UTC.

use std::time::Duration;

use crate::faults::{self, Kind};
use epsilon_clock::lease::{GrantorClock, LeaseRequest, TermLease};
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{Clock, Timestamp};
use epsilon_clock_sim::{
    Checker, Daemon, Node, NodeConfig, Oscillator, Preemption, Random, Server, Subject, World,
};

const US: i64 = 1_000;
const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// A midnight UTC that ends a month.
const MIDNIGHT: i64 = 1_798_761_600 * SECOND;

/// How long before its leap second a world begins that has one.
const BEFORE_LEAP: i64 = 120 * SECOND;
/// How long a world is played, with a leap second and without.
const LEAPING_SPAN: i64 = 180 * SECOND;
const SPAN: i64 = 900 * SECOND;

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
struct Played {
    terms: u64,
    held: u64,
    not_held: u64,
    /// Of these, by an interval that alone would have said otherwise.
    not_held_by_raw_time_alone: u64,
    refused: u64,
    suspends: u64,
}

/// The lock service: it ends a term when its own raw time says so.
struct Service<'a> {
    node: &'a Node,
    holder: Option<usize>,
    ends_at_raw: i64,
}

enum Step {
    Ask,
    /// The request arrives at the service, and is granted or not.
    Arrive(LeaseRequest),
    /// The answer arrives.
    Answer(LeaseRequest),
    Check,
}

struct Member<'a> {
    node: &'a Node,
    clock: Clock,
    subject: Subject,
    lease: Option<TermLease>,
    step: Option<Step>,
    at: i64,
    stopped_until: i64,
}

struct Run<'a> {
    world: &'a World,
    random: Random,
    service: Service<'a>,
    members: Vec<Member<'a>>,
    term: Duration,
    checker: Checker,
    played: Played,
    /// A leap second is all that goes wrong in a world that has one: there an interval misses most.
    leap: Option<LeapKind>,
}

/// T7, for leases granted for a duration: in most of the worlds across a leap second, in which an
/// interval stands still while the service's term goes on, or jumps over what it still has.
#[test]
fn t7_a_term_is_over_for_its_holder_before_it_is_for_the_service() {
    let wanted = super::terms_wanted() / 4;
    let mut all = Played::default();
    for run in 0.. {
        let seed = epsilon_clock_sim::seed_of(run);
        let (played, checker) = play(seed, run);
        assert_eq!(
            checker.violations(),
            0,
            "seed {seed}\n{}",
            checker.first().unwrap()
        );
        all.terms += played.terms;
        all.held += played.held;
        all.not_held += played.not_held;
        all.not_held_by_raw_time_alone += played.not_held_by_raw_time_alone;
        all.refused += played.refused;
        all.suspends += played.suspends;
        if all.terms >= wanted && run >= 8 {
            break;
        }
    }
    println!("{all:?}");
    assert!(
        all.held > all.terms && all.not_held > all.terms / 100,
        "{all:?}"
    );
    assert!(all.refused > 0 && all.suspends > 0, "{all:?}");
    assert!(all.not_held_by_raw_time_alone > 0, "{all:?}");
}

fn play(seed: u64, run: u64) -> (Played, Checker) {
    let mut random = Random::new(seed ^ 0x7e42);
    let leap = match run % 4 {
        0 | 1 => Some(LeapKind::Inserted),
        2 => Some(LeapKind::Deleted),
        _ => None,
    };
    let world = leap.map_or_else(|| World::new(seed), |kind| leaping(seed, kind));
    world.set_preemption(Preemption {
        per_million: 2_000,
        longest: Duration::from_millis(200),
    });
    let fastest = if random.chance(500_000) {
        -200_000
    } else {
        200_000
    };
    let service = world.node(NodeConfig {
        oscillator: Oscillator::steady(fastest),
        ..NodeConfig::default()
    });
    let nodes = [(); 2].map(|()| {
        world.node(NodeConfig {
            oscillator: Oscillator::steady(-fastest),
            ..NodeConfig::with_daemon(Daemon {
                poll: Duration::from_secs(8),
                ..Daemon::chrony(Server::near())
            })
        })
    });
    let mut checker = Checker::new();
    let members = nodes.iter().map(|node| Member {
        clock: node.clock().unwrap(),
        subject: checker.subject(&format!("node {}", node.index())),
        node,
        lease: None,
        step: Some(Step::Ask),
        at: 30 * SECOND,
        stopped_until: 0,
    });
    let members = members.collect();
    let mut run = Run {
        world: &world,
        term: Duration::from_nanos(random.scattered(200 * MS, 4 * SECOND).unsigned_abs()),
        random,
        service: Service {
            node: &service,
            holder: None,
            ends_at_raw: 0,
        },
        members,
        checker,
        played: Played::default(),
        leap,
    };
    run.play();
    (run.played, run.checker)
}

/// A world in the last two minutes before a leap second.
fn leaping(seed: u64, kind: LeapKind) -> World {
    let boundary = Timestamp::from_unix_nanos(MIDNIGHT);
    let start = Timestamp::from_unix_nanos(MIDNIGHT - BEFORE_LEAP);
    World::starting_at(seed, start, Some(LeapSecond { boundary, kind }))
}

impl Run<'_> {
    fn now(&self) -> i64 {
        i64::try_from(self.world.elapsed().as_nanos()).unwrap()
    }

    /// True time on an axis without leap seconds, for the checker.
    fn true_time(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.now())
    }

    fn play(&mut self) {
        let mut next_fault = 60 * SECOND;
        let end = self.leap.map_or(SPAN, |_| LEAPING_SPAN);
        while self.now() < end {
            let first = usize::from(self.members[1].at < self.members[0].at);
            let at = self.members[first]
                .at
                .max(self.members[first].stopped_until);
            self.members[first].at = at;
            if at
                > self.members[1 - first]
                    .at
                    .max(self.members[1 - first].stopped_until)
            {
                continue;
            }
            let wait = at - self.now();
            if wait > 0 {
                self.world
                    .advance(Duration::from_nanos(wait.unsigned_abs()));
            }
            if self.now() > next_fault && self.leap.is_none() {
                next_fault = self.now() + self.random.between(20 * SECOND, 60 * SECOND);
                self.fault(first);
                continue;
            }
            if let Some(step) = self.members[first].step.take() {
                self.step(first, step);
            }
        }
    }

    fn next(&mut self, node: usize, after: i64, step: Step) {
        let member = &mut self.members[node];
        member.at = i64::try_from(self.world.elapsed().as_nanos()).unwrap() + after;
        member.step = Some(step);
    }

    /// How long a message or a pause takes: mostly not long.
    fn delay(&mut self) -> i64 {
        if self.random.chance(100_000) {
            self.random.scattered(5 * MS, 3 * SECOND)
        } else {
            self.random.between(100 * US, 2 * MS)
        }
    }

    fn step(&mut self, node: usize, step: Step) {
        let delay = self.delay();
        match step {
            Step::Ask => match self.members[node].clock.request_lease() {
                Ok(request) => self.next(node, delay, Step::Arrive(request)),
                Err(_) => {
                    self.played.refused += 1;
                    self.next(node, 100 * MS, Step::Check);
                }
            },
            Step::Arrive(request) => {
                let granted = self.service.grant(node, self.term);
                if granted.is_some_and(|news| news) {
                    self.played.terms += 1;
                    let (subject, now) = (self.members[node].subject, self.true_time());
                    self.checker.took_over(1, subject, now);
                }
                // A tenth of the answers is lost.
                if granted.is_some() && !self.random.chance(100_000) {
                    self.next(node, delay, Step::Answer(request));
                } else {
                    let pause = self.random.scattered(10 * MS, SECOND);
                    self.next(node, pause, Step::Check);
                }
            }
            Step::Answer(request) => {
                let lease = request.granted(self.term, GrantorClock::RawTime).unwrap();
                self.members[node].lease = Some(lease);
                self.next(node, delay, Step::Check);
            }
            Step::Check => self.check(node),
        }
    }

    fn check(&mut self, node: usize) {
        let (called, raw) = (self.true_time(), self.service.node.raw());
        let Some(lease) = &self.members[node].lease else {
            let pause = self.random.scattered(10 * MS, SECOND);
            return self.next(node, pause, Step::Ask);
        };
        match lease.held() {
            Ok(true) => {
                self.played.held += 1;
                let subject = self.members[node].subject;
                // As far as the service goes it may be over without anybody having taken it.
                let over = self.service.holder != Some(node) || raw >= self.service.ends_at_raw;
                let until = over.then(|| called.checked_sub(Duration::from_secs(1)).unwrap());
                let (world, seed) = (self.world, self.world.seed());
                self.checker.held(subject, 1, until, called, || {
                    format!("  seed {seed}\n{}", world.log())
                });
                let pause = if self.random.chance(150_000) {
                    self.random.scattered(300 * MS, 8 * SECOND)
                } else {
                    self.random.scattered(MS, 300 * MS)
                };
                let step = if self.random.chance(150_000) {
                    Step::Ask
                } else {
                    Step::Check
                };
                self.next(node, pause, step);
            }
            Ok(false) => {
                let clock = &self.members[node].clock;
                let by_interval = clock.before(lease.expires_no_earlier());
                self.played.not_held += 1;
                self.played.not_held_by_raw_time_alone += u64::from(by_interval == Ok(true));
                self.members[node].lease = None;
                let pause = self.random.scattered(MS, 300 * MS);
                self.next(node, pause, Step::Ask);
            }
            Err(_) => {
                self.played.refused += 1;
                let pause = self.random.scattered(20 * MS, SECOND);
                self.next(node, pause, Step::Check);
            }
        }
    }

    fn fault(&mut self, node: usize) {
        const KINDS: [Kind; 4] = [Kind::Step, Kind::Suspend, Kind::SuspendByRtc, Kind::Pause];
        let (fault, still) = faults::draw(&mut self.random, &KINDS, 5 * SECOND);
        if !still.is_zero() {
            self.played.suspends += 1;
            let now = self.now();
            self.members[node].stopped_until = now + i64::try_from(still.as_nanos()).unwrap();
        }
        self.members[node].node.strike(fault);
    }
}

impl Service<'_> {
    /// Whether it grants the lease, and if so, whether that is a change of hands.
    fn grant(&mut self, node: usize, term: Duration) -> Option<bool> {
        let raw = self.node.raw();
        let mine = self.holder == Some(node);
        if !mine && raw < self.ends_at_raw {
            return None;
        }
        self.holder = Some(node);
        self.ends_at_raw = raw + i64::try_from(term.as_nanos()).unwrap();
        Some(!mine)
    }
}
