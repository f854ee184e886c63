//! chronyd, disciplining the guest's clock to a server that serves true time.
//!
//! With two chronyd on one clock, containment would be all but a tautology: the server would serve
//! the very clock that the client corrects. Here the server knows a truth that the clock has to be
//! brought to, so containment is scored for what it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use epsilon_clock::{Clock, ClockError, ClockState, Refusal};

use crate::daemon::{Daemon, Observer, distinct, run_for, tell};
use crate::host::{eventually, sleep_ms};
use crate::kernel;
use crate::ntp_server::{ADDRESS, Server};
use crate::readers::Readers;
use crate::steps::START;
use crate::truth::{MS, Truth, raw_now};

/// Where the daemon's settings are, in the guest's memory.
const CONFIG: &str = "/run/chrony.conf";

/// What the oscillator is off by, unknown to chronyd.
const OSCILLATOR_PPB: i64 = -40_000;

/// Often enough that two writes are hardly ever taken for one.
const LOOK_MS: i64 = 20;

/// What a clock may answer beside intervals: chronyd's first bounds after a start are wide, on a
/// busy machine wider than `max_error`.
const EXPECTED: [&str; 2] = ["Unvouched", "TooWide"];

fn start(rtcsync: bool) -> Daemon {
    let settings = format!(
        "server {ADDRESS} minpoll 1 maxpoll 2 iburst\n\
         port 0\ncmdport 0\npidfile /run/chronyd.pid\n{}\n",
        if rtcsync { "rtcsync" } else { "" }
    );
    std::fs::write(CONFIG, settings).expect("a file in /run");
    // One that was killed leaves it behind.
    let _ = std::fs::remove_file("/run/chronyd.pid");
    Daemon::start(
        "chronyd",
        "chrony/usr/sbin/chronyd",
        &["-d", "-u", "root", "-f", CONFIG],
    )
}

fn clock() -> Clock {
    let look = Duration::from_millis(LOOK_MS.unsigned_abs());
    let built = Clock::builder().look_interval(look).build();
    built.expect("the clocks are there")
}

pub(crate) fn disciplines() {
    kernel::reset(START);
    let truth = Truth::from_now(15 * MS, OSCILLATOR_PPB);
    let server = Server::start(truth, MS);
    let clock = clock();
    let first = clock.now();
    assert!(
        matches!(
            first,
            Err(ClockError::Unvouched(Refusal::Unsynchronized { .. }))
        ),
        "{first:?}"
    );

    // From the error to intervals by itself.
    let start_raw = raw_now();
    let observer = Observer::start();
    let readers = Readers::at_leisure(truth, &[("under chronyd", &clock)]);
    let mut daemon = start(true);
    let settled = clock.wait_until_synchronized(Duration::from_secs(60));
    println!(
        "synchronised after {} ms: {settled:?}",
        (raw_now() - start_raw) / MS
    );
    assert!(settled.is_ok());
    assert_eq!(clock.status().state, ClockState::Synchronized);

    // Half a minute of an undisturbed server, and half a minute of a worse but honest one.
    run_for(&mut daemon, 30_000);
    assert!(server.answered.load(Ordering::SeqCst) > 8);
    server.dispersion.store(40 * MS, Ordering::SeqCst);
    server.ahead.store(20 * MS, Ordering::SeqCst);
    run_for(&mut daemon, 30_000);
    server.ahead.store(0, Ordering::SeqCst);
    server.dispersion.store(MS, Ordering::SeqCst);
    run_for(&mut daemon, 10_000);

    // Gone by SIGTERM: nothing is said, so the claim is carried on, at the drift rate.
    daemon.end(libc::SIGTERM);
    grows_with_the_drift(&clock);
    // A restart, and an end without any chance to tidy up.
    let daemon = start(true);
    revives(&clock);
    daemon.end(libc::SIGKILL);
    grows_with_the_drift(&clock);
    let mut daemon = start(true);
    revives(&clock);
    run_for(&mut daemon, 3_000);

    let writes = observer.stop();
    let recognised = clock.status().counters.writes;
    daemon.end(libc::SIGTERM);
    tell(&writes, start_raw);
    let (bounds, close) = distinct(&writes, 2 * LOOK_MS);
    println!(
        "{} bounds were written, {close} of them right after another; {recognised} recognised; \
         {} requests answered; real time is {} µs off",
        bounds.len(),
        server.answered.load(Ordering::SeqCst),
        truth.error_of_real() / 1_000
    );
    assert!(bounds.len() > 20, "chronyd hardly wrote");
    let written = u64::try_from(bounds.len()).expect("a number");
    let merged = u64::try_from(close).expect("a number");
    assert!(
        (written - merged..=written).contains(&recognised),
        "{recognised} of {written} writes were recognised ({merged} may have been merged)"
    );
    let counters = clock.status().counters;
    assert_eq!(
        (counters.steps, counters.suspends, counters.contradictions),
        (0, 0, 0),
        "{counters:?}"
    );
    readers.stop()[0].assert_kept(&EXPECTED);
}

