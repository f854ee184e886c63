//! The counter of a scripted machine: an axis of its own beside raw time.

use crate::machine::NoCounter;

/// Counts in 2 ns: a counter of 2.5 GHz.
const COUNTS: i128 = 5;
const NANOS: i128 = 2;

/// What raw time is counted by, and how far the two have come apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) allowed: Result<(), NoCounter>,
    pub(super) never_suspends: bool,
    /// The count when raw time was 0.
    zero: i64,
    /// How far raw time has moved without the counter, in ns.
    raw_alone: i64,
    frozen: Option<i64>,
}

impl Counter {
    /// One that no program may read, as the machine's default.
    pub(super) const fn new() -> Self {
        Self {
            allowed: Err(NoCounter::Unsupported),
            never_suspends: false,
            zero: 7_000_000_000,
            raw_alone: 0,
            frozen: None,
        }
    }

    pub(super) fn at(&self, raw: i64) -> i64 {
        if let Some(frozen) = self.frozen {
            return frozen;
        }
        let counts = (i128::from(raw) - i128::from(self.raw_alone)) * COUNTS;
        let count = i128::from(self.zero) + counts.div_euclid(NANOS);
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    pub(super) const fn jump(&mut self, counts: i64) {
        self.zero = self.zero.wrapping_add(counts);
    }

    /// Lets the counter run on for so long while raw time does not.
    pub(super) fn run_on(&mut self, span: i64) {
        let counts = (i128::from(span) * COUNTS).div_euclid(NANOS);
        self.jump(i64::try_from(counts).unwrap_or(i64::MAX));
    }

    pub(super) const fn raw_jumps(&mut self, by: i64) {
        self.raw_alone = self.raw_alone.saturating_add(by);
    }

    pub(super) fn freeze(&mut self, raw: i64) {
        self.frozen = Some(self.at(raw));
    }
}
