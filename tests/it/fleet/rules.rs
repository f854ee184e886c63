//! The rules of a fleet one by one: what counts, what is refused, what is forgotten.

use std::time::Duration;

use epsilon_clock::fleet::{
    ClockReport, Contradiction, Direction, Exchange, ExchangeError, Probe, Standing,
};
use epsilon_clock::machine::Identity;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::LeapKind;
use epsilon_clock::{BuildError, Fleet, Interval, TimeDelta, Timestamp};

use super::{Node, millis, secs};
use crate::random::Random;

const EPSILON: Duration = millis(1);

/// One observer, and peers that are all honest until they are told otherwise.
struct Scene {
    us: Node,
    peers: Vec<Node>,
    fleet: Fleet<usize>,
}

impl Scene {
    fn new(nodes: usize) -> Self {
        Self::with(nodes, Node::honest(EPSILON))
    }

    fn with(nodes: usize, us: Node) -> Self {
        let fleet = Fleet::new(us.clock.clone(), nodes).unwrap();
        let peers = (1..nodes).map(|_| Node::honest(EPSILON)).collect();
        Self { us, peers, fleet }
    }

    fn advance(&self, span: Duration) {
        self.us.machine.advance(span);
        for peer in &self.peers {
            peer.machine.advance(span);
        }
    }

    fn answer(&self, peer: usize, probe: &Probe) -> ClockReport {
        ClockReport::answer(probe.request(), &self.peers[peer].clock).unwrap()
    }

    /// An exchange that takes two milliseconds.
    fn ask(&mut self, peer: usize) -> Exchange {
        let probe = self.fleet.probe().unwrap();
        self.advance(EPSILON);
        let report = self.answer(peer, &probe);
        self.advance(EPSILON);
        self.fleet.record(peer, &probe, report).unwrap()
    }

    /// An exchange that takes no time, with a peer that says that it is so much later than it is.
    fn ask_for_a_lie(&mut self, peer: usize, offset: TimeDelta) {
        let probe = self.fleet.probe().unwrap();
        let told = self.us.machine.true_time().checked_add_delta(offset);
        let lie = Interval::around(told.unwrap(), EPSILON).unwrap();
        let report = ClockReport::new(probe.request(), lie);
        self.fleet.record(peer, &probe, report).unwrap();
    }

    fn ask_all(&mut self) {
        for peer in 0..self.peers.len() {
            self.ask(peer);
        }
    }

    /// Makes the peer's clock claim so much more than true time.
    fn skew(&self, peer: usize, offset: TimeDelta) {
        self.peers[peer].set_offset(offset);
        self.advance(secs(1)); // until it looks again
        self.settle();
        self.peers[peer].clock.now().unwrap();
    }

    fn standing(&self) -> Standing<usize> {
        self.fleet.verdict().unwrap().standing
    }

    /// Lets every clock get over what its source did not announce: two claims that agree.
    fn settle(&self) {
        for node in self.peers.iter().chain([&self.us]) {
            let _ = node.clock.look();
            let _ = node.clock.look();
        }
    }

    /// The peers that are named, where none of us is.
    fn named(&self) -> Vec<(usize, Contradiction)> {
        match self.standing() {
            Standing::PeersFalse(peers) => peers.iter().map(|p| (p.peer, p.by)).collect(),
            other => panic!("{other:?}"),
        }
    }
}

const fn delta(millis: i64) -> TimeDelta {
    TimeDelta::from_nanos(millis * 1_000_000)
}

#[test]
fn alone_nothing_is_known() {
    let scene = Scene::new(3);
    let verdict = scene.fleet.verdict().unwrap();
    assert_eq!(verdict.standing, Standing::Unheard);
    assert_eq!((verdict.heard, verdict.nodes), (1, 3));
    let single = Scene::new(1);
    assert_eq!(single.standing(), Standing::Unheard);
}

#[test]
fn all_agree_and_then_one_does_not() {
    let mut scene = Scene::new(4);
    scene.ask_all();
    let verdict = scene.fleet.verdict().unwrap();
    assert_eq!(verdict.standing, Standing::AllAgree);
    assert!(verdict.is_by_majority() && verdict.heard == 4);

    scene.skew(1, delta(-500));
    scene.ask_all();
    let [(1, by)] = scene.named()[..] else {
        panic!("{:?}", scene.standing())
    };
    assert_eq!(by.direction, Direction::Behind);
    assert!(millis(490) < by.by && by.by <= millis(499), "{by}");
    assert_eq!(scene.fleet.verdict().unwrap().false_at_least, 1);

    // Its clock was set right: the next exchange says so.
    scene.skew(1, TimeDelta::ZERO);
    scene.ask_all();
    assert_eq!(scene.standing(), Standing::AllAgree);
}

