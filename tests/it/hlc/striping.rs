//! Stamps without a shared word, on the real machine: H1 and H8 by hand-overs between pinned threads.
//!
//! The source of their clock claims a time that jumps about at every look, so that lines change all the
//! time and the next one often lies lower; now and then it claims nothing, or too little to be true.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use epsilon_clock::ErrorBound;
use epsilon_clock::clock::ReadPath;
use epsilon_clock::hlc::{ForwardLimit, HlcError, HybridClockBuilder, Striping};
use epsilon_clock::source::{Look, LookContext, Refusal, Source, SourceMemory, SyncClaim};
use epsilon_clock::time::{Claim, RateBounds};

use super::*;
use crate::random::Random;
use crate::skip::skip;

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
fn counting() -> Option<Clock> {
    let clock = Clock::builder()
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

/// Pins the calling thread to a processor, where there is more than one.
fn pin(index: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None).unwrap();
    let mine: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect();
    let mut set = CpuSet::new();
    set.set(mine[index % mine.len()]);
    sched_setaffinity(None, &set).unwrap();
}

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

struct Stress {
    hlc: HybridClock,
    /// What each thread handed over last.
    handed: Vec<AtomicU64>,
    together: Barrier,
}

struct Drawn {
    stamps: Vec<u64>,
    handovers: u64,
}

impl Stress {
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
            let stamp = match random.below(20_000) {
                0 => self.hlc.begin_commit().map(|commit| commit.timestamp()),
                // A peer that is a little ahead.
                1 => {
                    let ahead =
                        RemoteTimestamp::from_bits(known + (random.below(20).unsigned_abs() << 12));
                    let stamp = self.hlc.observe(ahead);
                    assert!(
                        stamp.as_ref().is_ok_and(|stamp| *stamp > ahead),
                        "H1: {ahead} {stamp:?}"
                    );
                    stamp
                }
                2..1_500 => self.hlc.observe(RemoteTimestamp::from_bits(known)),
                _ => self.hlc.tick(),
            };
            // Without an interval there is no commit.
            let Ok(stamp) = stamp else { continue };
            let bits = stamp.to_bits();
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
        self.together.wait();
        drawn
    }
}

/// How many numbers of a unit are the processors', and how many there are in all.
fn shares() -> (u64, u64) {
    let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
    let last = possible.trim().rsplit([',', '-']).next().unwrap();
    let processors = last.parse::<u64>().unwrap() + 1;
    let mut units = (4..=9).map(|bits| 1 << bits);
    let unit = units.find(|unit| processors <= unit - unit / 8);
    (
        processors,
        unit.expect("a machine with too many processors"),
    )
}

/// What a run came to.
struct Outcome {
    largest: u64,
    handovers: u64,
    stripes: u64,
}

