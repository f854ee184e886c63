//! Nothing but opening allocates: no reading, no stamp, no status, no text and no error.

#![allow(unsafe_code, reason = "a global allocator, and calls as C makes them")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every call here passes its own variables"
)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "as above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{null, null_mut};

use epsilon_clock_ffi::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls each function once; the codes that came back, in order.
fn each(clock: *mut ec_clock, hlc: *mut ec_hlc) -> [ec_error; 30] {
    let mut now = ec_interval {
        earliest_ns: 0,
        latest_ns: 0,
    };
    let fixed = ec_interval {
        earliest_ns: 1_800_000_000_000_000_000,
        latest_ns: 1_800_000_000_000_000_500,
    };
    let mut lease = ec_lease {
        expiry_ns: 0,
        margin_ns: 0,
    };
    let mut fence = ec_fence { highest: 7 };
    let (mut yes, mut stamp, mut text) = (false, 0, [0; 1024]);
    let mut instant = 0;
    let mut bytes = [0_u8; 16];
    let mut reading = std::mem::MaybeUninit::uninit();
    let mut status = std::mem::MaybeUninit::uninit();
    unsafe {
        [
            ec_now(clock, &raw mut now),
            ec_after(clock, 0, &raw mut yes),
            ec_before(clock, 0, &raw mut yes),
            ec_look(clock, &raw mut now),
            ec_read(clock, reading.as_mut_ptr()),
            ec_status(clock, status.as_mut_ptr(), size_of::<ec_clock_status>()),
            ec_explain(clock, text.as_mut_ptr(), text.len(), null_mut()),
            ec_begin_commit(clock, &raw mut instant),
            ec_begin_commit_after(clock, 5, &raw mut instant),
            ec_wait(clock, 0, 1_000, null_mut()),
            ec_wait(clock, i64::MAX - 1, 1_000, &raw mut stamp),
            ec_wait_until_within(clock, 1, 1_000, &raw mut now),
            ec_hlc_tick(hlc, &raw mut stamp),
            ec_hlc_observe(hlc, stamp, &raw mut stamp),
            ec_hlc_observe(hlc, u64::MAX, &raw mut stamp),
            ec_hlc_tick_with_interval(hlc, &raw mut stamp, &raw mut now),
            ec_hlc_begin_commit(hlc, &raw mut stamp),
            ec_hlc_encode(stamp, bytes.as_mut_ptr(), 16),
            ec_hlc_decode(bytes.as_ptr(), 8, &raw mut stamp),
            ec_hlc_format(stamp, text.as_mut_ptr(), text.len()),
            ec_hlc_parse(text.as_ptr(), 32, &raw mut stamp),
            ec_hlc_parse(text.as_ptr(), 31, &raw mut stamp),
            ec_lease_grant(&raw const fixed, 1_000, &raw mut lease),
            ec_lease_held(clock, &raw const lease, &raw mut yes),
            ec_lease_check(clock, &raw const lease),
            ec_lease_encode(&raw const lease, bytes.as_mut_ptr(), 8),
            ec_lease_decode(bytes.as_ptr(), 8, &raw mut lease),
            ec_fence_admit(&raw mut fence, 8),
            ec_fence_admit(&raw mut fence, 3),
            ec_hlc_parse(
                c"2026-11-20T05:50:00.123456Z_0042".as_ptr(),
                32,
                &raw mut stamp,
            ),
        ]
    }
}

fn open(assume_error_ns: u64) -> (*mut ec_clock, *mut ec_hlc) {
    let (mut clock, mut hlc) = (null_mut(), null_mut());
    let mut options = std::mem::MaybeUninit::uninit();
    unsafe {
        assert_eq!(ec_options_init(options.as_mut_ptr()), ec_error::EC_OK);
        let mut options = options.assume_init();
        options.assume_error_ns = assume_error_ns;
        assert_eq!(ec_open(&raw const options, &raw mut clock), ec_error::EC_OK);
        assert_eq!(ec_hlc_open(clock, null(), &raw mut hlc), ec_error::EC_OK);
    }
    (clock, hlc)
}

fn close(clock: *mut ec_clock, hlc: *mut ec_hlc) {
    unsafe {
        assert_eq!(ec_hlc_close(hlc), ec_error::EC_OK);
        assert_eq!(ec_close(clock), ec_error::EC_OK);
    }
}

#[test]
fn nothing_but_opening_allocates() {
    // The first panic-free pass through `std` may set things up.
    let (clock, hlc) = open(1_000_000);
    let before = ALLOCATIONS.get();
    assert!(before > 0, "allocations are not counted");
    let codes = each(clock, hlc);
    assert_eq!(ALLOCATIONS.get(), before, "with an interval: {codes:?}");
    assert_eq!(codes[0], ec_error::EC_OK);
    assert_eq!(codes[10], ec_error::EC_ERR_TIMEOUT);
    assert_eq!(codes[14], ec_error::EC_ERR_TOO_FAR_AHEAD);
    assert_eq!(codes[21], ec_error::EC_ERR_FORMAT);
    assert_eq!(codes[28], ec_error::EC_ERR_STALE_TOKEN);
    assert_eq!(codes[29], ec_error::EC_OK);

    close(clock, hlc);
    let before = ALLOCATIONS.get();
    for codes in [each(clock, hlc), each(null_mut(), null_mut())] {
        assert_ne!(codes[0], ec_error::EC_OK);
        assert_ne!(codes[12], ec_error::EC_OK);
    }
    assert_eq!(ALLOCATIONS.get(), before, "of closed and of null handles");

    let (clock, hlc) = open(EC_DEFAULT);
    let before = ALLOCATIONS.get();
    each(clock, hlc);
    assert_eq!(ALLOCATIONS.get(), before, "as the machine's clock is");
    close(clock, hlc);
}
