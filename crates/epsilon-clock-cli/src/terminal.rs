//! How large the terminal is, and text that fits it.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

/// Narrower, and a word a line would be left; wider, and the eye loses the line.
const COLUMNS: std::ops::RangeInclusive<usize> = 40..=100;

/// Returns the width for prose: that of the terminal, `COLUMNS` from the environment, or 80.
pub(crate) fn width() -> usize {
    let (columns, _) = size();
    columns.clamp(*COLUMNS.start(), *COLUMNS.end())
}

/// Returns the columns and rows of the terminal, or what the environment says of them.
pub(crate) fn size() -> (usize, usize) {
    let named = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let asked = || io::stdout().is_terminal().then(asked).flatten();
    let (rows, columns) = match (named("LINES"), named("COLUMNS")) {
        (rows, Some(columns)) => (rows.unwrap_or(0), columns),
        (rows, None) => {
            let (asked_rows, columns) = asked().unwrap_or((0, 0));
            (rows.unwrap_or(asked_rows), columns)
        }
    };
    // A serial console says that it has none at all.
    let or = |size, usual| if size > 0 { size } else { usual };
    (or(columns, 80), or(rows, 24))
}

/// Returns true if what stands on standard output can be written over: a terminal that is not `dumb`.
pub(crate) fn moves_cursor() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|name| name == "dumb");
    io::stdout().is_terminal() && !dumb
}

/// Returns true if standard output takes colours, and `NO_COLOR` is not set (<https://no-color.org>).
pub(crate) fn takes_colours() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    moves_cursor() && !refused
}

/// Cuts a line that would otherwise break, and move all below it.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Asks `stty` for rows and columns: a crate that asks the terminal itself takes longer to compile than
/// this takes in a thousand runs.
fn asked() -> Option<(usize, usize)> {
    let terminal = File::open("/dev/tty").ok()?;
    let output = Command::new("stty")
        .arg("size")
        .stdin(terminal)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    Some((rows.parse().ok()?, columns.parse().ok()?))
}

/// Breaks a paragraph between words, so that no line is wider than `width`.
///
/// The first line begins with `first`, the others with `rest`.
pub(crate) fn wrapped(text: &str, first: &str, rest: &str, width: usize) -> String {
    let mut out = first.to_owned();
    let mut column = first.chars().count();
    let mut fresh = true;
    for word in text.split(' ') {
        let wide = word.chars().count();
        if !fresh && column + 1 + wide > width {
            out.push('\n');
            out.push_str(rest);
            column = rest.chars().count();
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += wide;
        fresh = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_end_between_words_and_within_the_width() {
        let text = "the quick brown fox jumps over the lazy dog";
        let lines = wrapped(text, "1. ", "   ", 16);
        assert_eq!(
            lines,
            "1. the quick\n   brown fox\n   jumps over\n   the lazy dog"
        );
        assert_eq!(wrapped(text, "", "", 100), text);
        // A word that is too long stands alone, and nothing is lost.
        assert_eq!(
            wrapped("a incomprehensible b", "", " ", 5),
            "a\n incomprehensible\n b"
        );
    }
}
