//! The latch under loom, which runs interleavings that the memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p epsilon-clock --lib loom_`.
//!
//! Raw time is an atomic counter here. Where its order matters (T3) it is read with acquire and
//! release, which stands for what `load_after` and the fence in `close` do for a real counter; where
//! it does not, relaxed, so that it lends the latch no order that a real one would not give.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicI64, Ordering};
use loom::thread;

use super::{Drawn, Head, Latch};
use crate::clock::latch::{Anchor, Line, Pair};
use crate::clock::status::ClockState;
use crate::machine::{Counted, Sample};
use crate::time::{Claim, Interval, RateBounds, Timestamp};

const PROCESS: u32 = 1;

/// Runs every interleaving with at most `preemptions` involuntary switches: real faults of this
/// kind show with two, and without a bound three threads take hours.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // A reader copies a slot word by word while it may be filled anew.
    builder.max_branches = 20_000;
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

/// A claim whose ends are `width` apart at raw instant `raw`.
fn claim(raw: i64, earliest: i64, width: i64) -> Claim {
    let interval = Interval::new(
        Timestamp::from_unix_nanos(earliest),
        Timestamp::from_unix_nanos(earliest + width),
    );
    Claim::new(raw, interval.unwrap(), RateBounds::symmetric(0))
}

/// A claim whose ends are `width` apart and whose every word tells which claim it is.
fn line(earliest: i64, width: i64, floor: Option<i64>) -> Drawn {
    let floor = floor.map(Timestamp::from_unix_nanos);
    let claim = claim(0, earliest, width);
    Drawn::plainly(Line::new(&claim, floor, i64::MAX, ClockState::Assumed))
}

/// The claim of [`line`], as it was a while before, through counts.
fn count_line(earliest: i64, width: i64, floor: Option<i64>) -> Drawn {
    const BEFORE: i64 = 10;
    let claim = claim(-BEFORE, earliest - BEFORE, width);
    let (floor, anchor) = (floor.map(Timestamp::from_unix_nanos), anchor());
    Drawn {
        line: Line::counting(&claim, &anchor, floor, i64::MAX, ClockState::Assumed),
        claimed_at: claim.raw(),
        anchor,
    }
}

/// How counts follow from raw time in this model, as two pairs of readings tell.
fn anchor() -> Anchor {
    let pair = |raw: i64| {
        let sample = Sample { coarse: 0, raw };
        let count = COUNT_OF_ZERO + raw;
        Pair::from(Counted {
            before: count,
            sample,
            after: count,
        })
    };
    Anchor::between(&pair(-2_000_000_000), &pair(0)).unwrap()
}

/// Raw time that moves on with each reading.
#[derive(Debug)]
struct Ticks(AtomicI64, Ordering);

impl Ticks {
    /// What the line goes through: raw time, or counts, of which each takes a nanosecond.
    fn sample(&self, line: &Line) -> Sample {
        let raw = self.0.fetch_add(1, self.1);
        let zero = if line.counts() { COUNT_OF_ZERO } else { 0 };
        Sample {
            coarse: 0,
            raw: raw + zero,
        }
    }

    fn counted(&self, line: &Line) -> Counted {
        let sample = self.sample(line);
        Counted {
            before: sample.raw,
            sample,
            after: sample.raw,
        }
    }
}

/// What the counter of this model shows when raw time is 0.
const COUNT_OF_ZERO: i64 = 7_000_000_000_000_000;

/// Two slots, so that each replacement but the first fills a slot that was read before; four where a
/// looker keeps one for ever.
struct World<const N: usize> {
    latch: Latch<2, N>,
    ticks: Ticks,
}

impl<const N: usize> World<N> {
    fn new(order: Ordering) -> Arc<Self> {
        Self::drawn(order, &line(100, 10, None))
    }

    fn drawn(order: Ordering, line: &Drawn) -> Arc<Self> {
        Arc::new(Self {
            latch: Latch::new(line, &[100, 100]),
            ticks: Ticks(AtomicI64::new(0), order),
        })
    }

    /// The head and the whole state under it.
    fn snapshot(&self) -> (Head, [i64; 2]) {
        let mut state = [0; 2];
        let head = self.latch.copy_state(&mut state);
        (head, state)
    }

