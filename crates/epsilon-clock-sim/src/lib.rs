//! A simulated world in which true time is known, to try clocks and their users in.
//!
//! Clock bugs hide for years, because on a real machine true time is unknown. Here true time is a
//! number, everything that can go wrong with a clock does, and every reading is held against the
//! truth. Nothing sleeps, one seed always gives the same run, and the clocks are the library's own: an
//! ordinary [`Clock`](epsilon_clock::Clock) with the ordinary
//! [`KernelSource`](epsilon_clock::source::KernelSource), on the clocks and the NTP status of a simulated kernel.
//!
//! # For your own tests
//!
//! Make a [`World`], add [`Node`]s with oscillators and time daemons, let things happen to them with
//! [`World::schedule`], and give their clocks to what you want to test. A [`Checker`] tells whether
//! what they said was true; it takes readings from anywhere, your own system included.
//!
//! ```
//! use epsilon_clock_sim::{Checker, Daemon, Fault, NodeConfig, Server, Testimony, Wake, World};
//! use std::time::Duration;
//!
//! let world = World::new(1);
//! let node = world.node(NodeConfig::with_daemon(Daemon::chrony(Server::near())));
//! let clock = node.clock()?;
//! let nap = Fault::Suspend { span: Duration::from_secs(3600), wake: Wake::Rtc };
//! world.schedule(Duration::from_secs(60), &node, nap);
//!
//! let mut checker = Checker::new();
//! let subject = checker.subject("my clock");
//! let mut refused = 0;
//! for _ in 0..100 {
//!     world.advance(Duration::from_secs(1));
//!     let call = checker.call(subject, world.now());
//!     let outcome = clock.now();
//!     refused += u32::from(outcome.is_err());
//!     checker.returned(call, world.now(), &outcome, || Testimony {
//!         contradictions: clock.status().counters.contradictions,
//!         detail: format!("seed {}\n{}", world.seed(), world.log()),
//!     });
//! }
//! assert_eq!(checker.violations(), 0, "{}", checker.first().unwrap());
//! assert!(refused > 0); // after the nap, until the daemon wrote again
//! # Ok::<(), epsilon_clock::BuildError>(())
//! ```
//!
//! The guide's [page on simulation](epsilon_clock::guide::simulation) puts a system of two nodes into a
//! world and holds it to a promise, seed after seed.
//!
//! # The campaign
//!
//! [`Campaign`] plays the [`Scenario`]s and counts; `cargo run --release -p epsilon-clock-sim --bin
//! campaign -- --seeds 100` does so from a shell, and `--scenario NAME --seed S` replays a run. Try
//! your own clock by implementing [`Reader`] and passing it to [`Campaign::play_with`].
//! [`BrokenClock`]s show that the campaign can fail: each has one [`Flaw`] and is found out in the
//! scenario named for it.
//!
//! # What the world is made of
//!
//! | part | what it does |
//! |---|---|
//! | [`Oscillator`] | a constant error, temperature as sine and ramp, a random walk, within a limit |
//! | kernel | counts `maxerror` up each second, a tick or two late; caps it at 16 s; forgets its NTP state on a step; slews by tick, frequency, PLL and `adjtime`, which never touch raw time; leaps a tick late; stops raw and monotonic time in a suspend; coarse time lags a tick |
//! | [`Counter`] | counts raw time in units of its own; it jumps, stops, disagrees and is left by its kernel as it is told to, and what becomes of it in a suspend is another thing each time |
//! | [`Daemon`] | measures its offset over a network with asymmetric random delay, jitter and loss, and writes what it can vouch for, or what a liar would |
//! | [`HardwareClock`] | drifts within the bound that it tells; is busy, fails, tells none, counts TAI, or jumps out of it |
//! | [`Fault`] | steps, slews, suspends, pauses, dead and frozen daemons, failovers, refused calls |
//! | [`Preemption`] | interrupts readers between any two reads of a clock, often across the next fault, and lets another thread read or look meanwhile |
//!
//! Honest daemons really are: each write is compared with the true error at that instant, and
//! [`World::short_writes`] counts those that break assumption A2, so that no scenario is dishonest by
//! accident.
//!
//! # Resolution
//!
//! All arithmetic of truth and clocks is in integers; a [`Manner::Forecasting`] daemon alone estimates in
//! floating point, by operations whose bits are alike on every platform. Clocks are straight lines
//! between changes of their rates, kept to 2⁻³² ns; what is read is rounded down to whole nanoseconds,
//! as the real clocks do. A reading counts as false if it misses truth by more than [`RESOLUTION`], 2 ns.
//!
//! # What it does not do
//!
//! Threads do not run at once: another thread's doings happen while a reader is interrupted, which
//! reaches every order of clock reads but no reordering of memory accesses (those are loom's). Time
//! daemons are models: they bound their errors as NTP does, but filter less than the real ones
//! ([`Manner::Forecasting`] estimates as chronyd does, but follows one server). There
//! is one kernel for each node and no time namespaces. A
//! [`RefreshPolicy::Background`](epsilon_clock::clock::RefreshPolicy::Background) thread would sleep here, and so
//! let time go by as fast as it can: use the others.

mod asking;
mod axis;
mod broken;
mod campaign;
mod checker;
mod chronyd;
mod config;
mod counter;
mod daemon;
mod device;
mod fault;
mod hardware;
mod histogram;
mod hub;
mod kernel;
mod network;
mod node;
mod observer;
mod oscillator;
mod random;
mod reader;
mod regression;
mod scenario;
mod tally;
mod timeserver;
mod update;
mod world;

pub use broken::{BrokenClock, Flaw};
pub use campaign::{Campaign, Report, seed_of};
pub use checker::{
    Call, Checker, Commit, Law, RESOLUTION, SlopeLimits, Subject, Testimony, Violation,
};
pub use config::{Hypervisor, NodeConfig, Sources};
pub use counter::{Counter, CounterFault};
pub use daemon::{Daemon, Manner};
pub use fault::{Fault, Notice, Wake};
pub use hardware::{Counts, HardwareClock, Shows};
pub use hub::Preemption;
pub use kernel::Adjustment;
pub use network::Server;
pub use node::Node;
pub use oscillator::Oscillator;
pub use random::Random;
pub use reader::Reader;
pub use scenario::{Expectation, Scenario};
pub use tally::Tally;
pub use timeserver::{Serves, TimeServer};
pub use world::World;

/// The guide's page on simulation, whose example needs this crate: a doctest of the repository.
#[cfg(doctest)]
#[doc = include_str!("../../../src/guide/simulation.md")]
struct GuideToSimulation;
