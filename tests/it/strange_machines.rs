//! Machines whose clocks are slow, coarse or nonsense.

use epsilon_clock::lease::{GrantorClock, PauseDetector};
use epsilon_clock::machine::{Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich};
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_clock_that_takes_200_us_to_read_gives_wide_intervals() {
    let slow = Duration::from_micros(200);
    let machine = ScriptedMachine::default();
    machine.set_read_cost(slow);
    machine.write_maxerror(1_003);
    let assumed = ScriptedMachine::default();
    assumed.set_read_cost(slow);
    let clocks = [
        (&machine, machine.clock().unwrap()),
        (
            &assumed,
            assumed
                .builder()
                .assume_error(Duration::from_millis(50))
                .build()
                .unwrap(),
        ),
    ];
    for (machine, clock) in &clocks {
        for _ in 0..20 {
            machine.advance(Duration::from_secs(1));
            let began = machine.true_time();
            let interval = clock.now().unwrap();
            assert!(interval.latest() >= began && interval.earliest() <= machine.true_time());
        }
        // The five reads of a comparison take 800 µs and more, and all of it is charged.
        let bound = clock.status().bound.unwrap();
        assert!(bound.bracket_ns >= 800_000, "{bound:?}");
    }
    // What is built on comparisons goes on as well.
    let (machine, clock) = &clocks[0];
    let request = clock.request_lease().unwrap();
    let lease = request.granted(Duration::from_secs(10), GrantorClock::RawTime);
    assert!(lease.unwrap().held().unwrap());
    let mut detector = PauseDetector::new(clock, Duration::from_secs(1));
    machine.suspend(Duration::from_secs(60));
    let pause = detector.beat();
    assert!(pause.is_some_and(|pause| pause.slept()), "{pause:?}");
    assert!(clock.now().is_err());
}

#[test]
fn an_interruption_blurs_a_comparison_on_a_fast_machine_as_ever() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    // Slow from here on: then each comparison was interrupted, as far as the clock knows.
    machine.set_read_cost(Duration::from_micros(400));
    machine.advance(Duration::from_secs(1));
    assert!(clock.now().is_err());
}

#[test]
fn a_coarse_clock_that_may_lag_for_ever_is_read_all_the_same() {
    let machine = ScriptedMachine::default();
    machine.set_coarse_tick(Duration::MAX);
    // No look at the kernel counts while its coarse clock lags like this.
    let assumed = machine.builder().assume_error(Duration::from_millis(5));
    let clock = assumed.source(Silent).build().unwrap();
    for _ in 0..20 {
        machine.advance(Duration::from_millis(300));
        assert!(clock.now().unwrap().contains(machine.true_time()));
    }
    // Its checks find a suspend that is longer than what is tolerated at most.
    machine.advance(Duration::from_millis(1));
    assert!(clock.now().is_ok());
    machine.suspend(Duration::from_secs(5));
    assert!(clock.now().is_err());
}

/// Never vouches.
#[derive(Debug)]
struct Silent;

impl Source for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn look(&self, _context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        Look::new(Finding::Refused(Refusal::Unsynchronized {
            maxerror_us: 16_000_000,
        }))
    }
}

/// A machine that answers anything at all, in one of several manners.
#[derive(Debug)]
struct Mad {
    seed: AtomicU64,
    manner: u64,
    readings: AtomicI64,
}

/// How many manners there are.
const MANNERS: u64 = 7;

impl Mad {
    fn next(&self) -> u64 {
        let mut x = self.seed.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed.store(x, Ordering::Relaxed);
        x
    }

    fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.next() as usize % choices.len()]
    }

    fn time(&self) -> i64 {
        const TODAY: i64 = 1_795_153_800_000_000_000;
        let within = |span: u64| (self.next() % span) as i64;
        match self.manner {
            0 => self.next() as i64,
            1 => self.one_of(&[
                i64::MIN,
                i64::MIN + 1,
                -1,
                0,
                1,
                i64::MAX - 1,
                i64::MAX,
                TODAY,
            ]),
            2 => i64::MAX - within(4_000_000_000),
            3 => i64::MIN + within(4_000_000_000),
            4 => within(2_000_000_000),
            5 => TODAY + within(2_000_000_000),
            // As it should be, but for what else this machine says.
            _ => TODAY + self.readings.fetch_add(100, Ordering::Relaxed),
        }
    }
}

