//! A machine whose every clock a test sets by hand.
//!
//! Nothing in here reads a real clock or sleeps. True time is known, so a test can check that an
//! interval contains it; and a test can strike between any two readings of a clock, where real
//! machines are preempted, stepped and suspended.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{BuildError, Clock, ClockBuilder};
use crate::machine::{
    Disruption, Identity, Machine, NoCounter, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use crate::source::SyncClaim;
use crate::time::{
    Claim, DEFAULT_MAX_DRIFT_PPB, ErrorBound, Interval, LeapKind, LeapSecond, RateBounds,
    TimeDelta, Timestamp,
};

mod counter;
mod kernel;
mod source;

use counter::Counter;
use kernel::Kernel;
pub use source::ScriptedSource;

const BILLION: i64 = 1_000_000_000;
const SECOND: i64 = BILLION;
const DAY: i64 = 86_400 * SECOND;

/// Rates are kept within ±50 %: beyond that a clock would stand still or run backwards.
const RATE_LIMIT_PPB: i32 = 500_000_000;

/// Raw, monotonic and boot time at the beginning: a machine that is up for a thousand seconds.
const UPTIME: i64 = 1_000 * SECOND;

/// 2026-11-20T05:50:00Z, an hour far from midnight.
const SOME_MORNING: Timestamp = Timestamp::from_unix_nanos(1_795_153_800 * SECOND);

/// Work that a test has lined up.
type Hook = Box<dyn FnOnce(&ScriptedMachine) + Send>;

/// A [`Machine`] whose time, kernel and failures a test sets by hand.
///
/// Handles are cheap to clone and all mean the same machine: give one to a clock and keep one.
/// Time passes only by [`advance`](Self::advance), by the clock's own sleeps and by 20 ns for each
/// reading of a clock ([`set_read_cost`](Self::set_read_cost)).
///
/// The kernel behaves as Linux does: until a daemon (the test) [writes](Self::write_maxerror) it is not
/// synchronised; then `maxerror` grows by 500 µs a few milliseconds after each second boundary of
/// real time, up to 16 s; leap seconds take place at a midnight of real time if they were
/// [announced](Self::announce_leap).
///
/// # Striking between two readings
///
/// [`before_read`](Self::before_read) runs a closure just before the n-th reading of a single clock
/// from now: it may advance, step or suspend the machine, read the clock under test, or block the
/// reading thread for as long as it likes. Coarse and raw time of a sample, the five clocks of a
/// sandwich and a call of `adjtimex` are one reading each.
///
/// # Example
///
/// ```
/// use epsilon_clock::TimeDelta;
/// use epsilon_clock::testing::ScriptedMachine;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = ScriptedMachine::default();
/// machine.write_maxerror(1_003); // the time daemon: at most 1.003 ms off
/// let clock = machine.clock()?;
///
/// machine.before_read(1, |machine| machine.suspend(Duration::from_secs(3600)));
/// machine.step(TimeDelta::from_nanos(-5_000_000_000));
/// machine.advance(Duration::from_secs(1));
/// // Suspended in the middle of a reading: whatever comes back is no false interval.
/// if let Ok(now) = clock.now() {
///     assert!(now.contains(machine.true_time()));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedMachine {
    world: Arc<Mutex<World>>,
}

