//! A replicated log on three simulated machines: elections, partitions, restarts, stops, and faults of clocks.
//!
//! An idealised Raft, whose messages arrive at once or not at all. What stands in it is the drivers' own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::faults::{self, Kind};
use epsilon_clock::commit::{CommitWaitError, IntervalClock};
use epsilon_clock::lease::LeaderTerm;
use epsilon_clock::{Clock, ClockError, Interval, TimeDelta, Timestamp};
use epsilon_clock_sim::{
    Daemon, Fault, Node, NodeConfig, Oscillator, Preemption, Random, Server, World,
};

pub(crate) const NODES: usize = 3;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<W> {
    pub(crate) term: u64,
    /// `None` is a new leader's noop.
    pub(crate) what: Option<W>,
}

pub(crate) struct Member<W> {
    pub(crate) node: Node,
    pub(crate) clock: Arc<View>,
    pub(crate) log: Vec<Entry<W>>,
    pub(crate) committed: usize,
    pub(crate) applied: usize,
    pub(crate) leads: Option<u64>,
    voted: u64,
    cut: bool,
    stopped_until: Duration,
    daemon_dead: bool,
}

pub(crate) struct Group<W> {
    pub(crate) world: World,
    pub(crate) random: Random,
    pub(crate) members: Vec<Member<W>>,
}

/// What a driver makes of a clock.
pub(crate) struct View {
    clock: Clock,
    /// By how much more it may be off than the machine's clock says, and by how much more it is, in ns.
    pub(crate) wide: i64,
    pub(crate) off: i64,
    /// Whether its last interval serves where it has none: a guess that passes for a proof.
    pub(crate) guesses: bool,
    last: Mutex<Option<Interval>>,
}

impl IntervalClock for View {
    fn interval(&self) -> Result<Interval, ClockError> {
        let mut last = self.last.lock().unwrap();
        let read = self.clock.now().map(|now| {
            let by = |end: Timestamp, by| end.checked_add_delta(TimeDelta::from_nanos(by)).unwrap();
            let earliest = by(now.earliest(), self.off - self.wide);
            Interval::new(earliest, by(now.latest(), self.off + self.wide)).unwrap()
        });
        if let Ok(now) = read {
            *last = Some(now);
        }
        match *last {
            Some(before) if self.guesses => Ok(before),
            _ => read,
        }
    }

    fn wait_until_past(&self, timestamp: Timestamp) -> Result<(), CommitWaitError> {
        self.clock.wait_until_past(timestamp)
    }
}

/// What a group's worlds have in common.
pub(crate) fn term(term: u64) -> LeaderTerm {
    LeaderTerm { term, leader: 0 }
}

/// An honest daemon, and an oscillator within A1.
pub(crate) fn config(random: &mut Random) -> NodeConfig {
    let oscillator = match random.between(0, 3) {
        0 => Oscillator::steady(200_000),
        1 => Oscillator::steady(-200_000),
        _ => Oscillator::ordinary(random),
    };
    let mut daemon = Daemon::chrony(Server::near());
    // Often, or a world would end before a clock is vouched for again.
    daemon.poll = Duration::from_secs(1);
    daemon.servers.push(Server::far());
    NodeConfig {
        oscillator,
        ..NodeConfig::with_daemon(daemon)
    }
}

/// A suspend, a pause, a step, a slew, or something that befalls the daemon; and for how long the machine is busy
/// with it.
pub(crate) fn some_fault(random: &mut Random) -> (Fault, Duration) {
    const KINDS: [Kind; 10] = [
        Kind::Step,
        Kind::Step,
        Kind::Suspend,
        Kind::SuspendByRtc,
        Kind::Pause,
        Kind::Pause,
        Kind::Slew,
        Kind::DaemonTerminated,
        Kind::DaemonFrozen,
        Kind::Failover,
    ];
    faults::draw(random, &KINDS, 3 * SECOND)
}

