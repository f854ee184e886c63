//! Clocks: opening, closing, and reading them.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use epsilon_clock::{Clock, ClockBuilder, Interval, IntervalOrder, Timestamp};

use crate::boundary::{check_out, get, guard, put};
use crate::error::ec_error;
use crate::handle::{Kind, Table};
use crate::options::{Upkeep, clock_options, ec_options};

/// A clock. Opaque: only its address means anything, and nothing is there to be read.
pub struct ec_clock {
    _opaque: (),
}

/// True time lies in here, both ends included, at some instant during the call that returned it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ec_interval {
    /// UTC is not before this, in ns since 1970-01-01T00:00:00Z.
    pub earliest_ns: i64,
    /// UTC is not after this, in ns since 1970-01-01T00:00:00Z; never before `earliest_ns`.
    pub latest_ns: i64,
}

const _: () = assert!(size_of::<ec_interval>() == 16 && align_of::<ec_interval>() == 8);

impl From<Interval> for ec_interval {
    #[inline]
    fn from(interval: Interval) -> Self {
        Self {
            earliest_ns: interval.earliest().unix_nanos(),
            latest_ns: interval.latest().unix_nanos(),
        }
    }
}

impl TryFrom<ec_interval> for Interval {
    type Error = ec_error;

    fn try_from(given: ec_interval) -> Result<Self, ec_error> {
        let [earliest, latest] =
            [given.earliest_ns, given.latest_ns].map(Timestamp::from_unix_nanos);
        Self::new(earliest, latest).map_err(|_| ec_error::EC_ERR_VALUE)
    }
}

/// How often the thread of a clock asks the daemon: as often as the library's own would.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A clock behind its handle.
pub(crate) struct Open {
    pub(crate) clock: Clock,
    keeper: Mutex<Option<Keeper>>,
}

/// A thread that reads the sources, until the clock is closed.
struct Keeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    /// In which it runs.
    process: u32,
}

impl Keeper {
    fn start(clock: Clock, look_every: Duration) -> Result<Self, ec_error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || {
            // The clock was refreshed when it was opened.
            let mut asked = Instant::now();
            while !stopped.load(Ordering::Acquire) {
                // Both are for what they do; readers find out what came of it.
                if asked.elapsed() >= ASK_EVERY {
                    asked = Instant::now();
                    let _ = clock.refresh();
                } else {
                    let _ = clock.look();
                }
                thread::park_timeout(look_every.min(ASK_EVERY));
            }
        };
        let thread = thread::Builder::new()
            .name("epsilon-clock".into())
            .spawn(run)
            .map_err(|_| ec_error::EC_ERR_THREAD)?;
        Ok(Self {
            stop,
            thread,
            process: std::process::id(),
        })
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        if self.process == std::process::id() {
            self.thread.thread().unpark();
            // It cannot have panicked, and if it has it is gone as well.
            let _ = self.thread.join();
        } else {
            // A forked child has no such thread, and would wait for it for ever.
            core::mem::forget(self.thread);
        }
    }
}

static CLOCKS: Table<Open> = Table::new(Kind::Clock);

/// # Safety
///
/// As [`Table::get`].
#[inline]
pub(crate) unsafe fn clock_of(handle: *const ec_clock) -> Result<&'static Clock, ec_error> {
    // SAFETY: the caller's promise is passed on.
    Ok(&unsafe { CLOCKS.get(handle)? }.clock)
}

pub(crate) fn pinned(handle: *const ec_clock) -> Result<crate::handle::Pin<Open>, ec_error> {
    CLOCKS.pin(handle)
}

/// Builds a clock and puts it behind a handle.
///
/// # Errors
///
/// Those of [`ClockBuilder::build`], and no place left.
pub fn open_built(builder: ClockBuilder, upkeep: Upkeep) -> Result<*mut ec_clock, ec_error> {
    let clock = builder.build()?;
    let keeper = match upkeep.look_every {
        None => None,
        Some(look_every) => {
            // A reader that opens it may read it at once.
            let _ = clock.refresh();
            Some(Keeper::start(clock.clone(), look_every)?)
        }
    };
    adopt(clock, keeper)
}

