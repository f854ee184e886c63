//! What stamps without a shared word are counted by.

use super::Clock;
use super::stripes::{Axis, StripeLine, StripeReading};

impl Axis for Clock {
    #[inline(always)]
    fn read(&self) -> Option<StripeReading> {
        self.shared
            .read_striped(|glance, elapsed, stripe, later| StripeReading {
                generation: glance.generation(),
                line: *glance.line(),
                elapsed,
                stripe,
                later,
            })
    }

    fn line_of(&self, generation: i64) -> Option<StripeLine> {
        let drawn = self.shared.latch.drawn_of(generation)?;
        Some(StripeLine {
            line: drawn.line,
            anchor: drawn.anchor,
        })
    }

    #[inline(always)]
    fn count_early(&self) -> i64 {
        self.shared.machine.count_early()
    }

    fn checked_count(&self) -> Option<i64> {
        let checked = self.shared.count_watch.checked();
        let count = self.shared.machine.count(checked);
        let is_recent = self.shared.count_watch.is_recent(count, checked);
        is_recent.then_some(count)
    }

    fn reached(&self, line: &StripeLine, time_namespace: u64) -> Option<i64> {
        line.reached(&self.shared.machine.counted(), || {
            self.identity().time_namespace == time_namespace
        })
    }

    fn generation(&self) -> i64 {
        self.shared.latch.generation()
    }

    fn numbers_stripes(&self) -> bool {
        self.shared.machine.numbers_stripes()
    }
}
