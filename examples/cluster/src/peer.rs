//! What the engines of two nodes say to each other, whatever carries it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::fleet::ClockReport;
use epsilon_clock::lease::LeaderTerm;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::leader_id_adv::LeaderId;
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::RaftStateMachine;
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf, VoteOf};
use openraft::{BasicNode, Raft, RaftNetworkV2, RaftTypeConfig, Snapshot};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Request<C: RaftTypeConfig> {
    Append(AppendEntriesRequest<C>),
    Vote(VoteRequest<C>),
    PreVote(VoteRequest<C>),
    Snapshot(VoteOf<C>, SnapshotMetaOf<C>, Vec<u8>),
    Transfer(TransferLeaderRequest<C>),
    /// What a peer's clock says, asked by `Probe::request`.
    Clock([u8; 8]),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Answer<C: RaftTypeConfig> {
    Append(AppendEntriesResponse<C>),
    Vote(VoteResponse<C>),
    Snapshot(SnapshotResponse<C>),
    Transfer(TransferLeaderResponse<C>),
    /// As `ClockReport::to_be_bytes`.
    Clock([u8; 24]),
    Refused(String),
}

fn refused<C: RaftTypeConfig>(error: impl Display) -> Answer<C> {
    Answer::Refused(error.to_string())
}

/// Answers a peer, by the engine or by the clock.
pub async fn answer<C, M>(raft: &Raft<C, M>, clock: &Clock, request: Request<C>) -> Answer<C>
where
    C: RaftTypeConfig,
    M: RaftStateMachine<C, SnapshotData = Vec<u8>>,
{
    match request {
        Request::Append(rpc) => {
            let appended = raft.append_entries(rpc).await;
            appended.map_or_else(refused, Answer::Append)
        }
        Request::Vote(rpc) => raft.vote(rpc).await.map_or_else(refused, Answer::Vote),
        Request::PreVote(rpc) => raft.pre_vote(rpc).await.map_or_else(refused, Answer::Vote),
        Request::Snapshot(vote, meta, snapshot) => {
            let snapshot = Snapshot { meta, snapshot };
            let installed = raft.install_full_snapshot(vote, snapshot).await;
            installed.map_or_else(refused, Answer::Snapshot)
        }
        Request::Transfer(rpc) => {
            let transferred = raft.handle_transfer_leader(rpc).await;
            transferred.map_or_else(refused, Answer::Transfer)
        }
        // Read here, after the request arrived.
        Request::Clock(request) => ClockReport::answer(request, clock)
            .map_or_else(refused, |report| Answer::Clock(report.to_be_bytes())),
    }
}

/// A way to one peer.
pub trait Carrier<C: RaftTypeConfig>: Send + Sync + 'static {
    /// Carries a request there and its answer back, if that comes in time.
    fn carry(
        &mut self,
        request: Request<C>,
        patience: Duration,
    ) -> impl Future<Output = io::Result<Answer<C>>> + Send;
}

/// One peer, as the engine sees it.
pub struct Peer<T>(pub T);

impl<T> Peer<T> {
    async fn call<C: RaftTypeConfig>(
        &mut self,
        request: Request<C>,
        option: &RPCOption,
    ) -> Result<Answer<C>, Unreachable<C>>
    where
        T: Carrier<C>,
    {
        match self.0.carry(request, option.soft_ttl()).await {
            Ok(Answer::Refused(why)) => Err(Unreachable::from_string(why)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Unreachable::new(&error)),
        }
    }
}

fn unexpected<C: RaftTypeConfig>() -> Unreachable<C> {
    Unreachable::from_string("an answer to another request")
}

impl<C: RaftTypeConfig, T: Carrier<C>> RaftNetworkV2<C> for Peer<T> {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<C>, RPCError<C>> {
        match self.call(Request::Append(rpc), &option).await? {
            Answer::Append(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<C>,
        option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        match self.call(Request::Vote(rpc), &option).await? {
            Answer::Vote(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<C>,
        option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        match self.call(Request::PreVote(rpc), &option).await? {
            Answer::Vote(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<C>,
        snapshot: SnapshotOf<C, Vec<u8>>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        let request = Request::Snapshot(vote, snapshot.meta, snapshot.snapshot);
        match self.call(request, &option).await? {
            Answer::Snapshot(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<C>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<C>, RPCError<C>> {
        match self.call(Request::Transfer(rpc), &option).await? {
            Answer::Transfer(answer) => Ok(answer),
            _ => Err(unexpected().into()),
        }
    }
}

/// Returns a cluster's members as the engine wants them.
#[must_use]
pub fn members(addresses: Vec<(u64, String)>) -> BTreeMap<u64, BasicNode> {
    addresses
        .into_iter()
        .map(|(node, addr)| (node, BasicNode { addr }))
        .collect()
}

/// Returns the engine's leadership as leases know it.
#[must_use]
pub fn term_of(leader: &LeaderId<u64, u64>) -> LeaderTerm {
    LeaderTerm {
        term: leader.term,
        leader: leader.node_id,
    }
}
