//! The guide: what to use for what, what goes wrong, and what no clock can do about it.
//!
//! Pages of prose with examples that run. The reference is with the types themselves.

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

#[doc = include_str!("guide/fleet.md")]
pub mod fleet {}

#[doc = include_str!("guide/formats.md")]
pub mod formats {}

#[doc = include_str!("guide/leap_seconds.md")]
pub mod leap_seconds {}

#[doc = include_str!("guide/leases.md")]
pub mod leases {}

#[doc = include_str!("guide/logs.md")]
pub mod logs {}

#[doc = include_str!("guide/real_daemons.md")]
pub mod real_daemons {}

#[doc = include_str!("guide/store.md")]
pub mod store {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}
