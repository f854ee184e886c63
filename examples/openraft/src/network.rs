//! The network between nodes, which can be cut.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use example_cluster::frames;
use example_cluster::peer::{self, Carrier, Peer};
use openraft::{BasicNode, RaftNetworkFactory};
use tokio::net::TcpStream;

use crate::types::{Answer, Envelope, Link, Request, Types};

#[derive(Default)]
pub struct Wire(AtomicU8);

impl Wire {
    pub fn set(&self, link: Link) {
        self.0.store(link as u8, Ordering::Relaxed);
    }

    pub fn is(&self, link: Link) -> bool {
        self.0.load(Ordering::Relaxed) == link as u8
    }
}

pub struct Network {
    pub node: u64,
    pub wire: Arc<Wire>,
}

/// The connection to one peer.
pub struct Connection {
    node: u64,
    address: String,
    wire: Arc<Wire>,
    stream: Option<TcpStream>,
}

impl Network {
    pub fn connection(&self, address: String) -> Connection {
        Connection {
            node: self.node,
            address,
            wire: Arc::clone(&self.wire),
            stream: None,
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer<Connection>;

    async fn new_client(&mut self, _target: u64, node: &BasicNode) -> Peer<Connection> {
        Peer(self.connection(node.addr.clone()))
    }
}

impl Carrier<Types> for Connection {
    async fn carry(
        &mut self,
        request: peer::Request<Types>,
        patience: Duration,
    ) -> io::Result<peer::Answer<Types>> {
        if self.wire.is(Link::Cut) {
            return Err(io::Error::other("cut off"));
        }
        let new = frames::connect(&self.address);
        let question = Envelope {
            from: self.node,
            body: Request::Peer(request),
        };
        let answer = frames::ask(&mut self.stream, new, &question, patience).await;
        // Cut off meanwhile, or deaf: the answer never comes.
        if !self.wire.is(Link::Up) {
            self.stream = None;
            return Err(io::Error::other("deaf"));
        }
        match answer? {
            Answer::Peer(answer) => Ok(answer),
            Answer::Refused(why) => Err(io::Error::other(why)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
