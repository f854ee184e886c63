//! Sources of claims: who says how wrong the clock may be.
#![forbid(unsafe_code)]

use core::fmt;
use core::time::Duration;

use thiserror::Error;

use crate::bound::ErrorBound;
use crate::claim::{Claim, LeapSecond};
use crate::machine::Machine;
use crate::ntp_status::NtpStatusError;

pub(crate) mod chrony;
mod kernel;
mod vmclock;

pub use chrony::{ChronyRefusal, ChronySource};
pub use kernel::KernelSource;
#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use vmclock::VmClock;
pub use vmclock::VmClockState;

/// Somebody who can say where UTC is: the kernel's NTP status, a time daemon, a test's script.
///
/// A source is asked by a *look*, never on the hot path. It keeps nothing in itself: what it wants
/// to remember until the next look it writes into [`SourceMemory`], which the clock publishes
/// together with the claim, or drops if another look was faster. So a looker that is stopped or
/// killed in the middle leaves no half-written state behind.
pub trait Source: fmt::Debug + Send + Sync {
    /// A short name for status and errors, such as `kernel`.
    fn name(&self) -> &'static str;

    /// Looks once: what is there to say now, given what was remembered of the last look?
    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look;

    /// How often [`refresh`](Self::refresh) wants to be called, if there is anybody to ask; by
    /// default there is not.
    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    /// Asks whoever is behind the source, and keeps the answer for the next look; may wait for it.
    ///
    /// A look must not wait, since it happens in a thread that reads the clock. So a clock has a
    /// thread of its own for this, unless its policy is
    /// [`RefreshPolicy::Manual`](crate::RefreshPolicy::Manual); see
    /// [`Clock::refresh`](crate::Clock::refresh).
    fn refresh(&self, machine: &dyn Machine) {
        let _ = machine;
    }

    /// Whether its looks notice a leap second that has taken place, though nobody had announced it,
    /// and say [`LeapNotice::Passed`]; by default they do not.
    ///
    /// A jump of one second around a midnight may be a leap second. A look of such a source that says
    /// nothing of one says that there was none; a look of any other says nothing either way.
    fn tells_of_leaps(&self) -> bool {
        false
    }
}

/// What a source is told when it is asked to look.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LookContext<'a> {
    /// The machine whose clocks are meant.
    pub machine: &'a dyn Machine,
    /// Assumption A1: how far true time may run from raw time, in ppb.
    pub max_drift_ppb: u32,
    /// Assumption A2: how much a daemon's own figure may fall short.
    pub daemon_margin: Duration,
    /// Whether a bound counts although the kernel flags its clock as unsynchronised.
    pub accept_unsync_flag: bool,
    /// Whether a bound that was there before the first look may be taken over (assumption A4).
    /// `false` once the clock was disturbed: then only a later write counts.
    pub may_inherit: bool,
}

impl<'a> LookContext<'a> {
    /// A context with the crate's defaults, in which a first look may inherit.
    #[must_use]
    pub const fn new(machine: &'a dyn Machine) -> Self {
        Self {
            machine,
            max_drift_ppb: crate::clock::DEFAULT_MAX_DRIFT_PPB,
            daemon_margin: crate::clock::DEFAULT_DAEMON_MARGIN,
            accept_unsync_flag: false,
            may_inherit: true,
        }
    }
}

/// What a source found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The finding itself.
    pub finding: Finding,
    /// What the source knows of leap seconds.
    pub leap: LeapNotice,
}

impl Look {
    /// A look that found this, with no leap second in sight.
    #[must_use]
    pub const fn new(finding: Finding) -> Self {
        Self {
            finding,
            leap: LeapNotice::None,
        }
    }
}

/// The outcome of one look at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The source vouched anew since the last look.
    Write(SyncClaim),
    /// The source vouched at some time before the first look (assumption A4).
    Inherited(SyncClaim),
    /// The source stands by what it said before.
    Nothing,
    /// The source does not vouch now; an earlier claim may be carried on.
    Refused(Refusal),
    /// The look itself came to nothing and is not to be remembered.
    Unsettled,
}

/// A claim fresh from its source, with what its width is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncClaim {
    /// The claim.
    pub claim: Claim,
    /// The terms of half its width.
    pub bound: ErrorBound,
}

/// What a source knows of leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeapNotice {
    /// None is due.
    #[default]
    None,
    /// One is due at the coming boundary.
    Pending(LeapSecond),
    /// One took place since the last look.
    Passed(LeapSecond),
}

/// What a source remembers from one look to the next: a few words, all zero at first.
///
/// The clock forgets them (zeroes them) when the machine was suspended or otherwise disturbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceMemory {
    /// The words; their meaning is the source's own.
    pub words: [i64; SourceMemory::WORDS],
}

impl SourceMemory {
    /// How many words there are.
    pub const WORDS: usize = 16;
}

