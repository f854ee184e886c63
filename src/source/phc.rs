//! PTP hardware clocks as a source: a network card's, or a hypervisor's by way of a vmclock page.
//!
//! Only [`refresh`](Source::refresh) reads the device, which may take a millisecond; it leaves what it read,
//! with the clocks around it, where a look finds it.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Look, LookContext, Refusal, Role, Source, SourceMemory};
use crate::machine::Machine;
use crate::time::Timestamp;

mod card;
mod device;
mod judgement;
mod mailbox;
mod page;
mod refusal;

use card::Card;
pub use device::{PhcDevice, PhcReading};
use judgement::Rules;
use mailbox::Mailbox;
use page::Page;
pub use refusal::PhcRefusal;

/// ENA's device lets itself be read 125 times a second, by all readers together.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Without a reading for so many intervals the device is silent.
const SILENT_AFTER: u32 = 4;

/// A PTP hardware clock as a [`Source`]: reads it against raw time, and sets no clock.
///
/// For machines whose network card or hypervisor has the time and tells how wrong it may be, such as
/// Amazon's with an ENA card. Reading `/dev/ptp0` is root's alone by default.
///
/// **Not tried on a real device.** None was at hand when this was written: devices that are played, and what the
/// kernel's headers and the drivers' documents say, are all that stands behind it.
///
/// ```no_run
/// use epsilon_clock::Clock;
/// use epsilon_clock::source::PhcSource;
/// use std::time::Duration;
///
/// // A card whose driver tells its bound:
/// let clock = Clock::builder().source(PhcSource::new("/dev/ptp_ena")).build()?;
/// // One that ptp4l keeps, and a bound to vouch for:
/// let kept = PhcSource::new("/dev/ptp0").vouch(Duration::from_micros(50));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Claims
///
/// The device's time, give or take
///
/// - its own bound (`phc_error_bound` in its folder in sysfs, which ENA's driver has, or a vmclock page's
///   `time_maxerror`), the larger of those before and after the reading, or what [`vouch`](Self::vouch) says;
/// - a nanosecond, its resolution, and [`margin`](Self::margin);
/// - half the raw time between the reads around it: those of the kernel
///   (`PTP_SYS_OFFSET_EXTENDED` with `CLOCK_MONOTONIC_RAW`, since Linux 6.12), or else this crate's own.
///
/// # What is assumed
///
/// Of the device what A2 says of a daemon: its bound holds. A1 and A3 while a reading is carried on. It counts UTC
/// without a smear, or TAI ([`counts_tai`](Self::counts_tai)).
///
/// # Leap seconds
///
/// A device announces none. So a UTC device is given a second more on either side from an hour before each
/// midnight at which leap seconds have always been, the ends of June and December, and is not believed within two
/// seconds of it. A claim that was made before that hour and is carried on through the midnight may be false
/// by a leap second: keep the clock refreshed, or use the kernel's status beside it.
///
/// # What is not believed
///
/// See [`PhcRefusal`].
#[derive(Clone)]
pub struct PhcSource {
    device: Arc<dyn PhcDevice>,
    interval: Duration,
    vouched: Option<Duration>,
    margin: Duration,
    tai: Option<Tai>,
    never_vetoes: bool,
    manual: bool,
    mailbox: Arc<Mailbox>,
}

/// How far a device's TAI is ahead of UTC, and until when.
#[derive(Clone, Copy, Debug)]
struct Tai {
    ahead_s: i32,
    until: Timestamp,
}

impl PhcSource {
    /// Creates a source of the PTP hardware clock at this path, such as `/dev/ptp0`, read once a second.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(Card::new(path.into()))
    }

    /// Creates a source of the time that a hypervisor tells in a vmclock page, such as `/dev/vmclock0`.
    ///
    /// It serves where the page's flags say that its time is UTC or TAI, not smeared, synchronised, and within a
    /// bound, and where this process may read the counter that it is told by.
    ///
    /// [`ClockBuilder::vmclock`](crate::ClockBuilder::vmclock) watches such a page for pauses, whether its time
    /// is used or not.
    #[must_use]
    pub fn vmclock(path: impl Into<PathBuf>) -> Self {
        Self::of(Page::new(path.into()))
    }

    /// Creates a source of another device: one that is reached in another way, or played in a test.
    #[must_use]
    pub fn of(device: impl PhcDevice + 'static) -> Self {
        Self {
            device: Arc::new(device),
            interval: DEFAULT_INTERVAL,
            vouched: None,
            margin: Duration::ZERO,
            tai: None,
            never_vetoes: false,
            manual: false,
            mailbox: Arc::default(),
        }
    }

    /// Reads it so often; from 10 ms to an hour, and what lies outside is brought in.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        let interval = interval.clamp(Duration::from_millis(10), Duration::from_secs(3_600));
        Self { interval, ..self }
    }

    /// Vouches that the device is never further off than this.
    ///
    /// Where the device tells a bound of its own, the larger one counts.
    #[must_use]
    pub fn vouch(self, max_error: Duration) -> Self {
        Self {
            vouched: Some(max_error),
            ..self
        }
    }

    /// Adds this much to what the device says of itself; 0 by default.
    #[must_use]
    pub fn margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// Takes what the device counts for TAI, so many seconds ahead of UTC (37 since 2017) until then.
    ///
    /// `until` is the midnight up to which IERS Bulletin C has announced that there is no leap second. From
    /// two seconds before it the source refuses, for its figure may be another one then.
    #[must_use]
    pub fn counts_tai(self, ahead_s: i32, until: Timestamp) -> Self {
        Self {
            tai: Some(Tai { ahead_s, until }),
            ..self
        }
    }

    /// Makes it a helper ([`Role::Helper`]): it serves while no judge does, and is refused where it
    /// contradicts one.
    ///
    /// The refusal is then [`PhcRefusal::Contradicts`].
    #[must_use]
    pub fn never_vetoes(self) -> Self {
        Self {
            never_vetoes: true,
            ..self
        }
    }

    /// Leaves the reading to [`Clock::refresh`](crate::Clock::refresh), whatever the clock's policy.
    #[must_use]
    pub fn manual(self) -> Self {
        Self {
            manual: true,
            ..self
        }
    }
}

impl fmt::Debug for PhcSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhcSource")
            .field("device", &self.device)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Source for PhcSource {
    fn name(&self) -> &'static str {
        "phc"
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let rules = Rules {
            vouched_ns: self.vouched.map(nanos),
            margin_ns: nanos(self.margin),
            tai: self.tai.map(|tai| (tai.ahead_s, tai.until)),
            silence: self.interval.saturating_mul(SILENT_AFTER),
        };
        Look::new(judgement::look(context, memory, &self.mailbox, &rules))
    }

    fn refresh_interval(&self) -> Option<Duration> {
        (!self.manual).then_some(self.interval)
    }

    fn refresh(&self, machine: &dyn Machine) {
        self.mailbox.refresh(self.device.as_ref(), machine);
    }

    fn role(&self) -> Role {
        if self.never_vetoes {
            Role::Helper
        } else {
            Role::Judge
        }
    }

    fn overruled(&self, by_us: i64) -> Refusal {
        PhcRefusal::Contradicts { by_us }.into()
    }
}
