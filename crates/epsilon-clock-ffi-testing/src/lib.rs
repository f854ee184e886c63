//! The C interface with machines whose clocks a test sets by hand.
//!
//! A library of its own, so that production has none of it: a program's tests link
//! `libepsilon_clock_testing` in place of `libepsilon_clock`, all of which it has too.

#![allow(
    unsafe_code,
    reason = "the boundary to C: pointers come in, and names go out unmangled"
)]
#![allow(
    non_camel_case_types,
    reason = "these are the names of the C interface, which the header repeats"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the docs are the header's comments; epsilon-clock-ffi says what holds for pointers"
)]

use core::time::Duration;

pub use epsilon_clock_ffi;

use epsilon_clock::TimeDelta;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock_ffi::internals::{Kind, Table, clock_options, guard, open_built, put};
use epsilon_clock_ffi::{ec_clock, ec_error, ec_options};

/// A machine whose clocks a test sets. Opaque.
pub struct ec_testing_machine {
    _opaque: (),
}

static MACHINES: Table<ScriptedMachine> = Table::new(Kind::Machine);

/// Makes a machine on the morning of 2026-11-20, whose kernel is not synchronised.
///
/// Its time passes only by `ec_testing_advance`, by sleeps of its clocks, and by 20 ns for each reading
/// of a clock. The caller owns the handle, and gives it back by `ec_testing_machine_close`; clocks on it
/// go on after that. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_TOO_MANY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_machine_open(
    machine: *mut *mut ec_testing_machine,
) -> ec_error {
    guard(|| {
        if machine.is_null() {
            return Err(ec_error::EC_ERR_NULL);
        }
        let opened = MACHINES.open(ScriptedMachine::default())?;
        // SAFETY: the header's words on pointers.
        unsafe { put(machine, opened) }
    })
}

/// Closes a machine. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_machine_close(machine: *mut ec_testing_machine) -> ec_error {
    guard(|| MACHINES.close(machine.cast_const(), |_| ()))
}

/// Opens a clock of a machine, as `ec_open` does of this one; null options mean the defaults.
///
/// Its source is the machine's kernel; `EC_SOURCE_CHRONY` and `EC_REFRESH_BACKGROUND` are
/// `EC_ERR_OPTION`. Errors and ownership as `ec_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_open(
    machine: *const ec_testing_machine,
    options: *const ec_options,
    clock: *mut *mut ec_clock,
) -> ec_error {
    guard(|| {
        if clock.is_null() {
            return Err(ec_error::EC_ERR_NULL);
        }
        let builder = MACHINES.pin(machine)?.value().builder();
        // SAFETY: the header's words on pointers.
        let (builder, upkeep) = unsafe { clock_options(options, Some(builder))? };
        let opened = open_built(builder, upkeep)?;
        // SAFETY: as above.
        unsafe { put(clock, opened) }
    })
}

/// Does something to a machine.
fn with(machine: *const ec_testing_machine, act: impl FnOnce(&ScriptedMachine)) -> ec_error {
    guard(|| {
        act(MACHINES.pin(machine)?.value());
        Ok(())
    })
}

/// Lets true time pass, in ns. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_advance(
    machine: *const ec_testing_machine,
    span_ns: u64,
) -> ec_error {
    with(machine, |machine| {
        machine.advance(Duration::from_nanos(span_ns));
    })
}

/// Writes a bound in us into the kernel, as chrony does: it is synchronised from then on.
///
/// A multiple of 500 is what writers without a bound leave behind, and refused. Errors as
/// `ec_testing_advance`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_write_maxerror(
    machine: *const ec_testing_machine,
    maxerror_us: i64,
) -> ec_error {
    with(machine, |machine| machine.write_maxerror(maxerror_us))
}

/// Steps the machine's real time, in ns, as an operator who sets the clock does. Errors as
/// `ec_testing_advance`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_step(
    machine: *const ec_testing_machine,
    by_ns: i64,
) -> ec_error {
    with(machine, |machine| {
        machine.step(TimeDelta::from_nanos(by_ns));
    })
}

/// Suspends the machine for so many ns. Errors as `ec_testing_advance`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_suspend(
    machine: *const ec_testing_machine,
    span_ns: u64,
) -> ec_error {
    with(machine, |machine| {
        machine.suspend(Duration::from_nanos(span_ns));
    })
}

/// Makes the oscillator wrong: a raw second lasts 1 + ppb / 10^9 true ones. Errors as
/// `ec_testing_advance`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_set_drift_ppb(
    machine: *const ec_testing_machine,
    ppb: i32,
) -> ec_error {
    with(machine, |machine| machine.set_drift_ppb(ppb))
}

/// Sets the true time that each reading of a clock takes, in ns. Errors as `ec_testing_advance`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_set_read_cost(
    machine: *const ec_testing_machine,
    cost_ns: u64,
) -> ec_error {
    with(machine, |machine| {
        machine.set_read_cost(Duration::from_nanos(cost_ns));
    })
}

/// Tells UTC, which a test may know, in ns since 1970. Errors as `ec_testing_advance`, and
/// `EC_ERR_MISALIGNED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ec_testing_true_time(
    machine: *const ec_testing_machine,
    instant_ns: *mut i64,
) -> ec_error {
    guard(|| {
        let true_time = MACHINES.pin(machine)?.value().true_time();
        // SAFETY: the header's words on pointers.
        unsafe { put(instant_ns, true_time.unix_nanos()) }
    })
}

/// Panics inside the library, to show that no panic leaves it: returns `EC_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub extern "C" fn ec_testing_panic() -> ec_error {
    // Without the message that `panic!` prints.
    guard(|| std::panic::resume_unwind(Box::new("on purpose")))
}
