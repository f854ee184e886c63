//! Stamps without a shared word: each processor draws its own from time itself.
//!
//! Threads that draw stamps of one clock take turns at its word, and each turn costs a transfer of a cache line. Where
//! the clock goes through counts of the processor's counter (A6: the counts of all processors agree, never stand
//! still and never run back) stamps can be told apart by the time, and by the processor that counted.
//!
//! # Numbers
//!
//! A stamp is a number, by the [`Scale`] of its kind: a hybrid clock's tells the middle of an interval in 1/4096 µs,
//! rounded down, and a commit's the latest end in ns, rounded up to where the next unit begins. A *unit* is
//! 2ᵇ numbers: 3.9 to 125 ns of the former, 4 to 64 ns of the latter. Of the numbers of a unit the first are the
//! *stripes*', one for each processor that there can be; the others, an eighth or more, are the *word*'s. (Where
//! no instruction reads the processor's number along with the count, a stripe is a thread's, of up to 56 at a
//! time.) So the two never issue one number, and may be mixed at any time.
//!
//! The *position* of a line at a count is, below, the number of its middle there ([`Point`]), or of its latest end.
//!
//! # Two ways to a stamp
//!
//! A **stripe** reads, under an open gate of the latch, a line through counts, a count `n` and the
//! processor's number, and takes that processor's number in the unit of the line's position at `n`. It needs that to be
//! above the word, and waits until the position at another count lies in a later unit, or would if the line had not
//! ended. Then it returns the stamp. It writes nothing that another processor reads. The other count need not wait
//! for what precedes it: whenever it was read, the unit was over by then, and no other thread learns of the stamp
//! before.
//!
//! The **word** takes its next number that is above the last one, above a remote stamp or a commit's floor, and not
//! below the *reach*: the unit, on the line that stripes were last drawn from, of a count read in this very
//! call. It is for everything else: where the word is ahead, where there is no line, for a hybrid clock's commits, for
//! remote stamps and floors that time has not passed yet, for a thread without a number, and after a wait in vain.
//!
//! # Lines that change
//!
//! The next line may lie lower, so before stripes are drawn from a line it is *judged*, once: the word is raised
//! to the end of the unit that the line before it had come to, by a count read after that line was closed;
//! a hybrid clock's forward guard compares the line's middle with raw time; and the processor's number is compared with
//! the kernel's. What was drawn from a line stays covered whatever becomes of it: it is kept here until the word was
//! raised above it, through voids, contradictions and times without any claim.
//!
//! A counter that jumped tells nothing of how far stripes were drawn. Raw time does then: a reader counts on
//! for a millisecond at most after the counter was last found where raw time is.
//!
//! # Proof
//!
//! *Stripes of one line.* The position never falls back from one count to a later one. If stripe `a` was returned
//! before `b` was asked for, then `b` counted after the last count of `a`'s wait (A6), which is in a later unit
//! than `a`: `a < b`. If neither was, and they are of two processors, they have two numbers in a unit. On
//! one processor two threads are a switch apart, and a handler and its thread the delivery of a signal, each
//! of which takes longer than a unit. So stripes of one line are unique, and sorted as they happened.
//!
//! *Stripes of two lines.* The earlier line was closed before the later one could be read. Every reader that found
//! the earlier one's gate open had counted before it was closed (see the latch), hence before the count
//! that the judge read (A6): its stripe is not above the end of that count's unit, which the word was raised to
//! before the later line could be drawn from; and stripes are above the word.
//!
//! *A stripe after the word.* A call that knows of one of the word's stamps loads a word that is not below it,
//! and takes a stripe only above that.
//!
//! *The word after a stripe.* A call knows of stripe `a`. Either the word was raised above `a`'s line by
//! then; or that line is the one kept here, and the call's count is later than the last count of `a`'s wait
//! (A6), so the reach is a later unit than `a`'s. (Where the reach cannot be told from a count on the line, it
//! is the unit *after* the last one that can have been drawn from.)
//!
//! *Uniqueness of the word's* is that of one atomic that only grows.
//!
//! *A commit's is not below the latest end* of a reading made by its own call (T5): a stripe's, as that end was
//! rounded up to where a unit begins; the word's, as it is given the end for a floor.
//!
//! # The turn
//!
//! A clock may begin with the word alone, which then takes every number, and turn to stripes later, once. `mode`
//! is 0, then 1, then 2. From 1 on, the word takes only numbers of its own; the first exchange that does so
//! makes it 2, and only then stripes are drawn. A thread that still takes any number loaded the word, and
//! then found 0. Had its load met that first exchange, or one after it, it would have found 1 (the exchange
//! releases what its thread found before, and all changes of the word are exchanges). So its own exchange comes
//! before, and its number is below every stripe; or it fails.

