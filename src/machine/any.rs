//! The machine a clock reads: the real one without indirection, or any other.

use std::sync::Arc;

use super::{Counted, Disruption, Machine, Sample, SystemMachine, VmClockState};

/// The real machine is matched for and inlined: that is what the hot path is made of.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    System(SystemMachine),
    Other(Arc<dyn Machine>),
}

impl AnyMachine {
    #[inline]
    pub(crate) fn sample(&self) -> Sample {
        match self {
            Self::System(machine) => machine.sample(),
            Self::Other(machine) => machine.sample(),
        }
    }

    /// Reads coarse real time, if it is asked for, and then the counter, which stands in the place of raw
    /// time; `after` is what was loaded before.
    #[inline]
    pub(crate) fn count_sample(&self, with_coarse: bool, after: i64) -> Sample {
        match self {
            Self::System(machine) => machine.count_sample(with_coarse, after),
            Self::Other(machine) => Sample {
                coarse: if with_coarse {
                    machine.sample().coarse
                } else {
                    0
                },
                raw: machine.count(),
            },
        }
    }

    /// Reads the counter alone; `after` is what was loaded before.
    #[inline]
    pub(crate) fn count(&self, after: i64) -> i64 {
        self.count_sample(false, after).raw
    }

    /// Reads coarse real time and raw time between two readings of the counter.
    pub(crate) fn counted(&self) -> Counted {
        let before = self.count(0);
        let sample = self.sample();
        let after = self.count(sample.raw);
        Counted {
            before,
            sample,
            after,
        }
    }

    /// Reads real time alone.
    pub(crate) fn real(&self) -> i64 {
        match self {
            Self::System(_) => SystemMachine::real(),
            Self::Other(machine) => machine.sandwich().real,
        }
    }

    /// Returns true if nothing was disrupted since `known`, before `raw` was read.
    #[inline]
    pub(crate) fn is_undisrupted(&self, known: Disruption, raw: i64) -> bool {
        match self {
            Self::System(machine) => machine.is_undisrupted(known, raw),
            Self::Other(machine) => machine.disruption() == Some(known),
        }
    }

    pub(crate) fn vmclock(&self) -> VmClockState {
        match self {
            Self::System(machine) => machine.vmclock(),
            Self::Other(_) => VmClockState::Unused,
        }
    }

    /// Returns the machine behind its trait, for all that is off the hot path.
    pub(crate) fn as_dyn(&self) -> &dyn Machine {
        match self {
            Self::System(machine) => machine,
            Self::Other(machine) => machine.as_ref(),
        }
    }
}
