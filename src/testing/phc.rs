//! A PTP hardware clock that says what a test tells it to say.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::scripted::ScriptedMachine;
use crate::machine::Machine;
use crate::source::{PhcDevice, PhcReading, PhcRefusal};
use crate::time::TimeDelta;

const SECOND: i64 = 1_000_000_000;

/// What a test does to a reading before the source sees it.
type Edit = Arc<dyn Fn(&mut PhcReading) + Send + Sync>;

/// A [`PhcDevice`] on a scripted machine, whose readings and failures a test sets by hand.
///
/// Handles are cheap to clone and all mean the same device: give one to a
/// [`PhcSource`](crate::source::PhcSource) and keep one. What is set counts from the next reading on.
///
/// At first the device counts UTC, is right, tells a bound of 2 µs, and lets half a microsecond pass before its
/// time is read and half a microsecond after. The readings of raw time on either side cost what the machine's
/// readings cost ([`ScriptedMachine::set_read_cost`]).
///
/// ```
/// use epsilon_clock::TimeDelta;
/// use epsilon_clock::source::{PhcRefusal, PhcSource, Refusal};
/// use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
/// use std::time::Duration;
///
/// let machine = ScriptedMachine::default();
/// let phc = ScriptedPhc::new(machine.clone());
/// phc.set_offset(TimeDelta::from_nanos(-5_000)); // 5 µs behind,
/// phc.set_bound(Some(Duration::from_micros(5))); // as its driver admits
/// let clock = machine.builder().source(PhcSource::of(phc.clone()).manual()).build()?;
/// let now = clock.refresh()?;
/// assert!(now.contains(machine.true_time()));
/// assert!(now.epsilon() < Duration::from_micros(6));
///
/// phc.refuse(PhcRefusal::Failed { errno: 5 });
/// for _ in 0..4 {
///     machine.advance(Duration::from_secs(1));
///     assert!(clock.refresh()?.contains(machine.true_time())); // carried on
/// }
/// let refusal = Refusal::Phc(PhcRefusal::Failed { errno: 5 });
/// assert_eq!(clock.sources()[0].refusal, Some(refusal));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedPhc {
    machine: ScriptedMachine,
    script: Arc<Mutex<Script>>,
}

#[derive(Clone)]
struct Script {
    offset_ns: i64,
    bound_ns: Option<u64>,
    ahead_s: i32,
    delays: (Duration, Duration),
    suspend: Option<Duration>,
    refusal: Option<PhcRefusal>,
    edit: Option<Edit>,
    reads: u64,
}

impl ScriptedPhc {
    /// Creates a device that is right, on this machine.
    #[must_use]
    pub fn new(machine: ScriptedMachine) -> Self {
        let script = Script {
            offset_ns: 0,
            bound_ns: Some(2_000),
            ahead_s: 0,
            delays: (Duration::from_nanos(500), Duration::from_nanos(500)),
            suspend: None,
            refusal: None,
            edit: None,
            reads: 0,
        };
        Self {
            machine,
            script: Arc::new(Mutex::new(script)),
        }
    }

