//! The values on the wire and in files: text where people read the format, integers where they do not.
//!
//! The table of it is in [`guide::formats`](crate::guide::formats). Nothing is rounded. Reading is as strict
//! as the types' own parsers, and all decoding of stamps ends in `RemoteTimestamp`, which a clock checks
//! when it observes it. So structs hold a `RemoteTimestamp`:
//!
//! ```compile_fail,E0277
//! let stamp: epsilon_clock::HlcTimestamp = serde_json::from_str("\"660aed092d44002a\"").unwrap();
//! ```
//!
//! ```
//! let remote: epsilon_clock::RemoteTimestamp = serde_json::from_str("\"660aed092d44002a\"").unwrap();
//! ```

use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::str::FromStr;
use core::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::clock::{ClockError, ClockState, Counters, ReadPath, Reading, SourceStatus, Status};
use crate::fleet::ClockReport;
use crate::hlc::{
    HlcTimestamp, NodeId, NodeStamp, RemoteLimit, RemoteTimestamp, StampedInterval, WideTimestamp,
};
use crate::machine::VmClockState;
use crate::source::Refusal;
use crate::time::{ErrorBound, Interval, RateBounds, TimeDelta, Timestamp};

// --- points and stamps ---------------------------------------------------------------------------

/// The text of `Display` in people-readable formats, an `i64` of nanoseconds in others.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.unix_nanos())
        }
    }
}

/// What `FromStr` reads, or any `i64` of nanoseconds.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            text(deserializer, "a timestamp, YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ")
        } else {
            i64::deserialize(deserializer).map(Timestamp::from_unix_nanos)
        }
    }
}

/// The text of `Display` in people-readable formats, the `u64` of `to_bits` in others. It is read back as a
/// [`RemoteTimestamp`].
impl Serialize for HlcTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.to_bits())
        }
    }
}

/// As [`HlcTimestamp`]'s.
impl Serialize for RemoteTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Forwarded as it came: writing a stamp trusts nothing, reading it back makes it remote
        // again.
        self.trust().serialize(serializer)
    }
}

/// What `FromStr` reads, or any `u64`.
impl<'de> Deserialize<'de> for RemoteTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            text(
                deserializer,
                "a stamp of 32 bytes, or 16 hexadecimal digits",
            )
        } else {
            u64::deserialize(deserializer).map(RemoteTimestamp::from_bits)
        }
    }
}

/// The text of `Display` in people-readable formats, nanoseconds (`i64`) and counter (`u32`) in others.
impl Serialize for WideTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.physical().unix_nanos(), self.logical()).serialize(serializer)
        }
    }
}

/// What `FromStr` reads, or any two such integers.
impl<'de> Deserialize<'de> for WideTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            text(
                deserializer,
                "a stamp of 41 bytes, or 24 hexadecimal digits",
            )
        } else {
            // Every pair is a stamp, so nothing is left to check.
            let (nanos, logical) = <(i64, u32)>::deserialize(deserializer)?;
            Ok(WideTimestamp::new(
                Timestamp::from_unix_nanos(nanos),
                logical,
            ))
        }
    }
}

/// The text of `Display` in people-readable formats, the stamp's `u64` and the id (`u16` or `u64`) in others.
impl<N: NodeId + Serialize> Serialize for NodeStamp<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.stamp(), self.node()).serialize(serializer)
        }
    }
}

/// What `FromStr` reads, or any two such integers.
impl<'de, N: NodeId + Deserialize<'de>> Deserialize<'de> for NodeStamp<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            text(
                deserializer,
                "a stamp with its node, in one of its two texts",
            )
        } else {
            // Every pair is one, so nothing is left to check.
            let (stamp, node) = <(RemoteTimestamp, N)>::deserialize(deserializer)?;
            Ok(NodeStamp::new(stamp, node))
        }
    }
}

/// An `i64` of nanoseconds, as all spans are.
impl Serialize for TimeDelta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.nanos())
    }
}

/// Any `i64` of nanoseconds.
impl<'de> Deserialize<'de> for TimeDelta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(TimeDelta::from_nanos)
    }
}

fn text<'de, T, D>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let of = PhantomData;
    deserializer.deserialize_str(Text { expected, of })
}

