//! Helpers beside judges: a source that one liar can make false takes nothing away, and adds nothing false.

use epsilon_clock::machine::Machine;
use epsilon_clock::source::{
    ChronyRefusal, Finding, LeapNotice, Look, LookContext, NtpRefusal, Refusal, Role, Source,
    SourceMemory,
};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{Clock, ClockError, Disturbance, Interval, TimeDelta, Timestamp};
use proptest::prelude::*;
use std::time::Duration;

use super::{claim, millis, secs};

/// A scripted source that is no judge, with a leap notice of its own.
#[derive(Clone, Debug)]
struct Helper {
    script: ScriptedSource,
    notice: LeapNotice,
}

impl Source for Helper {
    fn name(&self) -> &'static str {
        "helper"
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        self.script.look(context, memory).with_leap(self.notice)
    }

    fn role(&self) -> Role {
        Role::Helper
    }
}

/// A machine with a judge, and a helper if there is to be one.
struct Scene {
    machine: ScriptedMachine,
    judge: ScriptedSource,
    helper: Helper,
    clock: Clock,
}

impl Scene {
    fn new(helped: bool, notice: LeapNotice) -> Self {
        let machine = ScriptedMachine::default();
        let judge = ScriptedSource::new("judge");
        let helper = Helper {
            script: ScriptedSource::new("helper"),
            notice,
        };
        let builder = machine.builder().source(judge.clone());
        let clock = if helped {
            builder.source(helper.clone())
        } else {
            builder
        };
        Self {
            clock: clock.build().unwrap(),
            machine,
            judge,
            helper,
        }
    }

    /// A minute passes, the judge writes if it does, and the helper says what it says.
    fn play(&self, (writes, says, by_ms): (bool, u8, i64)) -> Vec<Result<Interval, ClockError>> {
        let mut answers = Vec::new();
        self.machine.advance(secs(60));
        if writes {
            self.judge.push(claim(&self.machine, 0, 5));
        }
        self.helper.script.push(match says {
            0 => Finding::Nothing,
            1 => Finding::Unsettled,
            2 => Finding::Refused(Refusal::Chrony(ChronyRefusal::NoAnswer)),
            3 => Finding::Void(Disturbance::RawStoodStill),
            4 => claim(&self.machine, by_ms, 1),
            5 => claim(&self.machine, by_ms / 100, 0),
            _ => claim(&self.machine, by_ms * 1_000, 20),
        });
        answers.push(self.clock.look());
        self.machine.advance(millis(300));
        answers.push(self.clock.now());
        answers
    }
}

