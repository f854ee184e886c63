//! What stamps are drawn from without a shared word: a line through counts, and the stripe that counted.

use super::Clock;
use super::latch::{Anchor, Line, Pair};
use super::shared::Shared;
use crate::machine::{Counted, Striped};
use crate::time::{Interval, Timestamp};

/// How much longer than raw time says a reader may have counted on before a counter that departed was
/// found out, in ns: it is checked each millisecond, and twice that leaves room for the rounding.
const UNCHECKED: i64 = 2_000_000;

/// A reading of an open line through counts, and the stripe that it was counted on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StripeReading {
    generation: i64,
    line: Line,
    elapsed: i64,
    stripe: u32,
}

impl StripeReading {
    /// Returns the generation of the line: each publication has its own, and they only grow.
    #[inline]
    pub(crate) const fn generation(&self) -> i64 {
        self.generation
    }

    /// Returns the number of the processor, or of the thread.
    #[inline]
    pub(crate) const fn stripe(&self) -> u32 {
        self.stripe
    }

    #[inline]
    pub(crate) fn interval(&self) -> Option<Interval> {
        self.line.at(self.elapsed)
    }

    #[inline]
    pub(crate) fn middle(&self) -> Option<Timestamp> {
        Some(self.interval()?.midpoint())
    }

    /// Returns the middle at a count, `None` where the line does not answer.
    #[inline]
    pub(crate) fn middle_at(&self, count: i64) -> Option<Timestamp> {
        middle_at(&self.line, count)
    }
}

/// A line that stamps were drawn from, to be asked how far once it is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StampAxis {
    line: Line,
    anchor: Anchor,
}

impl StampAxis {
    pub(crate) const WORDS: usize = Line::WORDS + Anchor::WORDS;

    /// Returns the raw instant of a reading of it, or up to 0.4 µs more.
    pub(crate) fn raw_of(&self, reading: &StripeReading) -> i64 {
        self.anchor.raw_most(reading.elapsed)
    }

    /// Returns the middle at a count, `None` where the line does not answer.
    #[inline]
    pub(crate) fn middle_at(&self, count: i64) -> Option<Timestamp> {
        middle_at(&self.line, count)
    }

    /// Returns the latest middle that can have been drawn from it before both clocks were read.
    ///
    /// Where raw time is not where the counter says, the counter jumped, and raw time tells how far the line
    /// can have been counted, if it is `comparable`. Nothing was drawn from it beyond its end.
    pub(crate) fn reached(
        &self,
        counted: &Counted,
        comparable: impl FnOnce() -> bool,
    ) -> Option<Timestamp> {
        let agrees = self.anchor.agrees(&Pair::from(*counted));
        let counts = if agrees || !comparable() {
            counted.after.saturating_sub(self.line.base())
        } else {
            let unchecked = self.anchor.counts_in(UNCHECKED);
            self.anchor
                .most_counts_at(counted.sample.raw)
                .saturating_add(unchecked)
        };
        let last = self.line.last();
        if last < 0 {
            return None;
        }
        Some(self.line.at(counts.clamp(0, last))?.midpoint())
    }

    pub(crate) fn to_words(self) -> [i64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        let of_both = self
            .line
            .to_words()
            .into_iter()
            .chain(self.anchor.to_words());
        for (word, value) in words.iter_mut().zip(of_both) {
            *word = value;
        }
        words
    }

    pub(crate) fn from_words(words: [i64; Self::WORDS]) -> Self {
        let [a, b, c, d, e, f, g, anchor @ ..] = words;
        Self {
            line: Line::from_words([a, b, c, d, e, f, g]),
            anchor: Anchor::from_words(anchor),
        }
    }
}

#[inline]
fn middle_at(line: &Line, count: i64) -> Option<Timestamp> {
    Some(line.at(line.elapsed(count)?)?.midpoint())
}

impl Shared {
    #[inline]
    fn read_striped(&self) -> Option<StripeReading> {
        // As in `line_plainly`.
        let disruption = self.watch.disruption();
        let checked = self.count_watch.checked();
        let glance = self.latch.glance()?;
        let line = *glance.line();
        if !line.counts() {
            return None;
        }
        let with_coarse = self.count_watch.with_coarse();
        let Striped { sample, stripe } = self.machine.striped_sample(with_coarse, line.base());
        let calm = self.count_watch.is_calm(&sample, checked)
            && self.machine.is_undisrupted(disruption, sample.raw);
        if !calm || !glance.holds_at(sample.raw) {
            return None;
        }
        Some(StripeReading {
            generation: glance.generation(),
            elapsed: line.elapsed(sample.raw)?,
            line,
            stripe: stripe?,
        })
    }
}

/// What stamps without a shared word are counted by.
impl Clock {
    /// Reads the line in force, and the stripe; `None` if anything is out of the ordinary, or there is no
    /// line through counts.
    #[inline]
    pub(crate) fn read_striped(&self) -> Option<StripeReading> {
        self.shared.read_striped()
    }

    /// Returns the line of this generation, to be kept, if it is in force.
    pub(crate) fn axis_of(&self, generation: i64) -> Option<StampAxis> {
        let drawn = self.shared.latch.drawn_of(generation)?;
        Some(StampAxis {
            line: drawn.line,
            anchor: drawn.anchor,
        })
    }

