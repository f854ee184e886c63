//! The machine a clock reads: the real one without indirection, or any other.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::machine::{Machine, Sample, SystemMachine};

/// The real machine is matched for and inlined: that is what the hot path is made of.
#[derive(Debug)]
pub(super) enum AnyMachine {
    System(SystemMachine),
    Other(Arc<dyn Machine>),
}

impl AnyMachine {
    #[inline]
    pub(super) fn sample(&self) -> Sample {
        match self {
            Self::System(machine) => machine.sample(),
            Self::Other(machine) => machine.sample(),
        }
    }

    /// The rest of it, off the hot path.
    pub(super) fn as_dyn(&self) -> &dyn Machine {
        match self {
            Self::System(machine) => machine,
            Self::Other(machine) => machine.as_ref(),
        }
    }
}
