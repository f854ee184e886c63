//! Threads on processors of their own that draw stamps of one clock, and hand them over.
//!
//! The source of their clock claims a time that jumps about at every look, so that lines change all the
//! time and the next one often lies lower; now and then it claims nothing, or too little to be true.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use epsilon_clock::clock::{ReadPath, Striping};
use epsilon_clock::source::{Finding, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim};
use epsilon_clock::time::{Claim, RateBounds};
use epsilon_clock::{Clock, ClockBuilder, ErrorBound, Interval, Timestamp};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::random::Random;
use crate::skip::skip;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// How far the middle of a claim jumps, in ns.
const JUMPS: i64 = 400_000;

/// Claims real time to within 5 ms, up to 0.2 ms beside it; what it does next is drawn at random.
#[derive(Debug)]
struct Restless(Mutex<Random>);

impl Source for Restless {
    fn name(&self) -> &'static str {
        "restless"
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let mut random = self.0.lock().unwrap();
        let chance = random.below(100);
        if chance < 20 {
            return Look::new(Finding::Nothing);
        }
        if chance < 24 {
            return Look::new(Finding::Refused(Refusal::Unsynchronized {
                maxerror_us: 16_000_000,
            }));
        }
        let clocks = context.machine.sandwich();
        let beside = random.below(JUMPS) - JUMPS / 2;
        let real = Timestamp::from_unix_nanos(clocks.real + beside);
        let interval = Interval::around(real, millis(5)).unwrap();
        Look::new(Finding::Write(SyncClaim {
            claim: Claim::new(clocks.raw, interval, RateBounds::symmetric(50_000)),
            bound: ErrorBound {
                reported_ns: 5_000_000,
                ..ErrorBound::default()
            },
        }))
    }
}

/// A clock that goes through counts; `None` where this machine's may not be read.
pub(crate) fn counting(settings: impl Fn(ClockBuilder) -> ClockBuilder) -> Option<Clock> {
    let clock = settings(Clock::builder())
        .source(Restless(Mutex::new(Random::new(7))))
        .look_interval(millis(20))
        .build()
        .unwrap();
    for _ in 0..500 {
        thread::sleep(millis(10));
        let _ = clock.now();
        match clock.status().path {
            ReadPath::Vdso { .. } => {}
            _ => return Some(clock),
        }
    }
    skip("stripes", &format!("no counter: {:?}", clock.status().path));
    None
}

/// Returns which processors this process may run on.
fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect()
}

/// Pins the calling thread to a processor, where there is more than one.
fn pin(index: usize) {
    let mine = processors();
    let mut set = CpuSet::new();
    set.set(mine[index % mine.len()]);
    sched_setaffinity(None, &set).unwrap();
}

/// Draws a stamp above one that the thread learned of; `None` where there is none to be had now.
pub(crate) trait Draw: Sync {
    fn draw(&self, known: u64, random: &mut Random) -> Option<u64>;
}

impl<F: Fn(u64, &mut Random) -> Option<u64> + Sync> Draw for F {
    fn draw(&self, known: u64, random: &mut Random) -> Option<u64> {
        self(known, random)
    }
}

struct Stress<'a> {
    draw: &'a dyn Draw,
    /// What each thread handed over last.
    handed: Vec<AtomicU64>,
    together: Barrier,
}

struct Drawn {
    stamps: Vec<u64>,
    handovers: u64,
}

impl Stress<'_> {
    /// Draws so many stamps on one thread, and hands each eighth over.
    fn run(&self, index: usize, stamps: usize, random: &mut Random) -> Drawn {
        let mut drawn = Drawn {
            stamps: Vec::with_capacity(stamps),
            handovers: 0,
        };
        let mut learned = vec![0; self.handed.len()];
        self.together.wait();
        let mut last = 0;
        while drawn.stamps.len() < stamps {
            for (other, (handed, learned)) in self.handed.iter().zip(&mut learned).enumerate() {
                let now = handed.load(Ordering::Acquire);
                if other != index && now != *learned {
                    drawn.handovers += 1;
                    *learned = now;
                }
                last = last.max(now);
            }
            let known = last;
            let Some(bits) = self.draw.draw(known, random) else {
                continue;
            };
            assert!(
                bits > known,
                "H1: learned of {known:x}, then issued {bits:x}"
            );
            last = bits;
            drawn.stamps.push(bits);
            if bits % 8 < 1 || drawn.stamps.len() % 8 == 0 {
                self.handed[index].store(bits, Ordering::Release);
            }
        }
        drawn
    }
}

/// Which numbers of a unit are the processors', for a unit of at least and at most so many bits.
pub(crate) struct Shares {
    processors: u64,
    unit: u64,
}

