//! What the handles of a world share: true time, its machines, and what is going to happen.

use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::axis::Axis;
use crate::config::{Hook, Hypervisor, NodeConfig, Sources};
use crate::counter::{CounterFault, RunningCounter};
use crate::daemon::{Daemon, Errand, Host, RunningDaemon, Write, rate_adjustment};
use crate::fault::{Fault, Notice, Wake};
use crate::hardware::HardwareClock;
use crate::kernel::{Adjustment, Kernel, SECOND};
use crate::network::{Server, ns};
use crate::oscillator::Running;
use crate::random::Random;
use crate::timeserver::TimeServer;
use epsilon_clock::source::ntp::Budget;
use epsilon_clock::time::LeapKind;

/// How many happenings are kept for reports.
const REMEMBERED: usize = 16;

/// A daemon that is itself further in the dark than half of the default `max_error` is not healthy.
const HEALTHY_BOUND_US: i64 = 250_000;

/// Since when a daemon is healthy that is not.
const NOT_HEALTHY: i64 = i64::MAX / 2;

/// How threads that read clocks are interrupted between any two reads.
///
/// ```
/// use epsilon_clock_sim::Preemption;
/// use std::time::Duration;
///
/// let often = Preemption { per_million: 10_000, longest: Duration::from_secs(2) };
/// assert!(often.per_million > Preemption::default().per_million);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preemption {
    /// After how many reads in a million.
    pub per_million: u32,
    /// For how long at most; from a microsecond on, every order of magnitude is as likely. One in
    /// four lasts until just after the next fault or write, if that is not further off.
    pub longest: Duration,
}

/// Where true time is, and what happened last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) now: i64,
    pub(crate) unix: i64,
    pub(crate) happenings: u64,
    pub(crate) last_happening: i64,
    /// When the node's daemon last wrote a bound.
    pub(crate) written_at: Option<i64>,
    /// How often the machine slept so far.
    pub(crate) sleeps: u64,
    /// Since when a daemon has been healthy, with a write of less than `HEALTHY_BOUND`; `i64::MAX / 2` if
    /// it is not.
    pub(crate) healthy_since: i64,
    /// Whether there is a leap second in this world.
    pub(crate) leap: bool,
    /// Whether the second was left out already, and the daemon that is to step the clock over it has not
    /// done so: chronyd wakes up a little late, and until then nothing on the machine tells of it.
    pub(crate) leap_to_come: bool,
}

/// The longest, in ns, that a clock which reads the counter alone does not compare the machine's clocks.
const COUNTER_WINDOW: i64 = 1_000_000;

/// What a world's handles share.
#[derive(Debug)]
pub(crate) struct Hub {
    core: Mutex<Core>,
    hooks: Mutex<Hooks>,
}

/// What runs while a thread of a node is interrupted.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) hooks: Vec<(usize, Hook)>,
    running: bool,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("count", &self.hooks.len())
            .finish()
    }
}

