//! Waiting for a synchronised clock; the time that passes is the machine's.

use epsilon_clock::ClockError;
use epsilon_clock::clock::WaitReason;
use epsilon_clock::source::Refusal;
use epsilon_clock::testing::ScriptedMachine;

use super::{millis, secs, synchronized, write_honestly};

#[test]
fn a_synchronised_clock_is_not_waited_for() {
    let (machine, clock) = synchronized();
    let slept = machine.slept();
    let now = clock.wait_until_synchronized(secs(5)).unwrap();
    assert!(now.contains(machine.true_time()));
    clock.wait_until_within(millis(2), secs(0)).unwrap();
    assert_eq!(machine.slept(), slept);
}

#[test]
fn waiting_ends_soon_after_the_daemon_has_written() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    machine.after(secs(8), |machine| write_honestly(machine, 1_003));
    let start = machine.true_time();
    let now = clock.wait_until_synchronized(secs(60)).unwrap();
    let waited = machine.true_time().abs_diff(start);
    assert!(
        waited >= secs(8) && waited < secs(8) + millis(300),
        "{waited:?}"
    );
    assert!(now.contains(machine.true_time()));
}

#[test]
fn waiting_for_a_narrower_interval() {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(90_003);
    let clock = machine.clock().unwrap();
    let timeout = clock.wait_until_within(millis(2), secs(3)).unwrap_err();
    assert!(
        timeout.waited >= secs(3) && timeout.waited < secs(4),
        "{timeout}"
    );
    let WaitReason::TooWide { epsilon } = timeout.reason else {
        panic!("{timeout}");
    };
    assert!(epsilon > millis(90));
    assert!(timeout.to_string().contains("±9"), "{timeout}");
    machine.after(secs(5), |machine| write_honestly(machine, 1_003));
    let now = clock.wait_until_within(millis(2), secs(60)).unwrap();
    assert!(now.epsilon() <= millis(2));
}

#[test]
fn waiting_in_vain_says_what_was_missing() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let timeout = clock.wait_until_synchronized(millis(700)).unwrap_err();
    let refusal = Refusal::Unsynchronized {
        maxerror_us: 16_000_000,
    };
    let missing = ClockError::Unvouched(refusal);
    assert_eq!(timeout.reason, WaitReason::NoInterval(missing));
    assert!(
        timeout.waited >= millis(700) && timeout.waited < millis(701),
        "{timeout}"
    );
    assert!(timeout.to_string().contains("16000000"), "{timeout}");
    let none = clock.wait_until_synchronized(secs(0)).unwrap_err();
    assert!(none.waited < millis(1));
}

#[test]
fn an_assumed_error_is_not_waited_for() {
    let machine = ScriptedMachine::default();
    let clock = machine.builder().assume_error(millis(50)).build().unwrap();
    clock.now().unwrap();
    let timeout = clock.wait_until_synchronized(secs(1)).unwrap_err();
    assert_eq!(timeout.reason, WaitReason::OnlyAssumed);
}

#[test]
fn waiting_counts_no_suspended_time_but_ends() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    machine.after(millis(300), |machine| machine.suspend(secs(3_600)));
    let timeout = clock.wait_until_synchronized(secs(2)).unwrap_err();
    assert!(timeout.waited >= secs(2) && timeout.waited < secs(3));
}
