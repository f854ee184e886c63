//! What keeps loads, stores and readings of the counter in order, where no fence of the memory model does.

/// Lets no reading of the counter begin before all stores so far can be seen by every processor.
///
/// A sequentially consistent fence does that on x86, where it is an `MFENCE` or a locked instruction; on
/// ARM it orders memory alone.
///
/// # References
///
/// - Arm ARM B2.3.12: `DSB` completes only when the accesses before it have
#[inline]
pub(crate) fn after_stores() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier: touches no register, memory or stack.
    unsafe {
        core::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}

/// Loads a word, but not before `value` is known.
///
/// A counter read is not a load, so no fence of the memory model orders a later load after it, and
/// processors do run such a load early. An address that depends on the value cannot be known before it.
/// (Linux makes such a dependency on ARM to keep a sequence check behind the counter read.)
///
/// Relaxed but for that. In assembly as a whole, since an index that the compiler adds costs it a
/// multiplication by the size of what is indexed, which the reader would wait for.
#[cfg_attr(loom, allow(dead_code, reason = "loom's clocks are atomics"))]
#[inline]
pub(crate) fn load_after(word: &core::sync::atomic::AtomicI64, value: i64) -> i64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let loaded: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an AND of a register with 0, and a load from a live, aligned atomic, which is how x86 loads it
    // relaxed. Unlike XOR with itself the AND is no idiom that processors resolve without the register.
    unsafe {
        core::arch::asm!(
            "and {zero}, 0",
            "mov {loaded}, qword ptr [{word} + {zero}]",
            zero = inout(reg) value => _,
            word = in(reg) word.as_ptr(),
            loaded = lateout(reg) loaded,
            options(nostack, readonly)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: an AND of a register with the zero register, which keeps the dependency by the architecture's
    // rule, and a load from a live, aligned atomic, which is how ARM loads it relaxed.
    unsafe {
        core::arch::asm!(
            "and {zero}, {zero}, xzr",
            "ldr {loaded}, [{word}, {zero}]",
            zero = inout(reg) value => _,
            word = in(reg) word.as_ptr(),
            loaded = lateout(reg) loaded,
            options(nostack, readonly, preserves_flags)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let loaded = {
        let _ = zero_after(value);
        word.load(core::sync::atomic::Ordering::Relaxed)
    };
    loaded
}

/// Returns zero, but only once `value` is known.
///
/// A load at an index that it was added to waits for `value`, as [`load_after`] does.
#[inline]
pub(crate) fn zero_after(value: i64) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let mut zero = value;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: one AND of a register with 0: touches neither memory nor stack. Unlike XOR with
    // itself it is no idiom that processors resolve without waiting for the register.
    unsafe {
        core::arch::asm!("and {0}, 0", inout(reg) zero, options(pure, nomem, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: one AND of a register with the zero register: touches neither memory nor stack, and
    // the architecture keeps the dependency.
    unsafe {
        core::arch::asm!("and {0}, {0}, xzr", inout(reg) zero, options(pure, nomem, nostack));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let zero = {
        let _ = value;
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        0_i64
    };
    // Always zero, which the compiler cannot know.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "zero is zero in every width"
    )]
    let zero = zero as usize;
    zero
}