/// Runs so many threads for so many rounds.
fn stress(hlc: &HybridClock, threads: usize, rounds: usize, each: usize) -> Outcome {
    let (stripes_in_unit, unit) = shares();
    let stress = Arc::new(Stress {
        hlc: hlc.clone(),
        handed: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        together: Barrier::new(threads),
    });
    let (mut largest, mut handovers, mut stripes) = (0, 0, 0);
    for round in 0..rounds {
        let drawn: Vec<Drawn> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|index| {
                    let stress = Arc::clone(&stress);
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
        let is_stripe = |bits: &&u64| **bits % unit < stripes_in_unit;
        stripes += all.iter().filter(is_stripe).count() as u64;
        assert!(
            hlc.last().to_bits() >= largest,
            "a stamp is above the last one"
        );
    }
    Outcome {
        largest,
        handovers,
        stripes,
    }
}

fn is_long() -> bool {
    std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1")
}

/// H1, H8 and H9: threads on processors of their own, and more than there are, on stripes and the word.
#[test]
fn h8_stamps_without_a_word_are_unique_and_follow_what_was_handed_over() {
    let Some(clock) = counting() else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let looker = {
        let (clock, stop) = (clock.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = clock.look();
                thread::sleep(Duration::from_micros(700));
            }
        })
    };
    let stored = Arc::new(AtomicU64::new(0));
    let disk = Arc::clone(&stored);
    let hlc = HybridClock::builder(clock.clone())
        .striping(Striping::Always)
        .reserve(millis(50), move |record| {
            disk.fetch_max(record.bound().to_bits(), Ordering::AcqRel);
            Ok(())
        })
        .build()
        .unwrap();
    let (rounds, each) = if is_long() {
        (50, 1_000_000)
    } else {
        (4, 50_000)
    };
    let Outcome {
        mut largest,
        mut handovers,
        stripes,
    } = stress(&hlc, 2, rounds, each);
    // With more threads than processors, and then on a clock that turns to stripes by itself.
    let crowded = stress(&hlc, 5, rounds.div_ceil(5), each / 4);
    assert!(crowded.largest > largest);
    largest = crowded.largest;
    handovers += crowded.handovers;
    assert!(largest <= stored.load(Ordering::Acquire), "H9");
    let kept = hlc.into_record().unwrap();
    assert!(kept.bound().to_bits() >= largest, "H9: {kept:?}");
    let turning = HybridClock::builder(clock)
        .striping(Striping::OnContention)
        .resume_from_reserve(kept)
        .build()
        .unwrap();
    assert!(turning.tick().unwrap().to_bits() > largest, "H9");
    handovers += stress(&turning, 2, rounds, each).handovers;
    stop.store(true, Ordering::Relaxed);
    looker.join().unwrap();
    println!("{stripes} stripes, {handovers} handed over");
    // Lower lines, commits and peers that are ahead leave the others to the word.
    let drawn = (rounds * 2 * each) as u64;
    assert!(
        stripes > drawn / 20,
        "only {stripes} of {drawn} were stripes"
    );
    let least = if is_long() { 1_000_000 } else { 1_000 };
    assert!(handovers >= least, "only {handovers} were handed over");
}

/// A scripted clock that goes through counts, its source, and a hybrid clock on it that draws stripes.
struct Scripted {
    machine: ScriptedMachine,
    source: ScriptedSource,
    clock: Clock,
}

const EPSILON: Duration = millis(100);

impl Scripted {
    fn new() -> Self {
        let machine = ScriptedMachine::default(); // a reading takes 20 ns of its time, more than a unit
        machine.set_counter(Ok(()));
        let source = ScriptedSource::new("oracle");
        let clock = machine.builder().source(source.clone()).build().unwrap();
        let scripted = Self {
            machine,
            source,
            clock,
        };
        for _ in 0..6 {
            scripted.machine.advance(millis(300));
            scripted.claim(0);
        }
        assert_ne!(scripted.clock.status().path.as_str(), "vdso");
        scripted
    }

    /// Makes the clock claim a time so many µs beside the true one.
    fn claim(&self, micros: i64) {
        let mut sync = self.machine.truth(EPSILON);
        let ends = sync.claim.interval();
        let moved = |end: Timestamp| Timestamp::from_unix_nanos(end.unix_nanos() + micros * 1_000);
        let moved = Interval::new(moved(ends.earliest()), moved(ends.latest())).unwrap();
        sync.claim = Claim::new(sync.claim.raw(), moved, sync.claim.rate());
        self.source.push(Finding::Write(sync));
        let now = self.clock.look().unwrap();
        assert!(now.contains(self.machine.true_time()));
    }

    fn hybrid(&self, settings: fn(HybridClockBuilder) -> HybridClockBuilder) -> HybridClock {
        let builder = HybridClock::builder(self.clock.clone()).striping(Striping::Always);
        settings(builder).build().unwrap()
    }

    fn best(&self) -> Timestamp {
        self.clock.now().unwrap().midpoint()
    }
}

/// The number within a unit: below 56 of stripes, which a clock on a scripted machine draws by threads.
fn within_unit(stamp: HlcTimestamp) -> u64 {
    stamp.to_bits() % 64
}

#[test]
fn h2_stripes_are_the_best_estimate_to_the_unit() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|builder| builder);
    let mut last = HlcTimestamp::MIN;
    for _ in 0..100 {
        scripted.machine.advance(Duration::from_nanos(700));
        let before = scripted.best();
        let stamp = hlc.tick().unwrap();
        let after = scripted.best();
        assert!(within_unit(stamp) < 56, "{stamp} is the word's");
        assert!(stamp > last && hlc.last() >= stamp);
        assert!(stamp.physical().unix_nanos() > before.unix_nanos() - 1_000);
        assert!(stamp.physical() <= after);
        last = stamp;
    }
}

