//! Readings for traits whose `now` cannot fail.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::lease::ElapsedInstant;
use crate::time::{Interval, Timestamp};

/// What a clock says where it has to say something.
///
/// A type of its own on purpose: no lease, commit or safe time accepts it. After a suspend, the last
/// good interval made wider proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Where UTC probably is; it surely is only if `vouched`.
    pub interval: Interval,
    /// Whether a source vouches for the interval.
    pub vouched: bool,
}

/// A clock that never fails to answer: the last good interval, carried, made wider and flagged.
///
/// Cheap to clone; clones share the last good interval.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::engine::Guesses;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let guesses = Guesses::new(&Clock::system()?, Duration::from_secs(1));
/// let guess = guesses.now(); // never an error
/// if !guess.vouched {
///     eprintln!("UTC is perhaps in {}", guess.interval);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Guesses {
    clock: Clock,
    allowance: Duration,
    last: Arc<Mutex<Option<(Interval, ElapsedInstant)>>>,
}

impl Guesses {
    /// Creates guesses that are wider than the last good interval by `allowance` on either side.
    #[must_use]
    pub fn new(clock: &Clock, allowance: Duration) -> Self {
        Self {
            clock: clock.clone(),
            allowance,
            last: Arc::default(),
        }
    }

    /// Returns the interval, or a guess at it.
    ///
    /// A guess spans the last good interval, carried by raw time and made wider by the allowance, and
    /// the machine's own real time, which a sleep does not leave behind.
    #[must_use]
    pub fn now(&self) -> Guess {
        let here = ElapsedInstant::now(&self.clock);
        // Nothing that panics runs under the lock.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(interval) = self.clock.now() {
            *last = Some((interval, here));
            return Guess {
                interval,
                vouched: true,
            };
        }
        let real = self.around(self.clock.read().estimate);
        let interval = match *last {
            Some((interval, read)) => self
                .carried(&interval, here.at_least_since(read))
                .hull(&real),
            None => real,
        };
        Guess {
            interval,
            vouched: false,
        }
    }

    fn around(&self, instant: Timestamp) -> Interval {
        Interval::point(instant).saturating_widen(self.allowance)
    }

    fn carried(&self, interval: &Interval, by: Duration) -> Interval {
        let (earliest, latest) = (interval.earliest(), interval.latest());
        // `by` is the least that went by; the allowance is there for the rest.
        self.around(earliest.saturating_add(by))
            .hull(&self.around(latest.saturating_add(by)))
    }
}
