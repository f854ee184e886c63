//! Why a hardware clock is not believed, and what ends it.

use thiserror::Error;

use crate::words::words_enum;

/// Why a PTP hardware clock does not vouch for an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum PhcRefusal {
    /// It has not been read yet.
    #[error(
        "the PTP hardware clock has not been read yet: if that lasts, see that this clock is refreshed"
    )]
    NotRead,
    /// There is no such device.
    #[error("there is no PTP hardware clock at this path: name the one that `/sys/class/ptp` has")]
    Missing,
    /// The device may not be read.
    #[error(
        "this process may not read the PTP hardware clock: give its user or group the device (it is \
         root's by default)"
    )]
    Denied,
    /// The device is busy, as ENA's is for a while after a read that failed.
    #[error(
        "the PTP hardware clock is busy: it is read again; ask for it less often if that lasts"
    )]
    Busy,
    /// The device could not be read.
    #[error(
        "the PTP hardware clock cannot be read (errno {errno}): it is read again; see the kernel's log"
    )]
    Failed {
        /// What the system said; 0 where it said nothing.
        errno: i32,
    },
    /// What was read makes no sense.
    #[error("what the PTP hardware clock says makes no sense: use another if it lasts")]
    Inconsistent,
    /// The last reading is too old.
    #[error("the PTP hardware clock was last read {for_s} s ago: see that this clock is refreshed")]
    Silent {
        /// How long ago, in s.
        for_s: i64,
    },
    /// Neither the device nor the caller says how wrong it may be.
    #[error(
        "the PTP hardware clock tells no bound on its error: vouch for one with `PhcSource::vouch`, or use \
         a device that tells it"
    )]
    NoBound,
    /// It is as far ahead as a device that counts TAI.
    #[error(
        "the PTP hardware clock is {ahead_s} s ahead of this machine's clock, as one is that counts TAI: say \
         so with `PhcSource::counts_tai`, or set the machine's clock right"
    )]
    LooksLikeTai {
        /// How far ahead, in s and rounded down.
        ahead_s: i64,
    },
    /// How far TAI is ahead of UTC is not known any more.
    #[error(
        "how far TAI is ahead of UTC was told up to a midnight that has come: tell the figure of after it \
         with `PhcSource::counts_tai`"
    )]
    TaiUntold,
    /// A leap second may be taking place.
    #[error(
        "a leap second may be taking place: the PTP hardware clock counts again in a few seconds"
    )]
    LeapSecond,
    /// The hypervisor does not call its time synchronised.
    #[error(
        "the hypervisor does not call the time in its vmclock page synchronised: wait until it does, or use \
         another source"
    )]
    Unsynchronized,
    /// The hypervisor's time is smeared, may be, or is no UTC or TAI at all.
    #[error(
        "the time in the vmclock page is smeared, or neither UTC nor TAI: ask the hypervisor's operator, or \
         use another source"
    )]
    OtherTimescale,
    /// The counter that a vmclock page tells time by cannot be read.
    #[error(
        "the counter that the vmclock page tells time by cannot be read here: see `Status::path`, or use \
         another source"
    )]
    NoCounter,
    /// This machine cannot tell a suspend from a step of its clock.
    #[error(
        "this machine's clocks do not tell a suspend from a step, so no reading can be carried on: run on \
         Linux, or name another source"
    )]
    NoSuspendClock,
}

impl PhcRefusal {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    ///
    /// ```
    /// # use epsilon_clock::source::PhcRefusal;
    /// assert_eq!(PhcRefusal::Failed { errno: 5 }.as_str(), "failed");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotRead => "not_read",
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Failed { .. } => "failed",
            Self::Inconsistent => "inconsistent",
            Self::Silent { .. } => "silent",
            Self::NoBound => "no_bound",
            Self::LooksLikeTai { .. } => "looks_like_tai",
            Self::TaiUntold => "tai_untold",
            Self::LeapSecond => "leap_second",
            Self::Unsynchronized => "unsynchronized",
            Self::OtherTimescale => "other_timescale",
            Self::NoCounter => "no_counter",
            Self::NoSuspendClock => "no_suspend_clock",
        }
    }

    /// Returns what an error of the system means.
    pub(super) fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Denied,
            std::io::ErrorKind::ResourceBusy => Self::Busy,
            _ => Self::Failed {
                errno: error.raw_os_error().unwrap_or(0),
            },
        }
    }
}

words_enum!(PhcRefusal {
    NotRead = 1,
    Missing = 2,
    Denied = 3,
    Busy = 4,
    Failed { errno } = 5,
    Inconsistent = 6,
    Silent { for_s } = 7,
    NoBound = 8,
    LooksLikeTai { ahead_s } = 9,
    TaiUntold = 10,
    LeapSecond = 11,
    Unsynchronized = 12,
    OtherTimescale = 13,
    NoCounter = 14,
    NoSuspendClock = 15,
});

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn errors_of_the_system_have_names_or_numbers() {
        for (error, refusal) in [
            (ErrorKind::NotFound.into(), PhcRefusal::Missing),
            (ErrorKind::PermissionDenied.into(), PhcRefusal::Denied),
            (ErrorKind::ResourceBusy.into(), PhcRefusal::Busy),
            (Error::from_raw_os_error(5), PhcRefusal::Failed { errno: 5 }),
            (ErrorKind::Other.into(), PhcRefusal::Failed { errno: 0 }),
        ] {
            assert_eq!(PhcRefusal::of(&error), refusal, "{error:?}");
        }
    }
}
