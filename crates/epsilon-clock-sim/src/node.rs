//! A node: one machine of the world, and the handle that tests hold of it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::chronyd::SimulatedTransport;

use crate::config::Sources;
use crate::counter::{Counter, RunningCounter};
use crate::device::SimulatedDevice;
use crate::fault::Fault;
use crate::hardware::{Counts, TAI_AHEAD_S};
use crate::kernel::{Adjustment, DAY_SECS, Kernel, SECOND};
use crate::network::ns;

use crate::asking::SimulatedServers;
use crate::hub::{Hub, Mark};
use crate::timeserver;
use epsilon_clock::clock::{BuildError, Clock, ClockBuilder};
use epsilon_clock::machine::{
    Disruption, Identity, Machine, NoCounter, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use epsilon_clock::source::{ChronySource, KernelSource, NtpServer, NtpSource, PhcSource};
use epsilon_clock::time::Timestamp;

/// For how long TAI is told ahead of UTC, in ns.
const HALF_A_YEAR: i64 = 180 * DAY_SECS * SECOND;

/// A machine in a [`World`](crate::World), whose clocks an ordinary [`Clock`] can read.
///
/// ```
/// use epsilon_clock_sim::{Daemon, Fault, NodeConfig, Server, World};
/// use std::time::Duration;
///
/// let world = World::new(1);
/// let node = world.node(NodeConfig::with_daemon(Daemon::chrony(Server::near())));
/// let clock = node.clock_with(|builder| builder.max_drift_ppb(50_000))?;
/// world.advance(Duration::from_secs(30));
/// assert!(clock.now().is_ok());
/// // A step within the interval moves none; out of it there is none, until a write settles which is wrong.
/// node.strike(Fault::Step { by_ns: 100_000 });
/// assert!(clock.now().is_ok_and(|now| now.earliest() <= world.now()));
/// node.strike(Fault::Step { by_ns: 3_600_000_000_000 });
/// assert!(clock.now().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Node {
    machine: Arc<SimulatedMachine>,
}

impl Node {
    pub(crate) fn new(hub: Arc<Hub>, node: usize) -> Self {
        Self {
            machine: Arc::new(SimulatedMachine { hub, node }),
        }
    }

