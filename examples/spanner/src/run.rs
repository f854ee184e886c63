//! One run: a cluster, its clients, its faults, and what the judges say.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::{CLIENTS, Death, Figures, LAST, Workload};
use crate::cluster::Cluster;
use crate::history::{Op, What};
use crate::nemesis::{Done, Nemesis};
use crate::plan::{Faults, Plan, Random};
use crate::{wgl, witness};

#[derive(Debug)]
pub struct Outcome {
    pub history: Vec<Op>,
    pub figures: Figures,
    pub faults: Done,
    pub seconds: f64,
    /// What the witness found, how many windows the other rejected and could not judge, and how many there were.
    pub wrong: Vec<String>,
    pub rejected: usize,
    pub unjudged: usize,
    pub windows: usize,
    /// Transactions that were open when the last fault was over, and those of them that ended in time.
    pub open: usize,
    pub ended: usize,
    /// What was left prepared at the end; none if a node did not say.
    pub prepared: Option<usize>,
    pub last_cut: bool,
    /// Acknowledged transactions that were asked for again in the end.
    pub asked: usize,
}

impl Outcome {
    pub fn deaths(&self) -> &[Death] {
        &self.faults.deaths
    }

    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.rejected == 0 && self.unjudged == 0
    }

    /// Whether everything ended that has to.
    pub fn is_over(&self) -> bool {
        self.prepared == Some(0) && self.last_cut && self.ended * 20 >= self.open * 19
    }
}

pub async fn run(plan: &Plan) -> io::Result<Outcome> {
    let mut cluster = Cluster::start(plan).await?;
    let workload = Workload::new(plan, cluster.addresses());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(Arc::clone(&workload).client(client)))
        .collect();
    let pacing = tokio::spawn(Arc::clone(&workload).pace());
    let mut nemesis = Nemesis {
        plan: plan.clone(),
        workload: Arc::clone(&workload),
        random: Random(plan.seed ^ 0x5eed),
        done: Done::default(),
    };
    // The end is for what the last fault left behind.
    let mend = match plan.faults {
        Faults::None => 0,
        _ => 2_500,
    };
    let faulty = Duration::from_millis((plan.seconds * 1_000).saturating_sub(mend));
    nemesis.run(&mut cluster, faulty).await?;
    let over = nemesis.done.over;
    sleep(Duration::from_millis(mend)).await;
    let last = u64::try_from(LAST.as_nanos()).unwrap_or(u64::MAX);
    workload.stop(over + last);
    for client in clients {
        let _ = timeout(LAST * 2, client).await;
    }
    let _ = timeout(LAST, pacing).await;
    let seconds = workload.began.elapsed().as_secs_f64();
    let prepared = settled(&cluster).await;
    let last_cut = workload.last_cut().await;
    let history = workload.history();
    // What the judges see of a key is its last write; every other one is asked for by name.
    let (lost, asked) = workload.lost(&history).await;
    drop(cluster);
    let open = history
        .iter()
        .filter(|op| !matches!(op.what, What::Read { .. }) && op.call <= over && op.ret > over);
    let ended = open.clone().filter(|op| op.ret <= over + last).count();
    let open = open.count();
    let mut wrong = witness::judge(&history);
    wrong.extend(lost);
    let (rejected, unjudged) = wgl::judge(&history);
    let figures = std::mem::take(
        &mut *workload
            .figures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    );
    Ok(Outcome {
        windows: wgl::windows(&history).len() - 1,
        history,
        figures,
        faults: nemesis.done,
        seconds,
        wrong,
        rejected,
        unjudged,
        open,
        ended,
        prepared,
        last_cut,
        asked,
    })
}

/// How many transactions are prepared still, a while after all clients have ended.
async fn settled(cluster: &Cluster) -> Option<usize> {
    let began = Instant::now();
    loop {
        let prepared = cluster.prepared().await;
        if prepared == Some(0) || began.elapsed() > LAST {
            return prepared;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
