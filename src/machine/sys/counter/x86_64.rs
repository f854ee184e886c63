//! The time stamp counter.

use super::count_read::CountRead;
use crate::machine::NoCounter;

/// How [`CountRead::Ordered`] is spelt in an assembler, and [`CountRead::Fenced`].
pub(super) const ORDERED: &str = "rdtscp";
pub(super) const FENCED: &str = "lfence; rdtsc";

/// Checks that the processor's counter never stops and keeps its rate, and finds an ordered read of it.
pub(crate) fn sound_counter() -> Result<CountRead, NoCounter> {
    // The intrinsic is safe to call since Rust 1.94, and was not at the MSRV.
    #[allow(unused_unsafe, reason = "unsafe at the MSRV")]
    // SAFETY: every x86-64 processor has the instruction; it touches registers alone, and a leaf that
    // does not exist answers with another one's values or zeroes.
    counter_of(|leaf| unsafe { core::arch::x86_64::__cpuid(leaf) })
}

/// Returns how the counter of a processor is read that says this of itself.
///
/// # References
///
/// - Intel SDM volume 3, 19.17.1 "Invariant TSC"; AMD APM volume 3, CPUID `8000_0007h` EDX 8
/// - Intel SDM volume 2 and AMD APM volume 3, CPUID `8000_0001h` EDX 27: `RDTSCP`
/// - AMD APM volume 3, CPUID `8000_0021h` EAX 2: `LFENCE` always waits; without it a register of the model
///   decides, which programs cannot read
/// - Linux `arch/x86/kernel/tsc.c`: what makes `tsc` the clocksource
fn counter_of(
    cpuid: impl Fn(u32) -> core::arch::x86_64::CpuidResult,
) -> Result<CountRead, NoCounter> {
    /// Where a hypervisor signs; Xen does so a few leaves later if it poses as another one.
    const SIGNATURES: [u32; 4] = [0x4000_0000, 0x4000_0100, 0x4000_0200, 0x4000_0300];
    /// `XenV` in the first register of its signature.
    const XEN: u32 = u32::from_le_bytes(*b"XenV");
    /// `Genu`, of the one vendor whose `LFENCE` always waits.
    const INTEL: u32 = u32::from_le_bytes(*b"Genu");

    let highest = cpuid(0x8000_0000).eax;
    let invariant = highest >= 0x8000_0007 && cpuid(0x8000_0007).edx & (1 << 8) != 0;
    if !invariant {
        return Err(NoCounter::NotInvariant);
    }
    let lfence_waits = || {
        cpuid(0).ebx == INTEL || (highest >= 0x8000_0021 && cpuid(0x8000_0021).eax & (1 << 2) != 0)
    };
    let read = if cpuid(0x8000_0001).edx & (1 << 27) != 0 {
        CountRead::Ordered
    } else if lfence_waits() {
        CountRead::Fenced
    } else {
        return Err(NoCounter::Unordered);
    };
    let guest = cpuid(1).ecx & (1 << 31) != 0;
    if guest && SIGNATURES.iter().any(|leaf| cpuid(*leaf).ebx == XEN) {
        return Err(NoCounter::Xen);
    }
    Ok(read)
}

#[inline]
pub(super) fn ordered(_value: i64) -> i64 {
    let (count, _) = count_on_processor();
    count
}

/// Out of the way: few processors lack the instruction that waits by itself.
#[cold]
pub(super) fn fenced(_value: i64) -> i64 {
    let (low, high): (u64, u64);
    // SAFETY: a barrier, and a read of the counter into two registers, which are named; every x86-64
    // processor has both instructions. Memory is not named as untouched, as for the other read.
    unsafe {
        core::arch::asm!(
            "lfence",
            "rdtsc",
            out("rax") low,
            out("rdx") high,
            options(nostack, preserves_flags)
        );
    }
    whole(low, high)
}

#[inline]
#[allow(
    clippy::cast_possible_wrap,
    reason = "counts are compared by their differences"
)]
const fn whole(low: u64, high: u64) -> i64 {
    (high << 32 | low) as i64
}

/// Reads the processor's counter as [`CountRead::count`] does, and in one instruction the number of the processor.
///
/// # References
///
/// - Intel SDM volume 2, `RDTSCP`: `ECX` is `IA32_TSC_AUX`
/// - Linux `arch/x86/kernel/cpu/common.c`, `setup_getcpu`: the number in its low 12 bits, the node above
#[inline]
pub(crate) fn count_on_processor() -> (i64, u32) {
    /// `VDSO_CPUNODE_MASK` of `arch/x86/include/asm/segment.h`.
    const NUMBER: u32 = 0xfff;
    let (low, high): (u64, u64);
    let processor: u32;
    // SAFETY: reads the counter and the number of the processor into three registers, which are named;
    // `sound_counter` found that the processor has the instruction. Memory is not named as untouched, so
    // that the compiler moves no load over it.
    unsafe {
        core::arch::asm!(
            "rdtscp",
            out("rax") low,
            out("rdx") high,
            out("ecx") processor,
            options(nostack, preserves_flags)
        );
    }
    (whole(low, high), processor & NUMBER)
}

