//! Fleets in the simulated world: real kernels' ways, daemons, faults, and a network that delays,
//! loses, doubles and reorders; some nodes' time servers lie.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use epsilon_clock::fleet::{ClockReport, Contradiction, Direction, Probe, Standing};
use epsilon_clock::{Clock, ClockError, Fleet, Interval, Timestamp};
use epsilon_clock_sim::{
    Daemon, Fault, Node, NodeConfig, Notice, Oscillator, Preemption, RESOLUTION, Random, Server,
    Wake, World,
};

use crate::{missed, scale, secs};

/// For how long each world is watched.
const SPAN: Duration = secs(300);

/// Readers are interrupted often, and for long.
const RUDE: Preemption = Preemption {
    per_million: 2_000,
    longest: Duration::from_millis(300),
};

/// What is on its way: a request with where the answer goes, or an answer.
#[derive(Clone, Copy)]
enum Message {
    Request {
        from: usize,
        to: usize,
        bytes: [u8; 8],
    },
    Answer {
        from: usize,
        to: usize,
        bytes: [u8; 24],
    },
}

/// A reading, and by how much it was false at whichever instant suits it best.
#[derive(Clone, Copy, Debug)]
struct Judged {
    miss: Duration,
    direction: Direction,
}

/// A node's clock, its view of the fleet, and what it still has to hear.
struct Member {
    clock: Clock,
    fleet: Fleet<usize>,
    probes: VecDeque<(usize, Probe)>,
    /// What is known of the exchanges that were recorded, by when they began.
    heard: BTreeMap<usize, (Timestamp, Judged)>,
}

struct Play {
    world: World,
    random: Random,
    members: Vec<Member>,
    /// By when they arrive, in ns since the beginning.
    network: BTreeMap<(u64, u64), Message>,
    sent: u64,
    /// The truth about what was answered, by its bytes: nobody else may know.
    truths: BTreeMap<[u8; 24], Judged>,
}

#[derive(Debug, Default)]
struct Count {
    exchanges: u64,
    refused: u64,
    clock_errors: u64,
    verdicts: u64,
    agreed: u64,
    named: u64,
    against_us: u64,
    false_readings: u64,
    false_by_far_and_unnamed: u64,
}

