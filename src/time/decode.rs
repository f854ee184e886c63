//! Bytes that are not what they were read as: one error for every decoder of the crate.

use thiserror::Error;

use super::interval::IntervalError;
use super::timestamp::Timestamp;

/// Bytes that are not the value they were read as.
///
/// Each variant says what was decoded, what was expected and what was found.
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
/// use epsilon_clock::time::DecodeError;
///
/// let error = RemoteTimestamp::try_from(&[0x66, 0x0a, 0xed][..]).unwrap_err();
/// assert!(matches!(error, DecodeError::Length { expected: 8, found: 3, .. }));
/// assert_eq!(error.to_string(), "a stamp of 8 bytes cannot be read from 3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are too few or too many.
    #[error("{what} of {expected} bytes cannot be read from {found}")]
    Length {
        /// What was decoded, such as `a stamp`.
        what: &'static str,
        /// How many bytes it has.
        expected: usize,
        /// How many bytes were given.
        found: usize,
    },
    /// The first byte, which names the format, is another format's.
    #[error(
        "{what} begins with a byte of {expected}, not of {found}: it was never written, or is \
         broken; {advice}"
    )]
    Format {
        /// What was decoded.
        what: &'static str,
        /// The byte it begins with.
        expected: u8,
        /// The byte found there.
        found: u8,
        /// What to do about it.
        advice: &'static str,
    },
    /// All bytes are zero, which no value of the type is.
    #[error("0 is no {what}: the bytes were never written")]
    Blank {
        /// What was decoded, such as `token`.
        what: &'static str,
    },
    /// The bytes name an instant that the value cannot have.
    #[error(
        "{found} is not {what}: the bytes were never written, are broken, or count another unit \
         than nanoseconds plus 2^63; {advice}"
    )]
    Instant {
        /// What was decoded, such as `the expiry of a lease`.
        what: &'static str,
        /// The instant that the bytes would name.
        found: Timestamp,
        /// What to do about it.
        advice: &'static str,
    },
    /// The latest end of an interval lies before its earliest.
    #[error("{what} contradicts itself: {ends}")]
    Reversed {
        /// What was decoded.
        what: &'static str,
        /// Both ends as they were found.
        #[source]
        ends: IntervalError,
    },
}

/// Exactly eight bytes, as [`Timestamp::to_be_bytes`] makes them.
///
/// ```
/// # use epsilon_clock::Timestamp;
/// # use epsilon_clock::time::DecodeError;
/// let row: &[u8] = &[0x98, 0xe9];
/// assert!(matches!(Timestamp::try_from(row), Err(DecodeError::Length { found: 2, .. })));
/// ```
impl TryFrom<&[u8]> for Timestamp {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Timestamp, DecodeError> {
        <[u8; 8]>::try_from(bytes)
            .map(Timestamp::from_be_bytes)
            .map_err(|_| DecodeError::Length {
                what: "a timestamp",
                expected: 8,
                found: bytes.len(),
            })
    }
}
