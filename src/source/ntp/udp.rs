//! The real way to servers.

use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use super::bucket::Budget;
use super::exchange::{Channel, Transport};

/// One for all clocks of the process.
static BUDGET: Budget = Budget::new();

/// UDP, from a fresh port for each request: a late reply to an earlier one finds no socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp;

/// A socket for one request.
#[derive(Debug)]
struct Socket(UdpSocket);

impl Transport for Udp {
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        let from: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Port 0: the system chooses one that cannot be guessed (RFC 9109).
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(server)?;
        Ok(Box::new(Socket(socket)))
    }

    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((name, port).to_socket_addrs()?.collect())
    }

    fn budget(&self) -> &Budget {
        &BUDGET
    }

    fn is_concurrent(&self) -> bool {
        true
    }
}

impl Channel for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let patience = patience.max(Duration::from_micros(1));
        self.0.set_read_timeout(Some(patience))?;
        self.0.recv(buffer)
    }
}
