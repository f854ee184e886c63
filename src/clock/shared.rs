//! What all handles of a clock share.
//!
//! What is done with it stands elsewhere: `reading` for readers, `looking` for lookers, `report` for
//! operators.

use core::time::Duration;
use std::sync::Arc;

use super::commits::Commits;
use super::counters::CounterCells;
use super::latch::{CountWatch, Drawn, Latch, Line, Watch};
use super::policy::Policy;
use super::scratch::Scratches;
use super::sleeper::Sleeper;
use super::state::{Assumption, SLOT_WORDS, State};
use super::state_queue::StateWaits;
use crate::machine::{AnyMachine, ReadingCost, Sandwich, sharp_sandwich};

/// The clock behind its handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) latch: Latch<SLOT_WORDS>,
    pub(super) scratches: Scratches,
    pub(super) watch: Watch,
    pub(super) count_watch: CountWatch,
    pub(super) machine: AnyMachine,
    /// Whether a reading along counts takes the counter alone: no coarse time, and no word of a hypervisor.
    pub(super) by_counter_alone: bool,
    pub(super) policy: Policy,
    pub(super) counters: CounterCells,
    pub(super) commits: Commits,
    pub(super) reading_cost: ReadingCost,
    pub(super) state_waits: StateWaits,
}

impl Shared {
    pub(super) fn new(machine: AnyMachine, policy: Policy) -> Self {
        let any = machine.as_dyn();
        // First of all, so that what happens to the clocks from here on shows.
        let clocks = sharp_sandwich(any, ReadingCost::UNKNOWN);
        let reading_cost = ReadingCost::of(any);
        // While it is being changed there is nothing to rest on; the first look finds what it is then.
        let disruption = any.disruption().unwrap_or_default();
        let assumption = Assumption::of(&policy);
        let identity = any.identity();
        let commits = Commits::new(
            policy.striping,
            || machine.stripes(),
            identity.time_namespace,
        );
        let state = State::new(assumption, &clocks, identity, disruption);
        let span = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let watch = Watch::new(
            span(any.coarse_tick()),
            span(policy.guard_interval),
            span(policy.look_interval),
        );
        watch.rests_on(disruption);
        let never_suspends = policy.never_suspends;
        let with_coarse = !never_suspends.unwrap_or_else(|| any.never_suspends());
        let by_counter_alone = !with_coarse && machine.is_read_by_counter_alone();
        let count_watch = CountWatch::new(&watch, with_coarse);
        let mut words = [0; SLOT_WORDS];
        state.store(&mut words);
        Self {
            latch: Latch::new(&Drawn::plainly(Line::NOTHING), &words),
            scratches: Scratches::new(&state),
            watch,
            count_watch,
            machine,
            by_counter_alone,
            policy,
            counters: CounterCells::default(),
            commits,
            reading_cost,
            state_waits: StateWaits::default(),
        }
    }

    /// Returns the sleeper for waits on this clock.
    pub(super) fn sleeper(&self) -> Arc<Sleeper> {
        match self.machine {
            AnyMachine::System(_) => Sleeper::of_process(),
            // Reading another machine may take it any time, which no other clock's waits are to suffer.
            AnyMachine::Other(_) => Arc::default(),
        }
    }

    /// Compares all clocks of the machine as sharply as it goes.
    pub(super) fn clocks(&self) -> Sandwich {
        sharp_sandwich(self.machine.as_dyn(), self.reading_cost)
    }

    /// Returns true if the clocks were compared without an interruption.
    pub(super) const fn is_sharp(&self, clocks: &Sandwich) -> bool {
        clocks.width() <= self.reading_cost.guard_limit()
    }
}
