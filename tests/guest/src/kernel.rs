//! What a time daemon, or an operator, does to the kernel's clock: all of it is allowed in here.

use epsilon_clock::machine::NtpStatus;

use crate::host::{adjtimex, timex};
use crate::starved::starved;
use crate::truth::{SECOND, Truth};

/// What is to be added to an honest bound for the time between measuring and writing it.
const SLOP_US: i64 = 137;

/// Sets real time, as `settimeofday` does.
pub(crate) fn set_time(unix_nanos: i64) {
    let time = libc::timeval {
        tv_sec: unix_nanos.div_euclid(SECOND),
        tv_usec: unix_nanos.rem_euclid(SECOND) / 1_000,
    };
    // SAFETY: the pointer comes from a live reference; a null time zone is left alone.
    let failed = unsafe { libc::settimeofday(&time, std::ptr::null()) };
    assert_eq!(failed, 0, "settimeofday is refused");
}

/// One `adjtimex` call.
pub(crate) fn adjust(modes: libc::c_uint, set: impl FnOnce(&mut libc::timex)) {
    let mut request = timex();
    set(&mut request);
    request.modes = modes;
    assert!(
        adjtimex(&mut request) >= 0,
        "adjtimex is refused: {:?}",
        std::io::Error::last_os_error()
    );
}

/// What one write puts into the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) status: i32,
    pub(crate) maxerror_us: i64,
    pub(crate) esterror_us: i64,
}

pub(crate) const FIELDS: libc::c_uint = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;

impl Fields {
    pub(crate) fn put(self, request: &mut libc::timex) {
        request.status = self.status;
        request.maxerror = self.maxerror_us;
        request.esterror = self.esterror_us;
    }

    pub(crate) fn write(self) {
        adjust(FIELDS, |request| self.put(request));
    }

    /// What an honest daemon would write now, if it knew its error to within `more_us`.
    pub(crate) fn honest(truth: &Truth, status: i32, more_us: i64) -> Self {
        let error_us = truth.error_of_real().abs() / 1_000 + 1;
        let mut maxerror_us = error_us + SLOP_US + more_us;
        if maxerror_us % 500 == 0 {
            // Not to be taken for one of those who write no bound.
            maxerror_us += 1;
        }
        Self {
            status,
            maxerror_us,
            esterror_us: 100,
        }
    }
}

/// Writes an honest bound, and makes sure that it was one: this thread may have been kept from
/// running between measuring and writing.
pub(crate) fn write_honestly(truth: &Truth, status: i32, more_us: i64) {
    let fields = Fields::honest(truth, status, more_us);
    fields.write();
    let error_us = truth.error_of_real().abs() / 1_000;
    if error_us > fields.maxerror_us + 150 {
        starved(&format!(
            "a bound of {} µs was written {error_us} µs off",
            fields.maxerror_us
        ));
    }
}

/// Steps real time through the NTP interface; `with` are fields that the same call writes.
pub(crate) fn step(by: i64, with: Option<Fields>) {
    let modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
    adjust(modes | if with.is_some() { FIELDS } else { 0 }, |request| {
        request.time.tv_sec = by.div_euclid(SECOND);
        request.time.tv_usec = by.rem_euclid(SECOND);
        if let Some(fields) = with {
            fields.put(request);
        }
    });
}

/// Lets real time run off its nominal rate, in units of 100 ppm.
pub(crate) fn slew_by_tick(hundred_ppm: i64) {
    adjust(libc::ADJ_TICK, |request| {
        request.tick = NtpStatus::NOMINAL_TICK + hundred_ppm;
    });
}

/// The kernel as it is after boot, at this time.
pub(crate) fn reset(unix_nanos: i64) {
    slew_by_tick(0);
    adjust(libc::ADJ_FREQUENCY, |request| request.freq = 0);
    // Under the PLL an offset of zero ends what is left of a slew.
    adjust(
        libc::ADJ_STATUS | libc::ADJ_OFFSET | libc::ADJ_NANO,
        |request| {
            request.status = NtpStatus::STA_PLL;
            request.offset = 0;
        },
    );
    adjust(libc::ADJ_STATUS | libc::ADJ_MICRO, |request| {
        request.status = NtpStatus::STA_UNSYNC;
    });
    set_time(unix_nanos);
}
