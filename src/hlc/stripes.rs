//! Stamps without a shared word: each processor draws its own from time itself.
//!
//! Threads that tick one clock take turns at its word, and each turn costs a transfer of a cache line. Where
//! the clock goes through counts of the processor's counter (A6: the counts of all processors agree, never stand
//! still and never run back) stamps can be told apart by the time, and by the processor that counted.
//!
//! # Numbers
//!
//! *Fine* is the middle of an interval in 1/4096 µs, which is the unit of a stamp, rounded down. A *unit* is
//! 2ᵇ of them, with 4 <= b <= 9: 3.9 ns to 125 ns. Of the 2ᵇ numbers of a unit the first are the
//! *stripes*', one for each processor that there can be; the others, an eighth or more, are the *word*'s. (Where
//! no instruction reads the processor's number along with the count, a stripe is a thread's, of up to 56 at a
//! time.) So the two never issue one number, and may be mixed at any time.
//!
//! # Two ways to a stamp
//!
//! A **stripe** reads, under an open gate of the latch, a line through counts, a count `n` and the
//! processor's number, and takes that processor's number in the unit of the line's middle at `n`. It needs that to be
//! above the word, and waits until the middle at another count lies in a later unit. Then it returns the
//! stamp. It writes nothing that another processor reads. The other count need not wait for what precedes it:
//! whenever it was read, the unit was over by then, and no other thread learns of the stamp before.
//!
//! The **word** takes its next number that is above the last one, above a remote stamp or a commit's floor, and not
//! below the *reach*: the unit, on the line that stripes were last drawn from, of a count read in this very
//! call. It is for everything else: where the word is ahead, where there is no line, for commits, for remote
//! stamps that time has not passed yet, for a thread without a number, and after a wait in vain.
//!
//! # Lines that change
//!
//! The next line may lie lower, so before stripes are drawn from a line it is *judged*, once: the word is raised
//! to the end of the unit that the line before it had come to, by a count read after that line was closed;
//! the forward guard compares the line's middle with raw time; and the processor's number is compared with
//! the kernel's. What was drawn from a line stays covered whatever becomes of it: it is kept here until the word was
//! raised above it, through voids, contradictions and times without any claim.
//!
//! A counter that jumped tells nothing of how far stripes were drawn. Raw time does then: a reader counts on
//! for a millisecond at most after the counter was last found where raw time is.
//!
//! # Proof
//!
//! *Stripes of one line.* The middle never falls back from one count to a later one. If stripe `a` was returned
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
//! # The turn
//!
//! A clock may begin with the word alone, which then takes every number, and turn to stripes later, once. `mode`
//! is 0, then 1, then 2. From 1 on, the word takes only numbers of its own; the first exchange that does so
//! makes it 2, and only then stripes are drawn. A thread that still takes any number loaded the word, and
//! then found 0. Had its load met that first exchange, or one after it, it would have found 1 (the exchange
//! releases what its thread found before, and all changes of the word are exchanges). So its own exchange comes before, and
//! its number is below every stripe; or it fails.

use super::timestamp::{fine_bits, instant_of_fine};
use super::word::{Exhausted, Word};
use crate::clock::{Clock, StampAxis, StripeReading};
use crate::primitive::{AtomicI64, AtomicU64, Ordering, fence};
use crate::time::Timestamp;

#[cfg(all(test, loom))]
mod loom_model;

/// Whether stamps are drawn without a shared word, by [`HybridClockBuilder::striping`].
///
/// Threads that tick one clock take turns at one word, and each turn costs the transfer of a cache line: some
/// 60 ns between two processors, and more the more there are. *Stripes* are stamps that each processor draws from
/// its own counter, without writing anything that another one reads: what they cost does not grow with the
/// number of threads. They have the layout of all stamps, and the two kinds mix at any time.
///
/// What it takes: the machine's time is counted by a counter that programs may read
/// ([`ReadPath`](crate::clock::ReadPath)), a source vouches for the clock, and there are up to 448 processors.
/// Elsewhere, and for the time that this does not hold, the word serves.
///
/// # What is assumed
///
/// That stamps are unique (H8), and that what happened before has the lesser one (H1), needs no clock at all as
/// long as the word alone serves: an atomic sees to it. Of stripes both rest on A6: the counters of all
/// processors agree, and never stand still or run back, up to the next look even where the kernel leaves the
/// counter. So they are drawn only where you ask for them.
///
/// [`HybridClockBuilder::striping`]: super::HybridClockBuilder::striping
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

/// How many bits of a stamp are within a unit, at least: 3.9 ns, less than two readings of a counter take.
const LEAST_BITS: u32 = 4;

/// And at most: 125 ns, less than the switch from one thread to another takes.
const MOST_BITS: u32 = 9;

