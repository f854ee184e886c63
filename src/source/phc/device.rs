//! What a hardware clock is to the source.

use core::fmt;

use super::refusal::PhcRefusal;
use crate::machine::Machine;

/// A PTP hardware clock that can be read against raw time.
///
/// [`PhcSource::new`](super::PhcSource::new) and [`vmclock`](super::PhcSource::vmclock) have the real ones.
/// Another way to a device takes their place by implementing this; in a test, `ScriptedPhc` in
/// `epsilon_clock::testing` (feature `test-util`) does.
pub trait PhcDevice: fmt::Debug + Send + Sync {
    /// Reads the device once, with raw time around it; may wait for it.
    ///
    /// # Errors
    ///
    /// Why there is no reading: the source then says so.
    fn read(&self, machine: &dyn Machine) -> Result<PhcReading, PhcRefusal>;
}

/// One reading of a hardware clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhcReading {
    /// Raw time of this machine before the device was read, in ns.
    pub before: i64,
    /// What the device said in between, in ns since the Unix epoch of its timescale.
    pub device: i64,
    /// Raw time of this machine after the device was read, in ns.
    pub after: i64,
    /// How far off the device says that it may be, in ns; `None` where it does not say.
    pub bound_ns: Option<u64>,
    /// How many seconds ahead of UTC the device says that it is; 0 where it counts UTC, or does not say.
    pub ahead_s: i32,
}
