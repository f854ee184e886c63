//! How a clock is put together.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use super::Clock;
use super::policy::{DriftLearning, Policy, RefreshPolicy};
use super::shared::Shared;
use super::state::MAX_SOURCES;
use super::stripes::Striping;
use crate::clock::error::BuildError;
use crate::machine::{AnyMachine, Machine, SystemMachine};
use crate::source::{ChronySource, KernelSource, Source};

use Setting::{Ppb, Span};

/// The most that `max_drift_ppb` may be: 10 %, what the kernel's own tick can be set off by.
const MAX_DRIFT_LIMIT_PPB: u32 = 100_000_000;

/// The longest span that a setting may name; a year is more than any of them can need.
const SPAN_LIMIT: Duration = Duration::from_secs(366 * 86_400);

/// Checks come at least this often: until the next one a suspend of an eighth of it can hide.
const GUARD_INTERVAL_LIMIT: Duration = Duration::from_secs(1);

/// A look takes some 10 µs, so more often than this it would be all a caller does.
const SHORTEST_INTERVAL: Duration = Duration::from_micros(10);

/// Where Linux puts a hypervisor's vmclock device.
const DEFAULT_VMCLOCK: &str = "/dev/vmclock0";

/// Puts a [`Clock`] together; every setting has a default and a reason for it.
///
/// ```
/// use epsilon_clock::Clock;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::builder()
///     .max_drift_ppb(50_000) // a disciplined server in an air-conditioned hall
///     .max_error(Duration::from_millis(10))
///     .build()?;
/// # drop(clock);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClockBuilder {
    policy: Policy,
    vmclock: Option<PathBuf>,
    machine: Option<Arc<dyn Machine>>,
}

impl Clock {
    /// Builds the clock of this machine, with every setting at its default.
    ///
    /// It asks the kernel and, in a thread of its own, once a second a chronyd on this machine; where
    /// none answers that is no error. To go without, name the sources:
    /// [`ClockBuilder::source`].
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the machine lacks the clocks that are needed. A machine that is not
    /// synchronised is no error yet.
    ///
    /// ```
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = epsilon_clock::Clock::system()?;
    /// println!("{}", clock.read()); // never fails: `… ±1.204ms`, or `… ±?`
    /// # Ok(())
    /// # }
    /// ```
    pub fn system() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Starts putting a clock together.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = Clock::builder().max_drift_ppb(50_000).build()?;
    /// # drop(clock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ClockBuilder {
        ClockBuilder::default()
    }
}

impl Default for ClockBuilder {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            vmclock: Some(DEFAULT_VMCLOCK.into()),
            machine: None,
        }
    }
}

impl ClockBuilder {
    /// Sets how far true time may run from raw time, in parts per billion (A1).
    ///
    /// From 1 to 100 000 000; by default 200 000, which is 200 ppm: it covers an undisciplined
    /// oscillator of ±100 ppm, stays under the 500 ppm by which the kernel lets its own bound grow,
    /// and is what Spanner applies. If it is less than the oscillator's true error the intervals
    /// are false; the clock notices when two writes a minute apart exclude it.
    pub const fn max_drift_ppb(mut self, ppb: u32) -> Self {
        self.policy.max_drift_ppb = ppb;
        self
    }

    /// Sets the width of the band that the oscillator's rate stays in, in parts per billion (A1,
    /// second half): over the 2000 s that the clock learns from, and until `max_age` after them.
    ///
    /// From 1 to 100 000 000; by default 50 000, which is 50 ppm. It matters only with
    /// [`DriftLearning::FromWrites`], and is charged on both sides of what the writes prove.
    ///
    /// # Why 50 ppm
    ///
    /// What moves a crystal within an hour or two is its temperature. The usual AT cut follows a
    /// cubic curve: its makers promise ±20 to ±50 ppm over the whole range from −40 °C (or −20 °C)
    /// to 85 °C (70 °C), around the flat part near room temperature it moves by a few tenths of a ppm
    /// for each kelvin, and by one or so at 60 °C. A data centre's supply air is held to about
    /// 18 to 27 °C; a board's own load adds 20 to 40 K, so that a machine that goes from idle to full
    /// load moves by 5 to 20 ppm. 50 ppm leaves a factor of two and a half. Ageing (a few ppm
    /// a year) does not count on this scale. An oscillator that is compensated or sits in an oven
    /// (TCXO, OCXO) needs a tenth of it or less; one outdoors or in a vehicle may need 100 ppm.
    ///
    /// # If it is false
    ///
    /// Then intervals can be false. The clock notices as soon as two writes exclude every such band:
    /// it reports [`Contradicted`](crate::ClockError::Contradicted), forgets what it learned, and
    /// starts again from ±`max_drift` once successive writes agree.
    pub const fn max_wander_ppb(mut self, ppb: u32) -> Self {
        self.policy.max_wander_ppb = ppb;
        self
    }

