//! Commit timestamps: unique, increasing, and none below the latest end that it was drawn at.

use core::ops::RangeInclusive;

use super::latch::Point;
use super::stripes::{Axis, Exhausted, Scale, Stripes, Striping, Word};
use crate::time::Timestamp;

/// Why no timestamp was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDrawn {
    /// The next one is this, and above the most that was permitted.
    Ahead(Timestamp),
    /// There is none left.
    Exhausted,
}

impl From<Exhausted> for NotDrawn {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// The latest ends of intervals, in ns, rounded up to where a unit begins.
#[derive(Debug)]
pub(super) struct Latest;

impl Scale for Latest {
    /// 4 ns to 64 ns, which is how much longer a commit may have to wait; of the latter, 56 are stripes'.
    const BITS: RangeInclusive<u32> = 2..=6;
    const FIRST: Timestamp = Timestamp::MIN;
    const POINT: Point = Point::Latest;

    #[inline]
    fn position(instant: Timestamp, mask: u64) -> Option<u64> {
        number_of(instant).checked_add(mask)
    }

    fn lasting(numbers: u64) -> u64 {
        numbers
    }
}

/// Returns an instant's number: they sort alike, and the first instant's is 0.
#[inline]
#[allow(clippy::cast_sign_loss, reason = "the bit of the sign is turned over")]
const fn number_of(instant: Timestamp) -> u64 {
    (instant.unix_nanos() ^ i64::MIN) as u64
}

#[inline]
#[allow(
    clippy::cast_possible_wrap,
    reason = "the bit of the sign is turned back"
)]
const fn instant_of(number: u64) -> Timestamp {
    Timestamp::from_unix_nanos(number as i64 ^ i64::MIN)
}

/// What commits on a clock draw from.
#[derive(Debug)]
pub(super) struct Commits {
    word: Word,
    stripes: Stripes<Latest>,
}

impl Commits {
    pub(super) fn new(
        striping: Striping,
        stripes: impl FnOnce() -> Option<u32>,
        time_namespace: u64,
    ) -> Self {
        Self {
            word: Word::new(0),
            stripes: Stripes::new(striping, stripes, time_namespace),
        }
    }

    /// Draws a timestamp above `floor` and not below the latest end of a reading, without the word; `None` where
    /// that is not possible now.
    #[inline]
    pub(super) fn draw_at_once(&self, axis: &impl Axis, floor: Timestamp) -> Option<Timestamp> {
        if self.stripes.are_drawn() {
            self.draw_striped(axis, floor)
        } else {
            None
        }
    }

    #[inline(never)]
    fn draw_striped(&self, axis: &impl Axis, floor: Timestamp) -> Option<Timestamp> {
        let drawn = self.stripes.draw(
            axis,
            &self.word,
            number_of(floor),
            |_| Ok::<(), Exhausted>(()),
            // Where a line may be is the readers' business: a commit promises no more than they do.
            |_, _| true,
        );
        Some(instant_of(drawn.ok()??.0))
    }

    /// Draws a timestamp of at least `least`, above every one that this call can know of and not above `most`.
    ///
    /// If it would be, nothing is drawn; nor is the very last instant, which can never be past.
    #[inline]
    pub(super) fn draw(
        &self,
        axis: &impl Axis,
        least: Timestamp,
        most: Timestamp,
    ) -> Result<Timestamp, NotDrawn> {
        let most = number_of(most);
        let permit = |next| match next {
            u64::MAX => Err(NotDrawn::Exhausted),
            next if next > most => Err(NotDrawn::Ahead(instant_of(next))),
            _ => Ok(()),
        };
        let least = number_of(least);
        let drawn = self
            .stripes
            .issue(axis, &self.word, |_| Ok(least), permit)?;
        Ok(instant_of(drawn))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::clock::Clock;

    /// Draws by the word alone, in ns.
    fn drawing(clock: Clock) -> impl Fn(i64, i64) -> Result<i64, NotDrawn> {
        let commits = Commits::new(Striping::Never, || None, 0);
        move |least, most| {
            let [least, most] = [least, most].map(Timestamp::from_unix_nanos);
            commits.draw(&clock, least, most).map(Timestamp::unix_nanos)
        }
    }

    #[test]
    fn t10_the_end_of_the_range_gives_out_nothing() {
        let draw = drawing(Clock::system().unwrap());
        let draw = |least| draw(least, i64::MAX);
        assert_eq!(draw(i64::MIN), Ok(i64::MIN + 1));
        assert_eq!(draw(5), Ok(5));
        assert_eq!(draw(5), Ok(6));
        assert_eq!(draw(i64::MAX), Err(NotDrawn::Exhausted));
        assert_eq!(draw(0), Ok(7));
        assert_eq!(draw(i64::MAX - 1), Ok(i64::MAX - 1));
        assert_eq!(draw(0), Err(NotDrawn::Exhausted));
        assert_eq!(draw(i64::MAX), Err(NotDrawn::Exhausted));
    }

    #[test]
    fn what_lies_beyond_the_most_is_named_and_moves_nothing() {
        let draw = drawing(Clock::system().unwrap());
        assert_eq!(draw(5, 6), Ok(5));
        assert_eq!(draw(5, 6), Ok(6));
        for _ in 0..2 {
            let next = Timestamp::from_unix_nanos(7);
            assert_eq!(draw(5, 6), Err(NotDrawn::Ahead(next)));
        }
        assert_eq!(draw(5, 7), Ok(7));
    }

    #[test]
    fn a_unit_of_latest_ends_begins_at_or_after_them() {
        for nanos in [i64::MIN, -5, -4, -1, 0, 1, 3, 4, 1_790_000_000_123_456_789] {
            let instant = Timestamp::from_unix_nanos(nanos);
            let begin = Latest::position(instant, 3).map(|position| instant_of(position & !3));
            let ahead = begin.unwrap().saturating_since(instant).nanos();
            assert!((0..4).contains(&ahead), "{nanos}: {ahead}");
        }
        assert_eq!(Latest::position(Timestamp::MAX, 3), None);
    }
}
