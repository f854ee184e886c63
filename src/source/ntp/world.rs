//! A machine and servers whose every read and reply a test sets, with true time known.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bucket::Budget;
use super::exchange::{Channel, Transport};
use super::packet::Reply;
use super::stamp::Stamp;
use crate::machine::{Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use crate::time::Timestamp;

/// 2026-11-20T05:50:00Z.
pub(super) const MORNING: i64 = 1_795_153_800_000_000_000;

pub(super) const SECOND: i64 = 1_000_000_000;

/// What happens just before a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The reader is kept from running, for so many ns.
    Pause(i64),
    /// The machine sleeps: raw and monotonic time stand still.
    Suspend(i64),
    /// Real time is stepped.
    Step(i64),
    Marker,
    Generation,
    Namespace,
    Process,
    Clocksource,
}

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) there: i64,
    pub(super) held: i64,
    pub(super) back: i64,
    /// How far off its clock is when it stamps T2 and T3, in ns.
    pub(super) off_received: i64,
    pub(super) off_sent: i64,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Time,
    /// With this leap indicator.
    Leap(u8),
    Kiss([u8; 4]),
    Unsynchronized,
    Local,
    NoDispersion,
    Silence,
}

impl Behaviour {
    pub(super) const HONEST: Self = Self {
        there: 5_000_000,
        held: 20_000,
        back: 5_000_000,
        off_received: 0,
        off_sent: 0,
        answer: Answer::Time,
    };
}

#[derive(Debug)]
pub(super) struct State {
    /// True time since the beginning.
    now: i64,
    slept: i64,
    stepped: i64,
    steps: usize,
    /// Whether the kernel stamps what comes in, and whether it tells of steps.
    pub(super) stamps: bool,
    pub(super) tells_of_steps: bool,
    reads: usize,
    pub(super) events: Vec<(usize, Event)>,
    disruption: Disruption,
    identity: Identity,
    clocksource: u64,
    /// What raw time was read, and when in true time.
    raw_reads: Vec<(i64, i64)>,
    pub(super) servers: BTreeMap<SocketAddr, Behaviour>,
    /// Where strangers' datagrams come before the reply, and after.
    pub(super) strangers: Vec<Vec<u8>>,
    pub(super) twice: bool,
    pub(super) asked: Vec<(i64, SocketAddr)>,
    random: u64,
}

impl State {
    const fn real(&self) -> i64 {
        MORNING + self.now + self.stepped
    }

    /// Forgets when raw time was read, for a world that goes on for long.
    pub(super) fn forget_reads(&mut self) {
        self.raw_reads.clear();
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct World {
    state: Arc<Mutex<State>>,
    budget: Arc<Budget>,
    drift_ppb: i64,
}

impl World {
    pub(super) fn new(drift_ppb: i64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: 0,
                slept: 0,
                stepped: 0,
                steps: 0,
                stamps: true,
                tells_of_steps: true,
                reads: 0,
                events: Vec::new(),
                disruption: Disruption::default(),
                identity: Identity::default(),
                clocksource: 1,
                raw_reads: Vec::new(),
                servers: BTreeMap::new(),
                strangers: Vec::new(),
                twice: false,
                asked: Vec::new(),
                random: 1,
            })),
            budget: Arc::default(),
            drift_ppb,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn truth(&self) -> Timestamp {
        Timestamp::from_unix_nanos(MORNING + self.lock().now)
    }

    /// The first and the last instant of true time at which raw time may have been this: between the reads around
    /// it, of which one or the other may be right beside a sleep.
    pub(super) fn truth_at(&self, raw: i64) -> [Timestamp; 2] {
        let state = self.lock();
        let (before, after): (Vec<_>, Vec<_>) =
            state.raw_reads.iter().partition(|(read, _)| *read <= raw);
        let passed = |raw: i64| raw + raw * self.drift_ppb / SECOND;
        let since = before
            .iter()
            .max()
            .map(|(read, now)| now + passed(raw - read));
        // Read to be just this: then it was then.
        let is_read = before.iter().any(|(read, _)| *read == raw);
        let until = after
            .iter()
            .min()
            .map(|(read, now)| now - passed(read - raw));
        let since = since.unwrap();
        let until = until.filter(|_| !is_read).unwrap_or(since);
        [since.min(until), since.max(until)].map(|now| Timestamp::from_unix_nanos(MORNING + now))
    }

    pub(super) fn reads(&self) -> usize {
        self.lock().reads
    }

    pub(super) fn advance(&self, span: i64) {
        self.lock().now += span;
    }

    pub(super) fn suspend(&self, span: i64) {
        let mut state = self.lock();
        state.now += span;
        state.slept += span;
    }

    pub(super) fn set(&self, server: SocketAddr, behaviour: Behaviour) {
        self.lock().servers.insert(server, behaviour);
    }