/// How often the counter is read in vain before the word serves: it stands still, as no real one does.
const LONGEST_WAIT: usize = 1_000;

/// How many lost exchanges in a row make a clock turn to stripes.
const LOST_IN_A_ROW: u32 = 2;

const WORD_ALONE: u64 = 0;
const TURNING: u64 = 1;
const DRAWN: u64 = 2;

/// Which numbers of a unit are whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The bits of a stamp within a unit.
    mask: u64,
    stripes: u64,
}

impl Numbers {
    /// Shares a unit among so many stripes and the word; `None` for more than there is room for.
    pub(super) fn among(stripes: u32) -> Option<Self> {
        let stripes = u64::from(stripes);
        (LEAST_BITS..=MOST_BITS)
            .map(|bits| 1_u64 << bits)
            .find(|unit| stripes <= unit - unit / 8)
            .map(|unit| Self {
                mask: unit - 1,
                stripes,
            })
    }

    #[inline]
    fn of_stripe(self, fine: u64, stripe: u32) -> Option<u64> {
        let stripe = u64::from(stripe);
        // A processor that was not possible when the clock was built: there is no number for it.
        (stripe < self.stripes).then_some(self.begin(fine) | stripe)
    }

    /// Returns the word's first number from `least` on.
    const fn of_word(self, least: u64) -> u64 {
        let within = least & self.mask;
        if within < self.stripes {
            // No carry: the last number of each unit is the word's.
            least - within + self.stripes
        } else {
            least
        }
    }

    /// Returns the first number of the unit.
    const fn begin(self, fine: u64) -> u64 {
        fine & !self.mask
    }

    /// Returns the last number of the unit.
    const fn end(self, fine: u64) -> u64 {
        fine | self.mask
    }
}

/// What stripes are counted by: a clock, or the model of one.
pub(super) trait Axis {
    /// Reads a line through counts under its open gate, and the stripe.
    fn read(&self) -> Option<StripeReading>;
    /// Returns the line of this generation, if it is in force.
    fn axis_of(&self, generation: i64) -> Option<StampAxis>;
    /// Reads the counter, perhaps before what precedes it has been done, but not after what follows it is seen.
    fn count_early(&self) -> i64;
    /// Reads the counter, if it was found where raw time is a moment ago.
    fn checked_count(&self) -> Option<i64>;
    /// Returns the latest middle that can have been drawn from a line by now; raw time tells it only in this
    /// time namespace.
    fn reached(&self, axis: &StampAxis, time_namespace: u64) -> Option<Timestamp>;
    /// Returns the generation of the line in force.
    fn generation(&self) -> i64;
    /// Returns false if stripes have other numbers than the processors that they are of.
    fn numbers_stripes(&self) -> bool;
}

impl Axis for Clock {
    #[inline]
    fn read(&self) -> Option<StripeReading> {
        self.read_striped()
    }

    fn axis_of(&self, generation: i64) -> Option<StampAxis> {
        Self::axis_of(self, generation)
    }

    #[inline]
    fn count_early(&self) -> i64 {
        Self::count_early(self)
    }

    fn checked_count(&self) -> Option<i64> {
        Self::checked_count(self)
    }

    fn reached(&self, axis: &StampAxis, time_namespace: u64) -> Option<Timestamp> {
        axis.reached(&self.counted(), || {
            self.identity().time_namespace == time_namespace
        })
    }

    fn generation(&self) -> i64 {
        Self::generation(self)
    }

    fn numbers_stripes(&self) -> bool {
        Self::numbers_stripes(self)
    }
}

/// How stamps are drawn beside the word; see the module's documentation.
///
/// The first three are read by every stamp and hardly ever written, so they share no cache line with the word.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Stripes {
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
}

/// The line that stripes were last drawn from, kept until the word was raised above them.
///
/// Two slots: one is current, and the next is written to the other. A reader that finds the same one
/// current afterwards has copied it whole.
#[derive(Debug)]
struct Kept {
    current: AtomicU64,
    slots: [[AtomicI64; Judged::WORDS]; 2],
}

/// The last line that was judged, and whether stripes from it may be above the word still.
#[derive(Clone, Copy, Debug)]
struct Judged {
    generation: i64,
    axis: Option<StampAxis>,
}

impl Judged {
    const WORDS: usize = 2 + StampAxis::WORDS;
}

impl Kept {
    fn new() -> Self {
        Self {
            current: AtomicU64::new(0),
            slots: core::array::from_fn(|_| core::array::from_fn(|_| AtomicI64::new(0))),
        }
    }

    const fn slot(&self, current: u64) -> &[AtomicI64; Judged::WORDS] {
        let [even, odd] = &self.slots;
        if current % 2 == 0 { even } else { odd }
    }

