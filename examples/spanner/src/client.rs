//! The workload: clients that transact and read, and a pause now and then in which the state is read.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::RwLock;
use tokio::time::sleep;

use crate::history::{NEVER, Op, What};
use crate::node::ask;
use crate::plan::{Plan, Random};
use crate::types::{
    How, KEYS, Key, NODES, Order, Phases, Reply, SHARDS, Seen, Shard, Transaction, shard_of,
};

pub const CLIENTS: usize = 8;
/// How often the workload pauses.
const PAUSE: Duration = Duration::from_secs(2);
/// How long after the last fault a transaction may take to end.
pub const LAST: Duration = Duration::from_secs(10);

/// What was measured beside the history.
#[derive(Debug, Default)]
pub struct Figures {
    /// Of commits that were answered at their first attempt: the shards, and the phases.
    pub commits: Vec<(usize, Phases)>,
    pub aborted: usize,
    /// µs in the server, of reads: at a timestamp, at `latest`, and by lease.
    pub snapshot: Vec<u64>,
    pub strong: Vec<u64>,
    pub lease: Vec<u64>,
    /// Snapshot reads that took a lock or sent a message.
    pub costly: usize,
    pub refused: [usize; 3],
    /// Messages that strong reads sent, at most.
    pub messages: u64,
}

pub struct Workload {
    pub plan: Plan,
    pub began: Instant,
    addresses: Vec<String>,
    history: Mutex<Vec<Op>>,
    pub figures: Mutex<Figures>,
    /// Held by each operation; alone by who reads the state in between.
    open: RwLock<()>,
    stop: AtomicBool,
    /// When clients give up on what is open still, in ns since the beginning.
    give_up: AtomicU64,
    /// The largest timestamp that was answered.
    newest: AtomicI64,
}

struct Connections {
    streams: Vec<Option<TcpStream>>,
    leaders: Vec<usize>,
    /// A node that is not asked, whatever others say.
    avoid: Option<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    fn new() -> Self {
        Self {
            streams: (0..NODES).map(|_| None).collect(),
            leaders: (0..usize::from(SHARDS)).collect(),
            avoid: None,
        }
    }
}

