//! A clock's figures for the `metrics` facade, for services that export through it already.

use std::borrow::Cow;
use std::collections::HashMap;

use metrics::{Label, SharedString, counter, describe_counter, describe_gauge, gauge};

use super::figures::{Family, Figure, Figures, Kind, Value};
use crate::clock::Clock;
use crate::source::NtpSource;

/// Hands a clock's figures to the recorder of the `metrics` facade.
///
/// Names and labels are those of [`Figures`]. Call [`record`](Self::record) before each scrape, or every
/// few seconds: it reads the status once, and never waits.
///
/// A gauge that has no value now is set to NaN, and a flag that is down to 0: the facade has no way to
/// take a series back.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::metrics::ClockMetrics;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::system()?;
/// let mut metrics = ClockMetrics::new(clock.clone());
/// metrics.record(); // before each scrape, or every few seconds
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClockMetrics {
    clock: Clock,
    servers: Option<NtpSource>,
    /// What was recorded the last time.
    recorded: HashMap<Key, &'static Family>,
}

type Key = (&'static str, Vec<(&'static str, Cow<'static, str>)>);

impl ClockMetrics {
    /// Describes every figure to the recorder that is installed now.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        for family in Family::ALL {
            match family.kind {
                Kind::Counter => describe_counter!(family.name, family.help),
                Kind::Gauge | Kind::Flag => describe_gauge!(family.name, family.help),
            }
        }
        Self {
            clock,
            servers: None,
            recorded: HashMap::new(),
        }
    }

    /// Adds the figures of each server that a source of the clock asks.
    #[must_use]
    pub fn servers(mut self, source: NtpSource) -> Self {
        self.servers = Some(source);
        self
    }

    /// Reads the clock's status and records all of it.
    pub fn record(&mut self) {
        let mut figures = Figures::of(&self.clock);
        if let Some(source) = &self.servers {
            figures = figures.with_servers(&source.servers());
        }
        let mut gone = std::mem::take(&mut self.recorded);
        for figure in figures.iter() {
            record(figure);
            let key = (figure.family.name, figure.labels.clone());
            gone.remove(&key);
            self.recorded.insert(key, figure.family);
        }
        for ((name, labels), family) in gone {
            let nothing = match family.kind {
                Kind::Flag => 0.0,
                // What was counted stays counted.
                Kind::Counter => continue,
                Kind::Gauge => f64::NAN,
            };
            gauge!(name, labels_of(&labels)).set(nothing);
        }
    }
}

fn record(figure: &Figure) {
    let labels = labels_of(&figure.labels);
    match (figure.family.kind, figure.value) {
        (Kind::Counter, Value::Count(count)) => {
            counter!(figure.family.name, labels).absolute(count);
        }
        (_, Value::Count(count)) => {
            // The facade's gauges are floating: a stratum and a few claims are exact in one.
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            gauge!(figure.family.name, labels).set(f64::from(count));
        }
        (_, Value::Measure(measure)) => gauge!(figure.family.name, labels).set(measure),
    }
}

fn labels_of(labels: &[(&'static str, Cow<'static, str>)]) -> Vec<Label> {
    let label = |(name, value): &(&'static str, Cow<'static, str>)| {
        Label::new(*name, SharedString::from(value.clone().into_owned()))
    };
    labels.iter().map(label).collect()
}
