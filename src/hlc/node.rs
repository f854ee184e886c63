//! A stamp that names the node which issued it.

use core::fmt::{self, Write as _};
use core::hash::Hash;
use core::str::FromStr;

use super::remote::RemoteTimestamp;
use super::text::{self, ParseHlcError};
use crate::time::{DecodeError, Line};

/// How many bytes the stamp has, in front of the node id.
const STAMP: usize = 8;

/// `2026-11-20T05:50:00.123456Z_0042`, in front of `_` and the node id.
const STAMP_TEXT: usize = 32;

/// A node id: a `u16` or a `u64`.
///
/// An id of 16 bits is one that an operator or a membership service hands out; one of 64 bits may be drawn at
/// random. It is *sealed*: no other type can implement it.
pub trait NodeId: Copy + Ord + Hash + fmt::Debug + sealed::Width {}

impl NodeId for u16 {}
impl NodeId for u64 {}

pub(crate) mod sealed {
    /// How wide a node id is written.
    pub trait Width: Sized {
        /// A stamp and an id: `[u8; 10]` or `[u8; 16]`.
        type Bytes: AsRef<[u8]> + Copy + for<'a> TryFrom<&'a [u8]>;
        /// How many bytes that is.
        const LENGTH: usize;

        fn join(stamp: [u8; 8], id: Self) -> Self::Bytes;
        fn split(bytes: Self::Bytes) -> ([u8; 8], Self);
        fn wide(self) -> u64;
        /// The bytes that so many hexadecimal digits stand for.
        fn hex(text: &str) -> Result<Self::Bytes, super::ParseHlcError>;
        /// The id that so many hexadecimal digits stand for.
        fn id(text: &str) -> Result<Self, super::ParseHlcError>;
    }
}

impl sealed::Width for u16 {
    type Bytes = [u8; 10];
    const LENGTH: usize = 10;

    fn join(stamp: [u8; 8], id: Self) -> [u8; 10] {
        let [a, b, c, d, e, f, g, h] = stamp;
        let [i, j] = id.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    fn split(bytes: [u8; 10]) -> ([u8; 8], Self) {
        let [a, b, c, d, e, f, g, h, i, j] = bytes;
        ([a, b, c, d, e, f, g, h], Self::from_be_bytes([i, j]))
    }

    fn wide(self) -> u64 {
        self.into()
    }

    fn hex(text: &str) -> Result<[u8; 10], ParseHlcError> {
        text::hex_bytes(text)
    }

    fn id(text: &str) -> Result<Self, ParseHlcError> {
        text::hex_bytes(text).map(Self::from_be_bytes)
    }
}

impl sealed::Width for u64 {
    type Bytes = [u8; 16];
    const LENGTH: usize = 16;

    fn join(stamp: [u8; 8], id: Self) -> [u8; 16] {
        let joined = u128::from(u64::from_be_bytes(stamp)) << u64::BITS | u128::from(id);
        joined.to_be_bytes()
    }

    #[allow(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn split(bytes: [u8; 16]) -> ([u8; 8], Self) {
        let joined = u128::from_be_bytes(bytes);
        (
            ((joined >> u64::BITS) as Self).to_be_bytes(),
            joined as Self,
        )
    }

    fn wide(self) -> u64 {
        self
    }

    fn hex(text: &str) -> Result<[u8; 16], ParseHlcError> {
        text::hex_bytes(text)
    }

    fn id(text: &str) -> Result<Self, ParseHlcError> {
        text::hex_bytes(text).map(Self::from_be_bytes)
    }
}

