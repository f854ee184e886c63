//! TrueTime for any Linux host: every reading of time is an interval that contains UTC.

mod interval;
mod timestamp;

pub use interval::{Interval, IntervalError, IntervalOrder};
pub use timestamp::{ParseTimestampError, TimeDelta, Timestamp, TimestampRangeError};
