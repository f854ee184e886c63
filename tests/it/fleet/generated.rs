//! Generated fleets of three to nine nodes, a minority of them false, all asking all.

use std::time::Duration;

use epsilon_clock::fleet::{ClockReport, Contradiction, Direction, FalsePeer, Standing, Verdict};
use epsilon_clock::{Fleet, Interval, TimeDelta, Timestamp};

use super::{Node, missed, scale, secs};
use crate::random::Random;

/// What the machines' oscillators may be off by, and what clocks allow for.
const MAX_DRIFT_PPB: i64 = 200_000;

/// What an observer last heard of a node, beside what was true then.
#[derive(Clone, Copy)]
struct Heard {
    interval: Interval,
    truth: Timestamp,
    round_trip: Duration,
    age: Duration,
}

impl Heard {
    /// By how much the middle of the interval is ahead of true time.
    fn error(&self) -> i64 {
        self.interval.midpoint().unix_nanos() - self.truth.unix_nanos()
    }

    fn contains_truth(&self) -> bool {
        self.interval.contains(self.truth)
    }

    /// What hides a difference, beside the other's share: epsilon, round trip and drift since.
    fn blur(&self) -> i64 {
        let drift = self.age.as_nanos() as i64 * 2 * MAX_DRIFT_PPB / 1_000_000_000;
        (self.interval.epsilon() + self.round_trip).as_nanos() as i64 + drift + 4
    }

    /// Whether the two readings differ by more than what hides a difference.
    fn is_apart_from(&self, other: &Self) -> bool {
        (self.error() - other.error()).abs() > self.blur() + other.blur()
    }
}

struct Cluster {
    random: Random,
    /// The longest that a message takes, and that is waited between two exchanges, in ns.
    delay: i64,
    pause: i64,
    nodes: Vec<Node>,
    fleets: Vec<Fleet<usize>>,
}

/// What came of all of them, to see that they were worth it.
#[derive(Debug, Default)]
struct Count {
    verdicts: u64,
    named: u64,
    had_to_be_named: u64,
    barely: u64,
    false_and_unnamed: u64,
    against_us: u64,
    agreed: u64,
    undecided: u64,
    partial: u64,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = random.between(3, 10) as usize;
        let false_ones = random.between(0, (count as i64 + 1) / 2) as usize;
        let worst = random.scattered(10_000, 200_000_000);
        let delay = random.scattered(1_000, 300_000_000);
        let pause = random.scattered(1_000, 20_000_000_000);
        let nodes: Vec<Node> = (0..count)
            .map(|n| Self::node(&mut random, worst, delay, n < false_ones))
            .collect();
        let fleets = nodes
            .iter()
            .map(|node| Fleet::builder(node.clock.clone(), count).max_age(secs(3_600)))
            .map(|builder| builder.max_round_trip(secs(60)).build().unwrap())
            .collect();
        Self {
            random,
            delay,
            pause,
            nodes,
            fleets,
        }
    }

    fn node(random: &mut Random, worst_epsilon: i64, delay: i64, is_false: bool) -> Node {
        let epsilon = random.scattered(1_000, worst_epsilon + 1_000);
        let sign = if random.chance(500_000) { 1 } else { -1 };
        let offset = if is_false {
            // From barely false to hours, and now and then half a century.
            let beyond = match random.between(0, 8) {
                0 => 1,
                1 => random.scattered(1, 50 * 365 * 86_400_000_000_000),
                // Around what epsilons and round trips hide.
                _ => random.between(1, 5 * (worst_epsilon + delay)),
            };
            epsilon + beyond
        } else {
            // Honest ones are often as wrong as they may be, up to what readings are rounded to.
            random.between(0, epsilon + epsilon / 3).min(epsilon - 3)
        };
        let epsilon_span = Duration::from_nanos(epsilon as u64);
        let node = Node::new(TimeDelta::from_nanos(sign * offset), epsilon_span);
        let drift = random.between(-MAX_DRIFT_PPB, MAX_DRIFT_PPB + 1);
        node.machine.set_drift_ppb(drift as i32);
        node
    }

    fn advance(&self, span: Duration) {
        for node in &self.nodes {
            node.machine.advance(span);
        }
    }

    fn wait(&mut self, longest_ns: i64) -> Duration {
        let span = match self.random.between(0, 4) {
            0 => Duration::ZERO,
            _ => Duration::from_nanos(self.random.scattered(1, longest_ns) as u64),
        };
        self.advance(span);
        span
    }

    fn truth(&self) -> Timestamp {
        self.nodes[0].machine.true_time()
    }

    /// Node `us` asks the others, all of them or some; what it heard, ourselves included.
    fn ask(&mut self, us: usize) -> Vec<Option<Heard>> {
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|n| *n != us).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.random.between(0, at as i64 + 1) as usize);
        }
        if self.random.chance(250_000) {
            order.truncate(self.random.between(0, order.len() as i64) as usize);
        }
        let mut heard = vec![None; self.nodes.len()];
        for peer in order {
            let asked = self.truth();
            let probe = self.fleets[us].probe().unwrap();
            let there = self.wait(self.delay);
            let report = ClockReport::answer(probe.request(), &self.nodes[peer].clock).unwrap();
            let truth = self.truth();
            let back = self.wait(self.delay);
            let report = ClockReport::from_be_bytes(report.to_be_bytes()).unwrap();
            let exchange = self.fleets[us].record(peer, &probe, report).unwrap();
            let truths = [asked, truth, self.truth()];
            let readings = [exchange.sent(), exchange.peer(), exchange.received()];
            if (0..3).all(|n| readings[n].contains(truths[n])) {
                assert_eq!(exchange.contradiction(), None);
            }
            heard[peer] = Some((report.interval(), truth, there + back, asked));
            self.wait(self.pause);
        }
        let now = self.truth();
        let ours = self.nodes[us].clock.now().unwrap();
        heard[us] = Some((ours, now, Duration::ZERO, now));
        let judged = |(interval, truth, round_trip, asked): (_, _, _, Timestamp)| Heard {
            interval,
            truth,
            round_trip,
            age: now.abs_diff(asked),
        };
        heard.into_iter().map(|heard| heard.map(judged)).collect()
    }

    fn check(&mut self, us: usize, count: &mut Count) -> Result<(), String> {
        let heard = self.ask(us);
        let known = heard.iter().flatten().count();
        let verdict = self.fleets[us].verdict().unwrap();
        count.verdicts += 1;
        if verdict.heard != known || verdict.nodes != heard.len() {
            return Err(format!("{known} were heard: {verdict:?}"));
        }
        let false_ones = heard.iter().flatten().filter(|h| !h.contains_truth());
        let false_ones = false_ones.count();
        if verdict.false_at_least > false_ones {
            return Err(format!("only {false_ones} are false: {verdict:?}"));
        }
        let named = named(us, &verdict);
        count.named += named.len() as u64;
        for (node, by) in &named {
            check_named(&heard[*node].unwrap(), by).map_err(|why| format!("node {node}: {why}"))?;
        }
        match verdict.standing {
            Standing::AllAgree => count.agreed += 1,
            Standing::Undecided => count.undecided += 1,
            Standing::WeAreFalse { .. } => count.against_us += 1,
            _ => {}
        }
        if known < heard.len() {
            count.partial += 1;
            return Ok(());
        }
        let heard: Vec<Heard> = heard.into_iter().flatten().collect();
        check_unnamed(&heard, &named, count).map_err(|why| format!("{why}: {verdict:?}"))
    }
}

