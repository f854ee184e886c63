//! The line that stripes were last drawn from, kept until the word was raised above them.

use super::axis::StripeLine;
use crate::primitive::{AtomicI64, AtomicU64, Ordering, fence};

/// Two slots: one is current, and the next is written to the other. A reader that finds the same one
/// current afterwards has copied it whole.
#[derive(Debug)]
pub(super) struct Kept {
    current: AtomicU64,
    slots: [[AtomicI64; Judged::WORDS]; 2],
}

/// The last line that was judged, and whether stripes from it may be above the word still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) generation: i64,
    pub(super) line: Option<StripeLine>,
}

impl Judged {
    const WORDS: usize = 2 + StripeLine::WORDS;
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            current: AtomicU64::new(0),
            slots: core::array::from_fn(|_| core::array::from_fn(|_| AtomicI64::new(0))),
        }
    }

    const fn slot(&self, current: u64) -> &[AtomicI64; Judged::WORDS] {
        let [even, odd] = &self.slots;
        if current % 2 == 0 { even } else { odd }
    }

    pub(super) fn load(&self) -> Judged {
        loop {
            // Acquire: a reader that finds a line kept, or let go, finds the word raised above the one before.
            let current = self.current.load(Ordering::Acquire);
            let [generation, has_line, line @ ..] = self.slot(current);
            let load = |word: &AtomicI64| word.load(Ordering::Relaxed);
            let judged = Judged {
                generation: load(generation),
                line: (load(has_line) != 0)
                    .then(|| StripeLine::from_words(line.each_ref().map(load))),
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
    pub(super) fn store(&self, judged: Judged) {
        let next = self.current.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        let has_line = i64::from(judged.line.is_some());
        let line = judged
            .line
            .map_or([0; StripeLine::WORDS], StripeLine::to_words);
        let words = [judged.generation, has_line].into_iter().chain(line);
        for (word, value) in self.slot(next).iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.current.store(next, Ordering::Release);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::super::axis::script::line;
    use super::*;

    #[test]
    fn what_is_kept_is_the_last_that_was_stored_and_fills_the_slot_that_is_not_current() {
        let kept = Kept::new();
        let first = kept.load();
        assert_eq!((first.generation, first.line.is_none()), (0, true));
        for generation in 1..6 {
            let current = kept.current.load(Ordering::Relaxed);
            let next = kept.slot(current + 1);
            assert!(!core::ptr::eq(kept.slot(current), next), "{current}");
            // Every second one is let go.
            let line = (generation % 2 == 1).then(|| line(generation, i64::MAX));
            kept.store(Judged { generation, line });
            let found = kept.load();
            assert_eq!(found.generation, generation);
            let words = [found.line, line].map(|line| line.map(StripeLine::to_words));
            assert_eq!(words[0], words[1], "{generation}");
        }
    }
}
