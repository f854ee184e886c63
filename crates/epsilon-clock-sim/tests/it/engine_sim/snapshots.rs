//! Snapshot reads at any replica: T-1 to T-9, and commits, C-1 to C-4.
//!
//! A group draws timestamps and applies them; a coordinator elsewhere, with a clock of its own, commits what the
//! group prepared. Whatever a replica said at a timestamp, it must say there for ever; and a read at `latest` must
//! show what was acknowledged before it began.

use std::collections::BTreeSet;
use std::time::Duration;

use epsilon_clock::commit::IntervalClock as _;
use epsilon_clock::engine::{NotDrawn, NotSafe, Replica, SafeTime};
use epsilon_clock::lease::{Delta, Holder, LeaseBook, LeaseEntry, LogLease};
use epsilon_clock::{Clock, Timestamp};

use super::group::{Entry, Group, NODES, config, term};

const DELTA: Duration = Duration::from_millis(300);
const MS: i64 = 1_000_000;
const NANO: Duration = Duration::from_nanos(1);

/// Which rule the driver breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// T-1: what is drawn is appended later, in another order; and T-2, it is applied nevertheless.
    Reordered,
    /// T-2: a leader that was deposed appends what it drew, and replicas apply it whatever it is.
    Unordered,
    /// T-3: a commit from elsewhere closes.
    CommitCloses,
    /// T-4: a commit from elsewhere raises no floor.
    NoFloor,
    /// T-4: a new leader draws before it has applied what is before its noop.
    EarlyDraw,
    /// T-5: prepared transactions are not looked at.
    PreparedIgnored,
    /// T-5: a follower answers up to where the leader is closed.
    LeadersClosed,
    /// T-5: versions that were collected are read all the same.
    Collected,
    /// T-6: a transaction is aborted by silence.
    TimedOut,
    /// T-7: a promise goes past the log.
    PromiseAside,
    /// T-8: the leader answers ahead of what is closed, beyond its lease.
    BeyondLease,
    /// T-8: it does so without raising its floor.
    FloorNotRaised,
    /// C-1 and C-3: the coordinator does not look at what was prepared.
    NoFloors,
    /// C-4: it acknowledges before the timestamp is past.
    EarlyAck,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Lease(LeaseEntry),
    /// A write, by its number.
    Write(u64, Timestamp),
    Promise(Timestamp),
    Prepare(u64, Timestamp),
    Commit(u64, Timestamp),
    Abort(u64),
}

/// By key, timestamp and number; each key has versions of its own.
type Versions = BTreeSet<(u64, Timestamp, u64)>;

const KEYS: u64 = 4;

/// The newest version of a key at a timestamp.
fn newest(versions: &Versions, key: u64, at: Timestamp) -> Option<u64> {
    let until = versions.range((key, Timestamp::MIN, 0)..=(key, at, u64::MAX));
    until.map(|(.., number)| *number).next_back()
}

/// What a replica holds besides its safe time.
#[derive(Clone, Default)]
struct State {
    book: LeaseBook,
    versions: Versions,
}

struct Part {
    lease: LogLease,
    incarnation: u64,
    safe: SafeTime<u64>,
    state: State,
    snapshot: (usize, State, Replica<u64>),
    /// Drawn, and not appended yet: only where a rule is broken.
    drawn: Vec<(u64, Timestamp)>,
}

/// What the coordinator knows of a transaction.
struct Open {
    number: u64,
    prepared: Timestamp,
    /// As the coordinator's log has it, from where it is sent again and again.
    decided: Option<Decision>,
}

#[derive(Clone, Copy)]
enum Decision {
    Commit(Timestamp),
    Abort,
}

struct Snapshots {
    group: Group<What>,
    parts: Vec<Part>,
    coordinator: Clock,
    broken: Broken,
    numbers: u64,
    open: Vec<Open>,
    /// What any replica ever applied.
    history: Versions,
    /// What was answered: of which key, at which timestamp, and which version.
    reads: Vec<(u64, Timestamp, Option<u64>)>,
    acknowledged: Vec<Timestamp>,
    waiting: Vec<Timestamp>,
    missed: usize,
    /// Draws that lie below a version which the leader has applied: the later write would not be the newest.
    lost: usize,
    out_of_order: usize,
    ahead: usize,
}

fn fresh(node: usize, incarnation: u64) -> LogLease {
    let ms = Duration::from_millis;
    let delta = Delta::new(DELTA, ms(10), ms(5)).unwrap();
    let node = node as u64 + 1;
    LogLease::new(Holder { node, incarnation }, delta)
}