fn planted() -> LeapNotice {
    let day = 86_400 * 1_000_000_000;
    let now = ScriptedMachine::default().sandwich().real;
    LeapNotice::Pending(LeapSecond {
        boundary: Timestamp::from_unix_nanos((now / day + 1) * day),
        kind: LeapKind::Inserted,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// P9, P10: whatever a helper says, a judge's answers are the same to the bit.
    #[test]
    fn p9_p10_a_helper_changes_no_bit_of_what_a_judge_answers(
        plants in any::<bool>(),
        story in prop::collection::vec((prop::bool::weighted(0.8), 0_u8..7, -400_i64..400), 1..40),
    ) {
        let notice = if plants { planted() } else { LeapNotice::None };
        let (alone, helped) = (Scene::new(false, notice), Scene::new(true, notice));
        // Both begin with a judge that vouches; without one a helper may serve.
        let mut said = false;
        for (number, (writes, says, by_ms)) in story.into_iter().enumerate() {
            let step = (writes || number == 0, says, by_ms);
            said |= step.0;
            prop_assert!(said);
            prop_assert_eq!(alone.play(step), helped.play(step));
        }
        prop_assert_eq!(
            alone.clock.status().counters.contradictions,
            helped.clock.status().counters.contradictions
        );
    }
}

/// A leap second that one server makes up is on the scale of its own claims alone, over its midnight too.
#[test]
fn s1_a_helpers_leap_second_is_on_no_other_scale() {
    let (alone, helped) = (Scene::new(false, planted()), Scene::new(true, planted()));
    let play = |scene: &Scene| {
        scene.machine.advance(secs(1_200));
        scene.judge.push(claim(&scene.machine, 0, 5));
        scene.helper.script.push(claim(&scene.machine, 0, 4));
        let first = scene.clock.look();
        scene.machine.advance(millis(300));
        (first, scene.clock.now())
    };
    for _ in 0..60 {
        let answer = play(&alone);
        assert!(answer.1.is_ok());
        assert_eq!(answer, play(&helped));
    }
}

#[test]
fn a_helper_that_contradicts_a_judge_is_refused_by_name_and_size() {
    let scene = Scene::new(true, LeapNotice::None);
    scene.judge.push(claim(&scene.machine, 0, 5));
    scene.helper.script.push(claim(&scene.machine, 80, 1));
    scene.clock.look().unwrap();
    let helper = scene.clock.sources()[1];
    assert!(
        matches!(
            helper.refusal,
            Some(Refusal::Ntp(NtpRefusal::Contradicts {
                by_us: 73_900..=74_000
            }))
        ),
        "{helper:?}"
    );
}

#[test]
fn a_helper_serves_once_no_judge_can() {
    let scene = Scene::new(true, LeapNotice::None);
    scene.judge.push(claim(&scene.machine, 0, 5));
    scene.clock.look().unwrap();
    // Silent for longer than a claim is carried.
    scene.machine.advance(secs(3_700));
    scene.helper.script.push(claim(&scene.machine, 0, 1));
    let now = scene.clock.look().unwrap();
    assert!(now.contains(scene.machine.true_time()));
    assert_eq!(scene.clock.status().source, Some("helper"));
}

/// S4: a kernel that was not told of a leap second does not make it, which says nothing against servers that were.
#[test]
fn s4_real_time_that_does_not_leap_is_no_evidence_against_servers() {
    let machine = ScriptedMachine::default();
    let servers = Helper {
        script: ScriptedSource::new("helper"),
        notice: planted(),
    };
    let LeapNotice::Pending(leap) = planted() else {
        panic!("none is planted")
    };
    let clock = machine.builder().source(servers.clone()).build().unwrap();
    let left =
        |machine: &ScriptedMachine| leap.boundary.unix_nanos() - machine.real_time().unix_nanos();
    while left(&machine) > 100 * 1_000_000_000 {
        machine.advance(secs(60));
        servers.script.push(claim(&machine, 0, 5));
        clock.look().unwrap();
    }
    // Carried over midnight, with no word from any server.
    machine.advance(Duration::from_nanos(left(&machine).unsigned_abs()) + secs(5));
    let now = clock.look().unwrap();
    let stepped = machine.true_time().saturating_sub(secs(1));
    assert!(now.contains(stepped), "{now}, {stepped}");
}

/// V4: a helper's claims vindicate no clock that was stepped out of a judge's interval; the judge's do.
#[test]
fn v4_only_a_judge_vindicates_a_clock_that_was_stepped_away() {
    let scene = Scene::new(true, LeapNotice::None);
    for _ in 0..3 {
        scene.machine.advance(secs(60));
        scene.judge.push(claim(&scene.machine, 0, 5));
        scene.helper.script.push(claim(&scene.machine, 0, 1));
        scene.clock.look().unwrap();
    }
    scene.machine.step(TimeDelta::from_nanos(400_000_000));
    for _ in 0..5 {
        scene.machine.advance(secs(60));
        scene.helper.script.push(claim(&scene.machine, 0, 1));
        let stepped_away = matches!(
            scene.clock.look(),
            Err(ClockError::Disturbed {
                cause: Disturbance::SteppedAway { .. }
            })
        );
        assert!(stepped_away, "{:?}", scene.clock.now());
    }
    for _ in 0..2 {
        scene.machine.advance(secs(60));
        scene.judge.push(claim(&scene.machine, 0, 5));
        let _ = scene.clock.look();
    }
    let now = scene.clock.now().unwrap();
    assert!(now.contains(scene.machine.true_time()));
}
