//! What can happen to a node, and when it is made to.

use core::time::Duration;

use crate::counter::CounterFault;
use crate::oscillator::Oscillator;

/// Something that happens to a node; see [`World::schedule`](crate::World::schedule).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An operator sets the clock: real time jumps by so many ns, and the kernel forgets its NTP state.
    Step {
        /// By how much, in ns.
        by_ns: i64,
    },
    /// A program beside the daemon slews the clock for a while, by tick and frequency.
    Slew {
        /// How fast, in ppb; up to 100 000 000 either way.
        rate_ppb: i64,
        /// For how long.
        span: Duration,
    },
    /// The machine sleeps.
    Suspend {
        /// For how long.
        span: Duration,
        /// What tells the kernel how long it was.
        wake: Wake,
    },
    /// The machine, being virtual, is not run for a while.
    Pause {
        /// For how long.
        span: Duration,
        /// What the guest learns of it.
        notice: Notice,
    },
    /// The time daemon ends in good order: it stops its slew, and nothing is written any more.
    DaemonTerminated,
    /// The time daemon is killed: the slew that was in progress goes on for ever.
    DaemonKilled,
    /// The time daemon is killed in a slew of so many ppb, on top of its frequency correction.
    DaemonKilledSlewing {
        /// How fast, in ppb.
        rate_ppb: i64,
    },
    /// The time daemon does not get to run for a while; what it had begun goes on.
    DaemonFrozen {
        /// For how long.
        span: Duration,
    },
    /// The time daemon is started anew.
    DaemonStarted,
    /// `adjtimex` is refused to readers for a while.
    StatusRefused {
        /// For how long.
        span: Duration,
    },
    /// The time daemon turns to another of its servers.
    Failover {
        /// Which one, counted from 0; beyond the last one nothing happens.
        server: usize,
    },
    /// The oscillator becomes another one.
    Oscillator(Oscillator),
    /// Something happens to the counter that raw time is counted by, and not to raw time.
    Counter(CounterFault),
}

/// What tells a kernel how long it slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A counter that went on: exact.
    Precise,
    /// A battery clock that knows whole seconds: up to a second wrong either way. If it saw no time
    /// go by at all, the kernel does not know that it slept.
    Rtc,
}

/// What a virtual machine learns of having been paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nothing: every clock it has stood still (assumption A3 is broken).
    Silent,
    /// Its counter went on, so its clocks are right, but nothing else in it ran.
    CounterRan,
    /// Its kernel is told and treats it as a suspend.
    Told,
}

impl Fault {
    /// Returns a short name for reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Step { .. } => "step",
            Self::Slew { .. } => "slew",
            Self::Suspend { .. } => "suspend",
            Self::Pause { .. } => "pause",
            Self::DaemonTerminated => "daemon terminated",
            Self::DaemonKilled => "daemon killed",
            Self::DaemonKilledSlewing { .. } => "daemon killed slewing",
            Self::DaemonFrozen { .. } => "daemon frozen",
            Self::DaemonStarted => "daemon started",
            Self::StatusRefused { .. } => "status refused",
            Self::Failover { .. } => "failover",
            Self::Oscillator(_) => "oscillator",
            Self::Counter(_) => "counter",
        }
    }
}
