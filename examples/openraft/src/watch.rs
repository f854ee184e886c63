//! What a node does whose clock the cluster finds false.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use epsilon_clock::Fleet;
use example_cluster::watch::News;

use crate::network::Network;
use crate::node::Node;

pub const FALSE: &str =
    "this node's clock is false, says the majority: it serves nothing until it is restarted";

pub fn begin(node: &Arc<Node>, members: Vec<(u64, String)>) {
    if !node.watched.swap(true, Ordering::AcqRel) {
        tokio::spawn(watch(Arc::clone(node), members));
    }
}

async fn watch(node: Arc<Node>, members: Vec<(u64, String)>) {
    let Ok(mut fleet) = Fleet::new(node.shared.clock.clone(), members.len()) else {
        return;
    };
    let network = Network {
        node: node.settings.node,
        wire: Arc::clone(&node.wire),
    };
    let mut peers: Vec<_> = members
        .into_iter()
        .filter(|(peer, _)| *peer != network.node)
        .map(|(peer, address)| (peer, network.connection(address)))
        .collect();
    loop {
        let news = node.watch.news(&mut fleet, &mut peers).await;
        if news == News::IsFalse && node.stopped() {
            stop(&node, peers.first().map(|(name, _)| *name)).await;
        }
    }
}

/// The policy: a node whose clock is false answers nothing, lets its lease lapse, and leads no more.
///
/// It writes no release: its reads ended here, but what it said of its lease's end was by a false clock, and the
/// next leader's wait costs little beside that.
async fn stop(node: &Node, successor: Option<u64>) {
    node.shared.lease().deposed();
    node.raft.runtime_config().elect(false);
    if let Some(successor) = successor.filter(|_| node.raft.is_leader()) {
        let _ = node.raft.trigger().transfer_leader(successor).await;
    }
}
