//! Each error, provoked, with the figures in its message.

use std::error::Error;

use epsilon_clock::clock::WaitTimeout;
use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::{Awaiting, Finding, Refusal, SyncClaim, Writer};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::Claim;
use epsilon_clock::{BuildError, Clock, ClockError, Disturbance, Interval, TimeDelta, Timestamp};

use super::{NO_LIMIT, claim, delta_millis, millis, secs, synchronized};

#[track_caller]
fn says(error: &impl Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let first = text.chars().next().unwrap();
    assert!(!first.is_uppercase(), "{text}");
}

fn refusal_of(edit: impl FnOnce(&mut NtpStatus)) -> ClockError {
    let machine = ScriptedMachine::default();
    machine.edit_status(edit);
    machine.clock().unwrap().now().unwrap_err()
}

#[test]
fn unvouched_by_an_unsynchronised_kernel() {
    let error = refusal_of(|status| status.maxerror = 16_000_000);
    assert!(matches!(
        error,
        ClockError::Unvouched(Refusal::Unsynchronized {
            maxerror_us: 16_000_000
        })
    ));
    says(&error, &["16000000 µs", "rtcsync", "assume_error"]);
    assert!(matches!(
        refusal_of(|status| status.maxerror = -5),
        ClockError::Unvouched(Refusal::Unsynchronized { maxerror_us: -5 })
    ));
}

#[test]
fn unvouched_under_the_unsync_flag() {
    let error = refusal_of(|status| {
        status.maxerror = 1_003;
        status.esterror = 0;
    });
    assert!(matches!(
        error,
        ClockError::Unvouched(Refusal::UnsyncFlag { maxerror_us: 1_003 })
    ));
    says(&error, &["1003 µs", "rtcsync", "accept_unsync_flag"]);
}

#[test]
fn unvouched_by_each_writer_without_a_bound() {
    for (maxerror, esterror, flags, writer, name) in [
        (0, 0, NtpStatus::STA_PLL, Writer::Timesyncd, "timesyncd"),
        (0, 71, 0, Writer::PtpOrOpenntpd, "phc2sys"),
        (16, 16, NtpStatus::STA_PLL, Writer::NtpdStarting, "ntpd"),
    ] {
        let error = refusal_of(|status| {
            status.maxerror = maxerror;
            status.esterror = esterror;
            status.status = flags;
        });
        let refusal = Refusal::NoBound {
            writer,
            maxerror_us: maxerror,
            esterror_us: esterror,
        };
        assert_eq!(error, ClockError::Unvouched(refusal));
        let figures = [
            format!("maxerror {maxerror} µs"),
            format!("esterror {esterror} µs"),
        ];
        says(
            &error,
            &[name, &figures[0], &figures[1], "chrony", "assume_error"],
        );
    }
}

#[test]
fn unvouched_while_a_write_is_awaited() {
    let error = refusal_of(|status| {
        status.maxerror = 2_500;
        status.esterror = 0;
        status.status = 0;
    });
    says(&error, &["next write", "2500 µs"]);

    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    machine.set_slew_ppb(490_000_000);
    let error = machine.clock().unwrap().now().unwrap_err();
    says(&error, &["next write", "490000 ppm"]);
    // The same for the others, which the tests of leaps, flags and unsettled looks provoke.
    for because in [
        Awaiting::LeapSecond,
        Awaiting::Disturbance,
        Awaiting::Unsettled,
    ] {
        let error = ClockError::Unvouched(Refusal::AwaitingWrite { because });
        says(&error, &["waiting for the time daemon's next write: "]);
    }
}

#[test]
fn unvouched_where_the_status_is_refused_or_unknown() {
    for (status, figures) in [
        (NtpStatusError::Refused { errno: 1 }, "errno 1"),
        (NtpStatusError::Unsupported, "no adjtimex"),
    ] {
        let machine = ScriptedMachine::default();
        machine.refuse(status);
        let error = machine.clock().unwrap().now().unwrap_err();
        assert_eq!(error, ClockError::Unvouched(Refusal::Status(status)));
        says(&error, &[figures, "seccomp", "assume_error"]);
    }
}

#[test]
fn too_old_and_too_wide() {
    let (machine, clock) = synchronized();
    machine.advance(secs(3_700));
    let error = clock.now().unwrap_err();
    assert!(matches!(error, ClockError::TooOld { .. }));
    says(&error, &["3700.", "max_age (3600s)", "time daemon"]);

    let machine = ScriptedMachine::default();
    machine.write_maxerror(700_003);
    let error = machine.clock().unwrap().now().unwrap_err();
    says(&error, &["±700.", "max_error (500ms)", "time daemon"]);
    let ClockError::TooWide { epsilon, max_error } = error else {
        panic!("{error}");
    };
    assert!(epsilon > millis(700) && max_error == millis(500));
}

