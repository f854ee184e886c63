//! Bytes of any content and length, as the answer of a key exchange and as a sealed reply.
//!
//! `cargo +nightly fuzz run nts_records`
//!
//! None may panic. No reply may open: the fuzzer has no keys.
#![no_main]

use epsilon_clock::source::ntp::{opens_as_reply, reads_as_key_exchange};
use libfuzzer_sys::fuzz_target;

/// A reply's header with the origin that the readers expect, and the field that names its request: without
/// them no fuzzer gets as far as the seal.
fn reply_with(fields: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; 48];
    datagram[0] = 0x24;
    datagram.extend_from_slice(&[0x01, 0x04, 0, 36]);
    datagram.extend_from_slice(&[0; 32]);
    datagram.extend_from_slice(fields);
    datagram
}

fuzz_target!(|data: &[u8]| {
    let _ = reads_as_key_exchange(data);
    assert!(!opens_as_reply(data));
    assert!(!opens_as_reply(&reply_with(data)));
});
