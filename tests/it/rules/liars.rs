//! Writers that report no bound, and honest ones that look like them for once.

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::{Awaiting, Refusal, Writer};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, ClockState};

use super::{millis, read_truly, secs, synchronized};

fn write(machine: &ScriptedMachine, maxerror: i64, esterror: i64, flags: i32) {
    machine.edit_status(|status| {
        status.maxerror = maxerror;
        status.esterror = esterror;
        status.status = flags;
    });
}

#[track_caller]
fn is_refused(clock: &Clock, named: Writer) {
    let refusal = clock.status().refusal;
    assert!(
        matches!(refusal, Some(Refusal::NoBound { writer, .. }) if writer == named),
        "{refusal:?}"
    );
}

const PLL: i32 = NtpStatus::STA_PLL;

/// What they write, and who they are.
const LIARS: [(i64, i64, i32, Writer); 6] = [
    (0, 0, PLL, Writer::Timesyncd),
    (0, 0, PLL | NtpStatus::STA_NANO, Writer::Timesyncd),
    (0, 4, 0, Writer::PtpOrOpenntpd),
    (0, 16_000_000, 0, Writer::PtpOrOpenntpd),
    (24, 4_992, 0, Writer::PtpOrOpenntpd),
    (16, 16, PLL, Writer::NtpdStarting),
];

#[test]
fn liars_are_refused_by_name_at_the_first_look() {
    for (maxerror, esterror, flags, writer) in LIARS {
        let machine = ScriptedMachine::default();
        write(&machine, maxerror, esterror, flags);
        let clock = machine.clock().unwrap();
        let refusal = Refusal::NoBound {
            writer,
            maxerror_us: maxerror,
            esterror_us: esterror,
        };
        assert_eq!(clock.now(), Err(ClockError::Unvouched(refusal)));
        // And they stay refused as their figure grows.
        machine.advance(secs(20));
        clock.now().unwrap_err();
        is_refused(&clock, writer);
        // An honest daemon takes over.
        machine.write_maxerror(1_003);
        machine.edit_status(|status| status.status &= !PLL);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
    }
}

#[test]
fn liars_are_refused_by_name_when_they_are_seen_writing() {
    for (maxerror, esterror, flags, writer) in LIARS {
        let (machine, clock) = synchronized();
        machine.advance(secs(2));
        write(&machine, maxerror, esterror, flags);
        machine.advance(millis(300));
        // The honest claim of before is carried on; the liar's never serves.
        read_truly(&machine, &clock).unwrap();
        is_refused(&clock, writer);
        assert_eq!(clock.status().state, ClockState::Holdover);
        assert_eq!(clock.status().counters.writes, 1);
    }
}

#[test]
fn a_liars_figure_that_has_grown_is_not_inherited() {
    for (maxerror, esterror, flags) in [(3_500, 0, PLL), (3_500, 4, 0), (3_500, 0, 0)] {
        let machine = ScriptedMachine::default();
        write(&machine, maxerror, esterror, flags);
        let clock = machine.clock().unwrap();
        let because = Awaiting::Suspicious { maxerror_us: 3_500 };
        let refusal = Refusal::AwaitingWrite { because };
        assert_eq!(clock.now(), Err(ClockError::Unvouched(refusal)));
        machine.advance(secs(3));
        assert!(clock.now().is_err());
        // Not held against an honest writer.
        machine.write_maxerror(1_003);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
    }
    let machine = ScriptedMachine::default();
    write(&machine, 3_516, 16, PLL);
    let clock = machine.clock().unwrap();
    assert!(clock.now().is_err());
    is_refused(&clock, Writer::NtpdStarting);
}

#[test]
fn an_esterror_that_maxerror_has_outgrown_is_still_the_residue_of_a_zero() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    machine.advance(millis(300));
    write(&machine, 0, 300, 0);
    machine.advance(secs(1));
    assert_eq!(machine.status().maxerror, 500);
    clock.now().unwrap_err();
    assert_eq!(clock.status().counters.writes, 0);
}

#[test]
fn one_suspicious_write_is_held_back_and_two_in_a_row_are_refused() {
    for (esterror, flags, writer) in [(0, PLL, Writer::Timesyncd), (7, 0, Writer::PtpOrOpenntpd)] {
        let (machine, clock) = synchronized();
        machine.advance(secs(2));
        write(&machine, 500, esterror, flags);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        let held = clock.status();
        let because = Awaiting::Suspicious { maxerror_us: 500 };
        assert_eq!(held.refusal, Some(Refusal::AwaitingWrite { because }));
        assert_eq!(held.counters.writes, 1);
        machine.advance(secs(4));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().refusal, held.refusal, "still held back");
        assert_eq!(clock.status().state, ClockState::Holdover);
        write(&machine, 1_000, esterror, flags);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        is_refused(&clock, writer);
        assert_eq!(clock.status().counters.writes, 1);
    }
}

