//! The cluster's clocks held against each other, over its own network, and what a node does whose clock is false.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::Fleet;
use epsilon_clock::fleet::{ClockReport, Standing};
use example_cluster::peer::{Answer, Carrier, Request};
use tokio::time::sleep;

use crate::network::{Connection, Network};
use crate::node::Node;

pub const FALSE: &str =
    "this node's clock is false, says the majority: it serves nothing until it is restarted";

/// How often each peer is asked.
const PERIOD: Duration = Duration::from_millis(50);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub struct Watch {
    begun: AtomicBool,
    named: AtomicBool,
    stopped: AtomicBool,
    verdict: Mutex<String>,
}

impl Watch {
    /// Whether this node's own clock was found false.
    pub fn named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    /// Whether this node serves and leads no more.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub fn verdict(&self) -> String {
        self.verdict.lock().expect("no panic").clone()
    }
}

pub fn begin(node: &Arc<Node>, members: Vec<(u64, String)>) {
    if !node.watch.begun.swap(true, Ordering::AcqRel) {
        tokio::spawn(watch(Arc::clone(node), members));
    }
}

async fn watch(node: Arc<Node>, members: Vec<(u64, String)>) {
    let Ok(mut fleet) = Fleet::<u64>::new(node.shared.clock.clone(), members.len()) else {
        return;
    };
    let own = node.settings.node;
    let network = Network {
        node: own,
        wire: Arc::clone(&node.wire),
    };
    let mut peers: Vec<(u64, Connection)> = members
        .into_iter()
        .filter(|(peer, _)| *peer != own)
        .map(|(peer, address)| (peer, network.connection(address)))
        .collect();
    loop {
        for (name, peer) in &mut peers {
            // Our clock is read before the question leaves, and again once the answer is here.
            let Ok(probe) = fleet.probe() else { continue };
            let asked = peer.carry(Request::Clock(probe.request()), PATIENCE);
            if let Ok(Answer::Clock(bytes)) = asked.await
                && let Ok(report) = ClockReport::from_be_bytes(bytes)
            {
                let _ = fleet.record(*name, &probe, report);
            }
        }
        if let Ok(verdict) = fleet.verdict() {
            *node.watch.verdict.lock().expect("no panic") = verdict.to_string();
            if matches!(verdict.standing, Standing::WeAreFalse { .. }) && !node.watch.named() {
                if node.settings.stops_when_named {
                    stop(&node, peers.first().map(|(name, _)| *name)).await;
                }
                node.watch.named.store(true, Ordering::Release);
            }
        }
        sleep(PERIOD).await;
    }
}

/// The policy: a node whose clock is false answers nothing, lets its lease lapse, and leads no more.
///
/// It writes no release: its reads ended here, but what it said of its lease's end was by a false clock, and the
/// next leader's wait costs little beside that.
async fn stop(node: &Node, successor: Option<u64>) {
    node.watch.stopped.store(true, Ordering::Release);
    node.shared.lease().deposed();
    node.raft.runtime_config().elect(false);
    if let Some(successor) = successor.filter(|_| node.raft.is_leader()) {
        let _ = node.raft.trigger().transfer_leader(successor).await;
    }
}
