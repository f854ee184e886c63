//! Replies of `adjtimex` with any value in any field, through the kernel source and a clock on it.
//!
//! `cargo +nightly fuzz run kernel_status fuzz/corpus/kernel_status fuzz/seeds/kernel_status`
//!
//! Old kernels and odd daemons leave any value in any field. None may panic, and an interval is either an
//! error or one that ends no earlier than it begins.
#![no_main]

use std::time::Duration;

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::KernelSource;
use epsilon_clock::testing::ScriptedMachine;
use libfuzzer_sys::fuzz_target;

/// Edges, small ones and any, by the first byte.
fn number(data: &mut &[u8]) -> Option<i64> {
    let (kind, rest) = data.split_first()?;
    let (bytes, rest) = rest.split_first_chunk::<8>()?;
    *data = rest;
    let any = i64::from_le_bytes(*bytes);
    Some(match kind % 6 {
        0 => any,
        1 => i64::MIN.wrapping_add(any % 3),
        2 => any % 3,
        3 => NtpStatus::MAXERROR_CAP + any % 3,
        4 => any % NtpStatus::MAXERROR_CAP,
        _ => any % 20_000,
    })
}

fn status(data: &mut &[u8]) -> Option<(NtpStatus, u64)> {
    let mut status = NtpStatus::default();
    let (head, rest) = data.split_first_chunk::<4>()?;
    *data = rest;
    status.state = i32::from(head[0] % 7);
    status.status = i32::from(u16::from_le_bytes([head[1], head[2]]));
    status.maxerror = number(data)?;
    status.esterror = number(data)?;
    status.freq = number(data)?;
    status.tick = number(data)?;
    status.offset = number(data)?;
    status.constant = number(data)?;
    status.tai = number(data)? as i32;
    Some((status, u64::from(head[3])))
}

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Some((&flags, rest)) = data.split_first() else {
        return;
    };
    data = rest;
    let machine = ScriptedMachine::default();
    let mut builder = machine.builder().source(KernelSource::new());
    if flags & 1 != 0 {
        builder = builder.accept_unsync_flag();
    }
    let clock = builder.build().unwrap();
    for _ in 0..16 {
        let Some((status, tenths)) = status(&mut data) else {
            break;
        };
        machine.set_status(status);
        machine.advance(Duration::from_millis(100) * tenths as u32);
        if let Ok(now) = clock.look() {
            assert!(now.earliest() <= now.latest());
        }
        let _ = clock.now();
        let _ = format!("{:?}", clock.status());
    }
});
