//! Clocks of scripted machines that a daemon has just synchronized.

use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::testing::ScriptedMachine;

/// A machine whose daemon vouches for 1 ms, and a clock on it that has seen that.
pub(crate) fn synchronized() -> (ScriptedMachine, Clock) {
    synchronized_on(ScriptedMachine::default())
}

/// The same of a machine on which readings take no time, so that an instant can be met exactly.
pub(crate) fn synchronized_at_no_cost() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    synchronized_on(machine)
}

fn synchronized_on(machine: ScriptedMachine) -> (ScriptedMachine, Clock) {
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    clock.now().unwrap();
    (machine, clock)
}