impl Hub {
    /// Creates a world without nodes in which nothing has happened.
    pub(crate) fn new(axis: Axis, random: Random) -> Self {
        let core = Core {
            now: 0,
            axis,
            random,
            queue: BinaryHeap::new(),
            next_at: i64::MAX,
            sequence: 0,
            notables: BinaryHeap::new(),
            nodes: Vec::new(),
            time_servers: Vec::new(),
            preemption: Preemption::default(),
            log: VecDeque::new(),
            happenings: 0,
            last_happening: i64::MIN / 2,
            short_writes: 0,
            shortest_by_ns: 0,
            writes: 0,
        };
        Self {
            core: Mutex::new(core),
            hooks: Mutex::new(Hooks::default()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic in a test must not hide behind a poisoned lock.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a read of a node's clocks take its time, and an interruption strike before it.
    pub(crate) fn read(&self, node: usize, least: i64, most: i64) -> MutexGuard<'_, Core> {
        let mut core = self.lock();
        let cost = core.random.between(least, most);
        let to = core.now + cost;
        core.advance(to);
        core.wait_while_busy(node);
        let preemption = core.preemption;
        if preemption.per_million == 0 || !core.random.chance(preemption.per_million) {
            return core;
        }
        let span = core.interruption();
        let before = core.random.between(0, span + 1);
        let to = core.now + before;
        core.advance(to);
        core.wait_while_busy(node);
        drop(core);
        self.run_hook(node);
        let mut core = self.lock();
        let to = core.now + span - before;
        core.advance(to);
        core.wait_while_busy(node);
        core
    }

    fn run_hook(&self, node: usize) {
        let mut hooks = self.hooks();
        if hooks.running {
            return;
        }
        let Some((_, hook)) = hooks.hooks.iter().find(|(index, _)| *index == node) else {
            return;
        };
        let hook = Arc::clone(hook);
        hooks.running = true;
        drop(hooks);
        hook();
        self.hooks().running = false;
    }
}

/// Something that is going to happen.
#[derive(Debug)]
struct Scheduled {
    at: i64,
    sequence: u64,
    node: usize,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The kernel counts a second, unless its plans changed since.
    Count(u64),
    Daemon(u64, Errand),
    Fault(Fault),
    Wake {
        slept: i64,
    },
    RogueGone(u64),
    CounterThaws,
}

/// Something that happened, for reports.
#[derive(Clone, Copy, Debug)]
struct Happened {
    at: i64,
    node: usize,
    what: Happening,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Fault(Fault),
    Wrote(Write),
    Woke { slept: i64 },
    Leapt { by: i64 },
    RogueGone,
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>20} ns  node {}  ", self.at, self.node)?;
        match &self.what {
            Happening::Fault(fault) => write!(f, "{fault:?}"),
            Happening::Wrote(write) => write!(
                f,
                "maxerror {} µs written, esterror {} µs, real time off by {} ns",
                write.maxerror_us, write.esterror_us, write.error_ns
            ),
            Happening::Woke { slept } => write!(f, "woke, boot time jumps {slept} ns"),
            Happening::Leapt { by } => write!(f, "kernel leapt by {by} s"),
            Happening::RogueGone => f.write_str("slew over"),
        }
    }
}

/// One machine of the world.
#[derive(Debug)]
pub(crate) struct Machinery {
    pub(crate) kernel: Kernel,
    oscillator: Running,
    /// The most that its oscillator will ever be off: daemons have to allow for it.
    oscillator_ppb: i64,
    daemon: Option<RunningDaemon>,
    daemon_config: Option<Daemon>,
    daemon_epoch: u64,
    frozen_until: i64,
    /// Nothing runs before this.
    busy_until: i64,
    asleep: bool,
    pub(crate) refused_until: i64,
    disturbances: u64,
    /// Which slew by another program is in progress.
    rogue: Option<u64>,
    count_plan: u64,
    pub(crate) last_write: Option<(i64, Write)>,
    honest: bool,
    healthy_since: i64,
    sleeps: u64,
    pub(crate) sources: Sources,
    hypervisor: Hypervisor,
    /// What its vmclock says.
    pub(crate) marker: u64,
    pub(crate) counter: RunningCounter,
    /// When it fell asleep.
    asleep_since: i64,
    /// What may still be asked of NTP servers, whatever clock asks.
    pub(crate) budget: Arc<Budget>,
    pub(crate) hardware: Option<HardwareClock>,
}

/// Everything in a world.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: i64,
    pub(crate) axis: Axis,
    pub(crate) random: Random,
    queue: BinaryHeap<Reverse<Scheduled>>,
    next_at: i64,
    sequence: u64,
    pub(crate) notables: BinaryHeap<Reverse<i64>>,
    nodes: Vec<Machinery>,
    pub(crate) time_servers: Vec<TimeServer>,
    pub(crate) preemption: Preemption,
    log: VecDeque<Happened>,
    happenings: u64,
    last_happening: i64,
    pub(crate) short_writes: u64,
    pub(crate) shortest_by_ns: i64,
    pub(crate) writes: u64,
}

