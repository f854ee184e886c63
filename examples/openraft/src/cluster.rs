//! Three processes, the clients that use them, and the faults that befall them.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use example_cluster::frames;
use example_cluster::processes::{Processes, free_address, place};
use tokio::time::{sleep, timeout};

use crate::history::{Costs, Seen, What};
use crate::node::Settings;
use crate::types::{Answer, Break, Envelope, Link, Request, Stop, Way};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What befalls a cluster in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Healthy,
    /// The leader is cut off right after an acknowledged heartbeat, and both followers restart.
    Restart,
    /// The leader hears no answer for a moment, and then nothing.
    Cut,
    /// The leader is stopped past its lease, and goes on.
    Stop,
    /// The leader is killed, and restarted later.
    Kill,
    /// The leader, whose clock lies, is cut off; comes back, leads, is found out; and is cut off again.
    Liar,
    /// As a broken rule needs it.
    Unbound,
    Noop,
    Cached,
    Snapshot,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Restart, Self::Cut, Self::Stop, Self::Kill];

    /// What a picture says that befell the cluster.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Healthy => "and no fault",
            Self::Restart => "while the leader is cut off and both followers restart",
            Self::Cut => "while the leader is cut off",
            Self::Stop | Self::Cached => "while the leader is stopped past its lease",
            Self::Kill => "while the leader is dead",
            Self::Liar => "while a clock lies",
            Self::Unbound | Self::Noop | Self::Snapshot => "while requests stop on their way",
        }
    }

    pub const fn of(broken: Break) -> Self {
        match broken {
            Break::Last | Break::Limbo | Break::Appended | Break::Epsilon => Self::Cut,
            Break::Book | Break::Restart => Self::Restart,
            Break::Unbound => Self::Unbound,
            Break::Noop => Self::Noop,
            Break::Cached => Self::Cached,
            Break::Snapshot => Self::Snapshot,
        }
    }
}

/// The node whose clock lies, where one does.
const LIAR: u64 = 1;

/// A run: one cluster, and one fault.
#[derive(Clone, Debug)]
pub struct Plan {
    pub way: Way,
    pub broken: Option<Break>,
    pub fault: Fault,
    pub heartbeat_ms: u64,
    pub election_ms: (u64, u64),
    pub delta_ms: u64,
    /// What each clock is off by, and what all say that they are off by at most.
    pub offsets_us: [i64; 3],
    pub epsilon_us: u64,
    /// Whether the clocks are slewed to and fro besides, within that.
    pub slewed: bool,
    /// Whether a node stops serving once its clock is found false.
    pub stops_when_named: bool,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub history: Vec<Seen>,
    pub costs: Costs,
    /// When the fault struck and when it ended, since the beginning.
    pub fault: (Duration, Duration),
    /// The leader that it struck.
    pub leader: u64,
    /// How long after the leader's death the first write and the first read were answered.
    pub outage: Option<(Duration, Duration)>,
    /// When the node whose clock lies was found out, and what it then said of itself.
    pub named: Option<(Duration, String)>,
    /// Reads that the healthy leader refused, and all that it was asked.
    pub refused: (usize, usize),
}

pub struct Cluster {
    settings: Vec<Settings>,
    processes: Processes,
}

async fn ask(address: &str, body: Request, patience: Duration) -> io::Result<Answer> {
    let question = Envelope { from: 0, body };
    frames::ask(&mut None, frames::connect(address), &question, patience).await
}

