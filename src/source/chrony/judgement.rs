//! What a look makes of the last answer: a claim, or why there is none.

use core::time::Duration;

use super::answer::Answer;
use super::mailbox::{Contents, Heard, Mailbox};
use super::memory::{Barrier, Remembered};
use super::refusal::ChronyRefusal;
use super::report::Leap;
use crate::machine::{NtpStatus, Sandwich};
use crate::source::{Awaiting, Finding, LeapNotice, Look, LookContext, Refusal, SourceMemory};

const DAY: i64 = 86_400 * 1_000_000_000;

/// How near a leap second makes every reading of real time ambiguous.
const LEAP_VICINITY: i64 = 2 * 1_000_000_000;

/// Looks at what the mailbox holds.
pub(super) fn look(
    context: &LookContext<'_>,
    memory: &mut SourceMemory,
    mailbox: &Mailbox,
    silence: Duration,
) -> Look {
    let Some(contents) = mailbox.open() else {
        return shut(context, memory, silence);
    };
    // Read after the answer, so that whatever happened to the clocks before it came in shows.
    let now = context.machine.sandwich();
    let mut known = watch(context, memory, &now);
    let finding = judge(context, &contents, &now, silence, &mut known);
    let leap = known
        .leap
        .due(now.real)
        .map_or(LeapNotice::None, LeapNotice::Pending);
    memory.store(&known);
    Look { finding, leap }
}

/// What is known of the clocks, with a barrier where they were disturbed or are seen first.
fn watch(context: &LookContext<'_>, memory: &SourceMemory, now: &Sandwich) -> Remembered {
    let barrier = |may_inherit| Barrier {
        raw: now.raw,
        may_inherit,
    };
    let Some(mut known) = memory.load::<Remembered>() else {
        return Remembered::first(now, barrier(context.may_inherit));
    };
    let (real, boot) = (now.real_offset(), now.boot_offset());
    if known.real_offset.moved_to(&real) != 0 || known.boot_offset.moved_to(&boot) != 0 {
        known.barrier = Some(barrier(false));
    }
    known.opened = now.raw;
    known.real_offset = known.real_offset.refined_by(&real);
    known.boot_offset = known.boot_offset.refined_by(&boot);
    known
}

/// Somebody is just putting an answer in, and it will be there at the next look. Or the thread that
/// did is not there, in a forked child: then the mailbox stays shut, and its owner is silent.
fn shut(context: &LookContext<'_>, memory: &SourceMemory, silence: Duration) -> Look {
    let Some(known) = memory.load::<Remembered>() else {
        return Look::new(Finding::Unsettled);
    };
    let now = context.machine.sandwich();
    let finding = match silent(known.opened, &now, silence) {
        Some(refusal) => Finding::Refused(refusal.into()),
        None => Finding::Unsettled,
    };
    let leap = known.leap.due(now.real);
    Look {
        finding,
        leap: leap.map_or(LeapNotice::None, LeapNotice::Pending),
    }
}

fn judge(
    context: &LookContext<'_>,
    contents: &Contents,
    now: &Sandwich,
    silence: Duration,
    known: &mut Remembered,
) -> Finding {
    let answer = match heard(contents, now, silence) {
        Ok(answer) => answer,
        Err(refusal) => return Finding::Refused(refusal.into()),
    };
    if let Some(refusal) = answer.refusal() {
        return Finding::Refused(refusal.into());
    }
    if !is_of_these_clocks(&answer, known) {
        return awaiting(Awaiting::Disturbance);
    }
    let kernel = context.kernel_status();
    if kernel.is_some_and(|kernel| !kernel.vouches(context.accept_unsync_flag)) {
        return Finding::Refused(ChronyRefusal::KernelUnsynchronized.into());
    }
    let kind = match answer.report.leap {
        Leap::Due(kind) => Some(kind),
        Leap::None | Leap::Unsynchronized => None,
    };
    if known.leap.is_past(answer.asked.real) {
        // Whether real time has leapt or not, chronyd knows only once it has asked a server since.
        known.barrier = Some(Barrier {
            raw: now.raw,
            may_inherit: false,
        });
    }
    known.leap = known.leap.after(kind, answer.asked.real);
    // Also under a flag that seems to be of yesterday: the kernel falls back a tick after midnight.
    if kind.is_some() && near_midnight(&answer, now) {
        return awaiting(Awaiting::LeapSecond);
    }
    let beyond = known
        .barrier
        .is_none_or(|barrier| answer.updated_after(barrier.raw, context));
    let vouched_since = beyond && answer.watched;
    if vouched_since {
        known.barrier = None;
    } else if !may_inherit(kernel, known) {
        return awaiting(Awaiting::Disturbance);
    }
    if known.claimed == contents.serial {
        return Finding::Nothing;
    }
    // A daemon that leaves the kernel's bound alone leaves the deviation beside it alone as well.
    let deviation = kernel
        .filter(NtpStatus::reports_a_bound)
        .map_or(0, |kernel| kernel.deviation_ns());
    let Some(claim) = answer.claim(context, deviation) else {
        return awaiting(Awaiting::Disturbance);
    };
    known.claimed = contents.serial;
    if vouched_since {
        Finding::Write(claim)
    } else {
        Finding::Inherited(claim)
    }
}

