//! `epsilon` itself: its help and version, what it refuses, and output that is not taken.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn epsilon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    epsilon(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_and_version_exit_with_0() {
    for option in ["--help", "-h"] {
        let output = run(&[option]);
        assert_eq!(output.status.code(), Some(0));
        for name in [
            "  now ",
            "  doctor ",
            "  watch ",
            "  sources ",
            "  serve ",
            "  compare ",
            "  hlc ",
            "  completions ",
            "--help",
            "--version",
        ] {
            assert!(text(&output.stdout).contains(name), "{name}");
        }
    }
    for option in ["--version", "-V"] {
        let output = run(&[option]);
        assert_eq!(output.status.code(), Some(0));
        let version = format!("epsilon {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(text(&output.stdout), version);
    }
}

#[test]
fn what_it_does_not_know_is_one_line_and_exit_64() {
    for bad in [
        &[][..],
        &["--bogus"],
        &["-x"],
        &["then"],
        &["no\nw"],
        &["--json", "now"],
    ] {
        let output = run(bad);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{bad:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{bad:?}: {complaint}");
        assert!(complaint.starts_with("epsilon: "), "{complaint}");
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
}

const PRINTING: [&[&str]; 15] = [
    &["--help"],
    &["--version"],
    &["now"],
    &["now", "--json"],
    &["now", "--help"],
    &["doctor", "--watch", "0"],
    &["doctor", "--help"],
    &["sources"],
    &["watch", "--count", "1"],
    &["serve", "--help"],
    &["compare", "2026-11-20T05:50:00Z", "2026-11-20T05:50:01Z"],
    &["hlc", "decode", "660aed092d44002a"],
    &["completions", "bash"],
    &["manual"],
    &["manual", "hlc"],
];

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_exit_74_and_one_line() {
    for arguments in PRINTING {
        let full = || {
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap()
        };
        let output = epsilon(arguments).stdout(full()).output().unwrap();
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        // With standard error full as well there is no panic either.
        let status = epsilon(arguments).stdout(full()).stderr(full()).status();
        assert_eq!(status.unwrap().code(), Some(74), "{arguments:?}");
    }
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = epsilon(&["--bogus"]).stderr(full).status();
    assert_eq!(status.unwrap().code(), Some(64));
}

#[test]
fn a_pipe_that_nobody_reads_is_exit_0_and_no_word() {
    for arguments in PRINTING {
        let mut child = epsilon(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Before it can have written anything, or at any time after.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn each_command_says_in_one_line_what_it_does_not_take() {
    for (command, bad) in [
        ("sources", &["stray"][..]),
        ("sources", &["--strict"]),
        ("watch", &["--count", "0"]),
        ("watch", &["--count", "-1"]),
        ("serve", &["--listen", "localhost"]),
        ("serve", &["--listen", "127.0.0.1"]),
        ("serve", &["--max-error", "0ms"]),
        ("compare", &[]),
        ("compare", &["2026-11-20T05:50:00Z"]),
        ("compare", &["2026-11-20T05:50:00Z", "660aed092d44002a"]),
        (
            "compare",
            &["2026-11-20T05:50:00Z ±?", "2026-11-20T05:50:00Z"],
        ),
        ("compare", &["1", "2", "3"]),
        ("hlc", &[]),
        ("hlc", &["encode"]),
        ("hlc", &["decode"]),
        ("hlc", &["decode", "660AED092D44002A"]),
        ("completions", &[]),
        ("completions", &["tcsh"]),
        ("manual", &["nothing"]),
    ] {
        let output = run(&[&[command], bad].concat());
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{bad:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{bad:?}: {complaint}");
        assert!(
            complaint.starts_with(&format!("epsilon {command}: ")),
            "{complaint}"
        );
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
}

#[test]
fn intervals_are_compared_as_far_as_they_prove() {
    let compare = |a: &str, b: &str| text(&run(&["compare", a, b]).stdout);
    let early = "2026-11-20T05:50:00.100000000Z ±1.500ms";
    let late = "2026-11-20T05:50:00.110000000Z ±1.500ms  INFO paid";
    assert_eq!(
        compare(early, late),
        "before: A is over 7000 µs or more before B can have begun\n"
    );
    assert!(compare(late, early).starts_with("after: B is over 7000 µs or more before A"));
    let close = "2026-11-20T05:50:00.102000000Z ±1.500ms";
    assert_eq!(
        compare(early, close),
        "concurrent: they share 1.0 ms; either may have been first\n"
    );
    let json = run(&["compare", "--json", late, early]).stdout;
    assert_eq!(text(&json), "{\"apart_ns\":7000000,\"order\":\"after\"}\n");
    // Stamps of one physical time, by their counters.
    let stamps = compare(
        "2026-11-20T05:50:00.123456Z_0042",
        "2026-11-20T05:50:00.123456Z_0043",
    );
    assert!(
        stamps.starts_with("before: A's stamp is the smaller"),
        "{stamps}"
    );
}

#[test]
fn a_stamp_is_decoded_in_both_forms() {
    let decode = |stamp: &str| text(&run(&["hlc", "decode", "--json", stamp]).stdout);
    let object = "{\"counter\":42,\"hex\":\"660aed092d44002a\",\"physical\":\"2026-11-20T05:50:00.123456000Z\",\"physical_ns\":1795153800123456000,\"text\":\"2026-11-20T05:50:00.123456Z_0042\"}\n";
    assert_eq!(decode("660aed092d44002a"), object);
    assert_eq!(decode("2026-11-20T05:50:00.123456Z_0042"), object);
    let wide = text(&run(&["hlc", "decode", "2026-11-20T05:50:00.123456789Z_0000000042"]).stdout);
    assert!(
        wide.contains("physical  2026-11-20T05:50:00.123456789Z\ncounter   42\n"),
        "{wide}"
    );
}

#[test]
fn every_shell_gets_its_script_and_man_its_pages() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&run(&["completions", shell]).stdout);
        for name in ["doctor", "max-drift-ppm", "listen"] {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    for command in ["now", "serve", "decode"] {
        let page = text(&run(&["manual", command]).stdout);
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
}

#[test]
fn a_view_fits_the_terminal_and_has_no_colours_in_a_pipe() {
    for columns in [20, 60] {
        let output = epsilon(&["watch", "--count", "2", "--assume-error", "50ms"])
            .env("COLUMNS", columns.to_string())
            .env("LINES", "12")
            .output()
            .unwrap();
        let views = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert!(!views.contains('\x1b'), "{views}");
        assert!(
            views.lines().all(|line| line.chars().count() <= columns),
            "{views}"
        );
        let plots = views.matches("epsilon, up").count() + views.matches("no interval yet").count();
        assert_eq!(plots, 2, "{views}");
    }
}

#[test]
fn a_view_that_is_too_tall_keeps_the_interval() {
    let output = epsilon(&["watch", "--count", "1", "--assume-error", "50ms"])
        .env("COLUMNS", "24")
        .env("LINES", "6")
        .output()
        .unwrap();
    let view = text(&output.stdout);
    let lines: Vec<_> = view.trim_end().lines().collect();
    assert!(lines.len() <= 5, "{view}");
    assert!(lines[0].starts_with("20"), "{view}");
    // What the caller assumes, or less where this machine's kernel vouches.
    let is_assumed = lines[2].starts_with("assumed");
    let epsilon = if is_assumed { "±50" } else { "±" };
    assert!(lines[1].starts_with(epsilon), "{view}");
}

/// What a command writes to a terminal of this kind; `None` where there is no `script` that plays one.
#[cfg(target_os = "linux")]
fn on_a_terminal(arguments: &str, variables: &[(&str, &str)]) -> Option<String> {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_epsilon"));
    let output = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(text(&output.stdout))
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_colours_and_motions_only_if_it_takes_them() {
    let watch = "watch --count 2 --assume-error 50ms";
    let view = |term: &str, no_color: &str| {
        on_a_terminal(watch, &[("TERM", term), ("NO_COLOR", no_color)])
    };
    let Some(usual) = view("xterm", "") else {
        // Not by the macro, whose output the harness swallows.
        let _ = std::io::stderr().write_all(b"skipped: output to a terminal: no `script`\n");
        return;
    };
    assert!(
        usual.contains("\x1b[H") && usual.contains("\x1b[1m"),
        "{usual:?}"
    );
    let plain = view("xterm", "1").unwrap();
    assert!(
        plain.contains("\x1b[H") && !plain.contains("\x1b[1m"),
        "{plain:?}"
    );
    for (term, no_color) in [("dumb", ""), ("dumb", "1")] {
        let dumb = view(term, no_color).unwrap();
        assert!(!dumb.contains('\x1b'), "{dumb:?}");
        assert_eq!(dumb.matches("epsilon, up to").count(), 2, "{dumb:?}");
    }
}
