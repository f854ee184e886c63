//! What the earliest end must not fall behind when one claim takes another's place.

use super::{Serving, State};
use crate::clock::policy::Policy;
use crate::source::SyncClaim;
use crate::time::Timestamp;

impl State {
    /// Whether a floor from `before` holds for this: within vouched or within assumed claims, and
    /// not under a contradiction.
    pub(crate) fn rests_on(&self, before: &Self) -> bool {
        let assumed = |state: &Self| state.serving == Serving::Assumed;
        self.contradiction.is_none()
            && match self.serving {
                // What was only assumed may have been wrong, and is no floor for anybody else.
                Serving::Nothing => !assumed(before),
                _ => assumed(self) == assumed(before),
            }
    }

    /// Puts a floor under the claim that is about to replace another, at raw instant `raw`.
    pub(crate) fn rest_on(&mut self, policy: &Policy, floor: Timestamp, raw: i64) -> bool {
        let Some(SyncClaim { claim, .. }) = self.in_force() else {
            self.floor = Some(floor);
            return true;
        };
        let Ok(latest) = claim.latest_at(raw) else {
            return true;
        };
        if floor > latest {
            let source = match self.serving {
                Serving::Source(index) => index,
                Serving::Nothing | Serving::Assumed => 0,
            };
            self.contradict(policy, source, floor.abs_diff(latest));
            self.serving = Serving::Nothing;
            return false;
        }
        self.floor = Some(floor);
        true
    }
}