    /// Replaces the claim in force as a looker does; whether nobody was faster.
    fn replace(&self, earliest: i64) -> bool {
        let (head, state) = self.snapshot();
        let Some(draft) = self.latch.draft(PROCESS) else {
            return false;
        };
        let Some(rc) = self.close(head) else {
            return false;
        };
        // The claims of this model move one nanosecond a tick.
        let floor = state[0] + rc;
        let next = line(earliest, 1_000, Some(floor));
        draft.publish(head, &next, &[earliest, earliest])
    }

    /// Closes the line at `head`; returns the raw instant, or the least that it can be.
    fn close(&self, head: Head) -> Option<i64> {
        let mut counts = false;
        let mark = self.latch.close(head, |line| {
            counts = line.counts();
            self.ticks.sample(line).raw
        })?;
        Some(if counts {
            anchor().raw_least(mark)
        } else {
            mark
        })
    }

    /// Draws the claim in force through the other axis, or through other points of its own.
    fn redraw(&self, draw: fn(i64, i64, Option<i64>) -> Drawn) -> bool {
        let (head, state) = self.snapshot();
        let Some(draft) = self.latch.draft(PROCESS) else {
            return false;
        };
        let Some(rc) = self.close(head) else {
            return false;
        };
        let next = draw(state[0], 10, Some(state[0] + rc));
        draft.publish(head, &next, &state)
    }

    /// Publishes the same claim, as a look does that finds nothing new.
    fn look_again(&self) -> bool {
        let (head, state) = self.snapshot();
        let draft = self.latch.draft(PROCESS).unwrap();
        self.close(head).is_some() && draft.publish(head, &line(state[0], 10, None), &state)
    }

    /// The earliest end that the hot path would return, if it answers at once.
    fn read_once(&self) -> Option<Timestamp> {
        let (line, position) = self.read_open()?;
        Some(line.at(line.elapsed(position)?)?.earliest())
    }

    /// What the hot path reads, if it answers at once.
    fn read_open(&self) -> Option<(Line, i64)> {
        let glance = self.latch.glance()?;
        let position = self.ticks.sample(glance.line()).raw;
        glance
            .holds_at(position)
            .then_some((*glance.line(), position))
    }

    /// Publishes without closing, as a look does where no claim is in force: the slots are then kept
    /// apart by the fences of `fill` and of the readers alone.
    fn republish(&self, earliest: i64) -> bool {
        let (head, _) = self.snapshot();
        let draft = self.latch.draft(PROCESS).unwrap();
        draft.publish(head, &line(earliest, 1_000, None), &[earliest; 2])
    }

    /// The interval that a reader would return.
    fn read(&self) -> Interval {
        let reading = self.latch.read(|line| self.ticks.counted(line));
        let line = reading.line();
        let elapsed = line.elapsed(reading.position()).unwrap();
        let interval = line.at(elapsed).unwrap();
        let Some(held_at) = reading.held_at else {
            return interval;
        };
        let held = line.elapsed_at(held_at).min(elapsed);
        let earliest = line.at(held).unwrap().earliest();
        Interval::new(earliest, interval.latest()).unwrap()
    }
}

/// T3: a reader that goes on after another never gets an earlier earliest end, whatever replaces
/// the claim between or under them.
#[test]
fn loom_earliest_never_falls_back_across_a_replacement() {
    model(3, || {
        let world = World::<2>::new(Ordering::AcqRel);
        let replacer = {
            let world = Arc::clone(&world);
            thread::spawn(move || assert!(world.replace(50)))
        };
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.read().earliest())
        };
        let before = world.read().earliest();
        let after = world.read().earliest();
        assert!(before <= after, "{before} then {after}");
        // What the other reader returned happened before this.
        let other = reader.join().unwrap();
        let last = world.read().earliest();
        assert!(other <= last, "{other} elsewhere, then {last}");
        replacer.join().unwrap();
        assert!(last <= world.read().earliest());
    });
}

/// T3 when a claim is drawn anew: through counts instead of raw time, the other way round, and through
/// another anchor. The two lines of a claim do not lie on each other.
#[test]
fn loom_earliest_never_falls_back_across_a_change_of_axis() {
    for (first, second) in [
        (line as fn(_, _, _) -> _, count_line as fn(_, _, _) -> _),
        (count_line, line),
        (count_line, count_line),
    ] {
        model(3, move || {
            let world = World::<2>::drawn(Ordering::AcqRel, &first(100, 10, None));
            let replacer = {
                let world = Arc::clone(&world);
                thread::spawn(move || assert!(world.redraw(second)))
            };
            let reader = {
                let world = Arc::clone(&world);
                thread::spawn(move || world.read().earliest())
            };
            let before = world.read().earliest();
            let after = world.read().earliest();
            assert!(before <= after, "{before} then {after}");
            let other = reader.join().unwrap();
            let last = world.read().earliest();
            assert!(other <= last, "{other} elsewhere, then {last}");
            replacer.join().unwrap();
            assert!(last <= world.read().earliest());
        });
    }
}