/// That epsilon grows with the default drift of 200 ppm, and not with the kernel's 500.
fn grows_with_the_drift(clock: &Clock) {
    sleep_ms(300);
    let before = (clock.status(), clock.ntp_status().expect("adjtimex"));
    sleep_ms(4_000);
    let after = (clock.status(), clock.ntp_status().expect("adjtimex"));
    assert_eq!(
        before.0.counters.writes, after.0.counters.writes,
        "a daemon that is gone has written"
    );
    assert_eq!(after.0.state, ClockState::Synchronized);
    let age = after.0.age.expect("a claim") - before.0.age.expect("a claim");
    let epsilon = |status: &epsilon_clock::Status| status.interval.expect("an interval").epsilon();
    let grown = epsilon(&after.0) - epsilon(&before.0);
    let expected = age.as_nanos() / 5_000;
    println!(
        "without a daemon epsilon grew by {grown:?} in {age:?}, the kernel's bound by {} µs",
        after.1.maxerror - before.1.maxerror
    );
    assert!(
        grown.as_nanos().abs_diff(expected) <= 2_000,
        "{grown:?} in {age:?} instead of {expected} ns"
    );
    assert!(after.1.maxerror - before.1.maxerror >= 1_500);
}

/// That a restarted daemon first takes its word back, and then gives it anew.
fn revives(clock: &Clock) {
    let writes = clock.status().counters.writes;
    assert!(
        eventually(|| {
            let _ = clock.now();
            clock.status().state == ClockState::Holdover
        }),
        "chronyd did not take back what the one before it had said: {:?}",
        clock.status()
    );
    assert!(eventually(
        || clock.now().is_ok() && clock.status().counters.writes > writes
    ));
    assert_eq!(clock.status().state, ClockState::Synchronized);
}

/// chronyd leaves the flag over an honest bound: the error says so, and there is a switch.
pub(crate) fn without_rtcsync() {
    kernel::reset(START);
    let truth = Truth::from_now(5 * MS, OSCILLATOR_PPB);
    let _server = Server::start(truth, MS);
    let strict = clock();
    let lenient = Clock::builder().accept_unsync_flag();
    let lenient = lenient.build().expect("the clocks are there");
    let readers = Readers::start(truth, &[("strict", &strict), ("lenient", &lenient)]);
    let mut daemon = start(false);
    let settled = lenient.wait_until_synchronized(Duration::from_secs(60));
    assert!(settled.is_ok(), "{settled:?}");
    run_for(&mut daemon, 5_000);
    let error = strict.now().expect_err("the flag is set");
    assert!(
        matches!(error, ClockError::Unvouched(Refusal::UnsyncFlag { .. })),
        "{error:?}"
    );
    println!("strict: {error}");
    let text = error.to_string();
    assert!(
        text.contains("rtcsync") && text.contains("accept_unsync_flag"),
        "{text}"
    );
    assert_eq!(lenient.status().state, ClockState::Synchronized);
    let scores = readers.stop();
    assert_eq!(scores[0].intervals, 0);
    scores[1].assert_kept(&EXPECTED);
}
