//! The clocks' own threads: one asks on behalf of sources, so that no reading waits for an answer; the
//! other looks in the background.

use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::Instant;

use super::error::BuildError;
use super::shared::Shared;
use crate::machine::spawn;

/// The longest that the thread sleeps before it finds out that its clocks are gone.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// How often the process's thread is asked for, a tenth of a millisecond apart. Not for ever: in a
/// forked child its lock may be held by a thread that is not there.
const PATIENCE: u32 = 50;

/// The clocks on whose behalf one thread asks.
#[derive(Debug, Default)]
struct Asker {
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    clocks: Vec<AskedFor>,
    /// The process whose thread runs.
    runs_in: Option<u32>,
}

/// One clock, and when each of its sources was last asked.
#[derive(Debug)]
struct AskedFor {
    clock: Weak<Shared>,
    asked: [Instant; super::state::MAX_SOURCES],
}

impl AskedFor {
    /// Each source is asked once when the clock is built.
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            clock: Arc::downgrade(shared),
            asked: [Instant::now(); super::state::MAX_SOURCES],
        }
    }

    /// Asks the sources that are due; returns after how long the next one is, or `None` if the clock is
    /// gone.
    fn ask(&mut self) -> Option<Duration> {
        let shared = self.clock.upgrade()?;
        let mut nap = LONGEST_NAP;
        for (index, interval) in shared.refresh_intervals() {
            let Some(asked) = self.asked.get_mut(index) else {
                continue;
            };
            if asked.elapsed() >= interval {
                *asked = Instant::now();
                shared.refresh_one(index);
            }
            nap = nap.min(interval.saturating_sub(asked.elapsed()));
        }
        Some(nap)
    }
}

/// Asks on behalf of all clocks of the process that name no source.
static OF_PROCESS: Asker = Asker {
    asked: Mutex::new(Asked {
        clocks: Vec::new(),
        runs_in: None,
    }),
};

/// Starts asking on behalf of a clock, if any of its sources wants it; a thread ends soon after the last
/// handle of its clocks is gone.
///
/// One thread of the process does so for clocks that name no source, and so ask one chronyd in one way.
/// A clock that names its own has a thread of its own: a source that keeps its thread waiting makes no
/// other clock's answers late.
pub(super) fn start_asking(shared: &Arc<Shared>, named: bool) -> Result<(), BuildError> {
    if shared.refresh_intervals().next().is_none() {
        return Ok(());
    }
    if !named && OF_PROCESS.joined_by(shared).map_err(refused)? {
        return Ok(());
    }
    let mut alone = AskedFor::new(shared);
    let run = move || {
        while let Some(nap) = alone.ask() {
            rest(nap);
        }
    };
    spawn("epsilon-ask", run).map_err(refused)
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn refused(error: std::io::Error) -> BuildError {
    BuildError::Thread {
        reason: error.to_string(),
    }
}

/// Sleeps, with no clock in hand.
fn rest(nap: Duration) {
    thread::sleep(nap.max(Duration::from_micros(100)));
}

impl Asker {
    fn try_lock(&self) -> Option<MutexGuard<'_, Asked>> {
        for _ in 0..PATIENCE {
            match self.asked.try_lock() {
                Ok(asked) => return Some(asked),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => rest(Duration::ZERO),
            }
        }
        None
    }

    /// Takes a clock on, and starts the thread if there is none; returns false where that is impossible
    /// in this process.
    fn joined_by(&'static self, shared: &Arc<Shared>) -> io::Result<bool> {
        let pid = std::process::id();
        let Some(mut asked) = self.try_lock() else {
            return Ok(false);
        };
        if asked.runs_in != Some(pid) {
            // Those of the parent, in a forked child, whose thread did not follow it.
            asked.clocks.clear();
            spawn("epsilon-ask", || self.ask_until_dropped())?;
            asked.runs_in = Some(pid);
        }
        asked.clocks.push(AskedFor::new(shared));
        Ok(true)
    }

    fn ask_until_dropped(&self) {
        let mut mine: Vec<AskedFor> = Vec::new();
        loop {
            {
                // Not held while asking: a clock that is being built waits for no answer.
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                mine.append(&mut asked.clocks);
                if mine.is_empty() {
                    asked.runs_in = None;
                    return;
                }
            }
            let mut nap = LONGEST_NAP;
            mine.retain_mut(|clock| {
                let next = clock.ask();
                nap = next.map_or(nap, |next| nap.min(next));
                next.is_some()
            });
            rest(nap);
        }
    }
}

/// Starts the thread; it ends soon after the last handle of the clock is gone.
pub(super) fn start_looking(shared: &Arc<Shared>) -> Result<(), BuildError> {
    let weak = Arc::downgrade(shared);
    spawn("epsilon-look", move || look_until_dropped(&weak)).map_err(refused)
}

fn look_until_dropped(clock: &Weak<Shared>) {
    while let Some(shared) = clock.upgrade() {
        shared.look();
        // Sleeps with a handle in hand, so the clock outlives its users by one interval at most.
        shared.pause();
    }
}
