//! What an engine builds on, in the simulated world: leases in a log, safe time, elapsed time, observed records.
//!
//! Machines sleep, are stopped, stepped and slewed, daemons die and come back, processes restart from their
//! snapshots, the network is cut; every answer is held against the truth. Each rule is then taken away in turn, and
//! some world has to show what it is there for.

mod elapsed;
mod group;
mod leases;
mod observed;
mod snapshots;
