//! One process: a node of a cluster, with its server, its network and its clock.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use epsilon_clock::lease::{Delta, Holder, LeaderTerm, LeaseBook, LogLease};
use example_cluster::clocks::Steered;
use example_cluster::frames::{self, receive, send};
use example_cluster::peer::{self, term_of};
use example_cluster::program::Failure;
use example_cluster::watch::Watch;
use openraft::impls::ProgressResponder;
use openraft::{Config, Instant as _, ReadPolicy, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::log;
use crate::machine::{Machine, Shared};
use crate::network::{Network, Wire};
use crate::types::{Answer, Break, Command, Envelope, Link, Raft, Request, Stop, Way};
use crate::watch;

/// What a node is told on its command line, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub node: u64,
    pub address: String,
    pub directory: String,
    pub way: Way,
    pub broken: Option<Break>,
    pub heartbeat_ms: u64,
    pub election_ms: (u64, u64),
    pub delta_ms: u64,
    /// What the clock is off by, what it says it may be, and how much of it is slewed to and fro.
    pub offset_us: i64,
    pub epsilon_us: u64,
    pub slewed: bool,
    /// Whether it stops serving once its clock is found false.
    pub stops_when_named: bool,
    /// Whether this is the process's first start.
    pub fresh: bool,
}

// --- stop points ---------------------------------------------------------------------------------

/// Places where requests stop for as long as they are told to.
#[derive(Default)]
pub struct Stops {
    armed: Mutex<HashMap<Stop, Instant>>,
}

impl Stops {
    fn arm(&self, stop: Stop, span: Duration) {
        let until = Instant::now() + span;
        self.armed.lock().expect("no panic").insert(stop, until);
    }

    /// Stops here for as long as the place is armed.
    pub async fn come_to(&self, stop: Stop) {
        loop {
            let until = self.armed.lock().expect("no panic").get(&stop).copied();
            let left = until.map_or(Duration::ZERO, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            // In short steps: it may be told to go on.
            tokio::time::sleep(left.min(Duration::from_millis(2))).await;
        }
    }
}

// --- the server ----------------------------------------------------------------------------------

pub struct Node {
    pub settings: Settings,
    pub raft: Raft,
    pub shared: Arc<Shared>,
    pub wire: Arc<Wire>,
    pub watch: Watch,
    pub watched: AtomicBool,
    /// For the broken node that keeps its verdict.
    cached: AtomicBool,
}

pub async fn serve(settings: Settings) -> Result<(), Failure> {
    let directory = Path::new(&settings.directory);
    let config = Config {
        heartbeat_interval: settings.heartbeat_ms,
        election_timeout_min: settings.election_ms.0,
        election_timeout_max: settings.election_ms.1,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(20),
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        ..Config::default()
    };
    let epsilon = Duration::from_micros(settings.epsilon_us);
    let room = epsilon.saturating_sub(Duration::from_micros(settings.offset_us.unsigned_abs()));
    let swing = if settings.slewed {
        room / 2
    } else {
        Duration::ZERO
    };
    let clock = Steered::swinging_clock(settings.offset_us, swing, epsilon)?;
    let ms = Duration::from_millis;
    // The broken node that takes its clock for exact could not name its real error here.
    let delta = Delta::new(ms(settings.delta_ms), epsilon, ms(30))?;
    let lease = LogLease::new(Holder::draw(settings.node)?, delta);
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        book: Mutex::new(LeaseBook::default()),
        lease: Mutex::new(lease),
        clock,
        broken: settings.broken,
        stops: Stops::default(),
    });
    let machine = Machine::open(Arc::clone(&shared), directory.join("snapshot"))?;
    let log = log::open(&directory.join("log"))?;
    let wire = Arc::new(Wire::default());
    let network = Network {
        node: settings.node,
        wire: Arc::clone(&wire),
    };
    let listener = TcpListener::bind(&settings.address).await?;
    let raft = Raft::new(
        settings.node,
        Arc::new(config.validate()?),
        network,
        log,
        machine,
    )
    .await?;
    let node = Arc::new(Node {
        settings,
        raft,
        shared,
        wire,
        watch: Watch::default(),
        watched: AtomicBool::new(false),
        cached: AtomicBool::new(false),
    });
    if node.settings.way == Way::Ours {
        tokio::spawn(lead(Arc::clone(&node)));
        if node.settings.broken == Some(Break::Cached) {
            tokio::spawn(keep_verdict(Arc::clone(&node)));
        }
    }
    frames::serve(listener, |stream| converse(Arc::clone(&node), stream)).await?;
    Ok(())
}

