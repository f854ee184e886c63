//! One run's timeline as an SVG: where each value was acknowledged, and which reads were stale.

use std::fmt::Write;

use crate::cluster::Outcome;
use crate::history::{What, stale};
use crate::types::Way;

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 120.0;
const ROW: f64 = 26.0;

/// Draws the runs of one seed below each other, a lane for each node's reads and one for the writes.
pub fn draw(runs: &[(Way, Outcome)], title: &str) -> String {
    let end = runs
        .iter()
        .filter_map(|(_, run)| run.history.iter().filter_map(|seen| seen.answer).max())
        .max()
        .map_or(1.0, |end| end.as_secs_f64());
    let x = |secs: f64| LEFT + secs / end * (WIDTH - LEFT - 20.0);
    let height = 60.0 + runs.len() as f64 * (5.0 * ROW + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"10\" y=\"20\" font-size=\"15\">{title}</text>\n\
         <text x=\"10\" y=\"38\" fill=\"#555\">green: read · red: stale read · grey: refused · \
         blue: acknowledged write · shaded: the fault · {end:.1} s in all</text>\n"
    );
    let mut top = 60.0;
    for (way, run) in runs {
        let stale: Vec<_> = stale(&run.history)
            .iter()
            .map(|seen| (seen.client, seen.call))
            .collect();
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"#f4ead5\"/>\n\
             <text x=\"10\" y=\"{}\" font-weight=\"bold\">{}: {} stale</text>",
            x(run.fault.0.as_secs_f64()),
            x(run.fault.1.as_secs_f64()) - x(run.fault.0.as_secs_f64()),
            5.0 * ROW,
            top + 15.0,
            way.name(),
            stale.len(),
        );
        for lane in 1..=4_u32 {
            let y = top + f64::from(lane) * ROW;
            let name = match lane {
                4 => "writes".into(),
                node if u64::from(node) == run.leader => format!("node {node}, leader"),
                node => format!("node {node}"),
            };
            let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{name}</text>", y + 12.0);
            for seen in &run.history {
                let own = match seen.what {
                    What::Write(_) => 4,
                    _ => u32::try_from(seen.node).unwrap_or(0),
                };
                let (true, Some(answer)) = (own == lane, seen.answer) else {
                    continue;
                };
                let colour = match seen.what {
                    What::Write(_) => "#2b6cb0",
                    What::Refused => "#cccccc",
                    What::Read(_) if stale.contains(&(seen.client, seen.call)) => "#d00000",
                    What::Read(_) => "#3a9d5d",
                };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{y}\" width=\"1.2\" height=\"16\" fill=\"{colour}\"/>",
                    x(answer.as_secs_f64())
                );
            }
        }
        top += 5.0 * ROW + 20.0;
    }
    svg.push_str("</svg>\n");
    svg
}
