//! A run: its clocks, its faults, and what makes a broken rule show.

use crate::breaks::Break;

/// What befalls the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    None,
    All,
    /// The leaderships are handed round, so often.
    HandOver(u64),
    /// A leader is cut off, and both others are killed and restarted.
    Restart,
    /// All nodes are killed at once, at one named point after the other.
    KillAll,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub seconds: u64,
    pub faults: Faults,
    pub broken: Option<Break>,
    pub epsilon_us: u64,
    /// What each clock is off by at first.
    pub offsets_us: [i64; 3],
    pub delta_ms: u64,
    pub slow_tell_ms: u64,
    pub in_doubt_ms: Option<u64>,
    /// How long a client waits for an answer before it repeats its request.
    pub patience_ms: u64,
    /// How far ahead of `latest` some lease reads are.
    pub ahead_ms: u32,
    pub fdatasync: bool,
    /// Whether clients read as often as not, and read and write few keys.
    pub hot: bool,
}

/// Numbers from a seed, by splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from one end to the other, both included.
    pub fn within(&mut self, edge: i64) -> i64 {
        let width = u64::try_from(2 * edge + 1).unwrap_or(1);
        i64::try_from(self.below(width)).unwrap_or(0) - edge
    }
}

impl Plan {
    pub fn new(seed: u64, seconds: u64, epsilon_us: u64) -> Self {
        let mut random = Random(seed);
        // Within epsilon, with room for the claim's own width.
        let edge = i64::try_from(epsilon_us).unwrap_or(0) * 8 / 10;
        Self {
            seed,
            seconds,
            faults: Faults::None,
            broken: None,
            epsilon_us,
            offsets_us: [
                random.within(edge),
                random.within(edge),
                random.within(edge),
            ],
            delta_ms: 1_000.max(30 * epsilon_us / 1_000 + 200),
            slow_tell_ms: 0,
            in_doubt_ms: None,
            patience_ms: 2_000 + epsilon_us / 100,
            ahead_ms: 0,
            fdatasync: false,
            hot: false,
        }
    }

    /// What makes a rule that is broken show, whether it is broken or kept.
    pub fn amplified(seed: u64, seconds: u64, rule: Break) -> Self {
        let ms = 1_000;
        let base = Self {
            hot: true,
            ..Self::new(seed, seconds, ms)
        };
        // Leaders of the shards 0, 1, 2 are at first the nodes 1, 2, 3.
        let apart = |epsilon_us: u64, signs: [i64; 3]| Self {
            hot: true,
            offsets_us: signs.map(|sign| sign * i64::try_from(epsilon_us).unwrap_or(0) * 9 / 10),
            ..Self::new(seed, seconds, epsilon_us)
        };
        match rule {
            Break::Draw | Break::Ahead => base,
            Break::Prepared => Self {
                slow_tell_ms: 100,
                in_doubt_ms: Some(600),
                ..base
            },
            Break::Rebuilt => Self {
                slow_tell_ms: 1_500,
                in_doubt_ms: Some(2_500),
                delta_ms: 250,
                faults: Faults::HandOver(900),
                ..base
            },
            Break::Silence => Self {
                slow_tell_ms: 250,
                in_doubt_ms: Some(50),
                ..base
            },
            Break::Beyond => Self {
                ahead_ms: 900,
                delta_ms: 250,
                faults: Faults::HandOver(900),
                ..base
            },
            // Fast readers, slow leaders.
            Break::Promise => apart(60 * ms, [1, -1, -1]),
            // A fast coordinator, slow participants.
            Break::Floor => apart(100 * ms, [1, -1, -1]),
            Break::Answer => apart(60 * ms, [1, -1, 1]),
            Break::Again => Self {
                patience_ms: 25,
                ..apart(60 * ms, [1, -1, 1])
            },
            // Half of it is left, at least, when a leader is cut off: longer than an election takes.
            Break::Book => Self {
                delta_ms: 8_000,
                patience_ms: 300,
                faults: Faults::Restart,
                ..base
            },
        }
    }
}
