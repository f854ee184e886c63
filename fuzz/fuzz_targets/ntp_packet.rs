//! Datagrams of any content and length, as replies to an NTP source's requests.
//!
//! `cargo +nightly fuzz run ntp_packet`
//!
//! Each exchange takes one datagram of what the fuzzer makes: its length, whether it is given the
//! request's cookie (else none would ever get past the first checks), and its bytes. None may panic, and
//! what the source claims of them has to be an interval that a clock can carry.
#![no_main]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::Timestamp;
use epsilon_clock::source::ntp::{Budget, Channel, Transport};
use epsilon_clock::source::{Finding, LookContext, NtpServer, NtpSource, Source, SourceMemory};
use epsilon_clock::testing::ScriptedMachine;
use libfuzzer_sys::fuzz_target;

/// How many exchanges there are in a run.
const EXCHANGES: usize = 12;

#[derive(Debug, Default)]
struct Replies {
    datagrams: Mutex<VecDeque<(bool, Vec<u8>)>>,
    budget: Budget,
}

#[derive(Debug)]
struct Shared(Arc<Replies>);

#[derive(Debug)]
struct Line {
    replies: Arc<Replies>,
    cookie: Vec<u8>,
}

impl Transport for Shared {
    fn open(&self, _server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        Ok(Box::new(Line {
            replies: Arc::clone(&self.0),
            cookie: Vec::new(),
        }))
    }

    fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(Vec::new())
    }

    fn budget(&self) -> &Budget {
        &self.0.budget
    }

    fn random_bits(&self) -> io::Result<u64> {
        Ok(0)
    }
}

impl Channel for Line {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.cookie = datagram[40..48].to_vec();
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _patience: Duration) -> io::Result<usize> {
        let next = self.replies.datagrams.lock().unwrap().pop_front();
        let (ours, mut datagram) = next.ok_or(io::ErrorKind::WouldBlock)?;
        if let (true, Some(origin)) = (ours, datagram.get_mut(24..32)) {
            origin.copy_from_slice(&self.cookie);
        }
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut datagrams = VecDeque::new();
    let mut rest = data;
    while let [first, tail @ ..] = rest {
        // Mostly a packet's length, so that the bytes stay where they are from one run to the next.
        let length = match first >> 1 {
            0..100 => 48,
            other => usize::from(other) * 4,
        };
        let (datagram, tail) = tail.split_at(length.min(tail.len()));
        datagrams.push_back((first & 1 == 1, datagram.to_vec()));
        rest = tail;
    }
    let replies = Arc::new(Replies {
        datagrams: Mutex::new(datagrams),
        budget: Budget::new(),
    });
    // 2026-11-20T05:50:00Z.
    let machine = ScriptedMachine::new(Timestamp::from_unix_nanos(1_795_153_800_000_000_000));
    let server = |host: u8| {
        NtpServer::at(SocketAddr::from(([192, 0, 2, host], 123)))
            .own()
            .interval(Duration::from_secs(1))
    };
    let source = NtpSource::new().transport(Arc::new(Shared(replies)));
    let source = (1..=3).fold(source, |source, host| source.server(server(host)).unwrap());
    let mut memory = SourceMemory::default();
    for _ in 0..EXCHANGES / 3 {
        machine.advance(Duration::from_secs(3));
        source.refresh(&machine);
        let look = source.look(&LookContext::new(&machine), &mut memory);
        if let Finding::Write(sync) = look.finding {
            let now = sync.claim.carry(machine.raw_time()).unwrap();
            assert!(now.earliest() <= now.latest());
        }
        let _ = source.servers();
    }
});
