//! The persisted upper bound: H9, a crash at any point, and disks that fail.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use epsilon_clock::BuildError;
use epsilon_clock::hlc::{HlcError, ReserveRecord};
use epsilon_clock::time::DecodeError;

use super::*;

/// Where a bound survives a crash, if it was written before.
#[derive(Clone, Debug, Default)]
struct Disk {
    stored: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    broken: Arc<AtomicBool>,
}

impl Disk {
    fn floor(&self) -> HlcTimestamp {
        RemoteTimestamp::from_bits(self.stored.load(Ordering::SeqCst)).trust()
    }

    fn boot(&self, clock: &Clock, span: Duration) -> HybridClock {
        let disk = self.clone();
        HybridClock::builder(clock.clone())
            .resume_from(self.floor())
            .reserve(span, move |record| {
                let bound = record.bound();
                disk.writes.fetch_add(1, Ordering::SeqCst);
                if disk.broken.load(Ordering::SeqCst) {
                    return Err("no space left".into());
                }
                let before = disk.stored.swap(bound.to_bits(), Ordering::SeqCst);
                assert!(before < bound.to_bits());
                Ok(())
            })
            .build()
            .unwrap()
    }
}

#[test]
fn h9_no_crash_brings_a_stamp_back_wherever_it_strikes() {
    let (machine, clock) = unvouched();
    let disk = Disk::default();
    let mut dice = Dice::new(9);
    let mut last = HlcTimestamp::MIN;
    for _ in 0..500 {
        let hlc = disk.boot(&clock, millis(3));
        for _ in 0..dice.below(30) {
            let stamp = hlc.tick().unwrap();
            assert!(stamp > last, "H9: {stamp} after {last}");
            assert!(stamp <= disk.floor(), "H9: {stamp} beyond {}", disk.floor());
            last = stamp;
            machine.advance(Duration::from_micros(dice.below(400)));
        }
        // The clock goes back by an hour while the process is down: the floor alone holds.
        if dice.once_in(3) {
            machine.set_date(delta(-3_600_000));
        }
    }
}

#[test]
fn h9_stamps_go_on_above_a_floor_without_a_reserve() {
    let (machine, clock) = unvouched();
    let floor = stamp(machine.real_time().saturating_add(HOUR), 17);
    let older = stamp(machine.real_time(), 0);
    let hlc = HybridClock::builder(clock)
        .resume_from(floor)
        .resume_from(older)
        .build()
        .unwrap();
    assert_eq!(hlc.last(), floor);
    assert_eq!(hlc.tick().unwrap().to_bits(), floor.to_bits() + 1);
}

#[test]
fn storing_is_amortised() {
    let (machine, clock) = unvouched();
    let disk = Disk::default();
    let hlc = disk.boot(&clock, secs(1));
    for _ in 0..10_000 {
        hlc.tick().unwrap();
        machine.advance(millis(1));
    }
    // Ten seconds, each half of which takes a new bound.
    let writes = disk.writes.load(Ordering::SeqCst);
    assert!((15..=25).contains(&writes), "{writes}");
}

#[test]
fn ticking_fails_once_the_reserve_is_used_up_and_not_before() {
    let (machine, clock) = unvouched();
    let disk = Disk::default();
    let hlc = disk.boot(&clock, millis(1));
    let first = hlc.tick().unwrap();
    let bound = disk.floor();
    assert_eq!(bound.to_bits(), first.to_bits() + (1_000 << 12));
    disk.broken.store(true, Ordering::SeqCst);
    // Time stands still: in strides, and then stamp by stamp, up to the bound itself.
    while bound.to_bits() - hlc.last().to_bits() > 5_000 {
        let ahead = RemoteTimestamp::from_bits(hlc.last().to_bits() + 996);
        assert_eq!(hlc.observe(ahead).unwrap().to_bits(), ahead.to_bits() + 1);
    }
    while hlc.last() < bound {
        let last = hlc.last();
        assert_eq!(hlc.tick().unwrap().to_bits(), last.to_bits() + 1);
    }
    assert_eq!(hlc.last(), bound);
    let tries = disk.writes.load(Ordering::SeqCst);
    assert!(
        (2..40).contains(&tries),
        "a broken disk was asked {tries} times"
    );
    for _ in 0..3 {
        match hlc.tick() {
            Err(HlcError::Reserve { used_up, cause, .. }) => {
                assert_eq!(used_up, bound);
                assert_eq!(cause.to_string(), "no space left");
            }
            other => panic!("{other:?}"),
        }
        assert!(hlc.observe(bound).is_err());
        assert!(hlc.refill_reserve().is_err());
        assert_eq!(hlc.last(), bound, "H6");
    }
    machine.advance(millis(1));
    assert!(hlc.tick().is_err());
    disk.broken.store(false, Ordering::SeqCst);
    assert!(hlc.tick().unwrap() > bound);
}

