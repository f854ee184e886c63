//! A simulated world.
#![forbid(unsafe_code)]

mod axis;
mod broken;
mod campaign;
mod checker;
mod daemon;
mod fault;
mod histogram;
mod kernel;
mod network;
mod node;
mod observer;
mod oscillator;
mod random;
mod reader;
mod scenario;
mod tally;
mod world;

pub use broken::{BrokenClock, Flaw};
pub use campaign::{Campaign, Report, seed_of};
pub use checker::{Call, Checker, Law, RESOLUTION, SlopeLimits, Subject, Testimony, Violation};
pub use daemon::{Daemon, Manner};
pub use fault::{Fault, Notice, Wake};
pub use kernel::Adjustment;
pub use network::Server;
pub use node::{Node, NodeConfig};
pub use oscillator::Oscillator;
pub use random::Random;
pub use reader::Reader;
pub use scenario::{Expectation, Scenario};
pub use tally::Tally;
pub use world::{Preemption, World};
