//! A clock's own threads: one asks on behalf of its sources, so that no reading waits for an answer;
//! the other looks in the background.

use core::time::Duration;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use super::error::BuildError;
use super::shared::Shared;
use crate::machine::spawn;

/// The longest that the thread sleeps before it finds out that its clock is gone.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Starts the thread, if any source wants it; it ends soon after the last handle of the clock is
/// gone.
pub(super) fn start_asking(shared: &Arc<Shared>) -> Result<(), BuildError> {
    if shared.refresh_intervals().next().is_none() {
        return Ok(());
    }
    let weak = Arc::downgrade(shared);
    spawn("epsilon-clock-ask", move || ask_until_dropped(&weak)).map_err(refused)
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn refused(error: std::io::Error) -> BuildError {
    BuildError::Thread {
        reason: error.to_string(),
    }
}

fn ask_until_dropped(clock: &Weak<Shared>) {
    // Each source was asked once when the clock was built.
    let mut asked = [Instant::now(); super::state::MAX_SOURCES];
    loop {
        let Some(shared) = clock.upgrade() else {
            return;
        };
        let mut nap = LONGEST_NAP;
        for (index, interval) in shared.refresh_intervals() {
            let Some(asked) = asked.get_mut(index) else {
                continue;
            };
            if asked.elapsed() >= interval {
                *asked = Instant::now();
                shared.refresh_one(index);
            }
            nap = nap.min(interval.saturating_sub(asked.elapsed()));
        }
        // Not held while asleep.
        drop(shared);
        thread::sleep(nap.max(Duration::from_micros(100)));
    }
}

/// Starts the thread; it ends soon after the last handle of the clock is gone.
pub(super) fn start_looking(shared: &Arc<Shared>) -> Result<(), BuildError> {
    let weak = Arc::downgrade(shared);
    spawn("epsilon-clock", move || look_until_dropped(&weak)).map_err(refused)
}

fn look_until_dropped(clock: &Weak<Shared>) {
    while let Some(shared) = clock.upgrade() {
        shared.look();
        // Sleeps with a handle in hand, so the clock outlives its users by one interval at most.
        shared.pause();
    }
}
