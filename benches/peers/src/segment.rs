//! ClockBound's shared memory, written as its daemon would: the clients read nothing else.
//!
//! Layout 2 is what `clock-bound-client` 2 reads, layout 3 what `clock-bound` 3 reads. All numbers
//! are in native byte order. The generation in the header is odd while a segment is being written.

use rustix::time::{ClockId, clock_gettime};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const MAGIC: [u32; 2] = [0x414D_5A4E, 0x4342_0200];
const GENERATION_AT: u64 = 14;
const HEADER: usize = 16;

/// A millisecond, a usual bound.
const BOUND_NS: i64 = 1_000_000;
/// 50 ppm, the daemon's default in some of its versions.
const MAX_DRIFT_PPB: u32 = 50_000;
/// How long the clients may go on without an update, in seconds; far beyond a run.
const VOID_AFTER: i64 = 1_000;
/// How well the counter's period is known: 20 ppm.
const PERIOD_ERROR: f64 = 2e-5;

const SYNCHRONIZED: i32 = 1;

/// Both segments, in files that are removed in the end.
pub(crate) struct Segments {
    directory: PathBuf,
    layout_2: Segment,
    layout_3: Segment,
    counter: quanta::Clock,
    /// Seconds per tick of the counter.
    period: f64,
}

impl Segments {
    /// Writes both segments for the first time, after measuring the counter for a moment.
    pub(crate) fn create() -> io::Result<Self> {
        let name = format!("epsilon-clock-peers-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory)?;
        let counter = quanta::Clock::new();
        let mut segments = Self {
            layout_2: Segment::create(directory.join("shm0"), 80, 0x0002)?,
            layout_3: Segment::create(directory.join("shm1"), 104, 0x0303)?,
            directory,
            period: period(&counter),
            counter,
        };
        segments.refresh()?;
        Ok(segments)
    }

    /// Where `clock-bound-client` 2 finds its segment.
    pub(crate) fn layout_2(&self) -> &Path {
        &self.layout_2.path
    }

    /// Where `clock-bound` 3 finds its segment.
    pub(crate) fn layout_3(&self) -> &Path {
        &self.layout_3.path
    }

    /// Brings both segments up to date. Without it they count as free-running after 5 s and 60 s.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        let mut body = Vec::new();
        let (secs, nanos) = read(ClockId::MonotonicCoarse);
        for word in [secs, nanos, secs + VOID_AFTER, nanos, BOUND_NS, 0] {
            body.extend(word.to_ne_bytes());
        }
        body.extend(MAX_DRIFT_PPB.to_ne_bytes());
        body.extend(SYNCHRONIZED.to_ne_bytes());
        body.extend([0; 8]); // no support for disruptions: there is no vmclock to compare with
        self.layout_2.write(&body)?;

        let (period, period_shift) = fraction(self.period);
        let (error, error_shift) = fraction(PERIOD_ERROR);
        let (tick, (secs, nanos)) = together(&self.counter, ClockId::Realtime);
        body.clear();
        body.extend(tick.to_ne_bytes());
        for word in [secs, nanos, secs + VOID_AFTER, nanos] {
            body.extend(word.to_ne_bytes());
        }
        body.extend(period.to_ne_bytes());
        body.extend(error.to_ne_bytes());
        body.extend(BOUND_NS.to_ne_bytes());
        body.extend(0_u64.to_ne_bytes());
        body.extend(MAX_DRIFT_PPB.to_ne_bytes());
        body.extend(SYNCHRONIZED.to_ne_bytes());
        body.extend([0, period_shift, error_shift, 0, 0, 0, 0, 0]);
        self.layout_3.write(&body)
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        // Nothing is lost if it stays: a temporary directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct Segment {
    path: PathBuf,
    file: File,
    size: usize,
    generation: u16,
}

impl Segment {
    fn create(path: PathBuf, size: usize, version: u16) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let mut header = Vec::new();
        header.extend(MAGIC.map(u32::to_ne_bytes).concat());
        header.extend((size as u32).to_ne_bytes());
        header.extend(version.to_ne_bytes());
        header.extend(0_u16.to_ne_bytes());
        header.resize(size, 0);
        file.write_all_at(&header, 0)?;
        Ok(Self {
            path,
            file,
            size,
            generation: 0,
        })
    }

    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        assert_eq!(
            HEADER + body.len(),
            self.size,
            "a body of the layout's size"
        );
        // Odd while writing, and 0 only before the first time.
        let even = self.generation.checked_add(2).unwrap_or(2);
        self.file
            .write_all_at(&(even - 1).to_ne_bytes(), GENERATION_AT)?;
        self.file.write_all_at(body, HEADER as u64)?;
        self.file.write_all_at(&even.to_ne_bytes(), GENERATION_AT)?;
        self.generation = even;
        Ok(())
    }
}

fn read(clock: ClockId) -> (i64, i64) {
    let t = clock_gettime(clock);
    (t.tv_sec, t.tv_nsec)
}

/// The counter and a clock at one instant: the sharpest of a few attempts, as an interruption
/// between the two would put them apart.
fn together(counter: &quanta::Clock, clock: ClockId) -> (u64, (i64, i64)) {
    let attempt = || {
        let before = counter.raw();
        let time = read(clock);
        let width = counter.raw() - before;
        (width, before + width / 2, time)
    };
    let sharpest = (0..64).map(|_| attempt()).min_by_key(|(width, ..)| *width);
    let (_, tick, time) = sharpest.expect("an attempt");
    (tick, time)
}

/// Seconds per tick of the counter, measured over a fifth of a second.
fn period(counter: &quanta::Clock) -> f64 {
    let (ticks, (secs, nanos)) = together(counter, ClockId::Monotonic);
    thread::sleep(Duration::from_millis(200));
    let (later_ticks, (later_secs, later_nanos)) = together(counter, ClockId::Monotonic);
    let elapsed = (later_secs - secs) as f64 + (later_nanos - nanos) as f64 * 1e-9;
    elapsed / (later_ticks - ticks) as f64
}

/// A number below 1 as `frac / 2^(64 + shift)`, with as many digits as there is room for.
fn fraction(value: f64) -> (u64, u8) {
    let mut shift = 0;
    while value * 2_f64.powi(i32::from(shift) + 1) < 1.0 {
        shift += 1;
    }
    ((value * 2_f64.powi(64 + i32::from(shift))) as u64, shift)
}
