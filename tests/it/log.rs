//! Lines of logs: their times through the real `tracing-subscriber`, and that none is ever lost.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use chrono::DateTime;
use epsilon_clock::hlc::HlcError;
use epsilon_clock::log::{LogJson, LogTime};
use epsilon_clock::source::{Finding, Look};
use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
use epsilon_clock::{Clock, HybridClock, Interval, RemoteTimestamp, TimeDelta, Timestamp};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

const MARGIN_US: i64 = 200;

/// A machine whose daemon wrote this bound before the clock's first look.
fn vouched(maxerror_us: i64) -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(maxerror_us);
    let clock = machine.clock().unwrap();
    assert!(clock.now().is_ok());
    (machine, clock)
}

fn unvouched() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    let clock = machine.clock().unwrap();
    (machine, clock)
}

fn text(time: &LogTime) -> String {
    let mut text = String::new();
    time.format_time(&mut Writer::new(&mut text)).unwrap();
    text
}

/// What a log was written into.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn lines(&self) -> Vec<String> {
        let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        written.lines().map(str::to_owned).collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines that these events make.
fn logged(time: LogTime, events: impl FnOnce()) -> Vec<String> {
    let paper = Paper::default();
    let subscriber = tracing_subscriber::fmt()
        .with_timer(time)
        .with_writer(paper.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, events);
    paper.lines()
}

/// The objects that these events make.
fn objects(clock: Clock, events: impl FnOnce()) -> Vec<Value> {
    let paper = Paper::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .without_time()
        .map_event_format(|json| LogJson::new(clock, json))
        .with_writer(paper.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, events);
    let lines = paper.lines();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The time that a line begins with, as somebody else's RFC 3339 parser reads it.
fn rfc3339(line: &str) -> i64 {
    let (time, _) = line.split_once(' ').expect("a space after the time");
    let time = DateTime::parse_from_rfc3339(time).expect("RFC 3339");
    time.timestamp_nanos_opt().unwrap()
}

#[test]
fn a_bounded_line_begins_with_rfc3339_and_its_bound() {
    let (machine, clock) = vouched(1_003);
    let before = machine.true_time();
    let lines = logged(LogTime::bounded(clock.clone()), || {
        tracing::info!(amount = 3, "paid");
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let after = machine.true_time();
    let bound = line.split(' ').nth(1).unwrap();
    assert!(bound.starts_with('±') && bound.ends_with("ms"), "{line}");
    // maxerror, the margin, A4's 550 µs and a microsecond for the rounding; and the bracket.
    let least = 1_003 + MARGIN_US + 550 + 1;
    let told = bound.trim_matches(['±', 'm', 's']).replace('.', "");
    let told: i64 = told.parse().unwrap();
    assert!((least..least + 100).contains(&told), "{line}");
    assert!(line.ends_with("paid amount=3"), "{line}");
    let slack = Duration::from_micros(2_000);
    let truth = Interval::new(before, after).unwrap().widen(slack).unwrap();
    assert!(truth.contains(Timestamp::from_unix_nanos(rfc3339(line))));
}

#[test]
fn the_bound_is_a_question_mark_where_nobody_vouches() {
    let (_, clock) = unvouched();
    let line = text(&LogTime::bounded(clock));
    assert!(line.ends_with("Z ±?"), "{line}");
    rfc3339(&line);
}

#[test]
fn a_bare_line_is_the_same_time_without_the_bound() {
    for (machine, clock) in [vouched(1_003), unvouched()] {
        // Nothing moves, so both readings are of one instant.
        machine.set_read_cost(Duration::ZERO);
        let bounded = text(&LogTime::bounded(clock.clone()));
        let bare = text(&LogTime::bare(clock.clone()));
        assert_eq!(bounded.split_once(' ').unwrap().0, bare);
        let lines = logged(LogTime::bare(clock), || tracing::info!("paid"));
        assert!(lines[0].starts_with(&format!("{bare}  INFO ")), "{lines:?}");
    }
}

#[test]
fn stamped_lines_tick_one_clock_whoever_writes_them() {
    for (_, clock) in [vouched(1_003), unvouched()] {
        let hlc = HybridClock::new(clock);
        let time = LogTime::stamped(hlc.clone());
        let mut stamps: Vec<RemoteTimestamp> = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..500).map(|_| text(&time)).collect::<Vec<_>>()))
                .collect();
            let texts = writers.into_iter().flat_map(|w| w.join().unwrap());
            texts.map(|text| text.parse().expect("a stamp")).collect()
        });
        stamps.sort();
        assert!(stamps.windows(2).all(|two| two[0] < two[1]));
        assert_eq!(*stamps.last().unwrap(), hlc.last());
    }
}

#[test]
fn a_line_without_a_stamp_is_as_wide_and_says_so() {
    let (machine, clock) = vouched(1_003);
    let hlc = HybridClock::new(clock);
    let last = hlc.tick().unwrap();
    // A jump ahead by a day is no stamp.
    machine.step(TimeDelta::from_nanos(86_400_000_000_000));
    machine.suspend(Duration::from_secs(1));
    machine.advance(Duration::from_secs(1));
    assert!(matches!(hlc.tick(), Err(HlcError::ForwardJump { .. })));
    let line = text(&LogTime::stamped(hlc.clone()));
    assert!(line.ends_with("Z_????"), "{line}");
    assert_eq!(line.len(), last.to_string().len());
    assert!(line.parse::<RemoteTimestamp>().is_err());
    assert_eq!(hlc.last(), last);
}

