//! The cluster's clocks held against each other, over its own connections: no node serves before its clock is
//! found to agree, and one whose clock is false serves no more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use epsilon_clock::Fleet;
use epsilon_clock::fleet::{ClockReport, Standing};
use example_cluster::peer;
use tokio::time::sleep;

use crate::node::Node;
use crate::types::{Answer, NODES, Request};

const PERIOD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Default)]
pub struct Watch {
    agreed: AtomicBool,
    named: AtomicBool,
    verdict: Mutex<String>,
}

impl Watch {
    /// Whether this node may lead, and answer at all.
    pub fn serves(&self) -> bool {
        self.agreed.load(Ordering::Acquire) && !self.named()
    }

    /// Whether this node's own clock was found false.
    pub fn named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    pub fn verdict(&self) -> String {
        self.verdict
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub async fn watch(node: Arc<Node>) {
    let nodes = usize::try_from(NODES).unwrap_or(3);
    let Ok(mut fleet) = Fleet::<u64>::new(node.clock.clone(), nodes) else {
        return;
    };
    loop {
        for (name, link) in &node.links {
            // Our clock is read before the question leaves, and again once the answer is here.
            let Ok(probe) = fleet.probe() else { continue };
            let request = peer::Request::Clock(probe.request());
            let asked = link.ask(0, Request::Peer(request), PATIENCE);
            if let Ok(Answer::Peer(peer::Answer::Clock(bytes))) = asked.await
                && let Ok(report) = ClockReport::from_be_bytes(bytes)
            {
                let _ = fleet.record(*name, &probe, report);
            }
        }
        if let Ok(verdict) = fleet.verdict() {
            let agrees = match verdict.standing {
                Standing::AllAgree | Standing::PeersFalse(_) => true,
                Standing::WeAreFalse { .. } => {
                    node.watch.named.store(true, Ordering::Release);
                    false
                }
                _ => false,
            };
            let text = verdict.to_string();
            *node
                .watch
                .verdict
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = text;
            // Once found to agree, a node that hears no peer goes on: its lease ends by itself.
            if agrees && !node.watch.agreed.swap(true, Ordering::AcqRel) {
                node.elects(true);
            }
        }
        if node.watch.named() {
            node.elects(false);
        }
        sleep(PERIOD).await;
    }
}