impl Play {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut random = Random::new(!seed);
        let count = random.between(3, 10) as usize;
        let liars = random.between(0, (count as i64 + 1) / 2) as usize;
        let nodes: Vec<Node> = (0..count)
            .map(|n| node(&world, &mut random, n < liars))
            .collect();
        for node in &nodes {
            for _ in 0..random.between(0, 4) {
                let at = random.between(5, 280) as u64;
                world.schedule(secs(at), node, fault(&mut random));
            }
        }
        world.set_preemption(RUDE);
        let members = nodes
            .iter()
            .map(|node| {
                let clock = node.clock().unwrap();
                let builder = Fleet::builder(clock.clone(), count).max_age(secs(20));
                Member {
                    clock,
                    fleet: builder.build().unwrap(),
                    probes: VecDeque::new(),
                    heard: BTreeMap::new(),
                }
            })
            .collect();
        Self {
            world,
            random,
            members,
            network: BTreeMap::new(),
            sent: 0,
            truths: BTreeMap::new(),
        }
    }

    fn now(&self) -> u64 {
        self.world.elapsed().as_nanos() as u64
    }

    /// Puts a message on its way: lost, doubled, or once; late now and then.
    fn send(&mut self, message: Message) {
        let copies = match self.random.between(0, 20) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = if self.random.chance(50_000) {
                self.random.between(0, 3_000_000_000)
            } else {
                50_000 + self.random.tailed(2_000_000)
            };
            self.sent += 1;
            let due = self.now() + delay as u64;
            self.network.insert((due, self.sent), message);
        }
    }

    /// Reads a clock, and by how much it was false.
    fn read(&self, clock: &Clock) -> Result<(Interval, Judged), ClockError> {
        let before = self.world.now();
        let reading = clock.now();
        let after = self.world.now();
        reading.map(|interval| (interval, judged(&interval, before, after)))
    }

    /// By how much a clock is false, with nothing coming in between that could hide it.
    fn read_calmly(&self, clock: &Clock) -> Result<Judged, ClockError> {
        self.world.set_preemption(Preemption::default());
        let read = self.read(clock);
        self.world.set_preemption(RUDE);
        read.map(|(_, judged)| judged)
    }

    fn run(&mut self, count: &mut Count) -> Result<(), String> {
        let mut next_turn = 0_u64;
        while self.world.elapsed() < SPAN {
            let first = self.network.first_key_value().map(|(key, _)| *key);
            match first {
                Some(key) if key.0 <= next_turn.max(self.now()) => {
                    let due = key.0.saturating_sub(self.now());
                    self.world.advance(Duration::from_nanos(due));
                    let message = self.network.remove(&key).unwrap();
                    self.deliver(message, count);
                }
                _ => {
                    let due = next_turn.saturating_sub(self.now());
                    self.world.advance(Duration::from_nanos(due));
                    self.turn(count)?;
                    next_turn = self.now() + self.random.between(1_000_000, 100_000_000) as u64;
                }
            }
        }
        Ok(())
    }

    /// Some node asks another one, and then looks at what it knows.
    fn turn(&mut self, count: &mut Count) -> Result<(), String> {
        let members = self.members.len() as i64;
        let us = self.random.between(0, members) as usize;
        let to = (us + self.random.between(1, members) as usize) % self.members.len();
        match self.members[us].fleet.probe() {
            Ok(probe) => {
                let probes = &mut self.members[us].probes;
                probes.push_back((to, probe));
                if probes.len() > 64 {
                    probes.pop_front();
                }
                let bytes = probe.request();
                self.send(Message::Request {
                    from: us,
                    to,
                    bytes,
                });
            }
            Err(_) => count.clock_errors += 1,
        }
        self.judge(us, count)
    }

    fn deliver(&mut self, message: Message, count: &mut Count) {
        match message {
            Message::Request { from, to, bytes } => {
                let Ok((interval, judged)) = self.read(&self.members[to].clock) else {
                    return;
                };
                let bytes = ClockReport::new(bytes, interval).to_be_bytes();
                self.truths.insert(bytes, judged);
                let (from, to) = (to, from);
                self.send(Message::Answer { from, to, bytes });
            }
            Message::Answer { from, to, bytes } => {
                let report = ClockReport::from_be_bytes(bytes).unwrap();
                let us = &mut self.members[to];
                // As a program would: the probe by its bytes, or whichever is there.
                let asked = us
                    .probes
                    .iter()
                    .find(|(_, p)| p.request() == report.request());
                let Some((peer, probe)) = asked.or(us.probes.back()).copied() else {
                    return;
                };
                match us.fleet.record(peer, &probe, report) {
                    Ok(exchange) => {
                        assert_eq!(peer, from);
                        count.exchanges += 1;
                        // Unless it keeps one that began later.
                        if us.fleet.exchange(&peer) == Some(exchange) {
                            let judged = self.truths[&bytes];
                            us.heard.insert(peer, (self.world.now(), judged));
                        }
                    }
                    Err(_) => count.refused += 1,
                }
            }
        }
    }

    fn judge(&self, us: usize, count: &mut Count) -> Result<(), String> {
        let member = &self.members[us];
        let before = self.world.now();
        let at_first = self.read_calmly(&member.clock);
        let Ok(verdict) = member.fleet.verdict() else {
            count.clock_errors += 1;
            return Ok(());
        };
        let at_last = self.read_calmly(&member.clock);
        let (Ok(at_first), Ok(at_last)) = (at_first, at_last) else {
            return Ok(());
        };
        let ours = if at_first.miss > at_last.miss {
            at_first
        } else {
            at_last
        };
        count.verdicts += 1;
        let fresh = member
            .heard
            .values()
            .filter(|(at, _)| at.abs_diff(before) <= secs(30));
        let false_ones = fresh.filter(|(_, judged)| !judged.miss.is_zero()).count();
        let false_ones = false_ones + usize::from(!ours.miss.is_zero());
        count.false_readings += false_ones as u64;
        if false_ones > (self.members.len() - 1) / 2 {
            return Err(format!("{false_ones} are false: more than a minority"));
        }
        if verdict.false_at_least > false_ones {
            return Err(format!("only {false_ones} are false: {verdict:?}"));
        }
        let check = |judged: &Judged, by: &Contradiction, who: usize| {
            let fits = by.by <= judged.miss && by.direction == judged.direction;
            let why = || format!("node {who} is false by {judged:?}, and not by {by}");
            fits.then_some(()).ok_or_else(why)
        };
        let named = match &verdict.standing {
            Standing::AllAgree => {
                count.agreed += 1;
                &Vec::new()
            }
            Standing::PeersFalse(named) => named,
            Standing::WeAreFalse { by, peers } => {
                count.against_us += 1;
                check(&ours, by, us)?;
                peers
            }
            _ => &Vec::new(),
        };
        count.named += named.len() as u64;
        for peer in named {
            check(&member.heard[&peer.peer].1, &peer.by, peer.peer)?;
        }
        // What is told of everybody else is that nothing is told. Clocks give no interval of more
        // than ±500 ms, so ten seconds off is apart from everybody.
        if verdict.heard == self.members.len() {
            let by_far = |judged: &Judged| judged.miss > secs(10);
            for (peer, (_, judged)) in &member.heard {
                if by_far(judged) && !named.iter().any(|named| named.peer == *peer) {
                    count.false_by_far_and_unnamed += 1;
                }
            }
            let we_are = matches!(verdict.standing, Standing::WeAreFalse { .. });
            count.false_by_far_and_unnamed += u64::from(by_far(&ours) && !we_are);
        }
        Ok(())
    }
}