/// Everything about the machine, and true time.
struct World {
    /// True time as a count of seconds: UTC before any leap second.
    counted: i64,
    /// The leap second that UTC itself has.
    leap: Option<LeapSecond>,
    raw: i64,
    mono: i64,
    /// What the last conversions from true to raw and from raw to monotonic time left over.
    raw_remainder: i128,
    mono_remainder: i128,
    /// Real and boot time less monotonic time.
    real_offset: i64,
    boot_offset: i64,
    drift_ppb: i32,
    slew_ppb: i32,
    hidden_slew_ppb: i32,
    coarse_tick: i64,
    read_cost: i64,
    kernel: Kernel,
    /// The last second of real time whose beginning the kernel has noticed.
    second: i64,
    /// How late the kernel notices.
    lateness: i64,
    /// Coarse time while the processor that keeps time does not run.
    starved: Option<i64>,
    refused: Option<NtpStatusError>,
    /// What an `adjtime` slew has yet to work off, in µs.
    adjtime_us: i64,
    identity: Identity,
    disruption: Disruption,
    clocksource: u64,
    counter: Counter,
    boot_id: Option<u128>,
    reads: u64,
    status_reads: u64,
    slept: Duration,
    /// Work to do before readings, by their number.
    strikes: Vec<(u64, Hook)>,
    /// Work to do at instants of counted true time.
    appointments: Vec<(i64, Hook)>,
}

impl World {
    fn new(start: Timestamp) -> Self {
        let start = start.unix_nanos();
        Self {
            counted: start,
            leap: None,
            raw: UPTIME,
            mono: UPTIME,
            raw_remainder: 0,
            mono_remainder: 0,
            real_offset: start.saturating_sub(UPTIME),
            boot_offset: 0,
            drift_ppb: 0,
            slew_ppb: 0,
            hidden_slew_ppb: 0,
            coarse_tick: 4_000_000,
            read_cost: 20,
            kernel: Kernel::new(),
            second: start.div_euclid(SECOND),
            lateness: 5_000_000,
            starved: None,
            refused: None,
            adjtime_us: 0,
            clocksource: 1,
            counter: Counter::new(),
            boot_id: Some(1),
            identity: Identity {
                pid: 1,
                time_namespace: 1,
            },
            disruption: Disruption::default(),
            reads: 0,
            status_reads: 0,
            slept: Duration::ZERO,
            strikes: Vec::new(),
            appointments: Vec::new(),
        }
    }

    fn real(&self) -> i64 {
        self.mono.saturating_add(self.real_offset)
    }

    fn boot(&self) -> i64 {
        self.mono.saturating_add(self.boot_offset)
    }

    fn coarse(&self) -> i64 {
        if let Some(coarse) = self.starved {
            return coarse;
        }
        // Ticks come by monotonic time, as the kernel's timer does; a step moves coarse time at
        // once.
        let since_tick = self.mono.rem_euclid(self.coarse_tick.max(1));
        self.real().saturating_sub(since_tick)
    }

    fn true_time(&self) -> Timestamp {
        let now = self.counted;
        let on_axis = match self.leap {
            None => now,
            Some(LeapSecond { boundary, kind }) => {
                let boundary = boundary.unix_nanos();
                match kind {
                    LeapKind::Inserted if now >= boundary => {
                        // Stands still at the boundary for the inserted second, then runs a second
                        // behind the count.
                        now.saturating_sub(SECOND).max(boundary)
                    }
                    LeapKind::Deleted if now >= boundary.saturating_sub(SECOND) => {
                        now.saturating_add(SECOND)
                    }
                    LeapKind::Inserted | LeapKind::Deleted => now,
                }
            }
        };
        Timestamp::from_unix_nanos(on_axis)
    }

    fn slew(&self) -> i64 {
        let rate = i64::from(self.slew_ppb) + i64::from(self.hidden_slew_ppb);
        rate.clamp(-i64::from(RATE_LIMIT_PPB), RATE_LIMIT_PPB.into())
    }

    fn advance(&mut self, mut span: i64) {
        while span > 0 {
            // From one second of the kernel's to the next, because each may grow `maxerror` or
            // leap. The kernel notices late, at its next tick.
            let next = self
                .second
                .saturating_add(1)
                .saturating_mul(SECOND)
                .saturating_add(self.lateness);
            if next == i64::MAX || self.starved.is_some() {
                // The end of all time that can be told, or no processor there to notice a second.
                self.glide(span);
                return;
            }
            let until = self.true_span(next.saturating_sub(self.real()));
            let part = span.min(until);
            self.glide(part);
            span -= part;
            if self.real() >= next {
                self.second = self.second.saturating_add(1);
                let leap = self.kernel.second(self.second);
                self.second = self.second.saturating_add(leap);
                self.real_offset = self.real_offset.saturating_add(leap * SECOND);
            }
        }
    }