struct Text<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<T: FromStr<Err: Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        // The parser's own error, which names the byte and what belongs there.
        text.parse().map_err(E::custom)
    }
}

// --- intervals -----------------------------------------------------------------------------------

/// An interval's ends as they are written, and as they come before they are checked.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Interval", deny_unknown_fields)]
struct Ends {
    earliest: Timestamp,
    latest: Timestamp,
}

/// `earliest` and `latest`, as timestamps.
impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (earliest, latest) = (*self).into();
        Ends { earliest, latest }.serialize(serializer)
    }
}

/// Both ends and nothing else; the wrong way round they are an error, as in [`Interval::new`].
impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Ends { earliest, latest } = Ends::deserialize(deserializer)?;
        // Checked like any other: an interval the wrong way round would contain nothing, and answer
        // all the same.
        Interval::new(earliest, latest).map_err(de::Error::custom)
    }
}

/// `timestamp` and `interval`.
impl Serialize for StampedInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct StampedInterval {
            timestamp: HlcTimestamp,
            interval: Interval,
        }
        let Self {
            timestamp,
            interval,
        } = *self;
        let written = StampedInterval {
            timestamp,
            interval,
        };
        written.serialize(serializer)
    }
}

/// Rates as they are written, and as they come before they are checked.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "RateBounds", deny_unknown_fields)]
struct Rates {
    lo_ppb: i32,
    hi_ppb: i32,
}

/// `lo_ppb` and `hi_ppb`, as integers.
impl Serialize for RateBounds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (lo_ppb, hi_ppb) = (self.lo_ppb(), self.hi_ppb());
        Rates { lo_ppb, hi_ppb }.serialize(serializer)
    }
}

/// Both and nothing else; the wrong way round they are an error.
impl<'de> Deserialize<'de> for RateBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Rates { lo_ppb, hi_ppb } = Rates::deserialize(deserializer)?;
        // The wrong way round they would make an interval narrower as it is carried.
        RateBounds::new(lo_ppb, hi_ppb).ok_or_else(|| {
            de::Error::custom(format_args!(
                "the slowest rate {lo_ppb} ppb exceeds the fastest {hi_ppb} ppb"
            ))
        })
    }
}

// --- what fleets and hybrid clocks exchange ------------------------------------------------------

/// A report as it is written.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "ClockReport", deny_unknown_fields)]
struct Report {
    request: [u8; 8],
    interval: Interval,
}

/// `request`, eight integers, and `interval`.
impl Serialize for ClockReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, interval) = (self.request(), self.interval());
        Report { request, interval }.serialize(serializer)
    }
}

/// Both and nothing else.
impl<'de> Deserialize<'de> for ClockReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Report { request, interval } = Report::deserialize(deserializer)?;
        Ok(ClockReport::new(request, interval))
    }
}

/// A limit as it is written into a configuration.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "RemoteLimit", rename_all = "snake_case", deny_unknown_fields)]
enum Limit {
    Interval { tolerance_ns: u64 },
    Fixed { tolerance_ns: u64 },
    Unchecked,
}

/// `interval` or `fixed` with its `tolerance_ns`, or `unchecked`.
impl Serialize for RemoteLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = |span: Duration| {
            u64::try_from(span.as_nanos())
                .map_err(|_| serde::ser::Error::custom("a span of more than 584 years"))
        };
        let limit = match *self {
            RemoteLimit::Interval { tolerance } => Limit::Interval {
                tolerance_ns: nanos(tolerance)?,
            },
            RemoteLimit::Fixed(tolerance) => Limit::Fixed {
                tolerance_ns: nanos(tolerance)?,
            },
            RemoteLimit::Unchecked => Limit::Unchecked,
        };
        limit.serialize(serializer)
    }
}

/// One of these three.
impl<'de> Deserialize<'de> for RemoteLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Limit::deserialize(deserializer)? {
            Limit::Interval { tolerance_ns } => RemoteLimit::Interval {
                tolerance: Duration::from_nanos(tolerance_ns),
            },
            Limit::Fixed { tolerance_ns } => RemoteLimit::Fixed(Duration::from_nanos(tolerance_ns)),
            Limit::Unchecked => RemoteLimit::Unchecked,
        })
    }
}

