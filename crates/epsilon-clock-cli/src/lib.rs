//! The `epsilon` command, as functions.
//!
//! What is stable is the command: its arguments, its exit codes and its JSON. The functions are public
//! for the tests of this crate alone and change without notice.

mod args;
mod clock_settings;
pub mod command;
mod compare;
pub mod doctor;
mod failure;
mod generated;
mod hlc;
mod json;
mod menu;
mod now;
mod ntp;
mod output;
pub mod report;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(not(feature = "serve"))]
#[path = "serve/left_out.rs"]
mod serve;
mod sources;
mod terminal;
mod units;
mod watch;

pub use menu::{EPSILON, main};
