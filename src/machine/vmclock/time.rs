//! The time in the page: what the hypervisor says of UTC, and how sure it is.
//!
//! Beside the fields that `page` names:
//!
//! | offset | field | here |
//! |--:|---|---|
//! | 10 | u8 counter: 0 ARM's virtual one, 1 the TSC | must be this processor's |
//! | 11 | u8 timescale: 0 UTC, 1 TAI, 2 no epoch, 3 smeared, 4 maybe smeared | |
//! | 24 | u64 flags; bit 0: the TAI offset counts, 4: the period's largest error does, 6: the time's does | |
//! | 34 | u8 status: 2 synchronised | nothing else is believed |
//! | 36 | i16 TAI less UTC in s | |
//! | 39 | u8 shift of the period | |
//! | 40 | u64 counter value that the time is of | |
//! | 48 | u64 period of the counter in 2^-(64 + shift) s | |
//! | 64 | u64 largest error of the period, in the same unit | |
//! | 72, 80 | u64 s, u64 2^-64 s | |
//! | 96 | u64 largest error of the time in ns | |
//!
//! The times are of `VMCLOCK_TIME_UTC` and the like in Linux's `include/uapi/linux/vmclock-abi.h`.

use super::page::{Page, load, settled};

const FLAG_TAI_OFFSET: u64 = 1;
const FLAG_PERIOD_MAXERROR: u64 = 1 << 4;
const FLAG_TIME_MAXERROR: u64 = 1 << 6;

const SYNCHRONIZED: u64 = 2;

/// The counter of this processor, as the page numbers them; 255 is none.
const OWN_COUNTER: u64 = if cfg!(target_arch = "x86_64") {
    1
} else if cfg!(target_arch = "aarch64") {
    0
} else {
    255
};

/// A period is not carried on for longer than this, in counts: half a minute at 5 GHz, and far below what wraps.
const MOST_COUNTS: u64 = 150_000_000_000;

const BILLION: u128 = 1_000_000_000;

/// Which timescale a page tells time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timescale {
    Utc,
    Tai {
        ahead_s: i32,
    },
    /// Smeared, without a known epoch, or TAI with no word on how far ahead it is.
    Other,
}

/// What a page tells of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) timescale: Timescale,
    pub(crate) synchronized: bool,
    /// Told by the counter that this processor has.
    pub(crate) own_counter: bool,
    /// `None` where it does not say how far off the time, or the period, may be.
    pub(crate) max_error_ns: Option<u64>,
    shift: u32,
    count: u64,
    period: u64,
    period_error: u64,
    secs: u64,
    fraction: u64,
}

impl Told {
    /// Reads it under the page's lock; `None` while it is being written.
    pub(super) fn of(page: &Page) -> Option<Self> {
        settled(page, || {
            let (head, flags, status) = (load(page, 1), load(page, 3), load(page, 4));
            let byte = |word: u64, at: u32| (word >> (8 * at)) & 0xff;
            let tai = u16::try_from((status >> 32) & 0xffff).unwrap_or(0);
            let timescale = match byte(head, 3) {
                0 => Timescale::Utc,
                1 if flags & FLAG_TAI_OFFSET != 0 => Timescale::Tai {
                    ahead_s: i16::from_ne_bytes(tai.to_ne_bytes()).into(),
                },
                _ => Timescale::Other,
            };
            let errors = FLAG_PERIOD_MAXERROR | FLAG_TIME_MAXERROR;
            Self {
                timescale,
                synchronized: byte(status, 2) == SYNCHRONIZED,
                own_counter: byte(head, 2) == OWN_COUNTER && OWN_COUNTER != 255,
                max_error_ns: (flags & errors == errors).then(|| load(page, 12)),
                shift: u32::try_from(byte(status, 7)).unwrap_or(0),
                count: load(page, 5),
                period: load(page, 6),
                period_error: load(page, 8),
                secs: load(page, 9),
                fraction: load(page, 10),
            }
        })
    }

    /// Returns the time at this count in ns since its epoch, and how far its period may have led it astray.
    ///
    /// `None` where the count is too far from the page's, on either side.
    pub(crate) fn at(&self, count: i64) -> Option<(i64, u64)> {
        let count = u64::from_ne_bytes(count.to_ne_bytes());
        let (ahead, since) = if count >= self.count {
            (true, count - self.count)
        } else {
            (false, self.count - count)
        };
        if since > MOST_COUNTS {
            return None;
        }
        let span = self.nanos(since, self.period)?;
        let astray = self.nanos(since, self.period_error)?.checked_add(1)?;
        let base = u128::from(self.secs)
            .checked_mul(BILLION)?
            .checked_add((u128::from(self.fraction) * BILLION) >> 64)?;
        let at = if ahead {
            base.checked_add(span)?
        } else {
            base.checked_sub(span)?
        };
        Some((i64::try_from(at).ok()?, u64::try_from(astray).ok()?))
    }

