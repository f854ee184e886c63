//! Which reads of the counter there are.

/// How the processor's counter is read in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "no other counter is known how to read")
)]
pub(crate) enum CountRead {
    /// By the instruction that waits by itself, which not every processor has.
    Ordered,
    /// By a barrier, and then by the instruction that does not wait.
    Fenced,
}
