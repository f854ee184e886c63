//! The `epsilon` command, as functions.
//!
//! What is stable is the command: its arguments, its exit codes and its JSON. The functions are public
//! for the tests of this crate alone and change without notice.

mod args;
mod command;
pub mod doctor;
mod failure;
mod json;
mod now;
mod ntp;
mod output;
mod terminal;
mod units;

pub use command::main;
