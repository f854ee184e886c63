//! What the kernel's status says by itself at a first look: whose word it looks like, and of which leap second.

use std::time::Duration;

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::{
    Awaiting, Finding, KernelSource, LeapNotice, LookContext, Refusal, Source, SourceMemory, Writer,
};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::LeapKind;
use epsilon_clock::{TimeDelta, Timestamp};

const PLL: i32 = NtpStatus::STA_PLL;
const UNSYNC: i32 = NtpStatus::STA_UNSYNC;
const INS: i32 = NtpStatus::STA_INS;
const DEL: i32 = NtpStatus::STA_DEL;

fn look(machine: &ScriptedMachine, memory: &mut SourceMemory) -> (Finding, LeapNotice) {
    let look = KernelSource::new().look(&LookContext::new(machine), memory);
    (look.finding, look.leap)
}

#[derive(Debug, PartialEq)]
enum Looks {
    Honest,
    Suspicious,
    Like(Writer),
}

fn first(status: i32, maxerror: i64, esterror: i64) -> Looks {
    let machine = ScriptedMachine::default();
    machine.edit_status(|fields| {
        fields.status = status;
        fields.maxerror = maxerror;
        fields.esterror = esterror;
    });
    match look(&machine, &mut SourceMemory::default()).0 {
        Finding::Inherited(_) => Looks::Honest,
        Finding::Refused(Refusal::NoBound { writer, .. }) => Looks::Like(writer),
        Finding::Refused(Refusal::AwaitingWrite {
            because: Awaiting::Suspicious { .. },
        }) => Looks::Suspicious,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_writer_without_a_bound_is_known_by_all_its_marks_and_by_no_fewer() {
    let starting = Looks::Like(Writer::NtpdStarting);
    let timesyncd = Looks::Like(Writer::Timesyncd);
    let ptp = Looks::Like(Writer::PtpOrOpenntpd);
    for (status, maxerror, esterror, looks) in [
        // ntpd at start: 16 under 16 and status 1, or grown by whole seconds.
        (PLL, 16, 16, &starting),
        (PLL, 516, 16, &starting),
        (PLL, 5_016, 16, &starting),
        (PLL | NtpStatus::STA_NANO, 516, 16, &Looks::Honest),
        (0, 516, 16, &Looks::Honest),
        (PLL, 516, 17, &Looks::Honest),
        (PLL, 517, 16, &Looks::Honest),
        (PLL, 17, 16, &Looks::Honest),
        (PLL, 3, 16, &ptp),
        // timesyncd: zeros under the PLL.
        (PLL, 0, 0, &timesyncd),
        (PLL, 1, 0, &Looks::Honest),
        (PLL, 500, 0, &Looks::Suspicious),
        (PLL, 501, 0, &Looks::Honest),
        // ptp4l, openntpd: less than the error beside it, or a zero that grows without the PLL.
        (0, 0, 1, &ptp),
        (PLL, 7, 8, &ptp),
        (PLL, 8, 8, &Looks::Honest),
        (0, 0, 0, &Looks::Suspicious),
        (0, 1_000, 100, &Looks::Suspicious),
        (0, 1_001, 100, &Looks::Honest),
        (PLL, 1_000, 100, &Looks::Honest),
    ] {
        assert_eq!(
            &first(status, maxerror, esterror),
            looks,
            "{status:#x} {maxerror} {esterror}"
        );
    }
}

/// A machine at noon of a day, whose kernel hides the leap state behind `TIME_ERROR`.
fn hidden(flags: i32) -> ScriptedMachine {
    hidden_at("2026-12-31T12:00:00.000000000Z", flags)
}

fn hidden_at(start: &str, flags: i32) -> ScriptedMachine {
    let machine = ScriptedMachine::new(start.parse().unwrap());
    machine.edit_status(|fields| {
        fields.state = NtpStatus::TIME_ERROR;
        fields.status = UNSYNC | flags;
        fields.maxerror = 1_003;
        fields.esterror = 100;
    });
    machine
}

fn pending(notice: LeapNotice) -> Option<(LeapKind, Timestamp)> {
    match notice {
        LeapNotice::Pending(leap) => Some((leap.kind, leap.boundary)),
        LeapNotice::None | LeapNotice::Passed(_) => None,
    }
}

#[test]
fn flags_announce_a_leap_second_where_the_state_is_hidden() {
    let midnight: Timestamp = "2027-01-01T00:00:00.000000000Z".parse().unwrap();
    for (flags, kind) in [
        (0, None),
        (INS, Some(LeapKind::Inserted)),
        (DEL, Some(LeapKind::Deleted)),
        (INS | PLL, Some(LeapKind::Inserted)),
        // Both at once say nothing.
        (INS | DEL, None),
    ] {
        let (_, notice) = look(&hidden(flags), &mut SourceMemory::default());
        assert_eq!(
            pending(notice),
            kind.map(|kind| (kind, midnight)),
            "{flags:#x}"
        );
    }
}

#[test]
fn flags_that_stay_set_over_a_midnight_announce_nothing_any_more_until_they_are_set_anew() {
    for (flag, other) in [(INS, DEL), (DEL, INS)] {
        let machine = hidden(flag);
        let mut memory = SourceMemory::default();
        let set = |flags: i32| {
            machine.edit_status(|fields| {
                fields.state = NtpStatus::TIME_ERROR;
                fields.status = UNSYNC | flags;
            });
        };
        let mut announced = || pending(look(&machine, &mut memory).1).is_some();
        assert!(announced());
        // In the same day it stands.
        machine.advance(Duration::from_secs(3_600));
        assert!(announced());
        machine.advance(Duration::from_secs(16 * 3_600));
        set(flag);
        assert!(!announced(), "left set over midnight");
        machine.advance(Duration::from_secs(3_600));
        assert!(!announced(), "still left set");
        set(other);
        assert!(announced(), "the other one is new");
        set(0);
        assert!(!announced());
        set(flag);
        assert!(announced(), "set anew");
    }
}

#[test]
fn a_flag_that_was_cleared_over_a_midnight_is_new_when_it_is_set_again() {
    let machine = hidden(INS);
    let mut memory = SourceMemory::default();
    let mut announced = || pending(look(&machine, &mut memory).1).is_some();
    assert!(announced());
    machine.edit_status(|fields| fields.status = UNSYNC);
    machine.advance(Duration::from_secs(17 * 3_600));
    assert!(!announced());
    machine.edit_status(|fields| fields.status = UNSYNC | INS);
    assert!(announced());
}

#[test]
fn the_kernel_speaks_for_the_daemon_and_of_leap_seconds() {
    let source = KernelSource::new();
    assert!(source.follows_daemon() && source.asks_kernel() && source.tells_of_leaps());
}

#[test]
fn near_a_midnight_with_a_leap_second_announced_no_look_counts_where_the_state_is_hidden() {
    for (start, near) in [
        ("2026-12-31T23:59:57.999999999Z", false),
        ("2026-12-31T23:59:58.000000000Z", true),
        ("2026-12-31T23:59:59.999999999Z", true),
        // The kernel may not have leapt yet.
        ("2027-01-01T00:00:00.000000000Z", true),
        ("2027-01-01T00:00:02.000000000Z", true),
        ("2027-01-01T00:00:02.000000001Z", false),
    ] {
        for (flags, announced) in [(INS, true), (DEL, true), (0, false), (INS | DEL, false)] {
            let machine = hidden_at(start, flags);
            machine.set_read_cost(Duration::ZERO);
            let (finding, _) = look(&machine, &mut SourceMemory::default());
            let because = Awaiting::LeapSecond;
            let awaits = finding == Finding::Refused(Refusal::AwaitingWrite { because });
            assert_eq!(awaits, near && announced, "{start} {flags:#x}: {finding:?}");
        }
    }
}

#[test]
fn coarse_time_may_lag_a_tenth_of_a_second_and_no_nanosecond_more() {
    for (lag, settled) in [(100_000_000, true), (100_000_001, false)] {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(Duration::ZERO);
        machine.set_coarse_tick(Duration::from_nanos(1));
        machine.write_maxerror(1_003);
        machine.starve_timekeeper();
        machine.advance(Duration::from_nanos(lag));
        let (finding, _) = look(&machine, &mut SourceMemory::default());
        assert_eq!(finding != Finding::Unsettled, settled, "{lag}: {finding:?}");
    }
}

/// The kernel counts a second more or less than went by, as where they begin has it, and comes late by
/// less than another.
#[test]
fn a_bound_that_grew_by_the_seconds_since_a_jump_was_not_written() {
    for (seconds, written) in [
        (1, true),
        (2, false),
        (3, false),
        (4, false),
        (5, false),
        (6, true),
    ] {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(Duration::ZERO);
        machine.stop_growth();
        machine.write_bound(1_003, 100);
        let mut memory = SourceMemory::default();
        assert!(matches!(
            look(&machine, &mut memory).0,
            Finding::Inherited(_)
        ));
        machine.advance(Duration::from_secs(3));
        machine.step(TimeDelta::from_nanos(10_000_000_000));
        machine.write_bound(1_003 + 500 * seconds, 100);
        let (finding, _) = look(&machine, &mut memory);
        assert_eq!(
            matches!(finding, Finding::Write(_)),
            written,
            "{seconds}: {finding:?}"
        );
    }
}
