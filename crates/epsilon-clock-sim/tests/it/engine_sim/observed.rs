//! Takeover of a record that stayed unchanged: O-1 to O-4, among processes that restart, stop and are cut off.

use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::lease::{Candidate, GrantorClock, LeaseRequest, Observation, TermLease};
use epsilon_clock_sim::{Fault, Node, NodeConfig, Oscillator, Preemption, Random, Wake, World};

const MS: i64 = 1_000_000;
const NODES: usize = 3;
const TERM: Duration = Duration::from_millis(300);
const SHORT_TERM: Duration = Duration::from_millis(100);

/// Which rule the driver breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// O-1: a candidate counts from when it asked.
    FromAsking,
    /// O-1: a holder counts from the answer to its request.
    FromAnswer,
    /// O-2: a takeover sets whatever version is there.
    NoCompare,
    /// O-2: a version that changed does not begin the wait anew.
    OldWait,
    /// O-3: a holder that renews for a shorter term is bound by it only once that is answered.
    LongerTerm,
    /// O-4: a candidate charges nothing for a holder's slewed clock.
    RateIgnored,
}

/// A process: a node, and how often it was started.
type Process = (usize, u64);

/// The store's one record.
#[derive(Clone, Copy)]
struct Record {
    version: u64,
    term: Duration,
    owner: Option<Process>,
}

/// What a holder counts a term from.
#[derive(Clone)]
struct Begun {
    request: LeaseRequest,
    mono: i64,
}

enum Message {
    /// A question, with when it was asked; and its answer.
    Ask(Process, Duration),
    Seen(Process, Duration, Record),
    /// A compare-and-set with the version that is expected; and its answer.
    Set(Process, u64, Duration, Begun),
    Answered(Process, Option<Duration>, Begun),
}

/// A term that a holder counts; it holds while all that it counts go on.
struct Bound {
    lease: TermLease,
    from_mono: i64,
    term: Duration,
}

struct Member {
    node: Node,
    clock: Clock,
    candidate: Candidate<u64>,
    life: u64,
    bounds: Vec<Bound>,
    stopped_until: Duration,
    cut: bool,
    /// A version, and when it was first asked about: for a candidate that counts from there.
    asked: Option<(u64, Duration)>,
    busy_until: Duration,
}

struct Election {
    world: World,
    random: Random,
    broken: Broken,
    /// Whether holders count by monotonic time, which is slewed and knows no sleep.
    monotonic: bool,
    record: Record,
    members: Vec<Member>,
    messages: Vec<(Duration, Message)>,
    takeovers: u32,
    renewals: u32,
    both: u32,
}

fn nanos(from: i64) -> Duration {
    Duration::from_nanos(from.max(0).unsigned_abs())
}

impl Election {
    fn new(seed: u64, broken: Broken) -> Self {
        let world = World::new(seed);
        let mut random = Random::new(seed ^ 0x0b);
        world.set_preemption(Preemption {
            per_million: 200,
            longest: Duration::from_millis(10),
        });
        let monotonic = broken == Broken::RateIgnored || random.chance(500_000);
        let fast = if random.chance(500_000) { 1 } else { -1 };
        let members = (0..NODES).map(|index| {
            let sign = if index % 2 == 0 { fast } else { -fast };
            let node = world.node(NodeConfig {
                oscillator: Oscillator::steady(sign * 200_000),
                ..NodeConfig::default()
            });
            // What a term is counted by needs no word on UTC.
            let clock = node
                .clock_with(|builder| builder.assume_error(Duration::from_millis(400)))
                .unwrap();
            Member {
                candidate: Candidate::new(&clock, counted(monotonic, broken)),
                clock,
                node,
                life: 1,
                bounds: Vec::new(),
                stopped_until: Duration::ZERO,
                cut: false,
                asked: None,
                busy_until: Duration::ZERO,
            }
        });
        let members = members.collect();
        Self {
            world,
            random,
            broken,
            monotonic,
            record: Record {
                version: 0,
                term: TERM,
                owner: None,
            },
            members,
            messages: Vec::new(),
            takeovers: 0,
            renewals: 0,
            both: 0,
        }
    }

    fn process(&self, index: usize) -> Process {
        (index, self.members[index].life)
    }

    fn mono(&self, index: usize) -> i64 {
        self.members[index].node.machine().sandwich().mono_before
    }

    fn runs(&self, index: usize) -> bool {
        self.members[index].stopped_until <= self.world.elapsed()
    }

