//! Fences and tokens: what is older never gets in, and tokens go up across restarts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::lease::{FencingToken, StaleToken, TokenError};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::DecodeError;
use epsilon_clock::{Fence, HlcTimestamp, HybridClock, RemoteTimestamp, TimeDelta};
use proptest::prelude::*;

fn token(number: u64) -> FencingToken {
    FencingToken::new(number).unwrap()
}

proptest! {
    /// W1: whatever comes in whatever order, a fence lets in exactly what is not older than all
    /// before, and bytes between any two make no difference.
    #[test]
    fn w1_a_fence_lets_in_what_is_not_older(numbers in proptest::collection::vec(1..20_u64, 0..40)) {
        let mut stored = Fence::OPEN.to_be_bytes();
        let mut highest = 0;
        for number in numbers {
            let fence = Fence::try_from(&stored[..]).unwrap();
            match fence.admit(token(number)) {
                Ok(next) => {
                    prop_assert!(number >= highest);
                    prop_assert!(stored <= next.to_be_bytes());
                    highest = number;
                    stored = next.to_be_bytes();
                }
                Err(StaleToken { shown, highest: seen, .. }) => {
                    prop_assert!(number < highest);
                    prop_assert_eq!((shown, seen), (token(number), token(highest)));
                }
            }
            prop_assert_eq!(Fence::try_from(&stored[..]).unwrap().highest(), FencingToken::new(highest));
        }
    }

    #[test]
    fn any_bytes_are_a_fence_or_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        match Fence::try_from(&bytes[..]) {
            Ok(fence) => prop_assert_eq!(&fence.to_be_bytes()[..], &bytes[..]),
            Err(DecodeError::Length { found, expected, .. }) => {
                prop_assert_eq!((found, expected), (bytes.len(), 9));
                prop_assert!(found != expected);
            }
            Err(DecodeError::Format { found, .. }) => prop_assert!(found == bytes[0] && found != 1),
            Err(other) => prop_assert!(false, "{}", other),
        }
        match FencingToken::try_from(&bytes[..]) {
            Ok(token) => prop_assert_eq!(&token.to_be_bytes()[..], &bytes[..]),
            Err(DecodeError::Blank { .. }) => prop_assert_eq!(&bytes[..], &[0; 8][..]),
            Err(DecodeError::Length { found, .. }) => prop_assert!(found != 8),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn tokens_sort_as_their_bytes_do(a in 1..=u64::MAX, b in 1..=u64::MAX) {
        prop_assert_eq!(token(a).cmp(&token(b)), token(a).to_be_bytes().cmp(&token(b).to_be_bytes()));
        prop_assert_eq!(token(a).cmp(&token(b)), a.cmp(&b));
    }
}

#[test]
fn a_page_of_zeros_is_no_open_fence() {
    let blank = Fence::try_from(&[0; 9][..]);
    assert!(matches!(blank, Err(DecodeError::Format { found: 0, .. })));
    assert_eq!(
        Fence::try_from(&[1, 0, 0, 0, 0, 0, 0, 0, 0][..]),
        Ok(Fence::OPEN)
    );
}

#[test]
fn numbers_of_lock_services_are_above_zero() {
    for number in [i64::MIN, -1, 0] {
        let error = FencingToken::try_from(number).unwrap_err();
        assert!(matches!(error, TokenError::NotPositive { number: told } if told == number));
    }
    assert_eq!(
        FencingToken::try_from(i64::MAX).unwrap().number(),
        i64::MAX.unsigned_abs()
    );
}

/// A grantor that crashes again and again, with a clock that is set back by an hour each time.
#[test]
fn tokens_of_a_hybrid_clock_go_up_across_crashes() {
    let disk = Arc::new(Mutex::new(HlcTimestamp::MIN));
    let mut last = None;
    for run in 0..20_i64 {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_000);
        machine.step(TimeDelta::from_nanos(-run * 3_600_000_000_000));
        let store = Arc::clone(&disk);
        let floor = *disk.lock().unwrap();
        let grantor = HybridClock::builder(machine.clock().unwrap())
            .resume_from(floor)
            .reserve(Duration::from_millis(20), move |bound| {
                *store.lock().unwrap() = bound;
                Ok(())
            })
            .build()
            .unwrap();
        for _ in 0..50 {
            let token = grantor.fencing_token().unwrap();
            assert!(Some(token) > last, "{token} after {last:?} in run {run}");
            last = Some(token);
            machine.advance(Duration::from_millis(3));
        }
    }
}

#[test]
fn a_grantor_goes_on_above_what_another_one_granted() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let grantor = HybridClock::builder(clock.clone())
        .reserve(Duration::from_secs(1), |_| Ok(()))
        .build()
        .unwrap();
    let ahead = grantor.fencing_token().unwrap().number() + 5_000;
    grantor.observe(RemoteTimestamp::from_bits(ahead)).unwrap();
    assert!(grantor.fencing_token().unwrap() > token(ahead));
    // Nothing that could be given out twice is a token.
    let forgetful = HybridClock::new(clock);
    assert!(matches!(
        forgetful.fencing_token(),
        Err(TokenError::NotPersisted)
    ));
}

#[test]
fn a_grantor_that_cannot_store_its_bound_grants_nothing() {
    let grantor = HybridClock::builder(ScriptedMachine::default().clock().unwrap())
        .reserve(Duration::from_secs(1), |_| Err("disk full".into()))
        .build()
        .unwrap();
    assert!(matches!(grantor.fencing_token(), Err(TokenError::Clock(_))));
}
