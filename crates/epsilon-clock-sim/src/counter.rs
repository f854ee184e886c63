//! The counter that a node's raw time is counted by: an axis of its own beside raw time.

use core::time::Duration;

use crate::kernel::{FINE, SECOND};
use crate::network::ns;
use crate::random::mix;
use epsilon_clock::machine::NoCounter;

/// Whether programs on a node may read the counter that its raw time is counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// There is none that they know of.
    #[default]
    Unknown,
    /// They may, at so many Hz.
    Readable {
        /// How often it counts in a second of raw time.
        hertz: u64,
    },
    /// They may, on a machine that shows that it never sleeps.
    Sleepless {
        /// How often it counts in a second of raw time.
        hertz: u64,
    },
}

impl Counter {
    const fn hertz(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Readable { hertz } | Self::Sleepless { hertz } => Some(hertz),
        }
    }
}

/// What can happen to a counter while raw time goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CounterFault {
    /// It moves by so many ns, as where a hypervisor restores it and the kernel repairs raw time.
    Jump {
        /// How far, in ns.
        by_ns: i64,
    },
    /// It begins anew at zero.
    Reset,
    /// It stands still for a while, and goes on from there.
    Freeze {
        /// For how long.
        span: Duration,
    },
    /// One processor's is ahead of the others' by so much, and every second read or so comes from there.
    Disagree {
        /// How far, in ns.
        by_ns: i64,
    },
    /// The kernel leaves it: raw time goes on by another counter at a rate that differs by so much.
    Left {
        /// By how much, in ppb.
        ppb: i64,
        /// Whether it says so, by the name of its clocksource.
        named: bool,
    },
}

/// A node's counter as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningCounter {
    config: Counter,
    left: bool,
    /// The count that stands for raw time 0.
    zero: i128,
    frozen: Option<i128>,
    /// By how many counts one processor's is ahead.
    apart: i128,
    reads: u64,
    /// The raw time since which it loses so many ppb against raw time.
    loses: Option<(i128, i64)>,
}

impl RunningCounter {
    pub(crate) const fn new(config: Counter) -> Self {
        Self {
            config,
            left: false,
            zero: 12_345_678,
            frozen: None,
            apart: 0,
            reads: 0,
            loses: None,
        }
    }

    pub(crate) const fn allowed(&self) -> Result<(), NoCounter> {
        if self.left {
            return Err(NoCounter::OtherClocksource);
        }
        match self.config {
            Counter::Unknown => Err(NoCounter::Unsupported),
            Counter::Readable { .. } | Counter::Sleepless { .. } => Ok(()),
        }
    }

    pub(crate) const fn never_suspends(&self) -> bool {
        matches!(self.config, Counter::Sleepless { .. })
    }

    fn counts(&self, nanos: i64) -> i128 {
        let hertz = self.config.hertz().unwrap_or(0);
        i128::from(nanos) * i128::from(hertz) / i128::from(SECOND)
    }

    fn at(&self, raw: i128) -> i128 {
        if let Some(frozen) = self.frozen {
            return frozen;
        }
        let lost = self.loses.map_or(0, |(since, ppb)| {
            (raw - since) * i128::from(ppb) / i128::from(SECOND)
        });
        let hertz = i128::from(self.config.hertz().unwrap_or(0));
        // Raw time in parts of a nanosecond, which a product with a frequency leaves room for.
        self.zero + (((raw - lost) * hertz / i128::from(SECOND)) >> FINE)
    }

    /// Reads it when raw time is `raw`, in parts of a nanosecond.
    pub(crate) fn read(&mut self, raw: i128) -> i64 {
        self.reads += 1;
        let elsewhere = self.apart != 0 && mix(self.reads) % 2 == 0;
        let count = self.at(raw) + if elsewhere { self.apart } else { 0 };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    pub(crate) fn strike(&mut self, raw: i128, fault: CounterFault) {
        match fault {
            CounterFault::Jump { by_ns } => self.zero += self.counts(by_ns),
            CounterFault::Reset => self.zero -= self.at(raw),
            CounterFault::Freeze { .. } => self.frozen = Some(self.at(raw)),
            CounterFault::Disagree { by_ns } => self.apart = self.counts(by_ns),
            CounterFault::Left { ppb, named } => {
                self.left = named;
                // From where it is now on.
                let count = self.at(raw);
                self.loses = Some((raw, ppb));
                self.zero += count - self.at(raw);
            }
        }
    }

    /// Lets a frozen one go on.
    pub(crate) fn thaw(&mut self, raw: i128) {
        if let Some(frozen) = self.frozen.take() {
            self.zero += frozen - self.at(raw);
        }
    }

    /// A suspend of so long is over, in which raw time stood still: the counter ran on, stood still too, or
    /// begins anew.
    pub(crate) fn wake(&mut self, raw: i128, now: i64, slept: Duration) {
        match mix(now.unsigned_abs()) % 3 {
            0 => self.zero += self.counts(ns(slept)),
            1 => self.strike(raw, CounterFault::Reset),
            _ => {}
        }
    }
}
