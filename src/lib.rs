//! TrueTime for any Linux host: every reading of time is an interval that contains UTC.
//!
//! A clock reading is not a point in time. chrony and ntpd tell the kernel how wrong its clock may be
//! (`adjtimex`: `maxerror`). A [`Clock`] turns that into an [`Interval`], `[earliest, latest]`, bounded by
//! what the daemon vouched for and by what the oscillator may have drifted since. It needs no daemon
//! of its own and costs 1.0 to 1.7 times a bare clock read. While no source vouches for the clock,
//! reading it is an error that says why and what to do.
//!
//! ```
//! use epsilon_clock::{Clock, IntervalOrder};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In production leave `assume_error` out: unsynchronised is an error then.
//! let clock = Clock::builder().assume_error(Duration::from_millis(50)).build()?;
//!
//! let first = clock.now()?;
//! let second = clock.now()?;
//! println!("UTC lies in {first}");
//! match first.order(&second) {
//!     IntervalOrder::Before => println!("surely before"),
//!     IntervalOrder::After => println!("surely after"),
//!     IntervalOrder::Concurrent => println!("too close to tell"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Which type for which task
//!
//! [`Clock`] is the main type; all others are built on one or come out of one.
//!
//! | the task | the type | the guide |
//! |---|---|---|
//! | tell the time, and how sure it is | [`Clock`], [`Interval`], [`Timestamp`] | [`choosing`](guide::choosing) |
//! | log the time, whatever the state of the clock | [`Clock::read`]: a [`Reading`] | [`logs`](guide::logs) |
//! | tell which of two events was first | [`Interval::order`]; for many, the module [`order`] | [`choosing`](guide::choosing) |
//! | commit so that later commits, on any node, get later timestamps | [`Clock::begin_commit`]: a [`CommitWait`] | [`store`](guide::store) |
//! | have many such commits in flight, or await them | [`CommitGroup`] | [`store`](guide::store) |
//! | stamp effects after their causes | [`HybridClock`]: [`HlcTimestamp`], [`RemoteTimestamp`], [`NodeStamp`](hlc::NodeStamp) | [`choosing`](guide::choosing) |
//! | let one node at a time act | [`Lease`], [`TermLease`](lease::TermLease), and a [`Fence`] in the resource | [`leases`](guide::leases) |
//! | put it under a replicated log | [`LogLease`](lease::LogLease), [`SafeTime`](engine::SafeTime) | [`engines`](guide::engines) |
//! | find the node whose clock is wrong | [`Fleet`] | [`fleet`](guide::fleet) |
//! | watch a clock, or await it | [`Clock::status`]: a [`Status`] with its [`ErrorBound`] itemised; [`figures`]; [`Clock::state_changes`] | [`alerts`](guide::alerts) |
//! | send or store any of these | `to_be_bytes`, text, `serde` | [`formats`](guide::formats) |
//! | test your own system | [`testing`](guide::testing) (feature `test-util`), the crate `epsilon-clock-sim` | [`testing`](guide::testing) |
//!
//! # Three more examples
//!
//! Commit-wait, for external consistency. Timestamps are unique among the clones of one clock, not
//! across nodes:
//!
//! ```
//! # use epsilon_clock::{Clock, Timestamp};
//! # use std::time::Duration;
//! # fn replicate(_: Timestamp) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
//! let commit = clock.begin_commit()?;  // surely not in the past
//! replicate(commit.timestamp());       // counts towards the wait
//! commit.wait()?;                      // surely past: acknowledge
//! # Ok(())
//! # }
//! ```
//!
//! A hybrid logical clock, for causality:
//!
//! ```
//! # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (here, there) = (HybridClock::new(Clock::system()?), HybridClock::new(Clock::system()?));
//! let sent = here.tick()?; // travels with the message, as eight bytes
//! let received = there.observe(RemoteTimestamp::from_be_bytes(sent.to_be_bytes()))?;
//! assert!(sent < received); // however wrong the two clocks are
//! # Ok(())
//! # }
//! ```
//!
//! A lease, and the fence that keeps out what was checked in time and written too late:
//!
//! ```
//! # use epsilon_clock::{Clock, Fence, Lease};
//! # use epsilon_clock::lease::FencingToken;
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
//! # let (stored, token) = (Fence::OPEN.to_be_bytes(), FencingToken::try_from(34_i64)?);
//! let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
//! lease.check(&clock)?; // no other node holds it now
//! // … and in the resource, in the transaction that writes:
//! let fence = Fence::try_from(&stored[..])?.admit(token)?; // none newer got past
//! # drop(fence);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `chrono`: conversions between [`Timestamp`], [`TimeDelta`], [`Interval`] and the types of `chrono`.
//! - `metrics`: a clock's figures for the `metrics` facade; `nts`: NTP servers that prove who they are.
//! - `serde`: the values as text or integers; `uuid`: UUIDs of version 7 from stamps that name their node.
//! - `tracing`: times for `tracing-subscriber`'s lines that say how wrong they may be.
//! - `test-util`: machines whose clocks a test sets by hand, and ones that are skewed on purpose.
//!
//! # What it does not do
//!
//! It disciplines no clock, and asks no server unless you name one: run chrony. It cannot see a virtual machine's pause
//! that neither the kernel nor a vmclock device tells of. It cannot close the gap between reading a
//! clock and acting on it. What must be true for an interval to be true, why that is enough, and what
//! follows, stands in [`guide::how_it_works`].
//!
//! # Where to read on
//!
//! The [`guide`] has a page for each task. The repository has `COMPARE.md`, `benches/README.md` (what all of
//! it costs), `docs/design.md` and `docs/testing.md`.
//!
//! # Platforms
//!
//! Linux 3.10 and later. Elsewhere the crate builds on the standard library's clocks: there is no
//! `adjtimex`, so a clock gives intervals only with [`assume_error`](ClockBuilder::assume_error).

pub mod clock;
pub mod commit;
pub mod engine;
pub mod fleet;
pub mod guide;
pub mod hlc;
mod interop;
pub mod lease;
pub mod machine;
mod primitive;
pub mod source;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod time;
mod words;

#[doc(inline)]
pub use time::ordering as order;

#[doc(inline)]
pub use interop::figures;
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use interop::metrics;
#[cfg(feature = "tracing")]
#[doc(inline)]
pub use interop::tracing as log;

#[doc(inline)]
pub use clock::{BuildError, Clock, ClockBuilder, ClockError, ClockState, Reading, Status};
#[doc(inline)]
pub use commit::{CommitGroup, CommitWait};
#[doc(inline)]
pub use fleet::Fleet;
#[doc(inline)]
pub use hlc::{HlcTimestamp, HybridClock, RemoteTimestamp};
#[doc(inline)]
pub use lease::{Fence, Lease};
#[doc(inline)]
pub use machine::Disturbance;
#[doc(inline)]
pub use time::{ErrorBound, Interval, IntervalOrder, TimeDelta, Timestamp};

/// The examples of README.md, compiled and run as doctests, none with a warning.
#[cfg(doctest)]
#[doc(test(attr(deny(warnings))))]
#[doc = include_str!("../README.md")]
struct Readme;