    /// Sets whether the clock learns the oscillator's rate from writes; by default it does.
    ///
    /// What was learned is in [`Status::learned`](crate::Status::learned).
    ///
    /// While it learns, each look also reads which clock source the kernel uses (a file in `/sys`,
    /// some 5 µs), as another one would run at another rate. A process that must not open files
    /// chooses [`RefreshPolicy::Background`] before it locks itself up, or [`DriftLearning::Off`] and
    /// [`without_counter`](Self::without_counter).
    pub const fn drift_learning(mut self, learning: DriftLearning) -> Self {
        self.policy.learning = learning;
        self
    }

    /// Sets what a daemon's figure may fall short by when it is written (A2).
    ///
    /// Up to a year; by default 200 µs. chrony's dispersion is a statistical figure: in recorded
    /// runs up to 0.6 % of samples exceeded it under extreme wander, none by more than this.
    pub const fn daemon_margin(mut self, margin: Duration) -> Self {
        self.policy.daemon_margin = margin;
        self
    }

    /// Sets how fast the oscillator may wander from chronyd's forecast, in parts per billion (A2).
    ///
    /// From 0 to 100 000 000; by default 15 000, NTP's own 15 ppm. A report of chronyd is a forecast:
    /// between its updates it grows by the skew that it knows of and 1 ppm, so a rate that changed
    /// since does not show. Each report is charged this much for each second since the update.
    pub const fn report_wander_ppb(mut self, ppb: u32) -> Self {
        self.policy.report_wander_ppb = ppb;
        self
    }

    /// Sets how often the sources are looked at.
    ///
    /// From 10 µs to a year; by default 250 ms. Each look costs one caller some 10 µs, and
    /// a write that is seen so much later widens its claim by `max_drift` times the delay: 50 µs.
    pub const fn look_interval(mut self, interval: Duration) -> Self {
        self.policy.look_interval = interval;
        self
    }

    /// Sets how often the machine's clocks are compared for suspends and steps.
    ///
    /// From 10 µs to 1 s, and never less often than `look_interval`; by default 10 ms, which costs
    /// a tenth of a microsecond a hundred times a second. In between, a suspend is seen by coarse
    /// real time running ahead, unless it is shorter than this, an eighth of this and a tick (A3).
    pub const fn guard_interval(mut self, interval: Duration) -> Self {
        self.policy.guard_interval = interval;
        self
    }

