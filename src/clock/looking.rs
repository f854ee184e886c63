//! Looking at the sources, and publishing what comes of it.

use core::time::Duration;

use super::counters::{Count, Events};
use super::latch::Head;
use super::reading::ROUNDS;
use super::scratch::Scratch;
use super::shared::Shared;
use super::state::{SLOT_WORDS, State};
use crate::machine::Sandwich;
use crate::source::LookContext;

/// How often a look starts anew because the clocks were disturbed in the middle of it.
const LOOK_ATTEMPTS: usize = 3;

impl Shared {
    /// Lists the sources that ask elsewhere, and how often they want to.
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
    #[inline(never)]
    pub(super) fn look(&self) {
        let ended = self
            .scratches
            .with(|scratch| (0..LOOK_ATTEMPTS).any(|_| self.try_look(scratch)));
        // Where no room is free as many lookers are at work.
        if ended == Some(true) {
            return;
        }
        self.counters.add(&Events::of(Count::LooksDropped));
    }

    /// One attempt; whether it came to an end, if only to find that another look was faster.
    fn try_look(&self, scratch: &mut Scratch) -> bool {
        let Some(head) = self.load_both(scratch) else {
            return false;
        };
        let machine = self.machine.as_dyn();
        let before = self.clocks();
        self.watch.looked(before.raw);
        if self.finds_a_disturbance(head, scratch, &before) {
            return false;
        }
        if scratch.next.recount(&self.policy, || machine.clocksource()) {
            self.publish(head, scratch, &Events::default());
            return false;
        }
        if scratch.before.near_leap(before.raw) {
            self.counters.add(&Events::of(Count::LooksDropped));
            return true;
        }
        self.ask_sources(scratch, before.raw);
        // What the look saw counts only if nothing happened to the clocks in the middle of it.
        let after = self.clocks();
        if self.finds_a_disturbance(head, scratch, &after) {
            return false;
        }
        let Scratch {
            next,
            looks,
            memories,
            ..
        } = scratch;
        for (record, memory) in next.sources.iter_mut().zip(memories) {
            record.memory = *memory;
        }
        let looks = looks.get(..self.policy.source_count()).unwrap_or(&[]);
        let events = next.looked(&self.policy, looks, &after, || machine.clocksource());
        let published = self.publish(head, scratch, &events);
        let outcome = if published {
            Count::Looks
        } else {
            Count::LooksDropped
        };
        self.counters.add(&Events::of(outcome));
        true
    }

    /// Returns true if something happened to the clocks, and publishes what comes of it, or if they
    /// could not be compared.
    fn finds_a_disturbance(&self, head: Head, scratch: &mut Scratch, clocks: &Sandwich) -> bool {
        let machine = self.machine.as_dyn();
        let Some(disruption) = machine.disruption() else {
            return true;
        };
        let identity = || machine.identity();
        let found = scratch
            .next
            .guard(&self.policy, clocks, disruption, identity);
        if let Some(events) = found {
            self.publish(head, scratch, &events);
            return true;
        }
        !self.is_sharp(clocks)
    }

    /// Lets every source look: what they found, and what they want to remember, is in the scratch.
    // Not inlined: what the sources are told would lie on the stack under all that comes after.
    #[inline(never)]
    fn ask_sources(&self, scratch: &mut Scratch, raw: i64) {
        let Scratch {
            before,
            looks,
            memories,
            ..
        } = scratch;
        let in_force = before.claim_to_tell();
        let sources = self.policy.sources.iter().zip(&before.sources).enumerate();
        for ((index, (source, record)), (look, memory)) in
            sources.zip(looks.iter_mut().zip(memories))
        {
            let (rate, rate_serial) = before.rate_for(&self.policy, index, raw);
            let context = LookContext {
                machine: self.machine.as_dyn(),
                max_drift_ppb: self.policy.max_drift_ppb,
                rate,
                rate_serial,
                in_force,
                daemon_margin: self.policy.daemon_margin,
                report_wander_ppb: self.policy.report_wander_ppb,
                may_ask_kernel: self.policy.may_ask_kernel(),
                accept_unsync_flag: self.policy.accept_unsync_flag,
                may_inherit: record.may_inherit(),
                reading_cost: self.reading_cost.as_duration(),
            };
            *memory = record.memory;
            *look = source.look(&context, memory);
        }
    }

    /// Vouches anew for the machine's clock after something broke the assumption.
    pub(super) fn vouch(&self) {
        // What happened until now is what the caller has checked, even if no reading noticed it yet.
        self.look();
        for _ in 0..ROUNDS {
            if self.scratches.with(|scratch| self.vouch_once(scratch)) == Some(true) {
                break;
            }
        }
        self.look();
    }

    /// One attempt; returns true if there is no more to do.
    fn vouch_once(&self, scratch: &mut Scratch) -> bool {
        let Some(head) = self.load_both(scratch) else {
            return true;
        };
        if !scratch.before.awaits_the_caller() {
            return true;
        }
        // In one step: in between there would be no error to tell, and no interval either.
        let clocks = self.clocks();
        scratch.next.vouch(&self.policy, &clocks);
        self.publish(head, scratch, &Events::default())
    }

    /// Copies the current state, which `state` then holds, and returns the `head` it was current under.
    pub(super) fn load(&self, words: &mut [i64; SLOT_WORDS], state: &mut State) -> Option<Head> {
        let head = self.latch.copy_state(words);
        state.load(words)?;
        Some(head)
    }

    /// Copies the current state into both of a looker's, to be changed in one of them.
    pub(super) fn load_both(&self, scratch: &mut Scratch) -> Option<Head> {
        let Scratch {
            words,
            before,
            next,
            ..
        } = scratch;
        let head = self.load(words, before)?;
        next.clone_from(before);
        Some(head)
    }

    /// Replaces what the looker found, current under `head`, by what it made of it; returns false where
    /// another was faster.
    pub(super) fn publish(&self, head: Head, scratch: &mut Scratch, events: &Events) -> bool {
        let Scratch {
            words,
            before,
            next,
            ..
        } = scratch;
        // Not the process that the state knows: in a forked child that is the parent, whose slots
        // would then pass for the child's own and never be taken again.
        let Some(draft) = self.latch.draft(std::process::id()) else {
            return false;
        };
        let mut closed = None;
        if before.loses_its_claim(next) {
            closed = self.latch.close(head, || self.machine.sample().raw);
            if closed.is_none() {
                return false;
            }
        }
        let more = next.succeed(before, closed, &self.policy);
        next.store(words);
        let published = draft.publish(head, &next.line(&self.policy), words);
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
