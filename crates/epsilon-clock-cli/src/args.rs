//! Arguments: what several commands ask of the parser, and how values are read.

use std::time::Duration;

use lexopt::ValueExt;

const TOO_LARGE: &str = "that is beyond reason";

/// Says what is wrong with an argument that no command knows.
pub(crate) fn unexpected(argument: lexopt::Arg<'_>) -> String {
    format!("{}; see --help", argument.unexpected())
}

/// An argument, as a command takes it.
#[derive(Debug, PartialEq)]
pub(crate) enum Word {
    /// `-h` or `--help`.
    Help,
    /// A long option, without its dashes.
    Option(String),
    /// Anything else.
    Operand(String),
}

/// Takes the next argument.
pub(crate) fn next(parser: &mut lexopt::Parser) -> Result<Option<Word>, String> {
    use lexopt::Arg::{Long, Short, Value};

    let argument = parser.next().map_err(|error| error.to_string())?;
    argument
        .map(|argument| match argument {
            Short('h') | Long("help") => Ok(Word::Help),
            Long(name) => Ok(Word::Option(name.to_owned())),
            Value(text) => match text.into_string() {
                Ok(text) => Ok(Word::Operand(text)),
                Err(text) => Err(unexpected(Value(text))),
            },
            other => Err(unexpected(other)),
        })
        .transpose()
}

/// Says that a command has no use for an argument.
pub(crate) fn unknown(word: &Word) -> String {
    match word {
        Word::Help => unexpected(lexopt::Arg::Long("help")),
        Word::Option(name) => unexpected(lexopt::Arg::Long(name)),
        Word::Operand(text) => unexpected(lexopt::Arg::Value(text.into())),
    }
}

/// Takes the value of an option and parses it.
pub(crate) fn value<T>(
    option: &str,
    parser: &mut lexopt::Parser,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let value = parser
        .value()
        .and_then(ValueExt::string)
        .map_err(|error| error.to_string())?;
    parse(&value).map_err(|reason| format!("{option} {value:?}: {reason}"))
}

/// Stores an option's value; a second one is refused unless it equals the first.
pub(crate) fn set_once<T: PartialEq>(
    option: &str,
    place: &mut Option<T>,
    value: T,
) -> Result<(), String> {
    if place.as_ref().is_some_and(|before| *before != value) {
        return Err(format!("{option} is given twice, with different values"));
    }
    *place = Some(value);
    Ok(())
}

/// Parses `50ms`, `1.5s` and the like.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "give a number and a unit (ns, us, µs, ms or s), such as 50ms";
    let unit_at = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(unit_at);
    let places = match unit {
        "ns" => 0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 3, // the micro sign and the Greek letter look alike
        "ms" => 6,
        "s" => 9,
        _ => return Err(EXPECTED.to_owned()),
    };
    decimal(number, places).map(Duration::from_nanos)
}

/// Parses parts per million, and returns parts per billion.
pub(crate) fn ppm(text: &str) -> Result<u32, String> {
    u32::try_from(decimal(text, 3)?).map_err(|_| TOO_LARGE.to_owned())
}

/// Parses whole seconds of at most an hour.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("give whole seconds, up to 3600".to_owned()),
    }
}

fn decimal(text: &str, places: usize) -> Result<u64, String> {
    // A number times ten to the power of `places`, exact or refused: a float would round what a user
    // vouches for.
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    let dangling = whole.is_empty() || text.ends_with('.');
    if dangling || !digits.all(|byte| byte.is_ascii_digit()) {
        return Err("give a number above zero, such as 50 or 1.5".to_owned());
    }
    if fraction.len() > places {
        return Err(format!("only {places} digits after the point count here"));
    }
    match format!("{whole}{fraction:0<places$}").parse() {
        Ok(0) => Err("nothing is that exact: give a number above zero".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(TOO_LARGE.to_owned()),
    }
}