#[test]
fn we_are_the_ones_who_are_told_that_we_are_wrong() {
    let mut scene = Scene::with(5, Node::new(delta(250), EPSILON));
    scene.ask_all();
    let Standing::WeAreFalse { by, peers } = scene.standing() else {
        panic!("{:?}", scene.standing())
    };
    assert_eq!(by.direction, Direction::Ahead);
    assert!(millis(240) < by.by && by.by <= millis(249), "{by}");
    assert!(peers.is_empty());

    // With a second one that is wrong elsewhere, both are told.
    scene.skew(3, delta(-3_600_000));
    scene.ask_all();
    let Standing::WeAreFalse { peers, .. } = scene.standing() else {
        panic!("{:?}", scene.standing())
    };
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].peer, 3);

    // Our clock is set right while what was heard stays: it was not said about our claim.
    scene.us.set_offset(TimeDelta::ZERO);
    scene.advance(secs(1));
    scene.settle();
    assert_eq!(scene.named().len(), 1);
}

#[test]
fn two_clocks_are_no_majority() {
    let mut scene = Scene::new(2);
    scene.skew(0, delta(100));
    let exchange = scene.ask(0);
    assert!(exchange.contradiction().is_some());
    let verdict = scene.fleet.verdict().unwrap();
    assert_eq!(verdict.standing, Standing::Undecided);
    assert_eq!(verdict.false_at_least, 1);
}

/// Two false ones of nine are a minority, though of the three that can be reached they are not.
#[test]
fn f3_who_is_not_heard_may_be_honest() {
    let mut scene = Scene::new(9);
    for peer in [0, 1] {
        scene.skew(peer, delta(100));
        scene.ask(peer);
    }
    let verdict = scene.fleet.verdict().unwrap();
    assert_eq!(verdict.standing, Standing::Undecided);
    assert!(!verdict.is_by_majority());
    assert_eq!((verdict.heard, verdict.false_at_least), (3, 1));
    scene.ask_all();
    assert_eq!(scene.named().len(), 2);
}

/// A and C miss each other, and B reaches into both: one of the two is false, nobody can say which.
#[test]
fn a_contradiction_without_a_culprit_is_undecided() {
    let mut scene = Scene::with(3, Node::new(delta(30), millis(1)));
    scene.peers[0] = Node::honest(millis(100));
    scene.ask_all();
    let verdict = scene.fleet.verdict().unwrap();
    assert_eq!(verdict.standing, Standing::Undecided);
    assert_eq!(verdict.false_at_least, 1);
}

#[test]
fn late_and_doubled_answers_accuse_nobody() {
    let mut scene = Scene::new(3);
    let first = scene.fleet.probe().unwrap();
    let late = scene.answer(0, &first);
    scene.advance(secs(1));
    let second = scene.fleet.probe().unwrap();
    assert_ne!(first.request(), second.request());
    let refused = scene.fleet.record(0, &second, late);
    assert!(
        matches!(refused, Err(ExchangeError::NotTheAnswer { .. })),
        "{refused:?}"
    );
    assert_eq!(scene.fleet.exchange(&0), None);

    let prompt = scene.answer(0, &second);
    scene.fleet.record(0, &second, prompt).unwrap();
    // Late, and to the request that it answers: true, but no news.
    scene.advance(millis(100));
    let old = scene.fleet.record(0, &first, late).unwrap();
    assert_eq!(old.contradiction(), None);
    assert_eq!(scene.fleet.exchange(&0).unwrap().peer(), prompt.interval());
    // The same once more is no contradiction either.
    scene.fleet.record(0, &second, prompt).unwrap();
    scene.ask(1);
    assert_eq!(scene.standing(), Standing::AllAgree);
}

#[test]
fn of_two_answers_to_one_request_the_last_counts() {
    let mut scene = Scene::new(2);
    let probe = scene.fleet.probe().unwrap();
    for _ in 0..2 {
        scene.advance(millis(10));
        let report = scene.answer(0, &probe);
        scene.fleet.record(0, &probe, report).unwrap();
        let kept = scene.fleet.exchange(&0).unwrap();
        assert_eq!(kept.peer(), report.interval());
    }
}

