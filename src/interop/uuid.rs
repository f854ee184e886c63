//! Stamps that name their node as UUIDs of version 7 (RFC 9562), which sort as the stamps do.

use uuid::Uuid;

use crate::hlc::NodeStamp;
use crate::time::RangeError;

/// How many bits of a UUID are left for a node id.
const NODE_BITS: u32 = 52;

/// How many bits of a stamp count events within a microsecond, and how many microseconds a millisecond has.
const COUNTER_BITS: u32 = 12;
const MICROS_PER_MILLI: u64 = 1_000;

/// How many of a counter's bits stand in front of the variant.
const COUNTER_HIGH: u32 = 2;

/// The layout: a stamp's milliseconds, then what is left of its time, its counter and the node.
///
/// RFC 9562, 5.7 leaves 74 bits beside the milliseconds, and 6.2 lets them be more of the time and a counter
/// (its methods 3 and 1). Nothing of the stamp is lost, and nothing is random.
fn version_7(stamp: u64, node: u64) -> Uuid {
    let (micros, counter) = (stamp >> COUNTER_BITS, stamp & ((1 << COUNTER_BITS) - 1));
    let (millis, micros) = (micros / MICROS_PER_MILLI, micros % MICROS_PER_MILLI);
    let low_bits = COUNTER_BITS - COUNTER_HIGH;
    let before_variant = micros << COUNTER_HIGH | counter >> low_bits;
    let behind_variant = (counter & ((1 << low_bits) - 1)) << NODE_BITS | node;
    // 48 bits, 4 that say 7, 12, 2 that say which variant, and 62.
    Uuid::from_u64_pair(
        millis << 16 | 7 << 12 | before_variant,
        0b10 << 62 | behind_variant,
    )
}

/// A UUID of version 7, unique across nodes; it sorts as the node stamps do. Needs the feature `uuid`.
///
/// It is monotone: of one clock, each is greater than all before it, since the stamps are. The layout, from
/// the most significant bit on:
///
/// ```text
/// | 48 ms since 1970 | 4 version | 10 µs of the ms | 2 counter | 2 variant | 10 counter | 52 node |
/// ```
///
/// It holds the whole stamp, to the microsecond and with its counter, and the node, and nothing is random:
/// do not hand it out where a UUID has to be hard to guess. There is no way back from a UUID: one that was drawn
/// elsewhere has random bits in these places.
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
/// use epsilon_clock::hlc::NodeStamp;
/// use uuid::Uuid;
///
/// let stamp: RemoteTimestamp = "2026-11-20T05:50:00.123456Z_0042".parse()?;
/// let id = Uuid::from(NodeStamp::new(stamp, 7_u16));
/// assert_eq!(id.to_string(), "01a1f781-2bbb-7720-82a0-000000000007");
/// assert_eq!(id.get_version_num(), 7);
/// assert!(id < Uuid::from(NodeStamp::new(stamp, 8_u16)));
/// # Ok::<(), epsilon_clock::hlc::ParseHlcError>(())
/// ```
impl From<NodeStamp<u16>> for Uuid {
    fn from(stamp: NodeStamp<u16>) -> Uuid {
        version_7(stamp.stamp().to_bits(), stamp.node().into())
    }
}

/// As of an id of 16 bits, where this one is less than 2⁵²: nothing is cut off. Needs the feature `uuid`.
///
/// # Errors
///
/// [`RangeError::Node`] for a larger id. Draw node ids below 2⁵² where they are to stand in UUIDs.
///
/// ```
/// use epsilon_clock::RemoteTimestamp;
/// use epsilon_clock::hlc::NodeStamp;
/// use uuid::Uuid;
///
/// let stamp = RemoteTimestamp::from_bits(4_096);
/// assert!(Uuid::try_from(NodeStamp::new(stamp, (1_u64 << 52) - 1)).is_ok());
/// assert!(Uuid::try_from(NodeStamp::new(stamp, 1_u64 << 52)).is_err());
/// ```
impl TryFrom<NodeStamp<u64>> for Uuid {
    type Error = RangeError;

    fn try_from(stamp: NodeStamp<u64>) -> Result<Uuid, RangeError> {
        let (node, most) = (stamp.node(), (1 << NODE_BITS) - 1);
        if node > most {
            return Err(RangeError::Node { node, most });
        }
        Ok(version_7(stamp.stamp().to_bits(), node))
    }
}
