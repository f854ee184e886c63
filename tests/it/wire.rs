//! Values in formats of others: nothing is lost on the way, and nothing false comes in.

use std::time::Duration;

use epsilon_clock::clock::Counters;
use epsilon_clock::fleet::ClockReport;
use epsilon_clock::hlc::{NodeStamp, RemoteLimit, WideTimestamp};
use epsilon_clock::lease::FencingToken;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::time::RateBounds;
use epsilon_clock::{
    Clock, ClockState, ErrorBound, Fence, HlcTimestamp, HybridClock, Interval, Lease,
    RemoteTimestamp, TimeDelta, Timestamp,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn through_json<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn through_postcard<T: Serialize + DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_allocvec(value).unwrap()).unwrap()
}

/// Why JSON does not become a value.
fn refused<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    serde_json::from_str::<T>(json).unwrap_err().to_string()
}

fn any_nanos() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -5..5_i64]
}

proptest! {
    #[test]
    fn every_value_survives_both_kinds_of_format(a in any_nanos(), b in any_nanos(), bits in any::<u64>(), n in any::<u32>()) {
        let instant = at(a);
        prop_assert_eq!(through_json(&instant), instant);
        prop_assert_eq!(through_postcard(&instant), instant);
        let interval = Interval::new(at(a.min(b)), at(a.max(b))).unwrap();
        prop_assert_eq!(through_json(&interval), interval);
        prop_assert_eq!(through_postcard(&interval), interval);
        let stamp = RemoteTimestamp::from_bits(bits);
        prop_assert_eq!(through_json(&stamp), stamp);
        prop_assert_eq!(through_postcard(&stamp), stamp);
        let wide = WideTimestamp::new(instant, n);
        prop_assert_eq!(through_json(&wide), wide);
        prop_assert_eq!(through_postcard(&wide), wide);
        let (narrow, node) = (NodeStamp::new(stamp, 0xa0b1_u16), NodeStamp::new(stamp, bits));
        prop_assert_eq!(through_json(&narrow), narrow);
        prop_assert_eq!(through_postcard(&narrow), narrow);
        prop_assert_eq!(through_json(&node), node);
        prop_assert_eq!(through_postcard(&node), node);
        let bound = ErrorBound { reported_ns: bits, drift_ns: n.into(), ..ErrorBound::default() };
        prop_assert_eq!(through_json(&bound), bound);
        prop_assert_eq!(through_postcard(&bound), bound);
    }

    /// Whatever comes in, it is a value that a constructor makes, or an error.
    #[test]
    fn hostile_bytes_make_no_false_value(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(interval) = postcard::from_bytes::<Interval>(&bytes) {
            prop_assert!(interval.earliest() <= interval.latest());
        }
        if let Ok(state) = postcard::from_bytes::<ClockState>(&bytes) {
            prop_assert_eq!(through_postcard(&state), state);
        }
        let _ = postcard::from_bytes::<WideTimestamp>(&bytes);
        let _ = postcard::from_bytes::<RemoteTimestamp>(&bytes);
        let _ = postcard::from_bytes::<NodeStamp<u16>>(&bytes);
        let _ = postcard::from_bytes::<Counters>(&bytes);
    }

    #[test]
    fn hostile_text_makes_no_false_value(text in "\\PC{0,45}", damaged in 0..30_usize, put in any::<char>()) {
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert!(serde_json::from_str::<Timestamp>(&quoted).is_err());
        prop_assert!(serde_json::from_str::<WideTimestamp>(&quoted).is_err());
        prop_assert!(serde_json::from_str::<NodeStamp<u16>>(&quoted).is_err());
        prop_assert!(serde_json::from_str::<Interval>(&text).is_err());
        // One character of a good one is another: the error, or what the type's own parser says.
        let mut good: Vec<char> = "2026-11-20T05:50:00.123456789Z".chars().collect();
        good[damaged] = put;
        let text: String = good.into_iter().collect();
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&quoted).ok(), text.parse().ok());
    }
}

#[test]
fn people_read_text_and_programs_integers() {
    let instant: Timestamp = "2026-11-20T05:50:00.123456789Z".parse().unwrap();
    assert_eq!(json!(instant), json!("2026-11-20T05:50:00.123456789Z"));
    let later = instant.checked_add(Duration::from_nanos(1)).unwrap();
    let interval = Interval::new(instant, later).unwrap();
    let ends = json!({
        "earliest": "2026-11-20T05:50:00.123456789Z",
        "latest": "2026-11-20T05:50:00.123456790Z",
    });
    assert_eq!(json!(interval), ends);
    // As the integers themselves, and nothing else.
    let ends = (instant.unix_nanos(), later.unix_nanos());
    assert_eq!(
        postcard::to_allocvec(&interval).unwrap(),
        postcard::to_allocvec(&ends).unwrap()
    );
    let stamp: RemoteTimestamp = "660aed092d44002a".parse().unwrap();
    assert_eq!(json!(stamp), json!("2026-11-20T05:50:00.123456Z_0042"));
    assert_eq!(json!(stamp.trust()), json!(stamp));
    assert_eq!(
        postcard::to_allocvec(&stamp.trust()).unwrap(),
        postcard::to_allocvec(&stamp.to_bits()).unwrap()
    );
    let hex: RemoteTimestamp = serde_json::from_str("\"660aed092d44002a\"").unwrap();
    assert_eq!(hex, stamp);
}

