//! One run's timeline as an SVG: where each value was acknowledged, and which reads were stale.

use std::fmt::Write;

use crate::cluster::Outcome;
use crate::history::{Seen, What, stale};
use crate::types::Way;

const WIDTH: u32 = 1_000;
const LEFT: u32 = 120;
const ROW: u32 = 24;

/// What a lane shows, the last on top.
const COLOURS: [&str; 4] = ["#cccccc", "#3a9d5d", "#2b6cb0", "#d00000"];

fn colour(seen: &Seen, stale: bool) -> usize {
    match seen.what {
        What::Refused => 0,
        What::Read(_) if stale => 3,
        What::Read(_) => 1,
        What::Write(_) => 2,
    }
}

/// Draws the runs of one seed below each other, a lane for each node's reads and one for the writes.
pub fn draw(runs: &[(Way, Outcome)], title: &str) -> String {
    let end = runs
        .iter()
        .filter_map(|(_, run)| run.history.iter().filter_map(|seen| seen.answer).max())
        .max()
        .map_or(1.0, |end| end.as_secs_f64());
    // Whole pixels: what happens within one is one mark.
    let x = |secs: f64| LEFT + (secs / end * f64::from(WIDTH - LEFT - 20)) as u32;
    let height = 80 + runs.len() as u32 * (5 * ROW + 20);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"10\" y=\"20\" font-size=\"15\">{title}</text>\n\
         <text x=\"10\" y=\"38\" fill=\"#555\">green: read · red: stale read · grey: refused · \
         blue: acknowledged write · shaded: the fault</text>\n"
    );
    let mut top = 50;
    for (way, run) in runs {
        let stale: Vec<_> = stale(&run.history)
            .iter()
            .map(|seen| (seen.client, seen.call))
            .collect();
        let (from, to) = (x(run.fault.0.as_secs_f64()), x(run.fault.1.as_secs_f64()));
        let _ = writeln!(
            svg,
            "<rect x=\"{from}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"#f4ead5\"/>\n\
             <text x=\"10\" y=\"{}\" font-weight=\"bold\">{}: {} stale</text>",
            to - from,
            5 * ROW,
            top + 10,
            way.name(),
            stale.len(),
        );
        for lane in 1..=4_u32 {
            let y = top + lane * ROW;
            let name = match lane {
                4 => "writes".into(),
                node if u64::from(node) == run.leader => format!("node {node}, leader"),
                node => format!("node {node}"),
            };
            let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{name}</text>", y + 4);
            let mut marks = vec![Vec::new(); COLOURS.len()];
            for seen in &run.history {
                let own = match seen.what {
                    What::Write(_) => 4,
                    _ => u32::try_from(seen.node).unwrap_or(0),
                };
                if let (true, Some(answer)) = (own == lane, seen.answer) {
                    let stale = stale.contains(&(seen.client, seen.call));
                    marks[colour(seen, stale)].push(x(answer.as_secs_f64()));
                }
            }
            for (colour, marks) in COLOURS.iter().zip(marks) {
                if !marks.is_empty() {
                    let path = strokes(marks, y);
                    let _ = writeln!(
                        svg,
                        "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"16\"/>"
                    );
                }
            }
        }
        top += 5 * ROW + 20;
    }
    axis(&mut svg, top, end, x);
    svg.push_str("</svg>\n");
    svg
}

/// Pixels beside each other as one stroke.
fn strokes(mut marks: Vec<u32>, y: u32) -> String {
    marks.sort_unstable();
    marks.dedup();
    let mut path = String::new();
    for run in marks.chunk_by(|one, next| one + 1 == *next) {
        let _ = write!(path, "M{} {y}h{}", run[0], run.len());
    }
    path
}

fn axis(svg: &mut String, y: u32, end: f64, x: impl Fn(f64) -> u32) {
    for second in 0..=(end as u32) {
        let x = x(f64::from(second));
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {}v6\" stroke=\"#555\"/><text x=\"{x}\" y=\"{}\" fill=\"#555\" \
             text-anchor=\"middle\">{second} s</text>",
            y - 8,
            y + 12
        );
    }
}
