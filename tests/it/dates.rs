//! The crate's times as those of `chrono`, and back.

use chrono::{DateTime, FixedOffset, Utc};
use epsilon_clock::time::{IntervalError, RangeError};
use epsilon_clock::{Interval, TimeDelta, Timestamp};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_value_comes_back_as_it_went(a in any::<i64>(), b in any::<i64>(), hours in -23..=23_i32) {
        let (first, last) = (Timestamp::from_unix_nanos(a.min(b)), Timestamp::from_unix_nanos(a.max(b)));
        let date = DateTime::<Utc>::from(first);
        prop_assert_eq!(date.timestamp_nanos_opt(), Some(first.unix_nanos()));
        prop_assert_eq!(Timestamp::try_from(date), Ok(first));
        let elsewhere = date.with_timezone(&FixedOffset::east_opt(hours * 3600).unwrap());
        prop_assert_eq!(Timestamp::try_from(elsewhere), Ok(first));

        let interval = Interval::new(first, last).unwrap();
        let ends: (DateTime<Utc>, DateTime<Utc>) = interval.into();
        prop_assert_eq!(Interval::try_from(ends), Ok(interval));

        let delta = TimeDelta::from_nanos(a);
        let theirs = chrono::TimeDelta::from(delta);
        prop_assert_eq!(theirs.num_nanoseconds(), Some(a));
        prop_assert_eq!(TimeDelta::try_from(theirs), Ok(delta));
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_size() {
    let beyond = chrono::TimeDelta::nanoseconds(i64::MIN) - chrono::TimeDelta::nanoseconds(1);
    let error = TimeDelta::try_from(beyond).unwrap_err();
    let nanos = i128::from(i64::MIN) - 1;
    assert!(matches!(error, RangeError::TimeDelta { nanos: n, .. } if n == nanos));
    let beyond = chrono::TimeDelta::nanoseconds(i64::MAX) + chrono::TimeDelta::nanoseconds(1);
    assert!(
        TimeDelta::try_from(beyond)
            .unwrap_err()
            .to_string()
            .contains("9223372036854775808 ns")
    );

    let (epoch, end) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
    assert!(matches!(
        Interval::try_from((epoch, end)),
        Err(IntervalError::End(_))
    ));
    assert!(matches!(
        Interval::try_from((DateTime::<Utc>::from_timestamp_nanos(1), epoch)),
        Err(IntervalError::Reversed { .. })
    ));
}
