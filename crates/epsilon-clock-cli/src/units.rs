//! Spans of time, for programs and for people.

use std::time::Duration;

/// Returns whole nanoseconds, `u64::MAX` for more than 584 years.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns an age: down to milliseconds, up to hours, and rounded down.
pub(crate) fn age(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Returns a bound in the two or three figures that a person wants, rounded up below two minutes.
pub(crate) fn rounded(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", nanos.div_ceil(1_000)),
        1_000_000..10_000_000 => {
            let tenths = nanos.div_ceil(100_000);
            format!("{}.{} ms", tenths / 10, tenths % 10)
        }
        10_000_000..1_000_000_000 => format!("{} ms", nanos.div_ceil(1_000_000)),
        1_000_000_000..120_000_000_000 => format!("{} s", nanos.div_ceil(1_000_000_000)),
        _ => format!("{} min", nanos / 60_000_000_000),
    }
}
