//! Scenarios of clocks that read the counter: machines that sleep and step, counters that are left, moved
//! and broken.

use core::time::Duration;

use super::{SETTLING, Scenario, Stage};
use crate::config::NodeConfig;
use crate::counter::{Counter, CounterFault};
use crate::fault::{Fault, Wake};
use crate::kernel::SECOND;
use crate::node::Node;
use crate::oscillator::Oscillator;

/// Frequencies that counters have: ARM's, an old PC's, a server's and the fastest there is.
const HERTZ: [u64; 4] = [24_000_000, 1_000_000_000, 2_300_000_000, 5_000_000_000];

pub(crate) static ALL: [Scenario; 7] = [
    Scenario::honest(
        "counter",
        "the counter is read, on machines that sleep, are stepped and slewed",
        |stage| {
            stage.span = 1_200 * SECOND;
            for _ in 0..2 {
                let node = counting(stage, false);
                for _ in 0..3 {
                    let span = stage.span_ns(25_000_000, 300 * SECOND);
                    let wake = if stage.random.chance(500_000) {
                        Wake::Precise
                    } else {
                        Wake::Rtc
                    };
                    let long = span.max(Duration::from_secs(2));
                    let span = if wake == Wake::Rtc { long } else { span };
                    stage.sometime(20, 1_000, &node, Fault::Suspend { span, wake });
                    let by_ns = stage.random.between(-SECOND, SECOND);
                    stage.sometime(20, 1_000, &node, Fault::Step { by_ns });
                    let rate_ppb = stage.random.between(-80_000_000, 80_000_000);
                    let span = stage.span_ns(1_000_000, 20 * SECOND);
                    stage.sometime(20, 1_000, &node, Fault::Slew { rate_ppb, span });
                }
            }
        },
    )
    .refusing(SETTLING),
    Scenario::honest(
        "counter-alone",
        "the counter is read without coarse time, on machines that never sleep",
        |stage| {
            for _ in 0..2 {
                let node = counting(stage, true);
                for _ in 0..3 {
                    let rate_ppb = stage.random.between(-80_000_000, 80_000_000);
                    let span = stage.span_ns(1_000_000, 20 * SECOND);
                    stage.sometime(20, 800, &node, Fault::Slew { rate_ppb, span });
                }
            }
        },
    ),
    Scenario::honest(
        "counter-left",
        "the kernel leaves the counter for another, and says so or not",
        |stage| {
            for alone in [false, true] {
                let node = counting(stage, alone);
                let ppb = stage.random.between(-100_000, 100_000);
                let named = stage.random.chance(500_000);
                let left = CounterFault::Left { ppb, named };
                stage.sometime(20, 800, &node, Fault::Counter(left));
            }
        },
    )
    .refusing("raw time that departs from its counter voids what was claimed"),
    Scenario::honest(
        "counter-moved",
        "the counter jumps by 2 ms or more, or begins anew, and raw time does not",
        |stage| {
            for alone in [false, true] {
                let node = counting(stage, alone);
                let size = stage.random.scattered(2_000_000, 100 * SECOND);
                let fault = match stage.random.between(0, 3) {
                    0 => CounterFault::Reset,
                    1 => CounterFault::Jump { by_ns: size },
                    _ => CounterFault::Jump { by_ns: -size },
                };
                stage.sometime(20, 800, &node, Fault::Counter(fault));
            }
        },
    )
    .refusing("raw time that departs from its counter voids what was claimed"),
    Scenario::honest(
        "counter-unsound",
        "the kernel counts by another clocksource from the start, as the counter jumps and stops",
        |stage| {
            for alone in [false, true] {
                let node = counting(stage, alone);
                let left = CounterFault::Left {
                    ppb: 0,
                    named: true,
                };
                stage.at(0, &node, Fault::Counter(left));
                for _ in 0..4 {
                    let by_ns = stage.random.between(-100 * SECOND, 100 * SECOND);
                    let jump = CounterFault::Jump { by_ns };
                    stage.sometime(20, 800, &node, Fault::Counter(jump));
                    let span = stage.span_ns(10_000_000, 20 * SECOND);
                    let stop = CounterFault::Freeze { span };
                    stage.sometime(20, 800, &node, Fault::Counter(stop));
                }
            }
        },
    ),
    Scenario::breaking(
        "counter-window",
        "the counter jumps by 0.9 ms, or two processors' are so far apart",
        "A6: counts agree and never run back, which a millisecond's window does not show",
        |stage| {
            for alone in [false, true] {
                for _ in 0..2 {
                    let node = counting(stage, alone);
                    let by_ns = if stage.random.chance(500_000) {
                        900_000
                    } else {
                        -900_000
                    };
                    let fault = if stage.random.chance(500_000) {
                        CounterFault::Jump { by_ns }
                    } else {
                        CounterFault::Disagree { by_ns }
                    };
                    stage.sometime(20, 800, &node, Fault::Counter(fault));
                }
            }
        },
    ),
    Scenario::breaking(
        "counter-stops",
        "the counter stands still for a while where coarse time is not read",
        "A6: the counter never stands still",
        |stage| {
            for _ in 0..2 {
                let node = counting(stage, true);
                let span = stage.span_ns(10_000_000, 60 * SECOND);
                let stop = CounterFault::Freeze { span };
                stage.sometime(20, 800, &node, Fault::Counter(stop));
            }
        },
    ),
];

fn counting(stage: &mut Stage, alone: bool) -> Node {
    let daemon = stage.any_chrony();
    let oscillator = Oscillator::ordinary(&mut stage.random);
    let which = stage.random.between(0, 4);
    let hertz = usize::try_from(which).ok().and_then(|i| HERTZ.get(i));
    let hertz = *hertz.unwrap_or(&HERTZ[0]);
    stage.node(NodeConfig {
        oscillator,
        counter: if alone {
            Counter::Sleepless { hertz }
        } else {
            Counter::Readable { hertz }
        },
        ..NodeConfig::with_daemon(daemon)
    })
}
