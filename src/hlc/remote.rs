//! A stamp that came from elsewhere, and has not been observed yet.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use super::text::{self, ParseHlcError, Parsed};
use super::timestamp::{HlcTimestamp, compose};
use crate::time::{DecodeError, Timestamp};

/// A hybrid logical timestamp that came from elsewhere: off the wire, out of a file or a text.
///
/// All decoding ends here, and [`HybridClock::observe`](super::HybridClock::observe) takes it. That
/// makes it a different type from [`HlcTimestamp`], so that a stamp which a peer made up, or a disk
/// broke, cannot pass for one issued here before a check of how far ahead it lies.
///
/// It can be compared with stamps issued here, printed and forwarded as it is. It becomes an
/// [`HlcTimestamp`] by [`seen_by`](Self::seen_by), once this process has issued a stamp above it, or
/// by [`trust`](Self::trust), which checks nothing.
///
/// ```
/// use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hlc = HybridClock::new(Clock::system()?);
/// let datagram = hlc.tick()?.to_be_bytes();
///
/// let remote = RemoteTimestamp::from_be_bytes(datagram);
/// let received = hlc.observe(remote)?;
/// assert!(received > remote);
/// # Ok(())
/// # }
/// ```
///
/// It does not serve where a checked one is asked for:
///
/// ```compile_fail,E0308
/// use epsilon_clock::{HlcTimestamp, RemoteTimestamp};
///
/// fn store(_: HlcTimestamp) {}
/// store(RemoteTimestamp::from_be_bytes([0xff; 8]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteTimestamp(HlcTimestamp);

impl RemoteTimestamp {
    /// Creates the stamp of a number: physical µs × 4096 + counter.
    ///
    /// Every number is one.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// assert_eq!(RemoteTimestamp::from_bits(4_101).logical(), 5);
    /// ```
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(HlcTimestamp::from_bits(bits))
    }

    /// Decodes a stamp from eight bytes, most significant first.
    ///
    /// Of a slice, use `RemoteTimestamp::try_from(bytes)`, which refuses any other length.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// let remote = RemoteTimestamp::from_be_bytes([0x66, 0x0a, 0xed, 0x09, 0x2d, 0x44, 0, 0x2a]);
    /// assert_eq!(remote.to_string(), "2026-11-20T05:50:00.123456Z_0042");
    /// ```
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Self {
        Self::from_bits(u64::from_be_bytes(bytes))
    }

    /// Returns the stamp as a number: physical µs × 4096 + counter.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// assert_eq!(RemoteTimestamp::from_bits(7).to_bits(), 7);
    /// ```
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// Encodes the stamp in eight bytes, most significant first.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// assert_eq!(RemoteTimestamp::from_bits(7).to_be_bytes(), [0, 0, 0, 0, 0, 0, 0, 7]);
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Returns the physical part as an instant: whole microseconds.
    ///
    /// ```
    /// # use epsilon_clock::{RemoteTimestamp, Timestamp};
    /// assert_eq!(RemoteTimestamp::from_bits(4_096).physical(), Timestamp::from_unix_nanos(1_000));
    /// ```
    #[must_use]
    pub const fn physical(self) -> Timestamp {
        self.0.physical()
    }

    /// Returns the counter, from 0 to 4095.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// assert_eq!(RemoteTimestamp::from_bits(4_097).logical(), 1);
    /// ```
    #[must_use]
    pub const fn logical(self) -> u16 {
        self.0.logical()
    }

    /// Returns the stamp as checked, if `issued` lies above it.
    ///
    /// `issued` is a stamp of this process.
    ///
    /// Then the clock that issued that one has seen as much, and will never issue this stamp or a
    /// lesser one: keeping it does no harm. The stamp that
    /// [`observe`](super::HybridClock::observe) returned always serves.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HlcTimestamp, HybridClock, RemoteTimestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let hlc = HybridClock::new(Clock::system()?);
    /// # let remote = RemoteTimestamp::from_bits(7);
    /// let received = hlc.observe(remote)?;
    /// let checked: Option<HlcTimestamp> = remote.seen_by(received);
    /// assert!(checked.is_some());
    /// assert_eq!(RemoteTimestamp::from_bits(u64::MAX).seen_by(received), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn seen_by(self, issued: HlcTimestamp) -> Option<HlcTimestamp> {
        (self.0 < issued).then_some(self.0)
    }

    /// Returns the stamp as one of this process's own, unchecked.
    ///
    /// Nothing says how far ahead of time it lies, and a clock that has not seen it may issue
    /// lesser stamps later.
    ///
    /// For stamps out of one's own storage, such as the floor that
    /// [`resume_from`](super::HybridClockBuilder::resume_from) takes.
    ///
    /// ```
    /// # use epsilon_clock::{HlcTimestamp, RemoteTimestamp};
    /// assert_eq!(RemoteTimestamp::from_bits(u64::MAX).trust(), HlcTimestamp::MAX);
    /// ```
    #[must_use]
    pub const fn trust(self) -> HlcTimestamp {
        self.0
    }
}

