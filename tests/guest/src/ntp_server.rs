//! An NTP server on the loopback that serves true time, up to an error that it owns up to, over a path
//! that may be slow one way.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::system::answer_at;
use crate::truth::{SECOND, Truth, raw_now};

/// From 1900 to 1970, in seconds.
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// Where it is served, as if from another host.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// What the server is told while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// How far ahead of the truth it serves, in ns.
    pub(crate) ahead: Arc<AtomicI64>,
    /// How long requests are under way to it, in ns.
    pub(crate) way_there: Arc<AtomicI64>,
    /// How long its answers are under way, in ns.
    pub(crate) way_back: Arc<AtomicI64>,
    /// The root dispersion that it reports, in ns.
    pub(crate) dispersion: Arc<AtomicI64>,
    /// How many requests were answered.
    pub(crate) answered: Arc<AtomicU64>,
}

impl Server {
    /// Starts to serve at [`ADDRESS`].
    pub(crate) fn start(truth: Truth, dispersion: i64) -> Self {
        let server = Self::default();
        server.dispersion.store(dispersion, Ordering::SeqCst);
        answer_at(ADDRESS);
        let socket = UdpSocket::bind((ADDRESS, 123)).expect("the address is free");
        let serving = server.clone();
        std::thread::spawn(move || {
            let mut request = [0_u8; 512];
            while let Ok((length, client)) = socket.recv_from(&mut request) {
                under_way(&serving.way_there);
                let received = serving.served(&truth);
                if length < 48 {
                    continue;
                }
                let mut reply = [0_u8; 48];
                // The client's version, as a server of stratum 1.
                reply[0] = (request[0] & 0x38) | 4;
                reply[1] = 1;
                reply[2] = request[2];
                // A precision of a microsecond.
                reply[3] = 0xec;
                let dispersion = serving.dispersion.load(Ordering::SeqCst);
                let short = (dispersion * 65_536).div_euclid(SECOND);
                let short = u32::try_from(short).expect("a small dispersion");
                reply[8..12].copy_from_slice(&short.to_be_bytes());
                reply[12..16].copy_from_slice(b"TRUE");
                reply[16..24].copy_from_slice(&ntp_time(received - SECOND));
                reply[24..32].copy_from_slice(&request[40..48]);
                reply[32..40].copy_from_slice(&ntp_time(received));
                reply[40..48].copy_from_slice(&ntp_time(serving.served(&truth)));
                under_way(&serving.way_back);
                let _ = socket.send_to(&reply, client);
                if serving.answered.fetch_add(1, Ordering::SeqCst) == 0 {
                    println!("the server answers {client}");
                }
            }
        });
        server
    }

    fn served(&self, truth: &Truth) -> i64 {
        truth.posix_at(raw_now()) + self.ahead.load(Ordering::SeqCst)
    }
}

/// Lets a packet take its time.
fn under_way(time: &AtomicI64) {
    let time = time.load(Ordering::SeqCst);
    if time > 0 {
        std::thread::sleep(Duration::from_nanos(time.unsigned_abs()));
    }
}

/// Seconds and fractions as they go over the wire.
fn ntp_time(unix_nanos: i64) -> [u8; 8] {
    let seconds = unix_nanos.div_euclid(SECOND) + NTP_TO_UNIX;
    let fraction = (unix_nanos.rem_euclid(SECOND) << 32) / SECOND;
    // The era wraps by design.
    (((seconds & 0xffff_ffff) << 32) | fraction).to_be_bytes()
}
