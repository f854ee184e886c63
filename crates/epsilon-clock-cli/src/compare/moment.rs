//! What a log says of the time of an event, read back.

use epsilon_clock::time::ParseTimestampError;
use epsilon_clock::{Interval, RemoteTimestamp, Timestamp};

use crate::args::span;

/// When an event was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moment {
    /// In this interval of real time.
    Interval(Interval),
    /// At this stamp of a hybrid logical clock.
    Stamp(RemoteTimestamp),
}

impl Moment {
    /// Reads any of the forms that the library writes.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            return ends_in_json(text).map(Self::Interval);
        }
        if let Some((middle, rest)) = text.split_once('±') {
            return around(middle.trim_end(), rest).map(Self::Interval);
        }
        let ends = text.split_once('/').or_else(|| text.split_once(".."));
        if let Some((earliest, latest)) = ends {
            let interval = Interval::new(instant(earliest)?, instant(latest)?);
            return interval.map(Self::Interval).map_err(|why| why.to_string());
        }
        if let Ok(stamp) = text.parse() {
            return Ok(Self::Stamp(stamp));
        }
        // An instant without an error is taken at its word.
        instant(text).map(|at| Self::Interval(Interval::point(at)))
    }
}

/// Reads the middle and the half-width that a log line begins with; its end may follow.
fn around(middle: &str, rest: &str) -> Result<Interval, String> {
    let half = rest.split_whitespace().next().unwrap_or_default();
    if half == "?" {
        return Err("no source vouched for the time then, so nothing is certain".to_owned());
    }
    let half = if half == "0ns" {
        std::time::Duration::ZERO
    } else {
        span(half).map_err(|why| format!("after ±: {why}"))?
    };
    let middle = Interval::point(instant(middle)?);
    let beyond = || "the interval reaches beyond what a timestamp holds".to_owned();
    middle.widen(half).ok_or_else(beyond)
}

/// Finds both ends in a line of JSON, wherever in it they are.
fn ends_in_json(line: &str) -> Result<Interval, String> {
    let end = |name: &str| -> Result<Timestamp, String> {
        let missing = || format!("there is no number {name} in it");
        let (_, rest) = line
            .split_once(&format!("\"{name}\""))
            .ok_or_else(missing)?;
        let rest = rest.trim_start().strip_prefix(':').ok_or_else(missing)?;
        let rest = rest.trim_start();
        let stop = rest.find(|c: char| c != '-' && !c.is_ascii_digit());
        let digits = rest.get(..stop.unwrap_or(rest.len())).unwrap_or_default();
        let nanos = digits.parse().map_err(|_| missing())?;
        Ok(Timestamp::from_unix_nanos(nanos))
    };
    Interval::new(end("earliest_ns")?, end("latest_ns")?).map_err(|why| why.to_string())
}

/// Reads an instant, with as many digits of a second as the log has.
fn instant(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let whole = match text.strip_suffix('Z').map(|bare| bare.split_once('.')) {
        Some(None) => text.replace('Z', ".000000000Z"),
        Some(Some((seconds, digits))) if !digits.is_empty() => {
            format!("{seconds}.{digits:0<9}Z")
        }
        _ => text.to_owned(),
    };
    whole.parse().map_err(|why: ParseTimestampError| {
        format!("neither an interval, nor a stamp, nor an instant: {why}")
    })
}

#[cfg(test)]
#[allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::{Interval, Moment, Timestamp};

    fn interval(text: &str) -> Interval {
        match Moment::parse(text) {
            Ok(Moment::Interval(interval)) => interval,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn all_forms_of_an_interval_mean_it() {
        let at = Timestamp::from_unix_nanos;
        let middle = 1_795_153_800_123_456_789;
        let whole = Interval::new(at(middle - 1_204_000), at(middle + 1_204_000)).unwrap();
        for text in [
            "2026-11-20T05:50:00.123456789Z ±1.204ms",
            " 2026-11-20T05:50:00.123456789Z ±1.204ms  INFO paid amount=3",
            "2026-11-20T05:50:00.122252789Z/2026-11-20T05:50:00.124660789Z",
            "2026-11-20T05:50:00.122252789Z .. 2026-11-20T05:50:00.124660789Z",
            r#"{"a":1,"earliest_ns":1795153800122252789, "latest_ns" : 1795153800124660789}"#,
        ] {
            assert_eq!(interval(text), whole, "{text}");
        }
        let point = interval("2026-11-20T05:50:00.123456789Z");
        assert_eq!(point, Interval::point(at(middle)));
        assert_eq!(interval("2026-11-20T05:50:00.123456789Z ±0ns"), point);
        let half = Interval::point(at(1_795_153_800_500_000_000));
        assert_eq!(interval("2026-11-20T05:50:00.5Z"), half);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-20T05:50:00.123456789Z ±?",
            "2026-11-20T05:50:00.123456789Z ±",
            "2026-11-20T05:50:00.Z",
            "2026-11-20T05:50:01Z/2026-11-20T05:50:00Z",
            r#"{"earliest_ns":null,"latest_ns":null}"#,
            r#"{"earliest_ns":5}"#,
            "{",
        ] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }
}