/// Asks the kernel which processor this is.
///
/// By the system call: the vDSO, too, asks the register that [`count_on_processor`] reads, where the
/// processor has `RDPID`, and so would find it right whatever it says.
///
/// # References
///
/// - [getcpu(2)](https://man7.org/linux/man-pages/man2/getcpu.2.html)
/// - Linux `arch/x86/include/asm/segment.h`, `vdso_read_cpunode`
pub(crate) fn processor() -> Option<u32> {
    let mut processor: libc::c_uint = 0;
    let nowhere = core::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call writes one integer through the first pointer, which comes from a live exclusive
    // reference to one, and leaves alone what a null pointer stands for.
    let told = unsafe { libc::syscall(libc::SYS_getcpu, &raw mut processor, nowhere, nowhere) };
    (told == 0).then_some(processor)
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as `count` is")]
pub(super) fn count_early() -> i64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter into two registers, which are named. Memory is not named as untouched, so
    // that the compiler moves no store over it.
    unsafe {
        core::arch::asm!(
            "rdtsc",
            out("rax") low,
            out("rdx") high,
            options(nostack, preserves_flags)
        );
    }
    whole(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a processor says of itself: the vendor, its highest leaf, and bits of four leaves.
    #[derive(Clone, Copy)]
    struct Cpu {
        vendor: &'static [u8; 4],
        highest: u32,
        rdtscp: bool,
        invariant: bool,
        lfence: bool,
        hypervisor: Option<(u32, &'static [u8; 4])>,
    }

    impl Cpu {
        const PLAIN: Self = Self {
            vendor: b"Genu",
            highest: 0x8000_0008,
            rdtscp: true,
            invariant: true,
            lfence: false,
            hypervisor: None,
        };

        fn judged(self) -> Result<CountRead, NoCounter> {
            counter_of(|leaf| {
                let mut found = core::arch::x86_64::CpuidResult {
                    eax: 0,
                    ebx: 0,
                    ecx: 0,
                    edx: 0,
                };
                match leaf {
                    0 => found.ebx = u32::from_le_bytes(*self.vendor),
                    1 => found.ecx = u32::from(self.hypervisor.is_some()) << 31,
                    0x8000_0000 => found.eax = self.highest,
                    0x8000_0001 => found.edx = u32::from(self.rdtscp) << 27,
                    0x8000_0007 => found.edx = u32::from(self.invariant) << 8,
                    0x8000_0021 => found.eax = u32::from(self.lfence) << 2,
                    leaf => {
                        let signs = self.hypervisor.filter(|(at, _)| *at == leaf);
                        found.ebx = signs.map_or(0, |(_, name)| u32::from_le_bytes(*name));
                    }
                }
                found
            })
        }
    }

    #[test]
    fn a_processor_without_rdtscp_reads_behind_an_lfence_that_waits() {
        let plain = Cpu::PLAIN;
        assert_eq!(plain.judged(), Ok(CountRead::Ordered));
        let without = Cpu {
            rdtscp: false,
            ..plain
        };
        assert_eq!(without.judged(), Ok(CountRead::Fenced));
        // Another vendor's waits where the processor says so, and may not elsewhere.
        let other = Cpu {
            vendor: b"Auth",
            highest: 0x8000_0021,
            ..without
        };
        assert_eq!(other.judged(), Err(NoCounter::Unordered));
        let waits = Cpu {
            lfence: true,
            ..other
        };
        assert_eq!(waits.judged(), Ok(CountRead::Fenced));
        let not_told = Cpu {
            highest: 0x8000_0020,
            ..waits
        };
        assert_eq!(not_told.judged(), Err(NoCounter::Unordered));
        assert_eq!(
            Cpu {
                rdtscp: true,
                ..other
            }
            .judged(),
            Ok(CountRead::Ordered)
        );
    }

    #[test]
    fn no_read_makes_up_for_a_counter_that_is_not_invariant_or_that_xen_moves() {
        for rdtscp in [true, false] {
            let cpu = Cpu {
                rdtscp,
                ..Cpu::PLAIN
            };
            let variant = Cpu {
                invariant: false,
                ..cpu
            };
            assert_eq!(variant.judged(), Err(NoCounter::NotInvariant));
            let old = Cpu {
                highest: 0x8000_0006,
                ..cpu
            };
            assert_eq!(old.judged(), Err(NoCounter::NotInvariant));
            for leaf in [0x4000_0000, 0x4000_0100] {
                let hypervisor = |name| Cpu {
                    hypervisor: Some((leaf, name)),
                    ..cpu
                };
                assert_eq!(hypervisor(b"XenV").judged(), Err(NoCounter::Xen));
                assert!(hypervisor(b"KVMK").judged().is_ok());
            }
        }
    }
}
