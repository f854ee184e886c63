//! A cluster's clocks held against each other, over the cluster's own connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use epsilon_clock::Fleet;
use epsilon_clock::fleet::{ClockReport, Standing};
use openraft::RaftTypeConfig;
use tokio::time::sleep;

use crate::peer::{Answer, Carrier, Request};

/// How long passes between two rounds.
const PERIOD: Duration = Duration::from_millis(50);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the cluster said of this node's own clock.
#[derive(Debug, Default)]
pub struct Watch {
    agreed: AtomicBool,
    named: AtomicBool,
    verdict: Mutex<String>,
}

/// What a round found for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This node's clock agrees.
    Agrees,
    /// This node's clock is false.
    IsFalse,
}

impl Watch {
    /// Whether this node's clock was found to agree, and never to be false.
    pub fn agrees(&self) -> bool {
        self.agreed.load(Ordering::Acquire) && !self.named()
    }

    /// Whether this node's clock was found false.
    pub fn named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    /// Returns what the fleet said last.
    pub fn verdict(&self) -> String {
        let verdict = self.verdict.lock();
        verdict.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks each peer's clock, again and again, until a round brings news.
    pub async fn news<C: RaftTypeConfig, T: Carrier<C>>(
        &self,
        fleet: &mut Fleet<u64>,
        peers: &mut [(u64, T)],
    ) -> News {
        loop {
            if let Some(news) = self.round(fleet, peers).await {
                return news;
            }
            sleep(PERIOD).await;
        }
    }

    async fn round<C: RaftTypeConfig, T: Carrier<C>>(
        &self,
        fleet: &mut Fleet<u64>,
        peers: &mut [(u64, T)],
    ) -> Option<News> {
        for (name, peer) in peers {
            // Our clock is read before the question leaves, and again once the answer is here.
            let Ok(probe) = fleet.probe() else { continue };
            let asked = peer.carry(Request::Clock(probe.request()), PATIENCE);
            if let Ok(Answer::Clock(bytes)) = asked.await
                && let Ok(report) = ClockReport::from_be_bytes(bytes)
            {
                let _ = fleet.record(*name, &probe, report);
            }
        }
        let verdict = fleet.verdict().ok()?;
        let text = verdict.to_string();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = text;
        let (found, news) = match verdict.standing {
            // Once found to agree, a node that hears no peer goes on: its lease ends by itself.
            Standing::AllAgree | Standing::PeersFalse(_) => (&self.agreed, News::Agrees),
            Standing::WeAreFalse { .. } => (&self.named, News::IsFalse),
            _ => return None,
        };
        (!found.swap(true, Ordering::AcqRel)).then_some(news)
    }
}
