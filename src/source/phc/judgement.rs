//! What a look makes of the last reading: a claim, or why there is none.

use core::time::Duration;

use super::mailbox::{Contents, Mailbox, Read, Surroundings};
use super::refusal::PhcRefusal;
use crate::machine::Sandwich;
use crate::source::{Awaiting, Finding, LookContext, Refusal, SourceMemory, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, RateBounds, Timestamp};
use crate::words::words_struct;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How near a midnight at which UTC may leap no reading counts, in ns.
const VICINITY: i64 = 2 * SECOND;

/// From so long before such a midnight on, in ns, readings have room for a leap second.
const FORESIGHT: i64 = 3_600 * SECOND;

/// The device counts whole nanoseconds.
const RESOLUTION: u64 = 1;

/// A mailbox that is locked for longer than this, in ns, stays so: a thread that is not there holds it, in a
/// forked child.
const LOCKED_FOR_GOOD: i64 = 4 * SECOND;

/// How far ahead of UTC TAI has been since 1990, and may be for decades to come, in s.
const TAI_AHEAD: core::ops::RangeInclusive<i64> = 25..=60;

/// What a look rests on beside the reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) vouched_ns: Option<u64>,
    pub(super) margin_ns: u64,
    /// By how many seconds the device's TAI is ahead of UTC, and until when.
    pub(super) tai: Option<(i32, Timestamp)>,
    pub(super) silence: Duration,
}

/// What is remembered between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    /// Readings count if they began after this instant of raw time.
    barrier: i64,
    /// Raw time when the mailbox was last looked into.
    opened: i64,
    /// The reading that the last claim was made from.
    claimed: i64,
}

words_struct!(Remembered {
    barrier,
    opened,
    claimed
});

/// Looks at what the mailbox holds; never waits for it.
pub(super) fn look(
    context: &LookContext<'_>,
    memory: &mut SourceMemory,
    mailbox: &Mailbox,
    rules: &Rules,
) -> Finding {
    let contents = mailbox.open();
    // Read after the reading, so that whatever happened to the clocks before it was put in shows.
    let now = context.machine.sandwich();
    let known = memory.load::<Remembered>();
    let Some(contents) = contents else {
        let opened = known.map_or(now.raw, |known| known.opened);
        let for_ns = now.raw.saturating_sub(opened);
        return if for_ns <= LOCKED_FOR_GOOD {
            Finding::Unsettled
        } else {
            silent(for_ns)
        };
    };
    let Some(surroundings) = Surroundings::of(context.machine) else {
        return Finding::Unsettled;
    };
    let mut known = known.unwrap_or(Remembered {
        // What was read while the clock was being built counts, unless the clocks were disturbed.
        barrier: if context.may_inherit {
            i64::MIN
        } else {
            now.raw
        },
        opened: now.raw,
        claimed: 0,
    });
    known.opened = now.raw;
    let finding = judge(context, &contents, &now, surroundings, rules, &mut known);
    memory.store(&known);
    finding
}

const fn refused(refusal: PhcRefusal) -> Finding {
    Finding::Refused(Refusal::Phc(refusal))
}

const fn silent(for_ns: i64) -> Finding {
    refused(PhcRefusal::Silent {
        for_s: for_ns / SECOND,
    })
}

fn judge(
    context: &LookContext<'_>,
    contents: &Contents,
    now: &Sandwich,
    surroundings: Surroundings,
    rules: &Rules,
    known: &mut Remembered,
) -> Finding {
    let Some(read) = contents.last else {
        return refused(contents.refusal.unwrap_or(PhcRefusal::NotRead));
    };
    let age = now.raw.saturating_sub(read.reading.after);
    if u128::from(age.max(0).unsigned_abs()) > rules.silence.as_nanos() {
        return contents.refusal.map_or_else(|| silent(age), refused);
    }
    let connected = read.boot_offset.moved_to(&now.boot_offset()) == 0
        && read.surroundings == surroundings
        && age >= 0
        && read.reading.before > known.barrier;
    if !connected {
        return awaiting();
    }
    if known.claimed == contents.serial {
        return Finding::Nothing;
    }
    match claim(context, &read, now, rules) {
        Ok(Some(claim)) => {
            known.claimed = contents.serial;
            Finding::Write(claim)
        }
        // Decades off: it says nothing.
        Ok(None) => refused(PhcRefusal::Inconsistent),
        Err(refusal) => refused(refusal),
    }
}

