//! The processor's counter: whether it can be relied on, and how it is read.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod count_read;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod missing;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as here;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use missing as here;
#[cfg(target_arch = "x86_64")]
use x86_64 as here;

pub(crate) use count_read::CountRead;
pub(crate) use here::sound_counter;
#[cfg(target_arch = "x86_64")]
pub(crate) use here::{count_on_processor, processor};

impl CountRead {
    /// Returns the instructions, as an assembler spells them.
    pub(crate) const fn instructions(self) -> &'static str {
        match self {
            Self::Ordered => here::ORDERED,
            Self::Fenced => here::FENCED,
        }
    }

    /// Reads the counter, after every load before it and after `value` is known.
    ///
    /// # References
    ///
    /// - Intel SDM volume 2, `RDTSCP`: executes once all that comes before has executed and all loads before
    ///   are globally visible; `LFENCE`: nothing after it begins before all that comes before has completed
    /// - Arm ARM D12.2.2: a read of the counter may be done early, unless an `ISB` comes before it; K13.6:
    ///   what is read after a branch on a loaded value and an `ISB` is read after that load; `CNTVCTSS_EL0`:
    ///   cannot be read speculatively, so not before the branch either
    /// - Linux `arch/arm64/include/asm/vdso/gettimeofday.h` and `arch/x86/include/asm/msr.h`, which do so for
    ///   the vDSO
    #[inline]
    pub(crate) fn count(self, value: i64) -> i64 {
        match self {
            Self::Ordered => here::ordered(value),
            Self::Fenced => here::fenced(value),
        }
    }
}

/// Reads the counter, perhaps before what precedes it has been done, but not after what follows it is seen.
///
/// What it reads had come by then, so it can tell that a time is over, and what is stored afterwards can be
/// seen by no other processor before. That takes half of the time that [`CountRead::count`] does.
///
/// # References
///
/// - Intel SDM volume 2, `RDTSC`: not ordered against what comes before; volume 3, 9.2.2: stores are seen in the
///   order of the program, and not before the instructions ahead of them have retired
/// - Arm ARM D12.2.2: a read of the counter may be done early; a store is not done speculatively
#[inline(always)]
#[allow(clippy::inline_always, reason = "as `count` is")]
pub(crate) fn count_early() -> i64 {
    here::count_early()
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    use super::*;
    use crate::machine::sys::monotonic_raw;

    /// Every read that this processor has.
    #[allow(clippy::print_stdout, reason = "CI looks for which they are")]
    fn reads() -> Vec<CountRead> {
        let chosen = sound_counter();
        let ordered = (chosen == Ok(CountRead::Ordered)).then_some(CountRead::Ordered);
        let reads: Vec<_> = ordered.into_iter().chain([CountRead::Fenced]).collect();
        let names = reads.iter().map(|read| read.instructions());
        println!("{chosen:?}: {}", names.collect::<Vec<_>>().join(", "));
        reads
    }

    #[test]
    fn each_read_of_the_counter_agrees_with_the_others() {
        let reads = reads();
        let mut last = CountRead::Fenced.count(0);
        for _ in 0..100_000 {
            for read in &reads {
                let count = read.count(last);
                assert!(count >= last, "{read:?}: {count} after {last}");
                last = count;
            }
        }
        // Of one counter, and not of two that both go on: neither read is 10 s away from the other.
        let raw = monotonic_raw();
        let first = CountRead::Fenced.count(raw);
        while monotonic_raw() - raw < 10_000_000 {}
        let second = reads[0].count(first);
        assert!((100_000..10_000_000_000).contains(&(second - first)));
    }

    /// A read that ran before the load in front of it would return less than what was counted for the load.
    #[test]
    fn a_read_of_the_counter_is_no_earlier_than_what_another_thread_counted_before() {
        for read in reads() {
            let (told, done) = (AtomicI64::new(i64::MIN), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        told.store(read.count(0), Ordering::Release);
                    }
                });
                for _ in 0..200_000 {
                    let before = told.load(Ordering::Acquire);
                    let count = read.count(before);
                    assert!(count >= before, "{read:?}: {count} before {before}");
                }
                done.store(true, Ordering::Relaxed);
            });
        }
    }
}