#[test]
fn observing_and_committing_take_from_the_reserve_too() {
    let (machine, clock) = right(millis(50));
    let disk = Disk::default();
    let hlc = disk.boot(&clock, millis(1));
    let commit = hlc.begin_commit().unwrap();
    assert!(commit.timestamp() <= disk.floor());
    let ahead = remote(machine.true_time().saturating_add(millis(700)));
    let received = hlc.observe(ahead).unwrap();
    assert!(received <= disk.floor());
    disk.broken.store(true, Ordering::SeqCst);
    let further = remote(machine.true_time().saturating_add(millis(900)));
    assert!(matches!(
        hlc.observe(further),
        Err(HlcError::Reserve { .. })
    ));
    assert_eq!(hlc.last(), received, "H6");
    // Below the bound all is well.
    assert!(hlc.observe(ahead).is_ok());
}

#[test]
fn whoever_refills_spares_the_others() {
    let (machine, clock) = unvouched();
    let disk = Disk::default();
    let hlc = disk.boot(&clock, millis(100));
    for _ in 0..1_000 {
        hlc.refill_reserve().unwrap();
        let before = disk.writes.load(Ordering::SeqCst);
        hlc.tick().unwrap();
        assert_eq!(disk.writes.load(Ordering::SeqCst), before, "a tick stored");
        machine.advance(millis(1));
    }
    assert!(disk.writes.load(Ordering::SeqCst) < 30);
}

