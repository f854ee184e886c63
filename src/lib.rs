//! TrueTime for any Linux host: every reading of time is an interval that contains UTC.

mod bound;
mod claim;
mod clock;
mod error;
mod interval;
mod machine;
mod ntp_status;
mod primitive;
mod source;
#[cfg(target_os = "linux")]
mod sys;
mod timestamp;

pub use bound::ErrorBound;
pub use claim::{Claim, LeapKind, LeapSecond, OutOfRange, RateBounds};
pub use clock::{Clock, ClockBuilder, ClockState, Counters, Reading, RefreshPolicy, Status};
pub use error::{BuildError, ClockError, Disturbance, WaitReason, WaitTimeout};
pub use interval::{Interval, IntervalError, IntervalOrder};
pub use machine::{Identity, Machine, OffsetRange, Sample, Sandwich};
pub use ntp_status::{NtpStatus, NtpStatusError};
pub use source::{
    Awaiting, Finding, KernelSource, LeapNotice, Look, LookContext, Refusal, Source, SourceMemory,
    SyncClaim, Writer,
};
pub use timestamp::{ParseTimestampError, TimeDelta, Timestamp, TimestampRangeError};
