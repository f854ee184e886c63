//! Datagrams of any content and length, as chronyd's replies.
//!
//! `cargo +nightly fuzz run chrony_reply fuzz/corpus/chrony_reply fuzz/seeds/chrony_reply`
//!
//! The first byte of each reply says whether it is given the request's sequence number (else none would
//! get past the first checks) and how long it is. None may panic; what the source claims has to be an
//! interval that a clock can carry, and the clock on it has none that ends before it begins.
#![no_main]

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::source::{ChronySource, ChronyTransport, KernelSource};
use epsilon_clock::testing::ScriptedMachine;
use libfuzzer_sys::fuzz_target;

/// A tracking report.
const REPLY_LEN: usize = 104;

#[derive(Clone, Debug)]
struct Replies(Arc<Mutex<VecDeque<(bool, Vec<u8>)>>>);

impl ChronyTransport for Replies {
    fn exchange(&self, request: &[u8], answer: &mut [u8], _timeout: Duration) -> io::Result<usize> {
        let next = self.0.lock().unwrap().pop_front();
        let (ours, mut datagram) = next.ok_or(io::ErrorKind::TimedOut)?;
        if let (true, Some(sequence)) = (ours, datagram.get_mut(16..20)) {
            sequence.copy_from_slice(&request[8..12]);
        }
        let length = datagram.len().min(answer.len());
        answer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut datagrams = VecDeque::new();
    let mut rest = data;
    while let [first, tail @ ..] = rest {
        // Mostly a report's length, so that the bytes stay where they are from one run to the next.
        let length = match first >> 1 {
            0..100 => REPLY_LEN,
            other => usize::from(other),
        };
        let (datagram, tail) = tail.split_at(length.min(tail.len()));
        datagrams.push_back((first & 1 == 1, datagram.to_vec()));
        rest = tail;
    }
    let exchanges = datagrams.len().min(8);
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let source = ChronySource::new()
        .transport(Replies(Arc::new(Mutex::new(datagrams))))
        .manual();
    let clock = machine
        .builder()
        .source(source)
        .source(KernelSource::new())
        .build()
        .unwrap();
    for _ in 0..exchanges {
        machine.advance(Duration::from_secs(3));
        machine.write_maxerror(1_003);
        if let Ok(now) = clock.refresh() {
            assert!(now.earliest() <= now.latest());
        }
        let _ = clock.now();
        let _ = format!("{:?}", clock.status());
        for source in clock.sources() {
            let _ = format!("{source:?}");
        }
    }
});