/// Puts a clock that a Rust program built behind a handle.
///
/// # Errors
///
/// No place left.
pub fn open_existing(clock: Clock) -> Result<*mut ec_clock, ec_error> {
    adopt(clock, None)
}

fn adopt(clock: Clock, keeper: Option<Keeper>) -> Result<*mut ec_clock, ec_error> {
    CLOCKS.open(Open {
        clock,
        keeper: Mutex::new(keeper),
    })
}

impl Drop for Open {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            keeper.end();
        }
    }
}

/// Opens the clock of this machine; null options mean the defaults: the kernel as source, no thread.
///
/// A machine that is not synchronised is no error yet. The caller owns the handle, and gives it back by
/// `ec_close`; the options are not kept. 1024 clocks can be open at a time. Allocates; nothing below
/// does. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`, `EC_ERR_VERSION`,
/// `EC_ERR_OPTION`, `EC_ERR_TOO_MANY` and 20 to 29.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_open(
    options: *const ec_options,
    clock: *mut *mut ec_clock,
) -> ec_error {
    guard(|| {
        check_out(clock)?;
        // SAFETY: as `boundary` says of pointers.
        let (builder, upkeep) = unsafe { clock_options(options, None)? };
        let opened = open_built(builder, upkeep)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(clock, opened) }
    })
}

/// Closes a clock; a thread of its own has ended when this returns.
///
/// Calls of `ec_wait` and `ec_wait_until_within` that are under way on other threads return
/// `EC_ERR_CLOSED` within 10 ms. No other call may be under way on this clock; one that is nevertheless
/// still gets its answer, unless more clocks are opened during it than places are free. Hybrid clocks
/// on this clock go on, without its thread. Waits for that thread: up to 0.1 s where chronyd is asked.
/// The memory is used again by a later clock. Any thread; not in a signal handler. Errors:
/// `EC_ERR_NULL`, `EC_ERR_HANDLE`, and `EC_ERR_CLOSED` if it was closed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_close(clock: *mut ec_clock) -> ec_error {
    guard(|| {
        let keeper = CLOCKS.close(clock.cast_const(), |open| {
            let keeper = open.keeper.lock();
            keeper.unwrap_or_else(PoisonError::into_inner).take()
        })?;
        if let Some(keeper) = keeper {
            keeper.end();
        }
        Ok(())
    })
}

/// Reads the clock: some instant between call and return lies in the interval.
///
/// Mostly no system call; never a lock or an allocation. Any number of threads, real-time ones and
/// signal handlers included. The caller owns `now`. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`,
/// `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`, and 30 to 59 while there is no interval.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_now(clock: *const ec_clock, now: *mut ec_interval) -> ec_error {
    guard(|| {
        check_out(now)?;
        // SAFETY: the reference ends with this call.
        match unsafe { CLOCKS.at::<0, _>(clock) } {
            // SAFETY: as `boundary` says of pointers.
            Some(first) => unsafe { read_into(&first.clock, now) },
            // SAFETY: as above.
            None => unsafe { read_second(clock, now) },
        }
    })
}

/// # Safety
///
/// As `boundary` says of pointers.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "`ec_now` may cost 2 ns more than what it calls"
)]
unsafe fn read_into(clock: &Clock, now: *mut ec_interval) -> Result<(), ec_error> {
    let interval = clock.now()?;
    // SAFETY: the caller's promise is passed on.
    unsafe { put(now, interval.into()) }
}

// Apart for each place, so that no clock's code waits for what finds a clock by its handle: each of the
// four that are opened first costs up to 2 ns beside `Clock::now`, any other 4.
macro_rules! read_one_of {
    ($name:ident, $index:literal, else $next:ident) => {
        /// # Safety
        ///
        /// As `boundary` says of pointers.
        #[inline(never)]
        unsafe fn $name(clock: *const ec_clock, now: *mut ec_interval) -> Result<(), ec_error> {
            // SAFETY: the reference ends with this call.
            match unsafe { CLOCKS.at::<$index, _>(clock) } {
                // SAFETY: the caller's promise is passed on.
                Some(open) => unsafe { read_into(&open.clock, now) },
                // SAFETY: as above.
                None => unsafe { $next(clock, now) },
            }
        }
    };
}

