//! Looking at the sources, and publishing what comes of it.

use core::time::Duration;

use super::counters::{Count, Events};
use super::latch::{Head, Pair};
use super::reading::ROUNDS;
use super::scratch::Scratch;
use super::shared::Shared;
use super::state::{Counting, SLOT_WORDS, State};
use crate::machine::{Disturbance, NoCounter, Sandwich};
use crate::source::LookContext;

/// How often a look starts anew because the clocks were disturbed in the middle of it.
const LOOK_ATTEMPTS: usize = 3;

/// How often raw time is read beside the counter, for the sharpest pair.
const PAIR_ATTEMPTS: usize = 8;

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
    // Its parts are not inlined, nor are the state's: what each works on would lie on the stack under the next.
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
        self.conclude(head, scratch)
    }

    /// Takes in what the sources found, and publishes it, unless something happened to the clocks; whether
    /// the attempt came to an end.
    #[inline(never)]
    fn conclude(&self, head: Head, scratch: &mut Scratch) -> bool {
        let machine = self.machine.as_dyn();
        // What the look saw counts only if nothing happened to the clocks in the middle of it.
        let after = self.clocks();
        if self.finds_a_disturbance(head, scratch, &after) {
            return false;
        }
        // After all that claims are made of: their lines begin here.
        let pair = self.pair();
        let departs = pair.is_ok_and(|pair| scratch.next.departs(&pair));
        if departs && self.finds_a_disturbance(head, scratch, &self.clocks()) {
            return false;
        }
        let Scratch {
            before,
            next,
            looks,
            memories,
            ..
        } = scratch;
        for (record, memory) in next.sources.iter_mut().zip(memories) {
            record.memory = *memory;
        }
        let looks = looks.get(..self.policy.source_count()).unwrap_or(&[]);
        let mut events = next.looked(&self.policy, looks, &after, || machine.clocksource());
        if let Some(departed) = next.count(&self.policy, pair, before, &after) {
            events = events.and(&departed);
        }
        let published = self.publish(head, scratch, &events);
        let outcome = if published {
            Count::Looks
        } else {
            Count::LooksDropped
        };
        self.counters.add(&Events::of(outcome));
        true
    }

    /// Reads raw time between two readings of the counter, as sharply as it goes.
    #[inline(never)]
    fn pair(&self) -> Result<Pair, NoCounter> {
        if let Some(why) = self.policy.no_counter() {
            return Err(why);
        }
        // Named before it is read: what it is read as, it is then.
        self.machine.as_dyn().counter()?;
        let pairs = (0..PAIR_ATTEMPTS).map(|_| Pair::from(self.machine.counted()));
        pairs.min_by_key(Pair::width).ok_or(NoCounter::Unsupported)
    }

    /// Goes back to raw time, under the claim in force, until the next look.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_counter(&self, head: Head, leave: impl FnOnce(&mut Counting)) {
        self.scratches.with(|scratch| {
            if self.load_both(scratch) == Some(head) {
                leave(&mut scratch.next.counting);
                self.publish(head, scratch, &Events::default());
            }
        });
    }

    /// Finds out why raw time is not where the counter says, though nothing happened to the clocks, and
    /// publishes what comes of it.
    #[cold]
    #[inline(never)]
    pub(super) fn counter_departed(&self, head: Head) {
        self.scratches.with(|scratch| {
            if self.load_both(scratch) != Some(head) {
                return;
            }
            let machine = self.machine.as_dyn();
            let clocks = self.clocks();
            let identity = machine.identity();
            let next = &mut scratch.next;
            // Who reads the clocks comes first: another time namespace shifts raw time alone.
            let events = if next.is_elsewhere(identity) {
                next.void(&self.policy, Disturbance::Moved, &clocks, identity)
            } else if let Err(why) = machine.counter() {
                next.counting.forget(why);
                Events::default()
            } else {
                next.depart(&self.policy, &clocks, identity)
            };
            self.publish(head, scratch, &events);
            self.watch.hasten();
        });
    }

    /// Returns true if something happened to the clocks, and publishes what comes of it, or if they
    /// could not be compared.
    #[inline(never)]
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
        // Also where the same claim goes on: a reader asleep since before this would find its old gate
        // open, and answer beyond the instant at which the gate after it was closed.
        if before.in_force().is_some() {
            let mark = self.latch.close(head, |line| {
                if line.counts() {
                    self.machine.count(line.base())
                } else {
                    self.machine.sample().raw
                }
            });
            let Some(mark) = mark else {
                return false;
            };
            closed = Some(before.raw_at(mark));
        }
        let more = next.succeed(before, closed, &self.policy);
        next.store(words);
        if let Some((_, anchor)) = next.counted() {
            self.count_watch
                .count_by(&anchor, self.watch.guard_interval());
        }
        let published = draft.publish(head, &next.drawn(&self.policy), words);
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