/// Storing a bound may be logged with the very stamps that it is stored for: whoever waited would
/// wait for himself.
#[test]
fn a_line_never_waits_for_the_reserve() {
    let (machine, clock) = vouched(1_003);
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::new(Mutex::new(None::<LogTime>));
    let hlc = HybridClock::builder(clock)
        .reserve(Duration::from_millis(10), {
            let (written, log) = (Arc::clone(&written), Arc::clone(&log));
            move |_| {
                if let Some(time) = &*log.lock().unwrap() {
                    written.lock().unwrap().push(text(time));
                }
                Ok(())
            }
        })
        .build()
        .unwrap();
    let time = LogTime::stamped(hlc.clone());
    *log.lock().unwrap() = Some(time.clone());
    // Nothing was stored yet, and the line stores nothing.
    assert!(text(&time).ends_with("Z_????"));
    assert!(written.lock().unwrap().is_empty());
    let first = hlc.tick().unwrap();
    assert!(written.lock().unwrap()[0].ends_with("Z_????"));
    // Now there is room, down to the last stamp of the reserve: half way the tick would store.
    for _ in 0..9 {
        machine.advance(Duration::from_millis(1));
        let stamp: RemoteTimestamp = text(&time).parse().expect("a stamp");
        assert!(stamp > first);
    }
    machine.advance(Duration::from_millis(2));
    assert!(text(&time).ends_with("Z_????"));
    assert_eq!(written.lock().unwrap().len(), 1);
    // The next tick logs its storing while it holds the lock.
    hlc.tick().unwrap();
    assert_eq!(written.lock().unwrap().len(), 2);
}

/// One thread looks at a source that does not answer, and the lines of the others go on.
#[test]
fn a_line_never_waits_for_another_threads_look() {
    let machine = ScriptedMachine::default();
    let source = ScriptedSource::new("oracle");
    source.push(Finding::Write(machine.truth(Duration::from_millis(1))));
    let clock = machine.builder().source(source.clone()).build().unwrap();
    clock.now().unwrap();
    let (looking, looks) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    source.push_with(move |_| {
        looking.send(()).unwrap();
        answered.recv().unwrap();
        Look::new(Finding::Nothing)
    });
    machine.advance(Duration::from_millis(300));
    thread::scope(|scope| {
        let stuck = scope.spawn(|| text(&LogTime::bounded(clock.clone())));
        looks.recv().unwrap();
        let hlc = HybridClock::new(clock.clone());
        for time in [
            LogTime::bounded(clock.clone()),
            LogTime::bare(clock.clone()),
            LogTime::stamped(hlc),
        ] {
            assert!(!text(&time).ends_with('?'));
        }
        assert_eq!(objects(clock.clone(), || tracing::info!("paid")).len(), 1);
        assert!(!stuck.is_finished());
        answer.send(()).unwrap();
        assert!(!stuck.join().unwrap().ends_with('?'));
    });
}

#[test]
fn json_carries_both_ends_and_the_state() {
    let (machine, clock) = vouched(1_003);
    let before = clock.now().unwrap();
    let lines = objects(clock.clone(), || {
        let span = tracing::info_span!("transfer", id = 7);
        let _entered = span.enter();
        tracing::warn!(amount = 3, note = "a \"quoted\"\nline {", "paid");
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let end = |name: &str| Timestamp::from_unix_nanos(line[name].as_i64().unwrap());
    let interval = Interval::new(end("earliest_ns"), end("latest_ns")).unwrap();
    let after = clock.now().unwrap();
    assert!(before.earliest() <= interval.earliest() && interval.latest() <= after.latest());
    assert!(interval.contains(machine.true_time()));
    let time: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(time, interval.midpoint());
    assert_eq!(line["clock_state"], "inherited");
    // All that the format writes without us is there still.
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["fields"]["message"], "paid");
    assert_eq!(line["fields"]["note"], "a \"quoted\"\nline {");
    assert_eq!(line["span"]["id"], 7);
}

#[test]
fn json_says_null_where_nobody_vouches() {
    let (_, clock) = unvouched();
    let lines = objects(clock, || tracing::info!("paid"));
    let line = lines[0].as_object().unwrap();
    assert_eq!(line["earliest_ns"], Value::Null);
    assert_eq!(line["latest_ns"], Value::Null);
    assert_eq!(line["clock_state"], "unavailable");
    let time = line["timestamp"].as_str().unwrap();
    assert!(DateTime::parse_from_rfc3339(time).is_ok());
    assert_eq!(line["fields"]["message"], "paid");
}

#[test]
fn within_is_about_the_larger_half() {
    let at = Timestamp::from_unix_nanos;
    let nanos = Duration::from_nanos;
    // The midpoint is rounded down: the latest end is 3 ns away from it.
    let odd = Interval::new(at(10), at(15)).unwrap();
    assert!(odd.within(nanos(3)));
    assert!(!odd.within(nanos(2)));
    assert!(Interval::point(at(5)).within(Duration::ZERO));
    let all = Interval::new(Timestamp::MIN, Timestamp::MAX).unwrap();
    assert!(all.within(nanos(1 << 63)));
    assert!(!all.within(nanos((1 << 63) - 1)));
}
