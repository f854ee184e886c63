//! What a look makes of the last answer: a claim, or why there is none.

use core::time::Duration;

use super::answer::Answer;
use super::mailbox::{Contents, Mailbox, Received};
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
        return locked(context, memory, silence);
    };
    // Read after the answer, so that whatever happened to the clocks before it came in shows.
    let now = context.machine.sandwich();
    let mut remembered = watch(context, memory, &now);
    let update = remembered.update;
    let finding = judge(context, &contents, &now, silence, &mut remembered);
    let repeats_update = remembered.update == update;
    let leap = remembered
        .leap
        .due(now.real)
        .map_or(LeapNotice::None, LeapNotice::Pending);
    memory.store(&remembered);
    Look {
        repeats_update,
        ..Look::new(finding).with_leap(leap)
    }
}

/// What is remembered of the clocks, with a barrier where they were disturbed or are seen first.
fn watch(context: &LookContext<'_>, memory: &SourceMemory, now: &Sandwich) -> Remembered {
    let barrier = |may_inherit| Barrier {
        raw: now.raw,
        may_inherit,
    };
    let Some(mut remembered) = memory.load::<Remembered>() else {
        return Remembered::first(now, barrier(context.may_inherit));
    };
    let (real, boot) = (now.real_offset(), now.boot_offset());
    if remembered.real_offset.moved_to(&real) != 0 || remembered.boot_offset.moved_to(&boot) != 0 {
        remembered.barrier = Some(barrier(false));
    }
    remembered.opened = now.raw;
    remembered.real_offset = remembered.real_offset.refined_by(&real);
    remembered.boot_offset = remembered.boot_offset.refined_by(&boot);
    remembered
}

fn locked(context: &LookContext<'_>, memory: &SourceMemory, silence: Duration) -> Look {
    // An answer is being stored, and will be there at the next look. Or the storing thread does not
    // exist, in a forked child: then the mailbox stays locked, and chronyd is silent.
    let Some(remembered) = memory.load::<Remembered>() else {
        return Look::new(Finding::Unsettled);
    };
    let now = context.machine.sandwich();
    let finding = match silent(remembered.opened, &now, silence) {
        Some(refusal) => Finding::Refused(refusal.into()),
        None => Finding::Unsettled,
    };
    let leap = remembered.leap.due(now.real);
    Look::new(finding).with_leap(leap.map_or(LeapNotice::None, LeapNotice::Pending))
}

