//! The crate's own threads: how many there are, and what they are called.

use std::fs;
use std::path::Path;

/// The longest name of a thread that Linux keeps, in bytes (`TASK_COMM_LEN` less its end).
const LONGEST_NAME: usize = 15;

/// Every name that a thread is given in `src`.
fn names(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for opening in ["spawn(\"", ".name(\""] {
            let begun = text.split(opening).skip(1);
            found.extend(begun.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
}

#[test]
fn no_threads_name_is_cut() {
    let mut found = Vec::new();
    names(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() >= 4, "{found:?}");
    for name in found {
        assert!(name.starts_with("epsilon-"), "{name}");
        assert!(name.len() <= LONGEST_NAME, "{name}");
    }
}

#[cfg(target_os = "linux")]
mod of_a_process {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Command;
    use std::task::{Context, Waker};
    use std::thread;
    use std::time::{Duration, Instant};

    use epsilon_clock::commit::WaitStrategy;
    use epsilon_clock::{Clock, CommitGroup};

    use crate::skip::skip;

    const SECOND: Duration = Duration::from_secs(1);

    /// Set in the process that counts its threads.
    const ALONE: &str = "EPSILON_CLOCK_TEST_ALONE";

    /// How many threads of each of the crate's names there are.
    fn threads() -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            // One that has ended meanwhile has no name.
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.starts_with("epsilon-") {
                *count.entry(name.trim_end().to_owned()).or_default() += 1;
            }
        }
        count
    }

    fn settles_at(expected: &[(&str, usize)]) {
        let expected = expected.iter().map(|(name, n)| ((*name).to_owned(), *n));
        let expected: BTreeMap<_, _> = expected.collect();
        let began = Instant::now();
        while threads() != expected {
            let found = threads();
            assert!(began.elapsed() < 20 * SECOND, "{found:?}, not {expected:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// In a process of its own: other tests have clocks and groups as well.
    #[test]
    fn one_sleeper_and_one_asker_serve_all_clocks() {
        let name = "threads::of_a_process::one_sleeper_and_one_asker_serve_all_clocks";
        if std::env::var_os(ALONE).is_none() {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(ALONE, "1")
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && told.contains("1 passed"),
                "{output:?}"
            );
            return;
        }
        let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let asks = lowest.is_ok_and(|port| port.trim().parse().is_ok_and(|port: u16| port > 323));
        if !asks {
            skip(
                "one asking thread for all clocks",
                "port 323 is any process's here",
            );
        }
        let clocks: Vec<Clock> = (0..4)
            .map(|_| {
                Clock::builder()
                    .assume_error(Duration::from_millis(1))
                    .build()
                    .unwrap()
            })
            .collect();
        let groups: Vec<CommitGroup> = clocks
            .iter()
            .zip([WaitStrategy::SLEEP, WaitStrategy::DEFAULT].iter().cycle())
            .map(|(clock, strategy)| CommitGroup::start_with(clock, *strategy).unwrap())
            .collect();
        let mut changes: Vec<_> = clocks.iter().map(Clock::state_changes).collect();
        for changes in &mut changes {
            let mut context = Context::from_waker(Waker::noop());
            assert!(changes.poll_changed(&mut context).is_pending());
        }
        // All are served, by turns and at once.
        let served = |(clock, group): (&Clock, &CommitGroup)| {
            let one = || {
                let began = Instant::now();
                let commit = clock.begin_commit().unwrap();
                group.released(&commit).wait_timeout(10 * SECOND).unwrap();
                began.elapsed()
            };
            (0..20).map(|_| one()).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            for pair in clocks.iter().zip(&groups) {
                scope.spawn(move || served(pair));
            }
        });
        // One alone: a sleeper that is told of no newcomer comes by every quarter of a second.
        let mut took = served((&clocks[0], &groups[0]));
        took.sort_unstable();
        assert!(
            took[took.len() / 2] < Duration::from_millis(100),
            "{took:?}"
        );
        let asker = asks.then_some(("epsilon-ask", 1));
        let sleeper = Some(("epsilon-sleep", 1));
        let both: Vec<_> = asker.into_iter().chain(sleeper).collect();
        settles_at(&both);
        drop(groups);
        drop(changes);
        settles_at(&both[..both.len() - 1]);
        drop(clocks);
        settles_at(&[]);
        // And again, once they have ended.
        let clock = Clock::builder()
            .assume_error(Duration::from_millis(1))
            .build()
            .unwrap();
        let group = CommitGroup::start(&clock).unwrap();
        let commit = clock.begin_commit().unwrap();
        group.released(&commit).wait_timeout(10 * SECOND).unwrap();
        settles_at(&both);
    }
}