    /// A read of one clock, before which whatever is due happens.
    fn read<T>(&self, clock: impl FnOnce(&State) -> T) -> T {
        let mut state = self.lock();
        let number = state.reads;
        state.reads += 1;
        state.now += 30;
        let due: Vec<Event> = state
            .events
            .iter()
            .filter(|(at, _)| *at == number)
            .map(|(_, event)| *event)
            .collect();
        for event in due {
            match event {
                Event::Pause(span) => state.now += span,
                Event::Suspend(span) => {
                    state.now += span;
                    state.slept += span;
                }
                Event::Step(by) => {
                    state.stepped += by;
                    state.steps += 1;
                }
                Event::Marker => state.disruption.marker += 1,
                Event::Generation => state.disruption.generation += 1,
                Event::Namespace => state.identity.time_namespace += 1,
                Event::Process => state.identity.pid += 1,
                Event::Clocksource => state.clocksource += 1,
            }
        }
        clock(&state)
    }

    #[allow(clippy::cast_possible_truncation, reason = "a share of what fits")]
    const fn raw_of(&self, state: &State) -> i64 {
        let awake = state.now - state.slept;
        // True time runs so much faster than raw time.
        let drift = self.drift_ppb as i128;
        awake - (awake as i128 * drift / (1_000_000_000 + drift)) as i64
    }

    fn raw(&self) -> i64 {
        let raw = self.read(|state| self.raw_of(state));
        let mut state = self.lock();
        let now = state.now;
        state.raw_reads.push((raw, now));
        raw
    }

    fn mono(&self) -> i64 {
        self.read(|state| state.now - state.slept)
    }
}

impl Machine for World {
    fn sample(&self) -> Sample {
        let coarse = self.read(State::real);
        let raw = self.raw();
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        Sandwich {
            mono_before: self.mono(),
            boot: self.read(|state| state.now),
            real: self.read(State::real),
            raw: self.raw(),
            mono_after: self.mono(),
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        panic!("an NTP source asks no kernel");
    }

    fn coarse_tick(&self) -> Duration {
        Duration::from_millis(4)
    }

    fn identity(&self) -> Identity {
        self.read(|state| state.identity)
    }

    fn clocksource(&self) -> u64 {
        self.read(|state| state.clocksource)
    }

    fn sleep(&self, span: Duration) {
        self.advance(i64::try_from(span.as_nanos()).unwrap());
    }

    fn disruption(&self) -> Option<Disruption> {
        Some(self.read(|state| state.disruption))
    }
}

#[derive(Debug)]
struct Line {
    world: World,
    server: SocketAddr,
    request: Vec<u8>,
    strangers: Vec<Vec<u8>>,
    steps: usize,
    arrived: Option<i64>,
}

impl Transport for World {
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        let state = self.lock();
        Ok(Box::new(Line {
            world: self.clone(),
            server,
            request: Vec::new(),
            strangers: state.strangers.clone(),
            steps: state.steps,
            arrived: None,
        }))
    }

    fn resolve(&self, _name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![
            SocketAddr::new("192.0.2.1".parse().unwrap(), port),
            SocketAddr::new("192.0.2.2".parse().unwrap(), port),
        ])
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn random_bits(&self) -> io::Result<u64> {
        // SplitMix64.
        let mut state = self.lock();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state.random ^ state.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ mixed >> 31)
    }
}

impl Channel for Line {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.request = datagram.to_vec();
        let mut state = self.world.lock();
        let now = state.now;
        state.asked.push((now, self.server));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let mut state = self.world.lock();
        if let Some(stranger) = self.strangers.pop() {
            state.now += 1_000;
            self.arrived = Some(state.real());
            let length = stranger.len().min(buffer.len());
            buffer[..length].copy_from_slice(&stranger[..length]);
            return Ok(length);
        }
        let behaviour = state.servers.get(&self.server).copied();
        let Some(behaviour) = behaviour.filter(|b| b.answer != Answer::Silence) else {
            state.now += i64::try_from(patience.as_nanos()).unwrap();
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let stamp = |now: i64, off: i64| Stamp::at(Timestamp::from_unix_nanos(MORNING + now + off));
        let reference = stamp(state.now, -10 * SECOND);
        state.now += behaviour.there;
        let received = stamp(state.now, behaviour.off_received);
        state.now += behaviour.held;
        let sent = stamp(state.now, behaviour.off_sent);
        state.now += behaviour.back;
        self.arrived = Some(state.real());
        let arrived = (self.world.raw_of(&state), state.now);
        state.raw_reads.push(arrived);
        let mut reply = Reply {
            stratum: 2,
            precision: -24,
            root_delay: 66,
            root_dispersion: 66,
            reference_id: 0xc000_02ff,
            reference,
            received,
            sent,
            ..Reply::default()
        };
        match behaviour.answer {
            Answer::Time | Answer::Silence => {}
            Answer::Leap(leap) => reply.leap = leap,
            Answer::Kiss(code) => {
                reply.stratum = 0;
                reply.reference_id = u32::from_be_bytes(code);
            }
            Answer::Unsynchronized => reply.leap = 3,
            Answer::Local => reply.reference_id = 0x7f7f_0101,
            Answer::NoDispersion => reply.root_dispersion = 0,
        }
        let datagram = reply.answer(&self.request).unwrap();
        buffer[..48].copy_from_slice(&datagram);
        if state.twice {
            self.strangers.push(datagram.to_vec());
        }
        Ok(48)
    }

    fn arrived(&mut self) -> Option<Timestamp> {
        let state = self.world.lock();
        let stepped = state.tells_of_steps && state.steps != self.steps;
        let told = self.arrived.filter(|_| state.stamps && !stepped)?;
        Some(Timestamp::from_unix_nanos(told))
    }
}