async fn converse(node: Arc<Node>, mut stream: TcpStream) {
    while let Ok(Envelope { from, body }) = receive(&mut stream).await {
        // Of a peer that is cut off, nothing arrives; clients and the test come by another way.
        if from != 0 && node.wire.is(Link::Cut) {
            return;
        }
        let answer = match body {
            Request::Watch(members) => {
                watch::begin(&node, members);
                Answer::Done
            }
            body => node.answer(body).await,
        };
        if from != 0 && node.wire.is(Link::Cut) {
            return;
        }
        if send(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn refused(error: impl std::fmt::Display) -> Answer {
    Answer::Refused(error.to_string())
}

impl Node {
    /// Whether this node serves and leads no more.
    pub fn stopped(&self) -> bool {
        self.settings.stops_when_named && self.watch.named()
    }

    async fn answer(&self, body: Request) -> Answer {
        match body {
            // A node that is not to lead takes no office.
            Request::Peer(peer::Request::Transfer(_)) if self.stopped() => refused(watch::FALSE),
            Request::Peer(request) => {
                Answer::Peer(peer::answer(&self.raft, &self.shared.clock, request).await)
            }
            Request::Read { key } => self.read(key).await,
            Request::Write {
                key,
                value,
                request,
            } => self.write(key, value, request).await,
            Request::Initialize(members) => self
                .raft
                .initialize(peer::members(members))
                .await
                .map_or_else(refused, |()| Answer::Done),
            Request::SetLink(link) => {
                self.wire.set(link);
                Answer::Done
            }
            Request::Arm(stop, ms) => {
                self.shared.stops.arm(stop, Duration::from_millis(ms));
                Answer::Done
            }
            Request::Elect => self
                .raft
                .trigger()
                .elect(true)
                .await
                .map_or_else(refused, |()| Answer::Done),
            Request::HandOver(to) => self
                .raft
                .trigger()
                .transfer_leader(to)
                .await
                .map_or_else(refused, |()| Answer::Done),
            Request::Watch(_) => refused("begun where it arrives"),
            Request::Status => self.status(),
        }
    }

    fn status(&self) -> Answer {
        let leader = self.raft.as_leader();
        let acked = leader
            .as_ref()
            .ok()
            .and_then(|leader| leader.last_quorum_acked());
        let verdict = self.shared.lease().read(&self.shared.clock);
        Answer::Status {
            leads: leader.is_ok(),
            term: leader.as_ref().map_or(0, |leader| leader.leader_id().term),
            gate: self.shared.lease().admit().is_ok(),
            acked_ms_ago: acked
                .map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            verdict: verdict.map_or_else(|why| why.to_string(), |_| "may read".into()),
            named: self.watch.named(),
            clocks: self.watch.verdict(),
        }
    }

    /// Answers a read, by the one way that this cluster has.
    async fn read(&self, key: u8) -> Answer {
        let decoded = Instant::now();
        if self.stopped() {
            return refused(watch::FALSE);
        }
        let policy: Option<ReadPolicy> = match self.settings.way {
            Way::LeaseRead => Some(ReadPolicy::LeaseRead),
            Way::ReadIndex => Some(ReadPolicy::ReadIndex),
            Way::Ours => None,
        };
        let mut early = None;
        if let Some(policy) = policy.clone() {
            if let Err(error) = self.raft.ensure_linearizable(policy).await {
                return refused(error);
            }
        } else {
            if self.settings.broken == Some(Break::Snapshot) {
                early = Some(self.register(key).0);
                self.shared.stops.come_to(Stop::BeforeCheck).await;
            }
            if !(self.settings.broken == Some(Break::Cached) && self.cached.load(Ordering::Relaxed))
            {
                // The request is here; now the check, and only then the state.
                if let Err(closed) = self.shared.lease().read(&self.shared.clock) {
                    return refused(closed);
                }
            }
        }
        let at_state = Instant::now();
        let (now, last) = self.register(key);
        let state = nanos(at_state);
        let value = early.unwrap_or(now);
        // After a stop it may be the state of a later leadership, with what that one may not show yet.
        if policy.is_none() && !self.shared.book().may_show(last) {
            return Answer::Refused(
                "a later leadership's state, which is not to be shown yet".into(),
            );
        }
        Answer::Value {
            value,
            took: nanos(decoded),
            state,
        }
    }

    /// The value, and the term of the last entry that was applied, together.
    fn register(&self, key: u8) -> (u64, LeaderTerm) {
        let state = self.shared.state();
        let value = state.registers.get(&key).copied().unwrap_or(0);
        let last = state.applied.map(|applied| term_of(&applied.leader_id));
        (value, last.unwrap_or_default())
    }

    async fn write(&self, key: u8, value: u64, request: u64) -> Answer {
        if self.stopped() {
            return refused(watch::FALSE);
        }
        let command = Command::Write {
            key,
            value,
            request,
        };
        if self.settings.way != Way::Ours {
            return self
                .raft
                .client_write(command)
                .await
                .map_or_else(refused, |_| Answer::Done);
        }
        if self.settings.broken == Some(Break::Limbo) {
            let done = self
                .shared
                .state()
                .done
                .get(&key)
                .is_some_and(|done| *done >= request);
            if done && self.raft.is_leader() {
                return Answer::Done;
            }
        }
        // The gate, and the term that the append is bound to.
        let admission = match self.shared.lease().admit() {
            Ok(admission) => admission,
            Err(closed) => return refused(closed),
        };
        self.shared.stops.come_to(Stop::AfterGate).await;
        self.append(command, admission.term).await
    }

    /// Appends, in that term or not at all.
    async fn append(&self, command: Command, term: LeaderTerm) -> Answer {
        let (responder, applied) = ProgressResponder::complete_only();
        let mut request = self.raft.write(command).responder(responder);
        if self.settings.broken != Some(Break::Unbound) {
            let id = match self.raft.as_leader() {
                Ok(leader) => leader.to_committed_leader_id(),
                Err(error) => return refused(error),
            };
            if term_of(&id) != term {
                return Answer::Refused("the term is over".into());
            }
            request = request.with_leader(id);
        }
        if let Err(error) = request.await {
            return refused(error);
        }
        match applied.await {
            Ok(Ok(_)) => Answer::Done,
            Ok(Err(error)) => refused(error),
            Err(_) => Answer::Refused("the node stops".into()),
        }
    }
}

/// Follows the leadership: notes it, takes the lease, and renews it.
async fn lead(node: Arc<Node>) {
    let shared = &node.shared;
    let mut may_skip = node.settings.broken == Some(Break::Restart) && !node.settings.fresh;
    let mut before: Option<Vec<u8>> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let leader = match node.raft.as_leader() {
            Ok(leader) if !node.stopped() => leader,
            _ => {
                shared.lease().deposed();
                continue;
            }
        };
        let term = term_of(leader.leader_id());
        shared.lease().elected(term);
        let applied = shared.state().applied;
        let behind_noop = applied.is_some_and(|applied| term_of(&applied.leader_id) == term);
        if behind_noop || node.settings.broken == Some(Break::Noop) {
            shared.lease().noop_applied(term);
        }
        let mut book = *shared.book();
        if may_skip {
            book.forget();
        }
        let due = shared.lease().propose(&book, &shared.clock);
        let Ok(Some(entry)) = due else { continue };
        may_skip = false;
        if node.settings.broken == Some(Break::Appended) {
            shared.lease().applied(&entry, term);
        }
        let bytes = entry.to_be_bytes().to_vec();
        // In the background: a lease that is never applied must not hold up the notes above.
        let (proposer, again) = (Arc::clone(&node), before.replace(bytes.clone()));
        tokio::spawn(async move {
            let answer = proposer.append(Command::Lease(bytes), term).await;
            if !matches!(answer, Answer::Done) {
                proposer.shared.lease().dropped();
            }
            // An older renewal that was overtaken on its way to the log; the book keeps the largest.
            if let Some(overtaken) = again {
                let _ = proposer.append(Command::Lease(overtaken), term).await;
            }
        });
    }
}

/// What the broken node answers by: a verdict that was true a while ago.
async fn keep_verdict(node: Arc<Node>) {
    loop {
        node.shared.stops.come_to(Stop::BeforeVerdict).await;
        let held = node.shared.lease().read(&node.shared.clock).is_ok();
        node.cached.store(held, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
