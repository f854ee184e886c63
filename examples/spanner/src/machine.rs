//! The state machine that the engine drives: entries in, changes of the file out.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use crate::breaks::Point;
use crate::death::Death;
use crate::replica::Replica;
use crate::store::{Change, Store};
use crate::types::{Command, Shard, Types};

#[derive(Clone)]
pub struct Machine {
    pub shard: Shard,
    pub replica: Arc<Replica>,
    pub store: Store,
    pub death: Arc<Death>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        let state = self.replica.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: futures_util::Stream<Item = Result<EntryResponder<Types>, io::Error>>
            + Unpin
            + OptionalSend,
    {
        let mut changes: Vec<Change> = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let mut command: Option<Command> = None;
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(normal) => {
                    let is_drawn = matches!(normal, Command::Commit { .. });
                    self.death.come_to_if(Point::Apply, is_drawn);
                    command = Some(normal);
                }
                EntryPayload::Membership(membership) => {
                    self.replica.state().membership =
                        openraft::StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            let applied = self.replica.apply(entry.log_id, command, &mut changes)?;
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        self.replica.keep(&mut changes)?;
        self.store.later(self.shard, changes)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        snapshot: Vec<u8>,
    ) -> io::Result<()> {
        let changes = self.replica.install(&snapshot)?;
        self.store.synced(self.shard, changes).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Vec<u8>>>> {
        // Made anew each time: what is applied is on its way to the file, ahead of whatever is purged for it.
        let snapshot = self.replica.snapshot()?;
        Ok(snapshot.meta.last_log_id.is_some().then_some(snapshot))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
        self.replica.snapshot()
    }
}