/// T3 for a reader that sleeps through a look which leaves the claim as it is, while the next one takes
/// the claim away.
#[test]
fn loom_a_reader_that_sleeps_through_a_look_goes_no_further_than_the_floor() {
    model(3, || {
        let world = World::<4>::new(Ordering::AcqRel);
        let looker = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                assert!(world.look_again());
                assert!(world.replace(50));
            })
        };
        let slept = world.read_once();
        looker.join().unwrap();
        let last = world.read().earliest();
        assert!(
            slept.is_none_or(|slept| slept <= last),
            "{slept:?}, then {last}"
        );
    });
}

/// Runs a reader beside a replacer that fills the reader's own slot again.
fn read_while_slots_are_reused(read: fn(&World<2>)) {
    model(3, move || {
        let world = World::<2>::new(Ordering::Relaxed);
        let replacer = {
            let world = Arc::clone(&world);
            thread::spawn(move || [50, 70].map(|earliest| world.republish(earliest)))
        };
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || read(&world))
        };
        reader.join().unwrap();
        assert_eq!(replacer.join().unwrap(), [true; 2]);
    });
}

fn assert_whole(line: Line) {
    let words = line.to_words();
    let width = if words[1] == 100 { 10 } else { 1_000 };
    assert_eq!(words[2] - words[1], width, "{words:?}");
}

/// A line is never put together from two claims.
#[test]
fn loom_a_line_is_never_torn() {
    read_while_slots_are_reused(|world| {
        if let Some((line, _)) = world.read_open() {
            assert_whole(line);
        }
    });
}

/// Nor is a state.
#[test]
fn loom_a_state_is_never_torn() {
    read_while_slots_are_reused(|world| {
        let (_, state) = world.snapshot();
        assert_eq!(state[0], state[1]);
    });
}

/// An error, or the comparison of the clocks, rests on the first words of the state alone: under the
/// head that the line was read under they are of that line's claim.
#[test]
fn loom_what_stands_beside_a_line_belongs_to_it() {
    read_while_slots_are_reused(|world| {
        let mut first = [0];
        let before = world.latch.copy_state(&mut first);
        // Not `read`, which goes round again for as long as loom lets it see an old head.
        let open = world.read_open();
        let after = world.latch.copy_state(&mut first);
        if let Some((line, _)) = open.filter(|_| before == after) {
            assert_eq!(line.to_words()[1], first[0]);
        }
    });
}

/// Of two lookers that began with the same claim one publishes, and the other changes nothing.
#[test]
fn loom_the_slower_looker_changes_nothing() {
    model(3, || {
        let world = World::<4>::new(Ordering::Relaxed);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.replace(50))
        };
        let mine = world.replace(70);
        let theirs = other.join().unwrap();
        let (head, state) = world.snapshot();
        let last = state[0];
        // The first claim is generation 1, and each publication makes one more.
        assert_eq!(head.generation(), 1 + i64::from(mine) + i64::from(theirs));
        match (mine, theirs) {
            (true, false) => assert_eq!(last, 70),
            (false, true) => assert_eq!(last, 50),
            (true, true) => assert!(last == 50 || last == 70),
            (false, false) => panic!("two lookers, and nobody published"),
        }
        let open = world.read_open();
        assert!(open.is_some(), "the claim in force was tampered with");
    });
}

/// A looker stopped for ever between closing and publishing stops nobody else.
#[test]
fn loom_a_looker_that_stops_after_closing_blocks_nobody() {
    model(3, || {
        let world = World::<4>::new(Ordering::AcqRel);
        let stopped = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let (head, _) = world.snapshot();
                let draft = world.latch.draft(PROCESS);
                let _ = world.close(head);
                // It never wakes up again, and never gives its slot back.
                core::mem::forget(draft);
            })
        };
        let before = world.read().earliest();
        let _ = world.replace(50);
        let after = world.read().earliest();
        assert!(before <= after, "{before} then {after}");
        stopped.join().unwrap();
        assert!(world.replace(70), "a slot must be left to publish with");
    });
}
