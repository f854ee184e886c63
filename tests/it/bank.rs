//! The `bank` example as people run it, with and without commit-wait, and its checker by itself.
//!
//! A history that is consistent, one that is not, and a program that failed each have an exit code
//! of their own: none passes for another here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use epsilon_clock::Timestamp;

use crate::skip::skip;
use checker::{Rule, check};
use history::{ACCOUNTS, ALL_ACCOUNTS, Commit, Deed, Event, NODES, OPENING, Transfer};

#[path = "../../examples/bank/checker.rs"]
mod checker;
#[path = "../../examples/bank/history.rs"]
mod history;

const CONSISTENT: Option<i32> = Some(0);
const VIOLATIONS: Option<i32> = Some(3);
const USAGE: Option<i32> = Some(64);
const FAILED: Option<i32> = Some(70);

// --- the program ---------------------------------------------------------------------------------

/// `cargo test` builds the examples next to the directory in which the tests are.
fn bank(args: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile
        .join("examples")
        .join(format!("bank{}", std::env::consts::EXE_SUFFIX));
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let sources = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bank")).unwrap();
    let newest = sources.map(|source| age(&source.unwrap().path())).max();
    assert!(
        age(&path) >= newest.flatten(),
        "{} is missing or out of date: run `cargo build --example bank`",
        path.display()
    );
    let mut command = Command::new(path);
    command.args(args);
    command
}

