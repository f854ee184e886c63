//! Test vectors for those who write these stamps in another language.
//!
//! Each line of `hlc_vectors.tsv`: physical part in µs since 1970, counter, the number in decimal,
//! eight bytes in hexadecimal (also the text of that form), the human form, and the twelve bytes and
//! the human form of the same stamp with nanoseconds. Lines with `-` for the first five columns are
//! wide stamps that no narrow one stands for.
//!
//! Each line of `node_stamp_vectors.tsv`: physical part in µs, counter, how many bits the node id has, the id
//! in decimal, the bytes in hexadecimal, the human form, and the UUID, or `-` for an id that it has no room for.
//!
//! Both are made by programs that share no code with this crate.

use std::fmt::Debug;

use epsilon_clock::hlc::{NodeId, NodeStamp, WideTimestamp};
use epsilon_clock::{HlcTimestamp, RemoteTimestamp, Timestamp};
use uuid::Uuid;

const VECTORS: &str = include_str!("hlc_vectors.tsv");
const NODE_VECTORS: &str = include_str!("node_stamp_vectors.tsv");

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn every_vector_is_read_and_written_as_it_stands() {
    let mut narrow = 0;
    let mut lines = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [micros, logical, number, hex, human, wide_hex, wide_human] = columns[..] else {
            panic!("{line}");
        };
        lines += 1;
        let wide: WideTimestamp = wide_human.parse().unwrap();
        assert_eq!(wide.to_string(), wide_human);
        assert_eq!(format!("{wide:x}"), wide_hex);
        assert_eq!(WideTimestamp::from_be_bytes(bytes(wide_hex)), wide);
        assert_eq!(wide.to_be_bytes(), bytes(wide_hex));
        if micros == "-" {
            assert!(RemoteTimestamp::try_from(wide).is_err(), "{line}");
            continue;
        }
        narrow += 1;
        let nanos = micros.parse::<i64>().unwrap() * 1_000;
        let stamp = HlcTimestamp::new(
            Timestamp::from_unix_nanos(nanos),
            logical.parse::<u16>().unwrap(),
        )
        .unwrap();
        assert_eq!(stamp.to_bits().to_string(), number);
        assert_eq!(stamp.to_be_bytes(), bytes(hex));
        assert_eq!(format!("{stamp:x}"), hex);
        assert_eq!(stamp.to_string(), human);
        assert_eq!(RemoteTimestamp::from_be_bytes(bytes(hex)), stamp);
        assert_eq!(hex.parse::<RemoteTimestamp>().unwrap(), stamp);
        assert_eq!(human.parse::<RemoteTimestamp>().unwrap(), stamp);
        assert_eq!(WideTimestamp::from(stamp), wide);
        assert_eq!(RemoteTimestamp::try_from(wide).unwrap(), stamp);
    }
    assert!(narrow >= 12 && lines > narrow, "{narrow} of {lines}");
}

/// Checks one line, whose stamp is this and whose UUID came out as told, or as too large an id.
fn check_node<N: NodeId>(
    stamp: NodeStamp<N>,
    uuid: Option<Uuid>,
    hex: &str,
    human: &str,
    told: &str,
) where
    N::Bytes: Debug,
{
    assert_eq!(format!("{stamp:x}"), hex);
    assert_eq!(stamp.to_string(), human);
    assert_eq!(hex.parse::<NodeStamp<N>>().unwrap(), stamp);
    assert_eq!(human.parse::<NodeStamp<N>>().unwrap(), stamp);
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    assert_eq!(stamp.to_be_bytes().as_ref(), bytes);
    assert_eq!(NodeStamp::<N>::from_be_bytes(stamp.to_be_bytes()), stamp);
    assert_eq!(NodeStamp::<N>::try_from(&bytes[..]).unwrap(), stamp);
    match uuid {
        Some(uuid) => {
            assert_eq!(uuid.to_string(), told);
            assert_eq!(uuid.get_version_num(), 7);
        }
        None => assert_eq!(told, "-"),
    }
}

#[test]
fn every_node_vector_is_read_and_written_as_it_stands() {
    let mut lines = 0;
    let mut uuids = Vec::new();
    for line in NODE_VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [micros, logical, bits, node, hex, human, told] = columns[..] else {
            panic!("{line}");
        };
        lines += 1;
        let nanos = micros.parse::<i64>().unwrap() * 1_000;
        let logical = logical.parse().unwrap();
        let stamp = HlcTimestamp::new(Timestamp::from_unix_nanos(nanos), logical).unwrap();
        let wide = NodeStamp::new(stamp, node.parse::<u64>().unwrap());
        if bits == "16" {
            let narrow = NodeStamp::new(stamp, node.parse::<u16>().unwrap());
            let uuid = Uuid::from(narrow);
            // Of an id that both widths have room for there is one UUID.
            assert_eq!(Uuid::try_from(wide).unwrap(), uuid);
            uuids.push((narrow, uuid));
            check_node(narrow, Some(uuid), hex, human, told);
        } else {
            check_node(wide, Uuid::try_from(wide).ok(), hex, human, told);
        }
    }
    assert_eq!(lines, 11 * (4 + 6));
    // They stand in order, and so do their UUIDs.
    assert!(
        uuids
            .windows(2)
            .all(|pair| pair[0] < pair[1] && pair[0].1 < pair[1].1)
    );
}
