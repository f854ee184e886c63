//! The guide: what to use for what, what goes wrong, and what no clock can do about it.
//!
//! Pages of prose with examples that run. The reference is with the types themselves.
#![forbid(unsafe_code)]

#[doc = include_str!("guide/choosing.md")]
pub mod choosing {}

#[doc = include_str!("guide/drift.md")]
pub mod drift {}
