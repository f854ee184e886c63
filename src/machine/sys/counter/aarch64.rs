//! The generic timer's virtual counter.

use super::count_read::CountRead;
use crate::machine::NoCounter;

/// How [`CountRead::Ordered`] is spelt in an assembler, and [`CountRead::Fenced`].
pub(super) const ORDERED: &str = "mrs cntvctss_el0";
pub(super) const FENCED: &str = "isb; mrs cntvct_el0";

/// Accepts the generic timer, of which the architecture promises all else, and finds how it is read.
///
/// # References
///
/// - Linux `Documentation/arch/arm64/cpu-feature-registers.rst`: `HWCAP_CPUID`, under which the kernel
///   answers reads of identification registers with what all processors have; `ID_AA64MMFR0_EL1`
/// - Arm ARM D19.2.64, `ID_AA64MMFR0_EL1.ECV`: not zero where `CNTVCTSS_EL0` exists
pub(crate) fn sound_counter() -> Result<CountRead, NoCounter> {
    // SAFETY: the call looks a number up in what the kernel told the process when it began.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP) };
    if capabilities & libc::HWCAP_CPUID == 0 {
        return Ok(CountRead::Fenced);
    }
    let features: u64;
    // SAFETY: reads an identification register into a register, which the kernel answers for programs, as it
    // just said. By its number, for the assembler's sake.
    unsafe {
        core::arch::asm!(
            "mrs {features}, S3_0_C0_C7_0",
            features = out(reg) features,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    Ok(counter_of(features))
}

/// Returns how the counter is read where `ID_AA64MMFR0_EL1` holds this.
const fn counter_of(features: u64) -> CountRead {
    // The highest four bits: ECV.
    if features >> 60 == 0 {
        CountRead::Fenced
    } else {
        CountRead::Ordered
    }
}

#[inline]
pub(super) fn ordered(value: i64) -> i64 {
    let count: i64;
    // SAFETY: a branch to the next instruction and a read of the self-synchronised view of the virtual counter
    // (`cntvctss_el0`, by its number, for the assembler's sake) into a register; `sound_counter` found that the
    // processor has it, and Linux lets programs read it. Memory is not named as untouched, so that the compiler
    // moves no load over it.
    unsafe {
        core::arch::asm!(
            "cbnz {value}, 2f",
            "2:",
            "mrs {count}, S3_3_C14_C0_6",
            value = in(reg) value,
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[inline]
pub(super) fn fenced(value: i64) -> i64 {
    let count: i64;
    // SAFETY: a branch to the next instruction, a barrier and a read of the virtual counter into a
    // register, which Linux lets programs do. Memory is not named as untouched, so that the compiler
    // moves no load over it.
    unsafe {
        core::arch::asm!(
            "cbnz {value}, 2f",
            "2:",
            "isb",
            "mrs {count}, cntvct_el0",
            value = in(reg) value,
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[inline]
pub(super) fn count_early() -> i64 {
    let count: i64;
    // SAFETY: reads the virtual counter into a register, which Linux lets programs do. Memory is not named
    // as untouched, so that the compiler moves no store over it.
    unsafe {
        core::arch::asm!(
            "mrs {count}, cntvct_el0",
            count = lateout(reg) count,
            options(nostack, preserves_flags)
        );
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_with_ecv_reads_the_self_synchronised_view() {
        assert_eq!(counter_of(0x0fff_ffff_ffff_ffff), CountRead::Fenced);
        assert_eq!(counter_of(1 << 60), CountRead::Ordered);
        assert_eq!(counter_of(2 << 60), CountRead::Ordered);
    }
}