#[test]
fn what_no_constructor_makes_is_refused_by_name() {
    let reversed = json!({"earliest": at(2), "latest": at(1)}).to_string();
    assert!(refused::<Interval>(&reversed).contains("lies before earliest end"));
    let bytes = postcard::to_allocvec(&(2_i64, 1_i64)).unwrap();
    assert!(postcard::from_bytes::<Interval>(&bytes).is_err());

    let first = at(1);
    let twice = format!(r#"{{"earliest":"{first}","earliest":"{first}","latest":"{first}"}}"#);
    assert!(refused::<Interval>(&twice).contains("duplicate field"));
    let more = json!({"earliest": first, "latest": first, "epsilon": 0}).to_string();
    assert!(refused::<Interval>(&more).contains("unknown field"));
    let less = json!({"earliest": first}).to_string();
    assert!(refused::<Interval>(&less).contains("missing field"));

    assert!(refused::<Timestamp>("\"2026-02-29T00:00:00.000000000Z\"").contains("1 to 28"));
    assert!(refused::<Timestamp>("1795153800").contains("expected a timestamp"));
    assert!(refused::<RemoteTimestamp>("\"2026-11-20T05:50:00.123456Z_9999\"").contains("4095"));
    assert!(refused::<RemoteTimestamp>("7").contains("expected a stamp"));
    let reversed = r#"{"lo_ppb":2,"hi_ppb":1}"#;
    assert!(refused::<RateBounds>(reversed).contains("2 ppb exceeds"));
    assert!(refused::<ClockState>("\"Synchronized\"").contains("holdover, assumed"));
    let five = postcard::to_allocvec(&5_i64).unwrap();
    assert!(postcard::from_bytes::<ClockState>(&five).is_err());
}

#[test]
fn each_state_has_its_word_and_its_number() {
    let numbered = [
        ClockState::Synchronized,
        ClockState::Inherited,
        ClockState::Holdover,
        ClockState::Assumed,
        ClockState::Unavailable,
    ];
    for (state, number) in numbered.into_iter().zip(0_i64..) {
        assert_eq!(json!(state), json!(state.as_str()));
        assert_eq!(through_json(&state), state);
        assert_eq!(through_postcard(&state), state);
        let bytes = postcard::to_allocvec(&number).unwrap();
        assert_eq!(postcard::to_allocvec(&state).unwrap(), bytes);
    }
}

#[test]
fn a_status_tells_every_figure() {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    let status = json!(clock.status());
    assert_eq!(status["state"], "unavailable");
    assert_eq!(status["interval"], Value::Null);
    let cap = json!({"unsynchronized": {"maxerror_us": 16_000_000}});
    assert_eq!(status["error"], json!({ "unvouched": cap }));
    assert_eq!(status["refusal"], cap);
    assert_eq!(status["counters"]["refusals"], 1);
    let reading = json!(clock.read());
    assert_eq!(reading["interval"], Value::Null);
    assert_eq!(reading["error"], status["error"]);

    machine.advance(Duration::from_secs(1));
    machine.write_maxerror(1_003);
    machine.advance(Duration::from_secs(1));
    let now = clock.now().unwrap();
    machine.set_read_cost(Duration::ZERO);
    let told = clock.status();
    let status = json!(told);
    assert_eq!(status["error"], Value::Null);
    let interval: Interval = serde_json::from_value(status["interval"].clone()).unwrap();
    assert_eq!(Ok(interval), told.interval);
    assert!(now.earliest() <= interval.earliest());
    let bound: ErrorBound = serde_json::from_value(status["bound"].clone()).unwrap();
    assert_eq!(Some(bound), told.bound);
    let counters: Counters = serde_json::from_value(status["counters"].clone()).unwrap();
    assert_eq!(counters, told.counters);
    let age = told.age.unwrap().as_nanos();
    assert_eq!(u128::from(status["age_ns"].as_u64().unwrap()), age);
    assert_eq!(status["source"], "kernel");
    assert!(status["refuses_in_ns"].as_u64().unwrap() > 0);
    assert_eq!(status["learned"], Value::Null);
    let sources = json!(clock.sources());
    assert_eq!(sources.as_array().unwrap().len(), 1);
    assert_eq!(sources[0]["name"], "kernel");
    assert_eq!(sources[0]["serves"], true);
    assert_eq!(sources[0]["interval"], status["interval"]);
    assert_eq!(sources[0]["age_ns"], status["age_ns"]);
    assert_eq!(sources[0]["refusal"], Value::Null);

    machine.set_read_cost(Duration::from_nanos(20));
    for _ in 0..4 {
        machine.advance(Duration::from_secs(64));
        machine.write_maxerror(1_003);
        machine.advance(Duration::from_millis(300));
        clock.now().unwrap();
    }
    let told = clock.status();
    let learned = told.learned.expect("four writes teach something");
    let expected = json!({
        "bounds": {"lo_ppb": learned.bounds.lo_ppb(), "hi_ppb": learned.bounds.hi_ppb()},
        "window_ns": u64::try_from(learned.window.as_nanos()).unwrap(),
        "claims": learned.claims,
    });
    assert_eq!(json!(told)["learned"], expected);
    let rate: RateBounds = serde_json::from_value(json!(told)["rate"].clone()).unwrap();
    assert_eq!(Some(rate), told.rate);
    // A binary format takes it as well.
    assert!(!postcard::to_allocvec(&told).unwrap().is_empty());
}

#[test]
fn a_stamp_comes_with_its_interval() {
    let clock = Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()
        .unwrap();
    let stamped = HybridClock::new(clock).tick_with_interval().unwrap();
    let told = json!(stamped);
    let interval: Interval = serde_json::from_value(told["interval"].clone()).unwrap();
    assert_eq!(interval, stamped.interval);
    let stamp: RemoteTimestamp = serde_json::from_value(told["timestamp"].clone()).unwrap();
    assert_eq!(stamp, stamped.timestamp);
    assert!(stamp > HlcTimestamp::MIN);
}

/// What leases, fences, fleets and configurations exchange comes back as it was, in both kinds of format.
#[test]
fn rights_reports_and_limits_survive_both_kinds_of_format() {
    fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
        value: &T,
        as_json: impl Into<Value>,
    ) {
        assert_eq!(json!(value), as_json.into());
        assert_eq!(&through_json(value), value);
        assert_eq!(&through_postcard(value), value);
    }
    let text = "2026-11-20T05:50:00.123456789Z";
    let instant: Timestamp = text.parse().unwrap();
    let token = FencingToken::new(u64::MAX).unwrap();
    let interval = Interval::point(instant);
    survives(&TimeDelta::from_nanos(-1_500_000), json!(-1_500_000));
    survives(&Lease::until(instant), json!(text));
    survives(&token, json!("18446744073709551615"));
    survives(&Fence::OPEN, json!({"highest": null}));
    let raised = Fence::OPEN.admit(token).unwrap();
    survives(&raised, json!({"highest": "18446744073709551615"}));
    survives(
        &ClockReport::new([7; 8], interval),
        json!({"request": [7, 7, 7, 7, 7, 7, 7, 7], "interval": {"earliest": text, "latest": text}}),
    );
    let tolerance = Duration::from_millis(250);
    survives(
        &RemoteLimit::Fixed(tolerance),
        json!({"fixed": {"tolerance_ns": 250_000_000}}),
    );
    survives(
        &RemoteLimit::Interval { tolerance },
        json!({"interval": {"tolerance_ns": 250_000_000}}),
    );
    survives(&RemoteLimit::Unchecked, json!("unchecked"));
    // The holder's margin stays with the holder.
    let margin = Lease::until(instant).with_margin(tolerance);
    assert_eq!(through_json(&margin), Lease::until(instant));
    assert_eq!(
        postcard::to_allocvec(&raised).unwrap(),
        raised.to_be_bytes()
    );
}

