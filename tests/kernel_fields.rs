//! Against the real kernel: what the clock makes of the NTP status that a daemon would have written.
//!
//! These tests write `status`, `maxerror` and `esterror` of the running kernel; never its time,
//! frequency or tick. They do so only when asked to by `EPSILON_CLOCK_KERNEL_TESTS=1`, with the
//! right to, and with no time daemon about; else each says so in a line and passes. One at a time
//! holds a lock that spans processes. The fields are put back at the end of each test, also when
//! it panics, and by a watchdog process if this one is killed.
//!
//! While the kernel calls its clock synchronised it may copy the time to the battery-backed clock,
//! every 11 minutes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    clippy::useless_conversion,
    reason = "the width of C's integers differs between targets"
)]
#![allow(
    unsafe_code,
    reason = "the kernel's status, locks and the watchdog are reached through libc alone"
)]

use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use epsilon_clock::clock::{RefreshPolicy, WaitReason};
use epsilon_clock::machine::{NtpStatus, OffsetRange};
use epsilon_clock::source::{
    KernelSource, LeapNotice, LookContext, Refusal, Source, SourceMemory, Writer,
};
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{Clock, ClockBuilder, ClockError, ClockState, Timestamp};
use fields::{Lock, Saved, real_offset, status, write};
use host::{HostMachine, eventually, is_true, send, skip, sleep_ms};

#[path = "support/fields.rs"]
mod fields;
#[path = "support/host.rs"]
mod host;

/// Asks for these tests.
const ASKED: &str = "EPSILON_CLOCK_KERNEL_TESTS";

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// No leap flag is set in the last hour of a UTC day, nor in the first.
const LEAP_DISTANCE: i64 = 3_600 * SECOND;

/// Bounds that no writer leaves by chance, in µs: neither is a multiple of 500.
const GOOD_US: i64 = 1_003;
const BETTER_US: i64 = 777;

// --- whether to run ------------------------------------------------------------------------------

/// Why these tests cannot be run here, if they cannot.
fn obstacle() -> Option<&'static str> {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    OBSTACLE
        .get_or_init(|| {
            if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
                return Some(format!("not asked for by {ASKED}=1"));
            }
            fields::obstacle()
        })
        .as_deref()
}

// --- the fields ----------------------------------------------------------------------------------

/// Waits for the first half of a second, clear of the tick in which the kernel adds to `maxerror`:
/// what is written then stays as it is for a while.
fn early_in_a_second() {
    while !(100_000_000..500_000_000).contains(&host::real_nanos().rem_euclid(SECOND)) {
        sleep_ms(5);
    }
}

/// Writes the fields early in a second.
fn write_early(flags: i32, maxerror_us: i64, esterror_us: i64) {
    early_in_a_second();
    write(flags, maxerror_us, esterror_us);
}

/// The right to write the fields: locked, saved, and put back when dropped.
struct Fields {
    offset: OffsetRange,
    // In this order: put back first, then unlocked.
    saved: Option<Saved>,
    _lock: Lock,
}

impl Fields {
    /// `None`, and a line that says why, where these tests cannot be run.
    fn for_test() -> Option<Self> {
        if let Some(why) = obstacle() {
            // It is the same for all of them: one line says so.
            static SAID: Once = Once::new();
            SAID.call_once(|| skip("tests that write the kernel's NTP fields", why));
            return None;
        }
        let lock = Lock::take();
        Some(Self {
            offset: real_offset(),
            saved: Some(Saved::take()),
            _lock: lock,
        })
    }

    /// The same for a test that sets leap flags.
    fn for_leap_test(subject: &str) -> Option<Self> {
        let fields = Self::for_test()?;
        let of_day = host::real_nanos().rem_euclid(DAY);
        if (LEAP_DISTANCE..DAY - LEAP_DISTANCE).contains(&of_day) {
            Some(fields)
        } else {
            skip(
                subject,
                "within an hour of midnight UTC, where the kernel might act on it",
            );
            None
        }
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        self.saved = None;
        let after = real_offset();
        let moved = self.offset.moved_to(&after);
        if !failed {
            assert_eq!(
                moved, 0,
                "the clock was stepped: {:?} to {after:?}",
                self.offset
            );
            let left = status();
            assert_eq!(left.status & (NtpStatus::STA_INS | NtpStatus::STA_DEL), 0);
        }
    }
}

