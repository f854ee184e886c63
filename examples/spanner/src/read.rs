//! Reads: at a timestamp on any replica, at `latest` on any replica, and by the leader's lease.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use epsilon_clock::engine::NotSafe;
use example_cluster::peer::term_of;
use tokio::time::{Instant as Deadline, timeout, timeout_at};

use crate::breaks::Break;
use crate::costs::Costs;
use crate::group::Group;
use crate::node::Node;
use crate::replica::stamp;
use crate::types::{Answer, How, Key, Nanos, Reply, Request, SHARDS, Seen, Shard, shard_of};

/// How long a read waits for what is in its way.
const PATIENCE: Duration = Duration::from_millis(1_000);

impl Node {
    pub async fn read(self: &Arc<Self>, keys: &[Key], how: How) -> Reply {
        let arrived = Instant::now();
        let (done, messages, locks) = Costs::of(self.read_by(keys, how)).await;
        match done {
            Ok((at, seen)) => Reply::Values {
                at,
                seen,
                messages,
                locks,
                took: u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
            },
            Err(why) => {
                let shard = keys.first().map_or(0, |key| shard_of(*key));
                Reply::Refused(why, self.group(shard).raft.current_leader().await)
            }
        }
    }

    async fn read_by(
        self: &Arc<Self>,
        keys: &[Key],
        how: How,
    ) -> Result<(Nanos, Vec<Seen>), String> {
        // The request is here; only now the clock is looked at.
        let latest = || {
            let now = self.clock.now().map_err(|error| error.to_string())?;
            Ok::<_, String>(now.latest().unix_nanos())
        };
        let (at, seen) = match how {
            How::Snapshot(at) => (at, self.at(keys, at)?),
            How::Strong => {
                let at = latest()?;
                (at, self.strong(keys, at).await?)
            }
            How::Lease(ahead) => {
                let at = latest()? + i64::from(ahead) * 1_000_000;
                (at, self.by_lease(keys, at).await?)
            }
        };
        // What is seen here may not be past on a slower clock, where the next reader would not see it.
        let newest = seen.iter().map(|seen| seen.version).max().unwrap_or(0);
        if self.settings.broken != Some(Break::Answer) {
            let past = self.commits.until_past(stamp(newest)).await;
            past.map_err(|error| error.to_string())?;
        }
        Ok((at, seen))
    }

    /// Reads each shard as of a timestamp, without a lock and without a message.
    fn at(&self, keys: &[Key], at: Nanos) -> Result<Vec<Seen>, String> {
        let mut seen = Vec::new();
        for (shard, keys) in by_shard(keys) {
            let replica = &self.group(shard).replica;
            // Safe time and versions at one applied index.
            let state = replica.state();
            match replica.safe.check(stamp(at)) {
                Ok(()) => {}
                Err(NotSafe::Prepared { .. }) if self.settings.broken == Some(Break::Prepared) => {
                    if replica.safe.replica().closed < stamp(at) {
                        return Err("not closed".into());
                    }
                }
                Err(why) => return Err(why.to_string()),
            }
            seen.extend(state.read_at(&keys, at));
        }
        Ok(seen)
    }

    /// Reads at `latest`: waits until each shard is closed up to it, and asks its leader to close it.
    async fn strong(self: &Arc<Self>, keys: &[Key], at: Nanos) -> Result<Vec<Seen>, String> {
        let parts = by_shard(keys);
        // One message to the leader of each shard that is not closed up to there, all at once.
        let close = |shard: Shard| {
            let open = parts
                .iter()
                .any(|(part, keys)| *part == shard && self.at(keys, at).is_err());
            async move {
                match open {
                    true => self.ask_leader(shard, Request::Close(at), PATIENCE).await,
                    false => None,
                }
            }
        };
        let (first, second, third) = tokio::join!(close(0), close(1), close(2));
        let asked = [first, second, third];
        let mut seen = Vec::new();
        for (shard, keys) in parts {
            let asked = &asked[usize::from(shard)];
            let replica = &self.group(shard).replica;
            if self.settings.broken == Some(Break::Ahead) && matches!(asked, Some(Answer::Done)) {
                seen.extend(replica.state().read_at(&keys, at));
                continue;
            }
            // Whether the leader heard or not: a promise or a write may have come meanwhile.
            let mut safe = pin!(replica.safe.until_safe(stamp(at)));
            let deadline = Deadline::now() + PATIENCE;
            loop {
                if let Ok(ready) = self.at(&keys, at) {
                    seen.extend(ready);
                    break;
                }
                if self.settings.broken == Some(Break::Prepared) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if Deadline::now() < deadline {
                        continue;
                    }
                }
                match timeout_at(deadline, safe.as_mut()).await {
                    Ok(Ok(())) => seen.extend(self.at(&keys, at)?),
                    Ok(Err(why)) => return Err(why.to_string()),
                    Err(_) => return Err("not safe in time".into()),
                }
                break;
            }
        }
        Ok(seen)
    }

    /// Reads one shard at its leader, beyond what is closed, within the lease.
    async fn by_lease(&self, keys: &[Key], at: Nanos) -> Result<Vec<Seen>, String> {
        let [(shard, keys)] = &by_shard(keys)[..] else {
            return Err("a lease read is of one shard".into());
        };
        let group = self.group(*shard);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut changed = pin!(group.replica.changed.notified());
            changed.as_mut().enable();
            // A permit for each look, and the state after it.
            let permit = group.replica.lease().read(&self.clock);
            let permit = permit.map_err(|closed| closed.to_string())?;
            let why = match group.replica.sequencer.lead_at(stamp(at), &permit) {
                Ok(()) => {
                    let state = group.replica.state();
                    let last = state.applied.map(|applied| term_of(&applied.leader_id));
                    if !state.book.may_show(last.unwrap_or_default()) {
                        return Err("a later leadership's state".into());
                    }
                    return Ok(state.read_at(keys, at));
                }
                Err(why) => why,
            };
            if matches!(why, NotSafe::BeyondLease { .. }) {
                if self.settings.broken != Some(Break::Beyond) {
                    return Err(why.to_string());
                }
                if let Some(seen) = beyond(group, keys, at) {
                    return Ok(seen);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || timeout(left, changed).await.is_err() {
                return Err(why.to_string());
            }
        }
    }
}

/// What a leader does that looks for all but the end of its lease.
fn beyond(group: &Group, keys: &[Key], at: Nanos) -> Option<Vec<Seen>> {
    group.raise(at);
    let state = group.replica.state();
    let ready = !group.is_drawn(at) && state.prepared.values().all(|prepared| prepared.at > at);
    ready.then(|| state.read_at(keys, at))
}

fn by_shard(keys: &[Key]) -> Vec<(Shard, Vec<Key>)> {
    (0..SHARDS)
        .map(|shard| {
            let own = keys.iter().copied().filter(|key| shard_of(*key) == shard);
            (shard, own.collect::<Vec<_>>())
        })
        .filter(|(_, keys)| !keys.is_empty())
        .collect()
}
