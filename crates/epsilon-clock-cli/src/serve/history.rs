//! The last hour of epsilon, and of the kernel's own bound.

use std::collections::VecDeque;
use std::time::Duration;

/// How often a sample is taken.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// An hour of samples.
const KEPT: usize = 720;

/// What was seen at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When, since watching began.
    pub(super) at: Duration,
    /// Half of the interval's width, where there was one.
    pub(super) epsilon: Option<Duration>,
    /// The kernel's `maxerror`, where it is known.
    pub(super) kernel: Option<Duration>,
}

/// The samples of the last hour, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct History {
    samples: VecDeque<Sample>,
}

impl History {
    pub(super) fn new() -> Self {
        // All that it will ever take.
        let samples = VecDeque::with_capacity(KEPT);
        Self { samples }
    }

    pub(super) fn push(&mut self, sample: Sample) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    pub(super) fn span(&self) -> Duration {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) => last.at.saturating_sub(first.at),
            _ => Duration::ZERO,
        }
    }

    /// Returns the least and the largest epsilon, if there was one.
    pub(super) fn extremes(&self) -> Option<(Duration, Duration)> {
        let known = || self.samples.iter().filter_map(|sample| sample.epsilon);
        Some((known().min()?, known().max()?))
    }
}