const fn awaiting(because: Awaiting) -> Finding {
    Finding::Refused(Refusal::AwaitingWrite { because })
}

/// The last answer, if there is one and it is not too old.
fn heard(contents: &Contents, now: &Sandwich, silence: Duration) -> Result<Answer, ChronyRefusal> {
    let Some(Heard { raw, outcome }) = contents.last else {
        return Err(ChronyRefusal::NoAnswer);
    };
    match silent(raw, now, silence) {
        Some(refusal) => Err(refusal),
        None => outcome,
    }
}

/// Why nothing that was heard at this raw instant counts any more, if it is too long ago.
fn silent(raw: i64, now: &Sandwich, silence: Duration) -> Option<ChronyRefusal> {
    let age = i128::from(now.raw) - i128::from(raw);
    // Raw time of before a restart, or of another time namespace, says nothing.
    if (0..=i128::try_from(silence.as_nanos()).unwrap_or(i128::MAX)).contains(&age) {
        return None;
    }
    let for_ms = i64::try_from(age / 1_000_000).unwrap_or(i64::MAX).max(0);
    Some(ChronyRefusal::Silent { for_ms })
}

/// Whether nothing happened to the clocks since this answer was asked for.
fn is_of_these_clocks(answer: &Answer, known: &Remembered) -> bool {
    known.real_offset.moved_to(&answer.asked.real_offset()) == 0
        && known.boot_offset.moved_to(&answer.asked.boot_offset()) == 0
}

/// Whether a leap second that is due may fall between the asking and now, or nearly so.
fn near_midnight(answer: &Answer, now: &Sandwich) -> bool {
    let first = answer.asked.real.saturating_sub(LEAP_VICINITY);
    let last = now.real.saturating_add(LEAP_VICINITY);
    first.div_euclid(DAY) != last.div_euclid(DAY)
}

/// Whether a report counts though chronyd has not updated since the first look: nobody stepped the
/// clock since it last did, or the kernel would have forgotten its NTP state.
fn may_inherit(kernel: Option<NtpStatus>, known: &Remembered) -> bool {
    known.barrier.is_some_and(|barrier| barrier.may_inherit)
        && kernel.is_some_and(|kernel| kernel.reports_a_bound())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, SystemMachine};

    /// A forked child may find the mailbox shut for ever, by a thread that it does not have.
    #[test]
    fn a_mailbox_that_stays_shut_is_silence() {
        let machine = SystemMachine::new().unwrap();
        let context = LookContext::new(&machine);
        let (mailbox, mut memory) = (Mailbox::default(), SourceMemory::default());
        let silence = Duration::from_millis(20);
        let mut finding = || look(&context, &mut memory, &mailbox, silence).finding;
        let no_answer = Finding::Refused(ChronyRefusal::NoAnswer.into());
        assert_eq!(finding(), no_answer);
        let held = mailbox.hold();
        assert_eq!(finding(), Finding::Unsettled);
        machine.sleep(silence * 2);
        assert!(matches!(
            finding(),
            Finding::Refused(Refusal::Chrony(ChronyRefusal::Silent { .. }))
        ));
        drop(held);
        assert_eq!(finding(), no_answer);
    }
}
