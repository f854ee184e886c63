//! The kernel's NTP status as a source of claims.
//!
//! Between two looks the kernel's `maxerror` follows a rule: 500 µs more for each second. Whatever
//! departs from it was written by a time daemon, and only such a write makes a claim. In between
//! the kernel's running figure is not believed: it promises that the clock strays no faster than
//! 500 ppm, which a slew that was left behind or came late does not keep.

use super::{Awaiting, Finding, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim};
use crate::machine::NtpStatus;
use crate::time::Claim;

mod fingerprint;
mod leap;
mod memory;
mod observation;
mod predictor;

use fingerprint::{Opinion, Resemblance, fingerprint};
use leap::{leap_notice, near_leap};
use memory::Remembered;
use observation::Observation;
use predictor::{Baseline, GROWTH_PPB};

/// What the kernel's own growth does not yet cover at a first look: `GROWTH_DELAY` at 500 ppm.
const INHERITED_UNSEEN: u64 = 550_000;

/// The kernel's NTP status as a [`Source`]: what chrony or ntpd told it about the clock's error.
///
/// # Resemblance and writes
///
/// A look reads the status, the clocks and the status again; if the two differ, or the kernel's own
/// timekeeping is overdue, it starts anew. A *write* is a `maxerror` that the last look does not
/// predict: 500 µs more for each boundary of a real-time second, give or take one boundary. It is
/// only recognised across an unchanged difference of real and monotonic time; a step, a leap second
/// or a suspend starts the prediction afresh.
///
/// # Who is not believed
///
/// Writers that report no bound are refused with an error that names the likely one; see
/// [`Writer`](crate::source::Writer). A bound that merely *looks* like theirs (an honest one does once in 500 times) is
/// not used, and once two writes in a row look so their writer is refused.
///
/// What cannot be told from an honest writer: ntpd-rs in steady state, which reports its root delay
/// alone. Do not use it as a source of bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelSource;

impl KernelSource {
    /// Creates the kernel's NTP status as a source.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Source for KernelSource {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn follows_daemon(&self) -> bool {
        true
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        // A look that failed leaves the memory as it is: to the next one it is as if no look had
        // been taken for a while, which the unseen term covers.
        let observed = match Observation::settled(context) {
            Ok(Some(observed)) => observed,
            Ok(None) => return Look::new(Finding::Unsettled),
            Err(error) => return Look::new(Finding::Refused(error.into())),
        };
        let before: Remembered = memory.load().unwrap_or_default();
        let leap_flags = before.leap_flags.after(&observed, before.baseline.as_ref());
        let leap = leap_notice(
            &observed,
            before.baseline.as_ref(),
            before.leap_flags,
            leap_flags,
        );
        if near_leap(&observed, leap, leap_flags) {
            let because = Awaiting::LeapSecond;
            let finding = Finding::Refused(Refusal::AwaitingWrite { because });
            return Look::new(finding).with_leap(leap);
        }
        let (finding, doubtful, opinion) = judge(context, &observed, &before);
        let waiting = match finding {
            Finding::Write(_) | Finding::Inherited(_) => None,
            Finding::Nothing | Finding::Unsettled => before.waiting,
            Finding::Refused(Refusal::AwaitingWrite { because }) => Some(because),
            Finding::Refused(_) | Finding::Void(_) => Some(Awaiting::Disturbance),
        };
        memory.store(&Remembered {
            baseline: Some(Baseline::of(&observed)),
            opinion,
            waiting,
            leap_flags,
        });
        Look {
            doubtful,
            ..Look::new(finding).with_leap(leap)
        }
    }

    fn asks_kernel(&self) -> bool {
        true
    }

    fn tells_of_leaps(&self) -> bool {
        true
    }
}

fn judge(
    context: &LookContext<'_>,
    observed: &Observation,
    before: &Remembered,
) -> (Finding, Option<Claim>, Opinion) {
    let status = &observed.status;
    if !status.reports_a_bound() {
        let maxerror_us = status.maxerror;
        let refusal = Refusal::Unsynchronized { maxerror_us };
        return (Finding::Refused(refusal), None, Opinion::Fair);
    }
    let (event, opinion) = recognise(context, observed, before);
    let refusal = if let Opinion::Refused(writer) = opinion {
        Some(Refusal::NoBound {
            writer,
            maxerror_us: status.maxerror,
            esterror_us: status.esterror,
        })
    } else if status.has(NtpStatus::STA_UNSYNC) && !context.accept_unsync_flag {
        Some(Refusal::UnsyncFlag {
            maxerror_us: status.maxerror,
        })
    } else {
        None
    };
    let Some(refusal) = refusal else {
        let doubtful = event.doubtful();
        return (event.finding(), doubtful, opinion);
    };
    (Finding::Refused(refusal), None, opinion)
}

