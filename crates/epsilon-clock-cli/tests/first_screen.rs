//! The first screen on each kind of machine: for people on a terminal, for people in a browser, and for
//! Prometheus.
//!
//! `EPSILON_WRITE_SNAPSHOTS=1 cargo test -p epsilon-clock-cli --test first_screen` writes those of
//! `tests/snapshots/` anew; read what has changed.
#![cfg(feature = "serve")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockState};

use epsilon_clock_cli::report::Report;
use epsilon_clock_cli::serve::{Watched, page};

mod ntp_server;

/// A machine on which time passes only where the test says so.
fn machine() -> ScriptedMachine {
    let machine = ScriptedMachine::default();
    machine.set_read_cost(Duration::ZERO);
    machine
}

/// Compares a text with the one that is checked in.
#[track_caller]
fn hold(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if std::env::var_os("EPSILON_WRITE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is now:\n{text}\nand was:\n{kept}");
}

/// Holds the first screens of a clock, by the name of its kind of machine.
#[track_caller]
fn hold_screens(name: &str, clock: &Clock) {
    let mut text = Vec::new();
    let report = Report::of(clock, None, true);
    report.text(&mut text, 80).unwrap();
    hold(&format!("{name}.txt"), &String::from_utf8(text).unwrap());
    let watched = Watched::new(clock.clone(), None, true, Duration::from_millis(250));
    // How often it was looked at is told elsewhere.
    let counts = ["epsilon_clock_looks", "epsilon_clock_refusals"];
    let figures = watched.figures().to_string();
    let told = |line: &&str| !counts.iter().any(|count| line.contains(count));
    let figures: Vec<&str> = figures.lines().filter(told).collect();
    hold(&format!("{name}.prom"), &(figures.join("\n") + "\n"));
    hold(&format!("{name}.page.txt"), &words(&page(&watched)));
}

/// What a page says: a line for each piece of text. What this machine's files tell is left out.
fn words(page: &str) -> String {
    let (_, body) = page.split_once("<body>").unwrap();
    let (body, _) = body
        .split_once("<h3>Who disciplines the clock</h3>")
        .unwrap();
    let mut words = String::new();
    for piece in body.split('<').skip(1) {
        let text = piece.split_once('>').unwrap().1.trim();
        if !text.is_empty() {
            words.push_str(text);
            words.push('\n');
        }
    }
    words
}

#[test]
fn unsynchronised() {
    let machine = machine();
    let clock = machine.clock().unwrap();
    machine.advance(Duration::from_secs(2));
    assert_eq!(clock.status().state, ClockState::Unavailable);
    hold_screens("unsynchronised", &clock);
}

#[test]
fn synchronised() {
    let machine = machine();
    machine.write_maxerror(1_203);
    let clock = machine.clock().unwrap();
    // A second write, before our eyes.
    machine.advance(Duration::from_secs(16));
    clock.now().unwrap();
    machine.write_maxerror(1_003);
    machine.advance(Duration::from_secs(2));
    clock.now().unwrap();
    assert_eq!(clock.status().state, ClockState::Synchronized);
    hold_screens("synchronised", &clock);
}

#[test]
fn assumed() {
    let machine = machine();
    let error = Duration::from_millis(50);
    let clock = machine.builder().assume_error(error).build().unwrap();
    machine.advance(Duration::from_secs(2));
    assert_eq!(clock.status().state, ClockState::Assumed);
    hold_screens("assumed", &clock);
}

/// Digits, and what is as long as they are many, differ from run to run; what is said does not.
fn without_figures(text: &str) -> String {
    let mut out = String::new();
    let mut words = Vec::new();
    for line in text.lines() {
        words.clear();
        for word in line.split_whitespace() {
            let digits = word.contains(|c: char| c.is_ascii_digit());
            let unit = ["ns", "µs", "ms", "s"].contains(&word.trim_end_matches([';', ',', '.']));
            match (digits, unit) {
                (true, _) => words.push("#"),
                (_, true) => words.push("unit"),
                _ => words.push(word),
            }
        }
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

#[test]
fn served_by_ntp_servers() {
    let servers = [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]];
    let servers = servers.map(|reference_id| {
        ntp_server::server(ntp_server::Manner {
            ahead: Duration::ZERO,
            reference_id,
        })
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon"));
    command.args(["now", "--strict"]).env("COLUMNS", "100");
    for server in &servers {
        command.args(["--ntp", server]);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    hold("ntp.txt", &without_figures(&text));
}
