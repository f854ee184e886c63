//! What may differ on another processor or with an older compiler: run by `ci/elsewhere.sh` under qemu.
//!
//! The bytes of stamps, leases, fences and reports (a big-endian machine must write them alike), strict text,
//! claims carried over a drifting machine's time, and the latch, the words behind it and the hybrid clock's
//! word under threads, with real memory ordering as far as the emulator has it.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use epsilon_clock::fleet::ClockReport;
use epsilon_clock::hlc::WideTimestamp;
use epsilon_clock::lease::FencingToken;
use epsilon_clock::source::KernelSource;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{
    Clock, Fence, HlcTimestamp, HybridClock, Interval, Lease, RemoteTimestamp, TimeDelta, Timestamp,
};

/// The library's own room of instructions and system calls, for its tests alone: they read the counter by each
/// way that the processor has, which a clock under an emulator does not do, as the kernel is of another one.
#[cfg(test)]
#[path = "../../../src/machine"]
mod machine {
    pub(crate) use epsilon_clock::machine::{NoCounter, NtpStatusError};

    #[allow(dead_code, unused_imports, reason = "its tests use a part of it")]
    mod sys;

    /// Stands in for the library's, which is made of a `timex` in private.
    pub(crate) struct NtpStatus;

    impl NtpStatus {
        fn from_timex(_state: i32, _timex: &libc::timex) -> Self {
            Self
        }
    }
}

const VECTORS: &str = include_str!("../../it/hlc_vectors.tsv");

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

fn vectors() {
    let mut narrow = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [micros, logical, number, hex, human, wide_hex, wide_human] = columns[..] else {
            panic!("{line}");
        };
        let wide: WideTimestamp = wide_human.parse().unwrap();
        assert_eq!(wide.to_string(), wide_human);
        assert_eq!(wide.to_be_bytes(), bytes(wide_hex));
        assert_eq!(WideTimestamp::from_be_bytes(bytes(wide_hex)), wide);
        if micros == "-" {
            continue;
        }
        narrow += 1;
        let physical = Timestamp::from_unix_nanos(micros.parse::<i64>().unwrap() * 1_000);
        let stamp = HlcTimestamp::new(physical, logical.parse().unwrap()).unwrap();
        assert_eq!(stamp.to_bits().to_string(), number);
        assert_eq!(stamp.to_be_bytes(), bytes(hex));
        assert_eq!(stamp.to_string(), human);
        assert_eq!(RemoteTimestamp::from_be_bytes(bytes(hex)), stamp);
        assert_eq!(human.parse::<RemoteTimestamp>().unwrap(), stamp);
    }
    assert!(narrow >= 12);
}

fn codecs() {
    let instant = Timestamp::from_unix_nanos(1_795_153_800_000_000_001);
    let turned = (1_795_153_800_000_000_001_u64 ^ (1 << 63)).to_be_bytes();
    assert_eq!(instant.to_be_bytes(), turned);
    assert_eq!(Timestamp::from_be_bytes(turned), instant);
    assert_eq!(instant.to_string(), "2026-11-20T05:50:00.000000001Z");
    assert_eq!("2026-11-20T05:50:00.000000001Z".parse(), Ok(instant));
    let interval = Interval::new(instant, instant).unwrap();
    let lease = Lease::grant(&interval, Duration::from_secs(10)).unwrap();
    assert_eq!(Lease::try_from(&lease.to_be_bytes()[..]), Ok(lease));
    let report = ClockReport::new(*b"12345678", interval).to_be_bytes();
    assert_eq!(report[..8], *b"12345678");
    assert_eq!(report[8..16], 1_795_153_800_000_000_001_i64.to_be_bytes());
    assert!(ClockReport::from_be_bytes(report).is_ok());
    let fence = Fence::try_from(&[1, 0, 0, 0, 0, 0, 0, 0, 34][..]).unwrap();
    assert_eq!(fence.to_be_bytes(), [1, 0, 0, 0, 0, 0, 0, 0, 34]);
    let token = FencingToken::try_from(&[0, 0, 0, 0, 0, 0, 1, 2][..]).unwrap();
    assert_eq!(token.to_be_bytes(), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert!(FencingToken::try_from(&[0; 8][..]).is_err());
}

/// True time is known: it lies in every interval of a machine that drifts, slews, steps and sleeps.
fn claims() {
    let mut intervals = 0;
    for drift in [-199_000, -1, 0, 150_000] {
        let machine = ScriptedMachine::default();
        machine.set_drift_ppb(drift);
        let clock = machine.clock().unwrap();
        for round in 0..400_u64 {
            let off = machine
                .real_time()
                .unix_nanos()
                .abs_diff(machine.true_time().unix_nanos());
            let bound = i64::try_from(off.div_ceil(1_000)).unwrap() + 1_003;
            machine.write_maxerror(if bound % 500 == 0 { bound + 1 } else { bound });
            // Forth and back: a clock that stays off is an interval too wide to be one.
            match round % 50 {
                7 => machine.set_date(TimeDelta::from_nanos(400_000_000)),
                12 => machine.set_date(TimeDelta::from_nanos(-400_000_000)),
                _ => {}
            }
            if round % 70 == 9 {
                machine.suspend(Duration::from_secs(60));
            }
            for step in 0..8 {
                machine.advance(Duration::from_millis(311 * (step + 1)));
                let before = machine.true_time();
                let read = clock.now();
                let after = machine.true_time();
                if let Ok(now) = read {
                    intervals += 1;
                    assert!(
                        now.earliest() <= after && before <= now.latest(),
                        "{now} at {before}"
                    );
                }
            }
        }
    }
    assert!(intervals > 6_000, "{intervals}");
}

/// Readers, lookers and two clocks' stamps, on this machine's own clocks.
fn threads() {
    let clock = Clock::builder()
        .source(KernelSource::new())
        .assume_error(Duration::from_millis(50))
        .look_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    let hlc = HybridClock::new(clock.clone());
    let mut stamps = HashSet::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            let clock = &clock;
            scope.spawn(move || {
                for _ in 0..3_000 {
                    let _ = clock.look();
                    if let Ok(now) = clock.status().interval {
                        assert!(now.earliest() <= now.latest());
                    }
                }
            });
            scope.spawn(move || {
                let mut earliest = Timestamp::MIN;
                for _ in 0..20_000 {
                    let now = clock.now().unwrap();
                    assert!(earliest <= now.earliest(), "{earliest} after {now}");
                    earliest = now.earliest();
                }
            });
        }
        let drawn: Vec<_> = (0..4)
            .map(|_| {
                let hlc = &hlc;
                scope.spawn(move || {
                    let stamps: Vec<_> = (0..10_000).map(|_| hlc.tick().unwrap()).collect();
                    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
                    stamps
                })
            })
            .collect();
        for thread in drawn {
            stamps.extend(thread.join().unwrap());
        }
    });
    assert_eq!(stamps.len(), 40_000);
    let commit = clock.begin_commit().unwrap();
    commit.wait().unwrap();
    assert!(clock.after(commit.timestamp()).unwrap());
}

fn main() {
    for (name, check) in [
        ("vectors", vectors as fn()),
        ("codecs", codecs),
        ("claims", claims),
        ("threads", threads),
    ] {
        check();
        println!(
            "{name}: ok, {}-endian",
            if cfg!(target_endian = "big") {
                "big"
            } else {
                "little"
            }
        );
    }
}