impl Core {
    pub(crate) fn add(&mut self, config: NodeConfig) -> usize {
        let index = self.nodes.len();
        let mut oscillator = Running::new(config.oscillator);
        let rate = oscillator.next_rate_ppb(self.now, &mut self.random);
        let real = self
            .axis
            .stepped(self.now)
            .saturating_add(config.real_error_ns);
        let uptime = ns(config.uptime).max(SECOND);
        let tick = ns(config.tick).max(1_000);
        let mut kernel = Kernel::new(self.now, real, uptime, tick, rate);
        if let Some(state) = config.state {
            kernel.adjust(self.now, &state);
        }
        self.nodes.push(Machinery {
            kernel,
            oscillator,
            oscillator_ppb: config.oscillator.limit_ppb,
            daemon: None,
            daemon_config: config.daemon,
            daemon_epoch: 0,
            frozen_until: 0,
            busy_until: 0,
            asleep: false,
            refused_until: 0,
            disturbances: 0,
            rogue: None,
            count_plan: 0,
            last_write: None,
            honest: true,
            healthy_since: NOT_HEALTHY,
            sleeps: 0,
            sources: config.sources,
            hypervisor: config.hypervisor,
            marker: 0,
            counter: RunningCounter::new(config.counter),
            asleep_since: 0,
            budget: Arc::default(),
            hardware: config.hardware,
        });
        self.plan_count(index);
        self.start_daemon(index);
        index
    }

    pub(crate) fn sources(&self, node: usize) -> Sources {
        self.machinery(node)
            .map_or_else(Sources::default, |m| m.sources)
    }

    pub(crate) fn machinery(&self, node: usize) -> Option<&Machinery> {
        self.nodes.get(node)
    }

    pub(crate) fn kernel_of(&self, node: usize) -> Option<&Kernel> {
        self.machinery(node).map(|machine| &machine.kernel)
    }

    pub(crate) fn machinery_mut(&mut self, node: usize) -> Option<&mut Machinery> {
        self.nodes.get_mut(node)
    }

    pub(crate) fn mark(&self, node: usize) -> Mark {
        let machine = self.nodes.get(node);
        Mark {
            now: self.now,
            unix: self.axis.monotone(self.now),
            happenings: self.happenings,
            last_happening: self.last_happening,
            written_at: machine.and_then(|m| m.last_write).map(|(at, _)| at),
            sleeps: machine.map_or(0, |m| m.sleeps),
            healthy_since: machine
                .filter(|m| !self.slept_through_leap(m))
                .map_or(NOT_HEALTHY, |m| m.healthy_since),
            leap: self.axis.leap.is_some(),
            leap_to_come: machine.is_some_and(|m| self.leap_to_come(m)),
        }
    }

    fn leap_to_come(&self, machine: &Machinery) -> bool {
        let deleted = self
            .axis
            .leap
            .is_some_and(|leap| leap.kind == LeapKind::Deleted);
        // The boundary is reckoned as if the second had been counted.
        let due = || {
            let since = self.axis.since_leap(self.now);
            since.is_some_and(|since| (-SECOND..0).contains(&since))
        };
        let steps = |daemon: &RunningDaemon| daemon.config.steps_leap;
        let behind = || {
            let real = machine.kernel.real(self.now);
            self.axis.stepped(self.now).saturating_sub(real) > SECOND / 2
        };
        // Where the counter alone is read, only the next check of the clocks sees the step (A7).
        let unseen = || {
            machine.counter.never_suspends()
                && self.now.saturating_sub(machine.kernel.stepped_at) <= COUNTER_WINDOW
        };
        let steps_it = machine.daemon.as_ref().is_some_and(steps);
        deleted && due() && steps_it && (behind() || unseen())
    }

    /// Returns true if the machine is to sleep, or to be told that it did, some time.
    pub(crate) fn will_sleep(&self, node: usize) -> bool {
        self.queue.iter().any(|Reverse(next)| {
            let sleeps = matches!(
                next.event,
                Event::Fault(Fault::Suspend { .. } | Fault::Pause { .. })
            );
            sleeps && next.node == node
        })
    }

