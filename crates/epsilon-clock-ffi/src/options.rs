//! What a clock is opened with.

use core::time::Duration;

use epsilon_clock::clock::{DriftLearning, RefreshPolicy};
use epsilon_clock::source::{ChronySource, KernelSource};
use epsilon_clock::{Clock, ClockBuilder};

use crate::boundary::{Versioned, guard, options, put};
use crate::error::ec_error;

/// Leaves a setting of 64 bits at its default; of a span that is optional: none.
pub const EC_DEFAULT: u64 = u64::MAX;
/// Leaves a setting of 32 bits at its default.
pub const EC_DEFAULT32: u32 = u32::MAX;

/// The `version` of `ec_options` and of `ec_hlc_options`.
pub const EC_OPTIONS_VERSION: u32 = 1;

/// Source: the kernel's NTP status (`adjtimex`), as chrony and ntpd keep it. The default.
pub const EC_SOURCE_KERNEL: u32 = 1;
/// Source: chronyd at 127.0.0.1:323, asked once a second. Not with `EC_REFRESH_INLINE`, as no reading
/// waits for an answer.
pub const EC_SOURCE_CHRONY: u32 = 2;

/// Sources are read by calls that find it due, four times a second. The default; no thread.
pub const EC_REFRESH_INLINE: u32 = 0;
/// Sources are read by a thread of the clock's own, which `ec_close` ends. Not followed by a forked
/// child, which calls `ec_refresh` or opens a clock of its own.
pub const EC_REFRESH_BACKGROUND: u32 = 1;
/// Sources are read by `ec_refresh` and `ec_look` only. No thread.
pub const EC_REFRESH_MANUAL: u32 = 2;

/// Flag: a bound counts although the kernel flags its clock as unsynchronised.
pub const EC_ACCEPT_UNSYNC_FLAG: u32 = 1;
/// Flag: bounds grow by `max_drift_ppb` alone, and nothing is learned of the oscillator.
pub const EC_NO_DRIFT_LEARNING: u32 = 2;
/// Flag: the vmclock device of virtual machines is not opened.
pub const EC_NO_VMCLOCK: u32 = 4;

/// What a clock is opened with: fill it by `ec_options_init`, then change what you want changed.
///
/// It grows at its end only; `size` tells which header a program was built with. Fields that a program
/// does not know of are at their defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ec_options {
    /// `sizeof(ec_options)` of the caller's header.
    pub size: u32,
    /// `EC_OPTIONS_VERSION`.
    pub version: u32,
    /// Which sources: `EC_SOURCE_…`, added up; at least one.
    pub sources: u32,
    /// Who reads them: one of `EC_REFRESH_…`.
    pub refresh: u32,
    /// `EC_ACCEPT_UNSYNC_FLAG` and the like, added up; 0 for none.
    pub flags: u32,
    /// How far true time may run from the machine's raw time, in ppb, 1 to 100000000; or
    /// `EC_DEFAULT32`.
    pub max_drift_ppb: u32,
    /// How far the oscillator's rate may wander from what was learned, in ppb; or `EC_DEFAULT32`.
    pub max_wander_ppb: u32,
    /// 0.
    pub reserved: u32,
    /// How much a daemon's own figure may fall short, in ns; or `EC_DEFAULT`.
    pub daemon_margin_ns: u64,
    /// How often sources are read, in ns, 10 us to a year; or `EC_DEFAULT`.
    pub look_interval_ns: u64,
    /// How often a reading compares the clocks, in ns, 10 us to 1 s; or `EC_DEFAULT`.
    pub guard_interval_ns: u64,
    /// The widest error (half an interval) that is an interval still, in ns; or `EC_DEFAULT`.
    pub max_error_ns: u64,
    /// How long after the last sync there still is an interval, in ns; or `EC_DEFAULT`.
    pub max_age_ns: u64,
    /// The error that you vouch for while no source does, in ns, at most `max_error_ns`; or
    /// `EC_DEFAULT` to vouch for none: then an unsynchronised machine gives errors.
    pub assume_error_ns: u64,
}

const _: () = assert!(size_of::<ec_options>() == 80 && align_of::<ec_options>() == 8);

// SAFETY: integers without padding (the size is the sum of theirs), headed by size and version.
unsafe impl Versioned for ec_options {
    const VERSION: u32 = EC_OPTIONS_VERSION;
    const FIRST_SIZE: usize = 80;
    const DEFAULTS: Self = Self {
        size: 80,
        version: EC_OPTIONS_VERSION,
        sources: EC_SOURCE_KERNEL,
        refresh: EC_REFRESH_INLINE,
        flags: 0,
        max_drift_ppb: EC_DEFAULT32,
        max_wander_ppb: EC_DEFAULT32,
        reserved: 0,
        daemon_margin_ns: EC_DEFAULT,
        look_interval_ns: EC_DEFAULT,
        guard_interval_ns: EC_DEFAULT,
        max_error_ns: EC_DEFAULT,
        max_age_ns: EC_DEFAULT,
        assume_error_ns: EC_DEFAULT,
    };
}

