//! A scripted clock that goes through counts.

use std::time::Duration;

use epsilon_clock::source::Finding;
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::Claim;
use epsilon_clock::{Clock, ClockBuilder, Interval, Timestamp};

pub(crate) struct Scripted {
    pub(crate) machine: ScriptedMachine,
    source: ScriptedSource,
    pub(crate) clock: Clock,
}

const EPSILON: Duration = Duration::from_millis(100);

impl Scripted {
    pub(crate) fn new(settings: impl Fn(ClockBuilder) -> ClockBuilder) -> Self {
        let machine = ScriptedMachine::default(); // a reading takes 20 ns of its time, more than a unit
        machine.set_counter(Ok(()));
        let source = ScriptedSource::new("oracle");
        let builder = machine.builder().source(source.clone());
        let clock = settings(builder).build().unwrap();
        let scripted = Self {
            machine,
            source,
            clock,
        };
        for _ in 0..6 {
            scripted.machine.advance(Duration::from_millis(300));
            scripted.claim(0);
        }
        assert_ne!(scripted.clock.status().path.as_str(), "vdso");
        scripted
    }

    /// Makes the clock claim a time so many µs beside the true one.
    pub(crate) fn claim(&self, micros: i64) {
        let mut sync = self.machine.truth(EPSILON);
        let ends = sync.claim.interval();
        let moved = |end: Timestamp| Timestamp::from_unix_nanos(end.unix_nanos() + micros * 1_000);
        let moved = Interval::new(moved(ends.earliest()), moved(ends.latest())).unwrap();
        sync.claim = Claim::new(sync.claim.raw(), moved, sync.claim.rate());
        self.source.push(Finding::Write(sync));
        let now = self.clock.look().unwrap();
        assert!(now.contains(self.machine.true_time()));
    }
}
