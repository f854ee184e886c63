//! The machine a clock reads: the real one without indirection, or any other.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use crate::machine::{Machine, Sample, SystemMachine};
#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
use crate::source::VmClock;
use crate::source::VmClockState;

/// The real machine is matched for and inlined: that is what the hot path is made of.
#[derive(Debug)]
pub(super) enum AnyMachine {
    System(SystemMachine),
    /// With a hypervisor that tells of disruptions.
    #[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
    Virtual(VirtualMachine),
    Other(Arc<dyn Machine>),
}

impl AnyMachine {
    /// The real machine, with its vmclock device if one is wanted and sound; what became of that.
    pub(super) fn of_system(
        machine: SystemMachine,
        vmclock: Option<&Path>,
    ) -> (Self, VmClockState) {
        let Some(path) = vmclock else {
            return (Self::System(machine), VmClockState::Unused);
        };
        #[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
        match VmClock::open(path) {
            Ok(vmclock) => {
                let machine = VirtualMachine::new(machine, vmclock);
                (Self::Virtual(machine), VmClockState::Watched)
            }
            Err(state) => (Self::System(machine), state),
        }
        #[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
        {
            let _ = path;
            (Self::System(machine), VmClockState::Missing)
        }
    }

    #[inline]
    pub(super) fn sample(&self) -> Sample {
        match self {
            Self::System(machine) => machine.sample(),
            #[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
            Self::Virtual(machine) => machine.sample(),
            Self::Other(machine) => machine.sample(),
        }
    }

    /// The rest of it, off the hot path.
    pub(super) fn as_dyn(&self) -> &dyn Machine {
        match self {
            Self::System(machine) => machine,
            #[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
            Self::Virtual(machine) => machine,
            Self::Other(machine) => machine.as_ref(),
        }
    }
}

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(super) use virtual_machine::VirtualMachine;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
mod virtual_machine {
    use core::time::Duration;

    use super::{Machine, Sample, SystemMachine, VmClock};
    use crate::machine::{Disruption, Identity, Sandwich};
    use crate::ntp_status::{NtpStatus, NtpStatusError};

    /// The real machine and its vmclock device.
    #[derive(Debug)]
    pub(in crate::clock) struct VirtualMachine {
        machine: SystemMachine,
        vmclock: VmClock,
    }

    impl VirtualMachine {
        pub(in crate::clock) const fn new(machine: SystemMachine, vmclock: VmClock) -> Self {
            Self { machine, vmclock }
        }

        /// Whether nothing was disrupted before `zero` became known: it is 0, and depends on a clock.
        #[inline]
        pub(in crate::clock) fn is_as_known(&self, known: Disruption, zero: usize) -> bool {
            self.vmclock.glance(zero) == known
        }
    }

    impl Machine for VirtualMachine {
        #[inline]
        fn sample(&self) -> Sample {
            self.machine.sample()
        }

        fn sandwich(&self) -> Sandwich {
            self.machine.sandwich()
        }

        fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
            self.machine.ntp_status()
        }

        fn coarse_tick(&self) -> Duration {
            self.machine.coarse_tick()
        }

        fn identity(&self) -> Identity {
            self.machine.identity()
        }

        fn clocksource(&self) -> u64 {
            self.machine.clocksource()
        }

        fn disruption(&self) -> Option<Disruption> {
            self.vmclock.read()
        }

        fn sleep(&self, span: Duration) {
            self.machine.sleep(span);
        }

        fn sharpen_sleeps(&self) {
            self.machine.sharpen_sleeps();
        }
    }
}
