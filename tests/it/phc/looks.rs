//! Each rule of the source by itself, where no rule of the clock stands beside it.

use std::time::Duration;

use epsilon_clock::machine::{
    Disruption, Identity, Machine, NtpStatus, NtpStatusError, Sample, Sandwich,
};
use epsilon_clock::source::{
    Awaiting, Finding, LookContext, PhcRefusal, PhcSource, Refusal, Source, SourceMemory, SyncClaim,
};
use epsilon_clock::testing::{ScriptedMachine, ScriptedPhc};
use epsilon_clock::{TimeDelta, Timestamp};

use super::MORNING;

fn at(time: &str) -> ScriptedMachine {
    ScriptedMachine::new(time.parse().unwrap())
}

/// A device that is off by nothing, and read in no time but what raw time costs.
fn right(machine: &ScriptedMachine) -> ScriptedPhc {
    let phc = ScriptedPhc::new(machine.clone());
    phc.set_delays(Duration::ZERO, Duration::ZERO);
    phc
}

fn honest(machine: &ScriptedMachine) -> PhcSource {
    PhcSource::of(right(machine))
}

/// What a first look finds.
fn first(source: &PhcSource, machine: &dyn Machine) -> Finding {
    let mut memory = SourceMemory::default();
    source.look(&LookContext::new(machine), &mut memory).finding
}

/// What a first look finds of what was read just before.
fn fresh(source: &PhcSource, machine: &dyn Machine) -> Finding {
    source.refresh(machine);
    first(source, machine)
}

fn claim(finding: Finding) -> SyncClaim {
    match finding {
        Finding::Write(sync) => sync,
        other => panic!("{other:?}"),
    }
}

fn refused(refusal: PhcRefusal) -> Finding {
    Finding::Refused(Refusal::Phc(refusal))
}

fn awaiting() -> Finding {
    Finding::Refused(Refusal::AwaitingWrite {
        because: Awaiting::Disturbance,
    })
}

/// A scripted machine whose hypervisor is at work, or whose clocks hide suspends.
#[derive(Debug)]
struct Odd {
    scripted: ScriptedMachine,
    at_work: bool,
    tells_suspends: bool,
}

impl Machine for Odd {
    fn sample(&self) -> Sample {
        self.scripted.sample()
    }
    fn sandwich(&self) -> Sandwich {
        self.scripted.sandwich()
    }
    fn ntp_status(&self) -> Result<NtpStatus, NtpStatusError> {
        self.scripted.ntp_status()
    }
    fn coarse_tick(&self) -> Duration {
        self.scripted.coarse_tick()
    }
    fn identity(&self) -> Identity {
        self.scripted.identity()
    }
    fn sleep(&self, span: Duration) {
        self.scripted.sleep(span);
    }
    fn disruption(&self) -> Option<Disruption> {
        self.scripted.disruption().filter(|_| !self.at_work)
    }
    fn tells_suspends(&self) -> bool {
        self.tells_suspends
    }
}

#[test]
fn a_reading_counts_while_raw_time_connects_to_it() {
    type Disturb = fn(&ScriptedMachine);
    let disturbances: [Disturb; 3] = [
        |machine| machine.suspend(Duration::from_secs(3)),
        |machine| machine.pause(Duration::from_millis(3)),
        |machine| {
            let identity = machine.identity();
            machine.set_identity(Identity {
                pid: identity.pid + 1,
                ..identity
            });
        },
    ];
    for (number, disturb) in disturbances.into_iter().enumerate() {
        let machine = at(MORNING);
        let source = honest(&machine);
        source.refresh(&machine);
        claim(first(&source, &machine));
        disturb(&machine);
        assert_eq!(first(&source, &machine), awaiting(), "{number}");
        source.refresh(&machine);
        claim(first(&source, &machine));
    }
}

#[test]
fn a_reading_from_raw_time_to_come_does_not_count() {
    let (earlier, later) = (at(MORNING), at(MORNING));
    later.advance(Duration::from_secs(10));
    let source = honest(&later);
    source.refresh(&later);
    assert_eq!(first(&source, &earlier), awaiting());
}

#[test]
fn what_was_read_before_a_clock_was_disturbed_does_not_count() {
    let machine = at(MORNING);
    let source = honest(&machine);
    source.refresh(&machine);
    machine.advance(Duration::from_secs(1));
    let mut context = LookContext::new(&machine);
    context.may_inherit = false;
    let mut memory = SourceMemory::default();
    for _ in 0..2 {
        assert_eq!(source.look(&context, &mut memory).finding, awaiting());
    }
    machine.advance(Duration::from_secs(1));
    source.refresh(&machine);
    claim(source.look(&context, &mut memory).finding);
    // One reading is one claim.
    assert_eq!(source.look(&context, &mut memory).finding, Finding::Nothing);
}

#[test]
fn a_look_is_unsettled_while_the_hypervisor_is_at_work() {
    let machine = at(MORNING);
    let source = honest(&machine);
    source.refresh(&machine);
    let odd = Odd {
        scripted: machine.clone(),
        at_work: true,
        tells_suspends: true,
    };
    assert_eq!(first(&source, &odd), Finding::Unsettled);
}

#[test]
fn nothing_is_read_where_a_suspend_may_hide() {
    let machine = at(MORNING);
    let odd = Odd {
        scripted: machine.clone(),
        at_work: false,
        tells_suspends: false,
    };
    let finding = fresh(&honest(&machine), &odd);
    assert_eq!(finding, refused(PhcRefusal::NoSuspendClock));
}

