//! `epsilon now` as people and scripts run it: what it prints, and how it exits.
//!
//! Nothing here depends on whether the machine is synchronised.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use epsilon_clock::Timestamp;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const USAGE: i32 = 64;

fn now() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon"));
    command.arg("now").env_remove("COLUMNS");
    command
}

fn run(args: &[&str]) -> Output {
    now().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `--json` prints, and how it exited.
fn json(args: &[&str]) -> (Value, Option<i32>) {
    let output = run(&[&["--json"], args].concat());
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert_eq!(
        printed.lines().count(),
        1,
        "one object on one line: {printed}"
    );
    (
        serde_json::from_str(&printed).unwrap(),
        output.status.code(),
    )
}

fn instant(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

#[test]
fn help_names_every_option() {
    for option in ["--help", "-h"] {
        let output = run(&[option]);
        assert_eq!(output.status.code(), Some(0));
        for name in [
            "--watch",
            "--json",
            "--assume-error",
            "--max-drift-ppm",
            "--source",
            "--ntp",
            "--accept-local",
            "--accept-unsync-flag",
            "--strict",
            "--help",
        ] {
            assert!(text(&output.stdout).contains(name), "{name}");
        }
    }
}

#[test]
fn plain_output_has_an_interval_with_its_terms_or_says_why_not() {
    for args in [&[][..], &["--assume-error", "50ms"][..]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        let printed = text(&output.stdout);
        let (estimate, _) = printed.split_once(" ±").unwrap();
        assert!(estimate.parse::<Timestamp>().is_ok(), "{printed}");
        assert!(printed.contains("\nstate "), "{printed}");
        if printed.contains("±?") {
            for part in [
                "What the kernel says",
                "Why there is no interval",
                "Three ways out",
            ] {
                assert!(printed.contains(part), "{part}: {printed}");
            }
        } else {
            for part in [
                "earliest", "latest", "epsilon", "reported", "drift", "total",
            ] {
                assert!(printed.contains(&format!("\n{part} ")), "{part}: {printed}");
            }
        }
    }
}

#[test]
fn json_has_an_interval_or_a_reason() {
    for args in [
        &[][..],
        &["--assume-error", "50ms"][..],
        &["--accept-unsync-flag"][..],
    ] {
        let (report, code) = json(args);
        assert_eq!(code, Some(0));
        let interval = &report["interval"];
        assert_eq!(interval.is_null(), report["reason"].is_string(), "{report}");
        let code = report["reason_code"].as_str();
        assert_eq!(interval.is_null(), code.is_some(), "{report}");
        let refusal = report["refusal_code"].as_str();
        assert_eq!(report["refusal"].is_string(), refusal.is_some(), "{report}");
        for code in [code, refusal].into_iter().flatten() {
            let snake = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(code.bytes().all(snake), "{report}");
        }
        assert_eq!(
            interval.is_null(),
            report["state"] == "unavailable",
            "{report}"
        );
        instant(&report["estimate"]);
        assert!(
            report["counters"]["looks"].as_u64().unwrap() >= 1,
            "{report}"
        );
        if interval.is_null() {
            continue;
        }
        assert!(report["reason"].is_null(), "{report}");
        let earliest = interval["earliest_ns"].as_i64().unwrap();
        let latest = interval["latest_ns"].as_i64().unwrap();
        let epsilon = interval["epsilon_ns"].as_i64().unwrap();
        assert!(
            earliest <= latest && latest - earliest <= 2 * epsilon,
            "{report}"
        );
        assert_eq!(instant(&interval["earliest"]).unix_nanos(), earliest);
        assert_eq!(instant(&interval["latest"]).unix_nanos(), latest);
        let bound = &report["bound"];
        let total = bound["total_ns"].as_i64().unwrap();
        assert!(total >= epsilon, "the terms make up the width: {report}");
        let terms = bound
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "total_ns");
        assert_eq!(
            terms.map(|(_, ns)| ns.as_i64().unwrap()).sum::<i64>(),
            total
        );
        assert!(
            report["age_ns"].is_u64() && report["refuses_in_ns"].is_u64(),
            "{report}"
        );
    }
}

#[test]
fn an_assumed_interval_is_marked_and_made_of_the_assumption() {
    // On a machine that somebody vouches for, nothing is assumed.
    let (report, _) = json(&["--assume-error", "1.5ms", "--max-drift-ppm", "0.5"]);
    let assumed = u64::from(report["state"] == "assumed") * 1_500_000;
    if !report["interval"].is_null() {
        assert_eq!(
            report["bound"]["assumed_ns"].as_u64(),
            Some(assumed),
            "{report}"
        );
    }
    assert_eq!(
        report["source"].is_null(),
        !report["interval"].is_object() || assumed > 0
    );
}

#[test]
fn each_source_that_is_asked_says_what_it_has_to_say() {
    let asked = |args: &[&str]| -> Vec<String> {
        let (report, _) = json(&[args, &["--assume-error", "500ms"]].concat());
        let serving: Vec<&Value> = report["sources"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|source| source["serves"] == true)
            .map(|source| &source["name"])
            .collect();
        // Whoever serves is the one that the report names, if it is a source at all.
        match &report["source"] {
            Value::Null => assert!(serving.is_empty(), "{report}"),
            name => assert_eq!(serving, [name], "{report}"),
        }
        assert!(report["vmclock"].is_string());
        let sources = report["sources"].as_array().unwrap().iter();
        sources
            .map(|source| {
                assert!(source["interval"].is_object() || source["refusal"].is_string());
                source["name"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(asked(&[]), ["kernel", "chrony"]);
    assert_eq!(asked(&["--source", "kernel"]), ["kernel"]);
    assert_eq!(
        asked(&["--source", "chrony", "--source=kernel"]),
        ["chrony", "kernel"]
    );
    let printed = text(&run(&[]).stdout);
    assert!(printed.contains("\nSources\n  kernel "), "{printed}");
    assert!(printed.contains("\n  chrony "), "{printed}");
    for bad in [
        ["--source", "ntpd"].as_slice(),
        &["--source", "chrony", "--source", "chrony"],
    ] {
        assert_eq!(run(bad).status.code(), Some(USAGE));
    }
}

#[test]
fn strict_exits_with_2_exactly_where_there_is_no_interval() {
    for args in [
        &["--strict"][..],
        &["--strict", "--assume-error", "50ms"][..],
    ] {
        let (report, code) = json(args);
        let expected = if report["interval"].is_null() { 2 } else { 0 };
        assert_eq!(code, Some(expected), "{report}");
        let output = run(args);
        let expected = if text(&output.stdout).contains("±?") {
            2
        } else {
            0
        };
        assert_eq!(output.status.code(), Some(expected));
    }
}

#[test]
fn bad_arguments_are_one_line_on_standard_error_and_exit_64() {
    let cases: &[&[&str]] = &[
        &["--bogus"],
        &["--bogus\nline"],
        &["-x"],
        &["stray"],
        &["--json=yes"],
        &["--assume-error"],
        &["--assume-error", ""],
        &["--assume-error", "50"],
        &["--assume-error", "ms"],
        &["--assume-error", ".ms"],
        &["--assume-error", "5.ms"],
        &["--assume-error", "1.2.3ms"],
        &["--assume-error", "50 ms"],
        &["--assume-error", "50min"],
        &["--assume-error", "-5ms"],
        &["--assume-error=-5ms"],
        &["--assume-error", "1e3ms"],
        &["--assume-error", "NaNms"],
        &["--assume-error", "NaN"],
        &["--assume-error", "inf"],
        &["--assume-error", "0ms"],
        &["--assume-error", "0.0s"],
        &["--assume-error", "0.5ns"],
        &["--assume-error", "1h"],
        &["--assume-error", "501ms"],
        &["--assume-error", "99999999999999999999s"],
        &["--assume-error", "5ms", "--assume-error", "6ms"],
        &["--assume-error", "--strict"],
        &["--max-drift-ppm"],
        &["--max-drift-ppm", ""],
        &["--max-drift-ppm", "0"],
        &["--max-drift-ppm", "0.000"],
        &["--max-drift-ppm", "0.0001"],
        &["--max-drift-ppm=-1"],
        &["--max-drift-ppm", "NaN"],
        &["--max-drift-ppm", "200ppm"],
        &["--max-drift-ppm", "100001"],
        &["--max-drift-ppm", "5000000"],
        &["--max-drift-ppm", "99999999999999999999"],
        &["--max-drift-ppm", "1", "--max-drift-ppm", "2"],
    ];
    for args in cases {
        let output = run(args);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(USAGE), "{args:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{args:?}: {complaint}");
        assert!(
            complaint.starts_with("epsilon now: ") && complaint.ends_with('\n'),
            "{complaint}"
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn spans_and_rates_are_taken_in_every_unit_and_twice_if_alike() {
    let cases: &[&[&str]] = &[
        &["--assume-error", "50ms"],
        &["--assume-error=0.05s"],
        &["--assume-error", "50000us"],
        &["--assume-error", "50000\u{b5}s"],
        &["--assume-error", "50000\u{3bc}s"],
        &["--assume-error", "50000000ns"],
        &["--assume-error", "50ms", "--assume-error", "0.050s"],
        &["--assume-error", "50ms", "--max-drift-ppm", "0.001"],
        &["--assume-error", "50ms", "--max-drift-ppm", "100000"],
    ];
    for args in cases {
        let (report, code) = json(args);
        assert_eq!(code, Some(0), "{args:?}");
        if report["state"] == "assumed" {
            assert_eq!(
                report["bound"]["assumed_ns"].as_u64(),
                Some(50_000_000),
                "{args:?}"
            );
        }
    }
}

/// Waits for a child to end, for `limit` at most.
fn wait(mut child: Child, limit: Duration) -> (Option<i32>, String) {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let mut complaint = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut complaint)
                .unwrap();
            return (status.code(), complaint);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end by itself");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn watch_repeats_each_second_and_ends_cleanly_when_nobody_reads_on() {
    for (args, lines) in [(&["--watch"][..], 2), (&["--watch", "--json"][..], 1)] {
        let mut child = now()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..lines {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            let whole = line.ends_with('\n') && !line.contains(['\r', '\x1b']);
            assert!(
                whole && line.len() > 30,
                "plain lines, as this is no terminal: {line:?}"
            );
        }
        drop(out);
        let (code, complaint) = wait(child, Duration::from_secs(10));
        assert_eq!((code, complaint.as_str()), (Some(0), ""));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = now().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn a_refusal_is_told_once_in_lines_that_fit() {
    for columns in [40, 72, 100] {
        let output = now()
            .env("COLUMNS", columns.to_string())
            .args(["--source", "kernel"])
            .output()
            .unwrap();
        let printed = text(&output.stdout);
        let Some((_, why)) = printed.split_once("\nWhy there is no interval\n") else {
            assert!(printed.contains("\nepsilon "), "{printed}");
            continue;
        };
        let (why, ways) = why.split_once("\n\nThree ways out\n").unwrap();
        for line in why.lines().chain(ways.lines()) {
            assert!(
                line.starts_with("  ") && line.chars().count() <= columns,
                "{printed}"
            );
        }
        let (report, _) = json(&["--source", "kernel"]);
        let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        let refusal = report["refusal"].as_str().unwrap();
        // The kernel's figures may be others half a second later; its words are not.
        let words: Vec<&str> = refusal.split(|c: char| c.is_ascii_digit()).collect();
        let longest = words.into_iter().max_by_key(|part| part.len()).unwrap();
        assert_eq!(
            flat.matches(longest.trim()).count(),
            1,
            "{longest:?} in {printed}"
        );
    }
}
