//! What an engine on top needs besides leases: safe time, guesses, and a kit for mock clocks.
//!
//! An *engine* replicates a log and applies it. Nothing in here knows which one, and nothing blocks it but
//! what says *wait* in its name. The guide's page [`engines`](crate::guide::engines) has the rules.

mod guess;
#[cfg(feature = "test-util")]
pub mod kit;
mod safe_time;

pub use guess::{Guess, Guesses};
pub use safe_time::{NotDrawn, NotSafe, OutOfOrder, Replica, SafeTime, UntilSafe};
