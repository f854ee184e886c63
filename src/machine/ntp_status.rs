//! The kernel's NTP status as `adjtimex` reports it: numbers and flags, not yet interpreted.

use thiserror::Error;

use crate::words::words_enum;

/// What a read-only `adjtimex` answers, in the kernel's own units.
///
/// Nothing here is checked or converted: old kernels and odd daemons leave any value in any field,
/// and [`KernelSource`](crate::source::KernelSource) must cope with all of them. The fields that the crate
/// has no use for are left out.
///
/// # Example
///
/// ```
/// use epsilon_clock::machine::NtpStatus;
///
/// let mut status = NtpStatus::default(); // an unsynchronised kernel just after boot
/// assert_eq!(status.maxerror, NtpStatus::MAXERROR_CAP);
/// status.maxerror = 1_000; // one millisecond
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NtpStatus {
    /// The return value: the leap state 0 to 4, or 5 (`TIME_ERROR`), which masks it.
    pub state: i32,
    /// The `STA_*` flags.
    pub status: i32,
    /// The most that the clock is wrong, in µs, as its daemon wrote it.
    ///
    /// The kernel adds 500 µs a second, up to [`NtpStatus::MAXERROR_CAP`]. Signed: it has been seen
    /// negative.
    pub maxerror: i64,
    /// The estimated error in µs. Never grows by itself.
    pub esterror: i64,
    /// The frequency correction in units of 2⁻¹⁶ ppm.
    pub freq: i64,
    /// The tick in µs; nominally [`NtpStatus::NOMINAL_TICK`] a hundredth of a second.
    pub tick: i64,
    /// The phase that the kernel's PLL has yet to slew away.
    ///
    /// In ns if [`NtpStatus::STA_NANO`] is set in this reply, else in µs.
    pub offset: i64,
    /// The PLL's time constant: each second `offset / 2^(2 + constant)` is slewed away.
    pub constant: i64,
    /// TAI − UTC in whole seconds; 0 where no daemon told the kernel.
    pub tai: i32,
}

impl NtpStatus {
    /// The cap of `maxerror` in µs, 16 s: from there on the kernel calls itself unsynchronised
    /// (`NTP_PHASE_LIMIT` in the kernel's `timex.h`).
    pub const MAXERROR_CAP: i64 = 16_000_000;
    /// The nominal tick in µs, a hundredth of a second.
    pub const NOMINAL_TICK: i64 = 10_000;

    /// Flag: the kernel's phase-locked loop is in use (ntpd, timesyncd, ClockBound).
    pub const STA_PLL: i32 = 0x0001;
    /// Flag: a second will be inserted at the end of this UTC day.
    pub const STA_INS: i32 = 0x0010;
    /// Flag: the last second of this UTC day will be deleted.
    pub const STA_DEL: i32 = 0x0020;
    /// Flag: the clock is called unsynchronised.
    pub const STA_UNSYNC: i32 = 0x0040;
    /// Flag: `offset` is in nanoseconds.
    pub const STA_NANO: i32 = 0x2000;

    /// State: no leap second in sight.
    pub const TIME_OK: i32 = 0;
    /// State: a second will be inserted at the end of this UTC day.
    pub const TIME_INS: i32 = 1;
    /// State: the last second of this UTC day will be deleted.
    pub const TIME_DEL: i32 = 2;
    /// State: the inserted second is in progress.
    pub const TIME_OOP: i32 = 3;
    /// State: the leap second is over, and its flag not yet cleared.
    pub const TIME_WAIT: i32 = 4;
    /// State: unsynchronised; hides the leap state.
    pub const TIME_ERROR: i32 = 5;

    /// Returns true if all the bits of `flag` are set.
    ///
    /// `flag` is one of the `STA_*` constants.
    ///
    /// ```
    /// # use epsilon_clock::machine::NtpStatus;
    /// assert!(NtpStatus::default().has(NtpStatus::STA_UNSYNC));
    /// ```
    #[must_use]
    pub const fn has(&self, flag: i32) -> bool {
        self.status & flag == flag
    }

