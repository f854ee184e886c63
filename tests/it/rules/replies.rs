//! Nothing that a kernel can reply, and nothing that a caller can set, makes a clock panic or lie
//! about its limits.

use std::time::Duration;

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::LeapKind;
use epsilon_clock::{TimeDelta, Timestamp};
use proptest::prelude::*;

/// Any value at all, the extremes and the interesting ones more often.
fn wild() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        -2_i64..20,
        0_i64..20_000,
        15_990_000_i64..16_010_000,
    ]
}

fn any_status() -> impl Strategy<Value = NtpStatus> {
    let word = prop_oneof![any::<i32>(), -1_i32..8, Just(i32::MIN), Just(i32::MAX)];
    let flags = prop_oneof![
        any::<i32>(),
        Just(0),
        Just(1),
        Just(0x11),
        Just(0x21),
        Just(0x40)
    ];
    (
        word,
        flags,
        wild(),
        wild(),
        wild(),
        wild(),
        wild(),
        wild(),
        any::<i32>(),
    )
        .prop_map(
            |(state, flags, maxerror, esterror, freq, tick, offset, constant, tai)| {
                let mut status = NtpStatus::default();
                status.state = state;
                status.status = flags;
                status.maxerror = maxerror;
                status.esterror = esterror;
                status.freq = freq;
                status.tick = tick;
                status.offset = offset;
                status.constant = constant;
                status.tai = tai;
                status
            },
        )
}

/// What may happen to a machine between two readings.
#[derive(Clone, Debug)]
enum Happening {
    Reply(NtpStatus),
    ReplyInTheMiddle(u64, NtpStatus),
    Refusal(bool),
    Pass(Duration),
    Step(i64),
    Suspend(Duration),
    JumpRaw(i64),
    JumpUptime(i64),
    Leap(bool),
    Vouch,
}

fn happening() -> impl Strategy<Value = Happening> {
    let span = prop_oneof![
        (0_u64..2_000).prop_map(Duration::from_millis),
        (0_u64..5_000).prop_map(Duration::from_secs),
    ];
    let far = prop_oneof![
        any::<i64>(),
        -5_000_000_000_i64..5_000_000_000,
        Just(i64::MIN),
        Just(i64::MAX)
    ];
    prop_oneof![
        5 => any_status().prop_map(Happening::Reply),
        2 => (0_u64..30, any_status()).prop_map(|(n, status)| Happening::ReplyInTheMiddle(n, status)),
        1 => any::<bool>().prop_map(Happening::Refusal),
        5 => span.clone().prop_map(Happening::Pass),
        1 => far.clone().prop_map(Happening::Step),
        1 => span.prop_map(Happening::Suspend),
        1 => far.clone().prop_map(Happening::JumpRaw),
        1 => far.prop_map(Happening::JumpUptime),
        1 => any::<bool>().prop_map(Happening::Leap),
        1 => Just(Happening::Vouch),
    ]
}

