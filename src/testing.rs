//! Machines and sources whose clocks a test sets by hand, or skews on purpose.

mod scripted;
mod skewed;

pub use scripted::{ScriptedMachine, ScriptedSource};
pub use skewed::{SkewError, Skewed, SkewedMachine, SkewedSource};