impl Shares {
    pub(crate) fn of_unit(bits: RangeInclusive<u32>) -> Self {
        let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
        let last = possible.trim().rsplit([',', '-']).next().unwrap();
        let processors = last.parse::<u64>().unwrap() + 1;
        let unit = bits
            .map(|bits| 1_u64 << bits)
            .find(|unit| processors <= unit - (unit / 8).max(1))
            .expect("a machine with too many processors");
        Self { processors, unit }
    }

    pub(crate) fn is_stripe(&self, stamp: u64) -> bool {
        stamp % self.unit < self.processors
    }
}

/// How many threads draw how much.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    threads: usize,
    rounds: usize,
    /// How many stamps each thread draws in a round.
    each: usize,
    /// How often a thread has to learn of another's stamp.
    handovers: u64,
}

impl Load {
    /// More rounds than these, where a busy machine has the threads take turns, and none learns of another.
    const PATIENCE: usize = 100;

    /// Two threads.
    pub(crate) fn of_two() -> Self {
        let (rounds, each, handovers) = if is_long() {
            (50, 1_000_000, 1_000_000)
        } else {
            (4, 50_000, 500)
        };
        // Threads that take turns on one processor hardly ever meet.
        let handovers = if processors().len() < 2 { 0 } else { handovers };
        Self {
            threads: 2,
            rounds,
            each,
            handovers,
        }
    }

    /// More threads than processors, which draw less.
    pub(crate) fn crowded(self) -> Self {
        Self {
            threads: 5,
            rounds: self.rounds.div_ceil(5),
            each: self.each / 4,
            handovers: 0,
        }
    }

    fn wants_more(&self, rounds: usize, handovers: u64) -> bool {
        rounds < self.rounds
            || (handovers < self.handovers && rounds < self.rounds * Self::PATIENCE)
    }
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) largest: u64,
    handovers: u64,
    drawn: u64,
    stripes: u64,
}

impl Outcome {
    /// Holds a run against what it was to do.
    pub(crate) fn assert_done(&self, of: &str, striping: Striping, load: &Load) {
        let Self {
            handovers,
            drawn,
            stripes,
            ..
        } = self;
        println!("{of}, {striping:?}: {stripes} stripes of {drawn}, {handovers} handed over");
        let least = match striping {
            // Lower lines, floors, commits and peers that are ahead leave the others to the word.
            Striping::Always => drawn / 20 + 1,
            // Nor does a clock turn before its threads meet.
            _ => load.handovers.min(1),
        };
        assert!(*stripes >= least, "only {stripes} of {drawn} were stripes");
        assert!(
            *handovers >= load.handovers,
            "only {handovers} were handed over"
        );
    }
}

/// Runs threads for rounds; each draws so many in each.
pub(crate) fn stress(draw: &dyn Draw, shares: &Shares, load: Load) -> Outcome {
    let Load { threads, each, .. } = load;
    let stress = Stress {
        draw,
        handed: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        together: Barrier::new(threads),
    };
    let (mut largest, mut handovers, mut stripes) = (0, 0, 0);
    let mut round = 0;
    while load.wants_more(round, handovers) {
        let drawn: Vec<Drawn> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|index| {
                    let stress = &stress;
                    scope.spawn(move || {
                        pin(index);
                        stress.run(
                            index,
                            each,
                            &mut Random::new((round * threads + index) as u64),
                        )
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut all = Vec::with_capacity(threads * each);
        for Drawn {
            stamps,
            handovers: these,
        } in drawn
        {
            assert!(
                stamps.is_sorted_by(|a, b| a < b),
                "H8: a thread's stamps do not grow"
            );
            handovers += these;
            all.extend(stamps);
        }
        all.sort_unstable();
        assert!(
            all.windows(2).all(|pair| pair[0] < pair[1]),
            "H8: a stamp was issued twice"
        );
        assert!(all[0] > largest, "H1: a round began below the one before");
        largest = *all.last().unwrap();
        stripes += all.iter().filter(|bits| shares.is_stripe(**bits)).count() as u64;
        round += 1;
    }
    Outcome {
        largest,
        handovers,
        drawn: (round * threads * each) as u64,
        stripes,
    }
}

fn is_long() -> bool {
    std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1")
}

/// Looks at the clock all the time while something is done.
pub(crate) fn while_looking<T>(clock: &Clock, work: impl FnOnce() -> T) -> T {
    /// Also where the work fails: the looker would be waited for otherwise.
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stopped);
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                let _ = clock.look();
                thread::sleep(Duration::from_micros(700));
            }
        });
        work()
    })
}