/// A clock that looks only when told to.
fn manual() -> ClockBuilder {
    Clock::builder().refresh_policy(RefreshPolicy::Manual)
}

/// The state of a clock whose claims come from the kernel.
fn state(clock: &Clock) -> ClockState {
    clock.status().state
}

fn no_bound(writer: Writer, maxerror_us: i64, esterror_us: i64) -> Refusal {
    Refusal::NoBound {
        writer,
        maxerror_us,
        esterror_us,
    }
}

// --- what is there at the first look -------------------------------------------------------------

#[test]
fn one_millisecond_is_inherited_at_the_first_look() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(NtpStatus::STA_PLL, 1_000, 100);
    let clock = Clock::system().unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Inherited);
    assert_eq!(status.source, Some("kernel"));
    assert_eq!(status.refusal, None);
    let bound = status.bound.unwrap();
    assert_eq!(bound.reported_ns, 1_000_000);
    assert_eq!(bound.rounding_ns, 1_000);
    assert_eq!(bound.margin_ns, 200_000);
    assert_eq!(bound.unseen_ns, 550_000);
    assert_eq!(bound.assumed_ns, 0);
    assert!(
        bound.bracket_ns > 0 && bound.bracket_ns < 20_000_000,
        "{bound}"
    );
    let epsilon = status.interval.unwrap().epsilon();
    assert!(epsilon >= Duration::from_nanos(1_751_000), "{epsilon:?}");
    assert!(epsilon <= bound.total(), "{epsilon:?} {bound}");
    assert_eq!(is_true(&clock), Some(true));
}

#[test]
fn sixteen_seconds_is_no_bound() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    // The second is what the kernel makes of the first when the second is over.
    for flags in [0, NtpStatus::STA_PLL, NtpStatus::STA_UNSYNC] {
        write_early(flags, NtpStatus::MAXERROR_CAP, 1_000);
        for builder in [manual(), manual().accept_unsync_flag()] {
            let clock = builder.build().unwrap();
            let refusal = Refusal::Unsynchronized {
                maxerror_us: NtpStatus::MAXERROR_CAP,
            };
            assert_eq!(clock.now(), Err(ClockError::Unvouched(refusal)));
            assert_eq!(state(&clock), ClockState::Unavailable);
        }
    }
}

#[test]
fn a_good_bound_under_the_unsync_flag_counts_only_if_accepted() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(NtpStatus::STA_UNSYNC, GOOD_US, 100);
    let strict = manual().build().unwrap();
    let refusal = Refusal::UnsyncFlag {
        maxerror_us: GOOD_US,
    };
    assert_eq!(strict.now(), Err(ClockError::Unvouched(refusal)));
    let lenient = manual().accept_unsync_flag().build().unwrap();
    assert_eq!(state(&lenient), ClockState::Inherited);
    assert_eq!(lenient.status().bound.unwrap().reported_ns, 1_003_000);
    assert_eq!(is_true(&lenient), Some(true));
    // The flag is cleared: that alone is no write, and a bound seen under it is not taken over.
    write_early(0, GOOD_US, 100);
    assert!(strict.look().is_err());
    write_early(0, BETTER_US, 100);
    assert!(strict.look().is_ok());
}

/// Flags, maximum and estimated error as each liar leaves them.
const LIARS: [(Writer, i32, i64, i64); 4] = [
    (Writer::Timesyncd, NtpStatus::STA_PLL, 0, 0),
    (Writer::PtpOrOpenntpd, 0, 24, 4_992),
    (Writer::PtpOrOpenntpd, NtpStatus::STA_PLL, 0, 16_000_000),
    (Writer::NtpdStarting, NtpStatus::STA_PLL, 16, 16),
];

