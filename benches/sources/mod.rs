//! Clocks with more than the kernel behind them: chronyd's report, played, and a vmclock page.

use epsilon_clock::Clock;
use epsilon_clock::source::{ChronySource, Source};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that answers from what a chronyd says, asked once a second by the clock's own thread.
pub(crate) fn with_chrony() -> Clock {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || play_chronyd(&socket));
    let source = ChronySource::new().address(address);
    let clock = Clock::builder().source(source).build();
    let clock = clock.expect("a clock of this machine");
    // It counts from the second reference on.
    clock
        .wait_until_synchronized(Duration::from_secs(10))
        .expect("an answer");
    clock
}

/// Answers every request with a report of 5 ms and a reference of just now.
fn play_chronyd(socket: &UdpSocket) {
    // 5 · 2⁻¹⁰ s and 4 s, as coefficients of 2⁻²³ and 2⁻¹³.
    let (dispersion, interval) = ((2 << 25) | (5 << 13), (12_u32 << 25) | (4 << 13));
    let mut request = [0_u8; 128];
    while let Ok((_, client)) = socket.recv_from(&mut request) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock after 1970");
        let mut reply = vec![6, 2, 0, 0, 0, 33, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        reply.extend(&request[8..12]);
        reply.extend([0; 8]);
        reply.extend([10, 0, 0, 1]);
        reply.extend([0; 20]);
        reply.extend([0, 2, 0, 0]);
        reply.extend(now.as_secs().to_be_bytes());
        reply.extend(now.subsec_nanos().to_be_bytes());
        reply.extend([0; 28]);
        reply.extend(u32::to_be_bytes(dispersion));
        reply.extend(u32::to_be_bytes(interval));
        let _ = socket.send_to(&reply, client);
    }
}

/// A clock with this source and a vmclock page in a file; the file goes with the second value.
pub(crate) fn with_vmclock(source: impl Source + 'static) -> (Clock, PageFile) {
    let path = std::env::temp_dir().join(format!("vmclock-bench-{}", std::process::id()));
    let mut page = vec![0; 4096];
    page[..4].copy_from_slice(&0x4b4c_4356_u32.to_le_bytes());
    page[4..8].copy_from_slice(&4096_u32.to_le_bytes());
    page[8] = 1;
    // The generation counter is there.
    page[25] = 1;
    std::fs::write(&path, page).expect("a temporary file");
    let builder = Clock::builder().source(source).vmclock(&path);
    let clock = builder.build().expect("a clock of this machine");
    (clock, PageFile(path))
}

/// Removed when it is dropped.
pub(crate) struct PageFile(PathBuf);

impl Drop for PageFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
