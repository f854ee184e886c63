//! Text of any kind, as RFC 3339 timestamps and as hybrid stamps.
//!
//! `cargo +nightly fuzz run text fuzz/corpus/text fuzz/seeds/text`
//!
//! What is taken is written again and read again as what it was. The strict form is one for each value: a
//! stamp's human text that is taken is the text it is written as, and texts sort as what they say.
#![no_main]

use epsilon_clock::hlc::{NodeStamp, WideTimestamp};
use epsilon_clock::{RemoteTimestamp, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(instant) = first.parse::<Timestamp>() {
        let written = instant.to_string();
        assert_eq!(written.parse(), Ok(instant));
        if let Ok(other) = second.parse::<Timestamp>() {
            assert_eq!(written.cmp(&other.to_string()), instant.cmp(&other));
        }
    }
    if let Ok(stamp) = first.parse::<RemoteTimestamp>() {
        let (human, hex) = (stamp.to_string(), format!("{stamp:x}"));
        assert!(first == human || first == hex, "{first} is {human}");
        assert_eq!(human.parse(), Ok(stamp));
        assert_eq!(hex.parse(), Ok(stamp));
        if let Ok(other) = second.parse::<RemoteTimestamp>() {
            assert_eq!(human.cmp(&other.to_string()), stamp.cmp(&other));
        }
    }
    if let Ok(stamp) = first.parse::<NodeStamp<u64>>() {
        let (human, hex) = (stamp.to_string(), format!("{stamp:x}"));
        assert!(first == human || first == hex, "{first} is {human}");
        assert_eq!(human.parse(), Ok(stamp));
        assert_eq!(hex.parse(), Ok(stamp));
    }
    if let Ok(stamp) = first.parse::<WideTimestamp>() {
        let (human, hex) = (stamp.to_string(), format!("{stamp:x}"));
        assert!(first == human || first == hex, "{first} is {human}");
        assert_eq!(human.parse(), Ok(stamp));
        assert_eq!(hex.parse(), Ok(stamp));
    }
});
