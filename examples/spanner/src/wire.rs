//! The one connection that two nodes share for all their shards.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use example_cluster::frames::{connect, frame, receive, send};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::costs::Costs;
use crate::types::{Answer, Hello, Request, Shard};

/// How long a node waits before it dials a peer again.
const REDIAL: Duration = Duration::from_millis(30);

#[derive(Serialize, Deserialize)]
enum Body {
    Request(Shard, Request),
    Answer(Answer),
}

#[derive(Serialize, Deserialize)]
struct Frame {
    id: u64,
    body: Body,
}

/// Who answers what a peer asks.
pub trait Serve: Send + Sync + 'static {
    fn serve(
        self: Arc<Self>,
        from: u64,
        shard: Shard,
        request: Request,
    ) -> impl Future<Output = Answer> + Send;
}

/// The connection to one peer.
#[derive(Default)]
pub struct Link {
    outbox: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    pending: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next: AtomicU64,
    /// Whether all that is sent is dropped: a partition, one way.
    blocked: AtomicBool,
    sent: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub fn block(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// How many messages went out.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn post(&self, id: u64, body: Body) -> io::Result<()> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.blocked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let frame = frame(&Frame { id, body })?;
        let outbox = lock(&self.outbox);
        let outbox = outbox.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        outbox
            .send(frame)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Asks the peer, for as long as the caller is patient.
    pub async fn ask(
        &self,
        shard: Shard,
        request: Request,
        patience: Duration,
    ) -> io::Result<Answer> {
        Costs::message();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(id, sender);
        let posted = self.post(id, Body::Request(shard, request));
        let answer = match posted {
            Ok(()) => tokio::time::timeout(patience, receiver).await,
            Err(error) => {
                lock(&self.pending).remove(&id);
                return Err(error);
            }
        };
        lock(&self.pending).remove(&id);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(io::ErrorKind::ConnectionReset.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Dials the peer again and again; the node with the smaller number does.
    pub async fn dial<S: Serve>(
        self: Arc<Self>,
        own: u64,
        peer: u64,
        address: String,
        serve: Arc<S>,
    ) {
        loop {
            if let Ok(mut stream) = connect(&address).await
                && send(&mut stream, &Hello::Peer(own)).await.is_ok()
            {
                self.run(peer, stream, &serve).await;
            }
            sleep(REDIAL).await;
        }
    }

    /// Carries both nodes' requests and answers until the connection breaks.
    pub async fn run<S: Serve>(self: &Arc<Self>, peer: u64, stream: TcpStream, serve: &Arc<S>) {
        let (mut reader, mut writer) = stream.into_split();
        let (outbox, mut frames) = mpsc::unbounded_channel::<Vec<u8>>();
        *lock(&self.outbox) = Some(outbox.clone());
        let writing = tokio::spawn(async move {
            while let Some(mut frame) = frames.recv().await {
                while let Ok(next) = frames.try_recv() {
                    frame.extend(next);
                }
                if writer.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        while let Ok(Frame { id, body }) = receive(&mut reader).await {
            match body {
                Body::Answer(answer) => {
                    if let Some(sender) = lock(&self.pending).remove(&id) {
                        let _ = sender.send(answer);
                    }
                }
                Body::Request(shard, request) => {
                    let (link, serve) = (Arc::clone(self), Arc::clone(serve));
                    tokio::spawn(async move {
                        let answer = serve.serve(peer, shard, request).await;
                        let _ = link.post(id, Body::Answer(answer));
                    });
                }
            }
        }
        writing.abort();
        let mut current = lock(&self.outbox);
        // A newer connection may have taken its place.
        if current
            .as_ref()
            .is_some_and(|one| one.same_channel(&outbox))
        {
            *current = None;
            lock(&self.pending).clear();
        }
    }
}
