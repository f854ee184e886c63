//! The latch: one claim, read by all threads, replaced by one looker at a time, never waited for.
//!
//! # Slots
//!
//! There are several slots, and `head` names the current one together with a generation that only
//! ever grows. A looker *owns* a slot that is not current, fills it, and makes it current by one
//! compare-and-swap of `head` from the value that it began with. If another looker was faster it
//! lets its slot go. So no thread waits for a stopped looker, and one that wakes up late finds
//! `head` moved and changes nothing. Owners are told apart by process id: what a fork copied of a
//! looker in the middle has no owner in the child, and is taken again.
//!
//! # Readers
//!
//! A reader loads `head`, copies the current slot's line, reads the clock and then looks at the
//! slot's *gate*. An open gate with the right generation says two things at once: the line that was
//! copied is whole, and no looker had begun to replace it when the clock was read.
//!
//! # The gate, or why `after(t)` never un-happens
//!
//! A replaced claim's earliest end must not have gone further than the flat floor that is put under
//! its successor. The replacer cannot know by itself when the last reader used the old claim. So it
//! first *marks* the gate as closing, then reads raw time, and writes that instant, `rc`, into the
//! gate, once and for all by compare-and-swap. A reader that found the gate open had read the clock
//! before the mark was made, hence before `rc` was read. A reader that meets the mark fixes `rc`
//! itself if it is still open (by a raw time read after it met the mark), and answers from the old
//! claim with its earliest end held at `rc`. The floor is the old claim's earliest end at `rc`: no
//! reader ever went beyond it, and none had to wait.
//!
//! That holds for each publication, also one that leaves the claim as it is: else a reader that slept
//! through it would still find its own gate open after that of the next generation was closed.
//!
//! The gate is one word, so that this is one load for a reader:
//!
//! | value | meaning |
//! |---|---|
//! | `−2g` | generation `g` is whole and open |
//! | `−2g − 1` | generation `g` is closing, `rc` not yet fixed |
//! | `0` and more | closed at raw instant `rc`, or so many counts after the line's first |
//! | `i64::MIN` | being filled |
//!
//! Generations are never reused, so a compare-and-swap that comes too late cannot hit the wrong one.
//!
//! # Two axes
//!
//! A line goes through raw time or through counts of the counter that raw time is counted by, and says
//! itself which. A reader reads whichever clock the line asks for, so nothing else has to be agreed on.
//! The two lines of one claim do not lie on each other: what the counter leaves open stands on both sides
//! of one of them. So every line closes the one before it unless that is the same line, an anchor drawn
//! anew as much as a claim.

use crate::machine::{Counted, after_stores, load_after};
use crate::primitive::{AtomicI64, AtomicU64, Ordering, fence};

mod anchor;
mod line;
mod watch;

pub(crate) use anchor::{Anchor, Pair};
pub(crate) use line::point::Point;
pub(crate) use line::{COUNTER_LIMIT, Line};
pub(in crate::clock) use watch::{CountWatch, Watch};

/// How many slots a clock has: one is current, the others are there for lookers that were stopped.
pub(crate) const SLOTS: usize = 8;

const BEING_FILLED: i64 = i64::MIN;

/// No looker owns the slot.
const FREE: u64 = 0;

const fn open(generation: i64) -> i64 {
    -2 * generation
}

const fn closing(generation: i64) -> i64 {
    -2 * generation - 1
}

/// What `head` says: which generation is current, and in which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(u64);

impl Head {
    #[allow(clippy::cast_possible_truncation, reason = "less than SLOTS")]
    const fn slot(self) -> usize {
        // A mask: `SLOTS` is a power of two.
        (self.0 % SLOTS as u64) as usize
    }

    #[allow(clippy::cast_possible_wrap, reason = "an eighth of a u64 fits")]
    const fn generation(self) -> i64 {
        // From 1 on: −0 would not tell an open gate from one closed at 0.
        (self.0 / SLOTS as u64) as i64
    }

    const fn next(self, slot: usize) -> Self {
        Self((self.0 / SLOTS as u64 + 1) * SLOTS as u64 + slot as u64)
    }
}

/// A line, and how raw time follows from counts if it goes through those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) line: Line,
    /// The raw instant of the claim, and what its line through counts was drawn with.
    pub(crate) claimed_at: i64,
    pub(crate) anchor: Anchor,
}

impl Drawn {
    const WORDS: usize = 1 + Anchor::WORDS;