/// Why a source does not vouch for the clock, with what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Refusal {
    /// The kernel's clock is not synchronised by anybody.
    #[error(
        "the kernel's clock is not synchronised (maxerror {maxerror_us} µs; anything below 16 s \
         would count): run chronyd with `rtcsync`, or vouch for the clock yourself with \
         `assume_error`"
    )]
    Unsynchronized {
        /// What the kernel reports, in µs; from 16 s on, or below 0, it means nothing.
        maxerror_us: i64,
    },
    /// There is a bound, but the kernel flags its clock as unsynchronised.
    #[error(
        "the kernel reports a bound of {maxerror_us} µs but flags its clock as unsynchronised: \
         add `rtcsync` to chrony.conf, or accept the flag with `accept_unsync_flag` if you know \
         the writer"
    )]
    UnsyncFlag {
        /// What the kernel reports, in µs.
        maxerror_us: i64,
    },
    /// Somebody sets the clock, but whoever it is reports no honest bound.
    #[error(
        "the clock's error bound was written by what looks like {writer}, which does not report \
         one (maxerror {maxerror_us} µs, esterror {esterror_us} µs): use chrony or ntpd, or vouch \
         for the clock yourself with `assume_error`"
    )]
    NoBound {
        /// Who probably wrote it.
        writer: Writer,
        /// What the kernel reports, in µs.
        maxerror_us: i64,
        /// The estimated error that goes with it, in µs.
        esterror_us: i64,
    },
    /// The source seems sound, but only its next write will count.
    #[error("waiting for the time daemon's next write: {because}")]
    AwaitingWrite {
        /// Why what is there now does not count.
        because: Awaiting,
    },
    /// chronyd does not vouch for the clock, or cannot be asked.
    #[error(transparent)]
    Chrony(#[from] ChronyRefusal),
    /// The NTP status cannot be had.
    #[error(
        "{0}: allow `adjtimex` (systemd: no `ProtectClock=`, containers: the default seccomp \
         profile), or vouch for the clock yourself with `assume_error`"
    )]
    Status(#[from] NtpStatusError),
}

impl Refusal {
    /// Whether there is nobody who could vouch, and never was.
    pub(crate) const fn is_absence(&self) -> bool {
        matches!(self, Self::Chrony(ChronyRefusal::NoAnswer))
    }
}

/// Who probably wrote an error bound that means nothing, told by what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Writer {
    /// systemd-timesyncd: zero maximum and estimated error, under the PLL.
    Timesyncd,
    /// ntpd that has just started: 16 µs and 16 µs, which ntpsec keeps for its first minutes.
    NtpdStarting,
    /// One of those that write a bound smaller than the estimated error beside it.
    PtpOrOpenntpd,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timesyncd => "systemd-timesyncd",
            Self::NtpdStarting => "ntpd in its first minutes",
            Self::PtpOrOpenntpd => "ptp4l, phc2sys, openntpd or an early ntpd-rs",
        })
    }
}

/// Why a bound that is there does not count yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Awaiting {
    /// The clock is being slewed faster than the bound grows.
    Slewing {
        /// The rate of the slew in ppb.
        rate_ppb: i64,
    },
    /// The bound looks like one of those that mean nothing, which an honest one can by chance.
    Suspicious {
        /// What the kernel reports, in µs.
        maxerror_us: i64,
    },
    /// The machine was suspended, or its bound refused, since the bound was written.
    Disturbance,
    /// A leap second is too near.
    LeapSecond,
    /// The status changed each time it was read.
    Unsettled,
}

impl Awaiting {
    /// Two words for a [`SourceMemory`] or the clock's own state; zeroes mean none.
    pub(crate) const fn to_words(awaiting: Option<Self>) -> (i64, i64) {
        match awaiting {
            None => (0, 0),
            Some(Self::Slewing { rate_ppb }) => (1, rate_ppb),
            Some(Self::Suspicious { maxerror_us }) => (2, maxerror_us),
            Some(Self::Disturbance) => (3, 0),
            Some(Self::LeapSecond) => (4, 0),
            Some(Self::Unsettled) => (5, 0),
        }
    }

    pub(crate) const fn from_words(kind: i64, figure: i64) -> Option<Self> {
        match kind {
            0 => None,
            1 => Some(Self::Slewing { rate_ppb: figure }),
            2 => Some(Self::Suspicious {
                maxerror_us: figure,
            }),
            4 => Some(Self::LeapSecond),
            5 => Some(Self::Unsettled),
            _ => Some(Self::Disturbance),
        }
    }
}

impl fmt::Display for Awaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slewing { rate_ppb } => write!(
                f,
                "the clock is slewed by {} ppm, faster than its bound grows",
                rate_ppb / 1000
            ),
            Self::Suspicious { maxerror_us } => write!(
                f,
                "maxerror {maxerror_us} µs is what writers without a bound leave behind"
            ),
            Self::Disturbance => f.write_str("the last one cannot be trusted any more"),
            Self::LeapSecond => f.write_str("a leap second is at hand"),
            Self::Unsettled => f.write_str("the NTP status kept changing while it was read"),
        }
    }
}