#[test]
fn writers_that_lie_are_named_at_the_first_look() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    for (writer, flags, maxerror, esterror) in LIARS {
        write_early(flags, maxerror, esterror);
        let clock = manual().build().unwrap();
        let error = clock.now().unwrap_err();
        assert_eq!(
            error,
            ClockError::Unvouched(no_bound(writer, maxerror, esterror))
        );
        assert!(error.to_string().contains(&writer.to_string()), "{error}");
        // The caller may vouch instead.
        let assumed = manual()
            .assume_error(Duration::from_millis(50))
            .build()
            .unwrap();
        assert_eq!(state(&assumed), ClockState::Assumed);
        assert_eq!(is_true(&assumed), Some(true));
    }
}

#[test]
fn writers_that_lie_do_not_replace_an_honest_claim() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    for (writer, flags, maxerror, esterror) in LIARS {
        write_early(0, GOOD_US, 100);
        let clock = manual().build().unwrap();
        assert_eq!(state(&clock), ClockState::Inherited);
        write(flags, maxerror, esterror);
        clock.look().unwrap();
        let status = clock.status();
        assert_eq!(status.state, ClockState::Holdover, "{writer}");
        assert_eq!(status.refusal, Some(no_bound(writer, maxerror, esterror)));
        assert_eq!(status.counters.writes, 0);
        assert_eq!(status.bound.unwrap().reported_ns, 1_003_000);
        assert_eq!(is_true(&clock), Some(true));
        // An honest one takes over again.
        write(0, BETTER_US, 100);
        clock.look().unwrap();
        assert_eq!(state(&clock), ClockState::Synchronized);
    }
}

/// What a timesyncd of minutes ago has grown into, which an honest bound may be by chance.
#[test]
fn what_only_looks_like_a_lie_is_not_inherited() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(NtpStatus::STA_PLL, 12_500, 0);
    let clock = manual().build().unwrap();
    let waits = |clock: &Clock| {
        matches!(
            clock.now(),
            Err(ClockError::Unvouched(Refusal::AwaitingWrite { .. }))
        )
    };
    assert!(waits(&clock), "{:?}", clock.now());
    write_early(NtpStatus::STA_PLL, GOOD_US, 100);
    assert!(clock.look().is_ok());
    assert_eq!(state(&clock), ClockState::Synchronized);
}

// --- what changes while one looks ----------------------------------------------------------------

#[test]
fn growth_is_no_write_and_does_not_widen_the_interval() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(0, GOOD_US, 100);
    let clock = manual().build().unwrap();
    let first = clock.status();
    let start = Instant::now();
    let mut last = first.interval.unwrap().epsilon();
    while start.elapsed() < Duration::from_millis(4_300) {
        clock.look().unwrap();
        let status = clock.status();
        assert_eq!(status.state, ClockState::Inherited);
        let (bound, age) = (status.bound.unwrap(), status.age.unwrap());
        assert_eq!(bound.reported_ns, 1_003_000);
        let drift = age.as_nanos() * 200_000;
        assert_eq!(u128::from(bound.drift_ns), drift.div_ceil(1_000_000_000));
        let epsilon = status.interval.unwrap().epsilon();
        // The line that the interval is read from rounds outward once more, where the drift is whole.
        let at_most = bound.total() + Duration::from_nanos(1);
        assert!(
            last <= epsilon && epsilon <= at_most,
            "{last:?} {epsilon:?} {bound}"
        );
        last = epsilon;
        assert_eq!(is_true(&clock), Some(true));
        sleep_ms(7);
    }
    let counters = clock.status().counters;
    assert_eq!(
        (counters.writes, counters.steps, counters.refusals),
        (0, 0, 0)
    );
    assert!(counters.looks > 100);
    // The kernel did what the clock must not follow.
    let grown = status().maxerror - GOOD_US;
    assert!((2_000..=2_500).contains(&grown), "maxerror grew by {grown}");
    let widened = last - first.interval.unwrap().epsilon();
    assert!(widened < Duration::from_millis(2), "{widened:?}");
}