use core::marker::PhantomData;

use crate::primitive::{AtomicI64, AtomicU64, Ordering};

mod axis;
mod kept;
#[cfg(all(test, loom))]
mod loom_model;
mod numbers;
mod word;

pub(crate) use axis::{Axis, StripeLine, StripeReading};
use kept::{Judged, Kept};
use numbers::Numbers;
pub(crate) use numbers::Scale;
pub(crate) use word::{Exhausted, Word};

/// Whether stamps are drawn without a shared word.
///
/// By [`HybridClockBuilder::striping`] those of a hybrid clock, by [`ClockBuilder::striping`] commit timestamps.
///
/// Threads that draw from one clock take turns at one word, and each turn costs the transfer of a cache line: some
/// 60 ns between two processors, and more the more there are. *Stripes* are stamps that each processor draws from
/// its own counter, without writing anything that another one reads: what they cost does not grow with the
/// number of threads. They have the layout of all stamps, and the two kinds mix at any time.
///
/// What it takes: the machine's time is counted by a counter that programs may read
/// ([`ReadPath`](crate::clock::ReadPath)), a source vouches for the clock, and there are up to 448 processors, or
/// 56 for commit timestamps. Elsewhere, and for the time that this does not hold, the word serves.
///
/// # What is assumed
///
/// That stamps are unique (H8), and that what happened before has the lesser one (H1), needs no clock at all as
/// long as the word alone serves: an atomic sees to it. Of stripes both rest on A6: the counters of all
/// processors agree, and never stand still or run back, up to the next look even where the kernel leaves the
/// counter. So they are drawn only where you ask for them.
///
/// [`HybridClockBuilder::striping`]: crate::hlc::HybridClockBuilder::striping
/// [`ClockBuilder::striping`]: super::ClockBuilder::striping
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Striping {
    /// The word, until a call loses it to other threads twice in a row; then, for good, stripes.
    OnContention,
    /// Stripes from the first stamp on. One thread alone pays for what it does not need.
    Always,
    /// The word alone: no stamp rests on a counter. The default.
    #[default]
    Never,
}

/// How often the counter is read in vain before the word serves: it stands still, as no real one does.
const LONGEST_WAIT: usize = 1_000;

/// How many lost exchanges in a row make a clock turn to stripes.
const LOST_IN_A_ROW: u32 = 2;

const WORD_ALONE: u64 = 0;
const TURNING: u64 = 1;
const DRAWN: u64 = 2;

/// How stamps are drawn beside the word; see the module's documentation.
///
/// The first three are read by every stamp and hardly ever written, so they share no cache line with the word.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Stripes<S> {
    /// `None` where stripes are forbidden, or there are too many processors.
    numbers: Option<Numbers>,
    mode: AtomicU64,
    /// The generation of the line that stripes may be drawn from; 0 for none, as the first is 1.
    open: AtomicI64,
    kept: Kept,
    /// Who judges a line, if one does: 1, or 0. No thread waits for it.
    judging: AtomicU64,
    /// In which raw time is what the lines were drawn by.
    time_namespace: u64,
    scale: PhantomData<S>,
}

/// The right to judge, given back when dropped.
struct Judge<'a>(&'a AtomicU64);

impl Drop for Judge<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<S: Scale> Stripes<S> {
    /// Creates stripes as the settings have them; the word takes every number where there can be none.
    pub(crate) fn new(
        striping: Striping,
        stripes: impl FnOnce() -> Option<u32>,
        time_namespace: u64,
    ) -> Self {
        let numbers = match striping {
            Striping::Never => None,
            Striping::OnContention | Striping::Always => stripes().and_then(Numbers::among::<S>),
        };
        let mode = match striping {
            Striping::Always if numbers.is_some() => DRAWN,
            _ => WORD_ALONE,
        };
        Self {
            numbers,
            mode: AtomicU64::new(mode),
            open: AtomicI64::new(0),
            kept: Kept::new(),
            judging: AtomicU64::new(0),
            time_namespace,
            scale: PhantomData,
        }
    }

