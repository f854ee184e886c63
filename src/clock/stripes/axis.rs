//! What stamps are drawn from without a shared word: a line through counts, and the stripe that counted.

use crate::clock::latch::{Anchor, Line, Pair};
use crate::machine::Counted;
use crate::time::Interval;

/// How much longer than raw time says a reader may have counted on before a counter that departed was
/// found out, in ns: it is checked each millisecond, and twice that leaves room for the rounding.
const UNCHECKED: i64 = 2_000_000;

/// A reading of an open line through counts, and the stripe that it was counted on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StripeReading {
    pub(in crate::clock) generation: i64,
    pub(in crate::clock) line: Line,
    pub(in crate::clock) elapsed: i64,
    pub(in crate::clock) stripe: u32,
    pub(in crate::clock) later: i64,
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

    /// Returns another count, read after the first one.
    ///
    /// It need not wait for what precedes it: whenever it was read, what it shows to be over was over by then,
    /// and no other thread learns of the stamp before.
    #[inline]
    pub(super) const fn later(&self) -> i64 {
        self.later
    }

    /// Returns the interval at a count, `None` where the line does not answer.
    #[inline]
    pub(super) fn interval_at(&self, count: i64) -> Option<Interval> {
        interval_at(&self.line, count)
    }
}

/// What stripes are counted by: a clock, or the model of one.
pub(crate) trait Axis {
    /// Reads a line through counts under its open gate, the stripe, and a second count.
    fn read(&self) -> Option<StripeReading>;
    /// Returns the line of this generation, if it is in force.
    fn line_of(&self, generation: i64) -> Option<StripeLine>;
    /// Reads the counter, perhaps before what precedes it has been done, but not after what follows it is seen.
    fn count_early(&self) -> i64;
    /// Reads the counter, if it was found where raw time is a moment ago.
    fn checked_count(&self) -> Option<i64>;
    /// Returns the interval at the last place of a line that can have been drawn from by now; raw time tells it
    /// only in this time namespace.
    fn reached(&self, line: &StripeLine, time_namespace: u64) -> Option<Interval>;
    /// Returns the generation of the line in force.
    fn generation(&self) -> i64;
    /// Returns false if stripes have other numbers than the processors that they are of.
    fn numbers_stripes(&self) -> bool;
}

/// A line that stamps were drawn from, to be asked how far once it is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StripeLine {
    pub(in crate::clock) line: Line,
    pub(in crate::clock) anchor: Anchor,
}

impl StripeLine {
    pub(crate) const WORDS: usize = Line::WORDS + Anchor::WORDS;

    /// Returns the raw instant of a reading of it, or up to 0.4 µs more.
    pub(crate) fn raw_of(&self, reading: &StripeReading) -> i64 {
        self.anchor.raw_most(reading.elapsed)
    }

    /// Returns the interval at a count, `None` where the line does not answer.
    pub(super) fn interval_at(&self, count: i64) -> Option<Interval> {
        interval_at(&self.line, count)
    }

    /// Returns the interval at the last place that can have been drawn from before both clocks were read.
    ///
    /// Where raw time is not where the counter says, the counter jumped, and raw time tells how far the line
    /// can have been counted, if it is `comparable`. Nothing was drawn from it beyond its end.
    pub(crate) fn reached(
        &self,
        counted: &Counted,
        comparable: impl FnOnce() -> bool,
    ) -> Option<Interval> {
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
        self.line.at(counts.clamp(0, last))
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
fn interval_at(line: &Line, count: i64) -> Option<Interval> {
    line.at(line.elapsed(count)?)
}

/// A clock for loom: the latch itself, lines that move a nanosecond with each count, and a counter that moves on
/// with each reading.
///
/// The first count of a reading is ordered as `zero_after` orders a real one, and so is that of a closing; all
/// others are relaxed, so that they lend no order that a real counter would not give. Any change of an atomic
/// finds the last one, which is A6.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use super::*;
    use crate::clock::latch::{Drawn, Latch};
    use crate::clock::status::ClockState;
    use crate::machine::Sample;
    use crate::primitive::{AtomicI64, Ordering};
    use crate::time::{Claim, RateBounds, Timestamp};

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
                later: self.count(),
            })
        }

        pub(crate) fn line_of(&self, generation: i64) -> Option<StripeLine> {
            let drawn = self.latch.drawn_of(generation)?;
            Some(StripeLine {
                line: drawn.line,
                anchor: drawn.anchor,
            })
        }

        pub(crate) fn count(&self) -> i64 {
            self.tick(Ordering::Relaxed)
        }

        pub(crate) fn reached(&self, line: &StripeLine) -> Option<Interval> {
            line.reached(&counted_at(self.count()), || true)
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
