//! Where the thread that reads the device leaves the reading for the thread that looks.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use super::device::{PhcDevice, PhcReading};
use super::refusal::PhcRefusal;
use crate::machine::{Disruption, Identity, Machine, OffsetRange, ReadingCost, sharp_sandwich};

/// How often the thread that reads tries to get at the mailbox, a tenth of a millisecond apart. Not for ever: in
/// a forked child a thread may hold it that is not there.
const PATIENCE: u32 = 50;

/// What raw time depends on, beside suspends: nothing of it may change while a reading is carried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    disruption: Disruption,
    identity: Identity,
}

impl Surroundings {
    /// Returns them; `None` while the hypervisor changes what it tells.
    pub(super) fn of(machine: &dyn Machine) -> Option<Self> {
        Some(Self {
            disruption: machine.disruption()?,
            identity: machine.identity(),
        })
    }
}

/// A reading, and what it depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) reading: PhcReading,
    /// Boot time less monotonic time before it.
    pub(super) boot_offset: OffsetRange,
    pub(super) surroundings: Surroundings,
}

/// What is in the mailbox.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    pub(super) last: Option<Read>,
    /// Counts the readings, from 1.
    pub(super) serial: i64,
    /// Why the last attempt came to nothing, if it did.
    pub(super) refusal: Option<PhcRefusal>,
}

/// The mailbox; a look never waits for it.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    contents: Mutex<Contents>,
}

impl Mailbox {
    /// Returns what is in it; `None` while something is being put in.
    pub(super) fn open(&self) -> Option<Contents> {
        self.try_lock().map(|contents| *contents)
    }

    /// Keeps it shut for as long as what is returned lives.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Drop + '_ {
        self.contents.lock().unwrap()
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Contents>> {
        match self.contents.try_lock() {
            Ok(contents) => Some(contents),
            // No holder panics with it in hand, and what is in it is whole at any time.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Reads the device, and puts in what it said if nothing happened to the clocks meanwhile.
    pub(super) fn refresh(&self, device: &dyn PhcDevice, machine: &dyn Machine) {
        let read = if machine.tells_suspends() {
            read(device, machine)
        } else {
            Err(Some(PhcRefusal::NoSuspendClock))
        };
        for _ in 0..PATIENCE {
            if let Some(mut contents) = self.try_lock() {
                match read {
                    Ok(read) => {
                        contents.last = Some(read);
                        contents.serial = contents.serial.saturating_add(1);
                        contents.refusal = None;
                    }
                    Err(Some(refusal)) => contents.refusal = Some(refusal),
                    // Disturbed: the reading before it grows old.
                    Err(None) => {}
                }
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Reads the device between two comparisons of the clocks; no refusal where these were disturbed.
fn read(device: &dyn PhcDevice, machine: &dyn Machine) -> Result<Read, Option<PhcRefusal>> {
    let surroundings = Surroundings::of(machine).ok_or(None)?;
    let before = sharp_sandwich(machine, ReadingCost::UNKNOWN);
    let reading = device.read(machine).map_err(Some)?;
    let after = sharp_sandwich(machine, ReadingCost::UNKNOWN);
    let boot_offset = before.boot_offset();
    let slept = boot_offset.moved_to(&after.boot_offset()) != 0;
    if slept || Surroundings::of(machine) != Some(surroundings) {
        return Err(None);
    }
    let in_order = before.raw <= reading.before
        && reading.before <= reading.after
        && reading.after <= after.raw;
    if !in_order {
        return Err(Some(PhcRefusal::Inconsistent));
    }
    Ok(Read {
        reading,
        boot_offset,
        surroundings,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::machine::SystemMachine;

    /// Says when it is read, right after which the mailbox is tried.
    #[derive(Debug)]
    struct Missing(Barrier);

    impl PhcDevice for Missing {
        fn read(&self, _machine: &dyn Machine) -> Result<PhcReading, PhcRefusal> {
            self.0.wait();
            Err(PhcRefusal::Missing)
        }
    }

    #[test]
    fn a_reading_waits_a_little_for_a_mailbox_that_is_shut() {
        let machine = SystemMachine::new().unwrap();
        if !machine.tells_suspends() {
            return;
        }
        let device = Missing(Barrier::new(2));
        let put_in = || {
            let mailbox = Mailbox::default();
            std::thread::scope(|scope| {
                let held = mailbox.hold();
                let reader = scope.spawn(|| mailbox.refresh(&device, &machine));
                device.0.wait();
                std::thread::sleep(Duration::from_millis(1));
                drop(held);
                reader.join().unwrap();
            });
            mailbox.open().and_then(|contents| contents.refusal)
        };
        // A busy machine may sleep for longer than the reader tries.
        let refusal = (0..5).find_map(|_| put_in());
        assert_eq!(refusal, Some(PhcRefusal::Missing));
    }
}
