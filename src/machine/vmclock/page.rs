//! What the page means, and how it is read while the hypervisor writes it.
//!
//! Layout and meaning are those of Linux's `vmclock-abi.h`; all fields are little-endian and aligned.
//!
//! | offset | field | here |
//! |--:|---|---|
//! | 0 | u32 magic, `0x4B4C4356` | checked once |
//! | 4 | u32 size | checked once |
//! | 8 | u16 version, 1 | checked once |
//! | 12 | u32 sequence count, odd while the page is written | the lock of a settled reading |
//! | 16 | u64 disruption marker | compared on every reading |
//! | 24 | u64 flags; bit 8: the generation counter is there | read once |
//! | 104 | u64 VM generation counter | compared on every reading, where flagged |

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::VmClockState;
use crate::machine::Disruption;

/// A page, as 64-bit words.
const PAGE_WORDS: usize = 512;
pub(super) type Page = [AtomicU64; PAGE_WORDS];

/// `VCLK` in ASCII.
const MAGIC: u64 = 0x4b4c_4356;
const VERSION: u64 = 1;
/// The structure's end before the generation counter was added to it.
pub(super) const SHORTEST: u64 = 104;
/// Where it ends with the generation counter.
const WITH_GENERATION: u64 = 112;
const FLAG_GENERATION: u64 = 1 << 8;

/// Words of the page: two or three fields share some of them.
const MAGIC_AND_SIZE: usize = 0;
const VERSION_AND_SEQUENCE: usize = 1;
const MARKER: usize = 2;
const FLAGS: usize = 3;
const GENERATION: usize = 13;

/// How often a settled reading is tried. The hypervisor writes some hundred bytes; a writer that was
/// stopped in the middle of it must not hold up a thread here.
const ATTEMPTS: usize = 1_000;

/// Which words of a page that was checked tell of disruptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The generation counter, or the marker once more where there is none.
    generation: usize,
}

impl Layout {
    /// Checks what never changes, and finds out what is there.
    pub(super) fn of(page: &Page) -> Result<Self, VmClockState> {
        let invalid = |what| Err(VmClockState::Invalid { what });
        let head = load(page, MAGIC_AND_SIZE);
        if head & 0xffff_ffff != MAGIC {
            return invalid("its magic number is another one");
        }
        let size = head >> 32;
        if size < SHORTEST {
            return invalid("it is too short");
        }
        if load(page, VERSION_AND_SEQUENCE) & 0xffff != VERSION {
            return invalid("its version is not 1");
        }
        let Some(flags) = settled(page, || load(page, FLAGS)) else {
            return invalid("it is being written for too long");
        };
        if flags & FLAG_GENERATION == 0 {
            return Ok(Self { generation: MARKER });
        }
        if size < WITH_GENERATION {
            return invalid("it is too short for the generation counter that it announces");
        }
        Ok(Self {
            generation: GENERATION,
        })
    }

    /// Reads what it says now, whole; `None` while it is being written.
    pub(super) fn read(self, page: &Page) -> Option<Disruption> {
        settled(page, || self.glance(page, 0))
    }

    /// Reads the two words that tell of disruptions, each whole.
    ///
    /// That they belong together is not promised, but a caller that finds either of them changed
    /// looks again by [`read`](Self::read).
    ///
    /// `zero` is 0, known only once the clock has been read: the loads must not come before.
    #[inline]
    #[allow(
        clippy::indexing_slicing,
        reason = "the indexes are taken modulo the length"
    )]
    pub(super) fn glance(self, page: &Page, zero: usize) -> Disruption {
        let word = |at: usize| u64::from_le(page[(at + zero) % PAGE_WORDS].load(Ordering::Relaxed));
        Disruption {
            marker: word(MARKER),
            generation: word(self.generation),
        }
    }
}

#[allow(
    clippy::indexing_slicing,
    reason = "the indexes are constants within the page"
)]
pub(super) fn load(page: &Page, at: usize) -> u64 {
    u64::from_le(page[at % PAGE_WORDS].load(Ordering::Relaxed))
}

/// Reads under the sequence lock; `None` if the page was being written each time.
pub(super) fn settled<T>(page: &Page, read: impl Fn() -> T) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let before = sequence(page);
        // What is read below is no older than the sequence count above.
        fence(Ordering::Acquire);
        let value = read();
        // The count is not read again before all of that was read: a writer changed it first.
        fence(Ordering::Acquire);
        if before % 2 == 0 && sequence(page) == before {
            return Some(value);
        }
        spin_loop();
    }
    None
}

