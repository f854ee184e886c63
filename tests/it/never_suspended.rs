//! M3: NTP servers on a machine whose clocks do not tell a suspend from a step, where the user vouches that it
//! never sleeps; and it sleeps.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::NtpSource;
use epsilon_clock::source::ntp::{Budget, Channel, Reply, Stamp, Transport};
use epsilon_clock::{BuildError, Clock, ClockError, Timestamp};

/// 2026-11-20T05:50:00Z.
const MORNING: i64 = 1_795_153_800_000_000_000;
const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// A machine with a server that serves true time; boot time is raw time, and stands still while it sleeps.
#[derive(Debug, Default)]
struct World {
    now: AtomicI64,
    slept: AtomicI64,
    stepped: AtomicI64,
    random: AtomicI64,
}

impl World {
    fn advance(&self, span: i64) {
        self.now.fetch_add(span, Ordering::SeqCst);
    }

    fn suspend(&self, span: i64) {
        self.slept.fetch_add(span, Ordering::SeqCst);
        self.advance(span);
    }

    fn truth(&self) -> i64 {
        MORNING + self.now.load(Ordering::SeqCst)
    }

    fn real(&self) -> i64 {
        self.truth() + self.stepped.load(Ordering::SeqCst)
    }

    /// Each read takes 20 ns.
    fn raw(&self) -> i64 {
        self.advance(20);
        self.now.load(Ordering::SeqCst) - self.slept.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<World>);

impl Machine for Shared {
    fn sample(&self) -> Sample {
        let coarse = self.0.real();
        let raw = self.0.raw();
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        Sandwich {
            mono_before: self.0.raw(),
            boot: self.0.raw(),
            real: self.0.real(),
            raw: self.0.raw(),
            mono_after: self.0.raw(),
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    fn coarse_tick(&self) -> Duration {
        Duration::from_millis(16)
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: 1,
            time_namespace: 1,
        }
    }

    fn sleep(&self, span: Duration) {
        self.0.advance(i64::try_from(span.as_nanos()).unwrap());
    }

    fn tells_suspends(&self) -> bool {
        false
    }
}

impl Transport for Shared {
    fn open(&self, _server: SocketAddr) -> io::Result<Box<dyn Channel>> {
        Ok(Box::new(Line(self.clone(), Vec::new())))
    }

    fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn budget(&self) -> &Budget {
        static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::new);
        &BUDGET
    }

    fn random_bits(&self) -> io::Result<u64> {
        Ok(self.0.random.fetch_add(1, Ordering::SeqCst).unsigned_abs())
    }
}

#[derive(Debug)]
struct Line(Shared, Vec<u8>);

impl Channel for Line {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.1 = datagram.to_vec();
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _patience: Duration) -> io::Result<usize> {
        let world = &self.0.0;
        world.advance(MS / 10);
        let stamp = Stamp::at(Timestamp::from_unix_nanos(world.truth()));
        let reply = Reply {
            stratum: 2,
            precision: -24,
            root_delay: 1,
            root_dispersion: 1,
            reference_id: 0xc000_0201,
            reference: stamp,
            received: stamp,
            sent: stamp,
            ..Reply::default()
        };
        world.advance(MS / 10);
        let datagram = reply.answer(&self.1).ok_or(io::ErrorKind::InvalidData)?;
        buffer[..48].copy_from_slice(&datagram);
        Ok(48)
    }
}

/// A server of a port of its own, and so of a budget of its own.
fn source(world: &Shared, port: u16) -> NtpSource {
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let source = NtpSource::new().transport(Arc::new(world.clone()));
    source.server(server).unwrap().manual()
}

fn clock(world: &Shared, port: u16) -> Clock {
    Clock::builder()
        .machine(Arc::new(world.clone()))
        .source(source(world, port).assume_never_suspended())
        .build()
        .unwrap()
}

/// Lets a tenth of a second pass, in steps of a millisecond; whether each reading was true or none was made.
fn goes_on(world: &Shared, clock: &Clock) -> Result<(), ClockError> {
    let mut last = Ok(());
    for _ in 0..100 {
        world.0.advance(MS);
        let before = world.0.truth();
        let now = clock.now();
        if let Ok(now) = now {
            let (earliest, latest) = (now.earliest().unix_nanos(), now.latest().unix_nanos());
            assert!(earliest <= world.0.truth() && before <= latest, "{now}");
        }
        last = now.map(drop);
    }
    last
}

fn synchronized(world: &Shared, clock: &Clock) {
    for _ in 0..100 {
        clock.refresh_sources();
        if goes_on(world, clock).is_ok() {
            return;
        }
    }
    panic!("{:?}", clock.now());
}

#[test]
fn m3_a_sleep_in_spite_of_the_users_word_leaves_no_interval_in_force() {
    for (port, slept) in [(1, 2 * MS), (2, SECOND), (3, 8 * 3_600 * SECOND)] {
        let world = Shared::default();
        let refused = Clock::builder()
            .machine(Arc::new(world.clone()))
            .source(source(&world, port))
            .build();
        assert!(matches!(refused, Err(BuildError::Source { .. })));
        let clock = clock(&world, port);
        synchronized(&world, &clock);
        world.0.suspend(slept);
        // Beyond what readings compare the clocks by: the guard's interval, an eighth of it and a tick.
        world.0.advance(30 * MS);
        assert!(clock.now().is_err(), "{slept}");
        assert_eq!(clock.status().counters.suspends, 1, "{slept}");
        // Servers that are asked anew end it.
        synchronized(&world, &clock);
    }
}

#[test]
fn m3_a_step_may_have_been_a_sleep_and_a_slew_was_none() {
    let world = Shared::default();
    let clock = clock(&world, 4);
    synchronized(&world, &clock);
    for _ in 0..200 {
        world.0.stepped.fetch_add(400, Ordering::SeqCst);
        world.0.advance(MS);
        clock.now().unwrap();
    }
    world.0.stepped.fetch_add(50 * MS, Ordering::SeqCst);
    assert!(clock.now().is_err());
    assert_eq!(clock.status().counters.suspends, 1);
}
