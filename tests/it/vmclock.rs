//! The vmclock page: a clock that is told of pauses by a file in that layout, and a writer.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use epsilon_clock::hlc::HlcError;
use epsilon_clock::machine::VmClockState;
use epsilon_clock::source::{Finding, Look, LookContext, Source, SourceMemory, SyncClaim};
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{Clock, ClockError, Disturbance, ErrorBound, HybridClock, Interval, Timestamp};

use crate::skip::skip;

const FLAG_GENERATION: u64 = 1 << 8;

/// A file with a page in it, which goes when it is dropped.
struct PageFile {
    path: PathBuf,
    file: File,
    sequence: AtomicU64,
}

impl PageFile {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vmclock-{name}-{}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        file.set_len(4096).unwrap();
        let page = Self {
            path,
            file,
            sequence: AtomicU64::new(0),
        };
        page.put(0, &0x4b4c_4356_u32.to_le_bytes());
        page.put(4, &4096_u32.to_le_bytes());
        page.put(8, &1_u16.to_le_bytes());
        page.put(24, &FLAG_GENERATION.to_le_bytes());
        page
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, at).unwrap();
    }

    /// Writes as a hypervisor does: odd, the fields, even.
    fn update(&self, write: impl FnOnce(&Self)) {
        self.lock();
        write(self);
        self.lock();
    }

    fn lock(&self) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let sequence = u32::try_from(sequence & 0xffff_ffff).unwrap();
        self.put(12, &sequence.to_le_bytes());
    }

    fn set_marker(&self, marker: u64) {
        self.update(|page| page.put(16, &marker.to_le_bytes()));
    }

    fn set_generation(&self, generation: u64) {
        self.update(|page| page.put(104, &generation.to_le_bytes()));
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A source that vouches for real time to within 100 ms, at each look while it is asked to.
#[derive(Clone, Debug)]
struct Vouching(Arc<AtomicBool>);

impl Vouching {
    fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    fn vouches(&self, vouches: bool) {
        self.0.store(vouches, Ordering::SeqCst);
    }
}

impl Source for Vouching {
    fn name(&self) -> &'static str {
        "vouching"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        if !self.0.load(Ordering::SeqCst) {
            return Look::new(Finding::Nothing);
        }
        let clocks = context.machine.sandwich();
        let real = Timestamp::from_unix_nanos(clocks.real);
        let interval = Interval::around(real, Duration::from_millis(100)).unwrap();
        let bound = ErrorBound {
            reported_ns: 100_000_000,
            ..ErrorBound::default()
        };
        let claim = Claim::new(clocks.raw, interval, RateBounds::symmetric(200_000));
        Look::new(Finding::Write(SyncClaim { claim, bound }))
    }
}

fn clock(page: &PageFile, source: &Vouching) -> Clock {
    let builder = Clock::builder().source(source.clone());
    builder.vmclock(&page.path).build().unwrap()
}

const DISRUPTED: ClockError = ClockError::Disturbed {
    cause: Disturbance::Disrupted,
};

#[test]
fn a_changed_marker_or_generation_voids_at_once_until_somebody_vouches_again() {
    let page = PageFile::new("voids");
    let source = Vouching::new();
    let clock = clock(&page, &source);
    assert_eq!(clock.status().vmclock, VmClockState::Watched);
    for round in 1..4 {
        for change in [PageFile::set_marker, PageFile::set_generation] {
            for _ in 0..1_000 {
                clock.now().unwrap();
            }
            source.vouches(false);
            change(&page, round);
            assert_eq!(clock.now(), Err(DISRUPTED), "the very next reading");
            assert_eq!(clock.now(), Err(DISRUPTED));
            source.vouches(true);
            clock.look().unwrap();
        }
    }
    assert_eq!(clock.status().counters.suspends, 6);
}

