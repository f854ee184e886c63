//! How a node's hardware clock is read.

use std::sync::Arc;

use crate::hardware::{Counts, Shows, TAI_AHEAD_S};
use crate::hub::Hub;
use crate::kernel::{Kernel, SECOND};
use crate::network::ns;
use epsilon_clock::machine::Machine;
use epsilon_clock::source::{PhcDevice, PhcReading, PhcRefusal};

/// The least that a device takes before its time is read, and after, in ns.
const FASTEST: i64 = 300;

/// The hardware clock of one node.
#[derive(Debug)]
pub(crate) struct SimulatedDevice {
    pub(crate) hub: Arc<Hub>,
    pub(crate) node: usize,
}

impl SimulatedDevice {
    /// Lets some time go by in the driver, and reads raw time at the end of it.
    fn raw_after(&self, span: i64) -> i64 {
        let core = self.hub.read(self.node, span, span.saturating_add(1));
        let now = core.now;
        core.kernel_of(self.node)
            .map_or(0, |kernel: &Kernel| kernel.raw(now))
    }
}

impl PhcDevice for SimulatedDevice {
    fn read(&self, _machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
        let (hardware, there, back) = {
            let mut core = self.hub.lock();
            let hardware = core.machinery(self.node).and_then(|m| m.hardware.clone());
            let hardware = hardware.ok_or(PhcRefusal::Missing)?;
            // Now the way there is the longer one, and now the way back.
            let slowest = ns(hardware.slowest).max(FASTEST);
            let mut span = || core.random.scattered(FASTEST, slowest);
            let spans = (span(), span());
            (hardware, spans.0, spans.1)
        };
        let before = self.raw_after(0);
        let (device, shows) = {
            let core = self.hub.read(self.node, there, there + 1);
            let utc = core.axis.stepped(core.now);
            let off = hardware.off(core.now);
            (utc.saturating_add(off), hardware.shows(core.now))
        };
        let after = self.raw_after(back);
        match shows {
            Shows::Busy => return Err(PhcRefusal::Busy),
            Shows::Failure => return Err(PhcRefusal::Failed { errno: 5 }),
            Shows::Honestly | Shows::WithoutBound | Shows::Ahead { .. } => {}
        }
        let (ahead_s, told_s) = match hardware.counts {
            Counts::Utc => (0, 0),
            Counts::Tai => (TAI_AHEAD_S, TAI_AHEAD_S),
            Counts::TaiByWord => (TAI_AHEAD_S, 0),
        };
        let bound_ns = u64::try_from(ns(hardware.bound)).ok();
        Ok(PhcReading {
            before,
            device: device.saturating_add(i64::from(ahead_s) * SECOND),
            after,
            bound_ns: bound_ns.filter(|_| shows != Shows::WithoutBound),
            ahead_s: told_s,
        })
    }
}