    /// Sets who looks at the sources; by default callers that read the clock.
    pub const fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy.refresh = policy;
        self
    }

    /// Sets the largest epsilon of an interval; beyond it readings are errors.
    ///
    /// Up to a year; by default 500 ms, the customary limit on clock offsets in databases such as
    /// CockroachDB.
    pub const fn max_error(mut self, epsilon: Duration) -> Self {
        self.policy.max_error = epsilon;
        self
    }

    /// Sets how long a claim is carried on when no other comes.
    ///
    /// Up to a year; by default an hour, more than three of the longest polls (1024 s) that chrony
    /// and ntpd make.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.policy.max_age = age;
        self
    }

    /// Vouches for the machine's clock to within `error`, where no source reports a bound.
    ///
    /// Above 0 and up to `max_error`; by default nothing is vouched for. It never narrows what an honest
    /// source reports, and is never mixed with it. A step or a suspend breaks the assumption:
    /// readings are errors until [`Clock::vouch`] is called.
    ///
    /// Where the kernel's figure may be an honest daemon's or mean nothing
    /// ([`Awaiting::Suspicious`](crate::source::Awaiting::Suspicious)), it serves if an honest one would lie within
    /// `error`, or if it served before; otherwise from the next write on.
    pub const fn assume_error(mut self, error: Duration) -> Self {
        self.policy.assume_error = Some(error);
        self
    }

    /// Lets a bound count although the kernel flags its clock as unsynchronised.
    ///
    /// chrony without `rtcsync` leaves that flag set over an honest bound; so does a writer that
    /// merely forgot to clear it. By default such a bound is an error that says so.
    pub const fn accept_unsync_flag(mut self) -> Self {
        self.policy.accept_unsync_flag = true;
        self
    }

    /// Adds a source, up to four.
    ///
    /// If none is named: the kernel's NTP status, and beside it on the real machine chronyd's own
    /// report, where there is a chronyd that answers. Naming sources leaves out the others; where two
    /// say equally much the first one serves.
    ///
    /// Claims of several sources must agree, or every reading is an error
    /// ([`ClockError::Contradicted`](crate::ClockError::Contradicted)). The narrowest serves, of those
    /// that vouch now.
    ///
    /// ```
    /// use epsilon_clock::Clock;
    /// use epsilon_clock::source::KernelSource;
    ///
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// // Opens no socket and starts no thread.
    /// let clock = Clock::builder().source(KernelSource::new()).build()?;
    /// # drop(clock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn source(mut self, source: impl Source + 'static) -> Self {
        self.policy.sources.push(Arc::new(source));
        self
    }

    /// Watches this vmclock device, in which a hypervisor tells of pauses, migrations and snapshots.
    ///
    /// By default it is `/dev/vmclock0`, if there is one. Each reading then compares two words of it,
    /// which costs some 4 ns, and every claim is void once they change
    /// ([`Disturbance::Disrupted`](crate::Disturbance::Disrupted)). What became of it is in
    /// [`Status::vmclock`](crate::Status::vmclock): a device that is missing, or that this process may
    /// not open, is no error. Of no use with another [`machine`](Self::machine).
    ///
    /// A file in its place must not be cut short while the clock lives.
    pub fn vmclock(mut self, path: impl Into<PathBuf>) -> Self {
        self.vmclock = Some(path.into());
        self
    }

    /// Watches no vmclock device: assumption A3 is then taken on trust.
    pub fn without_vmclock(mut self) -> Self {
        self.vmclock = None;
        self
    }

    /// Reads raw time through the kernel alone, and never the counter that it is counted by.
    ///
    /// By default a reading reads the counter itself where that is sound (assumption A6): the kernel's
    /// clocksource is the architecture's own (`tsc`, `arch_sys_counter`), the processor calls it invariant
    /// and has an ordered read of it, it is not Xen's, a read costs less than one of raw time, and a look
    /// comes at least twice a second. Which clocks are read is in [`Status::path`](crate::Status::path).
    ///
    /// Each look then reads which clocksource the kernel uses, a file in `/sys`, unless this is chosen.
    pub const fn without_counter(mut self) -> Self {
        self.policy.counter = false;
        self
    }

    /// Vouches that the machine never sleeps while the clock lives: no suspend, no hibernation (A7).
    ///
    /// Where the counter is read, coarse real time is then read once a millisecond instead of each time. By
    /// default that is so only where the kernel shows that it was built without any kind of sleep. If it is
    /// false, readings within a millisecond of waking up can be false, and what raw time shows no longer
    /// shows at once: steps and leap seconds are seen a millisecond late.
    pub const fn never_suspends(mut self) -> Self {
        self.policy.never_suspends = Some(true);
        self
    }

    /// Reads coarse real time at each reading, also where the kernel shows that it has no sleep.
    ///
    /// Does without assumption A7, for a tenth to a quarter of a bare clock read.
    pub const fn always_read_coarse(mut self) -> Self {
        self.policy.never_suspends = Some(false);
        self
    }

    /// Sets whether threads draw commit timestamps without a shared word.
    ///
    /// By default they do not. Where they do, [`begin_commit`](Clock::begin_commit) rounds `latest` up to the next
    /// 4 to 64 ns, by the number of processors, and adds the processor's number: a timestamp up to 128 ns later. What
    /// uniqueness and order rest on then is told at [`Striping`].
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::clock::Striping;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::builder().striping(Striping::OnContention).build()?;
    /// # drop(clock);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn striping(mut self, striping: Striping) -> Self {
        self.policy.striping = striping;
        self
    }

    /// Reads another machine than the one this process runs on: a simulated or scripted one.
    pub fn machine(mut self, machine: Arc<dyn Machine>) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Builds the clock and looks at its sources once.
    ///
    /// A machine that is not synchronised is no error here: the clock starts to give intervals once
    /// it is.
    ///
    /// # Errors
    ///
    /// [`BuildError`] for a setting out of its range, a machine without the clocks that are needed,
    /// or a background thread that could not be started.
    pub fn build(mut self) -> Result<Clock, BuildError> {
        self.check()?;
        let named = !self.policy.sources.is_empty();
        if !named {
            self.policy.sources = self.default_sources();
        }
        let machine = match self.machine {
            Some(machine) => AnyMachine::Other(machine),
            None => {
                let system = SystemMachine::new();
                let system = system.map_err(|clock| BuildError::MissingClock { clock })?;
                AnyMachine::System(match &self.vmclock {
                    Some(path) => system.with_vmclock(path),
                    None => system,
                })
            }
        };
        for source in &self.policy.sources {
            let checked = source.check(machine.as_dyn());
            checked.map_err(|reason| BuildError::Source {
                source_name: source.name(),
                reason: reason.to_string(),
            })?;
            self.policy.steps_may_be_suspends |=
                source.takes_steps_for_suspends() && !machine.as_dyn().tells_suspends();
        }
        let refresh = self.policy.refresh;
        let shared = Arc::new(Shared::new(machine, self.policy));
        if refresh != RefreshPolicy::Manual {
            match super::threads::start_asking(&shared, named) {
                // The caller did not name it: then the kernel has to do.
                Err(_) if !named => {}
                started => started?,
            }
            for (index, _) in shared.refresh_intervals() {
                shared.refresh_one(index);
            }
        }
        shared.look();
        if refresh == RefreshPolicy::Background {
            super::threads::start_looking(&shared)?;
        }
        Ok(Clock { shared })
    }

    /// Returns true if a source was named, so that a test's own default does not join it.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn names_sources(&self) -> bool {
        !self.policy.sources.is_empty()
    }

    fn default_sources(&self) -> Vec<Arc<dyn Source>> {
        match self.machine {
            // Where any process may bind chronyd's port, what answers there need not be chronyd.
            None if !SystemMachine::protects_port(ChronySource::PORT) => {
                vec![Arc::new(KernelSource::new())]
            }
            None => vec![Arc::new(KernelSource::new()), Arc::new(ChronySource::new())],
            // What answers on this machine's command port knows nothing of another machine.
            Some(_) => vec![Arc::new(KernelSource::new())],
        }
    }

    fn check(&self) -> Result<(), BuildError> {
        let Policy {
            max_drift_ppb,
            max_wander_ppb,
            daemon_margin,
            report_wander_ppb,
            look_interval,
            guard_interval,
            max_error,
            max_age,
            assume_error,
            ..
        } = self.policy;
        let rate = Ppb(1)..=Ppb(MAX_DRIFT_LIMIT_PPB);
        let up_to = |most| Span(Duration::from_nanos(1))..=Span(most);
        let rarely = |most| Span(SHORTEST_INTERVAL)..=Span(most);
        let year = SPAN_LIMIT;
        let ppb = "from 1 to 100000000 ppb";
        let some = "more than nothing, and at most a year";
        let below_max = format!("more than nothing, and at most max_error, which is {max_error:?}");
        #[rustfmt::skip]
        let settings = [
            ("max_drift_ppb", Some(Ppb(max_drift_ppb)), rate.clone(), ppb),
            ("max_wander_ppb", Some(Ppb(max_wander_ppb)), rate, ppb),
            ("report_wander_ppb", Some(Ppb(report_wander_ppb)), Ppb(0)..=Ppb(MAX_DRIFT_LIMIT_PPB), "at most 100000000 ppb"),
            ("daemon_margin", Some(Span(daemon_margin)), Span(Duration::ZERO)..=Span(year), "at most a year"),
            ("max_error", Some(Span(max_error)), up_to(year), some),
            ("max_age", Some(Span(max_age)), up_to(year), some),
            ("look_interval", Some(Span(look_interval)), rarely(year), "from 10 µs to a year"),
            ("guard_interval", Some(Span(guard_interval)), rarely(GUARD_INTERVAL_LIMIT), "from 10 µs to 1 s"),
            ("assume_error", assume_error.map(Span), up_to(max_error), below_max.as_str()),
        ];
        for (setting, value, range, allowed) in settings {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                return Err(BuildError::Setting {
                    setting,
                    value: value.to_string(),
                    allowed: allowed.to_owned(),
                });
            }
        }
        let given = self.policy.sources.len();
        if given > MAX_SOURCES {
            let limit = MAX_SOURCES;
            return Err(BuildError::TooManySources { given, limit });
        }
        Ok(())
    }
}

/// A setting's value; each is compared with its own kind only.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Setting {
    Ppb(u32),
    Span(Duration),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ppb(ppb) => ppb.fmt(f),
            Span(span) => fmt::Debug::fmt(span, f),
        }
    }
}