#[test]
fn an_answer_may_take_as_long_as_the_limit_and_no_nanosecond_more() {
    for (over, counts) in [(0, true), (1, false)] {
        let us = Node::honest(EPSILON);
        let limit = millis(50);
        let fleet = Fleet::builder(us.clock.clone(), 2).max_round_trip(limit);
        let mut fleet = fleet.build().unwrap();
        let probe = fleet.probe().unwrap();
        let report = ClockReport::answer(probe.request(), &us.clock).unwrap();
        us.machine.advance(limit + Duration::from_nanos(over));
        let recorded = fleet.record("peer", &probe, report);
        let too_slow = matches!(recorded, Err(ExchangeError::TooSlow { .. }));
        assert_eq!((recorded.is_ok(), too_slow), (counts, !counts));
    }
}

#[test]
fn an_answer_that_took_too_long_is_refused_and_nothing_is_lost() {
    let mut scene = Scene::new(2);
    let kept = scene.ask(0);
    let probe = scene.fleet.probe().unwrap();
    let report = scene.answer(0, &probe);
    scene.advance(secs(3));
    let refused = scene.fleet.record(0, &probe, report);
    assert!(
        matches!(refused, Err(ExchangeError::TooSlow { .. })),
        "{refused:?}"
    );
    assert_eq!(scene.fleet.exchange(&0), Some(kept));
}

#[test]
fn a_suspend_between_request_and_answer_is_no_evidence() {
    let mut scene = Scene::new(2);
    let probe = scene.fleet.probe().unwrap();
    let report = scene.answer(0, &probe);
    scene.us.machine.suspend(secs(20));
    scene.peers[0].machine.advance(secs(20));
    let _ = scene.us.clock.look();
    let refused = scene.fleet.record(0, &probe, report);
    assert_eq!(refused, Err(ExchangeError::Disturbed));
}

/// Raw time stands still in a suspend: what was heard before would seem to be behind by as much.
#[test]
fn f3_what_was_heard_before_a_suspend_no_longer_counts() {
    let mut scene = Scene::new(3);
    scene.ask_all();
    scene.us.machine.suspend(secs(20));
    for peer in &scene.peers {
        peer.machine.advance(secs(20));
    }
    let _ = scene.us.clock.look();
    assert_eq!(scene.standing(), Standing::Unheard);
    scene.ask(0);
    assert_eq!(scene.fleet.verdict().unwrap().heard, 2);
    assert_eq!(scene.standing(), Standing::AllAgree);
}

#[test]
fn raw_time_of_another_process_is_not_compared() {
    let mut scene = Scene::new(2);
    scene.ask(0);
    scene.us.machine.set_identity(Identity {
        pid: 2,
        time_namespace: 7,
    });
    scene.advance(secs(1));
    let _ = scene.us.clock.look();
    assert_eq!(scene.standing(), Standing::Unheard);
}

#[test]
fn peers_that_vanish_age_out_and_make_room() {
    let mut scene = Scene::new(3);
    scene.skew(1, delta(100));
    scene.ask_all();
    assert_eq!(scene.fleet.peers().count(), 2);
    // A third peer is one too many, for now.
    let probe = scene.fleet.probe().unwrap();
    let report = scene.answer(0, &probe);
    let full = scene.fleet.record(77, &probe, report);
    assert_eq!(
        full.unwrap_err().to_string().split(':').next(),
        Some("a fleet of 3 nodes has no place for another peer")
    );
    assert_eq!(scene.named().len(), 1);

    scene.advance(secs(59));
    assert_eq!(scene.fleet.verdict().unwrap().heard, 3);
    scene.advance(secs(2));
    assert_eq!(scene.standing(), Standing::Unheard);
    assert_eq!(scene.fleet.peers().count(), 2);
    let probe = scene.fleet.probe().unwrap();
    let report = scene.answer(0, &probe);
    scene.fleet.record(77, &probe, report).unwrap();
    assert_eq!(scene.fleet.peers().collect::<Vec<_>>(), [&77]);

    assert!(scene.fleet.forget(&77) && !scene.fleet.forget(&77));
    assert_eq!(scene.fleet.exchange(&77), None);
}