    /// Returns the true time real time takes to get so far, at least 1 ns and rounded up.
    fn true_span(&self, real: i64) -> i64 {
        let billion = i128::from(BILLION);
        let mono_rate = billion + i128::from(self.slew());
        // Rounded down and one added, so that the second has surely begun when this has passed.
        let raw = (i128::from(real) * billion).div_euclid(mono_rate);
        let span = (raw * (billion + i128::from(self.drift_ppb))).div_euclid(billion) + 1;
        i64::try_from(span.max(1)).unwrap_or(i64::MAX)
    }

    fn glide(&mut self, span: i64) {
        let billion = i128::from(BILLION);
        let true_rate = billion + i128::from(self.drift_ppb);
        // The remainders are carried on: without them a rate of a few ppb would be lost in many
        // short spans.
        let raw = i128::from(span) * billion + self.raw_remainder;
        self.raw_remainder = raw.rem_euclid(true_rate);
        let raw = raw.div_euclid(true_rate);
        let mono = raw * (billion + i128::from(self.slew())) + self.mono_remainder;
        self.mono_remainder = mono.rem_euclid(billion);
        let mono = mono.div_euclid(billion);
        let moved =
            |clock: i64, by: i128| i64::try_from(i128::from(clock) + by).unwrap_or(i64::MAX);
        self.counted = self.counted.saturating_add(span);
        self.raw = moved(self.raw, raw);
        self.mono = moved(self.mono, mono);
    }

    fn move_real(&mut self, by: i64) {
        self.real_offset = self.real_offset.saturating_add(by);
        // Real time was set: the kernel counts its seconds from there, and grows `maxerror` for
        // none of those that were jumped over.
        self.second = self.real().saturating_sub(self.lateness).div_euclid(SECOND);
    }
}

impl Default for ScriptedMachine {
    /// A machine on the morning of 2026-11-20.
    fn default() -> Self {
        Self::new(SOME_MORNING)
    }
}

