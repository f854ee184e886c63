//! One shard's group on one node: its engine, its lease, and the sequencer of what it proposes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::engine::NotDrawn;
use epsilon_clock::lease::LeaderTerm;
use example_cluster::peer::term_of;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::CommittedLeaderIdOf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::breaks::Break;
use crate::locks::Locks;
use crate::replica::{Replica, stamp};
use crate::types::{Applied, Command, NODES, Nanos, Raft, Shard, Term, TxnId, Types};

type LeaderId = CommittedLeaderIdOf<Types>;
type Responder = ProgressResponder<Types, ClientWriteResult<Types>>;

/// How often the leader of an idle shard closes it.
pub const PROMISE: Duration = Duration::from_millis(100);

/// The right to append in one term.
#[derive(Clone, Copy)]
pub struct Admitted {
    pub term: LeaderTerm,
    leader: LeaderId,
}

/// What was drawn and is on its way through the log.
pub struct Proposed {
    pub at: Nanos,
    pub since: Instant,
    applied: oneshot::Receiver<ClientWriteResult<Types>>,
}

/// Why a proposal has no known outcome, or surely none.
#[derive(Debug)]
pub enum Failed {
    /// It is in no log.
    Never(String),
    /// It was applied, and changed nothing, on every replica alike.
    Refused(String),
    /// It may be in the log.
    Unknown(String),
}

impl Failed {
    pub fn why(self) -> String {
        match self {
            Self::Never(why) | Self::Refused(why) | Self::Unknown(why) => why,
        }
    }
}

struct Proposal {
    command: Command,
    leader: LeaderId,
    responder: Responder,
}

pub struct Group {
    pub shard: Shard,
    pub raft: Raft,
    pub replica: Arc<Replica>,
    pub locks: Arc<Locks>,
    clock: Clock,
    queue: mpsc::UnboundedSender<Proposal>,
    /// Transactions that this leader coordinates at the moment.
    under_way: Mutex<BTreeSet<TxnId>>,
}

/// A transaction that is under way until this is dropped.
pub struct UnderWay {
    group: Arc<Group>,
    txn: TxnId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let under_way = &self.group.under_way;
        under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.txn);
        self.group.replica.changed.notify_waiters();
    }
}

impl Group {
    pub fn start(shard: Shard, raft: Raft, replica: Arc<Replica>, clock: Clock) -> Arc<Self> {
        let (queue, inbox) = mpsc::unbounded_channel();
        tokio::spawn(append(raft.clone(), inbox));
        Arc::new(Self {
            shard,
            raft,
            replica,
            locks: Arc::default(),
            clock,
            queue,
            under_way: Mutex::default(),
        })
    }

    fn breaks(&self, rule: Break) -> bool {
        self.replica.broken == Some(rule)
    }

    /// The gate, and the term that every append is bound to.
    pub fn admit(&self) -> Result<Admitted, String> {
        let term = self
            .replica
            .lease()
            .admit()
            .map_err(|closed| closed.to_string())?
            .term;
        let leader = self.raft.as_leader().map_err(|error| error.to_string())?;
        let id = leader.to_committed_leader_id();
        if term_of(&id) != term {
            return Err("the term is over".into());
        }
        Ok(Admitted { term, leader: id })
    }

