//! What monitoring takes of a clock: figures with names, units, labels and help.
//!
//! Names and units follow Prometheus' conventions. [`Figures`] prints itself in Prometheus' text format,
//! and the feature `metrics` hands the figures to the `metrics` facade under the same names.
//!
//! ```
//! use epsilon_clock::Clock;
//! use epsilon_clock::figures::Figures;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::system()?;
//! let page = Figures::of(&clock).to_string(); // hand it to what serves your metrics
//! assert!(page.contains("# TYPE epsilon_clock_available gauge\nepsilon_clock_available "));
//! assert!(page.contains("epsilon_clock_contradictions_total 0"));
//! # Ok(())
//! # }
//! ```

mod collect;
mod family;
mod text;

pub use collect::{Figure, Figures, Value};
pub use family::{Family, Kind};
