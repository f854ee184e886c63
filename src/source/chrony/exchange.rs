//! Asking: one datagram there, one back, and no more patience than was granted.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;

/// Somebody who passes a request on and brings the answer.
pub(crate) trait Asker: fmt::Debug + Send + Sync {
    /// Sends the request and waits for one datagram: how long it is, with its beginning in `answer`.
    ///
    /// # Errors
    ///
    /// Whatever kept an answer from coming in time.
    fn ask(&self, request: &[u8], answer: &mut [u8]) -> io::Result<usize>;
}

/// Over UDP, from a fresh port each time: a late answer to an earlier request finds nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp {
    address: SocketAddr,
    timeout: Duration,
}

impl Udp {
    pub(super) const fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout }
    }
}

impl Asker for Udp {
    fn ask(&self, request: &[u8], answer: &mut [u8]) -> io::Result<usize> {
        let from: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((from, 0))?;
        // Connected: nobody else's datagrams come in, and an empty port is told at once.
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(self.timeout))?;
        socket.send(request)?;
        socket.recv(answer)
    }
}
