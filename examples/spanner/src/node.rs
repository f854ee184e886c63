//! One process: a node with a replica of each shard, its server, and its clock.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use epsilon_clock::lease::{Delta, Holder, LogLease};
use epsilon_clock::{Clock, CommitGroup};
use example_cluster::clocks::Steered;
use example_cluster::frames::{self, receive, send};
use example_cluster::peer;
use example_cluster::program::Failure;
use example_cluster::watch::Watch;
use openraft::{Config, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::breaks::Break;
use crate::death::Death;
use crate::group::Group;
use crate::log;
use crate::machine::Machine;
use crate::network::Network;
use crate::replica::Replica;
use crate::store::Store;
use crate::types::{Answer, Hello, Order, Raft, Reply, Request, SHARDS, Shard, TxnId};
use crate::watch;
use crate::wire::{Link, Serve};

const FALSE: &str = "this node's clock is not known to be right: it serves nothing";

/// What a node is told on its command line, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub node: u64,
    /// The address of each node, this one's included.
    pub addresses: BTreeMap<u64, String>,
    pub file: String,
    pub fdatasync: bool,
    pub broken: Option<Break>,
    pub heartbeat_ms: u64,
    pub election_ms: (u64, u64),
    pub delta_ms: u64,
    /// What the clock is off by, and what it says it may be.
    pub offset_us: i64,
    pub epsilon_us: u64,
    /// So many ms pass before participants are told of an outcome, of every other transaction.
    pub slow_tell_ms: u64,
    /// After so many ms, in place of the default, a participant asks.
    pub in_doubt_ms: Option<u64>,
}

impl Settings {
    pub fn tell_after(&self, txn: TxnId) -> Duration {
        if self.slow_tell_ms == 0 || txn.is_multiple_of(2) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.slow_tell_ms)
    }

    pub fn in_doubt(&self, usual: Duration) -> Duration {
        self.in_doubt_ms.map_or(usual, Duration::from_millis)
    }
}

pub struct Node {
    pub settings: Settings,
    pub groups: Vec<Arc<Group>>,
    pub links: BTreeMap<u64, Arc<Link>>,
    pub clock: Clock,
    pub commits: CommitGroup,
    pub watch: Watch,
    pub death: Arc<Death>,
    machine: Arc<Steered>,
}

fn config(settings: &Settings) -> Config {
    Config {
        heartbeat_interval: settings.heartbeat_ms,
        election_timeout_min: settings.election_ms.0,
        election_timeout_max: settings.election_ms.1,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(1_000),
        max_in_snapshot_log_to_keep: 200,
        broadcast_submitted_on_append: Some(true),
        enable_pre_vote: Some(true),
        // Not before the clock is known to agree.
        enable_elect: false,
        // A restarted leader that goes on in its term would have forgotten its locks and its floor.
        enable_leader_restore: Some(false),
        ..Config::default()
    }
}

async fn group(
    shard: Shard,
    settings: &Settings,
    store: &Store,
    clock: &Clock,
    links: &BTreeMap<u64, Arc<Link>>,
    death: &Arc<Death>,
) -> Result<Arc<Group>, Failure> {
    let ms = Duration::from_millis;
    let epsilon = Duration::from_micros(settings.epsilon_us);
    let delta = Delta::new(ms(settings.delta_ms), epsilon, ms(10))?;
    let lease = LogLease::new(Holder::draw(settings.node)?, delta);
    let loaded = store.load(shard)?;
    let log = log::open(shard, store.clone(), &loaded)?;
    let replica = Replica::open(&loaded, lease, settings.broken, log.last_index())?;
    let replica = Arc::new(replica);
    let machine = Machine {
        shard,
        replica: Arc::clone(&replica),
        store: store.clone(),
        death: Arc::clone(death),
    };
    let network = Network {
        shard,
        links: links.clone(),
    };
    let config = Arc::new(config(settings).validate()?);
    let raft = Raft::new(settings.node, config, network, log, machine).await?;
    Ok(Group::start(shard, raft, replica, clock.clone()))
}

pub async fn serve(settings: Settings) -> Result<(), Failure> {
    let epsilon = Duration::from_micros(settings.epsilon_us);
    let (clock, machine) = Steered::clock(settings.offset_us, epsilon)?;
    let death = Arc::new(Death::default());
    let store = Store::open(
        Path::new(&settings.file),
        settings.fdatasync,
        Arc::clone(&death),
    )?;
    let links: BTreeMap<u64, Arc<Link>> = settings
        .addresses
        .keys()
        .filter(|peer| **peer != settings.node)
        .map(|peer| (*peer, Arc::new(Link::default())))
        .collect();
    let mut groups = Vec::new();
    for shard in 0..SHARDS {
        groups.push(group(shard, &settings, &store, &clock, &links, &death).await?);
    }
    let listener = TcpListener::bind(&settings.addresses[&settings.node]).await?;
    let node = Arc::new(Node {
        commits: CommitGroup::start(&clock)?,
        settings,
        groups,
        links,
        clock,
        watch: Watch::default(),
        death,
        machine,
    });
    for (peer, link) in &node.links {
        let own = node.settings.node;
        if own < *peer {
            let address = node.settings.addresses[peer].clone();
            tokio::spawn(Arc::clone(link).dial(own, *peer, address, Arc::clone(&node)));
        }
    }
    for group in &node.groups {
        let watched = Arc::clone(&node);
        let serves = move || watched.watch.agrees();
        tokio::spawn(Arc::clone(group).lead(serves));
        tokio::spawn(Arc::clone(&node).settle(Arc::clone(group)));
    }
    tokio::spawn(watch::watch(Arc::clone(&node)));
    frames::serve(listener, |stream| converse(Arc::clone(&node), stream)).await?;
    Ok(())
}

