//! Lines of JSON that carry both ends of the interval they were written in.

use core::fmt::{self, Write};

use tracing_core::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock, Reading};

/// Adds the clock's word to each line of JSON that `tracing-subscriber` writes. Needs the feature
/// `tracing`, and `tracing-subscriber` with its feature `json`.
///
/// Each object then begins with four more fields:
///
/// | field | what it is | where the clock gives no interval |
/// |---|---|---|
/// | `timestamp` | the best estimate, RFC 3339 in UTC with nine digits | whatever the machine's clock says |
/// | `earliest_ns`, `latest_ns` | the interval's ends in nanoseconds since 1970, integers | `null` |
/// | `clock_state` | how well founded it is: see [`ClockState`](crate::ClockState) | `"unavailable"` |
///
/// The ends are exact. Beware of readers that hold every number as a double, such as JavaScript and
/// jq before 1.7: they round to 256 ns.
///
/// All settings of the format that it wraps are kept; its own time is to be switched off. A field of
/// an event by one of the four names is a problem only with `flatten_event`, which then writes it
/// twice. A wrapped format that writes no object gets one with these fields before each line.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::log::LogJson;
///
/// # fn main() -> Result<(), epsilon_clock::BuildError> {
/// let clock = Clock::system()?;
/// let subscriber = tracing_subscriber::fmt()
///     .json()
///     .without_time()
///     .map_event_format(|json| LogJson::new(clock, json))
///     .finish();
/// tracing::subscriber::with_default(subscriber, || tracing::info!(amount = 3, "paid"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LogJson<F> {
    clock: Clock,
    format: F,
}

impl<F> LogJson<F> {
    /// Wraps a format that writes JSON without a time of its own.
    #[must_use]
    pub const fn new(clock: Clock, format: F) -> Self {
        Self { clock, format }
    }
}

/// Fails only where the wrapped format or the writer does.
impl<S, N, F> FormatEvent<S, N> for LogJson<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut splice = Splice {
            to: &mut writer,
            reading: self.clock.read(),
            at: Place::Start,
        };
        self.format
            .format_event(context, Writer::new(&mut splice), event)
    }
}

/// Passes on what is written, with the clock's fields as the first ones of the object.
struct Splice<W> {
    to: W,
    reading: Reading,
    at: Place,
}

enum Place {
    /// Nothing was written yet.
    Start,
    /// The brace and the clock's fields were, and what follows decides whether a comma is due.
    AfterFields,
    Inside,
}

impl<W: Write> Splice<W> {
    fn fields(&mut self) -> fmt::Result {
        let Reading {
            estimate, state, ..
        } = self.reading;
        write!(self.to, r#"{{"timestamp":"{estimate}","#)?;
        match self.reading.interval {
            Ok(interval) => write!(
                self.to,
                r#""earliest_ns":{},"latest_ns":{}"#,
                interval.earliest().unix_nanos(),
                interval.latest().unix_nanos(),
            )?,
            // Null rather than left out: a reader that expects numbers then finds out at once.
            Err(_) => self
                .to
                .write_str(r#""earliest_ns":null,"latest_ns":null"#)?,
        }
        write!(self.to, r#","clock_state":"{state}""#)
    }
}

impl<W: Write> Write for Splice<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Formatters may begin with empty writes; the fields go where the first character is.
        if let (Place::Start, false) = (&self.at, rest.is_empty()) {
            self.fields()?;
            if let Some(inside) = rest.strip_prefix('{') {
                self.at = Place::AfterFields;
                rest = inside;
            } else {
                // No object: the fields become one of their own in front of the line, so that
                // nothing of it is lost.
                self.at = Place::Inside;
                self.to.write_str("} ")?;
            }
        }
        if let (Place::AfterFields, Some(first)) = (&self.at, rest.trim_start().chars().next()) {
            self.at = Place::Inside;
            // An empty object takes no comma after the fields, or no reader would parse the line.
            if first != '}' {
                self.to.write_char(',')?;
            }
        }
        self.to.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::source::Refusal;
    use crate::time::{Interval, Timestamp};

    /// What comes of an object that is written in these pieces.
    fn spliced(interval: Option<(i64, i64)>, pieces: &[&str]) -> String {
        let at = Timestamp::from_unix_nanos;
        let refusal = Refusal::Unsynchronized { maxerror_us: -1 };
        let reading = Reading {
            estimate: at(5),
            interval: interval
                .map(|(a, b)| Interval::new(at(a), at(b)).unwrap())
                .ok_or(refusal.into()),
            state: match interval {
                Some(_) => ClockState::Holdover,
                None => ClockState::Unavailable,
            },
        };
        let mut line = String::new();
        let mut splice = Splice {
            to: &mut line,
            reading,
            at: Place::Start,
        };
        for piece in pieces {
            splice.write_str(piece).unwrap();
        }
        line
    }

    const FIELDS: &str = r#""timestamp":"1970-01-01T00:00:00.000000005Z","earliest_ns":-3,"latest_ns":9,"clock_state":"holdover""#;

    #[test]
    fn the_fields_come_first_however_the_object_is_cut() {
        let expected = format!("{{{FIELDS},\"a\":{{\"b\":1}}}}\n");
        let object = "{\"a\":{\"b\":1}}\n";
        let ends = Some((-3, 9));
        assert_eq!(spliced(ends, &[object]), expected);
        for cut in 0..object.len() {
            let (head, tail) = object.split_at(cut);
            assert_eq!(spliced(ends, &[head, tail]), expected);
        }
        let bytes: Vec<&str> = object.split_inclusive(|_| true).collect();
        assert_eq!(spliced(ends, &bytes), expected);
    }

    #[test]
    fn an_empty_object_gets_no_comma() {
        let expected = format!("{{{FIELDS}}}");
        assert_eq!(spliced(Some((-3, 9)), &["{}"]), expected);
        assert_eq!(spliced(Some((-3, 9)), &["", "{", "", "}"]), expected);
    }

    #[test]
    fn what_is_no_object_gets_one_before_it() {
        let expected = format!("{{{FIELDS}}} paid\n");
        assert_eq!(spliced(Some((-3, 9)), &["pa", "id\n"]), expected);
    }

    #[test]
    fn no_interval_is_null() {
        assert_eq!(
            spliced(None, &["{}"]),
            r#"{"timestamp":"1970-01-01T00:00:00.000000005Z","earliest_ns":null,"latest_ns":null,"clock_state":"unavailable"}"#
        );
    }
}
