//! Slews: by the kernel's PLL, by its tick, and one that was left behind.

use std::time::Duration;

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::{Clock, ClockError, ClockState};

use crate::host::{Calm, eventually, sleep_ms};
use crate::kernel::{self, FIELDS, Fields, write_honestly};
use crate::readers::Readers;
use crate::starved::starved;
use crate::steps::{OSCILLATOR_PPB, START, synchronised};
use crate::truth::{MS, Truth, raw_now};

/// ntpd and ClockBound: the PLL is told the phase, and `maxerror` leaves it out.
pub(crate) fn pll() {
    kernel::reset(START);
    let truth = Truth::from_now(80 * MS, OSCILLATOR_PPB);
    let clock = synchronised(&truth);
    let readers = Readers::start(truth, &[("under the PLL", &clock)]);
    let writes = clock.calm_status().counters.writes;
    let before = truth.error_of_real();
    for round in 0..8 {
        let phase = -truth.error_of_real();
        // An error of its own of 300 µs, more or less so that each write can be told.
        let fields = Fields {
            status: NtpStatus::STA_PLL,
            maxerror_us: 303 + 7 * (round % 3),
            esterror_us: 50,
        };
        let modes = FIELDS | libc::ADJ_OFFSET | libc::ADJ_NANO | libc::ADJ_TIMECONST;
        kernel::adjust(modes, |request| {
            fields.put(request);
            // Once written, the unit is sticky.
            request.status |= NtpStatus::STA_PLL;
            request.offset = phase;
            request.constant = 0;
        });
        let seen = || clock.calm_status().counters.writes > writes + round.unsigned_abs();
        assert!(eventually(seen), "{:?}", clock.calm_status());
        sleep_ms(870);
    }
    let after = truth.error_of_real();
    assert!(
        after.abs() < before.abs() / 4,
        "the PLL did not slew: {before} to {after} ns"
    );
    let status = clock.calm_status();
    assert_eq!(status.counters.writes, writes + 8, "{status:?}");
    assert_eq!(status.state, ClockState::Synchronized, "{status:?}");
    assert_eq!(status.counters.contradictions, 0, "{status:?}");
    readers.stop()[0].assert_kept(&[]);
}

/// chrony: the tick is set off, and `maxerror` has what remains.
pub(crate) fn tick() {
    for (off, hundred_ppm) in [(-250 * MS, -900), (250 * MS, 1_000)] {
        kernel::reset(START);
        let truth = Truth::from_now(off, OSCILLATOR_PPB);
        let clock = synchronised(&truth);
        let rare = Clock::builder()
            .look_interval(Duration::from_millis(1_300))
            .build();
        let rare = rare.expect("the clocks are there");
        let readers = Readers::start(truth, &[("slewed", &clock), ("seldom", &rare)]);
        sleep_ms(300);
        kernel::slew_by_tick(hundred_ppm);
        let start = raw_now();
        let (mut more_us, mut rounds) = (0, 0);
        let writes = || clock.calm_status().counters.writes;
        // Towards the truth, so that a write that comes late is still honest; and over when it is passed.
        while -truth.error_of_real() * off.signum() > 40 * MS {
            assert!(raw_now() - start < 10_000 * MS, "the tick did not slew");
            // What a tenth of the longest pause of this process makes.
            more_us = (more_us + 611) % 5_000;
            let before = writes();
            write_honestly(&truth, 0, 8_000 + more_us);
            assert!(
                eventually(|| writes() > before),
                "{:?}",
                clock.calm_status()
            );
            sleep_ms(90);
            rounds += 1;
        }
        kernel::slew_by_tick(0);
        let remains = truth.error_of_real().unsigned_abs();
        let before = writes();
        write_honestly(&truth, 0, 321);
        assert!(
            eventually(|| writes() > before),
            "{:?}",
            clock.calm_status()
        );
        assert!(eventually(|| clock.calm_now().is_ok()
            && clock
                .calm_status()
                .bound
                .is_some_and(|b| b.reported_ns < remains + 3_000_000)));
        let status = clock.calm_status();
        assert_eq!(status.state, ClockState::Synchronized, "{status:?}");
        if rounds < 4 {
            starved(&format!("the slew was over after {rounds} writes"));
        }
        // One before the slew and one after it; and none was invented.
        assert_eq!(status.counters.writes, rounds + 2, "{status:?}");
        for score in readers.stop() {
            score.assert_kept(&[]);
        }
    }
}

/// A daemon is killed in the middle of a slew: real time runs away at 9 %, the kernel's bound at
/// 500 ppm.
pub(crate) fn abandoned() {
    kernel::reset(START);
    let truth = Truth::from_now(0, OSCILLATOR_PPB);
    let clock = synchronised(&truth);
    let lazy = Clock::builder().refresh_policy(RefreshPolicy::Manual);
    let lazy = lazy.build().expect("the clocks are there");
    // Also one whose next look comes long after the daemon's last write.
    let late = Clock::builder().refresh_policy(RefreshPolicy::Manual);
    let late = late.max_error(Duration::from_secs(5));
    let late = late.build().expect("the clocks are there");
    let watched = [
        ("in use", &clock),
        ("never looking", &lazy),
        ("looking late", &late),
    ];
    let readers = Readers::start(truth, &watched);
    sleep_ms(300);
    kernel::slew_by_tick(900);
    write_honestly(&truth, 0, 5_000);
    let writes = late.calm_status().counters.writes;
    for _ in 0..3 {
        sleep_ms(1_500);
        let _ = late.look();
        assert!(late.calm_now().is_ok(), "{:?}", late.calm_now());
    }
    assert_eq!(late.calm_status().counters.writes, writes + 1);
    let error = truth.error_of_real().abs();
    let kernels = clock.ntp_status().expect("adjtimex").maxerror * 1_000;
    assert!(
        error > 300 * MS && kernels < error / 4,
        "nothing was abandoned: {error} ns off, and the kernel says {kernels}"
    );
    // Who comes now is told why there is nothing to inherit.
    let fresh = Clock::system().expect("the clocks are there");
    let refused = || {
        matches!(
            fresh.calm_now(),
            Err(ClockError::Unvouched(Refusal::AwaitingWrite {
                because: Awaiting::Slewing {
                    rate_ppb: 90_000_000
                }
            }))
        )
    };
    assert!(eventually(refused), "{:?}", fresh.calm_now());
    assert_eq!(clock.calm_status().counters.contradictions, 0);
    let scores = readers.stop();
    for score in &scores {
        score.assert_kept(&[]);
    }
    // The clock in use saw that write within a look interval and however long its readers were kept
    // from running, over which real time ran off by 9 %; and from then on it carried it on raw time.
    let gap = Duration::from_nanos(scores[0].longest_gap.unsigned_abs());
    let unseen = (Duration::from_millis(250) + gap) * 92 / 1_000;
    let written = Duration::from_nanos(kernels.unsigned_abs());
    let widest = written + Duration::from_millis(3) + unseen;
    assert!(scores[0].widest < widest, "{widest:?} {scores:?}");
}
