//! Where the time of a commit goes, as an SVG: of one shard, and across shards.

use std::fmt::Write;

use crate::report::Row;
use crate::types::Phases;

const LEFT: f64 = 130.0;
const WIDTH: f64 = 820.0;

/// Draws the commit in the middle of those of one shard, and of those across shards, from its arrival on.
pub fn draw(row: &Row) -> String {
    let bars: Vec<(&str, Phases, u64)> = [("one shard", false, 2), ("across shards", true, 4)]
        .into_iter()
        .filter_map(|(name, across, times)| Some((name, row.typical(across)?, times)))
        .collect();
    let end = bars
        .iter()
        .map(|(_, phases, times)| phases.past.max(phases.drawn + times * row.epsilon_us))
        .max()
        .unwrap_or(1)
        .max(1) as f64
        * 1.08;
    let x = |micros: u64| LEFT + micros as f64 / end * WIDTH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1000\" height=\"230\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">Where the time of a commit goes, ε = {} ms</text>\n\
         <text x=\"10\" y=\"40\" fill=\"#555\">blue: locks and prepares · green: from the draw, through the \
         log, until applied · orange: commit-wait</text>\n",
        row.epsilon_us as f64 / 1_000.0
    );
    for (line, (name, phases, times)) in bars.iter().enumerate() {
        let y = 62 + line * 64;
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{name}</text>", y + 20);
        let parts = [
            (0, phases.drawn, "#2b6cb0"),
            (phases.drawn, phases.applied, "#3a9d5d"),
            (phases.applied, phases.past, "#dd8a2b"),
        ];
        for (from, to, colour) in parts {
            let width = (x(to) - x(from)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"30\" fill=\"{colour}\"/>",
                x(from)
            );
        }
        let mark = x(phases.drawn + times * row.epsilon_us);
        let _ = writeln!(
            svg,
            "<path d=\"M{mark:.1} {}v44\" stroke=\"#d00000\" stroke-dasharray=\"3 3\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#d00000\">draw + {times} ε</text>",
            y - 7,
            mark + 4.0,
            y + 42
        );
    }
    // A round step, no more than a dozen of which fit.
    let step = (2..18)
        .flat_map(|power| [1, 2, 5].map(|times| times * 10_u64.pow(power)))
        .find(|step| end / *step as f64 <= 12.0)
        .unwrap_or(u64::MAX);
    for at in (0..)
        .map(|index| index * step)
        .take_while(|at| (*at as f64) < end)
    {
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} 196v6\" stroke=\"#555\"/><text x=\"{:.1}\" y=\"216\" fill=\"#555\" \
             text-anchor=\"middle\">{} ms</text>",
            x(at),
            x(at),
            at as f64 / 1_000.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}
