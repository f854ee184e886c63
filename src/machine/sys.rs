//! The operating system's side of the crate, and the only folder with `unsafe`.
//!
//! Everything here is one call deep: a clock, the kernel's NTP status, a sleep, an instruction. What the answers
//! mean is decided elsewhere.
#![allow(unsafe_code)]

mod arrivals;
mod clocks;
mod counter;
mod files;
mod order;
mod ptp;
mod random;
mod threads;
mod timex;

pub(crate) use arrivals::Arrivals;
pub(crate) use clocks::{
    boottime, coarse_tick, missing_clock, monotonic, monotonic_raw, realtime, realtime_coarse,
};
pub(crate) use counter::{CountRead, count_early, sound_counter};
#[cfg(target_arch = "x86_64")]
pub(crate) use counter::{count_on_processor, processor};
pub(crate) use files::{MappedPage, is_sysfs};
pub(crate) use order::{after_stores, load_after, zero_after};
pub(crate) use ptp::{PtpClock, PtpSample};
pub(crate) use random::random;
pub(crate) use threads::{drop_timer_slack, sleep, without_signals};
pub(crate) use timex::{adjtime_remaining, ntp_status};

const NANOS_PER_SEC: i64 = 1_000_000_000;