    /// Sets how far the device is ahead of what it should show; negative for behind, 0 at first.
    ///
    /// A device that counts TAI and does not say so is one that is 37 s ahead. Times stay within the nanoseconds
    /// that an `i64` can count.
    ///
    /// ```
    /// # use epsilon_clock::TimeDelta;
    /// # use epsilon_clock::source::{KernelSource, PhcRefusal, PhcSource, Refusal};
    /// # use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// machine.write_maxerror(1_003); // the kernel knows UTC
    /// let phc = ScriptedPhc::new(machine.clone());
    /// phc.set_offset(TimeDelta::from_nanos(37_000_000_000));
    /// let sources = machine.builder().source(PhcSource::of(phc)).source(KernelSource::new());
    /// let clock = sources.build()?;
    /// let refusal = Refusal::Phc(PhcRefusal::LooksLikeTai { ahead_s: 37 });
    /// assert_eq!(clock.sources()[0].refusal, Some(refusal));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_offset(&self, offset: TimeDelta) {
        self.lock().offset_ns = offset.nanos();
    }

    /// Sets the bound that the device tells, or that it tells none; 2 µs at first.
    ///
    /// A bound beyond 584 years is told as that, in nanoseconds the end of an `u64`.
    pub fn set_bound(&self, bound: Option<Duration>) {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.lock().bound_ns = bound.map(nanos);
    }

    /// Makes the device count TAI, this many seconds ahead of UTC, and say so.
    ///
    /// 0, at first, is a device that counts UTC.
    ///
    /// ```
    /// # use epsilon_clock::source::PhcSource;
    /// # use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// let phc = ScriptedPhc::new(machine.clone());
    /// phc.set_tai_offset(37);
    /// let clock = machine.builder().source(PhcSource::of(phc)).build()?;
    /// assert!(clock.now()?.contains(machine.true_time()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_tai_offset(&self, ahead_s: i32) {
        self.lock().ahead_s = ahead_s;
    }

    /// Sets how much true time passes before the device's time is read, and after; 500 ns each at first.
    ///
    /// Both lie between the two raw times of the reading.
    pub fn set_delays(&self, before: Duration, after: Duration) {
        self.lock().delays = (before, after);
    }

    /// Sets how long the machine sleeps in each reading, after the device's time was read; not at all at first.
    ///
    /// ```
    /// # use epsilon_clock::source::{PhcRefusal, PhcSource, Refusal};
    /// # use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// let phc = ScriptedPhc::new(machine.clone());
    /// phc.set_suspend(Some(Duration::from_millis(3)));
    /// let clock = machine.builder().source(PhcSource::of(phc)).build()?;
    /// // Raw time stood still, so that such a reading is not used.
    /// let refusal = Refusal::Phc(PhcRefusal::NotRead);
    /// assert_eq!(clock.sources()[0].refusal, Some(refusal));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_suspend(&self, span: Option<Duration>) {
        self.lock().suspend = span;
    }

    /// Refuses every reading from now on, once the time that it takes has passed.
    pub fn refuse(&self, refusal: PhcRefusal) {
        self.lock().refusal = Some(refusal);
    }

    /// Grants readings again.
    pub fn allow(&self) {
        self.lock().refusal = None;
    }

    /// Runs `edit` on each reading before the source gets it: any figure may be made any other.
    ///
    /// The last edit alone counts, and one that does nothing ends it. It runs when all the time of the reading has
    /// passed, and may call back into the machine or the device. A refused reading has nothing to edit.
    ///
    /// ```
    /// # use epsilon_clock::source::{PhcRefusal, PhcSource, Refusal};
    /// # use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// let phc = ScriptedPhc::new(machine.clone());
    /// // Raw times in reverse order:
    /// phc.edit_readings(|reading| std::mem::swap(&mut reading.before, &mut reading.after));
    /// let clock = machine.builder().source(PhcSource::of(phc.clone())).build()?;
    /// let refusal = Refusal::Phc(PhcRefusal::Inconsistent);
    /// assert_eq!(clock.sources()[0].refusal, Some(refusal));
    /// phc.edit_readings(|_| {});
    /// assert!(clock.refresh()?.contains(machine.true_time()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn edit_readings(&self, edit: impl Fn(&mut PhcReading) + Send + Sync + 'static) {
        self.lock().edit = Some(Arc::new(edit));
    }

    /// Returns how often the device was read, refused readings included.
    ///
    /// ```
    /// # use epsilon_clock::source::PhcSource;
    /// # use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = ScriptedMachine::default();
    /// let phc = ScriptedPhc::new(machine.clone());
    /// let clock = machine.builder().source(PhcSource::of(phc.clone()).manual()).build()?;
    /// let reads = phc.reads();
    /// clock.refresh()?;
    /// assert_eq!(phc.reads(), reads + 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScriptedPhc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.lock().clone();
        f.debug_struct("ScriptedPhc")
            .field("offset_ns", &script.offset_ns)
            .field("bound_ns", &script.bound_ns)
            .field("ahead_s", &script.ahead_s)
            .field("refusal", &script.refusal)
            .field("reads", &script.reads)
            .finish_non_exhaustive()
    }
}

impl PhcDevice for ScriptedPhc {
    fn read(&self, machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
        // What strikes between readings, and an edit, may come back to this device.
        let script = {
            let mut script = self.lock();
            script.reads = script.reads.saturating_add(1);
            script.clone()
        };
        let before = machine.sample().raw;
        self.machine.advance(script.delays.0);
        let utc = self.machine.true_time().unix_nanos();
        self.machine.advance(script.delays.1);
        if let Some(span) = script.suspend {
            self.machine.suspend(span);
        }
        let after = machine.sample().raw;
        if let Some(refusal) = script.refusal {
            return Err(refusal);
        }
        let ahead = i64::from(script.ahead_s).saturating_mul(SECOND);
        let mut reading = PhcReading {
            before,
            device: utc.saturating_add(script.offset_ns).saturating_add(ahead),
            after,
            bound_ns: script.bound_ns,
            ahead_s: script.ahead_s,
        };
        if let Some(edit) = script.edit {
            edit(&mut reading);
        }
        Ok(reading)
    }
}