/// What was issued here may be handed to another clock of the same process.
impl From<HlcTimestamp> for RemoteTimestamp {
    fn from(issued: HlcTimestamp) -> Self {
        Self(issued)
    }
}

/// Exactly eight bytes, most significant first.
///
/// ```
/// # use epsilon_clock::RemoteTimestamp;
/// let datagram: &[u8] = &[0x66, 0x0a, 0xed];
/// let error = RemoteTimestamp::try_from(datagram).unwrap_err();
/// assert_eq!(error.to_string(), "a stamp of 8 bytes cannot be read from 3");
/// ```
impl TryFrom<&[u8]> for RemoteTimestamp {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        <[u8; 8]>::try_from(bytes)
            .map(Self::from_be_bytes)
            .map_err(|_| DecodeError::Length {
                what: "a stamp",
                expected: 8,
                found: bytes.len(),
            })
    }
}

/// Reads exactly what `{}` or `{:x}` prints: 32 bytes such as `2026-11-20T05:50:00.123456Z_0042`, or
/// 16 lower-case hexadecimal digits. Nothing may be added, left out or written otherwise, so that
/// equal stamps have equal texts.
///
/// ```
/// # use epsilon_clock::RemoteTimestamp;
/// let human: RemoteTimestamp = "2026-11-20T05:50:00.123456Z_0042".parse()?;
/// let hex: RemoteTimestamp = "660aed092d44002a".parse()?;
/// assert_eq!(human, hex);
/// assert!("660AED092D44002A".parse::<RemoteTimestamp>().is_err());
/// assert!("2026-11-20T05:50:00.123456Z_42".parse::<RemoteTimestamp>().is_err());
/// # Ok::<(), epsilon_clock::hlc::ParseHlcError>(())
/// ```
impl FromStr for RemoteTimestamp {
    type Err = ParseHlcError;

    fn from_str(text: &str) -> Result<Self, ParseHlcError> {
        match text::parse_narrow(text)? {
            Parsed::Bytes(bytes) => Ok(Self::from_be_bytes(bytes)),
            Parsed::Parts { physical, logical } => Ok(Self(compose(physical, logical)?)),
        }
    }
}

/// As [`HlcTimestamp`]'s.
impl fmt::Display for RemoteTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The human form in brackets.
impl fmt::Debug for RemoteTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteTimestamp({self})")
    }
}

/// As [`HlcTimestamp`]'s.
impl fmt::LowerHex for RemoteTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl PartialEq<HlcTimestamp> for RemoteTimestamp {
    fn eq(&self, other: &HlcTimestamp) -> bool {
        self.0 == *other
    }
}

impl PartialEq<RemoteTimestamp> for HlcTimestamp {
    fn eq(&self, other: &RemoteTimestamp) -> bool {
        *self == other.0
    }
}

impl PartialOrd<HlcTimestamp> for RemoteTimestamp {
    fn partial_cmp(&self, other: &HlcTimestamp) -> Option<Ordering> {
        Some(self.0.cmp(other))
    }
}

impl PartialOrd<RemoteTimestamp> for HlcTimestamp {
    fn partial_cmp(&self, other: &RemoteTimestamp) -> Option<Ordering> {
        Some(self.cmp(&other.0))
    }
}
