//! Times for the lines of `tracing-subscriber` that say how wrong they may be.

use core::fmt;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;
use crate::hlc::HybridClock;

mod json;

pub use json::LogJson;

/// What the lines of `tracing-subscriber` begin with: a time in RFC 3339, and how wrong it may be.
/// Needs the feature `tracing`.
///
/// | made by | a line begins with | where the clock gives no interval |
/// |---|---|---|
/// | [`bounded`](Self::bounded) | `2026-11-20T05:50:00.123456789Z ±1.204ms` | `2026-11-20T05:50:00.123456789Z ±?` |
/// | [`bare`](Self::bare) | `2026-11-20T05:50:00.123456789Z` | the same |
/// | [`stamped`](Self::stamped) | `2026-11-20T05:50:00.123456Z_0042` | the same |
///
/// A line is written whatever the clock has to say: there is no error, no wait, and nothing is
/// allocated. The text is for people, and rounded outward; a program that is to compare lines needs
/// both ends of the interval, and gets them from [`LogJson`].
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::log::LogTime;
///
/// # fn main() -> Result<(), epsilon_clock::BuildError> {
/// let subscriber = tracing_subscriber::fmt()
///     .with_timer(LogTime::bounded(Clock::system()?))
///     .finish();
/// tracing::subscriber::with_default(subscriber, || tracing::info!("paid"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LogTime {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Bounded(Clock),
    Bare(Clock),
    Stamped(HybridClock),
}

impl LogTime {
    /// Writes the best estimate and its bound.
    ///
    /// As `2026-11-20T05:50:00.123456789Z ±1.204ms`.
    ///
    /// What stands before the first space is RFC 3339. The estimate is the middle of the interval,
    /// and the bound half of its width, rounded up: true time was within it. `±?` means that no source
    /// vouched for the clock at that moment, and the time is whatever the machine's clock said.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::log::LogTime;
    /// # use std::time::Duration;
    /// # use tracing_subscriber::fmt::{format::Writer, time::FormatTime};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::builder().assume_error(Duration::from_millis(5)).build()?;
    /// let mut line = String::new();
    /// LogTime::bounded(clock).format_time(&mut Writer::new(&mut line))?;
    /// let (time, bound) = line.split_once(' ').ok_or("no bound")?;
    /// assert!(time.parse::<epsilon_clock::Timestamp>().is_ok());
    /// assert!(bound.starts_with('±'));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn bounded(clock: Clock) -> Self {
        let form = Form::Bounded(clock);
        Self { form }
    }

    /// Writes the best estimate alone, for readers that choke on more.
    ///
    /// As `2026-11-20T05:50:00.123456789Z`.
    ///
    /// A line then no longer tells what its order is worth.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Timestamp};
    /// # use epsilon_clock::log::LogTime;
    /// # use tracing_subscriber::fmt::{format::Writer, time::FormatTime};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut line = String::new();
    /// LogTime::bare(Clock::system()?).format_time(&mut Writer::new(&mut line))?;
    /// assert!(line.parse::<Timestamp>().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn bare(clock: Clock) -> Self {
        let form = Form::Bare(clock);
        Self { form }
    }

    /// Ticks a hybrid clock for each line, and writes the stamp.
    ///
    /// As `2026-11-20T05:50:00.123456Z_0042`.
    ///
    /// Lines sort by it as causality goes, across all nodes whose clocks have seen each other's
    /// stamps. Where the hybrid clock issues none ([`HlcError`](crate::hlc::HlcError)), four question
    /// marks take the counter's place: such a line has only a time.
    ///
    /// No line stores a bound, so that none waits for the disk, or for itself where storing is
    /// logged: a hybrid clock with a [`reserve`](crate::hlc::HybridClockBuilder::reserve) is refilled by
    /// its other users, or by [`refill_reserve`](HybridClock::refill_reserve), and until then lines
    /// go without a stamp.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
    /// # use epsilon_clock::log::LogTime;
    /// # use tracing_subscriber::fmt::{format::Writer, time::FormatTime};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// let mut line = String::new();
    /// LogTime::stamped(hlc.clone()).format_time(&mut Writer::new(&mut line))?;
    /// assert_eq!(line.parse::<RemoteTimestamp>()?, hlc.last());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn stamped(hlc: HybridClock) -> Self {
        let form = Form::Stamped(hlc);
        Self { form }
    }
}

/// Fails only where the writer does.
impl FormatTime for LogTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        match &self.form {
            Form::Bounded(clock) => write!(w, "{}", clock.read()),
            Form::Bare(clock) => write!(w, "{}", clock.read().estimate),
            // A line must not wait for a disk: where a tick would have to store a bound first, it
            // goes without a stamp.
            Form::Stamped(hlc) => match hlc.tick_at_once() {
                Some(stamp) => write!(w, "{stamp}"),
                // As wide as a stamp, and none.
                None => write!(w, "{:.26}Z_????", hlc.clock().read().estimate),
            },
        }
    }
}
