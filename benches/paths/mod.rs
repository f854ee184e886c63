//! Clocks that read the time each in its own way, and what the cheapest of these cannot be cheaper than.

use epsilon_clock::clock::ReadPath;
use epsilon_clock::machine::NoCounter;
use epsilon_clock::{Clock, ClockBuilder};
use std::time::Duration;

/// Reads the counter after all that comes before: what a reading by the counter alone takes at least.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "the library has no name for it that others may call"
)]
pub(crate) fn ordered_count() -> u64 {
    let mut processor = 0;
    // SAFETY: reads the counter and writes the processor's number through a live exclusive reference; every
    // 64-bit x86 that the library reads the counter of has the instruction.
    unsafe { core::arch::x86_64::__rdtscp(&mut processor) }
}

/// Three clocks of the same claim that read it by each path: the counter alone, the counter and coarse real
/// time, and the vDSO.
///
/// The first is there only where the kernel shows no sleep, as no caller here could vouch for that; the first two
/// only where the counter may be read.
pub(crate) fn by_path() -> Vec<(&'static str, Clock)> {
    let build = |settings: fn(ClockBuilder) -> ClockBuilder| {
        let builder = settings(Clock::builder().assume_error(Duration::from_millis(5)));
        builder.build().expect("a clock of this machine")
    };
    let clocks = [
        build(|builder| builder),
        build(ClockBuilder::always_read_coarse),
        build(ClockBuilder::without_counter),
    ];
    let mut paths: Vec<(&str, Clock)> = Vec::new();
    for clock in clocks {
        let name = settle(&clock).as_str();
        if paths.iter().all(|(known, _)| *known != name) {
            paths.push((name, clock));
        }
    }
    paths
}

/// Waits until the clock reads the counter, if it ever does; returns what it reads then.
pub(crate) fn settle(clock: &Clock) -> ReadPath {
    for _ in 0..300 {
        let path = clock.status().path;
        let uncompared = ReadPath::Vdso {
            because: NoCounter::Uncompared,
        };
        if path != uncompared {
            return path;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    clock.status().path
}
