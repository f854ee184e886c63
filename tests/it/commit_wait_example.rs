//! The `commit_wait` example as people run it: what it prints, and how it exits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use epsilon_clock::Timestamp;

/// `cargo test` builds the examples next to the directory in which the tests are.
fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let profile: PathBuf = test.ancestors().nth(2).unwrap().into();
    let name = format!("commit_wait{}", std::env::consts::EXE_SUFFIX);
    let path = profile.join("examples").join(name);
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    assert!(
        ["commit_wait.rs", "support/mod.rs"]
            .iter()
            .all(|source| age(&path).is_some() && age(&path) >= age(&examples.join(source))),
        "{} is missing or out of date: run `cargo build --example commit_wait`",
        path.display()
    );
    Command::new(path).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn each_commit_is_told_with_its_timestamp_its_work_and_its_wait() {
    let output = run(&[
        "--assume-error",
        "1ms",
        "--replication",
        "500us",
        "--commits",
        "4",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let timestamps: Vec<Timestamp> = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("timestamp"))
        .map(|timestamp| timestamp.trim().parse().unwrap())
        .collect();
    assert_eq!(timestamps.len(), 4, "{printed}");
    assert!(timestamps.is_sorted_by(|a, b| a < b), "{printed}");
    for name in ["  work ", "  wait ", "  total "] {
        assert_eq!(printed.matches(name).count(), 4, "{printed}");
    }
}

#[test]
fn bad_arguments_exit_with_64_and_a_line() {
    for args in [
        &["--no-such-option"][..],
        &["--assume-error"],
        &["--assume-error", "0ms"],
        &["--assume-error", "1"],
        &["--assume-error", "1.2.3ms"],
        &["--assume-error", "600ms"],
        &["--replication", "11s"],
        &["--commits", "0"],
        &["more"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{args:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for name in ["--assume-error", "--replication", "--commits", "--help"] {
        assert!(text(&output.stdout).contains(name), "{name}");
    }
}

/// Where nobody vouches for the clock it says so, and how to run it all the same.
#[test]
fn without_a_synchronised_clock_it_tells_a_way_out() {
    let output = run(&["--commits", "1", "--replication", "1us"]);
    match output.status.code() {
        Some(0) => assert!(text(&output.stdout).contains("timestamp")),
        Some(69) => {
            let told = text(&output.stderr);
            assert!(told.contains("--assume-error 5ms"), "{told}");
            assert!(output.stdout.is_empty());
        }
        code => panic!("exit code {code:?}"),
    }
}