#[test]
fn a_write_between_two_looks_makes_a_claim_with_its_terms() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(0, GOOD_US, 100);
    let clock = manual().build().unwrap();
    clock.look().unwrap();
    assert_eq!(clock.status().counters.writes, 0);
    early_in_a_second();
    write(0, BETTER_US, 100);
    clock.look().unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Synchronized);
    assert_eq!(status.counters.writes, 1);
    assert_eq!(status.counters.contradictions, 0);
    assert_eq!(status.refusal, None);
    let bound = status.bound.unwrap();
    assert_eq!(bound.reported_ns, 777_000);
    assert_eq!(bound.rounding_ns, 1_000);
    assert_eq!(bound.margin_ns, 200_000);
    // Looked at within a second, at R = 200 ppm and what the looks' own width leaves open.
    assert!(
        bound.unseen_ns > 0 && bound.unseen_ns < 20_000_000,
        "{bound}"
    );
    assert!(
        bound.bracket_ns > 0 && bound.bracket_ns < 20_000_000,
        "{bound}"
    );
    let sum: u64 = bound.items().iter().map(|(_, ns)| ns).sum();
    assert_eq!(Duration::from_nanos(sum), bound.total());
    assert!(status.interval.unwrap().epsilon() <= bound.total());
    assert!(status.interval.unwrap().epsilon() >= Duration::from_micros(978));
    assert_eq!(is_true(&clock), Some(true));
    // Nothing new: the next look counts none.
    clock.look().unwrap();
    assert_eq!(clock.status().counters.writes, 1);
}

#[test]
fn a_write_is_seen_at_any_point_of_the_kernels_second() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(0, 40_003, 100);
    let clock = manual().build().unwrap();
    let start = Instant::now();
    let mut written = 0;
    // Each one departs from the last by something that no growth makes up.
    while start.elapsed() < Duration::from_millis(2_500) {
        written += 1;
        write(0, 40_003 + i64::try_from(written % 7 * 61).unwrap(), 100);
        clock.look().unwrap();
        assert_eq!(clock.status().counters.writes, written);
        assert_eq!(is_true(&clock), Some(true));
        sleep_ms(9);
    }
    assert!(written > 50);
    assert_eq!(clock.status().counters.contradictions, 0);
}

#[test]
fn a_daemon_that_goes_leaves_a_holdover() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write_early(0, GOOD_US, 100);
    let clock = manual().build().unwrap();
    write(
        NtpStatus::STA_UNSYNC,
        NtpStatus::MAXERROR_CAP,
        NtpStatus::MAXERROR_CAP,
    );
    clock.look().unwrap();
    let status = clock.status();
    assert_eq!(status.state, ClockState::Holdover);
    assert_eq!(status.bound.unwrap().reported_ns, 1_003_000);
    let maxerror_us = NtpStatus::MAXERROR_CAP;
    assert_eq!(
        status.refusal,
        Some(Refusal::Unsynchronized { maxerror_us })
    );
    assert_eq!(is_true(&clock), Some(true));
}

#[test]
fn waiting_ends_when_somebody_writes() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write(
        NtpStatus::STA_UNSYNC,
        NtpStatus::MAXERROR_CAP,
        NtpStatus::MAXERROR_CAP,
    );
    let clock = Clock::builder()
        .look_interval(Duration::from_millis(20))
        .build()
        .unwrap();
    let timeout = clock
        .wait_until_synchronized(Duration::from_millis(100))
        .unwrap_err();
    assert!(timeout.waited >= Duration::from_millis(100));
    assert!(
        matches!(timeout.reason, WaitReason::NoInterval(_)),
        "{timeout}"
    );
    let start = Instant::now();
    let settled = std::thread::scope(|scope| {
        scope.spawn(|| {
            sleep_ms(300);
            write(0, GOOD_US, 100);
        });
        clock
            .wait_until_synchronized(Duration::from_secs(10))
            .unwrap()
    });
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(settled.epsilon() < Duration::from_millis(2), "{settled}");
    assert_eq!(state(&clock), ClockState::Synchronized);
    assert_eq!(is_true(&clock), Some(true));
}

