//! Elapsed time with two answers: E-1 to E-4, on machines that sleep, pause, are stepped and slewed.

use std::time::Duration;

use epsilon_clock::lease::{ElapsedInstant, NotBounded};
use epsilon_clock_sim::{Fault, Notice, Oscillator, Preemption, Random, Wake, World, seed_of};

use super::group::{config, some_fault};

const PPB: u32 = 200_000;
/// What an instant's own reading takes, interruptions included.
const READING: Duration = Duration::from_millis(60);

/// What a caller that took the one answer for the other would have been told, in how many cases.
#[derive(Debug, Default)]
struct Wrong {
    /// A holder that counted what surely went by.
    holder: u32,
    /// A waiter that counted what may have gone by.
    waiter: u32,
    /// A holder that did not hear of a sleep.
    slept: u32,
    spans: u32,
    bounded: u32,
    interrupted: u32,
}

fn play(seed: u64, wrong: &mut Wrong) {
    let world = World::new(seed);
    let mut random = Random::new(seed ^ 0xe1);
    world.set_preemption(Preemption {
        per_million: 3_000,
        longest: Duration::from_millis(20),
    });
    let mut config = config(&mut random);
    // At the limit of what is charged, or well within it.
    if random.chance(600_000) {
        let sign = if random.chance(500_000) { 1 } else { -1 };
        config.oscillator = Oscillator::steady(sign * i64::from(PPB));
    }
    let node = world.node(config);
    let clock = node.clock().unwrap();
    world.advance(Duration::from_secs(20));
    let mut before: Option<ElapsedInstant> = None;
    for _ in 0..60 {
        let (mut slept, began) = (false, world.elapsed());
        let start = ElapsedInstant::now(&clock);
        let begun = world.elapsed();
        // E-3: one order for both roles, never backwards, whatever befell the clocks.
        assert!(before.is_none_or(|before| start >= before), "seed {seed}");
        for _ in 0..random.between(0, 3) {
            let span = random.scattered(1_000, 20_000_000_000).unsigned_abs();
            let span = Duration::from_nanos(span);
            // No machine sleeps and wakes within the time that its clocks are compared in.
            let nap = span.max(Duration::from_millis(25));
            let fault = match random.between(0, 4) {
                0 => Some(Fault::Suspend {
                    span: nap,
                    wake: Wake::Precise,
                }),
                1 => Some(Fault::Suspend {
                    span: span + Duration::from_secs(3),
                    wake: Wake::Rtc,
                }),
                2 => Some(Fault::Pause {
                    span,
                    notice: Notice::CounterRan,
                }),
                _ => None,
            };
            match fault.filter(|_| random.chance(300_000)) {
                None => world.advance(span),
                Some(fault) => {
                    slept |= matches!(fault, Fault::Suspend { .. });
                    node.strike(fault);
                    // It reads nothing while it is asleep.
                    world.advance(nap + Duration::from_secs(3));
                }
            }
            if let (fault @ (Fault::Step { .. } | Fault::Slew { .. }), _) = some_fault(&mut random)
            {
                node.strike(fault);
            }
        }
        let ending = world.elapsed();
        let now = ElapsedInstant::now(&clock);
        let ended = world.elapsed();
        // From the end of one reading to the begin of the other, and from begin to end.
        let (least, most) = (ending - begun, ended - began);
        wrong.spans += 1;

        // E-1, the waiter's: never more than went by. E-2: a sleep only makes it less.
        let at_least = now.at_least_since(start);
        assert!(at_least <= most, "seed {seed}: {at_least:?} of {most:?}");
        assert_eq!(now - start, at_least);
        let spare = Duration::from_nanos(most.as_nanos() as u64 / 1_000_000 * 401) + READING;
        assert!(
            slept || at_least + spare >= least,
            "seed {seed}: {at_least:?} of {least:?}"
        );
        wrong.holder += u32::from(at_least < least);

        // E-1, the holder's: never less. E-2: any sleep ends it.
        match now.at_most_since(start) {
            Ok(at_most) => {
                assert!(!slept, "seed {seed}: a sleep went unseen");
                assert!(at_most >= least, "seed {seed}: {at_most:?} of {least:?}");
                wrong.waiter += u32::from(at_most > most);
                wrong.bounded += 1;
            }
            Err(NotBounded::Slept) => assert!(slept, "seed {seed}: no sleep, and one was told"),
            Err(NotBounded::Interrupted) => wrong.interrupted += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
        // What it would say that added the rate to raw time, and looked for no sleep.
        let raw = at_least.mul_f64(1.0 + 2.0 * f64::from(PPB) * 1e-9 + 1e-6);
        wrong.slept += u32::from(slept && raw + READING < least);

        // E-3: a sum is reached only once so much went by; what a leader may hold ends before it.
        let any = Duration::from_nanos(random.scattered(1_000, 30_000_000_000).unsigned_abs());
        // Just beyond what went by, where the rate decides.
        let beyond = most.as_nanos() as i64 / 1_000_000 * random.between(0, 200);
        let near = most + Duration::from_nanos(1 + beyond.unsigned_abs());
        for span in [any, near] {
            if now >= start + span {
                assert!(most >= span, "seed {seed}: {span:?} was due at {most:?}");
            }
        }
        let span = any;
        let held = ElapsedInstant::longest_hold(span, PPB);
        let at_most = now.at_most_since(start);
        if at_most.is_ok_and(|at_most| at_most <= held) {
            assert!(!held.is_zero() && least <= span && now.at_least_since(start) <= span);
        }
        // E-4: what does not fit is no instant.
        assert_eq!(now.checked_add(Duration::MAX), None);
        before = Some(now);
    }
}

#[test]
fn e1_to_e4_a_waiter_never_counts_too_much_and_a_holder_never_too_little() {
    let mut wrong = Wrong::default();
    for run in 0..60 * crate::scale() {
        play(seed_of(run), &mut wrong);
    }
    println!("{wrong:?}");
    // Each answer would be wrong for the other role, and without the sleep for its own.
    assert!(
        wrong.holder > wrong.spans / 10 && wrong.waiter > wrong.spans / 20,
        "{wrong:?}"
    );
    assert!(wrong.slept > wrong.spans / 50, "{wrong:?}");
    assert!(wrong.bounded > wrong.spans / 3, "{wrong:?}");
}