/// A hybrid logical timestamp and the node that issued it: unique across nodes, and totally ordered.
///
/// For what must not be equal on two nodes: last-write-wins, where every replica has to keep the same
/// one of two writes, and ids that nodes draw without asking each other. Stamps of one clock are unique
/// (H8), so two node stamps are equal only if two nodes, or two lives of one, go by one id: give each its own,
/// and let a clock [go on](super::HybridClockBuilder::resume_from_reserve) after a restart.
///
/// The id is a `u16` or a `u64`. Like a [`RemoteTimestamp`] it has passed no check, wherever it comes from,
/// and [`HybridClock::observe`](super::HybridClock::observe) takes it as it is.
///
/// # What the order says
///
/// By the stamp, then by the id. What it says of causality is what the stamps say: an event that
/// happened before another, on clocks that exchanged their stamps, is less. *Not* the reverse: of two events
/// that know nothing of each other one is less all the same, by its node's clock or, if the stamps are
/// equal, by the id. Only that every node decides alike is certain.
///
/// - Last-write-wins by node stamps loses one of two concurrent writes, without a trace: the greater one is not
///   the later one, nor the one that saw the other. [`compare_writes`](crate::order::compare_writes)
///   tells which writes could have known of each other; where both count, keep both.
/// - Of two equal stamps the node with the larger id wins each time. Equal stamps are rare, two nodes within
///   one 4096th of a microsecond, or on clocks that stand still; a node whose clock is ahead by ε wins
///   far more. Neither is fair.
/// - Equal means the same event. Unequal stamps of two nodes say nothing of whether the writes conflict.
///
/// # Encodings
///
/// All have a fixed width, sort as the stamps do, and are read strictly: one text for each.
///
/// | form | id of 16 bits | id of 64 bits |
/// |---|---|---|
/// | bytes ([`to_be_bytes`](Self::to_be_bytes)): the stamp's eight, then the id, most significant byte first | 10 | 16 |
/// | the same in lower-case hexadecimal digits (`{:x}`) | 20 | 32 |
/// | the stamp's text, then `_` and the id in hexadecimal digits (`{}`) | 37 | 49 |
/// | a UUID of version 7, with the feature `uuid` | yes | below 2⁵² |
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
/// use epsilon_clock::hlc::NodeStamp;
///
/// let stamp: RemoteTimestamp = "2026-11-20T05:50:00.123456Z_0042".parse()?;
/// let here = NodeStamp::new(stamp, 0x0a0b_u16);
/// assert_eq!(here.to_string(), "2026-11-20T05:50:00.123456Z_0042_0a0b");
/// assert_eq!(format!("{here:x}"), "660aed092d44002a0a0b");
/// assert_eq!(here.to_be_bytes(), [0x66, 0x0a, 0xed, 0x09, 0x2d, 0x44, 0x00, 0x2a, 0x0a, 0x0b]);
/// assert!(NodeStamp::new(stamp, 0x0a0a_u16) < here);
/// # Ok::<(), epsilon_clock::hlc::ParseHlcError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeStamp<N: NodeId = u64> {
    // In this order, for the comparison.
    stamp: RemoteTimestamp,
    node: N,
}

impl<N: NodeId> NodeStamp<N> {
    /// Names the node of a stamp.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use epsilon_clock::hlc::NodeStamp;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// let write = NodeStamp::new(hlc.tick()?, 7_u16);
    /// assert!(NodeStamp::new(hlc.tick()?, 6_u16) > write);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(stamp: impl Into<RemoteTimestamp>, node: N) -> Self {
        Self {
            stamp: stamp.into(),
            node,
        }
    }

    /// Returns the stamp, as one that came from elsewhere.
    #[must_use]
    pub const fn stamp(&self) -> RemoteTimestamp {
        self.stamp
    }

    /// Returns the node's id.
    #[must_use]
    pub const fn node(&self) -> N {
        self.node
    }

    /// Encodes the stamp and then the id, in `[u8; 10]` or `[u8; 16]`.
    ///
    /// Most significant bytes first: they sort as node stamps do.
    ///
    /// ```
    /// # use epsilon_clock::RemoteTimestamp;
    /// # use epsilon_clock::hlc::NodeStamp;
    /// let least = NodeStamp::new(RemoteTimestamp::from_bits(0), 1_u64);
    /// assert_eq!(least.to_be_bytes(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// ```
    #[must_use]
    pub fn to_be_bytes(self) -> N::Bytes {
        N::join(self.stamp.to_be_bytes(), self.node)
    }

    /// Decodes a stamp and an id; every so many bytes are one.
    ///
    /// Of a slice, use `NodeStamp::try_from(bytes)`, which refuses any other length.
    ///
    /// ```
    /// # use epsilon_clock::hlc::NodeStamp;
    /// let largest = NodeStamp::<u16>::from_be_bytes([0xff; 10]);
    /// assert_eq!(largest.node(), u16::MAX);
    /// ```
    #[must_use]
    pub fn from_be_bytes(bytes: N::Bytes) -> Self {
        let (stamp, node) = N::split(bytes);
        Self::new(RemoteTimestamp::from_be_bytes(stamp), node)
    }
}