#[test]
fn an_honest_write_between_two_suspicious_ones_resets_the_suspicion() {
    let (machine, clock) = synchronized();
    for round in 0..3 {
        machine.advance(secs(4));
        write(&machine, 500, 7, 0);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        let refusal = clock.status().refusal;
        assert!(
            matches!(refusal, Some(Refusal::AwaitingWrite { .. })),
            "{refusal:?}"
        );
        machine.advance(secs(4));
        machine.write_maxerror(1_003 + round);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().refusal, None);
        assert_eq!(clock.status().state, ClockState::Synchronized);
    }
    assert_eq!(clock.status().counters.writes, 4);
}

fn vouched_for(machine: &ScriptedMachine, error_ms: u64) -> Clock {
    let builder = machine.builder().assume_error(millis(error_ms));
    builder.build().unwrap()
}

#[track_caller]
fn is_assumed(machine: &ScriptedMachine, clock: &Clock) {
    read_truly(machine, clock).unwrap();
    assert_eq!(clock.status().state, ClockState::Assumed);
}

/// timesyncd's zeroes of seconds ago: whichever daemon wrote them, what the caller vouches for holds.
#[test]
fn a_figure_that_has_grown_within_what_is_assumed_keeps_no_one_waiting() {
    for (maxerror, esterror, flags) in [(3_500, 0, PLL), (3_500, 4, 0), (500, 0, 0)] {
        let machine = ScriptedMachine::default();
        write(&machine, maxerror, esterror, flags);
        let clock = vouched_for(&machine, 6);
        for _ in 0..40 {
            is_assumed(&machine, &clock);
            machine.advance(millis(700));
        }
        // A source that vouches is not held up by it, and an honest daemon takes over.
        machine.write_maxerror(1_003);
        machine.edit_status(|status| status.status &= !PLL);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().state, ClockState::Synchronized);
    }
}

#[test]
fn a_figure_that_is_wider_than_what_is_assumed_is_awaited() {
    // By what it leaves unsaid alone: what the kernel has yet to slew, and the margin of daemons.
    for (maxerror, pending_us) in [(6_000, 0), (6_500, 0), (3_500, 3_000)] {
        let machine = ScriptedMachine::default();
        write(&machine, maxerror, 0, PLL);
        machine.edit_status(|status| status.offset = pending_us);
        let clock = vouched_for(&machine, 6);
        for _ in 0..5 {
            let refused = clock.now();
            assert!(
                matches!(
                    refused,
                    Err(ClockError::Unvouched(Refusal::AwaitingWrite {
                        because: Awaiting::Suspicious { .. }
                    }))
                ),
                "{refused:?}"
            );
            machine.advance(secs(3));
        }
        // The next write names its writer.
        write(&machine, 0, 0, PLL);
        machine.advance(millis(300));
        is_assumed(&machine, &clock);
    }
}

/// The clock of before goes on, however wide the figure; and an honest daemon that only looked like a liar
/// may slew, as its bounds tell, without making it false.
#[test]
fn what_was_assumed_before_goes_on_under_a_suspicious_write_and_an_honest_slew() {
    for maxerror in [500, 20_000] {
        let machine = ScriptedMachine::default();
        machine.edit_status(|status| status.status |= NtpStatus::STA_UNSYNC);
        machine.edit_status(|status| status.maxerror = NtpStatus::MAXERROR_CAP);
        let clock = vouched_for(&machine, 6);
        is_assumed(&machine, &clock);
        machine.advance(millis(700));
        is_assumed(&machine, &clock);
        write(&machine, maxerror, 0, 0);
        machine.set_slew_ppb(10_000_000);
        for _ in 0..20 {
            machine.advance(millis(700));
            is_assumed(&machine, &clock);
        }
        let off = machine.real_time().unix_nanos() - machine.true_time().unix_nanos();
        assert!(off > 100_000_000, "{off}");
        machine.set_slew_ppb(0);
        // 140 ms off by now, and the next write says so.
        machine.write_maxerror(150_003);
        machine.advance(millis(300));
        read_truly(&machine, &clock).unwrap();
        assert_eq!(clock.status().state, ClockState::Synchronized);
    }
}

#[test]
fn nothing_is_assumed_anew_under_a_suspicious_figure_of_earlier() {
    let machine = ScriptedMachine::default();
    write(&machine, 3_500, 0, PLL);
    let clock = vouched_for(&machine, 6);
    is_assumed(&machine, &clock);
    machine.suspend(secs(60));
    machine.advance(millis(700));
    assert!(clock.now().is_err());
    // The caller's word counts for where real time is now; the figure's writer may have slewed it since.
    let _ = clock.vouch();
    for _ in 0..5 {
        assert!(clock.now().is_err(), "{:?}", clock.status());
        machine.advance(millis(700));
    }
    write(&machine, 0, 0, PLL);
    machine.advance(millis(300));
    is_assumed(&machine, &clock);
}
