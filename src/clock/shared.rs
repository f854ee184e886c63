//! What all handles of a clock share.
//!
//! What is done with it stands elsewhere: `reading` for readers, `looking` for lookers, `report` for
//! operators.

use core::time::Duration;

use super::counters::CounterCells;
use super::latch::{LastCommit, Latch, Line, Watch};
use super::policy::Policy;
use super::state::{Assumption, STATE_WORDS, State};
use crate::machine::{AnyMachine, Sandwich, sharp_sandwich};

/// The clock behind its handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) latch: Latch<STATE_WORDS>,
    pub(super) watch: Watch,
    pub(super) machine: AnyMachine,
    pub(super) policy: Policy,
    pub(super) counters: CounterCells,
    pub(super) last_commit: LastCommit,
}

impl Shared {
    pub(super) fn new(machine: AnyMachine, policy: Policy) -> Self {
        let any = machine.as_dyn();
        let clocks = sharp_sandwich(any);
        // While it is being changed there is nothing to rest on; the first look finds what it is then.
        let disruption = any.disruption().unwrap_or_default();
        let assumption = Assumption::of(&policy);
        let state = State::new(assumption, &clocks, any.identity(), disruption);
        let span = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let watch = Watch::new(
            span(any.coarse_tick()),
            span(policy.guard_interval),
            span(policy.look_interval),
        );
        watch.rests_on(disruption);
        Self {
            latch: Latch::new(&Line::NOTHING, &state.to_words()),
            watch,
            machine,
            policy,
            counters: CounterCells::default(),
            last_commit: LastCommit::new(),
        }
    }

    /// All clocks of the machine, compared as sharply as it goes.
    pub(super) fn clocks(&self) -> Sandwich {
        sharp_sandwich(self.machine.as_dyn())
    }
}
