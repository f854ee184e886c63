//! What monitoring takes of a clock: every name is told, the text is Prometheus', and the facade's
//! figures are those of the text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use epsilon_clock::figures::{Family, Figures, Kind};
use epsilon_clock::metrics::ClockMetrics;
use epsilon_clock::testing::ScriptedMachine;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};

/// What was recorded, by the series' text.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

/// A cell of the book that holds the bits of a count or of a float.
struct Cell(Arc<AtomicU64>);

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, _: f64) {
        panic!("figures are set");
    }
    fn decrement(&self, _: f64) {
        panic!("figures are set");
    }
    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl Book {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let mut series = key.name().to_owned();
        for (place, label) in key.labels().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            series.push_str(&format!("{before}{}=\"{}\"", label.key(), label.value()));
        }
        if key.labels().len() > 0 {
            series.push('}');
        }
        Arc::new(Cell(Arc::clone(
            self.0.lock().unwrap().entry(series).or_default(),
        )))
    }

    /// The lines of Prometheus' text that say what was recorded and is there.
    fn lines(&self) -> BTreeSet<String> {
        let book = self.0.lock().unwrap();
        let line = |(series, cell): (&String, &Arc<AtomicU64>)| {
            let bits = cell.load(Ordering::Relaxed);
            if series.contains("_total") {
                return Some(format!("{series} {bits}"));
            }
            let value = f64::from_bits(bits);
            (!value.is_nan()).then(|| format!("{series} {value}"))
        };
        book.iter().filter_map(line).collect()
    }
}

impl Recorder for Book {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there is none")
    }
}

/// A machine on which no time passes by itself.
fn still() -> ScriptedMachine {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(std::time::Duration::ZERO);
    machine
}

fn lines(figures: &Figures) -> BTreeSet<String> {
    let text = figures.to_string();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_facade_records_what_the_text_says() {
    let machine = still();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    let book = Book::default();
    metrics::with_local_recorder(&book, || {
        let mut metrics = ClockMetrics::new(clock.clone());
        metrics.record();
        assert_eq!(book.lines(), lines(&Figures::of(&clock)));
        assert!(lines(&Figures::of(&clock)).len() > 25);

        // The machine is suspended: no interval, and its figures are there no more.
        machine.suspend(std::time::Duration::from_secs(3_600));
        metrics.record();
        let text = lines(&Figures::of(&clock));
        // Reading it once more was one more look.
        let missing: Vec<_> = text
            .difference(&book.lines())
            .filter(|line| !line.contains("_total "))
            .cloned()
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        let recorded = book.lines();
        assert!(
            recorded.contains("epsilon_clock_available 0"),
            "{recorded:?}"
        );
        for name in [
            "epsilon_clock_epsilon_seconds",
            "epsilon_clock_bound_seconds",
        ] {
            assert!(
                !recorded.iter().any(|line| line.starts_with(name)),
                "{name}"
            );
        }
        // A flag that was up is down, not gone.
        let down = "epsilon_clock_source{source=\"kernel\"} 0";
        assert!(recorded.contains(down), "{recorded:?}");
    });
}

#[test]
fn every_name_follows_the_conventions_and_is_told_once() {
    let names: BTreeSet<_> = Family::ALL.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), Family::ALL.len());
    for family in Family::ALL {
        let total = family.name.ends_with("_total");
        assert_eq!(total, family.kind == Kind::Counter, "{}", family.name);
        assert!(!family.help.is_empty() && !family.help.contains(['\n', '\\']));
    }
}

#[test]
fn the_guide_tells_what_to_do_about_each_figure() {
    let guide = include_str!("../../src/guide/alerts.md");
    for family in Family::ALL {
        assert!(guide.contains(family.name), "{} is not told", family.name);
    }
}

/// The words that an `as_str` returns.
fn words(source: &'static str) -> Vec<&'static str> {
    let arms = source
        .lines()
        .filter(|line| line.trim_start().starts_with("Self::"));
    let word = |line: &'static str| line.split("=> \"").nth(1)?.strip_suffix("\",");
    let snake = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    arms.filter_map(word).filter(snake).collect()
}

#[test]
fn the_operator_is_told_what_to_do_about_each_reason() {
    let told = include_str!("../../docs/operate.md");
    let mut count = 0;
    for source in [
        include_str!("../../src/clock/error.rs"),
        include_str!("../../src/machine/disturbance.rs"),
        include_str!("../../src/source/refusal.rs"),
        include_str!("../../src/source/chrony/refusal.rs"),
        include_str!("../../src/source/ntp/refusal.rs"),
        include_str!("../../src/source/phc/refusal.rs"),
    ] {
        // What is about one source is told by the words of its own.
        let words = words(source).into_iter();
        for word in words.filter(|word| !["chrony", "ntp", "phc"].contains(word)) {
            assert!(told.contains(&format!("`{word}`")), "{word}");
            count += 1;
        }
    }
    assert!(count > 45, "only {count} words found");
}

#[test]
fn figures_of_one_name_stand_together_after_their_help() {
    let machine = still();
    machine.write_maxerror(1_003);
    let clock = machine.clock().unwrap();
    let kernel = clock.ntp_status().unwrap();
    let text = Figures::of(&clock).with_kernel(&kernel).to_string();
    let mut seen = BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap();
            assert!(seen.insert(current), "{current} comes twice");
        } else if !line.starts_with("# TYPE ") {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(name, current, "{text}");
        }
    }
    assert!(
        text.contains("epsilon_clock_kernel_max_error_seconds 0.001003\n"),
        "{text}"
    );
    assert!(
        text.contains("epsilon_clock_bound_seconds{term=\"margin\"} 0.0002\n"),
        "{text}"
    );
    assert!(
        text.contains("epsilon_clock_source_vouches{source=\"kernel\"} 1\n"),
        "{text}"
    );
}