    fn load(&self) -> Judged {
        loop {
            // Acquire: a reader that finds a line kept, or let go, finds the word raised above the one before.
            let current = self.current.load(Ordering::Acquire);
            let [generation, has_axis, axis @ ..] = self.slot(current);
            let load = |word: &AtomicI64| word.load(Ordering::Relaxed);
            let judged = Judged {
                generation: load(generation),
                axis: (load(has_axis) != 0)
                    .then(|| StampAxis::from_words(axis.each_ref().map(load))),
            };
            // Pairs with the release fence in `store`: a copy with a word of the next but one finds that
            // `current` has moved on.
            fence(Ordering::Acquire);
            if self.current.load(Ordering::Relaxed) == current {
                return judged;
            }
        }
    }

    /// Keeps another one; by one thread at a time.
    fn store(&self, judged: Judged) {
        let next = self.current.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        let has_axis = i64::from(judged.axis.is_some());
        let axis = judged
            .axis
            .map_or([0; StampAxis::WORDS], StampAxis::to_words);
        let words = [judged.generation, has_axis].into_iter().chain(axis);
        for (word, value) in self.slot(next).iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.current.store(next, Ordering::Release);
    }
}

/// The right to judge, given back when dropped.
struct Judge<'a>(&'a AtomicU64);

impl Drop for Judge<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Stripes {
    /// Creates stripes as the settings have them; the word takes every number where there can be none.
    pub(super) fn new(striping: Striping, stripes: Option<u32>, time_namespace: u64) -> Self {
        let numbers = match striping {
            Striping::Never => None,
            Striping::OnContention | Striping::Always => stripes.and_then(Numbers::among),
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
        }
    }

    /// Returns true if the word takes every number; to be asked after the word was loaded.
    #[inline]
    pub(super) fn is_word_alone(&self) -> bool {
        self.mode.load(Ordering::Acquire) == WORD_ALONE
    }

    /// As [`is_word_alone`](Self::is_word_alone), after so many exchanges were lost in a row.
    pub(super) fn stays_alone(&self, lost: u32, axis: &impl Axis) -> bool {
        // Where stripes cannot be drawn the word had better keep all numbers.
        if lost >= LOST_IN_A_ROW && self.numbers.is_some() && axis.read().is_some() {
            self.turn();
        }
        self.is_word_alone()
    }

    /// Returns true if stripes are drawn.
    #[inline]
    pub(super) fn are_drawn(&self) -> bool {
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
    #[inline]
    pub(super) fn draw<E>(
        &self,
        axis: &impl Axis,
        word: &Word,
        above: u64,
        may: impl Fn(u64) -> Result<(), E>,
        is_calm: impl Fn(&StripeReading, &StampAxis) -> bool,
    ) -> Result<Option<(u64, StripeReading)>, E> {
        let Some(reading) = axis.read() else {
            return Ok(None);
        };
        // Already here, for it takes longer than all that follows, and mostly lies in a later unit.
        let mut count = axis.count_early();
        let Some((number, due)) = self.number(axis, word, reading, is_calm) else {
            return Ok(None);
        };
        // Loaded after the line was found judged, so that what was drawn from the ones before it is below.
        if number <= word.last().max(above) {
            return Ok(None);
        }
        // Asked before the wait: what it may take to store a bound shall not come on top.
        may(number)?;
        for _ in 0..LONGEST_WAIT {
            match reading.middle_at(count) {
                Some(middle) if middle >= due => return Ok(Some((number, reading))),
                Some(_) => count = axis.count_early(),
                // The line ended in this very moment. The number is no one's then.
                None => return Ok(None),
            }
        }
        self.give_up(reading.generation());
        Ok(None)
    }

    /// Returns this stripe's number at a reading, and when its unit is over.
    #[inline]
    fn number(
        &self,
        axis: &impl Axis,
        word: &Word,
        reading: StripeReading,
        is_calm: impl Fn(&StripeReading, &StampAxis) -> bool,
    ) -> Option<(u64, Timestamp)> {
        let numbers = self.numbers?;
        let is_open = self.open.load(Ordering::Acquire) == reading.generation();
        if !is_open && !self.judge(numbers, axis, word, reading, is_calm) {
            return None;
        }
        let fine = fine_bits(reading.middle()?)?;
        let number = numbers.of_stripe(fine, reading.stripe())?;
        let due = instant_of_fine(numbers.end(fine).checked_add(1)?);
        Some((number, due))
    }

    /// Draws no more from this line: the counter stands still.
    #[cold]
    fn give_up(&self, generation: i64) {
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.open.compare_exchange(generation, 0, order, failed);
    }

    /// Finds out, once for each line, whether stripes may be drawn from it.
    #[cold]
    #[inline(never)]
    fn judge(
        &self,
        numbers: Numbers,
        axis: &impl Axis,
        word: &Word,
        reading: StripeReading,
        is_calm: impl Fn(&StripeReading, &StampAxis) -> bool,
    ) -> bool {
        let Some(_judge) = self.begin_judging() else {
            return false;
        };
        let before = self.kept.load();
        if reading.generation() <= before.generation {
            // Judged by another thread meanwhile; or an old reading, or a line that was given up.
            return self.open.load(Ordering::Acquire) == reading.generation();
        }
        let Some(line) = axis.axis_of(reading.generation()) else {
            return false;
        };
        if !is_calm(&reading, &line) || !axis.numbers_stripes() {
            return false;
        }
        self.raise(numbers, axis, word, &before);
        self.kept.store(Judged {
            generation: reading.generation(),
            axis: Some(line),
        });
        // Release: a stripe of this line finds the word raised above those of the line before.
        self.open.store(reading.generation(), Ordering::Release);
        true
    }

    fn begin_judging(&self) -> Option<Judge<'_>> {
        let taken = self
            .judging
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        // Made only if taken: one that is made is dropped, and gives the right back, another thread's too.
        taken.is_ok().then(|| Judge(&self.judging))
    }