impl Cluster {
    async fn start(plan: &Plan) -> io::Result<Self> {
        let mut cluster = Self {
            settings: Vec::new(),
            processes: Processes::new("openraft")?,
        };
        for node in 1..=3_u64 {
            let own = cluster.processes.directory().join(node.to_string());
            fs::create_dir_all(&own)?;
            let settings = Settings {
                node,
                address: free_address()?,
                directory: own.to_string_lossy().into_owned(),
                way: plan.way,
                broken: plan.broken,
                heartbeat_ms: plan.heartbeat_ms,
                election_ms: plan.election_ms,
                delta_ms: plan.delta_ms,
                offset_us: plan.offsets_us[place(node)],
                epsilon_us: plan.epsilon_us,
                slewed: plan.slewed,
                stops_when_named: plan.stops_when_named,
                fresh: true,
            };
            cluster.processes.start(&settings)?;
            cluster.settings.push(settings);
        }
        let members = cluster.members();
        for attempt in 0.. {
            match ask(
                &cluster.address(1),
                Request::Initialize(members.clone()),
                MS(3_000),
            )
            .await
            {
                Ok(Answer::Done) => break,
                _ if attempt < 100 => sleep(MS(50)).await,
                other => return Err(io::Error::other(format!("not initialized: {other:?}"))),
            }
        }
        Ok(cluster)
    }

    fn address(&self, node: u64) -> String {
        self.settings[place(node)].address.clone()
    }

    fn members(&self) -> Vec<(u64, String)> {
        (1..=3).map(|node| (node, self.address(node))).collect()
    }

    async fn tell(&self, node: u64, body: Request) {
        let _ = ask(&self.address(node), body, MS(1_000)).await;
    }

    fn restart(&mut self, node: u64) -> io::Result<()> {
        let settings = &mut self.settings[place(node)];
        settings.fresh = false;
        self.processes.restart(node, settings)
    }

    /// The node that leads in the newest term and serves.
    async fn leader(&self, among: &[u64]) -> Option<(u64, Option<u64>)> {
        let mut newest: Option<(u64, u64, Option<u64>)> = None;
        for node in among {
            let status = ask(&self.address(*node), Request::Status, MS(500)).await;
            if let Ok(Answer::Status {
                leads: true,
                term,
                gate,
                acked_ms_ago,
                ..
            }) = status
            {
                let serves = gate || self.settings[0].way != Way::Ours;
                if serves && newest.is_none_or(|(before, ..)| term > before) {
                    newest = Some((term, *node, acked_ms_ago));
                }
            }
        }
        newest.map(|(_, node, acked)| (node, acked))
    }

    /// Hands the leadership to a node, and waits until it serves.
    async fn hand_over(&self, to: u64) -> io::Result<()> {
        let began = Instant::now();
        let mut asked = began;
        loop {
            match self.leader(&[1, 2, 3]).await {
                Some((leader, _)) if leader == to => return Ok(()),
                Some((leader, _)) if asked <= Instant::now() => {
                    self.tell(leader, Request::HandOver(to)).await;
                    asked = Instant::now() + MS(1_000);
                }
                _ => {}
            }
            if began.elapsed() > MS(30_000) {
                return Err(io::Error::other(format!("node {to} came not to lead")));
            }
            sleep(MS(20)).await;
        }
    }

    /// Lets a follower campaign as early as its timeout would let it, until one leads.
    ///
    /// What chance would make of it: one of two that restarted campaigns somewhere between the shortest and the
    /// longest timeout, and waits twice as long again if the other one's log is longer.
    async fn elect_early(&self, among: &[u64], shortest: Duration) {
        sleep(shortest).await;
        for round in 0..40_usize {
            for node in among {
                let status = ask(&self.address(*node), Request::Status, MS(300)).await;
                if matches!(status, Ok(Answer::Status { leads: true, .. })) {
                    return;
                }
            }
            self.tell(among[round % among.len()], Request::Elect).await;
            sleep(MS(75)).await;
        }
    }

    /// Cuts a node off for so long, deaf for a moment before.
    async fn cut_off(&self, node: u64, span: Duration) {
        self.tell(node, Request::SetLink(Link::Deaf)).await;
        sleep(MS(120)).await;
        self.tell(node, Request::SetLink(Link::Cut)).await;
        sleep(span).await;
        self.tell(node, Request::SetLink(Link::Up)).await;
    }