fn run(args: &[&str]) -> Output {
    bank(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What was printed, if the program ended as it should have.
fn printed(args: &[&str], code: Option<i32>) -> String {
    let output = run(args);
    let printed = text(&output.stdout);
    let complaints = text(&output.stderr);
    assert_eq!(
        output.status.code(),
        code,
        "{args:?}\n{printed}{complaints}"
    );
    printed
}

/// The number that stands before `what`.
fn number(printed: &str, what: &str) -> u64 {
    let (before, _) = printed
        .split_once(what)
        .unwrap_or_else(|| panic!("{what:?}: {printed}"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn with_commit_wait_the_history_is_consistent_though_a_node_was_killed() {
    let printed = printed(&[], CONSISTENT);
    assert!(number(&printed, " transfers, ") >= 3_000, "{printed}");
    assert!(number(&printed, " audits: ") > 0, "{printed}");
    assert_eq!(number(&printed, " violations"), 0, "{printed}");
    assert!(printed.contains("node 0 was killed"), "{printed}");
    assert!(printed.contains("limit "), "{printed}");
}

/// With clocks that are further off than a slow disk's flush takes, which would otherwise make up
/// for the wait.
#[test]
fn without_commit_wait_the_checker_finds_violations() {
    let printed = printed(&["--no-commit-wait", "--epsilon-ms", "20"], VIOLATIONS);
    assert!(number(&printed, " violations") > 0, "{printed}");
    // Order is all that the wait is for.
    for rule in Rule::ALL {
        let broken = matches!(rule, Rule::RealTime | Rule::Causality);
        assert_eq!(
            printed.contains(&format!("\n  {rule} ")),
            broken,
            "{printed}"
        );
    }
}

/// Nodes that are back long before what they had on disk is past, with clocks that say less.
#[test]
fn a_node_that_is_back_before_its_last_timestamp_is_past_keeps_its_promises() {
    let args = ["--epsilon-ms", "150", "--kills", "6"];
    let size = ["--clients", "96", "--transfers", "1200"];
    let printed = printed(&[args, size].concat(), CONSISTENT);
    assert_eq!(number(&printed, " violations"), 0, "{printed}");
    assert_eq!(printed.matches("was killed").count(), 6, "{printed}");
    assert!(number(&printed, " transfers, sent again") > 0, "{printed}");
}

#[test]
fn a_hundred_thousand_transfers_are_consistent_when_asked_for() {
    if std::env::var_os("EPSILON_CLOCK_LONG").is_none() {
        skip("100 000 transfers", "not asked for by EPSILON_CLOCK_LONG=1");
        return;
    }
    let size = ["--transfers", "100000", "--clients", "64", "--kills", "5"];
    let printed = printed(&size, CONSISTENT);
    assert_eq!(number(&printed, " transfers, "), 100_000, "{printed}");
}

#[test]
fn data_files_stay_where_the_user_wants_them_and_are_not_overwritten() {
    let name = format!("bank-{}", std::process::id());
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let directory = directory.to_str().unwrap();
    let args = ["--data", directory, "--transfers", "30", "--kills", "0"];
    printed(&args, CONSISTENT);
    assert_eq!(fs::read_dir(directory).unwrap().count(), NODES);
    let output = run(&args);
    assert_eq!(output.status.code(), FAILED);
    assert!(text(&output.stderr).contains(directory));
    fs::remove_dir_all(directory).unwrap();
}

/// A node that crashes when it was not meant to proves nothing, in whichever direction.
#[cfg(target_os = "linux")]
#[test]
fn a_node_that_ends_by_itself_is_a_failure_and_no_verdict() {
    let mut command = bank(&["--transfers", "1000000", "--no-commit-wait"]);
    let mut program = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", program.id());
    let first = loop {
        let children = fs::read_to_string(&children).unwrap();
        match children.split_whitespace().collect::<Vec<_>>()[..] {
            [first, _, _] => break first.to_owned(),
            _ => thread::sleep(Duration::from_millis(1)),
        }
        assert_eq!(program.try_wait().unwrap(), None, "it ended by itself");
    };
    assert!(
        Command::new("kill")
            .args(["-9", &first])
            .status()
            .unwrap()
            .success()
    );
    let output = program.wait_with_output().unwrap();
    let complaints = text(&output.stderr);
    assert_eq!(output.status.code(), FAILED, "{complaints}");
    assert!(complaints.contains("ended by itself"), "{complaints}");
    assert!(!text(&output.stdout).contains("checked"));
}

#[test]
fn bad_arguments_exit_with_64_and_a_line() {
    for args in [
        &["--no-such-option"][..],
        &["--transfers"],
        &["--transfers", "0"],
        &["--transfers", "many"],
        &["--clients", "0"],
        &["--epsilon-ms", "0"],
        &["--epsilon-ms", "201"],
        &["node"],
        &["more"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), USAGE, "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{args:?}");
    }
}

#[test]
fn help_names_every_option() {
    let printed = printed(&["--help"], CONSISTENT);
    for name in [
        "transfers",
        "clients",
        "epsilon-ms",
        "kills",
        "no-commit-wait",
        "data",
        "help",
    ] {
        assert!(printed.contains(&format!("--{name} ")), "{name}");
    }
}

// --- the checker ---------------------------------------------------------------------------------

/// What happened, and what is on disk in the end.
struct History {
    events: Vec<Event>,
    logs: Vec<Vec<Commit>>,
}

impl History {
    fn new() -> Self {
        Self {
            events: Vec::new(),
            logs: vec![Vec::new(); NODES],
        }
    }

    /// A transfer of 1 between the first two accounts of a node, at this timestamp; sent and done
    /// at these instants.
    fn transfer(
        mut self,
        client: u32,
        node: usize,
        timestamp: i64,
        (sent, done): (u64, u64),
    ) -> Self {
        let first = ACCOUNTS * node as i64;
        let transfer = Transfer {
            id: self.events.len() as i64,
            from: first,
            to: first + 1,
            amount: 1,
        };
        let commit = Commit {
            timestamp: Timestamp::from_unix_nanos(timestamp),
            transfer,
        };
        self.logs[node].push(commit);
        self.did(client, (sent, done), Deed::Transferred { node, commit })
    }

    /// An audit that found so many transfers done at each node.
    fn audit(self, client: u32, found: [i64; NODES], at: i64, (sent, done): (u64, u64)) -> Self {
        let mut balances = vec![OPENING; ALL_ACCOUNTS as usize];
        for (node, found) in found.into_iter().enumerate() {
            let first = ACCOUNTS as usize * node;
            balances[first] -= found;
            balances[first + 1] += found;
        }
        let at = Timestamp::from_unix_nanos(at);
        self.did(client, (sent, done), Deed::Audited { at, balances })
    }

    fn did(mut self, client: u32, (sent, done): (u64, u64), deed: Deed) -> Self {
        self.events.push(Event {
            client,
            sent: Duration::from_micros(sent),
            done: Duration::from_micros(done),
            deed,
        });
        self
    }

    /// The rules that are broken, each as often as it is.
    fn broken(&self) -> Vec<Rule> {
        let violations = check(&self.events, &self.logs);
        violations.iter().map(|violation| violation.rule).collect()
    }
}

#[test]
fn what_overlaps_may_come_in_any_order() {
    let history = History::new()
        .transfer(1, 0, 200, (0, 10))
        .transfer(2, 1, 100, (5, 15))
        .audit(3, [0, 1, 0], 150, (9, 12))
        .transfer(1, 1, 201, (16, 20))
        .audit(3, [1, 2, 0], 201, (21, 30));
    assert_eq!(history.broken(), []);
    assert_eq!(History::new().broken(), []);
}

#[test]
fn a_later_transfer_needs_a_larger_timestamp() {
    for timestamp in [100, 99] {
        let other = History::new()
            .transfer(1, 0, 100, (0, 10))
            .transfer(2, 1, timestamp, (11, 20));
        assert_eq!(other.broken(), [Rule::RealTime]);
        let own = History::new()
            .transfer(1, 0, 100, (0, 10))
            .transfer(1, 1, timestamp, (11, 20));
        assert_eq!(own.broken(), [Rule::RealTime, Rule::Causality]);
    }
}

/// Not only the last one that was done before it.
#[test]
fn a_later_transfer_is_compared_with_all_before_it() {
    let history = History::new()
        .transfer(1, 0, 300, (0, 10))
        .transfer(2, 1, 100, (5, 15))
        .transfer(3, 2, 200, (16, 20));
    assert_eq!(history.broken(), [Rule::RealTime]);
    let violations = check(&history.events, &history.logs);
    let told = &violations[0].told;
    assert!(
        told.contains("client 1") && told.contains("client 3"),
        "{told}"
    );
}

#[test]
fn an_audit_shows_what_was_acknowledged_before_it() {
    let history = History::new()
        .transfer(1, 0, 100, (0, 10))
        .audit(2, [0; NODES], 99, (11, 20));
    assert_eq!(history.broken(), [Rule::RealTime]);
}

/// Also while those are not acknowledged yet.
#[test]
fn what_an_audit_showed_is_before_what_was_sent_after_it() {
    let history = History::new()
        .transfer(1, 0, 100, (0, 50))
        .audit(2, [1, 0, 0], 100, (5, 20));
    assert_eq!(history.broken(), []);
    assert_eq!(
        history.transfer(3, 1, 90, (21, 60)).broken(),
        [Rule::RealTime, Rule::Snapshot]
    );
}

/// Such as one that was in flight when it was read there.
#[test]
fn an_audit_shows_all_up_to_its_timestamp_and_nothing_else() {
    let missing = History::new()
        .transfer(1, 0, 100, (0, 10))
        .audit(2, [0; NODES], 100, (5, 20));
    assert_eq!(missing.broken(), [Rule::Snapshot]);
    let early = History::new()
        .transfer(1, 0, 100, (0, 10))
        .audit(2, [1, 0, 0], 99, (5, 20));
    assert_eq!(early.broken(), [Rule::Snapshot]);
}

#[test]
fn no_money_is_made_or_lost() {
    let mut history = History::new().audit(2, [0; NODES], 100, (5, 20));
    let Deed::Audited { balances, .. } = &mut history.events[0].deed else {
        panic!("not an audit");
    };
    balances[0] += 1;
    assert_eq!(history.broken(), [Rule::Total, Rule::Snapshot]);
    let mut history = History::new().audit(2, [0; NODES], 100, (5, 20));
    let Deed::Audited { balances, .. } = &mut history.events[0].deed else {
        panic!("not an audit");
    };
    balances.pop();
    assert_eq!(history.broken(), [Rule::Total, Rule::Snapshot]);
}

#[test]
fn what_was_acknowledged_is_on_disk_as_it_was() {
    let mut history = History::new().transfer(1, 0, 100, (0, 10));
    history.logs[0][0].timestamp = Timestamp::from_unix_nanos(101);
    assert_eq!(history.broken(), [Rule::Lost]);
    history.logs[0].clear();
    assert_eq!(history.broken(), [Rule::Lost]);
}

#[test]
fn no_node_commits_twice_with_one_timestamp() {
    let twice = History::new()
        .transfer(1, 0, 100, (0, 10))
        .transfer(2, 0, 100, (5, 15));
    assert_eq!(twice.broken(), [Rule::Reissued]);
    let elsewhere = History::new()
        .transfer(1, 0, 100, (0, 10))
        .transfer(2, 1, 100, (5, 15));
    assert_eq!(elsewhere.broken(), []);
}
