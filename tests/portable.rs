//! The clock where there is no `adjtimex`: on the standard library's clocks, and only with somebody
//! who vouches for them.
//!
//! On Linux these are asked for by `RUSTFLAGS="--cfg epsilon_clock_portable"`, which builds the
//! crate as it is elsewhere.
#![cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::time::{Duration, SystemTime};

use epsilon_clock::machine::NtpStatusError;
use epsilon_clock::source::{NtpSource, Refusal};
use epsilon_clock::{BuildError, Clock, ClockError, ClockState, Timestamp};

#[test]
fn without_adjtimex_there_is_a_typed_error() {
    let clock = Clock::system().unwrap();
    let error = clock.now().unwrap_err();
    let unsupported = Refusal::Status(NtpStatusError::Unsupported);
    assert_eq!(error, ClockError::Unvouched(unsupported));
    assert!(error.to_string().contains("assume_error"), "{error}");
    assert_eq!(clock.ntp_status(), Err(NtpStatusError::Unsupported));
    assert!(clock.read().estimate > Timestamp::UNIX_EPOCH);
}

#[test]
fn with_an_assumed_error_there_are_intervals() {
    let error = Duration::from_millis(50);
    let clock = Clock::builder().assume_error(error).build().unwrap();
    for _ in 0..1_000 {
        let before = Timestamp::try_from(SystemTime::now()).unwrap();
        let now = clock.now().unwrap();
        let after = Timestamp::try_from(SystemTime::now()).unwrap();
        assert!(
            !now.after(after) && !now.before(before),
            "{now} between {before} and {after}"
        );
        assert!(now.epsilon() >= error);
    }
    assert_eq!(clock.read().state, ClockState::Assumed);
}

/// M1: a sleep of a millisecond, a second or a night leaves no interval in force, for there never is one.
#[test]
fn m1_ntp_servers_are_refused_where_a_suspend_looks_like_a_step() {
    let source = NtpSource::new().server("192.0.2.1").unwrap();
    let error = Clock::builder().source(source).build().unwrap_err();
    assert!(matches!(error, BuildError::Source { .. }), "{error:?}");
    let told = format!(
        "{error}: {}",
        std::error::Error::source(&error).map_or_else(String::new, ToString::to_string)
    );
    for named in ["a suspend from a step", "slewed"] {
        assert!(told.contains(named), "{told}");
    }
}