impl Workload {
    pub fn new(plan: &Plan, addresses: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            plan: plan.clone(),
            began: Instant::now(),
            addresses,
            history: Mutex::default(),
            figures: Mutex::default(),
            open: RwLock::new(()),
            stop: AtomicBool::new(false),
            give_up: AtomicU64::new(u64::MAX),
            newest: AtomicI64::new(0),
        })
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn stop(&self, give_up: u64) {
        self.give_up.store(give_up, Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn history(&self) -> Vec<Op> {
        let mut history = lock(&self.history).clone();
        history.sort_by_key(|op| op.call);
        history
    }

    fn note(&self, client: usize, call: u64, ret: u64, what: What) {
        lock(&self.history).push(Op {
            client,
            call,
            ret,
            what,
        });
    }

    async fn ask(
        &self,
        connections: &mut Connections,
        node: usize,
        order: &Order,
    ) -> io::Result<Reply> {
        let patience = Duration::from_millis(match order {
            Order::Transact(_) => self.plan.patience_ms,
            _ => 1_500 + self.plan.epsilon_us / 100,
        });
        let stream = &mut connections.streams[node];
        ask(stream, &self.addresses[node], order, patience).await
    }

    /// Repeats a transaction until its outcome is known.
    async fn transact(&self, connections: &mut Connections, client: usize, txn: Transaction) {
        let call = self.now();
        let (shard, shards) = (usize::from(txn.coordinator()), txn.shards().len());
        let order = Order::Transact(txn.clone());
        loop {
            let mut node = connections.leaders[shard];
            if connections.avoid == Some(node) {
                node = next(node, None);
            }
            match self.ask(connections, node, &order).await {
                Ok(Reply::Committed { at, read, phases }) => {
                    let ret = self.now();
                    self.newest.fetch_max(at, Ordering::Relaxed);
                    if let Some(phases) = phases {
                        lock(&self.figures).commits.push((shards, phases));
                    }
                    let what = What::Commit {
                        id: txn.id,
                        at,
                        read,
                        writes: txn.writes,
                    };
                    self.note(client, call, ret, what);
                    return;
                }
                Ok(Reply::Aborted) => {
                    lock(&self.figures).aborted += 1;
                    return;
                }
                Ok(Reply::Refused(_, leader)) => {
                    connections.leaders[shard] = next(node, leader);
                }
                _ => connections.leaders[shard] = next(node, None),
            }
            if self.now() > self.give_up.load(Ordering::Relaxed) {
                let what = What::Open {
                    id: txn.id,
                    writes: txn.writes,
                };
                self.note(client, call, NEVER, what);
                return;
            }
            sleep(Duration::from_millis(8)).await;
        }
    }

    /// Reads once; what is refused has seen nothing.
    async fn read(
        &self,
        connections: &mut Connections,
        client: usize,
        node: usize,
        keys: Vec<Key>,
        how: How,
    ) -> Option<Vec<Seen>> {
        let call = self.now();
        let shard = keys.first().map_or(0, |key| usize::from(shard_of(*key)));
        let reply = self.ask(connections, node, &Order::Read(keys, how)).await;
        let kind = match how {
            How::Snapshot(_) => 0,
            How::Strong => 1,
            How::Lease(_) => 2,
        };
        let Ok(Reply::Values {
            at,
            seen,
            messages,
            locks,
            took,
        }) = reply
        else {
            lock(&self.figures).refused[kind] += 1;
            if let (2, Ok(Reply::Refused(_, leader))) = (kind, &reply) {
                connections.leaders[shard] = next(node, *leader);
            } else if kind == 2 {
                connections.leaders[shard] = next(node, None);
            }
            return None;
        };
        let ret = self.now();
        {
            let mut figures = lock(&self.figures);
            match kind {
                0 => {
                    figures.snapshot.push(took);
                    figures.costly += usize::from(messages + locks > 0);
                }
                1 => {
                    figures.strong.push(took);
                    figures.messages = figures.messages.max(messages);
                }
                _ => figures.lease.push(took),
            }
        }
        let newest = seen.iter().map(|seen| seen.version).max().unwrap_or(0);
        self.newest.fetch_max(newest, Ordering::Relaxed);
        let what = What::Read {
            how,
            at,
            seen: seen.clone(),
            cut: client == CLIENTS,
        };
        self.note(client, call, ret, what);
        Some(seen)
    }

    /// One client, until it is told to stop.
    pub async fn client(self: Arc<Self>, client: usize) {
        let mut random = Random(
            self.plan
                .seed
                .wrapping_mul(1_000)
                .wrapping_add(client as u64),
        );
        let mut connections = Connections::new();
        for number in 1.. {
            if self.stopped() {
                return;
            }
            {
                let _open = self.open.read().await;
                self.one(&mut connections, client, number, &mut random)
                    .await;
            }
            // Clients think; besides, a window is to hold no more than the other judge can judge.
            sleep(Duration::from_millis(random.below(4))).await;
        }
    }

    async fn one(
        &self,
        connections: &mut Connections,
        client: usize,
        number: u64,
        random: &mut Random,
    ) {
        let keys = if self.plan.hot { KEYS / 2 } else { KEYS };
        let key = |random: &mut Random| Key::try_from(random.below(u64::from(keys))).unwrap_or(0);
        let any = |random: &mut Random| usize::try_from(random.below(NODES)).unwrap_or(0);
        let id = (client as u64) << 32 | number;
        let value = |place: usize| id << 2 | place as u64;
        match random.below(10) {
            0..3 => {
                // One shard, read and written.
                let first = key(random);
                let second = (first + Key::from(SHARDS)) % keys;
                let txn = Transaction {
                    id,
                    reads: vec![first],
                    writes: vec![(first, value(0)), (second, value(1))],
                };
                self.transact(connections, client, txn).await;
            }
            3..5 => {
                // Two shards or three.
                let mut written = vec![key(random), key(random), key(random)];
                written.sort_unstable();
                written.dedup();
                let places = written.iter().enumerate();
                let txn = Transaction {
                    id,
                    reads: vec![key(random), key(random)],
                    writes: places.map(|(place, key)| (*key, value(place))).collect(),
                };
                let txn = Transaction {
                    reads: dedup(txn.reads),
                    ..txn
                };
                self.transact(connections, client, txn).await;
            }
            5..7 => {
                let keys = dedup(vec![key(random), key(random), key(random)]);
                let node = any(random);
                self.read(connections, client, node, keys, How::Strong)
                    .await;
            }
            7..9 => {
                let newest = self.newest.load(Ordering::Relaxed);
                let ago = i64::try_from(random.below(600_000_000)).unwrap_or(0);
                let keys = dedup(vec![key(random), key(random), key(random)]);
                let node = any(random);
                let how = How::Snapshot((newest - ago).max(0));
                self.read(connections, client, node, keys, how).await;
            }
            _ => {
                let first = key(random);
                let node = connections.leaders[usize::from(shard_of(first))];
                let keys = dedup(vec![first, (first + Key::from(SHARDS)) % keys]);
                let ahead = match random.below(3) {
                    0 => self.plan.ahead_ms,
                    _ => 0,
                };
                self.read(connections, client, node, keys, How::Lease(ahead))
                    .await;
            }
        }
    }

    /// Pauses the workload again and again until nothing is open, and reads the state.
    pub async fn pace(self: Arc<Self>) {
        let mut connections = Connections::new();
        while !self.stopped() {
            sleep(PAUSE).await;
            let _alone = self.open.write().await;
            self.cut(&mut connections).await;
            let seconds = self.now() / 1_000_000_000;
            if seconds % 10 < PAUSE.as_secs() {
                let operations = lock(&self.history).len();
                eprintln!("  {seconds:4}   s  {operations} operations so far");
            }
        }
    }

    /// Reads everything while nothing is open, at whichever node answers.
    async fn cut(&self, connections: &mut Connections) -> Option<Vec<Seen>> {
        let all: Vec<Key> = (0..KEYS).collect();
        for attempt in 0..20 {
            let node = attempt % self.addresses.len();
            let read = self.read(connections, CLIENTS, node, all.clone(), How::Strong);
            if let Some(seen) = read.await {
                return Some(seen);
            }
            sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// What a client does at a moment that the test chooses: a read at one node, by its lease.
    pub async fn read_by_lease(&self, node: usize, shard: Shard, ahead_ms: u32) -> bool {
        let _open = self.open.read().await;
        let keys = vec![Key::from(shard), Key::from(shard) + Key::from(SHARDS)];
        let how = How::Lease(ahead_ms);
        let mut connections = Connections::new();
        self.read(&mut connections, CLIENTS + 1, node, keys, how)
            .await
            .is_some()
    }

    /// Notes that such a write's outcome is not known.
    pub fn gave_up(&self, shard: Shard, number: u64) {
        let id = (CLIENTS as u64 + 1) << 32 | number;
        let writes = vec![(Key::from(shard), id << 2)];
        self.note(CLIENTS + 1, self.now(), NEVER, What::Open { id, writes });
    }

    /// And a write of the keys that it read, asked of other nodes until one carries it out.
    pub async fn write(&self, avoid: usize, shard: Shard, number: u64) {
        let _open = self.open.read().await;
        let id = (CLIENTS as u64 + 1) << 32 | number;
        let txn = Transaction {
            id,
            reads: Vec::new(),
            writes: vec![(Key::from(shard), id << 2)],
        };
        let mut connections = Connections::new();
        connections.avoid = Some(avoid);
        self.transact(&mut connections, CLIENTS + 1, txn).await;
    }

    /// Reads the state once more when all clients have ended.
    pub async fn last_cut(&self) -> bool {
        self.cut(&mut Connections::new()).await.is_some()
    }

    /// Asks once more for every transaction that was acknowledged, and returns those that are not committed at
    /// the timestamp that the client was told, and how many were asked for.
    pub async fn lost(&self, history: &[Op]) -> (Vec<String>, usize) {
        let (mut lost, mut asked) = (Vec::new(), 0);
        let mut connections = Connections::new();
        for op in history {
            let What::Commit {
                id,
                at,
                read,
                writes,
            } = &op.what
            else {
                continue;
            };
            let txn = Transaction {
                id: *id,
                reads: read.iter().map(|seen| seen.key).collect(),
                writes: writes.clone(),
            };
            let shard = usize::from(txn.coordinator());
            asked += 1;
            let mut answer = None;
            for _ in 0..50 {
                let node = connections.leaders[shard];
                let order = Order::Transact(txn.clone());
                match self.ask(&mut connections, node, &order).await {
                    Ok(Reply::Refused(_, leader)) => {
                        connections.leaders[shard] = next(node, leader);
                        sleep(Duration::from_millis(20)).await;
                    }
                    Ok(told) => {
                        answer = Some(told);
                        break;
                    }
                    Err(_) => connections.leaders[shard] = next(node, None),
                }
            }
            match answer {
                Some(Reply::Committed { at: now, .. }) if now == *at => {}
                other => lost.push(format!(
                    "transaction {id} was acknowledged at {at}, and is now {other:?}"
                )),
            }
        }
        (lost, asked)
    }
}

fn dedup(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn next(node: usize, leader: Option<u64>) -> usize {
    let told = leader.and_then(|leader| usize::try_from(leader - 1).ok());
    match told {
        Some(told) if told != node => told,
        _ => (node + 1) % usize::try_from(NODES).unwrap_or(3),
    }
}

/// The shards whose leader a node was, for what a leader's death costs.
#[derive(Clone, Debug)]
pub struct Death {
    pub at: u64,
    pub shards: Vec<Shard>,
}

/// How long each shard had no commit after its leader's death, in ns.
pub fn outages(history: &[Op], deaths: &[Death]) -> Vec<u64> {
    let mut outages = Vec::new();
    for death in deaths {
        for shard in &death.shards {
            let first = history.iter().filter_map(|op| match &op.what {
                What::Commit { writes, .. } if op.ret > death.at + 5_000_000 => {
                    let coordinator = writes.iter().map(|(key, _)| shard_of(*key)).min();
                    (coordinator == Some(*shard)).then_some(op.ret - death.at)
                }
                _ => None,
            });
            outages.extend(first.min());
        }
    }
    outages
}