/// A step and a slew of our real time, which our interval is not about.
#[test]
fn f3_a_step_of_ours_accuses_nobody() {
    let mut scene = Scene::new(3);
    let probe = scene.fleet.probe().unwrap();
    scene.us.machine.step(delta(-3_600_000));
    let report = scene.answer(0, &probe);
    scene.us.machine.set_slew_ppb(80_000_000);
    scene.advance(millis(50));
    scene.fleet.record(0, &probe, report).unwrap();
    scene.ask(1);
    scene.us.machine.step(delta(7_200_000));
    scene.advance(secs(30));
    assert_eq!(scene.standing(), Standing::AllAgree);
}

/// A leap second comes between what was heard and the verdict, and raw time knows nothing of it.
#[test]
fn f3_a_leap_second_accuses_nobody() {
    for kind in [LeapKind::Inserted, LeapKind::Deleted] {
        let late: Timestamp = "2016-12-31T23:59:40.000000000Z".parse().unwrap();
        let node = || Node::before_a_leap(late, kind, EPSILON);
        let us = node();
        let mut scene = Scene {
            fleet: Fleet::new(us.clock.clone(), 6).unwrap(),
            us,
            peers: vec![node(), node(), node(), node(), node()],
        };
        scene.ask_all();
        scene.ask_for_a_lie(1, delta(5_000));
        // It believes that midnight was long ago, or is still far off.
        let hours = match kind {
            LeapKind::Inserted => 5,
            LeapKind::Deleted => -5,
        };
        scene.ask_for_a_lie(2, delta(hours * 3_600_000));
        scene.advance(secs(30));
        let now = scene.us.clock.look().unwrap();
        assert!(now.contains(scene.us.machine.true_time()), "{now}");
        // Those that are wrong by more than a leap second are still named, and not for more.
        let [(1, by), (2, by_hours)] = scene.named()[..] else {
            panic!("{kind:?}: {:?}", scene.standing())
        };
        assert!(millis(2_900) < by.by && by.by <= millis(4_999), "{by}");
        let most = secs(5 * 3_600) - EPSILON;
        assert!(
            by_hours.by <= most && most - by_hours.by < secs(2),
            "{by_hours}"
        );
        // Heard again, it is told as exactly as ever.
        scene.ask_all();
        scene.advance(secs(30));
        scene.ask_for_a_lie(1, delta(5_000));
        assert_eq!(scene.named()[0].0, 1);
        assert!(scene.named()[0].1.by > millis(4_900), "{kind:?}");
    }
}

/// Our own clock is hours off and knows of no midnight, but those who were heard before and after it
/// are honest all the same.
#[test]
fn f3_a_leap_second_that_our_clock_does_not_see_accuses_nobody_else() {
    for kind in [LeapKind::Inserted, LeapKind::Deleted] {
        let late: Timestamp = "2016-12-31T23:59:40.000000000Z".parse().unwrap();
        let node = || Node::before_a_leap(late, kind, EPSILON);
        let noon: Timestamp = "2016-12-31T12:00:00.000000000Z".parse().unwrap();
        let us = Node::on(ScriptedMachine::new(noon), None, TimeDelta::ZERO, EPSILON);
        let mut scene = Scene {
            fleet: Fleet::new(us.clock.clone(), 5).unwrap(),
            us,
            peers: vec![node(), node(), node(), node()],
        };
        for peer in [0, 1, 2] {
            scene.ask(peer);
        }
        scene.advance(secs(30));
        scene.ask(3);
        let Standing::WeAreFalse { by, peers } = scene.standing() else {
            panic!("{kind:?}: {:?}", scene.standing())
        };
        assert!(
            by.by > secs(11 * 3_600) && peers.is_empty(),
            "{kind:?}: {peers:?}"
        );
    }
}

/// Whatever a peer's bytes say, nothing panics, and it is named for at least what can be counted.
#[test]
fn peers_at_the_edges_of_time_are_named() {
    let ends = [
        (Timestamp::MIN, Timestamp::MIN),
        (Timestamp::MAX, Timestamp::MAX),
        (Timestamp::MIN, Timestamp::UNIX_EPOCH),
    ];
    for (earliest, latest) in ends {
        let mut scene = Scene::new(4);
        scene.ask_all();
        let probe = scene.fleet.probe().unwrap();
        let interval = Interval::new(earliest, latest).unwrap();
        let report = ClockReport::new(probe.request(), interval);
        let exchange = scene.fleet.record(2, &probe, report).unwrap();
        assert!(exchange.contradiction().is_some());
        scene.advance(secs(30));
        let [(2, by)] = scene.named()[..] else {
            panic!("{:?}", scene.standing())
        };
        assert!(by.by > secs(50 * 365 * 86_400), "{by}");
    }
    // One that says nothing agrees with everybody.
    let mut scene = Scene::new(3);
    scene.ask_all();
    let probe = scene.fleet.probe().unwrap();
    let everything = Interval::new(Timestamp::MIN, Timestamp::MAX).unwrap();
    let report = ClockReport::new(probe.request(), everything);
    scene.fleet.record(1, &probe, report).unwrap();
    assert_eq!(scene.standing(), Standing::AllAgree);
}

