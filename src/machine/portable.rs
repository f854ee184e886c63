//! A machine without `adjtimex`: the standard library's clocks, and no daemon that vouches for them.

use core::time::Duration;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::ntp_status::{NtpStatus, NtpStatusError};
use super::vmclock::VmClockState;
use super::{Disruption, Identity, Machine, Sample, Sandwich};
use crate::time::Timestamp;

/// What an instant that does not fit is read as; see `sys/clocks.rs` for why −1 is the safe answer.
const UNREADABLE: i64 = -1;

/// The standard library's clocks. A suspend is seen as a step of the wall clock, and where `Instant` is slewed
/// along with that clock nothing shows it: no source that carries a claim by raw time alone serves here.
#[derive(Debug)]
pub(crate) struct PortableMachine {
    origin: Instant,
    vmclock: VmClockState,
}

impl PortableMachine {
    /// Creates the machine; the standard library has every clock it needs.
    pub(crate) fn new() -> Result<Self, &'static str> {
        Ok(Self {
            origin: Instant::now(),
            vmclock: VmClockState::Unused,
        })
    }

    /// Ignores the path: only Linux has such a device.
    pub(crate) fn with_vmclock(self, _path: &Path) -> Self {
        Self {
            vmclock: VmClockState::Missing,
            ..self
        }
    }

    /// Returns false: other systems let any process listen on low ports, or do not say.
    pub(crate) const fn protects_port(_port: u16) -> bool {
        false
    }

    pub(crate) const fn vmclock(&self) -> VmClockState {
        self.vmclock
    }

    #[allow(clippy::unused_self, reason = "as the machine of Linux has it")]
    pub(crate) const fn is_undisrupted(&self, _known: Disruption, _raw: i64) -> bool {
        true
    }

    /// Reads the clocks: no counter is known here, and none is read.
    pub(crate) fn count_sample(&self, _with_coarse: bool, _after: i64) -> Sample {
        self.sample()
    }

    fn raw(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(UNREADABLE)
    }

    #[allow(clippy::unused_self, reason = "as the machine of Linux has it")]
    pub(crate) const fn is_read_by_counter_alone(&self) -> bool {
        false
    }

    pub(crate) const TELLS_PROCESSOR: bool = false;

    /// Nothing here is counted.
    pub(crate) const fn count_on_processor() -> (i64, u32) {
        (0, 0)
    }

    /// Nothing here is counted.
    pub(crate) const fn count_in_order(_after: i64) -> i64 {
        0
    }

    /// Nothing here is counted.
    pub(crate) const fn count_early() -> i64 {
        0
    }

    pub(crate) fn real() -> i64 {
        Timestamp::try_from(SystemTime::now()).map_or(UNREADABLE, Timestamp::unix_nanos)
    }
}

impl Machine for PortableMachine {
    fn sample(&self) -> Sample {
        let coarse = Self::real();
        let raw = self.raw();
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        let mono_before = self.raw();
        let boot = self.raw();
        let real = Self::real();
        let raw = self.raw();
        let mono_after = self.raw();
        Sandwich {
            mono_before,
            boot,
            real,
            raw,
            mono_after,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        Err(NtpStatusError::Unsupported)
    }

    /// Covers the coarsest system clock in use (Windows: 15.6 ms).
    fn coarse_tick(&self) -> Duration {
        Duration::from_millis(16)
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: std::process::id(),
            time_namespace: 0,
        }
    }

    /// Boot time is raw time here: a sleep looks like a step of the wall clock.
    fn tells_suspends(&self) -> bool {
        false
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_stand_in_the_order_in_which_they_were_taken() {
        let machine = PortableMachine::new().unwrap();
        let s = machine.sandwich();
        assert!(s.mono_before <= s.boot && s.boot <= s.raw && s.raw <= s.mono_after);
        assert!(s.real > 0);
        assert_eq!(machine.ntp_status(), Err(NtpStatusError::Unsupported));
    }
}