impl Snapshots {
    fn new(seed: u64, broken: Broken) -> Self {
        let mut group = Group::new(seed);
        let elsewhere = group.world.node(config(&mut group.random));
        group.world.advance(Duration::from_secs(20));
        let parts = (0..NODES).map(|node| Part {
            lease: fresh(node, 1),
            incarnation: 1,
            safe: SafeTime::new(),
            state: State::default(),
            snapshot: (0, State::default(), Replica::default()),
            drawn: Vec::new(),
        });
        Self {
            parts: parts.collect(),
            coordinator: elsewhere.clock().unwrap(),
            group,
            broken,
            numbers: 0,
            open: Vec::new(),
            history: Versions::new(),
            reads: Vec::new(),
            acknowledged: Vec::new(),
            waiting: Vec::new(),
            missed: 0,
            lost: 0,
            out_of_order: 0,
            ahead: 0,
        }
    }

    // --- the log -------------------------------------------------------------------------------

    fn elect(&mut self, index: usize) {
        for voter in self.group.elect(index).unwrap_or_default() {
            self.deposed(voter);
        }
        if let Some(leads) = self.group.members[index].leads {
            self.parts[index].lease.elected(term(leads));
        }
    }

    /// What it drew and is in no log now never comes.
    fn deposed(&mut self, index: usize) {
        let part = &mut self.parts[index];
        part.lease.deposed();
        if self.broken != Broken::Unordered {
            part.drawn.clear();
        }
        part.safe = SafeTime::restore(part.safe.replica());
    }

    fn replicate(&mut self, from: usize, to: usize) {
        if self.group.replicate(from, to) {
            self.deposed(to);
        }
    }

    fn apply(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let leads = self.group.members[index].leads;
        while let Some((_, Entry { term: of, what })) = self.group.next_committed(index) {
            let broken = self.broken;
            let part = &mut self.parts[index];
            let Some(what) = what else {
                part.lease.noop_applied(term(of));
                continue;
            };
            let refused = match what {
                What::Lease(entry) => {
                    part.state.book.apply(&entry, term(of));
                    part.lease.applied(&entry, term(of));
                    false
                }
                What::Write(number, at) => {
                    let refused = part.safe.apply_drawn(at).is_err();
                    if !refused || matches!(broken, Broken::Reordered | Broken::Unordered) {
                        part.state.versions.insert((number % KEYS, at, number));
                        self.history.insert((number % KEYS, at, number));
                        if leads == Some(of) {
                            self.waiting.push(at);
                        }
                    }
                    refused
                }
                What::Promise(at) => part.safe.apply_drawn(at).is_err(),
                What::Prepare(number, at) => {
                    let refused = part.safe.apply_prepare(number, at).is_err();
                    // Prepared for good: the coordinator hears of it.
                    if !refused && leads == Some(of) {
                        self.open.push(Open {
                            number,
                            prepared: at,
                            decided: None,
                        });
                    }
                    refused
                }
                What::Commit(number, at) => {
                    // Sent twice, perhaps: carried out once.
                    self.history.insert((number % KEYS, at, number));
                    if part.state.versions.insert((number % KEYS, at, number)) {
                        match broken {
                            Broken::NoFloor => part.safe.apply_abort(&number),
                            _ => part.safe.apply_commit(&number, at),
                        }
                        if broken == Broken::CommitCloses {
                            let _ = part.safe.apply_drawn(at);
                        }
                    }
                    false
                }
                What::Abort(number) => {
                    part.safe.apply_abort(&number);
                    false
                }
            };
            self.out_of_order += usize::from(refused);
        }
    }

    fn pump(&mut self, index: usize) {
        for other in 0..NODES {
            self.replicate(index, other);
        }
        self.group.commit(index);
        self.apply(index);
    }

    fn restart(&mut self, index: usize) {
        let part = &mut self.parts[index];
        part.incarnation += 1;
        part.lease = fresh(index, part.incarnation);
        part.state = part.snapshot.1.clone();
        part.safe = SafeTime::restore(part.snapshot.2.clone());
        part.drawn.clear();
        let applied = part.snapshot.0;
        self.group.restart(index, applied);
    }

    fn compact(&mut self, index: usize) {
        let applied = self.group.members[index].applied;
        let part = &mut self.parts[index];
        part.snapshot = (applied, part.state.clone(), part.safe.replica());
    }

