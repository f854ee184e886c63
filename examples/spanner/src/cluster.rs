//! Three processes, and what can be done to them.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use example_cluster::processes::{Processes, free_address, place};
use tokio::time::sleep;

use crate::node::{Settings, ask};
use crate::plan::Plan;
use crate::types::{NODES, Order, Reply, SHARDS, Shard};

const MS: fn(u64) -> Duration = Duration::from_millis;

pub struct Cluster {
    settings: Vec<Settings>,
    pub processes: Processes,
}

impl Cluster {
    pub async fn start(plan: &Plan) -> io::Result<Self> {
        let mut addresses = BTreeMap::new();
        for node in 1..=NODES {
            addresses.insert(node, free_address()?);
        }
        let mut cluster = Self {
            settings: Vec::new(),
            processes: Processes::new("spanner")?,
        };
        for node in 1..=NODES {
            let file = cluster.processes.directory().join(format!("{node}.redb"));
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
            cluster.processes.start(&settings)?;
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

    pub fn restart(&mut self, node: u64) -> io::Result<()> {
        self.processes.restart(node, &self.settings[place(node)])
    }

    /// Restarts a node with a clock that is off by more than it says.
    pub fn restart_as_liar(&mut self, node: u64, offset_us: i64) -> io::Result<()> {
        let settings = Settings {
            offset_us,
            ..self.settings[place(node)].clone()
        };
        self.processes.restart(node, &settings)
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
