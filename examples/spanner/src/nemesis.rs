//! What befalls the cluster, from a seed.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::breaks::Point;
use crate::client::{Death, Workload};
use crate::cluster::Cluster;
use crate::plan::{Faults, Plan, Random};
use crate::types::{NODES, Order, SHARDS, Shard};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What was done, and what came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// Each kind, and how often.
    pub counts: std::collections::BTreeMap<&'static str, usize>,
    pub deaths: Vec<Death>,
    /// Liars, those that were named and served nothing from then on, and what one of them heard.
    pub liars: usize,
    pub named: usize,
    pub verdict: String,
    /// When the last fault was over, in ns since the beginning.
    pub over: u64,
}

/// How far ahead a leader reads that is about to be cut off: less than half of its lease.
const FAR_AHEAD_MS: u32 = 3_500;

pub struct Nemesis {
    pub plan: Plan,
    pub workload: Arc<Workload>,
    pub random: Random,
    pub done: Done,
}

impl Nemesis {
    fn node(&mut self) -> u64 {
        1 + self.random.below(NODES)
    }

    fn note(&mut self, kind: &'static str) {
        // Progress, for a person who watches.
        eprintln!("  {:6.1} s  {kind}", self.workload.now() as f64 / 1e9);
        *self.done.counts.entry(kind).or_default() += 1;
    }

    /// Lets faults happen until the time is over, and mends everything.
    pub async fn run(&mut self, cluster: &mut Cluster, until: Duration) -> io::Result<()> {
        let began = Instant::now();
        let (mut last, mut turn) = (0, 0);
        while began.elapsed() < until {
            match self.plan.faults {
                Faults::None => sleep(MS(100)).await,
                Faults::HandOver(every) => {
                    sleep(MS(every)).await;
                    // Each shard to the next node, and all at once.
                    turn += 1;
                    for shard in 0..SHARDS {
                        let to = 1 + (u64::from(shard) + turn as u64) % NODES;
                        cluster.hand_over(shard, to).await;
                    }
                    self.note("handed over");
                }
                Faults::Restart => {
                    sleep(MS(1_500)).await;
                    if began.elapsed() < until {
                        self.restart_both(cluster).await?;
                    }
                }
                Faults::KillAll => {
                    sleep(MS(1_500)).await;
                    if began.elapsed() < until {
                        let point = Point::ALL[turn % Point::ALL.len()];
                        turn += 1;
                        self.kill_all(cluster, point).await?;
                    }
                }
                Faults::All => {
                    sleep(MS(700 + self.random.below(1_000))).await;
                    // Never the same twice running, and all kinds before long.
                    last = (last + 1 + self.random.below(8)) % 9;
                    if began.elapsed() < until {
                        self.one(cluster, last).await?;
                    }
                }
            }
        }
        self.done.over = self.workload.now();
        Ok(())
    }

    async fn one(&mut self, cluster: &mut Cluster, kind: u64) -> io::Result<()> {
        let node = self.node();
        match kind {
            0 | 1 => {
                self.kill(cluster, node).await;
                sleep(MS(300 + self.random.below(1_500))).await;
                cluster.restart(node)?;
                self.note("kill -9");
            }
            2 => {
                self.death(cluster, node).await;
                cluster.processes.stop(node);
                sleep(MS(self.plan.delta_ms + 500)).await;
                cluster.processes.go_on(node);
                self.note("SIGSTOP past the lease");
            }
            3 => {
                self.death(cluster, node).await;
                cluster.cut(node, true, true).await;
                sleep(MS(500 + self.random.below(2_000))).await;
                cluster.cut(node, true, false).await;
                self.note("partition, both ways");
            }
            4 => {
                cluster.cut(node, false, true).await;
                sleep(MS(500 + self.random.below(2_000))).await;
                cluster.cut(node, false, false).await;
                self.note("partition, one way");
            }
            5 => {
                // Within what the clock says it may be off by.
                let to = self.offset();
                cluster.tell(node, Order::Step(to)).await;
                self.note("step");
            }
            6 => {
                let to = self.offset();
                cluster.tell(node, Order::Slew(to)).await;
                self.note("slew");
            }
            7 => self.liar(cluster, node).await?,
            _ => {
                let point = Point::ALL[usize::try_from(self.random.below(4)).unwrap_or(0)];
                self.kill_all(cluster, point).await?;
            }
        }
        Ok(())
    }

