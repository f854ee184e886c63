//! NTP servers on loopback that live as long as the test's process.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime};

/// Seconds from 1900, where NTP counts from, to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// A server's manner: how far its clock is ahead, and whom it names as its own source.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) ahead: Duration,
    pub(crate) reference_id: [u8; 4],
}

#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) const HONEST: Manner = Manner {
    ahead: Duration::ZERO,
    reference_id: [192, 0, 2, 1],
};

/// Starts a server that lives as long as this process; where it is.
pub(crate) fn server(manner: Manner) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut request = [0; 48];
        while let Ok((48, client)) = socket.recv_from(&mut request) {
            let stamp = |ago: Duration| {
                let at = SystemTime::now() + manner.ahead - ago;
                let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
                ((since.as_secs() + UNIX_EPOCH) << 32 | fraction).to_be_bytes()
            };
            let mut reply = [0; 48];
            // Version 4, a server's; stratum 2, asked again in 64 s, precise to 60 ns.
            reply[..4].copy_from_slice(&[0x24, 2, 6, 0xe8]);
            // 1 ms of root delay and of dispersion.
            reply[4..12].copy_from_slice(&[0, 0, 0, 66, 0, 0, 0, 66]);
            reply[12..16].copy_from_slice(&manner.reference_id);
            reply[16..24].copy_from_slice(&stamp(Duration::from_secs(3)));
            reply[24..32].copy_from_slice(&request[40..48]);
            reply[32..40].copy_from_slice(&stamp(Duration::ZERO));
            reply[40..48].copy_from_slice(&stamp(Duration::ZERO));
            let _ = socket.send_to(&reply, client);
        }
    });
    address
}