    fn holds(&self, index: usize) -> bool {
        let holds = |bound: &Bound| {
            if self.monotonic {
                nanos(self.mono(index) - bound.from_mono) < bound.term
            } else {
                bound.lease.held() == Ok(true)
            }
        };
        let bounds = &self.members[index].bounds;
        !bounds.is_empty() && bounds.iter().all(holds)
    }

    // --- messages ------------------------------------------------------------------------------

    fn send(&mut self, from: usize, message: Message) {
        let delay = match self.random.between(0, 100) {
            0..8 => return,
            8..20 => self.random.scattered(5 * MS, 1_000 * MS),
            _ => self.random.between(100_000, 2 * MS),
        };
        if !self.members[from].cut {
            let at = self.world.elapsed() + nanos(delay);
            self.messages.push((at, message));
        }
    }

    fn deliver(&mut self) {
        let now = self.world.elapsed();
        while let Some(due) = self.messages.iter().position(|(at, _)| *at <= now) {
            let (_, message) = self.messages.swap_remove(due);
            match message {
                Message::Ask(process, asked) => {
                    let answer = Message::Seen(process, asked, self.record);
                    self.send(process.0, answer);
                }
                Message::Set(process, expected, term, begun) => {
                    let answer = self.set(process, expected, term);
                    self.send(process.0, Message::Answered(process, answer, begun));
                }
                Message::Seen((index, life), ..) | Message::Answered((index, life), ..)
                    if self.members[index].cut || self.members[index].life != life => {}
                // It waits until the process goes on.
                Message::Seen((index, _), ..) | Message::Answered((index, _), ..)
                    if !self.runs(index) =>
                {
                    let at = self.members[index].stopped_until;
                    self.messages.push((at, message));
                }
                Message::Seen((index, _), asked, record) => self.seen(index, asked, record),
                Message::Answered((index, _), term, begun) => self.answered(index, term, &begun),
            }
        }
    }

    /// The store's compare-and-set.
    fn set(&mut self, process: Process, expected: u64, term: Duration) -> Option<Duration> {
        let compares = self.broken != Broken::NoCompare;
        if compares && self.record.version != expected {
            return None;
        }
        if self.record.owner == Some(process) {
            self.renewals += 1;
        } else {
            self.takeovers += 1;
        }
        self.record = Record {
            version: self.record.version + 1,
            term,
            owner: Some(process),
        };
        Some(term)
    }

    fn seen(&mut self, index: usize, asked: Duration, record: Record) {
        if record.owner == Some(self.process(index)) {
            return self.renew(index, record);
        }
        let now = self.world.elapsed();
        let member = &mut self.members[index];
        let take = match self.broken {
            Broken::FromAsking => {
                let first = match member.asked {
                    Some((version, first)) if version == record.version => first,
                    _ => asked,
                };
                member.asked = Some((record.version, first));
                now - first > record.term * 116 / 100
            }
            // The wait of another version counts for this one.
            Broken::OldWait => {
                member.candidate.observed(0, TERM) == (Observation::TakeOver { version: 0 })
            }
            _ => {
                let observed = member.candidate.observed(record.version, record.term);
                observed
                    == (Observation::TakeOver {
                        version: record.version,
                    })
            }
        };
        if take {
            self.request(index, record.version, TERM);
        }
    }

    fn renew(&mut self, index: usize, record: Record) {
        if self.holds(index) && self.random.chance(300_000) {
            let term = if self.random.chance(300_000) {
                SHORT_TERM
            } else {
                TERM
            };
            self.request(index, record.version, term);
        }
    }

    /// Sends a compare-and-set; the term counts from before it.
    fn request(&mut self, index: usize, version: u64, term: Duration) {
        let now = self.world.elapsed();
        if self.members[index].busy_until > now {
            return;
        }
        let mono = self.mono(index);
        let Ok(request) = self.members[index].clock.request_lease() else {
            return;
        };
        let begun = Begun { request, mono };
        // O-3: whatever becomes of it, the store may count the new term from now on.
        if !self.members[index].bounds.is_empty() && self.broken != Broken::LongerTerm {
            self.count(index, term, &begun);
        }
        self.members[index].busy_until = now + Duration::from_millis(30);
        let process = self.process(index);
        self.send(index, Message::Set(process, version, term, begun));
    }