    pub fn begin(self: &Arc<Self>, txn: TxnId) -> Option<UnderWay> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.insert(txn).then(|| UnderWay {
            group: Arc::clone(self),
            txn,
        })
    }

    fn enqueue(
        &self,
        command: Command,
        leader: LeaderId,
    ) -> Result<oneshot::Receiver<ClientWriteResult<Types>>, String> {
        let (responder, applied) = ProgressResponder::complete_only();
        let proposal = Proposal {
            command,
            leader,
            responder,
        };
        self.queue
            .send(proposal)
            .map_err(|_| "the node stops".to_owned())?;
        Ok(applied)
    }

    /// Draws a timestamp and appends the entry with it, in one critical section and within the lease.
    pub async fn draw(
        &self,
        admitted: Admitted,
        floors: &[Nanos],
        command: impl FnOnce(Term, Nanos) -> Command + Send,
    ) -> Result<Proposed, Failed> {
        let permit = self.replica.lease().read(&self.clock);
        let permit = permit.map_err(|closed| Failed::Never(closed.to_string()))?;
        if permit.term() != admitted.term {
            return Err(Failed::Never("the term is over".into()));
        }
        let term = Term::from(admitted.term);
        let floors = floors.iter().map(|floor| stamp(*floor));
        let drawn = |at: Nanos| {
            self.replica.drawn().insert(at, admitted.term);
        };
        // The order of the queue is the order of the timestamps: both change under the sequencer's lock.
        let append = |at: epsilon_clock::Timestamp| {
            let lease = permit.lease();
            lease.check(&self.clock).map_err(|why| why.to_string())?;
            if at >= lease.expiry() {
                return Err(format!("{at} is beyond the lease, {}", lease.expiry()));
            }
            let at = at.unix_nanos();
            drawn(at);
            self.enqueue(command(term, at), admitted.leader)
                .map(|applied| (Instant::now(), applied))
        };
        if self.breaks(Break::Draw) {
            let drawn = self
                .replica
                .sequencer
                .draw(&self.clock, floors, |_| Ok::<(), String>(()));
            let (at, ()) = drawn.map_err(|error| Failed::Never(error.to_string()))?;
            // A while in which others draw, and append first.
            let nanos = u64::try_from(at.unix_nanos()).unwrap_or(0);
            sleep(Duration::from_millis(nanos / 1_000 % 25)).await;
            let (since, applied) = append(at).map_err(Failed::Never)?;
            return Ok(Proposed {
                at: at.unix_nanos(),
                since,
                applied,
            });
        }
        let sequencer = match self.replica.broken {
            // Beside the sequencer, whose floor does not know of it.
            Some(Break::Promise) if floors.len() == 1 => &self.replica.safe,
            _ => &self.replica.sequencer,
        };
        let drawn = sequencer.draw(&self.clock, floors, append);
        let (at, (since, applied)) = drawn.map_err(|error: NotDrawn<String>| {
            // What was not appended is in no log.
            Failed::Never(error.to_string())
        })?;
        Ok(Proposed {
            at: at.unix_nanos(),
            since,
            applied,
        })
    }

    /// Appends an entry that draws nothing.
    pub async fn append(&self, admitted: Admitted, command: Command) -> Result<(), Failed> {
        let applied = self
            .enqueue(command, admitted.leader)
            .map_err(Failed::Never)?;
        wait(applied).await
    }

    /// Closes the shard at a timestamp or later, if nothing did so before.
    pub async fn close(&self, admitted: Admitted, at: Nanos) -> Result<(), Failed> {
        let on_its_way = self.replica.drawn().range(at..).next().is_some();
        if on_its_way || self.replica.safe.replica().closed >= stamp(at) {
            return Ok(());
        }
        let promise = |term, at| Command::Promise { term, at };
        let proposed = self.draw(admitted, &[at - 1], promise).await?;
        proposed.applied().await
    }

    /// Whether an entry that was drawn at or below a timestamp is still on its way.
    pub fn is_drawn(&self, at: Nanos) -> bool {
        self.replica.drawn().range(..=at).next().is_some()
    }

    /// Raises the floor to a timestamp, and appends nothing.
    pub fn raise(&self, at: Nanos) {
        let nothing = |_| Err::<(), _>("nothing is appended");
        let _ = self
            .replica
            .sequencer
            .draw(&self.clock, [stamp(at)], nothing);
    }

    /// Follows the leadership: notes it, takes the lease, renews it, and closes the shard when it is idle.
    pub async fn lead(self: Arc<Self>, serves: impl Fn() -> bool + Send) {
        let mut closed_at = Instant::now();
        let mut served_at = Instant::now();
        let mut turn = 0_u8;
        let mut cleaned = LeaderTerm::default();
        loop {
            sleep(Duration::from_millis(5)).await;
            let Ok(leader) = self.raft.as_leader() else {
                self.replica.lease().deposed();
                served_at = Instant::now();
                continue;
            };
            let vouched = serves();
            if vouched && self.clock.now().is_ok() {
                served_at = Instant::now();
            } else if !vouched || served_at.elapsed() >= PROMISE {
                // Without a clock nothing can be read or proposed: another node is to lead.
                self.replica.lease().deposed();
                if served_at.elapsed() < PROMISE {
                    continue;
                }
                let others = (1..=NODES).filter(|node| *node != leader.leader_id().node_id);
                let to = others.cycle().nth(usize::from(turn % 2));
                turn = turn.wrapping_add(1);
                if let Some(to) = to {
                    let _ = self.raft.trigger().transfer_leader(to).await;
                }
                served_at = Instant::now();
                continue;
            }
            let id = leader.to_committed_leader_id();
            let term = term_of(&id);
            self.replica.lease().elected(term);
            let (applied, book) = {
                let state = self.replica.state();
                (state.applied, state.book)
            };
            let behind_noop = applied.is_some_and(|applied| term_of(&applied.leader_id) == term);
            if behind_noop {
                self.replica.lease().noop_applied(term);
                if cleaned != term {
                    cleaned = term;
                    self.clean(term);
                }
            }
            let due = self.replica.lease().propose(&book, &self.clock);
            if let Ok(Some(entry)) = due {
                let group = Arc::clone(&self);
                let bytes = entry.to_be_bytes().to_vec();
                // In the background: a lease that is never applied must not hold up the notes above.
                tokio::spawn(async move {
                    let admitted = Admitted { term, leader: id };
                    if group.append(admitted, Command::Lease(bytes)).await.is_err() {
                        group.replica.lease().dropped();
                    }
                });
            }
            if closed_at.elapsed() >= PROMISE
                && let (Ok(admitted), Ok(now)) = (self.admit(), self.clock.now())
            {
                closed_at = Instant::now();
                let group = Arc::clone(&self);
                tokio::spawn(async move {
                    let _ = group.close(admitted, now.latest().unix_nanos()).await;
                });
            }
        }
    }

    /// Forgets what earlier terms drew: with the own noop applied, it is applied or surely in no log.
    fn clean(&self, term: LeaderTerm) {
        let mut drawn = self.replica.drawn();
        let old: Vec<Nanos> = drawn
            .iter()
            .filter(|(_, drawn)| **drawn != term)
            .map(|(at, _)| *at)
            .collect();
        for at in &old {
            drawn.remove(at);
        }
        drop(drawn);
        for at in old {
            self.replica.sequencer.truncated(stamp(at));
        }
    }
}

impl Proposed {
    pub async fn applied(self) -> Result<(), Failed> {
        wait(self.applied).await
    }
}

async fn wait(applied: oneshot::Receiver<ClientWriteResult<Types>>) -> Result<(), Failed> {
    match applied.await {
        Ok(Ok(response)) => match response.data {
            Applied::Done => Ok(()),
            Applied::Refused(why) => Err(Failed::Refused(why)),
        },
        Ok(Err(error)) => Err(Failed::Unknown(error.to_string())),
        Err(_) => Err(Failed::Unknown("the node stops".into())),
    }
}

/// Hands proposals to the engine in the order of the queue, each in its term or not at all.
async fn append(raft: Raft, mut inbox: mpsc::UnboundedReceiver<Proposal>) {
    while let Some(proposal) = inbox.recv().await {
        let Proposal {
            command,
            leader,
            responder,
        } = proposal;
        let write = raft.write(command).responder(responder).with_leader(leader);
        if write.await.is_err() {
            return;
        }
    }
}
