//! TrueTime for any Linux host: every reading of time is an interval that contains UTC.

mod timestamp;

pub use timestamp::{ParseTimestampError, TimeDelta, Timestamp, TimestampRangeError};