impl<W: Copy> Group<W> {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut random = Random::new(seed ^ 0xe961);
        world.set_preemption(Preemption {
            per_million: 500,
            longest: Duration::from_millis(50),
        });
        let nodes: Vec<Node> = (0..NODES)
            .map(|_| world.node(config(&mut random)))
            .collect();
        world.advance(Duration::from_secs(20));
        // The edges of what a clock may be off by are where rules break.
        let wide = if seed % 2 == 0 { 40 * MS } else { 0 };
        let members: Vec<_> = nodes
            .into_iter()
            .map(|node| Member {
                clock: Arc::new(View {
                    wide,
                    clock: node.clock().unwrap(),
                    off: wide * (random.between(0, 3) - 1),
                    guesses: false,
                    last: Mutex::default(),
                }),
                node,
                log: Vec::new(),
                committed: 0,
                applied: 0,
                leads: None,
                voted: 0,
                cut: false,
                stopped_until: Duration::ZERO,
                daemon_dead: false,
            })
            .collect();
        Self {
            members,
            world,
            random,
        }
    }

    // --- chance --------------------------------------------------------------------------------

    pub(crate) fn any(&mut self) -> usize {
        self.random.between(0, NODES as i64) as usize
    }

    pub(crate) fn once_in(&mut self, times: i64) -> bool {
        self.random.between(0, times) == 0
    }

    /// Lets up to so many ms go by.
    pub(crate) fn advance(&mut self, most_ms: i64) {
        let span = self.random.scattered(100_000, most_ms * MS);
        self.world
            .advance(Duration::from_nanos(span.unsigned_abs()));
    }

    /// A node that believes to lead, mostly; there may be two.
    pub(crate) fn some_leader(&mut self) -> usize {
        let leaders: Vec<usize> = (0..NODES)
            .filter(|index| self.members[*index].leads.is_some() && self.runs(*index))
            .collect();
        match leaders.len() {
            0 => self.any(),
            several => leaders[self.random.between(0, several as i64) as usize],
        }
    }

    // --- what befalls nodes --------------------------------------------------------------------

    /// Whether a node's program gets to run.
    pub(crate) fn runs(&self, index: usize) -> bool {
        self.members[index].stopped_until <= self.world.elapsed()
    }

    /// Stops a process, as `SIGSTOP` does, for up to so many ms.
    pub(crate) fn stop(&mut self, index: usize, most_ms: i64) {
        let span = self.random.scattered(20 * MS, most_ms * MS);
        let until = self.world.elapsed() + Duration::from_nanos(span.unsigned_abs());
        let member = &mut self.members[index];
        member.stopped_until = member.stopped_until.max(until);
    }

    pub(crate) fn clock_fault(&mut self, index: usize) {
        let (mut fault, mut busy) = some_fault(&mut self.random);
        let member = &mut self.members[index];
        if member.daemon_dead {
            (fault, busy) = (Fault::DaemonStarted, Duration::ZERO);
        }
        member.daemon_dead = matches!(fault, Fault::DaemonTerminated);
        member.stopped_until = member.stopped_until.max(self.world.elapsed() + busy);
        member.node.strike(fault);
    }

    pub(crate) fn cut(&mut self, index: usize) {
        self.members[index].cut = true;
    }

    pub(crate) fn heal(&mut self, index: usize) {
        self.members[index].cut = false;
    }

    /// The process begins anew; what it knows comes from its snapshot, which the driver restores.
    pub(crate) fn restart(&mut self, index: usize, applied: usize) {
        let member = &mut self.members[index];
        member.leads = None;
        member.applied = applied;
        member.stopped_until = Duration::ZERO;
    }

    /// In the end: all is connected, and all run.
    pub(crate) fn heal_all(&mut self) {
        for index in 0..NODES {
            self.heal(index);
        }
        while !(0..NODES).all(|index| self.runs(index)) {
            self.world.advance(Duration::from_millis(100));
        }
    }

    // --- the log -------------------------------------------------------------------------------

    fn reach(&self, a: usize, b: usize) -> bool {
        let cut = self.members[a].cut || self.members[b].cut;
        self.runs(a) && self.runs(b) && (a == b || !cut)
    }

    /// Whether the newest leader is heard by a majority, so that no node would campaign.
    pub(crate) fn is_led(&self) -> bool {
        let newest = self.members.iter().map(|member| member.voted).max();
        (0..NODES).any(|index| {
            let member = &self.members[index];
            member.leads.is_some() && member.leads == newest && self.runs(index) && !member.cut
        })
    }

    /// Elects a node if it can be; returns the voters, which know of no older leadership of theirs any more.
    pub(crate) fn elect(&mut self, index: usize) -> Option<Vec<usize>> {
        let newest =
            |member: &Member<W>| (member.log.last().map_or(0, |e| e.term), member.log.len());
        let own = newest(&self.members[index]);
        let next = 1 + self.members.iter().map(|member| member.voted).max()?;
        let voters: Vec<usize> = (0..NODES)
            .filter(|other| self.reach(index, *other) && newest(&self.members[*other]) <= own)
            .collect();
        if voters.len() * 2 <= NODES {
            return None;
        }
        for voter in &voters {
            let member = &mut self.members[*voter];
            member.voted = next;
            member.leads = None;
        }
        let member = &mut self.members[index];
        member.leads = Some(next);
        member.log.push(Entry {
            term: next,
            what: None,
        });
        Some(voters)
    }

    /// Copies a leader's log; returns whether the other node led until then.
    pub(crate) fn replicate(&mut self, from: usize, to: usize) -> bool {
        let Some(leads) = self.members[from].leads else {
            return false;
        };
        if from == to || !self.reach(from, to) || self.members[to].voted > leads {
            return false;
        }
        let (log, committed) = (self.members[from].log.clone(), self.members[from].committed);
        let member = &mut self.members[to];
        member.voted = leads;
        member.log = log;
        member.committed = member.committed.max(committed);
        member.leads.take().is_some()
    }

    pub(crate) fn commit(&mut self, index: usize) {
        let Some(leads) = self.members[index].leads else {
            return;
        };
        let log = &self.members[index].log;
        let length = log.len();
        if log.last().is_none_or(|entry| entry.term != leads) {
            return;
        }
        // A follower has an entry of this term only from this leader, and acknowledges it while it follows.
        let have = (0..NODES).filter(|other| {
            let member = &self.members[*other];
            member.log.len() >= length
                && member.log[length - 1].term == leads
                && member.voted == leads
                && self.reach(index, *other)
        });
        if have.count() * 2 > NODES {
            self.members[index].committed = length;
        }
    }

    /// The next entry to apply, with its index from 1.
    pub(crate) fn next_committed(&mut self, index: usize) -> Option<(usize, Entry<W>)> {
        let member = &mut self.members[index];
        if member.applied >= member.committed {
            return None;
        }
        let entry = member.log[member.applied];
        member.applied += 1;
        Some((member.applied, entry))
    }

    /// Appends in the term that the node leads in.
    pub(crate) fn append(&mut self, index: usize, what: W) -> Option<u64> {
        let member = &mut self.members[index];
        let leads = member.leads?;
        member.log.push(Entry {
            term: leads,
            what: Some(what),
        });
        Some(leads)
    }

    /// The term of the last entry that was applied.
    pub(crate) fn applied_term(&self, index: usize) -> u64 {
        let member = &self.members[index];
        let last = member.applied.checked_sub(1);
        last.map_or(0, |last| member.log[last].term)
    }
}
