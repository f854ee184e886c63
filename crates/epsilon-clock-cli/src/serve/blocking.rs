//! A connection that blocks its thread, as hyper wants to read and write it.

use std::future::Future;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A connection whose reads and writes end at a deadline, however slowly the client sends and takes.
pub(super) struct Blocking {
    stream: TcpStream,
    deadline: Instant,
}

impl Blocking {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        Self { stream, deadline }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }

    fn read(&mut self, buffer: &mut ReadBufCursor<'_>) -> io::Result<()> {
        self.stream.set_read_timeout(self.left()?)?;
        let mut space = [0; 2048];
        let wanted = space.len().min(buffer.remaining());
        let read = self
            .stream
            .read(space.get_mut(..wanted).unwrap_or_default())?;
        buffer.put_slice(space.get(..read).unwrap_or_default());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }
}

impl Read for Blocking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.read(&mut buffer))
    }
}

impl Write for Blocking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

/// Runs a future on this thread; drops it where it is not done after `patience`.
pub(super) fn run<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    let deadline = Instant::now() + patience;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // A connection that blocks is pending only where hyper lets others go first.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
