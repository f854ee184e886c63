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
//! | `0` and more | closed at raw instant `rc` |
//! | `i64::MIN` | being filled |
//!
//! Generations are never reused, so a compare-and-swap that comes too late cannot hit the wrong one.

use crate::machine::{Sample, zero_after};
use crate::primitive::{AtomicI64, AtomicU64, Ordering, fence};

mod last_commit;
mod line;
mod watch;

pub(in crate::clock) use last_commit::LastCommit;
pub(crate) use last_commit::NotDrawn;
pub(crate) use line::Line;
pub(in crate::clock) use watch::Watch;

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

/// One slot. The first eight words are what a reading touches: one cache line.
#[repr(align(64))]
#[derive(Debug)]
struct Slot<const STATE: usize> {
    gate: AtomicI64,
    line: [AtomicI64; Line::WORDS],
    owner: AtomicU64,
    state: [AtomicI64; STATE],
}

impl<const STATE: usize> Slot<STATE> {
    fn new() -> Self {
        Self {
            gate: AtomicI64::new(BEING_FILLED),
            line: core::array::from_fn(|_| AtomicI64::new(0)),
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

    /// Copies as many of the first words of the state as there is room for.
    fn load_state(&self, words: &mut [i64]) {
        for (word, stored) in words.iter_mut().zip(&self.state) {
            *word = stored.load(Ordering::Relaxed);
        }
    }

    fn fill(&self, generation: i64, line: &Line, state: &[i64; STATE]) {
        self.gate.store(BEING_FILLED, Ordering::Relaxed);
        // Pairs with the readers' acquire fence: a reader that copied any word stored below finds,
        // when it then looks at the gate, at least this mark, and discards its copy.
        fence(Ordering::Release);
        for (word, value) in self.line.iter().zip(line.to_words()) {
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
    pub(crate) line: Line,
    pub(crate) sample: Sample,
    /// The raw instant beyond which the earliest end must not move, if the line is being replaced.
    pub(crate) held_at: Option<i64>,
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

impl<const STATE: usize, const N: usize> Latch<STATE, N> {
    pub(crate) fn new(line: &Line, state: &[i64; STATE]) -> Self {
        let first = Head(0).next(0);
        let slots = core::array::from_fn(|_| Slot::new());
        let latch = Self {
            head: AtomicU64::new(first.0),
            slots,
        };
        latch.slot(first, 0).fill(first.generation(), line, state);
        latch
    }

    /// The slot that `head` names; `zero` is 0, known only once the clock has been read.
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "the index is masked")]
    fn slot(&self, head: Head, zero: usize) -> &Slot<STATE> {
        &self.slots[(head.slot() + zero) % N]
    }

    fn load_head(&self) -> Head {
        Head(self.head.load(Ordering::Acquire))
    }

    /// Reads the clock under the claim in force; `None` if the claim was replaced meanwhile or is
    /// being replaced, which [`read`](Self::read) sorts out.
    #[inline]
    pub(crate) fn read_open(&self, sample: impl FnOnce() -> Sample) -> Option<(Line, Sample)> {
        let head = self.load_head();
        let line = self.slot(head, 0).load_line();
        // Not worth a clock read: the path that tells why there is no interval reads the clock once more.
        if line.never_answers() {
            return None;
        }
        let sample = sample();
        // Pairs with the release fence in `fill`: the gate is not looked at before the words above.
        fence(Ordering::Acquire);
        // Nor before the clock was read, which no fence can promise: a counter read is not a load.
        let gate = &self.slot(head, zero_after(sample.raw)).gate;
        (gate.load(Ordering::Relaxed) == open(head.generation())).then_some((line, sample))
    }

    /// Reads the clock under the claim in force, whatever state it is in.
    ///
    /// Goes round again only if another claim was published meanwhile.
    pub(crate) fn read(&self, mut sample: impl FnMut() -> Sample) -> LatchReading {
        loop {
            let head = self.load_head();
            let slot = self.slot(head, 0);
            let line = slot.load_line();
            let first = sample();
            fence(Ordering::Acquire);
            let gate = &self.slot(head, zero_after(first.raw)).gate;
            let gate_word = gate.load(Ordering::Acquire);
            if gate_word == open(head.generation()) {
                return LatchReading {
                    head,
                    line,
                    sample: first,
                    held_at: None,
                };
            }
            // The mark was met; only a clock read after that is late enough to fix `rc`.
            let sample = sample();
            let Some(rc) = fix_close(&slot.gate, head, gate_word, sample.raw) else {
                continue;
            };
            // The gate may belong to a later generation; it does not if `head` has not moved.
            fence(Ordering::Acquire);
            if self.head.load(Ordering::Relaxed) == head.0 {
                return LatchReading {
                    head,
                    line,
                    sample,
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
            self.slot(head, 0).load_state(words);
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

    /// Closes the gate of the claim found at `head`: the instant that its earliest end is held at.
    /// `None` if that claim is no longer in force.
    pub(crate) fn close(&self, head: Head, mut raw: impl FnMut() -> i64) -> Option<i64> {
        let gate = &self.slot(head, 0).gate;
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
        let rc = fix_close(gate, head, gate_word, raw())?;
        fence(Ordering::Acquire);
        (self.head.load(Ordering::Relaxed) == head.0).then_some(rc)
    }
}

impl<const STATE: usize, const N: usize> Draft<'_, STATE, N> {
    /// Makes this slot current if `head` still is; whether it was.
    pub(crate) fn publish(self, head: Head, line: &Line, state: &[i64; STATE]) -> bool {
        let next = head.next(self.slot);
        self.latch
            .slot(next, 0)
            .fill(next.generation(), line, state);
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

/// Reads or fixes the instant at which a gate closed, `raw` being a raw time read after the mark
/// was met; `None` if the gate is not that of `head`'s generation.
fn fix_close(gate: &AtomicI64, head: Head, gate_word: i64, raw: i64) -> Option<i64> {
    let mark = closing(head.generation());
    if gate_word >= 0 {
        return Some(gate_word);
    }
    if gate_word != mark {
        return None;
    }
    // Raw time is never negative, unless it could not be read: then the end is held where it began.
    let rc = raw.max(0);
    match gate.compare_exchange(mark, rc, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(rc),
        Err(fixed) => (fixed >= 0).then_some(fixed),
    }
}

#[cfg(all(test, loom))]
mod loom_model;