/// Fills in the size, the version and the defaults.
///
/// The caller owns the struct; nothing is kept of it. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_options_init(options: *mut ec_options) -> ec_error {
    guard(|| {
        // The size of the first release: a program's header is at least as new.
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(options, ec_options::DEFAULTS) }
    })
}

/// What stays with the handle, and is no business of the builder.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep {
    /// How often the thread reads the sources, if there is to be one.
    pub look_every: Option<Duration>,
}

/// `Clock::builder`'s own default, which a thread of this crate has to know as well.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads the options of a clock, and sets up `builder` by them; sources are left out if it has some.
///
/// # Errors
///
/// Those of the options' size, version and values.
///
/// # Safety
///
/// As `boundary` says of pointers.
pub unsafe fn clock_options(
    given: *const ec_options,
    builder: Option<ClockBuilder>,
) -> Result<(ClockBuilder, Upkeep), ec_error> {
    // SAFETY: the caller's promise is passed on.
    let given = unsafe { options(given)? };
    let sources = given.sources;
    let flags = given.flags;
    let all_flags = EC_ACCEPT_UNSYNC_FLAG | EC_NO_DRIFT_LEARNING | EC_NO_VMCLOCK;
    let known = sources & !(EC_SOURCE_KERNEL | EC_SOURCE_CHRONY) == 0
        && flags & !all_flags == 0
        && given.reserved == 0;
    let asks = sources & EC_SOURCE_CHRONY != 0;
    // To ask inline would be to wait on the hot path.
    let inline = given.refresh == EC_REFRESH_INLINE;
    if !known || sources == 0 || (asks && inline) {
        return Err(ec_error::EC_ERR_OPTION);
    }
    let scripted = builder.is_some();
    let mut built = builder.unwrap_or_else(Clock::builder);
    let look = span(given.look_interval_ns).unwrap_or(LOOK_EVERY);
    let (policy, look_every) = match given.refresh {
        EC_REFRESH_INLINE => (RefreshPolicy::Inline, None),
        EC_REFRESH_MANUAL => (RefreshPolicy::Manual, None),
        // By a thread of this crate's, which ends when the handle is closed, and not when the last
        // reference is dropped.
        EC_REFRESH_BACKGROUND if !scripted => (RefreshPolicy::Manual, Some(look)),
        _ => return Err(ec_error::EC_ERR_OPTION),
    };
    built = built.refresh_policy(policy);
    if !scripted && sources & EC_SOURCE_KERNEL != 0 {
        built = built.source(KernelSource::new());
    }
    if asks {
        if scripted {
            return Err(ec_error::EC_ERR_OPTION);
        }
        built = built.source(ChronySource::new());
    }
    if flags & EC_ACCEPT_UNSYNC_FLAG != 0 {
        built = built.accept_unsync_flag();
    }
    if flags & EC_NO_DRIFT_LEARNING != 0 {
        built = built.drift_learning(DriftLearning::Off);
    }
    if flags & EC_NO_VMCLOCK != 0 {
        built = built.without_vmclock();
    }
    if given.max_drift_ppb != EC_DEFAULT32 {
        built = built.max_drift_ppb(given.max_drift_ppb);
    }
    if given.max_wander_ppb != EC_DEFAULT32 {
        built = built.max_wander_ppb(given.max_wander_ppb);
    }
    type Set = fn(ClockBuilder, Duration) -> ClockBuilder;
    let spans: [(u64, Set); 6] = [
        (given.daemon_margin_ns, ClockBuilder::daemon_margin),
        (given.look_interval_ns, ClockBuilder::look_interval),
        (given.guard_interval_ns, ClockBuilder::guard_interval),
        (given.max_error_ns, ClockBuilder::max_error),
        (given.max_age_ns, ClockBuilder::max_age),
        (given.assume_error_ns, ClockBuilder::assume_error),
    ];
    for (ns, set) in spans {
        if let Some(span) = span(ns) {
            built = set(built, span);
        }
    }
    Ok((built, Upkeep { look_every }))
}

/// Returns the span of a field, unless it is left at its default.
pub(crate) const fn span(ns: u64) -> Option<Duration> {
    match ns {
        EC_DEFAULT => None,
        ns => Some(Duration::from_nanos(ns)),
    }
}