fn sequence(page: &Page) -> u64 {
    load(page, VERSION_AND_SEQUENCE) >> 32
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use core::sync::atomic::AtomicBool;

    use super::*;

    fn page(flags: u64) -> Page {
        let page: Page = core::array::from_fn(|_| AtomicU64::new(0));
        put(&page, MAGIC_AND_SIZE, MAGIC | (0x1000 << 32));
        put(&page, VERSION_AND_SEQUENCE, VERSION);
        put(&page, FLAGS, flags);
        page
    }

    fn put(page: &Page, at: usize, value: u64) {
        page[at].store(value.to_le(), Ordering::Relaxed);
    }

    fn what(page: &Page) -> &'static str {
        match Layout::of(page) {
            Err(VmClockState::Invalid { what }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_never_changes_is_checked() {
        assert!(Layout::of(&page(0)).is_ok());
        let bad = page(0);
        put(&bad, MAGIC_AND_SIZE, (MAGIC + 1) | (0x1000 << 32));
        assert!(what(&bad).contains("magic"));
        put(&bad, MAGIC_AND_SIZE, MAGIC | (103 << 32));
        assert!(what(&bad).contains("short"));
        let bad = page(0);
        put(&bad, VERSION_AND_SEQUENCE, 2);
        assert!(what(&bad).contains("version"));
        let bad = page(FLAG_GENERATION);
        put(&bad, MAGIC_AND_SIZE, MAGIC | (104 << 32));
        assert!(what(&bad).contains("generation"));
        put(&bad, FLAGS, 0);
        assert!(Layout::of(&bad).is_ok());
        put(&bad, VERSION_AND_SEQUENCE, VERSION | (7 << 32));
        assert!(what(&bad).contains("written"));
    }

    #[test]
    fn the_generation_counts_only_where_it_is_flagged() {
        for (flags, counts) in [
            (0, false),
            (FLAG_GENERATION, true),
            (!FLAG_GENERATION, false),
        ] {
            let page = page(flags);
            let layout = Layout::of(&page).unwrap();
            let before = layout.read(&page).unwrap();
            put(&page, GENERATION, 9);
            assert_eq!(
                layout.read(&page) != Some(before),
                counts,
                "flags {flags:#x}"
            );
            put(&page, MARKER, 9);
            assert_ne!(layout.read(&page).unwrap().marker, before.marker);
        }
    }

    #[test]
    fn a_page_that_stays_locked_is_given_up() {
        let page = page(FLAG_GENERATION);
        let layout = Layout::of(&page).unwrap();
        put(&page, VERSION_AND_SEQUENCE, VERSION | (1 << 32));
        assert_eq!(layout.read(&page), None);
        put(&page, VERSION_AND_SEQUENCE, VERSION | (2 << 32));
        assert!(layout.read(&page).is_some());
    }

    /// A writer that never stops: no settled reading is half of one update and half of another.
    #[test]
    fn no_reading_is_torn() {
        let page = page(FLAG_GENERATION);
        let layout = Layout::of(&page).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in (1_u64..).take_while(|_| !over.load(Ordering::Relaxed)) {
                    let sequence = |odd: u64| VERSION | (((2 * n + odd) & 0xffff_ffff) << 32);
                    put(&page, VERSION_AND_SEQUENCE, sequence(1));
                    fence(Ordering::Release);
                    put(&page, MARKER, n);
                    put(&page, GENERATION, !n);
                    fence(Ordering::Release);
                    put(&page, VERSION_AND_SEQUENCE, sequence(2));
                    // Or nobody would ever find it settled.
                    for _ in 0..50 {
                        spin_loop();
                    }
                }
            });
            let mut settled = 0;
            // The writer may be long in coming to run.
            let patience = Instant::now() + Duration::from_secs(30);
            for read in 0.. {
                if read > 200_000 && (settled > 1_000 || Instant::now() > patience) {
                    break;
                }
                if let Some(seen) = layout.read(&page).filter(|seen| seen.marker > 0) {
                    assert_eq!(seen.generation, !seen.marker);
                    settled += 1;
                }
            }
            over.store(true, Ordering::Relaxed);
            assert!(settled > 1_000, "{settled}");
        });
    }
}
