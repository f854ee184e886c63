//! `epsilon` itself: its help and version, what it refuses, and output with no reader.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

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
        for name in ["  now ", "  doctor ", "--help", "--version"] {
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

const PRINTING: [&[&str]; 7] = [
    &["--help"],
    &["--version"],
    &["now"],
    &["now", "--json"],
    &["now", "--help"],
    &["doctor", "--watch", "0"],
    &["doctor", "--help"],
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
