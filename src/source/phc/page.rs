//! The time that a hypervisor tells in a vmclock page.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::device::{PhcDevice, PhcReading};
use super::refusal::PhcRefusal;
use crate::machine::{Machine, VmClockTime, VmTimescale};

/// A page by its path; mapped when it is first read.
#[derive(Debug)]
pub(super) struct Page {
    path: PathBuf,
    page: OnceLock<VmClockTime>,
}

impl Page {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            page: OnceLock::new(),
        }
    }

    fn page(&self) -> Result<&VmClockTime, PhcRefusal> {
        if let Some(page) = self.page.get() {
            return Ok(page);
        }
        let page = VmClockTime::open(&self.path).map_err(|error| PhcRefusal::of(&error))?;
        Ok(self.page.get_or_init(|| page))
    }
}

impl PhcDevice for Page {
    fn read(&self, machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
        let page = self.page()?;
        // The page is told by the counter, which is raw time's own where it may be read.
        machine.counter().map_err(|_| PhcRefusal::NoCounter)?;
        let told = page.told().ok_or(PhcRefusal::Busy)?;
        if !told.synchronized {
            return Err(PhcRefusal::Unsynchronized);
        }
        if !told.own_counter {
            return Err(PhcRefusal::NoCounter);
        }
        let ahead_s = match told.timescale {
            VmTimescale::Utc => 0,
            VmTimescale::Tai { ahead_s } => ahead_s,
            VmTimescale::Other => return Err(PhcRefusal::OtherTimescale),
        };
        let before = machine.sample().raw;
        let count = machine.count();
        let after = machine.sample().raw;
        // Written anew meanwhile, as at a migration, it may be about another counter.
        if page.told() != Some(told) {
            return Err(PhcRefusal::Busy);
        }
        let (device, drift_ns) = told.at(count).ok_or(PhcRefusal::Inconsistent)?;
        Ok(PhcReading {
            before,
            device,
            after,
            bound_ns: told
                .max_error_ns
                .map(|bound| bound.saturating_add(drift_ns)),
            ahead_s,
        })
    }
}
