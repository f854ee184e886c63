//! Connections: each on a thread of its own, few at a time, none for long.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::blocking::{Blocking, run};
use super::site;
use super::watched::Watched;

/// All that a client has for one request and its answer: half of Prometheus' own patience, so that even
/// where slow clients take every place a scrape gets one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clients beyond these wait until one is done.
const PLACES: usize = 128;

/// Longer heads are refused.
const LONGEST_HEAD: usize = 16 * 1024;

pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers each client, until the process ends.
    pub(super) fn serve(&self, watched: &Arc<Watched>) {
        let places = Arc::new(Places::default());
        for client in self.listener.incoming() {
            let Ok(client) = client else {
                // Out of descriptors, or a client that is gone again: others may be luckier.
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let place = Places::take(&places);
            let watched = Arc::clone(watched);
            // Where no thread can be had the client is let go, and finds out.
            let _ = thread::Builder::new().spawn(move || {
                answer(client, &watched);
                drop(place);
            });
        }
    }
}

fn answer(client: TcpStream, watched: &Watched) {
    // What small answers gain by waiting for more is nothing.
    let _ = client.set_nodelay(true);
    let service = service_fn(|request| std::future::ready(site::answer(&request, watched)));
    let connection = http1::Builder::new()
        .keep_alive(false)
        // A read for a client's departure, before it is answered, would block.
        .half_close(true)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(Blocking::new(client, PATIENCE), service);
    // What goes wrong is the client's: it was told, or is gone.
    let _ = run(connection, PATIENCE);
}

/// How many clients are being answered.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

struct Place(Arc<Places>);

impl Places {
    /// Waits for a free place, and takes it.
    fn take(places: &Arc<Self>) -> Place {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |taken: &mut usize| *taken >= PLACES;
        let waited = places.freed.wait_while(taken, free);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Place(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(1);
        self.0.freed.notify_one();
    }
}
