//! Epsilon and the kernel's `maxerror` over the last hour, as SVG.

use std::fmt::Write as _;
use std::time::Duration;

use super::history::{EVERY, History, Sample};
use crate::units::rounded;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// The decades that the plot may span, by the exponents of nanoseconds: 100 ns to 100 s.
const DECADES: std::ops::RangeInclusive<i32> = 2..=11;

/// Where time and spans are drawn.
struct Scale {
    /// When the plot begins and ends, since watching began.
    begin: f64,
    end: f64,
    /// The exponents of the lowest and the highest line.
    low: i32,
    high: i32,
}

/// Draws the history, and says what is to be seen in it.
pub(super) fn svg(history: &History) -> String {
    let scale = Scale::of(history);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"plot-title plot-words\">\
         <title id=\"plot-title\">Epsilon and the kernel's maxerror over time</title>"
    );
    for exponent in scale.low..=scale.high {
        let y = scale.y(f64::from(exponent));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            decade(exponent)
        );
    }
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let x = LEFT + share * (WIDTH - LEFT - RIGHT);
        let ago = (1.0 - share) * (scale.end - scale.begin);
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - BOTTOM + 22.0,
            ago_in_words(ago)
        );
    }
    write_gaps(&mut out, history, &scale);
    for (class, value) in [
        (
            "kernel",
            (|sample| sample.kernel) as fn(&Sample) -> Option<Duration>,
        ),
        ("epsilon", |sample| sample.epsilon),
    ] {
        let _ = write!(out, "<path class=\"{class}\" d=\"");
        let mut draws = false;
        for sample in history.samples() {
            let Some(span) = value(sample) else {
                draws = false;
                continue;
            };
            let (x, y) = (scale.x(sample.at), scale.y(exponent_of(span)));
            // A sample alone is a dot: a line of no length, with round ends.
            if draws {
                let _ = write!(out, "L{x:.1} {y:.1}");
            } else {
                let _ = write!(out, "M{x:.1} {y:.1}h0");
            }
            draws = true;
        }
        out.push_str("\"/>");
    }
    out.push_str("</svg>");
    out
}

/// Says what the plot shows, for those who do not see it.
pub(super) fn in_words(history: &History) -> String {
    let (all, without) = history.samples().fold((0, 0), |(all, without), sample| {
        (all + 1, without + usize::from(sample.epsilon.is_none()))
    });
    let span = rounded(history.span().max(EVERY));
    let epsilon = match history.extremes() {
        None => format!("There was no interval in the last {span}."),
        Some((least, most)) => format!(
            "In the last {span} epsilon was ±{} to ±{}{}.",
            rounded(least),
            rounded(most),
            if without > 0 {
                format!(", and there was no interval in {without} of {all} samples")
            } else {
                String::new()
            }
        ),
    };
    let kernel = || history.samples().filter_map(|sample| sample.kernel);
    let kernel = match (kernel().min(), kernel().max()) {
        (Some(least), Some(most)) => format!(
            "The kernel's maxerror was {} to {}.",
            rounded(least),
            rounded(most)
        ),
        _ => "The kernel's maxerror was unknown.".to_owned(),
    };
    format!("{epsilon} {kernel}")
}

/// Shades the times in which there was no interval.
fn write_gaps(out: &mut String, history: &History, scale: &Scale) {
    let half = EVERY / 2;
    let mut begun: Option<(f64, f64)> = None;
    let mut draw = |gap: Option<(f64, f64)>| {
        if let Some((from, to)) = gap {
            let _ = write!(
                out,
                "<rect class=\"gap\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>",
                to - from,
                HEIGHT - TOP - BOTTOM
            );
        }
    };
    for sample in history.samples() {
        if sample.epsilon.is_some() {
            draw(begun.take());
            continue;
        }
        let from = scale.x(sample.at.saturating_sub(half));
        let to = scale.x(sample.at + half);
        begun = Some((begun.map_or(from, |(from, _)| from), to));
    }
    draw(begun);
}