/// While one thread stores, the others go on with what is left, without a lock.
#[test]
fn nobody_waits_for_a_slow_disk_while_there_is_some_reserve_left() {
    let (_machine, clock) = unvouched();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let calls = AtomicU64::new(0);
    let hlc = HybridClock::builder(clock)
        .reserve(millis(1), move |_| {
            if calls.fetch_add(1, Ordering::SeqCst) == 1 {
                entered.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
            Ok(())
        })
        .build()
        .unwrap();
    let first = hlc.tick().unwrap();
    let slow = {
        let hlc = hlc.clone();
        thread::spawn(move || {
            // Finds half of the reserve used, and stores.
            let half = RemoteTimestamp::from_bits(hlc.last().to_bits() + (501 << 12));
            hlc.observe(half).unwrap()
        })
    };
    // Rather fails than waits for ever, should nobody store.
    has_entered.recv_timeout(secs(20)).unwrap();
    let mut last = first;
    for _ in 0..10_000 {
        let next = hlc.tick().unwrap();
        assert!(next > last);
        last = next;
    }
    release.send(()).unwrap();
    slow.join().unwrap();
}

/// A callback that panics takes its own caller down, and nobody else.
#[test]
fn a_callback_that_panics_harms_nobody_else() {
    let (_machine, clock) = unvouched();
    let calls = AtomicU64::new(0);
    let hlc = HybridClock::builder(clock)
        .reserve(millis(1), move |_| {
            assert!(
                calls.fetch_add(1, Ordering::SeqCst) > 0,
                "a panic to be caught"
            );
            Ok(())
        })
        .build()
        .unwrap();
    let other = hlc.clone();
    assert!(thread::spawn(move || other.tick()).join().is_err());
    assert!(hlc.tick().is_ok());
}

#[test]
fn a_reserve_out_of_range_is_an_error() {
    let (_machine, clock) = unvouched();
    for span in [
        Duration::ZERO,
        Duration::from_micros(999),
        secs(86_401),
        Duration::MAX,
    ] {
        let built = HybridClock::builder(clock.clone())
            .reserve(span, |_| Ok(()))
            .build();
        assert!(matches!(built, Err(BuildError::Setting { .. })), "{span:?}");
    }
}

#[test]
fn a_reserve_ends_with_the_range() {
    let (_machine, clock) = unvouched();
    let floor = RemoteTimestamp::from_bits(u64::MAX - 2).trust();
    let stored = Arc::new(AtomicU64::new(0));
    let disk = Arc::clone(&stored);
    let hlc = HybridClock::builder(clock)
        .resume_from(floor)
        .reserve(secs(1), move |record| {
            disk.store(record.bound().to_bits(), Ordering::SeqCst);
            Ok(())
        })
        .build()
        .unwrap();
    assert_eq!(hlc.tick().unwrap().to_bits(), u64::MAX - 1);
    assert_eq!(stored.load(Ordering::SeqCst), u64::MAX);
    assert_eq!(hlc.tick().unwrap(), HlcTimestamp::MAX);
    assert!(matches!(hlc.tick(), Err(HlcError::EndOfRange)));
}

// --- the guard across a restart -----------------------------------------------------------------

/// A disk that keeps whole records, and processes that come and go beside it.
#[derive(Clone)]
struct Shelf(Arc<std::sync::Mutex<ReserveRecord>>);

impl Shelf {
    fn new() -> Self {
        Self(Arc::new(std::sync::Mutex::new(HlcTimestamp::MIN.into())))
    }

    fn record(&self) -> ReserveRecord {
        *self.0.lock().unwrap()
    }

    fn store(&self, record: ReserveRecord) {
        *self.0.lock().unwrap() = record;
    }

    fn boot(&self, machine: &ScriptedMachine) -> HybridClock {
        // Through its bytes, as a file has them.
        let bytes = self.record().to_be_bytes();
        let record = ReserveRecord::try_from(&bytes[..]).unwrap();
        let shelf = self.clone();
        HybridClock::builder(machine.clock().unwrap())
            .resume_from_reserve(record)
            .reserve(secs(3), move |record| {
                shelf.store(record);
                Ok(())
            })
            .build()
            .unwrap()
    }
}

fn is_jump(result: &Result<HlcTimestamp, HlcError>) -> bool {
    matches!(result, Err(HlcError::ForwardJump { .. }))
}

#[test]
fn a_restart_within_one_boot_does_not_take_over_the_jump_that_was_refused() {
    for vouched in [false, true] {
        let machine = ScriptedMachine::default();
        if vouched {
            machine.write_maxerror(1_003);
        }
        let shelf = Shelf::new();
        let hlc = shelf.boot(&machine);
        hlc.tick().unwrap();
        let before = shelf.record();
        // A suspend voids what the daemon said, so the machine's own time is all there is.
        machine.suspend(secs(1));
        machine.set_date(delta(8 * 3_600_000));
        assert!(is_jump(&hlc.tick()));
        for _ in 0..3 {
            machine.advance(secs(2));
            let hlc = shelf.boot(&machine);
            assert!(is_jump(&hlc.tick()), "taken over by the restart");
            assert!(is_jump(&hlc.observe(HlcTimestamp::MIN)));
            assert_eq!(shelf.record(), before, "and persisted");
        }
        // Set right again, all is well; and an accepted jump is accepted for those to come.
        machine.set_date(delta(-8 * 3_600_000));
        let hlc = shelf.boot(&machine);
        hlc.tick().unwrap();
        machine.set_date(delta(8 * 3_600_000));
        assert!(is_jump(&hlc.tick()));
        hlc.accept_jump();
        hlc.tick().unwrap();
        assert!(shelf.boot(&machine).tick().is_ok());
    }
}

/// The time that passed while no process ran is no jump, asleep or awake.
#[test]
fn a_restart_hours_later_within_one_boot_is_no_jump() {
    let (machine, _) = unvouched();
    let shelf = Shelf::new();
    shelf.boot(&machine).tick().unwrap();
    for _ in 0..3 {
        machine.advance(10 * HOUR);
        machine.suspend(HOUR);
        assert!(shelf.boot(&machine).tick().is_ok());
    }
}

/// Raw time of another boot, or of another time namespace, says nothing: the guard starts anew.
#[test]
fn a_record_of_another_boot_is_a_bound_and_nothing_else() {
    let machine = ScriptedMachine::default();
    let shelf = Shelf::new();
    shelf.boot(&machine).tick().unwrap();
    machine.set_date(delta(8 * 3_600_000));
    assert!(is_jump(&shelf.boot(&machine).tick()));
    let bound = shelf.record().bound();
    for strange in [Some(2), None] {
        machine.set_boot_id(strange);
        let shelf = Shelf(Arc::new(std::sync::Mutex::new(shelf.record())));
        assert!(shelf.boot(&machine).tick().unwrap() > bound);
    }
    machine.set_boot_id(Some(1));
    machine.set_identity(epsilon_clock::machine::Identity {
        pid: 1,
        time_namespace: 2,
    });
    assert!(shelf.boot(&machine).tick().unwrap() > bound);
}

/// A machine that was restarted before its first sync may still be set right by its daemon.
#[test]
fn a_restart_before_the_first_sync_goes_on_once_a_source_vouches() {
    let machine = ScriptedMachine::default();
    let shelf = Shelf::new();
    shelf.boot(&machine).tick().unwrap();
    machine.set_date(delta(25_000));
    let hlc = shelf.boot(&machine);
    assert!(is_jump(&hlc.tick()));
    machine.write_maxerror(1_003);
    machine.advance(millis(300));
    hlc.clock().now().unwrap();
    hlc.tick().unwrap();
    // From here on for good, over restarts too.
    machine.advance(secs(3));
    hlc.tick().unwrap();
    machine.suspend(secs(1));
    machine.set_date(delta(25_000));
    let hlc = shelf.boot(&machine);
    assert!(is_jump(&hlc.tick()));
    machine.write_maxerror(1_007);
    machine.advance(millis(300));
    hlc.clock().now().unwrap();
    assert!(is_jump(&hlc.tick()), "the second sync passed for the first");
}

#[test]
fn h7_records_sort_as_their_bounds_and_survive_their_bytes() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let shelf = Shelf::new();
    let hlc = shelf.boot(&machine);
    let mut before = ReserveRecord::from(HlcTimestamp::MIN);
    for _ in 0..5 {
        hlc.tick().unwrap();
        let record = shelf.record();
        assert!(record.bound() > before.bound());
        assert!(record.to_be_bytes() > before.to_be_bytes());
        assert_eq!(
            ReserveRecord::try_from(&record.to_be_bytes()[..]),
            Ok(record)
        );
        // What it was compared with is in it.
        assert!(record.to_be_bytes()[9..].iter().any(|byte| *byte != 0));
        assert_ne!(record, record.bound().into());
        before = record;
        machine.advance(secs(3));
    }
}

