//! The formats and types of other crates, each behind a feature of its own.

#[cfg(feature = "chrono")]
mod chrono;
pub mod figures;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "tracing")]
pub mod tracing;
#[cfg(feature = "uuid")]
mod uuid;
