//! Whether what happened can be explained by the timestamps alone.
//!
//! The checker knows what the clients saw, in true time, and what the nodes have on disk in the end.
//! It reads no node's clock and believes no node's word on the order of things. Its rules:
//!
//! - **Real time.** What was done before something else was sent has the lesser timestamp: a transfer
//!   is above everything that was acknowledged or shown to anybody before it was sent, and an audit
//!   shows all of that.
//! - **Causality.** The same for the deeds of one client, which goes from node to node.
//! - **Total.** Money is neither made nor lost at any snapshot.
//! - **Snapshot.** An audit at `t` shows every balance as all commits up to `t` make it, those too
//!   that came to disk after the audit was over: there must be none.
//! - **Lost.** Every acknowledged transfer is on disk, as it was acknowledged.
//! - **Reissued.** No two commits of a node have the same timestamp.

use std::collections::HashMap;
use std::fmt;

use epsilon_clock::Timestamp;

use crate::history::{Commit, Deed, Event, OPENING};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    RealTime,
    Causality,
    Total,
    Snapshot,
    Lost,
    Reissued,
}

impl Rule {
    pub(crate) const ALL: [Self; 6] = [
        Self::RealTime,
        Self::Causality,
        Self::Total,
        Self::Snapshot,
        Self::Lost,
        Self::Reissued,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RealTime => "real time",
            Self::Causality => "causality",
            Self::Total => "total",
            Self::Snapshot => "snapshot",
            Self::Lost => "lost",
            Self::Reissued => "reissued",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) told: String,
}

/// All that is wrong with a history, given the logs of the nodes.
pub(crate) fn check(events: &[Event], logs: &[Vec<Commit>], accounts: i64) -> Vec<Violation> {
    let mut commits: Vec<Commit> = logs.concat();
    commits.sort_by_key(|commit| commit.timestamp);
    let mut violations = order(events, &commits);
    violations.extend(snapshots(events, &commits, accounts));
    violations.extend(lost(events, logs));
    violations.extend(reissued(logs));
    violations
}

fn order(events: &[Event], commits: &[Commit]) -> Vec<Violation> {
    let shown = |event: &Event| shown(event, commits);
    let all: Vec<&Event> = events.iter().collect();
    let mut violations = Vec::new();
    for (before, after) in out_of_order(all, shown) {
        violations.push(reversed(Rule::RealTime, before, after));
    }
    let mut by_client: HashMap<u32, Vec<&Event>> = HashMap::new();
    for event in events {
        by_client.entry(event.client).or_default().push(event);
    }
    for deeds in by_client.into_values() {
        for (before, after) in out_of_order(deeds, shown) {
            violations.push(reversed(Rule::Causality, before, after));
        }
    }
    violations
}

/// The largest timestamp of a commit that a client learned of by what it did.
fn shown(event: &Event, commits: &[Commit]) -> Timestamp {
    match &event.deed {
        Deed::Transferred { commit, .. } => commit.timestamp,
        Deed::Audited { at, .. } => {
            let visible = commits.partition_point(|commit| commit.timestamp <= *at);
            commits[..visible]
                .last()
                .map_or(Timestamp::MIN, |commit| commit.timestamp)
        }
    }
}

/// Each event that contradicts one that was done before it was sent, with the worst of those.
fn out_of_order(events: Vec<&Event>, shown: impl Fn(&Event) -> Timestamp) -> Vec<(&Event, &Event)> {
    let mut done = events.clone();
    done.sort_by_key(|event| event.done);
    let mut done = done.into_iter().peekable();
    let mut sent = events;
    sent.sort_by_key(|event| event.sent);
    // Of those done so far, the one that shows the largest timestamp.
    let mut known: Option<(Timestamp, &Event)> = None;
    let mut wrong = Vec::new();
    for event in sent {
        while let Some(before) = done.next_if(|before| before.done < event.sent) {
            let shows = shown(before);
            if known.is_none_or(|(largest, _)| largest < shows) {
                known = Some((shows, before));
            }
        }
        match known {
            Some((largest, before)) if !is_above(event, largest) => wrong.push((before, event)),
            _ => {}
        }
    }
    wrong
}