/// What a status is in the light of the one before it.
enum Event {
    Write(SyncClaim),
    First(SyncClaim),
    Awaiting(Awaiting),
    /// What writers without a bound leave behind, and the claim that it makes if an honest one wrote it.
    Suspicious(i64, Option<Claim>),
    Nothing,
}

impl Event {
    const fn finding(self) -> Finding {
        match self {
            Self::Write(claim) => Finding::Write(claim),
            Self::First(claim) => Finding::Inherited(claim),
            Self::Awaiting(because) => Finding::Refused(Refusal::AwaitingWrite { because }),
            Self::Suspicious(maxerror_us, _) => Finding::Refused(Refusal::AwaitingWrite {
                because: Awaiting::Suspicious { maxerror_us },
            }),
            Self::Nothing => Finding::Nothing,
        }
    }

    const fn doubtful(&self) -> Option<Claim> {
        match self {
            Self::Suspicious(_, claim) => *claim,
            Self::Write(_) | Self::First(_) | Self::Awaiting(_) | Self::Nothing => None,
        }
    }

    fn claimed(claim: Option<SyncClaim>, event: fn(SyncClaim) -> Self) -> Self {
        // A claim that leaves the range of timestamps says nothing; the clock is decades off.
        claim.map_or(Self::Awaiting(Awaiting::Disturbance), event)
    }
}

// Not inlined, nor is the first look: what they unpack would lie on the stack under every other look as well.
#[inline(never)]
fn recognise(
    context: &LookContext<'_>,
    observed: &Observation,
    before: &Remembered,
) -> (Event, Opinion) {
    let Some(baseline) = before.baseline else {
        return first_look(context, observed, before.opinion);
    };
    let jumped = baseline
        .real_offset
        .moved_to(&observed.clocks.real_offset())
        != 0;
    // Also across a jump: else chronyd's own step of a running clock would cost a poll.
    let stands = if jumped {
        !baseline.departs_across_a_jump(observed)
    } else {
        !baseline.departs(observed)
    };
    if stands {
        return (still_waiting(before), before.opinion);
    }
    let claim = || observed.claim(context, baseline.unseen(context, observed));
    let accepted = |opinion| (Event::claimed(claim(), Event::Write), opinion);
    match (fingerprint(&observed.status), before.opinion) {
        (Resemblance::None, _) => accepted(Opinion::Fair),
        (Resemblance::Sure(writer), _) => (Event::Nothing, Opinion::Refused(writer)),
        (Resemblance::Possible(writer), Opinion::Suspicious | Opinion::Refused(_)) => {
            (Event::Nothing, Opinion::Refused(writer))
        }
        (Resemblance::Possible(_), Opinion::Fair) => (
            Event::Suspicious(observed.status.maxerror, claim().map(|sync| sync.claim)),
            Opinion::Suspicious,
        ),
    }
}

fn still_waiting(before: &Remembered) -> Event {
    before.waiting.map_or(Event::Nothing, Event::Awaiting)
}

#[inline(never)]
fn first_look(
    context: &LookContext<'_>,
    observed: &Observation,
    opinion: Opinion,
) -> (Event, Opinion) {
    let rate_ppb = observed.adjustment_ppb.saturating_abs();
    let refusal = if !context.may_inherit {
        Some(Awaiting::Disturbance)
    } else if rate_ppb.saturating_add(context.max_drift_ppb.into()) > GROWTH_PPB {
        Some(Awaiting::Slewing { rate_ppb })
    } else {
        None
    };
    let claim = || observed.claim(context, INHERITED_UNSEEN);
    match fingerprint(&observed.status) {
        Resemblance::Sure(writer) => (Event::Nothing, Opinion::Refused(writer)),
        // Not held against the writer: it was not observed writing.
        Resemblance::Possible(_) => {
            let inherited = claim().filter(|_| refusal.is_none()).map(|sync| sync.claim);
            let event = Event::Suspicious(observed.status.maxerror, inherited);
            (event, opinion)
        }
        Resemblance::None => {
            let event =
                refusal.map_or_else(|| Event::claimed(claim(), Event::First), Event::Awaiting);
            (event, opinion)
        }
    }
}
