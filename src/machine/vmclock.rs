//! The page by which a hypervisor tells a guest of pauses that the guest's own clocks do not show.
//!
//! Of the time that it tells beside that, `PhcSource` makes claims where it is asked to.

use core::fmt;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
mod device;
#[cfg_attr(
    any(not(target_os = "linux"), epsilon_clock_portable),
    allow(dead_code, reason = "elsewhere only the tests use it")
)]
mod page;
#[cfg_attr(
    any(not(target_os = "linux"), epsilon_clock_portable),
    allow(dead_code, reason = "elsewhere only the tests use it")
)]
mod time;

#[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
pub(crate) use device::{VmClock, VmClockTime};
pub(crate) use time::{Timescale as VmTimescale, Told};

/// There is none but under Linux.
#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
#[derive(Debug)]
pub(crate) enum VmClockTime {}

#[cfg(any(not(target_os = "linux"), epsilon_clock_portable))]
impl VmClockTime {
    pub(crate) fn open(_path: &std::path::Path) -> std::io::Result<Self> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    pub(crate) const fn told(&self) -> Option<Told> {
        match *self {}
    }
}

/// What became of the vmclock device: see [`Status::vmclock`](crate::Status::vmclock).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum VmClockState {
    /// None was looked for: the builder excluded it, or the machine is not the real one.
    Unused,
    /// There is none, as on most machines: assumption A3 is not checked.
    Missing,
    /// It cannot be opened or mapped.
    Refused {
        /// What the system said; 0 where it said nothing.
        errno: i32,
    },
    /// What is there does not have the layout that is known.
    Invalid {
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is compared on every reading.
    Watched,
}

impl fmt::Display for VmClockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused => f.write_str("not used"),
            Self::Missing => f.write_str("not there"),
            Self::Refused { errno } => {
                write!(f, "refused (errno {errno}): allow reading the device")
            }
            Self::Invalid { what } => write!(f, "not understood: {what}"),
            Self::Watched => f.write_str("watched"),
        }
    }
}