// --- leap flags ----------------------------------------------------------------------------------

/// What the kernel source says of leap seconds now.
fn leap_seen() -> LeapNotice {
    let context = LookContext::new(&HostMachine);
    KernelSource::new()
        .look(&context, &mut SourceMemory::default())
        .leap
}

/// The kernel's leap state becomes this when its next second begins.
fn await_state(state: i32) {
    assert!(
        eventually(|| status().state == state),
        "the kernel did not get to state {state}: {:?}",
        status()
    );
}

#[test]
fn leap_flags_are_seen_and_called_off() {
    let Some(_fields) = Fields::for_leap_test("leap flags") else {
        return;
    };
    for (flag, state, kind) in [
        (NtpStatus::STA_INS, NtpStatus::TIME_INS, LeapKind::Inserted),
        (NtpStatus::STA_DEL, NtpStatus::TIME_DEL, LeapKind::Deleted),
    ] {
        let midnight = (host::real_nanos().div_euclid(DAY) + 1) * DAY;
        let boundary = Timestamp::from_unix_nanos(midnight);
        let pending = LeapNotice::Pending(LeapSecond { boundary, kind });

        write(0, GOOD_US, 100);
        await_state(NtpStatus::TIME_OK);
        let clock = manual().build().unwrap();
        assert_eq!(leap_seen(), LeapNotice::None);

        write(flag, BETTER_US, 100);
        await_state(state);
        assert_eq!(leap_seen(), pending);
        clock.look().unwrap();
        assert_eq!(is_true(&clock), Some(true));
        // The leap state is masked where the kernel calls itself unsynchronised; the flag tells.
        write(flag | NtpStatus::STA_UNSYNC, BETTER_US, 100);
        assert_eq!(status().state, NtpStatus::TIME_ERROR);
        assert_eq!(leap_seen(), pending);

        write(0, GOOD_US, 100);
        await_state(NtpStatus::TIME_OK);
        assert_eq!(leap_seen(), LeapNotice::None);
        clock.look().unwrap();
        assert_eq!(clock.status().counters.steps, 0);
        assert_eq!(is_true(&clock), Some(true));
    }
}

// --- that the fields are put back ----------------------------------------------------------------

/// Whether the kernel has what was written a moment ago, apart from its growth.
fn holds(maxerror_us: i64, esterror_us: i64) -> bool {
    let now = status();
    let grown = now.maxerror - maxerror_us;
    now.esterror == esterror_us && grown % 500 == 0 && (0..=5_000).contains(&grown)
}

#[test]
fn the_fields_are_put_back_when_a_test_panics() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    write(0, GOOD_US, 101);
    let panicked = std::panic::catch_unwind(|| {
        let _saved = Saved::take();
        write(0, 90_001, 900);
        assert!(holds(90_001, 900));
        std::panic::resume_unwind(Box::new("as a failing test does"));
    });
    assert!(panicked.is_err());
    assert!(holds(GOOD_US, 101), "{:?}", status());
}

#[test]
fn the_fields_are_put_back_when_a_test_is_killed() {
    let Some(_fields) = Fields::for_test() else {
        return;
    };
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        write(0, GOOD_US, 101);
        let victim = host::fork_off(|| {
            let _saved = Saved::take();
            write(0, 90_001, 900);
            // Not for ever: it holds a copy of the lock and of the outer leash.
            sleep_ms(15_000);
            0
        });
        let written = eventually(|| holds(90_001, 900));
        send(victim, signal);
        assert_eq!(host::wait_for(victim, Duration::from_secs(10)), None);
        assert!(written);
        assert!(
            eventually(|| holds(GOOD_US, 101)),
            "signal {signal}: {:?}",
            status()
        );
    }
}