#[test]
fn contradicted() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    machine.set_read_cost(std::time::Duration::ZERO);
    source.push(claim(&machine, 0, 1));
    source.push(claim(&machine, 7, 1));
    let clock = machine.builder().source(source).build().unwrap();
    let error = clock.look().unwrap_err();
    let by = millis(5);
    assert_eq!(error, ClockError::Contradicted { from: "oracle", by });
    says(&error, &["5ms", "oracle", "max_drift"]);
}

#[test]
fn disturbed_and_assumption_broken_by_each_cause() {
    type Strike = fn(&ScriptedMachine);
    let strikes: [(Strike, Disturbance, &str); 4] = [
        (|m| m.suspend(secs(1)), Disturbance::Suspended, "suspended"),
        (
            |m| m.jump_raw(delta_millis(-60_000)),
            Disturbance::RawBackwards,
            "backwards",
        ),
        (
            |m| {
                m.jump_uptime(delta_millis(60_000));
                m.set_identity(epsilon_clock::machine::Identity::default());
            },
            Disturbance::Moved,
            "namespace",
        ),
        (
            |m| m.set_read_cost(millis(3)),
            Disturbance::Interrupted,
            "interrupt",
        ),
    ];
    for (strike, cause, word) in strikes {
        let (machine, clock) = synchronized();
        strike(&machine);
        let error = clock.now().unwrap_err();
        assert_eq!(error, ClockError::Disturbed { cause });
        says(&error, &[word]);
    }
    let steps: [(Strike, Disturbance, &str); 2] = [
        (
            |m| m.step(delta_millis(50)),
            Disturbance::Stepped,
            "stepped",
        ),
        (|m| m.suspend(secs(1)), Disturbance::Suspended, "suspended"),
    ];
    for (strike, cause, word) in steps {
        let machine = ScriptedMachine::default();
        let clock = machine.builder().assume_error(millis(9)).build().unwrap();
        strike(&machine);
        let error = clock.now().unwrap_err();
        assert_eq!(error, ClockError::AssumptionBroken { cause });
        says(&error, &[word, "Clock::vouch"]);
    }
}

#[test]
fn an_unexplained_second_at_midnight() {
    let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let machine = ScriptedMachine::new(midnight.checked_sub(secs(10)).unwrap());
    machine.write_maxerror(1_003);
    let clock = machine
        .builder()
        .refresh_policy(epsilon_clock::clock::RefreshPolicy::Manual)
        .build()
        .unwrap();
    clock.now().unwrap();
    machine.advance(secs(11));
    machine.step(delta_millis(-1_000));
    let error = clock.now().unwrap_err();
    let cause = Disturbance::UnexplainedSecond;
    assert_eq!(error, ClockError::Disturbed { cause });
    says(&error, &["second", "midnight"]);
    // The kernel's silence is no evidence; a write that agrees with one of the two scales is.
    clock.look().unwrap_err();
    machine.write_maxerror(777);
    clock.look().unwrap();
}

#[test]
fn out_of_range() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    let end = Interval::around(Timestamp::MAX.saturating_sub(secs(2)), secs(1)).unwrap();
    let truth = machine.truth(secs(1));
    let at_the_end = Claim::new(truth.claim.raw(), end, truth.claim.rate());
    source.push(Finding::Write(SyncClaim {
        claim: at_the_end,
        ..truth
    }));
    let clock = machine
        .builder()
        .max_error(NO_LIMIT)
        .max_age(NO_LIMIT)
        .source(source)
        .build()
        .unwrap();
    clock.now().unwrap();
    machine.advance(secs(2));
    let error = clock.now().unwrap_err();
    assert!(matches!(error, ClockError::OutOfRange), "{error:?}");
    says(&error, &["1677", "2262"]);
}