/// F4: with everybody heard, whoever is not named is honest, or not apart from all honest ones.
fn check_unnamed(
    heard: &[Heard],
    named: &[(usize, Contradiction)],
    count: &mut Count,
) -> Result<(), String> {
    let honest = || heard.iter().filter(|other| other.contains_truth());
    for (node, suspect) in heard.iter().enumerate() {
        if suspect.contains_truth() {
            continue;
        }
        let has_to_be = honest().all(|other| suspect.is_apart_from(other));
        let is = named.iter().any(|(other, _)| *other == node);
        count.had_to_be_named += u64::from(has_to_be);
        count.false_and_unnamed += u64::from(!is);
        let margins =
            honest().map(|o| (suspect.error() - o.error()).abs() - suspect.blur() - o.blur());
        let barely = margins.min().unwrap() < 2 * suspect.blur();
        count.barely += u64::from(has_to_be && barely);
        if has_to_be && !is {
            return Err(format!("node {node} is false and was not named"));
        }
    }
    Ok(())
}

/// Everybody that a verdict names, ourselves under our own number.
fn named(us: usize, verdict: &Verdict<usize>) -> Vec<(usize, Contradiction)> {
    let peers = |peers: &[FalsePeer<usize>]| -> Vec<(usize, Contradiction)> {
        peers.iter().map(|named| (named.peer, named.by)).collect()
    };
    match &verdict.standing {
        Standing::PeersFalse(named) => peers(named),
        Standing::WeAreFalse { by, peers: others } => {
            let mut named = peers(others);
            named.push((us, *by));
            named
        }
        _ => Vec::new(),
    }
}

/// F3: it really is false, the way that is told and by as much at least.
fn check_named(suspect: &Heard, by: &Contradiction) -> Result<(), String> {
    let miss = missed(&suspect.interval, suspect.truth);
    if miss.is_zero() {
        return Err(format!("an honest one was named: {by}"));
    }
    // Two nanoseconds for what raw time is rounded to.
    if by.by > miss + Duration::from_nanos(2) {
        return Err(format!("false by {miss:?} only, and not by {by}"));
    }
    let ahead = suspect.interval.earliest() > suspect.truth;
    if ahead != (by.direction == Direction::Ahead) {
        return Err(format!("the other way: {by}"));
    }
    Ok(())
}

#[test]
fn f3_f4_false_clocks_are_named_and_honest_ones_never() {
    let mut count = Count::default();
    let fleets = 1_000 * scale();
    for seed in 0..fleets {
        let mut cluster = Cluster::new(seed);
        for us in 0..cluster.nodes.len() {
            if let Err(why) = cluster.check(us, &mut count) {
                panic!(
                    "seed {seed}, by node {us} of {}: {why}",
                    cluster.nodes.len()
                );
            }
        }
    }
    println!("{fleets} fleets: {count:?}");
    assert!(count.had_to_be_named > fleets, "{count:?}");
    assert!(count.barely > fleets / 10, "{count:?}");
    assert!(count.against_us > fleets / 10, "{count:?}");
    assert!(count.agreed > fleets / 10, "{count:?}");
    assert!(count.partial > fleets, "{count:?}");
    assert!(count.undecided > fleets / 80, "{count:?}");
}
