//! The counter that raw time is counted by, and whether a program may read it itself.

use core::fmt;

use crate::words::words_enum;

/// Why the hot path reads raw time through the kernel's vDSO, and not the counter itself.
///
/// See [`ReadPath`](crate::clock::ReadPath). Whatever it is, intervals are as true and as narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NoCounter {
    /// The builder forbids it: [`without_counter`](crate::ClockBuilder::without_counter).
    Forbidden,
    /// Looks come by hand, so nothing notices in time that the kernel leaves the counter.
    Manual,
    /// Looks are more than half a second apart, which is too seldom to notice it in time.
    RareLooks,
    /// The machine, or its architecture, has none that the crate knows how to read.
    Unsupported,
    /// The kernel counts raw time by another clocksource than the architecture's own.
    OtherClocksource,
    /// The processor does not promise that the counter keeps its rate and never stops.
    NotInvariant,
    /// The processor has no ordered read of the counter, or the hypervisor hides it: neither `rdtscp` nor an
    /// `lfence` that is known to wait.
    Unordered,
    /// Xen moves the counter of its guests and tells their kernels alone.
    Xen,
    /// A read of it costs no less than one of raw time.
    Costly,
    /// It was not compared with raw time for a second yet, or has been disturbed since.
    Uncompared,
    /// Its reads and those of raw time are too far apart to compare the two to 0.2 µs.
    Blurred,
    /// A second went by without a look, so that the kernel may have left the counter unseen.
    Unwatched,
    /// Raw time departed from it, though the kernel names it still: never used again.
    Departed,
}

words_enum!(NoCounter {
    Forbidden = 1,
    Manual = 2,
    RareLooks = 3,
    Unsupported = 4,
    OtherClocksource = 5,
    NotInvariant = 6,
    Unordered = 7,
    Xen = 8,
    Costly = 9,
    Uncompared = 10,
    Blurred = 11,
    Unwatched = 12,
    Departed = 13,
});

impl NoCounter {
    /// Names the reason in a `snake_case` word for machines.
    ///
    /// ```
    /// # use epsilon_clock::machine::NoCounter;
    /// assert_eq!(NoCounter::OtherClocksource.as_str(), "other_clocksource");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Manual => "manual",
            Self::RareLooks => "rare_looks",
            Self::Unsupported => "unsupported",
            Self::OtherClocksource => "other_clocksource",
            Self::NotInvariant => "not_invariant",
            Self::Unordered => "unordered",
            Self::Xen => "xen",
            Self::Costly => "costly",
            Self::Uncompared => "uncompared",
            Self::Blurred => "blurred",
            Self::Unwatched => "unwatched",
            Self::Departed => "departed",
        }
    }
}

impl fmt::Display for NoCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "the builder forbids it",
            Self::Manual => "looks come by hand",
            Self::RareLooks => "looks are more than half a second apart",
            Self::Unsupported => "none is known here",
            Self::OtherClocksource => "the kernel counts by another clocksource",
            Self::NotInvariant => "the processor does not call it invariant",
            Self::Unordered => "the processor has no ordered read of it",
            Self::Xen => "Xen moves it",
            Self::Costly => "it costs no less than raw time",
            Self::Uncompared => "it was not compared with raw time for a second yet",
            Self::Blurred => "raw time cannot be read sharply enough beside it",
            Self::Unwatched => "a second went by without a look",
            Self::Departed => "raw time departed from it",
        })
    }
}