fn happen(machine: &ScriptedMachine, clock: &epsilon_clock::Clock, happening: &Happening) {
    match *happening {
        Happening::Reply(status) => machine.set_status(status),
        Happening::ReplyInTheMiddle(n, status) => {
            machine.before_read(n, move |machine| machine.set_status(status));
        }
        Happening::Refusal(true) => machine.refuse(NtpStatusError::Refused { errno: 1 }),
        Happening::Refusal(false) => machine.allow(),
        Happening::Pass(span) => machine.advance(span),
        Happening::Step(by) => machine.step(TimeDelta::from_nanos(by)),
        Happening::Suspend(span) => machine.suspend(span),
        Happening::JumpRaw(by) => machine.jump_raw(TimeDelta::from_nanos(by)),
        Happening::JumpUptime(by) => machine.jump_uptime(TimeDelta::from_nanos(by)),
        Happening::Leap(true) => machine.announce_leap(LeapKind::Inserted),
        Happening::Leap(false) => machine.announce_leap(LeapKind::Deleted),
        Happening::Vouch => drop(clock.vouch()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_reply_of_a_kernel_makes_a_clock_panic_or_exceed_its_limits(
        first in any_status(),
        happenings in prop::collection::vec(happening(), 1..20),
        accept in any::<bool>(),
        assume in any::<bool>(),
    ) {
        let machine = ScriptedMachine::default();
        machine.set_status(first);
        let mut builder = machine.builder();
        if accept {
            builder = builder.accept_unsync_flag();
        }
        if assume {
            builder = builder.assume_error(Duration::from_millis(50));
        }
        let clock = builder.build().unwrap();
        for happening in happenings {
            happen(&machine, &clock, &happening);
            for result in [clock.now(), clock.look(), clock.read().interval] {
                if let Ok(now) = result {
                    prop_assert!(now.earliest() <= now.latest());
                    prop_assert!(now.epsilon() <= Duration::from_millis(500));
                } else if let Err(error) = result {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
            let status = clock.status();
            prop_assert!(status.bound.is_none_or(|bound| !bound.to_string().is_empty()));
        }
    }

    #[test]
    fn no_setting_makes_a_builder_or_its_clock_panic(
        drift in prop_oneof![any::<u32>(), 1_u32..100_000_000],
        spans in prop::array::uniform5(prop_oneof![
            (0_u64..=u64::MAX).prop_map(Duration::from_nanos),
            (0_u64..2_000_000_000).prop_map(Duration::from_nanos),
            Just(Duration::MAX),
            Just(Duration::ZERO),
        ]),
        assume in prop::option::of((0_u64..4_000_000_000).prop_map(Duration::from_nanos)),
        manual in any::<bool>(),
        start in any::<i64>(),
    ) {
        let machine = ScriptedMachine::new(Timestamp::from_unix_nanos(start));
        machine.write_maxerror(1_003);
        let mut builder = machine
            .builder()
            .max_drift_ppb(drift)
            .daemon_margin(spans[0])
            .look_interval(spans[1])
            .guard_interval(spans[2])
            .max_error(spans[3])
            .max_age(spans[4]);
        if let Some(error) = assume {
            builder = builder.assume_error(error);
        }
        if manual {
            builder = builder.refresh_policy(RefreshPolicy::Manual);
        }
        match builder.build() {
            Ok(clock) => {
                for pass in [0, 1, 1_000, 1_000_000_000, 100_000_000_000] {
                    machine.advance(Duration::from_nanos(pass));
                    let before = machine.true_time();
                    if let Ok(now) = clock.now() {
                        prop_assert!(now.earliest() <= machine.true_time() && before <= now.latest());
                        prop_assert!(now.epsilon() <= spans[3]);
                    }
                    let _ = clock.status();
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// T1 and T3 under everything that an honest world can do.
    ///
    /// But for one thing: all slews of one world go the same way. Two that come and go between two
    /// looks, one before a write and the other way after it, make up for each other in all that a
    /// look can see.
    #[test]
    fn t1_an_honest_world_is_never_misjudged(
        drift in -200_000_i32..=199_000,
        happenings in prop::collection::vec((0_u8..9, 0_u64..40, 0_u64..3_000, -200_000_i32..200_000), 1..60),
    ) {
        let machine = ScriptedMachine::default();
        machine.set_drift_ppb(drift);
        machine.set_slew_ppb(drift);
        machine.write_maxerror(1_003);
        let clock = machine.builder().build().unwrap();
        for (kind, n, span, rate) in happenings {
            let span = Duration::from_millis(span);
            let slew = rate.abs() * 400 * if drift < 0 { -1 } else { 1 };
            let strike = move |machine: &ScriptedMachine| match kind {
                0 => machine.advance(span),
                // The daemon's own: no step leaves a bound in the kernel, so one that stands came after it.
                1 => {
                    machine.set_date(TimeDelta::from_nanos(i64::from(rate) * 10_000));
                    super::write_honestly(machine, 307);
                }
                2 => machine.suspend(span + Duration::from_millis(25)),
                3 => machine.set_slew_ppb(slew),
                4 => machine.set_hidden_slew_ppb(slew),
                5 => machine.refuse(NtpStatusError::Refused { errno: 1 }),
                6 => machine.allow(),
                7 => machine.set_date(TimeDelta::from_nanos(i64::from(rate) * 10_000)),
                _ => super::write_honestly(machine, i64::from(rate.unsigned_abs() / 50)),
            };
            machine.before_read(n, strike);
            super::run_truly(&machine, &clock, Duration::from_millis(400), Duration::from_millis(37));
        }
    }
}