    /// Returns true if the word takes every number; to be asked after the word was loaded.
    #[inline]
    pub(crate) fn is_word_alone(&self) -> bool {
        self.mode.load(Ordering::Acquire) == WORD_ALONE
    }

    /// As [`is_word_alone`](Self::is_word_alone), after so many exchanges were lost in a row.
    #[cold]
    #[inline(never)]
    fn stays_alone(&self, lost: u32, axis: &impl Axis) -> bool {
        // Where stripes cannot be drawn the word had better keep all numbers.
        if lost >= LOST_IN_A_ROW && self.numbers.is_some() && axis.read().is_some() {
            self.turn();
        }
        self.is_word_alone()
    }

    /// Returns true if stripes are drawn.
    #[inline]
    pub(crate) fn are_drawn(&self) -> bool {
        self.mode.load(Ordering::Acquire) == DRAWN
    }

    /// Begins to turn from the word alone to stripes, where there can be any.
    #[cold]
    fn turn(&self) {
        if self.numbers.is_some() {
            self.shift_mode(WORD_ALONE, TURNING);
        }
    }

    /// Notes that the word was exchanged for one of its own numbers.
    fn turned(&self) {
        if self.mode.load(Ordering::Relaxed) == TURNING {
            self.shift_mode(TURNING, DRAWN);
        }
    }