    fn count(&mut self, index: usize, term: Duration, begun: &Begun) {
        if let Ok(lease) = begun.request.clone().granted(term, GrantorClock::RawTime) {
            self.members[index].bounds.push(Bound {
                lease,
                from_mono: begun.mono,
                term,
            });
        }
    }

    fn answered(&mut self, index: usize, term: Option<Duration>, begun: &Begun) {
        self.members[index].busy_until = Duration::ZERO;
        let Some(term) = term else { return };
        // Late answers to earlier requests come too; what was sent since then still binds.
        let later = |bound: &Bound| bound.from_mono > begun.mono;
        self.members[index].bounds.retain(later);
        if self.broken == Broken::FromAnswer {
            let mono = self.mono(index);
            if let Ok(request) = self.members[index].clock.request_lease() {
                self.count(index, term, &Begun { request, mono });
            }
            return;
        }
        self.count(index, term, begun);
    }

    // --- what befalls processes ----------------------------------------------------------------

    fn fault(&mut self, index: usize) {
        let span = nanos(self.random.scattered(10 * MS, 2_000 * MS));
        let until = self.world.elapsed() + span;
        let sign = if self.random.chance(500_000) { 1 } else { -1 };
        let member = &mut self.members[index];
        match self.random.between(0, 6) {
            0 => member.cut = true,
            1 | 2 => member.cut = false,
            3 => member.stopped_until = member.stopped_until.max(until),
            4 if self.monotonic => member.node.strike(Fault::Slew {
                rate_ppb: sign * 99_000_000,
                span: span * 4,
            }),
            // A program that counts monotonic time keeps its lease over a sleep: only a fence helps there.
            4 => {
                member.stopped_until = member.stopped_until.max(until);
                let wake = Wake::Precise;
                member.node.strike(Fault::Suspend { span, wake });
            }
            _ => {
                // The process restarts; it knows nothing of what it held.
                member.life += 1;
                member.bounds.clear();
                member.asked = None;
                member.candidate =
                    Candidate::new(&member.clock, counted(self.monotonic, self.broken));
            }
        }
    }

    fn run(seed: u64, broken: Broken) -> Self {
        let mut run = Self::new(seed, broken);
        for _ in 0..4_000 {
            let span = run.random.scattered(100_000, 8 * MS);
            run.world.advance(nanos(span));
            run.deliver();
            let index = run.random.between(0, NODES as i64) as usize;
            if run.runs(index) && run.random.chance(400_000) {
                let (process, asked) = (run.process(index), run.world.elapsed());
                run.send(index, Message::Ask(process, asked));
            }
            if run.random.chance(6_000) {
                run.fault(index);
            }
            for index in 0..NODES {
                let owns = run.record.owner == Some(run.process(index));
                run.both += u32::from(!owns && run.runs(index) && run.holds(index));
            }
        }
        run
    }
}

const fn counted(monotonic: bool, broken: Broken) -> GrantorClock {
    if monotonic && !matches!(broken, Broken::RateIgnored) {
        GrantorClock::MonotonicTime
    } else {
        GrantorClock::RawTime
    }
}

#[test]
fn o1_to_o4_no_process_holds_what_another_one_took() {
    let (mut takeovers, mut renewals) = (0, 0);
    for seed in 1..=60 * crate::scale() {
        let run = Election::run(seed, Broken::Nothing);
        assert_eq!(run.both, 0, "seed {seed}\n{}", run.world.log());
        takeovers += run.takeovers;
        renewals += run.renewals;
    }
    println!("{takeovers} takeovers, {renewals} renewals");
    assert!(takeovers > 200 && renewals > 500, "{takeovers} {renewals}");
}

fn caught(broken: Broken) {
    let found = (1..=1_000).find(|seed| Election::run(*seed, broken).both > 0);
    println!("{broken:?}: seed {found:?}");
    assert!(found.is_some(), "{broken:?} goes unseen");
}

#[test]
fn o1_a_wait_from_the_question_or_a_term_from_the_answer_is_caught() {
    caught(Broken::FromAsking);
    caught(Broken::FromAnswer);
}

#[test]
fn o2_a_takeover_of_another_version_is_caught() {
    caught(Broken::NoCompare);
    caught(Broken::OldWait);
}

#[test]
fn o3_a_shorter_term_binds_its_holder_once_it_is_sent() {
    caught(Broken::LongerTerm);
}

#[test]
fn o4_a_slewed_holder_that_is_not_charged_for_is_caught() {
    caught(Broken::RateIgnored);
}