/// The stamp alone, which is what a clock [observes](super::HybridClock::observe).
///
/// ```
/// # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
/// # use epsilon_clock::hlc::NodeStamp;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let hlc = HybridClock::new(Clock::system()?);
/// let remote = NodeStamp::<u16>::from_be_bytes([0, 0, 0, 0, 0, 0, 0, 1, 0, 7]);
/// assert!(hlc.observe(remote)? > remote.stamp());
/// # Ok(())
/// # }
/// ```
impl<N: NodeId> From<NodeStamp<N>> for RemoteTimestamp {
    fn from(stamp: NodeStamp<N>) -> Self {
        stamp.stamp
    }
}

/// Exactly 10 bytes, or 16.
impl<N: NodeId> TryFrom<&[u8]> for NodeStamp<N> {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        N::Bytes::try_from(bytes)
            .map(Self::from_be_bytes)
            .map_err(|_| DecodeError::Length {
                what: "a stamp with its node",
                expected: N::LENGTH,
                found: bytes.len(),
            })
    }
}

/// Reads exactly what `{}` or `{:x}` prints.
///
/// ```
/// # use epsilon_clock::hlc::NodeStamp;
/// let human: NodeStamp<u16> = "2026-11-20T05:50:00.123456Z_0042_0a0b".parse()?;
/// let hex: NodeStamp<u16> = "660aed092d44002a0a0b".parse()?;
/// assert_eq!(human, hex);
/// assert!("2026-11-20T05:50:00.123456Z_0042_0A0B".parse::<NodeStamp<u16>>().is_err());
/// assert!("2026-11-20T05:50:00.123456Z_0042_0a0b".parse::<NodeStamp<u64>>().is_err());
/// # Ok::<(), epsilon_clock::hlc::ParseHlcError>(())
/// ```
impl<N: NodeId> FromStr for NodeStamp<N> {
    type Err = ParseHlcError;

    fn from_str(text: &str) -> Result<Self, ParseHlcError> {
        let hex = 2 * N::LENGTH;
        if text.len() == hex {
            return N::hex(text).map(Self::from_be_bytes);
        }
        let human = STAMP_TEXT + 1 + 2 * (N::LENGTH - STAMP);
        if text.len() != human {
            return Err(ParseHlcError::Length {
                found: text.len(),
                hex,
                human,
            });
        }
        // Before anything is cut, so that no cut falls inside a character.
        for (at, found) in text.char_indices() {
            let expected = if at == STAMP_TEXT { "`_`" } else { "ASCII" };
            let right = match at {
                STAMP_TEXT => found == '_',
                _ => found.is_ascii(),
            };
            if !right {
                return Err(ParseHlcError::Unexpected {
                    at,
                    found,
                    expected,
                });
            }
        }
        let (stamp, rest) = text.split_at_checked(STAMP_TEXT).unwrap_or((text, ""));
        let stamp: RemoteTimestamp = stamp.parse()?;
        let node = N::id(rest.get(1..).unwrap_or("")).map_err(behind_stamp)?;
        Ok(Self::new(stamp, node))
    }
}

/// The error of a node id, told as one of the whole text.
fn behind_stamp(error: ParseHlcError) -> ParseHlcError {
    match error {
        ParseHlcError::Unexpected {
            at,
            found,
            expected,
        } => ParseHlcError::Unexpected {
            at: at + STAMP_TEXT + 1,
            found,
            expected,
        },
        other => other,
    }
}

/// The human form, always 37 bytes or 49: `2026-11-20T05:50:00.123456Z_0042_0a0b`.
///
/// Width, fill and alignment are honoured as for a `str`. Nothing is allocated.
impl<N: NodeId> fmt::Display for NodeStamp<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stamp, node) = (self.stamp, self.node.wide());
        let digits = 2 * (N::LENGTH - STAMP);
        let mut line = Line::new();
        write!(line, "{stamp}_{node:0digits$x}")?;
        line.pad(f)
    }
}

/// The human form in brackets.
impl<N: NodeId> fmt::Debug for NodeStamp<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeStamp({self})")
    }
}

/// Always 20 digits, or 32 (two bytes more with `#`).
impl<N: NodeId> fmt::LowerHex for NodeStamp<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_hex(f, self.to_be_bytes().as_ref())
    }
}
