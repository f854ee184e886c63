//! The guide: what to use for what, what goes wrong, and what no clock can do about it.
//!
//! Pages of prose with examples that run. The reference is with the types themselves.
//!
//! | to | read |
//! |---|---|
//! | choose between intervals, commit-wait, stamps and leases | [`choosing`] |
//! | come from ClockBound, `uhlc` or `SystemTime` | [`migrate`] |
//! | know what is assumed, what follows, and why | [`how_it_works`] |
//! | understand epsilon's growth, and what the clock learns | [`drift`] |
//! | set up chrony for narrow intervals | [`chrony`] |
//! | ask NTP servers where no daemon vouches | [`ntp`] |
//! | read a network card's or hypervisor's hardware clock | [`phc`] |
//! | run in a container, a pod or a virtual machine | [`containers`] |
//! | get through a leap second | [`leap_seconds`] |
//! | build a transactional store | [`store`] |
//! | let one node at a time act | [`leases`] |
//! | put it under a replicated log or an election | [`engines`] |
//! | follow one transaction across shards | [`spanner`] |
//! | end a refusal of stamps, commits or leases | [`ways_back`] |
//! | find the node whose clock is wrong | [`fleet`] |
//! | date and merge logs, or prove 100 µs | [`logs`] |
//! | watch clocks and be paged in time | [`alerts`] |
//! | put values on the wire, on disk or into JSON | [`formats`] |
//! | test your own system against bad clocks | [`testing`], [`simulation`] |
//! | see what real daemons did | [`real_daemons`] |

#[doc = include_str!("guide/alerts.md")]
pub mod alerts {}

#[doc = include_str!("guide/choosing.md")]
pub mod choosing {}

#[doc = include_str!("guide/chrony.md")]
pub mod chrony {}

#[doc = include_str!("guide/containers.md")]
pub mod containers {}

#[doc = include_str!("guide/drift.md")]
pub mod drift {}

#[doc = include_str!("guide/engines.md")]
pub mod engines {}

#[doc = include_str!("guide/fleet.md")]
pub mod fleet {}

#[doc = include_str!("guide/formats.md")]
pub mod formats {}

#[doc = include_str!("guide/how_it_works.md")]
pub mod how_it_works {}

#[doc = include_str!("guide/leap_seconds.md")]
pub mod leap_seconds {}

#[doc = include_str!("guide/leases.md")]
pub mod leases {}

#[doc = include_str!("guide/logs.md")]
pub mod logs {}

#[doc = include_str!("../docs/migrate.md")]
pub mod migrate {}

#[doc = include_str!("guide/ntp.md")]
pub mod ntp {}

#[doc = include_str!("guide/phc.md")]
pub mod phc {}

#[doc = include_str!("guide/real_daemons.md")]
pub mod real_daemons {}

// Its example needs the simulator, which needs this crate: the simulator's own doctests run it.
#[cfg_attr(not(doctest), doc = include_str!("guide/simulation.md"))]
#[cfg_attr(doctest, allow(missing_docs))]
pub mod simulation {}

#[doc = include_str!("guide/spanner.md")]
pub mod spanner {}

#[doc = include_str!("guide/store.md")]
pub mod store {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/ways_back.md")]
pub mod ways_back {}
