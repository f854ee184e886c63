//! Why a source does not vouch, with the figures and what can be done about it.

use core::fmt;

use thiserror::Error;

use super::chrony::ChronyRefusal;
use super::ntp::NtpRefusal;
use super::phc::PhcRefusal;
use crate::machine::NtpStatusError;
use crate::words::words_enum;

/// Why a source does not vouch for the clock, with what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Refusal {
    /// No daemon synchronises the kernel's clock.
    #[error(
        "the kernel's clock is not synchronised (maxerror {maxerror_us} µs; anything below 16 s \
         would count): run chronyd with `rtcsync`, ask NTP servers with `NtpSource`, or vouch for \
         the clock yourself with `assume_error`"
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
    /// A daemon sets the clock, but reports no honest bound.
    #[error(
        "the clock's error bound was written by what looks like {writer}, which does not report \
         one (maxerror {maxerror_us} µs, esterror {esterror_us} µs): use chrony or ntpd, ask NTP \
         servers with `NtpSource`, or vouch for the clock yourself with `assume_error`"
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
    /// The NTP servers do not vouch for an interval, or cannot be asked.
    #[error(transparent)]
    Ntp(#[from] NtpRefusal),
    /// The PTP hardware clock does not vouch for an interval, or cannot be read.
    #[error(transparent)]
    Phc(#[from] PhcRefusal),
    /// The NTP status cannot be had.
    #[error(
        "{0}: allow `adjtimex` (systemd: no `ProtectClock=`, containers: the default seccomp \
         profile), ask NTP servers with `NtpSource`, or vouch for the clock yourself with \
         `assume_error`"
    )]
    Status(#[from] NtpStatusError),
}

words_enum!(Refusal {
    Unsynchronized { maxerror_us } = 1,
    UnsyncFlag { maxerror_us } = 2,
    NoBound { writer, maxerror_us, esterror_us } = 3,
    AwaitingWrite { because } = 4,
    Chrony(refusal) = 5,
    Status(error) = 6,
    Ntp(refusal) = 7,
    Phc(refusal) = 8,
});

impl Refusal {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    /// What chronyd's own refusals (`chrony`) are about, [`ChronyRefusal::as_str`] tells; of NTP servers (`ntp`),
    /// [`NtpRefusal::as_str`]; of a hardware clock (`phc`), [`PhcRefusal::as_str`].
    ///
    /// ```
    /// # use epsilon_clock::source::Refusal;
    /// assert_eq!(Refusal::Unsynchronized { maxerror_us: 16_000_000 }.as_str(), "unsynchronized");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unsynchronized { .. } => "unsynchronized",
            Self::UnsyncFlag { .. } => "unsync_flag",
            Self::NoBound { .. } => "no_bound",
            Self::AwaitingWrite { .. } => "awaiting_write",
            Self::Chrony(_) => "chrony",
            Self::Ntp(_) => "ntp",
            Self::Phc(_) => "phc",
            Self::Status(_) => "status",
        }
    }

    /// Returns true if there is no daemon that could vouch, and never was.
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

words_enum!(Writer { Timesyncd = 1, NtpdStarting = 2, PtpOrOpenntpd = 3 });

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

words_enum!(Awaiting {
    Slewing { rate_ppb } = 1,
    Suspicious { maxerror_us } = 2,
    Disturbance = 3,
    LeapSecond = 4,
    Unsettled = 5,
});

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
