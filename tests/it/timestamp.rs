//! A timestamp: arithmetic at the edges of the range, strict text, conversions.

use epsilon_clock::time::{ParseTimestampError, RangeError};
use epsilon_clock::{TimeDelta, Timestamp};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Every count, and often one beside an edge: of the range, of the epoch, of a second or of a day.
fn nanos() -> impl Strategy<Value = i64> {
    let edge = prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0),
        any::<i64>().prop_map(|n| n / SECOND * SECOND),
        any::<i64>().prop_map(|n| n / DAY * DAY),
    ];
    prop_oneof![
        any::<i64>(),
        (edge, -3..=3_i64).prop_map(|(edge, off)| edge.saturating_add(off))
    ]
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    nanos().prop_map(Timestamp::from_unix_nanos)
}

/// Every span, and often one of a few nanoseconds or about as long as the range.
fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        any::<u64>().prop_map(Duration::from_nanos),
        (0..10_u64).prop_map(Duration::from_nanos),
        (0..10_u64).prop_map(|short| Duration::from_nanos(u64::MAX - short)),
        (0..10_u64).prop_map(|past| Duration::from_nanos(u64::MAX) + Duration::from_nanos(past)),
        Just(Duration::MAX),
    ]
}

/// A text one character away from the given one.
#[derive(Clone, Debug)]
enum Mutation {
    Change(usize, char),
    Insert(usize, char),
    Delete(usize),
}

impl Mutation {
    fn of(self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        match self {
            Mutation::Change(at, to) => chars.splice(at..=at, [to]).for_each(drop),
            Mutation::Insert(at, new) => chars.insert(at, new),
            Mutation::Delete(at) => chars.splice(at..=at, []).for_each(drop),
        }
        chars.into_iter().collect()
    }
}

fn characters() -> impl Strategy<Value = char> {
    prop_oneof![
        proptest::char::range('0', '9'),
        proptest::char::range(' ', '~'),
        any::<char>()
    ]
}

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (0..30_usize, characters()).prop_map(|(at, to)| Mutation::Change(at, to)),
        (0..=30_usize, characters()).prop_map(|(at, new)| Mutation::Insert(at, new)),
        (0..30_usize).prop_map(Mutation::Delete),
    ]
}

