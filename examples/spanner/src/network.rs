//! The engine's side of the links: one client for each shard and peer, all over one connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use openraft::{BasicNode, RaftNetworkFactory, RaftNetworkV2};

use crate::types::{Answer, Request, Shard, Types};
use crate::wire::Link;

pub struct Network {
    pub shard: Shard,
    pub links: BTreeMap<u64, Arc<Link>>,
}

pub struct Peer {
    shard: Shard,
    link: Option<Arc<Link>>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Peer {
        Peer {
            shard: self.shard,
            link: self.links.get(&target).cloned(),
        }
    }
}

impl Peer {
    async fn call(&self, body: Request, option: &RPCOption) -> Result<Answer, Unreachable<Types>> {
        let Some(link) = &self.link else {
            return Err(Unreachable::from_string("no such node"));
        };
        match link.ask(self.shard, body, option.soft_ttl()).await {
            Ok(Answer::Refused(why)) => Err(Unreachable::from_string(why)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Unreachable::new(&error)),
        }
    }
}

fn unexpected() -> Unreachable<Types> {
    Unreachable::from_string("an answer to another request")
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        match self.call(Request::Append(rpc), &option).await? {
            Answer::Append(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(Request::Vote(rpc), &option).await? {
            Answer::Vote(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(Request::PreVote(rpc), &option).await? {
            Answer::Vote(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, Vec<u8>>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let body = Request::Snapshot(vote, snapshot.meta, snapshot.snapshot);
        match self.call(body, &option).await? {
            Answer::Snapshot(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.call(Request::Transfer(rpc), &option).await? {
            Answer::Transfer(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }
}
