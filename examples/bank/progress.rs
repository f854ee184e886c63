//! How far the clients are.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) struct Progress {
    /// When true time was 0.
    began: Instant,
    /// How many transfers are to be made, and how many have been begun and acknowledged.
    wanted: u32,
    begun: AtomicU32,
    acknowledged: AtomicU32,
    audits: AtomicU32,
    over: AtomicBool,
    failed: AtomicBool,
}

impl Progress {
    pub(crate) fn new(wanted: u32) -> Self {
        Self {
            began: Instant::now(),
            wanted,
            begun: AtomicU32::new(0),
            acknowledged: AtomicU32::new(0),
            audits: AtomicU32::new(0),
            over: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// True time.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The number of the next transfer, unless there have been enough.
    pub(crate) fn next(&self) -> Option<u32> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        (number < self.wanted).then_some(number)
    }

    pub(crate) fn count_transfer(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_audit(&self) {
        self.audits.fetch_add(1, Ordering::Relaxed);
    }

    /// How many transfers were acknowledged.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Lets the auditors stop.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Lets those give up who wait for an answer that may never come.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6.1} s  {} of {} transfers, {} audits",
            self.began.elapsed().as_secs_f64(),
            self.acknowledged.load(Ordering::Relaxed),
            self.wanted,
            self.audits.load(Ordering::Relaxed)
        )
    }
}
