//! No node serves before its clock is found to agree, and one whose clock is false serves no more.

use std::sync::Arc;

use epsilon_clock::Fleet;

use crate::network::Channel;
use crate::node::Node;

pub async fn watch(node: Arc<Node>) {
    let mut peers = Vec::new();
    for (peer, link) in &node.links {
        let link = Some(Arc::clone(link));
        peers.push((*peer, Channel { shard: 0, link }));
    }
    let Ok(mut fleet) = Fleet::new(node.clock.clone(), peers.len() + 1) else {
        return;
    };
    loop {
        node.watch.news(&mut fleet, &mut peers).await;
        node.elects(node.watch.agrees());
    }
}