    /// Returns what so many counts of this period take, in ns and rounded down.
    fn nanos(&self, counts: u64, period: u64) -> Option<u128> {
        // In 2^-(64 + shift) s. Twice 64 bits fit, and are brought down before they are made nanoseconds: below
        // 2^-32 s, a quarter of a nanosecond, nothing is lost that counts.
        let fraction = u128::from(counts).checked_mul(u128::from(period))?;
        let down = fraction.checked_shr(self.shift)?;
        Some(((down >> 32).checked_mul(BILLION)?) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A page at 1 GHz: 2^64 / 10^9 fractions a count.
    fn page(edit: impl FnOnce(&mut [u64; 13])) -> Page {
        let mut words = [0_u64; 13];
        words[0] = 0x4b4c_4356 | (0x1000 << 32);
        words[1] = 1 | (OWN_COUNTER << 16);
        words[3] = FLAG_PERIOD_MAXERROR | FLAG_TIME_MAXERROR | FLAG_TAI_OFFSET;
        words[4] = (SYNCHRONIZED << 16) | (37 << 32);
        words[5] = 1_000;
        words[6] = 18_446_744_073;
        words[8] = 18_446;
        words[9] = 1_795_153_800;
        words[10] = 1 << 63;
        words[12] = 250;
        edit(&mut words);
        core::array::from_fn(|at| AtomicU64::new(words.get(at).copied().unwrap_or(0).to_le()))
    }

    fn told(edit: impl FnOnce(&mut [u64; 13])) -> Told {
        let page = page(edit);
        Told::of(&page).unwrap()
    }

    #[test]
    fn time_goes_by_the_counter_from_the_page_on() {
        let told = told(|_| {});
        assert_eq!(told.timescale, Timescale::Utc);
        assert!(told.synchronized && told.own_counter);
        assert_eq!(told.max_error_ns, Some(250));
        let base = 1_795_153_800_500_000_000;
        assert_eq!(told.at(1_000), Some((base, 1)));
        // A second of counts, at a period that is known to one in a million.
        let (later, astray) = told.at(1_000_001_000).unwrap();
        assert!((later - base - 1_000_000_000).abs() <= 1, "{later}");
        assert!((999..=1_001).contains(&astray), "{astray}");
        let (earlier, _) = told.at(0).unwrap();
        assert!((base - earlier - 1_000).abs() <= 1, "{earlier}");
        // Another counter, or a page that is not kept up.
        assert_eq!(told.at(-1), None);
        assert_eq!(told.at(1_001 + 150_000_000_000), None);
    }

    #[test]
    fn the_period_is_shifted() {
        let plain = told(|_| {});
        let shifted = told(|words| {
            words[6] <<= 5;
            words[8] <<= 5;
            words[4] |= 5 << 56;
        });
        assert_eq!(plain.at(77_000_000), shifted.at(77_000_000));
    }

    #[test]
    fn only_flags_that_say_so_are_believed() {
        let timescale = |number: u64, flags: u64| {
            told(|words| {
                words[1] |= number << 24;
                words[3] = flags;
            })
            .timescale
        };
        assert_eq!(timescale(0, 0), Timescale::Utc);
        assert_eq!(
            timescale(1, FLAG_TAI_OFFSET),
            Timescale::Tai { ahead_s: 37 }
        );
        assert_eq!(timescale(1, 0), Timescale::Other);
        for other in 2..=5 {
            assert_eq!(timescale(other, u64::MAX), Timescale::Other);
        }
        let behind = told(|words| {
            words[1] |= 1 << 24;
            words[4] = (words[4] & !(0xffff << 32)) | (0xffff << 32);
        });
        assert_eq!(behind.timescale, Timescale::Tai { ahead_s: -1 });
        for status in [0, 1, 3, 4, 255] {
            let told = told(|words| words[4] = status << 16);
            assert!(!told.synchronized, "{status}");
        }
        assert!(!told(|words| words[1] |= 0xff << 16).own_counter);
        for flags in [0, FLAG_PERIOD_MAXERROR, FLAG_TIME_MAXERROR] {
            assert_eq!(told(|words| words[3] = flags).max_error_ns, None);
        }
    }

    #[test]
    fn a_page_that_is_being_written_tells_nothing() {
        let page = page(|_| {});
        page[1].store(
            (1 | (OWN_COUNTER << 16) | (1 << 32)).to_le(),
            Ordering::Relaxed,
        );
        assert_eq!(Told::of(&page), None);
    }
}