fn is_above(event: &Event, known: Timestamp) -> bool {
    match event.deed {
        Deed::Transferred { commit, .. } => commit.timestamp > known,
        Deed::Audited { at, .. } => at >= known,
    }
}

fn reversed(rule: Rule, before: &Event, after: &Event) -> Violation {
    let later = after.sent.saturating_sub(before.done);
    Violation {
        rule,
        told: format!(
            "{}; {later:?} after the answer, {}",
            describe(before),
            describe(after)
        ),
    }
}

fn describe(event: &Event) -> String {
    let client = event.client;
    match &event.deed {
        Deed::Transferred { node, commit } => {
            format!(
                "client {client} committed {} at node {node}",
                commit.timestamp
            )
        }
        Deed::Audited { at, .. } => format!("client {client} audited at {at}"),
    }
}

/// Goes through all commits in the order of their timestamps, and stops at each snapshot.
fn snapshots(events: &[Event], commits: &[Commit], accounts: i64) -> Vec<Violation> {
    let mut audits: Vec<(Timestamp, &[i64], &Event)> = Vec::new();
    for event in events {
        if let Deed::Audited { at, balances } = &event.deed {
            audits.push((*at, balances, event));
        }
    }
    audits.sort_by_key(|(at, ..)| *at);
    let mut commits = commits.iter().peekable();
    let mut expected: Vec<i64> = (0..accounts).map(|_| OPENING).collect();
    let mut violations = Vec::new();
    for (at, balances, event) in audits {
        while let Some(commit) = commits.next_if(|commit| commit.timestamp <= at) {
            for (account, change) in commit.transfer.changes() {
                if let Some(balance) = usize::try_from(account)
                    .ok()
                    .and_then(|i| expected.get_mut(i))
                {
                    *balance += change;
                }
            }
        }
        let (found, right) = (balances.iter().sum::<i64>(), OPENING * accounts);
        if found != right {
            let told = format!("{}: {found} in all instead of {right}", describe(event));
            violations.push(Violation {
                rule: Rule::Total,
                told,
            });
        }
        if balances != expected {
            let wrong = balances
                .iter()
                .zip(&expected)
                .filter(|(found, right)| found != right);
            let told = format!("{}: {} wrong balances", describe(event), wrong.count());
            violations.push(Violation {
                rule: Rule::Snapshot,
                told,
            });
        }
    }
    violations
}

fn lost(events: &[Event], logs: &[Vec<Commit>]) -> Vec<Violation> {
    let on_disk: HashMap<(usize, i64), &Commit> = logs
        .iter()
        .enumerate()
        .flat_map(|(node, log)| {
            log.iter()
                .map(move |commit| ((node, commit.transfer.id), commit))
        })
        .collect();
    let mut violations = Vec::new();
    for event in events {
        if let Deed::Transferred { node, commit } = &event.deed {
            let found = on_disk.get(&(*node, commit.transfer.id)).copied();
            if found != Some(commit) {
                let told = format!("{}, and has {found:?} on disk", describe(event));
                violations.push(Violation {
                    rule: Rule::Lost,
                    told,
                });
            }
        }
    }
    violations
}

fn reissued(logs: &[Vec<Commit>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (node, log) in logs.iter().enumerate() {
        let mut timestamps: Vec<Timestamp> = log.iter().map(|commit| commit.timestamp).collect();
        timestamps.sort();
        for pair in timestamps.windows(2).filter(|pair| pair[0] == pair[1]) {
            let told = format!("node {node} committed twice with {}", pair[0]);
            violations.push(Violation {
                rule: Rule::Reissued,
                told,
            });
        }
    }
    violations
}
