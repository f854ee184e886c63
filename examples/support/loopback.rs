//! Sockets for nodes that talk to each other on this machine.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Returns a socket for each of so many nodes, and the addresses of all.
pub(crate) fn sockets(count: usize) -> io::Result<(Vec<UdpSocket>, Arc<[SocketAddr]>)> {
    let sockets = (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    let sockets: Vec<UdpSocket> = sockets.collect::<Result<_, _>>()?;
    let addresses: Result<_, _> = sockets.iter().map(UdpSocket::local_addr).collect();
    Ok((sockets, addresses?))
}

/// Waits for a datagram, and returns its length and its sender; `None` if none comes in time.
pub(crate) fn receive(
    socket: &UdpSocket,
    within: Duration,
    datagram: &mut [u8],
) -> io::Result<Option<(usize, SocketAddr)>> {
    socket.set_read_timeout(Some(within))?;
    match socket.recv_from(datagram) {
        Ok(received) => Ok(Some(received)),
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