#[test]
fn a_reading_in_which_the_hypervisor_paused_the_machine_is_dropped() {
    let machine = at(MORNING);
    let (phc, paused) = (right(&machine), machine.clone());
    phc.edit_readings(move |_| paused.pause(Duration::from_millis(3)));
    let source = PhcSource::of(phc);
    assert_eq!(fresh(&source, &machine), refused(PhcRefusal::NotRead));
}

#[test]
fn raw_times_from_outside_the_call_are_refused() {
    const FAR: i64 = 10_000_000_000;
    for (before, after) in [(-FAR, 0), (0, FAR), (FAR, FAR), (-FAR, -FAR)] {
        let machine = at(MORNING);
        let phc = right(&machine);
        phc.edit_readings(move |reading| {
            reading.before += before;
            reading.after += after;
        });
        let finding = fresh(&PhcSource::of(phc), &machine);
        assert_eq!(finding, refused(PhcRefusal::Inconsistent), "{before}");
    }
}

#[test]
fn a_time_beyond_all_timestamps_makes_no_sense() {
    let machine = at(MORNING);
    let phc = right(&machine);
    phc.set_tai_offset(37);
    phc.edit_readings(|reading| reading.device = i64::MIN);
    let finding = fresh(&PhcSource::of(phc), &machine);
    assert_eq!(finding, refused(PhcRefusal::Inconsistent));
}

#[test]
fn a_failure_that_is_over_is_not_what_silence_comes_of() {
    let machine = at(MORNING);
    let phc = right(&machine);
    let source = PhcSource::of(phc.clone());
    phc.refuse(PhcRefusal::Busy);
    assert_eq!(fresh(&source, &machine), refused(PhcRefusal::Busy));
    phc.allow();
    source.refresh(&machine);
    machine.advance(Duration::from_secs(9));
    let silent = refused(PhcRefusal::Silent { for_s: 9 });
    assert_eq!(first(&source, &machine), silent);
}

#[test]
fn what_passed_around_the_reading_is_charged_at_the_drift_and_a_nanosecond_is_the_devices() {
    let machine = at(MORNING);
    let phc = right(&machine);
    phc.set_delays(Duration::ZERO, Duration::from_secs(2));
    let source = PhcSource::of(phc);
    // A second either way, in which an oscillator gains 200 µs.
    let bound = claim(fresh(&source, &machine)).bound;
    assert!(
        (1_000_200_000..1_000_201_000).contains(&bound.bracket_ns),
        "{bound}"
    );
    assert_eq!(bound.rounding_ns, 1);
    assert_eq!(bound.reported_ns, 2_000);
}

/// Where reading clocks takes milliseconds, a suspend of one does not show.
#[test]
fn a_suspend_too_short_to_show_has_room_in_the_claim() {
    let machine = at(MORNING);
    let source = honest(&machine);
    machine.set_read_cost(Duration::from_millis(1));
    source.refresh(&machine);
    machine.suspend(Duration::from_millis(1));
    let sync = claim(first(&source, &machine));
    let now = sync.claim.carry(machine.raw_time()).unwrap();
    assert!(now.contains(machine.true_time()), "{now}");
}

#[test]
fn only_a_synchronised_kernel_tells_tai_from_utc() {
    let machine = at(MORNING);
    machine.step(TimeDelta::from_nanos(-37_000_000_000));
    claim(fresh(&honest(&machine), &machine));
    machine.write_maxerror(1_003);
    let tai = refused(PhcRefusal::LooksLikeTai { ahead_s: 37 });
    let source = honest(&machine);
    assert_eq!(fresh(&source, &machine), tai);
    // Also of a reading that has grown old meanwhile.
    machine.advance(Duration::from_secs(3));
    assert_eq!(first(&source, &machine), tai);
}

#[test]
fn within_two_seconds_of_a_leap_nothing_is_believed_and_an_hour_before_it_a_second_is_added() {
    let second = Duration::from_secs(1);
    for (time, expected) in [
        ("2026-12-31T22:59:59.000000000Z", Some(0)),
        ("2026-12-31T23:00:00.000000000Z", Some(1)),
        ("2026-12-31T23:59:57.900000000Z", Some(1)),
        ("2026-12-31T23:59:58.100000000Z", None),
        ("2027-01-01T00:00:00.000000000Z", None),
        ("2027-01-01T00:00:01.900000000Z", None),
        ("2027-01-01T00:00:02.100000000Z", Some(0)),
        ("2026-06-30T23:59:59.000000000Z", None),
        ("2026-11-30T23:59:59.000000000Z", Some(0)),
    ] {
        let machine = at(time);
        let finding = fresh(&honest(&machine), &machine);
        match expected {
            None => assert_eq!(finding, refused(PhcRefusal::LeapSecond), "{time}"),
            Some(seconds) => {
                let room = (second * seconds).as_nanos();
                assert_eq!(u128::from(claim(finding).bound.unseen_ns), room, "{time}");
            }
        }
        // Of TAI it is known that there is none.
        let until = Timestamp::from_unix_nanos(i64::MAX / 2);
        let sync = claim(fresh(&honest(&machine).counts_tai(0, until), &machine));
        assert_eq!(sync.bound.unseen_ns, 0, "{time}");
    }
}

#[test]
fn it_is_read_as_often_as_was_asked_for_within_limits_and_not_at_all_by_hand() {
    let interval = |source: PhcSource| source.refresh_interval();
    let source = || honest(&at(MORNING));
    assert_eq!(interval(source()), Some(Duration::from_secs(1)));
    for (asked, kept) in [
        (Duration::ZERO, Duration::from_millis(10)),
        (Duration::from_millis(70), Duration::from_millis(70)),
        (Duration::MAX, Duration::from_secs(3_600)),
    ] {
        assert_eq!(interval(source().interval(asked)), Some(kept));
    }
    assert_eq!(interval(source().manual()), None);
}
