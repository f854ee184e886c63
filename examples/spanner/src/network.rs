//! The engine's side of the links: one client for each shard and peer, all over one connection.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use example_cluster::peer::{self, Carrier, Peer};
use openraft::{BasicNode, RaftNetworkFactory};

use crate::types::{Answer, Request, Shard, Types};
use crate::wire::Link;

pub struct Network {
    pub shard: Shard,
    pub links: BTreeMap<u64, Arc<Link>>,
}

/// One shard's share of the link to a peer.
pub struct Channel {
    pub shard: Shard,
    pub link: Option<Arc<Link>>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer<Channel>;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Peer<Channel> {
        Peer(Channel {
            shard: self.shard,
            link: self.links.get(&target).cloned(),
        })
    }
}

impl Carrier<Types> for Channel {
    async fn carry(
        &mut self,
        request: peer::Request<Types>,
        patience: Duration,
    ) -> io::Result<peer::Answer<Types>> {
        let link = self
            .link
            .as_ref()
            .ok_or_else(|| io::Error::other("no such node"))?;
        let request = Request::Peer(request);
        match link.ask(self.shard, request, patience).await? {
            Answer::Peer(answer) => Ok(answer),
            Answer::Refused(why) => Err(io::Error::other(why)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