read_one_of!(read_second, 1, else read_third);
read_one_of!(read_third, 2, else read_fourth);
read_one_of!(read_fourth, 3, else read_by_handle);

/// # Safety
///
/// As `boundary` says of pointers.
#[inline(never)]
unsafe fn read_by_handle(clock: *const ec_clock, now: *mut ec_interval) -> Result<(), ec_error> {
    // SAFETY: the reference ends with this call.
    let clock = unsafe { clock_of(clock)? };
    // SAFETY: the caller's promise is passed on.
    unsafe { read_into(clock, now) }
}

/// Tells whether an instant (ns since 1970) is surely past: before the earliest that it can be now.
///
/// Costs, threads and errors as `ec_now`. The caller owns `past`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_after(
    clock: *const ec_clock,
    instant_ns: i64,
    past: *mut bool,
) -> ec_error {
    guard(|| {
        check_out(past)?;
        let instant = Timestamp::from_unix_nanos(instant_ns);
        // SAFETY: the reference ends with this call.
        let is_past = unsafe { clock_of(clock)? }.after(instant)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(past, is_past) }
    })
}

/// Tells whether an instant (ns since 1970) is surely to come: after the latest that it can be now.
///
/// Costs, threads and errors as `ec_now`. The caller owns `to_come`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_before(
    clock: *const ec_clock,
    instant_ns: i64,
    to_come: *mut bool,
) -> ec_error {
    guard(|| {
        check_out(to_come)?;
        let instant = Timestamp::from_unix_nanos(instant_ns);
        // SAFETY: the reference ends with this call.
        let comes = unsafe { clock_of(clock)? }.before(instant)?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(to_come, comes) }
    })
}

/// Reads the sources that need no waiting, and then the clock.
///
/// The way to keep a clock with `EC_REFRESH_MANUAL`; with others there is no need. A system call for
/// each source. The caller owns `now`. Any thread. Errors as `ec_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_look(clock: *const ec_clock, now: *mut ec_interval) -> ec_error {
    guard(|| {
        check_out(now)?;
        let interval = pinned(clock)?.value().clock.look()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(now, interval.into()) }
    })
}

/// Asks the daemons behind the sources, waits for their answers, and does what `ec_look` does.
///
/// Waits for up to 0.1 s where chronyd is a source. The caller owns `now`. Any thread. Errors as
/// `ec_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_refresh(clock: *const ec_clock, now: *mut ec_interval) -> ec_error {
    guard(|| {
        check_out(now)?;
        let interval = pinned(clock)?.value().clock.refresh()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(now, interval.into()) }
    })
}

/// Vouches again for a clock opened with `assume_error_ns`, after a step or a suspend broke that.
///
/// Does nothing to other clocks, nor where a source vouches. The caller owns `now`. Any thread. Errors
/// as `ec_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_vouch(clock: *const ec_clock, now: *mut ec_interval) -> ec_error {
    guard(|| {
        check_out(now)?;
        let interval = pinned(clock)?.value().clock.vouch()?;
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(now, interval.into()) }
    })
}

/// How two intervals lie to each other.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ec_order {
    /// The first surely came before the second.
    EC_BEFORE = -1,
    /// They overlap: which came first cannot be told.
    EC_CONCURRENT = 0,
    /// The first surely came after the second.
    EC_AFTER = 1,
}

/// Tells which of two intervals lies before the other.
///
/// The caller owns all three. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
/// `EC_ERR_MISALIGNED`, `EC_ERR_VALUE` if an interval ends before it begins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_interval_order(
    first: *const ec_interval,
    second: *const ec_interval,
    order: *mut ec_order,
) -> ec_error {
    guard(|| {
        // SAFETY: as `boundary` says of pointers; an interval is two integers.
        let first = Interval::try_from(unsafe { get(first)? })?;
        // SAFETY: as above.
        let second = Interval::try_from(unsafe { get(second)? })?;
        let found = match first.order(&second) {
            IntervalOrder::Before => ec_order::EC_BEFORE,
            IntervalOrder::Concurrent => ec_order::EC_CONCURRENT,
            IntervalOrder::After => ec_order::EC_AFTER,
        };
        // SAFETY: as `boundary` says of pointers.
        unsafe { put(order, found) }
    })
}
