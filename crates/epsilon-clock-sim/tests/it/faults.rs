//! Faults that befall a machine, drawn at random.

use std::time::Duration;

use epsilon_clock_sim::{Fault, Notice, Random, Wake};

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// What a fault may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Step,
    Suspend,
    SuspendByRtc,
    Pause,
    Slew,
    DaemonTerminated,
    DaemonKilledSlewing,
    DaemonFrozen,
    StatusRefused,
    Failover,
}

/// Draws a fault of one of these kinds, of which one named twice is twice as likely, that lasts for `longest` ns at
/// most (a suspend by RTC 3 s more); and for how long the machine stands still.
pub(crate) fn draw(random: &mut Random, kinds: &[Kind], longest: i64) -> (Fault, Duration) {
    let sign = if random.chance(500_000) { 1 } else { -1 };
    let span = Duration::from_nanos(random.scattered(25 * MS, longest).unsigned_abs());
    let rate_ppb = sign * random.scattered(10_000, 83_333_000);
    let drawn = random.between(0, i64::try_from(kinds.len()).unwrap());
    let fault = match kinds[usize::try_from(drawn).unwrap()] {
        Kind::Step => Fault::Step {
            by_ns: sign * random.scattered(1_000, 3_600 * SECOND),
        },
        Kind::Suspend => Fault::Suspend {
            span,
            wake: Wake::Precise,
        },
        Kind::SuspendByRtc => Fault::Suspend {
            span: span + Duration::from_secs(3),
            wake: Wake::Rtc,
        },
        Kind::Pause => Fault::Pause {
            span,
            notice: Notice::CounterRan,
        },
        Kind::Slew => Fault::Slew { rate_ppb, span },
        Kind::DaemonTerminated => Fault::DaemonTerminated,
        Kind::DaemonKilledSlewing => Fault::DaemonKilledSlewing { rate_ppb },
        Kind::DaemonFrozen => Fault::DaemonFrozen { span },
        Kind::StatusRefused => Fault::StatusRefused { span },
        Kind::Failover => Fault::Failover { server: 1 },
    };
    let still = match fault {
        Fault::Suspend { span, .. } | Fault::Pause { span, .. } => span,
        _ => Duration::ZERO,
    };
    (fault, still)
}