    /// Reads the counter, to find out whether a time is over before anything that follows can be seen.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call costs as much as the reading")]
    pub(crate) fn count_early(&self) -> i64 {
        self.shared.machine.count_early()
    }

    /// Reads the counter, if that was checked lately.
    pub(crate) fn checked_count(&self) -> Option<i64> {
        let checked = self.shared.count_watch.checked();
        let count = self.shared.machine.count(checked);
        let is_recent = self.shared.count_watch.is_recent(count, checked);
        is_recent.then_some(count)
    }

    /// Reads raw time between two readings of the counter.
    pub(crate) fn counted(&self) -> Counted {
        self.shared.machine.counted()
    }

    /// Returns the generation of the line in force.
    pub(crate) fn generation(&self) -> i64 {
        self.shared.latch.generation()
    }

    /// Returns how many stripes there can be; `None` where that is not known.
    pub(crate) fn stripes(&self) -> Option<u32> {
        self.shared.machine.stripes()
    }

    /// Returns false if stripes have other numbers than the processors that they are of.
    pub(crate) fn numbers_stripes(&self) -> bool {
        self.shared.machine.numbers_stripes()
    }
}

/// A clock for loom: the latch itself, lines that move a nanosecond with each count, and a counter that moves on
/// with each reading.
///
/// The first count of a reading is ordered as `zero_after` orders a real one, and so is that of a closing; all
/// others are relaxed, so that they lend no order that a real counter would not give. Any change of an atomic
/// finds the last one, which is A6.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use super::super::latch::{Drawn, Latch};
    use super::super::status::ClockState;
    use super::*;
    use crate::machine::Sample;
    use crate::primitive::{AtomicI64, Ordering};
    use crate::time::{Claim, RateBounds};

    /// What the counter shows when raw time is 0.
    const COUNT_OF_ZERO: i64 = 7_000_000_000_000_000;

    /// How far it moves with each reading: of two in a row, both may lie in one unit of 15.6 ns.
    const STEP: i64 = 10;

    #[derive(Debug)]
    pub(crate) struct ModelClock {
        latch: Latch<1, 4>,
        counter: AtomicI64,
    }

    fn anchor() -> Anchor {
        let pair = |raw: i64| Pair::from(counted_at(COUNT_OF_ZERO + raw));
        Anchor::between(&pair(-2_000_000_000), &pair(0)).unwrap()
    }

    fn counted_at(count: i64) -> Counted {
        Counted {
            before: count,
            sample: Sample {
                coarse: 0,
                raw: count - COUNT_OF_ZERO,
            },
            after: count,
        }
    }

    /// A line whose middle is there when raw time is 0, and which ends so much later.
    fn line(middle: i64, end: i64) -> Drawn {
        let at = Timestamp::from_unix_nanos;
        let interval = Interval::new(at(middle - 10), at(middle - 10)).unwrap();
        let claim = Claim::new(-10, interval, RateBounds::symmetric(0));
        let anchor = anchor();
        Drawn {
            line: Line::counting(&claim, &anchor, None, end, ClockState::Assumed),
            claimed_at: claim.raw(),
            anchor,
        }
    }

    impl ModelClock {
        pub(crate) fn new(middle: i64, end: i64) -> Self {
            let drawn = line(middle, end);
            assert!(drawn.line.last() > 0);
            Self {
                latch: Latch::new(&drawn, &[0]),
                counter: AtomicI64::new(COUNT_OF_ZERO),
            }
        }

        fn tick(&self, order: Ordering) -> i64 {
            self.counter.fetch_add(STEP, order)
        }

        /// Lets time pass.
        pub(crate) fn pass(&self, counts: i64) {
            self.counter.fetch_add(counts, Ordering::Relaxed);
        }

        pub(crate) fn read(&self, stripe: u32) -> Option<StripeReading> {
            let glance = self.latch.glance()?;
            let line = *glance.line();
            let count = self.tick(Ordering::AcqRel);
            if !line.counts() || !glance.holds_at(count) {
                return None;
            }
            Some(StripeReading {
                generation: glance.generation(),
                elapsed: line.elapsed(count)?,
                line,
                stripe,
            })
        }

        pub(crate) fn axis_of(&self, generation: i64) -> Option<StampAxis> {
            let drawn = self.latch.drawn_of(generation)?;
            Some(StampAxis {
                line: drawn.line,
                anchor: drawn.anchor,
            })
        }

        pub(crate) fn count(&self) -> i64 {
            self.tick(Ordering::Relaxed)
        }

        pub(crate) fn reached(&self, axis: &StampAxis) -> Option<Timestamp> {
            axis.reached(&counted_at(self.count()), || true)
        }

        pub(crate) fn generation(&self) -> i64 {
            self.latch.generation()
        }

        /// Takes the place of the line in force; `None` is a void. Returns false where another was faster.
        pub(crate) fn replace(&self, middle: Option<i64>) -> bool {
            let head = self.latch.copy_state(&mut [0]);
            let Some(draft) = self.latch.draft(1) else {
                return false;
            };
            let closed = self.latch.close(head, |_| self.tick(Ordering::AcqRel));
            let next = middle.map_or(Drawn::plainly(Line::NOTHING), |m| line(m, i64::MAX));
            closed.is_some() && draft.publish(head, &next, &[0])
        }
    }
}