#[test]
fn a_record_that_is_none_is_refused_and_a_bare_bound_is_one() {
    let bound = RemoteTimestamp::from_bits(0x0102_0304_0506_0708).trust();
    let bare = ReserveRecord::try_from(&bound.to_be_bytes()[..]).unwrap();
    assert_eq!(bare, bound.into());
    let whole = bare.to_be_bytes();
    assert_eq!(ReserveRecord::try_from(&whole[..]), Ok(bare));
    for length in (0..80).filter(|length| ![8, 58].contains(length)) {
        let refused = ReserveRecord::try_from(&vec![1; length][..]);
        assert!(
            matches!(refused, Err(DecodeError::Length { expected: 58, found, .. }) if found == length)
        );
    }
    for format in [0, 2, 255] {
        let mut bytes = whole;
        bytes[0] = format;
        let refused = ReserveRecord::try_from(&bytes[..]);
        assert!(matches!(refused, Err(DecodeError::Format { found, .. }) if found == format));
    }
    let blank = ReserveRecord::try_from(&[0; 8][..]);
    assert!(matches!(blank, Err(DecodeError::Blank { .. })));
}

#[test]
fn h9_a_clean_shutdown_leaves_no_reserve_to_jump_over() {
    let (machine, _) = unvouched();
    let shelf = Shelf::new();
    let hlc = shelf.boot(&machine);
    let last = hlc.tick().unwrap();
    assert!(shelf.record().bound() > last);
    // Another handle could still issue stamps.
    let other = hlc.clone();
    let hlc = hlc.into_record().unwrap_err();
    assert!(other.tick().unwrap() > last);
    let last = hlc.tick().unwrap();
    drop(other);
    let record = hlc.into_record().unwrap();
    assert_eq!(record.bound(), last);
    shelf.store(record);
    machine.advance(millis(1));
    let hlc = shelf.boot(&machine);
    let next = hlc.tick().unwrap();
    assert!(next > last && next == stamp(machine.real_time(), 0));
    // And the guard goes on.
    machine.set_date(delta(3_600_000));
    let record = hlc.into_record().unwrap();
    shelf.store(record);
    assert!(is_jump(&shelf.boot(&machine).tick()));
}

#[test]
fn a_clock_is_written_out_with_its_reserve() {
    let (_machine, clock) = unvouched();
    let disk = Disk::default();
    let hlc = disk.boot(&clock, millis(3));
    hlc.tick().unwrap();
    let reserve = format!("Reserve {{ ceiling: {:?}, stored: true", disk.floor());
    let text = format!("{hlc:?}");
    assert!(text.contains(&reserve), "{text}");
    let text = format!("{:?}", HybridClock::new(clock));
    assert!(text.contains("stored: false"), "{text}");
}