proptest! {
    #[test]
    fn text_round_trips(t in timestamps()) {
        prop_assert_eq!(t.to_string().parse(), Ok(t));
    }

    #[test]
    fn text_sorts_as_time_does(a in timestamps(), b in timestamps()) {
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
    }

    #[test]
    fn text_has_one_width(t in timestamps()) {
        let text = t.to_string();
        prop_assert_eq!(text.len(), 30);
        prop_assert!(text.is_ascii() && text.ends_with('Z'));
    }

    #[test]
    fn text_of_neighbours_sorts(n in nanos(), step in 1..2 * DAY) {
        let (a, b) = (Timestamp::from_unix_nanos(n), Timestamp::from_unix_nanos(n.saturating_add(step)));
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
    }

    /// With the round trip, this makes the texts accepted and the texts printed one and the same set.
    #[test]
    fn parser_accepts_only_what_is_printed(t in timestamps(), mutation in mutations()) {
        let keeps_length = matches!(mutation, Mutation::Change(..));
        let text = mutation.of(&t.to_string());
        if let Ok(read) = text.parse::<Timestamp>() {
            prop_assert!(keeps_length, "{:?} was read as {}", text, read);
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn parser_survives_any_text(text in any::<String>()) {
        if let Ok(read) = text.parse::<Timestamp>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn parser_accepts_only_what_is_printed_among_texts_of_the_form(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{9}Z",
    ) {
        match text.parse::<Timestamp>() {
            Ok(read) => prop_assert_eq!(read.to_string(), text),
            Err(error) => prop_assert!(error.at() < text.len()),
        }
    }

    #[test]
    fn parser_points_into_the_text(t in timestamps(), mutation in mutations()) {
        let text = mutation.of(&t.to_string());
        if let Err(error) = text.parse::<Timestamp>() {
            prop_assert!(error.at() <= text.len() && text.is_char_boundary(error.at()));
        }
    }

    #[test]
    fn parser_points_at_the_end_of_a_text_cut_short(t in timestamps(), keep in 0..30_usize) {
        let text = t.to_string();
        let error = text[..keep].parse::<Timestamp>().unwrap_err();
        let incomplete = matches!(error, ParseTimestampError::Incomplete { .. });
        prop_assert!(incomplete, "{}", error);
        prop_assert_eq!(error.at(), keep);
    }

    #[test]
    fn t10_spans_are_added_exactly_or_not_at_all(t in timestamps(), span in spans()) {
        let exact = |sign: i128| i128::from(t.unix_nanos()) + sign * i128::try_from(span.as_nanos()).unwrap();
        let held = |sum: i128| i64::try_from(sum).ok().map(Timestamp::from_unix_nanos);

        prop_assert_eq!(t.checked_add(span), held(exact(1)));
        prop_assert_eq!(t.checked_sub(span), held(exact(-1)));
        prop_assert_eq!(t.saturating_add(span), held(exact(1)).unwrap_or(Timestamp::MAX));
        prop_assert_eq!(t.saturating_sub(span), held(exact(-1)).unwrap_or(Timestamp::MIN));
    }

    #[test]
    fn t10_deltas_are_added_exactly_or_not_at_all(t in timestamps(), delta in nanos()) {
        let sum = i128::from(t.unix_nanos()) + i128::from(delta);
        let edge = if delta < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let held = i64::try_from(sum).ok().map(Timestamp::from_unix_nanos);
        let delta = TimeDelta::from_nanos(delta);

        prop_assert_eq!(t.checked_add_delta(delta), held);
        prop_assert_eq!(t.saturating_add_delta(delta), held.unwrap_or(edge));
    }

    #[test]
    fn t10_differences_are_exact_or_none(a in timestamps(), b in timestamps()) {
        let exact = i128::from(a.unix_nanos()) - i128::from(b.unix_nanos());
        let held = i64::try_from(exact).ok().map(TimeDelta::from_nanos);
        let edge = if a < b { TimeDelta::MIN } else { TimeDelta::MAX };

        prop_assert_eq!(a.checked_since(b), held);
        prop_assert_eq!(a.saturating_since(b), held.unwrap_or(edge));
        prop_assert_eq!(a.abs_diff(b).as_nanos(), exact.unsigned_abs());
        if let Some(delta) = held {
            prop_assert_eq!(b.checked_add_delta(delta), Some(a));
        }
    }

    #[test]
    fn t10_coarser_counts_are_exact_or_an_error(count in nanos(), small in any::<i32>()) {
        for count in [count, i64::from(small), i64::from(small) * 8] {
            for (made, unit) in [
                (Timestamp::from_unix_secs(count), i128::from(SECOND)),
                (Timestamp::from_unix_millis(count), 1_000_000),
                (Timestamp::from_unix_micros(count), 1_000),
            ] {
                let exact = i128::from(count) * unit;
                match made {
                    Ok(t) => prop_assert_eq!(i128::from(t.unix_nanos()), exact),
                    Err(RangeError::Timestamp { unix_nanos, .. }) => {
                        prop_assert_eq!(unix_nanos, exact);
                        prop_assert!(i64::try_from(exact).is_err());
                    }
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
        }
    }

    #[test]
    fn t10_a_delta_takes_a_duration_exactly_or_not_at_all(span in spans()) {
        let held = i64::try_from(span.as_nanos()).ok().map(TimeDelta::from_nanos);
        prop_assert_eq!(TimeDelta::from_duration(span), held);
    }

    #[test]
    fn a_delta_keeps_its_length_and_its_sign(n in nanos()) {
        let delta = TimeDelta::from_nanos(n);
        prop_assert_eq!(delta.nanos(), n);
        prop_assert_eq!(delta.unsigned_abs().as_nanos(), i128::from(n).unsigned_abs());
        prop_assert_eq!(delta.is_negative(), delta < TimeDelta::ZERO);
    }

    #[test]
    fn a_delta_prints_all_of_itself(n in nanos()) {
        let text = TimeDelta::from_nanos(n).to_string();
        let places = [("ns", 0), ("µs", 3), ("ms", 6), ("s", 9)];
        let (number, places) = places
            .iter()
            .find_map(|&(unit, places)| text.strip_suffix(unit).map(|number| (number, places)))
            .unwrap();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        prop_assert!(!part.ends_with('0') && number.starts_with(['+', '-']), "{}", text);
        let read: i128 = format!("{whole}{part:0<places$}").parse().unwrap();
        prop_assert_eq!(read, i128::from(n));
    }

    #[cfg(unix)]
    #[test]
    fn system_time_round_trips(t in timestamps()) {
        let time = SystemTime::try_from(t).unwrap();
        prop_assert_eq!(Timestamp::try_from(time), Ok(t));
    }

    #[cfg(unix)]
    #[test]
    fn system_time_keeps_its_distance_from_the_epoch(t in timestamps()) {
        let time = SystemTime::try_from(t).unwrap();
        let distance = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).unwrap(),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap(),
        };
        prop_assert_eq!(distance, i128::from(t.unix_nanos()));
    }
}

/// Every text one ASCII character away from each of these; the parser's whole neighbourhood.
#[test]
fn parser_rejects_every_mutation_that_is_not_printed() {
    let samples = [
        "1677-09-21T00:12:43.145224192Z",
        "1970-01-01T00:00:00.000000000Z",
        "2024-02-29T23:59:59.999999999Z",
        "2026-11-20T05:50:00.123456789Z",
        "2262-04-11T23:47:16.854775807Z",
    ];
    for sample in samples {
        let mut accepted = 0;
        for at in 0..=30 {
            for byte in 0..128_u8 {
                let new = char::from(byte);
                let text = Mutation::Insert(at, new).of(sample);
                assert!(text.parse::<Timestamp>().is_err(), "{text}");
                if at < 30 {
                    let text = Mutation::Change(at, new).of(sample);
                    if let Ok(read) = text.parse::<Timestamp>() {
                        assert_eq!(read.to_string(), text);
                        accepted += 1;
                    }
                }
            }
            if at < 30 {
                let text = Mutation::Delete(at).of(sample);
                assert!(text.parse::<Timestamp>().is_err(), "{text}");
            }
        }
        // At the least the text itself, 30 times over, and other texts of the same instant's second.
        assert!(accepted > 60, "{sample}: {accepted}");
    }
}

#[test]
fn parser_says_what_is_wrong_and_where() {
    let cases = [
        ("", 0, "text ends at byte 0, before a digit"),
        ("2026-11-20T05:50:00Z", 19, "'Z' at byte 19 should be `.`"),
        (
            "2026-11-20T05:50:00.123Z",
            23,
            "'Z' at byte 23 should be a digit",
        ),
        (
            "2026-11-20T05:50:00.1234567890Z",
            29,
            "'0' at byte 29 should be `Z`",
        ),
        (
            "2026-11-20T05:50:00.123456789",
            29,
            "text ends at byte 29, before `Z`",
        ),
        (
            "2026-11-20T05:50:00.123456789z",
            29,
            "'z' at byte 29 should be `Z`",
        ),
        (
            "2026-11-20T05:50:00.123456789+00:00",
            29,
            "'+' at byte 29 should be `Z`",
        ),
        (
            "2026-11-20T05:50:00.123456789Z ",
            30,
            "text goes on at byte 30",
        ),
        (
            " 2026-11-20T05:50:00.123456789Z",
            0,
            "' ' at byte 0 should be a digit",
        ),
        (
            "+2026-11-20T05:50:00.123456789Z",
            0,
            "'+' at byte 0 should be a digit",
        ),
        (
            "-0001-11-20T05:50:00.123456789Z",
            0,
            "'-' at byte 0 should be a digit",
        ),
        (
            "2026/11-20T05:50:00.123456789Z",
            4,
            "'/' at byte 4 should be `-`",
        ),
        (
            "2026-11-20 05:50:00.123456789Z",
            10,
            "' ' at byte 10 should be `T`",
        ),
        (
            "2026-11-20t05:50:00.123456789Z",
            10,
            "'t' at byte 10 should be `T`",
        ),
        (
            "2026-11-20T05:50:00,123456789Z",
            19,
            "',' at byte 19 should be `.`",
        ),
        (
            "2026-11-20T05:50:00.12345678\u{0669}Z",
            28,
            "'\u{0669}' at byte 28 should be a digit",
        ),
        (
            "\u{ff12}026-11-20T05:50:00.123456789Z",
            0,
            "'\u{ff12}' at byte 0 should be a digit",
        ),
        (
            "2026-00-20T05:50:00.123456789Z",
            5,
            "month 0 at byte 5 is not within 1 to 12",
        ),
        (
            "2026-13-20T05:50:00.123456789Z",
            5,
            "month 13 at byte 5 is not within 1 to 12",
        ),
        (
            "2026-11-00T05:50:00.123456789Z",
            8,
            "day 0 at byte 8 is not within 1 to 30",
        ),
        (
            "2026-11-31T05:50:00.123456789Z",
            8,
            "day 31 at byte 8 is not within 1 to 30",
        ),
        (
            "2026-02-29T05:50:00.123456789Z",
            8,
            "day 29 at byte 8 is not within 1 to 28",
        ),
        (
            "2024-02-30T05:50:00.123456789Z",
            8,
            "day 30 at byte 8 is not within 1 to 29",
        ),
        (
            "2100-02-29T05:50:00.123456789Z",
            8,
            "day 29 at byte 8 is not within 1 to 28",
        ),
        (
            "2026-11-20T24:00:00.000000000Z",
            11,
            "hour 24 at byte 11 is not within 0 to 23",
        ),
        (
            "2026-11-20T05:60:00.123456789Z",
            14,
            "minute 60 at byte 14 is not within 0 to 59",
        ),
        (
            "2026-11-20T05:50:61.123456789Z",
            17,
            "second 61 at byte 17 is not within 0 to 59",
        ),
        (
            "2016-12-31T23:59:60.000000000Z",
            17,
            "second 60 at byte 17 names no instant of Unix time",
        ),
        (
            "1677-09-21T00:12:43.145224191Z",
            0,
            "-9223372036854775809 ns since the Unix epoch lies outside",
        ),
        (
            "2262-04-11T23:47:16.854775808Z",
            0,
            "9223372036854775808 ns since the Unix epoch lies outside",
        ),
        (
            "0000-01-01T00:00:00.000000000Z",
            0,
            "-62167219200000000000 ns since the Unix epoch lies outside",
        ),
        (
            "9999-12-31T23:59:59.999999999Z",
            0,
            "253402300799999999999 ns since the Unix epoch lies outside",
        ),
    ];
    for (text, at, said) in cases {
        let error = text.parse::<Timestamp>().unwrap_err();
        assert_eq!(error.at(), at, "{text:?}: {error}");
        assert!(error.to_string().starts_with(said), "{text:?}: {error}");
    }
}

#[test]
fn text_of_known_instants() {
    let known = [
        (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (0, "1970-01-01T00:00:00.000000000Z"),
        (951_782_400 * SECOND, "2000-02-29T00:00:00.000000000Z"),
        (1_483_228_800 * SECOND, "2017-01-01T00:00:00.000000000Z"),
        (1_709_164_800 * SECOND, "2024-02-29T00:00:00.000000000Z"),
        (1_795_153_800_123_456_789, "2026-11-20T05:50:00.123456789Z"),
        (4_107_542_400 * SECOND, "2100-03-01T00:00:00.000000000Z"),
        (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
    ];
    for (nanos, text) in known {
        let t = Timestamp::from_unix_nanos(nanos);
        assert_eq!(t.to_string(), text);
        assert_eq!(text.parse(), Ok(t));
        assert_eq!(format!("{t:?}"), format!("Timestamp({text})"));
    }
}

#[test]
fn text_is_padded_as_a_str_is() {
    let t = Timestamp::UNIX_EPOCH;
    assert_eq!(format!("{t:*^34}"), "**1970-01-01T00:00:00.000000000Z**");
    assert_eq!(format!("{t:.10}"), "1970-01-01");
    assert_eq!(format!("{:>6}", TimeDelta::from_nanos(5_000)), "  +5µs");
}

#[test]
fn text_of_deltas() {
    let cases = [
        (0, "+0ns"),
        (-1, "-1ns"),
        (999, "+999ns"),
        (1_000, "+1µs"),
        (-1_500, "-1.5µs"),
        (1_000_001, "+1.000001ms"),
        (-35_000_000_000, "-35s"),
        (3_600_000_000_010, "+3600.00000001s"),
        (i64::MIN, "-9223372036.854775808s"),
        (i64::MAX, "+9223372036.854775807s"),
    ];
    for (nanos, text) in cases {
        assert_eq!(TimeDelta::from_nanos(nanos).to_string(), text);
    }
}

#[cfg(unix)]
#[test]
fn t10_system_time_out_of_range_is_an_error_with_its_size() {
    let tick = Duration::from_nanos(1);
    let past_max = SystemTime::try_from(Timestamp::MAX).unwrap() + tick;
    let before_min = SystemTime::try_from(Timestamp::MIN).unwrap() - tick;
    for (time, exact) in [
        (past_max, i128::from(i64::MAX) + 1),
        (before_min, i128::from(i64::MIN) - 1),
    ] {
        match Timestamp::try_from(time) {
            Err(RangeError::Timestamp { unix_nanos, .. }) => {
                assert_eq!(unix_nanos, exact);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn range_errors_say_what_to_do() {
    let error = Timestamp::from_unix_secs(1_795_153_800_000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1795153800000000000000 ns since the Unix epoch lies outside 1677-09-21T00:12:43.145224192Z to \
         2262-04-11T23:47:16.854775807Z, all that a timestamp holds; check that the number is in the unit it \
         was handed over as"
    );
}

#[test]
fn values_and_errors_are_send_and_sync() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Timestamp>();
    shared::<TimeDelta>();
    shared::<ParseTimestampError>();
    shared::<RangeError>();
}

mod with_chrono {
    use super::*;
    use chrono::{DateTime, Utc};

    /// Dates in and about the range, one in two inside a second that chrono calls a leap second.
    fn dates() -> impl Strategy<Value = DateTime<Utc>> {
        let secs = || nanos().prop_map(|n| n.div_euclid(SECOND));
        let leap = (secs(), 1_000_000_000..2_000_000_000_u32)
            .prop_filter_map("not a date", |(s, n)| {
                DateTime::from_timestamp(s.div_euclid(60) * 60 + 59, n)
            });
        let plain = (secs(), -200..=200_i64, 0..1_000_000_000_u32)
            .prop_filter_map("not a date", |(s, off, n)| {
                DateTime::from_timestamp(s + off, n)
            });
        prop_oneof![leap, plain]
    }

    proptest! {
        #[test]
        fn chrono_prints_the_same_date(t in timestamps()) {
            let date = DateTime::<Utc>::from(t);
            let (theirs, ours) = (format!("{date:?}"), t.to_string());
            prop_assert_eq!(&theirs[..19], &ours[..19]);
            prop_assert_eq!(date.timestamp_nanos_opt(), Some(t.unix_nanos()));
        }

        #[test]
        fn chrono_reads_the_same_instant(t in timestamps()) {
            let date: DateTime<Utc> = t.to_string().parse().unwrap();
            prop_assert_eq!(Timestamp::try_from(date), Ok(t));
        }

        #[test]
        fn chrono_round_trips(t in timestamps()) {
            prop_assert_eq!(Timestamp::try_from(DateTime::<Utc>::from(t)), Ok(t));
        }

        #[test]
        fn t10_chrono_dates_are_exact_or_an_error(date in dates()) {
            // During a leap second the axis stands at the instant that ends it.
            let nanos = date.timestamp_subsec_nanos().min(1_000_000_000);
            let exact = i128::from(date.timestamp()) * i128::from(SECOND) + i128::from(nanos);
            match Timestamp::try_from(date) {
                Ok(t) => prop_assert_eq!(i128::from(t.unix_nanos()), exact),
                Err(RangeError::Timestamp { unix_nanos, .. }) => {
                    prop_assert_eq!(unix_nanos, exact);
                    prop_assert!(i64::try_from(exact).is_err());
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn chrono_order_is_kept_through_leap_seconds(
            minute in -100_000_000..100_000_000_i64,
            a in (58..=60_i64, 0..2_000_000_000_u32),
            b in (58..=60_i64, 0..2_000_000_000_u32),
        ) {
            let date = |(second, nanos)| DateTime::<Utc>::from_timestamp(minute * 60 + second, nanos);
            if let (Some(a), Some(b)) = (date(a), date(b)) {
                let (first, second) = (a.min(b), a.max(b));
                prop_assert!(Timestamp::try_from(first).unwrap() <= Timestamp::try_from(second).unwrap());
            }
        }
    }

    #[test]
    fn a_leap_second_of_chrono_becomes_the_midnight_that_ends_it() {
        let midnight: Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
        for inside in [
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.000000001Z",
            "2016-12-31T23:59:60.999999999Z",
        ] {
            let date: DateTime<Utc> = inside.parse().unwrap();
            assert_eq!(Timestamp::try_from(date), Ok(midnight), "{inside}");
        }
        let before: DateTime<Utc> = "2016-12-31T23:59:59.999999999Z".parse().unwrap();
        assert_eq!(
            Timestamp::try_from(before).unwrap().unix_nanos(),
            midnight.unix_nanos() - 1
        );
    }

    #[test]
    fn t10_the_ends_of_chrono_are_errors() {
        assert!(Timestamp::try_from(DateTime::<Utc>::MIN_UTC).is_err());
        assert!(Timestamp::try_from(DateTime::<Utc>::MAX_UTC).is_err());
    }
}

/// Keys of a store: bytes compare as instants do, across 1970, and come back as they were.
mod bytes {
    use epsilon_clock::Timestamp;
    use epsilon_clock::time::DecodeError;
    use proptest::prelude::*;

    fn nanos() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -300..300_i64]
    }

    proptest! {
        #[test]
        fn bytes_sort_as_instants_do(a in nanos(), b in nanos()) {
            let (a, b) = (Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
            prop_assert_eq!(a.to_be_bytes().cmp(&b.to_be_bytes()), a.cmp(&b));
            prop_assert_eq!(Timestamp::from_be_bytes(a.to_be_bytes()), a);
            prop_assert_eq!(Timestamp::try_from(&a.to_be_bytes()[..]), Ok(a));
        }
    }

    #[test]
    fn the_bytes_are_the_ones_in_the_guide() {
        let instant: Timestamp = "2026-11-20T05:50:00.123456789Z".parse().unwrap();
        let bytes = [0x98, 0xe9, 0xaa, 0xde, 0xbd, 0x8d, 0x1d, 0x15];
        assert_eq!(instant.to_be_bytes(), bytes);
        assert_eq!(Timestamp::MIN.to_be_bytes(), [0; 8]);
        assert_eq!(Timestamp::MAX.to_be_bytes(), [0xff; 8]);
        for length in [0, 7, 9] {
            let found = Timestamp::try_from(&[0; 9][..length]);
            assert!(
                matches!(found, Err(DecodeError::Length { expected: 8, found, .. }) if found == length)
            );
        }
    }
}
