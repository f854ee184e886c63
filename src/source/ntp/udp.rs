//! The real way to servers.

use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use super::bucket::Budget;
use super::exchange::{Channel, Transport};
use crate::machine::Arrivals;
use crate::time::Timestamp;

/// One for all clocks of the process.
static BUDGET: Budget = Budget::new();

/// UDP, from a fresh port for each request: a late reply to an earlier one finds no socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp;

/// A socket for one request.
#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    /// `None` where the kernel stamps nothing, or does not tell of steps.
    arrivals: Option<Arrivals>,
    arrived: Option<i64>,
}

impl Transport for Udp {
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        let from: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Port 0: the system chooses one that cannot be guessed (RFC 9109).
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(server)?;
        Ok(Box::new(Socket {
            arrivals: Arrivals::of(&socket).ok(),
            arrived: None,
            socket,
        }))
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
        self.socket.send(datagram).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let patience = patience.max(Duration::from_micros(1));
        self.socket.set_read_timeout(Some(patience))?;
        let (length, arrived) = Arrivals::receive(&self.socket, buffer)?;
        self.arrived = arrived;
        Ok(length)
    }

    fn arrived(&mut self) -> Option<Timestamp> {
        let arrivals = self.arrivals.as_ref()?;
        // Asked last: what it does not tell of has not happened before.
        let arrived = self.arrived.filter(|_| !arrivals.may_have_been_stepped())?;
        Some(Timestamp::from_unix_nanos(arrived))
    }
}

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::sleep;
    use std::time::{Instant, SystemTime};

    use super::super::NtpSource;
    use super::*;
    use crate::machine::SystemMachine;
    use crate::source::Source;

    /// X8: what waits in a socket was there when the kernel says so, not when it is read.
    #[test]
    fn x8_the_kernel_stamps_what_comes_in() {
        const WAITS: Duration = Duration::from_millis(60);
        let now = || Timestamp::try_from(SystemTime::now()).unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut channel = Udp.open(server.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 8];
        // The first ones may be stamped when they are read: the kernel turns stamps on in its own time.
        for _ in 0..20 {
            channel.send(b"request").unwrap();
            let (_, client) = server.recv_from(&mut buffer).unwrap();
            sleep(WAITS);
            let sent = now();
            server.send_to(b"reply", client).unwrap();
            let delivered = now();
            sleep(WAITS);
            let length = channel.receive(&mut buffer, WAITS).unwrap();
            assert_eq!(buffer.get(..length), Some(&b"reply"[..]));
            // `None` if real time was stepped just now, of which the kernel tells.
            let Some(arrived) = channel.arrived() else {
                continue;
            };
            assert!(sent <= arrived && arrived <= now());
            if arrived <= delivered {
                return;
            }
        }
        panic!("no stamp that is earlier than the read");
    }

    /// F6: silent servers are waited for together, and half a second in all.
    #[test]
    fn f6_eight_silent_servers_take_no_longer_than_one() {
        let machine = SystemMachine::new().unwrap();
        let silent = [(); 8].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let source = silent.iter().fold(NtpSource::new(), |source, socket| {
            source.server(socket.local_addr().unwrap()).unwrap()
        });
        let begun = Instant::now();
        source.refresh(&machine);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        // One after the other they would take four seconds; a busy machine is late.
        assert!(took < Duration::from_millis(2_500), "{took:?}");
        for socket in &silent {
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut [0; 48]).unwrap(), 48);
        }
    }

    /// P8: what an attacker off the path would have to guess.
    #[test]
    fn p8_the_bits_of_requests_over_the_network_are_not_drawn_twice() {
        let drawn: HashSet<u64> = (0..100).map(|_| Udp.random_bits().unwrap()).collect();
        assert_eq!(drawn.len(), 100);
    }
}
