//! Bytes of any length, as everything that travels or is stored.
//!
//! `cargo +nightly fuzz run bytes fuzz/corpus/bytes fuzz/seeds/bytes`
//!
//! What is taken is written as the bytes that it came from, and bytes sort as what they say. (Of a reserve's
//! record and a lease's entry some bytes say nothing; each is written as one that is read alike.)
#![no_main]

use epsilon_clock::fleet::ClockReport;
use epsilon_clock::hlc::{NodeStamp, ReserveRecord, WideTimestamp};
use epsilon_clock::lease::{FencingToken, LeaseBook, LeaseEntry, Release};
use epsilon_clock::{Fence, Lease, RemoteTimestamp, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(token) = FencingToken::try_from(data) {
        assert_eq!(token.to_be_bytes(), data);
    }
    if let Ok(fence) = Fence::try_from(data) {
        assert_eq!(fence.to_be_bytes(), data);
    }
    if let Ok(lease) = Lease::try_from(data) {
        assert_eq!(lease.to_be_bytes(), data);
    }
    if let Ok(stamp) = WideTimestamp::try_from(data) {
        assert_eq!(stamp.to_be_bytes(), data);
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
    if let Ok(stamp) = NodeStamp::<u16>::try_from(data) {
        assert_eq!(stamp.to_be_bytes(), data);
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
    if let Ok(stamp) = NodeStamp::<u64>::try_from(data) {
        assert_eq!(stamp.to_be_bytes(), data);
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
    if let Ok(record) = ReserveRecord::try_from(data) {
        let again = record.to_be_bytes();
        assert_eq!(ReserveRecord::try_from(&again[..]), Ok(record));
    }
    if let Ok(entry) = LeaseEntry::try_from(data) {
        let again = entry.to_be_bytes();
        assert_eq!(LeaseEntry::try_from(&again[..]), Ok(entry));
    }
    if let Ok(release) = Release::try_from(data) {
        assert_eq!(release.to_be_bytes(), data);
    }
    if let Ok(book) = LeaseBook::try_from(data) {
        let again = book.to_be_bytes();
        assert_eq!(LeaseBook::try_from(&again[..]), Ok(book));
    }
    if let Ok(report) = ClockReport::try_from(data) {
        assert_eq!(report.to_be_bytes(), data);
        assert!(report.interval().earliest() <= report.interval().latest());
    }
    if let Ok(instant) = Timestamp::try_from(data) {
        assert_eq!(instant.to_be_bytes(), data);
        assert_eq!(instant.to_string().parse(), Ok(instant));
    }
    if let Ok(stamp) = RemoteTimestamp::try_from(data) {
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
    if let Some((first, [second @ .., _])) = data.split_first_chunk::<8>() {
        if let Ok(second) = <[u8; 8]>::try_from(second) {
            let [a, b] = [*first, second].map(Timestamp::from_be_bytes);
            assert_eq!(a.cmp(&b), first.cmp(&second));
            let [a, b] = [*first, second].map(RemoteTimestamp::from_be_bytes);
            assert_eq!(a.cmp(&b), first.cmp(&second));
        }
    }
});
