//! Where on this machine a granted term is counted from, and how long it is.

use core::time::Duration;

use crate::clock::{Clock, ClockError, SUSPEND_RESOLUTION};
use crate::machine::{Disruption, Disturbance, OffsetRange, Sandwich};
use crate::time::Timestamp;

/// A place in this machine's raw time, and what shows that raw time stood still since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) raw: i64,
    boot_offset: OffsetRange,
    disruption: Disruption,
}

impl Anchor {
    /// Makes an anchor of a comparison sharp enough to show the shortest suspend.
    ///
    /// One that an interruption made wide could hide a suspend of the same length.
    pub(super) fn of(
        clocks: &Sandwich,
        is_sharp: bool,
        told: Option<Disruption>,
    ) -> Result<Self, ClockError> {
        let Some(disruption) = told.filter(|_| is_sharp) else {
            let cause = Disturbance::Interrupted;
            return Err(ClockError::Disturbed { cause });
        };
        Ok(Self {
            raw: clocks.raw,
            boot_offset: clocks.boot_offset(),
            disruption,
        })
    }

    pub(super) fn drop_now(clock: &Clock) -> Result<Self, ClockError> {
        let clocks = clock.clocks();
        Self::of(&clocks, clock.is_sharp(&clocks), clock.disruption())
    }

    /// Returns true if the machine slept in between, or a pause was told of.
    ///
    /// Raw time counts neither.
    pub(super) fn slept_until(&self, later: &Self) -> bool {
        // Either way: boot time that fell behind is no machine whose raw time can be trusted.
        let slept = self.boot_offset.moved_to(&later.boot_offset);
        slept.saturating_abs() > SUSPEND_RESOLUTION || self.disruption != later.disruption
    }
}

/// How long the lease is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// As the grantor said.
    pub(super) granted: Duration,
    /// The least that it is, in true time.
    pub(super) shortest: Duration,
    /// When it surely is over; `None` if that is not known.
    pub(super) ends_by: Option<Timestamp>,
}