#[test]
fn what_says_the_same_voids_nothing() {
    let page = PageFile::new("calm");
    let clock = clock(&page, &Vouching::new());
    for n in 0..1_000_u64 {
        page.update(|page| page.put(72, &n.to_le_bytes()));
        clock.now().unwrap();
    }
    assert_eq!(clock.status().counters.suspends, 0);
}

#[test]
fn a_page_that_stays_locked_is_an_error_and_not_a_wait() {
    let page = PageFile::new("locked");
    let source = Vouching::new();
    let clock = clock(&page, &source);
    clock.now().unwrap();
    source.vouches(false);
    page.lock();
    page.put(16, &7_u64.to_le_bytes());
    let cause = Disturbance::Interrupted;
    assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
    page.lock();
    assert_eq!(clock.now(), Err(DISRUPTED));
}

#[test]
fn devices_that_cannot_be_used_are_a_state_and_no_failure() {
    let state = |path: &str| {
        let builder = Clock::builder().assume_error(Duration::from_millis(50));
        let clock = builder.vmclock(path).build().unwrap();
        clock.now().unwrap();
        clock.status().vmclock
    };
    assert_eq!(state("/nonexistent/vmclock0"), VmClockState::Missing);
    assert!(matches!(state("/proc/self"), VmClockState::Refused { .. }));
    // The magic, the size and the version.
    for (spoil, bytes) in [(0, [0, 0]), (4, [103, 0]), (8, [2, 0])] {
        let page = PageFile::new(&format!("spoilt-{spoil}"));
        page.put(spoil, &bytes);
        let path = page.path.to_str().unwrap().to_owned();
        let found = state(&path);
        assert!(
            matches!(found, VmClockState::Invalid { .. }),
            "{spoil}: {found}"
        );
    }
    let short = PageFile::new("short");
    short.file.set_len(50).unwrap();
    assert!(matches!(
        state(short.path.to_str().unwrap()),
        VmClockState::Invalid { .. }
    ));
    let builder = Clock::builder().without_vmclock();
    assert_eq!(
        builder.build().unwrap().status().vmclock,
        VmClockState::Unused
    );
}

/// Whoever learns that the page was changed gets no interval from a claim of before.
#[test]
fn no_reading_that_begins_after_a_change_rests_on_a_claim_of_before() {
    let page = PageFile::new("threads");
    let source = Vouching::new();
    let clock = clock(&page, &source);
    // Which marker is there, and for which one somebody vouched.
    let (there, vouched) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let seen = there.load(Ordering::SeqCst);
                    let reading = clock.now();
                    if vouched.load(Ordering::SeqCst) < seen {
                        assert_eq!(reading, Err(DISRUPTED), "marker {seen}");
                    }
                }
            });
        }
        for marker in 1..=300 {
            std::thread::sleep(Duration::from_micros(200));
            source.vouches(false);
            page.set_marker(marker);
            there.store(marker, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(200));
            vouched.store(marker, Ordering::SeqCst);
            source.vouches(true);
            while clock.look().is_err() {
                std::hint::spin_loop();
            }
        }
        over.store(true, Ordering::SeqCst);
    });
}

/// Where lines go through counts no other clock is read that could show it.
#[test]
fn no_stamp_is_made_of_a_count_after_a_disruption() {
    let (page, source) = (PageFile::new("stamps"), Vouching::new());
    let clock = clock(&page, &source);
    // The counter is read once it was compared for a second.
    let counts = (0..40).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let _ = clock.look();
        clock.status().path.as_str() != "vdso"
    });
    if !counts {
        skip(
            "stamps of counts beside a vmclock",
            "no counter may be read here",
        );
        return;
    }
    let hlc = HybridClock::new(clock.clone());
    source.vouches(false);
    assert!(clock.now().is_ok() && hlc.tick_with_interval().is_ok());
    page.set_marker(7);
    let refused = hlc.tick_with_interval();
    assert!(
        matches!(refused, Err(HlcError::Clock(DISRUPTED))),
        "{refused:?}"
    );
}