    async fn await_leader(&self, among: &[u64], patience: Duration) -> io::Result<u64> {
        let began = Instant::now();
        loop {
            if let Some((node, _)) = self.leader(among).await {
                return Ok(node);
            }
            if began.elapsed() > patience {
                return Err(io::Error::other("no leader"));
            }
            sleep(MS(20)).await;
        }
    }
}

/// What all clients share.
struct Clients {
    began: Instant,
    addresses: Vec<String>,
    seen: Mutex<(Vec<Seen>, Costs)>,
    stop: AtomicBool,
    patience: Duration,
}

impl Clients {
    fn note(&self, seen: Seen) {
        self.seen.lock().expect("no panic").0.push(seen);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Reads at one node, whatever that node believes to be.
async fn reader(clients: Arc<Clients>, client: usize) {
    let node = client as u64 + 1;
    let mut stream = None;
    let mut round = 0_u8;
    while !clients.stopped() {
        round = (round + 1) % 3;
        let key = round;
        let call = clients.began.elapsed();
        let question = Envelope {
            from: 0,
            body: Request::Read { key },
        };
        let new = frames::connect(&clients.addresses[client]);
        let answered = frames::ask(&mut stream, new, &question, clients.patience).await;
        let answer = Some(clients.began.elapsed());
        let what = match answered {
            Ok(Answer::Value { value, took, state }) => {
                let mut seen = clients.seen.lock().expect("no panic");
                seen.1.took.push(took);
                seen.1.state.push(state);
                What::Read(value)
            }
            _ => What::Refused,
        };
        clients.note(Seen {
            client,
            node,
            key,
            call,
            answer,
            what,
        });
        sleep(MS(5)).await;
    }
}

/// Writes one register, each value until it is acknowledged by some node.
async fn writer(clients: Arc<Clients>, key: u8) {
    let mut node = 0;
    let client = 3 + usize::from(key);
    for value in 1.. {
        let call = clients.began.elapsed();
        let seen = Seen {
            client,
            node: 0,
            key,
            call,
            answer: None,
            what: What::Write(value),
        };
        loop {
            if clients.stopped() {
                clients.note(seen);
                return;
            }
            let body = Request::Write {
                key,
                value,
                request: value,
            };
            match ask(&clients.addresses[node], body, MS(400)).await {
                Ok(Answer::Done) => break,
                _ => node = (node + 1) % 3,
            }
            sleep(MS(10)).await;
        }
        let answer = Some(clients.began.elapsed());
        clients.note(Seen {
            node: node as u64 + 1,
            answer,
            ..seen
        });
        sleep(MS(10)).await;
    }
}

pub async fn run(plan: &Plan) -> io::Result<Outcome> {
    let mut cluster = Cluster::start(plan).await?;
    let mut leader = cluster.await_leader(&[1, 2, 3], MS(30_000)).await?;
    if plan.fault == Fault::Liar {
        cluster.hand_over(LIAR).await?;
    }
    let clients = Arc::new(Clients {
        began: Instant::now(),
        addresses: (1..=3).map(|node| cluster.address(node)).collect(),
        seen: Mutex::default(),
        stop: AtomicBool::new(false),
        // A reader gives up and asks again, so that requests queue up at a stopped node.
        patience: if plan.fault == Fault::Snapshot {
            MS(8_000)
        } else {
            MS(400)
        },
    });
    let mut tasks = Vec::new();
    for client in 0..3 {
        tasks.push(tokio::spawn(reader(Arc::clone(&clients), client)));
    }
    for key in 0..2 {
        tasks.push(tokio::spawn(writer(Arc::clone(&clients), key)));
    }
    sleep(MS(2_000)).await;
    // Right after an acknowledged heartbeat, so that the lease is as fresh as it gets.
    for _ in 0..400 {
        if let Some((node, Some(acked))) = cluster.leader(&[1, 2, 3]).await {
            leader = node;
            if acked < 40 {
                break;
            }
        }
        sleep(MS(5)).await;
    }
    let healthy_until = clients.began.elapsed();
    let named = strike(plan, &mut cluster, leader, &clients).await?;
    let ended = clients.began.elapsed();
    sleep(MS(1_000)).await;
    clients.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        let _ = timeout(MS(9_000), task).await;
    }
    let (mut history, costs) = std::mem::take(&mut *clients.seen.lock().expect("no panic"));
    history.sort_by_key(|seen| seen.call);
    let outage = (plan.fault == Fault::Kill)
        .then(|| outage(&history, healthy_until))
        .flatten();
    let healthy = |seen: &&Seen| {
        seen.node == leader && seen.call < healthy_until && !matches!(seen.what, What::Write(_))
    };
    let asked = history.iter().filter(healthy).count();
    let refused = history
        .iter()
        .filter(healthy)
        .filter(|seen| seen.what == What::Refused)
        .count();
    Ok(Outcome {
        history,
        costs,
        fault: (healthy_until, ended),
        leader,
        outage,
        named,
        refused: (refused, asked),
    })
}

/// When the first write and the first read were answered that began after an instant.
fn outage(history: &[Seen], from: Duration) -> Option<(Duration, Duration)> {
    let first = |write: bool| {
        history
            .iter()
            .filter(|seen| {
                matches!(seen.what, What::Write(_)) == write && seen.what != What::Refused
            })
            .filter_map(|seen| seen.answer)
            .filter(|answer| *answer > from + MS(100))
            .min()
    };
    Some((
        first(true)?.checked_sub(from)?,
        first(false)?.checked_sub(from)?,
    ))
}

async fn strike(
    plan: &Plan,
    cluster: &mut Cluster,
    leader: u64,
    clients: &Arc<Clients>,
) -> io::Result<Option<(Duration, String)>> {
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    let lease = MS(plan.delta_ms.max(plan.election_ms.1));
    match plan.fault {
        Fault::Healthy => sleep(MS(2_000)).await,
        Fault::Restart => {
            cluster.tell(leader, Request::SetLink(Link::Cut)).await;
            for node in &others {
                cluster.processes.kill(*node);
            }
            for node in &others {
                cluster.restart(*node)?;
            }
            let began = Instant::now();
            cluster.elect_early(&others, MS(plan.election_ms.0)).await;
            // The old lease may run this long, and then the next begins.
            sleep((lease + MS(1_300)).saturating_sub(began.elapsed())).await;
            cluster.tell(leader, Request::SetLink(Link::Up)).await;
        }
        Fault::Cut => {
            cluster
                .cut_off(leader, lease + MS(2 * plan.election_ms.1 + 700))
                .await;
        }
        Fault::Liar => {
            let past = lease + MS(2 * plan.election_ms.1 + 700);
            cluster.cut_off(LIAR, past).await;
            sleep(MS(500)).await;
            cluster.hand_over(LIAR).await?;
            sleep(MS(500)).await;
            for node in 1..=3 {
                cluster.tell(node, Request::Watch(cluster.members())).await;
            }
            let began = Instant::now();
            let named = loop {
                let status = ask(&cluster.address(LIAR), Request::Status, MS(500)).await;
                if let Ok(Answer::Status {
                    named: true,
                    clocks,
                    ..
                }) = status
                {
                    break (clients.began.elapsed(), clocks);
                }
                if began.elapsed() > MS(10_000) {
                    return Err(io::Error::other("the clock that lies was not found out"));
                }
                sleep(MS(20)).await;
            };
            // What the policy says, the next leader's readiness, or the liar's going on: then the first fault again.
            sleep(lease).await;
            cluster.cut_off(LIAR, past).await;
            return Ok(Some(named));
        }
        Fault::Stop | Fault::Cached => {
            let stopped = lease + MS(2 * plan.election_ms.1 + 500);
            if plan.fault == Fault::Cached {
                let ms = u64::try_from(stopped.as_millis()).unwrap_or(0) + 400;
                cluster
                    .tell(leader, Request::Arm(Stop::BeforeVerdict, ms))
                    .await;
            }
            cluster.processes.stop(leader);
            sleep(stopped).await;
            cluster.processes.go_on(leader);
        }
        Fault::Kill => {
            cluster.processes.kill(leader);
            sleep(lease + MS(2 * plan.election_ms.1 + 700)).await;
            cluster.restart(leader)?;
        }
        Fault::Snapshot => {
            // Reads at the followers hold a state that lags, and check once one of them leads.
            for node in &others {
                cluster
                    .tell(*node, Request::Arm(Stop::BeforeApply, 600))
                    .await;
            }
            sleep(MS(300)).await;
            for node in &others {
                cluster
                    .tell(*node, Request::Arm(Stop::BeforeCheck, 60_000))
                    .await;
            }
            sleep(MS(100)).await;
            cluster.processes.kill(leader);
            let next = cluster.await_leader(&others, lease + MS(6_000)).await?;
            cluster.tell(next, Request::Arm(Stop::BeforeCheck, 0)).await;
            sleep(MS(500)).await;
        }
        Fault::Noop => {
            // The followers know of no renewal; the next leader takes the book for complete.
            for node in &others {
                cluster
                    .tell(*node, Request::Arm(Stop::BeforeApply, 60_000))
                    .await;
            }
            sleep(MS(plan.delta_ms / 2 + 200)).await;
            cluster.tell(leader, Request::SetLink(Link::Cut)).await;
            sleep(MS(1_400)).await;
            for node in &others {
                cluster
                    .tell(*node, Request::Arm(Stop::BeforeApply, 0))
                    .await;
            }
            sleep(lease).await;
            cluster.tell(leader, Request::SetLink(Link::Up)).await;
        }
        Fault::Unbound => {
            // A write passes the gate, and stops; another node leads, and is cut off; the first leads again.
            cluster
                .tell(leader, Request::Arm(Stop::AfterGate, 60_000))
                .await;
            let (late, address) = (Arc::clone(clients), cluster.address(leader));
            let write = tokio::spawn(async move {
                let call = late.began.elapsed();
                let body = Request::Write {
                    key: 2,
                    value: 1,
                    request: 1,
                };
                let done = ask(&address, body, MS(30_000)).await;
                let answer = matches!(done, Ok(Answer::Done)).then(|| late.began.elapsed());
                late.note(Seen {
                    client: 5,
                    node: leader,
                    key: 2,
                    call,
                    answer,
                    what: What::Write(1),
                });
            });
            sleep(MS(200)).await;
            cluster.tell(leader, Request::SetLink(Link::Cut)).await;
            let second = cluster.await_leader(&others, lease + MS(8_000)).await?;
            sleep(MS(300)).await;
            cluster.tell(leader, Request::SetLink(Link::Up)).await;
            // Until the first has all of the log, and its rival no more: else it is not elected.
            sleep(MS(1_500)).await;
            cluster
                .tell(second, Request::Arm(Stop::AfterGate, 60_000))
                .await;
            sleep(MS(250)).await;
            cluster.tell(second, Request::SetLink(Link::Cut)).await;
            // Its lease is renewed at half, so half of it is left, at least.
            sleep(MS(plan.election_ms.1 - 50)).await;
            let began = Instant::now();
            while began.elapsed() < lease {
                cluster.tell(leader, Request::Elect).await;
                let status = ask(&cluster.address(leader), Request::Status, MS(300)).await;
                if matches!(status, Ok(Answer::Status { leads: true, .. })) {
                    break;
                }
                sleep(MS(150)).await;
            }
            cluster.tell(leader, Request::Arm(Stop::AfterGate, 0)).await;
            sleep(lease).await;
            cluster.tell(second, Request::SetLink(Link::Up)).await;
            let _ = timeout(MS(5_000), write).await;
        }
    }
    Ok(None)
}
