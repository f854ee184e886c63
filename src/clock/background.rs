//! The thread that looks in the background.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::thread;

use super::shared::Shared;
use crate::error::BuildError;

/// Starts the thread; it ends soon after the last handle of the clock is gone.
pub(super) fn start(shared: &Arc<Shared>) -> Result<(), BuildError> {
    let weak = Arc::downgrade(shared);
    thread::Builder::new()
        .name("epsilon-clock".into())
        .spawn(move || look_until_dropped(&weak))
        .map(drop)
        .map_err(|error| BuildError::Thread {
            reason: error.to_string(),
        })
}

fn look_until_dropped(clock: &Weak<Shared>) {
    while let Some(shared) = clock.upgrade() {
        shared.look();
        // Sleeps with a handle in hand, so the clock outlives its users by one interval at most.
        shared.pause();
    }
}