    fn offset(&mut self) -> i64 {
        let epsilon = i64::try_from(self.plan.epsilon_us).unwrap_or(0);
        self.random.within(epsilon * 8 / 10)
    }

    async fn death(&mut self, cluster: &Cluster, node: u64) {
        let leaders = cluster.leaders().await;
        let shards = (0..SHARDS)
            .filter(|shard| leaders[usize::from(*shard)] == Some(node))
            .collect();
        let at = self.workload.now();
        self.done.deaths.push(Death { at, shards });
    }

    async fn kill(&mut self, cluster: &mut Cluster, node: u64) {
        self.death(cluster, node).await;
        cluster.processes.kill(node);
    }

    /// A clock that is off by far more than it says: its node is to serve nothing.
    async fn liar(&mut self, cluster: &mut Cluster, node: u64) -> io::Result<()> {
        let off = i64::try_from(self.plan.epsilon_us).unwrap_or(0) * 20 + 50_000;
        let off = if self.random.below(2) == 0 { off } else { -off };
        cluster.processes.kill(node);
        cluster.restart_as_liar(node, off)?;
        self.done.liars += 1;
        for _ in 0..100 {
            sleep(MS(30)).await;
            if let Some(verdict) = cluster.is_named(node).await {
                self.done.named += 1;
                self.done.verdict = verdict;
                break;
            }
        }
        // It goes on lying for a while, and clients go on asking it.
        sleep(MS(500)).await;
        cluster.processes.kill(node);
        cluster.restart(node)?;
        self.note("liar");
        Ok(())
    }

    /// One dies at a point of the program, and with it the others; what was not synced is forgotten.
    async fn kill_all(&mut self, cluster: &mut Cluster, point: Point) -> io::Result<()> {
        for node in 1..=NODES {
            cluster.tell(node, Order::DieAt(point)).await;
        }
        let armed = Instant::now();
        let mut died = false;
        while !died && armed.elapsed() < MS(1_500) {
            sleep(MS(1)).await;
            died = (1..=NODES).any(|node| cluster.processes.is_dead(node));
        }
        for node in 1..=NODES {
            cluster.processes.kill(node);
        }
        for node in 1..=NODES {
            cluster.restart(node)?;
        }
        self.note(match (died, point) {
            (false, _) => "all killed",
            (true, Point::Append) => "all killed after append",
            (true, Point::Sync) => "all killed after sync",
            (true, Point::Wait) => "all killed between log and wait",
            (true, Point::Apply) => "all killed between commit and apply",
        });
        // Time for all to come back, which is no fault any more.
        sleep(MS(1_000)).await;
        Ok(())
    }

    /// A leader reads far ahead within its lease, and is cut off; both others are killed, restarted,
    /// and asked to write what it read.
    async fn restart_both(&mut self, cluster: &mut Cluster) -> io::Result<()> {
        let shard = Shard::try_from(self.random.below(u64::from(SHARDS))).unwrap_or(0);
        let Some(node) = cluster.leaders().await[usize::from(shard)] else {
            return Ok(());
        };
        let others: Vec<u64> = (1..=NODES).filter(|other| *other != node).collect();
        let place = |node: u64| usize::try_from(node - 1).unwrap_or(0);
        let workload = Arc::clone(&self.workload);
        if !workload
            .read_by_lease(place(node), shard, FAR_AHEAD_MS)
            .await
        {
            return Ok(());
        }
        for other in &others {
            cluster.processes.kill(*other);
        }
        cluster.cut(node, false, true).await;
        for other in &others {
            cluster.restart(*other)?;
        }
        let number = self.random.below(1 << 30);
        let write = workload.write(place(node), shard, number);
        if tokio::time::timeout(MS(self.plan.delta_ms + 4_000), write)
            .await
            .is_err()
        {
            workload.gave_up(shard, number);
        }
        cluster.cut(node, false, false).await;
        sleep(MS(1_500)).await;
        self.note("both others restarted");
        Ok(())
    }
}