    /// A line through raw time, which needs nothing beside it.
    pub(crate) const fn plainly(line: Line) -> Self {
        Self {
            line,
            claimed_at: line.base(),
            anchor: Anchor::NONE,
        }
    }

    /// Returns the raw instant of a reading so long after the line's base, or a little later.
    #[inline]
    pub(crate) fn raw_at(&self, elapsed: i64) -> i64 {
        if self.line.counts() {
            self.anchor.raw_most(elapsed)
        } else {
            self.line.base().wrapping_add(elapsed)
        }
    }
}

/// One slot. The first eight words are what a reading touches: one cache line.
#[repr(align(64))]
#[derive(Debug)]
struct Slot<const STATE: usize> {
    gate: AtomicI64,
    line: [AtomicI64; Line::WORDS],
    beside: [AtomicI64; Drawn::WORDS],
    owner: AtomicU64,
    state: [AtomicI64; STATE],
}

impl<const STATE: usize> Slot<STATE> {
    fn new() -> Self {
        Self {
            gate: AtomicI64::new(BEING_FILLED),
            line: core::array::from_fn(|_| AtomicI64::new(0)),
            beside: core::array::from_fn(|_| AtomicI64::new(0)),
            owner: AtomicU64::new(FREE),
            state: core::array::from_fn(|_| AtomicI64::new(0)),
        }
    }

    #[inline]
    fn load_line(&self) -> Line {
        let words = self
            .line
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        Line::from_words(words)
    }

    /// Copies what stands beside a line, which only one through counts needs.
    #[inline]
    fn load_beside(&self, line: Line) -> Drawn {
        if !line.counts() {
            return Drawn::plainly(line);
        }
        let words = self
            .beside
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        let [claimed_at, anchor @ ..] = words;
        Drawn {
            line,
            claimed_at,
            anchor: Anchor::from_words(anchor),
        }
    }

    /// Copies as many of the first words of the state as there is room for.
    fn load_state(&self, words: &mut [i64]) {
        for (word, stored) in words.iter_mut().zip(&self.state) {
            *word = stored.load(Ordering::Relaxed);
        }
    }

    fn fill(&self, generation: i64, drawn: &Drawn, state: &[i64; STATE]) {
        self.gate.store(BEING_FILLED, Ordering::Relaxed);
        // Pairs with the readers' acquire fence: a reader that copied any word stored below finds,
        // when it then looks at the gate, at least this mark, and discards its copy.
        fence(Ordering::Release);
        for (word, value) in self.line.iter().zip(drawn.line.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        let beside = core::iter::once(drawn.claimed_at).chain(drawn.anchor.to_words());
        for (word, value) in self.beside.iter().zip(beside) {
            word.store(value, Ordering::Relaxed);
        }
        for (word, value) in self.state.iter().zip(state) {
            word.store(*value, Ordering::Relaxed);
        }
        // Readers come to it through `head`, whose release publishes it.
        self.gate.store(open(generation), Ordering::Relaxed);
    }
}

/// What a reader got: the line, the clock read while it was in force, and where it is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LatchReading {
    pub(crate) head: Head,
    pub(crate) drawn: Drawn,
    /// Both clocks; without the counter where the line goes through raw time.
    pub(crate) counted: Counted,
    /// What its gate holds, beyond which the earliest end must not move, if the line is being replaced.
    pub(crate) held_at: Option<i64>,
}

impl LatchReading {
    pub(crate) const fn line(&self) -> &Line {
        &self.drawn.line
    }

    /// Returns the raw instant, or the count, that the line is read at.
    pub(crate) const fn position(&self) -> i64 {
        position(&self.drawn.line, &self.counted)
    }
}

const fn position(line: &Line, counted: &Counted) -> i64 {
    if line.counts() {
        counted.after
    } else {
        counted.sample.raw
    }
}

/// The line in force as a reader copied it, before it read the clock that the line goes through.
#[derive(Debug)]
pub(crate) struct Glance<'a, const STATE: usize> {
    slot: &'a Slot<STATE>,
    head: Head,
    line: Line,
}