    fn shift_mode(&self, from: u64, to: u64) {
        // Never back: what fails here was done by another thread.
        let _ = self
            .mode
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Draws a stamp above `above` from time, if `may` permits it; `None` where the word has to serve.
    ///
    /// Nothing is changed that another call could see, unless `may` changes it. `is_calm` is asked of the first
    /// reading of each line.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a reading that is handed on in memory costs a third of its time"
    )]
    pub(crate) fn draw<E>(
        &self,
        axis: &impl Axis,
        word: &Word,
        above: u64,
        may: impl Fn(u64) -> Result<(), E>,
        is_calm: impl Fn(&StripeReading, &StripeLine) -> bool,
    ) -> Result<Option<(u64, StripeReading)>, E> {
        let (Some(numbers), Some(mut reading)) = (&self.numbers, axis.read()) else {
            return Ok(None);
        };
        if self.open.load(Ordering::Acquire) != reading.generation() {
            match self.judge(numbers, axis, word, is_calm) {
                Some(judged) => reading = judged,
                None => return Ok(None),
            }
        }
        let Some(number) = Self::number(numbers, &reading) else {
            return Ok(None);
        };
        // Loaded after the line was found judged, so that what was drawn from the ones before it is below.
        if number <= word.last().max(above) {
            return Ok(None);
        }
        // Asked before the wait: what it may take to store a bound shall not come on top.
        may(number)?;
        // Told by the time between the two counts, as it can be in nearly every call: the position at the second one
        // would take a division.
        let is_over = reading.moved(S::POINT) >= numbers.lasts()
            || self.wait(numbers, axis, reading.generation(), number);
        Ok(is_over.then_some((number, reading)))
    }

    /// Returns this stripe's number at a reading.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `draw` is")]
    fn number(numbers: &Numbers, reading: &StripeReading) -> Option<u64> {
        let position = S::position(reading.instant(S::POINT)?, numbers.mask())?;
        numbers.of_stripe(position, reading.stripe())
    }

    /// Waits until a number's unit is over; returns false where the number is to be no one's.
    #[inline(never)]
    fn wait(&self, numbers: &Numbers, axis: &impl Axis, generation: i64, number: u64) -> bool {
        // Copied anew: a reader that hands its copy on has to keep it in memory, for a case that is rare.
        let Some(line) = axis.line_of(generation) else {
            return false;
        };
        for _ in 0..LONGEST_WAIT {
            let position = line
                .instant_at(S::POINT, axis.count_early())
                .and_then(|now| S::position(now, numbers.mask()));
            match position {
                Some(position) if numbers.begin(position) > number => return true,
                Some(_) => {}
                // The line ended in this very moment.
                None => return false,
            }
        }
        self.give_up(generation);
        false
    }

    /// Draws no more from this line: the counter stands still.
    #[cold]
    fn give_up(&self, generation: i64) {
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.open.compare_exchange(generation, 0, order, failed);
    }

    /// Finds out, once for each line, whether stripes may be drawn from it; returns a reading of one that may be.
    #[cold]
    #[inline(never)]
    fn judge(
        &self,
        numbers: &Numbers,
        axis: &impl Axis,
        word: &Word,
        is_calm: impl Fn(&StripeReading, &StripeLine) -> bool,
    ) -> Option<StripeReading> {
        let reading = axis.read()?;
        let _judge = self.begin_judging()?;
        let before = self.kept.load();
        if reading.generation() <= before.generation {
            // Judged by another thread meanwhile; or an old reading, or a line that was given up.
            let is_open = self.open.load(Ordering::Acquire) == reading.generation();
            return is_open.then_some(reading);
        }
        let line = axis.line_of(reading.generation())?;
        if !is_calm(&reading, &line) || !axis.numbers_stripes() {
            return None;
        }
        self.raise(numbers, axis, word, &before);
        self.kept.store(Judged {
            generation: reading.generation(),
            line: Some(line),
        });
        // Release: a stripe of this line finds the word raised above those of the line before.
        self.open.store(reading.generation(), Ordering::Release);
        Some(reading)
    }

    fn begin_judging(&self) -> Option<Judge<'_>> {
        let taken = self
            .judging
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        // Made only if taken: one that is made is dropped, and gives the right back, another thread's too.
        taken.is_ok().then(|| Judge(&self.judging))
    }

    /// Raises the word to the end of what was drawn from a line that is closed.
    fn raise(&self, numbers: &Numbers, axis: &impl Axis, word: &Word, judged: &Judged) {
        if let Some(end) = self.end_of(numbers, axis, judged) {
            word.raise(end);
        }
    }

    /// Returns the last number of the last unit that was drawn from a line, up to now.
    fn end_of(&self, numbers: &Numbers, axis: &impl Axis, judged: &Judged) -> Option<u64> {
        let line = judged.line.as_ref()?;
        let reached = axis.reached(line, self.time_namespace)?;
        let reached = line.instant_after(S::POINT, reached)?;
        if reached < S::FIRST {
            return None;
        }
        // Past the end of the range no stripe was drawn; those before it are below.
        let position = S::position(reached, numbers.mask());
        Some(position.map_or(u64::MAX, |position| numbers.end(position)))
    }

    /// Issues the word's next number, which is above all that this call can know of, if `may` permits it.
    ///
    /// It is at least the `floor` above the last one, which it is given, or above 0.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    pub(crate) fn issue<E: From<Exhausted>>(
        &self,
        axis: &impl Axis,
        word: &Word,
        floor: impl Fn(u64) -> Result<u64, E>,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let last = word.last();
        if self.is_word_alone() {
            let is_alone = |lost| self.stays_alone(lost, axis);
            let issued = word.issue_if(last, floor(last)?, is_alone, &may)?;
            if let Some(issued) = issued {
                return Ok(issued);
            }
        }
        self.issue_beside(axis, word, floor(0)?, may)
    }

    /// As [`issue`](Self::issue), where stripes are drawn beside the word, or soon will be.
    #[inline(never)]
    fn issue_beside<E: From<Exhausted>>(
        &self,
        axis: &impl Axis,
        word: &Word,
        floor: u64,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let Some(numbers) = &self.numbers else {
            return Err(Exhausted.into());
        };
        let floor = floor.max(self.reach(numbers, axis, word));
        let issued = word.issue_from(floor, |least| numbers.of_word(least), may)?;
        self.turned();
        Ok(issued)
    }

    /// Returns a number that is above every stripe's that this call can know of, or the word is.
    fn reach(&self, numbers: &Numbers, axis: &impl Axis, word: &Word) -> u64 {
        let judged = self.kept.load();
        let Some(last) = judged.line else {
            return 0;
        };
        if axis.generation() != judged.generation && self.let_go(numbers, axis, word) {
            return 0;
        }
        let now = axis
            .checked_count()
            .and_then(|count| last.instant_at(S::POINT, count));
        if let Some(position) = now.and_then(|now| S::position(now, numbers.mask())) {
            return numbers.begin(position);
        }
        self.end_of(numbers, axis, &judged)
            .map_or(0, |end| end.saturating_add(1))
    }

    /// Raises the word above the stripes of a line that is closed, and lets go of the line; returns false where
    /// there is none, or another thread is at it.
    #[cold]
    #[inline(never)]
    fn let_go(&self, numbers: &Numbers, axis: &impl Axis, word: &Word) -> bool {
        let Some(_judge) = self.begin_judging() else {
            return false;
        };
        let judged = self.kept.load();
        if judged.line.is_some() {
            if axis.generation() == judged.generation {
                return false;
            }
            self.raise(numbers, axis, word, &judged);
            self.kept.store(Judged {
                line: None,
                ..judged
            });
        }
        true
    }

    /// Returns a number that no stamp issued so far is above.
    pub(crate) fn last(&self, axis: &impl Axis, word: &Word) -> u64 {
        // Before the word, which is raised before a line is let go.
        let drawn = self.numbers.as_ref().and_then(|numbers| {
            let judged = self.kept.load();
            self.end_of(numbers, axis, &judged)
        });
        word.last().max(drawn.unwrap_or(0))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use core::cell::Cell;

    use super::axis::script::Script;
    use super::*;
    use crate::clock::commits::Latest;
    use crate::clock::latch::Point;
    use crate::time::Timestamp;

    /// Where the word begins: behind all that stripes are drawn from.
    const BEGUN: u64 = 100;

    fn always() -> (Stripes<Latest>, Word) {
        let stripes = Stripes::new(Striping::Always, || Some(28), 0);
        (stripes, Word::new(BEGUN))
    }

    /// A line that was judged, and a counter that moves on by so much with each reading from then on.
    fn opened(step: i64) -> (Stripes<Latest>, Word, Script) {
        let ((stripes, word), axis) = (always(), Script::new(40));
        assert!(draw(&stripes, &axis, &word).is_some());
        axis.step.set(step);
        (stripes, word, axis)
    }

    /// Draws a stripe above 0, of calm lines.
    fn draw<S: Scale>(stripes: &Stripes<S>, axis: &Script, word: &Word) -> Option<u64> {
        draw_above(stripes, axis, word, 0)
    }

    fn draw_above<S: Scale>(
        stripes: &Stripes<S>,
        axis: &Script,
        word: &Word,
        above: u64,
    ) -> Option<u64> {
        let drawn: Result<_, Exhausted> = stripes.draw(axis, word, above, |_| Ok(()), |_, _| true);
        drawn.unwrap().map(|(number, _)| number)
    }

    fn issue<S: Scale>(stripes: &Stripes<S>, axis: &Script, word: &Word) -> u64 {
        let issued: Result<_, Exhausted> = stripes.issue(axis, word, |_| Ok(1), |_| Ok(()));
        issued.unwrap()
    }

    fn numbers<S: Scale>(stripes: &Stripes<S>) -> &Numbers {
        stripes.numbers.as_ref().unwrap()
    }

    /// Returns the unit of the latest end that a script's line has at a count.
    fn unit_at(stripes: &Stripes<Latest>, axis: &Script, count: i64) -> u64 {
        let latest = axis.latest_at(count).unwrap();
        let numbers = numbers(stripes);
        numbers.begin(Latest::position(latest, numbers.mask()).unwrap())
    }

    #[test]
    fn a_stripe_is_its_number_in_the_unit_that_was_counted() {
        for stripe in [0, 1, 27] {
            let (stripes, word, axis) = opened(40);
            axis.stripe.set(stripe);
            let unit = unit_at(&stripes, &axis, axis.count.get());
            let number = unit + u64::from(stripe);
            assert_eq!(draw(&stripes, &axis, &word), Some(number));
            // The counts of one reading are a unit apart: nothing had to be waited for.
            assert_eq!(axis.waited.get(), 0);
            assert_eq!(word.last(), BEGUN);
        }
        let ((stripes, word), axis) = (always(), Script::new(40));
        axis.stripe.set(28);
        assert_eq!(draw(&stripes, &axis, &word), None);
    }

    #[test]
    fn a_stripe_is_above_the_word_and_what_was_asked_for_or_is_not_drawn() {
        for (word, above, drawn) in [(-1, -1, true), (0, -1, false), (-1, 0, false)] {
            let (stripes, _, axis) = opened(40);
            axis.stripe.set(3);
            let number = unit_at(&stripes, &axis, axis.count.get()) + 3;
            let [word, above] = [word, above].map(|by| number.checked_add_signed(by).unwrap());
            let found = draw_above(&stripes, &axis, &Word::new(word), above);
            assert_eq!(found, drawn.then_some(number), "{word} {above}");
        }
    }

    #[test]
    fn a_stripe_waits_until_its_unit_is_over() {
        for step in [1, 7, 31] {
            let (stripes, word, axis) = opened(step);
            let unit = unit_at(&stripes, &axis, axis.count.get());
            assert_eq!(draw(&stripes, &axis, &word), Some(unit));
            assert!(axis.waited.get() > 0);
            assert!(unit_at(&stripes, &axis, axis.last_read()) > unit, "{step}");
        }
        // Two counts a unit apart tell that by themselves.
        let (stripes, word, axis) = opened(32);
        assert!(draw(&stripes, &axis, &word).is_some());
        assert_eq!(axis.waited.get(), 0);
    }

    #[test]
    fn a_counter_that_stands_still_is_waited_for_once_a_line() {
        let (stripes, word, axis) = opened(0);
        assert_eq!(draw(&stripes, &axis, &word), None);
        assert_eq!(axis.waited.get(), LONGEST_WAIT);
        assert_eq!(draw(&stripes, &axis, &word), None);
        assert_eq!(axis.waited.get(), LONGEST_WAIT);
        // Of the next line stripes are drawn again.
        axis.replace(Some(1_000));
        axis.step.set(40);
        assert!(draw(&stripes, &axis, &word).is_some());
    }

    #[test]
    fn nothing_is_drawn_that_the_end_of_its_line_overtakes() {
        let ((stripes, word), axis) = (always(), Script::new(1));
        axis.void_after.set(Some(3));
        assert_eq!(draw(&stripes, &axis, &word), None);
        assert!(axis.waited.get() > 0);
    }

    #[test]
    fn no_stripe_is_drawn_from_a_line_that_is_not_calm_or_has_other_processors() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        let drawn: Result<_, Exhausted> = stripes.draw(&axis, &word, 0, |_| Ok(()), |_, _| false);
        assert!(drawn.unwrap().is_none());
        axis.numbers.set(false);
        assert_eq!(draw(&stripes, &axis, &word), None);
        axis.numbers.set(true);
        assert!(draw(&stripes, &axis, &word).is_some());
    }

    #[test]
    fn what_is_drawn_from_a_lower_line_is_above_what_was_drawn_from_the_one_before() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        let before = draw(&stripes, &axis, &word).unwrap();
        axis.replace(Some(-10_000));
        assert_eq!(draw(&stripes, &axis, &word), None);
        assert!(word.last() > before);
        assert!(issue(&stripes, &axis, &word) > before);
        axis.count.set(axis.count.get() + 20_000);
        assert!(draw(&stripes, &axis, &word).unwrap() > word.last());
    }

    #[test]
    fn a_line_is_judged_once() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        let judged = Cell::new(0);
        let is_calm = |_: &StripeReading, _: &StripeLine| {
            judged.set(judged.get() + 1);
            true
        };
        let drawn = || -> Option<u64> {
            let drawn: Result<_, Exhausted> = stripes.draw(&axis, &word, 0, |_| Ok(()), is_calm);
            drawn.unwrap().map(|(number, _)| number)
        };
        assert!(drawn().is_some() && drawn().is_some());
        assert_eq!(judged.get(), 1);
        axis.replace(Some(1_000));
        assert!(drawn().is_some() && drawn().is_some());
        assert_eq!(judged.get(), 2);
        // One that another thread judged, and opened, meanwhile.
        let open = stripes.open.swap(0, Ordering::Relaxed);
        assert_eq!(drawn(), None);
        stripes.open.store(open, Ordering::Relaxed);
        let numbers = numbers(&stripes);
        let reading = stripes.judge(numbers, &axis, &word, is_calm);
        assert_eq!(reading.map(|reading| reading.generation()), Some(open));
        assert_eq!(judged.get(), 2);
    }

    #[test]
    fn the_word_goes_on_above_the_unit_that_stripes_have_come_to() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        let stripe = draw(&stripes, &axis, &word).unwrap();
        let unit = unit_at(&stripes, &axis, axis.count.get());
        let issued = issue(&stripes, &axis, &word);
        assert!(issued > stripe && issued >= unit);
        assert_eq!(issued & 31, 28);
        assert_eq!(word.last(), issued);
        // A counter that has not been compared lately tells of the unit after.
        let stripe = draw(&stripes, &axis, &word).unwrap();
        axis.is_checked.set(false);
        assert!(issue(&stripes, &axis, &word) > (stripe | 31));
    }

    #[test]
    fn a_line_that_is_over_is_let_go_and_what_was_drawn_from_it_stays_covered() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        let stripe = draw(&stripes, &axis, &word).unwrap();
        assert!(stripes.last(&axis, &word) >= stripe);
        axis.replace(None);
        let issued = issue(&stripes, &axis, &word);
        assert!(issued > stripe);
        assert!(stripes.kept.load().line.is_none());
        // What time passes from then on moves the word no more.
        axis.count.set(axis.count.get() + 100_000);
        assert_eq!(stripes.last(&axis, &word), issued);
        assert_eq!(issue(&stripes, &axis, &word), issued + 1);
    }

    #[test]
    fn a_line_in_force_is_not_let_go_nor_one_that_another_thread_judges() {
        let ((stripes, word), axis) = (always(), Script::new(40));
        assert!(draw(&stripes, &axis, &word).is_some());
        let numbers = numbers(&stripes);
        assert!(!stripes.let_go(numbers, &axis, &word));
        assert!(stripes.kept.load().line.is_some());
        axis.replace(None);
        let judge = stripes.begin_judging();
        assert!(!stripes.let_go(numbers, &axis, &word));
        drop(judge);
        assert!(stripes.let_go(numbers, &axis, &word));
        assert!(stripes.kept.load().line.is_none());
    }

    /// Counts from the epoch on alone, as a hybrid clock does.
    #[derive(Debug)]
    struct FromEpoch;

    impl Scale for FromEpoch {
        const BITS: core::ops::RangeInclusive<u32> = 2..=6;
        const FIRST: Timestamp = Timestamp::UNIX_EPOCH;
        const POINT: Point = Point::Latest;

        fn position(instant: Timestamp, mask: u64) -> Option<u64> {
            u64::try_from(instant.unix_nanos()).ok()?.checked_add(mask)
        }

        fn lasting(numbers: u64) -> u64 {
            numbers
        }
    }

    #[test]
    fn a_line_that_came_to_the_first_number_covers_its_unit_and_one_before_it_nothing() {
        let axis = Script::new(0);
        let latest = axis.latest_at(axis.count.get()).unwrap();
        for (ahead, end) in [(-1, None), (0, Some(31)), (1, Some(63))] {
            axis.replace(Some(ahead - latest.unix_nanos()));
            let stripes = Stripes::<FromEpoch>::new(Striping::Always, || Some(28), 0);
            let judged = Judged {
                generation: axis.generation(),
                line: axis.line_of(axis.generation()),
            };
            let found = stripes.end_of(numbers(&stripes), &axis, &judged);
            assert_eq!(found, end, "{ahead}");
        }
    }

    #[test]
    fn a_clock_turns_to_stripes_where_two_exchanges_in_a_row_were_lost_and_a_line_is_read() {
        let fresh = || Stripes::<Latest>::new(Striping::OnContention, || Some(28), 0);
        let voided = Script::new(40);
        voided.replace(None);
        for (lost, axis, stays) in [
            (1, &Script::new(40), true),
            (2, &voided, true),
            (2, &Script::new(40), false),
        ] {
            let stripes = fresh();
            assert_eq!(stripes.stays_alone(lost, axis), stays, "{lost}");
            assert_eq!(stripes.is_word_alone(), stays, "{lost}");
            assert!(!stripes.are_drawn());
        }
        // The first exchange for a number of the word's own completes the turn.
        let (stripes, axis, word) = (fresh(), Script::new(40), Word::new(BEGUN));
        assert_eq!(issue(&stripes, &axis, &word), BEGUN + 1);
        assert!(!stripes.stays_alone(LOST_IN_A_ROW, &axis));
        assert_eq!(issue(&stripes, &axis, &word) & 31, 28);
        assert!(stripes.are_drawn());
        // Where there are no stripes it never turns.
        let none = Stripes::<Latest>::new(Striping::OnContention, || None, 0);
        assert!(none.stays_alone(LOST_IN_A_ROW, &axis));
    }

    #[test]
    fn a_right_to_judge_that_is_taken_stays_with_its_owner() {
        let stripes = Stripes::<Latest>::new(Striping::Always, || Some(2), 0);
        let owned = stripes.begin_judging();
        assert!(owned.is_some());
        for _ in 0..2 {
            assert!(stripes.begin_judging().is_none());
        }
        drop(owned);
        assert!(stripes.begin_judging().is_some());
    }
}
