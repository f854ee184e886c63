//! TrueTime for any Linux host: every reading of time is an interval that contains UTC.
//!
//! ```
//! use epsilon_clock::{Clock, IntervalOrder};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Without `assume_error` an unsynchronised machine is an error, which is what a database wants.
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
//! A clock reading is not a point in time. Kernels know how wrong they may be, because chrony and
//! ntpd tell them (`adjtimex`: `maxerror`), and hardly anybody asks. This crate does: a [`Clock`]
//! turns what the daemon told the kernel into `[earliest, latest]`, bounded by what the daemon
//! vouched for and by what the oscillator may have drifted since, without a daemon of its own and at
//! a third more than the price of a bare clock read. When nobody vouches for the clock, reading it
//! is an error that says why and what to do.
//!
//! # Assumptions
//!
//! An interval contains UTC as long as these hold. Evidence that one of them is false is an error
//! too ([`ClockError::Contradicted`]), not a counter.
//!
//! - **A1, rate.** Over any stretch, true seconds per `CLOCK_MONOTONIC_RAW` second lie in
//!   `[1 − max_drift, 1 + max_drift]`; by default 200 ppm
//!   ([`max_drift_ppb`](ClockBuilder::max_drift_ppb)). And over the 2000 s that the rate is learned
//!   from, and until `max_age` after them, it stays within one band that is `max_wander` wide; by
//!   default 50 ppm ([`max_wander_ppb`](ClockBuilder::max_wander_ppb)). Where that is false, intervals
//!   can be false until the daemon's next write that shows it; then every call is an error, and what
//!   was learned is forgotten. [`DriftLearning::Off`] does without this half.
//! - **A2, honest writer.** A bound that the time daemon writes holds at the moment of writing, up
//!   to `daemon_margin`, by default 200 µs. Known liars are refused: see [`Writer`]. And what the
//!   daemon does to real time between its write and the look that sees it leaves a trace: real time
//!   is not slewed one way and back again between two looks. (chrony's figure is an estimate from
//!   past samples, and [has been seen to fall short](guide::real_daemons); the same holds of what it
//!   reports when asked.)
//! - **A3, no invisible pause.** The machine is not paused, snapshotted or migrated behind the back
//!   of both its kernel and a vmclock device, nor the process checkpointed and restored. Every suspend
//!   is counted by `CLOCK_BOOTTIME` (a battery clock of whole seconds may miss a short one). None is
//!   shorter than two ticks and a quarter of `guard_interval`, 10.5 ms with the usual tick of 4 ms; nor
//!   does the process move to a time namespace that is shifted by less.
//! - **A4, first look only.** Until a daemon's write has been seen, the bound is the kernel's running
//!   one, which holds if real time strayed by at most 500 ppm since that write; or chronyd's report,
//!   if nobody made the kernel forget its status since chronyd's last update.
//! - **A5, one timescale.** Clocks whose readings are compared treat leap seconds alike: all step, or
//!   all follow the same smear. A leap second that the kernel announced takes place, unless the kernel
//!   takes that back two seconds before.
//!
//! Everything else (steps, slews, leap seconds, suspends, preemption between any two instructions,
//! forks, signals, a dead daemon, a refused syscall) is covered by the interval, or it is an error.
//!
//! # How it works
//!
//! A **claim** is "at raw instant r, UTC was in this interval", with a rate at which true time may
//! run against raw time. It can be [carried](Claim::carry) to any other raw instant; the ends then
//! move apart by what the rate leaves open. Raw time is neither stepped nor slewed, so a claim is
//! about UTC and not about `CLOCK_REALTIME`, which after a step may well lie outside.
//!
//! - **Looks.** Four times a second one caller reads the NTP status, the clocks and the status again.
//!   What departs from the kernel's own growth of 500 µs a second was **written** by the daemon, and
//!   only that makes a new claim: real time ± (`maxerror`, its rounding, `daemon_margin`, what real
//!   time may have strayed between the write and the look, and how long the look took). The kernel's
//!   growth in between is not believed: a slew left behind by a killed daemon breaks it.
//! - **chronyd's own report** is asked for once a second, by a thread of the clock's own
//!   ([`ChronySource`]), where there is a chronyd; it says how wrong the clock is now. Of the sources
//!   that vouch the narrowest serves, and all must agree: see [`guide::chrony`].
//! - **Learned drift.** Two writes a minute or more apart bound how fast true time ran against raw time
//!   between them. What the last 2000 s of them prove, widened by `max_wander` on both sides, takes the
//!   place of ±`max_drift` in the next claim: see [`guide::drift`].
//! - **The first look** may inherit the bound that is there (A4).
//! - **Replaced, never intersected.** A new claim takes the old one's place. That the two are
//!   compatible is tested, and so is each write against one at least a minute older; if they are not,
//!   every call is an error until two successive claims agree.
//! - **Guards.** A hundred times a second one caller compares boot and real time with monotonic time;
//!   in between coarse real time shows a suspend. Every reading compares two words of the
//!   hypervisor's vmclock page, where there is one. A suspend, a disruption that it tells of, raw time
//!   running backwards or another time namespace **void** every claim, and then only the daemon's next write counts. A step voids
//!   nothing.
//! - **`after(t)` never un-happens.** A replaced claim's earliest end is a floor under the next one.
//! - **Leap seconds.** Instants are on Unix time made monotone: it stands still at midnight during an
//!   inserted second and jumps over a deleted one. A claim knows of a leap second that is pending, so
//!   nothing widens (an interval across a deleted second spans it); no look counts within two seconds
//!   of it.
//! - **States.** [`Synchronized`](ClockState::Synchronized), [`Inherited`](ClockState::Inherited),
//!   [`Holdover`](ClockState::Holdover) until `max_age` or `max_error`,
//!   [`Assumed`](ClockState::Assumed) where the caller vouches; then errors.
//!
//! # Invariants
//!
//! Each is tested under its name.
//!
//! - **T1 Containment.** Some true instant between call and return of [`Clock::now`] lies in the
//!   interval; under drift, step, slew, leap second, suspend and pauses between any two reads.
//! - **T2** [`after(t)`](Clock::after) iff `t < earliest`; [`before(t)`](Clock::before) iff
//!   `t > latest`; never both.
//! - **T3** `after(t)`, once observed, is never denied to whoever learned of it, in whichever thread,
//!   while no contradiction is reported, within vouched or within assumed claims.
//! - **T4** [`definitely_before`](Interval::definitely_before) is a strict partial order and an
//!   interval order; what it says of two readings is so.
//! - **T5 Commit-wait.** A commit timestamp is at least the `latest` of a reading in
//!   [`begin_commit`](Clock::begin_commit), and released only when `after(timestamp)`; so if commit 1
//!   is released before commit 2 begins, on any node, then s1 < s2.
//! - **T6** [`wait`](CommitWait::wait) returns `Ok` only when `after(timestamp)` was observed; never
//!   under a clock error; honours timeouts; loops, and never trusts one sleep.
//! - **T7 Leases.** The holder acts while `latest < expiry − margin`, a claimant only when
//!   `earliest > expiry`: two nodes never [hold](Lease::held) one [`Lease`] at one true instant. A
//!   clock without an interval makes no lease held, and none expired.
//! - **T8** While one claim is in force, no end moves slower or faster than its rate allows (leap
//!   seconds and the floor apart).
//! - **T9** Honest readings of one instant intersect; an empty intersection is an error with its size.
//! - **T10** Nothing wraps or saturates silently: at the edge of the range there is a typed error.
//!
//! - **A1 Learned drift.** The oscillator's true rate lies in what was learned of it
//!   ([`Status::rate`]), for as long as a claim is carried with it.
//!
//! Of what no clock can do for a lease:
//!
//! - **W1 Fencing.** A resource behind a [`Fence`] never accepts a write with an older
//!   [`FencingToken`] than one that it has accepted, whatever the pauses.
//!
//! And of the [`HybridClock`], with `l` the physical part of a stamp, `pt` the clock's best estimate in
//! whole microseconds and `e` its epsilon:
//!
//! - **H1** Happened-before implies strictly less.
//! - **H2** `l >= pt`.
//! - **H3** `l` is the largest `pt` known, up to counter carries, commit stamps and a restored floor.
//! - **H4** With honest peers `l − UTC <= 2 e`, with the largest `e` among them, up to carries and a
//!   restored floor.
//! - **H5** The counter carries into the physical part; it never wraps.
//! - **H6** A rejected [`observe`](HybridClock::observe) changes nothing.
//! - **H7** Encodings sort as the values do.
//! - **H8** Stamps are unique under concurrency.
//! - **H9** Stamps are monotone across a restart from a persisted floor.
//! - **H10** A stamp issued with its interval keeps containing true time when it runs ahead:
//!   `[pt − e, max(pt + e, l)]`.
//! - **H11** Commit stamps: the physical part is rounded up to the unit, and released only when
//!   `after(physical part)`.
//!
//! And of what several clocks say together ([`agreement`], [`Exchange`], [`Fleet`]):
//!
//! - **F1** While at most `max_faulty` intervals are false, the agreement contains true time and
//!   names no true one; while they are a minority, it names each that misses all true ones.
//! - **F2** Two honest clocks never contradict each other in an exchange, whatever the delays; a
//!   contradiction is never larger than the clocks are wrong.
//! - **F3** A fleet never names an honest node while at most `max_faulty` clocks are false, whoever
//!   was heard and when.
//! - **F4** Once all were heard, it names each false node whose reading differs from every honest
//!   one's by more than the epsilons, the round trips and the drift since.
//!
//! # Commit-wait
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
//! Why that makes s1 < s2 whenever commit 1 was released before commit 2 began: `wait` observed
//! s1 < earliest (T2); earliest <= true time at the release (T1); true time at the release <= true
//! time when commit 2 began; that is <= latest, read there (T1); latest <= s2 (T5).
//!
//! A [`CommitGroup`] serves many waits with one sleeper, and futures for any runtime;
//! [`order_events`], [`compare_writes`], [`latest_writes`] and [`ReadWindow`] are for those who read.
//!
//! # Leases
//!
//! A leader checks its lease, is stopped for fifteen seconds, and writes. The check was right, and the
//! write is wrong all the same.
//!
//! ```
//! # use epsilon_clock::{Clock, Fence, Lease};
//! # use epsilon_clock::lease::FencingToken;
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
//! # let (stored, token) = (Fence::OPEN.to_be_bytes(), FencingToken::try_from(34_i64)?);
//! let lease = Lease::grant(&clock.now()?, Duration::from_secs(10))?;
//! lease.check(&clock)?; // nobody else holds it now
//! // … and whatever happens here, in the resource, in the transaction that writes:
//! let fence = Fence::try_from(&stored[..])?.admit(token)?; // nobody else ever got past it
//! # drop(fence);
//! # Ok(())
//! # }
//! ```
//!
//! [`TermLease`] is for lock services that say "ten seconds from when you asked", [`WorkGuard`] and
//! [`PauseDetector`] tell afterwards what happened, and [`guide::leases`] which of all this protects
//! against what.
//!
//! # Causality
//!
//! Intervals overlap, and then they order nothing. What happened before what must be exact all the
//! same, so events are stamped by a [`HybridClock`]: close to UTC, and never against causality.
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
//! # What it does not do
//!
//! It disciplines no clock and talks to no server: run chrony. It cannot see a virtual machine's
//! pause that neither the kernel nor a vmclock device tells of (A3). And no clock closes the gap between reading it and
//! acting on it.
//!
//! # Features
//!
//! - `chrono`: conversions between [`Timestamp`], [`TimeDelta`] and [`Interval`] and what `chrono` calls
//!   them.
//! - `serde`: the values as text in people-readable formats, and as integers in binary ones.
//! - `tracing`: times for `tracing-subscriber`'s lines that say how wrong they may be: `LogTime`,
//!   `LogJson`.
//! - `test-util`: machines whose clocks a test sets by hand, and ones that are skewed on purpose.
//!
//! A simulated world in which true time is known, to try clocks and their users in, is a crate of its
//! own: `epsilon-clock-sim`.
//!
//! # Platforms
//!
//! Linux 3.10 and later. Elsewhere the crate builds on the standard library's clocks: there is no
//! `adjtimex`, so a clock gives intervals only with [`assume_error`](ClockBuilder::assume_error).

pub mod clock;
pub mod commit;
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

#[cfg(feature = "tracing")]
#[doc(inline)]
pub use interop::tracing as log;

pub use clock::{BuildError, Clock, ClockBuilder, ClockError, ClockState, Reading, Status};
pub use commit::{CommitGroup, CommitWait};
pub use fleet::Fleet;
pub use hlc::{HlcTimestamp, HybridClock, RemoteTimestamp};
pub use lease::{Fence, Lease};
pub use machine::Disturbance;
pub use time::{ErrorBound, Interval, IntervalOrder, TimeDelta, Timestamp};

/// The examples of README.md, compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
