//! Pure arithmetic: instants, intervals, itemised bounds, and claims carried along raw time.

pub(crate) mod agreement;
pub(crate) mod bound;
pub(crate) mod claim;
pub(crate) mod contradiction;
mod decode;
pub(crate) mod interval;
#[doc(hidden)] // `order`, to the public
pub mod ordering;
pub(crate) mod rate;
pub(crate) mod timestamp;

#[doc(hidden)] // `fleet`, to the public
pub use agreement::{Agreement, AgreementError, Falseticker, agreement};
pub use bound::ErrorBound;
pub(crate) use claim::DEFAULT_MAX_DRIFT_PPB;
pub use claim::{Claim, LeapKind, LeapSecond, RateBounds};
#[doc(hidden)] // `fleet`, to the public
pub use contradiction::{Contradiction, Direction};
pub use decode::DecodeError;
pub use interval::{Interval, IntervalError, IntervalOrder};
pub use rate::LearnedRate;
pub(crate) use rate::{RateHistory, RateLimits, WINDOW};
pub(crate) use timestamp::Line;
pub use timestamp::{ParseTimestampError, RangeError, TimeDelta, Timestamp};
