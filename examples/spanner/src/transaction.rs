//! Two-phase commit: the coordinator's part, the participants', and what becomes of those left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::breaks::{Break, Point};
use crate::group::{Admitted, Failed, Group};
use crate::node::Node;
use crate::replica::stamp;
use crate::types::{
    Answer, Command, Nanos, Outcome, Phases, Reply, Request, Seen, Shard, Term, Transaction, TxnId,
};

/// How long a transaction waits for locks before it gives up.
const LOCK: Duration = Duration::from_millis(250);
/// How long a participant has to prepare.
const PREPARE: Duration = Duration::from_millis(700);
/// After so long a participant asks what became of a transaction.
const IN_DOUBT: Duration = Duration::from_millis(150);

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Node {
    fn breaks(&self, rule: Break) -> bool {
        self.settings.broken == Some(rule)
    }

    /// Carries a transaction out, or tells what became of it.
    pub async fn transact(self: &Arc<Self>, txn: Transaction) -> Reply {
        let shard = txn.coordinator();
        let group = self.group(shard);
        match self.coordinate(group, txn).await {
            Ok(reply) => reply,
            Err(why) => Reply::Refused(why, group.raft.current_leader().await),
        }
    }

    async fn coordinate(
        self: &Arc<Self>,
        group: &Arc<Group>,
        txn: Transaction,
    ) -> Result<Reply, String> {
        let arrived = Instant::now();
        let admitted = group.admit()?;
        // Looked for after the gate: what earlier terms decided is applied by now.
        let known = |txn| group.replica.state().outcomes.get(txn).cloned();
        if self.breaks(Break::Again)
            && let Some(Outcome::Committed { at, read }) = known(&txn.id)
        {
            return Ok(Reply::Committed {
                at,
                read,
                phases: None,
            });
        }
        let under_way = group
            .begin(txn.id)
            .ok_or("an earlier attempt is under way")?;
        if let Some(outcome) = known(&txn.id) {
            return self.acknowledge(outcome, None).await;
        }
        let mut phases = Phases::default();
        let parts: Vec<Shard> = txn.shards().into_iter().collect();
        let own = txn.part(group.shard);
        let term = Term::from(admitted.term);
        let locks = group.locks.take(&group.replica, &own, term, LOCK).await;
        let Some(locks) = locks else {
            return self.abort(group, admitted, txn.id, &parts).await;
        };
        let (mut floors, mut read) = (Vec::new(), Vec::new());
        for shard in parts.iter().copied().filter(|part| *part != group.shard) {
            match self.prepare_at(shard, &txn, group.shard).await {
                Some((at, seen)) => {
                    floors.push(at);
                    read.extend(seen);
                }
                None => return self.abort(group, admitted, txn.id, &parts).await,
            }
        }
        // Under the locks; whatever was acknowledged before is applied.
        read.extend(group.replica.state().read_at(&own.reads, Nanos::MAX));
        phases.prepared = micros(arrived);
        let reads = read.clone();
        let id = txn.id;
        let commit = move |term, at| Command::Commit {
            term,
            at,
            part: own,
            read: reads,
        };
        let proposed = match group.draw(admitted, &floors, commit).await {
            Ok(proposed) => proposed,
            Err(Failed::Never(_)) => return self.abort(group, admitted, id, &parts).await,
            Err(failed) => return Err(failed.why()),
        };
        let at = proposed.at;
        phases.drawn = micros(arrived) - micros(proposed.since);
        proposed.applied().await.map_err(Failed::why)?;
        phases.applied = micros(arrived);
        drop(locks);
        drop(under_way);
        self.tell(id, Some(at), &parts, group.shard);
        self.death.come_to(Point::Wait);
        self.commits
            .until_past(stamp(at))
            .await
            .map_err(|error| error.to_string())?;
        phases.past = micros(arrived);
        Ok(Reply::Committed {
            at,
            read,
            phases: Some(phases),
        })
    }

    /// Answers with an outcome that is in the log, once it surely is past for this node too.
    async fn acknowledge(&self, outcome: Outcome, phases: Option<Phases>) -> Result<Reply, String> {
        match outcome {
            Outcome::Committed { at, read } => {
                self.commits
                    .until_past(stamp(at))
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Reply::Committed { at, read, phases })
            }
            Outcome::Aborted => Ok(Reply::Aborted),
        }
    }

    /// Writes the abort into the coordinator's log, and only then says so.
    async fn abort(
        self: &Arc<Self>,
        group: &Arc<Group>,
        admitted: Admitted,
        txn: TxnId,
        parts: &[Shard],
    ) -> Result<Reply, String> {
        let at = self.decide_abort(group, admitted, txn).await?;
        self.tell(txn, at, parts, group.shard);
        let outcome = group.replica.state().outcomes.get(&txn).cloned();
        self.acknowledge(outcome.ok_or("nothing was decided")?, None)
            .await
    }

    /// What was decided: an abort, if nothing was before.
    async fn decide_abort(
        &self,
        group: &Arc<Group>,
        admitted: Admitted,
        txn: TxnId,
    ) -> Result<Option<Nanos>, String> {
        let abort = Command::Abort { txn };
        group.append(admitted, abort).await.map_err(Failed::why)?;
        match group.replica.state().outcomes.get(&txn) {
            Some(Outcome::Committed { at, .. }) => Ok(Some(*at)),
            Some(Outcome::Aborted) => Ok(None),
            None => Err("nothing was decided".into()),
        }
    }

    /// Tells the participants, in the background; those that miss it will ask.
    fn tell(self: &Arc<Self>, txn: TxnId, at: Option<Nanos>, parts: &[Shard], coordinator: Shard) {
        let delay = self.settings.tell_after(txn);
        for shard in parts.iter().copied().filter(|part| *part != coordinator) {
            let node = Arc::clone(self);
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = node
                    .ask_leader(shard, Request::Resolve(txn, at), PREPARE)
                    .await;
            });
        }
    }

    async fn prepare_at(
        self: &Arc<Self>,
        shard: Shard,
        txn: &Transaction,
        coordinator: Shard,
    ) -> Option<(Nanos, Vec<Seen>)> {
        let request = Request::Prepare(txn.part(shard), coordinator);
        match self.ask_leader(shard, request, PREPARE).await {
            Some(Answer::Prepared(at, seen)) => Some((at, seen)),
            _ => None,
        }
    }

    /// A participant's part: locks, a timestamp of its own, and both in its log.
    pub async fn prepare(
        &self,
        group: &Arc<Group>,
        part: Transaction,
        coordinator: Shard,
    ) -> Result<Answer, String> {
        let admitted = group.admit()?;
        let term = Term::from(admitted.term);
        let locks = group.locks.take(&group.replica, &part, term, LOCK).await;
        let _locks = locks.ok_or("another transaction holds its locks")?;
        let prepared = |txn: &Transaction| {
            let state = group.replica.state();
            let prepared = state.prepared.get(&txn.id)?;
            Some((prepared.at, state.read_at(&txn.reads, Nanos::MAX)))
        };
        if prepared(&part).is_none() {
            if group.replica.state().outcomes.contains_key(&part.id) {
                return Err("it is decided".into());
            }
            let logged = part.clone();
            let entry = move |term, at| Command::Prepare {
                term,
                at,
                part: logged,
                coordinator,
            };
            let proposed = group
                .draw(admitted, &[], entry)
                .await
                .map_err(Failed::why)?;
            proposed.applied().await.map_err(Failed::why)?;
        }
        let (at, seen) = prepared(&part).ok_or("it is decided")?;
        Ok(Answer::Prepared(at, seen))
    }

    /// Writes the outcome into a participant's log.
    pub async fn resolve(
        &self,
        group: &Arc<Group>,
        txn: TxnId,
        at: Option<Nanos>,
    ) -> Result<Answer, String> {
        let admitted = group.admit()?;
        if group.replica.state().prepared.contains_key(&txn) {
            let resolve = Command::Resolve { txn, at };
            group.append(admitted, resolve).await.map_err(Failed::why)?;
        }
        Ok(Answer::Done)
    }

    /// Tells a participant what became of a transaction; one without a record is aborted first, in the log.
    pub async fn tell_outcome(&self, group: &Arc<Group>, txn: TxnId) -> Result<Answer, String> {
        let admitted = group.admit()?;
        let Some(_under_way) = group.begin(txn) else {
            return Ok(Answer::Pending);
        };
        let at = self.decide_abort(group, admitted, txn).await?;
        Ok(Answer::Outcome(at))
    }

    /// Asks what became of those that were prepared a while ago, as the leader of their shard.
    pub async fn settle(self: Arc<Self>, group: Arc<Group>) {
        loop {
            sleep(Duration::from_millis(50)).await;
            if group.admit().is_err() {
                continue;
            }
            let in_doubt: Vec<(TxnId, Shard)> = {
                let state = group.replica.state();
                let old = |txn| {
                    let since = state.since.get(txn);
                    since.is_some_and(|since| since.elapsed() > self.settings.in_doubt(IN_DOUBT))
                };
                let old = state.prepared.iter().filter(|(txn, _)| old(*txn));
                old.map(|(txn, prepared)| (*txn, prepared.coordinator))
                    .collect()
            };
            for (txn, coordinator) in in_doubt {
                if self.breaks(Break::Silence) {
                    let _ = self.resolve(&group, txn, None).await;
                    continue;
                }
                let answer = self
                    .ask_leader(coordinator, Request::Ask(txn), PREPARE)
                    .await;
                if let Some(Answer::Outcome(at)) = answer {
                    let _ = self.resolve(&group, txn, at).await;
                }
            }
        }
    }
}
