//! What comes out of the C interface is what the Rust library says, to the nanosecond and the byte.

#![allow(unsafe_code, reason = "calls the C interface as C does")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every call here passes its own variables"
)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "as above")]

use std::ptr::null_mut;
use std::time::Duration;

use epsilon_clock::lease::FencingToken;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Fence, HybridClock, Lease, TimeDelta, Timestamp};
use epsilon_clock_testing::epsilon_clock_ffi::internals::open_existing;
use epsilon_clock_testing::epsilon_clock_ffi::{
    ec_begin_commit, ec_clock_status, ec_error, ec_fence, ec_fence_encode, ec_hlc_encode,
    ec_hlc_open, ec_hlc_tick, ec_interval, ec_lease, ec_lease_encode, ec_lease_grant, ec_now,
    ec_status,
};

/// The same life for two machines, one read from Rust and one from C.
fn live(machine: &ScriptedMachine, step: i32) {
    machine.advance(Duration::from_millis(137));
    match step % 7 {
        2 => machine.write_maxerror(1_003 + i64::from(step)),
        3 => machine.set_drift_ppb((step % 11 - 5) * 1_000),
        4 if step == 102 => machine.step(TimeDelta::from_nanos(-300_000_000)),
        5 if step == 40 => machine.suspend(Duration::from_secs(9)),
        _ => {}
    }
}

#[test]
fn readings_commits_and_stamps_are_those_of_rust() {
    let machines = [ScriptedMachine::default(), ScriptedMachine::default()];
    let [here, there] = machines.each_ref().map(|machine| machine.clock().unwrap());
    let there = open_existing(there).unwrap();
    let stamps = HybridClock::new(here.clone());
    let mut stamps_there = null_mut();
    let opened = unsafe { ec_hlc_open(there, std::ptr::null(), &raw mut stamps_there) };
    assert_eq!(opened, ec_error::EC_OK);
    let (mut intervals, mut refusals) = (0, 0);
    for step in 0..200 {
        machines.iter().for_each(|machine| live(machine, step));
        let mut now = ec_interval {
            earliest_ns: 0,
            latest_ns: 0,
        };
        let code = unsafe { ec_now(there, &raw mut now) };
        match here.now() {
            Ok(interval) => {
                intervals += 1;
                assert_eq!(
                    (code, now),
                    (ec_error::EC_OK, interval.into()),
                    "step {step}"
                );
            }
            Err(error) => {
                refusals += 1;
                assert_eq!(code, error.into(), "step {step}");
            }
        }
        let mut commit = 0;
        let code = unsafe { ec_begin_commit(there, &raw mut commit) };
        if let Ok(begun) = here.begin_commit() {
            assert_eq!(code, ec_error::EC_OK);
            assert_eq!(commit, begun.timestamp().unix_nanos(), "step {step}");
        }
        let mut stamp = 0;
        let code = unsafe { ec_hlc_tick(stamps_there, &raw mut stamp) };
        match stamps.tick() {
            Ok(issued) => {
                assert_eq!((code, stamp), (ec_error::EC_OK, issued.to_bits()));
                let mut bytes = [0; 8];
                let code = unsafe { ec_hlc_encode(stamp, bytes.as_mut_ptr(), 8) };
                assert_eq!((code, bytes), (ec_error::EC_OK, issued.to_be_bytes()));
            }
            Err(error) => assert_eq!(code, error.into()),
        }
        let mut told = std::mem::MaybeUninit::<ec_clock_status>::uninit();
        let size = size_of::<ec_clock_status>();
        let code = unsafe { ec_status(there, told.as_mut_ptr(), size) };
        assert_eq!(code, ec_error::EC_OK);
        let (told, status) = (unsafe { told.assume_init() }, here.status());
        assert_eq!(told.looks, status.counters.looks);
        assert_eq!(told.writes, status.counters.writes);
        let drift = status.bound.map_or(u64::MAX, |bound| bound.drift_ns);
        assert_eq!(told.drift_ns, drift);
        let deviation = status.bound.map_or(u64::MAX, |bound| bound.deviation_ns);
        assert_eq!(told.deviation_ns, deviation);
    }
    assert!(intervals > 50 && refusals > 3, "{intervals} and {refusals}");
}

#[test]
fn leases_and_fences_have_the_bytes_of_rust() {
    for latest in [
        1_000_000_000_000_000_001,
        1_795_153_800_000_000_000,
        i64::MAX - 20_000,
    ] {
        let now = epsilon_clock::Interval::new(
            Timestamp::from_unix_nanos(latest - 7),
            Timestamp::from_unix_nanos(latest),
        )
        .unwrap();
        let granted = Lease::grant(&now, Duration::from_micros(10)).unwrap();
        let (given, mut lease) = (
            ec_interval::from(now),
            ec_lease {
                expiry_ns: 0,
                margin_ns: 0,
            },
        );
        let code = unsafe { ec_lease_grant(&raw const given, 10_000, &raw mut lease) };
        assert_eq!(code, ec_error::EC_OK);
        assert_eq!(
            (lease.expiry_ns, lease.margin_ns),
            (granted.expiry().unix_nanos(), 0)
        );
        let mut bytes = [0; 8];
        let code = unsafe { ec_lease_encode(&raw const lease, bytes.as_mut_ptr(), 8) };
        assert_eq!((code, bytes), (ec_error::EC_OK, granted.to_be_bytes()));
    }
    for token in [0, 1, 34, u64::MAX] {
        let fence = match FencingToken::new(token) {
            Some(token) => Fence::OPEN.admit(token).unwrap(),
            None => Fence::OPEN,
        };
        let (given, mut bytes) = (ec_fence { highest: token }, [0; 9]);
        let code = unsafe { ec_fence_encode(&raw const given, bytes.as_mut_ptr(), 9) };
        assert_eq!((code, bytes), (ec_error::EC_OK, fence.to_be_bytes()));
    }
}