const fn awaiting() -> Finding {
    let because = Awaiting::Disturbance;
    Finding::Refused(Refusal::AwaitingWrite { because })
}

fn claim(
    context: &LookContext<'_>,
    read: &Read,
    now: &Sandwich,
    rules: &Rules,
) -> Result<Option<SyncClaim>, PhcRefusal> {
    let reading = &read.reading;
    let told = match (reading.bound_ns, rules.vouched_ns) {
        (Some(told), Some(vouched)) => told.max(vouched),
        (Some(ns), None) | (None, Some(ns)) => ns,
        (None, None) => return Err(PhcRefusal::NoBound),
    };
    let ahead_s = rules.tai.map_or(reading.ahead_s, |(ahead_s, _)| ahead_s);
    let utc = i64::from(ahead_s)
        .checked_mul(SECOND)
        .and_then(|ahead| reading.device.checked_sub(ahead));
    let Some(utc) = utc else {
        return Ok(None);
    };
    let raw_span = reading.after.saturating_sub(reading.before);
    let middle = reading.before.saturating_add(raw_span / 2);
    // What may have passed between the device's reading and the middle, in true time; and a suspend so short
    // that it does not show in boot time, which raw time left out.
    let half = u64::try_from(raw_span).unwrap_or(0).div_ceil(2);
    let drift = u128::from(half) * u128::from(context.max_drift_ppb);
    let drift = u64::try_from(drift.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
    let hidden = now.boot_offset().hi.saturating_sub(read.boot_offset.lo);
    let hidden = u64::try_from(hidden).unwrap_or(0);
    let mut bound = ErrorBound {
        reported_ns: told,
        rounding_ns: RESOLUTION,
        margin_ns: rules.margin_ns,
        bracket_ns: half.saturating_add(drift).saturating_add(hidden),
        ..ErrorBound::default()
    };
    let Ok(mut interval) = Interval::around(Timestamp::from_unix_nanos(utc), bound.total()) else {
        return Ok(None);
    };
    match rules.tai {
        Some((_, until)) => {
            let last = interval.latest().unix_nanos().saturating_add(VICINITY);
            if last >= until.unix_nanos() {
                return Err(PhcRefusal::TaiUntold);
            }
        }
        None => {
            refuse_tai(context, utc, now, reading.after)?;
            if leap_within(&interval, VICINITY, VICINITY) {
                return Err(PhcRefusal::LeapSecond);
            }
            if leap_within(&interval, 0, FORESIGHT) {
                // True either way, whatever happens at that midnight.
                bound.unseen_ns = SECOND.unsigned_abs();
                let widened = Interval::around(Timestamp::from_unix_nanos(utc), bound.total()).ok();
                let Some(widened) = widened else {
                    return Ok(None);
                };
                interval = widened;
            }
        }
    }
    let rate = RateBounds::symmetric(context.max_drift_ppb);
    Ok(Some(SyncClaim {
        claim: Claim::new(middle, interval, rate),
        bound,
    }))
}

/// Refuses a device that is ahead of a synchronised kernel's clock by as much as TAI is ahead of UTC.
///
/// Two sources that are half a minute apart would be a contradiction; this says what it most likely is.
fn refuse_tai(
    context: &LookContext<'_>,
    utc: i64,
    now: &Sandwich,
    read_at: i64,
) -> Result<(), PhcRefusal> {
    let kernel = context.kernel_status();
    if !kernel.is_some_and(|kernel| kernel.vouches(context.accept_unsync_flag)) {
        return Ok(());
    }
    let age = now.raw.saturating_sub(read_at);
    let ahead_ns = utc.saturating_add(age).saturating_sub(now.real);
    // To the nearest second: the kernel's clock may be off by milliseconds.
    let ahead_s = ahead_ns.saturating_add(SECOND / 2).div_euclid(SECOND);
    if TAI_AHEAD.contains(&ahead_s) {
        return Err(PhcRefusal::LooksLikeTai { ahead_s });
    }
    Ok(())
}

/// Returns true if a midnight at which UTC may leap lies in the interval, widened by so much.
fn leap_within(interval: &Interval, behind: i64, ahead: i64) -> bool {
    let first = interval.earliest().unix_nanos().saturating_sub(behind);
    let last = interval.latest().unix_nanos().saturating_add(ahead);
    let midnights = first.div_euclid(DAY).saturating_add(1)..=last.div_euclid(DAY);
    // An interval of days says too little to be worth more than this.
    midnights.take(4).any(Timestamp::day_begins_a_half_year)
}

#[cfg(test)]
mod tests {
    use super::super::device::PhcReading;
    use super::*;
    use crate::machine::{Machine, OffsetRange, SystemMachine};
    use crate::testing::ScriptedMachine;

    /// A forked child may find the mailbox shut for ever, by a thread that it does not have.
    #[test]
    fn a_mailbox_that_stays_shut_is_silence() {
        let machine = SystemMachine::new().unwrap();
        let context = LookContext::new(&machine);
        let rules = Rules {
            vouched_ns: None,
            margin_ns: 0,
            tai: None,
            silence: Duration::from_secs(4),
        };
        let (mailbox, mut memory) = (Mailbox::default(), SourceMemory::default());
        let opened = machine.sample().raw - LOCKED_FOR_GOOD;
        // Open long ago, and once more just now.
        memory.store(&Remembered {
            barrier: 0,
            opened: opened - SECOND,
            claimed: 0,
        });
        let finding = look(&context, &mut memory, &mailbox, &rules);
        assert_eq!(finding, refused(PhcRefusal::NotRead));
        let held = mailbox.hold();
        assert_eq!(
            look(&context, &mut memory, &mailbox, &rules),
            Finding::Unsettled
        );
        memory.store(&Remembered {
            barrier: 0,
            opened: opened - SECOND,
            claimed: 0,
        });
        let finding = look(&context, &mut memory, &mailbox, &rules);
        assert_eq!(finding, silent(5 * SECOND));
        drop(held);
        let finding = look(&context, &mut memory, &mailbox, &rules);
        assert_eq!(finding, refused(PhcRefusal::NotRead));
    }

    #[test]
    fn room_for_a_leap_second_is_made_at_the_ends_of_june_and_december_alone() {
        let near = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            let interval = Interval::around(at, Duration::from_nanos(10)).unwrap();
            (
                leap_within(&interval, VICINITY, VICINITY),
                leap_within(&interval, 0, FORESIGHT),
            )
        };
        assert_eq!(near("2026-12-31T22:59:59.000000000Z"), (false, false));
        assert_eq!(near("2026-12-31T23:00:00.000000000Z"), (false, true));
        assert_eq!(near("2026-12-31T23:59:57.000000000Z"), (false, true));
        assert_eq!(near("2026-12-31T23:59:58.000000000Z"), (true, true));
        assert_eq!(near("2027-01-01T00:00:01.000000000Z"), (true, false));
        assert_eq!(near("2027-01-01T00:00:03.000000000Z"), (false, false));
        assert_eq!(near("2026-06-30T23:59:59.000000000Z"), (true, true));
        assert_eq!(near("2026-11-30T23:59:59.000000000Z"), (false, false));
    }

    const MORNING: i64 = 1_795_153_800 * SECOND;

    const RULES: Rules = Rules {
        vouched_ns: None,
        margin_ns: 300,
        tai: None,
        silence: Duration::from_secs(4),
    };

    /// A machine whose readings take no time, and a reading of a device on it.
    fn scene() -> (ScriptedMachine, Read) {
        let machine = ScriptedMachine::new(Timestamp::from_unix_nanos(MORNING));
        machine.set_read_cost(Duration::ZERO);
        let clocks = machine.sandwich();
        let reading = PhcReading {
            before: clocks.raw,
            device: MORNING,
            after: clocks.raw + 2_001,
            bound_ns: Some(5_000),
            ahead_s: 0,
        };
        let read = Read {
            reading,
            boot_offset: clocks.boot_offset(),
            surroundings: Surroundings::of(&machine).unwrap(),
        };
        machine.advance(Duration::from_nanos(2_001));
        (machine, read)
    }

    #[test]
    fn a_claim_is_about_the_middle_of_its_reading_and_made_of_all_that_it_may_be_off() {
        let (machine, read) = scene();
        let context = LookContext::new(&machine);
        let now = machine.sandwich();
        let made = claim(&context, &read, &now, &RULES).unwrap().unwrap();
        // Half of 2 001 ns, and 200 ppm of it, each rounded up.
        let bound = ErrorBound {
            reported_ns: 5_000,
            rounding_ns: 1,
            margin_ns: 300,
            bracket_ns: 1_001 + 1,
            ..ErrorBound::default()
        };
        assert_eq!(made.bound, bound);
        assert_eq!(made.claim.raw(), read.reading.before + 1_000);
        let around = Interval::around(Timestamp::from_unix_nanos(MORNING), bound.total());
        assert_eq!(made.claim.interval(), around.unwrap());
        // A second between the two readings of raw time.
        let mut wide = read;
        wide.reading.before -= 2 * SECOND - 2_001;
        let made = claim(&context, &wide, &now, &RULES).unwrap().unwrap();
        assert_eq!(made.bound.bracket_ns, 1_000_000_000 + 200_000);
    }

    #[test]
    fn a_reading_counts_while_nothing_came_between_it_and_now() {
        type Edit<'a> = &'a dyn Fn(&mut Read, &mut Remembered);

        let (machine, read) = scene();
        let context = LookContext::new(&machine);
        let now = machine.sandwich();
        let found = |edit: Edit<'_>| {
            let mut read = read;
            let mut known = Remembered {
                barrier: read.reading.before - 1,
                opened: 0,
                claimed: 0,
            };
            edit(&mut read, &mut known);
            let contents = Contents {
                last: Some(read),
                serial: 1,
                refusal: None,
            };
            let surroundings = Surroundings::of(&machine).unwrap();
            judge(&context, &contents, &now, surroundings, &RULES, &mut known)
        };
        let sound = found(&|_, _| ());
        assert!(matches!(sound, Finding::Write(_)), "{sound:?}");
        assert_eq!(found(&|_, known| known.claimed = 1), Finding::Nothing);
        let elsewhere = ScriptedMachine::default();
        elsewhere.pause(Duration::from_secs(1));
        let other = Surroundings::of(&elsewhere).unwrap();
        let disturbances: [Edit<'_>; 4] = [
            &|read, known| known.barrier = read.reading.before,
            &|read, _| read.boot_offset = OffsetRange { lo: 1, hi: 1 },
            &|read, _| read.surroundings = other,
            &|read, _| read.reading.after += 1,
        ];
        for (number, disturbed) in disturbances.iter().enumerate() {
            assert_eq!(found(*disturbed), awaiting(), "{number}");
        }
    }

    #[test]
    fn a_device_is_silent_from_a_nanosecond_after_the_silence_that_it_is_allowed() {
        let (machine, read) = scene();
        let context = LookContext::new(&machine);
        machine.advance(RULES.silence);
        let found = || {
            let contents = Contents {
                last: Some(read),
                serial: 1,
                refusal: None,
            };
            let mut known = Remembered {
                barrier: i64::MIN,
                opened: 0,
                claimed: 1,
            };
            let (now, around) = (machine.sandwich(), Surroundings::of(&machine).unwrap());
            judge(&context, &contents, &now, around, &RULES, &mut known)
        };
        assert_eq!(found(), Finding::Nothing);
        machine.advance(Duration::from_nanos(1));
        assert_eq!(found(), silent(4 * SECOND));
    }

    #[test]
    fn tai_is_told_by_the_nearest_second() {
        let (machine, _) = scene();
        let context = LookContext::new(&machine);
        let now = machine.sandwich();
        let seen = |ahead_ms: i64| {
            let utc = now.real + ahead_ms * 1_000_000;
            refuse_tai(&context, utc, &now, now.raw)
        };
        // No kernel's clock that is synchronised to hold it against.
        assert_eq!(seen(37_000), Ok(()));
        machine.write_maxerror(1_003);
        for (ahead_ms, ahead_s) in [
            (24_499, None),
            (24_500, Some(25)),
            (36_500, Some(37)),
            (37_000, Some(37)),
            (37_499, Some(37)),
            (60_499, Some(60)),
            (60_500, None),
        ] {
            let tai = ahead_s.map(|ahead_s| PhcRefusal::LooksLikeTai { ahead_s });
            assert_eq!(seen(ahead_ms).err(), tai, "{ahead_ms}");
        }
        // What passed since the reading is not the device's.
        let utc = now.real + 37 * SECOND;
        let early = refuse_tai(&context, utc - 600_000_000, &now, now.raw - 600_000_000);
        assert_eq!(early, Err(PhcRefusal::LooksLikeTai { ahead_s: 37 }));
    }
}
