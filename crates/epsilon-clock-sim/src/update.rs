//! What a daemon remembers of its last update, for its report.

/// The last update of a daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub(crate) raw: i64,
    /// By its own clock, after the update.
    pub(crate) own_time: i64,
    pub(crate) interval: i64,
    /// By how much its clock was found ahead.
    pub(crate) ahead: i64,
    pub(crate) delay: i64,
    /// Half of the root delay and the root dispersion at the update.
    pub(crate) bound: i64,
    pub(crate) disturbances: u64,
}
