//! T5 among nodes: whoever begins after a commit was released gets a larger timestamp.

use epsilon_clock::commit::WaitStrategy;
use epsilon_clock::{Clock, CommitWait, Timestamp};

use super::world::Worlds;
use crate::random::Random;

/// Pairs of commits on different nodes, the first released before the second began.
const PAIRS: u64 = 1_000_000;

/// How commits are made.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// As they ought to be.
    Whole,
    /// Released as soon as they have a timestamp.
    NoWait,
    /// With the clock's best guess for a timestamp, waited out all the same.
    Midpoint,
}

#[derive(Default, Debug)]
struct Tally {
    pairs: u64,
    violations: u64,
    commits: u64,
    refused: u64,
    /// Released although the timestamp was not past: T6, in terms of true time.
    early: u64,
    /// Waits for what was past already.
    idle: u64,
}

/// A commit that was released: where, and with which timestamp.
type Released = (usize, Timestamp);

fn play(seed: u64, way: Way, tally: &mut Tally) {
    let mut rng = Random::new(seed ^ 0xc0_ffee);
    let nodes = rng.within(2, 4) as usize;
    let world = Worlds::new(seed, nodes);
    let clocks: Vec<Clock> = (0..nodes).map(|index| world.clock(index)).collect();
    let mut begun: Vec<(usize, CommitWait<'_>)> = Vec::new();
    let mut released: Vec<Released> = Vec::new();
    for _ in 0..80 {
        match rng.below(16) {
            0..=5 => {
                let node = rng.below(nodes as i64) as usize;
                let Some(commit) = begin(&clocks[node], way, tally) else {
                    continue;
                };
                let timestamp = commit.timestamp();
                count(&released, node, timestamp, tally);
                if way == Way::NoWait {
                    released.push((node, timestamp));
                } else {
                    begun.push((node, commit));
                }
            }
            6..=10 if !begun.is_empty() => {
                let at = rng.below(begun.len() as i64) as usize;
                let (node, commit) = begun.swap_remove(at);
                let Some(done) = end(&mut rng, node, commit, &world, tally) else {
                    continue;
                };
                released.push(done);
                // At once, on another node: nothing lies between but the hearing of it.
                let next = (node + 1) % nodes;
                if let Some(commit) = begin(&clocks[next], way, tally) {
                    count(&released, next, commit.timestamp(), tally);
                    begun.push((next, commit));
                }
            }
            11..=13 => world.pass(match rng.below(3) {
                0 => rng.within(0, 2_000),
                1 => rng.within(0, 5_000_000),
                _ => rng.within(0, 200_000_000),
            }),
            _ => world.trouble(rng.below(nodes as i64) as usize),
        }
    }
}

fn begin<'a>(clock: &'a Clock, way: Way, tally: &mut Tally) -> Option<CommitWait<'a>> {
    let begun = match way {
        Way::Whole | Way::NoWait => clock.begin_commit().ok(),
        Way::Midpoint => clock.now().ok().map(|now| clock.until_past(now.midpoint())),
    };
    tally.commits += u64::from(begun.is_some());
    tally.refused += u64::from(begun.is_none());
    begun
}

fn end(
    rng: &mut Random,
    node: usize,
    commit: CommitWait<'_>,
    world: &Worlds,
    tally: &mut Tally,
) -> Option<Released> {
    let commit = match rng.below(8) {
        0 => commit,
        _ => commit.with_strategy(WaitStrategy::SLEEP),
    };
    tally.idle += u64::from(commit.is_past() == Ok(true));
    if rng.once_in(4) {
        // Taken up again after it failed.
        let timeout = std::time::Duration::from_micros(rng.next_u64() % 5_000);
        let _ = commit.wait_timeout(timeout);
    }
    if commit.wait().is_err() {
        tally.refused += 1;
        return None;
    }
    tally.early += u64::from(world.utc() <= commit.timestamp());
    Some((node, commit.timestamp()))
}

fn count(released: &[Released], node: usize, timestamp: Timestamp, tally: &mut Tally) {
    for (_, earlier) in released.iter().filter(|(at, _)| *at != node) {
        tally.pairs += 1;
        tally.violations += u64::from(*earlier >= timestamp);
    }
}

/// Plays worlds on two threads until there are so many pairs.
fn run(pairs: u64, way: Way) -> Tally {
    let half = |first: u64| {
        let mut tally = Tally::default();
        let mut seed = first;
        while tally.pairs < pairs / 2 {
            play(seed, way, &mut tally);
            seed += 2;
        }
        tally
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut tally = half(0);
        let other = other.join().unwrap();
        tally.pairs += other.pairs;
        tally.violations += other.violations;
        tally.commits += other.commits;
        tally.refused += other.refused;
        tally.early += other.early;
        tally.idle += other.idle;
        tally
    })
}

#[test]
fn t5_released_before_another_begins_means_less() {
    let tally = run(PAIRS, Way::Whole);
    assert!(tally.pairs >= PAIRS, "{tally:?}");
    assert_eq!((tally.violations, tally.early), (0, 0), "{tally:?}");
    // The troubles were there, and did not keep everybody from committing.
    assert!(tally.refused > tally.commits / 100, "{tally:?}");
    assert!(tally.commits > PAIRS / 40, "{tally:?}");
    assert!(tally.idle > 0, "{tally:?}");
}

/// The test above can fail: it does without the wait.
#[test]
fn t5_without_the_wait_it_is_violated() {
    let tally = run(PAIRS / 20, Way::NoWait);
    assert!(tally.violations > tally.pairs / 1_000, "{tally:?}");
}

/// And it does with timestamps from the middle of the interval, waited out as they are.
#[test]
fn t5_with_midpoints_it_is_violated() {
    let tally = run(PAIRS / 20, Way::Midpoint);
    assert!(tally.violations > tally.pairs / 10_000, "{tally:?}");
    assert_eq!(tally.early, 0, "{tally:?}");
}