// --- the state of a clock ------------------------------------------------------------------------

/// Its word in people-readable formats, an `i64` from 0 (synchronized) to 4 (unavailable) in others.
impl Serialize for ClockState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            serializer.serialize_i64(self.to_word())
        }
    }
}

/// One of the five words, or integers.
impl<'de> Deserialize<'de> for ClockState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(StateName);
        }
        let word = i64::deserialize(deserializer)?;
        ClockState::ALL
            .iter()
            .copied()
            .find(|state| state.to_word() == word)
            // A state that a later version added must not be taken for one of these.
            .ok_or_else(|| de::Error::custom(format_args!("{word} is no state of a clock: 0 to 4")))
    }
}

struct StateName;

impl Visitor<'_> for StateName {
    type Value = ClockState;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state of a clock: ")?;
        for (index, state) in ClockState::ALL.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{state}")?;
        }
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ClockState, E> {
        ClockState::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

// --- what a clock tells of itself ----------------------------------------------------------------

/// `estimate`, `interval` or `error`, and `state`.
impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Reading {
            estimate: Timestamp,
            interval: Option<Interval>,
            error: Option<ClockError>,
            state: ClockState,
        }
        let Self {
            estimate,
            interval,
            state,
        } = *self;
        let written = Reading {
            estimate,
            // Two fields instead of serde's `Result`: log queries filter by `error`, and
            // null says "none".
            interval: interval.ok(),
            error: interval.err(),
            state,
        };
        written.serialize(serializer)
    }
}

/// The fields by their names, with `interval` or `error`, and spans of time in whole nanoseconds.
impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Status {
            state: ClockState,
            interval: Option<Interval>,
            error: Option<ClockError>,
            bound: Option<ErrorBound>,
            source: Option<&'static str>,
            age_ns: Option<u64>,
            refuses_in_ns: Option<u64>,
            refusal: Option<Refusal>,
            rate: Option<RateBounds>,
            learned: Option<Learned>,
            vmclock: VmClockState,
            path: ReadPath,
            counter_instructions: Option<&'static str>,
            counters: Counters,
        }
        #[derive(serde::Serialize)]
        struct Learned {
            bounds: RateBounds,
            window_ns: Option<u64>,
            claims: usize,
        }
        // All fields by name, so that a new one is not forgotten here.
        let Self {
            state,
            interval,
            bound,
            source,
            age,
            rate,
            refuses_in,
            refusal,
            learned,
            vmclock,
            path,
            counter_instructions,
            counters,
        } = *self;
        let learned = match learned {
            None => None,
            Some(learned) => Some(Learned {
                bounds: learned.bounds,
                window_ns: nanos(Some(learned.window))?,
                claims: learned.claims,
            }),
        };
        let written = Status {
            state,
            interval: interval.ok(),
            error: interval.err(),
            bound,
            source,
            age_ns: nanos(age)?,
            refuses_in_ns: nanos(refuses_in)?,
            refusal,
            rate,
            learned,
            vmclock,
            path,
            counter_instructions,
            counters,
        };
        written.serialize(serializer)
    }
}

/// Its fields by name; the age in nanoseconds, as `age_ns`. It is not read back.
impl Serialize for SourceStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct SourceStatus {
            name: &'static str,
            serves: bool,
            interval: Option<Interval>,
            bound: Option<ErrorBound>,
            age_ns: Option<u64>,
            refusal: Option<Refusal>,
        }
        let Self {
            name,
            serves,
            interval,
            bound,
            age,
            refusal,
        } = *self;
        let written = SourceStatus {
            name,
            serves,
            interval,
            bound,
            age_ns: nanos(age)?,
            refusal,
        };
        written.serialize(serializer)
    }
}

fn nanos<E: serde::ser::Error>(span: Option<Duration>) -> Result<Option<u64>, E> {
    // Integers of ns, because the `Duration` of serde is a pair that few readers know.
    let nanos = span.map(|span| u64::try_from(span.as_nanos()));
    nanos
        .transpose()
        .map_err(|_| E::custom("a span of more than 584 years"))
}
