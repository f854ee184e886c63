//! What stamps are drawn from without a shared word: a line through counts, and the stripe that counted.

use crate::clock::latch::{Anchor, Line, Pair, Point};
use crate::machine::Counted;
use crate::time::{Interval, Timestamp};

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
    /// Another count, read after the first one. It need not wait for what precedes it: whenever it was read, what
    /// it shows to be over was over by then, and no other thread learns of the stamp before.
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

    /// Returns this instant of the interval.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a part of the hot path")]
    pub(crate) fn instant(&self, point: Point) -> Option<Timestamp> {
        self.line.point_at(point, self.elapsed)
    }

    /// Returns by how many ns this instant moved at least from the first count to the second one.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a part of the hot path")]
    pub(super) fn moved(&self, point: Point) -> u64 {
        let counted = self.line.base().wrapping_add(self.elapsed);
        self.line.moves_by(point, self.later.wrapping_sub(counted))
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
    /// Returns the last place of a line that can have been drawn from by now, so many counts after its base; raw
    /// time tells it only in this time namespace.
    fn reached(&self, line: &StripeLine, time_namespace: u64) -> Option<i64>;
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

    /// Returns this instant of the interval at a count, `None` where the line does not answer.
    pub(super) fn instant_at(&self, point: Point, count: i64) -> Option<Timestamp> {
        self.instant_after(point, self.line.elapsed(count)?)
    }

    /// Returns this instant of the interval so many counts after the line's base.
    pub(super) fn instant_after(&self, point: Point, elapsed: i64) -> Option<Timestamp> {
        self.line.point_at(point, elapsed)
    }

    /// Returns the last place that can have been drawn from before both clocks were read, so many counts after the
    /// line's base.
    ///
    /// Where raw time is not where the counter says, the counter jumped, and raw time tells how far the line
    /// can have been counted, if it is `comparable`. Nothing was drawn from it beyond its end.
    pub(crate) fn reached(
        &self,
        counted: &Counted,
        comparable: impl FnOnce() -> bool,
    ) -> Option<i64> {
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
        Some(counts.clamp(0, last))
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

/// The counter of the clocks below, and how raw time is told by it.
#[cfg(test)]
mod counter {
    use super::*;
    use crate::machine::Sample;

    /// What the counter shows when raw time is 0: it takes a nanosecond for each count.
    pub(crate) const COUNT_OF_ZERO: i64 = 7_000_000_000_000_000;

    pub(crate) fn counted_at(count: i64) -> Counted {
        Counted {
            before: count,
            sample: Sample {
                coarse: 0,
                raw: count - COUNT_OF_ZERO,
            },
            after: count,
        }
    }

    pub(super) fn anchor() -> Anchor {
        let pair = |raw: i64| Pair::from(counted_at(COUNT_OF_ZERO + raw));
        Anchor::between(&pair(-2_000_000_000), &pair(0)).unwrap()
    }
}

/// A clock for loom: the latch itself, lines that move a nanosecond with each count, and a counter that moves on
/// with each reading.
///
/// The first count of a reading is ordered as `zero_after` orders a real one, and so is that of a closing; all
/// others are relaxed, so that they lend no order that a real counter would not give. Any change of an atomic
/// finds the last one, which is A6.
#[cfg(test)]
#[cfg(loom)]
pub(crate) mod model {
    use super::counter::{COUNT_OF_ZERO, anchor, counted_at};
    use super::*;
    use crate::clock::latch::{Drawn, Latch};
    use crate::clock::status::ClockState;
    use crate::primitive::{AtomicI64, Ordering};
    use crate::time::{Claim, RateBounds, Timestamp};

    /// How far it moves with each reading: of two in a row, both may lie in one unit of 15.6 ns.
    const STEP: i64 = 10;

    #[derive(Debug)]
    pub(crate) struct ModelClock {
        latch: Latch<1, 4>,
        counter: AtomicI64,
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

        pub(crate) fn reached(&self, line: &StripeLine) -> Option<i64> {
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

/// A clock whose counter moves on by so much with each reading, of one thread.
#[cfg(test)]
#[cfg(not(loom))]
pub(super) mod script {
    use core::cell::Cell;

    use super::counter::{COUNT_OF_ZERO, anchor, counted_at};
    use super::*;
    use crate::clock::status::ClockState;
    use crate::time::{Claim, RateBounds, Timestamp};

    /// A line whose ends are so far ahead of raw time, or a little further.
    pub(crate) fn line(ahead: i64, end: i64) -> StripeLine {
        let at = Timestamp::from_unix_nanos(ahead - 10);
        let claim = Claim::new(-10, Interval::point(at), RateBounds::symmetric(0));
        let anchor = anchor();
        StripeLine {
            line: Line::counting(&claim, &anchor, None, end, ClockState::Assumed),
            anchor,
        }
    }

    #[derive(Debug)]
    pub(crate) struct Script {
        /// What the counter shows next.
        pub(crate) count: Cell<i64>,
        pub(crate) step: Cell<i64>,
        pub(crate) stripe: Cell<u32>,
        pub(crate) numbers: Cell<bool>,
        pub(crate) is_checked: Cell<bool>,
        /// How often the counter was read to wait, and after how often the line ends.
        pub(crate) waited: Cell<usize>,
        pub(crate) void_after: Cell<Option<usize>>,
        generation: Cell<i64>,
        line: Cell<Option<StripeLine>>,
    }

    impl Script {
        pub(crate) fn new(step: i64) -> Self {
            Self {
                count: Cell::new(COUNT_OF_ZERO + 1_000_000),
                step: Cell::new(step),
                stripe: Cell::new(0),
                numbers: Cell::new(true),
                is_checked: Cell::new(true),
                waited: Cell::new(0),
                void_after: Cell::new(None),
                generation: Cell::new(1),
                line: Cell::new(Some(line(0, i64::MAX))),
            }
        }

        /// Takes the place of the line in force; `None` is a void.
        pub(crate) fn replace(&self, ahead: Option<i64>) {
            self.generation.set(self.generation.get() + 1);
            self.line.set(ahead.map(|ahead| line(ahead, i64::MAX)));
        }

        pub(crate) fn latest_at(&self, count: i64) -> Option<Timestamp> {
            self.line.get()?.instant_at(Point::Latest, count)
        }

        pub(crate) fn last_read(&self) -> i64 {
            self.count.get() - self.step.get()
        }

        fn tick(&self) -> i64 {
            self.count.replace(self.count.get() + self.step.get())
        }
    }

    impl Axis for Script {
        fn read(&self) -> Option<StripeReading> {
            let line = self.line.get()?.line;
            Some(StripeReading {
                generation: self.generation.get(),
                line,
                elapsed: line.elapsed(self.tick())?,
                stripe: self.stripe.get(),
                later: self.tick(),
            })
        }

        fn line_of(&self, generation: i64) -> Option<StripeLine> {
            self.line
                .get()
                .filter(|_| generation == self.generation.get())
        }

        fn count_early(&self) -> i64 {
            self.waited.set(self.waited.get() + 1);
            // A line that ends ends far behind of what is counted then.
            let is_over = self.void_after.get() == Some(self.waited.get());
            let count = self.tick();
            if is_over { i64::MAX } else { count }
        }

        fn checked_count(&self) -> Option<i64> {
            self.is_checked.get().then(|| self.tick())
        }

        fn reached(&self, line: &StripeLine, _time_namespace: u64) -> Option<i64> {
            line.reached(&counted_at(self.tick()), || true)
        }

        fn generation(&self) -> i64 {
            self.generation.get()
        }

        fn numbers_stripes(&self) -> bool {
            self.numbers.get()
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::counter::{COUNT_OF_ZERO, counted_at};
    use super::script::line;
    use super::*;

    const MILLI: i64 = 1_000_000;

    #[test]
    fn a_line_and_its_anchor_come_back_from_their_words() {
        let kept = line(5, i64::MAX);
        let words = kept.to_words();
        let back = StripeLine::from_words(words);
        assert_eq!(back.line, kept.line);
        assert_eq!(back.anchor, kept.anchor);
        assert_eq!(back.to_words(), words);
    }

    #[test]
    fn a_line_was_drawn_from_up_to_the_counts_or_where_the_counter_jumped_up_to_raw_time() {
        let kept = line(0, i64::MAX);
        let here = counted_at(COUNT_OF_ZERO + 50 * MILLI);
        let reached = |counted: &Counted, comparable| kept.reached(counted, || comparable).unwrap();
        let at_count = here.after - kept.line.base();
        assert_eq!(reached(&here, true), at_count);
        assert_eq!(reached(&here, false), at_count);
        // Ten milliseconds ahead of where raw time is.
        let mut jumped = here;
        jumped.before += 10 * MILLI;
        jumped.after += 10 * MILLI;
        assert_eq!(reached(&jumped, false), at_count + 10 * MILLI);
        let by_raw_time = reached(&jumped, true) - at_count;
        assert!(
            (UNCHECKED..UNCHECKED + 10).contains(&by_raw_time),
            "{by_raw_time}"
        );
    }

    #[test]
    fn nothing_was_drawn_from_a_line_before_it_begins_or_beyond_its_end() {
        let kept = line(0, 100 * MILLI);
        let reached = |raw| kept.reached(&counted_at(COUNT_OF_ZERO + raw), || false);
        assert_eq!(reached(-5), Some(0));
        assert_eq!(reached(MILLI), Some(MILLI));
        assert_eq!(reached(200 * MILLI), Some(kept.line.last()));
        let never = StripeLine {
            line: Line::NOTHING,
            ..kept
        };
        let found = never.reached(&counted_at(COUNT_OF_ZERO + MILLI), || true);
        assert_eq!(found, None);
    }

    /// It tells how far the line went beyond its end, too, but nothing of a counter that ran back.
    #[test]
    fn a_reading_tells_how_far_its_instant_moved_between_its_two_counts() {
        let kept = line(0, 100 * MILLI);
        let base = kept.line.base();
        for (elapsed, later, moved) in [
            (0, base, 0..=0),
            (MILLI, base + MILLI + 40, 39..=40),
            (99 * MILLI, base + 101 * MILLI, 1_999_999..=2_000_000),
            (MILLI, base + MILLI - 1, 0..=0),
        ] {
            let reading = StripeReading {
                generation: 1,
                line: kept.line,
                elapsed,
                stripe: 0,
                later,
            };
            for point in [Point::Middle, Point::Latest] {
                let found = reading.moved(point);
                assert!(moved.contains(&found), "{elapsed} {later}: {found}");
            }
        }
    }

    #[test]
    fn the_raw_instant_of_a_reading_is_the_most_that_it_can_be() {
        let kept = line(0, i64::MAX);
        for elapsed in [0, 1, MILLI] {
            let reading = StripeReading {
                generation: 1,
                line: kept.line,
                elapsed,
                stripe: 0,
                later: 0,
            };
            let raw = kept.raw_of(&reading);
            assert_eq!(raw, kept.anchor.raw_most(elapsed));
            assert!((elapsed..elapsed + 400).contains(&raw), "{elapsed}: {raw}");
        }
    }
}