/// Nine clocks, four of them with any bytes at all for an answer.
#[test]
fn f3_whatever_bytes_come_nothing_panics_and_no_honest_one_is_named() {
    let mut random = Random::new(9);
    let mut named = 0;
    for _ in 0..300 {
        let mut scene = Scene::new(9);
        scene.ask_all();
        for peer in 0..4 {
            let probe = scene.fleet.probe().unwrap();
            let mut bytes = probe.request().to_vec();
            for _ in 0..2 {
                bytes.extend((random.next_u64() >> random.between(0, 64)).to_be_bytes());
            }
            if let Ok(report) = ClockReport::try_from(&bytes[..]) {
                scene.fleet.record(peer, &probe, report).unwrap();
            }
            scene.advance(secs(random.between(0, 10) as u64));
        }
        match scene.standing() {
            Standing::PeersFalse(peers) => {
                assert!(peers.iter().all(|named| named.peer < 4), "{peers:?}");
                named += peers.len();
            }
            Standing::AllAgree => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(named > 300, "{named}");
}

#[test]
fn a_verdict_reads_well() {
    let mut scene = Scene::with(5, Node::new(delta(250), EPSILON));
    assert_eq!(
        scene.fleet.verdict().unwrap().to_string(),
        "1 of 5 clocks heard: none but ours"
    );
    scene.ask(0);
    let line = scene.fleet.verdict().unwrap().to_string();
    assert_eq!(
        line,
        "2 of 5 clocks heard: at least 1 false, it cannot be told which"
    );
    scene.skew(3, delta(-500));
    scene.ask_all();
    let line = scene.fleet.verdict().unwrap().to_string();
    assert!(
        line.starts_with("5 of 5 clocks heard: ours is false, at least 24"),
        "{line}"
    );
    assert!(line.contains("ms ahead; 3 is false, at least 49"), "{line}");
    assert!(line.ends_with("ms behind"), "{line}");
}

#[test]
fn a_verdict_names_one_peer_after_the_other() {
    let mut scene = Scene::new(5);
    scene.ask_all();
    scene.ask_for_a_lie(1, delta(250));
    scene.ask_for_a_lie(2, delta(-500));
    let line = scene.fleet.verdict().unwrap().to_string();
    let joints: Vec<&str> = line.split("; ").collect();
    assert_eq!(joints.len(), 2, "{line}");
    let first = "5 of 5 clocks heard: 1 is false, at least 24";
    assert!(joints[0].starts_with(first), "{line}");
    assert!(joints[0].ends_with("ms ahead"), "{line}");
    assert!(joints[1].starts_with("2 is false, at least 49"), "{line}");
    assert!(joints[1].ends_with("ms behind"), "{line}");
}

/// Without a bound of our own there is nothing to hold anybody against, and nothing is lost.
#[test]
fn a_clock_of_ours_that_knows_nothing_is_an_error() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap(); // nobody has written to its kernel
    let fleet: Fleet<u8> = Fleet::new(clock, 3).unwrap();
    assert!(fleet.probe().is_err());
    assert!(fleet.verdict().is_err());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let builder = |nodes| Fleet::builder(Node::honest(EPSILON).clock, nodes);
    let setting = |refused: Result<Fleet<u8>, BuildError>| match refused {
        Err(BuildError::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(setting(builder(0).build()), "nodes");
    assert_eq!(setting(builder(4).max_faulty(2).build()), "max_faulty");
    assert_eq!(
        setting(builder(4).max_age(Duration::ZERO).build()),
        "max_age"
    );
    assert_eq!(setting(builder(4).max_age(secs(86_401)).build()), "max_age");
    let longer = builder(4).max_age(secs(1)).max_round_trip(secs(2));
    assert_eq!(setting(longer.build()), "max_round_trip");
    assert!(builder(5).max_faulty(2).build().is_ok());
}

#[test]
fn a_fleet_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Fleet<String>>();
    shared::<Probe>();
}
