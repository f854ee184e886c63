//! Real leap seconds, in a kernel that is told so.

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{Clock, ClockState, Timestamp};

use crate::host::{Calm, eventually, exact_real_offset, sleep_ms};
use crate::kernel::{self, write_honestly};
use crate::readers::Readers;
use crate::starved::starved;
use crate::steps::{OSCILLATOR_PPB, write_again};
use crate::truth::{DAY, MS, SECOND, Truth};

/// Seven seconds before the end of the last day of 2016.
const BOUNDARY: i64 = 17_167 * DAY;
const START: i64 = BOUNDARY - 7 * SECOND;

/// No look counts within two seconds of the leap second.
const TOO_LATE: i64 = BOUNDARY - 2_200 * MS;

pub(crate) fn inserted() {
    leap(LeapKind::Inserted, 0);
}

pub(crate) fn deleted() {
    leap(LeapKind::Deleted, 0);
}

/// The state is hidden by `TIME_ERROR`, and the flag alone announces the leap second.
pub(crate) fn inserted_unsync() {
    leap(LeapKind::Inserted, NtpStatus::STA_UNSYNC);
}

fn leap(kind: LeapKind, more_flags: i32) {
    kernel::reset(START);
    let boundary = Timestamp::from_unix_nanos(BOUNDARY);
    let truth = Truth::from_now(0, OSCILLATOR_PPB).with_leap(LeapSecond { boundary, kind });
    let (flag, pending, jump) = match kind {
        LeapKind::Inserted => (NtpStatus::STA_INS, NtpStatus::TIME_INS, -SECOND),
        LeapKind::Deleted => (NtpStatus::STA_DEL, NtpStatus::TIME_DEL, SECOND),
    };
    let unsync = more_flags != 0;
    write_honestly(&truth, flag | more_flags, 900);
    let built = Clock::builder().accept_unsync_flag().build();
    let clock = built.expect("the clocks are there");
    let before = offset();
    // Known to the kernel from the next second on.
    let state = || clock.ntp_status().expect("adjtimex").state;
    assert!(eventually(|| state()
        == if unsync {
            NtpStatus::TIME_ERROR
        } else {
            pending
        }));
    let readers = Readers::start(truth, &[("over the leap second", &clock)]);
    sleep_ms(500);
    write_honestly(&truth, flag | more_flags, 700);
    let seen = eventually(|| {
        truth.now() > TOO_LATE
            || (clock.calm_now().is_ok() && clock.calm_status().counters.writes == 1)
    });
    if truth.now() > TOO_LATE {
        starved("the leap second came before it was seen announced");
    }
    assert!(seen, "{:?}", clock.calm_status());
    let widest = clock.calm_status().interval.expect("an interval").epsilon();

    // Over the boundary, and out of its vicinity.
    while truth.now() < BOUNDARY + 2_700 * MS {
        sleep_ms(50);
    }
    assert_eq!(
        offset() - before,
        jump,
        "the kernel did not leap, or something else happened to its clock"
    );
    let status = clock.calm_status();
    assert_eq!(status.counters.steps, 0, "{status:?}");
    assert_eq!(status.counters.contradictions, 0, "{status:?}");
    // A drift of 200 ppm over less than 15 s, and nothing for the second itself.
    let epsilon = status.interval.expect("an interval").epsilon();
    assert!((epsilon - widest).as_millis() < 3, "{widest:?} {epsilon:?}");

    // The daemon leaves the flag for a while, as daemons do, and the clock knows better.
    write_honestly(&truth, flag | more_flags, 600);
    assert!(eventually(
        || clock.calm_now().is_ok() && clock.calm_status().counters.writes == 2
    ));
    assert_eq!(clock.calm_status().counters.contradictions, 0);
    sleep_ms(300);
    write_honestly(&truth, more_flags, 500);
    assert!(eventually(
        || clock.calm_now().is_ok() && clock.calm_status().counters.writes == 3
    ));
    if !unsync {
        write_again(&truth, &clock, 200);
    }
    assert_eq!(clock.calm_status().state, ClockState::Synchronized);
    assert_eq!(clock.calm_status().counters.steps, 0);
    readers.stop()[0].assert_kept(&[]);
}

/// Real less monotonic time, to the ns.
fn offset() -> i64 {
    exact_real_offset().expect("an init may read the kernel's timers")
}
