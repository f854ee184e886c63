//! H7: every encoding of a stamp sorts as the stamps do, comes back as it was, and is read strictly.

use epsilon_clock::hlc::{NodeStamp, ParseHlcError, WideTimestamp};
use epsilon_clock::time::{DecodeError, RangeError};
use epsilon_clock::{HlcTimestamp, RemoteTimestamp, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

/// All sizes of numbers, and neighbours of where a part ends.
fn any_bits() -> impl Strategy<Value = u64> {
    let near = prop_oneof![
        Just(0),
        Just(1 << 12),
        Just(u64::MAX),
        Just(7_352_949_965_305_675_818)
    ];
    prop_oneof![
        any::<u64>(),
        (any::<u64>(), 0..64_u32).prop_map(|(bits, shift)| bits >> shift),
        (near, -5_000..5_000_i64).prop_map(|(bits, by)| bits.saturating_add_signed(by)),
    ]
}

fn any_stamp() -> impl Strategy<Value = RemoteTimestamp> {
    any_bits().prop_map(RemoteTimestamp::from_bits)
}

fn any_wide() -> impl Strategy<Value = WideTimestamp> {
    let nanos = prop_oneof![
        any::<i64>(),
        -3_000..3_000_i64,
        Just(i64::MIN),
        Just(i64::MAX)
    ];
    let logical = prop_oneof![any::<u32>(), 0..5_000_u32];
    (nanos, logical)
        .prop_map(|(nanos, logical)| WideTimestamp::new(Timestamp::from_unix_nanos(nanos), logical))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn h7_stamps_come_back_as_they_were(stamp in any_stamp()) {
        let own = stamp.trust();
        prop_assert_eq!(RemoteTimestamp::from_be_bytes(own.to_be_bytes()), stamp);
        prop_assert_eq!(RemoteTimestamp::try_from(&own.to_be_bytes()[..]).unwrap(), stamp);
        prop_assert_eq!(RemoteTimestamp::from_bits(own.to_bits()), stamp);
        prop_assert_eq!(own.to_string().parse::<RemoteTimestamp>().unwrap(), stamp);
        prop_assert_eq!(format!("{own:x}").parse::<RemoteTimestamp>().unwrap(), stamp);
        prop_assert_eq!(HlcTimestamp::new(own.physical(), own.logical()).unwrap(), own);
        // The remote type writes just the same.
        prop_assert_eq!(stamp.to_be_bytes(), own.to_be_bytes());
        prop_assert_eq!(stamp.to_string(), own.to_string());
        prop_assert_eq!(format!("{stamp:x}"), format!("{own:x}"));
        prop_assert_eq!((stamp.physical(), stamp.logical()), (own.physical(), own.logical()));
    }

    #[test]
    fn h7_encodings_sort_as_stamps_do(a in any_stamp(), b in any_stamp()) {
        let order = a.cmp(&b);
        prop_assert_eq!(a.trust().cmp(&b.trust()), order);
        prop_assert_eq!(a.to_bits().cmp(&b.to_bits()), order);
        prop_assert_eq!(a.to_be_bytes().cmp(&b.to_be_bytes()), order);
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), order);
        prop_assert_eq!(format!("{a:x}").cmp(&format!("{b:x}")), order);
        let parts = |s: RemoteTimestamp| (s.physical(), s.logical());
        prop_assert_eq!(parts(a).cmp(&parts(b)), order);
        prop_assert_eq!(WideTimestamp::from(a).cmp(&WideTimestamp::from(b)), order);
        prop_assert_eq!(a.partial_cmp(&b.trust()), Some(order));
        prop_assert_eq!(a.trust().partial_cmp(&b), Some(order));
    }

    #[test]
    fn h7_wide_stamps_come_back_as_they_were(wide in any_wide()) {
        prop_assert_eq!(WideTimestamp::from_be_bytes(wide.to_be_bytes()), wide);
        prop_assert_eq!(WideTimestamp::try_from(&wide.to_be_bytes()[..]).unwrap(), wide);
        prop_assert_eq!(wide.to_string().parse::<WideTimestamp>().unwrap(), wide);
        prop_assert_eq!(format!("{wide:x}").parse::<WideTimestamp>().unwrap(), wide);
    }

    #[test]
    fn h7_encodings_sort_as_wide_stamps_do(a in any_wide(), b in any_wide()) {
        let order = a.cmp(&b);
        prop_assert_eq!(a.to_be_bytes().cmp(&b.to_be_bytes()), order);
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), order);
        prop_assert_eq!(format!("{a:x}").cmp(&format!("{b:x}")), order);
        let parts = |s: WideTimestamp| (s.physical().unix_nanos(), s.logical());
        prop_assert_eq!(parts(a).cmp(&parts(b)), order);
    }

    #[test]
    fn h7_node_stamps_come_back_as_they_were(stamp in any_stamp(), node in any_bits(), small in any::<u16>()) {
        let wide = NodeStamp::new(stamp, node);
        prop_assert_eq!(NodeStamp::<u64>::from_be_bytes(wide.to_be_bytes()), wide);
        prop_assert_eq!(NodeStamp::<u64>::try_from(&wide.to_be_bytes()[..]).unwrap(), wide);
        prop_assert_eq!(wide.to_string().parse::<NodeStamp<u64>>().unwrap(), wide);
        prop_assert_eq!(format!("{wide:x}").parse::<NodeStamp<u64>>().unwrap(), wide);
        let narrow = NodeStamp::new(stamp, small);
        prop_assert_eq!(NodeStamp::<u16>::from_be_bytes(narrow.to_be_bytes()), narrow);
        prop_assert_eq!(NodeStamp::<u16>::try_from(&narrow.to_be_bytes()[..]).unwrap(), narrow);
        prop_assert_eq!(narrow.to_string().parse::<NodeStamp<u16>>().unwrap(), narrow);
        prop_assert_eq!(format!("{narrow:x}").parse::<NodeStamp<u16>>().unwrap(), narrow);
        prop_assert_eq!((narrow.stamp(), narrow.node()), (stamp, small));
        prop_assert_eq!(RemoteTimestamp::from(narrow), stamp);
    }

    /// By the stamp first, then by the node; the UUIDs likewise.
    #[test]
    fn h7_encodings_sort_as_node_stamps_do(
        a in any_stamp(),
        b in any_stamp(),
        (m, n) in (any::<u16>(), any::<u16>()),
        (x, y) in (any_bits(), any_bits()),
        equal in any::<bool>(),
    ) {
        let b = if equal { a } else { b };
        let (a_narrow, b_narrow) = (NodeStamp::new(a, m), NodeStamp::new(b, n));
        let order = (a, m).cmp(&(b, n));
        prop_assert_eq!(a_narrow.cmp(&b_narrow), order);
        prop_assert_eq!(a_narrow.to_be_bytes().cmp(&b_narrow.to_be_bytes()), order);
        prop_assert_eq!(a_narrow.to_string().cmp(&b_narrow.to_string()), order);
        prop_assert_eq!(format!("{a_narrow:x}").cmp(&format!("{b_narrow:x}")), order);
        prop_assert_eq!(Uuid::from(a_narrow).cmp(&Uuid::from(b_narrow)), order);
        let (a_wide, b_wide) = (NodeStamp::new(a, x), NodeStamp::new(b, y));
        let order = (a, x).cmp(&(b, y));
        prop_assert_eq!(a_wide.cmp(&b_wide), order);
        prop_assert_eq!(a_wide.to_be_bytes().cmp(&b_wide.to_be_bytes()), order);
        prop_assert_eq!(a_wide.to_string().cmp(&b_wide.to_string()), order);
        prop_assert_eq!(format!("{a_wide:x}").cmp(&format!("{b_wide:x}")), order);
        let limit = 1_u64 << 52;
        prop_assert_eq!(Uuid::try_from(a_wide).is_ok(), x < limit);
        if let (Ok(a), Ok(b)) = (Uuid::try_from(a_wide), Uuid::try_from(b_wide)) {
            prop_assert_eq!(a.cmp(&b), order);
        }
    }

    /// Where a wide stamp is a narrow one the two are the same; where it is not, the error says why.
    #[test]
    fn wide_stamps_convert_where_that_is_exact(wide in any_wide(), stamp in any_stamp()) {
        prop_assert_eq!(RemoteTimestamp::try_from(WideTimestamp::from(stamp)).unwrap(), stamp);
        prop_assert_eq!(WideTimestamp::from(stamp.trust()), WideTimestamp::from(stamp));
        let nanos = wide.physical().unix_nanos();
        let in_range = (0..=4_503_599_627_370_495_999).contains(&nanos);
        match RemoteTimestamp::try_from(wide) {
            Ok(narrow) => prop_assert_eq!(WideTimestamp::from(narrow), wide),
            Err(RangeError::Physical { .. }) => prop_assert!(!in_range),
            Err(RangeError::Fraction { .. }) => {
                prop_assert!(in_range && nanos % 1_000 != 0);
            }
            Err(RangeError::Counter { .. }) => {
                prop_assert!(in_range && nanos % 1_000 == 0 && wide.logical() > 4_095);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    /// Whatever is read is what would have been written: no two texts mean one stamp.
    #[test]
    fn no_two_texts_mean_one_stamp(
        stamp in any_stamp(),
        wide in any_wide(),
        at in 0..41_usize,
        to in any::<char>(),
    ) {
        let change = |text: &str| -> String {
            text.char_indices().map(|(i, c)| if i == at { to } else { c }).collect()
        };
        for text in [stamp.to_string(), format!("{stamp:x}")] {
            let changed = change(&text);
            if let Ok(read) = changed.parse::<RemoteTimestamp>() {
                let written = [read.to_string(), format!("{read:x}")];
                prop_assert!(written.contains(&changed), "{}", changed);
            }
        }
        for text in [wide.to_string(), format!("{wide:x}")] {
            let changed = change(&text);
            if let Ok(read) = changed.parse::<WideTimestamp>() {
                let written = [read.to_string(), format!("{read:x}")];
                prop_assert!(written.contains(&changed), "{}", changed);
            }
        }
        let node = NodeStamp::new(stamp, 0xa0b1_u16);
        for text in [node.to_string(), format!("{node:x}")] {
            let changed = change(&text);
            if let Ok(read) = changed.parse::<NodeStamp<u16>>() {
                let written = [read.to_string(), format!("{read:x}")];
                prop_assert!(written.contains(&changed), "{}", changed);
            }
        }
    }

    #[test]
    fn any_text_or_bytes_are_read_or_refused(text in ".{0,45}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let _ = text.parse::<RemoteTimestamp>();
        let _ = text.parse::<WideTimestamp>();
        let _ = text.parse::<NodeStamp<u16>>();
        let _ = text.parse::<NodeStamp<u64>>();
        prop_assert_eq!(RemoteTimestamp::try_from(&bytes[..]).is_ok(), bytes.len() == 8);
        prop_assert_eq!(WideTimestamp::try_from(&bytes[..]).is_ok(), bytes.len() == 12);
        prop_assert_eq!(NodeStamp::<u16>::try_from(&bytes[..]).is_ok(), bytes.len() == 10);
        prop_assert_eq!(NodeStamp::<u64>::try_from(&bytes[..]).is_ok(), bytes.len() == 16);
    }
}

#[test]
fn truncated_bytes_are_refused_with_both_lengths() {
    let narrow = [0xff; 8];
    for length in [0, 1, 7] {
        let error = RemoteTimestamp::try_from(&narrow[..length]).unwrap_err();
        assert!(matches!(error, DecodeError::Length { found, expected: 8, .. } if found == length));
        assert!(error.to_string().contains(&length.to_string()), "{error}");
    }
    assert!(RemoteTimestamp::try_from(&[0_u8; 9][..]).is_err());
    assert!(RemoteTimestamp::try_from(&[0_u8; 12][..]).is_err());
    let error = WideTimestamp::try_from(&[0_u8; 8][..]).unwrap_err();
    assert!(matches!(
        error,
        DecodeError::Length {
            found: 8,
            expected: 12,
            ..
        }
    ));
}

/// The fault of a peer: text without its zeros, which no longer sorts.
#[test]
fn unpadded_and_overpadded_text_is_refused() {
    for text in [
        "",
        "0",
        "660aed092d44002",
        "660aed092d44002a0",
        "0x660aed092d44002a",
        " 660aed092d44002a",
        "660aed092d44002a\n",
        "2026-11-20T05:50:00.123456Z_42",
        "2026-11-20T05:50:00.123456Z_042",
        "2026-11-20T05:50:00.123456Z_00042",
        "2026-11-20T05:50:00.123456Z",
        "2026-11-20T05:50:00.123Z_0042",
        "2026-11-20T05:50:00.123456789Z_0042",
        "2026-11-20T5:50:00.123456Z_0042",
        " 2026-11-20T05:50:00.123456Z_0042",
    ] {
        let error = text.parse::<RemoteTimestamp>().unwrap_err();
        assert!(
            matches!(error, ParseHlcError::Length { found, .. } if found == text.len()),
            "{text}: {error}"
        );
    }
    for text in [
        "2026-11-20T05:50:00.123456Z_42",
        "2026-11-20T05:50:00.123456789Z_42",
        "2026-11-20T05:50:00.123456789Z_000000042",
        "98e9aadebd8d1d15000002a",
    ] {
        assert!(text.parse::<WideTimestamp>().is_err(), "{text}");
    }
}

#[test]
fn text_written_otherwise_is_refused_where_it_goes_wrong() {
    let unexpected = |text: &str| match text.parse::<RemoteTimestamp>() {
        Err(ParseHlcError::Unexpected { at, found, .. }) => (at, found),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(unexpected("660AED092D44002A"), (3, 'A'));
    assert_eq!(unexpected("660aed092d44002g"), (15, 'g'));
    assert_eq!(unexpected("+60aed092d44002a"), (0, '+'));
    assert_eq!(unexpected("2026-11-20T05:50:00.123456Z-0042"), (27, '-'));
    assert_eq!(unexpected("2026-11-20T05:50:00.123456z_0042"), (26, 'z'));
    assert_eq!(unexpected("2026-11-20T05:50:00.123456Z_+042"), (28, '+'));
    assert_eq!(unexpected("2026-11-20T05:50:00.123456Z_00 2"), (30, ' '));
    assert_eq!(unexpected("2026-11-20T05:50:00.12345éZ_042"), (25, 'é'));
    for text in [
        "2026-11-20 05:50:00.123456Z_0042",
        "2026-13-20T05:50:00.123456Z_0042",
        "2026-02-29T05:50:00.123456Z_0042",
        "2016-12-31T23:59:60.000000Z_0000",
        "2026-11-20T05:50:00,123456Z_0042",
        "+026-11-20T05:50:00.123456Z_0042",
        "9999-11-20T05:50:00.123456Z_0042",
    ] {
        let error = text.parse::<RemoteTimestamp>().unwrap_err();
        assert!(matches!(error, ParseHlcError::Time(_)), "{text}: {error}");
    }
    for text in [
        "1969-12-31T23:59:59.999999Z_4095",
        "2112-09-17T23:53:47.370496Z_0000",
        "2026-11-20T05:50:00.123456Z_4096",
        "2026-11-20T05:50:00.123456Z_9999",
    ] {
        let error = text.parse::<RemoteTimestamp>().unwrap_err();
        assert!(matches!(error, ParseHlcError::Range(_)), "{text}: {error}");
    }
    let error = "2026-11-20T05:50:00.123456789Z_4294967296".parse::<WideTimestamp>();
    assert!(matches!(
        error,
        Err(ParseHlcError::Range(RangeError::Counter {
            logical: 4_294_967_296,
            ..
        }))
    ));
}

#[test]
fn text_is_padded_like_any_other() {
    let stamp = RemoteTimestamp::from_bits(u64::MAX).trust();
    assert_eq!(format!("{stamp:x}"), "ffffffffffffffff");
    assert_eq!(format!("{stamp:#x}"), "0xffffffffffffffff");
    assert_eq!(format!("{stamp:>20x}"), "    ffffffffffffffff");
    assert_eq!(
        format!("{stamp:-<36}"),
        "2112-09-17T23:53:47.370495Z_4095----"
    );
    assert_eq!(
        format!("{stamp:?}"),
        "HlcTimestamp(2112-09-17T23:53:47.370495Z_4095)"
    );
    let wide = WideTimestamp::MIN;
    assert_eq!(
        wide.to_string(),
        "1677-09-21T00:12:43.145224192Z_0000000000"
    );
    assert_eq!(format!("{wide:x}"), "000000000000000000000000");
}

#[test]
fn the_text_of_a_node_stamp_is_refused_where_it_goes_wrong() {
    let unexpected = |text: &str| match text.parse::<NodeStamp<u16>>() {
        Err(ParseHlcError::Unexpected { at, found, .. }) => (at, found),
        other => panic!("{text}: {other:?}"),
    };
    let good = "2026-11-20T05:50:00.123456Z_0042_0a0b";
    assert!(good.parse::<NodeStamp<u16>>().is_ok());
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_0042-0a0b"),
        (32, '-')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_0042_0A0b"),
        (34, 'A')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_0042_0a0g"),
        (36, 'g')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_0042_+a0b"),
        (33, '+')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_004é_a0b"),
        (31, 'é')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456Z_0042_0aé"),
        (35, 'é')
    );
    assert_eq!(
        unexpected("2026-11-20T05:50:00.123456z_0042_0a0b"),
        (26, 'z')
    );
    assert_eq!(unexpected("660aed092d44002a0A0b"), (17, 'A'));
    for text in [
        "",
        "660aed092d44002a",
        &good[..32],
        &good[..36],
        &format!("{good}0"),
    ] {
        let error = text.parse::<NodeStamp<u16>>().unwrap_err();
        assert!(
            matches!(
                error,
                ParseHlcError::Length {
                    hex: 20,
                    human: 37,
                    ..
                }
            ),
            "{text}: {error}"
        );
    }
    let error = good.parse::<NodeStamp<u64>>().unwrap_err();
    assert!(
        matches!(
            error,
            ParseHlcError::Length {
                hex: 32,
                human: 49,
                ..
            }
        ),
        "{error}"
    );
    let stamp = NodeStamp::new(RemoteTimestamp::from_bits(0), 7_u64);
    assert_eq!(
        format!("{stamp:?}"),
        "NodeStamp(1970-01-01T00:00:00.000000Z_0000_0000000000000007)"
    );
    assert_eq!(
        format!("{stamp:>50}"),
        " 1970-01-01T00:00:00.000000Z_0000_0000000000000007"
    );
    assert_eq!(format!("{stamp:#x}"), "0x00000000000000000000000000000007");
}
