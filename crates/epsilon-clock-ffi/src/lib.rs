//! A C interface to `epsilon-clock`; `include/epsilon_clock.h` is made from it.
//!
//! For C programs, and for all that can call them. Rust programs use `epsilon-clock` itself. `ABI.md`
//! says what may change and how a program notices.
//!
//! Handles are numbers in the guise of pointers: a place in a table and a count of how often it was
//! used. Nothing that a caller hands over as a handle is ever dereferenced, so one that is null,
//! closed, of another kind or made up is an error code.

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
    reason = "the docs are the header's comments; `boundary` says once what holds for all pointers"
)]

mod boundary;
mod clock;
mod error;
mod handle;
mod hlc;
mod lease;
mod options;
mod status;
mod text;
mod version;
mod wait;

pub use clock::{
    ec_after, ec_before, ec_clock, ec_close, ec_interval, ec_interval_order, ec_look, ec_now,
    ec_open, ec_order, ec_refresh, ec_vouch,
};
pub use error::*;
pub use hlc::*;
pub use lease::*;
pub use options::{
    EC_ACCEPT_UNSYNC_FLAG, EC_DEFAULT, EC_DEFAULT32, EC_NO_DRIFT_LEARNING, EC_NO_VMCLOCK,
    EC_OPTIONS_VERSION, EC_REFRESH_BACKGROUND, EC_REFRESH_INLINE, EC_REFRESH_MANUAL,
    EC_SOURCE_CHRONY, EC_SOURCE_KERNEL, ec_options, ec_options_init,
};
pub use status::*;
pub use version::*;
pub use wait::*;

/// What `epsilon-clock-ffi-testing` is made of; no part of the interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::boundary::{guard, put};
    pub use crate::clock::{open_built, open_existing};
    pub use crate::handle::{Kind, Table};
    pub use crate::options::clock_options;
}