    /// Returns its number among the world's nodes, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.machine.node
    }

    /// Returns its clocks, as a [`ClockBuilder`] takes them.
    #[must_use]
    pub fn machine(&self) -> Arc<dyn Machine> {
        Arc::clone(&self.machine) as Arc<dyn Machine>
    }

    /// Builds a clock of this node with every setting at its default.
    ///
    /// # Errors
    ///
    /// None in practice: the defaults are in their ranges.
    pub fn clock(&self) -> Result<Clock, BuildError> {
        self.clock_with(|builder| builder)
    }

    /// Builds a clock of this node with other settings.
    ///
    /// [`RefreshPolicy::Background`](epsilon_clock::clock::RefreshPolicy::Background) is of no use here: its thread
    /// would sleep, and so let time go by, as fast as it can.
    ///
    /// # Errors
    ///
    /// [`BuildError`] for settings outside their range.
    pub fn clock_with(
        &self,
        settings: impl FnOnce(ClockBuilder) -> ClockBuilder,
    ) -> Result<Clock, BuildError> {
        let sources = self.machine.hub.lock().sources(self.index());
        self.clock_asking(sources, settings)
    }

    /// Builds a clock with these settings, and with these sources unless the settings name some.
    pub(crate) fn clock_asking(
        &self,
        sources: Sources,
        settings: impl FnOnce(ClockBuilder) -> ClockBuilder,
    ) -> Result<Clock, BuildError> {
        let builder = settings(Clock::builder()).machine(self.machine());
        match sources {
            _ if builder.names_sources() => builder,
            Sources::Kernel => builder.source(KernelSource::new()),
            Sources::Chrony => builder.source(self.chrony()),
            Sources::Ntp => builder.source(self.ntp()),
            Sources::KernelAndNtp => builder.source(KernelSource::new()).source(self.ntp()),
            Sources::Hardware => builder.source(self.phc()),
            Sources::KernelAndHardware => builder.source(KernelSource::new()).source(self.phc()),
            Sources::KernelAndChrony => builder.source(KernelSource::new()).source(self.chrony()),
        }
        .build()
    }

    /// Returns its daemon's own report as a source of claims, asked by [`Clock::refresh`].
    #[must_use]
    pub fn chrony(&self) -> ChronySource {
        let transport = SimulatedTransport {
            hub: Arc::clone(&self.machine.hub),
            node: self.machine.node,
        };
        ChronySource::new().transport(transport).manual()
    }

    /// Returns its PTP hardware clock as a source of claims, read by [`Clock::refresh`]; it never serves where the
    /// node has none.
    #[must_use]
    pub fn phc(&self) -> PhcSource {
        let core = self.machine.hub.lock();
        let hardware = core
            .machinery(self.index())
            .and_then(|machine| machine.hardware.as_ref());
        let counts = hardware.map_or(Counts::Utc, |hardware| hardware.counts);
        let judges = hardware.is_none_or(|hardware| hardware.judges);
        // No leap second is announced for longer.
        let until = core.axis.start.saturating_add(HALF_A_YEAR);
        drop(core);
        let device = SimulatedDevice {
            hub: Arc::clone(&self.machine.hub),
            node: self.machine.node,
        };
        let source = PhcSource::of(device).manual();
        let source = match counts {
            Counts::TaiByWord => source.counts_tai(TAI_AHEAD_S, Timestamp::from_unix_nanos(until)),
            Counts::Utc | Counts::Tai => source,
        };
        if judges {
            source
        } else {
            source.never_vetoes()
        }
    }

    /// The world's NTP servers, eight at most, as a source of claims, asked by [`Clock::refresh`].
    ///
    /// They are taken for one's own and charged no margin and no wander: they are as far off as they
    /// say, and no further. What a node may ask them is shared by all its clocks.
    #[must_use]
    pub fn ntp(&self) -> NtpSource {
        let hub = &self.machine.hub;
        let core = hub.lock();
        let intervals: Vec<_> = core
            .time_servers
            .iter()
            .map(|server| server.interval)
            .collect();
        let budget = core
            .machinery(self.index())
            .map_or_else(Arc::default, |machine| Arc::clone(&machine.budget));
        drop(core);
        let transport = SimulatedServers {
            hub: Arc::clone(hub),
            node: self.machine.node,
            budget,
        };
        let source = NtpSource::new()
            .transport(Arc::new(transport))
            .margin(Duration::ZERO)
            .manual();
        intervals
            .into_iter()
            .enumerate()
            .fold(source, |source, (index, interval)| {
                let server = NtpServer::at(timeserver::address(index))
                    .own()
                    .wander_ppb(0)
                    .interval(interval);
                // An own server may be charged nothing.
                let added = source.clone().server(server);
                added.unwrap_or(source)
            })
    }

    /// Lets programs on it read its counter from now on, or not; clocks find out at their next look.
    pub fn set_counter(&self, counter: Counter) {
        let mut core = self.machine.hub.lock();
        if let Some(machine) = core.machinery_mut(self.index()) {
            machine.counter = RunningCounter::new(counter);
        }
    }

    /// Returns true if it is to sleep, or to be told that it did, by what is scheduled.
    pub(crate) fn will_sleep(&self) -> bool {
        self.machine.hub.lock().will_sleep(self.index())
    }

    /// Lets something happen to it now.
    pub fn strike(&self, fault: Fault) {
        self.machine.hub.lock().strike(self.index(), fault);
    }

    /// Writes to its kernel as a time daemon would, at no cost in time.
    pub fn adjtimex(&self, adjustment: &Adjustment) {
        self.machine.hub.lock().adjust(self.index(), adjustment);
    }

    /// Reads its kernel's NTP status, at no cost in time and never refused.
    #[must_use]
    pub fn ntp_status(&self) -> NtpStatus {
        let core = self.machine.hub.lock();
        core.machinery(self.index())
            .map_or_else(NtpStatus::default, |machine| {
                machine.kernel.status(core.now)
            })
    }

    /// Reads its raw time in ns, at no cost in time.
    #[must_use]
    pub fn raw(&self) -> i64 {
        let core = self.machine.hub.lock();
        core.machinery(self.index())
            .map_or(0, |machine| machine.kernel.raw(core.now))
    }

    /// Returns how its oscillator errs now: true seconds per raw second less one, in ppb.
    #[must_use]
    pub fn oscillator_ppb(&self) -> i64 {
        let core = self.machine.hub.lock();
        core.machinery(self.index())
            .map_or(0, |machine| machine.kernel.oscillator_ppb())
    }

    /// Returns how far its real time is ahead of UTC now, in ns.
    #[must_use]
    pub fn real_error_ns(&self) -> i64 {
        let core = self.machine.hub.lock();
        let utc = core.axis.stepped(core.now);
        core.machinery(self.index()).map_or(0, |machine| {
            machine.kernel.real(core.now).saturating_sub(utc)
        })
    }

    /// Returns what its daemon wrote last: `maxerror` in µs.
    #[must_use]
    pub fn last_maxerror_us(&self) -> Option<i64> {
        let core = self.machine.hub.lock();
        core.machinery(self.index())?
            .last_write
            .map(|(_, write)| write.maxerror_us)
    }

    pub(crate) fn mark(&self) -> Mark {
        self.machine.hub.lock().mark(self.index())
    }

    /// Runs `ask` without interruptions, such as a clock's status for a report.
    pub(crate) fn quietly<T>(&self, ask: impl FnOnce() -> T) -> T {
        let hub = &self.machine.hub;
        let preemption = core::mem::take(&mut hub.lock().preemption);
        let answer = ask();
        hub.lock().preemption = preemption;
        answer
    }

    pub(crate) fn log(&self) -> String {
        self.machine.hub.lock().log()
    }

    /// Sets what runs whenever one of its threads is interrupted: another thread's reading, say. It
    /// must not call this method. Each call replaces what the last one named.
    pub fn when_interrupted(&self, hook: impl Fn() + Send + Sync + 'static) {
        let mut hooks = self.machine.hub.hooks();
        let index = self.index();
        hooks.hooks.retain(|(node, _)| *node != index);
        hooks.hooks.push((index, Arc::new(hook)));
    }
}