#[test]
fn h1_stamps_grow_across_lines_that_lie_lower() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|builder| builder);
    let mut last = hlc.tick().unwrap();
    let mut stripes = 0;
    for beside in [900, -900, 300, -40_000, 20, 0] {
        scripted.claim(beside);
        for _ in 0..40 {
            scripted.machine.advance(micros(50));
            let stamp = hlc.tick().unwrap();
            assert!(stamp > last, "H1: {last}, then {stamp}");
            stripes += u32::from(within_unit(stamp) < 56);
            last = stamp;
        }
    }
    assert!(stripes > 40, "only {stripes}");
}

/// What was drawn is not forgotten while there is no line at all.
#[test]
fn h1_stamps_grow_through_a_void() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|builder| builder);
    scripted.claim(50_000);
    let before = hlc.tick().unwrap();
    assert!(within_unit(before) < 56);
    scripted.machine.suspend(secs(30));
    assert!(scripted.clock.now().is_err());
    let during = hlc.tick().unwrap();
    assert!(during > before, "H1: {before}, then {during}");
    assert!(hlc.last() >= during);
    let observed = hlc.observe(before).unwrap();
    assert!(observed > during);
}

/// A counter that stands still is waited for once, and then no more on its line.
#[test]
fn a_counter_that_stands_still_leaves_it_to_the_word() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|builder| builder);
    let before = hlc.tick().unwrap();
    scripted.machine.freeze_counter();
    let mut last = before;
    for _ in 0..10 {
        let stamp = hlc.tick().unwrap();
        assert!(stamp > last, "{last}, then {stamp}");
        last = stamp;
    }
}

/// The guard refuses a line that jumped, and what it refused leads no stamp ahead afterwards.
#[test]
fn a_line_that_jumped_ahead_is_refused_and_leads_no_stamp_ahead() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|b| b.forward_limit(ForwardLimit::Jump(millis(10))));
    let mut before = hlc.tick().unwrap();
    for _ in 0..3 {
        scripted.claim(40_000);
        for _ in 0..3 {
            scripted.machine.advance(micros(300));
            let refused = hlc.tick();
            assert!(
                matches!(refused, Err(HlcError::ForwardJump { .. })),
                "{refused:?}"
            );
        }
        scripted.claim(0);
        // Until the earliest end that was promised (T3) no longer holds the middle up.
        scripted.machine.advance(millis(50));
        let stamp = hlc.tick().unwrap();
        assert!(stamp > before);
        assert!(stamp.physical() <= scripted.best(), "{stamp} is ahead");
        before = stamp;
    }
    // Accepted, it is followed, by stripes too.
    scripted.claim(40_000);
    assert!(hlc.tick().is_err());
    hlc.accept_jump();
    scripted.machine.advance(millis(1));
    // The first one finds that the counter is due to be checked, and leaves it to the word.
    let _ = hlc.tick().unwrap();
    let stamp = hlc.tick().unwrap();
    assert!(within_unit(stamp) < 56);
    assert!(stamp.physical().unix_nanos() > scripted.best().unix_nanos() - 2_000);
}

/// A counter that jumped ahead, by an hour, says nothing of how far stripes were drawn: raw time does.
#[test]
fn a_counter_that_jumped_leads_no_stamp_ahead() {
    let scripted = Scripted::new();
    let hlc = scripted.hybrid(|builder| builder);
    let before = hlc.tick().unwrap();
    assert!(within_unit(before) < 56);
    scripted.machine.jump_counter(3_600_000 * 2_500_000);
    for _ in 0..5 {
        scripted.machine.advance(micros(100));
        let stamp = hlc.tick().unwrap();
        assert!(stamp > before);
        let real = scripted.machine.true_time().unix_nanos();
        let ahead = stamp.physical().unix_nanos() - real;
        assert!(ahead < 110_000_000, "{ahead} ns ahead");
    }
}

/// By default nothing changes: the word takes every number, one after the other.
#[test]
fn one_thread_stays_with_the_word() {
    let scripted = Scripted::new();
    let hlc = HybridClock::new(scripted.clock.clone());
    scripted.machine.set_read_cost(Duration::ZERO);
    let first = hlc.tick().unwrap();
    let second = hlc.tick().unwrap();
    assert_eq!(second.to_bits(), first.to_bits() + 1);
    assert_eq!(hlc.last(), second);
}