    /// Versions that were overwritten long ago are collected.
    fn collect(&mut self, index: usize) {
        let part = &mut self.parts[index];
        let oldest = part.safe.safe().saturating_sub(Duration::from_millis(500));
        part.safe.collect(oldest);
        for key in 0..KEYS {
            if let Some(kept) = newest(&part.state.versions, key, oldest) {
                // What is read below is another past from now on.
                part.state
                    .versions
                    .retain(|(of, at, number)| *of != key || *at > oldest || *number == kept);
            }
        }
    }

    // --- the leader's sequencer ----------------------------------------------------------------

    /// Whether a node may draw: its gate is open.
    fn may_draw(&self, index: usize) -> bool {
        let early = self.broken == Broken::EarlyDraw && self.group.members[index].leads.is_some();
        self.group.runs(index) && (early || self.parts[index].lease.admit().is_ok())
    }

    fn draw(
        &mut self,
        index: usize,
        what: impl FnOnce(u64, Timestamp) -> What,
    ) -> Option<Timestamp> {
        if !self.may_draw(index) {
            return None;
        }
        self.numbers += 1;
        let number = self.numbers;
        let clock = &self.group.members[index].clock;
        let safe = self.parts[index].safe.clone();
        if matches!(self.broken, Broken::Reordered | Broken::Unordered) {
            // Not in one critical section: the append comes later.
            let drawn = safe.draw(clock, [], |_| Ok::<(), ()>(())).ok()?.0;
            self.parts[index].drawn.push((number, drawn));
            return None;
        }
        let (group, mut what) = (&mut self.group, Some(what));
        let clock = group.members[index].clock.clone();
        let drawn = safe.draw(&clock, [], |at| {
            let what = what.take().ok_or(())?;
            group.append(index, what(number, at)).ok_or(())
        });
        match drawn {
            Ok((at, _)) => {
                let above = |(_, version, _): &(u64, Timestamp, u64)| *version >= at;
                self.lost += usize::from(self.parts[index].state.versions.iter().any(above));
                Some(at)
            }
            Err(NotDrawn::Clock(_) | NotDrawn::Append(())) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// A handler whose draw and append are apart comes to the log.
    fn append_late(&mut self, index: usize) {
        if !self.group.runs(index) || self.parts[index].drawn.is_empty() {
            return;
        }
        let any = self
            .group
            .random
            .between(0, self.parts[index].drawn.len() as i64) as usize;
        let (number, at) = self.parts[index].drawn.swap_remove(any);
        self.group.append(index, What::Write(number, at));
    }

    fn promise(&mut self, index: usize) {
        if self.broken != Broken::PromiseAside {
            self.draw(index, |_, at| What::Promise(at));
            return;
        }
        if self.may_draw(index) {
            if let Ok(now) = self.group.members[index].clock.interval() {
                let follower = self.group.any();
                let _ = self.parts[follower].safe.apply_drawn(now.latest());
            }
        }
    }

    fn propose(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let clock = &self.group.members[index].clock;
        let part = &mut self.parts[index];
        if let Ok(Some(entry)) = part.lease.propose(&part.state.book, clock) {
            self.group.append(index, What::Lease(entry));
        }
    }

    // --- transactions across groups ------------------------------------------------------------

    /// The coordinator decides, or sends again what it decided; the group's leader puts it into the log.
    fn decide(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let prepared = self.parts[index].safe.replica().prepared;
        // Mostly of what the group waits for; now and then once more what it has.
        let again = self.group.once_in(4);
        let mut of: Vec<usize> = (0..self.open.len()).collect();
        of.retain(|any| again || prepared.contains_key(&self.open[*any].number));
        if of.is_empty() {
            return;
        }
        let any = of[self.group.random.between(0, of.len() as i64) as usize];
        let Open {
            number,
            prepared,
            decided,
        } = self.open[any];
        let decision = match decided {
            Some(decision) => decision,
            None if self.group.once_in(5) => Decision::Abort,
            None => {
                let floors = Some(prepared).filter(|_| self.broken != Broken::NoFloors);
                let Ok(commit) = self.coordinator.begin_commit_after_all(floors) else {
                    return;
                };
                self.waiting.push(commit.timestamp());
                Decision::Commit(commit.timestamp())
            }
        };
        self.open[any].decided = Some(decision);
        self.group.append(
            index,
            match decision {
                Decision::Commit(at) => What::Commit(number, at),
                Decision::Abort => What::Abort(number),
            },
        );
    }

    /// A replica gives up on a transaction that it has not heard of for a while: only where a rule is broken.
    fn give_up(&mut self, index: usize) {
        if self.broken == Broken::TimedOut {
            let replica = self.parts[index].safe.replica();
            for number in replica.prepared.keys() {
                self.parts[index].safe.apply_abort(number);
            }
        }
    }

    /// The node that acknowledges has itself seen the timestamp pass.
    fn acknowledge(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let clock = &self.group.members[index].clock;
        let early = self.broken == Broken::EarlyAck;
        let acknowledged = &mut self.acknowledged;
        self.waiting.retain(|at| {
            let past = early || clock.interval().is_ok_and(|now| now.after(*at));
            if past {
                acknowledged.push(*at);
            }
            !past
        });
    }

    // --- reads ---------------------------------------------------------------------------------

    fn note(&mut self, index: usize, at: Timestamp) {
        let key = self.group.random.between(0, KEYS as i64).unsigned_abs();
        let read = newest(&self.parts[index].state.versions, key, at);
        self.reads.push((key, at, read));
    }

    /// A snapshot read at a replica, in the past or as new as it may be.
    fn read(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let back = self.group.random.scattered(1, 4_000_000_000);
        let part = &self.parts[index];
        let mut at = match self.broken {
            Broken::PreparedIgnored => part.safe.replica().closed,
            Broken::LeadersClosed => {
                let safe = |part: &Part| part.safe.safe();
                self.parts.iter().map(safe).max().unwrap()
            }
            _ => part.safe.safe(),
        };
        if self.group.once_in(2) {
            at = at.saturating_sub(Duration::from_nanos(back.unsigned_abs()));
        }
        let part = &self.parts[index];
        let may = matches!(
            (self.broken, part.safe.check(at)),
            (_, Ok(()))
                | (Broken::LeadersClosed, _)
                | (Broken::PreparedIgnored, Err(NotSafe::Prepared { .. }))
                | (Broken::Collected, Err(NotSafe::Collected { .. }))
        );
        if may && at > Timestamp::UNIX_EPOCH {
            self.note(index, at);
        }
    }

    /// The leader reads at `latest`, ahead of what is closed.
    fn lead(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        let clock = &self.group.members[index].clock;
        let acknowledged = self.acknowledged.iter().max().copied();
        let (Ok(permit), Ok(now)) = (self.parts[index].lease.read(clock), clock.interval()) else {
            return;
        };
        // Some ask for what is yet to come: they are answered below the lease's end, and no further.
        let mut at = now.latest();
        if self.group.once_in(3) {
            let ahead = self.group.random.between(0, 600 * MS);
            at = at.saturating_add(Duration::from_nanos(ahead.unsigned_abs()));
        }
        if self.broken == Broken::BeyondLease {
            at = permit
                .lease()
                .expiry()
                .saturating_add(Duration::from_millis(50));
        }
        let part = &self.parts[index];
        let safe = match self.broken {
            Broken::FloorNotRaised => SafeTime::restore(part.safe.replica()),
            _ => part.safe.clone(),
        };
        match safe.lead_at(at, &permit) {
            Ok(()) => {}
            Err(NotSafe::BeyondLease { .. }) if self.broken == Broken::BeyondLease => {
                let _ = safe.lead_at(permit.lease().expiry().saturating_sub(NANO), &permit);
            }
            Err(_) => return,
        }
        self.ahead += 1;
        // It began after those were acknowledged.
        self.missed += usize::from(acknowledged.is_some_and(|last| last > at));
        self.note(index, at);
        // Cut off right after, so that no later entry of its own carries what it answered at.
        if self.group.once_in(6) {
            self.group.cut(index);
        }
    }

    /// A strong read at a follower is one at its `latest`, once that is safe: does it lie above what was acknowledged?
    fn strong(&mut self, index: usize) {
        if !self.group.runs(index) {
            return;
        }
        if let Ok(now) = self.group.members[index].clock.interval() {
            let last = self.acknowledged.iter().max();
            self.missed += usize::from(last.is_some_and(|last| *last > now.latest()));
        }
    }

    fn step(&mut self) {
        let (index, other) = (self.group.any(), self.group.any());
        let leader = self.group.some_leader();
        match self.group.random.between(0, 1_000) {
            0..180 => self.group.advance(20),
            180..230 => self.replicate(index, other),
            230..260 => self.group.commit(index),
            260..330 => self.apply(index),
            330..500 => self.pump(leader),
            500..560 => self.propose(leader),
            560..640 => drop(self.draw(leader, What::Write)),
            640..680 => self.promise(leader),
            680..700 => drop(self.draw(leader, What::Prepare)),
            700..770 => self.decide(leader),
            770..800 => self.append_late(leader),
            800..830 => self.acknowledge(leader),
            830..890 => self.read(index),
            890..920 => self.lead(leader),
            920..940 => self.strong(index),
            940..955 => {
                if self.group.runs(index) && (!self.group.is_led() || self.group.once_in(30)) {
                    self.elect(index);
                }
            }
            955..960 => {
                let _ = self.draw(leader, What::Write);
                self.replicate(leader, other);
                self.group.cut(leader);
            }
            960..968 => self.group.heal(index),
            968..980 => self.compact(index),
            980..983 => self.restart(index),
            983..986 => self.give_up(index),
            986..989 => self.group.stop(leader, 900),
            989 if self.group.once_in(3) => self.group.clock_fault(index),
            990..992 => self.group.advance(300),
            992..995 => self.collect(index),
            _ => self.append_late(index),
        }
    }

    /// How many of the answers are another one in the end.
    fn changed(&mut self) -> usize {
        self.group.heal_all();
        for _ in 0..2_000 {
            let index = self.group.any();
            self.group.advance(20);
            if !self.group.is_led() {
                self.elect(index);
            }
            let leader = self.group.some_leader();
            self.pump(leader);
        }
        let read = |key, at| newest(&self.history, key, at);
        let changed = self
            .reads
            .iter()
            .filter(|(key, at, before)| read(*key, *at) != *before);
        changed.count()
    }

    fn run(seed: u64, broken: Broken) -> (Self, usize) {
        let mut run = Self::new(seed, broken);
        for _ in 0..2_000 {
            run.step();
        }
        let changed = run.changed();
        (run, changed)
    }
}

#[test]
fn t1_to_t9_what_was_read_at_a_timestamp_is_read_there_for_ever() {
    let (mut reads, mut ahead, mut acknowledged) = (0, 0, 0);
    for seed in 1..=40 * crate::scale() {
        let (run, changed) = Snapshots::run(seed, Broken::Nothing);
        let log = run.group.world.log();
        assert_eq!(
            (changed, run.missed, run.lost, run.out_of_order),
            (0, 0, 0, 0),
            "seed {seed}\n{log}"
        );
        assert_eq!(run.group.world.short_writes().0, 0, "seed {seed}");
        reads += run.reads.len();
        ahead += run.ahead;
        acknowledged += run.acknowledged.len();
    }
    println!("{reads} reads, {ahead} ahead, {acknowledged} acknowledged");
    assert!(
        reads > 1_500 && ahead > 60 && acknowledged > 800,
        "{reads} {ahead} {acknowledged}"
    );
}

/// Some world has to have entries that every replica refuses: in an honest one there is none.
fn refused(broken: Broken) {
    let found = (1..=1_000).find(|seed| Snapshots::run(*seed, broken).0.out_of_order > 0);
    println!("{broken:?}: seed {found:?}");
    assert!(found.is_some(), "{broken:?} goes unseen");
}

fn caught(broken: Broken) {
    let found = (1..=1_000).find(|seed| {
        let (run, changed) = Snapshots::run(*seed, broken);
        changed + run.missed + run.lost > 0
    });
    println!("{broken:?}: seed {found:?}");
    assert!(found.is_some(), "{broken:?} goes unseen");
}

#[test]
fn t1_and_t2_a_log_in_another_order_is_caught() {
    caught(Broken::Reordered);
    caught(Broken::Unordered);
    // With the second rule in force every replica refuses it, and nothing that was read changes.
    refused(Broken::Reordered);
}

#[test]
fn t3_and_t4_a_commit_from_elsewhere_raises_the_floor_and_closes_nothing() {
    refused(Broken::CommitCloses);
    caught(Broken::NoFloor);
    // What its predecessor drew is above: every replica refuses what it drew.
    refused(Broken::EarlyDraw);
}

#[test]
fn t5_prepared_lagging_and_collected_replicas_are_caught() {
    caught(Broken::PreparedIgnored);
    caught(Broken::LeadersClosed);
    caught(Broken::Collected);
}

#[test]
fn t6_a_transaction_that_is_aborted_by_silence_is_caught() {
    caught(Broken::TimedOut);
}

#[test]
fn t7_a_promise_that_goes_past_the_log_is_caught() {
    caught(Broken::PromiseAside);
}

#[test]
fn t8_a_leader_ahead_of_its_lease_or_its_floor_is_caught() {
    caught(Broken::BeyondLease);
    caught(Broken::FloorNotRaised);
}

#[test]
fn c1_c3_and_c4_a_commit_below_its_floors_or_shown_early_is_caught() {
    caught(Broken::NoFloors);
    caught(Broken::EarlyAck);
}