// A call and its result in memory cost as much as a third of the clock read between the two.
#[allow(clippy::inline_always, reason = "two steps of one read")]
impl<const STATE: usize> Glance<'_, STATE> {
    #[inline(always)]
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    /// Returns the generation of the line: each publication has its own, and they only grow.
    #[inline(always)]
    pub(crate) const fn generation(&self) -> i64 {
        self.head.generation()
    }

    /// Copies what it takes to tell raw time, as whole as the line is.
    #[inline(always)]
    pub(crate) fn drawn(&self) -> Drawn {
        self.slot.load_beside(self.line)
    }

    /// Returns true if all that was copied before the clock was read at this position is whole, and no
    /// looker had begun to replace it then; [`Latch::read`] sorts out the rest.
    #[inline(always)]
    pub(crate) fn holds_at(&self, position: i64) -> bool {
        // Pairs with the release fence in `fill`: the gate is not looked at before the words were copied.
        fence(Ordering::Acquire);
        // Nor before the clock was read, which no fence can promise: a counter read is not a load.
        load_after(&self.slot.gate, position) == open(self.head.generation())
    }
}

/// A slot owned by a looker; given back when dropped.
#[derive(Debug)]
pub(crate) struct Draft<'a, const STATE: usize, const N: usize = SLOTS> {
    latch: &'a Latch<STATE, N>,
    slot: usize,
}

/// The slots and which of them is current; see the module's documentation.
///
/// `N` is a power of two and at most [`SLOTS`].
#[derive(Debug)]
pub(crate) struct Latch<const STATE: usize, const N: usize = SLOTS> {
    head: AtomicU64,
    slots: [Slot<STATE>; N],
}

#[allow(
    clippy::inline_always,
    reason = "the first step of a read: see `Glance`"
)]
impl<const STATE: usize, const N: usize> Latch<STATE, N> {
    pub(crate) fn new(drawn: &Drawn, state: &[i64; STATE]) -> Self {
        let first = Head(0).next(0);
        let slots = core::array::from_fn(|_| Slot::new());
        let latch = Self {
            head: AtomicU64::new(first.0),
            slots,
        };
        latch.slot(first).fill(first.generation(), drawn, state);
        latch
    }

    #[inline]
    #[allow(clippy::indexing_slicing, reason = "the index is masked")]
    fn slot(&self, head: Head) -> &Slot<STATE> {
        &self.slots[head.slot() % N]
    }

    fn load_head(&self) -> Head {
        Head(self.head.load(Ordering::Acquire))
    }