impl ScriptedMachine {
    /// Creates a machine whose real time is right, at this instant.
    ///
    /// Its kernel has not been synchronised.
    ///
    /// ```
    /// # use epsilon_clock::Timestamp;
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// let start = Timestamp::from_unix_nanos(1_000_000_000);
    /// assert_eq!(ScriptedMachine::new(start).true_time(), start);
    /// ```
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new(start))),
        }
    }

    /// Returns a builder for clocks on this machine.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # fn main() -> Result<(), epsilon_clock::BuildError> {
    /// let clock = ScriptedMachine::default().builder().max_drift_ppb(50_000).build()?;
    /// # drop(clock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(&self) -> ClockBuilder {
        Clock::builder().machine(Arc::new(self.clone()))
    }

    /// Builds a clock on this machine with every setting at its default.
    ///
    /// # Errors
    ///
    /// As [`ClockBuilder::build`], though the defaults give no reason for any.
    pub fn clock(&self) -> Result<Clock, BuildError> {
        self.builder().build()
    }

    // --- what is so ----------------------------------------------------------------------------

    /// Returns UTC as it is, whatever the machine believes.
    #[must_use]
    pub fn true_time(&self) -> Timestamp {
        self.lock().true_time()
    }

    /// Returns the machine's real time, without passing for a reading.
    #[must_use]
    pub fn real_time(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.lock().real())
    }

    /// Returns raw time in ns, without passing for a reading.
    #[must_use]
    pub fn raw_time(&self) -> i64 {
        self.lock().raw
    }

    /// Returns how many readings of a single clock there were.
    ///
    /// `adjtimex` counts as one.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Returns how often the NTP status was asked for.
    #[must_use]
    pub fn status_reads(&self) -> u64 {
        self.lock().status_reads
    }

    /// Returns how long was slept, all threads together.
    #[must_use]
    pub fn slept(&self) -> Duration {
        self.lock().slept
    }

    /// Returns what an honest source would claim: true time ± `epsilon`.
    ///
    /// The claim is carried at ±200 ppm. An `epsilon` that leaves the range of [`Timestamp`] is
    /// taken for 0.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// let machine = ScriptedMachine::default();
    /// let sync = machine.truth(Duration::from_millis(1));
    /// assert!(sync.claim.interval().contains(machine.true_time()));
    /// ```
    #[must_use]
    pub fn truth(&self, epsilon: Duration) -> SyncClaim {
        let world = self.lock();
        let now = world.true_time();
        let interval = Interval::around(now, epsilon).unwrap_or(Interval::point(now));
        let rate = RateBounds::symmetric(DEFAULT_MAX_DRIFT_PPB);
        SyncClaim {
            claim: Claim::new(world.raw, interval, rate),
            bound: ErrorBound {
                reported_ns: u64::try_from(interval.epsilon().as_nanos()).unwrap_or(u64::MAX),
                ..ErrorBound::default()
            },
        }
    }

    // --- time passes ---------------------------------------------------------------------------

    /// Lets so much true time pass; all clocks go along, at the rates that were set.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// let machine = ScriptedMachine::default();
    /// let before = machine.real_time();
    /// machine.set_slew_ppb(1_000_000); // 0.1 %
    /// machine.advance(Duration::from_secs(1));
    /// assert_eq!(machine.real_time().abs_diff(before), Duration::from_micros(1_001_000));
    /// ```
    pub fn advance(&self, span: Duration) {
        let mut left = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        loop {
            let mut world = self.lock();
            let now = world.counted;
            // Up to the next appointment, so that its hook finds the clocks as they are then.
            let due = world.appointments.iter().map(|(at, _)| *at).min();
            let part = due.map_or(left, |at| at.saturating_sub(now).clamp(0, left));
            world.advance(part);
            left -= part;
            let now = world.counted;
            let index = world.appointments.iter().position(|(at, _)| *at <= now);
            let hook = index.map(|index| world.appointments.remove(index).1);
            // The hook may set clocks or read them, which takes the lock.
            drop(world);
            match hook {
                Some(hook) => hook(self),
                None if left == 0 => break,
                None => {}
            }
        }
    }

    /// Runs `hook` once so much true time has passed.
    ///
    /// It runs in the thread that lets the time pass.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// let clock = machine.clock()?;
    /// machine.after(Duration::from_secs(8), |machine| machine.write_maxerror(1_003));
    /// // Returns at once by the real clock, and after eight seconds by the machine's.
    /// clock.wait_until_synchronized(Duration::from_secs(10))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn after(&self, span: Duration, hook: impl FnOnce(&Self) + Send + 'static) {
        let mut world = self.lock();
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let at = world.counted.saturating_add(span);
        world.appointments.push((at, Box::new(hook)));
    }

    /// Runs `hook` before the n-th reading from now, counted from 0.
    ///
    /// Several hooks for the same reading run in the order in which they were given.
    pub fn before_read(&self, n: u64, hook: impl FnOnce(&Self) + Send + 'static) {
        let mut world = self.lock();
        let at = world.reads.saturating_add(n);
        world.strikes.push((at, Box::new(hook)));
    }

    /// Forgets the hooks for readings that did not come.
    pub fn forget_hooks(&self) {
        self.lock().strikes.clear();
    }

    /// Suspends the machine: raw and monotonic time stand still, and the kernel sets real time as
    /// if by a perfect clock. [`step`](Self::step) makes it less perfect.
    pub fn suspend(&self, span: Duration) {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let mut world = self.lock();
        world.counted = world.counted.saturating_add(span);
        // Raw and monotonic time stand still in a suspend; boot time goes on, and real time is set
        // from the RTC.
        world.boot_offset = world.boot_offset.saturating_add(span);
        world.move_real(span);
    }

    /// Pauses the machine as a hypervisor does: none of its clocks moves, and only
    /// [`Machine::disruption`] tells of it.
    ///
    /// ```
    /// # use epsilon_clock::{ClockError, Disturbance};
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// machine.write_maxerror(1_003);
    /// let clock = machine.clock()?;
    /// machine.pause(Duration::from_secs(5));
    /// let cause = Disturbance::Disrupted;
    /// assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self, span: Duration) {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let mut world = self.lock();
        world.counted = world.counted.saturating_add(span);
        // True time passes, and none of the machine's clocks counts it: the marker is all there is
        // to see.
        world.disruption.marker = world.disruption.marker.wrapping_add(1);
    }

    /// Steps real time, and leaves the NTP status as it is: what one call of `adjtimex` that both
    /// steps and writes does, together with [`write_maxerror`](Self::write_maxerror).
    pub fn step(&self, by: TimeDelta) {
        self.lock().move_real(by.nanos());
    }

    /// Steps real time as `date -s` does.
    ///
    /// That makes the kernel forget that it was synchronised.
    ///
    /// ```
    /// # use epsilon_clock::TimeDelta;
    /// # use epsilon_clock::machine::NtpStatus;
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// let machine = ScriptedMachine::default();
    /// machine.write_maxerror(1_003);
    /// machine.set_date(TimeDelta::from_nanos(1));
    /// assert!(machine.status().has(NtpStatus::STA_UNSYNC));
    /// ```
    pub fn set_date(&self, by: TimeDelta) {
        let mut world = self.lock();
        world.move_real(by.nanos());
        // `settimeofday` clears the NTP state; a daemon that steps by `adjtimex` need not.
        world.kernel.clear();
    }

    /// Moves raw time alone: a broken counter.
    ///
    /// The counter that a program may read itself goes on, so that the two come apart.
    pub fn jump_raw(&self, by: TimeDelta) {
        let mut world = self.lock();
        world.counter.raw_jumps(by.nanos());
        world.raw = world.raw.saturating_add(by.nanos());
    }

    /// Moves raw, monotonic and boot time, but not real time: another time namespace.
    pub fn jump_uptime(&self, by: TimeDelta) {
        let mut world = self.lock();
        // What a namespace shifts is not what its machine counts.
        world.counter.raw_jumps(by.nanos());
        world.raw = world.raw.saturating_add(by.nanos());
        world.mono = world.mono.saturating_add(by.nanos());
        // Real time is made of monotonic time, and shall stay where it is.
        world.move_real(by.nanos().saturating_neg());
    }

    // --- the counter ---------------------------------------------------------------------------

    /// Lets programs read the counter that raw time is counted by, or forbids it, from the next look on.
    ///
    /// At first there is none, and readings read raw time. The counter is one of 2.5 GHz; it stands still in
    /// a suspend unless [`run_counter`](Self::run_counter) says that it did not.
    ///
    /// ```
    /// # use epsilon_clock::clock::ReadPath;
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// machine.set_counter(Ok(()));
    /// machine.write_maxerror(1_003);
    /// let clock = machine.clock()?;
    /// machine.advance(Duration::from_millis(1_100));
    /// clock.look()?; // compares it with what the first look saw
    /// assert_eq!(clock.status().path, ReadPath::CounterAndCoarse);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_counter(&self, allowed: Result<(), NoCounter>) {
        self.lock().counter.allowed = allowed;
    }

    /// Sets whether the kernel shows that it never sleeps; it does not at first.
    pub fn set_never_suspends(&self, never: bool) {
        self.lock().counter.never_suspends = never;
    }

    /// Moves the counter alone, by so many counts: 2 500 000 are a millisecond.
    pub fn jump_counter(&self, counts: i64) {
        self.lock().counter.jump(counts);
    }

    /// Sets the counter alone to a count.
    pub fn reset_counter(&self, count: i64) {
        let mut world = self.lock();
        let by = count.wrapping_sub(world.counter.at(world.raw));
        world.counter.jump(by);
    }

    /// Lets the counter go on for so long while all clocks stay where they are: a suspend that it counts.
    pub fn run_counter(&self, span: Duration) {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        self.lock().counter.run_on(span);
    }

    /// Stops the counter for good.
    pub fn freeze_counter(&self) {
        let mut world = self.lock();
        let raw = world.raw;
        world.counter.freeze(raw);
    }

    // --- rates and costs -----------------------------------------------------------------------

    /// Makes the oscillator wrong: a raw second lasts `1 + ppb / 10⁹` true seconds, as assumption A1
    /// counts. Kept within ±50 %.
    pub fn set_drift_ppb(&self, ppb: i32) {
        let mut world = self.lock();
        world.drift_ppb = ppb.clamp(-RATE_LIMIT_PPB, RATE_LIMIT_PPB);
        // It counted parts of another rate.
        world.raw_remainder = 0;
    }

    /// Slews real and monotonic time against raw time.
    ///
    /// As the tick and the frequency in the NTP status then say. Kept within ±50 %.
    ///
    /// ```
    /// # use epsilon_clock::machine::NtpStatus;
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// let machine = ScriptedMachine::default();
    /// machine.set_slew_ppb(-83_333_000); // chrony's fastest
    /// let status = machine.status();
    /// assert_eq!((status.tick, status.freq), (9_167, -2_162_688)); // −83 300 ppm − 33 ppm
    /// ```
    pub fn set_slew_ppb(&self, ppb: i32) {
        let mut world = self.lock();
        let ppb = ppb.clamp(-RATE_LIMIT_PPB, RATE_LIMIT_PPB);
        world.slew_ppb = ppb;
        // A µs of tick is 100 ppm; the frequency counts 2⁻¹⁶ ppm.
        world.kernel.status.tick = NtpStatus::NOMINAL_TICK + i64::from(ppb / 100_000);
        world.kernel.status.freq = i64::from(ppb % 100_000) * 65_536 / 1_000;
    }

    /// Slews real and monotonic time without the status showing it.
    ///
    /// As `adjtime` and the PLL do: tick and frequency stay. Kept within ±50 %.
    pub fn set_hidden_slew_ppb(&self, ppb: i32) {
        self.lock().hidden_slew_ppb = ppb.clamp(-RATE_LIMIT_PPB, RATE_LIMIT_PPB);
    }

    /// Sets how often coarse real time moves; 4 ms by default.
    pub fn set_coarse_tick(&self, tick: Duration) {
        self.lock().coarse_tick = i64::try_from(tick.as_nanos()).unwrap_or(i64::MAX);
    }

    /// Sets the true time that a reading takes; 20 ns by default.
    pub fn set_read_cost(&self, cost: Duration) {
        self.lock().read_cost = i64::try_from(cost.as_nanos()).unwrap_or(i64::MAX);
    }

    /// Sets the process and time namespace of the readings from now on.
    pub fn set_identity(&self, identity: Identity) {
        self.lock().identity = identity;
    }

    /// Sets the counter of raw time from now on; 1 at first.
    pub fn set_clocksource(&self, clocksource: u64) {
        self.lock().clocksource = clocksource;
    }

    /// Sets the number of the kernel's boot from now on; 1 at first. Clocks stay as they are.
    pub fn set_boot_id(&self, boot_id: Option<u128>) {
        self.lock().boot_id = boot_id;
    }

    // --- the kernel ----------------------------------------------------------------------------

    /// Returns the NTP status, without passing for a reading.
    #[must_use]
    pub fn status(&self) -> NtpStatus {
        self.lock().kernel.reply()
    }

    /// Makes the kernel reply just this, leap state included; rates stay as they were.
    ///
    /// `maxerror` goes on to grow from there.
    pub fn set_status(&self, status: NtpStatus) {
        self.lock().kernel.set(status);
    }

    /// Changes the NTP status as a daemon does: whatever it leaves alone stays, and the kernel
    /// replies its own leap state.
    ///
    /// ```
    /// # use epsilon_clock::machine::NtpStatus;
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// let machine = ScriptedMachine::default();
    /// machine.edit_status(|status| {
    ///     status.maxerror = 0; // systemd-timesyncd
    ///     status.esterror = 0;
    ///     status.status = NtpStatus::STA_PLL;
    /// });
    /// assert_eq!(machine.status().state, NtpStatus::TIME_OK);
    /// ```
    pub fn edit_status(&self, edit: impl FnOnce(&mut NtpStatus)) {
        let mut world = self.lock();
        edit(&mut world.kernel.status);
        world.kernel.written();
    }

    /// Writes a bound in µs as chrony does on a quiet network, where its estimated error rounds to 0.
    ///
    /// A multiple of 500 is what writers without a bound leave behind, and arouses suspicion.
    pub fn write_maxerror(&self, maxerror_us: i64) {
        self.write_bound(maxerror_us, 0);
    }

    /// Writes a bound and the estimated error beside it, both in µs, as chrony does.
    pub fn write_bound(&self, maxerror_us: i64, esterror_us: i64) {
        self.edit_status(|status| {
            status.maxerror = maxerror_us;
            status.esterror = esterror_us;
            status.status &= !NtpStatus::STA_UNSYNC;
        });
    }

    /// Has the kernel say that so much of an `adjtime` slew is left, in µs; it slews nothing itself.
    pub fn set_adjtime_remaining(&self, micros: i64) {
        self.lock().adjtime_us = micros;
    }

    /// Lets `maxerror` stay where it is put.
    pub fn stop_growth(&self) {
        self.lock().kernel.stop_growth();
    }

    /// Sets how late the kernel notices a second; 5 ms by default.
    pub fn set_lateness(&self, lateness: Duration) {
        let mut world = self.lock();
        world.lateness = i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX);
        world.move_real(0);
    }

    /// Keeps the timekeeping processor from running, as hosts do.
    ///
    /// Coarse time and the kernel's seconds stand still, all other clocks go on.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use std::time::Duration;
    /// let machine = ScriptedMachine::default();
    /// machine.write_maxerror(1_003);
    /// machine.starve_timekeeper();
    /// machine.advance(Duration::from_secs(10));
    /// assert_eq!(machine.status().maxerror, 1_003);
    /// machine.feed_timekeeper();
    /// machine.advance(Duration::from_millis(10));
    /// assert_eq!(machine.status().maxerror, 6_003);
    /// ```
    pub fn starve_timekeeper(&self) {
        let mut world = self.lock();
        world.starved = Some(world.coarse());
    }

    /// Lets the processor that keeps time run again: it makes up for what it missed.
    pub fn feed_timekeeper(&self) {
        self.lock().starved = None;
    }

    /// Refuses the NTP status from now on.
    pub fn refuse(&self, error: NtpStatusError) {
        self.lock().refused = Some(error);
    }

    /// Grants the NTP status again.
    pub fn allow(&self) {
        self.lock().refused = None;
    }

    /// Announces a leap second to the kernel, as daemons do.
    ///
    /// The kernel leaps at the end of the UTC day by its own real time. UTC itself only leaps if
    /// told to by [`schedule_leap`](Self::schedule_leap).
    pub fn announce_leap(&self, kind: LeapKind) {
        // The kernel leaps by its flag, at the end of the UTC day by its own real time.
        self.lock().kernel.flag_leap(Some(kind));
    }

    /// Clears the flags of [`announce_leap`](Self::announce_leap).
    pub fn withdraw_leap(&self) {
        self.lock().kernel.flag_leap(None);
    }

    /// Gives UTC a leap second at the day's end; returns the boundary.
    ///
    /// ```
    /// # use epsilon_clock::testing::ScriptedMachine;
    /// # use epsilon_clock::time::LeapKind;
    /// # use std::time::Duration;
    /// let machine = ScriptedMachine::new("2016-12-31T23:59:59.500000000Z".parse().unwrap());
    /// let midnight = machine.schedule_leap(LeapKind::Inserted);
    /// machine.advance(Duration::from_millis(700));
    /// assert_eq!(machine.true_time(), midnight); // for a whole second
    /// ```
    #[allow(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn schedule_leap(&self, kind: LeapKind) -> Timestamp {
        let mut world = self.lock();
        // Leap seconds come at a midnight of UTC; this machine is not particular about the month.
        let day = world.counted.div_euclid(DAY).saturating_add(1);
        let boundary = Timestamp::from_unix_nanos(day.saturating_mul(DAY));
        world.leap = Some(LeapSecond { boundary, kind });
        boundary
    }

    // --- reading -------------------------------------------------------------------------------

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_one<T>(&self, read: impl FnOnce(&mut World) -> T) -> T {
        loop {
            let mut world = self.lock();
            let number = world.reads;
            // Hooks strike before the reading, where real machines are preempted.
            let due = world.strikes.iter().position(|(at, _)| *at <= number);
            let Some(index) = due else {
                world.reads = number.saturating_add(1);
                let cost = world.read_cost;
                if world.appointments.is_empty() {
                    world.advance(cost);
                    return read(&mut world);
                }
                drop(world);
                self.advance(Duration::from_nanos(cost.max(0).unsigned_abs()));
                return read(&mut self.lock());
            };
            let hook = world.strikes.remove(index).1;
            // The hook may read this machine, or the clock that is reading it just now.
            drop(world);
            hook(self);
        }
    }
}

