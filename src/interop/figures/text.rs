//! Prometheus' text format, version 0.0.4.

use core::fmt::{self, Write as _};

use super::collect::{Figure, Figures, Value};
use super::family::{Family, Kind};

/// Writes Prometheus' text format: `# HELP` and `# TYPE` before the first figure of each name.
///
/// Its media type is `text/plain; version=0.0.4; charset=utf-8`.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&Family> = None;
        for figure in self.iter() {
            let Family { name, kind, help } = figure.family;
            if before != Some(figure.family) {
                let kind = match kind {
                    Kind::Counter => "counter",
                    Kind::Gauge | Kind::Flag => "gauge",
                };
                writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
                before = Some(figure.family);
            }
            writeln!(f, "{figure}")?;
        }
        Ok(())
    }
}

/// Writes one line of that format, without its end.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family.name)?;
        for (place, (name, value)) in self.labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(f, "{before}{name}=\"")?;
            for c in value.chars() {
                match c {
                    '\\' | '"' => write!(f, "\\{c}")?,
                    '\n' => f.write_str("\\n")?,
                    _ => f.write_char(c)?,
                }
            }
            f.write_char('"')?;
        }
        if !self.labels.is_empty() {
            f.write_char('}')?;
        }
        match self.value {
            Value::Count(count) => write!(f, " {count}"),
            Value::Measure(measure) => write!(f, " {measure}"),
        }
    }
}
