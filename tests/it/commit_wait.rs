//! Commit-wait: T5 and T6 on machines whose true time is known, and each way in which a wait ends.

use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::testing::ScriptedMachine;

mod begins;
mod external_consistency;
mod striping;
mod waits;
mod world;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// A machine whose daemon has just written a bound of about a millisecond, and a clock that saw it.
fn synchronized() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    machine.advance(millis(300));
    machine.write_maxerror(1_003);
    machine.advance(millis(300));
    assert!(clock.now().is_ok());
    (machine, clock)
}