impl fmt::Debug for ScriptedMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.lock();
        f.debug_struct("ScriptedMachine")
            .field("true_time", &world.true_time())
            .field("real", &world.real())
            .field("raw", &world.raw)
            .field("status", &world.kernel.reply())
            .finish_non_exhaustive()
    }
}

impl Machine for ScriptedMachine {
    fn sample(&self) -> Sample {
        let coarse = self.read_one(|world| world.coarse());
        let raw = self.read_one(|world| world.raw);
        Sample { coarse, raw }
    }

    fn sandwich(&self) -> Sandwich {
        let mono_before = self.read_one(|world| world.mono);
        let boot = self.read_one(|world| world.boot());
        let real = self.read_one(|world| world.real());
        let raw = self.read_one(|world| world.raw);
        let mono_after = self.read_one(|world| world.mono);
        Sandwich {
            mono_before,
            boot,
            real,
            raw,
            mono_after,
        }
    }

    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        self.read_one(|world| {
            world.status_reads = world.status_reads.saturating_add(1);
            world.refused.map_or(Ok(world.kernel.reply()), Err)
        })
    }

    fn adjtime_remaining(&self) -> Result<i64, NtpStatusError> {
        let world = self.lock();
        world.refused.map_or(Ok(world.adjtime_us), Err)
    }

    fn disruption(&self) -> Option<Disruption> {
        Some(self.lock().disruption)
    }

    fn coarse_tick(&self) -> Duration {
        Duration::from_nanos(self.lock().coarse_tick.max(1).unsigned_abs())
    }

    fn identity(&self) -> Identity {
        self.lock().identity
    }

    fn clocksource(&self) -> u64 {
        self.lock().clocksource
    }

    fn counter_instructions(&self) -> Option<&'static str> {
        Some("scripted")
    }

    fn counter(&self) -> Result<(), NoCounter> {
        self.lock().counter.allowed
    }

    fn count(&self) -> i64 {
        self.read_one(|world| world.counter.at(world.raw))
    }

    fn never_suspends(&self) -> bool {
        self.lock().counter.never_suspends
    }

    fn boot_id(&self) -> Option<u128> {
        self.lock().boot_id
    }

    fn sleep(&self, span: Duration) {
        {
            let mut world = self.lock();
            world.slept = world.slept.saturating_add(span);
        }
        self.advance(span);
        // A background thread must not keep the others from running.
        std::thread::yield_now();
    }
}