/// The clocks of a node.
struct SimulatedMachine {
    hub: Arc<Hub>,
    node: usize,
}

impl fmt::Debug for SimulatedMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedMachine")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// What one read of a clock through the vDSO takes, in ns.
const CLOCK_READ: (i64, i64) = (12, 40);
/// What one of a coarse clock takes, in ns.
const COARSE_READ: (i64, i64) = (3, 8);
/// What one of the counter takes, in ns.
const COUNT_READ: (i64, i64) = (8, 24);
/// What half of an `adjtimex` call takes, in ns.
const HALF_CALL: (i64, i64) = (200, 500);

impl SimulatedMachine {
    fn clock(&self, cost: (i64, i64), which: fn(&Kernel, i64) -> i64) -> i64 {
        let core = self.hub.read(self.node, cost.0, cost.1);
        core.machinery(self.node)
            .map_or(0, |machine| which(&machine.kernel, core.now))
    }
}

impl Machine for SimulatedMachine {
    fn sample(&self) -> Sample {
        Sample {
            coarse: self.clock(COARSE_READ, Kernel::coarse),
            raw: self.clock(CLOCK_READ, Kernel::raw),
        }
    }

    fn sandwich(&self) -> Sandwich {
        Sandwich {
            mono_before: self.clock(CLOCK_READ, Kernel::mono),
            boot: self.clock(CLOCK_READ, Kernel::boot),
            real: self.clock(CLOCK_READ, Kernel::real),
            raw: self.clock(CLOCK_READ, Kernel::raw),
            mono_after: self.clock(CLOCK_READ, Kernel::mono),
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        let core = self.hub.read(self.node, HALF_CALL.0, HALF_CALL.1);
        let answer = match core.machinery(self.node) {
            // Taken under the kernel's lock: all of it at one instant.
            Some(machine) if core.now >= machine.refused_until => {
                Ok(machine.kernel.status(core.now))
            }
            _ => Err(NtpStatusError::Refused { errno: 1 }),
        };
        drop(core);
        drop(self.hub.read(self.node, HALF_CALL.0, HALF_CALL.1));
        answer
    }

    fn disruption(&self) -> Option<Disruption> {
        let core = self.hub.lock();
        Some(Disruption {
            marker: core.machinery(self.node).map_or(0, |m| m.marker),
            generation: 0,
        })
    }

    fn coarse_tick(&self) -> Duration {
        let core = self.hub.lock();
        let tick = core
            .machinery(self.node)
            .map_or(0, |machine| machine.kernel.tick_ns());
        Duration::from_nanos(tick.unsigned_abs())
    }

    fn counter(&self) -> Result<(), NoCounter> {
        let core = self.hub.lock();
        core.machinery(self.node)
            .map_or(Err(NoCounter::Unsupported), |machine| {
                machine.counter.allowed()
            })
    }

    fn count(&self) -> i64 {
        let mut core = self.hub.read(self.node, COUNT_READ.0, COUNT_READ.1);
        let now = core.now;
        core.machinery_mut(self.node).map_or(0, |machine| {
            machine.counter.read(machine.kernel.raw_fine(now))
        })
    }

    fn never_suspends(&self) -> bool {
        let core = self.hub.lock();
        core.machinery(self.node)
            .is_some_and(|machine| machine.counter.never_suspends())
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: u32::try_from(self.node).map_or(u32::MAX, |node| node.saturating_add(1)),
            time_namespace: 0,
        }
    }

    fn sleep(&self, span: Duration) {
        let mut core = self.hub.lock();
        let to = core.now.saturating_add(ns(span));
        core.advance(to);
        core.wait_while_busy(self.node);
    }
}
