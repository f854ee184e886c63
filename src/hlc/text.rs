//! Stamps as text: written at a fixed width, read strictly.

use core::fmt::{self, Write as _};

use thiserror::Error;

use super::timestamp::HlcTimestamp;
use crate::time::{Line, ParseTimestampError, RangeError, Timestamp};

/// `2026-11-20T05:50:00.123456Z_0042`.
const NARROW_LENGTH: usize = 32;
/// The part of it that a timestamp's text begins with.
const NARROW_TIME: usize = 26;

/// `2026-11-20T05:50:00.123456789Z_0000000042`.
const WIDE_LENGTH: usize = 41;
const WIDE_TIME: usize = 29;

/// The human form, always 32 bytes: `2026-11-20T05:50:00.123456Z_0042`.
///
/// Width, fill and alignment are honoured as for a `str`. Nothing is allocated.
///
/// ```
/// # use epsilon_clock::HlcTimestamp;
/// assert_eq!(format!("{:>34}", HlcTimestamp::MIN), "  1970-01-01T00:00:00.000000Z_0000");
/// ```
impl fmt::Display for HlcTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (physical, logical) = (self.physical(), self.logical());
        let mut line = Line::new();
        // The precision cuts off the three digits that are always zero, and the `Z`.
        write!(line, "{physical:.NARROW_TIME$}Z_{logical:04}")?;
        line.pad(f)
    }
}

/// The human form in brackets.
impl fmt::Debug for HlcTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HlcTimestamp({self})")
    }
}

/// Always 16 digits (18 bytes with `#`, which adds `0x`); width and alignment are honoured.
///
/// ```
/// # use epsilon_clock::HlcTimestamp;
/// assert_eq!(format!("{:x}", HlcTimestamp::MIN), "0000000000000000");
/// assert_eq!(format!("{:#x}", HlcTimestamp::MAX), "0xffffffffffffffff");
/// ```
impl fmt::LowerHex for HlcTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.to_be_bytes())
    }
}

pub(super) fn write_wide(
    f: &mut fmt::Formatter<'_>,
    physical: Timestamp,
    logical: u32,
) -> fmt::Result {
    let mut line = Line::new();
    write!(line, "{physical}_{logical:010}")?;
    line.pad(f)
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut line = Line::new();
    if f.alternate() {
        line.write_str("0x")?;
    }
    for byte in bytes {
        write!(line, "{byte:02x}")?;
    }
    line.pad(f)
}

/// Why a text is not a stamp.
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
///
/// // A counter without its zeros would not sort.
/// let error = "2026-11-20T05:50:00.123456Z_42".parse::<RemoteTimestamp>().unwrap_err();
/// assert_eq!(error.to_string(), "a stamp's text has 16 or 32 bytes, not 30: keep leading zeros, and add nothing");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseHlcError {
    /// The text has neither of the two lengths there are.
    #[error(
        "a stamp's text has {hex} or {human} bytes, not {found}: keep leading zeros, and add nothing"
    )]
    #[non_exhaustive]
    Length {
        /// Its length in bytes.
        found: usize,
        /// The length of the hexadecimal form.
        hex: usize,
        /// The length of the human form.
        human: usize,
    },
    /// A character is not the one that belongs in its place.
    #[error("{found:?} at byte {at} should be {expected}")]
    #[non_exhaustive]
    Unexpected {
        /// The byte at which the character starts.
        at: usize,
        /// The character there.
        found: char,
        /// What belongs there.
        expected: &'static str,
    },
    /// The date and time at the beginning are none.
    #[error(transparent)]
    Time(#[from] ParseTimestampError),
    /// The parts are well written, but make no stamp.
    #[error(transparent)]
    Range(#[from] RangeError),
}

/// The bytes that so many hexadecimal digits stand for, or the parts of the human form.
pub(super) enum Parsed<const N: usize> {
    Bytes([u8; N]),
    Parts { physical: Timestamp, logical: u64 },
}

pub(super) fn parse_narrow(text: &str) -> Result<Parsed<8>, ParseHlcError> {
    parse(text, NARROW_LENGTH, NARROW_TIME, "000Z")
}

pub(super) fn parse_wide(text: &str) -> Result<Parsed<12>, ParseHlcError> {
    parse(text, WIDE_LENGTH, WIDE_TIME, "Z")
}

/// Reads either form, told apart by their lengths; `rest` completes the time's text.
fn parse<const N: usize>(
    text: &str,
    human: usize,
    time: usize,
    rest: &str,
) -> Result<Parsed<N>, ParseHlcError> {
    if text.len() == 2 * N {
        return hex_bytes(text).map(Parsed::Bytes);
    }
    if text.len() != human {
        return Err(ParseHlcError::Length {
            found: text.len(),
            hex: 2 * N,
            human,
        });
    }
    // Before anything is cut, so that no cut falls inside a character.
    for (at, found) in text.char_indices() {
        let expected = match at.checked_sub(time) {
            None => "ASCII",
            Some(0) => "`Z`",
            Some(1) => "`_`",
            Some(_) => "a digit",
        };
        let right = match at.checked_sub(time) {
            None => found.is_ascii(),
            Some(0) => found == 'Z',
            Some(1) => found == '_',
            Some(_) => found.is_ascii_digit(),
        };
        if !right {
            return Err(ParseHlcError::Unexpected {
                at,
                found,
                expected,
            });
        }
    }
    let (head, tail) = text.split_at_checked(time).unwrap_or((text, ""));
    let physical = format!("{head}{rest}").parse()?;
    let logical = tail
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
    Ok(Parsed::Parts { physical, logical })
}

pub(super) fn hex_bytes<const N: usize>(text: &str) -> Result<[u8; N], ParseHlcError> {
    let mut bytes = [0; N];
    for ((at, found), place) in text.char_indices().zip(0_usize..) {
        let digit = match found {
            '0'..='9' | 'a'..='f' => found.to_digit(16).and_then(|d| u8::try_from(d).ok()),
            _ => None,
        };
        let Some(digit) = digit else {
            return Err(ParseHlcError::Unexpected {
                at,
                found,
                expected: "a digit or one of a to f",
            });
        };
        if let Some(byte) = bytes.get_mut(place / 2) {
            *byte = (*byte << 4) | digit;
        }
    }
    Ok(bytes)
}