impl Scale {
    fn of(history: &History) -> Self {
        let end = history
            .samples()
            .last()
            .map_or(0.0, |last| last.at.as_secs_f64());
        // A short past fills a short axis.
        let axes = [300.0, 900.0, 1800.0, 3600.0];
        let span = history.span().as_secs_f64();
        let axis = axes
            .into_iter()
            .find(|axis| *axis >= span)
            .unwrap_or(3600.0);
        let spans = history
            .samples()
            .flat_map(|sample| [sample.epsilon, sample.kernel])
            .flatten()
            .map(exponent_of);
        let (low, high) = spans.fold((f64::MAX, f64::MIN), |(low, high), exponent| {
            (low.min(exponent), high.max(exponent))
        });
        // Where there is nothing to be drawn: 100 µs to 1 s.
        let (low, high) = if low > high { (5.0, 9.0) } else { (low, high) };
        let below = |exponent: f64| DECADES.rev().find(|one| f64::from(*one) <= exponent);
        let above = |exponent: f64| DECADES.into_iter().find(|one| f64::from(*one) >= exponent);
        let low = below(low).unwrap_or(*DECADES.start());
        let high = above(high).unwrap_or(*DECADES.end());
        Self {
            begin: end - axis,
            end,
            low: low.min(*DECADES.end() - 1),
            high: high.max(low + 1),
        }
    }

    fn x(&self, at: Duration) -> f64 {
        let share = (at.as_secs_f64() - self.begin) / (self.end - self.begin);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, exponent: f64) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let share = (exponent - low) / (high - low);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// Returns the exponent of ten that makes nanoseconds of it; 0 for none.
fn exponent_of(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e9).max(1.0).log10()
}

fn decade(exponent: i32) -> String {
    let (unit, digits) = match exponent {
        ..=2 => ("ns", exponent),
        3..=5 => ("µs", exponent - 3),
        6..=8 => ("ms", exponent - 6),
        _ => ("s", exponent - 9),
    };
    let zeros = "0".repeat(usize::try_from(digits).unwrap_or(0));
    format!("1{zeros} {unit}")
}

fn ago_in_words(seconds: f64) -> String {
    if seconds < 1.0 {
        return "now".to_owned();
    }
    let minutes = seconds / 60.0;
    format!("{minutes} min ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, epsilon: Option<u64>, kernel: Option<u64>) -> Sample {
        Sample {
            at: Duration::from_secs(at),
            epsilon: epsilon.map(Duration::from_micros),
            kernel: kernel.map(Duration::from_micros),
        }
    }

    #[test]
    fn a_gap_breaks_the_line_and_is_shaded() {
        let mut history = History::new();
        for (at, epsilon) in [(0, Some(500)), (5, Some(700)), (10, None), (15, Some(600))] {
            history.push(sample(at, epsilon, Some(1_000)));
        }
        let svg = svg(&history);
        assert_eq!(svg.matches("class=\"gap\"").count(), 1, "{svg}");
        let line = svg.split("class=\"epsilon\" d=\"").nth(1).unwrap();
        let line = line.split('"').next().unwrap();
        assert_eq!(
            (line.matches('M').count(), line.matches('L').count()),
            (2, 1)
        );
        assert!(svg.contains(">100 µs<") && svg.contains(">1 ms<") && !svg.contains(">10 ms<"));
        assert_eq!(
            in_words(&history),
            "In the last 15 s epsilon was ±500 µs to ±700 µs, and there was no interval in 1 of 4 \
             samples. The kernel's maxerror was 1.0 ms to 1.0 ms."
        );
    }

    #[test]
    fn an_hour_is_kept_and_drawn_within_the_frame() {
        let mut history = History::new();
        for at in 0..1_000 {
            history.push(sample(at * 5, Some(1 << (at % 24)), None));
        }
        assert_eq!(history.samples().count(), 720);
        let svg = svg(&history);
        assert!(
            svg.contains(">60 min ago<") && svg.contains(">now<"),
            "{svg}"
        );
        for point in svg.split(['L', 'M']).skip(1) {
            let mut ends = point.split([' ', 'h', '"']).map(str::parse::<f64>);
            if let (Some(Ok(x)), Some(Ok(y))) = (ends.next(), ends.next()) {
                assert!((LEFT..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y));
            }
        }
    }

    #[test]
    fn nothing_at_all_is_drawn_as_that() {
        let mut history = History::new();
        assert!(svg(&history).ends_with("</svg>"));
        history.push(sample(0, None, None));
        assert!(svg(&history).contains("class=\"gap\""));
        assert!(in_words(&history).starts_with("There was no interval"));
    }
}
