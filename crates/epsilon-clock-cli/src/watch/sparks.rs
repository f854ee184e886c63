//! Epsilon over time in characters.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::rounded;

/// From nothing to a whole character, in eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the lines of a plot: a column a second, the last at the right, `·` where there was no interval.
pub(super) fn plot(
    past: &VecDeque<Option<Duration>>,
    columns: usize,
    height: usize,
) -> Vec<String> {
    let shown = past.len().min(columns);
    let shown = past.range(past.len().saturating_sub(shown)..);
    let most = shown.clone().flatten().max().copied().unwrap_or_default();
    let span = shown.len();
    let mut lines = vec![if most.is_zero() {
        "no interval yet".to_owned()
    } else {
        format!("epsilon, up to {} in the last {span} s", rounded(most))
    }];
    for row in (0..height).rev() {
        let mark = |epsilon: &Option<Duration>| match epsilon {
            None if row == 0 => '·',
            None => ' ',
            Some(epsilon) => mark(*epsilon, most, row, height),
        };
        lines.push(shown.clone().map(mark).collect());
    }
    lines
}

fn mark(epsilon: Duration, most: Duration, row: usize, height: usize) -> char {
    let all = most.as_nanos().max(1);
    let eighths = u128::try_from(height * 8).unwrap_or(8) * epsilon.as_nanos() / all;
    // What is there is seen, however little it is.
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).max(1);
    let here = eighths.saturating_sub(row * 8).min(8);
    EIGHTHS.get(here).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::plot;
    use std::time::Duration;

    #[test]
    fn the_largest_fills_the_plot_and_none_is_a_dot() {
        let past = [None, Some(4), Some(8), Some(0), Some(2)];
        let past = past.map(|ms| ms.map(Duration::from_millis)).into();
        assert_eq!(
            plot(&past, 80, 2),
            ["epsilon, up to 8.0 ms in the last 5 s", "  █  ", "·██▁▄",]
        );
        // Of more seconds than columns, the last ones.
        assert_eq!(plot(&past, 2, 1)[1], "▁█");
        assert_eq!(plot(&[None].into(), 80, 1), ["no interval yet", "·"]);
    }
}