/// By how much a reading between these two instants missed all of them.
fn judged(interval: &Interval, before: Timestamp, after: Timestamp) -> Judged {
    let span = Interval::new(before, after).unwrap();
    let miss = span.gap(interval).unwrap_or_default();
    let late = missed(interval, after);
    let direction = if interval.definitely_after(&span) {
        Direction::Ahead
    } else {
        Direction::Behind
    };
    if miss <= RESOLUTION {
        return Judged {
            miss: Duration::ZERO,
            direction,
        };
    }
    // It may have been read at any instant in between: no less than this, and perhaps so much.
    let miss = miss.max(late).max(missed(interval, before));
    Judged { miss, direction }
}

/// A node with a daemon whose servers are honest, or with one that lies, and which it believes.
fn node(world: &World, random: &mut Random, lies: bool) -> Node {
    let honest = if random.chance(500_000) {
        Server::near()
    } else {
        Server::far()
    };
    let (servers, real_error_ns) = if lies {
        let sign = if random.chance(500_000) { 1 } else { -1 };
        let ahead_ns = sign * random.scattered(5_000_000, 3_600_000_000_000);
        let server = Server { ahead_ns, ..honest };
        (vec![server], ahead_ns)
    } else {
        let error = random.between(-5_000_000, 5_000_000);
        (vec![honest, Server::lopsided()], error)
    };
    let daemon = Daemon {
        servers,
        poll: secs(1 << random.between(2, 6)),
        ..Daemon::chrony(honest)
    };
    world.node(NodeConfig {
        oscillator: Oscillator::ordinary(random),
        real_error_ns,
        ..NodeConfig::with_daemon(daemon)
    })
}

fn fault(random: &mut Random) -> Fault {
    let span = Duration::from_nanos(random.scattered(30_000_000, 20_000_000_000) as u64);
    match random.between(0, 9) {
        0 => Fault::Step {
            by_ns: random.between(-7_200_000_000_000, 7_200_000_000_000),
        },
        1 => Fault::Suspend {
            span,
            wake: Wake::Precise,
        },
        2 => Fault::Suspend {
            span: span + secs(2),
            wake: Wake::Rtc,
        },
        3 => Fault::Pause {
            span,
            notice: Notice::CounterRan,
        },
        4 => Fault::Pause {
            span,
            notice: Notice::Told,
        },
        5 => Fault::DaemonFrozen { span },
        6 => Fault::StatusRefused { span },
        7 => Fault::Failover { server: 1 },
        _ => Fault::DaemonTerminated,
    }
}

#[test]
fn f3_no_honest_node_is_named_whatever_happens_to_clocks_and_messages() {
    let mut count = Count::default();
    let worlds = 6 * scale();
    for seed in 0..worlds {
        let mut play = Play::new(seed);
        if let Err(why) = play.run(&mut count) {
            panic!("seed {seed}: {why}\n{}", play.world.log());
        }
        assert_eq!(
            play.world.short_writes().0,
            0,
            "seed {seed}: daemons broke A2"
        );
    }
    println!("{worlds} worlds: {count:?}");
    assert!(count.exchanges > 1_000 * worlds, "{count:?}");
    assert!(count.refused > 10 * worlds, "{count:?}");
    assert!(count.named > 100 * worlds, "{count:?}");
    assert!(count.against_us > 20 * worlds, "{count:?}");
    assert!(count.agreed > 20 * worlds, "{count:?}");
    assert_eq!(count.false_by_far_and_unnamed, 0, "{count:?}");
}