    /// Raises the word to the end of what was drawn from a line that is closed.
    fn raise(&self, numbers: Numbers, axis: &impl Axis, word: &Word, judged: &Judged) {
        if let Some(end) = self.end_of(numbers, axis, judged) {
            word.raise(end);
        }
    }

    /// Returns the last number of the last unit that was drawn from a line, up to now.
    fn end_of(&self, numbers: Numbers, axis: &impl Axis, judged: &Judged) -> Option<u64> {
        let reached = axis.reached(judged.axis.as_ref()?, self.time_namespace)?;
        if reached < Timestamp::UNIX_EPOCH {
            return None;
        }
        // Past the end of the range no stripe was drawn; those before it are below.
        Some(fine_bits(reached).map_or(u64::MAX, |fine| numbers.end(fine)))
    }

    /// Issues the word's next number, which is above all that this call can know of, if `may` permits it.
    pub(super) fn issue_beside<E: From<Exhausted>>(
        &self,
        axis: &impl Axis,
        word: &Word,
        floor: u64,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let Some(numbers) = self.numbers else {
            return Err(Exhausted.into());
        };
        let floor = floor.max(self.reach(numbers, axis, word));
        let issued = word.issue_from(floor, |least| numbers.of_word(least), may)?;
        self.turned();
        Ok(issued)
    }

    /// Returns a number that is above every stripe's that this call can know of, or the word is.
    fn reach(&self, numbers: Numbers, axis: &impl Axis, word: &Word) -> u64 {
        let judged = self.kept.load();
        let Some(last) = judged.axis else {
            return 0;
        };
        if axis.generation() != judged.generation && self.let_go(numbers, axis, word) {
            return 0;
        }
        let now = axis.checked_count().and_then(|count| last.middle_at(count));
        if let Some(fine) = now.and_then(fine_bits) {
            return numbers.begin(fine);
        }
        self.end_of(numbers, axis, &judged)
            .map_or(0, |end| end.saturating_add(1))
    }

    /// Raises the word above the stripes of a line that is closed, and lets go of the line; returns false where
    /// there is none, or another thread is at it.
    #[cold]
    #[inline(never)]
    fn let_go(&self, numbers: Numbers, axis: &impl Axis, word: &Word) -> bool {
        let Some(_judge) = self.begin_judging() else {
            return false;
        };
        let judged = self.kept.load();
        if judged.axis.is_some() {
            if axis.generation() == judged.generation {
                return false;
            }
            self.raise(numbers, axis, word, &judged);
            self.kept.store(Judged {
                axis: None,
                ..judged
            });
        }
        true
    }

    /// Returns a number that no stamp issued so far is above.
    pub(super) fn last(&self, axis: &impl Axis, word: &Word) -> u64 {
        // Before the word, which is raised before a line is let go.
        let drawn = self.numbers.and_then(|numbers| {
            let judged = self.kept.load();
            self.end_of(numbers, axis, &judged)
        });
        word.last().max(drawn.unwrap_or(0))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_right_to_judge_that_is_taken_stays_with_its_owner() {
        let stripes = Stripes::new(Striping::Always, Some(2), 0);
        let owned = stripes.begin_judging();
        assert!(owned.is_some());
        for _ in 0..2 {
            assert!(stripes.begin_judging().is_none());
        }
        drop(owned);
        assert!(stripes.begin_judging().is_some());
    }
}
