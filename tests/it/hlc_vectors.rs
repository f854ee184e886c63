//! Test vectors for those who write these stamps in another language.
//!
//! Each line of `hlc_vectors.tsv`: physical part in µs since 1970, counter, the number in decimal,
//! eight bytes in hexadecimal (also the text of that form), the human form, and the twelve bytes and
//! the human form of the same stamp with nanoseconds. Lines with `-` for the first five columns are
//! wide stamps that no narrow one stands for. Made by a program that shares no code with this crate.

use epsilon_clock::hlc::WideTimestamp;
use epsilon_clock::{HlcTimestamp, RemoteTimestamp, Timestamp};

const VECTORS: &str = include_str!("hlc_vectors.tsv");

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
