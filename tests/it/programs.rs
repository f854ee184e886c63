//! Four programs as a user would write them, from the public docs alone and without detours.
//!
//! None wraps a handle in a mutex, makes a label of a `Debug` form, or packs a key's numbers by hand.

mod last_write;
mod leader;
mod mvcc;
mod service;