async fn converse(node: Arc<Node>, mut stream: TcpStream) {
    match receive(&mut stream).await {
        Ok(Hello::Peer(peer)) => {
            if let Some(link) = node.links.get(&peer) {
                link.run(peer, stream, &node).await;
            }
        }
        Ok(Hello::Client) => {
            while let Ok(order) = receive::<Order>(&mut stream).await {
                // Of its own, so that it goes on if the client goes away.
                let carrier = Arc::clone(&node);
                let carried = tokio::spawn(async move { carrier.carry_out(order).await });
                let Ok(reply) = carried.await else { return };
                if send(&mut stream, &reply).await.is_err() {
                    return;
                }
            }
        }
        Err(_) => {}
    }
}

fn refused(error: impl std::fmt::Display) -> Answer {
    Answer::Refused(error.to_string())
}

impl Node {
    pub fn group(&self, shard: Shard) -> &Arc<Group> {
        &self.groups[usize::from(shard % SHARDS)]
    }

    pub fn elects(&self, elects: bool) {
        for group in &self.groups {
            group.raft.runtime_config().elect(elects);
        }
    }

    /// Asks the leader of a shard, which may be this node, for as long as the caller is patient.
    pub async fn ask_leader(
        self: &Arc<Self>,
        shard: Shard,
        request: Request,
        patience: Duration,
    ) -> Option<Answer> {
        let leader = self.group(shard).raft.current_leader().await?;
        if leader == self.settings.node {
            let answer = Box::pin(self.answer(shard, request));
            return timeout(patience, answer).await.ok();
        }
        let link = self.links.get(&leader)?;
        link.ask(shard, request, patience).await.ok()
    }

    async fn answer(self: &Arc<Self>, shard: Shard, request: Request) -> Answer {
        let group = self.group(shard);
        let leads = matches!(
            request,
            Request::Prepare(..)
                | Request::Resolve(..)
                | Request::Ask(_)
                | Request::Close(_)
                | Request::Peer(peer::Request::Transfer(_))
        );
        if leads && !self.watch.agrees() {
            return refused(FALSE);
        }
        match request {
            Request::Peer(request) => {
                Answer::Peer(peer::answer(&group.raft, &self.clock, request).await)
            }
            Request::Prepare(part, coordinator) => self
                .prepare(group, part, coordinator)
                .await
                .unwrap_or_else(refused),
            Request::Resolve(txn, at) => self.resolve(group, txn, at).await.unwrap_or_else(refused),
            Request::Ask(txn) => self.tell_outcome(group, txn).await.unwrap_or_else(refused),
            Request::Close(at) => match group.admit() {
                Ok(admitted) => match group.close(admitted, at).await {
                    Ok(()) => Answer::Done,
                    Err(failed) => refused(failed.why()),
                },
                Err(why) => refused(why),
            },
        }
    }

    async fn carry_out(self: Arc<Self>, order: Order) -> Reply {
        match order {
            Order::Transact(_) | Order::Read(..) if !self.watch.agrees() => {
                Reply::Refused(FALSE.into(), None)
            }
            Order::Transact(txn) => self.transact(txn).await,
            Order::Read(keys, how) => self.read(&keys, how).await,
            Order::Initialize(members) => self.initialize(members).await,
            Order::Block(peer, blocked) => {
                if let Some(link) = self.links.get(&peer) {
                    link.block(blocked);
                }
                Reply::Done
            }
            Order::Step(offset_us) => {
                self.machine.step(offset_us);
                Reply::Done
            }
            Order::Slew(offset_us) => {
                self.machine.slew(offset_us);
                Reply::Done
            }
            Order::DieAt(point) => {
                self.death.arm(point);
                Reply::Done
            }
            Order::HandOver(shard, to) => {
                let handed = self.group(shard).raft.trigger().transfer_leader(to).await;
                handed.map_or_else(
                    |error| Reply::Refused(error.to_string(), None),
                    |()| Reply::Done,
                )
            }
            Order::Status => self.status(),
        }
    }

    /// Shards are led by different nodes at first: each by the one that makes it.
    async fn initialize(&self, members: Vec<(u64, String)>) -> Reply {
        let members = peer::members(members);
        for group in &self.groups {
            let first = u64::from(group.shard) + 1;
            if first == self.settings.node
                && let Err(error) = group.raft.initialize(members.clone()).await
            {
                return Reply::Refused(error.to_string(), None);
            }
        }
        Reply::Done
    }

    fn status(&self) -> Reply {
        let groups = || self.groups.iter();
        Reply::Status {
            serves: self.watch.agrees(),
            named: self.watch.named(),
            clocks: self.watch.verdict(),
            leads: groups().map(|group| group.admit().is_ok()).collect(),
            prepared: groups()
                .map(|group| group.replica.state().prepared.len())
                .collect(),
            safe: groups()
                .map(|group| group.replica.safe.safe().unix_nanos())
                .collect(),
            messages: self.links.values().map(|link| link.sent()).sum(),
        }
    }
}

impl Serve for Node {
    async fn serve(self: Arc<Self>, _from: u64, shard: Shard, request: Request) -> Answer {
        self.answer(shard, request).await
    }
}

/// A client's connection to one node.
pub async fn ask(
    stream: &mut Option<TcpStream>,
    address: &str,
    order: &Order,
    patience: Duration,
) -> io::Result<Reply> {
    let new = async {
        let mut stream = frames::connect(address).await?;
        send(&mut stream, &Hello::Client).await?;
        Ok(stream)
    };
    frames::ask(stream, new, order, patience).await
}