impl Machine for Mad {
    fn sample(&self) -> Sample {
        Sample {
            coarse: self.time(),
            raw: self.time(),
        }
    }

    fn sandwich(&self) -> Sandwich {
        let mono_before = self.time();
        let calm = self.next() % 2 == 0;
        let after = mono_before.saturating_add((self.next() % 1_000) as i64);
        Sandwich {
            mono_before,
            boot: if calm { mono_before } else { self.time() },
            real: self.time(),
            raw: self.time(),
            mono_after: if calm { after } else { self.time() },
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        let any = |usual: i64| self.one_of(&[0, i64::MAX, i64::MIN, 1_003, 15_999_999, usual]);
        let mut status = NtpStatus::default();
        status.state = self.one_of(&[0, 0, 0, 1, 2, 3, 4, 5, 77, -5]);
        // Often enough the same twice, or no look would ever be settled.
        status.maxerror = self.one_of(&[1_003, 1_003, 2_007, any(7)]);
        if self.next() % 4 == 0 {
            status.status = self.next() as i32;
            status.esterror = any(5);
            status.offset = any(9);
            status.freq = any(1);
            status.tick = any(10_000);
            status.constant = any(2);
            status.tai = self.next() as i32;
        }
        Ok(status)
    }

    fn adjtime_remaining(&self) -> Result<i64, NtpStatusError> {
        Ok(self.one_of(&[0, 0, i64::MIN, i64::MAX]))
    }

    fn coarse_tick(&self) -> Duration {
        self.one_of(&[Duration::ZERO, Duration::from_millis(4), Duration::MAX])
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: 1,
            time_namespace: 1,
        }
    }

    fn clocksource(&self) -> u64 {
        self.next() % 2
    }

    fn sleep(&self, _span: Duration) {}
}

/// Whatever a machine says, an answer or an error comes of it: nothing overflows, and nothing hangs.
#[test]
fn mad_machines_bring_down_nothing() {
    // Every third one has an assumed error, every fifth one the widest limits.
    let (seeds, rounds) = if std::env::var_os("EPSILON_CLOCK_LONG").is_some() {
        (1..=400, 20)
    } else {
        (3..=5, 4)
    };
    let mut answered = 0;
    for seed in seeds {
        for manner in 0..MANNERS {
            let machine = Arc::new(Mad {
                seed: (u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1).into(),
                manner,
                readings: AtomicI64::new(0),
            });
            let mut builder = Clock::builder().machine(machine.clone());
            if seed % 3 == 0 {
                builder = builder.assume_error(Duration::from_millis(1));
            }
            if seed % 5 == 0 {
                let year = Duration::from_secs(365 * 86_400);
                builder = builder
                    .max_error(year)
                    .max_age(year)
                    .max_drift_ppb(100_000_000);
            }
            let clock = builder.build().unwrap();
            for _ in 0..rounds {
                answered += u32::from(clock.now().is_ok());
                use_everything(&clock, RemoteTimestamp::from_bits(machine.next()));
            }
        }
    }
    // Else all that was tried is how errors are made.
    assert!(answered > 0);
}

fn use_everything(clock: &Clock, remote: RemoteTimestamp) {
    let _ = (clock.read(), clock.status(), clock.sources());
    let _ = (clock.look(), clock.vouch());
    if let Ok(commit) = clock.begin_commit() {
        let _ = (commit.remaining(), commit.is_past());
    }
    let hybrid = HybridClock::new(clock.clone());
    let _ = (hybrid.tick(), hybrid.observe(remote), hybrid.begin_commit());
    if let Ok(request) = clock.request_lease() {
        let lease = request.granted(Duration::from_secs(10), GrantorClock::MonotonicTime);
        if let Ok(lease) = lease {
            let _ = (lease.held(), lease.remaining(), lease.check());
        }
    }
    let _ = PauseDetector::new(clock, Duration::from_millis(5)).beat();
}
