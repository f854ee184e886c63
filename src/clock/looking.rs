//! Looking at the sources, and publishing what comes of it.

use core::time::Duration;

use super::counters::{Count, Events};
use super::latch::Head;
use super::reading::ROUNDS;
use super::shared::Shared;
use super::state::{Assumption, MAX_SOURCES, State};
use crate::machine::{GUARD_WIDTH_LIMIT, sharp_sandwich};
use crate::source::{Finding, Look, LookContext};

/// How often a look starts anew because the clocks were disturbed in the middle of it.
const LOOK_ATTEMPTS: usize = 3;

impl Shared {
    /// Which sources ask elsewhere, and how often they want to.
    pub(super) fn refresh_intervals(&self) -> impl Iterator<Item = (usize, Duration)> + '_ {
        let sources = self.policy.sources.iter().enumerate();
        sources.filter_map(|(index, source)| Some((index, source.refresh_interval()?)))
    }

    /// Lets one source ask, which may take its time.
    pub(super) fn refresh_one(&self, index: usize) {
        if let Some(source) = self.policy.sources.get(index) {
            source.refresh(self.machine.as_dyn());
        }
    }

    pub(super) fn refresh(&self) {
        for index in 0..self.policy.source_count() {
            self.refresh_one(index);
        }
    }

    /// Looks at every source, due or not, and publishes what comes of it.
    pub(super) fn look(&self) {
        for _ in 0..LOOK_ATTEMPTS {
            if self.try_look() {
                return;
            }
        }
        self.counters.add(&Events::of(Count::LooksDropped));
    }

    /// One attempt; whether it came to an end, if only to find that another look was faster.
    fn try_look(&self) -> bool {
        let snapshot = self.latch.snapshot();
        let Some(found) = State::from_words(&snapshot.state) else {
            return false;
        };
        let machine = self.machine.as_dyn();
        let before = sharp_sandwich(machine);
        self.watch.looked(before.raw);
        let Some(disruption) = machine.disruption() else {
            return false;
        };
        let identity = || machine.identity();
        if let Some((next, events)) = found.guard(&self.policy, &before, disruption, identity) {
            self.publish(snapshot.head, &found, next, &events);
            return false;
        }
        if before.width() > GUARD_WIDTH_LIMIT {
            return false;
        }
        if let Some(next) = found.recounted(&self.policy, || machine.clocksource()) {
            self.publish(snapshot.head, &found, next, &Events::default());
            return false;
        }
        if found.near_leap(before.raw) {
            self.counters.add(&Events::of(Count::LooksDropped));
            return true;
        }
        let (state, looks) = self.ask_sources(&found);
        // What the look saw counts only if nothing happened to the clocks in the middle of it.
        let after = sharp_sandwich(machine);
        let Some(disruption) = machine.disruption() else {
            return false;
        };
        if let Some((next, events)) = found.guard(&self.policy, &after, disruption, identity) {
            self.publish(snapshot.head, &found, next, &events);
            return false;
        }
        if after.width() > GUARD_WIDTH_LIMIT {
            return false;
        }
        let looks = looks.get(..self.policy.source_count()).unwrap_or(&[]);
        let (next, events) = state.looked(&self.policy, looks, &after, || machine.clocksource());
        let published = self.publish(snapshot.head, &found, next, &events);
        let outcome = if published {
            Count::Looks
        } else {
            Count::LooksDropped
        };
        self.counters.add(&Events::of(outcome));
        true
    }

    /// Lets every source look: the state with what they want to remember, and what they found.
    fn ask_sources(&self, found: &State) -> (State, [Look; MAX_SOURCES]) {
        let mut state = *found;
        let mut looks = [Look::new(Finding::Unsettled); MAX_SOURCES];
        let sources = self.policy.sources.iter();
        for ((source, record), look) in sources.zip(&mut state.sources).zip(&mut looks) {
            let context = LookContext {
                machine: self.machine.as_dyn(),
                max_drift_ppb: self.policy.max_drift_ppb,
                daemon_margin: self.policy.daemon_margin,
                report_wander_ppb: self.policy.report_wander_ppb,
                may_ask_kernel: self.policy.may_ask_kernel(),
                accept_unsync_flag: self.policy.accept_unsync_flag,
                may_inherit: record.may_inherit(),
            };
            *look = source.look(&context, &mut record.memory);
        }
        (state, looks)
    }

    /// Vouches anew for the machine's clock after something broke the assumption.
    pub(super) fn vouch(&self) {
        // What happened until now is what the caller has checked, even if no reading noticed it yet.
        self.look();
        for _ in 0..ROUNDS {
            let snapshot = self.latch.snapshot();
            let Some(state) = State::from_words(&snapshot.state) else {
                break;
            };
            let Assumption::Broken(_) = state.assumption else {
                break;
            };
            // In one step: in between there would be no error to tell, and no interval either.
            let next = state.vouched(&self.policy, &self.clocks());
            if self.publish(snapshot.head, &state, next, &Events::default()) {
                break;
            }
        }
        self.look();
    }

    /// Replaces `before`, current under `head`, by `next`; returns false where another was faster.
    pub(super) fn publish(&self, head: Head, before: &State, next: State, events: &Events) -> bool {
        // Not the process that the state knows: in a forked child that is the parent, whose slots
        // would then pass for the child's own and never be taken again.
        let Some(draft) = self.latch.draft(std::process::id()) else {
            return false;
        };
        let mut closed = None;
        if before.loses_its_claim(&next) {
            closed = self.latch.close(head, || self.machine.sample().raw);
            if closed.is_none() {
                return false;
            }
        }
        let (next, more) = next.succeed(before, closed, &self.policy);
        let published = draft.publish(head, &next.line(&self.policy), &next.to_words());
        if published {
            self.watch.rests_on(next.disruption);
            self.counters.add(&events.and(&more));
        }
        published
    }

    /// Sleeps for about a look interval, in the background thread.
    pub(super) fn pause(&self) {
        self.machine.as_dyn().sleep(self.policy.look_interval);
    }
}