fn judge(
    context: &LookContext<'_>,
    contents: &Contents,
    now: &Sandwich,
    silence: Duration,
    remembered: &mut Remembered,
) -> Finding {
    let answer = match last_answer(contents, now, silence) {
        Ok(answer) => answer,
        Err(refusal) => return Finding::Refused(refusal.into()),
    };
    if let Some(refusal) = answer.refusal() {
        return Finding::Refused(refusal.into());
    }
    if !is_of_these_clocks(&answer, remembered) {
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
    if remembered.leap.is_past(answer.asked.real) {
        // Whether real time has leapt or not, chronyd knows only once it has asked a server since.
        remembered.barrier = Some(Barrier {
            raw: now.raw,
            may_inherit: false,
        });
    }
    remembered.leap = remembered.leap.after(kind, answer.asked.real);
    // Also under a flag that seems to be of yesterday: the kernel falls back a tick after midnight.
    if kind.is_some() && near_midnight(&answer, now) {
        return awaiting(Awaiting::LeapSecond);
    }
    let beyond = remembered
        .barrier
        .is_none_or(|barrier| answer.updated_after(barrier.raw, context));
    let vouched_since = beyond && answer.watched;
    if vouched_since {
        remembered.barrier = None;
    } else if !may_inherit(kernel, remembered) {
        return awaiting(Awaiting::Disturbance);
    }
    if remembered.claimed == contents.serial {
        return Finding::Nothing;
    }
    // A daemon that leaves the kernel's bound alone leaves the deviation beside it alone as well.
    let deviation = kernel
        .filter(NtpStatus::reports_a_bound)
        .map_or(0, |kernel| kernel.deviation_ns());
    let Some(claim) = answer.claim(context, deviation) else {
        return awaiting(Awaiting::Disturbance);
    };
    remembered.claimed = contents.serial;
    remembered.note_update(answer.report.reference_time);
    if vouched_since {
        Finding::Write(claim)
    } else {
        Finding::Inherited(claim)
    }
}

const fn awaiting(because: Awaiting) -> Finding {
    Finding::Refused(Refusal::AwaitingWrite { because })
}

fn last_answer(
    contents: &Contents,
    now: &Sandwich,
    silence: Duration,
) -> Result<Answer, ChronyRefusal> {
    let Some(Received { raw, outcome }) = contents.last else {
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

fn is_of_these_clocks(answer: &Answer, remembered: &Remembered) -> bool {
    remembered.real_offset.moved_to(&answer.asked.real_offset()) == 0
        && remembered.boot_offset.moved_to(&answer.asked.boot_offset()) == 0
}

fn near_midnight(answer: &Answer, now: &Sandwich) -> bool {
    let first = answer.asked.real.saturating_sub(LEAP_VICINITY);
    let last = now.real.saturating_add(LEAP_VICINITY);
    first.div_euclid(DAY) != last.div_euclid(DAY)
}

fn may_inherit(kernel: Option<NtpStatus>, remembered: &Remembered) -> bool {
    // A report counts without an update since the first look if the clock was not stepped since
    // chronyd last updated: a step would have made the kernel forget its NTP state.
    remembered
        .barrier
        .is_some_and(|barrier| barrier.may_inherit)
        && kernel.is_some_and(|kernel| kernel.reports_a_bound())
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Clocks, History};
    use super::super::exchange::ChronyTransport;
    use super::super::report::{Figure, Report};
    use super::*;
    use crate::machine::{Disruption, Machine, SystemMachine};
    use crate::testing::{ChronyReport, ScriptedMachine};
    use crate::time::Timestamp;

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

    const MILLI: i64 = 1_000_000;

    fn clocks(raw: i64, real: i64) -> Sandwich {
        Sandwich {
            mono_before: raw,
            boot: raw,
            real,
            raw,
            mono_after: raw,
        }
    }

    fn answer(asked: Sandwich) -> Answer {
        note(&mut History::default(), asked, asked.real)
    }

    /// Takes note of a report of an update at this instant of real time.
    fn note(history: &mut History, asked: Sandwich, updated_at: i64) -> Answer {
        let report = Report {
            reference_id: 1,
            stratum: 2,
            leap: Leap::None,
            reference_time: Timestamp::from_unix_nanos(updated_at),
            correction: Figure::default(),
            last_offset: Figure::default(),
            frequency_ppb: 0,
            residual_ppb: 0,
            skew_ppb: 0,
            root_delay_ns: 0,
            root_dispersion_ns: 0,
            update_interval_ns: 16_000_000_000,
        };
        let clocks = Clocks {
            asked,
            received: asked,
            disruption: Disruption::default(),
        };
        history.note(report, &clocks)
    }

    fn remembered(now: &Sandwich, may_inherit: bool) -> Remembered {
        let raw = now.raw;
        Remembered::first(now, Barrier { raw, may_inherit })
    }

    #[test]
    fn an_answer_counts_for_its_silence_and_not_on_another_raw_time() {
        let silence = Duration::from_millis(20);
        let silent = |age| silent(7, &clocks(7 + age, 0), silence);
        for (age, for_ms) in [
            (0, None),
            (20 * MILLI, None),
            (20 * MILLI + 1, Some(20)),
            (35 * MILLI, Some(35)),
            (-1, Some(0)),
            (-5 * MILLI, Some(0)),
        ] {
            let refusal = for_ms.map(|for_ms| ChronyRefusal::Silent { for_ms });
            assert_eq!(silent(age), refusal, "{age}");
        }
    }

    #[test]
    fn an_answer_of_other_clocks_is_none_of_these() {
        let now = clocks(100 * MILLI, DAY);
        let known = remembered(&now, true);
        let (mut stepped, mut slept) = (now, now);
        stepped.real += MILLI;
        slept.boot += MILLI;
        for (asked, counts) in [(now, true), (stepped, false), (slept, false)] {
            assert_eq!(
                is_of_these_clocks(&answer(asked), &known),
                counts,
                "{asked:?}"
            );
        }
    }

    #[test]
    fn midnight_is_near_for_two_seconds_on_either_side() {
        let near =
            |asked_at: i64, now: i64| near_midnight(&answer(clocks(0, asked_at)), &clocks(0, now));
        for (asked_at, now, is_near) in [
            (DAY / 2, DAY / 2, false),
            (DAY - LEAP_VICINITY - 1, DAY - LEAP_VICINITY - 1, false),
            (DAY - LEAP_VICINITY, DAY - LEAP_VICINITY, true),
            (DAY - LEAP_VICINITY - 1, DAY - LEAP_VICINITY, true),
            (DAY + LEAP_VICINITY - 1, DAY + LEAP_VICINITY - 1, true),
            (DAY + LEAP_VICINITY, DAY + LEAP_VICINITY, false),
        ] {
            assert_eq!(near(asked_at, now), is_near, "{asked_at} {now}");
        }
    }

    #[test]
    fn a_report_is_inherited_where_that_may_be_and_the_kernel_kept_its_bound() {
        let now = clocks(100 * MILLI, DAY);
        let kept = NtpStatus {
            status: 0,
            maxerror: 1_003,
            ..NtpStatus::default()
        };
        for (kernel, allowed, inherited) in [
            (Some(kept), true, true),
            (Some(kept), false, false),
            (Some(NtpStatus::default()), true, false),
            (None, true, false),
        ] {
            let known = remembered(&now, allowed);
            assert_eq!(
                may_inherit(kernel, &known),
                inherited,
                "{kernel:?} {allowed}"
            );
            let beyond = Remembered {
                barrier: None,
                ..known
            };
            assert!(!may_inherit(kernel, &beyond));
        }
    }

    /// A chronyd without a socket.
    #[derive(Debug)]
    struct Says(ChronyReport);

    impl ChronyTransport for Says {
        fn exchange(
            &self,
            request: &[u8],
            answer: &mut [u8],
            _timeout: Duration,
        ) -> std::io::Result<usize> {
            let datagram = self.0.reply(request).unwrap();
            answer[..datagram.len()].copy_from_slice(&datagram);
            Ok(datagram.len())
        }
    }

    #[test]
    fn a_look_says_whether_chronyd_updated_since_the_claim_before() {
        let second = Duration::from_secs(1);
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        let context = LookContext::new(&machine);
        let (mailbox, mut memory) = (Mailbox::default(), SourceMemory::default());
        let mut report = ChronyReport {
            reference_id: 1,
            stratum: 2,
            synchronized: true,
            update_interval: 16 * second,
            ..ChronyReport::default()
        };
        for (number, updates) in [true, false, false, true, false].into_iter().enumerate() {
            machine.advance(second);
            if updates {
                report.reference_time = machine.real_time();
            }
            machine.advance(second);
            mailbox.refresh(&Says(report), second, &machine);
            let look = look(&context, &mut memory, &mailbox, 4 * second);
            assert!(
                matches!(look.finding, Finding::Write(_) | Finding::Inherited(_)),
                "{number}: {look:?}"
            );
            assert_eq!(look.repeats_update, !updates, "{number}");
        }
    }

    #[test]
    fn a_barrier_stands_from_the_look_on_that_sees_either_clock_moved() {
        let machine = ScriptedMachine::default();
        let context = LookContext::new(&machine);
        let before = clocks(100 * MILLI, DAY);
        let mut memory = SourceMemory::default();
        let unseen = watch(&context, &memory, &before).barrier;
        assert_eq!(unseen, remembered(&before, true).barrier);
        memory.store(&Remembered {
            barrier: None,
            ..remembered(&before, true)
        });
        for (real, boot, moved) in [
            (0, 0, false),
            (MILLI, 0, true),
            (-MILLI, 0, true),
            (0, MILLI, true),
            (MILLI, MILLI, true),
        ] {
            let mut now = clocks(200 * MILLI, DAY + 100 * MILLI);
            now.real += real;
            now.boot += boot;
            let barrier = Barrier {
                raw: now.raw,
                may_inherit: false,
            };
            let seen = watch(&context, &memory, &now);
            assert_eq!(seen.barrier, moved.then_some(barrier), "{real} {boot}");
            assert_eq!(seen.opened, now.raw);
        }
    }

    #[test]
    fn a_report_is_vouched_for_whose_update_was_watched_and_came_after_the_barrier() {
        let machine = ScriptedMachine::default();
        let second = 1_000 * MILLI;
        let now = clocks(100 * second, DAY / 2);
        let ago = |seconds: i64| clocks(now.raw - seconds * second, now.real - seconds * second);
        let report = |watched: bool| {
            let mut history = History::default();
            if watched {
                note(&mut history, ago(4), ago(8).real);
            }
            note(&mut history, now, ago(2).real)
        };
        let found = |barrier: Option<i64>, watched, kernel| {
            let context = LookContext {
                may_ask_kernel: kernel,
                ..LookContext::new(&machine)
            };
            let contents = Contents {
                last: Some(Received {
                    raw: now.raw,
                    outcome: Ok(report(watched)),
                }),
                serial: 1,
            };
            let mut known = Remembered {
                barrier: barrier.map(|seconds| Barrier {
                    raw: ago(seconds).raw,
                    may_inherit: true,
                }),
                ..remembered(&now, true)
            };
            let silence = Duration::from_secs(4);
            judge(&context, &contents, &now, silence, &mut known)
        };
        machine.write_maxerror(1_003);
        for (barrier, watched, vouched) in [
            (None, true, true),
            (None, false, false),
            (Some(3), true, true),
            (Some(3), false, false),
            (Some(1), true, false),
            (Some(1), false, false),
        ] {
            let alone = found(barrier, watched, false);
            let beside_a_kernel = found(barrier, watched, true);
            let what = format!("{barrier:?} {watched}: {alone:?}, {beside_a_kernel:?}");
            if vouched {
                assert!(matches!(alone, Finding::Write(_)), "{what}");
                assert!(matches!(beside_a_kernel, Finding::Write(_)), "{what}");
                continue;
            }
            assert_eq!(alone, awaiting(Awaiting::Disturbance), "{what}");
            // Inherited where there is a barrier that lets it be, beside a bound of the kernel's.
            let inherited = matches!(beside_a_kernel, Finding::Inherited(_));
            assert_eq!(inherited, barrier.is_some(), "{what}");
        }
    }
}