#[test]
fn a_blank_record_is_no_token_no_fence_and_no_lease() {
    assert!(refused::<FencingToken>("\"0\"").contains("0 is no token"));
    refused::<FencingToken>("258");
    refused::<FencingToken>("\"+258\"");
    refused::<FencingToken>("\"0258\"");
    refused::<FencingToken>("\"-1\"");
    assert!(refused::<Fence>("{}").contains("highest"));
    refused::<Fence>("null");
    refused::<Fence>(r#"{"highest": null, "lowest": null}"#);
    assert!(postcard::from_bytes::<Fence>(&[0; 9]).is_err());
    assert!(postcard::from_bytes::<FencingToken>(&[0]).is_err());
    // Seconds that were taken for nanoseconds: an expiry long past, by which a lease is taken twice.
    let expiry = refused::<Lease>("\"1970-01-01T00:00:01.795153800Z\"");
    assert!(
        expiry.contains("do not take the lease for expired"),
        "{expiry}"
    );
    refused::<ClockReport>(r#"{"request": [7]}"#);
    refused::<RemoteLimit>(r#"{"fixed": {"tolerance": 1}}"#);
}

/// One rule for stamps of both widths: what is read is not yet this process's time.
#[test]
fn a_struct_holds_remote_stamps_and_an_issued_one_goes_in_by_into() {
    #[derive(Serialize, serde::Deserialize)]
    struct Row {
        narrow: RemoteTimestamp,
        wide: WideTimestamp,
    }
    let hlc = HybridClock::new(Clock::system().unwrap());
    let issued = hlc.tick().unwrap();
    let row = Row {
        narrow: issued.into(),
        wide: issued.into(),
    };
    let row = through_json(&row);
    assert_eq!(row.narrow.trust(), issued);
    let narrowed = RemoteTimestamp::try_from(row.wide).unwrap();
    assert!(hlc.observe(narrowed).unwrap() > issued);
}
