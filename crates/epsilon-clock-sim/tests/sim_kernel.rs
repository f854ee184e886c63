//! The simulated kernel against the real one: growth, phase, cap and flags, so that the world does
//! not drift from reality unnoticed.
//!
//! The real kernel's `status`, `maxerror` and `esterror` are written for this, never its time,
//! frequency or tick; they are put back at the end, also after a panic, and by a watchdog process if
//! this one is killed. That is done only when asked for by `EPSILON_CLOCK_KERNEL_TESTS=1`, with the
//! right to (`CAP_SYS_TIME`) and with no time daemon about; else one line says so.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use epsilon_clock::machine::{NtpStatus, OffsetRange};
use epsilon_clock_sim::{Adjustment, Node, NodeConfig, World};

#[path = "../../../tests/support/fields.rs"]
mod fields;
#[path = "../../../tests/support/host.rs"]
mod host;

const ASKED: &str = "EPSILON_CLOCK_KERNEL_TESTS";
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLISECOND;

/// A kernel whose fields can be written, and whose time goes by.
trait Kernel {
    fn write(&self, flags: i32, maxerror: i64, esterror: i64);
    fn status(&self) -> NtpStatus;
    /// Real time in ns.
    fn real(&self) -> i64;
    /// Lets about so much time go by.
    fn pass(&self, span: Duration);
}

// --- the simulated one ---------------------------------------------------------------------------

struct Simulated {
    world: World,
    node: Node,
}

impl Simulated {
    fn new() -> Self {
        let world = World::new(11);
        let node = world.node(NodeConfig::default());
        Self { world, node }
    }
}

impl Kernel for Simulated {
    fn write(&self, flags: i32, maxerror: i64, esterror: i64) {
        self.node.adjtimex(&Adjustment {
            status: Some(flags),
            maxerror: Some(maxerror),
            esterror: Some(esterror),
            ..Adjustment::default()
        });
    }

    fn status(&self) -> NtpStatus {
        self.node.ntp_status()
    }

    fn real(&self) -> i64 {
        self.world.now().unix_nanos() + self.node.real_error_ns()
    }

    fn pass(&self, span: Duration) {
        self.world.advance(span);
    }
}

// --- the real one --------------------------------------------------------------------------------

/// The real kernel, under a lock that spans processes; what it said before is put back when dropped.
struct Real {
    offset: OffsetRange,
    // In this order: put back first, then unlocked.
    saved: Option<fields::Saved>,
    _lock: fields::Lock,
}

impl Real {
    fn take() -> Result<Self, &'static str> {
        static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
        if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
            return Err("not asked for by EPSILON_CLOCK_KERNEL_TESTS=1");
        }
        if let Some(why) = OBSTACLE.get_or_init(fields::obstacle) {
            return Err(why);
        }
        let lock = fields::Lock::take();
        Ok(Self {
            offset: fields::real_offset(),
            saved: Some(fields::Saved::take()),
            _lock: lock,
        })
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        self.saved = None;
        let moved = self.offset.moved_to(&fields::real_offset());
        if !failed {
            assert_eq!(moved, 0, "the clock was stepped");
        }
    }
}

impl Kernel for Real {
    fn write(&self, flags: i32, maxerror: i64, esterror: i64) {
        fields::write(flags, maxerror, esterror);
    }

    fn status(&self) -> NtpStatus {
        fields::status()
    }

    fn real(&self) -> i64 {
        host::real_nanos()
    }

    fn pass(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// Runs an experiment on the simulated kernel and, where it may be done, on the real one.
fn on_both(experiment: impl Fn(&dyn Kernel)) {
    experiment(&Simulated::new());
    match Real::take() {
        Ok(real) => experiment(&real),
        Err(why) => host::skip("the real kernel beside the simulated one", why),
    }
}

/// Waits for the middle of a second, clear of the ticks in which the kernel counts it.
fn mid_second(kernel: &dyn Kernel) {
    let start = Instant::now();
    while !(400 * MILLISECOND..500 * MILLISECOND).contains(&kernel.real().rem_euclid(SECOND)) {
        kernel.pass(Duration::from_millis(5));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

/// Waits until `maxerror` changes; how far into the second that was, in ns, at the latest.
fn next_growth(kernel: &dyn Kernel) -> (i64, i64) {
    let before = kernel.status().maxerror;
    let start = Instant::now();
    loop {
        let asked_at = kernel.real();
        let now = kernel.status().maxerror;
        if now != before {
            return (now - before, asked_at.rem_euclid(SECOND));
        }
        kernel.pass(Duration::from_micros(300));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

// --- experiments ---------------------------------------------------------------------------------

#[test]
fn maxerror_grows_by_500_a_few_ms_into_each_second_and_esterror_never() {
    on_both(|kernel| {
        mid_second(kernel);
        kernel.write(0, 1_003, 77);
        for _ in 0..3 {
            let (by, phase) = next_growth(kernel);
            assert_eq!(by, 500);
            // A tick of 1 ms to 10 ms, or two, and what a busy machine adds to it.
            assert!(
                (0..60 * MILLISECOND).contains(&phase),
                "{phase} ns into the second"
            );
        }
        let status = kernel.status();
        assert_eq!((status.maxerror, status.esterror), (2_503, 77));
    });
}

#[test]
fn maxerror_stops_at_sixteen_seconds_and_only_then_is_the_flag_set() {
    on_both(|kernel| {
        mid_second(kernel);
        // The cap itself is still called synchronised: it is passing it that sets the flag.
        kernel.write(0, NtpStatus::MAXERROR_CAP - 500, 9);
        let (by, _) = next_growth(kernel);
        assert_eq!(by, 500);
        let status = kernel.status();
        assert_eq!(
            (status.state, status.maxerror),
            (NtpStatus::TIME_OK, NtpStatus::MAXERROR_CAP)
        );
        kernel.pass(Duration::from_millis(1_200));
        let status = kernel.status();
        assert_eq!(status.maxerror, NtpStatus::MAXERROR_CAP);
        assert!(status.has(NtpStatus::STA_UNSYNC));
        assert_eq!(status.state, NtpStatus::TIME_ERROR);
    });
}

#[test]
fn the_flag_is_whatever_was_written_and_hides_nothing_else() {
    on_both(|kernel| {
        mid_second(kernel);
        kernel.write(NtpStatus::STA_UNSYNC, 1_777, 5);
        let status = kernel.status();
        assert_eq!(
            (status.state, status.maxerror),
            (NtpStatus::TIME_ERROR, 1_777)
        );
        kernel.write(0, 1_777, 5);
        assert_eq!(kernel.status().state, NtpStatus::TIME_OK);
        kernel.write(NtpStatus::STA_PLL, 1_777, 5);
        let status = kernel.status();
        assert!(status.has(NtpStatus::STA_PLL) && status.state == NtpStatus::TIME_OK);
    });
}

#[test]
fn written_errors_are_kept_within_zero_and_sixteen_seconds() {
    on_both(|kernel| {
        mid_second(kernel);
        kernel.write(0, -5, -5);
        let status = kernel.status();
        // Kernels before 6.1 keep what was written.
        let clamped = (status.maxerror, status.esterror) == (0, 0);
        assert!(
            clamped || (status.maxerror, status.esterror) == (-5, -5),
            "{status:?}"
        );
        kernel.write(0, 99_000_000, 99_000_000);
        let status = kernel.status();
        assert!(status.maxerror == NtpStatus::MAXERROR_CAP || status.maxerror == 99_000_000);
    });
}
