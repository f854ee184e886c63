//! The device itself, mapped.

use std::fs::File;
use std::io;
use std::path::Path;

use super::page::{Layout, SHORTEST};
use super::{Told, VmClockState};
use crate::machine::Disruption;
use crate::machine::sys::MappedPage;

/// A vmclock device that was found sound.
#[derive(Debug)]
pub(crate) struct VmClock {
    page: MappedPage,
    layout: Layout,
}

impl VmClock {
    /// Opens, maps and checks it.
    pub(crate) fn open(path: &Path) -> Result<Self, VmClockState> {
        let file = File::open(path).map_err(|error| refused(&error))?;
        let metadata = file.metadata().map_err(|error| refused(&error))?;
        if metadata.is_file() && metadata.len() < SHORTEST {
            // Beyond the end of a file there is nothing to map; a device has no length.
            let what = "it is too short";
            return Err(VmClockState::Invalid { what });
        }
        let page = MappedPage::of(&file).map_err(|error| refused(&error))?;
        let layout = Layout::of(page.words())?;
        Ok(Self { page, layout })
    }

    /// Reads the two words that matter as [`Layout::glance`] does.
    #[inline]
    pub(crate) fn glance(&self, zero: usize) -> Disruption {
        self.layout.glance(self.page.words(), zero)
    }

    /// Reads the page whole as [`Layout::read`] does.
    pub(crate) fn read(&self) -> Option<Disruption> {
        self.layout.read(self.page.words())
    }
}

/// A vmclock device whose time is read.
#[derive(Debug)]
pub(crate) struct VmClockTime(VmClock);

impl VmClockTime {
    /// Opens, maps and checks it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        VmClock::open(path).map(Self).map_err(|state| match state {
            VmClockState::Missing => io::ErrorKind::NotFound.into(),
            VmClockState::Refused { errno } => io::Error::from_raw_os_error(errno),
            _ => io::ErrorKind::InvalidData.into(),
        })
    }

    /// Reads what it tells of time; `None` while it is being written.
    pub(crate) fn told(&self) -> Option<Told> {
        Told::of(self.0.page.words())
    }
}

fn refused(error: &io::Error) -> VmClockState {
    match error.kind() {
        io::ErrorKind::NotFound => VmClockState::Missing,
        _ => VmClockState::Refused {
            errno: error.raw_os_error().unwrap_or(0),
        },
    }
}
