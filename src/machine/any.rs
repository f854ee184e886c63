//! The machine a clock reads: the real one without indirection, or any other.

use std::sync::Arc;

use super::{Counted, Disruption, Machine, Sample, SystemMachine, VmClockState, slots};

/// The real machine is matched for and inlined: that is what the hot path is made of.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    System(SystemMachine),
    Other(Arc<dyn Machine>),
}

/// A count in the place of raw time, and which stripe it was read on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Striped {
    pub(crate) sample: Sample,
    /// `None` for a thread without a number.
    pub(crate) stripe: Option<u32>,
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
            Self::Other(machine) => count_sample_of(machine.as_ref(), with_coarse),
        }
    }

    /// As [`count_sample`](Self::count_sample), with the number of the stripe that the count was read on.
    ///
    /// That is the processor's, where the instruction that reads the counter tells it, and the thread's
    /// elsewhere. No two that run at once have one number.
    #[inline]
    pub(crate) fn striped_sample(&self, with_coarse: bool, after: i64) -> Striped {
        match self {
            #[cfg(all(
                target_os = "linux",
                target_arch = "x86_64",
                not(epsilon_clock_portable)
            ))]
            Self::System(machine) => machine.striped_sample(with_coarse, after),
            _ => self.striped_by_thread(with_coarse, after),
        }
    }

    #[inline(never)]
    fn striped_by_thread(&self, with_coarse: bool, after: i64) -> Striped {
        Striped {
            stripe: slots::of_thread(),
            sample: self.count_sample(with_coarse, after),
        }
    }

    /// Returns how many stripes there can be; `None` where that is not known.
    pub(crate) fn stripes(&self) -> Option<u32> {
        match self {
            #[cfg(all(
                target_os = "linux",
                target_arch = "x86_64",
                not(epsilon_clock_portable)
            ))]
            Self::System(machine) => machine.possible_processors(),
            _ => Some(slots::SLOTS),
        }
    }

    /// Returns false if stripes have other numbers than the processors that they are of.
    pub(crate) fn numbers_stripes(&self) -> bool {
        match self {
            #[cfg(all(
                target_os = "linux",
                target_arch = "x86_64",
                not(epsilon_clock_portable)
            ))]
            Self::System(_) => SystemMachine::numbers_processors(),
            _ => true,
        }
    }

    /// Returns true if a reading needs nothing of this machine but its counter, by the instruction that waits by
    /// itself: then [`SystemMachine::count_in_order`] serves, which asks nothing first.
    pub(crate) fn is_read_by_counter_alone(&self) -> bool {
        match self {
            Self::System(machine) => machine.is_read_by_counter_alone(),
            Self::Other(_) => false,
        }
    }

    /// Reads the counter alone; `after` is what was loaded before.
    #[inline]
    pub(crate) fn count(&self, after: i64) -> i64 {
        self.count_sample(false, after).raw
    }

    /// Reads the counter, perhaps before what precedes it has been done, but not after what follows it is seen.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `count_early` itself is")]
    pub(crate) fn count_early(&self) -> i64 {
        match self {
            Self::System(_) => SystemMachine::count_early(),
            Self::Other(machine) => count_of(machine.as_ref()),
        }
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
            Self::Other(machine) => is_undisrupted_in(machine.as_ref(), known),
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

// Calls of their own, so that the readings that they are not part of keep what they know in registers.

#[cold]
#[inline(never)]
fn count_sample_of(machine: &dyn Machine, with_coarse: bool) -> Sample {
    Sample {
        coarse: if with_coarse {
            machine.sample().coarse
        } else {
            0
        },
        raw: machine.count(),
    }
}

#[cold]
#[inline(never)]
fn count_of(machine: &dyn Machine) -> i64 {
    machine.count()
}

#[cold]
#[inline(never)]
fn is_undisrupted_in(machine: &dyn Machine, known: Disruption) -> bool {
    machine.disruption() == Some(known)
}
