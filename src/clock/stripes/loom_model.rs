//! Stripes, the word and lines that change, under loom.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p epsilon-clock --lib loom_`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::axis::model::ModelClock;
use super::{Axis, Exhausted, Judged, Scale, StripeLine, StripeReading, Stripes, Striping, Word};
use crate::clock::commits::Latest;
use crate::time::{Interval, Timestamp};

/// Where lines are when the model begins, in ns.
const BEGUN: i64 = 1_000_000;

/// How far below the first line the next one lies: several units.
const LOWER: i64 = BEGUN - 120;

/// Runs every interleaving with at most `preemptions` involuntary switches; see the latch's model.
///
/// Twice, as loom begins with the thread that spawns and finds no race of a load with a store where the storing
/// thread loaded in between: with the spawned thread first, the store comes before.
fn model(preemptions: usize, run: impl Fn(fn()) + Send + Sync + Copy + 'static) {
    for begin in [|| {}, thread::yield_now] {
        model_begun(preemptions, move || run(begin));
    }
}

fn model_begun(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

/// The bits of a number within a unit.
const MASK: u64 = 31;

fn position(instant: Timestamp) -> u64 {
    Latest::position(instant, MASK).unwrap()
}

struct World {
    clock: ModelClock,
    word: Word,
    stripes: Stripes<Latest>,
}

/// The clock as one processor sees it.
struct Processor<'a>(&'a ModelClock, u32);

impl Axis for Processor<'_> {
    fn read(&self) -> Option<StripeReading> {
        self.0.read(self.1)
    }

    fn line_of(&self, generation: i64) -> Option<StripeLine> {
        self.0.line_of(generation)
    }

    fn count_early(&self) -> i64 {
        self.0.count()
    }

    fn checked_count(&self) -> Option<i64> {
        Some(self.0.count())
    }

    fn reached(&self, line: &StripeLine, _time_namespace: u64) -> Option<i64> {
        self.0.reached(line)
    }

    fn generation(&self) -> i64 {
        self.0.generation()
    }

    fn numbers_stripes(&self) -> bool {
        true
    }
}

impl World {
    fn new(striping: Striping) -> Arc<Self> {
        Self::ending(striping, i64::MAX)
    }

    fn ending(striping: Striping, end: i64) -> Arc<Self> {
        Arc::new(Self {
            clock: ModelClock::new(BEGUN, end),
            word: Word::new(100),
            // As many as make of a unit more than the model's counter moves with two readings: 32 ns.
            stripes: Stripes::new(striping, || Some(28), 0),
        })
    }

    /// As `HybridClock::observe`, or `tick` with 0, on a processor.
    fn observe(&self, processor: u32, above: u64) -> u64 {
        let axis = Processor(&self.clock, processor);
        if self.stripes.are_drawn() {
            let drawn: Result<_, Exhausted> =
                self.stripes
                    .draw(&axis, &self.word, above, |_| Ok(()), |_, _| true);
            if let Some((number, _)) = drawn.unwrap() {
                return number;
            }
        }
        self.by_word(processor, above)
    }

    fn tick(&self, processor: u32) -> u64 {
        self.observe(processor, 0)
    }

    /// By the word, as what is behind a floor is. It knows nothing of the time: the estimate is far behind.
    fn by_word(&self, processor: u32, above: u64) -> u64 {
        let axis = Processor(&self.clock, processor);
        let issued: Result<_, Exhausted> =
            self.stripes
                .issue(&axis, &self.word, |_| Ok(above + 1), |_| Ok(()));
        issued.unwrap()
    }

    fn last(&self) -> u64 {
        self.stripes.last(&Processor(&self.clock, 0), &self.word)
    }
}

fn assert_unique(mut all: Vec<u64>) {
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:x?}");
}

/// A mailbox, by which one thread learns of another's stamp.
struct Mail(AtomicU64);