#[test]
fn settings_out_of_their_range() {
    let year = secs(367 * 86_400);
    let zero = secs(0);
    let build = |change: fn(epsilon_clock::ClockBuilder, std::time::Duration) -> _, value| {
        let builder: epsilon_clock::ClockBuilder =
            change(ScriptedMachine::default().builder(), value);
        builder.build().map(drop)
    };
    type Change =
        fn(epsilon_clock::ClockBuilder, std::time::Duration) -> epsilon_clock::ClockBuilder;
    let cases: [(Change, std::time::Duration, &str); 10] = [
        (|b, v| b.daemon_margin(v), year, "daemon_margin"),
        (|b, v| b.max_error(v), zero, "max_error"),
        (|b, v| b.max_error(v), year, "max_error"),
        (|b, v| b.max_age(v), zero, "max_age"),
        (|b, v| b.max_age(v), year, "max_age"),
        (|b, v| b.look_interval(v), zero, "look_interval"),
        (|b, v| b.look_interval(v), year, "look_interval"),
        (|b, v| b.guard_interval(v), zero, "guard_interval"),
        (|b, v| b.guard_interval(v), millis(1_001), "guard_interval"),
        (|b, v| b.assume_error(v), millis(501), "assume_error"),
    ];
    for (change, given, name) in cases {
        let error = build(change, given).unwrap_err();
        let BuildError::Setting { setting, value, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(
            (*setting, value.as_str()),
            (name, format!("{given:?}").as_str())
        );
        says(&error, &[name, value, "must be"]);
    }
    assert!(build(epsilon_clock::ClockBuilder::assume_error, zero).is_err());
    let error = build(|b, v| b.max_error(millis(120)).assume_error(v), secs(3)).unwrap_err();
    says(&error, &["assume_error is 3s", "max_error, which is 120ms"]);
    for ppb in [0, 100_000_001, u32::MAX] {
        let error = ScriptedMachine::default()
            .builder()
            .max_drift_ppb(ppb)
            .build()
            .unwrap_err();
        says(&error, &["max_drift_ppb", &ppb.to_string(), "100000000"]);
    }
}

#[test]
fn too_many_sources() {
    let mut builder = ScriptedMachine::default().builder();
    for _ in 0..4 {
        builder = builder.source(ScriptedSource::new("oracle"));
    }
    builder.clone().build().unwrap();
    let error = builder
        .source(ScriptedSource::new("fifth"))
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::TooManySources { given: 5, limit: 4 });
    says(&error, &["5 sources", "at most 4"]);
}

#[test]
fn a_missing_clock_is_named() {
    // No machine that can run this lacks one; the message at least is right.
    let clock = "CLOCK_BOOTTIME";
    says(
        &BuildError::MissingClock { clock },
        &["CLOCK_BOOTTIME", "Linux"],
    );
}

/// Set for the process that is to fail in starting a thread.
const STARVED: &str = "EPSILON_CLOCK_TEST_STARVED";

#[test]
fn a_background_thread_that_cannot_be_started() {
    if std::env::var_os(STARVED).is_some() {
        let error = Clock::builder()
            .refresh_policy(epsilon_clock::clock::RefreshPolicy::Background)
            .machine(std::sync::Arc::new(ScriptedMachine::default()))
            .build()
            .unwrap_err();
        assert!(matches!(error, BuildError::Thread { .. }), "{error}");
        says(&error, &["background", "os error"]);
        return;
    }
    // Threads get a stack larger than any address space; the only test runs in the main thread.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "rules::errors::a_background_thread_that_cannot_be_started",
        ])
        .args(["--test-threads=1", "--nocapture"])
        .env(STARVED, "1")
        .env("RUST_MIN_STACK", (1_u64 << 60).to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

#[test]
fn waiting_in_vain_names_its_cause() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let timeout: WaitTimeout = clock.wait_until_synchronized(secs(1)).unwrap_err();
    says(&timeout, &["after 1", "16000000"]);
    assert!(timeout.source().is_some());
    let clock = machine.builder().assume_error(millis(9)).build().unwrap();
    let timeout = clock.wait_until_synchronized(secs(1)).unwrap_err();
    says(&timeout, &["assumed"]);
    let _ = TimeDelta::ZERO;
}

/// By the short way, on which an error costs no more than an interval.
#[test]
fn a_caller_that_is_refused_looks_when_that_is_due_and_at_once_after_a_suspend() {
    let machine = ScriptedMachine::default();
    machine.edit_status(|status| status.maxerror = 16_000_000);
    let clock = machine.clock().unwrap();
    let looks = || {
        let before = machine.status_reads();
        assert!(clock.now().is_err());
        machine.status_reads() > before
    };
    assert!(!looks());
    // The clocks are compared here, and the next time in 10 ms; a look is due in 5 ms.
    machine.advance(millis(245));
    assert!(!looks());
    machine.advance(millis(6));
    assert!(looks());
    assert!(!looks());
    machine.suspend(secs(30));
    assert!(looks());
}
