//! The last of the test programs: names once more, in a line each, what the ones before it skipped.
//!
//! Cargo runs them in the order of their names.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::io::Write;

mod host;

/// The name of this program, which no other one's may come after.
const NAME: &str = "zz_what_was_skipped";

#[test]
fn each_part_that_was_skipped_is_named_at_the_end() {
    let Some(notes) = host::notes() else {
        return;
    };
    let noted = match std::fs::read_to_string(&notes) {
        Ok(noted) => noted,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("{}: {error}", notes.display()),
    };
    std::fs::remove_file(&notes).expect("it is this run's own");
    // Each of a program's tests may have said the same.
    let lines: BTreeSet<_> = noted.lines().collect();
    let mut text = format!("\n{} parts of the tests were skipped:\n", lines.len());
    for line in &lines {
        assert!(line.starts_with("skipped: "), "{line}");
        text += line;
        text += "\n";
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[test]
fn no_other_program_of_tests_runs_after_this_one() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let entries = std::fs::read_dir(tests).expect("this file is in it");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let last = names
        .filter_map(|name| Some(name.to_str()?.trim_end_matches(".rs").to_owned()))
        .max();
    assert_eq!(last.as_deref(), Some(NAME));
}
