//! Who looks, and when.

use std::time::{Duration, Instant};

use epsilon_clock::clock::RefreshPolicy;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{ClockError, Disturbance};

use super::{millis, read_truly, run_truly, secs, write_honestly};

#[test]
fn manual_never_asks_for_the_status_except_by_look() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine
        .builder()
        .refresh_policy(RefreshPolicy::Manual)
        .build()
        .unwrap();
    let built = machine.status_reads();
    assert!(built > 0);
    for _ in 0..300 {
        machine.advance(secs(1));
        read_truly(&machine, &clock).unwrap();
        let _ = clock.read();
        let _ = clock.status();
        let _ = clock.after(machine.true_time());
    }
    machine.step(epsilon_clock::TimeDelta::from_nanos(5));
    machine.suspend(secs(3));
    for _ in 0..300 {
        machine.advance(millis(100));
        // Suspends are found without it all the same.
        let cause = Disturbance::Suspended;
        assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
    }
    clock.wait_until_synchronized(secs(3)).unwrap_err();
    assert_eq!(machine.status_reads(), built);
    clock.look().unwrap_err();
    assert!(machine.status_reads() > built);
}

#[test]
fn inline_looks_once_per_look_interval() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine
        .builder()
        .look_interval(millis(250))
        .build()
        .unwrap();
    let before = clock.status().counters.looks;
    assert_eq!(run_truly(&machine, &clock, secs(10), millis(1)), 10_000);
    let looks = clock.status().counters.looks - before;
    // Found out at a check, which comes every 10 ms.
    assert!((38..=40).contains(&looks), "{looks}");
}

#[test]
fn a_refusal_is_remembered_for_a_look_interval() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let before = machine.status_reads();
    for _ in 0..1_000 {
        machine.advance(millis(1));
        clock.now().unwrap_err();
    }
    let asked = machine.status_reads() - before;
    assert!(asked <= 8, "{asked}");
}

#[test]
fn background_looks_by_itself_until_the_clock_is_dropped() {
    let machine = ScriptedMachine::default();
    let clock = machine
        .builder()
        .refresh_policy(RefreshPolicy::Background)
        .build()
        .unwrap();
    write_honestly(&machine, 1_003);
    let asked = machine.status_reads();
    let deadline = Instant::now() + Duration::from_secs(20);
    while machine.status_reads() < asked + 4 {
        assert!(Instant::now() < deadline, "nobody looks");
        std::thread::yield_now();
    }
    // Its thread sleeps on the machine's time, which runs as fast as it will: no T1 to check here.
    assert!(clock.status().counters.looks > 1);
    drop(clock);
    loop {
        let asked = machine.status_reads();
        std::thread::sleep(Duration::from_millis(20));
        if machine.status_reads() == asked {
            break;
        }
        assert!(Instant::now() < deadline, "it looks on for ever");
    }
}
