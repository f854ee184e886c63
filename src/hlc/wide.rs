//! The twelve-byte form of other systems: nanoseconds and a counter of 32 bits.

use core::fmt;
use core::str::FromStr;

use super::remote::RemoteTimestamp;
use super::text::{self, ParseHlcError, Parsed};
use super::timestamp::{HlcTimestamp, compose};
use crate::time::{DecodeError, RangeError, Timestamp};

/// A hybrid logical timestamp in twelve bytes: nanoseconds since the Unix epoch in an `i64`, and a
/// counter in a `u32`. That is the shape of CockroachDB's.
///
/// For exchange with systems that count so: every [`HlcTimestamp`] is one, and one is a
/// [`RemoteTimestamp`] where that is exact. Like that it has passed no check.
///
/// # Comparisons
///
/// Ordered by the instant, then by the counter.
///
/// # Encodings
///
/// All have a fixed width and sort as the stamps do:
///
/// | form | example |
/// |---|---|
/// | 12 bytes ([`to_be_bytes`](Self::to_be_bytes)): the nanoseconds plus 2^63, most significant byte first, so that instants before 1970 sort first; then the counter, likewise | `98 e9 aa de bd 8d 1d 15 00 00 00 2a` |
/// | 24 lower-case hexadecimal digits of the same (`{:x}`) | `98e9aadebd8d1d150000002a` |
/// | RFC 3339 in UTC with nine digits and `Z`, then `_`, then the counter in ten decimal digits (`{}`): 41 bytes | `2026-11-20T05:50:00.123456789Z_0000000042` |
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
/// use epsilon_clock::hlc::WideTimestamp;
///
/// let wide: WideTimestamp = "2026-11-20T05:50:00.123456000Z_0000000042".parse()?;
/// let narrow = RemoteTimestamp::try_from(wide)?;
/// assert_eq!(narrow.to_string(), "2026-11-20T05:50:00.123456Z_0042");
///
/// let finer: WideTimestamp = "2026-11-20T05:50:00.123456789Z_0000000042".parse()?;
/// assert!(RemoteTimestamp::try_from(finer).is_err()); // not a whole microsecond
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WideTimestamp {
    // In this order, for the comparison.
    physical: Timestamp,
    logical: u32,
}

impl WideTimestamp {
    /// The least: the first instant there is, counter 0.
    ///
    /// ```
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::MIN.to_be_bytes(), [0; 12]);
    /// ```
    pub const MIN: Self = Self::new(Timestamp::MIN, 0);

    /// The largest.
    ///
    /// ```
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::MAX.to_be_bytes(), [0xff; 12]);
    /// ```
    pub const MAX: Self = Self::new(Timestamp::MAX, u32::MAX);

    /// Creates the stamp of an instant and a counter.
    ///
    /// Every pair is one.
    ///
    /// ```
    /// # use epsilon_clock::Timestamp;
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::new(Timestamp::UNIX_EPOCH, 7).logical(), 7);
    /// ```
    #[must_use]
    pub const fn new(physical: Timestamp, logical: u32) -> Self {
        Self { physical, logical }
    }

    /// Returns the physical part.
    ///
    /// ```
    /// # use epsilon_clock::Timestamp;
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::MAX.physical(), Timestamp::MAX);
    /// ```
    #[must_use]
    pub const fn physical(self) -> Timestamp {
        self.physical
    }

    /// Returns the counter.
    ///
    /// ```
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::MAX.logical(), u32::MAX);
    /// ```
    #[must_use]
    pub const fn logical(self) -> u32 {
        self.logical
    }

    /// Encodes the stamp in twelve bytes, which sort as stamps do.
    ///
    /// ```
    /// # use epsilon_clock::Timestamp;
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// let epoch = WideTimestamp::new(Timestamp::UNIX_EPOCH, 1);
    /// assert_eq!(epoch.to_be_bytes(), [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = self.physical.to_be_bytes();
        let [i, j, k, l] = self.logical.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Decodes a stamp from twelve bytes; every twelve are one.
    ///
    /// ```
    /// # use epsilon_clock::hlc::WideTimestamp;
    /// assert_eq!(WideTimestamp::from_be_bytes([0; 12]), WideTimestamp::MIN);
    /// ```
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self::new(
            Timestamp::from_be_bytes([a, b, c, d, e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
        )
    }
}

/// Exactly twelve bytes.
impl TryFrom<&[u8]> for WideTimestamp {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        <[u8; 12]>::try_from(bytes)
            .map(Self::from_be_bytes)
            .map_err(|_| DecodeError::Length {
                what: "a stamp",
                expected: 12,
                found: bytes.len(),
            })
    }
}

/// Always exact.
impl From<HlcTimestamp> for WideTimestamp {
    fn from(stamp: HlcTimestamp) -> Self {
        Self::new(stamp.physical(), stamp.logical().into())
    }
}

/// Always exact.
impl From<RemoteTimestamp> for WideTimestamp {
    fn from(stamp: RemoteTimestamp) -> Self {
        Self::new(stamp.physical(), stamp.logical().into())
    }
}

/// Only where it is exact: in whole microseconds from 1970 to 2112, with a counter up to 4095.
///
/// Nothing is rounded: a stamp rounded down would fall before its own cause.
impl TryFrom<WideTimestamp> for RemoteTimestamp {
    type Error = RangeError;

    fn try_from(wide: WideTimestamp) -> Result<Self, RangeError> {
        compose(wide.physical, wide.logical.into()).map(Self::from)
    }
}

/// Reads exactly what `{}` or `{:x}` prints: 41 bytes such as
/// `2026-11-20T05:50:00.123456789Z_0000000042`, or 24 lower-case hexadecimal digits.
impl FromStr for WideTimestamp {
    type Err = ParseHlcError;

    fn from_str(text: &str) -> Result<Self, ParseHlcError> {
        match text::parse_wide(text)? {
            Parsed::Bytes(bytes) => Ok(Self::from_be_bytes(bytes)),
            Parsed::Parts { physical, logical } => {
                let most = u64::from(u32::MAX);
                let fits = u32::try_from(logical);
                let fits = fits.map_err(|_| RangeError::Counter { logical, most })?;
                Ok(Self::new(physical, fits))
            }
        }
    }
}

/// The human form, always 41 bytes: `2026-11-20T05:50:00.123456789Z_0000000042`.
impl fmt::Display for WideTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_wide(f, self.physical, self.logical)
    }
}

/// The human form in brackets.
impl fmt::Debug for WideTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WideTimestamp({self})")
    }
}

/// Always 24 digits (26 bytes with `#`).
impl fmt::LowerHex for WideTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_hex(f, &self.to_be_bytes())
    }
}