    /// Returns true if `maxerror` is below its cap: a daemon wrote it, and not too long ago.
    pub(crate) fn reports_a_bound(&self) -> bool {
        (0..Self::MAXERROR_CAP).contains(&self.maxerror)
    }

    /// Returns true unless the kernel calls its clock unsynchronised; with `accept_flag` it may.
    pub(crate) fn vouches(&self, accept_flag: bool) -> bool {
        accept_flag || (self.reports_a_bound() && !self.has(Self::STA_UNSYNC))
    }

    /// Returns the magnitude in ns of the phase that the kernel has yet to slew.
    ///
    /// In µs mode the kernel divides a negative offset as an unsigned 32-bit number of ns (`ntp.c`,
    /// `__do_adjtimex`), so that one reads as some 4.29 s. No offset exceeds half a second
    /// (`MAXPHASE`), so what does is one of those.
    pub(crate) fn offset_ns(&self) -> u64 {
        const MAX_PHASE_US: i64 = 500_000;
        const WRAP_NS: i64 = 1 << 32;
        if self.has(Self::STA_NANO) {
            return self.offset.unsigned_abs();
        }
        let ns = self.offset.saturating_mul(1_000);
        if self.offset > MAX_PHASE_US && ns <= WRAP_NS {
            WRAP_NS.saturating_sub(ns).unsigned_abs()
        } else {
            ns.unsigned_abs()
        }
    }

    /// Returns three times the estimated error in ns, by which a written bound may fall short (A2).
    ///
    /// chronyd's bound holds the deviation of its own estimate once. After a step by another hand it
    /// was seen to write 171 ms beside an `esterror` of 87 ms while the clock was off by 400 ms; of
    /// 6 700 bounds written in worlds with honest servers none fell short by more than three.
    pub(crate) fn deviation_ns(&self) -> u64 {
        const DEVIATIONS: u64 = 3;
        // Below zero it says as little as above: no daemon has a negative deviation.
        self.esterror
            .unsigned_abs()
            .saturating_mul(1_000 * DEVIATIONS)
    }

    #[cfg(all(target_os = "linux", not(epsilon_clock_portable)))]
    #[allow(
        clippy::useless_conversion,
        reason = "the fields' width differs between targets: i64 here, i32 on 32-bit ones"
    )]
    pub(crate) fn from_timex(state: i32, timex: &libc::timex) -> Self {
        Self {
            state,
            status: timex.status,
            maxerror: timex.maxerror.into(),
            esterror: timex.esterror.into(),
            freq: timex.freq.into(),
            tick: timex.tick.into(),
            offset: timex.offset.into(),
            constant: timex.constant.into(),
            tai: timex.tai,
        }
    }
}

/// Returns the status of a kernel that no daemon has synchronised since it booted.
impl Default for NtpStatus {
    fn default() -> Self {
        Self {
            state: Self::TIME_ERROR,
            status: Self::STA_UNSYNC,
            maxerror: Self::MAXERROR_CAP,
            esterror: Self::MAXERROR_CAP,
            freq: 0,
            tick: Self::NOMINAL_TICK,
            offset: 0,
            constant: 2,
            tai: 0,
        }
    }
}

/// Why a machine did not tell its NTP status.
///
/// ```
/// use epsilon_clock::machine::NtpStatusError;
///
/// let refused = NtpStatusError::Refused { errno: 1 };
/// assert!(refused.to_string().contains("errno 1"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NtpStatusError {
    /// Both syscalls that answer it were refused; `errno` is the first one's (1 is EPERM, 38 ENOSYS).
    #[error("adjtimex and clock_adjtime were refused (errno {errno})")]
    Refused {
        /// The error number of the first of the two calls.
        errno: i32,
    },
    /// The platform has no such call.
    #[error("this platform has no adjtimex")]
    Unsupported,
}

words_enum!(NtpStatusError { Refused { errno } = 1, Unsupported = 2 });
