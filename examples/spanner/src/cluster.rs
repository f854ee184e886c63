//! Three processes, and what can be done to them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::node::{Settings, ask};
use crate::plan::Plan;
use crate::types::{NODES, Order, Reply, SHARDS, Shard};

const MS: fn(u64) -> Duration = Duration::from_millis;

pub struct Cluster {
    settings: Vec<Settings>,
    children: Vec<Child>,
    directory: PathBuf,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn start(settings: &Settings) -> io::Result<Child> {
    let settings = serde_json::to_string(settings)?;
    Command::new(std::env::current_exe()?)
        .args(["--node", &settings])
        // Held open for as long as this process lives: a node ends with it.
        .stdin(Stdio::piped())
        .spawn()
}

/// A port that no process listens on, below those that the system gives to connections.
fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 100).unwrap_or(0) * 100;
    for _ in 0..1_000 {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn place(node: u64) -> usize {
    usize::try_from(node - 1).unwrap_or(0)
}

impl Cluster {
    pub async fn start(plan: &Plan) -> io::Result<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("epsilon-spanner-{}-{run}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let mut addresses = BTreeMap::new();
        for node in 1..=NODES {
            addresses.insert(node, format!("127.0.0.1:{}", free_port()?));
        }
        let mut cluster = Self {
            settings: Vec::new(),
            children: Vec::new(),
            directory,
        };
        for node in 1..=NODES {
            let file = cluster.directory.join(format!("{node}.redb"));
            let settings = Settings {
                node,
                addresses: addresses.clone(),
                file: file.to_string_lossy().into_owned(),
                fdatasync: plan.fdatasync,
                broken: plan.broken,
                heartbeat_ms: 60,
                election_ms: (300, 600),
                delta_ms: plan.delta_ms,
                offset_us: plan.offsets_us[place(node)],
                epsilon_us: plan.epsilon_us,
                slow_tell_ms: plan.slow_tell_ms,
                in_doubt_ms: plan.in_doubt_ms,
            };
            cluster.children.push(start(&settings)?);
            cluster.settings.push(settings);
        }
        let began = Instant::now();
        for node in 1..=NODES {
            while !cluster.serves(node).await {
                if began.elapsed() > MS(20_000) {
                    return Err(io::Error::other("a node does not come to serve"));
                }
                sleep(MS(20)).await;
            }
        }
        let members: Vec<(u64, String)> = addresses.into_iter().collect();
        for node in 1..=NODES {
            cluster.tell(node, Order::Initialize(members.clone())).await;
        }
        while cluster.leaders().await.iter().any(Option::is_none) {
            if began.elapsed() > MS(30_000) {
                return Err(io::Error::other("a shard has no leader"));
            }
            sleep(MS(20)).await;
        }
        Ok(cluster)
    }

    pub fn addresses(&self) -> Vec<String> {
        let own = |settings: &Settings| settings.addresses[&settings.node].clone();
        self.settings.iter().map(own).collect()
    }

    pub async fn tell(&self, node: u64, order: Order) -> Option<Reply> {
        let address = &self.addresses()[place(node)];
        ask(&mut None, address, &order, MS(500)).await.ok()
    }

    async fn serves(&self, node: u64) -> bool {
        let status = self.tell(node, Order::Status).await;
        matches!(status, Some(Reply::Status { serves: true, .. }))
    }

    /// Which node leads each shard, with an open gate.
    pub async fn leaders(&self) -> Vec<Option<u64>> {
        let mut leaders = vec![None; usize::from(SHARDS)];
        for node in 1..=NODES {
            if let Some(Reply::Status { leads, .. }) = self.tell(node, Order::Status).await {
                for (leader, leads) in leaders.iter_mut().zip(leads) {
                    if leads {
                        *leader = Some(node);
                    }
                }
            }
        }
        leaders
    }

    /// How many transactions are prepared, on all nodes.
    pub async fn prepared(&self) -> Option<usize> {
        let mut sum = 0;
        for node in 1..=NODES {
            match self.tell(node, Order::Status).await {
                Some(Reply::Status { prepared, .. }) => sum += prepared.iter().sum::<usize>(),
                _ => return None,
            }
        }
        Some(sum)
    }

    pub fn kill(&mut self, node: u64) {
        let child = &mut self.children[place(node)];
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Whether a node's process has ended by itself.
    pub fn is_dead(&mut self, node: u64) -> bool {
        matches!(self.children[place(node)].try_wait(), Ok(Some(_)))
    }

    pub fn restart(&mut self, node: u64) -> io::Result<()> {
        self.children[place(node)] = start(&self.settings[place(node)])?;
        Ok(())
    }

    /// Restarts a node with a clock that is off by more than it says.
    pub fn restart_as_liar(&mut self, node: u64, offset_us: i64) -> io::Result<()> {
        let settings = Settings {
            offset_us,
            ..self.settings[place(node)].clone()
        };
        self.children[place(node)] = start(&settings)?;
        Ok(())
    }

    /// Whether a node was told that its clock is false.
    pub async fn is_named(&self, node: u64) -> Option<String> {
        match self.tell(node, Order::Status).await {
            Some(Reply::Status {
                named: true,
                serves: false,
                clocks,
                ..
            }) => Some(clocks),
            _ => None,
        }
    }

    pub fn signal(&self, node: u64, stop: bool) {
        let pid = Pid::from_child(&self.children[place(node)]);
        let signal = if stop { Signal::STOP } else { Signal::CONT };
        let _ = kill_process(pid, signal);
    }

    /// Cuts what a node sends, and with `both` what it is sent.
    pub async fn cut(&self, node: u64, both: bool, cut: bool) {
        for peer in (1..=NODES).filter(|peer| *peer != node) {
            self.tell(node, Order::Block(peer, cut)).await;
            if both {
                self.tell(peer, Order::Block(node, cut)).await;
            }
        }
    }

    pub async fn hand_over(&self, shard: Shard, to: u64) {
        let leader = self.leaders().await[usize::from(shard)];
        if let Some(leader) = leader.filter(|leader| *leader != to) {
            self.tell(leader, Order::HandOver(shard, to)).await;
        }
    }
}
