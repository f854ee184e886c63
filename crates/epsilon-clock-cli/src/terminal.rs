//! How wide the page is, and text that fits it.

use std::env;

/// Narrower, and a word a line would be left; wider, and the eye loses the line.
const COLUMNS: std::ops::RangeInclusive<usize> = 40..=100;

/// Returns the width for prose: `COLUMNS` from the environment, or 80.
///
/// The terminal itself is not asked: every crate that does so costs two seconds to compile.
pub(crate) fn width() -> usize {
    let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    // A serial console says that it has no columns at all.
    let columns = columns.filter(|columns| *columns > 0).unwrap_or(80);
    columns.clamp(*COLUMNS.start(), *COLUMNS.end())
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