    fn slept_through_leap(&self, machine: &Machinery) -> bool {
        // A kernel that slept across a leap second never makes it, and says that it is at it for as
        // long as the daemon leaves the flag set.
        let recent = -5 * SECOND..120 * SECOND;
        let leap = self.axis.since_leap(self.now);
        machine.sleeps > 0 && leap.is_some_and(|since| recent.contains(&since))
    }

    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        for event in &self.log {
            text.push_str(&event.to_string());
            text.push('\n');
        }
        text
    }

    // --- time ----------------------------------------------------------------------------------

    /// Lets time go by up to `to`, with everything that happens meanwhile.
    pub(crate) fn advance(&mut self, to: i64) {
        while self.next_at <= to {
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now = self.now.max(next.at);
            self.happen(&next);
            self.next_at = self.queue.peek().map_or(i64::MAX, |Reverse(next)| next.at);
        }
        self.now = self.now.max(to);
        while self
            .notables
            .peek()
            .is_some_and(|Reverse(at)| *at <= self.now)
        {
            self.notables.pop();
        }
    }

    /// Waits until the node runs: one that sleeps, or is not run, reads no clocks meanwhile.
    pub(crate) fn wait_while_busy(&mut self, node: usize) {
        while let Some(until) = self.nodes.get(node).map(|n| n.busy_until) {
            if until <= self.now {
                break;
            }
            self.advance(until);
        }
    }

    fn interruption(&mut self) -> i64 {
        let longest = ns(self.preemption.longest);
        if self.random.chance(250_000) {
            let next = self.notables.peek().map(|Reverse(at)| at - self.now);
            if let Some(until) = next.filter(|until| *until < longest) {
                return until + self.random.scattered(1, 1_000_000);
            }
        }
        self.random.scattered(1_000, longest)
    }

    pub(crate) fn plan(&mut self, at: i64, node: usize, event: Event) {
        let at = at.max(self.now);
        let notable = matches!(
            event,
            Event::Fault(_)
                | Event::Wake { .. }
                | Event::Daemon(
                    _,
                    Errand::Reply(_) | Errand::WriteBound { .. } | Errand::Leap
                )
        );
        if notable {
            self.notables.push(Reverse(at));
        }
        self.sequence += 1;
        self.next_at = self.next_at.min(at);
        self.queue.push(Reverse(Scheduled {
            at,
            sequence: self.sequence,
            node,
            event,
        }));
    }

    fn plan_count(&mut self, node: usize) {
        let Some(machine) = self.nodes.get_mut(node) else {
            return;
        };
        machine.count_plan += 1;
        let plan = machine.count_plan;
        if let Some(at) = machine.kernel.next_count() {
            self.plan(at, node, Event::Count(plan));
        }
    }

    fn note(&mut self, node: usize, what: Happening) {
        self.happenings += 1;
        self.last_happening = self.now;
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(Happened {
            at: self.now,
            node,
            what,
        });
    }

    fn happen(&mut self, next: &Scheduled) {
        let now = self.now;
        let Some(machine) = self.nodes.get_mut(next.node) else {
            return;
        };
        let held_until = match next.event {
            Event::Count(_) => machine.busy_until,
            Event::Daemon(..) => machine.busy_until.max(machine.frozen_until),
            // A machine that sleeps has its other troubles when it wakes.
            Event::Fault(_) if machine.asleep => machine.busy_until,
            Event::Fault(_) | Event::Wake { .. } | Event::RogueGone(_) | Event::CounterThaws => now,
        };
        if held_until > now {
            self.plan(held_until, next.node, next.event);
            return;
        }
        match next.event {
            Event::Count(plan) if plan == machine.count_plan => self.count(next.node),
            Event::Count(_) => {}
            Event::Daemon(epoch, errand) if epoch == machine.daemon_epoch => {
                self.run_daemon(next.node, errand);
            }
            Event::Daemon(..) => {}
            Event::Fault(fault) => self.strike(next.node, fault),
            Event::Wake { slept } => self.wake(next.node, slept),
            Event::RogueGone(which) => self.end_rogue(next.node, which),
            Event::CounterThaws => {
                let raw = machine.kernel.raw_fine(now);
                machine.counter.thaw(raw);
            }
        }
    }

    fn count(&mut self, node: usize) {
        // The kernel counts a second of real time; the oscillator's rate changes along with it.
        let Some(machine) = self.nodes.get_mut(node) else {
            return;
        };
        let by = machine.kernel.count_seconds(self.now, &mut self.random);
        let rate = machine.oscillator.next_rate_ppb(self.now, &mut self.random);
        machine.kernel.set_oscillator(self.now, rate);
        if by != 0 {
            self.note(node, Happening::Leapt { by });
        }
        self.plan_count(node);
    }

    // --- daemons -------------------------------------------------------------------------------

    fn start_daemon(&mut self, node: usize) {
        let now = self.now;
        let delay = self.random.between(100_000_000, 2 * SECOND);
        let Some(machine) = self.nodes.get_mut(node) else {
            return;
        };
        machine.daemon_epoch += 1;
        machine.frozen_until = 0;
        let epoch = machine.daemon_epoch;
        machine.honest = machine.daemon_config.as_ref().is_none_or(|daemon| {
            daemon.manner.is_honest() && daemon.servers.iter().all(Server::is_honest)
        });
        machine.daemon = machine.daemon_config.clone().map(RunningDaemon::new);
        if machine.daemon.is_some() {
            self.plan(now + delay, node, Event::Daemon(epoch, Errand::Poll));
        }
    }

    /// Gives a node's daemon the machine it runs on.
    pub(crate) fn with_daemon<T>(
        &mut self,
        node: usize,
        run: impl FnOnce(&mut RunningDaemon, &mut Host<'_>) -> T,
    ) -> Option<T> {
        let machine = self.nodes.get_mut(node)?;
        let mut host = Host {
            now: self.now,
            kernel: &mut machine.kernel,
            axis: &self.axis,
            random: &mut self.random,
            oscillator_ppb: machine.oscillator_ppb,
            disturbances: machine.disturbances,
            rogue: machine.rogue.is_some(),
        };
        Some(run(machine.daemon.as_mut()?, &mut host))
    }

    pub(crate) fn daemon_is_frozen(&self, node: usize) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|machine| machine.frozen_until > self.now)
    }

    fn run_daemon(&mut self, node: usize, errand: Errand) {
        let Some(reaction) = self.with_daemon(node, |daemon, host| daemon.run(errand, host)) else {
            return;
        };
        let epoch = self
            .nodes
            .get(node)
            .map_or(0, |machine| machine.daemon_epoch);
        for (at, errand) in reaction.later {
            self.plan(at, node, Event::Daemon(epoch, errand));
        }
        if let Some(write) = reaction.wrote {
            self.wrote(node, write);
        }
        self.plan_count(node);
    }

    fn wrote(&mut self, node: usize, write: Write) {
        self.writes += 1;
        let now = self.now;
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.last_write = Some((now, write));
            if machine.honest && write.short_by_ns > 0 {
                self.short_writes += 1;
                self.shortest_by_ns = self.shortest_by_ns.max(write.short_by_ns);
            }
            if !machine.honest || write.maxerror_us >= HEALTHY_BOUND_US {
                machine.healthy_since = NOT_HEALTHY;
            } else if machine.healthy_since == NOT_HEALTHY {
                machine.healthy_since = now.max(machine.refused_until);
            }
        }
        self.note(node, Happening::Wrote(write));
    }

    // --- faults --------------------------------------------------------------------------------

    pub(crate) fn strike(&mut self, node: usize, fault: Fault) {
        self.note(node, Happening::Fault(fault));
        let now = self.now;
        let Some(machine) = self.nodes.get_mut(node) else {
            return;
        };
        if matches!(
            fault,
            Fault::StatusRefused { .. } | Fault::DaemonFrozen { .. }
        ) {
            machine.healthy_since = NOT_HEALTHY;
        }
        match fault {
            Fault::Step { by_ns } => {
                machine.disturbances += 1;
                machine.kernel.step(now, by_ns);
            }
            Fault::Slew { rate_ppb, span } => {
                machine.disturbances += 1;
                machine.rogue = Some(machine.disturbances);
                machine.kernel.adjust(now, &rate_adjustment(rate_ppb));
                let which = machine.disturbances;
                self.plan(now.saturating_add(ns(span)), node, Event::RogueGone(which));
            }
            Fault::Suspend { span, wake } => self.suspend(node, span, wake),
            Fault::Pause { span, notice } => match notice {
                Notice::Told => self.suspend(node, span, Wake::Precise),
                Notice::Silent => {
                    // Before anything of the guest's runs again.
                    machine.marker += u64::from(machine.hypervisor == Hypervisor::VmClock);
                    self.sleep(node, span, 0);
                }
                Notice::CounterRan => {
                    machine.disturbances += 1;
                    machine.busy_until = machine.busy_until.max(now.saturating_add(ns(span)));
                }
            },
            Fault::DaemonTerminated => {
                self.with_daemon(node, RunningDaemon::terminate);
                self.kill_daemon(node);
            }
            Fault::DaemonKilled => self.kill_daemon(node),
            Fault::DaemonKilledSlewing { rate_ppb } => {
                let base = machine.daemon.as_ref().map_or(0, RunningDaemon::base_ppb);
                machine
                    .kernel
                    .adjust(now, &rate_adjustment(base + rate_ppb));
                self.kill_daemon(node);
            }
            Fault::DaemonFrozen { span } => {
                machine.frozen_until = machine.frozen_until.max(now.saturating_add(ns(span)));
            }
            Fault::DaemonStarted => {
                self.kill_daemon(node);
                self.start_daemon(node);
            }
            Fault::StatusRefused { span } => {
                machine.refused_until = machine.refused_until.max(now.saturating_add(ns(span)));
            }
            Fault::Failover { server } => {
                if let Some(daemon) = &mut machine.daemon {
                    daemon.turn_to(server);
                    // The new server is asked at once.
                    let epoch = machine.daemon_epoch;
                    self.plan(now, node, Event::Daemon(epoch, Errand::Extra));
                }
            }
            Fault::Oscillator(config) => {
                machine.oscillator = Running::new(config);
                machine.oscillator_ppb = machine.oscillator_ppb.max(config.limit_ppb);
                let rate = machine.oscillator.next_rate_ppb(now, &mut self.random);
                machine.kernel.set_oscillator(now, rate);
            }
            Fault::Counter(fault) => {
                let raw = machine.kernel.raw_fine(now);
                machine.counter.strike(raw, fault);
                if let CounterFault::Freeze { span } = fault {
                    self.plan(now.saturating_add(ns(span)), node, Event::CounterThaws);
                }
            }
        }
        self.plan_count(node);
    }

    fn kill_daemon(&mut self, node: usize) {
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.daemon = None;
            machine.daemon_epoch += 1;
            machine.healthy_since = NOT_HEALTHY;
        }
    }

    fn suspend(&mut self, node: usize, span: Duration, wake: Wake) {
        let slept = match wake {
            Wake::Precise => ns(span),
            Wake::Rtc => (ns(span) + self.random.between(-SECOND, SECOND)).max(0),
        };
        self.sleep(node, span, slept);
    }

    fn sleep(&mut self, node: usize, span: Duration, slept: i64) {
        // Raw and monotonic time stand still; at the end the kernel believes it slept for `slept` ns.
        let now = self.now;
        let Some(machine) = self.nodes.get_mut(node).filter(|machine| !machine.asleep) else {
            return;
        };
        machine.asleep = true;
        machine.asleep_since = now;
        machine.sleeps += 1;
        machine.healthy_since = NOT_HEALTHY;
        machine.disturbances += 1;
        machine.kernel.halt(now);
        let until = now.saturating_add(ns(span));
        machine.busy_until = machine.busy_until.max(until);
        let until = machine.busy_until;
        self.plan(until, node, Event::Wake { slept });
    }

    fn wake(&mut self, node: usize, slept: i64) {
        let now = self.now;
        let Some(machine) = self.nodes.get_mut(node) else {
            return;
        };
        machine.asleep = false;
        machine.healthy_since = NOT_HEALTHY;
        machine.disturbances += 1;
        machine.kernel.resume(now, slept);
        let raw = machine.kernel.raw_fine(now);
        let span = Duration::from_nanos(now.abs_diff(machine.asleep_since));
        machine.counter.wake(raw, now, span);
        self.note(node, Happening::Woke { slept });
        self.plan_count(node);
    }

    fn end_rogue(&mut self, node: usize, which: u64) {
        let now = self.now;
        // If a later slew took its place, that one has an end of its own.
        let Some(machine) = self.nodes.get_mut(node).filter(|m| m.rogue == Some(which)) else {
            return;
        };
        machine.rogue = None;
        machine.disturbances += 1;
        let intended = machine
            .daemon
            .as_ref()
            .map_or(0, RunningDaemon::intended_ppb);
        machine.kernel.adjust(now, &rate_adjustment(intended));
        self.note(node, Happening::RogueGone);
        self.plan_count(node);
    }

    /// Makes one `adjtimex` call from outside.
    pub(crate) fn adjust(&mut self, node: usize, adjustment: &Adjustment) {
        let now = self.now;
        if let Some(machine) = self.nodes.get_mut(node) {
            if adjustment.step.is_some() {
                machine.disturbances += 1;
            }
            machine.kernel.adjust(now, adjustment);
            self.plan_count(node);
        }
    }
}
