//! Asking: one datagram there, one back, and no more patience than was granted.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;

/// Carries one request to a chronyd and brings its answer back; see [`ChronySource::transport`].
///
/// [`ChronySource`](super::ChronySource) asks over UDP. Another way there, or a chronyd that is played
/// in a test, takes its place by implementing this; `ChronyReport` in
/// `epsilon_clock::testing` (feature `test-util`) makes the answers.
///
/// [`ChronySource::transport`]: super::ChronySource::transport
pub trait ChronyTransport: fmt::Debug + Send + Sync {
    /// Sends the request, waits for one datagram, and returns its length.
    ///
    /// The datagram's beginning is put into `answer`; what does not fit is dropped, and the length is
    /// at most that of `answer`.
    ///
    /// # Errors
    ///
    /// Whatever kept an answer from coming within `timeout`.
    fn exchange(&self, request: &[u8], answer: &mut [u8], timeout: Duration) -> io::Result<usize>;
}

/// Over UDP, from a fresh port each time: a late answer to an earlier request finds nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp {
    address: SocketAddr,
}

impl Udp {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl ChronyTransport for Udp {
    fn exchange(&self, request: &[u8], answer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let from: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((from, 0))?;
        // Connected: nobody else's datagrams come in, and an empty port is told at once.
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.send(request)?;
        socket.recv(answer)
    }
}