    /// Copies the line in force; `None` if it answers at no instant.
    ///
    /// The copy may be torn, or of a claim that is being replaced: see [`Glance::holds_at`].
    #[inline(always)]
    pub(crate) fn glance(&self) -> Option<Glance<'_, STATE>> {
        let head = self.load_head();
        let slot = self.slot(head);
        let line = slot.load_line();
        // Not worth a clock read: the path that tells why there is no interval reads the clock once more.
        (!line.never_answers()).then_some(Glance { slot, head, line })
    }

    /// Returns what is current if its line answers at no instant.
    pub(crate) fn refusing(&self) -> Option<Head> {
        let head = self.load_head();
        let [.., span_and_state] = &self.slot(head).line;
        let refuses = Line::is_without_span(span_and_state.load(Ordering::Relaxed));
        refuses.then_some(head)
    }

    /// Copies a line with what stands beside it, if its generation is in force.
    pub(crate) fn drawn_of(&self, generation: i64) -> Option<Drawn> {
        let head = self.load_head();
        if head.generation() != generation {
            return None;
        }
        let slot = self.slot(head);
        let drawn = slot.load_beside(slot.load_line());
        fence(Ordering::Acquire);
        // A slot is refilled only after `head` has moved on.
        (self.head.load(Ordering::Relaxed) == head.0).then_some(drawn)
    }

    /// Returns the generation in force.
    pub(crate) fn generation(&self) -> i64 {
        self.load_head().generation()
    }

    /// Reads the clocks under the claim in force, whatever state it is in.
    ///
    /// Goes round again only if another claim was published meanwhile.
    pub(crate) fn read(&self, mut read: impl FnMut(&Line) -> Counted) -> LatchReading {
        loop {
            let head = self.load_head();
            let slot = self.slot(head);
            let line = slot.load_line();
            let drawn = slot.load_beside(line);
            let first = read(&line);
            fence(Ordering::Acquire);
            let gate_word = load_after(&slot.gate, position(&line, &first));
            fence(Ordering::Acquire);
            if gate_word == open(head.generation()) {
                return LatchReading {
                    head,
                    drawn,
                    counted: first,
                    held_at: None,
                };
            }
            // The mark was met; only a clock read after that is late enough to fix `rc`.
            let counted = read(&line);
            let mark = line.mark(position(&line, &counted));
            let Some(rc) = fix_close(&slot.gate, head, gate_word, mark) else {
                continue;
            };
            // The gate may belong to a later generation; it does not if `head` has not moved.
            fence(Ordering::Acquire);
            if self.head.load(Ordering::Relaxed) == head.0 {
                return LatchReading {
                    head,
                    drawn,
                    counted,
                    held_at: Some(rc),
                };
            }
        }
    }

    /// Copies the first words of the current slot's state, as many as there is room for, and tells the
    /// `head` that they were current under.
    ///
    /// Into a place of the caller's, since a signal handler's stack may not have room for all of them.
    pub(crate) fn copy_state(&self, words: &mut [i64]) -> Head {
        loop {
            let head = self.load_head();
            self.slot(head).load_state(words);
            fence(Ordering::Acquire);
            // A slot is refilled only after `head` has moved on.
            if self.head.load(Ordering::Relaxed) == head.0 {
                return head;
            }
        }
    }

    /// Takes a slot to fill; `None` if all are owned by lookers that were stopped.
    ///
    /// `process` is the caller's process id: a slot owned by any other one is what a fork copied of
    /// a looker that does not exist here.
    pub(crate) fn draft(&self, process: u32) -> Option<Draft<'_, STATE, N>> {
        let token = u64::from(process) + 1;
        for (index, slot) in self.slots.iter().enumerate() {
            let owner = slot.owner.load(Ordering::Relaxed);
            if owner == token || index == self.load_head().slot() {
                continue;
            }
            // Acquire: everything the last owner did comes before what we do.
            let taken =
                slot.owner
                    .compare_exchange(owner, token, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            let draft = Draft {
                latch: self,
                slot: index,
            };
            // Its last owner may have made it current before letting go: then it is not ours to
            // fill. It cannot become current from now on, since only its owner could do that.
            if index != self.load_head().slot() {
                return Some(draft);
            }
        }
        None
    }

    /// Closes the gate of the claim found at `head`; returns what it holds, a raw instant or how many counts
    /// after the line's first one.
    ///
    /// `None` if that claim is no longer in force.
    pub(crate) fn close(&self, head: Head, read: impl FnOnce(&Line) -> i64) -> Option<i64> {
        let slot = self.slot(head);
        let gate = &slot.gate;
        // Of this generation if the gate turns out to be: a slot that is filled anew has another gate first.
        let line = slot.load_line();
        let generation = head.generation();
        let marked = gate.compare_exchange(
            open(generation),
            closing(generation),
            Ordering::SeqCst,
            Ordering::Acquire,
        );
        let gate_word = match marked {
            Ok(_) => closing(generation),
            Err(gate_word) => gate_word,
        };
        // The clock is read only once the mark can be seen by everybody.
        fence(Ordering::SeqCst);
        after_stores();
        let rc = fix_close(gate, head, gate_word, line.mark(read(&line)))?;
        fence(Ordering::Acquire);
        (self.head.load(Ordering::Relaxed) == head.0).then_some(rc)
    }
}

impl<const STATE: usize, const N: usize> Draft<'_, STATE, N> {
    /// Makes this slot current if `head` still is; whether it was.
    pub(crate) fn publish(self, head: Head, drawn: &Drawn, state: &[i64; STATE]) -> bool {
        let next = head.next(self.slot);
        self.latch.slot(next).fill(next.generation(), drawn, state);
        // Release: a reader that finds the new head finds the slot filled. Acquire: what is done to
        // the old slot afterwards comes after every publication before.
        let swapped =
            self.latch
                .head
                .compare_exchange(head.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
        if swapped.is_err() {
            return false;
        }
        // What is current needs no owner: `draft` leaves it alone. Dropping `self` lets it go.
        true
    }
}

impl<const STATE: usize, const N: usize> Drop for Draft<'_, STATE, N> {
    fn drop(&mut self) {
        // Release: the next owner comes after everything that was done to the slot, and after its
        // publication if there was one.
        if let Some(slot) = self.latch.slots.get(self.slot) {
            slot.owner.store(FREE, Ordering::Release);
        }
    }
}

/// Reads or fixes the instant at which a gate closed, `rc` being one read after the mark was met; `None` if
/// the gate is not that of `head`'s generation.
fn fix_close(gate: &AtomicI64, head: Head, gate_word: i64, rc: i64) -> Option<i64> {
    let mark = closing(head.generation());
    if gate_word >= 0 {
        return Some(gate_word);
    }
    if gate_word != mark {
        return None;
    }
    match gate.compare_exchange(mark, rc, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(rc),
        Err(fixed) => (fixed >= 0).then_some(fixed),
    }
}

#[cfg(all(test, loom))]
mod loom_model;
