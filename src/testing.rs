//! Machines and sources whose clocks a test sets by hand, or skews on purpose.

mod chrony;
mod phc;
mod scripted;
mod skewed;

pub use chrony::ChronyReport;
pub use phc::ScriptedPhc;
pub use scripted::{ScriptedMachine, ScriptedSource};
pub use skewed::{SkewError, Skewed, SkewedMachine, SkewedSource};
