//! What a node is made of, before it runs.

use core::time::Duration;
use std::sync::Arc;

use crate::counter::Counter;
use crate::daemon::Daemon;
use crate::hardware::HardwareClock;
use crate::kernel::Adjustment;
use crate::oscillator::Oscillator;

/// What runs on a node while one of its threads is interrupted.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What a node is made of.
///
/// ```
/// use epsilon_clock_sim::{NodeConfig, Oscillator};
///
/// let config = NodeConfig { oscillator: Oscillator::steady(-30_000), ..NodeConfig::default() };
/// assert!(config.daemon.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The oscillator that drives its counter.
    pub oscillator: Oscillator,
    /// The time daemon, which starts within two seconds; none by default.
    pub daemon: Option<Daemon>,
    /// The kernel's tick: how far coarse real time lags. 4 ms by default.
    pub tick: Duration,
    /// How long ago it booted; a day by default.
    pub uptime: Duration,
    /// How far its real time is ahead of UTC at first, in ns.
    pub real_error_ns: i64,
    /// What a daemon had left in the kernel before; nothing by default, which is unsynchronised.
    pub state: Option<Adjustment>,
    /// Whom a clock of this node asks if its builder names no source; the kernel by default.
    pub sources: Sources,
    /// What its hypervisor tells of pauses that its own clocks do not show; nothing by default.
    pub hypervisor: Hypervisor,
    /// Whether its programs may read the counter that raw time is counted by; by default they may not.
    pub counter: Counter,
    /// Its PTP hardware clock; none by default.
    pub hardware: Option<HardwareClock>,
}

/// Whom the clocks of a node ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sources {
    /// The kernel's NTP status.
    #[default]
    Kernel,
    /// The daemon's own report, if it is a chronyd; see [`Node::chrony`](crate::Node::chrony).
    Chrony,
    /// Both.
    KernelAndChrony,
    /// The world's NTP servers, and no daemon on the machine; see [`Node::ntp`](crate::Node::ntp).
    Ntp,
    /// The kernel's NTP status, and the world's NTP servers.
    KernelAndNtp,
    /// The node's PTP hardware clock alone; see [`Node::phc`](crate::Node::phc).
    Hardware,
    /// The kernel's NTP status, and the node's PTP hardware clock.
    KernelAndHardware,
}

/// What a hypervisor tells its guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hypervisor {
    /// Nothing.
    #[default]
    Silent,
    /// A vmclock device, whose disruption marker changes with every pause and snapshot.
    VmClock,
}

impl NodeConfig {
    /// Describes a node with a perfect oscillator and this daemon.
    #[must_use]
    pub fn with_daemon(daemon: Daemon) -> Self {
        Self {
            daemon: Some(daemon),
            ..Self::default()
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            oscillator: Oscillator::default(),
            daemon: None,
            tick: Duration::from_millis(4),
            uptime: Duration::from_secs(86_400),
            real_error_ns: 0,
            state: None,
            sources: Sources::default(),
            hypervisor: Hypervisor::default(),
            counter: Counter::default(),
            hardware: None,
        }
    }
}