impl Mail {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0)))
    }

    fn hand(&self, stamp: u64) {
        self.0.store(stamp, Ordering::Release);
    }

    fn learn(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Lets two processors issue stamps, of which one is handed over, by whatever calls, while something happens to the clock;
/// then checks H1 and H8.
fn two_processors(
    world: &Arc<World>,
    first: fn(&World, u32) -> u64,
    second: fn(&World, u32) -> u64,
    begin: fn(),
    meanwhile: impl FnOnce(&World),
) {
    let mail = Mail::new();
    let other = {
        let (world, mail) = (Arc::clone(world), Arc::clone(&mail));
        thread::spawn(move || {
            let stamp = first(&world, 1);
            mail.hand(stamp);
            stamp
        })
    };
    begin();
    meanwhile(world);
    let known = mail.learn();
    let one = second(world, 0);
    assert!(one > known, "H1: learned of {known:x}, then issued {one:x}");
    let theirs = other.join().unwrap();
    let two = second(world, 0);
    assert!(
        two > one && two > theirs,
        "H1: {theirs:x} and {one:x}, then {two:x}"
    );
    let last = world.last();
    let three = world.by_word(0, 0);
    assert!(
        last >= two && three > two,
        "H1: {two:x}, then {three:x} and {last:x}"
    );
    assert_unique(vec![theirs, one, two, three]);
}

/// Tick against tick.
#[test]
fn loom_stripes_are_unique_and_follow_what_was_learned() {
    model(3, |begin| {
        let world = World::new(Striping::Always);
        two_processors(&world, World::tick, World::tick, begin, |_| {});
    });
}

/// Stripe against word.
#[test]
fn loom_stripes_and_the_word_mix() {
    model(3, |begin| {
        let world = World::new(Striping::Always);
        two_processors(
            &world,
            World::tick,
            |world, on| world.by_word(on, 0),
            begin,
            |_| {},
        );
    });
}

/// Tick against observe, of a stamp that time has not come to yet.
#[test]
fn loom_stripes_follow_what_was_observed() {
    const AHEAD: i64 = 80;
    model(3, |begin| {
        let world = World::new(Striping::Always);
        let observe = |world: &World, on| {
            let ahead = position(Timestamp::from_unix_nanos(BEGUN + AHEAD));
            let stamp = world.observe(on, ahead);
            assert!(stamp > ahead);
            stamp
        };
        two_processors(&world, World::tick, observe, begin, |_| {});
    });
}

/// A line takes the place of another, and lies lower.
#[test]
fn loom_stripes_of_a_lower_line_are_above_those_of_the_one_before() {
    model(2, |begin| {
        let world = World::new(Striping::Always);
        two_processors(&world, World::tick, World::tick, begin, |world| {
            assert!(world.clock.replace(Some(LOWER)));
        });
    });
}

/// The line is voided while stamps are drawn from it, and another comes later, much lower.
#[test]
fn loom_stamps_survive_a_void() {
    model(2, |begin| {
        let world = World::new(Striping::Always);
        let before = world.tick(0);
        two_processors(&world, World::tick, World::tick, begin, |world| {
            assert!(world.clock.replace(None));
        });
        let during = world.tick(0);
        assert!(world.clock.replace(Some(LOWER)));
        let after = [world.tick(0), world.tick(1)];
        assert!(before < during && during < after[0] && after[0] < after[1]);
    });
}

/// The line ends by itself, and nothing takes its place.
#[test]
fn loom_stamps_survive_a_line_that_ends() {
    model(3, |begin| {
        let world = World::ending(Striping::Always, 300);
        two_processors(&world, World::tick, World::tick, begin, |world| {
            world.clock.pass(230);
        });
    });
}

/// The turn from the word alone to stripes, while another thread takes any number.
#[test]
fn loom_a_clock_turns_to_stripes_while_it_is_used() {
    model(3, |begin| {
        let world = World::new(Striping::OnContention);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                // As far as the time, and rounded down as the microseconds of a real one are: this is the number of
                // the first stripe, which the word may take as well.
                let axis = Processor(&world.clock, 1);
                let latest = axis.read().unwrap().interval().unwrap().latest();
                let unit = position(latest) & !MASK;
                world.observe(1, unit - 1)
            })
        };
        begin();
        world.stripes.turn();
        let mine = [world.tick(0), world.tick(0)];
        assert!(mine[0] < mine[1], "H1: {mine:x?}");
        let theirs = other.join().unwrap();
        let last = world.tick(0);
        assert!(
            last > theirs && last > mine[1],
            "H1: {theirs:x} {mine:x?} {last:x}"
        );
        assert_unique(vec![theirs, mine[0], mine[1], last]);
    });
}

/// What is kept of a line is never put together from two, of which the second fills the first one's slot.
#[test]
fn loom_a_line_that_is_kept_is_never_torn() {
    model(1, |begin| {
        let world = World::new(Striping::Always);
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.stripes.kept.load())
        };
        begin();
        let line = |on: i64| {
            let reading = world.clock.read(0).unwrap();
            let line = world.clock.line_of(reading.generation());
            assert!(world.clock.replace(Some(BEGUN + on)));
            (reading.generation(), line)
        };
        for (generation, line) in [line(1), line(2)] {
            world.stripes.kept.store(Judged { generation, line });
        }
        let Judged { generation, line } = reader.join().unwrap();
        let words = line.map(StripeLine::to_words);
        match generation {
            0 => assert_eq!(words, None),
            generation => {
                // The earliest end tells which line it is.
                let earliest = words.unwrap()[1];
                let first = generation == 1;
                assert_eq!(earliest < BEGUN, first, "{generation}: {words:?}");
            }
        }
    });
}

/// One thread judges at a time, however many try.
#[test]
fn loom_the_right_to_judge_is_one_threads() {
    loom::model(|| {
        let world = World::new(Striping::Always);
        let inside = Arc::new(AtomicU64::new(0));
        let try_once = |world: &World, inside: &AtomicU64| {
            if let Some(_judge) = world.stripes.begin_judging() {
                assert_eq!(inside.swap(1, Ordering::Relaxed), 0, "two judge at once");
                inside.store(0, Ordering::Relaxed);
            }
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
                thread::spawn(move || try_once(&world, &inside))
            })
            .collect();
        try_once(&world, &inside);
        for other in others {
            other.join().unwrap();
        }
    });
}
