//! What the examples on openraft share: nodes as processes on loopback, and clocks that are off.

pub mod clocks;
pub mod frames;
pub mod log;
pub mod peer;
pub mod processes;
pub mod program;
pub mod watch;
